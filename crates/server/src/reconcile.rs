//! Counts for rate limits on their way between the nodes of one database. What comes of it, and how far a limit can be
//! overshot between two rounds, is told in [`crate::limiter`].

use std::sync::Arc;

use patron_core::Result;
use patron_core::id::NodeId;
use patron_core::time::Timestamp;
use patron_store::Store;
use patron_store::hits::{Count, Seen};
use tokio::sync::watch;

use crate::app::App;
use crate::limiter::{Counter, Key, SlidingWindow, Tally};
use crate::limits::{PUBLISHED_AT_ONCE, RECONCILE_INTERVAL, TAKEN_IN_AT_ONCE};

/// All that a node counts.
type Windows<'a> = [(Counter, &'a SlidingWindow<Key>)];

/// One node's side of it.
pub struct Reconciler {
    store: Store,
    node: NodeId,
    /// Its last publication.
    published: i64,
    /// Those of the others.
    seen: Seen,
}

impl Reconciler {
    /// For a node that has published nothing.
    pub fn new(store: Store, node: NodeId) -> Self {
        Self { store, node, published: Timestamp::MIN.millis(), seen: Seen::default() }
    }

    /// Publishes what is hot here and takes in what is hot elsewhere.
    ///
    /// # Errors
    /// When the database is out of reach; what was not published is in the next round.
    pub async fn round(&mut self, windows: &Windows<'_>, now: Timestamp) -> Result<()> {
        for (_, window) in windows {
            window.forget_others(now);
        }
        self.publish(windows, now).await?;
        self.take_in(windows).await
    }

    async fn publish(&mut self, windows: &Windows<'_>, now: Timestamp) -> Result<()> {
        let (mut counts, mut keys) = (Vec::new(), Vec::with_capacity(windows.len()));
        for (counter, window) in windows {
            let hot = window.publish(PUBLISHED_AT_ONCE, now);
            keys.push(hot.iter().map(|publication| publication.key).collect::<Vec<Key>>());
            counts.extend(hot.into_iter().map(|publication| Count {
                counter: counter.number(),
                key: *publication.key.as_bytes(),
                counts: Tally::write(&publication.tallies),
                expires: publication.expires,
            }));
        }
        // The time, so that the newest of all nodes' publications are told from the rest; but it has to grow.
        self.published = now.millis().max(self.published + 1);
        let published = self.store.publish_hits(self.node, self.published, counts).await;
        if published.is_err() {
            for ((_, window), keys) in windows.iter().zip(keys) {
                window.not_published(keys);
            }
        }
        published
    }

    async fn take_in(&mut self, windows: &Windows<'_>) -> Result<()> {
        let seen = self.seen.clone();
        let (counts, seen) = self.store.hits_elsewhere(self.node, seen, TAKEN_IN_AT_ONCE).await?;
        for (node, count) in counts {
            let window = windows.iter().find(|(counter, _)| counter.number() == count.counter);
            // What a later Patron counts, and how, is not understood here.
            if let (Some((_, window)), Some(tallies)) = (window, Tally::read(&count.counts)) {
                window.take_in(node, Key::from_bytes(count.key), tallies);
            }
        }
        self.seen = seen;
        Ok(())
    }
}

/// Does it again and again until `stop` says so, and then once more, so that what was counted last is known to the
/// nodes that go on.
pub async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut reconciler = Reconciler::new(app.store.clone(), NodeId::random(&app.entropy));
    let mut alone = false;
    loop {
        let stopping = tokio::select! {
            () = tokio::time::sleep(RECONCILE_INTERVAL) => false,
            _ = stop.wait_for(|stop| *stop) => true,
        };
        // An outage is told when it begins and when it ends, not twice a second.
        match (reconciler.round(&app.windows(), app.clock.now()).await, alone) {
            (Err(error), false) => {
                alone = true;
                tracing::warn!(
                    cause = error.cause(),
                    "rate limits are this node's own until the database is back"
                );
            }
            (Ok(()), true) => {
                alone = false;
                tracing::info!("rate limits are shared with the other nodes again");
            }
            _ => {}
        }
        if stopping {
            return;
        }
    }
}
