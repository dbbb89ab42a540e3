//! One process a SQLite file, of those that must have it to themselves: `patron serve` and `patron migrate`.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::Failed;

/// Keeps others off the same file, by whatever name it is called, for as long as what it gives is there; `None` when
/// another process does so.
pub(super) fn lock(database: &Path) -> Result<Option<File>, Failed> {
    let mut path = canonical(database).into_os_string();
    path.push(".lock");
    let path = PathBuf::from(path);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|error| format!("{} cannot be opened: {error}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(format!("{} cannot be locked: {error}", path.display()).into())
        }
    }
}

/// The path without symbolic links, also of a file that is still to be made. What cannot be resolved stays as it is:
/// it cannot be opened either, which tells why.
pub(super) fn canonical(file: &Path) -> PathBuf {
    let in_folder = || {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(file.file_name()?))
    };
    file.canonicalize().ok().or_else(in_folder).unwrap_or_else(|| file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_path_by_whatever_name() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::os::unix::fs::symlink(&real, real.join("folder")).unwrap();
        std::os::unix::fs::symlink(real.join("patron.db"), real.join("other.db")).unwrap();
        let expected = real.join("patron.db");
        // Before it is made, and afterwards.
        assert_eq!(canonical(&real.join("folder/patron.db")), expected);
        File::create(&expected).unwrap();
        for name in ["patron.db", "other.db", "folder/other.db", "folder/./patron.db"] {
            assert_eq!(canonical(&real.join(name)), expected, "{name}");
        }
        assert_eq!(canonical(Path::new("nowhere/patron.db")), Path::new("nowhere/patron.db"));
    }
}
