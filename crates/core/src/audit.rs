//! Audit events (contract section 9): what happened, who did it to what, from where, and how it ended.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::id::{IdentityId, PatId, TenantKey, TokenId, TrackingId};
use crate::identity::Identity;
use crate::scope::ScopeList;
use crate::secret::SessionHash;

/// What each action is called by filters and exports, its verb, and how it ended.
macro_rules! actions {
    ($($action:ident $technical_name:literal $operation:literal $status:literal $doc:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $(#[doc = $doc] $action,)*
        }

        impl Action {
            /// Everything that can happen, in the order of the nouns it happens to.
            pub const ALL: &[Self] = &[$(Self::$action),*];

            /// The stable name: `technicalName`.
            pub fn technical_name(self) -> &'static str {
                match self {
                    $(Self::$action => $technical_name,)*
                }
            }

            /// The verb: `operation`.
            pub fn operation(self) -> &'static str {
                match self {
                    $(Self::$action => $operation,)*
                }
            }

            /// How it ended: `status`.
            pub fn status(self) -> &'static str {
                match self {
                    $(Self::$action => $status,)*
                }
            }
        }
    };
}

actions! {
    PatCreated "PERSONAL_ACCESS_TOKEN_CREATED" "CREATE" "PASSED" "A PAT was made.";
    PatUpdated "PERSONAL_ACCESS_TOKEN_UPDATED" "UPDATE" "PASSED" "A PAT was patched, alone or in bulk.";
    PatDeleted "PERSONAL_ACCESS_TOKEN_DELETED" "DELETE" "PASSED" "A PAT was deleted.";
    PatExpired "PERSONAL_ACCESS_TOKEN_EXPIRED" "EXPIRE" "PASSED" "A PAT reached its expiration date.";
    PatUsed "PERSONAL_ACCESS_TOKEN_USED" "USE" "PASSED" "A PAT was used.";
    PatUseFailed "PERSONAL_ACCESS_TOKEN_USE_FAILED" "USE" "FAILED" "Somebody failed to use a PAT; one event may stand for many tries.";
    AccessTokenRevoked "ACCESS_TOKEN_REVOKED" "REVOKE" "PASSED" "An access token was revoked before its end.";
    SignInPassed "SIGN_IN_PASSED" "SIGN_IN" "PASSED" "Somebody signed in.";
    SignInFailed "SIGN_IN_FAILED" "SIGN_IN" "FAILED" "Somebody failed to sign in.";
    IdentityCreated "IDENTITY_CREATED" "CREATE" "PASSED" "An identity was made.";
    IdentityUpdated "IDENTITY_UPDATED" "UPDATE" "PASSED" "An identity's levels or password changed.";
    IdentityDisabled "IDENTITY_DISABLED" "DISABLE" "PASSED" "An identity's credentials stopped working.";
    IdentityEnabled "IDENTITY_ENABLED" "ENABLE" "PASSED" "An identity's credentials work again.";
    IdentityDeleted "IDENTITY_DELETED" "DELETE" "PASSED" "An identity was deleted, with its PATs.";
    TenantCreated "TENANT_CREATED" "CREATE" "PASSED" "A tenant was made.";
    SigningKeyRotated "SIGNING_KEY_ROTATED" "ROTATE" "PASSED" "The signing key was rotated.";
}

/// One side of an event: the actor or the target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Party {
    /// What it is: `IDENTITY`, `PERSONAL_ACCESS_TOKEN`, `SYSTEM`, …
    pub kind: &'static str,
    /// Its id; the name of a part of Patron when it is no row.
    pub id: String,
    /// Its name at that moment.
    pub name: String,
}

impl Party {
    /// An identity.
    pub fn identity(id: IdentityId, name: &str) -> Self {
        Self { kind: "IDENTITY", id: id.to_string(), name: name.to_owned() }
    }

    /// A PAT.
    pub fn pat(id: PatId, name: &str) -> Self {
        Self { kind: "PERSONAL_ACCESS_TOKEN", id: id.to_string(), name: name.to_owned() }
    }

    /// The operator on the command line.
    pub fn operator() -> Self {
        Self { kind: "SYSTEM", id: "patron-admin".to_owned(), name: "patron admin".to_owned() }
    }

    /// Patron itself.
    pub fn patron() -> Self {
        Self { kind: "SYSTEM", id: "patron".to_owned(), name: "Patron".to_owned() }
    }

    /// Anything else that has an id and a name.
    pub fn other(kind: &'static str, id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, id: id.into(), name: name.into() }
    }
}

/// The credential that asks for a change, as it was judged. It must still be so when the change is made: between the
/// two lie a body that takes its time to arrive and whatever is committed meanwhile.
#[derive(Debug, Clone)]
pub struct Acting {
    /// What it is.
    pub means: Means,
    /// Its tenant.
    pub tenant: TenantKey,
    /// Whose it is.
    pub identity: IdentityId,
    /// The identity's generation.
    pub generation: u32,
    /// The identity's levels.
    pub levels: Vec<String>,
}

impl Acting {
    /// A credential of this identity.
    pub fn of(who: &Identity, means: Means) -> Self {
        let Identity { id, tenant, generation, levels, .. } = who;
        Self { means, tenant: *tenant, identity: *id, generation: *generation, levels: levels.clone() }
    }
}

/// What a credential is.
#[derive(Debug, Clone)]
pub enum Means {
    /// A PAT, or an access token made from one.
    Pat {
        /// The PAT in use, or from which the access token in use was made.
        pat: PatId,
        /// The access token in use; `None` for the PAT itself.
        token: Option<TokenId>,
        /// The scopes of the PAT itself when it is in use; an access token keeps its own.
        pat_scopes: Option<ScopeList>,
    },
    /// A web session.
    Session(SessionHash),
}

impl Means {
    /// The access token in use.
    pub fn token(&self) -> Option<TokenId> {
        match self {
            Self::Pat { token, .. } => *token,
            Self::Session(_) => None,
        }
    }
}

/// Who asks for a change, with what, from where, in which request.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who.
    pub actor: Party,
    /// With what; `None` for the operator and Patron itself, who need no credential.
    pub acting: Option<Acting>,
    /// From where; none on the command line.
    pub address: Option<IpAddr>,
    /// In which request.
    pub tracking: TrackingId,
}

/// An event that is about to be recorded in the transaction of its change.
#[derive(Debug, Clone)]
pub struct Event {
    /// What happened.
    pub action: Action,
    /// To what.
    pub target: Party,
    /// What else is worth knowing; never a secret.
    pub attributes: Map<String, Value>,
}

impl Event {
    /// An event without attributes.
    pub fn new(action: Action, target: Party) -> Self {
        Self { action, target, attributes: Map::new() }
    }

    /// With one attribute more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }
}
