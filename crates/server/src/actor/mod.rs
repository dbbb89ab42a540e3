//! What an identity does, whatever credential it acts with: the API's handlers and the pages come through here.
//!
//! A method checks what its request says, and hands the store a decision that asks [`patron_core::access`] inside the
//! transaction, on the row as it is then.

mod audit;
mod bulk;
mod identities;
mod overview;
mod pats;

use std::sync::Arc;

use patron_core::access::Holder;
use patron_core::audit::Context;
use patron_core::id::TenantKey;
use patron_core::identity::Identity;
use patron_core::rights::RightSet;
use patron_core::scope::ScopeList;

use crate::app::App;
pub use bulk::{Outcome, Stopped};
pub use identities::LevelsChange;
pub use pats::PatReader;

/// An identity acting with a credential that was good when its request came.
#[derive(Clone)]
pub struct Actor {
    /// The service.
    pub app: Arc<App>,
    /// Its tenant.
    pub tenant: TenantKey,
    /// The identity.
    pub identity: Arc<Identity>,
    /// The rights of the credential, now.
    pub rights: RightSet,
    /// The scopes of the credential; `None` for a web session, which has all.
    pub scopes: Option<ScopeList>,
    /// What its audit events carry, and how the credential is judged once more inside each change.
    pub context: Context,
}

impl Actor {
    /// As the rules of access see it.
    pub fn holder(&self) -> Holder<'_> {
        Holder::of(&self.identity, self.rights, self.scopes.as_ref())
    }
}
