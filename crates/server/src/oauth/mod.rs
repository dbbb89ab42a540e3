//! OAuth 2.0: the token endpoint and what stands around it (contract section 6).

pub mod credentials;
pub mod error;
pub mod form;
pub mod gateway;
pub mod inspect;
pub mod metadata;
pub mod token;

pub use credentials::{BasicError, ClientCredentials, TokenReference, TokenRequest, parse_basic};
pub use error::OAuthError;
use form::Params;

use crate::app::Request;
use crate::auth::{Proven, Refusal};
use crate::body;
use crate::respond::Failure;

/// The parameters of an OAuth request, from its query and its form.
async fn params_of(request: &mut Request) -> Result<Params, Failure> {
    let body = std::mem::take(request.body.get_mut());
    let body = body::read(&request.parts.headers, body).await?;
    Ok(form::parse_params(&request.parts.headers, request.parts.uri.query(), body).await?)
}

/// The PAT that a client authenticates as, in the tenant that was asked and within its rate limit.
async fn client_of(request: &Request, credentials: &ClientCredentials) -> Result<Proven, Failure> {
    let proven = match request.app.prove(credentials, request.presented()).await {
        Ok(proven) => proven,
        Err(refusal @ (Refusal::Guessing(_) | Refusal::Fault(_))) => {
            return Err(refusal.into_error("").into());
        }
        Err(refusal) => return Err(OAuthError::InvalidClient(refusal.text()).into()),
    };
    request.admit(proven.present.terms.id)?;
    Ok(proven)
}
