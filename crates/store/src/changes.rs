//! The change feed: what a process must forget from its memory because another one, or itself, has changed it.
//!
//! An entry is written in the transaction of its change, so it can neither be missing nor come early. A reader asks
//! [`Store::version`] whether anything was committed, and if so [`Store::changes_after`] for what.
//!
//! A reader that has seen entry 7 never looks at what is below it again. So entries are numbered **in the order of
//! their commits and without gaps**: when 7 can be seen, so can all below it that were not purged, and 8 is the next
//! that there will ever be. A counter gives this, in a row that the transaction moves on and so keeps locked until its
//! commit. A sequence does not: two transactions may commit in another order than they drew their numbers, and one
//! that is rolled back leaves a gap.
//!
//! A feed goes back when a backup is restored under a running process, or a standby takes over that lacked its end. Its
//! numbers are then given a second time, to other changes. So a reader keeps what the last entry said, and forgets
//! everything when that is no longer so.

use std::sync::LazyLock;

use patron_core::id::{IdentityId, PatId, TenantId, TokenId};
use patron_core::time::Timestamp;
use patron_core::{Error, Result};

use crate::driver::{Notes, Row, Tx, Value};
use crate::insert::Insert;
use crate::{Store, convert};

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A PAT was patched or deleted.
    Pat(PatId),
    /// An identity was changed in any way.
    Identity(IdentityId),
    /// A tenant was made.
    Tenant(TenantId),
    /// The signing keys were rotated.
    Keys,
    /// An access token was revoked.
    Token(TokenId),
}

/// A place in the feed: behind an entry, and what that entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The entry's number; 0 is before the first.
    pub seq: i64,
    entry: Option<(Option<Change>, Timestamp)>,
}

/// A stretch of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Its end; the next call continues there.
    pub last: Place,
    /// The entries, or `None` when some of them are not there, purged before this reader came: forget everything.
    pub entries: Option<Vec<Change>>,
}

/// How long the feed is kept. A process that was stopped for longer forgets everything.
const KEPT_SECONDS: i64 = 3_600;
/// Entries of one stretch; a reader further behind forgets everything, which is cheaper.
const STRETCH: i64 = 10_000;

impl Change {
    fn parts(self) -> (i64, Value) {
        match self {
            Self::Pat(id) => (1, id.into()),
            Self::Identity(id) => (2, id.into()),
            Self::Tenant(id) => (3, id.into()),
            Self::Keys => (4, Value::Blob(Vec::new())),
            Self::Token(id) => (5, id.into()),
        }
    }

    fn from_parts(kind: i64, subject: &[u8]) -> Option<Self> {
        let id = || subject.try_into().ok();
        Some(match kind {
            1 => Self::Pat(PatId::from_bytes(id()?)),
            2 => Self::Identity(IdentityId::from_bytes(id()?)),
            3 => Self::Tenant(TenantId::from_bytes(id()?)),
            4 => Self::Keys,
            5 => Self::Token(TokenId::from_bytes(id()?)),
            _ => return None,
        })
    }
}

static ENTRIES: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("changes (created, seq, kind, subject)", 1, ""));

/// Has the transaction at hand enter a change, which it makes, when all else is done.
pub(crate) fn enter(tx: &mut Tx, change: Change) {
    tx.enters();
    tx.notes().changes.push(change.parts());
}

/// The same for a change of what no memory holds: with one node there is nothing to tell.
pub(crate) fn enter_for_nodes(tx: &mut Tx, change: Change) {
    if tx.is_shared() {
        enter(tx, change);
    }
}

/// For a transaction that finds done what it was to do: perhaps a moment ago, by somebody who is not answered yet. Its
/// own answer then waits for what the other's waits for.
pub(crate) fn refer(tx: &mut Tx) {
    tx.notes().refers = true;
}

/// What of the feed an answer rests on, which all nodes must have applied before it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis {
    /// The entries up to this one. The transaction has written something: the server that has committed it is the one that
    /// changes are made on.
    Proven(i64),
    /// The entries up to this one, which are others'. The transaction has changed nothing, and may have read what a server
    /// shows that was left behind.
    Unproven(i64),
}

/// Enters what the transaction at hand has noted, as its last statements. From then on no other can enter anything
/// until this one has ended: nothing is waited for but the statements themselves.
pub(crate) async fn enter_noted(tx: &mut Tx, now: Timestamp) -> Result<Option<Basis>> {
    let Notes { changes, refers } = std::mem::take(tx.notes());
    if !changes.is_empty() {
        let many = i64::try_from(changes.len()).map_err(Error::internal)?;
        let moved = tx.query_opt("UPDATE feed SET last = last + $1 RETURNING last", &[many.into()]).await?;
        let last = moved.ok_or_else(no_feed)?.int(0)?;
        let row = |(seq, (kind, subject)): (i64, (i64, Value))| vec![seq.into(), kind.into(), subject];
        let rows: Vec<_> = (last - many + 1..).zip(changes).map(row).collect();
        ENTRIES.write(tx, &[now.into()], &rows).await?;
        Ok(Some(Basis::Proven(last)))
    } else if refers && tx.is_shared() && tx.has_written() {
        Ok(Some(Basis::Proven(last(tx).await?)))
    } else if refers {
        on_others(tx).await
    } else {
        Ok(None)
    }
}

/// What an answer rests on that changes nothing and says what others have done. With one node, there are no others.
pub(crate) async fn on_others(tx: &mut Tx) -> Result<Option<Basis>> {
    if tx.is_shared() { last(tx).await.map(|last| Some(Basis::Unproven(last))) } else { Ok(None) }
}

fn no_feed() -> Error {
    Error::internal("the table `feed` has no row")
}

impl Store {
    /// Where the feed ends.
    pub async fn feed_end(&self) -> Result<Place> {
        self.db.read("feed_end", |tx| Box::pin(async move { end(tx).await })).await
    }

    /// What was entered after `seen`.
    pub async fn changes_after(&self, seen: Place) -> Result<Changes> {
        self.db.read("changes_after", move |tx| Box::pin(after(tx, seen))).await
    }
}

/// What was entered after `seen`, in the transaction at hand.
pub(crate) async fn after(tx: &mut Tx, seen: Place) -> Result<Changes> {
    let everything = async |tx: &mut Tx| Ok(Changes { last: end(tx).await?, entries: None });
    let last = last(tx).await?;
    if last < seen.seq || last - seen.seq > STRETCH {
        return everything(tx).await;
    }
    let sql = "SELECT seq, kind, subject, created FROM changes WHERE seq >= $1 AND seq <= $2 ORDER BY seq";
    let rows = tx.query(sql, &[seen.seq.into(), last.into()]).await?;
    let mut places = rows.iter().map(place).collect::<Result<Vec<_>>>()?;
    if seen.entry.is_some() {
        if places.first() != Some(&seen) {
            return everything(tx).await;
        }
        places.remove(0);
    }
    if usize::try_from(last - seen.seq) != Ok(places.len()) {
        return everything(tx).await;
    }
    let entries = places.iter().map(|place| place.entry?.0);
    let entries = entries.collect();
    Ok(Changes { last: places.last().copied().unwrap_or(seen), entries })
}

/// Refuses a server that lacks the entry before this place: a primary of yesterday, still reachable. A database of one
/// process's own lacks nothing.
pub(crate) async fn require(tx: &mut Tx, place: Place) -> Result<()> {
    if !tx.is_shared() || place.entry.is_none() {
        return Ok(());
    }
    let found = entry(tx, place.seq).await?;
    // Or purged meanwhile, when it was the newest for an hour and is no more.
    if found == place || found.entry.is_none() && last(tx).await? > place.seq {
        return Ok(());
    }
    Err(tx.leave_server("the database server lacks what was followed"))
}

/// The number of the newest entry; 0 when there was none yet.
pub(crate) async fn last(tx: &mut Tx) -> Result<i64> {
    tx.query_opt("SELECT last FROM feed", &[]).await?.ok_or_else(no_feed)?.int(0)
}

/// The place behind the newest entry, which is never purged.
async fn end(tx: &mut Tx) -> Result<Place> {
    let seq = last(tx).await?;
    entry(tx, seq).await
}

/// The place behind an entry, whether or not that is there.
async fn entry(tx: &mut Tx, seq: i64) -> Result<Place> {
    let sql = "SELECT seq, kind, subject, created FROM changes WHERE seq = $1";
    let row = tx.query_opt(sql, &[seq.into()]).await?;
    row.map_or(Ok(Place { seq, entry: None }), |row| place(&row))
}

fn place(row: &Row) -> Result<Place> {
    let change = Change::from_parts(row.int(1)?, row.blob(2)?);
    Ok(Place { seq: row.int(0)?, entry: Some((change, convert::time(row, 3)?)) })
}

/// Drops entries that every running process has long seen: those before the first that is kept, and no other, so that
/// what is left has no gaps when the clock was set back meanwhile. An entry from further ahead than the feed is kept
/// was stamped by a clock that was wrong, and keeps nothing. (It reads what it deletes and one more.)
pub(crate) const PURGE: &str = "DELETE FROM changes WHERE seq IN (SELECT seq FROM changes WHERE seq < COALESCE(\
                                (SELECT seq FROM changes WHERE created BETWEEN $1 AND $2 ORDER BY seq LIMIT 1), \
                                (SELECT MAX(seq) FROM changes)) ORDER BY seq LIMIT $3)";

/// The times between which an entry is kept.
pub(crate) fn kept(now: Timestamp) -> (Timestamp, Timestamp) {
    (now.plus_seconds(-KEPT_SECONDS), now.plus_seconds(KEPT_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    fn pat(n: u8) -> Change {
        Change::Pat(PatId::from_bytes([n; 16]))
    }

    /// Enters changes, of which the first is number 2: the fixture's tenant is number 1.
    async fn entered(fixture: &Fixture, changes: &'static [(u8, i64)]) {
        let now = fixture.store.clock.now();
        let enter_all = fixture.store.db.write("enter", move |tx| {
            Box::pin(async move {
                for &(n, seconds) in changes {
                    enter(tx, pat(n));
                    enter_noted(tx, now.plus_seconds(seconds)).await?;
                }
                Ok(())
            })
        });
        enter_all.await.unwrap();
    }

    /// What a reader is told that has come so far.
    async fn after(fixture: &Fixture, seen: i64) -> Option<Vec<Change>> {
        let rows = fixture.rows("SELECT seq, kind, subject, created FROM changes").await;
        let mut places = rows.iter().map(|row| place(row).unwrap());
        let seen = places.find(|place| place.seq == seen).unwrap_or(Place { seq: seen, entry: None });
        fixture.store.changes_after(seen).await.unwrap().entries
    }

    #[tokio::test]
    async fn a_reader_is_told_what_it_has_not_seen() {
        let fixture = Fixture::new().await;
        assert_eq!(fixture.store.feed_end().await.unwrap().seq, 1);
        entered(&fixture, &[(2, 0), (3, 0), (4, 0)]).await;
        assert_eq!(after(&fixture, 1).await, Some(vec![pat(2), pat(3), pat(4)]));
        assert_eq!(after(&fixture, 3).await, Some(vec![pat(4)]));
        assert_eq!(after(&fixture, 4).await, Some(vec![]));
        assert_eq!(after(&fixture, 5).await, None, "another database lies there");
    }

    #[tokio::test]
    async fn an_undone_transaction_leaves_no_gap() {
        let fixture = Fixture::new().await;
        let undone = fixture.store.db.write("undone", move |tx| {
            Box::pin(async move {
                enter(tx, pat(2));
                enter_noted(tx, Timestamp::MIN).await?;
                Err::<(), _>(patron_core::Error::internal("undone"))
            })
        });
        undone.await.unwrap_err();
        entered(&fixture, &[(3, 0)]).await;
        assert_eq!(after(&fixture, 1).await, Some(vec![pat(3)]));
    }

    #[tokio::test]
    async fn whoever_meets_a_gap_forgets_everything() {
        let fixture = Fixture::new().await;
        entered(&fixture, &[(2, 0), (3, 0), (4, 0)]).await;
        fixture.execute("DELETE FROM changes WHERE seq = 3", &[]).await.unwrap();
        assert_eq!(after(&fixture, 1).await, None);
        assert_eq!(after(&fixture, 2).await, None);
        assert_eq!(after(&fixture, 3).await, Some(vec![pat(4)]));
    }

    #[tokio::test]
    async fn a_number_that_was_given_twice_is_not_taken_for_the_first() {
        let fixture = Fixture::new().await;
        entered(&fixture, &[(2, 0), (3, 0)]).await;
        let seen = fixture.store.feed_end().await.unwrap();
        assert_eq!(
            fixture.store.changes_after(seen).await.unwrap(),
            Changes { last: seen, entries: Some(vec![]) }
        );
        // As when a standby takes over that had got as far as 2.
        fixture.sql("DELETE FROM changes WHERE seq = 3; UPDATE feed SET last = 2").await;
        entered(&fixture, &[(4, 0), (5, 0)]).await;
        let changes = fixture.store.changes_after(seen).await.unwrap();
        assert_eq!((changes.last.seq, changes.entries), (4, None), "3 is another entry than it was");
    }

    #[tokio::test]
    async fn old_entries_are_purged_and_only_in_front() {
        let fixture = Fixture::new().await;
        let left = async || {
            let all = fixture.rows("SELECT seq FROM changes ORDER BY seq").await;
            all.iter().map(|row| row.int(0).unwrap()).collect::<Vec<i64>>()
        };
        // The clock was set back after number 4, and once an hour and more ahead for number 3.
        entered(&fixture, &[(2, 1), (3, 9_000), (4, 600), (5, -3_000), (6, 300), (7, 700)]).await;
        let purge_after = async |seconds: i64| {
            fixture.clock.advance_millis(seconds * 1_000);
            fixture.store.purge(crate::testing::LIMITS).await.unwrap();
            left().await
        };
        assert_eq!(purge_after(3_600).await, [1, 2, 3, 4, 5, 6, 7], "an hour is kept");
        assert_eq!(purge_after(1).await, [2, 3, 4, 5, 6, 7]);
        assert_eq!(purge_after(1).await, [4, 5, 6, 7], "what is older than 4 but came after it stays");
        assert_eq!(after(&fixture, 1).await, None);
        assert_eq!(after(&fixture, 3).await, Some(vec![pat(4), pat(5), pat(6), pat(7)]));
        assert_eq!(purge_after(599).await, [7], "what stood before and behind a kept one goes with it");
        assert_eq!(purge_after(1_000_000).await, [7], "the newest stays, so that its number does");
        assert_eq!(after(&fixture, 7).await, Some(vec![]));
        assert_eq!(after(&fixture, 2).await, None);
    }
}
