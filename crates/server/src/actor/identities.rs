//! What an identity does with identities (contract sections 2 and 3).

use std::sync::Arc;

use patron_core::Result;
use patron_core::id::IdentityId;
use patron_core::identity::{self, Identity};
use patron_core::rights::Right;
use patron_store::identities::no_such_identity;

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
            let added: Vec<String> =
                levels.iter().filter(|level| !old.levels.contains(level)).cloned().collect();
            actor.holder().set_levels(catalogue, &added)?;
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
