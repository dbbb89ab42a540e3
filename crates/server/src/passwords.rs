//! Password hashes: argon2id, one at a time for each core that may be spared.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::PasswordHasher as _;
use patron_core::clock::Entropy;
use patron_core::secret::Password;
use patron_core::{Error, Result};
use tokio::sync::Semaphore;

/// Bytes of a salt (RFC 9106 section 3.1 recommends 16).
const SALT_BYTES: usize = 16;

/// Hashes passwords. A hash takes 19 MiB and tens of milliseconds of one core, so few may run at once: a storm of
/// sign-ins must not take the service from everyone else.
#[derive(Clone)]
pub struct Passwords {
    running: Arc<Semaphore>,
    entropy: Arc<dyn Entropy>,
}

impl Passwords {
    /// A hasher that runs at most `at_once` hashes at once.
    pub fn new(at_once: usize, entropy: Arc<dyn Entropy>) -> Self {
        Self { running: Arc::new(Semaphore::new(at_once)), entropy }
    }

    /// The hash of a password, as a PHC string with the parameters of OWASP's first choice, which are the
    /// library's defaults (m = 19 MiB, t = 2, p = 1).
    pub async fn hash(&self, password: Password) -> Result<String> {
        let mut salt = [0; SALT_BYTES];
        self.entropy.fill(&mut salt);
        let permit = Arc::clone(&self.running).acquire_owned().await.map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || {
            // Held until the hash is done, also when nobody waits for it any more.
            let _permit = permit;
            let hash = Argon2::default().hash_password_with_salt(password.expose().as_bytes(), &salt);
            hash.map(|hash| hash.to_string()).map_err(Error::internal)
        })
        .await
        .map_err(Error::internal)?
    }
}
