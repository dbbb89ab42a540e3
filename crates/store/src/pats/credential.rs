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
use crate::driver::Row;
use crate::identities::{IDENTITY_COLUMNS, identity};

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

impl Store {
    /// The PAT of this id in any tenant, with the hash of its secret and its owner: for authentication alone.
    pub async fn credential(&self, id: PatId) -> Result<Option<Credential>> {
        self.read("credential", move |tx| {
            Box::pin(async move {
                // The owner's columns first, in the order of `identity`.
                let sql = "SELECT i.tenant, i.id, i.name, i.display_name, i.first_name, i.last_name, i.email, \
                           i.levels, i.enabled, i.generation, i.created, p.id, p.managed, p.validity, p.expires, \
                           p.scope, p.last_used, p.secret_hash \
                           FROM pats p JOIN identities i ON i.id = p.owner AND i.tenant = p.tenant WHERE p.id = $1";
                if let Some(row) = tx.query_opt(sql, &[id.into()]).await? {
                    return present(&row).map(Some);
                }
                let sql = "SELECT tenant, secret_hash FROM deleted_pats WHERE id = $1";
                let row = tx.query_opt(sql, &[id.into()]).await?;
                row.map(|row| {
                    let hash = SecretHash::from_bytes(row.fixed(1)?);
                    Ok(Credential::Deleted { tenant: TenantKey(row.int(0)?), hash })
                })
                .transpose()
            })
        })
        .await
    }
}
