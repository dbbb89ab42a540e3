//! The PATs of a tenant in numbers.

use patron_core::id::{IdentityId, TenantKey};
use patron_core::time::Timestamp;
use patron_core::{Error, Result};

use crate::Store;
use crate::driver::{Row, Value};

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

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
    /// Its login name.
    pub login: String,
    /// How many of them it has.
    pub count: u64,
}

fn count(row: &Row, column: usize) -> Result<u64> {
    u64::try_from(row.int(column)?).map_err(Error::internal)
}

fn no_row() -> Error {
    Error::internal("an aggregate without a row")
}

/// `days` before or after `now`, in milliseconds.
fn days(now: Timestamp, days: i64) -> Value {
    (now.millis() + days * DAY).into()
}

/// The first millisecond of an expiry that is not over: a PAT in its last second counts as expired.
fn first_live(now: Timestamp) -> i64 {
    now.millis() + 1_000
}

impl Store {
    /// How many PATs the tenant has of what kind, managed ones among them or not.
    pub async fn pat_counts(&self, tenant: TenantKey, managed: bool) -> Result<Counts> {
        let now = self.clock.now();
        self.db
            .read("pat_counts", move |tx| {
                let sql = "SELECT COUNT(*), COUNT(CASE WHEN expires IS NULL OR expires >= $3 THEN 1 END), \
                           COUNT(CASE WHEN expires < $3 THEN 1 END), COUNT(CASE WHEN last_used IS NULL THEN 1 END), \
                           COUNT(CASE WHEN COALESCE(last_used, created) < $4 THEN 1 END), \
                           COUNT(CASE WHEN expires IS NULL THEN 1 END), \
                           COUNT(CASE WHEN expires BETWEEN $3 AND $5 THEN 1 END), \
                           COUNT(CASE WHEN managed = 1 THEN 1 END) \
                           FROM pats WHERE tenant = $1 AND (managed = 0 OR $2 = 1)";
                let values = [
                    tenant.into(),
                    managed.into(),
                    first_live(now).into(),
                    days(now, -Counts::UNUSED_DAYS),
                    days(now, Counts::EXPIRING_DAYS),
                ];
                Box::pin(async move {
                    let row = tx.query_opt(sql, &values).await?.ok_or_else(no_row)?;
                    Ok(Counts {
                        all: count(&row, 0)?,
                        live: count(&row, 1)?,
                        expired: count(&row, 2)?,
                        never_used: count(&row, 3)?,
                        unused: count(&row, 4)?,
                        never_expiring: count(&row, 5)?,
                        expiring: count(&row, 6)?,
                        managed: count(&row, 7)?,
                    })
                })
            })
            .await
    }

    /// How long ago the tenant's PATs were last used, managed ones among them or not.
    pub async fn pat_last_uses(&self, tenant: TenantKey, managed: bool) -> Result<LastUses> {
        let now = self.clock.now();
        self.db
            .read("pat_last_uses", move |tx| {
                let sql = "SELECT COUNT(CASE WHEN last_used >= $3 THEN 1 END), \
                           COUNT(CASE WHEN last_used < $3 AND last_used >= $4 THEN 1 END), \
                           COUNT(CASE WHEN last_used < $4 AND last_used >= $5 THEN 1 END), \
                           COUNT(CASE WHEN last_used < $5 AND last_used >= $6 THEN 1 END), \
                           COUNT(CASE WHEN last_used < $6 THEN 1 END), \
                           COUNT(CASE WHEN last_used IS NULL THEN 1 END) \
                           FROM pats WHERE tenant = $1 AND (managed = 0 OR $2 = 1)";
                let mut values = vec![tenant.into(), managed.into()];
                values.extend(LastUses::DAYS.map(|ago| days(now, -ago)));
                Box::pin(async move {
                    let row = tx.query_opt(sql, &values).await?.ok_or_else(no_row)?;
                    let mut used = [0; 5];
                    for (column, stretch) in used.iter_mut().enumerate() {
                        *stretch = count(&row, column)?;
                    }
                    Ok(LastUses { used, never: count(&row, 5)? })
                })
            })
            .await
    }

    /// How many of the tenant's PATs that work expire in each of the next [`WEEKS`], counted from now, managed ones
    /// among them or not.
    pub async fn pat_expiries(&self, tenant: TenantKey, managed: bool) -> Result<Weeks> {
        let now = self.clock.now();
        self.db
            .read("pat_expiries", move |tx| {
                let sql = "SELECT (expires - $3) / 604800000, COUNT(*) FROM pats WHERE tenant = $1 \
                           AND (managed = 0 OR $2 = 1) AND expires >= $4 AND expires < $5 GROUP BY 1";
                let weeks = i64::try_from(WEEKS).map_err(Error::internal);
                Box::pin(async move {
                    let values = [
                        tenant.into(),
                        managed.into(),
                        now.into(),
                        first_live(now).into(),
                        days(now, weeks? * 7),
                    ];
                    let mut found = [0; WEEKS];
                    for row in tx.query(sql, &values).await? {
                        let week = usize::try_from(row.int(0)?).map_err(Error::internal)?;
                        let week = found.get_mut(week).ok_or_else(|| Error::internal("a week too far"))?;
                        *week = count(&row, 1)?;
                    }
                    Ok(found)
                })
            })
            .await
    }

    /// The `limit` owners in the tenant who have the most PATs that never expire, managed ones among them or not.
    pub async fn neverending_pats(
        &self,
        tenant: TenantKey,
        managed: bool,
        limit: u32,
    ) -> Result<Vec<Neverending>> {
        self.db
            .read("neverending_pats", move |tx| {
                let sql = "SELECT i.id, i.display_name, i.name, COUNT(*) FROM pats p \
                           JOIN identities i ON i.id = p.owner AND i.tenant = p.tenant WHERE p.tenant = $1 \
                           AND (p.managed = 0 OR $2 = 1) AND p.expires IS NULL \
                           GROUP BY i.id, i.display_name, i.name ORDER BY 4 DESC, i.display_name, i.id LIMIT $3";
                Box::pin(async move {
                    let rows = tx.query(sql, &[tenant.into(), managed.into(), limit.into()]).await?;
                    let owner = |row: &Row| {
                        Ok(Neverending {
                            owner: IdentityId::from_bytes(row.fixed(0)?),
                            display_name: row.text(1)?.to_owned(),
                            login: row.text(2)?.to_owned(),
                            count: count(row, 3)?,
                        })
                    };
                    rows.iter().map(owner).collect()
                })
            })
            .await
    }
}

#[cfg(test)]
mod tests;
