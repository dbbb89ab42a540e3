//! Time and randomness, handed in.
//!
//! The service passes the system's clock and the operating system's randomness; a test passes a
//! [`ManualClock`] and seeded bytes and can pin every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::coherence::Steady;
use crate::time::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now, in UTC, to the millisecond.
    fn now(&self) -> Timestamp;
}

/// Tells how time passes.
pub trait SteadyClock: Send + Sync + 'static {
    /// An instant of this process's own, which nobody sets.
    fn steady(&self) -> Steady;
}

/// Gives random bytes fit for secrets.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes`.
    ///
    /// # Panics
    /// An implementation must not return on failure: a service without randomness may not make secrets.
    fn fill(&self, bytes: &mut [u8]);
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

impl<E: Entropy + ?Sized> Entropy for Arc<E> {
    fn fill(&self, bytes: &mut [u8]) {
        (**self).fill(bytes);
    }
}

/// A clock that moves when told to.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.millis()))
    }

    /// Moves the clock by `millis`, backwards if negative.
    pub fn advance_millis(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl SteadyClock for ManualClock {
    fn steady(&self) -> Steady {
        Steady(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}
