//! `/personal-access-tokens/v1` and the same under older paths (contract section 5).

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use futures_util::stream;
use patron_api as wire;
use patron_core::access::{self, Holder, Target, Whose};
use patron_core::bulk::{BulkDraft, BulkUpdate};
use patron_core::error::Detail;
use patron_core::filter::Filter;
use patron_core::id::{IdentityId, PatId};
use patron_core::pat::{self, Draft, Expiry, Pat, Rules};
use patron_core::patch::{Patch, Patchable};
use patron_core::rights::RightSet;
use patron_core::scope::ScopeList;
use patron_core::time::Timestamp;
use patron_core::{Error, Result};
use patron_store::Store;
use patron_store::pats::{Creation, Selection};

use crate::app::{App, Request};
use crate::auth::Caller;
use crate::body::{self, Page, Query};
use crate::limits::ROWS;
use crate::respond::{self, Answer, Failure};

const PATCH_TYPES: &[&str] = &["application/json-patch+json", "application/json"];

fn target(pat: &Pat) -> Target {
    Target { owner: pat.owner, managed: pat.managed }
}

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
        created: pat.created.to_string(),
        last_used: pat.last_used.map(|at| at.to_string()),
        managed: pat.managed,
        access_token_validity_seconds: pat.validity.seconds(),
        expiration_date: pat.expiry.date().map(|at| at.to_string()),
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
        secret: secret.expose().to_owned(),
        scope: pat.scope.as_slice().to_vec(),
        name: pat.name.clone(),
        owner: owner(pat),
        created: pat.created.to_string(),
        access_token_validity_seconds: pat.validity.seconds(),
        expiration_date: pat.expiry.date().map(|at| at.to_string()),
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
    let app = &request.app;
    let managed = asked.managed.unwrap_or(false);
    let holder = caller.holder();
    if managed {
        holder.create_managed(&app.catalogue)?;
    } else {
        holder.create_own(&app.catalogue)?;
    }
    let owner = pat::owner_of(caller.identity.id, managed, asked.owner_id.as_deref())?;
    let draft = Draft {
        name: asked.name,
        scope: asked.scope,
        expiration_date: asked.expiration_date,
        user_aware_token_never_expires: asked.user_aware_token_never_expires.unwrap_or(false),
        access_token_validity_seconds: asked.access_token_validity_seconds,
    };
    let new = draft.check(request.facts.rules, app.clock.now())?;
    if !managed {
        holder.refuse_excess(&app.catalogue, &new.scope, None)?;
    }
    let creation = Creation { owner, managed, per_owner: app.settings.pat_limits.per_owner };
    let (pat, secret) = app.store.create_pat(request.context(&caller), caller.tenant, creation, new).await?;
    let mut answer = written_with_secret(&pat, &secret);
    if pat.expiry == Expiry::Never && reads_no_null_date(app, &request.parts.headers) {
        answer.expiration_date = Some(Timestamp::MAX.to_string());
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
    let app = &request.app;
    app.recorder.settle().await;
    let pat = app.store.pat(caller.tenant, id).await?.ok_or_else(access::no_such_pat)?;
    caller.holder().read(target(&pat))?;
    Ok(respond::json(StatusCode::OK, &written(&pat)))
}

/// `GET /`: the PATs of one owner, or of all, oldest first.
pub async fn list(request: Request, caller: Caller) -> Result<Answer, Failure> {
    let app = &request.app;
    let query = Query::parse(request.parts.uri.query())?;
    let whose = match query.one("owner-id")?.filter(|id| !id.is_empty()) {
        None => Whose::Everyones,
        Some("me") => Whose::Mine,
        Some(id) => Whose::Of(IdentityId::parse(id)),
    };
    let managed = caller.holder().list(&app.catalogue, whose)?;
    let page = query.page()?;
    let filter = Filter::parse(query.one("filters")?.unwrap_or_default())?;
    let owner = match whose {
        Whose::Mine => Some(caller.identity.id),
        Whose::Of(Some(id)) => Some(id),
        Whose::Of(None) => return Ok(nothing(page)),
        Whose::Everyones => None,
    };
    // What was used a moment ago has its `lastUsed` in this list.
    app.recorder.settle().await;
    let selection = Selection { tenant: caller.tenant, owner, managed, filter };
    let total = if page.count { Some(app.store.pats_count(selection.clone()).await?) } else { None };
    let mut reader = Reader::new(app.store.clone(), selection, page);
    // The first rows are read before the status is answered, so that an outage shows as one.
    let first = reader.next().await?;
    let mut answer = if reader.done {
        let mut list = String::from("[");
        push_rows(&mut list, &first, true);
        list.push(']');
        respond::with_body(StatusCode::OK, HeaderValue::from_static("application/json"), Body::from(list))
    } else {
        respond::with_body(
            StatusCode::OK,
            HeaderValue::from_static("application/json"),
            streamed(&first, reader),
        )
    };
    if let Some(total) = total {
        answer.headers_mut().insert("x-total-count", HeaderValue::from(total));
    }
    Ok(answer)
}

fn nothing(page: Page) -> Answer {
    let mut answer = respond::json(StatusCode::OK, &[(); 0]);
    if page.count {
        answer.headers_mut().insert("x-total-count", HeaderValue::from(0));
    }
    answer
}

/// Reads a list a few rows at a time. Each part is a snapshot of its own: a PAT that is there all the while is
/// listed once, one that comes or goes meanwhile may be.
struct Reader {
    store: Store,
    selection: Selection,
    after: Option<(Timestamp, PatId)>,
    skip: u32,
    left: Option<u32>,
    done: bool,
}

impl Reader {
    fn new(store: Store, selection: Selection, page: Page) -> Self {
        Self { store, selection, after: None, skip: page.offset, left: page.limit, done: false }
    }

    /// The next rows that the filter lets through, perhaps none; `done` says whether they were the last.
    async fn next(&mut self) -> Result<Vec<Pat>> {
        let rows = self.store.pats_page(self.selection.clone(), self.after, ROWS).await?;
        self.done = rows.len() < ROWS as usize;
        self.after = rows.last().map(|pat| (pat.created, pat.id));
        let mut kept: Vec<Pat> = Vec::with_capacity(rows.len());
        for pat in rows.into_iter().filter(|pat| self.selection.filter.matches(pat.last_used)) {
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            if let Some(left) = &mut self.left {
                if *left == 0 {
                    self.done = true;
                    break;
                }
                *left -= 1;
            }
            kept.push(pat);
        }
        if self.left == Some(0) {
            self.done = true;
        }
        Ok(kept)
    }
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
fn streamed(first: &[Pat], reader: Reader) -> Body {
    let mut opening = String::from("[");
    push_rows(&mut opening, first, true);
    let state = (reader, first.is_empty(), Some(opening));
    Body::from_stream(stream::try_unfold(state, |(mut reader, mut empty, mut opening)| async move {
        if let Some(opening) = opening.take() {
            return Ok::<_, Error>(Some((Bytes::from(opening), (reader, empty, None))));
        }
        if reader.done {
            return Ok(None);
        }
        let rows = reader.next().await.inspect_err(|error| {
            tracing::error!(cause = error.cause(), "a list broke off");
        })?;
        let mut text = String::new();
        push_rows(&mut text, &rows, empty);
        empty = empty && rows.is_empty();
        if reader.done {
            text.push(']');
        }
        Ok(Some((Bytes::from(text), (reader, empty, None))))
    }))
}

/// Who decides about a patch inside the transaction: the caller's credential, kept beyond the request.
struct Decider {
    app: Arc<App>,
    identity: IdentityId,
    levels: Vec<String>,
    rights: RightSet,
    scopes: ScopeList,
    now: Timestamp,
}

impl Decider {
    fn new(request: &Request, caller: &Caller) -> Self {
        Self {
            app: Arc::clone(&request.app),
            identity: caller.identity.id,
            levels: caller.identity.levels.clone(),
            rights: caller.rights,
            scopes: caller.scopes.clone(),
            now: request.app.clock.now(),
        }
    }

    fn holder(&self) -> Holder<'_> {
        Holder {
            identity: self.identity,
            levels: &self.levels,
            rights: self.rights,
            scopes: Some(&self.scopes),
        }
    }

    fn patched(&self, pat: &Pat, patch: &Patch, patchable: Patchable) -> Result<Pat> {
        let patched = patch.apply(&pat.document(), patchable)?;
        let named_scope = patched.scope.is_some();
        let new = pat.patched(patched, self.now)?;
        // Whoever may make managed PATs gives them any scope.
        if named_scope && !pat.managed {
            self.holder().refuse_excess(&self.app.catalogue, &new.scope, Some(&pat.scope))?;
        }
        Ok(new)
    }
}

/// `PATCH /{id}`: changes a PAT by JSON Patch (RFC 6902).
pub async fn patch(mut request: Request, caller: Caller) -> Result<Answer, Failure> {
    let id = id_of(&request)?;
    let patch = Patch::parse(&body::json_of(&mut request, PATCH_TYPES).await?)?;
    let patchable = match request.facts.rules {
        Rules::Current => Patchable::All,
        Rules::Older => Patchable::NameAndScope,
    };
    let decider = Decider::new(&request, &caller);
    let decide = move |pat: &Pat| {
        decider.holder().patch(&decider.app.catalogue, target(pat))?;
        decider.patched(pat, &patch, patchable)
    };
    let context = request.context(&caller);
    // What was used a moment ago, perhaps for this very patch, has its `lastUsed` in the answer.
    request.app.recorder.settle().await;
    let pat = request.app.store.patch_pat(context, caller.tenant, id, Arc::new(decide)).await?;
    Ok(respond::json(StatusCode::OK, &written(&pat)))
}

/// `DELETE /{id}`: ends a PAT and every access token made from it.
pub async fn delete(request: Request, caller: Caller) -> Result<Answer, Failure> {
    let id = id_of(&request)?;
    let decider = Decider::new(&request, &caller);
    let decide = move |pat: &Pat| decider.holder().delete(&decider.app.catalogue, target(pat));
    let context = request.context(&caller);
    request.app.store.delete_pat(context, caller.tenant, id, Arc::new(decide)).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// `PATCH` and `POST /bulk-update`: one patch of the expiry for up to 25 PATs, all or none.
pub async fn bulk_update(mut request: Request, caller: Caller) -> Result<Answer, Failure> {
    let body = body::json_of(&mut request, &["application/json"]).await?;
    let BulkUpdate { ids, patch } = bulk_request(body)?;
    let decider = Decider::new(&request, &caller);
    let decide = move |pat: &Pat| {
        if !decider.holder().bulk_update(&decider.app.catalogue, target(pat))? {
            return Ok(None);
        }
        decider.patched(pat, &patch, Patchable::ExpiryOnly).map(Some)
    };
    let context = request.context(&caller);
    // As in a patch of one.
    request.app.recorder.settle().await;
    let changed = request.app.store.bulk_update_pats(context, caller.tenant, ids, Arc::new(decide)).await?;
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
