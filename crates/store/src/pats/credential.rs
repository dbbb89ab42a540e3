//! What authentication reads of a PAT: once for as long as it stays in memory.

use std::sync::Arc;

use patron_core::id::{PatId, TenantKey};
use patron_core::identity::Identity;
use patron_core::pat::{Expiry, Terms, Validity};
use patron_core::scope::ScopeList;
use patron_core::secret::SecretHash;
use patron_core::time::Timestamp;
use patron_core::{Error, Result};

use crate::Store;
use crate::convert;
use crate::driver::{Hold, Query, Row, Tx};
use crate::identities::{IDENTITY_COLUMNS, identity};
use crate::together::{self, Bounds, Together};

/// A PAT and the hash of its secret; or what is left of a deleted one.
#[derive(Clone)]
pub enum Credential {
    /// It is there; whether it works depends on its expiry and its owner.
    Present {
        /// What decides whether it works.
        terms: Terms,
        /// Its scopes.
        scope: ScopeList,
        /// When it was used last.
        last_used: Option<Timestamp>,
        /// The hash of its secret.
        hash: SecretHash,
        /// Who owns it.
        owner: Arc<Identity>,
    },
    /// It was deleted less than 90 days ago.
    Deleted {
        /// Where it was.
        tenant: TenantKey,
        /// The hash of its secret.
        hash: SecretHash,
    },
}

fn present(row: &Row) -> Result<Credential> {
    const PAT: usize = IDENTITY_COLUMNS;
    let owner = Arc::new(identity(row)?);
    let terms = Terms {
        tenant: owner.tenant,
        id: PatId::from_bytes(row.fixed(PAT)?),
        owner: owner.id,
        managed: row.flag(PAT + 1)?,
        validity: Validity::from_seconds(row.int(PAT + 2)?).map_err(Error::internal)?,
        expiry: Expiry::from_date(convert::opt_time(row, PAT + 3)?),
    };
    Ok(Credential::Present {
        terms,
        scope: ScopeList::from_kept(convert::list(row, PAT + 4)?),
        last_used: convert::opt_time(row, PAT + 5)?,
        hash: SecretHash::from_bytes(row.fixed(PAT + 6)?),
        owner,
    })
}

/// Those who look for a PAT.
pub(crate) type LookUps = Together<PatId, Result<Option<Credential>>>;

/// As many tasks as there are threads that read a file: each may wait for the disk.
pub(crate) const LOOK_UPS: Bounds = Bounds { name: "credentials", at_once: 32, tasks: 4 };

impl Store {
    /// The PAT of this id in any tenant, with the hash of its secret and its owner: for authentication alone.
    pub async fn credential(&self, id: PatId) -> Result<Option<Credential>> {
        let store = self.clone();
        self.look_ups.ask(id, move |ids| credentials(store.clone(), ids)).await?
    }
}

async fn credentials(store: Store, ids: Vec<PatId>) -> Vec<Result<Option<Credential>>> {
    match read_all(&store, &ids).await {
        Ok(found) => found,
        Err(error @ Error::Unavailable { .. }) => together::lost(ids.len(), &error),
        Err(_) => {
            // What cannot be read of one is no fault of the others.
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.push(read_all(&store, &[id]).await.and_then(|found| {
                    found
                        .into_iter()
                        .next()
                        .unwrap_or_else(|| Err(Error::internal("no outcome of a look-up")))
                }));
            }
            found
        }
    }
}

async fn read_all(store: &Store, ids: &[PatId]) -> Result<Vec<Result<Option<Credential>>>> {
    let ids = Arc::<[_]>::from(ids);
    let found = store.read(LOOK_UPS.name, move |tx| {
        let ids = Arc::clone(&ids);
        Box::pin(async move { find_all(tx, &ids).await })
    });
    found.await
}

/// What there is of each id.
async fn find_all(tx: &mut Tx, ids: &[PatId]) -> Result<Vec<Result<Option<Credential>>>> {
    let query = |sql| move |id: &PatId| Query { sql, params: vec![(*id).into()], hold: Hold::No };
    // The owner's columns first, in the order of `identity`.
    let sql = "SELECT i.tenant, i.id, i.name, i.display_name, i.first_name, i.last_name, i.email, \
               i.levels, i.enabled, i.generation, i.created, p.id, p.managed, p.validity, p.expires, \
               p.scope, p.last_used, p.secret_hash \
               FROM pats p JOIN identities i ON i.id = p.owner AND i.tenant = p.tenant WHERE p.id = $1";
    let queries: Vec<Query> = ids.iter().map(query(sql)).collect();
    let rows = tx.query_each(&queries).await?;
    let mut found: Vec<_> = rows.iter().map(|rows| rows.first().map(present).transpose()).collect();
    let is_missing = |found: &Result<Option<Credential>>| matches!(found, Ok(None));
    let missing = ids.iter().zip(&found).filter(|(_, found)| is_missing(found)).map(|(id, _)| id);
    let queries: Vec<Query> =
        missing.map(query("SELECT tenant, secret_hash FROM deleted_pats WHERE id = $1")).collect();
    let rows = tx.query_each(&queries).await?;
    for (found, rows) in found.iter_mut().filter(|found| is_missing(found)).zip(rows) {
        *found = rows.first().map(deleted).transpose();
    }
    Ok(found)
}

fn deleted(row: &Row) -> Result<Credential> {
    Ok(Credential::Deleted { tenant: TenantKey(row.int(0)?), hash: SecretHash::from_bytes(row.fixed(1)?) })
}
