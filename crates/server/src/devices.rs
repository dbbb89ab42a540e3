//! Browsers that somebody has signed in with before, told apart by a cookie ("device cookies" of the OWASP
//! Authentication cheat sheet).
//!
//! Guesses at a password are counted by its login name, so a stranger who guesses on makes strangers wait. The person
//! behind the name does not wait with them: the browser that it used before is counted for itself.

use std::sync::Arc;

use aws_lc_rs::hmac;
use patron_core::clock::Entropy;
use patron_core::id::{IdentityId, TenantKey};

use crate::keys::{MasterKey, MasterKeyError};

/// Random bytes that tell browsers apart.
const NONCE_BYTES: usize = 16;
/// Bytes of an HMAC-SHA-256.
const MAC_BYTES: usize = 32;
/// What the key is for, so that no other is the same.
const LABEL: &[u8] = b"patron device cookie";

/// A browser that an identity has signed in with before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Device([u8; NONCE_BYTES]);

impl Device {
    /// What tells it apart from others.
    pub fn as_bytes(&self) -> &[u8; NONCE_BYTES] {
        &self.0
    }
}

/// Makes such cookies and reads them. The key is derived from the master key, so they outlive a restart.
pub struct Devices {
    key: hmac::Key,
    entropy: Arc<dyn Entropy>,
}

impl Devices {
    /// With the key that this master key gives.
    ///
    /// # Errors
    /// [`MasterKeyError::Library`].
    pub fn new(master: &MasterKey, entropy: Arc<dyn Entropy>) -> Result<Self, MasterKeyError> {
        Ok(Self { key: master.mac_key(LABEL)?, entropy })
    }

    /// The cookie's value for a browser that an identity has just signed in with: hex digits of a random number and of
    /// its HMAC-SHA-256 with the tenant, the identity and the hash of its password. So it is none any more when the
    /// password changes: whoever had the old one cannot guess at the new one with cookies that were hoarded.
    pub fn issue(&self, tenant: TenantKey, identity: IdentityId, password_hash: &str) -> String {
        let mut nonce = [0; NONCE_BYTES];
        self.entropy.fill(&mut nonce);
        let tag = hmac::sign(&self.key, &message(tenant, identity, nonce, password_hash));
        hex::encode([&nonce, tag.as_ref()].concat())
    }

    /// The browser that sent this value; `None` unless it was issued to one that this identity signed in with.
    pub fn read(
        &self,
        value: &str,
        tenant: TenantKey,
        identity: IdentityId,
        password_hash: &str,
    ) -> Option<Device> {
        let mut bytes = [0; NONCE_BYTES + MAC_BYTES];
        hex::decode_to_slice(value, &mut bytes).ok()?;
        let (nonce, mac) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        hmac::verify(&self.key, &message(tenant, identity, *nonce, password_hash), mac).ok()?;
        Some(Device(*nonce))
    }
}

/// All parts but the last have one length each, so no two lists of them are the same bytes.
fn message(
    tenant: TenantKey,
    identity: IdentityId,
    nonce: [u8; NONCE_BYTES],
    password_hash: &str,
) -> Vec<u8> {
    [&tenant.0.to_be_bytes()[..], identity.as_bytes(), &nonce, password_hash.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemEntropy;

    const HASH: &str = "the hash of a password";

    fn devices(master: &str) -> Devices {
        let master = MasterKey::from_text(&master.repeat(32)).ok().unwrap();
        Devices::new(&master, Arc::new(SystemEntropy)).ok().unwrap()
    }

    #[test]
    fn a_cookie_is_of_one_identity_under_one_key() {
        let (here, jane, joe) =
            (TenantKey(1), IdentityId::from_bytes([1; 16]), IdentityId::from_bytes([2; 16]));
        let devices = devices("01");
        let cookie = devices.issue(here, jane, HASH);
        let device = devices.read(&cookie, here, jane, HASH).unwrap();
        assert_eq!(self::devices("01").read(&cookie, here, jane, HASH), Some(device), "also after a restart");
        assert_ne!(
            devices.read(&devices.issue(here, jane, HASH), here, jane, HASH),
            Some(device),
            "each has its own"
        );
        assert_eq!(devices.read(&cookie, here, joe, HASH), None);
        assert_eq!(devices.read(&cookie, here, jane, "of another"), None, "gone with the password");
        assert_eq!(devices.read(&cookie, TenantKey(2), jane, HASH), None);
        assert_eq!(self::devices("02").read(&cookie, here, jane, HASH), None);
    }

    #[test]
    fn a_changed_cookie_is_none() {
        let (here, jane) = (TenantKey(1), IdentityId::from_bytes([1; 16]));
        let devices = devices("01");
        let cookie = devices.issue(here, jane, HASH);
        for at in 0..cookie.len() {
            let mut changed = cookie.clone();
            let other = if &cookie[at..=at] == "0" { "1" } else { "0" };
            changed.replace_range(at..=at, other);
            assert_eq!(devices.read(&changed, here, jane, HASH), None, "digit {at}");
        }
        for wrong in ["", &cookie[2..], &format!("{cookie}00"), "é"] {
            assert_eq!(devices.read(wrong, here, jane, HASH), None, "{wrong}");
        }
    }
}
