//! The processes that keep in memory what they have read of a database that several share: how they follow its
//! changes, and how a change waits for them. The rules are [`patron_core::coherence`]'s.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use patron_core::coherence::{NodeRow, RENEWAL_MILLIS, Roll, Steady, Terms, Verdict, Wait};
use patron_core::id::NodeId;
use patron_core::{Error, Result};
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{sleep, timeout};

use crate::Store;
use crate::changes::{self, Changes, Place};
use crate::driver::{Lane, Notifications, Open, Row, Tx};
use crate::patience::Patience;

/// How long a change that waits rests before it looks at the nodes' rows once more, at first and at most. A node needs
/// a reading, a writing and a wait for the disk to apply an entry.
const FIRST_REST: Duration = Duration::from_millis(2);
const LONGEST_REST: Duration = Duration::from_millis(50);
/// How long it is waited for a renewal: one that is under way may take a lease, and then one that begins may.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(7);
/// How often it is looked whether a node that is there renews its row.
const WATCHING_REST: Duration = Duration::from_millis(RENEWAL_MILLIS / 4);

/// What a process knows of how far the nodes are.
pub(crate) struct Progress {
    registered: watch::Sender<Option<Registration>>,
    /// Told when somebody waits for the next renewal.
    wanted: Notify,
    /// How many rounds of following have begun.
    rounds: AtomicU64,
    /// How many looks at the nodes' rows have begun.
    looks: AtomicU64,
    /// Held by the one that looks at the nodes' rows for all that wait.
    looking: Mutex<Looking>,
}

/// A process's row among the nodes'.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registration {
    id: NodeId,
    /// The number of the registration in force.
    number: i64,
    /// Whether the process has lost sight of it.
    is_lost: bool,
    /// The number of the last round that has renewed it; 0 before the first.
    renewed: u64,
}

struct Looking {
    roll: Roll,
    /// The number of the last look that was answered, and what all nodes had applied then.
    look: u64,
    seen: i64,
}

impl Progress {
    pub(crate) fn registered(&self) -> Option<Registration> {
        *self.registered.borrow()
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            registered: watch::Sender::new(None),
            wanted: Notify::new(),
            rounds: AtomicU64::new(0),
            looks: AtomicU64::new(0),
            looking: Mutex::new(Looking { roll: Roll::new(Terms::STANDARD), look: 0, seen: 0 }),
        }
    }
}

/// A transaction in which a node reads the feed and writes a nodes' row. Each statement stands for itself: what it writes
/// depends on that row alone.
pub struct Following {
    open: Open,
    round: u64,
}

impl Following {
    /// Its number among those of this process.
    pub fn round(&self) -> u64 {
        self.round
    }

    /// What was entered after `seen`.
    pub async fn changes_after(&mut self, seen: Place) -> Result<Changes> {
        changes::after(self.open.tx(), seen).await
    }

    /// Writes into the node's row, if it is there and of the renewal before; whether it was.
    pub async fn renew(&mut self, row: NodeRow) -> Result<bool> {
        let sql = "UPDATE nodes SET seen = $1, renewals = $2 WHERE id = $3 AND renewals = $4";
        let values = [row.seen.into(), row.renewals.into(), row.id.into(), (row.renewals - 1).into()];
        Ok(self.open.tx().execute(sql, &values).await? > 0)
    }

    /// Enters the node's row as one that has applied nothing, or sets it so if it is there and of an earlier renewal.
    pub async fn register(&mut self, id: NodeId, renewals: i64) -> Result<()> {
        let sql = "INSERT INTO nodes (id, seen, renewals, registered) VALUES ($1, 0, $2, $2) ON CONFLICT (id) \
                   DO UPDATE SET seen = 0, renewals = excluded.renewals, registered = excluded.registered \
                   WHERE nodes.renewals < excluded.renewals";
        self.open.tx().execute(sql, &[id.into(), renewals.into()]).await.map(drop)
    }

    /// Makes it so.
    pub async fn commit(self) -> Result<()> {
        self.open.commit().await
    }
}

impl Store {
    /// Whether several services may use this database, so that memory is to be held true by [`Store::following`] and
    /// not by [`Store::version`].
    pub fn is_shared(&self) -> bool {
        self.db.is_shared()
    }

    /// Begins to follow the feed once more.
    pub async fn following(&self) -> Result<Following> {
        let round = self.progress.rounds.fetch_add(1, Ordering::AcqRel) + 1;
        Ok(Following { open: self.db.begin_following("follow").await?, round })
    }

    /// What tells that there is something to follow. It may be late or miss something: ask now and then as well.
    pub async fn notifications(&self) -> Result<Notifications> {
        self.db.notifications().await
    }

    /// Uses none of the connections any more that there are: the server behind them may no longer be the one that
    /// changes are made on. Nothing is written until this process has registered anew: what a server does not confirm
    /// waits there for as long as it likes, and each attempt to write it again would wait beside it.
    pub fn reconnect(&self) {
        self.lose_registration();
        self.db.reconnect();
    }

    /// Has what begins from now on wait until this process has registered anew: it is about to, or must.
    pub fn lose_registration(&self) {
        self.progress.registered.send_if_modified(|registered| match registered {
            Some(registration) => !std::mem::replace(&mut registration.is_lost, true),
            None => false,
        });
        if self.registered().is_some() {
            self.db.admit(false);
        }
    }

    /// Opens the connections that nodes wait for each other on.
    pub async fn connect_nodes(&self) -> Result<()> {
        self.db.connect_nodes().await
    }

    /// Asks another server first from now on, if there are several: this one takes connections, but not what is to be
    /// written there.
    pub fn try_another_server(&self) {
        self.db.try_another_server();
    }

    /// Notes the registration in force of this process's row. What is read and changed from now on is read and changed
    /// on a server that has it.
    pub fn note_registered(&self, id: NodeId, number: i64) {
        self.progress.registered.send_replace(Some(Registration { id, number, is_lost: false, renewed: 0 }));
        self.db.admit(true);
    }

    /// Notes that the registration in force was renewed, by the round of this number.
    pub fn note_renewed(&self, round: u64) {
        self.progress.registered.send_modify(|registered| {
            if let Some(registration) = registered {
                registration.renewed = round;
            }
        });
    }

    /// Waits until somebody waits for the next renewal.
    pub async fn renewal_wanted(&self) {
        self.progress.wanted.notified().await;
    }

    /// Whether the server that this registration was seen on is the one that changes are made on: one that was left behind
    /// can be read, and lacks what was made since, but commits no renewal. `false` when the registration is no longer in
    /// force, so that nobody knows.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is no renewal for long.
    pub(crate) async fn is_confirmed(&self, registered: Option<Registration>) -> Result<bool> {
        // Who has no registration has connected a moment ago, or is about to leave.
        let Some(Registration { number, .. }) = registered else { return Ok(true) };
        let begun = self.progress.rounds.load(Ordering::Acquire);
        let mut watched = self.progress.registered.subscribe();
        let is_in_force =
            |now: &Option<Registration>| now.is_some_and(|now| now.number == number && !now.is_lost);
        let is_renewed = |now: &Option<Registration>| now.is_some_and(|now| now.renewed > begun);
        self.progress.wanted.notify_one();
        let told = watched.wait_for(|now| !is_in_force(now) || is_renewed(now));
        match Patience::new(RENEWAL_PATIENCE).wait(told).await {
            Some(Ok(now)) => Ok(is_in_force(&now)),
            _ => Err(Error::unavailable(
                "nobody has confirmed that this is the server that changes are made on",
            )),
        }
    }

    /// The registration that a server must have, to be read for this process's memory.
    pub(crate) fn registered(&self) -> Option<Registration> {
        self.progress.registered()
    }

    fn is_cut_off(&self) -> bool {
        self.registered().is_some_and(|registration| registration.is_lost)
    }

    /// Deletes a row, if it is still of this renewal.
    pub async fn strike_node(&self, row: NodeRow) -> Result<()> {
        let mut following = self.following().await?;
        let sql = "DELETE FROM nodes WHERE id = $1 AND renewals = $2";
        following.open.tx().execute(sql, &[row.id.into(), row.renewals.into()]).await?;
        following.commit().await
    }

    /// Deletes the row of a node that trusts its memory no more. What it still writes needs no registration.
    pub async fn leave(&self, id: NodeId) -> Result<()> {
        self.progress.registered.send_replace(None);
        self.db.admit(true);
        let mut following = self.following().await?;
        following.open.tx().execute("DELETE FROM nodes WHERE id = $1", &[id.into()]).await?;
        following.commit().await
    }

    /// The rows of all nodes, and where the feed ends for the server that gives them.
    pub async fn nodes(&self) -> Result<(Vec<NodeRow>, i64)> {
        let progress = Arc::clone(&self.progress);
        let read = self.db.read_in(Lane::Nodes, "nodes", move |tx| {
            let registered = progress.registered();
            Box::pin(async move {
                if !has_registration(tx, registered).await? {
                    return Err(Error::unavailable(LACKS_REGISTRATION));
                }
                let rows = tx.query("SELECT id, seen, renewals FROM nodes ORDER BY id", &[]).await?;
                let rows = rows.iter().map(node).collect::<Result<_>>()?;
                Ok((rows, changes::last(tx).await?))
            })
        });
        read.await
    }

    /// Watches the nodes' rows until it is known that no node lives, and gives those that dead ones have left; `None`
    /// as soon as one is seen to live. It takes longer than a lease where there are any.
    pub(crate) async fn rows_of_the_dead(&self) -> Result<Option<Vec<NodeRow>>> {
        let mut roll = Roll::new(Terms::STANDARD);
        let (first, _) = self.nodes().await?;
        loop {
            let (rows, _) = self.nodes().await?;
            if rows.iter().any(|row| !first.contains(row)) {
                return Ok(None);
            }
            if roll.observe(&rows, self.steady.steady()).len() == rows.len() {
                return Ok(Some(rows));
            }
            sleep(WATCHING_REST).await;
        }
    }

    /// Strikes nodes that have been seen standing still for longer than a lease.
    pub async fn strike_the_dead(&self) -> Result<()> {
        let mut looking = self.progress.looking.lock().await;
        self.look(&mut looking).await
    }

    /// Refuses at once while this process has lost its registration.
    pub(crate) fn require_sight(&self) -> Result<()> {
        let lost = || Error::unavailable("this node has lost sight of the others");
        if self.is_cut_off() { Err(lost()) } else { Ok(()) }
    }

    async fn look(&self, looking: &mut Looking) -> Result<()> {
        self.require_sight()?;
        let look = self.progress.looks.fetch_add(1, Ordering::AcqRel) + 1;
        let (rows, last) = self.nodes().await?;
        let seen = rows.iter().map(|row| row.seen).min().unwrap_or(last);
        // A server that lacks what a row speaks of is no witness of what others have applied.
        (looking.look, looking.seen) = (look, seen.min(last));
        for dead in looking.roll.observe(&rows, self.steady.steady()) {
            let own = self.registered().is_some_and(|registration| registration.id == dead.id);
            if !own {
                self.strike_node(dead).await?;
            }
        }
        Ok(())
    }

    /// Waits until no node relies any more on what was before the entry number `entry`, which was committed just now.
    /// It takes no longer than a lease, whatever becomes of the database and of the nodes.
    pub(crate) async fn settle(&self, entry: i64) {
        if !self.is_shared() {
            return;
        }
        let (committed, looks) = (self.steady.steady(), self.progress.looks.load(Ordering::Acquire));
        let wait = Wait::new(entry, committed, Terms::STANDARD);
        // Every node's word is the fast way; time alone is the sure one.
        let told = timeout(until(wait.over(), committed), self.applied_everywhere(entry, looks)).await;
        while told.is_err() && wait.by_time(self.steady.steady()) == Verdict::NotYet {
            sleep(until(wait.over(), self.steady.steady())).await;
        }
    }

    /// Waits until no node relies any more on what was before anything that is committed by now: for an answer that
    /// rests on somebody else's change, which may not have been answered yet.
    pub async fn settle_all(&self) -> Result<()> {
        if !self.is_shared() {
            return Ok(());
        }
        self.write("settle_all", |tx| {
            changes::refer(tx);
            Box::pin(async { Ok(()) })
        })
        .await
    }

    /// Looks again and again until all nodes say that they have applied the entry. Of looks, those after the `looks` that
    /// had begun before it was committed count: numbers may have been given twice.
    async fn applied_everywhere(&self, entry: i64, looks: u64) {
        let mut rest = FIRST_REST;
        loop {
            {
                // One looks for all.
                let mut looking = self.progress.looking.lock().await;
                let is_known = |looking: &Looking| looking.look > looks && looking.seen >= entry;
                if is_known(&looking) || (self.look(&mut looking).await.is_ok() && is_known(&looking)) {
                    return;
                }
            }
            sleep(rest).await;
            rest = LONGEST_REST.min(rest * 3 / 2);
        }
    }
}

/// How long it is from `now` until `then`, and a little more, so that it has come.
fn until(then: Steady, now: Steady) -> Duration {
    Duration::from_millis(then.0.saturating_sub(now.0) + 1)
}

/// Refuses a server that lacks the registration: a primary of yesterday, still reachable. That one may show a *later*
/// one, which it could not commit and was not believed.
pub(crate) async fn refuse_left_behind(tx: &mut Tx, registered: Option<Registration>) -> Result<()> {
    if has_registration(tx, registered).await? { Ok(()) } else { Err(tx.leave_server(LACKS_REGISTRATION)) }
}

const LACKS_REGISTRATION: &str = "the database server lacks this node's registration";

async fn has_registration(tx: &mut Tx, registered: Option<Registration>) -> Result<bool> {
    let Some(Registration { id, number, .. }) = registered else { return Ok(true) };
    let sql = "SELECT 1 FROM nodes WHERE id = $1 AND registered = $2";
    Ok(tx.query_opt(sql, &[id.into(), number.into()]).await?.is_some())
}

fn node(row: &Row) -> Result<NodeRow> {
    Ok(NodeRow { id: NodeId::from_bytes(row.fixed(0)?), seen: row.int(1)?, renewals: row.int(2)? })
}

#[cfg(test)]
mod tests {
    mod postgres {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicBool, Ordering};

        use patron_core::id::{NodeId, PatId, TokenId};
        use patron_core::{Error, Result};
        use patron_testing::Engine;

        use crate::testing::{Fixture, operator};

        const NODE: NodeId = NodeId::from_bytes([1; 16]);
        const MISSING: PatId = PatId::from_bytes([7; 16]);

        fn is_left_behind<T>(result: Result<T>) -> bool {
            matches!(result, Err(Error::Unavailable { cause }) if cause.starts_with("the database server lacks"))
        }

        /// Enters the row of a node that has applied more than there is.
        async fn register(fixture: &Fixture, number: i64) {
            let sql = "INSERT INTO nodes (id, seen, renewals, registered) VALUES ($1, 1000, 9, $2)";
            fixture.execute(sql, &[NODE.into(), number.into()]).await.unwrap();
        }

        /// A primary of yesterday, which has neither what was made since nor lost what was deleted.
        #[tokio::test]
        async fn a_server_that_lacks_the_registration_is_neither_read_nor_written() {
            let fixture = Fixture::on(Engine::Postgres).await;
            let jane = fixture.identity(fixture.tenant, "jane", &[]).await;
            let pat = fixture.pat(&jane, "ci").await;
            let (store, tenant) = (&fixture.store, fixture.tenant);
            register(&fixture, 2).await;
            let delete = |id| store.delete_pat(operator(), tenant, id, Arc::new(|_| Ok(())));
            // With 1, this server shows a later one, which it could not commit.
            for in_force in [1, 3] {
                store.note_registered(NODE, in_force);
                assert!(is_left_behind(store.pat(tenant, pat.id).await));
                assert!(is_left_behind(store.identity(tenant, jane.id).await));
                assert!(is_left_behind(store.nodes().await));
                assert!(is_left_behind(store.settle_all().await));
                assert!(is_left_behind(delete(pat.id).await));
                assert!(is_left_behind(delete(MISSING).await), "it may be there on the other server");
            }
            store.note_registered(NODE, 2);
            assert!(store.pat(tenant, pat.id).await.unwrap().is_some());
        }

        /// It may be another server that the change was looked for on, and this one renews.
        #[tokio::test]
        async fn what_is_refused_is_answered_once_the_registration_was_renewed() {
            let fixture = Fixture::on(Engine::Postgres).await;
            let store = &fixture.store;
            register(&fixture, 2).await;
            store.note_registered(NODE, 2);
            let delete = || store.delete_pat(operator(), fixture.tenant, MISSING, Arc::new(|_| Ok(())));
            let begun = store.following().await.unwrap().round();
            let is_refused = AtomicBool::new(false);
            let refused = async {
                let refused = delete().await.unwrap_err();
                is_refused.store(true, Ordering::Relaxed);
                refused
            };
            let renewed = async {
                store.renewal_wanted().await;
                store.note_renewed(begun);
                // Longer than an answer takes that does not wait.
                for _ in 0..20 {
                    store.nodes().await.unwrap();
                }
                assert!(!is_refused.load(Ordering::Relaxed), "by a round that had begun before");
                store.note_renewed(store.following().await.unwrap().round());
            };
            let (refused, ()) = tokio::join!(refused, renewed);
            assert!(matches!(refused, Error::NotFound { .. }), "{refused:?}");
            // It is looked for again where the registration is in force: not here.
            let moved = async {
                store.renewal_wanted().await;
                store.note_registered(NODE, 3);
            };
            assert!(is_left_behind(tokio::join!(delete(), moved).0));
        }

        #[tokio::test]
        async fn what_is_kept_for_all_requests_is_read_where_the_feed_was_followed() {
            let (here, elsewhere) =
                (Fixture::on(Engine::Postgres).await, Fixture::on(Engine::Postgres).await);
            let place = elsewhere.store.feed_end().await.unwrap();
            assert_eq!(place.seq, here.store.feed_end().await.unwrap().seq, "the same number, another entry");
            assert!(is_left_behind(here.store.revoked_tokens(place).await));
            assert!(is_left_behind(
                here.store.revoked_among(place, vec![TokenId::from_bytes([1; 16])]).await
            ));
            assert!(is_left_behind(here.store.tenants(place).await));
            assert!(is_left_behind(here.store.signing_keys(place).await));
            assert_eq!(elsewhere.store.tenants(place).await.unwrap().len(), 1);
        }
    }
}
