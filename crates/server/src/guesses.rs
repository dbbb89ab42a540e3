//! How often somebody may guess a password.
//!
//! A PAT's secret cannot be guessed, so a right one passes whatever was counted ([`crate::limiter::AuthFailures`]). A
//! password can be: from the limit on nothing is tried at all, and the hash, which is dear, is not even computed. That
//! a stranger cannot lock somebody out with it is what [`crate::devices`] is for.

use std::net::IpAddr;

use patron_core::id::TenantKey;
use patron_core::secret::SessionHash;
use patron_core::time::Timestamp;

use crate::devices::Device;
use crate::limiter::{Counter, Key, Keys, RetryAfterSeconds, SlidingWindow};
use crate::limits::{GUESS_WINDOW_SECONDS, GUESSES, GUESSES_PER_ADDRESS};

/// Who guesses, as far as it can be told.
#[derive(Debug, Clone, Copy)]
pub enum Guesser<'a> {
    /// Anybody: counted by the login name, whether there is such an identity or not, and by the address.
    Stranger {
        /// The tenant that was asked.
        tenant: TenantKey,
        /// The login name.
        name: &'a str,
        /// From where.
        address: IpAddr,
    },
    /// A browser that the identity has signed in with before: counted for itself alone.
    Known(Device),
    /// Somebody in a session, asked for its password once more.
    SignedIn(SessionHash),
}

/// A guess that was counted.
#[must_use]
pub struct Counted {
    of: Of,
    at: Timestamp,
}

enum Of {
    Stranger { address: Key, name: Key },
    Browser(Key),
    Session(Key),
}

/// The counts, bounded in memory.
pub struct Guesses {
    addresses: SlidingWindow<Key>,
    names: SlidingWindow<Key>,
    browsers: SlidingWindow<Key>,
    sessions: SlidingWindow<Key>,
    keys: Keys,
}

impl Guesses {
    /// None so far, kept by these keys.
    pub fn new(keys: Keys) -> Self {
        let few = || SlidingWindow::new(GUESSES, GUESS_WINDOW_SECONDS);
        Self {
            addresses: SlidingWindow::new(GUESSES_PER_ADDRESS, GUESS_WINDOW_SECONDS),
            names: few(),
            browsers: few(),
            sessions: few(),
            keys,
        }
    }

    /// Counts a guess before it is judged, so that many at the same time cannot all be the last; a right one is given
    /// back. `Err` when there were too many, which does not count.
    pub fn count(&self, guesser: Guesser<'_>, now: Timestamp) -> Result<Counted, RetryAfterSeconds> {
        let keys = &self.keys;
        let of = match guesser {
            Guesser::Stranger { tenant, name, address } => {
                let address = keys.of_address(Counter::GuessesOfAddress, address);
                let name = keys.key(Counter::GuessesOfName, &[&tenant.0.to_be_bytes(), name.as_bytes()]);
                self.addresses.hit(address, now)?;
                if let Err(wait) = self.names.hit(name, now) {
                    self.addresses.give_back(&address, now);
                    return Err(wait);
                }
                Of::Stranger { address, name }
            }
            Guesser::Known(device) => {
                let browser = keys.key(Counter::GuessesOfBrowser, &[device.as_bytes()]);
                self.browsers.hit(browser, now)?;
                Of::Browser(browser)
            }
            Guesser::SignedIn(session) => {
                let session = keys.key(Counter::GuessesOfSession, &[session.as_bytes()]);
                self.sessions.hit(session, now)?;
                Of::Session(session)
            }
        };
        Ok(Counted { of, at: now })
    }

    /// Counts it no longer: it was right, or it could not be found out.
    pub fn give_back(&self, counted: Counted) {
        let Counted { of, at } = counted;
        match of {
            Of::Stranger { address, name } => {
                self.addresses.give_back(&address, at);
                self.names.give_back(&name, at);
            }
            Of::Browser(key) => self.browsers.give_back(&key, at),
            Of::Session(key) => self.sessions.give_back(&key, at),
        }
    }

    /// What it counts.
    pub(crate) fn windows(&self) -> [(Counter, &SlidingWindow<Key>); 4] {
        [
            (Counter::GuessesOfAddress, &self.addresses),
            (Counter::GuessesOfName, &self.names),
            (Counter::GuessesOfBrowser, &self.browsers),
            (Counter::GuessesOfSession, &self.sessions),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: TenantKey = TenantKey(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000).plus_seconds(seconds)
    }

    fn stranger(name: &str, address: u8) -> Guesser<'_> {
        Guesser::Stranger { tenant: HERE, name, address: [10, 0, 0, address].into() }
    }

    /// How many wrong guesses there are before the first that is refused.
    fn wrong<'a>(guesses: &Guesses, now: Timestamp, of: impl Fn(u32) -> Guesser<'a>) -> u32 {
        (0..1_000).take_while(|&n| guesses.count(of(n), now).is_ok()).count().try_into().unwrap()
    }

    #[test]
    fn a_name_is_guarded_whoever_guesses_and_from_wherever() {
        let guesses = Guesses::new(Keys::own());
        let from = |n: u32| stranger("jane", u8::try_from(n % 250).unwrap());
        assert_eq!(wrong(&guesses, at(0), from), GUESSES);
        assert!(guesses.count(stranger("joe", 1), at(0)).is_ok(), "another name");
        let elsewhere =
            Guesser::Stranger { tenant: TenantKey(2), name: "jane", address: [10, 0, 0, 1].into() };
        assert!(guesses.count(elsewhere, at(0)).is_ok(), "another tenant's jane");
        let window = i64::from(GUESS_WINDOW_SECONDS);
        assert!(guesses.count(stranger("jane", 1), at(window - 1)).is_err());
        assert!(guesses.count(stranger("jane", 1), at(window)).is_ok());
    }

    #[test]
    fn an_address_is_stopped_whatever_names_it_tries() {
        let guesses = Guesses::new(Keys::own());
        let names: Vec<String> = (0..1_000).map(|n| format!("name {n}")).collect();
        assert_eq!(wrong(&guesses, at(0), |n| stranger(&names[n as usize], 1)), GUESSES_PER_ADDRESS);
        assert!(guesses.count(stranger("jane", 2), at(0)).is_ok());
    }

    #[test]
    fn a_known_browser_does_not_wait_for_what_strangers_do() {
        let guesses = Guesses::new(Keys::own());
        let master = crate::keys::MasterKey::from_text(&"01".repeat(32)).ok().unwrap();
        let devices =
            crate::devices::Devices::new(&master, std::sync::Arc::new(crate::system::SystemEntropy));
        let (devices, jane) = (devices.ok().unwrap(), patron_core::id::IdentityId::from_bytes([1; 16]));
        let device = || devices.read(&devices.issue(HERE, jane, "hash"), HERE, jane, "hash").unwrap();
        let (hers, other) = (device(), device());
        assert_eq!(wrong(&guesses, at(0), |_| stranger("jane", 1)), GUESSES);
        assert_eq!(
            wrong(&guesses, at(0), |_| Guesser::Known(hers)),
            GUESSES,
            "it may not guess on for ever either"
        );
        assert!(guesses.count(Guesser::Known(other), at(0)).is_ok());
    }

    #[test]
    fn a_right_one_does_not_count_and_a_refused_one_counts_nowhere() {
        let guesses = Guesses::new(Keys::own());
        for n in 0..1_000 {
            guesses.give_back(guesses.count(stranger("jane", 1), at(n)).ok().unwrap());
        }
        assert_eq!(wrong(&guesses, at(1_000), |_| stranger("jane", 1)), GUESSES);
        for _ in 0..1_000 {
            assert!(guesses.count(stranger("jane", 1), at(1_000)).is_err());
        }
        let names: Vec<String> = (0..1_000).map(|n| format!("name {n}")).collect();
        let left = wrong(&guesses, at(1_000), |n| stranger(&names[n as usize], 1));
        assert_eq!(left, GUESSES_PER_ADDRESS - GUESSES, "the address was charged for the guesses alone");
    }
}
