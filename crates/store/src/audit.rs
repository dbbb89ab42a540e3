//! The audit trail: written in the transaction of the change it tells of, read by administrators.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use patron_core::audit::{Action, Context, Event, Party};
use patron_core::id::{EventId, TenantKey, TrackingId};
use patron_core::time::Timestamp;
use patron_core::{Error, Result};
use serde_json::Value as Json;

use crate::Store;
use crate::convert;
use crate::driver::{Row, Tx};
use crate::insert::Insert;

/// Where an event belongs, whose request it is of, and when it happened.
#[derive(Clone, Copy)]
pub(crate) struct Stamp<'a> {
    pub(crate) tenant: TenantKey,
    pub(crate) context: &'a Context,
    pub(crate) now: Timestamp,
}

static EVENTS: LazyLock<Insert> = LazyLock::new(|| {
    let columns = "created, actor_kind, actor_id, actor_name, ip_address, tracking_number, \
                   id, tenant, technical_name, target_kind, target_id, target_name, operation, status, attributes";
    Insert::new(&format!("audit_events ({columns})"), 0, "")
});

/// Records an event in the transaction of its change.
pub(crate) async fn record(tx: &mut Tx, store: &Store, stamp: &Stamp<'_>, event: &Event) -> Result<()> {
    record_all(tx, store, [(*stamp, event)]).await
}

/// The same for many.
pub(crate) async fn record_all<'a>(
    tx: &mut Tx,
    store: &Store,
    events: impl IntoIterator<Item = (Stamp<'a>, &'a Event)>,
) -> Result<()> {
    let values = |(Stamp { tenant, context, now }, event): (Stamp<'a>, &Event)| {
        vec![
            now.into(),
            context.actor.kind.into(),
            context.actor.id.as_str().into(),
            context.actor.name.as_str().into(),
            context.address.map(|address| address.to_string()).into(),
            context.tracking.into(),
            EventId::random(&store.entropy).into(),
            tenant.into(),
            event.action.technical_name().into(),
            event.target.kind.into(),
            event.target.id.as_str().into(),
            event.target.name.as_str().into(),
            event.action.operation().into(),
            event.action.status().into(),
            Json::Object(event.attributes.clone()).to_string().into(),
        ]
    };
    let rows: Vec<_> = events.into_iter().map(values).collect();
    EVENTS.write(tx, &[], &rows).await
}

/// An event of the trail.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its place in the order of commits.
    pub seq: i64,
    /// Its id.
    pub id: EventId,
    /// When it happened.
    pub created: Timestamp,
    /// `technicalName`.
    pub technical_name: String,
    /// Who: kind, id and name.
    pub actor: [String; 3],
    /// What: kind, id and name.
    pub target: [String; 3],
    /// From where.
    pub ip_address: Option<String>,
    /// In which request.
    pub tracking_number: TrackingId,
    /// The verb.
    pub operation: String,
    /// How it ended.
    pub status: String,
    /// What else.
    pub attributes: Json,
}

/// Where an event stands in the trail. Pages are newest first and go on behind a place, which stays where it is when
/// events are recorded meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When the event happened.
    pub created: Timestamp,
    /// See [`Recorded::seq`].
    pub seq: i64,
}

impl Recorded {
    /// Its place.
    pub fn place(&self) -> Place {
        Place { created: self.created, seq: self.seq }
    }
}

fn recorded(row: &Row) -> Result<Recorded> {
    let party = |first: usize| -> Result<[String; 3]> {
        Ok([row.text(first)?.to_owned(), row.text(first + 1)?.to_owned(), row.text(first + 2)?.to_owned()])
    };
    Ok(Recorded {
        seq: row.int(0)?,
        id: EventId::from_bytes(row.fixed(1)?),
        created: convert::time(row, 2)?,
        technical_name: row.text(3)?.to_owned(),
        actor: party(4)?,
        target: party(7)?,
        ip_address: row.opt_text(10)?.map(str::to_owned),
        tracking_number: TrackingId::from_bytes(row.fixed(11)?),
        operation: row.text(12)?.to_owned(),
        status: row.text(13)?.to_owned(),
        attributes: serde_json::from_str(row.text(14)?)
            .map_err(|_| Error::internal("column 14 holds no JSON"))?,
    })
}

/// One attempt to use a PAT or to sign in that failed, as counted by the service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Failure {
    /// The tenant that was asked.
    pub tenant: TenantKey,
    /// What was tried.
    pub action: Action,
    /// Whose credential it was to be: an id that was presented, which need not be anybody's, or a word for what is
    /// none.
    pub target: Party,
    /// Why: `UNKNOWN_CLIENT`, `WRONG_SECRET`, `EXPIRED`, `DELETED`, `OWNER_DISABLED`, `WRONG_PASSWORD`, …
    pub reason: &'static str,
    /// From where.
    pub address: Option<IpAddr>,
}

/// The page query, narrowed by a condition that its own index serves. It is by time and not by `seq`: a use is
/// recorded a little later than it happened. Not with a row comparison: SQLite then takes the first index for all.
macro_rules! page {
    ($condition:literal) => {
        concat!(
            "SELECT seq, id, created, technical_name, actor_kind, actor_id, actor_name, target_kind, target_id, ",
            "target_name, ip_address, tracking_number, operation, status, attributes FROM audit_events ",
            "WHERE tenant = $1 AND created BETWEEN $4 AND $2 AND (created < $2 OR seq < $3) ",
            $condition,
            " ORDER BY created DESC, seq DESC LIMIT $5"
        )
    };
}

/// Which events are read: a stretch of time, and perhaps what an index finds in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The tenant.
    pub tenant: TenantKey,
    /// When they happened, in milliseconds since 1970.
    pub created: RangeInclusive<i64>,
    /// What they have in common; `None` is nothing.
    pub common: Option<Common>,
}

/// What events may have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Common {
    /// The actor's id.
    Actor(String),
    /// The target's id.
    Target(String),
    /// The technical name.
    TechnicalName(String),
}

impl Selection {
    /// All events of a tenant.
    pub fn everything(tenant: TenantKey) -> Self {
        let created = Timestamp::MIN.millis()..=Timestamp::MAX.millis();
        Self { tenant, created, common: None }
    }

    fn page(&self) -> &'static str {
        match self.common {
            None => page!(""),
            Some(Common::Actor(_)) => page!("AND actor_id = $6"),
            Some(Common::Target(_)) => page!("AND target_id = $6"),
            Some(Common::TechnicalName(_)) => page!("AND technical_name = $6"),
        }
    }
}

impl Store {
    /// A page of the trail, newest first by when it happened: up to `limit` events of a selection, behind the place
    /// where a page before ended.
    pub async fn audit_page(
        &self,
        selection: Selection,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Vec<Recorded>> {
        // A place may come from an address that somebody wrote: what is later than the selection is not in it.
        let end = *selection.created.end();
        let (created, seq) = match after {
            Some(Place { created, seq }) if created.millis() <= end => (created.millis(), seq),
            _ => (end, i64::MAX),
        };
        self.read("audit_page", move |tx| {
            let sql = selection.page();
            let mut values = vec![
                selection.tenant.into(),
                created.into(),
                seq.into(),
                (*selection.created.start()).into(),
                limit.into(),
            ];
            values.extend(selection.common.clone().map(|common| match common {
                Common::Actor(text) | Common::Target(text) | Common::TechnicalName(text) => text.into(),
            }));
            Box::pin(async move { tx.query(sql, &values).await?.iter().map(recorded).collect() })
        })
        .await
    }

    /// Records failures, each with the number of times it was seen since the last call.
    pub async fn record_failures(&self, failures: HashMap<Failure, u64>, tracking: TrackingId) -> Result<()> {
        let (store, now) = (self.clone(), self.clock.now());
        let failures = std::sync::Arc::new(failures);
        self.write("record_failures", move |tx| {
            let (store, failures) = (store.clone(), failures.clone());
            Box::pin(async move {
                for (failure, times) in failures.iter() {
                    // A PAT stands for whoever presents it; a login name that is typed for nobody yet.
                    let actor = match failure.action {
                        Action::SignInFailed => Party::other("UNKNOWN", "unknown", ""),
                        _ => failure.target.clone(),
                    };
                    let context = Context { actor, acting: None, address: failure.address, tracking };
                    let event = Event::new(failure.action, failure.target.clone())
                        .with("reason", failure.reason)
                        .with("count", *times);
                    let stamp = Stamp { tenant: failure.tenant, context: &context, now };
                    record(tx, &store, &stamp, &event).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, operator};

    /// Records a use of a PAT that happened this many seconds from now.
    async fn used(fixture: &Fixture, pat: &'static str, seconds: i64) {
        let (store, tenant) = (fixture.store.clone(), fixture.tenant);
        let now = store.clock.now().plus_seconds(seconds);
        let write = fixture.store.db.write("used", move |tx| {
            let store = store.clone();
            Box::pin(async move {
                let event = Event::new(Action::PatUsed, Party::other("PERSONAL_ACCESS_TOKEN", pat, ""));
                record(tx, &store, &Stamp { tenant, context: &operator(), now }, &event).await
            })
        });
        write.await.unwrap();
    }

    /// The targets on the pages of this size, put together.
    async fn targets(fixture: &Fixture, selection: &Selection, limit: u32) -> Vec<String> {
        let mut all: Vec<Recorded> = Vec::new();
        loop {
            let page = fixture
                .store
                .audit_page(selection.clone(), all.last().map(Recorded::place), limit)
                .await
                .unwrap();
            let full = page.len() == limit as usize;
            all.extend(page);
            if !full {
                return all.into_iter().map(|event| event.target[1].clone()).collect();
            }
        }
    }

    #[tokio::test]
    async fn pages_are_by_the_time_of_what_happened() {
        let fixture = Fixture::new().await;
        for (pat, seconds) in [("a", 5), ("b", 9), ("late", 7), ("b", 9), ("c", 9), ("first", 1)] {
            used(&fixture, pat, seconds).await;
        }
        let now = fixture.store.clock.now();
        let at = |seconds: i64| now.plus_seconds(seconds).millis();
        let all = Selection::everything(fixture.tenant);
        let uses = Selection {
            common: Some(Common::TechnicalName(Action::PatUsed.technical_name().to_owned())),
            ..all.clone()
        };
        let between = |from: i64, to: i64| Selection { created: at(from)..=at(to), ..all.clone() };
        let of = |pat: &str| Selection { common: Some(Common::Target(pat.to_owned())), ..all.clone() };
        let by = |actor: &str| Selection {
            common: Some(Common::Actor(actor.to_owned())),
            created: at(1)..=at(8),
            ..all.clone()
        };
        let elsewhere = Selection::everything(TenantKey(fixture.tenant.0 + 1));
        for limit in [1, 2, 100] {
            for (selection, expected) in [
                (&uses, &["c", "b", "b", "late", "a", "first"][..]),
                (&between(1, 9), &["c", "b", "b", "late", "a", "first"]),
                (&between(5, 7), &["late", "a"]),
                (&between(6, 6), &[]),
                (&of("b"), &["b", "b"]),
                (&of("d"), &[]),
                (&by("patron-admin"), &["late", "a", "first"]),
                (&by("b"), &[]),
                (&elsewhere, &[]),
            ] {
                assert_eq!(targets(&fixture, selection, limit).await, expected, "{selection:?}");
            }
        }
        assert_eq!(targets(&fixture, &all, 2).await.len(), 7, "with the tenant's own making");
    }

    /// The statement for a page of all events, or of those that have something in common.
    fn page(of: Option<fn(String) -> Common>) -> &'static str {
        let common = of.map(|of| of(String::new()));
        Selection { common, ..Selection::everything(TenantKey(1)) }.page()
    }

    mod sqlite {
        use patron_testing::Engine;

        use super::*;

        #[tokio::test]
        async fn a_page_is_read_by_an_index_in_its_order() {
            let fixture = Fixture::on(Engine::Sqlite).await;
            for (sql, index, equal) in [
                (page(None), "audit_events_listed", "tenant=?"),
                (page(Some(Common::Actor)), "audit_events_by_actor", "tenant=? AND actor_id=?"),
                (page(Some(Common::Target)), "audit_events_by_target", "tenant=? AND target_id=?"),
                (page(Some(Common::TechnicalName)), "audit_events_by_name", "tenant=? AND technical_name=?"),
            ] {
                let range = "created>? AND created<?";
                let search = format!("SEARCH audit_events USING INDEX {index} ({equal} AND {range})");
                assert_eq!(fixture.plan(sql), [search], "nothing is sorted, and both bounds are the index's");
            }
        }
    }

    mod postgres {
        use patron_testing::Engine;

        use super::*;

        #[tokio::test]
        async fn a_page_is_read_by_an_index_in_its_order() {
            let fixture = Fixture::on(Engine::Postgres).await;
            for (sql, index, equal) in [
                (page(None), "audit_events_listed", "(tenant = $"),
                (page(Some(Common::Actor)), "audit_events_by_actor", "AND (actor_id = $"),
                (page(Some(Common::Target)), "audit_events_by_target", "AND (target_id = $"),
                (page(Some(Common::TechnicalName)), "audit_events_by_name", "AND (technical_name = $"),
            ] {
                let plan = fixture.plan(sql);
                let scan = format!("->  Index Scan Backward using {index} on audit_events");
                assert_eq!(plan[1], scan, "nothing is sorted");
                for bound in [equal, "AND (created >", "AND (created <"] {
                    assert!(plan[2].starts_with("Index Cond: ") && plan[2].contains(bound), "{plan:?}");
                }
            }
        }
    }
}
