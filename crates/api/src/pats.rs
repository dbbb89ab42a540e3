use patron_core::json;
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::ToSchema;

/// What a PAT is to be made of.
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
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "whole_number")]
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

/// Reads a whole number in any spelling that JSON has for it: `15`, `15.0`, `1.5e1`.
fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let number = Option::<serde_json::Number>::deserialize(deserializer)?;
    let whole =
        |number| json::whole_number(&number).ok_or_else(|| de::Error::custom("expected a whole number"));
    number.map(whole).transpose()
}

/// What a created PAT is: the only time that its secret is shown.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatePersonalAccessTokenResponse {
    /// Its id: the `client_id` of an exchange, the user name of HTTP Basic.
    pub id: String,
    /// Its secret: the `client_secret`, the password. It is not kept and cannot be shown again.
    pub secret: String,
    /// What it is limited to.
    pub scope: Vec<String>,
    /// What people call it.
    pub name: String,
    /// Who owns it.
    pub owner: Owner,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created: String,
    /// How long an access token made from it lives, in seconds.
    pub access_token_validity_seconds: u32,
    /// When it stops working; null: never.
    #[schema(format = DateTime)]
    pub expiration_date: Option<String>,
}

/// A PAT, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonalAccessToken {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it is limited to.
    pub scope: Vec<String>,
    /// Who owns it.
    pub owner: Owner,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created: String,
    /// When it was last used; moves at most once in 24 h; null: never used.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub last_used: Option<String>,
    /// Whether the platform made it.
    #[serde(default)]
    pub managed: bool,
    /// How long an access token made from it lives, in seconds.
    #[serde(default = "default_validity")]
    pub access_token_validity_seconds: u32,
    /// When it stops working; null: never.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub expiration_date: Option<String>,
    /// Whether its owner acknowledged that it never expires; absent in the answer of a bulk update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_aware_token_never_expires: Option<bool>,
}

fn default_validity() -> u32 {
    43_200
}

/// Who owns a PAT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Owner {
    /// What the owner is.
    #[serde(rename = "type")]
    pub kind: OwnerType,
    /// The owner's id.
    pub id: String,
    /// The owner's display name.
    pub name: String,
}

/// What can own a PAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OwnerType {
    /// An identity.
    Identity,
}

/// One operation of a JSON Patch (RFC 6902 section 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JsonPatchOperation {
    /// `add`, `remove`, `replace`, `move`, `copy` or `test`.
    #[schema(example = "replace")]
    pub op: String,
    /// A JSON Pointer (RFC 6901): `/name`, `/scope`, `/scope/0`, `/scope/-`, `/expirationDate` or
    /// `/userAwareTokenNeverExpires`.
    #[schema(example = "/name")]
    pub path: String,
    /// What to put there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// Where `move` and `copy` take it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// One patch for many PATs, all or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkUpdateRequest {
    /// 1 to 25 ids of PATs of the tenant, no repeats.
    #[schema(min_items = 1, max_items = 25)]
    pub ids: Vec<String>,
    /// Operations on `/expirationDate` and `/userAwareTokenNeverExpires`.
    pub patch: Vec<JsonPatchOperation>,
}
