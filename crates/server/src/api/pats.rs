//! `/personal-access-tokens/v1` and the same under older paths (contract section 5).

use axum::body::{Body, Bytes};
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use futures_util::stream;
use patron_api as wire;
use patron_core::access::{self, Whose};
use patron_core::bulk::{BulkDraft, BulkUpdate};
use patron_core::error::Detail;
use patron_core::filter::Filter;
use patron_core::id::{IdentityId, PatId};
use patron_core::pat::{Draft, Expiry, Pat, Rules};
use patron_core::patch::{Patch, Patchable};
use patron_core::time::Timestamp;
use patron_core::{Error, Result};

use crate::actor::PatReader;
use crate::app::{App, Request};
use crate::auth::Caller;
use crate::body::{self, Query};
use crate::respond::{self, Answer, Failure};

const PATCH_TYPES: &[&str] = &["application/json-patch+json", "application/json"];

fn id_of(request: &Request) -> Result<PatId> {
    PatId::parse(request.last_segment()).ok_or_else(access::no_such_pat)
}

fn owner(pat: &Pat) -> wire::Owner {
    wire::Owner { kind: wire::OwnerType::Identity, id: pat.owner.to_string(), name: pat.owner_name.clone() }
}

/// A PAT as the API writes it.
pub fn written(pat: &Pat) -> wire::PersonalAccessToken {
    wire::PersonalAccessToken {
        id: pat.id.to_string(),
        name: pat.name.clone(),
        scope: pat.scope.as_slice().to_vec(),
        owner: owner(pat),
        created: pat.created,
        last_used: pat.last_used,
        managed: pat.managed,
        access_token_validity_seconds: pat.validity.seconds(),
        expiration_date: pat.expiry.date(),
        user_aware_token_never_expires: Some(pat.user_aware_token_never_expires),
    }
}

/// A PAT that was just made, as the API writes it.
pub fn written_with_secret(
    pat: &Pat,
    secret: &patron_core::secret::Secret,
) -> wire::CreatePersonalAccessTokenResponse {
    wire::CreatePersonalAccessTokenResponse {
        id: pat.id.to_string(),
        secret: secret.expose().into(),
        scope: pat.scope.as_slice().to_vec(),
        name: pat.name.clone(),
        owner: owner(pat),
        created: pat.created,
        access_token_validity_seconds: pat.validity.seconds(),
        expiration_date: pat.expiry.date(),
    }
}

/// `POST /`: makes a PAT for the caller, or a managed one for another identity.
pub async fn create(mut request: Request, caller: Caller) -> Result<Answer, Failure> {
    caller.holder().create_something(&request.app.catalogue)?;
    let ignored: &[&str] = match request.facts.rules {
        Rules::Current => &[],
        Rules::Older => &["userAwareTokenNeverExpires"],
    };
    let asked: wire::CreatePersonalAccessTokenRequest = body::typed(&mut request, ignored).await?;
    let draft = Draft {
        name: asked.name,
        scope: asked.scope,
        expiration_date: asked.expiration_date,
        user_aware_token_never_expires: asked.user_aware_token_never_expires.unwrap_or(false),
        access_token_validity_seconds: asked.access_token_validity_seconds,
    };
    let (managed, owner_id) = (asked.managed.unwrap_or(false), asked.owner_id.as_deref());
    let made = request.actor(caller).create(draft, request.facts.rules, managed, owner_id).await;
    let (pat, secret) = made?;
    let mut answer = written_with_secret(&pat, &secret);
    if pat.expiry == Expiry::Never && reads_no_null_date(&request.app, &request.parts.headers) {
        answer.expiration_date = Some(Timestamp::MAX);
    }
    let mut answer = respond::json(StatusCode::OK, &answer);
    answer.headers_mut().insert("cache-control", HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// Two official clients lose the secret of a created PAT, or misread its date, when `expirationDate` is null
/// (contract section 10, point 9).
fn reads_no_null_date(app: &App, headers: &HeaderMap) -> bool {
    let agent = headers.get(USER_AGENT).map_or(&[][..], HeaderValue::as_bytes);
    let affected = [&b"SailPoint-SDK-Python"[..], b"SailPoint-SDK-Go"];
    app.settings.compatibility.never_expires_date && affected.iter().any(|name| agent.starts_with(name))
}

/// `GET /{id}`: one PAT.
pub async fn get(request: Request, caller: Caller) -> Result<Answer, Failure> {
    let id = id_of(&request)?;
    let pat = request.actor(caller).get(id).await?;
    Ok(respond::json(StatusCode::OK, &written(&pat)))
}

/// `GET /`: the PATs of one owner, or of all, oldest first.
pub async fn list(request: Request, caller: Caller) -> Result<Answer, Failure> {
    let query = Query::parse(request.parts.uri.query())?;
    let whose = match query.one("owner-id")?.filter(|id| !id.is_empty()) {
        None => Whose::Everyones,
        Some("me") => Whose::Mine,
        Some(id) => Whose::Of(IdentityId::parse(id)),
    };
    let actor = request.actor(caller);
    // Whoever may not see the list is told so, whatever else is wrong with the query.
    actor.holder().list(&request.app.catalogue, whose)?;
    let page = query.page()?;
    let filter = Filter::parse(query.one("filters")?.unwrap_or_default())?;
    let (mut reader, total) = actor.list(whose, filter, page).await?;
    // The first rows are read before the status is answered, so that an outage shows as one.
    let first = reader.next().await?;
    let body = if reader.is_done() {
        let mut list = String::from("[");
        push_rows(&mut list, &first, true);
        list.push(']');
        Body::from(list)
    } else {
        streamed(&first, reader)
    };
    let mut answer = respond::with_body(StatusCode::OK, HeaderValue::from_static("application/json"), body);
    if let Some(total) = total {
        answer.headers_mut().insert("x-total-count", HeaderValue::from(total));
    }
    Ok(answer)
}

fn push_rows(text: &mut String, rows: &[Pat], first: bool) {
    for (at, pat) in rows.iter().enumerate() {
        if at > 0 || !first {
            text.push(',');
        }
        text.push_str(&serde_json::to_string(&written(pat)).unwrap_or_default());
    }
}

/// The rest of a list that is too long to be held. A failure midway breaks the connection off: what was sent is
/// no well-formed JSON then, and nobody takes half a list for the whole.
fn streamed(first: &[Pat], reader: PatReader) -> Body {
    let mut opening = String::from("[");
    push_rows(&mut opening, first, true);
    let state = (reader, first.is_empty(), Some(opening));
    Body::from_stream(stream::try_unfold(state, |(mut reader, mut empty, mut opening)| async move {
        if let Some(opening) = opening.take() {
            return Ok::<_, Error>(Some((Bytes::from(opening), (reader, empty, None))));
        }
        if reader.is_done() {
            return Ok(None);
        }
        let rows = reader.next().await.inspect_err(|error| {
            tracing::error!(cause = error.cause(), "a list broke off");
        })?;
        let mut text = String::new();
        push_rows(&mut text, &rows, empty);
        empty = empty && rows.is_empty();
        if reader.is_done() {
            text.push(']');
        }
        Ok(Some((Bytes::from(text), (reader, empty, None))))
    }))
}

/// `PATCH /{id}`: changes a PAT by JSON Patch (RFC 6902).
pub async fn patch(mut request: Request, caller: Caller) -> Result<Answer, Failure> {
    let id = id_of(&request)?;
    let patch = Patch::parse(&body::json_of(&mut request, PATCH_TYPES).await?)?;
    let patchable = match request.facts.rules {
        Rules::Current => Patchable::All,
        Rules::Older => Patchable::NameAndScope,
    };
    let pat = request.actor(caller).patch(id, patch, patchable).await?;
    Ok(respond::json(StatusCode::OK, &written(&pat)))
}

/// `DELETE /{id}`: ends a PAT and every access token made from it.
pub async fn delete(request: Request, caller: Caller) -> Result<Answer, Failure> {
    let id = id_of(&request)?;
    request.actor(caller).delete(id).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `PATCH` and `POST /bulk-update`: one patch of the expiry for up to 25 PATs, all or none.
pub async fn bulk_update(mut request: Request, caller: Caller) -> Result<Answer, Failure> {
    let body = body::json_of(&mut request, &["application/json"]).await?;
    let changed = request.actor(caller).bulk_update(bulk_request(body)?).await?;
    let without_flag =
        |pat: &Pat| wire::PersonalAccessToken { user_aware_token_never_expires: None, ..written(pat) };
    Ok(respond::json(StatusCode::OK, &changed.iter().map(without_flag).collect::<Vec<_>>()))
}

fn bulk_request(body: serde_json::Value) -> Result<BulkUpdate> {
    #[derive(serde::Deserialize)]
    struct Asked {
        ids: Option<Vec<String>>,
        patch: Option<serde_json::Value>,
    }
    if !body.is_object() {
        return Err(Error::invalid(Detail::Syntax, "The body is no JSON object."));
    }
    let Asked { ids, patch } = body::decode(body)?;
    BulkDraft { ids, patch }.check()
}
