//! Access tokens kept from one command to the next, so that a script does not make an exchange for each. What is not
//! there, cannot be read or is about to end is made anew: nothing here ever fails a command.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::PathBuf;

use patron_client::AccessToken;
use patron_core::time::Timestamp;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::super::unfinished::Unfinished;
use super::credentials::Credential;

/// The folder of cached access tokens; without one nothing is kept.
pub(super) struct TokenCache {
    folder: Option<PathBuf>,
}

/// A cached access token as it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    access_token: String,
    scope: String,
    obtained: String,
    ends: String,
}

impl TokenCache {
    /// In this folder, which need not be there.
    pub(super) fn in_folder(folder: Option<PathBuf>) -> Self {
        Self { folder: folder.map(|folder| folder.join("tokens")) }
    }

    /// The token of a credential with these scopes (none: all that it has) that is worth being sent at `now`.
    pub(super) fn get(&self, of: &Credential, scope: &[String], now: Timestamp) -> Option<AccessToken> {
        read(&self.path(of, scope)?).filter(|token| token.is_fresh(now))
    }

    /// Keeps a token.
    pub(super) fn put(&self, of: &Credential, scope: &[String], token: &AccessToken) {
        let Some(path) = self.path(of, scope) else { return };
        let entry = Entry {
            access_token: token.expose().to_owned(),
            scope: token.scope().to_owned(),
            obtained: token.obtained().to_string(),
            ends: token.ends().to_string(),
        };
        let written = || {
            DirBuilder::new().recursive(true).mode(0o700).create(path.parent()?).ok()?;
            Unfinished::create(&path).ok()?.finish(&serde_json::to_string(&entry).ok()?).ok()
        };
        // The next command makes another.
        let _ = written();
        self.sweep(token.obtained());
    }

    /// Takes away what has ended by `now`, so that what is kept does not grow for ever.
    fn sweep(&self, now: Timestamp) {
        for entry in self.folder.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten() {
            if read(&entry.path()).is_some_and(|token| token.ends() <= now) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Takes a credential's tokens away, of whatever scopes, and gives those that could be read.
    pub(super) fn take_all(&self, of: &Credential) -> Vec<AccessToken> {
        let Some(folder) = &self.folder else { return Vec::new() };
        let prefix = format!("{}.", credential_name(of));
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let paths = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
        paths
            .filter_map(|entry| {
                let token = read(&entry.path());
                let _ = fs::remove_file(entry.path());
                token
            })
            .collect()
    }

    fn path(&self, of: &Credential, scope: &[String]) -> Option<PathBuf> {
        let name = format!("{}.{}.json", credential_name(of), digest(scope.iter().map(String::as_str)));
        Some(self.folder.as_ref()?.join(name))
    }
}

/// Another server, id or secret is another name, and no name tells any of them.
fn credential_name(of: &Credential) -> String {
    digest([of.base_url.as_str(), &of.client_id, of.client_secret.expose_secret()].into_iter())
}

fn digest<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // With its length in front, so that no two lists are one.
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// What anyone else could have written is not taken.
fn read(path: &std::path::Path) -> Option<AccessToken> {
    if fs::metadata(path).ok()?.permissions().mode() & 0o077 != 0 {
        return None;
    }
    let entry: Entry = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let time = |text: &str| Timestamp::parse(text).ok();
    let printable =
        !entry.access_token.is_empty() && entry.access_token.bytes().all(|b| b.is_ascii_graphic());
    printable.then_some(())?;
    Some(AccessToken::new(entry.access_token, entry.scope, time(&entry.obtained)?, time(&entry.ends)?))
}

#[cfg(test)]
mod tests {
    use super::super::credentials::Source;
    use super::*;

    fn credential(secret: &str) -> Credential {
        Credential {
            base_url: "https://acme.example.com".to_owned(),
            client_id: "id".to_owned(),
            client_secret: secret.into(),
            allow_http: false,
            source: Source::Environment,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn token(text: &str) -> AccessToken {
        AccessToken::new(text, "a b", at(0), at(3_600))
    }

    #[test]
    fn a_token_is_found_by_all_that_it_stands_for() {
        let dir = tempfile::tempdir().unwrap();
        let cache = TokenCache::in_folder(Some(dir.path().join("patron")));
        let (one, other) = (credential("one"), credential("other"));
        let narrow = ["a".to_owned()];
        assert!(cache.get(&one, &[], at(1)).is_none());
        cache.put(&one, &[], &token("wide"));
        cache.put(&one, &narrow, &token("narrow"));
        let found =
            |of: &Credential, scope: &[String]| cache.get(of, scope, at(1)).map(|t| t.expose().to_owned());
        assert_eq!(found(&one, &[]).as_deref(), Some("wide"));
        assert_eq!(found(&one, &narrow).as_deref(), Some("narrow"));
        assert_eq!(found(&one, &["a".to_owned(), "b".to_owned()]), None);
        assert_eq!(found(&other, &[]), None);
        let kept = cache.get(&one, &[], at(1)).unwrap();
        assert_eq!((kept.scope(), kept.obtained(), kept.ends()), ("a b", at(0), at(3_600)));
        // Not when it is about to end.
        assert!(cache.get(&one, &[], at(3_550)).is_none());

        // What has ended goes when another is kept.
        let ended = AccessToken::new("ended", "", at(-9), at(-1));
        cache.put(&one, &["ended".to_owned()], &ended);
        let count = || fs::read_dir(dir.path().join("patron/tokens")).unwrap().count();
        assert_eq!(count(), 3);
        cache.put(&other, &[], &token("other"));
        assert_eq!(count(), 3);
        assert_eq!(cache.take_all(&one).len(), 2);
        assert_eq!((found(&one, &[]), found(&other, &[]).as_deref()), (None, Some("other")));
    }

    #[test]
    fn what_cannot_be_trusted_or_read_is_a_miss() {
        let dir = tempfile::tempdir().unwrap();
        let cache = TokenCache::in_folder(Some(dir.path().to_owned()));
        let of = credential("one");
        let path = cache.path(&of, &[]).unwrap();
        cache.put(&of, &[], &token("good"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
        assert!(cache.get(&of, &[], at(1)).is_none());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(cache.get(&of, &[], at(1)).is_some());
        let whole = fs::read_to_string(&path).unwrap();
        for wrong in [
            "",
            "{",
            "null",
            &whole[..whole.len() / 2],
            &whole.replace("good", "a\\nb"),
            &whole.replace('Z', "?"),
        ] {
            fs::write(&path, wrong).unwrap();
            assert!(cache.get(&of, &[], at(1)).is_none(), "{wrong}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        cache.put(&of, &[], &token("good"));
        assert!(cache.get(&of, &[], at(1)).is_none());
        TokenCache::in_folder(None).put(&of, &[], &token("good"));
        TokenCache::in_folder(Some("/proc/nowhere".into())).put(&of, &[], &token("good"));
    }
}
