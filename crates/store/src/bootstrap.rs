//! The first tenant, administrator, PAT and signing keys.

use std::sync::Arc;

use patron_core::audit::Context;
use patron_core::id::PatId;
use patron_core::identity::{Draft, Identity};
use patron_core::name::TenantName;
use patron_core::pat::{NewPat, Pat};
use patron_core::rights::ORG_ADMIN;
use patron_core::secret::Secret;
use patron_core::{Error, Result};

use crate::Store;
use crate::driver::Tx;
use crate::identities::NewPassword;
use crate::keys::{self, StoredKey};
use crate::pats::{self, Creation};
use crate::tenants::{self, Tenant};
use crate::{changes, identities};

/// What bootstrap makes besides the tenant.
#[derive(Clone)]
pub struct Bootstrap {
    /// The administrator, checked.
    pub admin: Draft,
    /// The hash of the administrator's password, a PHC string.
    pub password_hash: String,
    /// The administrator's first PAT, checked.
    pub pat: NewPat,
    /// The signing keys.
    pub keys: Vec<StoredKey>,
}

/// What bootstrap made.
pub struct Bootstrapped {
    /// The default tenant.
    pub tenant: Tenant,
    /// Its administrator.
    pub admin: Identity,
    /// The administrator's PAT.
    pub pat: Pat,
    /// That PAT's secret.
    pub secret: Secret,
}

impl Store {
    /// Whether bootstrap was done.
    pub async fn is_bootstrapped(&self) -> Result<bool> {
        self.db
            .read("is_bootstrapped", |tx| {
                Box::pin(
                    async move { Ok(tx.query_opt("SELECT 1 FROM tenants LIMIT 1", &[]).await?.is_some()) },
                )
            })
            .await
    }

    /// Makes the first tenant and what is in it; `None` when that was done before, perhaps by another process a
    /// moment ago.
    pub async fn bootstrap(&self, context: Context, with: Bootstrap) -> Result<Option<Bootstrapped>> {
        let (store, with) = (self.clone(), Arc::new(with));
        let secret = Secret::generate(&self.entropy);
        let hash = secret.hash();
        let made = self
            .write("bootstrap", move |tx| {
                let (store, context, with) = (store.clone(), context.clone(), Arc::clone(&with));
                Box::pin(async move {
                    if tx.query_opt("SELECT 1 FROM tenants LIMIT 1", &[]).await?.is_some() {
                        return Ok(None);
                    }
                    let tenant = tenants::create(tx, &store, &context, &TenantName::default_tenant()).await?;
                    let admin = with.admin.clone();
                    let password = Some(with.password_hash.clone());
                    let admin = identities::insert(tx, &store, &context, tenant.key, admin, password).await?;
                    let creation = Creation { owner: admin.id, managed: false, per_owner: u32::MAX };
                    let new = with.pat.clone();
                    let pat = pats::insert(tx, &store, &context, tenant.key, creation, new, hash).await?;
                    remember(tx, &pat).await?;
                    for key in &with.keys {
                        keys::put(tx, key).await?;
                    }
                    changes::enter(tx, changes::Change::Keys);
                    Ok(Some((tenant, admin, pat)))
                })
            })
            .await?;
        Ok(made.map(|(tenant, admin, pat)| Bootstrapped { tenant, admin, pat, secret }))
    }

    /// Gives the bootstrap administrator a new password and a new PAT in the place of the one of that name; makes
    /// the identity anew when it was deleted, enables it when it was disabled, and restores its level.
    ///
    /// # Errors
    /// Not found when there was no bootstrap yet.
    pub async fn reset_admin(&self, context: Context, with: Bootstrap) -> Result<Bootstrapped> {
        let (store, with) = (self.clone(), Arc::new(with));
        let secret = Secret::generate(&self.entropy);
        let hash = secret.hash();
        let (tenant, admin, pat) = self
            .write("reset_admin", move |tx| {
                let (store, context, with) = (store.clone(), context.clone(), Arc::clone(&with));
                Box::pin(async move {
                    let tenant = default_tenant(tx).await?;
                    let admin = restore_admin(tx, &store, &context, &tenant, &with).await?;
                    replace_bootstrap_pat(tx, &store, &context, &tenant, &admin, &with).await?;
                    let creation = Creation { owner: admin.id, managed: false, per_owner: u32::MAX };
                    let new = with.pat.clone();
                    let pat = pats::insert(tx, &store, &context, tenant.key, creation, new, hash).await?;
                    remember(tx, &pat).await?;
                    Ok((tenant, admin, pat))
                })
            })
            .await?;
        Ok(Bootstrapped { tenant, admin, pat, secret })
    }
}

async fn default_tenant(tx: &mut Tx) -> Result<Tenant> {
    let missing =
        || Error::not_found("There is no tenant yet: run `patron bootstrap` without --reset-admin.");
    tenants::find_by_name(tx, TenantName::DEFAULT).await?.ok_or_else(missing)
}

async fn restore_admin(
    tx: &mut Tx,
    store: &Store,
    context: &Context,
    tenant: &Tenant,
    with: &Bootstrap,
) -> Result<Identity> {
    let hash = with.password_hash.clone();
    let Some(old) = identities::find_by_name(tx, tenant.key, &with.admin.name).await? else {
        return identities::insert(tx, store, context, tenant.key, with.admin.clone(), Some(hash)).await;
    };
    let mut new = old.clone();
    new.enabled = true;
    if !new.levels.iter().any(|level| level == ORG_ADMIN) {
        new.levels.push(ORG_ADMIN.to_owned());
    }
    let new = identities::update(tx, store, context, &old, new).await?;
    let password = NewPassword { hash, temporary: true };
    identities::set_password(tx, store, context, &new, password).await?;
    Ok(new)
}

/// Deletes the PAT that bootstrap made, and one that has taken its name, which the new one needs.
async fn replace_bootstrap_pat(
    tx: &mut Tx,
    store: &Store,
    context: &Context,
    tenant: &Tenant,
    admin: &Identity,
    with: &Bootstrap,
) -> Result<()> {
    let row = tx.query_opt("SELECT pat FROM bootstrap_pat WHERE tenant = $1", &[tenant.key.into()]).await?;
    let made = row.map(|row| row.fixed(0).map(PatId::from_bytes)).transpose()?;
    let made = match made {
        Some(id) => pats::find(tx, tenant.key, id).await?,
        None => None,
    };
    let mut old: Vec<Pat> = made.into_iter().collect();
    let same_name = pats::of_owner(tx, tenant.key, admin.id).await?.into_iter();
    old.extend(same_name.filter(|pat| pat.name == with.pat.name && !pat.managed));
    old.dedup_by_key(|pat| pat.id);
    for pat in old {
        pats::remove(tx, store, context, &pat).await?;
    }
    Ok(())
}

async fn remember(tx: &mut Tx, pat: &Pat) -> Result<()> {
    let sql = "INSERT INTO bootstrap_pat (tenant, pat) VALUES ($1, $2) ON CONFLICT (tenant) DO UPDATE SET pat = excluded.pat";
    tx.execute(sql, &[pat.tenant.into(), pat.id.into()]).await?;
    Ok(())
}
