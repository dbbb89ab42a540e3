//! What an identity does with identities (contract sections 2 and 3).

use std::sync::Arc;

use patron_core::Result;
use patron_core::id::IdentityId;
use patron_core::identity::{self, Draft, Identity};
use patron_core::rights::Right;
use patron_core::secret::Password;
use patron_store::identities::{Found, Search, no_such_identity};

use super::Actor;

/// What becomes of an identity's levels.
pub type LevelsChange = Arc<dyn Fn(&[String]) -> Result<Vec<String>> + Send + Sync>;

impl Actor {
    /// One identity of the tenant.
    ///
    /// # Errors
    /// Forbidden without the right to read identities; not found.
    pub async fn identity(&self, id: IdentityId) -> Result<Identity> {
        self.holder().require(&self.app.catalogue, Right::AUTH_USER_READ)?;
        self.app.store.identity(self.tenant, id).await?.ok_or_else(no_such_identity)
    }

    /// What a search finds without its first `offset`, at most `limit`, and how many it finds in all. Numbers of PATs
    /// are for those who may list them.
    ///
    /// # Errors
    /// Forbidden without the right to read identities.
    pub async fn identities_found(
        &self,
        search: Search,
        offset: u32,
        limit: u32,
    ) -> Result<(Vec<Found>, u64)> {
        self.holder().require(&self.app.catalogue, Right::AUTH_USER_READ)?;
        self.app.store.identities_found(self.tenant, search, offset, limit).await
    }

    /// Makes an identity with a first password, and answers both. Nothing else ever tells the password, and whoever
    /// signs in with it is asked for a new one.
    ///
    /// # Errors
    /// As [`patron_core::access::Holder::create_identity`], [`Draft::check`] and
    /// [`patron_store::Store::create_identity`].
    pub async fn create_identity(&self, draft: Draft) -> Result<(Identity, Password)> {
        let (app, holder) = (&self.app, self.holder());
        holder.require(&app.catalogue, Right::AUTH_USER_MANAGE)?;
        let draft = draft.check(&app.catalogue)?;
        holder.create_identity(&app.catalogue, &draft.levels)?;
        let password = Password::generate(&app.entropy);
        let hash = app.passwords.hash(password.clone()).await?;
        let context = self.context.clone();
        let made = app.store.create_identity_with_password(context, self.tenant, draft, hash).await?;
        Ok((made, password))
    }

    /// Gives an identity a new password that nobody chose, ends its web sessions, and answers the password. Nothing
    /// else ever tells it, and whoever signs in with it is asked for a new one.
    ///
    /// # Errors
    /// As [`patron_core::access::Holder::reset_password`]; not found.
    pub async fn reset_password(&self, id: IdentityId) -> Result<(Identity, Password)> {
        let actor = self.clone();
        let decide =
            move |who: &Identity| actor.holder().reset_password(&actor.app.catalogue, who.id, &who.levels);
        let app = &self.app;
        let password = Password::generate(&app.entropy);
        let hash = app.passwords.hash(password.clone()).await?;
        let context = self.context.clone();
        let who = app.store.reset_password(context, self.tenant, id, hash, Arc::new(decide)).await?;
        Ok((who, password))
    }

    /// Sets an identity's levels to what `change` makes of them, within the rights of the credential in use.
    ///
    /// # Errors
    /// As [`patron_core::access::Holder::set_levels`], [`identity::check_levels`] and
    /// [`patron_store::Store::change_identity`]; what `change` answers.
    pub async fn set_levels(&self, id: IdentityId, change: LevelsChange) -> Result<Identity> {
        let actor = self.clone();
        let decide = move |old: &Identity| {
            let catalogue = &actor.app.catalogue;
            actor.holder().require(catalogue, Right::AUTH_USER_MANAGE)?;
            let levels = identity::check_levels(catalogue, change(&old.levels)?)?;
            actor.holder().set_levels(catalogue, &old.levels, &levels)?;
            Ok(Identity { levels, ..old.clone() })
        };
        self.app.store.change_identity(self.context.clone(), self.tenant, id, Arc::new(decide)).await
    }

    /// Disables an identity, which ends its access tokens and web sessions and refuses its PATs from the next request
    /// on; or enables it, which lets its PATs work again.
    ///
    /// # Errors
    /// As [`patron_core::access::Holder::set_enabled`] and [`patron_store::Store::change_identity`].
    pub async fn set_enabled(&self, id: IdentityId, enabled: bool) -> Result<Identity> {
        let actor = self.clone();
        let decide = move |old: &Identity| {
            actor.holder().set_enabled(&actor.app.catalogue, &old.levels, enabled)?;
            Ok(Identity { enabled, ..old.clone() })
        };
        self.app.store.change_identity(self.context.clone(), self.tenant, id, Arc::new(decide)).await
    }
}
