//! `POST /oauth/introspect` (RFC 7662) and `POST /oauth/revoke` (RFC 7009).

use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use patron_api::Introspection;
use patron_core::time::Timestamp;

use super::{OAuthError, TokenReference, client_of, params_of};
use crate::app::Request;
use crate::respond::{self, Answer, Failure};

/// Whether an access token of the same tenant works, and what it says.
pub async fn introspect(mut request: Request) -> Result<Answer, Failure> {
    let params = params_of(&mut request).await?;
    let asked = TokenReference::parse(&request.parts.headers, params)?;
    let proven = client_of(&request, &asked.client).await?;
    let app = &request.app;
    app.note_use(&proven, request.address, request.tracking).await?;
    let tenant = Some(proven.present.terms.tenant);
    let answer = match app.judge_token(asked.token.expose(), tenant).await? {
        Ok(live) => {
            let claims = &live.claims;
            Introspection {
                active: true,
                scope: Some(live.caller.scopes.joined()),
                client_id: Some(claims.client_id.clone()),
                username: Some(claims.user_name.clone()),
                token_type: Some("bearer".to_owned()),
                exp: Some(live.ends),
                iat: Some(claims.iat),
                sub: Some(claims.sub.clone()),
                aud: Some(claims.aud.clone()),
                iss: Some(claims.iss.clone()),
                jti: Some(claims.jti.clone()),
            }
        }
        Err(_) => Introspection::default(),
    };
    let mut answer = respond::json(StatusCode::OK, &answer);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// Ends one access token: of the calling PAT's own, or anyone's in the tenant with `all:manage`. A token that does
/// not work any more is answered as one that was ended just now (RFC 7009 section 2.2).
pub async fn revoke(mut request: Request) -> Result<Answer, Failure> {
    let params = params_of(&mut request).await?;
    let asked = TokenReference::parse(&request.parts.headers, params)?;
    let proven = client_of(&request, &asked.client).await?;
    let app = &request.app;
    app.note_use(&proven, request.address, request.tracking).await?;
    let pat = &proven.present.terms;
    let live = match app.judge_token(asked.token.expose(), Some(pat.tenant)).await? {
        Ok(live) => live,
        Err(refusal) => {
            // This node may be the first to know of what has ended it, and the answer speaks for all.
            if refusal.is_by_change() {
                app.store.settle_all().await?;
            }
            return Ok(respond::empty(StatusCode::OK));
        }
    };
    let caller = proven.caller(&app.catalogue);
    caller
        .holder()
        .revoke(live.caller.pat == caller.pat)
        .map_err(|refusal| OAuthError::UnauthorizedClient(refusal.to_string()))?;
    let context = request.context(&caller);
    let expires = Timestamp::from_millis(live.claims.exp.saturating_mul(1_000));
    app.store.revoke_token(context, pat.tenant, live.jti, live.caller.pat, expires).await?;
    Ok(respond::empty(StatusCode::OK))
}
