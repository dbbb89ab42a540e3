//! Identities: the persons and services that own PATs.

use std::cmp::Ordering;
use std::sync::Arc;

use patron_core::audit::{Action, Context, Event, Party};
use patron_core::error::Detail;
use patron_core::id::{IdentityId, TenantKey};
use patron_core::identity::{self, Draft, Identity};
use patron_core::limits::NAME_CHARS;
use patron_core::name::could_be_name;
use patron_core::rights::ORG_ADMIN;
use patron_core::{Error, Result};

use crate::Store;
use crate::acting::Subjects;
use crate::audit::{self, Stamp};
use crate::changes::{self, Change};
use crate::convert::{self, json};
use crate::driver::{Row, Tx};
use crate::{pats, sessions};

/// The columns of [`identity`], in its order.
macro_rules! identity_columns {
    () => {
        "tenant, id, name, display_name, first_name, last_name, email, levels, enabled, generation, created"
    };
}

/// How many [`identity`] reads.
pub(crate) const IDENTITY_COLUMNS: usize = 11;

macro_rules! select_identity {
    ($rest:literal) => {
        concat!("SELECT ", identity_columns!(), " FROM identities ", $rest)
    };
}

mod search;

pub use search::{Found, Search};

pub(crate) fn identity(row: &Row) -> Result<Identity> {
    Ok(Identity {
        tenant: TenantKey(row.int(0)?),
        id: IdentityId::from_bytes(row.fixed(1)?),
        name: row.text(2)?.to_owned(),
        display_name: row.text(3)?.to_owned(),
        first_name: row.text(4)?.to_owned(),
        last_name: row.text(5)?.to_owned(),
        email: row.text(6)?.to_owned(),
        levels: convert::list(row, 7)?,
        enabled: row.flag(8)?,
        generation: u32::try_from(row.int(9)?).map_err(Error::internal)?,
        created: convert::time(row, 10)?,
    })
}

/// The answer to an id that is nobody's in the tenant.
pub fn no_such_identity() -> Error {
    Error::not_found("There is no such identity.")
}

/// In which order identities are listed: texts by their bytes, and by id those whose texts are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From the lowest login name to the highest.
    LoginName,
    /// From the lowest display name to the highest.
    DisplayName,
    /// From the highest display name to the lowest.
    DisplayNameDescending,
}

impl Order {
    /// Which of two identities is listed first.
    pub fn compare(self, a: &Identity, b: &Identity) -> Ordering {
        match self {
            Self::LoginName => (&a.name, a.id).cmp(&(&b.name, b.id)),
            Self::DisplayName => (&a.display_name, a.id).cmp(&(&b.display_name, b.id)),
            Self::DisplayNameDescending => (&b.display_name, b.id).cmp(&(&a.display_name, a.id)),
        }
    }

    /// Where a page goes on, or begins.
    fn after(self, last: Option<&Identity>) -> (String, IdentityId) {
        match (self, last) {
            (Self::LoginName, Some(last)) => (last.name.clone(), last.id),
            (_, Some(last)) => (last.display_name.clone(), last.id),
            (Self::LoginName | Self::DisplayName, None) => (String::new(), IdentityId::from_bytes([0; 16])),
            // Longer than any name, of the highest character there is: higher than every name.
            (Self::DisplayNameDescending, None) => {
                (char::MAX.to_string().repeat(NAME_CHARS + 1), IdentityId::from_bytes([u8::MAX; 16]))
            }
        }
    }

    fn page(self) -> &'static str {
        match self {
            Self::LoginName => {
                select_identity!("WHERE tenant = $1 AND (name, id) > ($2, $3) ORDER BY name, id LIMIT $4")
            }
            Self::DisplayName => select_identity!(
                "WHERE tenant = $1 AND (display_name, id) > ($2, $3) ORDER BY display_name, id LIMIT $4"
            ),
            Self::DisplayNameDescending => select_identity!(
                "WHERE tenant = $1 AND (display_name, id) < ($2, $3) ORDER BY display_name DESC, id DESC LIMIT $4"
            ),
        }
    }
}

/// What becomes of an identity as it is inside the transaction: its levels and whether it is enabled.
pub type Decision = Arc<dyn Fn(&Identity) -> Result<Identity> + Send + Sync>;

/// Whether something may be done with an identity as it is inside the transaction.
pub type Permission = Arc<dyn Fn(&Identity) -> Result<()> + Send + Sync>;

impl Store {
    /// Makes an identity from a checked draft.
    ///
    /// # Errors
    /// [`Detail::Conflict`] when the login name is taken.
    pub async fn create_identity(
        &self,
        context: Context,
        tenant: TenantKey,
        draft: Draft,
    ) -> Result<Identity> {
        self.create(context, tenant, draft, None).await
    }

    /// The same, with the hash of a temporary password, a PHC string.
    ///
    /// # Errors
    /// As [`Store::create_identity`].
    pub async fn create_identity_with_password(
        &self,
        context: Context,
        tenant: TenantKey,
        draft: Draft,
        password_hash: String,
    ) -> Result<Identity> {
        self.create(context, tenant, draft, Some(password_hash)).await
    }

    async fn create(
        &self,
        context: Context,
        tenant: TenantKey,
        draft: Draft,
        password_hash: Option<String>,
    ) -> Result<Identity> {
        self.change("create_identity", context, Subjects::none(), move |tx, store, context| {
            let (draft, hash) = (draft.clone(), password_hash.clone());
            Box::pin(async move { insert(tx, &store, &context, tenant, draft, hash).await })
        })
        .await
    }

    /// The identity of this id in the tenant.
    pub async fn identity(&self, tenant: TenantKey, id: IdentityId) -> Result<Option<Identity>> {
        self.read("identity", move |tx| Box::pin(async move { find(tx, tenant, id).await })).await
    }

    /// The identity of this id in any tenant: for authentication alone.
    pub async fn credential_owner(&self, id: IdentityId) -> Result<Option<Identity>> {
        self.read("credential_owner", move |tx| {
            Box::pin(async move {
                let row = tx.query_opt(select_identity!("WHERE id = $1"), &[id.into()]).await?;
                row.map(|row| identity(&row)).transpose()
            })
        })
        .await
    }

    /// The identity of this login name in the tenant.
    pub async fn identity_named(&self, tenant: TenantKey, name: String) -> Result<Option<Identity>> {
        if !could_be_name(&name) {
            return Ok(None);
        }
        self.read("identity_named", move |tx| {
            let name = name.clone();
            Box::pin(async move { find_by_name(tx, tenant, &name).await })
        })
        .await
    }

    /// Up to `limit` identities of the tenant in this order, after the one that a page before ended with.
    pub async fn identities_page(
        &self,
        tenant: TenantKey,
        order: Order,
        after: Option<&Identity>,
        limit: u32,
    ) -> Result<Vec<Identity>> {
        let (text, id) = order.after(after);
        self.read("identities_page", move |tx| {
            let values = [tenant.into(), text.as_str().into(), id.into(), limit.into()];
            Box::pin(async move { tx.query(order.page(), &values).await?.iter().map(identity).collect() })
        })
        .await
    }

    /// Changes an identity's levels or whether it is enabled, to what `decide` makes of it. Disabling ends its
    /// access tokens and sessions for good: they are of an earlier generation from then on.
    ///
    /// # Errors
    /// What `decide` answers; not found when the tenant has no such identity; [`Detail::Content`] when the tenant
    /// would be left without an enabled administrator.
    pub async fn change_identity(
        &self,
        context: Context,
        tenant: TenantKey,
        id: IdentityId,
        decide: Decision,
    ) -> Result<Identity> {
        let about = Subjects::identity(tenant, id);
        self.change("change_identity", context, about, move |tx, store, context| {
            let decide = Arc::clone(&decide);
            Box::pin(async move {
                let old = find(tx, tenant, id).await?.ok_or_else(no_such_identity)?;
                let new = decide(&old)?;
                update(tx, &store, &context, &old, new).await
            })
        })
        .await
    }

    /// Sets an identity's password hash, a PHC string, and ends all its sessions. `temporary` says that whoever signs
    /// in with the password is asked for a new one.
    ///
    /// # Errors
    /// Not found when the tenant has no such identity.
    pub async fn set_password_hash(
        &self,
        context: Context,
        tenant: TenantKey,
        id: IdentityId,
        hash: String,
        temporary: bool,
    ) -> Result<()> {
        let new = NewPassword { hash, temporary };
        self.change_password(context, tenant, id, new, Arc::new(|_| Ok(()))).await.map(drop)
    }

    /// Sets the hash of a temporary password, a PHC string, for an identity for which `decide` lets it be set, and ends
    /// all its sessions.
    ///
    /// # Errors
    /// What `decide` answers; not found when the tenant has no such identity.
    pub async fn reset_password(
        &self,
        context: Context,
        tenant: TenantKey,
        id: IdentityId,
        hash: String,
        decide: Permission,
    ) -> Result<Identity> {
        self.change_password(context, tenant, id, NewPassword { hash, temporary: true }, decide).await
    }

    async fn change_password(
        &self,
        context: Context,
        tenant: TenantKey,
        id: IdentityId,
        new: NewPassword,
        decide: Permission,
    ) -> Result<Identity> {
        let about = Subjects::identity(tenant, id);
        self.change("change_password", context, about, move |tx, store, context| {
            let (new, decide) = (new.clone(), Arc::clone(&decide));
            Box::pin(async move {
                let who = find(tx, tenant, id).await?.ok_or_else(no_such_identity)?;
                decide(&who)?;
                set_password(tx, &store, &context, &who, new).await?;
                Ok(who)
            })
        })
        .await
    }

    /// Deletes an identity with all its PATs and sessions.
    ///
    /// # Errors
    /// Not found when the tenant has no such identity; [`Detail::Content`] when it is the last enabled
    /// administrator.
    pub async fn delete_identity(&self, context: Context, tenant: TenantKey, id: IdentityId) -> Result<()> {
        let about = Subjects::identity_with_pats(tenant, id);
        self.change("delete_identity", context, about, move |tx, store, context| {
            Box::pin(async move {
                let old = find(tx, tenant, id).await?.ok_or_else(no_such_identity)?;
                refuse_last_admin(tx, &old).await?;
                pats::remove_all(tx, &store, &context, tenant, id).await?;
                sessions::end_all(tx, tenant, id).await?;
                let sql = "DELETE FROM identities WHERE id = $1 AND tenant = $2";
                tx.execute(sql, &[id.into(), tenant.into()]).await?;
                let now = store.clock.now();
                let event = Event::new(Action::IdentityDeleted, Party::identity(id, &old.name));
                audit::record(tx, &store, &Stamp { tenant, context: &context, now }, &event).await?;
                changes::enter(tx, Change::Identity(id));
                Ok(())
            })
        })
        .await
    }
}

/// A password that is to be set.
#[derive(Clone)]
pub(crate) struct NewPassword {
    /// Its hash, a PHC string.
    pub(crate) hash: String,
    /// Whether it is somebody else's choice than the identity's own.
    pub(crate) temporary: bool,
}

/// Makes an identity in the transaction at hand. A password that it is made with is temporary.
pub(crate) async fn insert(
    tx: &mut Tx,
    store: &Store,
    context: &Context,
    tenant: TenantKey,
    draft: Draft,
    password_hash: Option<String>,
) -> Result<Identity> {
    let (id, now) = (IdentityId::random(&store.entropy), store.clock.now());
    let sql = "INSERT INTO identities (id, tenant, name, display_name, first_name, last_name, email, levels, enabled, \
               generation, password_hash, password_temporary, created) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, 0, $9, $10, $11) \
               ON CONFLICT (tenant, name) DO NOTHING";
    let temporary = password_hash.is_some();
    let text = |given: &Option<String>| given.clone().unwrap_or_default();
    let values = [
        id.into(),
        tenant.into(),
        draft.name.as_str().into(),
        text(&draft.display_name).into(),
        text(&draft.first_name).into(),
        text(&draft.last_name).into(),
        text(&draft.email).into(),
        json(&draft.levels),
        password_hash.into(),
        temporary.into(),
        now.into(),
    ];
    if tx.execute(sql, &values).await? == 0 {
        let name = patron_core::error::shorten(&draft.name);
        return Err(Error::invalid(
            Detail::Conflict,
            format!("There is an identity named '{name}' already."),
        )
        .at("name"));
    }
    let event =
        Event::new(Action::IdentityCreated, Party::identity(id, &draft.name)).with("levels", draft.levels);
    audit::record(tx, store, &Stamp { tenant, context, now }, &event).await?;
    find(tx, tenant, id).await?.ok_or_else(|| Error::internal("an identity vanished in its own transaction"))
}

pub(crate) async fn find(tx: &mut Tx, tenant: TenantKey, id: IdentityId) -> Result<Option<Identity>> {
    let sql = select_identity!("WHERE id = $1 AND tenant = $2");
    tx.query_opt(sql, &[id.into(), tenant.into()]).await?.map(|row| identity(&row)).transpose()
}

pub(crate) async fn find_by_name(tx: &mut Tx, tenant: TenantKey, name: &str) -> Result<Option<Identity>> {
    let sql = select_identity!("WHERE tenant = $1 AND name = $2");
    tx.query_opt(sql, &[tenant.into(), name.into()]).await?.map(|row| identity(&row)).transpose()
}

/// Writes what differs between two states of an identity, with an event for each kind of difference.
pub(crate) async fn update(
    tx: &mut Tx,
    store: &Store,
    context: &Context,
    old: &Identity,
    mut new: Identity,
) -> Result<Identity> {
    if *old == new {
        changes::refer(tx);
        return Ok(new);
    }
    if !new.is_active_admin() {
        refuse_last_admin(tx, old).await?;
    }
    let now = store.clock.now();
    let party = Party::identity(old.id, &old.name);
    let mut events = Vec::new();
    if old.levels != new.levels {
        let levels = serde_json::json!({ "before": old.levels, "after": new.levels });
        events.push(Event::new(Action::IdentityUpdated, party.clone()).with("levels", levels));
    }
    match (old.enabled, new.enabled) {
        (true, false) => {
            new.generation = old.generation.wrapping_add(1);
            sessions::end_all(tx, old.tenant, old.id).await?;
            events.push(Event::new(Action::IdentityDisabled, party));
        }
        (false, true) => events.push(Event::new(Action::IdentityEnabled, party)),
        _ => {}
    }
    let sql =
        "UPDATE identities SET levels = $1, enabled = $2, generation = $3 WHERE id = $4 AND tenant = $5";
    let values =
        [json(&new.levels), new.enabled.into(), new.generation.into(), old.id.into(), old.tenant.into()];
    tx.execute(sql, &values).await?;
    for event in &events {
        audit::record(tx, store, &Stamp { tenant: old.tenant, context, now }, event).await?;
    }
    changes::enter(tx, Change::Identity(old.id));
    Ok(new)
}

/// Sets a password in the transaction at hand. Whoever signed in with the one before has no session any more.
pub(crate) async fn set_password(
    tx: &mut Tx,
    store: &Store,
    context: &Context,
    who: &Identity,
    new: NewPassword,
) -> Result<()> {
    let now = store.clock.now();
    let sql =
        "UPDATE identities SET password_hash = $1, password_temporary = $2 WHERE id = $3 AND tenant = $4";
    tx.execute(sql, &[new.hash.into(), new.temporary.into(), who.id.into(), who.tenant.into()]).await?;
    sessions::end_all(tx, who.tenant, who.id).await?;
    let event =
        Event::new(Action::IdentityUpdated, Party::identity(who.id, &who.name)).with("password", "changed");
    audit::record(tx, store, &Stamp { tenant: who.tenant, context, now }, &event).await?;
    changes::enter(tx, Change::Identity(who.id));
    Ok(())
}

/// Refuses to take the last enabled administrator from a tenant.
async fn refuse_last_admin(tx: &mut Tx, who: &Identity) -> Result<()> {
    if !who.is_active_admin() {
        return Ok(());
    }
    // Levels are kept as a JSON list. Its text tells nearly all others apart; the rule decides about the rest, such
    // as an operator's own level whose name differs in case alone, which `LIKE` does not see in every engine.
    let sql =
        select_identity!("WHERE tenant = $1 AND id <> $2 AND enabled = 1 AND levels LIKE $3 ESCAPE '!'");
    let pattern = format!("%\"{}\"%", ORG_ADMIN.replace('_', "!_"));
    let others = tx.query(sql, &[who.tenant.into(), who.id.into(), pattern.into()]).await?;
    for other in &others {
        if identity(other)?.is_active_admin() {
            return Ok(());
        }
    }
    Err(identity::last_admin())
}

#[cfg(test)]
mod tests;
