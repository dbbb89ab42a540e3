//! Password hashes: argon2id, one at a time for each core that may be spared.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{Error as HashError, PasswordHasher as _, PasswordVerifier as _};
use patron_core::clock::Entropy;
use patron_core::secret::Password;
use patron_core::{Error, Result};
use tokio::sync::Semaphore;

use crate::limits::PASSWORDS_WAITING;

/// Bytes of a salt (RFC 9106 section 3.1 recommends 16).
const SALT_BYTES: usize = 16;
/// What the password of somebody who has none is held against, so that it costs what any other costs. No password is
/// known to have it: a hash of nothing but zeros.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes passwords. A hash takes 19 MiB and tens of milliseconds of one core, so few may run at once: a storm of
/// sign-ins must not take the service from everyone else. Who would have to wait too long is told so at once.
#[derive(Clone)]
pub struct Passwords {
    /// Places for those that run and those that wait.
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
    entropy: Arc<dyn Entropy>,
}

impl Passwords {
    /// A hasher that runs at most `at_once` hashes at once.
    pub fn new(at_once: usize, entropy: Arc<dyn Entropy>) -> Self {
        let places = Arc::new(Semaphore::new(at_once + PASSWORDS_WAITING));
        Self { places, running: Arc::new(Semaphore::new(at_once)), entropy }
    }

    /// The hash of a password, as a PHC string with the parameters of OWASP's first choice, which are the
    /// library's defaults (m = 19 MiB, t = 2, p = 1).
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many wait already.
    pub async fn hash(&self, password: Password) -> Result<String> {
        let mut salt = [0; SALT_BYTES];
        self.entropy.fill(&mut salt);
        self.run(move || {
            let hash = Argon2::default().hash_password_with_salt(password.expose().as_bytes(), &salt);
            hash.map(|hash| hash.to_string()).map_err(Error::internal)
        })
        .await
    }

    /// Whether a password is the one with this hash, a PHC string. Without a hash it is not, and finding that out
    /// takes as long.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many wait already; [`Error::Internal`] when the hash is none.
    pub async fn verify(&self, password: Password, hash: Option<String>) -> Result<bool> {
        self.run(move || {
            let expected = hash.as_deref().unwrap_or(NOBODYS);
            match Argon2::default().verify_password(password.expose().as_bytes(), expected) {
                Ok(()) => Ok(hash.is_some()),
                Err(HashError::PasswordInvalid) => Ok(false),
                Err(error) => Err(Error::internal(error)),
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| Error::unavailable("too many passwords wait for their hash"))?;
        let permit = Arc::clone(&self.running).acquire_owned().await.map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || {
            // Held until the hash is done, also when nobody waits for it any more.
            let _held = (place, permit);
            work()
        })
        .await
        .map_err(Error::internal)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemEntropy;

    fn password(text: &str) -> Password {
        Password::typed(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_same_password_has_its_hash() {
        let passwords = Passwords::new(1, Arc::new(SystemEntropy));
        let hash = passwords.hash(password("correct horse")).await.unwrap();
        assert!(passwords.verify(password("correct horse"), Some(hash.clone())).await.unwrap());
        for wrong in ["Correct horse", "correct horse ", ""] {
            assert!(!passwords.verify(password(wrong), Some(hash.clone())).await.unwrap(), "{wrong}");
            assert!(!passwords.verify(password(wrong), None).await.unwrap(), "{wrong}");
        }
        let broken = passwords.verify(password("x"), Some("none".to_owned())).await;
        assert!(matches!(broken, Err(Error::Internal { .. })), "{broken:?}");
    }

    #[tokio::test]
    async fn nobody_s_hash_costs_what_a_real_one_costs() {
        let passwords = Passwords::new(1, Arc::new(SystemEntropy));
        let hash = passwords.hash(password("x")).await.unwrap();
        let shape = |hash: &str| -> (String, Vec<usize>) {
            let parts: Vec<&str> = hash.split('$').collect();
            (parts[..4].join("$"), parts[4..].iter().map(|part| part.len()).collect())
        };
        assert_eq!(
            shape(NOBODYS),
            shape(&hash),
            "algorithm, version, parameters, and the lengths behind them"
        );
        assert_eq!(shape(&hash).0, "$argon2id$v=19$m=19456,t=2,p=1");
    }

    #[tokio::test]
    async fn who_would_wait_too_long_is_told_at_once() {
        let passwords = Passwords::new(1, Arc::new(SystemEntropy));
        let all = u32::try_from(1 + PASSWORDS_WAITING).unwrap();
        let taken = Arc::clone(&passwords.places).acquire_many_owned(all).await.unwrap();
        let refused = passwords.verify(password("x"), None).await;
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
        drop(taken);
        assert!(!passwords.verify(password("x"), None).await.unwrap());
    }
}
