//! Where PostgreSQL's programs are, and who runs them.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// Where Debian puts each version's programs; `PATH` has the client's alone.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The folder of `postgres`, `initdb` and the others: of the `postgres` in `PATH`, else of Debian's newest version.
pub fn folder() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let in_path = env::split_paths(&path).find_map(|folder| {
        // Through links, because the others need not be linked beside it.
        Some(fs::canonicalize(folder.join("postgres")).ok()?.parent()?.to_owned())
    });
    in_path.into_iter().chain(newest_first(Path::new(DEBIAN))).find(|folder| whole(folder))
}

/// A folder may hold the client's programs alone.
fn whole(folder: &Path) -> bool {
    ["postgres", "initdb", "pg_basebackup", "pg_dump", "psql"].iter().all(|name| folder.join(name).is_file())
}

fn newest_first(versions: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(versions).into_iter().flatten().flatten();
    let by_number: BTreeMap<u32, PathBuf> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    by_number.into_values().rev().collect()
}

/// The programs of one version of PostgreSQL, and the account that runs them.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    folder: PathBuf,
    /// `None`: the account that runs the tests.
    account: Option<Account>,
}

/// PostgreSQL refuses to run as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Account {
    uid: u32,
    gid: u32,
}

impl Programs {
    pub(crate) fn find() -> Self {
        let folder = folder().expect("PostgreSQL's programs are not here: please install postgresql");
        let account = rustix::process::geteuid().is_root().then(|| {
            let accounts = fs::read_to_string("/etc/passwd").unwrap();
            unprivileged(&accounts).expect("there is neither an account postgres nor nobody")
        });
        Self { folder, account }
    }

    /// A program with an environment in which nothing speaks of another cluster and messages are in English.
    pub(crate) fn command(&self, name: &str, workplace: &Path) -> Command {
        let mut command = Command::new(self.folder.join(name));
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C").current_dir(workplace).stdin(Stdio::null());
        self.as_account(&mut command);
        command
    }

    /// Has the command run as the account that owns the cluster.
    pub(crate) fn as_account(&self, command: &mut Command) {
        if let Some(Account { uid, gid }) = self.account {
            command.uid(uid).gid(gid);
        }
    }

    /// Gives a file or folder to the account that runs the programs.
    pub(crate) fn give(&self, path: &Path) {
        if let Some(Account { uid, gid }) = self.account {
            std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    /// The number before the first dot of the version.
    pub(crate) fn major(&self) -> u32 {
        let output = self.command("postgres", Path::new("/")).arg("--version").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let digits = version.unwrap().split(|c: char| !c.is_ascii_digit()).next();
        digits.unwrap().parse().unwrap()
    }
}

/// `postgres`, else `nobody`, out of `/etc/passwd`.
fn unprivileged(accounts: &str) -> Option<Account> {
    let find = |wanted: &str| {
        accounts.lines().find_map(|line| {
            let mut fields = line.split(':');
            let found = fields.next()? == wanted;
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            found.then_some(Account { uid, gid })
        })
    };
    find("postgres").or_else(|| find("nobody"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_newest_by_its_number() {
        let versions = tempfile::tempdir().unwrap();
        for name in ["9", "15", "16", "common"] {
            fs::create_dir(versions.path().join(name)).unwrap();
        }
        let folders = ["16", "15", "9"].map(|name| versions.path().join(name).join("bin"));
        assert_eq!(newest_first(versions.path()), folders);
        assert_eq!(newest_first(&versions.path().join("nowhere")), [""; 0].map(PathBuf::from));
    }

    #[test]
    fn a_folder_with_the_clients_programs_alone_is_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("psql"), "").unwrap();
        assert!(!whole(folder.path()));
    }

    #[test]
    fn postgres_is_preferred_to_nobody() {
        let root = "root:x:0:0:root:/root:/bin/bash\n";
        let nobody = "nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n";
        let postgres = "postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n";
        let of = |text: &[&str]| unprivileged(&text.concat()).map(|account| (account.uid, account.gid));
        assert_eq!(of(&[root, nobody, postgres]), Some((101, 104)));
        assert_eq!(of(&[root, nobody]), Some((65_534, 65_533)));
        assert_eq!(of(&[root]), None);
    }
}
