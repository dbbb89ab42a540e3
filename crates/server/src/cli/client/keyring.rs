//! Secrets of profiles in the system's keyring: with the cargo feature `keyring`, and where the system has one that is
//! open. Everywhere else they are kept in the profiles' file.

use secrecy::SecretString;

use super::Failed;

#[cfg(feature = "keyring")]
mod system;

/// The secret of a profile.
pub(super) fn secret_of(profile: &str) -> Result<SecretString, Failed> {
    #[cfg(feature = "keyring")]
    let kept = system::get(profile);
    #[cfg(not(feature = "keyring"))]
    let kept: Result<SecretString, Failed> =
        Err("this patron was built without the feature `keyring`".into());
    kept.map_err(|error| {
        format!(
            "the secret of profile '{profile}' is in the system's keyring, which cannot be asked: {error}"
        )
        .into()
    })
}

/// Keeps the secret of a profile; `false` where there is no keyring to keep it in.
pub(super) fn keep(profile: &str, secret: &SecretString) -> bool {
    #[cfg(feature = "keyring")]
    return system::set(profile, secret).is_ok();
    #[cfg(not(feature = "keyring"))]
    {
        let _ = (profile, secret);
        false
    }
}

/// Takes the secret of a profile away, if it is there.
#[cfg(feature = "keyring")]
pub(super) fn forget(profile: &str) -> Result<(), Failed> {
    system::delete(profile)
}

/// Without a keyring there is none to take away.
#[cfg(not(feature = "keyring"))]
#[expect(clippy::unnecessary_wraps, reason = "a keyring may refuse")]
pub(super) fn forget(_: &str) -> Result<(), Failed> {
    Ok(())
}
