//! How transactions that lose conflicts wait for each other, instead of losing again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync;
use tokio::time::Instant;

/// How long after a conflict the transactions of its name run one after the other.
const CONTENDED: Duration = Duration::from_millis(200);

/// Where transactions of all processes wait for each other that enter something in the feed, once they have lost a
/// conflict. It is no query, so what the transaction sees is from when its wait was over. Those that have not lost yet go
/// on meanwhile: they may hold what this one waits for next.
pub(super) const QUEUE: &str = "LOCK TABLE feed IN SHARE UPDATE EXCLUSIVE MODE";

/// What this process's transactions have lost against, by their names.
#[derive(Default)]
pub(super) struct Contention {
    named: Mutex<HashMap<&'static str, Named>>,
}

#[derive(Default)]
struct Named {
    /// Held by one that has lost and runs again, and for a moment by all that come after it, which would lose as well:
    /// one of a process waits in the [`QUEUE`], and has a connection meanwhile.
    turn: Arc<sync::Mutex<()>>,
    /// Until when that moment lasts.
    until: Option<Instant>,
    /// Whether they enter something in the feed.
    enters: bool,
}

impl Contention {
    /// Notes that a transaction has lost a conflict.
    pub(super) fn note(&self, name: &'static str, enters: bool) {
        let mut all = self.named();
        let named = all.entry(name).or_default();
        named.until = Some(Instant::now() + CONTENDED);
        // One that loses early has not come to its entry yet.
        named.enters |= enters;
    }

    /// If one of this name is to wait for its turn from the beginning: whether it will enter something in the feed.
    pub(super) fn expected(&self, name: &'static str) -> Option<bool> {
        let all = self.named();
        let Named { until, enters, .. } = all.get(name)?;
        until.is_some_and(|until| Instant::now() < until).then_some(*enters)
    }

    /// What is held by the one whose turn it is.
    pub(super) fn turn(&self, name: &'static str) -> Arc<sync::Mutex<()>> {
        Arc::clone(&self.named().entry(name).or_default().turn)
    }

    fn named(&self) -> MutexGuard<'_, HashMap<&'static str, Named>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
