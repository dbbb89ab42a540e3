//! What each of several nodes has counted, for the rate limits of the others: where a node writes down its own counts
//! and reads those of the rest. What is counted, and what the bytes of a count mean, is the callers' affair.
//!
//! A node has one row for each thing it counts, overwritten by its later counts, and a number for its last publication,
//! which only it moves on. So a reader learns with one small query that there is nothing new, and else reads the rows
//! that came since; publications of one node are committed one after the other, so none is passed over.
//!
//! Writing and reading are two transactions. In one, which writes what others read and reads what others write, two
//! nodes at the same time would be a conflict to a server that keeps transactions serializable.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use patron_core::Result;
use patron_core::id::NodeId;
use patron_core::time::Timestamp;

use crate::Store;
use crate::convert;
use crate::driver::{Tx, Value};
use crate::insert::Insert;

/// What a node has counted of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Which counter.
    pub counter: i64,
    /// Of what.
    pub key: [u8; 16],
    /// The counts themselves.
    pub counts: Vec<u8>,
    /// From when on they are of no use.
    pub expires: Timestamp,
}

/// The last publications of other nodes that a node has read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen(BTreeMap<NodeId, i64>);

/// All rows are of one node and one publication.
static UPSERTS: LazyLock<Insert> = LazyLock::new(|| {
    Insert::new(
        "hits (node, published, counter, key, expires, counts)",
        2,
        "ON CONFLICT (node, counter, key) DO UPDATE SET \
         published = excluded.published, expires = excluded.expires, counts = excluded.counts",
    )
});

impl Store {
    /// Writes down what `node` has counted, as its publication number `published`, which is above those before. Each
    /// key of a counter stands there once.
    pub async fn publish_hits(&self, node: NodeId, published: i64, counts: Vec<Count>) -> Result<()> {
        let Some(expires) = counts.iter().map(|count| count.expires).max() else { return Ok(()) };
        let counts: Arc<[Count]> = counts.into();
        self.write("publish_hits", move |tx| {
            let counts = Arc::clone(&counts);
            Box::pin(async move {
                let rows: Vec<Vec<Value>> = counts.iter().map(Count::values).collect();
                UPSERTS.write(tx, &[node.into(), published.into()], &rows).await?;
                let sql = "INSERT INTO hit_publications (node, published, expires) VALUES ($1, $2, $3) \
                               ON CONFLICT (node) DO UPDATE SET published = excluded.published, \
                               expires = CASE WHEN excluded.expires > hit_publications.expires \
                               THEN excluded.expires ELSE hit_publications.expires END";
                tx.execute(sql, &[node.into(), published.into(), expires.into()]).await?;
                Ok(())
            })
        })
        .await
    }

    /// What other nodes than `node` have counted since `seen`, of each node its newest counts, and what has been seen
    /// with it. Of more than `most`, those published last.
    pub async fn hits_elsewhere(
        &self,
        node: NodeId,
        seen: Seen,
        most: u32,
    ) -> Result<(Vec<(NodeId, Count)>, Seen)> {
        let now = self.clock.now();
        let seen = Arc::new(seen);
        self.db
            .read("hits_elsewhere", move |tx| {
                let seen = Arc::clone(&seen);
                Box::pin(async move {
                    let published = publications(tx, node).await?;
                    let Some(after) = seen.before(&published) else { return Ok((Vec::new(), published)) };
                    let sql = "SELECT node, published, counter, key, counts, expires FROM hits \
                               WHERE published > $1 AND node <> $2 AND expires > $3 \
                               ORDER BY published DESC LIMIT $4";
                    let rows = tx.query(sql, &[after.into(), node.into(), now.into(), most.into()]).await?;
                    let mut counts = Vec::with_capacity(rows.len());
                    for row in &rows {
                        let of = NodeId::from_bytes(row.fixed(0)?);
                        if seen.is_news(of, row.int(1)?) {
                            let (key, expires) = (row.fixed(3)?, convert::time(row, 5)?);
                            let count =
                                Count { counter: row.int(2)?, key, counts: row.blob(4)?.to_vec(), expires };
                            counts.push((of, count));
                        }
                    }
                    Ok((counts, published))
                })
            })
            .await
    }
}

impl Count {
    fn values(&self) -> Vec<Value> {
        vec![self.counter.into(), self.key.into(), self.expires.into(), self.counts.as_slice().into()]
    }
}

impl Seen {
    fn is_news(&self, node: NodeId, published: i64) -> bool {
        self.0.get(&node).is_none_or(|seen| published > *seen)
    }

    /// Below what all rows lie that are news when the last publications are these; `None` when there is no news.
    fn before(&self, last: &Self) -> Option<i64> {
        let moved = last.0.iter().filter(|&(node, published)| self.is_news(*node, *published));
        moved.map(|(node, _)| self.0.get(node).copied().unwrap_or(i64::MIN)).min()
    }
}

/// The last publications of other nodes.
async fn publications(tx: &mut Tx, node: NodeId) -> Result<Seen> {
    let sql = "SELECT node, published FROM hit_publications WHERE node <> $1";
    let rows = tx.query(sql, &[node.into()]).await?;
    let published = rows.iter().map(|row| Ok((NodeId::from_bytes(row.fixed(0)?), row.int(1)?)));
    published.collect::<Result<_>>().map(Seen)
}

/// Drops what counts no more. Nodes that are gone leave nothing behind.
pub(crate) const PURGE: [&str; 2] = [
    "DELETE FROM hits WHERE (node, counter, key) IN \
     (SELECT node, counter, key FROM hits WHERE expires <= $1 ORDER BY expires LIMIT $2)",
    "DELETE FROM hit_publications WHERE node IN \
     (SELECT node FROM hit_publications WHERE expires <= $1 ORDER BY expires LIMIT $2)",
];

#[cfg(test)]
mod tests {
    use patron_core::clock::Clock as _;

    use super::*;
    use crate::testing::{Fixture, LIMITS};

    const A: NodeId = NodeId::from_bytes([1; 16]);
    const B: NodeId = NodeId::from_bytes([2; 16]);
    const C: NodeId = NodeId::from_bytes([3; 16]);
    const MOST: u32 = 1_000;

    /// A count that is of use for so many seconds.
    fn count(fixture: &Fixture, key: u16, text: &str, seconds: i64) -> Count {
        let [high, low] = key.to_be_bytes();
        let mut bytes = [0; 16];
        (bytes[0], bytes[1]) = (high, low);
        let expires = fixture.clock.now().plus_seconds(seconds);
        Count { counter: 1, key: bytes, counts: text.as_bytes().to_vec(), expires }
    }

    async fn publish(fixture: &Fixture, node: NodeId, number: i64, counts: &[(u16, &str)]) {
        let counts = counts.iter().map(|&(key, text)| count(fixture, key, text, 10)).collect();
        fixture.store.publish_hits(node, number, counts).await.unwrap();
    }

    /// What `node` reads that it has not seen, as node, first byte of the key and text, in their order.
    async fn read(fixture: &Fixture, node: NodeId, seen: &mut Seen) -> Vec<(NodeId, u8, String)> {
        let (counts, now_seen) = fixture.store.hits_elsewhere(node, seen.clone(), MOST).await.unwrap();
        *seen = now_seen;
        let told =
            |(node, count): (NodeId, Count)| (node, count.key[1], String::from_utf8(count.counts).unwrap());
        let mut told: Vec<_> = counts.into_iter().map(told).collect();
        told.sort();
        told
    }

    async fn rows(fixture: &Fixture) -> (i64, i64) {
        let hits = fixture.number("SELECT COUNT(*) FROM hits").await;
        (hits, fixture.number("SELECT COUNT(*) FROM hit_publications").await)
    }

    #[tokio::test]
    async fn a_node_reads_what_others_counted_each_publication_once() {
        let fixture = Fixture::new().await;
        let mut seen = Seen::default();
        assert_eq!(read(&fixture, A, &mut seen).await, []);
        publish(&fixture, A, 5, &[(1, "its own")]).await;
        publish(&fixture, B, 100, &[(1, "b"), (2, "b")]).await;
        let b = |key, text: &str| (B, key, text.to_owned());
        assert_eq!(read(&fixture, A, &mut seen).await, [b(1, "b"), b(2, "b")]);
        assert_eq!(read(&fixture, A, &mut seen).await, []);
        publish(&fixture, B, 101, &[(2, "more")]).await;
        publish(&fixture, B, 102, &[(3, "new")]).await;
        assert_eq!(read(&fixture, A, &mut seen).await, [b(2, "more"), b(3, "new")]);
        // A node whose numbers are far below, and which comes later.
        publish(&fixture, C, 1, &[(1, "c")]).await;
        assert_eq!(read(&fixture, A, &mut seen).await, [(C, 1, "c".to_owned())]);
        publish(&fixture, C, 2, &[(9, "c")]).await;
        publish(&fixture, B, 103, &[(9, "b")]).await;
        assert_eq!(read(&fixture, A, &mut seen).await, [b(9, "b"), (C, 9, "c".to_owned())]);
        let all = [b(1, "b"), b(2, "more"), b(3, "new"), b(9, "b")];
        assert_eq!(read(&fixture, C, &mut Seen::default()).await[1..], all, "beside what A counted");
    }

    #[tokio::test]
    async fn any_number_of_rows_is_written_and_written_over() {
        let fixture = Fixture::new().await;
        for (number, most) in [1_u16, 2, 63, 64, 65, 200].into_iter().enumerate() {
            let counts: Vec<_> = (0..most).map(|key| (key, "x")).collect();
            publish(&fixture, A, i64::try_from(number).unwrap(), &counts).await;
            assert_eq!(rows(&fixture).await, (most.into(), 1));
        }
        let mut again = count(&fixture, 7, "another counter's", 10);
        again.counter = 2;
        fixture.store.publish_hits(A, 10, vec![again]).await.unwrap();
        assert_eq!(rows(&fixture).await, (201, 1));
    }

    #[tokio::test]
    async fn nothing_is_written_when_nothing_was_counted() {
        let fixture = Fixture::new().await;
        fixture.store.publish_hits(A, 1, Vec::new()).await.unwrap();
        assert_eq!(rows(&fixture).await, (0, 0));
    }

    #[tokio::test]
    async fn of_too_many_the_newest_are_read() {
        let fixture = Fixture::new().await;
        publish(&fixture, B, 1, &[(1, "old"), (2, "old")]).await;
        publish(&fixture, C, 2, &[(1, "new"), (2, "new")]).await;
        let (counts, seen) = fixture.store.hits_elsewhere(A, Seen::default(), 2).await.unwrap();
        assert!(counts.iter().all(|(node, _)| *node == C), "{counts:?}");
        assert_eq!(counts.len(), 2);
        let (counts, _) = fixture.store.hits_elsewhere(A, seen, 2).await.unwrap();
        assert_eq!(counts, [], "the rest is not caught up on");
    }

    #[tokio::test]
    async fn what_counts_no_more_is_neither_read_nor_kept() {
        let fixture = Fixture::new().await;
        let counts = vec![count(&fixture, 1, "short", 10), count(&fixture, 2, "long", 20)];
        fixture.store.publish_hits(B, 1, counts).await.unwrap();
        fixture.clock.advance_millis(9_999);
        fixture.store.purge(LIMITS).await.unwrap();
        assert_eq!(rows(&fixture).await, (2, 1));
        fixture.clock.advance_millis(1);
        let left = [(B, 2, "long".to_owned())];
        assert_eq!(read(&fixture, A, &mut Seen::default()).await, left);
        fixture.store.purge(LIMITS).await.unwrap();
        assert_eq!(rows(&fixture).await, (1, 1));
        assert_eq!(read(&fixture, A, &mut Seen::default()).await, left);
        fixture.clock.advance_millis(10_000);
        fixture.store.purge(LIMITS).await.unwrap();
        assert_eq!(rows(&fixture).await, (0, 0));
    }

    #[tokio::test]
    async fn a_publication_that_soon_expires_hides_no_older_one() {
        let fixture = Fixture::new().await;
        fixture.store.publish_hits(B, 1, vec![count(&fixture, 1, "long", 20)]).await.unwrap();
        fixture.store.publish_hits(B, 2, vec![count(&fixture, 2, "short", 10)]).await.unwrap();
        fixture.clock.advance_millis(15_000);
        fixture.store.purge(LIMITS).await.unwrap();
        assert_eq!(read(&fixture, A, &mut Seen::default()).await, [(B, 1, "long".to_owned())]);
    }

    #[tokio::test]
    async fn a_node_that_begins_anew_after_a_restore_is_read_on() {
        let fixture = Fixture::new().await;
        let mut seen = Seen::default();
        publish(&fixture, B, 10, &[(1, "lost")]).await;
        read(&fixture, A, &mut seen).await;
        // The database is an older one now.
        fixture.sql("UPDATE hits SET published = 8; UPDATE hit_publications SET published = 8").await;
        assert_eq!(read(&fixture, A, &mut seen).await, []);
        publish(&fixture, B, 11, &[(1, "after")]).await;
        assert_eq!(read(&fixture, A, &mut seen).await, [(B, 1, "after".to_owned())]);
    }

    const LISTED: &str = "SELECT node, published, counter, key, counts, expires FROM hits \
                          WHERE published > $1 AND node <> $2 AND expires > $3 ORDER BY published DESC LIMIT $4";
    const PURGED: &str = PURGE[0];

    mod sqlite {
        use patron_testing::Engine;

        use super::*;

        #[tokio::test]
        async fn indexes_serve_what_is_asked_again_and_again() {
            let fixture = Fixture::on(Engine::Sqlite).await;
            for (sql, by) in [(LISTED, "hits_listed (published>?)"), (PURGED, "hits_to_purge (expires<?)")] {
                let plan = fixture.plan(sql);
                assert!(plan.iter().any(|step| step.contains(by)), "{plan:?}");
                assert!(
                    !plan.iter().any(|step| step.contains("TEMP B-TREE") || step.starts_with("SCAN")),
                    "{plan:?}"
                );
            }
        }

        #[tokio::test]
        async fn the_file_is_not_touched_when_nothing_was_counted() {
            let fixture = Fixture::on(Engine::Sqlite).await;
            let before = fixture.store.version().unwrap();
            fixture.store.publish_hits(A, 1, Vec::new()).await.unwrap();
            assert_eq!(fixture.store.version().unwrap(), before);
        }
    }

    mod postgres {
        use patron_testing::Engine;

        use super::*;

        #[tokio::test]
        async fn indexes_serve_what_is_asked_again_and_again() {
            let fixture = Fixture::on(Engine::Postgres).await;
            for (sql, by, bound) in [
                (LISTED, "Index Scan Backward using hits_listed", "Index Cond: (published > $1)"),
                (PURGED, "Index Scan using hits_to_purge", "Index Cond: (expires <= $1)"),
            ] {
                let plan = fixture.plan(sql);
                let scan = plan.windows(2).find(|lines| lines[0].contains(by));
                assert!(scan.is_some_and(|lines| lines[1].contains(bound)), "{plan:?}");
            }
        }
    }
}
