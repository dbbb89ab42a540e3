//! What the list of all tokens is filtered and sorted by, as its form and its links have it.

use patron_core::Result;
use patron_core::id::IdentityId;
use patron_core::time::Timestamp;
use patron_store::pats::numbers::Counts;
use patron_store::pats::search::{Column, Expires, Managed, Order, Search, Used};

use crate::actor::Actor;
use crate::limits::FILTER_DAYS;
use crate::web::columns::way;
use crate::web::{Form, pager};

/// The fields of the form. Each is empty where it narrows nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    /// What the token's name or its owner's contains, or a Client ID.
    pub(super) text: String,
    /// The owner's login name or id.
    pub(super) owner: String,
    pub(super) scope: String,
    /// `never`, `unused`.
    pub(super) used: String,
    /// For `unused`: for how many days.
    pub(super) unused_days: String,
    /// `never`, `within`, `live`, `expired`.
    pub(super) expires: String,
    /// For `within`: how many days.
    pub(super) within_days: String,
    /// `only`, `without`.
    pub(super) managed: String,
    /// Of [`COLUMNS`].
    pub(super) sort: String,
    /// `desc`, or nothing.
    pub(super) direction: String,
}

/// The columns that the list can be sorted by; the ids of their texts are `column-` and these.
pub(super) const COLUMNS: &[(&str, Column)] = &[
    ("name", Column::Name),
    ("owner", Column::Owner),
    ("created", Column::Created),
    ("used", Column::LastUsed),
    ("expires", Column::Expires),
];

impl Filter {
    /// Reads a query or what was posted. What it does not know, and a number of days that is none, is as if not given.
    pub(super) fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).trim().to_owned();
        let one_of = |name: &str, known: &[&str]| {
            known.iter().find(|known| **known == text(name)).copied().unwrap_or_default().to_owned()
        };
        let days = |name: &str, otherwise: i64| {
            let given = text(name).parse().ok().filter(|days| (1..=FILTER_DAYS).contains(days));
            given.unwrap_or(otherwise).to_string()
        };
        let columns: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
        Self {
            text: text("q"),
            owner: text("owner"),
            scope: text("scope"),
            used: one_of("use", &["never", "unused"]),
            unused_days: days("unused", Counts::UNUSED_DAYS),
            expires: one_of("expiry", &["never", "within", "live", "expired"]),
            within_days: days("within", Counts::EXPIRING_DAYS),
            managed: one_of("managed", &["only", "without"]),
            sort: one_of("sort", &columns),
            direction: one_of("dir", &["desc"]),
        }
    }

    /// Whether it narrows nothing.
    pub(super) fn is_empty(&self) -> bool {
        [&self.text, &self.owner, &self.scope, &self.used, &self.expires, &self.managed]
            .iter()
            .all(|field| field.is_empty())
    }

    /// Its fields as a link or a form has them, without the order.
    fn conditions(&self) -> [(&'static str, &str); 8] {
        let days = |on: bool, days| if on { days } else { "" };
        [
            ("q", &self.text),
            ("owner", &self.owner),
            ("scope", &self.scope),
            ("use", &self.used),
            ("unused", days(self.used == "unused", &self.unused_days)),
            ("expiry", &self.expires),
            ("within", days(self.expires == "within", &self.within_days)),
            ("managed", &self.managed),
        ]
    }

    /// All its fields as a link or a form has them; some are empty.
    pub(super) fn pairs(&self) -> Vec<(&'static str, &str)> {
        let mut pairs = self.conditions().to_vec();
        pairs.extend([("sort", self.sort.as_str()), ("dir", self.direction.as_str())]);
        pairs
    }

    /// The query of a link to the list as it is filtered and sorted.
    pub(super) fn link(&self) -> String {
        pager::query(&self.pairs())
    }

    /// The query of a link that sorts it by a column, or turns it round where it is sorted by that already.
    pub(super) fn link_sorted_by(&self, column: &str) -> String {
        let turn = if self.sort == column && !self.is_descending() { "desc" } else { "" };
        pager::query(&[&self.conditions()[..], &[("sort", column), ("dir", turn)]].concat())
    }

    fn is_descending(&self) -> bool {
        !self.direction.is_empty()
    }

    /// The value of `aria-sort` of a column; `None` where the list is not sorted by it.
    pub(super) fn sorted(&self, column: &str) -> Option<&'static str> {
        (self.sort == column).then_some(way(self.is_descending()))
    }

    /// The order; oldest first where none was asked for, as the API lists them.
    pub(super) fn order(&self) -> Order {
        let by = COLUMNS.iter().find(|(name, _)| *name == self.sort).map_or(Column::Created, |(_, by)| *by);
        Order { by, descending: self.is_descending() }
    }

    /// What the filter means now; `None` when it names an owner who is nobody, which is not for
    /// all to know ([`Actor::sees_identities`]).
    pub(super) async fn search(&self, actor: &Actor) -> Result<Option<Search>> {
        let owner = match self.owner.as_str() {
            "" => None,
            owner => match actor.owner_named(owner).await? {
                Some(owner) => Some(owner),
                None => return Ok(None),
            },
        };
        Ok(Some(self.search_of(actor, owner)))
    }

    fn search_of(&self, actor: &Actor, owner: Option<IdentityId>) -> Search {
        let now = actor.app.clock.now();
        let away = |days: &str, way: i64| -> Timestamp {
            // Read before, so it is a number.
            now.plus_days(way * days.parse::<i64>().unwrap_or_default())
        };
        let scope = Some(&self.scope).filter(|scope| !scope.is_empty());
        Search {
            tenant: actor.tenant,
            managed: match self.managed.as_str() {
                "only" => Managed::Only,
                "without" => Managed::Without,
                _ => Managed::With,
            },
            owner,
            text: self.text.clone(),
            scope: scope.map(|scope| actor.app.catalogue.spellings(scope)),
            used: match self.used.as_str() {
                "never" => Used::Never,
                "unused" => Used::NotSince(away(&self.unused_days, -1)),
                _ => Used::Any,
            },
            expires: match self.expires.as_str() {
                "never" => Expires::Never,
                "within" => Expires::Within { now, until: away(&self.within_days, 1) },
                "live" => Expires::Live { now },
                "expired" => Expires::Expired { now },
                _ => Expires::Any,
            },
        }
    }
}
