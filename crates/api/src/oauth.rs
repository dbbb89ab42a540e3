use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire;

/// The answer to an exchange (RFC 6749 section 5.1, with the original's further fields).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenResponse {
    /// The access token: an ES256 JWT (RFC 9068).
    #[serde(serialize_with = "wire::exposed")]
    #[schema(value_type = String)]
    pub access_token: SecretString,
    /// Always `bearer`.
    pub token_type: String,
    /// Seconds until it ends.
    pub expires_in: u32,
    /// Its scopes, a space between, spelled as asked.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub scope: String,
    /// The tenant's id.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub tenant_id: String,
    /// Where the tenant runs.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub pod: String,
    /// The tenant's name.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub org: String,
    /// The identity it acts for.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub identity_id: String,
    /// That identity's login name.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub user_name: String,
    /// Always false: a PAT is one factor.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub strong_auth: bool,
    /// Always false.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub strong_auth_supported: bool,
    /// The access token's id.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub jti: String,
}

/// Where a client of the original product looks first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuthInfo {
    /// The tenant's id.
    pub tenant_id: String,
    /// The tenant's name.
    pub tenant_name: String,
    /// The sign-in page.
    pub authorize_endpoint: String,
    /// The token endpoint.
    pub token_endpoint: String,
    /// The tenant's public URL.
    pub cloud_domain_url: String,
    /// The sign-out page.
    pub logout_url: String,
    /// Where the tenant runs.
    pub pod: String,
}

/// What introspection tells (RFC 7662 section 2.2). Only `active` is there when it is false.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Introspection {
    /// Whether the token works, now.
    pub active: bool,
    /// Its scopes, a space between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The PAT it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The identity's login name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Always `bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// When it ends, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// The identity's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// For whom it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
}

/// Where everything is (RFC 8414 section 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuthorizationServerMetadata {
    /// The tenant's public URL, as in the `iss` claim.
    pub issuer: String,
    /// Where a PAT is exchanged.
    pub token_endpoint: String,
    /// The public keys.
    pub jwks_uri: String,
    /// RFC 7662.
    pub introspection_endpoint: String,
    /// RFC 7009.
    pub revocation_endpoint: String,
    /// Always `["client_credentials"]`.
    pub grant_types_supported: Vec<String>,
    /// Always empty: there is no authorization endpoint.
    pub response_types_supported: Vec<String>,
    /// `client_secret_basic` and `client_secret_post`.
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// The same.
    pub introspection_endpoint_auth_methods_supported: Vec<String>,
    /// The same.
    pub revocation_endpoint_auth_methods_supported: Vec<String>,
    /// The scopes of the catalogue.
    pub scopes_supported: Vec<String>,
    /// The API's description.
    pub service_documentation: String,
}

/// Public keys (RFC 7517 section 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jwks {
    /// The keys that sign, signed, or will sign next.
    pub keys: Vec<Jwk>,
}

/// A P-256 public key (RFC 7518 section 6.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jwk {
    /// Always `EC`.
    pub kty: String,
    /// Always `P-256`.
    pub crv: String,
    /// First coordinate, base64url.
    pub x: String,
    /// Second coordinate, base64url.
    pub y: String,
    /// The key's RFC 7638 thumbprint.
    pub kid: String,
    /// Always `ES256`.
    pub alg: String,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub usage: String,
}
