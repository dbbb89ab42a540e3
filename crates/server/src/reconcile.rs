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
use crate::outage::Outage;

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
    let mut outage = Outage::new(
        "rate limits are this node's own until the database is back",
        "rate limits are shared with the other nodes again",
    );
    loop {
        let stopping = tokio::select! {
            () = tokio::time::sleep(RECONCILE_INTERVAL) => false,
            _ = stop.wait_for(|stop| *stop) => true,
        };
        outage.note(&reconciler.round(&app.windows(), app.clock.now()).await);
        if stopping {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use patron_core::clock::{Clock as _, ManualClock};
    use patron_core::id::{PatId, TenantKey};
    use patron_core::secret::SessionHash;
    use tempfile::TempDir;

    use super::*;
    use crate::guesses::{Guesser, Guesses};
    use crate::keys::MasterKey;
    use crate::limiter::{AuthFailures, Keys, Requests};
    use crate::system::SystemEntropy;

    /// A database, and the clock of all nodes.
    struct Shared {
        store: Store,
        clock: Arc<ManualClock>,
        dir: TempDir,
    }

    impl Shared {
        async fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
            let url = format!("sqlite:{}", dir.path().join("patron.db").display());
            let store =
                Store::open(&url, clock.clone(), Arc::new(SystemEntropy), clock.clone()).await.unwrap();
            Self { store, clock, dir }
        }

        fn node(&self) -> Node {
            let master = MasterKey::from_text(&"01".repeat(32)).ok().unwrap();
            let keys = Keys::shared(&master).ok().unwrap();
            Node {
                requests: Requests::new(100, 10, keys.clone()),
                failures: AuthFailures::new(20, 100, keys.clone()),
                guesses: Guesses::new(keys),
                reconciler: Reconciler::new(self.store.clone(), NodeId::random(&SystemEntropy)),
                clock: self.clock.clone(),
            }
        }

        fn file(&self) -> rusqlite::Connection {
            rusqlite::Connection::open(self.dir.path().join("patron.db")).unwrap()
        }
    }

    struct Node {
        requests: Requests,
        failures: AuthFailures,
        guesses: Guesses,
        reconciler: Reconciler,
        clock: Arc<ManualClock>,
    }

    impl Node {
        async fn round(&mut self) -> Result<()> {
            let windows: Vec<_> =
                self.requests.windows().into_iter().chain(self.failures.windows()).collect();
            let windows: Vec<_> = windows.into_iter().chain(self.guesses.windows()).collect();
            self.reconciler.round(&windows, self.clock.now()).await
        }

        /// How many of many are admitted.
        fn admitted(&self, one: impl Fn(&Self, Timestamp) -> bool) -> usize {
            (0..1_000).take_while(|_| one(self, self.clock.now())).count()
        }
    }

    /// Somebody's try that is counted; whether it was admitted.
    type Try = fn(&Node, Timestamp) -> bool;

    fn request(node: &Node, now: Timestamp) -> bool {
        node.requests.hit(PatId::from_bytes([7; 16]), "v1", now).is_ok()
    }

    fn wrong_secret(node: &Node, now: Timestamp) -> bool {
        node.failures.wrong([192, 0, 2, 77].into(), Some("client"), now).is_ok()
    }

    fn wrong_secrets_of_many(node: &Node, now: Timestamp) -> bool {
        node.failures.wrong("2001:db8::7".parse().unwrap(), None, now).is_ok()
    }

    fn stranger(node: &Node, now: Timestamp) -> bool {
        let address: IpAddr = [192, 0, 2, 78].into();
        let guesser = Guesser::Stranger { tenant: TenantKey(1), name: "jane-the-first", address };
        node.guesses.count(guesser, now).is_ok()
    }

    fn in_a_session(node: &Node, now: Timestamp) -> bool {
        node.guesses.count(Guesser::SignedIn(SessionHash::from_bytes([9; 32])), now).is_ok()
    }

    #[tokio::test]
    async fn what_one_node_has_counted_the_others_count() {
        let shared = Shared::new().await;
        let (mut one, mut two) = (shared.node(), shared.node());
        let counted: [(Try, usize); 5] = [
            (request, 100),
            (wrong_secret, 20),
            (wrong_secrets_of_many, 100),
            (stranger, 10),
            (in_a_session, 10),
        ];
        for (hit, limit) in counted {
            assert_eq!(one.admitted(hit), limit);
        }
        one.round().await.unwrap();
        two.round().await.unwrap();
        for (hit, _) in counted {
            assert_eq!(two.admitted(hit), 0);
        }
        let elsewhere = |node: &Node, now| node.requests.hit(PatId::from_bytes([7; 16]), "v3", now).is_ok();
        assert_eq!(two.admitted(elsewhere), 100, "another version");
        // One that starts now, and one that starts again.
        let mut three = shared.node();
        three.round().await.unwrap();
        assert_eq!(three.admitted(request), 0);
        shared.clock.advance_millis(10_000);
        two.round().await.unwrap();
        assert_eq!(two.admitted(request), 100);
        assert_eq!(two.admitted(wrong_secret), 0, "a minute is longer");
    }

    #[tokio::test]
    async fn the_database_learns_no_address_and_no_name() {
        let shared = Shared::new().await;
        let mut node = shared.node();
        node.admitted(stranger);
        node.admitted(wrong_secret);
        node.round().await.unwrap();
        let (rows, of_16): (i64, i64) = shared
            .file()
            .query_row("SELECT COUNT(*), SUM(LENGTH(key) = 16) FROM hits", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!((rows, of_16), (4, 4));
        shared.store.close().await;
        let file = std::fs::read(shared.dir.path().join("patron.db")).unwrap();
        let has = |text: &[u8]| file.windows(text.len()).any(|window| window == text);
        assert!(has(b"hit_publications"), "the file is not read");
        for text in [&b"jane-the-first"[..], &[192, 0, 2, 77], &[192, 0, 2, 78], b"client\0"] {
            assert!(!has(text), "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_round_without_news_writes_nothing() {
        let shared = Shared::new().await;
        let mut node = shared.node();
        let version = || shared.store.version().unwrap();
        let fresh = version();
        node.round().await.unwrap();
        for _ in 0..4 {
            assert!(request(&node, shared.clock.now()));
        }
        node.round().await.unwrap();
        assert_eq!(version(), fresh, "nothing is hot");
        assert!(request(&node, shared.clock.now()));
        node.round().await.unwrap();
        let written = version();
        assert_ne!(written, fresh);
        node.round().await.unwrap();
        assert_eq!(version(), written);
    }

    #[tokio::test]
    async fn an_outage_leaves_each_node_its_limit_and_what_it_missed_is_told_later() {
        let shared = Shared::new().await;
        let (mut one, mut two) = (shared.node(), shared.node());
        shared.file().execute_batch("ALTER TABLE hits RENAME TO out_of_reach").unwrap();
        assert_eq!(one.admitted(wrong_secret), 20);
        one.round().await.unwrap_err();
        two.round().await.unwrap();
        assert_eq!(two.admitted(wrong_secret), 20, "the limit is its own");
        shared.file().execute_batch("ALTER TABLE out_of_reach RENAME TO hits").unwrap();
        let mut three = shared.node();
        one.round().await.unwrap();
        three.round().await.unwrap();
        assert_eq!(three.admitted(wrong_secret), 0);
    }

    #[tokio::test]
    async fn a_clock_that_steps_back_hides_no_publication() {
        let shared = Shared::new().await;
        let (mut one, mut two) = (shared.node(), shared.node());
        assert_eq!(one.admitted(stranger), 10);
        one.round().await.unwrap();
        two.round().await.unwrap();
        shared.clock.advance_millis(-1_000);
        assert_eq!(one.admitted(in_a_session), 10);
        one.round().await.unwrap();
        two.round().await.unwrap();
        assert_eq!(two.admitted(in_a_session), 0);
    }

    #[tokio::test]
    async fn what_a_later_patron_writes_is_passed_over() {
        let shared = Shared::new().await;
        let counts = |counter, counts: &[u8]| {
            let expires = shared.clock.now().plus_seconds(60);
            vec![Count { counter, key: [1; 16], counts: counts.to_vec(), expires }]
        };
        let other = NodeId::from_bytes([1; 16]);
        shared.store.publish_hits(other, 1, counts(99, &[0; 12])).await.unwrap();
        shared.store.publish_hits(other, 2, counts(1, &[0; 13])).await.unwrap();
        shared.node().round().await.unwrap();
    }
}
