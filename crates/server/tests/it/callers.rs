//! Callers of every kind, and for every endpoint a request that is good but for the credential: what the tests of
//! who may do what share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use patron::config::Settings;
use patron::paths::PathFacts;
use patron::respond::Shape;
use patron::routes::{Route, routes};
use patron_core::Result;
use patron_core::identity::{Draft, Identity};
use serde_json::{Value, json};

use crate::support::{Call, Pat, Patron, identity_id, operator, pat_id};

/// Patron's own scopes with rights, in the order of the contract's table, spelled `sp:…`.
pub(crate) const RIGHT_SCOPES: [&str; 10] = [
    "sp:my-personal-access-tokens:read",
    "sp:my-personal-access-tokens:manage",
    "sp:all-personal-access-tokens:read",
    "sp:all-personal-access-tokens:manage",
    "sp:all-personal-access-tokens:update",
    "sp:managed-personal-access-tokens:read",
    "sp:managed-personal-access-tokens:manage",
    "sp:audit-events:read",
    "sp:auth-user:read",
    "sp:auth-user:manage",
];
pub(crate) const ALL: &str = "sp:scopes:all";
pub(crate) const DEFAULT: &str = "sp:scopes:default";
/// An id that is nobody's.
pub(crate) const UNKNOWN: &str = "0123456789abcdef0123456789abcdef";

/// A scope in its other spelling.
pub(crate) fn respelled(scope: &str) -> String {
    match scope.strip_prefix("sp:") {
        Some(rest) => format!("idn:{rest}"),
        None => scope.replacen("idn:", "sp:", 1),
    }
}

/// No limit on requests, guesses or PATs: for tests that send and make many.
pub(crate) fn unlimited(settings: &mut Settings) {
    settings.rate_limits.requests = 0;
    settings.rate_limits.auth_failures_per_client = 0;
    settings.rate_limits.auth_failures_per_address = 0;
    settings.pat_limits.per_owner = 10_000;
}

/// A name that no test used yet.
pub(crate) fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("made {}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What a request is about.
#[derive(Clone)]
pub(crate) struct Aim {
    pub(crate) pat: String,
    pub(crate) identity: String,
    /// An access token.
    pub(crate) token: String,
}

/// Whether people look at this route: its errors are pages then, and `web_access.rs` is where it is attacked.
pub(crate) fn is_page(route: &Route) -> bool {
    PathFacts::of(&route.path).shape == Shape::Page
}

/// The endpoints for programs.
pub(crate) fn endpoints() -> Vec<Route> {
    routes().into_iter().filter(|route| !is_page(route)).collect()
}

/// A request for this endpoint that lacks a credential and nothing else. A new endpoint needs an arm.
pub(crate) fn good_call(route: &Route, aim: &Aim) -> Call {
    let id = if route.path.contains("/auth-users/") { &aim.identity } else { &aim.pat };
    let path = route.path.replace("{id}", id).replace("{*path}", "some/path");
    let call = Call::new(route.method.as_ref().map_or("GET", |method| method.as_str()), &path);
    match route.name {
        "exchange" => call.form(&[("grant_type", "client_credentials")]),
        "introspect" | "revoke" => call.form(&[("token", &aim.token)]),
        "create" => call.json(&json!({
            "name": fresh_name(),
            "scope": [DEFAULT],
            "expirationDate": "2027-04-01T00:00:00.000Z",
        })),
        "patch" => call.json_patch(&replace("/name", &json!(fresh_name()))),
        "bulk-update" => call.json(&json!({ "ids": [aim.pat], "patch": expires() })),
        "patch-auth-user" => call.json_patch(&replace("/capabilities", &json!(["HELPDESK"]))),
        "list"
        | "get"
        | "delete"
        | "list-public-identities"
        | "get-tenant"
        | "get-auth-user"
        | "list-audit-events"
        | "oauth-info"
        | "oauth-info-preflight"
        | "jwks"
        | "metadata"
        | "forward-auth"
        | "openapi"
        | "docs" => call,
        unknown => {
            panic!("no request is known for the endpoint '{unknown}'; tell callers.rs how it is asked")
        }
    }
}

/// A patch of one operation.
pub(crate) fn replace(path: &str, value: &Value) -> Value {
    json!([{ "op": "replace", "path": path, "value": value }])
}

/// A patch that both kinds of patch take.
pub(crate) fn expires() -> Value {
    replace("/expirationDate", &json!("2027-04-01T00:00:00.000Z"))
}

pub(crate) fn path_of(id: &str) -> String {
    format!("/personal-access-tokens/v1/{id}")
}

impl Patron {
    /// Sends a request with this `Authorization`.
    pub(crate) async fn send_as(&self, authorization: &str, call: Call) -> crate::support::Reply {
        self.send(call.auth(authorization)).await
    }

    /// A new identity with these levels and its PAT with these scopes; none is all.
    pub(crate) async fn caller(&self, levels: &[&str], scopes: &[&str]) -> Pat {
        let owner = self.identity(&fresh_name(), levels).await;
        self.pat(&owner, "credential", scopes).await
    }

    /// An identity with everything that one can have.
    pub(crate) async fn identity_of(&self, tenant: &str, draft: Draft) -> Identity {
        let draft = draft.check(&self.app.catalogue).unwrap();
        self.app.store.create_identity(operator(), self.tenant(tenant).await, draft).await.unwrap()
    }

    /// `patron admin identity …`
    pub(crate) async fn change(
        &self,
        identity: &Identity,
        change: impl Fn(&mut Identity) + Send + Sync + 'static,
    ) -> Result<Identity> {
        let decide = move |old: &Identity| {
            let mut new = old.clone();
            change(&mut new);
            Ok(new)
        };
        self.app.store.change_identity(operator(), identity.tenant, identity.id, Arc::new(decide)).await
    }

    /// `patron admin pat revoke`
    pub(crate) async fn revoke_pat(&self, tenant: &str, id: &str) {
        let tenant = self.tenant(tenant).await;
        self.app.store.delete_pat(operator(), tenant, pat_id(id), Arc::new(|_| Ok(()))).await.unwrap();
    }

    pub(crate) async fn exists(&self, tenant: &str, id: &str) -> bool {
        let tenant = self.tenant(tenant).await;
        self.app.store.pat(tenant, pat_id(id)).await.unwrap().is_some()
    }

    /// The identity as the operator sees it.
    pub(crate) async fn identity_now(&self, tenant: &str, id: &str) -> Option<Identity> {
        let tenant = self.tenant(tenant).await;
        self.app.store.identity(tenant, identity_id(id)).await.unwrap()
    }
}
