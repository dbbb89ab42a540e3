//! The way of a request from the socket to its handler and back: what is the same for every endpoint stands here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::header::{CONTENT_SECURITY_POLICY, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use futures_util::FutureExt as _;
use patron_core::access::Holder;
use patron_core::error::Detail;
use patron_core::id::TrackingId;
use patron_core::name::TenantName;
use patron_core::{Error, Result};
use sync_wrapper::SyncWrapper;
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use crate::app::{App, Request};
use crate::auth::Caller;
use crate::forwarded::{self, Forwarded};
use crate::limits::{HANDLER_TIMEOUT, REQUESTS};
use crate::memory::Site;
use crate::paths::{self, PathFacts};
use crate::respond::{self, Answer, Failure, Shape, TRACKING_HEADER};
use crate::routes::{Access, Handler, Route, Running, routes};
use crate::web::{self, Visitor};

/// The routes of one path.
struct Methods {
    routes: Vec<Route>,
    /// For the header `Allow`.
    allow: String,
}

impl Methods {
    fn new(routes: Vec<Route>) -> Self {
        let mut allow: Vec<&str> =
            routes.iter().filter_map(|route| Some(route.method.as_ref()?.as_str())).collect();
        if allow.contains(&"GET") {
            allow.push("HEAD");
        }
        let allow = allow.join(", ");
        Self { routes, allow }
    }

    /// A HEAD is answered as the GET that it stands for; its body is left out on the wire (RFC 9110 section 9.3.2).
    fn route(&self, method: &Method) -> Result<&Route> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let found = self.routes.iter().find(|route| route.method.as_ref().is_none_or(|m| m == method));
        found.ok_or_else(|| Error::MethodNotAllowed { allow: self.allow.clone() })
    }
}

/// What is known of a request before it is handled.
struct Arrival<'a> {
    forwarded: Forwarded,
    tracking: TrackingId,
    facts: PathFacts,
    base: String,
    /// The path that is routed, where the URI says another.
    other_path: Option<String>,
    route: Result<&'a Route>,
    /// To be told which route the request has come to. It outlives the handler: one that panics is counted, too.
    endpoint: &'a OnceLock<&'static str>,
}

/// The service as a function from requests to answers.
#[derive(Clone)]
pub struct Front {
    app: Arc<App>,
    paths: Arc<matchit::Router<Methods>>,
    /// The path of the public URL, normal; empty for none.
    prefix: Arc<str>,
    /// Places for requests that are being handled.
    places: Arc<Semaphore>,
}

impl Front {
    /// The service over this state.
    ///
    /// # Panics
    /// When the table of routes has two paths that no request could tell apart, which is so for every request or none.
    pub fn new(app: Arc<App>) -> Self {
        let mut by_path: BTreeMap<String, Vec<Route>> = BTreeMap::new();
        for route in routes() {
            by_path.entry(route.path.clone()).or_default().push(route);
        }
        let mut paths = matchit::Router::new();
        for (path, routes) in by_path {
            paths
                .insert(path, Methods::new(routes))
                .expect("no path of the table is another's, or malformed");
        }
        let prefix = paths::normal(app.settings.public_url.path());
        let prefix = if prefix == "/" { "" } else { &*prefix };
        Self {
            paths: Arc::new(paths),
            prefix: prefix.into(),
            places: Arc::new(Semaphore::new(REQUESTS)),
            app,
        }
    }

    /// Answers a request that came over a connection from `peer`.
    pub async fn answer(&self, peer: IpAddr, request: axum::http::Request<Body>) -> Answer {
        let timer = self.app.metrics.request();
        let tracking = TrackingId::random(&self.app.entropy);
        let (parts, body) = request.into_parts();
        let forwarded = forwarded::resolve(peer, &parts.headers, &self.app.settings.trusted_proxies);
        let base = forwarded.prefix.clone().unwrap_or_else(|| self.prefix.to_string());
        let other_path = self.path_of(&parts.uri, forwarded.prefix.as_deref());
        let path = other_path.as_deref().unwrap_or(parts.uri.path());
        let facts = PathFacts::of(path);
        let route = self.route(path, &parts.method);
        let endpoint = OnceLock::new();
        let result = match self.places.try_acquire() {
            Ok(_place) => {
                let base = base.clone();
                let endpoint = &endpoint;
                let arrival = Arrival { forwarded, tracking, facts, base, other_path, route, endpoint };
                bounded(self.handle(arrival, parts, body), tracking).await
            }
            Err(_) => Err(Error::unavailable("too many requests are being handled").into()),
        };
        let mut answer =
            result.unwrap_or_else(|failure| respond::failure(&failure, facts.shape, tracking, &base));
        finish(&mut answer, tracking, facts);
        timer.done(endpoint.get().copied(), answer.status());
        answer
    }

    /// The path with single slashes, without the prefix that a proxy in front left on it: that of the public URL, or
    /// the one that a trusted proxy names. `None`: it is as it came.
    fn path_of(&self, uri: &Uri, forwarded: Option<&str>) -> Option<String> {
        // `CONNECT host:443` and the like name no path (RFC 9112 section 3.2.3), and so nothing that is here.
        if uri.path().is_empty() {
            return None;
        }
        let path = paths::normal(uri.path());
        for prefix in
            [Some(&*self.prefix), forwarded].into_iter().flatten().filter(|prefix| !prefix.is_empty())
        {
            match path.strip_prefix(prefix) {
                Some("") => return Some("/".to_owned()),
                Some(rest) if rest.starts_with('/') => return Some(rest.to_owned()),
                _ => {}
            }
        }
        match path {
            Cow::Borrowed(_) => None,
            Cow::Owned(path) => Some(path),
        }
    }

    fn route(&self, path: &str, method: &Method) -> Result<&Route> {
        let found = self.paths.at(path).map_err(|_| Error::not_found("There is nothing at this path."))?;
        found.value.route(method)
    }

    async fn handle(&self, arrival: Arrival<'_>, mut parts: Parts, body: Body) -> Result<Answer, Failure> {
        let Arrival { forwarded, tracking, facts, base, other_path, route, endpoint } = arrival;
        // Two readers of one request could take it for another tenant's each (RFC 9112 section 3.2).
        if parts.headers.get_all(HOST).iter().nth(1).is_some() {
            return Err(Error::invalid(Detail::Syntax, "There is more than one Host header.").into());
        }
        let Forwarded { client: address, host, https, .. } = forwarded;
        let https = https.unwrap_or_else(|| self.app.settings.public_url.scheme() == "https");
        let host = host.or_else(|| host_of(&parts.uri, &parts.headers));
        let site = self.site(host.as_deref(), facts).await?;
        let posts = facts.shape == Shape::Page && parts.method == Method::POST;
        if posts && web::origin::is_foreign(&parts.headers, host.as_deref(), &site.url) {
            let text = "This form came from another site. Open the page here and send it again.";
            return Err(Error::forbidden(text).into());
        }
        let route = route?;
        let _ = endpoint.set(route.name);
        if let Some(path) = other_path {
            let path_and_query = match parts.uri.query() {
                Some(query) => format!("{path}?{query}"),
                None => path,
            };
            let uri = path_and_query.parse();
            parts.uri = uri.map_err(|_| Error::not_found("There is nothing at this path."))?;
        }
        let (app, body) = (Arc::clone(&self.app), SyncWrapper::new(body));
        let request = Request { app, site, address, tracking, facts, base, https, parts, body };
        // What the kinds of routes do first is in boxes, so that none of them pays for the largest.
        match route.handler {
            Handler::Open(handler) => handler(request).await,
            Handler::Api(access, handler) => Box::pin(call(request, access, handler)).await,
            Handler::Page { access, with_temporary_password, handler } => {
                Box::pin(show(request, access, with_temporary_password, handler)).await
            }
        }
    }

    /// The tenant that a request asks, by its host name (contract section 2).
    async fn site(&self, host: Option<&str>, facts: PathFacts) -> Result<Arc<Site>> {
        // At the gateway the host is the application's; the credential says which tenant.
        let gateway = facts.shape == Shape::Gateway;
        let name = host.filter(|_| !gateway).and_then(|host| self.app.settings.tenant_of_host(host));
        let name = name.as_deref().unwrap_or(TenantName::DEFAULT);
        if let Some(site) = self.app.memory.site(name) {
            return Ok(site);
        }
        // Made a moment ago by another process, perhaps.
        Box::pin(self.app.memory.refresh()).await?;
        self.app.memory.site(name).ok_or_else(|| Error::not_found("There is no such tenant."))
    }
}

/// The outcome of a handler, which takes at most [`HANDLER_TIMEOUT`] and may panic.
async fn bounded(
    handled: impl Future<Output = Result<Answer, Failure>>,
    tracking: TrackingId,
) -> Result<Answer, Failure> {
    let span = tracing::error_span!("request", %tracking);
    let handled = AssertUnwindSafe(handled).catch_unwind().instrument(span);
    match tokio::time::timeout(HANDLER_TIMEOUT, handled).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Error::internal("a handler panicked").into()),
        Err(_) => Err(Error::unavailable("a handler took too long").into()),
    }
}

fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let host = uri.authority().map(ToString::to_string);
    host.or_else(|| headers.get(HOST)?.to_str().ok().map(str::to_owned))
}

/// What is the same in every answer.
fn finish(answer: &mut Answer, tracking: TrackingId, facts: PathFacts) {
    let headers = answer.headers_mut();
    if let Ok(tracking) = HeaderValue::from_str(&tracking.to_string()) {
        headers.insert(TRACKING_HEADER, tracking);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert_with(|| HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    if facts.deprecated {
        headers.insert("x-deprecated", HeaderValue::from_static("true"));
    }
}

/// A call of the API: who calls is known before it is handled.
async fn call(
    request: Request,
    access: Access,
    handler: fn(Request, Caller) -> Running,
) -> Result<Answer, Failure> {
    let caller = request.caller().await?;
    check_access(access, &request.app, &caller.holder())?;
    handler(request, caller).await
}

/// A page, for somebody who has signed in.
async fn show(
    mut request: Request,
    access: Access,
    with_temporary_password: bool,
    handler: fn(Request, Visitor) -> Running,
) -> Result<Answer, Failure> {
    let Some(mut visitor) = Visitor::of(&request).await? else {
        return Ok(web::frame::sign_in_first(&request));
    };
    visitor.take_form(&mut request).await?;
    if visitor.session.password_temporary && !with_temporary_password {
        return Ok(web::frame::redirect(&request, web::frame::PASSWORD));
    }
    check_access(access, &request.app, &visitor.holder())?;
    handler(request, visitor).await
}

fn check_access(access: Access, app: &App, holder: &Holder<'_>) -> Result<()> {
    match access {
        Access::Credential => Ok(()),
        Access::SomePatRight => holder.require_some_pat_right(),
        Access::Right(right) => holder.require(&app.catalogue, right),
    }
}
