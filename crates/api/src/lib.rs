//! The JSON of Patron's REST API, which is the Personal Access Tokens API of SailPoint Identity Security Cloud:
//! requests, answers and errors, as a server writes them and a client reads them.
//!
//! "The reference" is that product's published description, whose names of models (`Createpersonalaccesstokenrequest`,
//! `Getpersonalaccesstokenresponse`, …) are given with each type. Required and optional fields, defaults and names are
//! those of the models. Dates are written as `2017-07-11T18:45:37.098Z`. Answers are read leniently, as other servers of
//! this API may write them: null is a default, unknown fields are ignored.

mod audit;
mod errors;
mod identities;
mod oauth;
mod patch;
mod pats;
mod wire;

pub use audit::{AuditEvent, AuditParty};
pub use errors::{ErrorMessage, ErrorResponse, OAuthErrorResponse, RateLimitResponse, UnauthorizedResponse};
pub use identities::{AuthUser, PublicIdentity, Tenant};
pub use oauth::{AuthorizationServerMetadata, Introspection, Jwk, Jwks, OAuthInfo, TokenResponse};
pub use patch::{JsonPatch, JsonPatchOperation};
pub use pats::{
    BulkUpdateRequest, CreatePersonalAccessTokenRequest, CreatePersonalAccessTokenResponse, Owner, OwnerType,
    PersonalAccessToken,
};
