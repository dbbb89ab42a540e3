//! A file on its way to its name: written whole under another one first, so that nobody ever reads half of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use patron_core::clock::Entropy;

use super::Failed;
use crate::system::SystemEntropy;

/// A file for its owner alone, opened before what goes into it is made, so that a folder that cannot be written is
/// found out in time. Dropped unfinished, it leaves nothing behind.
pub(super) struct Unfinished {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    finished: bool,
}

impl Unfinished {
    /// Opens it in the folder of `path`.
    pub(super) fn create(path: &Path) -> Result<Self, Failed> {
        let mut suffix = [0; 8];
        SystemEntropy.fill(&mut suffix);
        let mut temporary = path.to_owned().into_os_string();
        temporary.push(format!(".{}", hex::encode(suffix)));
        let temporary = PathBuf::from(temporary);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        Ok(Self { file, temporary, path: path.to_owned(), finished: false })
    }

    /// Writes the text to the disk and gives the file its name, in place of one that has it.
    pub(super) fn finish(mut self, text: &str) -> Result<(), Failed> {
        self.write(text).map_err(|error| self.told(&error))?;
        fs::rename(&self.temporary, &self.path).map_err(|error| self.told(&error))?;
        self.finished = true;
        Ok(())
    }

    /// The same, but a file that has the name by now stays, and this fails.
    pub(super) fn finish_new(mut self, text: &str) -> Result<(), Failed> {
        self.write(text).map_err(|error| self.told(&error))?;
        // A rename would take the name from the other file; a second name for this one is refused.
        match fs::hard_link(&self.temporary, &self.path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(self.told(&error)),
            // Not every file system has second names.
            Err(_) => {
                fs::rename(&self.temporary, &self.path).map_err(|error| self.told(&error))?;
                self.finished = true;
                Ok(())
            }
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            self.file.write_all(b"\n")?;
        }
        self.file.sync_all()
    }

    fn told(&self, error: &io::Error) -> Failed {
        format!("{} cannot be written: {error}", self.path.display()).into()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn it_has_its_name_once_it_is_whole_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret.json");
        let unfinished = Unfinished::create(&path).unwrap();
        assert!(!path.exists());
        unfinished.finish("first").unwrap();
        Unfinished::create(&path).unwrap().finish("second\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(dir.path()), ["secret.json"]);
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        drop(Unfinished::create(&dir.path().join("secret.json")).unwrap());
        assert_eq!(names(dir.path()), [""; 0]);
    }

    #[test]
    fn a_new_file_takes_no_ones_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret.json");
        let unfinished = Unfinished::create(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        assert!(unfinished.finish_new("mine").is_err());
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names(dir.path()).len()), ("another's", 1));
        fs::remove_file(&path).unwrap();
        Unfinished::create(&path).unwrap().finish_new("mine").unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names(dir.path()).len()), ("mine\n", 1));
    }
}
