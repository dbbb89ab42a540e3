//! Tenants: isolated organisations, each under a host name of its own.

use patron_core::audit::{Action, Context, Event, Party};
use patron_core::error::Detail;
use patron_core::id::{TenantId, TenantKey};
use patron_core::name::TenantName;
use patron_core::time::Timestamp;
use patron_core::{Error, Result};

use crate::Store;
use crate::acting::Subjects;
use crate::audit::{self, Stamp};
use crate::changes::{self, Change, Place};
use crate::convert;
use crate::driver::{Row, Tx};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// What rows carry.
    pub key: TenantKey,
    /// What the outside sees.
    pub id: TenantId,
    /// Its name, and the first label of its host name.
    pub name: TenantName,
    /// When it was made.
    pub created: Timestamp,
}

fn tenant(row: &Row) -> Result<Tenant> {
    Ok(Tenant {
        key: TenantKey(row.int(0)?),
        id: TenantId::from_bytes(row.fixed(1)?),
        name: TenantName::parse(row.text(2)?).map_err(Error::internal)?,
        created: convert::time(row, 3)?,
    })
}

/// Makes a tenant in the transaction at hand.
pub(crate) async fn create(
    tx: &mut Tx,
    store: &Store,
    context: &Context,
    name: &TenantName,
) -> Result<Tenant> {
    let (id, now) = (TenantId::random(&store.entropy), store.clock.now());
    let sql = "INSERT INTO tenants (id, name, created) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING \
               RETURNING key, id, name, created";
    let row = tx.query_opt(sql, &[id.into(), name.as_str().into(), now.into()]).await?;
    let taken = || Error::invalid(Detail::Conflict, format!("There is a tenant '{name}' already."));
    let made = tenant(&row.ok_or_else(taken)?)?;
    let event = Event::new(Action::TenantCreated, Party::other("TENANT", made.id.to_string(), name.as_str()));
    audit::record(tx, store, &Stamp { tenant: made.key, context, now }, &event).await?;
    changes::enter(tx, Change::Tenant(made.id));
    Ok(made)
}

pub(crate) async fn find_by_name(tx: &mut Tx, name: &str) -> Result<Option<Tenant>> {
    let sql = "SELECT key, id, name, created FROM tenants WHERE name = $1";
    tx.query_opt(sql, &[name.into()]).await?.map(|row| tenant(&row)).transpose()
}

impl Store {
    /// Makes a tenant.
    ///
    /// # Errors
    /// [`Detail::Conflict`] when the name is taken.
    pub async fn create_tenant(&self, context: Context, name: TenantName) -> Result<Tenant> {
        self.change("create_tenant", context, Subjects::none(), move |tx, store, context| {
            let name = name.clone();
            Box::pin(async move { create(tx, &store, &context, &name).await })
        })
        .await
    }

    /// The tenant of this name.
    pub async fn tenant(&self, name: String) -> Result<Option<Tenant>> {
        self.read("tenant", move |tx| {
            let name = name.clone();
            Box::pin(async move { find_by_name(tx, &name).await })
        })
        .await
    }

    /// All tenants, by name, as of `place` in the feed or later.
    ///
    /// # Errors
    /// As [`Store::revoked_tokens`].
    pub async fn tenants(&self, place: Place) -> Result<Vec<Tenant>> {
        self.recall_at(place, "tenants", |tx| {
            Box::pin(async move {
                let sql = "SELECT key, id, name, created FROM tenants ORDER BY name";
                tx.query(sql, &[]).await?.iter().map(tenant).collect()
            })
        })
        .await
    }
}
