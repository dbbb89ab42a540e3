//! Where everything is: `/oauth/info`, the server metadata (RFC 8414) and the public keys (RFC 7517).

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL,
};
use axum::http::{HeaderValue, StatusCode};
use patron_api::{AuthorizationServerMetadata, OAuthInfo};
use patron_core::Error;

use crate::app::Request;
use crate::keys::JWKS_MAX_AGE_SECONDS;
use crate::paths;
use crate::respond::{self, Answer, Failure};

/// RFC 8414 section 3.
pub const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";
/// The sign-in page.
pub const SIGN_IN: &str = "/ui/sign-in";
/// The sign-out page.
pub const SIGN_OUT: &str = "/ui/sign-out";

/// `GET /oauth/info`: where a client of the original product looks first; open to every origin.
pub async fn info(request: Request) -> Result<Answer, Failure> {
    let site = &request.site;
    let info = OAuthInfo {
        tenant_id: site.id.clone(),
        tenant_name: site.name.to_string(),
        authorize_endpoint: format!("{}{SIGN_IN}", site.url),
        token_endpoint: format!("{}/oauth/token", site.url),
        cloud_domain_url: site.url.clone(),
        logout_url: format!("{}{SIGN_OUT}", site.url),
        pod: request.app.settings.pod.clone(),
    };
    let mut answer = respond::json(StatusCode::OK, &info);
    answer.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok(answer)
}

/// `OPTIONS /oauth/info`: a browser asks before it asks (Fetch standard, CORS preflight).
pub async fn info_preflight(_request: Request) -> Result<Answer, Failure> {
    let mut answer = respond::empty(StatusCode::NO_CONTENT);
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(answer)
}

/// `GET /.well-known/oauth-authorization-server`, also with the issuer's path behind it (RFC 8414 section 3.1).
pub async fn authorization_server(request: Request) -> Result<Answer, Failure> {
    let suffix = request.parts.uri.path().strip_prefix(WELL_KNOWN).unwrap_or_default();
    if !suffix.is_empty() && suffix != paths::normal(request.app.settings.public_url.path()) {
        return Err(Error::not_found("There is nothing at this path.").into());
    }
    let url = &request.site.url;
    let methods = || vec!["client_secret_basic".to_owned(), "client_secret_post".to_owned()];
    let metadata = AuthorizationServerMetadata {
        issuer: url.clone(),
        token_endpoint: format!("{url}/oauth/token"),
        jwks_uri: format!("{url}/oauth/jwks"),
        introspection_endpoint: format!("{url}/oauth/introspect"),
        revocation_endpoint: format!("{url}/oauth/revoke"),
        grant_types_supported: vec!["client_credentials".to_owned()],
        response_types_supported: Vec::new(),
        token_endpoint_auth_methods_supported: methods(),
        introspection_endpoint_auth_methods_supported: methods(),
        revocation_endpoint_auth_methods_supported: methods(),
        scopes_supported: request.app.catalogue.scopes().map(|scope| scope.name.clone()).collect(),
        service_documentation: format!("{url}/docs"),
    };
    Ok(respond::json(StatusCode::OK, &metadata))
}

/// `GET /oauth/jwks` and `/.well-known/jwks.json`: the keys that sign, signed, or will sign next. A verifier may keep
/// them for as long as the answer says: no key signs before it was published for that long.
pub async fn jwks(request: Request) -> Result<Answer, Failure> {
    let app = &request.app;
    // Out of reach of the database the keys in memory are still good.
    if let Err(error) = app.memory.refresh_at_once().await {
        tracing::warn!(cause = error.cause(), "the signing keys could not be looked up anew");
    }
    let keys = app.memory.keys().jwks_json(app.clock.now());
    let mut answer =
        respond::with_body(StatusCode::OK, HeaderValue::from_static("application/json"), Body::from(keys));
    let headers = answer.headers_mut();
    let cache =
        HeaderValue::from_str(&format!("public, max-age={JWKS_MAX_AGE_SECONDS}")).map_err(Error::internal)?;
    headers.insert(CACHE_CONTROL, cache);
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok(answer)
}
