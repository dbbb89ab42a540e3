//! All PATs of a tenant as its administrators look for them: by owner, name, scope, use and expiry, in any order.

use std::collections::HashMap;

use patron_core::Result;
use patron_core::id::{IdentityId, PatId, TenantKey};
use patron_core::name::could_be_name;
use patron_core::pat::{Expiry, Pat};
use patron_core::rights::Spellings;
use patron_core::scope::is_scope_token;
use patron_core::time::Timestamp;

use super::pat;
use crate::Store;
use crate::driver::{Row, Value};

/// Which PATs are looked for. Every part narrows the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The tenant.
    pub tenant: TenantKey,
    /// Whether managed PATs are in it.
    pub managed: Managed,
    /// The owner; `None` is everyone.
    pub owner: Option<IdentityId>,
    /// What the PAT's name, or its owner's display or login name, contains in whatever case; or the PAT's id. Empty is
    /// no condition.
    pub text: String,
    /// A scope that the PAT has, to the letter, in one of these spellings; none is no condition. A scope that is but a
    /// comma finds every PAT of two scopes, too.
    pub scope: Option<Spellings>,
    /// When it was last used.
    pub used: Used,
    /// When it expires.
    pub expires: Expires,
}

/// Whether managed PATs are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Managed {
    /// They are left out.
    Without,
    /// They are among the others.
    With,
    /// They alone.
    Only,
}

/// When a PAT was last used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    /// At any time, or never.
    Any,
    /// Never.
    Never,
    /// Before this moment, and not since; one that was never used counts from its creation.
    NotSince(Timestamp),
}

/// When a PAT expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expires {
    /// At any time, or never.
    Any,
    /// Never.
    Never,
    /// It works at `now`.
    Live {
        /// The present.
        now: Timestamp,
    },
    /// It works at `now`, and no longer at the end of `until`.
    Within {
        /// The present.
        now: Timestamp,
        /// The last moment.
        until: Timestamp,
    },
    /// It no longer works at `now`.
    Expired {
        /// The present.
        now: Timestamp,
    },
}

/// What PATs are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// When it was made.
    Created,
    /// Its name, capital and small letters alike.
    Name,
    /// Its owner's display name, capital and small letters alike; then the owner's login name and its own name.
    Owner,
    /// When it was last used; one that never was comes first.
    LastUsed,
    /// When it expires; one that never does comes last.
    Expires,
}

/// An order of PATs. Those that are alike in it are in the order of their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: Column,
    /// Whether it is turned round.
    pub descending: bool,
}

/// A PAT with what administrators see of its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The PAT, with its owner's display name.
    pub pat: Pat,
    /// The owner's login name.
    pub owner_login: String,
    /// Whether the owner's credentials work.
    pub owner_enabled: bool,
}

/// Some of the PATs that were looked for, and how many there are in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Those that the page holds.
    pub rows: Vec<Listed>,
    /// All that match.
    pub total: u64,
}

/// The conditions of a search beside its tenant. A parameter's first place tells a server its type, so a comparison
/// comes before `IS NULL`, and one that is compared with a number alone is cast: it would have the number's. A list of
/// scopes holds its elements in quotes, which no scope contains, with a comma between; `LIKE` would take one scope's
/// small letters for another's capitals.
macro_rules! conditions {
    () => {
        concat!(
            "AND p.managed BETWEEN $2 AND $3 AND (p.owner = $4 OR $4 IS NULL) ",
            "AND (p.last_used IS NULL OR CAST($5 AS BIGINT) = 0) AND COALESCE(p.last_used, p.created) < $6 ",
            "AND CASE WHEN p.expires IS NULL THEN CAST($7 AS BIGINT) = 1 ELSE p.expires BETWEEN $8 AND $9 END ",
            "AND ($10 = '' OR STRPOS(p.scope, $10) > 0 OR STRPOS(p.scope, $11) > 0) AND ($12 = '' OR p.id = $13 ",
            "OR STRPOS(FOLD(p.name || '\n' || i.display_name || '\n' || i.name), FOLD($12)) > 0) "
        )
    };
}

macro_rules! page {
    ($order:literal) => {
        concat!(select_pat!("WHERE p.tenant = $1 "), conditions!(), $order, " LIMIT $14 OFFSET $15")
    };
}

const COUNT: &str = concat!(
    "SELECT COUNT(*) FROM pats p JOIN identities i ON i.id = p.owner AND i.tenant = p.tenant WHERE p.tenant = $1 ",
    conditions!()
);

impl Order {
    /// The page query. -62167219200001 is before every time, 253402300800000 after.
    fn page(self) -> &'static str {
        match (self.by, self.descending) {
            (Column::Created, false) => page!("ORDER BY p.created, p.id"),
            (Column::Created, true) => page!("ORDER BY p.created DESC, p.id DESC"),
            (Column::Name, false) => page!("ORDER BY FOLD(p.name), p.id"),
            (Column::Name, true) => page!("ORDER BY FOLD(p.name) DESC, p.id DESC"),
            (Column::Owner, false) => page!("ORDER BY FOLD(i.display_name), i.name, FOLD(p.name), p.id"),
            (Column::Owner, true) => {
                page!("ORDER BY FOLD(i.display_name) DESC, i.name DESC, FOLD(p.name) DESC, p.id DESC")
            }
            (Column::LastUsed, false) => page!("ORDER BY COALESCE(p.last_used, -62167219200001), p.id"),
            (Column::LastUsed, true) => {
                page!("ORDER BY COALESCE(p.last_used, -62167219200001) DESC, p.id DESC")
            }
            (Column::Expires, false) => page!("ORDER BY COALESCE(p.expires, 253402300800000), p.id"),
            (Column::Expires, true) => page!("ORDER BY COALESCE(p.expires, 253402300800000) DESC, p.id DESC"),
        }
    }
}

impl Managed {
    /// The lowest and the highest flag that is in.
    fn bounds(self) -> (bool, bool) {
        match self {
            Self::Without => (false, false),
            Self::With => (false, true),
            Self::Only => (true, true),
        }
    }
}

/// Milliseconds: before it lies every time that can be written.
const BEYOND: i64 = Timestamp::MAX.millis() + 1;

impl Expires {
    /// Whether what never expires is in, and the first and the last millisecond of expiries that are.
    fn bounds(self) -> (bool, i64, i64) {
        let first_live = |now: Timestamp| Expiry::first_live(now).millis();
        let (first, last) = (Timestamp::MIN.millis(), Timestamp::MAX.millis());
        match self {
            Self::Any => (true, first, last),
            Self::Never => (true, last, first),
            Self::Live { now } => (true, first_live(now), last),
            Self::Within { now, until } => (false, first_live(now), until.millis()),
            Self::Expired { now } => (false, first, first_live(now) - 1),
        }
    }
}

impl Search {
    fn values(&self) -> Vec<Value> {
        let (lowest, highest) = self.managed.bounds();
        let before = if let Used::NotSince(moment) = self.used { moment.millis() } else { BEYOND };
        let (never, first, last) = self.expires.bounds();
        // As `convert::json` writes the element. No list has a blank in it: what is no scope finds nothing.
        let quoted = |text: &str| if is_scope_token(text) { format!("\"{text}\"") } else { " ".to_owned() };
        let (scope, other) = match &self.scope {
            Some(Spellings(one, other)) => (quoted(one), quoted(other)),
            None => Default::default(),
        };
        vec![
            self.tenant.into(),
            lowest.into(),
            highest.into(),
            self.owner.into(),
            (self.used == Used::Never).into(),
            before.into(),
            never.into(),
            first.into(),
            last.into(),
            scope.into(),
            other.into(),
            self.text.as_str().into(),
            PatId::parse(&self.text).into(),
        ]
    }
}

fn listed(row: &Row) -> Result<Listed> {
    Ok(Listed { pat: pat(row)?, owner_login: row.text(13)?.to_owned(), owner_enabled: row.flag(14)? })
}

/// Ids that [`BY_IDS`] takes; fewer are filled up with nulls, which equal nothing.
const IDS_AT_ONCE: usize = 50;

/// The `+` keeps SQLite from reading the tenant's every PAT by an index of that column.
const BY_IDS: &str = select_pat!(
    "WHERE +p.tenant = $1 AND p.id IN (",
    "$2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, ",
    "$19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, ",
    "$36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51)"
);

impl Store {
    /// Up to `limit` of the PATs that `search` is for, from the `offset`th on, and how many there are in all.
    pub async fn search_pats(&self, search: Search, order: Order, limit: u32, offset: u32) -> Result<Found> {
        if !could_be_name(&search.text) {
            return Ok(Found { rows: Vec::new(), total: 0 });
        }
        self.read("search_pats", move |tx| {
            let mut values = search.values();
            Box::pin(async move {
                let total = tx.query_opt(COUNT, &values).await?.map_or(Ok(0), |row| row.int(0))?;
                values.extend([limit.into(), offset.into()]);
                let rows = tx.query(order.page(), &values).await?;
                let rows = rows.iter().map(listed).collect::<Result<_>>()?;
                Ok(Found { rows, total: u64::try_from(total).map_err(patron_core::Error::internal)? })
            })
        })
        .await
    }

    /// The PATs of these ids in the tenant, in the order given and each once; ids that are nobody's are left out.
    pub async fn listed_pats(&self, tenant: TenantKey, ids: Vec<PatId>) -> Result<Vec<Listed>> {
        self.read("listed_pats", move |tx| {
            let ids = ids.clone();
            Box::pin(async move {
                let mut found = HashMap::with_capacity(ids.len());
                for part in ids.chunks(IDS_AT_ONCE) {
                    let mut values = vec![tenant.into()];
                    values.extend(part.iter().map(|id| Value::from(*id)));
                    values.resize(1 + IDS_AT_ONCE, Value::Null);
                    for row in tx.query(BY_IDS, &values).await? {
                        let listed = listed(&row)?;
                        found.insert(listed.pat.id, listed);
                    }
                }
                Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests;
