//! The change feed: what a process must forget from its memory because another one, or itself, has changed it.
//!
//! An entry is written in the transaction of its change, so it can neither be missing nor come early. A reader asks
//! [`Store::version`] whether anything was committed, and if so [`Store::changes_after`] for what.

use patron_core::Result;
use patron_core::id::{IdentityId, PatId, TenantId, TokenId};
use patron_core::time::Timestamp;

use crate::Store;
use crate::driver::{Tx, Value};

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

/// A stretch of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The last entry's number; the next call continues there.
    pub last: i64,
    /// The entries, or `None` when some of them were purged before this reader came: forget everything.
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

/// Enters a change, in the transaction that makes it.
pub(crate) async fn enter(tx: &mut Tx, change: Change, now: Timestamp) -> Result<()> {
    let (kind, subject) = change.parts();
    tx.execute(
        "INSERT INTO changes (kind, subject, created) VALUES ($1, $2, $3)",
        &[kind.into(), subject, now.into()],
    )
    .await?;
    Ok(())
}

impl Store {
    /// The number of the newest entry.
    pub async fn last_change(&self) -> Result<i64> {
        self.db
            .read("last_change", |tx| Box::pin(async move { bounds(tx).await.map(|(_, last)| last) }))
            .await
    }

    /// What was entered after the entry number `seen`.
    pub async fn changes_after(&self, seen: i64) -> Result<Changes> {
        self.db
            .read("changes_after", move |tx| {
                Box::pin(async move {
                    let (first, last) = bounds(tx).await?;
                    if last <= seen {
                        // Ahead of the feed: the database was replaced under this process.
                        let entries = (last == seen).then(Vec::new);
                        return Ok(Changes { last, entries });
                    }
                    if first > seen + 1 || last - seen > STRETCH {
                        return Ok(Changes { last, entries: None });
                    }
                    let sql = "SELECT kind, subject FROM changes WHERE seq > $1 AND seq <= $2 ORDER BY seq";
                    let rows = tx.query(sql, &[seen.into(), last.into()]).await?;
                    let entries = rows.iter().map(|row| Ok(Change::from_parts(row.int(0)?, row.blob(1)?)));
                    // A kind that a newer Patron enters is not understood here: forget everything.
                    let entries: Option<Vec<Change>> =
                        entries.collect::<Result<Vec<_>>>()?.into_iter().collect();
                    Ok(Changes { last, entries })
                })
            })
            .await
    }
}

/// The numbers of the oldest and the newest entry; the newest is never purged.
async fn bounds(tx: &mut Tx) -> Result<(i64, i64)> {
    let sql = "SELECT COALESCE(MIN(seq), 1), COALESCE(MAX(seq), 0) FROM changes";
    tx.query_opt(sql, &[]).await?.map_or(Ok((1, 0)), |row| Ok((row.int(0)?, row.int(1)?)))
}

/// Drops entries that every running process has long seen.
pub(crate) async fn purge(tx: &mut Tx, now: Timestamp) -> Result<()> {
    let sql = "DELETE FROM changes WHERE created < $1 AND seq < (SELECT MAX(seq) FROM changes)";
    tx.execute(sql, &[now.plus_seconds(-KEPT_SECONDS).into()]).await?;
    Ok(())
}
