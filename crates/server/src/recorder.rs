//! Uses and failed uses of PATs on their way to the database: gathered in memory, written together.
//!
//! An exchange must not wait for the disk, so the first use in 24 h is written a moment later, with whatever else
//! was gathered (contract section 9). Failures are counted per client id, reason and address, so that an attack fills
//! neither the memory nor the trail.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::limits::{DIFFERENT_FAILURES, WAITING_USES};
use patron_core::Result;
use patron_core::clock::Entropy;
use patron_core::id::{PatId, TenantKey, TrackingId};
use patron_store::Store;
use patron_store::audit::FailedUse;
use patron_store::pats::Use;

/// How long a use may wait in memory.
const INTERVAL: Duration = Duration::from_millis(500);
/// Stands for a client id that cannot be one.
const MALFORMED: &str = "malformed";

#[derive(Default)]
struct Pending {
    uses: Vec<Use>,
    failures: HashMap<FailedUse, u64>,
}

/// See the module's text.
pub struct Recorder {
    store: Store,
    entropy: std::sync::Arc<dyn Entropy>,
    pending: Mutex<Pending>,
    /// Held while a batch is written, so that a flush waits for the batch under way too.
    writing: tokio::sync::Mutex<()>,
}

impl Recorder {
    /// A recorder with nothing in it.
    pub fn new(store: Store, entropy: std::sync::Arc<dyn Entropy>) -> Self {
        Self { store, entropy, pending: Mutex::default(), writing: tokio::sync::Mutex::new(()) }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a use, to be written soon.
    pub fn used(&self, used: Use) {
        let mut pending = self.pending();
        if pending.uses.len() < WAITING_USES {
            pending.uses.push(used);
        } else {
            tracing::warn!("too many uses wait for the database; one was dropped");
        }
    }

    /// Takes note of a failed use. What is no id is not kept: it may be a secret in the wrong place.
    pub fn failed(&self, tenant: TenantKey, client_id: &str, reason: &'static str, address: IpAddr) {
        let mut pending = self.pending();
        let client_id = PatId::parse(client_id).map_or_else(|| MALFORMED.to_owned(), |id| id.to_string());
        let mut failure = FailedUse { tenant, client_id, reason, address: Some(address) };
        if pending.failures.len() >= DIFFERENT_FAILURES && !pending.failures.contains_key(&failure) {
            failure = FailedUse { client_id: "*".to_owned(), address: None, ..failure };
        }
        *pending.failures.entry(failure).or_default() += 1;
    }

    /// Writes what waits, and waits for what is being written. What cannot be written waits on.
    pub async fn flush(&self) -> Result<()> {
        let _writing = self.writing.lock().await;
        let Pending { uses, failures } = std::mem::take(&mut *self.pending());
        if !uses.is_empty()
            && let Err(error) = self.store.record_uses(uses.clone()).await
        {
            let mut pending = self.pending();
            let newer = std::mem::replace(&mut pending.uses, uses);
            pending.uses.extend(newer);
            for (failure, times) in failures {
                *pending.failures.entry(failure).or_default() += times;
            }
            return Err(error);
        }
        if !failures.is_empty() {
            let tracking = TrackingId::random(&self.entropy);
            if let Err(error) = self.store.record_failed_uses(failures.clone(), tracking).await {
                let mut pending = self.pending();
                for (failure, times) in failures {
                    *pending.failures.entry(failure).or_default() += times;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Writes what waits before a list or an answer that shows it. That it cannot be written is told to the log: who
    /// reads is not kept from reading, and what waits is written later.
    pub async fn settle(&self) {
        if let Err(error) = self.flush().await {
            tracing::error!(cause = error.cause(), "uses could not be recorded yet");
        }
    }

    /// Writes what waits, again and again, until `stop` says so, and then once more.
    pub async fn run(&self, mut stop: tokio::sync::watch::Receiver<bool>) {
        loop {
            let stopping = tokio::select! {
                () = tokio::time::sleep(INTERVAL) => false,
                // A sender that is gone stops this as well.
                _ = stop.wait_for(|stop| *stop) => true,
            };
            self.settle().await;
            if stopping {
                return;
            }
        }
    }
}
