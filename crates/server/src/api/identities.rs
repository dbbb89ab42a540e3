//! `/public-identities/v1` and `/auth-users/v1` (contract sections 2 and 3).

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode};
use patron_api::{AuthUser, PublicIdentity};
use patron_core::Result;
use patron_core::criteria::{Criteria, Operand, PUBLIC_IDENTITIES, PUBLIC_IDENTITY_SORTERS, parse_sorters};
use patron_core::id::{IdentityId, TenantKey};
use patron_core::identity::Identity;
use patron_core::limits::PAGE_MAX;
use patron_core::patch::Patch;
use patron_store::Store;
use patron_store::identities::{Order, no_such_identity};

use crate::actor::LevelsChange;
use crate::api::window::Window;
use crate::app::Request;
use crate::auth::Caller;
use crate::body::{self, Page, Query};
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
    let page = Page { limit: Some(page.limit.unwrap_or(PAGE_MAX)), ..page };
    let criteria = Criteria::parse(query.one("filters")?.unwrap_or_default(), PUBLIC_IDENTITIES)?;
    let sorters = match query.one("sorters")?.unwrap_or_default() {
        "" => Vec::new(),
        given => parse_sorters(given, PUBLIC_IDENTITY_SORTERS)?,
    };
    // `name` is the display name; without a sorter the order is that of the login names, which never changes.
    let order = match sorters.first() {
        None => Order::LoginName,
        Some(sorter) if sorter.descending => Order::DisplayNameDescending,
        Some(_) => Order::DisplayName,
    };
    let (found, total) = select(&request.app.store, caller.tenant, &criteria, order, page).await?;
    let shown: Vec<PublicIdentity> = found.iter().map(public).collect();
    let mut answer = respond::json(StatusCode::OK, &shown);
    if page.count {
        answer.headers_mut().insert("x-total-count", HeaderValue::from(total));
    }
    Ok(answer)
}

/// The identities of one page of those that the criteria let through, and how many these are in all when the page
/// asks for it.
async fn select(
    store: &Store,
    tenant: TenantKey,
    criteria: &Criteria,
    order: Order,
    page: Page,
) -> Result<(Vec<Identity>, u64)> {
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
    let mut window = Window::new(page);
    if let Some(mut found) = named(store, tenant, criteria).await? {
        found.sort_by(|a, b| order.compare(a, b));
        found.into_iter().filter(&matches).for_each(|identity| window.push(identity));
        return Ok(window.close());
    }
    let mut last: Option<Identity> = None;
    loop {
        let want = window.rows_to_read(criteria.is_empty());
        let rows = store.identities_page(tenant, order, last.as_ref(), want).await?;
        let full = rows.len() == want as usize;
        last = rows.last().cloned();
        rows.into_iter().filter(&matches).for_each(|identity| window.push(identity));
        if !full || window.is_complete() {
            return Ok(window.close());
        }
    }
}

/// The few identities that can match when the criteria name them, by id or by login name; `None` when they do not.
async fn named(store: &Store, tenant: TenantKey, criteria: &Criteria) -> Result<Option<Vec<Identity>>> {
    let mut found = Vec::new();
    if let Some(ids) = criteria.pinned("id") {
        for id in ids.into_iter().filter_map(IdentityId::parse) {
            found.extend(store.identity(tenant, id).await?);
        }
    } else if let Some(names) = criteria.pinned("alias") {
        for name in names {
            found.extend(store.identity_named(tenant, name.to_owned()).await?);
        }
    } else {
        return Ok(None);
    }
    Ok(Some(found))
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
    let id = id_of(&request)?;
    let found = request.actor(caller).identity(id).await?;
    Ok(respond::json(StatusCode::OK, &user(request.site.name.as_str(), &found)))
}

/// `PATCH /auth-users/v1/{id}`: sets levels, within the rights of the credential in use.
pub async fn patch(mut request: Request, caller: Caller) -> Result<Answer, Failure> {
    let id = id_of(&request)?;
    let body = body::json_of(&mut request, &["application/json-patch+json", "application/json"]).await?;
    let patch = Patch::parse(&body)?;
    let change: LevelsChange = Arc::new(move |levels| patch.apply_to_capabilities(levels));
    let changed = request.actor(caller).set_levels(id, change).await?;
    Ok(respond::json(StatusCode::OK, &user(request.site.name.as_str(), &changed)))
}
