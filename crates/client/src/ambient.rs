//! The clock and the randomness of whoever brings none: the only places where either is taken from thin air.

use std::time::{SystemTime, UNIX_EPOCH};

use patron_core::clock::Clock;
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

/// A new idempotency key, or none on a system without randomness: the request is then not repeatable, that is all.
pub(crate) fn idempotency_key() -> Option<String> {
    let mut bytes = [0; 16];
    #[expect(clippy::disallowed_methods, reason = "this is where the key's randomness comes from")]
    getrandom::fill(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}
