//! `/public-identities/v1` and `/auth-users/v1` (contract sections 2 and 3).

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode};
use patron_api::{AuthUser, PublicIdentity};
use patron_core::Result;
use patron_core::criteria::{Criteria, Operand, PUBLIC_IDENTITIES, PUBLIC_IDENTITY_SORTERS, parse_sorters};
use patron_core::id::{IdentityId, TenantKey};
use patron_core::identity::{self, Identity};
use patron_core::limits::PAGE_MAX;
use patron_core::patch::Patch;
use patron_store::Store;
use patron_store::identities::no_such_identity;

use crate::app::Request;
use crate::auth::Caller;
use crate::body::{self, Query};
use crate::limits::ROWS;
use crate::respond::{self, Answer, Failure};

fn optional(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn public(identity: &Identity) -> PublicIdentity {
    let (status, state) =
        if identity.enabled { ("Active", "ACTIVE") } else { ("Inactive", "INACTIVE_LONG_TERM") };
    PublicIdentity {
        id: identity.id.to_string(),
        name: identity.display_name.clone(),
        alias: identity.name.clone(),
        email: optional(&identity.email),
        status: status.to_owned(),
        identity_state: state.to_owned(),
        manager: None,
        attributes: Vec::new(),
    }
}

/// `GET /public-identities/v1`: a page of the tenant's identities, 250 unless `limit` says less.
pub async fn list_public(request: Request, caller: Caller) -> Result<Answer, Failure> {
    let query = Query::parse(request.parts.uri.query())?;
    let page = query.page()?;
    let criteria = Criteria::parse(query.one("filters")?.unwrap_or_default(), PUBLIC_IDENTITIES)?;
    let sorters = match query.one("sorters")?.unwrap_or_default() {
        "" => Vec::new(),
        given => parse_sorters(given, PUBLIC_IDENTITY_SORTERS)?,
    };
    let mut found = matching(&request.app.store, caller.tenant, &criteria).await?;
    // `name` is the display name; without a sorter the order is that of the login names, which never changes.
    if let Some(sorter) = sorters.first() {
        found.sort_by(|a, b| {
            let order = (&a.display_name, &a.name).cmp(&(&b.display_name, &b.name));
            if sorter.descending { order.reverse() } else { order }
        });
    }
    let (skip, take) = (page.offset as usize, page.limit.unwrap_or(PAGE_MAX) as usize);
    let shown: Vec<PublicIdentity> = found.iter().skip(skip).take(take).map(public).collect();
    let mut answer = respond::json(StatusCode::OK, &shown);
    if page.count {
        answer.headers_mut().insert("x-total-count", HeaderValue::from(found.len()));
    }
    Ok(answer)
}

/// All identities that the criteria let through, by login name.
async fn matching(store: &Store, tenant: TenantKey, criteria: &Criteria) -> Result<Vec<Identity>> {
    let matches = |identity: &Identity| {
        let id = identity.id.to_string();
        criteria.matches(&|field: &str| {
            let text = match field {
                "id" => &id,
                "alias" => &identity.name,
                "email" => &identity.email,
                "firstname" => &identity.first_name,
                _ => &identity.last_name,
            };
            if text.is_empty() { Operand::Null } else { Operand::Text(text) }
        })
    };
    let mut found = Vec::new();
    if let Some(ids) = criteria.pinned("id") {
        for id in ids.into_iter().filter_map(IdentityId::parse) {
            found.extend(store.identity(tenant, id).await?.filter(&matches));
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        return Ok(found);
    }
    let mut after = String::new();
    loop {
        let rows = store.identities_page(tenant, after, ROWS).await?;
        let full = rows.len() == ROWS as usize;
        after = rows.last().map(|last| last.name.clone()).unwrap_or_default();
        found.extend(rows.into_iter().filter(&matches));
        if !full {
            return Ok(found);
        }
    }
}

fn user(tenant: &str, identity: &Identity) -> AuthUser {
    AuthUser {
        tenant: tenant.to_owned(),
        id: identity.id.to_string(),
        uid: identity.name.clone(),
        alias: identity.name.clone(),
        email: optional(&identity.email),
        firstname: optional(&identity.first_name),
        lastname: optional(&identity.last_name),
        display_name: identity.display_name.clone(),
        capabilities: identity.levels.clone(),
    }
}

fn id_of(request: &Request) -> Result<IdentityId> {
    IdentityId::parse(request.last_segment()).ok_or_else(no_such_identity)
}

/// `GET /auth-users/v1/{id}`: an identity with its levels.
pub async fn get(request: Request, caller: Caller) -> Result<Answer, Failure> {
    let found =
        request.app.store.identity(caller.tenant, id_of(&request)?).await?.ok_or_else(no_such_identity)?;
    Ok(respond::json(StatusCode::OK, &user(request.site.name.as_str(), &found)))
}

/// `PATCH /auth-users/v1/{id}`: sets levels, within the rights of the credential in use.
pub async fn patch(mut request: Request, caller: Caller) -> Result<Answer, Failure> {
    let id = id_of(&request)?;
    let body = body::json_of(&mut request, &["application/json-patch+json", "application/json"]).await?;
    let patch = Patch::parse(&body)?;
    let (app, context) = (Arc::clone(&request.app), request.context(&caller));
    let (tenant, name) = (caller.tenant, request.site.name.clone());
    let decide = move |old: &Identity| {
        let levels = identity::check_levels(&app.catalogue, patch.apply_to_capabilities(&old.levels)?)?;
        let added: Vec<String> = levels.iter().filter(|level| !old.levels.contains(level)).cloned().collect();
        caller.holder().grant_levels(&app.catalogue, &added)?;
        Ok(Identity { levels, ..old.clone() })
    };
    let changed = request.app.store.change_identity(context, tenant, id, Arc::new(decide)).await?;
    Ok(respond::json(StatusCode::OK, &user(name.as_str(), &changed)))
}
