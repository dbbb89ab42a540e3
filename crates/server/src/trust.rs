//! Whether what is in this node's memory may be relied on, where several nodes share a database.
//!
//! The follower ([`crate::follower`]) renews the trust; every request that relies on memory asks for it. What it rests
//! on is told in `docs/coherence.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use patron_core::clock::SteadyClock;
use patron_core::coherence::Steady;
use patron_core::{Error, Result};
use patron_store::patience::Patience;
use tokio::sync::{Notify, watch};

use crate::limits::TRUST_TIMEOUT;

/// Until when memory may be relied on.
pub struct Trust {
    until: AtomicU64,
    steady: Arc<dyn SteadyClock>,
    renewed: watch::Sender<()>,
    wanted: Notify,
}

impl Trust {
    /// No trust yet.
    pub fn new(steady: Arc<dyn SteadyClock>) -> Self {
        Self { until: AtomicU64::new(0), steady, renewed: watch::Sender::new(()), wanted: Notify::new() }
    }

    /// The clock that it lasts by.
    pub fn now(&self) -> Steady {
        self.steady.steady()
    }

    /// Sets until when it lasts.
    pub fn set(&self, until: Steady) {
        self.until.store(until.0, Ordering::Release);
        self.renewed.send_replace(());
    }

    /// Whether it lasts.
    pub fn holds(&self) -> bool {
        self.now().0 < self.until.load(Ordering::Acquire)
    }

    /// Waits a moment for it, if it is over.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it is not renewed: what others have revoked meanwhile is not known here.
    pub async fn require(&self) -> Result<()> {
        let over = || Error::unavailable("the lease on what is in memory is over and could not be renewed");
        Patience::new(TRUST_TIMEOUT).wait(self.held()).await.ok_or_else(over)
    }

    /// Waits until it lasts, however long that takes.
    pub async fn held(&self) {
        if self.holds() {
            return;
        }
        self.wanted.notify_one();
        let mut renewed = self.renewed.subscribe();
        // It fails when the sender is gone, and that is this.
        let _ = renewed.wait_for(|()| self.holds()).await;
    }

    /// Waits until a request wants it.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }
}
