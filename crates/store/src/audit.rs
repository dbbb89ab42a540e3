//! The audit trail: written in the transaction of the change it tells of, read by administrators.

use std::collections::HashMap;
use std::net::IpAddr;

use patron_core::audit::{Action, Context, Event, Party};
use patron_core::id::{EventId, TenantKey, TrackingId};
use patron_core::time::Timestamp;
use patron_core::{Error, Result};
use serde_json::Value as Json;

use crate::Store;
use crate::convert;
use crate::driver::{Row, Tx};

/// Stamps for the events of one change.
pub(crate) struct Stamp<'a> {
    pub(crate) tenant: TenantKey,
    pub(crate) context: &'a Context,
    pub(crate) now: Timestamp,
}

/// Records an event in the transaction of its change.
pub(crate) async fn record(tx: &mut Tx, store: &Store, stamp: &Stamp<'_>, event: &Event) -> Result<()> {
    let id = EventId::random(&store.entropy);
    let Stamp { tenant, context, now } = stamp;
    let sql = "INSERT INTO audit_events (id, created, tenant, technical_name, actor_kind, actor_id, actor_name, \
               target_kind, target_id, target_name, ip_address, tracking_number, operation, status, attributes) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    let values = [
        id.into(),
        (*now).into(),
        (*tenant).into(),
        event.action.technical_name().into(),
        context.actor.kind.into(),
        context.actor.id.as_str().into(),
        context.actor.name.as_str().into(),
        event.target.kind.into(),
        event.target.id.as_str().into(),
        event.target.name.as_str().into(),
        context.address.map(|address| address.to_string()).into(),
        context.tracking.into(),
        event.action.operation().into(),
        event.action.status().into(),
        Json::Object(event.attributes.clone()).to_string().into(),
    ];
    tx.execute(sql, &values).await?;
    Ok(())
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

/// One attempt to use a PAT that failed, as counted by the service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FailedUse {
    /// The tenant that was asked.
    pub tenant: TenantKey,
    /// The id that was presented, which need not be anybody's, or a word for what is no id.
    pub client_id: String,
    /// Why: `UNKNOWN_CLIENT`, `WRONG_SECRET`, `EXPIRED`, `DELETED`, `OWNER_DISABLED`, …
    pub reason: &'static str,
    /// From where.
    pub address: Option<IpAddr>,
}

/// The page query, narrowed by a condition that its own index serves.
macro_rules! page {
    ($condition:literal) => {
        concat!(
            "SELECT seq, id, created, technical_name, actor_kind, actor_id, actor_name, target_kind, target_id, ",
            "target_name, ip_address, tracking_number, operation, status, attributes FROM audit_events ",
            "WHERE tenant = $1 AND seq < $2 ",
            $condition,
            " ORDER BY seq DESC LIMIT $3"
        )
    };
}

impl Store {
    /// A page of the trail, newest first: up to `limit` events before the event number `before`, at most those of
    /// one actor or one target.
    pub async fn audit_page(
        &self,
        tenant: TenantKey,
        actor: Option<String>,
        target: Option<String>,
        before: i64,
        limit: u32,
    ) -> Result<Vec<Recorded>> {
        let (sql, subject) = match (actor, target) {
            (None, None) => (page!(""), None),
            (Some(actor), _) => (page!("AND actor_id = $4"), Some(actor)),
            (None, Some(target)) => (page!("AND target_id = $4"), Some(target)),
        };
        self.db
            .read("audit_page", move |tx| {
                let mut values = vec![tenant.into(), before.into(), limit.into()];
                values.extend(subject.clone().map(Into::into));
                Box::pin(async move { tx.query(sql, &values).await?.iter().map(recorded).collect() })
            })
            .await
    }

    /// Records failed uses, each with the number of times it was seen since the last call, and sign-ins likewise.
    pub async fn record_failed_uses(
        &self,
        failures: HashMap<FailedUse, u64>,
        tracking: TrackingId,
    ) -> Result<()> {
        let (store, now) = (self.clone(), self.clock.now());
        let failures = std::sync::Arc::new(failures);
        self.db
            .write("record_failed_uses", move |tx| {
                let (store, failures) = (store.clone(), failures.clone());
                Box::pin(async move {
                    for (failure, times) in failures.iter() {
                        let party = Party::other("PERSONAL_ACCESS_TOKEN", failure.client_id.as_str(), "");
                        let actor = party.clone();
                        let context = Context { actor, acting: None, address: failure.address, tracking };
                        let event = Event::new(Action::PatUseFailed, party)
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
