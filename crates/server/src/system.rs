//! The system's clock and randomness: the only places where either is taken from thin air.

use std::time::{SystemTime, UNIX_EPOCH};

use patron_core::clock::{Clock, Entropy};
use patron_core::time::Timestamp;

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the randomness that everything else is given"
        )]
        getrandom::fill(bytes).expect("an operating system without randomness is no place for secrets");
    }
}
