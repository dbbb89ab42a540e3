//! Holds this node's memory true where several nodes share a database: follows the change feed, says so in the node's
//! row, and renews the trust in memory.
//!
//! What is done when is decided by [`patron_core::coherence::Follower`]; this does it. A change that others make waits
//! for this, so nothing in here waits for anything but the database.

use std::sync::Arc;

use patron_core::coherence::{Follower, NodeRow, Outcome, Step, Terms};
use patron_core::id::NodeId;
use patron_core::{Error, Result};
use patron_store::changes::{Changes, Place};
use patron_store::driver::Notifications;
use patron_store::nodes::Following;
use tokio::sync::watch;
use tokio::time::{Duration, sleep, timeout};

use crate::app::App;
use crate::limits::{FOLLOW_PAUSE, FOLLOW_POLL};
use crate::outage::Outage;
use crate::trust::Trust;

/// Follows the feed until `stop` says so, and then leaves, so that no change waits for this node.
pub async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let Some(trust) = app.memory.trust() else { return };
    let mut node = Node::new(&app, trust).await;
    tokio::select! {
        () = node.follow() => {}
        () = strike_the_dead(&app) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    node.leave().await;
}

/// Looks now and then for nodes that are no more.
async fn strike_the_dead(app: &App) {
    loop {
        sleep(Duration::from_millis(patron_core::coherence::RENEWAL_MILLIS)).await;
        if let Err(error) = within_a_lease(app.store.strike_the_dead()).await {
            tracing::debug!(cause = error.cause(), "the nodes' rows could not be looked through");
        }
    }
}

async fn within_a_lease<T>(round: impl Future<Output = Result<T>>) -> Result<T> {
    let lease = Duration::from_millis(Terms::STANDARD.lease());
    let slow = || Error::unavailable("the database took longer than a lease");
    timeout(lease, round).await.unwrap_or_else(|_| Err(slow()))
}

/// This process among the nodes.
struct Node<'a> {
    app: &'a App,
    trust: &'a Trust,
    id: NodeId,
    follower: Follower,
    place: Place,
    notifications: Option<Notifications>,
    outage: Outage,
}

impl<'a> Node<'a> {
    async fn new(app: &'a App, trust: &'a Trust) -> Self {
        let place = app.memory.place().await;
        Self {
            app,
            trust,
            id: NodeId::random(&app.entropy),
            follower: Follower::new(place.seq, Terms::STANDARD),
            place,
            notifications: None,
            outage: Outage::new("the change feed cannot be followed", "the change feed is followed again"),
        }
    }

    async fn follow(&mut self) {
        loop {
            let step = self.follower.step();
            let outcome = match step {
                Step::Connect => self.connect().await,
                Step::Read { .. } => self.read_and_renew().await,
                Step::Register { renewals } => within_a_lease(self.register(renewals)).await,
                Step::Rest => self.rest().await,
                // They are done with the reading, in its transaction.
                Step::Apply | Step::Renew { .. } => Ok(Outcome::Failed),
            };
            let fails_again = self.outage.lasts();
            let outcome = self.told(outcome);
            self.follower.done(outcome);
            if outcome == Outcome::Registered {
                self.app.store.note_registered(self.id, self.follower.registered());
            }
            if outcome == Outcome::Renewed {
                self.trust.set(self.follower.trusted_until());
            }
            if outcome == Outcome::Failed {
                // It was connected to after the first failure, and fails all the same.
                if fails_again && matches!(step, Step::Read { .. } | Step::Register { .. }) {
                    self.app.store.try_another_server();
                }
                // Requests that wait for it do not shorten it: each attempt costs the server connections.
                sleep(FOLLOW_PAUSE).await;
            }
        }
    }

    fn told(&mut self, outcome: Result<Outcome>) -> Outcome {
        match outcome {
            Ok(outcome) => {
                // What follows a new connection may still fail.
                if outcome == Outcome::Renewed {
                    self.outage.over();
                }
                outcome
            }
            Err(error) => {
                self.outage.failed(&error);
                Outcome::Failed
            }
        }
    }

    async fn connect(&mut self) -> Result<Outcome> {
        self.app.store.reconnect();
        self.notifications = match self.app.store.notifications().await {
            Ok(notifications) => Some(notifications),
            // The server has none: it is asked more often.
            Err(Error::Internal { .. }) => None,
            Err(error) => return Err(error),
        };
        self.app.store.connect_nodes().await?;
        Ok(Outcome::Connected)
    }

    async fn register(&self, renewals: i64) -> Result<Outcome> {
        // What begins now would find neither registration for sure.
        self.app.store.lose_registration();
        let mut following = self.app.store.following().await?;
        following.register(self.id, renewals).await?;
        following.commit().await?;
        Ok(Outcome::Registered)
    }

    /// One round: what is new is read, applied to memory, and the row says so, in one transaction.
    ///
    /// Where much has to be read anew, that may take longer than a server lets a transaction stand idle, and longer than
    /// a lease. It is done outside of the round, which then begins anew from there: what was applied stays applied.
    async fn read_and_renew(&mut self) -> Result<Outcome> {
        let (store, memory) = (&self.app.store, &self.app.memory);
        loop {
            let (asked, place) = (self.trust.now(), self.place);
            let reading = within_a_lease(async move {
                let mut following = store.following().await?;
                Ok((following.changes_after(place).await?, following))
            });
            let (changes, following) = reading.await?;
            if memory.takes_long(&changes) {
                within_a_lease(following.commit()).await?;
                memory.apply(&changes).await?;
                self.place = changes.last;
                continue;
            }
            self.follower.done(Outcome::Read { asked, last: changes.last.seq });
            return within_a_lease(self.apply_and_renew(&changes, following)).await;
        }
    }

    async fn apply_and_renew(&mut self, changes: &Changes, mut following: Following) -> Result<Outcome> {
        self.app.memory.apply(changes).await?;
        self.place = changes.last;
        let Step::Renew { seen, renewals } = self.follower.done(Outcome::Applied) else {
            return Ok(Outcome::Failed);
        };
        let renewed = following.renew(NodeRow { id: self.id, seen, renewals }).await?;
        let round = following.round();
        following.commit().await?;
        if !renewed {
            return Ok(Outcome::RowMissing);
        }
        self.app.store.note_renewed(round);
        Ok(Outcome::Renewed)
    }

    /// Waits for something to follow.
    async fn rest(&mut self) -> Result<Outcome> {
        let renewal = Duration::from_millis(patron_core::coherence::RENEWAL_MILLIS);
        let Some(notifications) = &mut self.notifications else {
            sleep(FOLLOW_POLL).await;
            return Ok(Outcome::Woken);
        };
        tokio::select! {
            told = notifications.next() => told?,
            () = sleep(renewal) => {}
            () = self.trust.wanted() => {}
            () = self.app.store.renewal_wanted() => {}
        }
        Ok(Outcome::Woken)
    }

    async fn leave(&mut self) {
        self.follower.leave();
        self.trust.set(self.follower.trusted_until());
        if let Err(error) = within_a_lease(self.app.store.leave(self.id)).await {
            tracing::warn!(
                cause = error.cause(),
                "other nodes will find out by themselves that this one is gone"
            );
        }
    }
}
