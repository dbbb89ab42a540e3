//! What counts are kept by.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use aws_lc_rs::hmac;

use crate::keys::{MasterKey, MasterKeyError};

/// What the key is for, so that no other is the same.
const LABEL: &[u8] = b"patron rate limits";

/// What is counted. The numbers are what nodes call it among themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Requests of a client id, for each API version.
    Requests = 1,
    /// Wrong secrets from an address.
    FailuresOfAddress = 2,
    /// Wrong secrets of a client id.
    FailuresOfClient = 3,
    /// Wrong passwords from an address.
    GuessesOfAddress = 4,
    /// Wrong passwords of a login name.
    GuessesOfName = 5,
    /// Wrong passwords from a browser that is known.
    GuessesOfBrowser = 6,
    /// Wrong passwords in a session.
    GuessesOfSession = 7,
}

impl Counter {
    /// Its number.
    pub fn number(self) -> i64 {
        self as i64
    }
}

/// Whom or what hits are counted of: a hash of it, which is of one size and tells nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 16]);

impl Key {
    /// The key that another node sent.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", hex::encode(self.0))
    }
}

/// Makes keys that nobody outside can foretell, and so none that collide.
#[derive(Clone)]
pub enum Keys {
    /// This process's own, by a hash that is quick.
    Own(RandomState),
    /// The same on all nodes that have the same master key. Whoever reads them in the database without it learns no
    /// address and no login name, nor can try what they are.
    Shared(Arc<hmac::Key>),
}

impl Keys {
    /// Keys for counts that no other process needs.
    pub fn own() -> Self {
        Self::Own(RandomState::new())
    }

    /// Keys for counts that nodes share.
    ///
    /// # Errors
    /// [`MasterKeyError::Library`].
    pub fn shared(master: &MasterKey) -> Result<Self, MasterKeyError> {
        Ok(Self::Shared(Arc::new(master.mac_key(LABEL)?)))
    }

    /// The key of what consists of these parts; all but the last have one length each.
    pub fn key(&self, counter: Counter, parts: &[&[u8]]) -> Key {
        let mut key = [0; 16];
        match self {
            Self::Own(state) => {
                let mut hasher = state.build_hasher();
                hasher.write_u8(counter as u8);
                for part in parts {
                    hasher.write(part);
                }
                // Of a hundred thousand keys, two are the same once in some billion processes.
                key[..8].copy_from_slice(&hasher.finish().to_be_bytes());
            }
            Self::Shared(mac) => {
                let mut context = hmac::Context::with_key(mac);
                context.update(&[counter as u8]);
                for part in parts {
                    context.update(part);
                }
                key.copy_from_slice(&context.sign().as_ref()[..16]);
            }
        }
        Key(key)
    }

    /// The key of an address, or of its /64.
    pub fn of_address(&self, counter: Counter, address: IpAddr) -> Key {
        match network(address) {
            IpAddr::V4(v4) => self.key(counter, &[&v4.octets()]),
            IpAddr::V6(v6) => self.key(counter, &[&v6.octets()]),
        }
    }
}

/// What an address is counted as: itself, or its /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(master: &str) -> Keys {
        let master = MasterKey::from_text(&master.repeat(32)).ok().unwrap();
        Keys::shared(&master).ok().unwrap()
    }

    #[test]
    fn keys_tell_apart_what_is_counted_and_of_whom() {
        for keys in [Keys::own(), shared("01")] {
            let jane = keys.key(Counter::GuessesOfName, &[&[1], b"jane"]);
            assert_eq!(keys.clone().key(Counter::GuessesOfName, &[&[1], b"jane"]), jane);
            assert_ne!(keys.key(Counter::GuessesOfName, &[&[2], b"jane"]), jane);
            assert_ne!(keys.key(Counter::GuessesOfName, &[&[1], b"joe"]), jane);
            assert_ne!(keys.key(Counter::FailuresOfClient, &[&[1], b"jane"]), jane);
        }
    }

    #[test]
    fn only_nodes_with_one_master_key_have_the_same_keys() {
        let of = |keys: Keys| keys.key(Counter::Requests, &[b"x"]);
        assert_eq!(of(shared("01")), of(shared("01")));
        assert_ne!(of(shared("01")), of(shared("02")));
        assert_ne!(of(Keys::own()), of(Keys::own()), "a process of its own");
        assert_ne!(of(shared("01")).as_bytes()[8..], [0; 8], "16 bytes of hash");
    }
}
