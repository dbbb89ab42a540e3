//! All PATs of a tenant as its administrators look for them: by owner, name, scope, use and expiry, in any order.

use std::collections::HashMap;
use std::sync::Arc;

use patron_core::Result;
use patron_core::id::{IdentityId, PatId, TenantKey};
use patron_core::limits::COUNTED_PATS;
use patron_core::name::could_be_name;
use patron_core::pat::{Expiry, Pat};
use patron_core::rights::Spellings;
use patron_core::scope::is_scope_token;
use patron_core::time::Timestamp;

use super::pat;
use super::used::{Span, by_use, few, in_span, span, walk};
use crate::Store;
use crate::convert;
use crate::driver::{Row, Tx, Value};

/// Which PATs are looked for. Every part narrows the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The tenant.
    pub tenant: TenantKey,
    /// Whether managed PATs are in it.
    pub managed: Managed,
    /// The owner; `None` is everyone.
    pub owner: Option<IdentityId>,
    /// What the PAT's name, or its owner's display or login name, contains in whatever case. A PAT of this id is found
    /// alone. Empty is no condition.
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
    /// When it was last used; those that never were come first.
    LastUsed,
    /// When it expires; one that never does comes last.
    Expires,
}

/// An order of PATs. Those that are alike in it are in the order of their ids; of those last used at once, or never, the
/// older come first.
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
    /// All that match, or [`COUNTED_PATS`] where more do.
    pub total: u64,
    /// Whether more match than were counted.
    pub more: bool,
}

impl Found {
    /// Nothing matches.
    pub const NOTHING: Self = Self { rows: Vec::new(), total: 0, more: false };
}

/// The conditions of a search beside its tenant. A parameter's first place tells a server its type, so a comparison
/// comes before `IS NULL`, and one that is compared with a number alone is cast: it would have the number's. A list of
/// scopes holds its elements in quotes, which no scope contains, with a comma between; `LIKE` would take one scope's
/// small letters for another's capitals.
macro_rules! conditions {
    () => {
        concat!(
            "AND ", in_span!("p."), "AND (p.owner = $7 OR $7 IS NULL) ",
            "AND CASE WHEN p.expires IS NULL THEN CAST($8 AS BIGINT) = 1 ELSE p.expires BETWEEN $9 AND $10 END ",
            "AND ($11 = '' OR STRPOS(p.scope, $11) > 0 OR STRPOS(p.scope, $12) > 0) AND ($13 = '' OR p.id = $14 ",
            "OR STRPOS(FOLD(p.name || '\n' || i.display_name || '\n' || i.name), FOLD($13)) > 0) "
        )
    };
}

/// Where a search looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Among {
    /// Those of the tenant.
    All,
    /// Those of the owner.
    Owned,
    /// Those of the span in which they were last used, which are few.
    Used,
}

/// What each [`Among`] asks for. The `+` is as in [`select_found!`].
macro_rules! among {
    (All) => {
        "WHERE p.tenant = $1 "
    };
    (Owned) => {
        "WHERE p.tenant = $1 AND p.owner = $7 "
    };
    (Used) => {
        concat!("WHERE +p.tenant = $1 AND p.id IN (", span!("id"), ") ")
    };
}

macro_rules! each {
    () => {
        "SELECT 1 FROM pats p JOIN identities i ON i.id = p.owner AND i.tenant = p.tenant "
    };
}

macro_rules! count {
    ($among:ident) => {
        concat!("SELECT COUNT(*) FROM (", each!(), among!($among), conditions!(), "LIMIT $15) found")
    };
}

/// The orders. -62167219200001 is before every time, 253402300800000 after.
macro_rules! order {
    (Created false) => {
        "ORDER BY p.created, p.id "
    };
    (Created true) => {
        "ORDER BY p.created DESC, p.id DESC "
    };
    (Name false) => {
        "ORDER BY FOLD(p.name), p.id "
    };
    (Name true) => {
        "ORDER BY FOLD(p.name) DESC, p.id DESC "
    };
    (Owner false) => {
        "ORDER BY FOLD(i.display_name), i.name, FOLD(p.name), p.id "
    };
    (Owner true) => {
        "ORDER BY FOLD(i.display_name) DESC, i.name DESC, FOLD(p.name) DESC, p.id DESC "
    };
    (LastUsed false) => {
        "ORDER BY p.last_used NULLS FIRST, p.created, p.id "
    };
    (LastUsed true) => {
        "ORDER BY p.last_used DESC NULLS LAST, p.created DESC, p.id DESC "
    };
    (Expires false) => {
        "ORDER BY COALESCE(p.expires, 253402300800000), p.id "
    };
    (Expires true) => {
        "ORDER BY COALESCE(p.expires, 253402300800000) DESC, p.id DESC "
    };
}

macro_rules! pages {
    ($among:ident, $order:expr) => {
        pages!($among, $order, Created Name Owner LastUsed Expires)
    };
    ($among:ident, $order:expr, $($by:ident)*) => {
        match $order {
            $(
                Order { by: Column::$by, descending: false } => page!($among, $by false),
                Order { by: Column::$by, descending: true } => page!($among, $by true),
            )*
        }
    };
}

macro_rules! page {
    ($among:ident, $by:ident $descending:ident) => {
        concat!(select_pat!(), among!($among), conditions!(), order!($by $descending), "LIMIT $15 OFFSET $16")
    };
}

impl Among {
    fn count(self) -> &'static str {
        match self {
            Self::All => count!(All),
            Self::Owned => count!(Owned),
            Self::Used => count!(Used),
        }
    }

    fn page(self, order: Order) -> &'static str {
        match self {
            Self::All => pages!(All, order),
            Self::Owned => pages!(Owned, order),
            Self::Used => pages!(Used, order),
        }
    }
}

/// The page of a search for nothing but a span, in an order that an index has.
fn page_of_span(order: Order, few: bool) -> Option<&'static str> {
    Some(match (order.by, order.descending, few) {
        (Column::Created, false, true) => concat!(select_found!(few!(">", "ASC")), order!(Created false)),
        (Column::Created, true, true) => concat!(select_found!(few!("<", "DESC")), order!(Created true)),
        (Column::Created, false, false) => concat!(select_found!(walk!(">", "ASC")), order!(Created false)),
        (Column::Created, true, false) => concat!(select_found!(walk!("<", "DESC")), order!(Created true)),
        (Column::LastUsed, false, _) => {
            concat!(select_found!(by_use!("ASC", "FIRST")), order!(LastUsed false))
        }
        (Column::LastUsed, true, _) => concat!(select_found!(by_use!("DESC", "LAST")), order!(LastUsed true)),
        (Column::Name | Column::Owner | Column::Expires, ..) => return None,
    })
}

/// The PAT of this id, if the search finds it.
const BY_ID: &str = select_pat!("WHERE +p.tenant = $1 AND p.id = $14 ", conditions!());

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
    fn span(&self) -> Span {
        let (uses, unused_before) = match self.used {
            Used::Any => (Span::ALWAYS, Span::unused(true)),
            Used::Never => (Span::NEVER, Span::unused(true)),
            Used::NotSince(moment) => ((Span::ALWAYS.0, moment.millis() - 1), moment.millis()),
        };
        Span { tenant: self.tenant, managed: self.managed.bounds(), uses, unused_before }
    }

    /// Whether it asks for nothing but a [`Span`].
    fn is_for_span(&self) -> bool {
        self.owner.is_none() && self.text.is_empty() && self.scope.is_none() && self.expires == Expires::Any
    }

    fn values(&self) -> Vec<Value> {
        let (never, first, last) = self.expires.bounds();
        // As `convert::json` writes the element. No list has a blank in it: what is no scope finds nothing.
        let quoted = |text: &str| if is_scope_token(text) { format!("\"{text}\"") } else { " ".to_owned() };
        let (scope, other) = match &self.scope {
            Some(Spellings(one, other)) => (quoted(one), quoted(other)),
            None => Default::default(),
        };
        let mut values = self.span().values();
        values.extend([
            self.owner.into(),
            never.into(),
            first.into(),
            last.into(),
            scope.into(),
            other.into(),
            self.text.as_str().into(),
            PatId::parse(&self.text).into(),
        ]);
        values
    }

    /// The page of a search in the transaction at hand, and how many there are in all; up to `most` are counted.
    async fn page(&self, tx: &mut Tx, most: u32, order: Order, limit: u32, offset: u32) -> Result<Found> {
        let values = self.values();
        if PatId::parse(&self.text).is_some() {
            let rows = tx.query(BY_ID, &values).await?;
            // Whoever has an id looks for its PAT; what is merely named so is looked for where there is none.
            if !rows.is_empty() {
                let shown = usize::from(offset == 0 && limit > 0);
                let rows = rows.iter().take(shown).map(listed).collect::<Result<_>>()?;
                return Ok(Found { rows, total: 1, more: false });
            }
        }
        // One more than are counted tells that there are more.
        let enough = most.saturating_add(1);
        let of_span = self.span().count(tx, enough).await?;
        let few = of_span <= most.into();
        let among = match self.owner {
            Some(_) => Among::Owned,
            None if few => Among::Used,
            None => Among::All,
        };
        let counted = [&values[..], &[enough.into()]].concat();
        let total =
            if self.is_for_span() { of_span } else { convert::counted(tx, among.count(), &counted).await? };
        let of_span = page_of_span(order, few).filter(|_| self.is_for_span());
        let rows = if let Some(sql) = of_span {
            let mut values = self.span().values();
            values.push(limit.into());
            if order.by == Column::Created {
                // What every PAT is behind.
                let (created, id) =
                    if order.descending { (Timestamp::MAX, [0xFF; 16]) } else { (Timestamp::MIN, [0; 16]) };
                values.extend([created.into(), id.as_slice().into()]);
            }
            values.push(offset.into());
            tx.query(sql, &values).await?
        } else {
            let values = [&values[..], &[limit.into(), offset.into()]].concat();
            tx.query(among.page(order), &values).await?
        };
        let rows = rows.iter().map(listed).collect::<Result<_>>()?;
        Ok(Found { rows, total: total.min(most.into()), more: total > most.into() })
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
    /// Up to `limit` of the PATs that `search` is for, from the `offset`th on, and how many there are in all, of which
    /// up to [`COUNTED_PATS`] are counted.
    pub async fn search_pats(&self, search: Search, order: Order, limit: u32, offset: u32) -> Result<Found> {
        self.search_pats_by(COUNTED_PATS, search, order, limit, offset).await
    }

    /// The same; up to `most` are counted.
    async fn search_pats_by(
        &self,
        most: u32,
        search: Search,
        order: Order,
        limit: u32,
        offset: u32,
    ) -> Result<Found> {
        if !could_be_name(&search.text) {
            return Ok(Found::NOTHING);
        }
        let search = Arc::new(search);
        self.read("search_pats", move |tx| {
            let search = Arc::clone(&search);
            Box::pin(async move { search.page(tx, most, order, limit, offset).await })
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
