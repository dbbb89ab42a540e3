//! Signing keys: their private halves are sealed before they come here.

use std::sync::Arc;

use patron_core::Result;
use patron_core::audit::{Action, Context, Event, Party};
use patron_core::id::TenantKey;
use patron_core::time::Timestamp;

use crate::Store;
use crate::acting::Subjects;
use crate::audit::{self, Stamp};
use crate::changes::{self, Change, Place};
use crate::convert;
use crate::driver::{Row, Tx};

/// A signing key as it is kept. It has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Its name: the JWT header's `kid`.
    pub kid: String,
    /// When it was made and published.
    pub created: Timestamp,
    /// When it begins to sign; `None` while it is the next one.
    pub activates: Option<Timestamp>,
    /// When it ceases to sign.
    pub retires: Option<Timestamp>,
    /// The private key, sealed.
    pub sealed_private: Vec<u8>,
    /// The public key, a JWK.
    pub public_jwk: String,
}

fn key(row: &Row) -> Result<StoredKey> {
    Ok(StoredKey {
        kid: row.text(0)?.to_owned(),
        created: convert::time(row, 1)?,
        activates: convert::opt_time(row, 2)?,
        retires: convert::opt_time(row, 3)?,
        sealed_private: row.blob(4)?.to_vec(),
        public_jwk: row.text(5)?.to_owned(),
    })
}

/// Decides, inside the transaction, what the keys become: those to write, and those to drop by their `kid`.
pub type Decision = Arc<dyn Fn(&[StoredKey]) -> Result<(Vec<StoredKey>, Vec<String>)> + Send + Sync>;

impl Store {
    /// All keys, oldest first, as of `place` in the feed or later.
    ///
    /// # Errors
    /// As [`Store::revoked_tokens`].
    pub async fn signing_keys(&self, place: Place) -> Result<Vec<StoredKey>> {
        self.recall_at(place, "signing_keys", |tx| Box::pin(async move { all(tx).await })).await
    }

    /// Rotates the keys as `decide` says, and records it for the tenant of whoever asked.
    pub async fn rotate_signing_keys(
        &self,
        context: Context,
        tenant: TenantKey,
        decide: Decision,
    ) -> Result<Vec<StoredKey>> {
        let now = self.clock.now();
        self.change("rotate_signing_keys", context, Subjects::none(), move |tx, store, context| {
            let decide = Arc::clone(&decide);
            Box::pin(async move {
                let (write, drop) = decide(&all(tx).await?)?;
                for kid in drop {
                    tx.execute("DELETE FROM signing_keys WHERE kid = $1", &[kid.into()]).await?;
                }
                for key in &write {
                    put(tx, key).await?;
                }
                let signs = write.iter().filter(|key| key.activates.is_some() && key.retires.is_none());
                let mut event = Event::new(Action::SigningKeyRotated, Party::other("SIGNING_KEY", "", ""));
                for key in signs {
                    event.target.id.clone_from(&key.kid);
                    event = event.with("activates", key.activates.unwrap_or(now).to_string());
                }
                audit::record(tx, &store, &Stamp { tenant, context: &context, now }, &event).await?;
                changes::enter(tx, Change::Keys);
                all(tx).await
            })
        })
        .await
    }
}

async fn all(tx: &mut Tx) -> Result<Vec<StoredKey>> {
    let sql = "SELECT kid, created, activates, retires, sealed_private, public_jwk FROM signing_keys \
               ORDER BY created, kid";
    tx.query(sql, &[]).await?.iter().map(key).collect()
}

/// Writes a key in the transaction at hand; only its times may change.
pub(crate) async fn put(tx: &mut Tx, key: &StoredKey) -> Result<()> {
    let sql = "INSERT INTO signing_keys (kid, created, activates, retires, sealed_private, public_jwk) \
               VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (kid) DO UPDATE SET activates = excluded.activates, retires = excluded.retires";
    let values = [
        key.kid.as_str().into(),
        key.created.into(),
        key.activates.into(),
        key.retires.into(),
        key.sealed_private.as_slice().into(),
        key.public_jwk.as_str().into(),
    ];
    tx.execute(sql, &values).await?;
    Ok(())
}
