//! The one table of endpoints: method, path, who may call, handler.
//!
//! A row's access is checked before its handler runs; what depends on the object is asked of
//! [`patron_core::access`] by the handler. [`crate::openapi`] describes the same rows.

use std::pin::Pin;

use axum::http::Method;
use patron_core::rights::Right;

use crate::app::Request;
use crate::auth::Caller;
use crate::oauth::metadata::{SIGN_IN, SIGN_OUT};
use crate::paths::OLDER_PAT_PATHS;
use crate::respond::{Answer, Failure};
use crate::web::frame::{DISPLAY, PASSWORD, TOKENS};
use crate::web::{self, Visitor};
use crate::{api, docs, oauth};

/// What a handler is while it runs.
pub type Running = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send>>;

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Any credential that is good.
    Credential,
    /// A credential with some right on PATs; the handler asks for the one it needs, which may depend on the PAT.
    SomePatRight,
    /// A credential with this right.
    Right(Right),
}

/// What answers.
#[derive(Clone, Copy)]
pub enum Handler {
    /// Anyone may call; the handler authenticates for itself if it must.
    Open(fn(Request) -> Running),
    /// The caller is known, within its rate limit, and has the access.
    Api(Access, fn(Request, Caller) -> Running),
    /// A page: its visitor has signed in and has the access, and what was posted came from a page of theirs.
    Page {
        /// Who may open it.
        access: Access,
        /// Whether it opens for somebody who must choose a new password first.
        with_temporary_password: bool,
        /// What answers.
        handler: fn(Request, Visitor) -> Running,
    },
}

/// One endpoint.
#[derive(Clone)]
pub struct Route {
    /// The method; `None` is every method.
    pub method: Option<Method>,
    /// The path, with `{id}` for an id.
    pub path: String,
    /// Who may call, and what answers.
    pub handler: Handler,
    /// The name in the API's description; the older paths share it.
    pub name: &'static str,
}

macro_rules! open {
    ($method:expr, $path:expr, $name:literal, $handler:path) => {
        Route {
            method: $method,
            path: $path.into(),
            handler: Handler::Open(|request| Box::pin($handler(request))),
            name: $name,
        }
    };
}

macro_rules! api {
    ($method:ident, $path:expr, $name:literal, $access:expr, $handler:path) => {
        Route {
            method: Some(Method::$method),
            path: $path.into(),
            handler: Handler::Api($access, |request, caller| Box::pin($handler(request, caller))),
            name: $name,
        }
    };
}

macro_rules! page {
    ($method:ident, $path:expr, $name:literal, $access:expr, $handler:path) => {
        page!($method, $path, $name, $access, $handler, false)
    };
    ($method:ident, $path:expr, $name:literal, $access:expr, $handler:path, $with_temporary_password:expr) => {
        Route {
            method: Some(Method::$method),
            path: $path.into(),
            handler: Handler::Page {
                access: $access,
                with_temporary_password: $with_temporary_password,
                handler: |request, visitor| Box::pin($handler(request, visitor)),
            },
            name: $name,
        }
    };
}

/// All endpoints of the main listener.
pub fn routes() -> Vec<Route> {
    let get = Some(Method::GET);
    let post = Some(Method::POST);
    let mut routes = vec![
        open!(post.clone(), "/oauth/token", "exchange", oauth::token::exchange),
        open!(post.clone(), "/oauth/introspect", "introspect", oauth::inspect::introspect),
        open!(post, "/oauth/revoke", "revoke", oauth::inspect::revoke),
        open!(get.clone(), "/oauth/info", "oauth-info", oauth::metadata::info),
        open!(Some(Method::OPTIONS), "/oauth/info", "oauth-info-preflight", oauth::metadata::info_preflight),
        open!(get.clone(), "/oauth/jwks", "jwks", oauth::metadata::jwks),
        open!(get.clone(), "/.well-known/jwks.json", "jwks", oauth::metadata::jwks),
        open!(get.clone(), oauth::metadata::WELL_KNOWN, "metadata", oauth::metadata::authorization_server),
        open!(
            get.clone(),
            format!("{}/{{*path}}", oauth::metadata::WELL_KNOWN),
            "metadata",
            oauth::metadata::authorization_server
        ),
        open!(None, "/forward-auth", "forward-auth", oauth::gateway::forward_auth),
        open!(get.clone(), "/openapi.json", "openapi", docs::openapi_json),
        open!(get.clone(), "/docs", "docs", docs::page),
        open!(get, "/docs/style.css", "docs", docs::style),
        api!(
            GET,
            "/public-identities/v1",
            "list-public-identities",
            Access::Credential,
            api::identities::list_public
        ),
        api!(GET, "/tenant/v1", "get-tenant", Access::Credential, api::tenant::get),
        api!(
            GET,
            "/auth-users/v1/{id}",
            "get-auth-user",
            Access::Right(Right::AUTH_USER_READ),
            api::identities::get
        ),
        api!(
            PATCH,
            "/auth-users/v1/{id}",
            "patch-auth-user",
            Access::Right(Right::AUTH_USER_MANAGE),
            api::identities::patch
        ),
        api!(
            GET,
            "/audit-events/v1",
            "list-audit-events",
            Access::Right(Right::AUDIT_READ),
            api::audit::list
        ),
    ];
    let bulk = [("/personal-access-tokens/v1", true)].into_iter();
    let older =
        OLDER_PAT_PATHS.iter().map(|(base, _, rules)| (*base, *rules == patron_core::pat::Rules::Current));
    for (base, with_bulk) in bulk.chain(older) {
        routes.extend(pat_routes(base, with_bulk));
    }
    routes.extend(pages());
    routes
}

/// The pages. Their paths are the original's where it has such a page.
fn pages() -> Vec<Route> {
    let get = Some(Method::GET);
    let post = Some(Method::POST);
    let any = Access::Credential;
    let token = format!("{TOKENS}/{{id}}");
    let deletion = format!("{token}/delete");
    vec![
        open!(get.clone(), "/", "home", web::frame::home),
        open!(get.clone(), "/ui", "home", web::frame::home),
        open!(get.clone(), "/ui/d/user-preferences", "home", web::frame::home),
        open!(get.clone(), SIGN_IN, "sign-in", web::sign_in::form),
        open!(post.clone(), SIGN_IN, "sign-in", web::sign_in::sign_in),
        open!(get.clone(), SIGN_OUT, "sign-out", web::sign_in::sign_out_page),
        open!(post, SIGN_OUT, "sign-out", web::sign_in::sign_out),
        page!(GET, PASSWORD, "page-password", any, web::account::password, true),
        page!(POST, PASSWORD, "page-password", any, web::account::change_password, true),
        page!(GET, DISPLAY, "page-display", any, web::account::display),
        page!(POST, DISPLAY, "page-display", any, web::account::save_display),
        page!(
            POST,
            format!("{DISPLAY}/sign-out-elsewhere"),
            "page-sign-out-elsewhere",
            any,
            web::account::sign_out_elsewhere
        ),
        open!(get, web::assets::PATH, "assets", web::assets::get),
        page!(GET, TOKENS, "page-tokens", any, web::tokens::list),
        page!(GET, format!("{TOKENS}/new"), "page-token-new", any, web::tokens::new),
        page!(POST, format!("{TOKENS}/new"), "page-token-new", any, web::tokens::create),
        page!(GET, token.clone(), "page-token", any, web::tokens::edit),
        page!(POST, token, "page-token", any, web::tokens::save),
        page!(GET, deletion.clone(), "page-token-delete", any, web::tokens::delete),
        page!(POST, deletion, "page-token-delete", any, web::tokens::remove),
    ]
    .into_iter()
    .chain(administration())
    .collect()
}

/// The pages of those with rights on others.
fn administration() -> Vec<Route> {
    use web::admin_tokens::PATH as ALL_TOKENS;
    use web::identities::PATH as IDENTITIES;
    let read = Access::Right(Right::AUTH_USER_READ);
    let manage = Access::Right(Right::AUTH_USER_MANAGE);
    let audit = Access::Right(Right::AUDIT_READ);
    let (new, one) = (format!("{IDENTITIES}/new"), format!("{IDENTITIES}/{{id}}"));
    let (enable, disable) = (format!("{one}/enable"), format!("{one}/disable"));
    let reset = format!("{one}/reset-password");
    let tokens = Access::Right(Right::ALL_READ);
    let token = format!("{ALL_TOKENS}/{{id}}");
    let deletion = format!("{token}/delete");
    vec![
        page!(GET, web::dashboard::PATH, "page-dashboard", tokens, web::dashboard::dashboard),
        page!(GET, ALL_TOKENS, "page-all-tokens", tokens, web::admin_tokens::list),
        page!(
            POST,
            format!("{ALL_TOKENS}/preview"),
            "page-all-tokens-preview",
            tokens,
            web::admin_tokens::preview
        ),
        page!(
            POST,
            format!("{ALL_TOKENS}/bulk"),
            "page-all-tokens-bulk",
            tokens,
            web::admin_tokens::carry_out
        ),
        page!(GET, token, "page-any-token", tokens, web::admin_tokens::one),
        page!(GET, deletion.clone(), "page-any-token-delete", tokens, web::admin_tokens::delete),
        page!(POST, deletion, "page-any-token-delete", tokens, web::admin_tokens::remove),
        page!(GET, IDENTITIES, "page-identities", read, web::identities::list),
        page!(GET, new.clone(), "page-identity-new", manage, web::identities::new),
        page!(POST, new, "page-identity-new", manage, web::identities::create),
        page!(GET, one.clone(), "page-identity", read, web::identities::one),
        page!(POST, one, "page-identity", manage, web::identities::set_levels),
        page!(GET, enable.clone(), "page-identity-enable", manage, web::identities::confirm),
        page!(POST, enable, "page-identity-enable", manage, web::identities::set_enabled),
        page!(GET, disable.clone(), "page-identity-disable", manage, web::identities::confirm),
        page!(POST, disable, "page-identity-disable", manage, web::identities::set_enabled),
        page!(GET, reset.clone(), "page-identity-reset-password", manage, web::identities::confirm),
        page!(POST, reset, "page-identity-reset-password", manage, web::identities::reset_password),
        page!(GET, web::audit::PATH, "page-audit", audit, web::audit::list),
        page!(GET, web::audit::EXPORT, "page-audit-export", audit, web::audit::export),
    ]
}

fn pat_routes(base: &str, with_bulk: bool) -> Vec<Route> {
    let one = format!("{base}/{{id}}");
    let bulk = format!("{base}/bulk-update");
    let access = Access::SomePatRight;
    let mut routes = vec![
        api!(POST, base, "create", access, api::pats::create),
        api!(GET, base, "list", access, api::pats::list),
        api!(GET, one.clone(), "get", access, api::pats::get),
        api!(PATCH, one.clone(), "patch", access, api::pats::patch),
        api!(DELETE, one, "delete", access, api::pats::delete),
    ];
    if with_bulk {
        let access = Access::Right(Right::ALL_UPDATE);
        routes.push(api!(PATCH, bulk.clone(), "bulk-update", access, api::pats::bulk_update));
        routes.push(api!(POST, bulk, "bulk-update", access, api::pats::bulk_update));
    }
    routes
}
