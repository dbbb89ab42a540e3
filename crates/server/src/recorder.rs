//! Uses and failed uses of PATs on their way to the database: gathered in memory, written together.
//!
//! An exchange must not wait for the disk, so the first use in 24 h is written a moment later, with whatever else
//! was gathered (contract section 9). Failures, those to sign in among them, are counted per client id or login name,
//! reason and address, so that an attack fills neither the memory nor the trail.
//!
//! One task writes ([`Recorder::run`]), round after round. Requests only ask it to ([`Recorder::settle`]): a caller
//! that hangs up must not take a batch with it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use patron_core::Result;
use patron_core::audit::{Action, Party};
use patron_core::clock::Entropy;
use patron_core::id::{PatId, TenantKey, TrackingId};
use patron_core::identity::Identity;
use patron_store::Store;
use patron_store::audit::Failure;
use patron_store::pats::Use;
use tokio::sync::{Notify, watch};

use crate::limits::{DIFFERENT_FAILURES, FAILURE_INTERVALS, SETTLE_TIMEOUT, WAITING_USES};
use crate::outage::Outage;

/// Stands for a client id that cannot be one.
const MALFORMED: &str = "malformed";
/// Stands for a login name that is nobody's.
const UNKNOWN: &str = "unknown";
/// Stands for any client id: of who guesses on after being told to wait, and of what is too much to tell apart.
const ANY: &str = "*";
/// What failed uses and failed sign-ins are about.
const PAT: &str = "PERSONAL_ACCESS_TOKEN";
const IDENTITY: &str = "IDENTITY";

#[derive(Default)]
struct Pending {
    uses: Vec<Use>,
    failures: HashMap<Failure, u64>,
    /// The round that took out last what waited.
    round: u64,
}

/// See the module's text.
pub struct Recorder {
    store: Store,
    entropy: Arc<dyn Entropy>,
    pending: Mutex<Pending>,
    /// Held for a round, so that rounds end in the order in which they began.
    writing: tokio::sync::Mutex<()>,
    wanted: Notify,
    /// The last round that ended.
    ended: watch::Sender<u64>,
}

/// What a round has written.
enum Written {
    Nothing,
    Something,
}

impl Recorder {
    /// A recorder with nothing in it.
    pub fn new(store: Store, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            store,
            entropy,
            pending: Mutex::default(),
            writing: tokio::sync::Mutex::new(()),
            wanted: Notify::new(),
            ended: watch::Sender::new(0),
        }
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

    /// Takes note of a failed use; `None` counts it with those of other client ids. What is no id is not kept: it may
    /// be a secret in the wrong place.
    pub fn failed(&self, tenant: TenantKey, client_id: Option<&str>, reason: &'static str, address: IpAddr) {
        let client_id = match client_id {
            Some(id) => PatId::parse(id).map_or_else(|| MALFORMED.to_owned(), |id| id.to_string()),
            None => ANY.to_owned(),
        };
        let target = Party::other(PAT, client_id, "");
        self.count(Failure { tenant, action: Action::PatUseFailed, target, reason, address: Some(address) });
    }

    /// Takes note of a failed sign-in as `who`. A login name that is nobody's is not kept: it may be a password in the
    /// wrong place.
    pub fn failed_sign_in(
        &self,
        tenant: TenantKey,
        who: Option<&Identity>,
        reason: &'static str,
        address: IpAddr,
    ) {
        let target =
            who.map_or_else(|| Party::other(IDENTITY, UNKNOWN, ""), |who| Party::identity(who.id, &who.name));
        self.count(Failure { tenant, action: Action::SignInFailed, target, reason, address: Some(address) });
    }

    fn count(&self, mut failure: Failure) {
        let mut pending = self.pending();
        if pending.failures.len() >= DIFFERENT_FAILURES && !pending.failures.contains_key(&failure) {
            failure.target = Party::other(failure.target.kind, ANY, "");
            failure.address = None;
        }
        *pending.failures.entry(failure).or_default() += 1;
    }

    /// Writes all that waits, after what is being written. What cannot be written waits on.
    ///
    /// Not for a task that may be dropped midway, as a request's may: use [`Recorder::settle`] there.
    pub async fn flush(&self) -> Result<()> {
        self.round(true).await.map(drop)
    }

    async fn round(&self, with_failures: bool) -> Result<Written> {
        let _writing = self.writing.lock().await;
        let (uses, failures, round) = {
            let mut pending = self.pending();
            pending.round += 1;
            let failures = if with_failures { std::mem::take(&mut pending.failures) } else { HashMap::new() };
            (std::mem::take(&mut pending.uses), failures, pending.round)
        };
        let nothing = uses.is_empty() && failures.is_empty();
        let result = self.write(uses, failures).await;
        self.ended.send_replace(round);
        result.map(|()| if nothing { Written::Nothing } else { Written::Something })
    }

    async fn write(&self, uses: Vec<Use>, failures: HashMap<Failure, u64>) -> Result<()> {
        let written = if uses.is_empty() { Ok(()) } else { self.store.record_uses(uses.clone()).await };
        if written.is_err() {
            let mut pending = self.pending();
            let newer = std::mem::replace(&mut pending.uses, uses);
            pending.uses.extend(newer);
        }
        let counted = if failures.is_empty() {
            Ok(())
        } else {
            let tracking = TrackingId::random(&self.entropy);
            self.store.record_failures(failures.clone(), tracking).await
        };
        if counted.is_err() {
            let mut pending = self.pending();
            for (failure, times) in failures {
                *pending.failures.entry(failure).or_default() += times;
            }
        }
        written.and(counted)
    }

    /// Has what waits written before a list or an answer that shows it, if that takes no longer than a moment: who
    /// reads is not kept from reading by what cannot be written.
    pub async fn settle(&self) {
        let mut ended = self.ended.subscribe();
        let wanted = {
            let pending = self.pending();
            let nothing = pending.uses.is_empty() && pending.failures.is_empty();
            if nothing { pending.round } else { pending.round + 1 }
        };
        if *ended.borrow_and_update() >= wanted {
            return;
        }
        self.wanted.notify_one();
        let written = ended.wait_for(|ended| *ended >= wanted);
        if tokio::time::timeout(SETTLE_TIMEOUT, written).await.is_err() {
            tracing::warn!("an answer did not wait any longer for uses to be recorded");
        }
    }

    /// Writes what waits, at these intervals and when somebody wants to see it, until `stop` says so, and then once
    /// more.
    pub async fn run(&self, interval: Duration, mut stop: watch::Receiver<bool>) {
        let mut intervals = 0;
        let mut outage = Outage::new("uses cannot be recorded yet", "uses are recorded again");
        loop {
            let (all, stopping) = tokio::select! {
                () = tokio::time::sleep(interval) => {
                    intervals += 1;
                    (intervals % FAILURE_INTERVALS == 0, false)
                }
                () = self.wanted.notified() => (true, false),
                // A sender that is gone stops this as well.
                _ = stop.wait_for(|stop| *stop) => (true, true),
            };
            match self.round(all).await {
                Ok(Written::Nothing) => {}
                Ok(Written::Something) => outage.over(),
                Err(error) => outage.failed(&error),
            }
            if stopping {
                return;
            }
        }
    }
}
