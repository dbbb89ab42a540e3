use patron_core::time::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{JsonPatchOperation, wire};

/// What a PAT is to be made of: `Createpersonalaccesstokenrequest` of the reference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatePersonalAccessTokenRequest {
    /// What people call it: 1 to 255 characters, unique among its owner's PATs.
    #[serde(default)]
    #[schema(required)]
    pub name: Option<String>,
    /// What it is limited to; omitted or null: `["sp:scopes:all"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Vec<String>>,
    /// How long an access token made from it lives: 15 to 43200 seconds, 43200 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::whole_number")]
    #[schema(minimum = 15, maximum = 43200, default = 43200)]
    pub access_token_validity_seconds: Option<i64>,
    /// When it stops working: a date-time in the future. Omitted, null or empty: never, which asks for
    /// `userAwareTokenNeverExpires`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub expiration_date: Option<String>,
    /// The acknowledgement that a token which never expires is a risk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_aware_token_never_expires: Option<bool>,
    /// Patron's own: whether the platform makes this PAT for another identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<bool>,
    /// Patron's own: for whom a managed PAT is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<String>,
}

/// Building one. An expiry has to be chosen, [`expiring`](Self::expiring) or [`never_expiring`](Self::never_expiring):
/// a request without is refused.
impl CreatePersonalAccessTokenRequest {
    /// A PAT of this name with every scope that its owner may have.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }

    /// Limited to these scopes; none at all is `sp:scopes:default`, which grants no right.
    #[must_use]
    pub fn with_scope<S: Into<String>>(self, scope: impl IntoIterator<Item = S>) -> Self {
        Self { scope: Some(scope.into_iter().map(Into::into).collect()), ..self }
    }

    /// It stops working then.
    #[must_use]
    pub fn expiring(self, at: Timestamp) -> Self {
        Self { expiration_date: Some(at.to_string()), user_aware_token_never_expires: None, ..self }
    }

    /// It never stops working, and whoever says so knows what that risks: this acknowledges it in the field
    /// `userAwareTokenNeverExpires`.
    #[must_use]
    pub fn never_expiring(self) -> Self {
        Self { expiration_date: None, user_aware_token_never_expires: Some(true), ..self }
    }

    /// Access tokens made from it live this many seconds: 15 to 43200.
    #[must_use]
    pub fn with_validity(self, seconds: u32) -> Self {
        Self { access_token_validity_seconds: Some(seconds.into()), ..self }
    }

    /// Made by the platform for this identity. Patron's own, and asks for a right that few have.
    #[must_use]
    pub fn managed_for(self, owner_id: impl Into<String>) -> Self {
        Self { managed: Some(true), owner_id: Some(owner_id.into()), ..self }
    }
}

/// What a created PAT is, the only time that its secret is shown: `Createpersonalaccesstokenresponse` of the reference.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatePersonalAccessTokenResponse {
    /// Its id: the `client_id` of an exchange, the user name of HTTP Basic.
    pub id: String,
    /// Its secret: the `client_secret`, the password. It is not kept and cannot be shown again.
    #[serde(serialize_with = "wire::exposed")]
    #[schema(value_type = String)]
    pub secret: SecretString,
    /// What it is limited to.
    #[serde(deserialize_with = "wire::scope")]
    pub scope: Vec<String>,
    /// What people call it.
    pub name: String,
    /// Who owns it.
    pub owner: Owner,
    /// When it was made.
    #[serde(with = "wire::date")]
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// How long an access token made from it lives, in seconds.
    #[serde(deserialize_with = "wire::validity")]
    pub access_token_validity_seconds: u32,
    /// When it stops working; null: never.
    #[serde(default, with = "wire::optional_date")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub expiration_date: Option<Timestamp>,
}

/// A PAT, without its secret: `Getpersonalaccesstokenresponse` of the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonalAccessToken {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it is limited to.
    #[serde(deserialize_with = "wire::scope")]
    pub scope: Vec<String>,
    /// Who owns it.
    pub owner: Owner,
    /// When it was made.
    #[serde(with = "wire::date")]
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When it was last used; moves at most once in 24 h; null: never used.
    #[serde(default, with = "wire::optional_date")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used: Option<Timestamp>,
    /// Whether the platform made it.
    #[serde(default, deserialize_with = "wire::or_default")]
    pub managed: bool,
    /// How long an access token made from it lives, in seconds.
    #[serde(default = "wire::default_validity", deserialize_with = "wire::validity")]
    pub access_token_validity_seconds: u32,
    /// When it stops working; null: never.
    #[serde(default, with = "wire::optional_date")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expiration_date: Option<Timestamp>,
    /// Whether its owner acknowledged that it never expires; absent in the answer of a bulk update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_aware_token_never_expires: Option<bool>,
}

/// Who owns a PAT: `Patowner` of the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Owner {
    /// What the owner is.
    #[serde(rename = "type")]
    pub kind: OwnerType,
    /// The owner's id.
    pub id: String,
    /// The owner's display name.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub name: String,
}

/// What can own a PAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OwnerType {
    /// An identity.
    Identity,
}

/// One patch for many PATs, all or none: the request of `bulk-update` (contract section 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkUpdateRequest {
    /// 1 to 25 ids of PATs of the tenant, no repeats.
    #[schema(min_items = 1, max_items = 25)]
    pub ids: Vec<String>,
    /// Operations on `/expirationDate` and `/userAwareTokenNeverExpires`.
    pub patch: Vec<JsonPatchOperation>,
}

impl BulkUpdateRequest {
    /// This patch for these PATs.
    pub fn new<S: Into<String>>(
        ids: impl IntoIterator<Item = S>,
        patch: impl Into<Vec<JsonPatchOperation>>,
    ) -> Self {
        Self { ids: ids.into_iter().map(Into::into).collect(), patch: patch.into() }
    }
}
