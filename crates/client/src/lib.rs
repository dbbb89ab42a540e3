#![doc = include_str!("../README.md")]

mod ambient;
mod array;
mod calls;
mod client;
mod credentials;
mod error;
mod limits;
mod list;
mod retry;
mod send;
mod tokens;
mod turns;
mod verify;

pub use ambient::SystemClock;
pub use client::{Client, ClientBuilder};
pub use credentials::{AccessToken, Credentials};
pub use error::{Error, Refusal, Result};
pub use list::List;
pub use patron_api::{
    BulkUpdateRequest, CreatePersonalAccessTokenRequest, CreatePersonalAccessTokenResponse, ErrorMessage,
    ErrorResponse, Introspection, JsonPatch, JsonPatchOperation, OAuthErrorResponse, Owner, OwnerType,
    PersonalAccessToken, RateLimitResponse, TokenResponse, UnauthorizedResponse,
};
pub use patron_core::clock::Clock;
pub use patron_core::time::Timestamp;
pub use retry::Retry;
pub use secrecy::{ExposeSecret, SecretString};
pub use verify::VerifiedToken;
