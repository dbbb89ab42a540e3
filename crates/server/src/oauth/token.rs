//! `POST /oauth/token`: a PAT is exchanged for an access token (RFC 6749 section 4.4, RFC 9068).

use axum::http::header::{CACHE_CONTROL, PRAGMA};
use axum::http::{HeaderValue, StatusCode};
use patron_api::TokenResponse;
use patron_core::Error;
use patron_core::id::TokenId;
use patron_core::scope::ScopeList;

use super::{OAuthError, TokenRequest, client_of, params_of};
use crate::app::{App, Request};
use crate::auth::Proven;
use crate::config::ScopeClaim as ScopeForm;
use crate::keys::{Claims, ScopeClaim};
use crate::memory::Site;
use crate::respond::{self, Answer, Failure};

/// The exchange.
pub async fn exchange(mut request: Request) -> Result<Answer, Failure> {
    let params = params_of(&mut request).await?;
    let asked = TokenRequest::parse(&request.parts.headers, params)?;
    let proven = client_of(&request, &asked.client).await?;
    let app = &request.app;
    let scopes = match asked.scope.as_deref() {
        Some(scope) => {
            let narrowed = proven.caller(&app.catalogue).holder().narrowed(&app.catalogue, scope);
            Some(narrowed.map_err(|refusal| OAuthError::InvalidScope(refusal.to_string()))?)
        }
        None => None,
    };
    let (claims, lives) = claims_of(app, &request.site, &proven, scopes.as_ref());
    app.note_use(&proven, request.address, request.tracking).await?;
    let access_token = app.memory.keys().sign(&claims, proven.at).map_err(Error::internal)?;
    let answer = TokenResponse {
        access_token: access_token.into(),
        token_type: "bearer".to_owned(),
        expires_in: lives,
        scope: scopes.map_or_else(|| proven.present.scopes.joined.clone(), |scopes| scopes.joined()),
        tenant_id: claims.tenant_id,
        pod: claims.pod,
        org: claims.org,
        identity_id: claims.identity_id,
        user_name: claims.user_name,
        strong_auth: claims.strong_auth,
        strong_auth_supported: claims.strong_auth_supported,
        jti: claims.jti,
    };
    let mut answer = respond::json(StatusCode::OK, &answer);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(answer)
}

/// What the access token says, and for how many seconds. It never outlives its PAT.
fn claims_of(app: &App, site: &Site, proven: &Proven, scopes: Option<&ScopeList>) -> (Claims, u32) {
    let pat = &proven.present.terms;
    let (now, identity) = (proven.at, &proven.owner);
    let iat = now.seconds();
    let exp = pat.access_token_ends(now);
    // A PAT in its last second counts as expired, so at least one second is left.
    let lives = u32::try_from(exp - iat).unwrap_or(0);
    let identity_id = identity.id.to_string();
    let claims = Claims {
        iss: site.url.clone(),
        sub: identity_id.clone(),
        aud: site.audience.clone(),
        iat,
        exp,
        jti: TokenId::random_for(identity.generation, &app.entropy).to_string(),
        client_id: pat.id.to_string(),
        scope: match app.settings.tokens.scope_claim {
            ScopeForm::String => ScopeClaim::Text(
                scopes.map_or_else(|| proven.present.scopes.joined.clone(), ScopeList::joined),
            ),
            ScopeForm::Array => {
                ScopeClaim::List(scopes.unwrap_or(&proven.present.scopes.list).as_slice().to_vec())
            }
        },
        tenant_id: site.id.clone(),
        org: site.name.to_string(),
        pod: app.settings.pod.clone(),
        identity_id,
        user_name: identity.name.clone(),
        authorities: identity.levels.clone(),
        strong_auth: false,
        strong_auth_supported: false,
        internal: pat.managed,
    };
    (claims, lives)
}
