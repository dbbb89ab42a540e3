//! What a change needs before anything else: what it is about held, and the credential that asks judged, inside its
//! transaction.

use patron_core::audit::{Acting, Context, Means};
use patron_core::id::{IdentityId, PatId, TenantKey};
use patron_core::pat::Expiry;
use patron_core::time::Timestamp;
use patron_core::{Error, Result};

use crate::convert::json;
use crate::driver::{Hold, Query, Row, Tx, Value};

/// What a change is about, beside the credential that asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subjects {
    identities: Vec<(IdentityId, TenantKey)>,
    pats: Vec<(PatId, TenantKey)>,
    /// Whose PATs it is about, all of them.
    owner: Option<(IdentityId, TenantKey)>,
}

impl Subjects {
    /// Nothing that others may change as well.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    pub(crate) fn identity(tenant: TenantKey, id: IdentityId) -> Self {
        Self { identities: vec![(id, tenant)], ..Self::default() }
    }

    /// An identity and all its PATs.
    pub(crate) fn identity_with_pats(tenant: TenantKey, id: IdentityId) -> Self {
        Self { owner: Some((id, tenant)), ..Self::identity(tenant, id) }
    }

    pub(crate) fn pats(tenant: TenantKey, ids: &[PatId]) -> Self {
        Self { pats: ids.iter().map(|id| (*id, tenant)).collect(), ..Self::default() }
    }

    /// What holds their rows and the credential's **in the order in which every transaction has to hold rows**:
    /// identities and then PATs, each by their ids; then sessions. So nobody waits for one who waits for it: a server needs
    /// a second to find such a circle, and then ends one of its transactions.
    fn holds(&self, context: &Context) -> Vec<Query> {
        let Self { mut identities, mut pats, owner } = self.clone();
        if let Some(Acting { means, tenant, identity, .. }) = &context.acting {
            identities.push((*identity, *tenant));
            if let Means::Pat { pat, .. } = means {
                pats.push((*pat, *tenant));
            }
        }
        let of_identities = "SELECT id FROM identities WHERE id = $1 AND tenant = $2";
        let of_an_owner = "SELECT id FROM pats WHERE tenant = $2 AND (owner = $1 OR id = $3) ORDER BY id";
        let of_pats = "SELECT id FROM pats WHERE id = $1 AND tenant = $2";
        identities.sort_unstable();
        identities.dedup();
        pats.sort_unstable();
        pats.dedup();
        let hold = |sql, params| Query { sql, params, hold: Hold::Wait };
        let identities =
            identities.into_iter().map(|(id, tenant)| hold(of_identities, vec![id.into(), tenant.into()]));
        let pats: Vec<Query> = if let Some((owner, tenant)) = owner {
            // All in one order, with that of the credential, if there is one.
            let acting = pats.first().map_or(Value::Null, |(id, _)| (*id).into());
            vec![hold(of_an_owner, vec![owner.into(), tenant.into(), acting])]
        } else {
            pats.into_iter().map(|(id, tenant)| hold(of_pats, vec![id.into(), tenant.into()])).collect()
        };
        identities.chain(pats).collect()
    }
}

/// Refuses a change whose credential has ended, or lost levels or scopes, since the request was judged. What it finds
/// stays so until the change is committed: whoever ends the credential meanwhile is answered after that.
pub(crate) async fn judge(tx: &mut Tx, context: &Context, subjects: &Subjects, now: Timestamp) -> Result<()> {
    let mut queries = if tx.is_shared() { subjects.holds(context) } else { Vec::new() };
    queries.extend(query(context, now, Hold::Wait));
    let found = tx.query_each(&queries).await?;
    // The last is of the credential, if one is needed.
    judged(context, found.last().map_or(&[], Vec::as_slice)).map(drop)
}

/// Holds what a change is about and the credential that asks, without judging it.
pub(crate) async fn hold(tx: &mut Tx, context: &Context, subjects: &Subjects) -> Result<()> {
    hold_each(tx, &subjects.holds(context)).await
}

/// Holds what these queries find. A single writer holds everything anyway.
pub(crate) async fn hold_each(tx: &mut Tx, queries: &[Query]) -> Result<()> {
    if tx.is_shared() { tx.query_each(queries).await.map(drop) } else { Ok(()) }
}

/// What finds whose a credential is, by id and display name, if that has neither ended nor lost anything; none for who
/// needs no credential.
///
/// Where it waits and the transaction is [`Isolation::Held`](crate::driver::Isolation::Held), an access token that is
/// revoked meanwhile goes unnoticed: that stands in a table of its own, which was read before, and is to be asked again.
pub(crate) fn query(context: &Context, now: Timestamp, hold: Hold) -> Option<Query> {
    let Acting { means, tenant, generation, levels, .. } = context.acting.as_ref()?;
    Some(match means {
        Means::Pat { pat, token, pat_scopes } => {
            let sql = "SELECT i.id, i.display_name FROM identities i JOIN pats p ON i.id = p.owner AND i.tenant = p.tenant \
                       WHERE p.id = $1 AND p.tenant = $7 AND (p.expires IS NULL OR p.expires >= $2) \
                       AND i.enabled = 1 AND i.generation = $3 AND i.levels = $4 \
                       AND p.scope = COALESCE($5, p.scope) \
                       AND NOT EXISTS (SELECT 1 FROM revoked_tokens WHERE jti = $6 AND tenant = $7)";
            let params = vec![
                (*pat).into(),
                Expiry::first_live(now).into(),
                (*generation).into(),
                json(levels),
                pat_scopes.as_ref().map_or(Value::Null, |scopes| json(scopes.as_slice())),
                token.map_or(Value::Null, Value::from),
                (*tenant).into(),
            ];
            Query { sql, params, hold }
        }
        Means::Session(hash) => {
            // How long it may live was asked a moment ago, when the request came in.
            let sql = "SELECT i.id, i.display_name FROM identities i JOIN sessions s ON i.id = s.identity AND i.tenant = s.tenant \
                       WHERE s.hash = $1 AND s.tenant = $2 AND i.enabled = 1 AND s.generation = i.generation \
                       AND i.generation = $3 AND i.levels = $4";
            let params = vec![(*hash).into(), (*tenant).into(), (*generation).into(), json(levels)];
            Query { sql, params, hold }
        }
    })
}

/// Whose the credential is, by what [`query`] has found; nobody's where none is needed.
pub(crate) fn judged<'r>(context: &Context, found: &'r [Row]) -> Result<Option<&'r Row>> {
    match (&context.acting, found.first()) {
        (Some(acting), None) => Err(ended(acting)),
        (_, whose) => Ok(whose),
    }
}

/// That the credential has changed or ended.
pub(crate) fn ended(acting: &Acting) -> Error {
    match acting.means {
        Means::Pat { .. } => {
            Error::unauthenticated("JWT validation failed: the credential has changed or ended meanwhile")
        }
        Means::Session(_) => Error::unauthenticated("The session has ended meanwhile."),
    }
}

#[cfg(test)]
mod tests {
    mod postgres {
        use std::sync::Arc;

        use patron_core::identity::Identity;
        use patron_core::pat::Pat;
        use patron_core::secret::SessionHash;
        use patron_testing::Engine;

        use super::super::*;
        use crate::driver::BoxFuture;
        use crate::pats::Use;
        use crate::testing::{Fixture, acting, operator};

        fn acting_with(who: &Identity, pat: PatId) -> Context {
            acting(who, Means::Pat { pat, token: None, pat_scopes: None })
        }

        /// Runs two changes that have both begun before either may hold one of the rows that `gate` holds, and requires
        /// that they never wait for each other in a circle, which the server would cut after a while.
        async fn both<A, B>(
            fixture: &Fixture,
            gate: &str,
            one: BoxFuture<'_, A>,
            other: BoxFuture<'_, B>,
        ) -> (A, B) {
            let circles = "SELECT COUNT(*) FROM pg_stat_activity a JOIN pg_stat_activity b \
                           ON b.pid = ANY (pg_blocking_pids(a.pid)) AND a.pid = ANY (pg_blocking_pids(b.pid))";
            let gate = fixture.shut(gate);
            let watch = async {
                fixture.until_waiting(2).await;
                assert!(gate.succeeds());
                while fixture.number(circles).await == 0 {}
                panic!("they wait for each other");
            };
            tokio::select! {
                both = async { tokio::join!(one, other) } => both,
                never = watch => never,
            }
        }

        async fn fixture() -> (Fixture, Identity, Identity) {
            let fixture = Fixture::on(Engine::Postgres).await;
            let jane = fixture.identity(fixture.tenant, "jane", &["ORG_ADMIN"]).await;
            let john = fixture.identity(fixture.tenant, "john", &["ORG_ADMIN"]).await;
            fixture.use_indexes();
            fixture.set("deadlock_timeout = '1h'");
            (fixture, jane, john)
        }

        #[tokio::test]
        async fn two_that_change_each_others_pat_do_not_wait_in_a_circle() {
            let (fixture, jane, john) = fixture().await;
            let (janes, johns) = (fixture.pat(&jane, "ci").await, fixture.pat(&john, "ci").await);
            let rename = |by: Context, id: PatId| {
                let decide = Arc::new(|old: &Pat| Ok(Pat { name: "new".to_owned(), ..old.clone() }));
                fixture.store.patch_pat(by, fixture.tenant, id, decide)
            };
            let one = rename(acting_with(&jane, janes.id), johns.id);
            let other = rename(acting_with(&john, johns.id), janes.id);
            let (one, other) =
                both(&fixture, "SELECT 1 FROM pats FOR UPDATE", Box::pin(one), Box::pin(other)).await;
            assert_eq!((one.unwrap().name, other.unwrap().name), ("new".to_owned(), "new".to_owned()));
        }

        #[tokio::test]
        async fn two_that_change_each_other_do_not_wait_in_a_circle() {
            let (fixture, jane, john) = fixture().await;
            let (janes, johns) = (fixture.pat(&jane, "ci").await, fixture.pat(&john, "ci").await);
            let change = |by: Context, id: IdentityId| {
                let decide = Arc::new(|old: &Identity| {
                    Ok(Identity { levels: vec!["ORG_ADMIN".to_owned(), "more".to_owned()], ..old.clone() })
                });
                fixture.store.change_identity(by, fixture.tenant, id, decide)
            };
            let one = change(acting_with(&jane, janes.id), john.id);
            let other = change(acting_with(&john, johns.id), jane.id);
            let (one, other) =
                both(&fixture, "SELECT 1 FROM identities FOR UPDATE", Box::pin(one), Box::pin(other)).await;
            // Whoever comes second is no longer what it was.
            assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
            let refused = if one.is_ok() { other } else { one };
            assert!(matches!(refused, Err(Error::Unauthenticated { .. })), "{refused:?}");
        }

        #[tokio::test]
        async fn one_that_deletes_another_does_not_wait_in_a_circle_with_who_records_uses() {
            let (fixture, jane, john) = fixture().await;
            let (janes, johns) = (fixture.pat(&jane, "ci").await, fixture.pat(&john, "ci").await);
            // In the order of the ids, the acting credential is the last.
            let ((by, acting), (whom, other)) = if janes.id > johns.id {
                ((&jane, janes.id), (&john, johns.id))
            } else {
                ((&john, johns.id), (&jane, janes.id))
            };
            let used = |pat| Use {
                tenant: fixture.tenant,
                pat,
                at: fixture.store.clock.now(),
                context: operator(),
                always: false,
            };
            let records = fixture.store.record_uses(vec![used(acting), used(other)]);
            let deletes = fixture.store.delete_identity(acting_with(by, acting), fixture.tenant, whom.id);
            let gate = "SELECT 1 FROM pats FOR UPDATE";
            let (recording, deletion) = both(&fixture, gate, Box::pin(records), Box::pin(deletes)).await;
            recording.unwrap();
            deletion.unwrap();
        }

        #[tokio::test]
        async fn one_whose_password_is_reset_as_it_acts_does_not_wait_in_a_circle() {
            let (fixture, jane, john) = fixture().await;
            let (tenant, johns) = (fixture.tenant, fixture.pat(&john, "ci").await);
            let (store, session) = (&fixture.store, SessionHash::from_bytes([7; 32]));
            store.set_password_hash(operator(), tenant, jane.id, "old".into(), false).await.unwrap();
            let signed_in = store.sign_in(operator(), tenant, jane.id, "old".into(), None, session);
            signed_in.await.unwrap().unwrap();
            let by_jane = acting(&jane, Means::Session(session));
            let ends = store.end_other_sessions(by_jane, tenant, jane.id, session);
            let by_john = acting_with(&john, johns.id);
            let resets = store.reset_password(by_john, tenant, jane.id, "new".into(), Arc::new(|_| Ok(())));
            let gate = "SELECT 1 FROM sessions FOR UPDATE";
            let (ended, reset) = both(&fixture, gate, Box::pin(ends), Box::pin(resets)).await;
            reset.unwrap();
            assert!(matches!(ended, Ok(0) | Err(Error::Unauthenticated { .. })), "{ended:?}");
        }
    }
}
