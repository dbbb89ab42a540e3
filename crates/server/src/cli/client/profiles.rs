//! Profiles: which server, and as whom, by a name of one's own. They are kept in one file in the config folder.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use super::super::unfinished::Unfinished;
use super::super::{Failed, fault};

/// The profile that `patron login` makes when it is given no name.
pub(super) const DEFAULT: &str = "default";

const FILE: &str = "profiles.toml";
/// A lock on the file itself would be one on what the next rename takes away.
const LOCK: &str = "profiles.lock";

/// All profiles.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profiles {
    /// The name of the one that is taken when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) current: Option<String>,
    /// All of them, by name.
    #[serde(default)]
    pub(super) profiles: BTreeMap<String, Profile>,
}

/// One profile.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    /// The server, without a slash at its end.
    pub(super) base_url: String,
    /// The PAT's id.
    pub(super) client_id: String,
    /// The PAT's secret; where it is not here, it is in the system's keyring.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    pub(super) client_secret: Option<SecretString>,
    /// Whether secrets may go to that server over `http://`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) allow_http: bool,
}

/// The file is for its owner alone, so that it may hold what it must.
#[expect(clippy::ref_option, reason = "serde hands in the field")]
fn exposed<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => serializer.serialize_str(secret.expose_secret()),
        None => serializer.serialize_none(),
    }
}

impl Profiles {
    /// The profile of this name.
    pub(super) fn named(&self, name: &str) -> Result<&Profile, Failed> {
        self.profiles.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "there is none yet".to_owned() } else { known.join(", ") };
            format!("there is no profile '{name}' ({known}); `patron login --profile {name}` makes it").into()
        })
    }
}

/// Checks the name of a new profile.
pub(super) fn check_name(name: &str) -> Result<(), Failed> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if (1..=64).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    Err(fault::usage("a profile's name has 1 to 64 letters, digits, hyphens, underscores and dots"))
}

/// The file that they are kept in.
pub(super) struct ProfileFile {
    folder: PathBuf,
}

impl ProfileFile {
    /// In this folder, which need not be there.
    pub(super) fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// What is kept; nothing, where there is no file.
    pub(super) fn read(&self) -> Result<Profiles, Failed> {
        let path = self.path();
        let shown = path.display();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Profiles::default()),
            Err(error) => return Err(format!("{shown} cannot be read: {error}").into()),
        };
        if is_open_to_others(&path)? {
            return Err(format!(
                "{shown} can be read by others and may hold secrets: run `chmod 600 {shown}`, and think of making a \
                 new token"
            )
            .into());
        }
        // What the parser says might show a line that holds a secret.
        toml::from_str(&text).map_err(|error| {
            let line = error
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.lines().count().max(1));
            format!("{shown}:{line}: is not as `patron login` writes it").into()
        })
    }

    /// Changes what is kept; nobody else does so meanwhile. Nothing is changed when `change` fails.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Profiles) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let in_folder =
            |error| -> Failed { format!("{} cannot be written: {error}", self.folder.display()).into() };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(in_folder)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.folder.join(LOCK));
        let lock = lock.map_err(in_folder)?;
        lock.lock().map_err(in_folder)?;
        let mut profiles = self.read()?;
        let changed = change(&mut profiles)?;
        self.sweep();
        // A link, as those who keep their settings elsewhere have, goes on leading there.
        let path = fs::canonicalize(self.path()).unwrap_or_else(|_| self.path());
        Unfinished::create(&path)?.finish(&toml::to_string(&profiles)?)?;
        Ok(changed)
    }

    /// Takes away what a change has left that was killed: it may hold secrets. Whoever has the lock is the only one who
    /// writes.
    fn sweep(&self) {
        let left = format!("{FILE}.");
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&left) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn is_open_to_others(path: &Path) -> Result<bool, Failed> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(id: &str) -> Profile {
        Profile {
            base_url: "https://acme.example.com".to_owned(),
            client_id: id.to_owned(),
            client_secret: Some("5ecret".into()),
            allow_http: false,
        }
    }

    fn keep(file: &ProfileFile, name: &str) {
        file.change(|all| Ok(all.profiles.insert(name.to_owned(), profile(name)))).unwrap();
    }

    #[test]
    fn what_is_kept_is_read_again_by_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = ProfileFile::in_folder(dir.path().join("a/patron"));
        assert!(file.read().unwrap().profiles.is_empty() && !dir.path().join("a").exists());
        keep(&file, "work.1");
        keep(&file, "home");
        let kept = file.read().unwrap();
        assert_eq!(kept.profiles.keys().collect::<Vec<_>>(), ["home", "work.1"]);
        assert_eq!(kept.named("work.1").unwrap().client_secret.as_ref().unwrap().expose_secret(), "5ecret");
        assert!(!format!("{kept:?}").contains("5ecret"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file.path()), mode(&file.folder)), (0o600, 0o700));
        let said = kept.named("none").unwrap_err().to_string();
        assert!(said.contains("home, work.1") && said.contains("patron login --profile none"), "{said}");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = ProfileFile::in_folder(dir.path().to_owned());
        keep(&file, "home");
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert!(file.read().unwrap_err().to_string().contains("chmod 600"), "{mode:o}");
            assert!(file.change(|_| Ok(())).is_err(), "{mode:o}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_line_without_showing_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = ProfileFile::in_folder(dir.path().to_owned());
        for wrong in [
            "[profiles.a]\nclient_secret = 5ecret",
            "[profiles.a]\nclient_secret = \"5ecret\"\nx = \"5ecret\"",
        ] {
            keep_text(&file, wrong);
            let said = file.read().unwrap_err().to_string();
            assert!(said.contains("profiles.toml:") && !said.contains("5ecret"), "{said}");
            assert!(file.change(|_| Ok(())).is_err());
            assert_eq!(fs::read_to_string(file.path()).unwrap(), wrong, "left as it is");
        }
    }

    fn keep_text(file: &ProfileFile, text: &str) {
        fs::write(file.path(), text).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn changes_at_once_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let file = ProfileFile::in_folder(dir.path().to_owned());
                scope.spawn(move || keep(&file, &format!("p{number}")));
            }
        });
        assert_eq!(ProfileFile::in_folder(dir.path().to_owned()).read().unwrap().profiles.len(), 8);
    }

    #[test]
    fn a_link_stays_one_and_what_was_left_over_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, elsewhere) = (dir.path().join("patron"), dir.path().join("elsewhere.toml"));
        fs::create_dir(&folder).unwrap();
        let file = ProfileFile::in_folder(folder.clone());
        keep(&file, "a");
        fs::rename(file.path(), &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, file.path()).unwrap();
        fs::write(folder.join("profiles.toml.0123456789abcdef"), "5ecret").unwrap();
        keep(&file, "b");
        assert!(file.path().is_symlink() && fs::read_to_string(&elsewhere).unwrap().contains("[profiles.b]"));
        let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn a_change_that_fails_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = ProfileFile::in_folder(dir.path().to_owned());
        let failed: Result<(), Failed> = file.change(|all| {
            all.profiles.insert("a".to_owned(), profile("a"));
            Err("no".into())
        });
        assert!(failed.is_err() && file.read().unwrap().profiles.is_empty());
    }

    #[test]
    fn names_are_plain() {
        assert!(["a", "work.acme-1_2", &"x".repeat(64)].iter().all(|name| check_name(name).is_ok()));
        assert!(["", "a b", "ä", "a/b", "a\n", &"x".repeat(65)].iter().all(|name| check_name(name).is_err()));
    }
}
