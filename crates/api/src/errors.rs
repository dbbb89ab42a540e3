use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire;

/// The body of 400, 403, 404, 405, 413, 415, 500 and 503: `Errorresponsedto` of the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorResponse {
    /// A stable code for programs, such as `400.1.3 Illegal value`.
    pub detail_code: String,
    /// Names this request in the log: 32 hex digits, also in the header `SLPT-Request-ID`.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub tracking_id: String,
    /// What is wrong, for people.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub messages: Vec<ErrorMessage>,
    /// Never null.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub causes: Vec<ErrorMessage>,
}

/// A text of an [`ErrorResponse`]: `Errormessagedto` of the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorMessage {
    /// The language of the text, such as `en-US`.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub locale: String,
    /// How the language was chosen: `DEFAULT` or `REQUEST`.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub locale_origin: String,
    /// The text.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub text: String,
}

/// The body of 401: `ListPersonalAccessTokensV1401Response` of the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnauthorizedResponse {
    /// What is wrong with the credential, for people.
    #[schema(example = "JWT validation failed: JWT is expired")]
    pub error: String,
}

/// The body of 429: `ListPersonalAccessTokensV1429Response` of the reference. The header `Retry-After` says how many
/// seconds to wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RateLimitResponse {
    /// Always ` Rate Limit Exceeded `.
    #[schema(example = " Rate Limit Exceeded ")]
    pub message: String,
}

/// The body of every error under `/oauth/` (RFC 6749 section 5.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OAuthErrorResponse {
    /// `invalid_request`, `invalid_client`, `unsupported_grant_type`, `invalid_scope`, `unauthorized_client`,
    /// `server_error` or `temporarily_unavailable`.
    pub error: String,
    /// What is wrong, for people.
    #[serde(default, deserialize_with = "wire::or_default")]
    #[schema(required)]
    pub error_description: String,
    /// Beside `temporarily_unavailable` of 429, as in [`RateLimitResponse`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
