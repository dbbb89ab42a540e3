//! The system's keyring: the Secret Service of a Linux desktop, the Keychain of macOS.

use keyring::{Entry, Error};
use secrecy::{ExposeSecret as _, SecretString};

use super::Failed;

/// What the secrets of profiles are kept under.
const SERVICE: &str = "patron";

pub(super) fn get(profile: &str) -> Result<SecretString, Failed> {
    Ok(entry(profile)?.get_password()?.into())
}

pub(super) fn set(profile: &str, secret: &SecretString) -> Result<(), Failed> {
    Ok(entry(profile)?.set_password(secret.expose_secret())?)
}

pub(super) fn delete(profile: &str) -> Result<(), Failed> {
    match entry(profile)?.delete_credential() {
        Ok(()) | Err(Error::NoEntry) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn entry(profile: &str) -> Result<Entry, Failed> {
    Ok(Entry::new(SERVICE, profile)?)
}
