//! `/forward-auth`: lets a reverse proxy in front of any application ask whether a request may pass
//! (nginx `auth_request`, Caddy `forward_auth`, Traefik `ForwardAuth`).

use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use patron_core::Error;
use patron_core::scope;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::app::Request;
use crate::auth::Presented;
use crate::body::Query;
use crate::respond::{self, Answer, Failure};

const X_AUTH_IDENTITY: HeaderName = HeaderName::from_static("x-auth-identity");
const X_AUTH_USER: HeaderName = HeaderName::from_static("x-auth-user");
const X_AUTH_CLIENT: HeaderName = HeaderName::from_static("x-auth-client");
const X_AUTH_TENANT: HeaderName = HeaderName::from_static("x-auth-tenant");
const X_AUTH_SCOPE: HeaderName = HeaderName::from_static("x-auth-scope");

/// What a header value cannot hold as it is, and the percent sign that says so.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%').add(b' ').add(b'"').add(b',').add(b';').add(b'\\');

/// The tenant and the scope that a query asks for.
fn asked(query: Option<&str>) -> patron_core::Result<(Option<String>, Option<String>)> {
    let query = Query::parse(query)?;
    let one = |name| Ok(query.one(name)?.filter(|value| !value.is_empty()).map(str::to_owned));
    Ok((one("tenant")?, one("scope")?))
}

/// Answers 200 with who it is, 401, or 403 when `?scope=` asks for more.
pub async fn forward_auth(request: Request) -> Result<Answer, Failure> {
    let app = &request.app;
    let asked = asked(request.parts.uri.query());
    let asked_tenant = match asked.as_ref().ok().and_then(|(tenant, _)| tenant.as_deref()) {
        None => None,
        Some(name) => {
            app.memory.refresh().await?;
            let site = app.memory.site(name);
            // Nobody is anybody in a tenant that is not there.
            Some(
                site.ok_or_else(|| Error::unauthenticated("JWT validation failed: JWT is not valid here"))?
                    .key,
            )
        }
    };
    let at = Presented { tenant: asked_tenant, ..request.presented() };
    // A gateway turns 429 into 500, so whoever guesses too often is told 401 here, without being heard any more.
    let (caller, proven) = match app.caller(&request.parts.headers, at).await {
        Err(Error::RateLimited { .. }) => {
            app.metrics.guess_limited();
            return Err(Error::unauthenticated("Too many wrong credentials").into());
        }
        other => other?,
    };
    if let Some(proven) = proven {
        app.note_use(&proven, request.address, request.tracking).await?;
    }
    // A gateway turns 400 into 500 as well, and what cannot be read is granted to nobody.
    let (_, scope) = asked.map_err(|error| Error::forbidden(error.to_string()))?;
    if let Some(wanted) = scope {
        caller.holder().require_scope(&app.catalogue, &wanted)?;
    }
    let site = app
        .memory
        .site_by_key(caller.tenant)
        .ok_or_else(|| Error::internal("a credential without a tenant"))?;
    let mut answer = respond::empty(StatusCode::OK);
    for (name, value) in [
        (X_AUTH_IDENTITY, caller.identity.id.to_string()),
        (X_AUTH_USER, utf8_percent_encode(&caller.identity.name, ENCODED).to_string()),
        (X_AUTH_CLIENT, caller.pat.to_string()),
        (X_AUTH_TENANT, site.name.to_string()),
        (X_AUTH_SCOPE, caller.scopes.joined()),
    ] {
        let value = HeaderValue::from_str(&value).map_err(Error::internal)?;
        answer.headers_mut().insert(name, value);
    }
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    debug_assert!(caller.scopes.as_slice().iter().all(|scope| scope::is_scope_token(scope)));
    Ok(answer)
}
