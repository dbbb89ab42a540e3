//! PATs: change, deletion, look-up by id, and the record of their use.
//!
//! They are made in [`create`]. Lists are in [`list`]; what administrators see of all of them in [`search`] and [`numbers`], what they do to many at
//! once in [`many`].

use std::collections::HashSet;
use std::sync::Arc;

use patron_core::access;
use patron_core::audit::{Action, Context, Event, Party};
use patron_core::error::Detail;
use patron_core::id::{IdentityId, PatId, TenantKey, TrackingId};
use patron_core::limits::{REVOCATION_KEPT_SECONDS, TOMBSTONE_SECONDS};
use patron_core::pat::{Expiry, Pat, Validity, moves_last_used};
use patron_core::scope::ScopeList;
use patron_core::time::Timestamp;
use patron_core::{Error, Result};
use serde_json::Value as Json;

use crate::Store;
use crate::acting::{self, Subjects};
use crate::audit::{self, Stamp};
use crate::changes::{self, Change};
use crate::convert::{self, json};
use crate::driver::{Hold, Query, Row, Tx, Value};
use crate::hits;
use crate::sessions::{self, SessionLimits};

/// The columns of [`pat`], in its order; then those of [`search::Listed`].
macro_rules! select_pat {
    ($($rest:expr),*) => {
        concat!(
            "SELECT p.tenant, p.id, p.owner, i.display_name, p.name, p.scope, p.created, p.last_used, p.managed, ",
            "p.validity, p.expires, p.user_aware, p.secret_hash, i.name, i.enabled FROM pats p ",
            "JOIN identities i ON i.id = p.owner AND i.tenant = p.tenant ",
            $($rest),*
        )
    };
}

/// The same of the tenant's PATs whose ids a statement finds, in whatever order. The `+` keeps SQLite from reading the
/// tenant's every PAT by an index of that column.
macro_rules! select_found {
    ($ids:expr) => {
        concat!(select_pat!("WHERE +p.tenant = $1 AND p.id IN ("), $ids, ") ")
    };
}

mod create;
mod credential;
mod list;
pub mod many;
pub mod numbers;
pub mod search;
mod used;

pub use create::Creation;
pub(crate) use create::{CREATIONS, Creations, insert};
pub use credential::Credential;
pub(crate) use credential::{LOOK_UPS, LookUps};
pub use list::Selection;

fn pat(row: &Row) -> Result<Pat> {
    Ok(Pat {
        tenant: TenantKey(row.int(0)?),
        id: PatId::from_bytes(row.fixed(1)?),
        owner: IdentityId::from_bytes(row.fixed(2)?),
        owner_name: row.text(3)?.to_owned(),
        name: row.text(4)?.to_owned(),
        scope: ScopeList::from_kept(convert::list(row, 5)?),
        created: convert::time(row, 6)?,
        last_used: convert::opt_time(row, 7)?,
        managed: row.flag(8)?,
        validity: Validity::from_seconds(row.int(9)?).map_err(Error::internal)?,
        expiry: Expiry::from_date(convert::opt_time(row, 10)?),
        user_aware_token_never_expires: row.flag(11)?,
    })
}

/// A use of a PAT that moves its `lastUsed`, or that is to be recorded in any case.
#[derive(Debug, Clone)]
pub struct Use {
    /// The PAT's tenant.
    pub tenant: TenantKey,
    /// The PAT.
    pub pat: PatId,
    /// When.
    pub at: Timestamp,
    /// Who, from where, in which request.
    pub context: Context,
    /// Whether it is recorded even when it does not move `lastUsed`: the setting `audit.every_use`.
    pub always: bool,
}

/// Uses that one transaction records: each costs a server three round trips, and a transaction may take seconds.
const USES_AT_ONCE: usize = 100;
/// How many rows that nobody needs are deleted in one transaction.
const PURGED_AT_ONCE: u32 = 10_000;
/// How many such transactions there are of a kind before something else is done.
const PURGED_PARTS: usize = 10;

/// Decides, inside the transaction, what becomes of a PAT as it is then.
pub type Decision<T> = Arc<dyn Fn(&Pat) -> Result<T> + Send + Sync>;

impl Store {
    /// The PAT of this id in the tenant.
    pub async fn pat(&self, tenant: TenantKey, id: PatId) -> Result<Option<Pat>> {
        self.read("pat", move |tx| Box::pin(async move { find(tx, tenant, id).await })).await
    }

    /// Changes a PAT to what `decide` makes of it.
    ///
    /// # Errors
    /// What `decide` answers; not found when the tenant has no such PAT; [`Detail::Conflict`] when the new name is
    /// taken.
    pub async fn patch_pat(
        &self,
        context: Context,
        tenant: TenantKey,
        id: PatId,
        decide: Decision<Pat>,
    ) -> Result<Pat> {
        let about = Subjects::pats(tenant, &[id]);
        self.change("patch_pat", context, about, move |tx, store, context| {
            let decide = Arc::clone(&decide);
            Box::pin(async move {
                let old = find(tx, tenant, id).await?.ok_or_else(access::no_such_pat)?;
                let new = decide(&old)?;
                update(tx, &store, &context, &old, &new).await?;
                Ok(new)
            })
        })
        .await
    }

    /// Changes many PATs, all or none, and answers them in the order of their ids.
    ///
    /// # Errors
    /// [`Detail::ReferenceNotFound`] when one is not there, or `decide` answers `None` for it; what `decide`
    /// answers.
    pub async fn bulk_update_pats(
        &self,
        context: Context,
        tenant: TenantKey,
        mut ids: Vec<PatId>,
        decide: Decision<Option<Pat>>,
    ) -> Result<Vec<Pat>> {
        ids.sort_unstable();
        let about = Subjects::pats(tenant, &ids);
        self.change("bulk_update_pats", context, about, move |tx, store, context| {
            let (ids, decide) = (ids.clone(), Arc::clone(&decide));
            Box::pin(async move {
                let mut changed = Vec::with_capacity(ids.len());
                for id in ids {
                    let missing = || {
                        let text = format!("There is no personal access token '{id}'.");
                        Error::invalid(Detail::ReferenceNotFound, text)
                    };
                    let old = find(tx, tenant, id).await?.ok_or_else(missing)?;
                    let new = decide(&old)?.ok_or_else(missing)?;
                    update(tx, &store, &context, &old, &new).await?;
                    changed.push(new);
                }
                Ok(changed)
            })
        })
        .await
    }

    /// Deletes a PAT that `decide` lets go.
    ///
    /// # Errors
    /// What `decide` answers; not found when the tenant has no such PAT.
    pub async fn delete_pat(
        &self,
        context: Context,
        tenant: TenantKey,
        id: PatId,
        decide: Decision<()>,
    ) -> Result<()> {
        let about = Subjects::pats(tenant, &[id]);
        self.change("delete_pat", context, about, move |tx, store, context| {
            let decide = Arc::clone(&decide);
            Box::pin(async move {
                let old = find(tx, tenant, id).await?.ok_or_else(access::no_such_pat)?;
                decide(&old)?;
                remove(tx, &store, &context, &old).await
            })
        })
        .await
    }

    /// Records uses: `lastUsed` moves where it is due, and each move is audited. Of many, those that come first may be
    /// recorded when this fails; to record them again changes nothing, unless they are recorded in any case.
    pub async fn record_uses(&self, mut uses: Vec<Use>) -> Result<()> {
        // In an order that all nodes have, so that no two of them wait for each other.
        uses.sort_by_key(|used| used.pat);
        for part in uses.chunks(USES_AT_ONCE) {
            let (store, part) = (self.clone(), Arc::<[Use]>::from(part));
            self.write("record_uses", move |tx| {
                let (store, part) = (store.clone(), Arc::clone(&part));
                Box::pin(async move {
                    for used in part.iter() {
                        record_use(tx, &store, used).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        }
        Ok(())
    }

    /// Audits up to `limit` PATs whose expiration date has come, once each, and answers how many there were.
    pub async fn record_expired(&self, tracking: TrackingId, limit: u32) -> Result<usize> {
        let (store, now) = (self.clone(), self.clock.now());
        self.write("record_expired", move |tx| {
            let store = store.clone();
            Box::pin(async move {
                let values = [now.into(), limit.into()];
                let sql = "SELECT id FROM pats WHERE id IN (SELECT id FROM pats \
                           WHERE expires <= $1 AND expiry_recorded = 0 ORDER BY expires LIMIT $2) ORDER BY id";
                acting::hold_each(tx, &[Query { sql, params: values.to_vec(), hold: Hold::Wait }]).await?;
                let sql = "UPDATE pats SET expiry_recorded = 1 WHERE id IN (SELECT id FROM pats \
                           WHERE expires <= $1 AND expiry_recorded = 0 ORDER BY expires LIMIT $2) \
                           RETURNING tenant, id, name, owner, expires";
                let due = tx.query(sql, &values).await?;
                let events = due.iter().map(|row| {
                    let (id, owner) =
                        (PatId::from_bytes(row.fixed(1)?), IdentityId::from_bytes(row.fixed(3)?));
                    let expiry = Expiry::At(convert::time(row, 4)?);
                    Ok((TenantKey(row.int(0)?), expired(id, row.text(2)?, owner, expiry)))
                });
                let events = events.collect::<Result<Vec<_>>>()?;
                let context = by_patron(tracking);
                let stamp = |tenant: &TenantKey| Stamp { tenant: *tenant, context: &context, now };
                audit::record_all(tx, &store, events.iter().map(|(tenant, event)| (stamp(tenant), event)))
                    .await?;
                Ok(due.len())
            })
        })
        .await
    }

    /// Drops what nobody needs any more: old entries of the change feed, deleted PATs after 90 days, revoked access
    /// tokens a day past their end, what nodes counted and no longer count, web sessions that have ended.
    pub async fn purge(&self, sessions: SessionLimits) -> Result<()> {
        let now = self.clock.now();
        let (oldest, newest) = changes::kept(now);
        self.purge_parts("purge_changes", changes::PURGE, vec![oldest.into(), newest.into()]).await?;
        let sql = "DELETE FROM deleted_pats WHERE id IN \
                   (SELECT id FROM deleted_pats WHERE deleted < $1 ORDER BY deleted LIMIT $2)";
        self.purge_parts("purge_deleted", sql, vec![now.plus_seconds(-TOMBSTONE_SECONDS).into()]).await?;
        let sql = "DELETE FROM revoked_tokens WHERE jti IN \
                   (SELECT jti FROM revoked_tokens WHERE expires < $1 ORDER BY expires LIMIT $2)";
        self.purge_parts("purge_revoked", sql, vec![now.plus_seconds(-REVOCATION_KEPT_SECONDS).into()])
            .await?;
        for sql in hits::PURGE {
            self.purge_parts("purge_hits", sql, vec![now.into()]).await?;
        }
        self.purge_parts("purge_sessions", sessions::PURGE, vec![sessions.idle_before(now).into()]).await
    }

    /// Runs a statement again and again, each time in a transaction of its own, until it finds fewer rows than it may
    /// delete at once, which is its last parameter: what has piled up while no node ran is not too much for the
    /// limit of time that statements have. What is still there after some time is left to the next call.
    async fn purge_parts(&self, name: &'static str, sql: &'static str, mut values: Vec<Value>) -> Result<()> {
        values.push(PURGED_AT_ONCE.into());
        for _ in 0..PURGED_PARTS {
            let values = values.clone();
            let purge = self.write(name, move |tx| {
                let values = values.clone();
                Box::pin(async move { tx.execute(sql, &values).await })
            });
            if purge.await? < PURGED_AT_ONCE.into() {
                break;
            }
        }
        Ok(())
    }
}

async fn record_use(tx: &mut Tx, store: &Store, used: &Use) -> Result<()> {
    let Some(old) = find(tx, used.tenant, used.pat).await? else { return Ok(()) };
    let moves = moves_last_used(old.last_used, used.at);
    if moves {
        let sql = "UPDATE pats SET last_used = $1 WHERE id = $2 AND tenant = $3";
        tx.execute(sql, &[used.at.into(), used.pat.into(), used.tenant.into()]).await?;
    }
    if moves || used.always {
        let event = Event::new(Action::PatUsed, Party::pat(old.id, &old.name));
        let stamp = Stamp { tenant: used.tenant, context: &used.context, now: used.at };
        audit::record(tx, store, &stamp, &event).await?;
    }
    Ok(())
}

fn date(expiry: Expiry) -> Json {
    expiry.date().map_or(Json::Null, |at| at.to_string().into())
}

/// The PAT of this id, in the transaction at hand.
pub(crate) async fn find(tx: &mut Tx, tenant: TenantKey, id: PatId) -> Result<Option<Pat>> {
    let sql = select_pat!("WHERE p.id = $1 AND p.tenant = $2");
    tx.query_opt(sql, &[id.into(), tenant.into()]).await?.map(|row| pat(&row)).transpose()
}

fn name_taken(name: &str) -> Error {
    let name = patron_core::error::shorten(name);
    Error::invalid(Detail::Conflict, format!("The owner has a personal access token named '{name}' already."))
        .at("name")
}

/// What happens by itself.
fn by_patron(tracking: TrackingId) -> Context {
    Context { actor: Party::patron(), acting: None, address: None, tracking }
}

/// That a PAT's expiration date has come.
fn expired(id: PatId, name: &str, owner: IdentityId, expiry: Expiry) -> Event {
    Event::new(Action::PatExpired, Party::pat(id, name))
        .with("expirationDate", date(expiry))
        .with("ownerId", owner.to_string())
}

/// That a PAT is deleted.
fn deleted(pat: &Pat) -> Event {
    Event::new(Action::PatDeleted, Party::pat(pat.id, &pat.name)).with("ownerId", pat.owner.to_string())
}

/// Audits that a PAT's expiration date has come, once.
async fn record_expiry(tx: &mut Tx, store: &Store, pat: &Pat, tracking: TrackingId) -> Result<()> {
    let now = store.clock.now();
    let sql = "UPDATE pats SET expiry_recorded = 1 WHERE id = $1 AND tenant = $2 AND expires <= $3 \
               AND expiry_recorded = 0";
    if tx.execute(sql, &[pat.id.into(), pat.tenant.into(), now.into()]).await? == 0 {
        return Ok(());
    }
    let stamp = Stamp { tenant: pat.tenant, context: &by_patron(tracking), now };
    audit::record(tx, store, &stamp, &expired(pat.id, &pat.name, pat.owner, pat.expiry)).await
}

async fn update(tx: &mut Tx, store: &Store, context: &Context, old: &Pat, new: &Pat) -> Result<()> {
    if old == new {
        changes::refer(tx);
        return Ok(());
    }
    let now = store.clock.now();
    if old.expiry != new.expiry {
        record_expiry(tx, store, old, context.tracking).await?;
    }
    if old.name != new.name {
        let sql = "SELECT 1 FROM pats WHERE tenant = $1 AND owner = $2 AND managed = $3 AND name = $4";
        let values = [old.tenant.into(), old.owner.into(), old.managed.into(), new.name.as_str().into()];
        if tx.query_opt(sql, &values).await?.is_some() {
            return Err(name_taken(&new.name));
        }
    }
    // A new date has yet to come, so its coming has yet to be recorded.
    let sql = "UPDATE pats SET name = $1, scope = $2, expires = $3, user_aware = $4, \
               expiry_recorded = CASE WHEN $5 = 1 THEN 0 ELSE expiry_recorded END WHERE id = $6 AND tenant = $7";
    let values = [
        new.name.as_str().into(),
        json(new.scope.as_slice()),
        new.expiry.date().into(),
        new.user_aware_token_never_expires.into(),
        (old.expiry != new.expiry).into(),
        old.id.into(),
        old.tenant.into(),
    ];
    tx.execute(sql, &values).await?;
    let mut event = Event::new(Action::PatUpdated, Party::pat(new.id, &new.name));
    event = event.with("ownerId", new.owner.to_string());
    for (field, before, after) in [
        ("name", Json::from(old.name.as_str()), Json::from(new.name.as_str())),
        ("scope", old.scope.as_slice().into(), new.scope.as_slice().into()),
        ("expirationDate", date(old.expiry), date(new.expiry)),
        (
            "userAwareTokenNeverExpires",
            old.user_aware_token_never_expires.into(),
            new.user_aware_token_never_expires.into(),
        ),
    ] {
        if before != after {
            event = event.with(field, serde_json::json!({ "before": before, "after": after }));
        }
    }
    audit::record(tx, store, &Stamp { tenant: old.tenant, context, now }, &event).await?;
    changes::enter(tx, Change::Pat(old.id));
    Ok(())
}

/// Deletes a PAT in the transaction at hand, leaving its id and secret hash behind for 90 days.
pub(crate) async fn remove(tx: &mut Tx, store: &Store, context: &Context, pat: &Pat) -> Result<()> {
    let now = store.clock.now();
    record_expiry(tx, store, pat, context.tracking).await?;
    let sql = "INSERT INTO deleted_pats (id, tenant, secret_hash, deleted) \
               SELECT id, tenant, secret_hash, $1 FROM pats WHERE id = $2 AND tenant = $3";
    tx.execute(sql, &[now.into(), pat.id.into(), pat.tenant.into()]).await?;
    let sql = "DELETE FROM pats WHERE id = $1 AND tenant = $2";
    tx.execute(sql, &[pat.id.into(), pat.tenant.into()]).await?;
    audit::record(tx, store, &Stamp { tenant: pat.tenant, context, now }, &deleted(pat)).await?;
    changes::enter(tx, Change::Pat(pat.id));
    Ok(())
}

/// The same for all PATs of an owner, managed ones too.
pub(crate) async fn remove_all(
    tx: &mut Tx,
    store: &Store,
    context: &Context,
    tenant: TenantKey,
    owner: IdentityId,
) -> Result<()> {
    let now = store.clock.now();
    let pats = of_owner(tx, tenant, owner).await?;
    let sql = "UPDATE pats SET expiry_recorded = 1 WHERE tenant = $1 AND owner = $2 AND expires <= $3 \
               AND expiry_recorded = 0 RETURNING id";
    let due = tx.query(sql, &[tenant.into(), owner.into(), now.into()]).await?;
    let due = due.iter().map(|row| row.fixed(0).map(PatId::from_bytes)).collect::<Result<HashSet<_>>>()?;
    let events: Vec<Event> = pats
        .iter()
        .filter(|pat| due.contains(&pat.id))
        .map(|pat| expired(pat.id, &pat.name, pat.owner, pat.expiry))
        .collect();
    let stamp = Stamp { tenant, context: &by_patron(context.tracking), now };
    audit::record_all(tx, store, events.iter().map(|event| (stamp, event))).await?;
    let sql = "INSERT INTO deleted_pats (id, tenant, secret_hash, deleted) \
               SELECT id, tenant, secret_hash, $1 FROM pats WHERE tenant = $2 AND owner = $3";
    tx.execute(sql, &[now.into(), tenant.into(), owner.into()]).await?;
    let sql = "DELETE FROM pats WHERE tenant = $1 AND owner = $2";
    tx.execute(sql, &[tenant.into(), owner.into()]).await?;
    let events: Vec<Event> = pats.iter().map(deleted).collect();
    let stamp = Stamp { tenant, context, now };
    audit::record_all(tx, store, events.iter().map(|event| (stamp, event))).await?;
    for pat in &pats {
        changes::enter(tx, Change::Pat(pat.id));
    }
    Ok(())
}

/// All PATs of one owner, managed ones too.
pub(crate) async fn of_owner(tx: &mut Tx, tenant: TenantKey, owner: IdentityId) -> Result<Vec<Pat>> {
    let sql = select_pat!("WHERE p.tenant = $1 AND p.owner = $2 ORDER BY p.created, p.id");
    tx.query(sql, &[tenant.into(), owner.into()]).await?.iter().map(pat).collect()
}

#[cfg(test)]
mod tests {
    mod postgres {
        use std::sync::Arc;

        use patron_core::Error;
        use patron_testing::Engine;

        use crate::testing::{Fixture, operator};

        #[tokio::test]
        async fn of_two_deletions_at_once_one_finds_nothing() {
            let fixture = Fixture::on(Engine::Postgres).await;
            let jane = fixture.identity(fixture.tenant, "jane", &[]).await;
            let pat = fixture.pat(&jane, "ci").await;
            fixture.use_indexes();
            let delete =
                || fixture.store.delete_pat(operator(), fixture.tenant, pat.id, Arc::new(|_| Ok(())));
            // Both have found it before either is done.
            let gate = fixture.shut("SELECT last FROM feed FOR UPDATE");
            let opened = async {
                fixture.until_waiting(2).await;
                assert!(gate.succeeds());
            };
            let (one, other, ()) = tokio::join!(delete(), delete(), opened);
            let (deleted, missing) = if one.is_ok() { (one, other) } else { (other, one) };
            deleted.unwrap();
            assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
        }
    }
}
