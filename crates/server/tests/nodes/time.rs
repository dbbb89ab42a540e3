//! The one clock that everything in a run is dated by.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use patron::system::SystemClock;
use patron_core::clock::Clock as _;

/// When the process began, on a clock that nobody sets and on the one that servers go by.
static BEGINNING: LazyLock<(Instant, i64)> = LazyLock::new(|| (instant(), SystemClock.now().millis()));

#[expect(clippy::disallowed_methods, reason = "what began after what was answered is what is judged here")]
fn instant() -> Instant {
    Instant::now()
}

/// Nanoseconds since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At(u64);

impl At {
    pub(crate) const BEGINNING: Self = Self(0);

    pub(crate) fn now() -> Self {
        // First: it is what is counted from.
        let beginning = BEGINNING.0;
        Self(u64::try_from((instant() - beginning).as_nanos()).unwrap())
    }

    pub(crate) fn plus(self, time: Duration) -> Self {
        Self(self.0 + u64::try_from(time.as_nanos()).unwrap())
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// As servers tell the time, in milliseconds.
    pub(crate) fn wall(self) -> i64 {
        BEGINNING.1 + i64::try_from(self.0 / 1_000_000).unwrap()
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:10.4}", Duration::from_nanos(self.0).as_secs_f64())
    }
}

/// From when something was asked until it was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) begin: At,
    pub(crate) end: At,
}

impl Span {
    pub(crate) fn takes(self) -> Duration {
        self.end.since(self.begin)
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.begin <= other.end && other.begin <= self.end
    }
}

/// Waits. What is waited for here is never another's work, but time itself.
pub(crate) fn pass(time: Duration) {
    std::thread::sleep(time);
}
