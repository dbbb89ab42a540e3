//! Which server a command speaks to, and as whom. Each source is taken whole: the address of one and the secret of
//! another would carry a secret to where it does not belong.

mod environment;
mod original;

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;
use url::Url;

use super::profiles::ProfileFile;
use super::surroundings::Surroundings;
use super::{Failed, keyring};

/// The name of a profile, where no flag gives one.
const PROFILE: &str = "PATRON_PROFILE";
/// Lets secrets go over `http://` to other machines, where the credential is no profile's.
const ALLOW_HTTP: &str = "PATRON_ALLOW_HTTP";

/// A server, and a PAT of it.
#[derive(Debug)]
pub(super) struct Credential {
    /// The server, without a slash at its end.
    pub(super) base_url: String,
    /// The PAT's id.
    pub(super) client_id: String,
    /// The PAT's secret.
    pub(super) client_secret: SecretString,
    /// Whether secrets may go to that server over `http://`.
    pub(super) allow_http: bool,
    /// Where this was found.
    pub(super) source: Source,
}

/// Where a credential was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A profile that `patron login` made.
    Profile(String),
    /// `SAIL_BASE_URL`, `SAIL_CLIENT_ID`, `SAIL_CLIENT_SECRET`.
    Environment,
    /// A file of the original product's clients.
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::Environment => f.write_str("environment SAIL_BASE_URL, SAIL_CLIENT_ID, SAIL_CLIENT_SECRET"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// An address, an id and a secret, as a source has them.
struct Found {
    base_url: String,
    client_id: String,
    client_secret: SecretString,
}

impl Found {
    fn from(self, source: Source, allow_http: bool) -> Credential {
        // As it is sent, and so without what could move a terminal's cursor. What is no URL is refused by the client.
        let base_url = match self.base_url.trim().parse::<Url>() {
            Ok(url) => url.as_str().trim_end_matches('/').to_owned(),
            Err(_) => String::new(),
        };
        let Self { client_id, client_secret, .. } = self;
        Credential { base_url, client_id, client_secret, allow_http, source }
    }
}

/// Which profile is meant.
#[derive(Args, Debug, Clone, Default)]
pub(super) struct Acting {
    #[expect(clippy::doc_markdown, reason = "clap prints these comments as they are")]
    /// The profile [env: PATRON_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
}

impl Acting {
    /// The name of the profile that was asked for, by its flag or by the environment.
    pub(super) fn profile(&self, around: &Surroundings) -> Result<Option<String>, Failed> {
        match &self.profile {
            Some(name) => Ok(Some(name.clone())),
            None => around.variable(PROFILE),
        }
    }
}

/// The credential that a command acts with: that of the profile that was asked for; else the environment's; else the
/// current profile's; else that of `./config.json`; else that of `~/.sailpoint/config.yaml`.
pub(super) fn find(around: &Surroundings, acting: &Acting) -> Result<Credential, Failed> {
    let file = || around.config_folder().map(ProfileFile::in_folder);
    if let Some(name) = acting.profile(around)? {
        return of_profile(&file()?, &name);
    }
    let allow_http = around.is_on(ALLOW_HTTP)?;
    if let Some(found) = environment::read(around)? {
        return Ok(found.from(Source::Environment, allow_http));
    }
    // Without a home folder there are no profiles; what is in the current folder works all the same.
    let (homeless, unchosen) = match file() {
        Ok(file) => {
            let all = file.read()?;
            match all.current {
                Some(name) => return of_profile(&file, &name),
                None => (None, !all.profiles.is_empty()),
            }
        }
        Err(homeless) => (Some(homeless), false),
    };
    let path = around.folder.join(original::LOCAL);
    if let Some(found) = original::local(&path)? {
        return Ok(found.from(Source::File(path), allow_http));
    }
    if let Some(homeless) = homeless {
        return Err(homeless);
    }
    let path = around.home()?.join(original::HOME);
    if let Some(found) = original::home(&path)? {
        return Ok(found.from(Source::File(path), allow_http));
    }
    if unchosen {
        return Err("no profile is the current one: choose one with `patron profile use NAME`".into());
    }
    Err("there is no credential: run `patron login`, or set SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET".into())
}

/// The credential of a profile.
pub(super) fn of_profile(file: &ProfileFile, name: &str) -> Result<Credential, Failed> {
    let all = file.read()?;
    let profile = all.named(name)?.clone();
    let client_secret = match profile.client_secret {
        Some(secret) => secret,
        None => keyring::secret_of(name)?,
    };
    let found = Found { base_url: profile.base_url, client_id: profile.client_id, client_secret };
    Ok(found.from(Source::Profile(name.to_owned()), profile.allow_http))
}

#[cfg(test)]
mod tests;
