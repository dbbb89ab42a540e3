//! The PATs of a tenant in numbers.

use patron_core::id::{IdentityId, TenantKey};
use patron_core::pat::Expiry;
use patron_core::time::{DAY_MILLIS, Timestamp};
use patron_core::{Error, Result};

use super::used::Span;
use crate::Store;
use crate::driver::{Row, Tx, Value};

/// The PATs of a tenant in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    /// How many there are of what kind.
    pub counts: Counts,
    /// How long ago they were last used.
    pub last_uses: LastUses,
    /// How many of those that work expire in each of the next weeks, counted from now.
    pub expiries: Weeks,
    /// Who has the most that never expire, those first.
    pub neverending: Vec<Neverending>,
}

/// How many PATs there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// In all.
    pub all: u64,
    /// That work.
    pub live: u64,
    /// That no longer work.
    pub expired: u64,
    /// That were never used.
    pub never_used: u64,
    /// That were not used for 90 days; one that was never used counts from its creation.
    pub unused: u64,
    /// That never expire.
    pub never_expiring: u64,
    /// That work, and expire within 30 days.
    pub expiring: u64,
    /// That the platform made.
    pub managed: u64,
}

impl Counts {
    /// After how many days without a use a PAT counts as unused.
    pub const UNUSED_DAYS: i64 = 90;
    /// Within how many days a PAT that expires counts as expiring.
    pub const EXPIRING_DAYS: i64 = 30;
}

/// How many PATs were last used how long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LastUses {
    /// Of each of [`LastUses::DAYS`], those that are in none before it; then those used longer ago.
    pub used: [u64; 5],
    /// Those that were never used.
    pub never: u64,
}

impl LastUses {
    /// Up to how many days ago the uses of each stretch were; there is one more stretch behind the last.
    pub const DAYS: [i64; 4] = [7, 30, 90, 365];
}

/// How many PATs expire in each of the next weeks.
pub type Weeks = [u64; WEEKS];

/// How many weeks are looked ahead.
pub const WEEKS: usize = 26;

/// An owner of PATs that never expire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neverending {
    /// The owner.
    pub owner: IdentityId,
    /// What people read.
    pub display_name: String,
    /// How many of them it has.
    pub count: u64,
}

fn count(row: &Row, column: usize) -> Result<u64> {
    u64::try_from(row.int(column)?).map_err(Error::internal)
}

fn no_row() -> Error {
    Error::internal("an aggregate without a row")
}

impl Store {
    /// The tenant's PATs in numbers, all of the same moment, managed ones among them or not. Of the owners whose PATs
    /// never expire, the `owners` who have the most.
    pub async fn pat_numbers(&self, tenant: TenantKey, managed: bool, owners: u32) -> Result<Numbers> {
        let of = Of { tenant, managed, now: self.clock.now() };
        self.read("pat_numbers", move |tx| {
            Box::pin(async move {
                Ok(Numbers {
                    counts: of.counts(tx).await?,
                    last_uses: of.last_uses(tx).await?,
                    expiries: of.expiries(tx).await?,
                    neverending: of.neverending(tx, owners).await?,
                })
            })
        })
        .await
    }
}

/// What is counted: the PATs of a tenant, managed ones among them or not, as they are now.
///
/// A placeholder that is compared with a number alone is cast: to a server it would have the number's type.
#[derive(Clone, Copy)]
struct Of {
    tenant: TenantKey,
    managed: bool,
    now: Timestamp,
}

const BY_EXPIRY: &str = "SELECT COUNT(*), COUNT(CASE WHEN expires IS NULL OR expires >= $3 THEN 1 END), \
                         COUNT(CASE WHEN expires < $3 THEN 1 END), COUNT(CASE WHEN expires IS NULL THEN 1 END), \
                         COUNT(CASE WHEN expires BETWEEN $3 AND $4 THEN 1 END), \
                         COUNT(CASE WHEN managed = 1 THEN 1 END) \
                         FROM pats WHERE tenant = $1 AND (managed = 0 OR CAST($2 AS BIGINT) = 1)";

const BY_LAST_USE: &str = "SELECT COUNT(CASE WHEN last_used >= $3 THEN 1 END), \
                           COUNT(CASE WHEN last_used < $3 AND last_used >= $4 THEN 1 END), \
                           COUNT(CASE WHEN last_used < $4 AND last_used >= $5 THEN 1 END), \
                           COUNT(CASE WHEN last_used < $5 AND last_used >= $6 THEN 1 END), \
                           COUNT(CASE WHEN last_used < $6 THEN 1 END), \
                           COUNT(CASE WHEN last_used IS NULL THEN 1 END) \
                           FROM pats WHERE tenant = $1 AND (managed = 0 OR CAST($2 AS BIGINT) = 1)";

const BY_WEEK: &str = "SELECT (expires - $3) / $6, COUNT(*) FROM pats WHERE tenant = $1 \
                       AND (managed = 0 OR CAST($2 AS BIGINT) = 1) AND expires >= $4 AND expires < $5 GROUP BY 1";

/// Owners are counted before their names are looked up; so of those who have as many, it is the ids that settle who is
/// among the first.
const NEVERENDING: &str = "SELECT i.id, i.display_name, most.tokens FROM (SELECT owner, COUNT(*) AS tokens FROM pats \
                           WHERE tenant = $1 AND (managed = 0 OR CAST($2 AS BIGINT) = 1) AND expires IS NULL \
                           GROUP BY owner ORDER BY 2 DESC, 1 LIMIT $3) most \
                           JOIN identities i ON i.id = most.owner AND i.tenant = $1 \
                           ORDER BY 3 DESC, i.display_name, i.id";

impl Of {
    /// The first values of each statement.
    fn values(self) -> Vec<Value> {
        vec![self.tenant.into(), self.managed.into()]
    }

    async fn counts(self, tx: &mut Tx) -> Result<Counts> {
        let mut values = self.values();
        values
            .extend([Expiry::first_live(self.now).into(), self.now.plus_days(Counts::EXPIRING_DAYS).into()]);
        let row = tx.query_opt(BY_EXPIRY, &values).await?.ok_or_else(no_row)?;
        let span = |uses, unused_before| Span {
            tenant: self.tenant,
            managed: (false, self.managed),
            uses,
            unused_before,
        };
        let long_ago = self.now.plus_days(-Counts::UNUSED_DAYS).millis();
        Ok(Counts {
            all: count(&row, 0)?,
            live: count(&row, 1)?,
            expired: count(&row, 2)?,
            never_used: span(Span::NEVER, Span::unused(true)).count(tx, u32::MAX).await?,
            unused: span((Span::ALWAYS.0, long_ago - 1), long_ago).count(tx, u32::MAX).await?,
            never_expiring: count(&row, 3)?,
            expiring: count(&row, 4)?,
            managed: count(&row, 5)?,
        })
    }

    async fn last_uses(self, tx: &mut Tx) -> Result<LastUses> {
        let mut values = self.values();
        values.extend(LastUses::DAYS.map(|ago| self.now.plus_days(-ago).into()));
        let row = tx.query_opt(BY_LAST_USE, &values).await?.ok_or_else(no_row)?;
        let mut used = [0; 5];
        for (column, stretch) in used.iter_mut().enumerate() {
            *stretch = count(&row, column)?;
        }
        Ok(LastUses { used, never: count(&row, 5)? })
    }

    async fn expiries(self, tx: &mut Tx) -> Result<Weeks> {
        let weeks = i64::try_from(WEEKS).map_err(Error::internal)?;
        let mut values = self.values();
        values.extend([
            self.now.into(),
            Expiry::first_live(self.now).into(),
            self.now.plus_days(weeks * 7).into(),
            (7 * DAY_MILLIS).into(),
        ]);
        let mut found = [0; WEEKS];
        for row in tx.query(BY_WEEK, &values).await? {
            let week = usize::try_from(row.int(0)?).map_err(Error::internal)?;
            let week = found.get_mut(week).ok_or_else(|| Error::internal("a week too far"))?;
            *week = count(&row, 1)?;
        }
        Ok(found)
    }

    async fn neverending(self, tx: &mut Tx, limit: u32) -> Result<Vec<Neverending>> {
        let mut values = self.values();
        values.push(limit.into());
        let owner = |row: &Row| {
            Ok(Neverending {
                owner: IdentityId::from_bytes(row.fixed(0)?),
                display_name: row.text(1)?.to_owned(),
                count: count(row, 2)?,
            })
        };
        tx.query(NEVERENDING, &values).await?.iter().map(owner).collect()
    }
}

#[cfg(test)]
mod tests;
