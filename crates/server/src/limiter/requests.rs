//! Requests of clients.

use patron_core::id::PatId;
use patron_core::time::Timestamp;

use super::{Counter, Key, Keys, RetryAfterSeconds, SlidingWindow};

/// Requests per client id and API version.
pub struct Requests {
    window: SlidingWindow<Key>,
    keys: Keys,
}

impl Requests {
    /// At most `limit` requests in any `window_seconds`; 0 is off.
    pub fn new(limit: u32, window_seconds: u32, keys: Keys) -> Self {
        Self { window: SlidingWindow::new(limit, window_seconds), keys }
    }

    /// Asks for one request: counts and admits it, or refuses it and says when to come back.
    pub fn hit(&self, client: PatId, version: &str, now: Timestamp) -> Result<(), RetryAfterSeconds> {
        self.window.hit(self.keys.key(Counter::Requests, &[client.as_bytes(), version.as_bytes()]), now)
    }

    /// What it counts.
    pub(crate) fn windows(&self) -> [(Counter, &SlidingWindow<Key>); 1] {
        [(Counter::Requests, &self.window)]
    }
}
