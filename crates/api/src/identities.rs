use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What everyone may know of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublicIdentity {
    /// Its id.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// Its login name.
    pub alias: String,
    /// Its mail address.
    pub email: Option<String>,
    /// `Active` or `Inactive`.
    pub status: String,
    /// `ACTIVE` or `INACTIVE_LONG_TERM`.
    pub identity_state: String,
    /// Always null: Patron knows no managers.
    pub manager: Option<String>,
    /// Always empty: Patron knows no further attributes.
    pub attributes: Vec<serde_json::Value>,
}

/// An identity as an administrator of levels sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthUser {
    /// The tenant's name.
    pub tenant: String,
    /// Its id.
    pub id: String,
    /// Its login name.
    pub uid: String,
    /// Its login name, once more, as the original has it.
    pub alias: String,
    /// Its mail address.
    pub email: Option<String>,
    /// Given name.
    pub firstname: Option<String>,
    /// Family name.
    pub lastname: Option<String>,
    /// Display name.
    pub display_name: String,
    /// Its levels.
    pub capabilities: Vec<String>,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its name for people; Patron has but one.
    pub full_name: String,
    /// Where it runs: the setting `pod`.
    pub pod: String,
    /// Always empty: Patron knows no regions.
    pub region: String,
    /// Always empty.
    pub description: String,
    /// Always empty: Patron is one product.
    pub products: Vec<serde_json::Value>,
}
