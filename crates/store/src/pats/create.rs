//! Creation of PATs: those that are asked for at about the same time are made together.
//!
//! A server waits for the network at every statement and for the disk at every commit, so that creations one by one cost
//! it many times what the rows do. So those that wait are made [`together`](crate::together), in one transaction, if nothing
//! is in their way. Any other is made alone after that: there it waits for whom it has to wait for, and is refused for what
//! is wrong with it, without keeping its neighbours waiting. Only a PAT that is being renamed to the name that one of them
//! is to have is waited for by all.
//!
//! The transaction relies on what it holds and on nothing else (`Database::write_held`): first the credentials that
//! ask and the owners; then it reads how many PATs the owners have, which nobody else adds to while it holds them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use patron_core::audit::{Action, Context, Event, Party};
use patron_core::error::Detail;
use patron_core::id::{IdentityId, PatId, TenantKey};
use patron_core::pat::{NewPat, Pat, require_room};
use patron_core::secret::{Secret, SecretHash};
use patron_core::time::Timestamp;
use patron_core::{Error, Result};

use super::{date, name_taken};
use crate::Store;
use crate::acting::{self, Subjects};
use crate::audit::{self, Stamp};
use crate::convert::json;
use crate::driver::{Hold, Isolation, Query, Row, Tx, Value};
use crate::insert::Insert;
use crate::together::{self, Bounds, Together};

/// What a creation needs beside the [`NewPat`] itself.
#[derive(Debug, Clone, Copy)]
pub struct Creation {
    /// Who will own it.
    pub owner: IdentityId,
    /// Whether the platform makes it.
    pub managed: bool,
    /// Unmanaged PATs that an owner may have; the setting `pat_limits.per_owner`.
    pub per_owner: u32,
}

/// A PAT that is to be made.
pub(crate) struct Wanted {
    context: Context,
    tenant: TenantKey,
    creation: Creation,
    new: NewPat,
    hash: SecretHash,
}

/// Those that wait to be made. The answer is the PAT, or `None` if it was not made and is to be made alone.
pub(crate) type Creations = Together<Arc<Wanted>, Result<Option<Pat>>>;

/// Whoever waits for a transaction waits for all that are made in it.
pub(crate) const CREATIONS: Bounds = Bounds { name: "create_pats", at_once: 64, tasks: 3 };

impl Store {
    /// Makes a PAT and its secret. The secret is in the answer alone; the database gets its hash.
    ///
    /// # Errors
    /// [`Detail::ReferenceNotFound`] when the owner is not there or not enabled, [`Detail::Limit`] when it has as
    /// many as it may, [`Detail::Conflict`] when it has one of that name; [`Error::Unauthenticated`] when the credential
    /// that asks is no longer what it was.
    pub async fn create_pat(
        &self,
        context: Context,
        tenant: TenantKey,
        creation: Creation,
        new: NewPat,
    ) -> Result<(Pat, Secret)> {
        let secret = Secret::generate(&self.entropy);
        let hash = secret.hash();
        let wanted = Arc::new(Wanted { context, tenant, creation, new, hash });
        let made = match self.create_with_others(Arc::clone(&wanted)).await? {
            Some(pat) => pat,
            None => self.create_alone(wanted).await?,
        };
        Ok((made, secret))
    }

    async fn create_with_others(&self, wanted: Arc<Wanted>) -> Result<Option<Pat>> {
        let store = self.clone();
        self.creations.ask(wanted, move |wanted| create_all(store.clone(), wanted)).await?
    }

    async fn create_alone(&self, wanted: Arc<Wanted>) -> Result<Pat> {
        let store = self.clone();
        self.write_as(Isolation::Held, "create_pat", move |tx| {
            let (store, wanted) = (store.clone(), Arc::clone(&wanted));
            Box::pin(async move { insert_one(tx, &store, wanted, Hold::Wait).await })
        })
        .await
    }
}

async fn create_all(store: Store, wanted: Vec<Arc<Wanted>>) -> Vec<Result<Option<Pat>>> {
    let (many, wanted, making) = (wanted.len(), Arc::<[_]>::from(wanted), store.clone());
    let made = store.write_as(Isolation::Held, CREATIONS.name, move |tx| {
        let (store, wanted) = (making.clone(), Arc::clone(&wanted));
        Box::pin(async move { insert_all(tx, &store, &wanted, Hold::Skip).await })
    });
    match made.await {
        Ok(each) => each.into_iter().map(|one| Ok(one.ok())).collect(),
        // Nobody knows whether they were made.
        Err(error @ Error::Unavailable { .. }) => together::lost(many, &error),
        // Nothing was kept: a single one may be at fault.
        Err(_) => (0..many).map(|_| Ok(None)).collect(),
    }
}

/// Makes a PAT in the transaction at hand.
pub(crate) async fn insert(
    tx: &mut Tx,
    store: &Store,
    context: &Context,
    tenant: TenantKey,
    creation: Creation,
    new: NewPat,
    hash: SecretHash,
) -> Result<Pat> {
    let wanted = Wanted { context: context.clone(), tenant, creation, new, hash };
    insert_one(tx, store, Arc::new(wanted), Hold::Wait).await
}

async fn insert_one(tx: &mut Tx, store: &Store, wanted: Arc<Wanted>, hold: Hold) -> Result<Pat> {
    let made = insert_all(tx, store, &[wanted], hold).await?;
    made.into_iter().next().unwrap_or_else(|| Err(Error::internal("no outcome of a creation")))
}

static PATS: LazyLock<Insert> = LazyLock::new(|| {
    let columns = "expiry_recorded, \
                   created, id, tenant, owner, name, scope, secret_hash, managed, validity, expires, user_aware";
    let then = "ON CONFLICT (tenant, owner, managed, name) DO NOTHING RETURNING id";
    Insert::new(&format!("pats ({columns})"), 1, then)
});

/// Makes those PATs of which nothing is in the way, in the transaction at hand; what became of each. With
/// [`Hold::Skip`], a credential or an owner that somebody else holds looks as if it were not there.
async fn insert_all(
    tx: &mut Tx,
    store: &Store,
    wanted: &[Arc<Wanted>],
    hold: Hold,
) -> Result<Vec<Result<Pat>>> {
    let mut made = held(tx, store, wanted, hold).await?;
    refuse_excess(tx, wanted, &mut made).await?;
    refuse_taken(tx, wanted, &mut made).await?;
    record(tx, store, wanted, &made).await?;
    Ok(made)
}

/// Whether who asks, whose credential was found, is to own it.
fn is_for_itself(one: &Wanted, found: &Row) -> Result<bool> {
    let is_here = one.context.acting.as_ref().is_some_and(|acting| acting.tenant == one.tenant);
    Ok(is_here && found.fixed(0)? == *one.creation.owner.as_bytes())
}

/// Holds the credentials that ask and the owners: how the PATs are to be whose are as they must be.
async fn held(tx: &mut Tx, store: &Store, wanted: &[Arc<Wanted>], hold: Hold) -> Result<Vec<Result<Pat>>> {
    let now = store.clock.now();
    // Those who are passed over are waited for by nobody.
    if hold == Hold::Wait {
        for one in wanted {
            let owner = Subjects::identity(one.tenant, one.creation.owner);
            acting::hold(tx, &one.context, &owner).await?;
        }
    }
    let asking: Vec<Query> = wanted.iter().filter_map(|one| acting::query(&one.context, now, hold)).collect();
    let mut asking = tx.query_each(&asking).await?.into_iter();
    let mut names: Vec<Result<Option<String>>> = Vec::with_capacity(wanted.len());
    for one in wanted {
        let found = one.context.acting.as_ref().and_then(|_| asking.next()).unwrap_or_default();
        names.push(acting::judged(&one.context, &found).and_then(|whose| match whose {
            // Who makes a PAT for itself is held with its credential.
            Some(row) if is_for_itself(one, row)? => Ok(Some(row.text(1)?.to_owned())),
            _ => Ok(None),
        }));
    }
    let is_other = |name: &Result<Option<String>>| matches!(name, Ok(None));
    let owner = |one: &Wanted| {
        let sql = "SELECT display_name FROM identities WHERE id = $1 AND tenant = $2 AND enabled = 1";
        Query { sql, params: vec![one.creation.owner.into(), one.tenant.into()], hold }
    };
    let others = wanted.iter().zip(&names).filter(|(_, name)| is_other(name)).map(|(one, _)| owner(one));
    let found = tx.query_each(&others.collect::<Vec<_>>()).await?;
    for (name, rows) in names.iter_mut().filter(|name| is_other(name)).zip(found) {
        *name = rows.first().map(|row| row.text(0).map(str::to_owned)).transpose();
    }
    let pat = |(one, name): (&Arc<Wanted>, Result<Option<String>>)| {
        one.pat(PatId::random(&store.entropy), name?, now)
    };
    Ok(wanted.iter().zip(names).map(pat).collect())
}

impl Wanted {
    /// How it is to be, if its owner was found, whose name is given.
    fn pat(&self, id: PatId, owner_name: Option<String>, now: Timestamp) -> Result<Pat> {
        let Self { tenant, creation: Creation { owner, managed, .. }, new, .. } = self;
        let missing = || {
            let text = format!("There is no enabled identity '{owner}'.");
            Error::invalid(Detail::ReferenceNotFound, text)
        };
        Ok(Pat {
            tenant: *tenant,
            id,
            owner: *owner,
            owner_name: owner_name.ok_or_else(missing)?,
            name: new.name.clone(),
            scope: new.scope.clone(),
            created: now,
            last_used: None,
            managed: *managed,
            validity: new.validity,
            expiry: new.expiry,
            user_aware_token_never_expires: new.user_aware_token_never_expires,
        })
    }
}

/// Refuses those whose owners have as many as they may, or have given their names already, and those that are asked for
/// with an access token that was revoked while its PAT was waited for.
async fn refuse_excess(tx: &mut Tx, wanted: &[Arc<Wanted>], made: &mut [Result<Pat>]) -> Result<()> {
    let sql = "SELECT (SELECT COUNT(*) FROM pats WHERE tenant = $1 AND owner = $2 AND managed = 0), \
               (SELECT COUNT(*) FROM pats WHERE tenant = $1 AND owner = $2 AND managed = $4 AND name = $5), \
               (SELECT COUNT(*) FROM revoked_tokens WHERE jti = $3 AND tenant = $1)";
    let query = |one: &Wanted| {
        let token = one.context.acting.as_ref().and_then(|acting| acting.means.token());
        let Creation { owner, managed, .. } = one.creation;
        let token = token.map_or(Value::Null, Value::from);
        let name = one.new.name.as_str();
        let params = vec![one.tenant.into(), owner.into(), token, managed.into(), name.into()];
        Query { sql, params, hold: Hold::No }
    };
    let going = || wanted.iter().zip(&*made).filter(|(_, made)| made.is_ok());
    let queries: Vec<Query> = going().map(|(one, _)| query(one)).collect();
    let found = tx.query_each(&queries).await?;
    // Beside those that are there: what their neighbours add.
    let mut added: HashMap<(TenantKey, IdentityId), usize> = HashMap::new();
    let going = wanted.iter().zip(made).filter(|(_, made)| made.is_ok());
    for ((one, made), rows) in going.zip(found) {
        let row = rows.first().ok_or_else(|| Error::internal("a count has no row"))?;
        let count = usize::try_from(row.int(0)?).map_err(Error::internal)?;
        let Creation { owner, managed, per_owner } = one.creation;
        let checked = match &one.context.acting {
            Some(acting) if row.int(2)? > 0 => Err(acting::ended(acting)),
            _ if row.int(1)? > 0 => Err(name_taken(&one.new.name)),
            _ if managed => Ok(()),
            _ => {
                let added = added.entry((one.tenant, owner)).or_default();
                *added += 1;
                require_room(count + *added - 1, per_owner)
            }
        };
        if let Err(refused) = checked {
            *made = Err(refused);
        }
    }
    Ok(())
}

/// Writes the rows, and refuses those whose names are given at the same time: to a neighbour, or to another PAT, whose
/// renaming is waited for.
async fn refuse_taken(tx: &mut Tx, wanted: &[Arc<Wanted>], made: &mut [Result<Pat>]) -> Result<()> {
    let row = |pat: &Pat, hash: SecretHash| {
        vec![
            pat.created.into(),
            pat.id.into(),
            pat.tenant.into(),
            pat.owner.into(),
            pat.name.as_str().into(),
            json(pat.scope.as_slice()),
            hash.into(),
            pat.managed.into(),
            pat.validity.seconds().into(),
            pat.expiry.date().into(),
            pat.user_aware_token_never_expires.into(),
        ]
    };
    let going = wanted.iter().zip(&*made);
    let rows: Vec<Vec<Value>> =
        going.filter_map(|(one, made)| made.as_ref().ok().map(|pat| row(pat, one.hash))).collect();
    let written = PATS.returning(tx, &[0_i64.into()], &rows).await?;
    let written: HashSet<PatId> =
        written.iter().map(|row| row.fixed(0).map(PatId::from_bytes)).collect::<Result<_>>()?;
    for made in made {
        if let Ok(pat) = made
            && !written.contains(&pat.id)
        {
            *made = Err(name_taken(&pat.name));
        }
    }
    Ok(())
}

async fn record<'w>(
    tx: &mut Tx,
    store: &Store,
    wanted: &'w [Arc<Wanted>],
    made: &[Result<Pat>],
) -> Result<()> {
    let event = |pat: &Pat| {
        Event::new(Action::PatCreated, Party::pat(pat.id, &pat.name))
            .with("ownerId", pat.owner.to_string())
            .with("scope", pat.scope.as_slice())
            .with("expirationDate", date(pat.expiry))
            .with("managed", pat.managed)
    };
    let made = wanted.iter().zip(made).filter_map(|(one, made)| made.as_ref().ok().map(|pat| (one, pat)));
    let stamp =
        |one: &'w Wanted, pat: &Pat| Stamp { tenant: pat.tenant, context: &one.context, now: pat.created };
    let events: Vec<(Stamp<'_>, Event)> = made.map(|(one, pat)| (stamp(one, pat), event(pat))).collect();
    audit::record_all(tx, store, events.iter().map(|(stamp, event)| (*stamp, event))).await
}

#[cfg(test)]
mod tests;
