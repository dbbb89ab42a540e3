//! The way of a request from the socket to its handler and back: what is the same for every endpoint stands here.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::header::{CONTENT_SECURITY_POLICY, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use axum::routing::{MethodRouter, any};
use axum::{Extension, Router};
use futures_util::FutureExt as _;
use patron_core::access::Holder;
use patron_core::error::Detail;
use patron_core::id::TrackingId;
use patron_core::name::TenantName;
use patron_core::{Error, Result};
use sync_wrapper::SyncWrapper;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;
use tracing::Instrument as _;

use crate::app::{App, Request};
use crate::forwarded::{self, Forwarded};
use crate::limits::{HANDLER_TIMEOUT, REQUESTS};
use crate::memory::Site;
use crate::paths::{self, PathFacts};
use crate::respond::{self, Answer, Failure, Shape, TRACKING_HEADER};
use crate::routes::{Access, Handler, Route, routes};
use crate::web::{self, Visitor};

/// What is known of a request before it is routed.
#[derive(Clone)]
struct Arrival {
    site: Arc<Site>,
    address: IpAddr,
    tracking: TrackingId,
    facts: PathFacts,
    base: String,
    https: bool,
    endpoint: Endpoint,
}

/// The name of the route that a request came to, which outlives its handler: one that panics is counted, too.
type Endpoint = Arc<OnceLock<&'static str>>;

/// The service as a function from requests to answers.
#[derive(Clone)]
pub struct Front {
    app: Arc<App>,
    router: Router,
    /// Places for requests that are being handled.
    places: Arc<Semaphore>,
}

impl Front {
    /// The service over this state.
    pub fn new(app: Arc<App>) -> Self {
        let mut by_path: BTreeMap<String, Vec<Route>> = BTreeMap::new();
        for route in routes() {
            by_path.entry(route.path.clone()).or_default().push(route);
        }
        let mut router =
            Router::new().fallback(|| async { refuse(Error::not_found("There is nothing at this path.")) });
        for (path, routes) in by_path {
            router = router.route(&path, methods(routes, &app));
        }
        Self { app, router, places: Arc::new(Semaphore::new(REQUESTS)) }
    }

    /// Answers a request that came over a connection from `peer`.
    pub async fn answer(&self, peer: IpAddr, request: axum::http::Request<Body>) -> Answer {
        let timer = self.app.metrics.request();
        let tracking = TrackingId::random(&self.app.entropy);
        let forwarded = forwarded::resolve(peer, request.headers(), &self.app.settings.trusted_proxies);
        let path = self.path_of(request.uri(), forwarded.prefix.as_deref());
        let base = self.base(forwarded.prefix.as_deref());
        let facts = PathFacts::of(&path);
        let endpoint = Endpoint::default();
        let result = match self.places.try_acquire() {
            Ok(_place) => {
                let handled = self.handle(forwarded, request, tracking, path, facts, Arc::clone(&endpoint));
                bounded(handled, tracking).await
            }
            Err(_) => Err(Error::unavailable("too many requests are being handled")),
        };
        let fail = |failure: &Failure| respond::failure(failure, facts.shape, tracking, &base);
        let mut answer = result.unwrap_or_else(|error| fail(&Failure::Rule(error)));
        if let Some(Refused(failure)) = answer.extensions_mut().remove::<Refused>() {
            answer = fail(&failure);
        }
        finish(&mut answer, tracking, facts);
        timer.done(endpoint.get().copied(), answer.status());
        answer
    }

    /// The path with single slashes, without the prefix that a proxy in front left on it: that of the public URL, or
    /// the one that a trusted proxy names.
    fn path_of(&self, uri: &Uri, forwarded: Option<&str>) -> String {
        // `CONNECT host:443` and the like name no path (RFC 9112 section 3.2.3), and so nothing that is here.
        if uri.path().is_empty() {
            return String::new();
        }
        let path = paths::normal(uri.path());
        let prefixes = [Some(self.app.settings.public_url.path()), forwarded];
        for prefix in prefixes.into_iter().flatten().map(paths::normal).filter(|prefix| prefix != "/") {
            match path.strip_prefix(&prefix) {
                Some("") => return "/".to_owned(),
                Some(rest) if rest.starts_with('/') => return rest.to_owned(),
                _ => {}
            }
        }
        path
    }

    /// What a browser's links begin with: the prefix that a trusted proxy names, or that of the public URL.
    fn base(&self, forwarded: Option<&str>) -> String {
        let prefix = paths::normal(forwarded.unwrap_or_else(|| self.app.settings.public_url.path()));
        if prefix == "/" { String::new() } else { prefix }
    }

    async fn handle(
        &self,
        forwarded: Forwarded,
        mut request: axum::http::Request<Body>,
        tracking: TrackingId,
        path: String,
        facts: PathFacts,
        endpoint: Endpoint,
    ) -> Result<Answer> {
        // Two readers of one request could take it for another tenant's each (RFC 9112 section 3.2).
        if request.headers().get_all(HOST).iter().nth(1).is_some() {
            return Err(Error::invalid(Detail::Syntax, "There is more than one Host header."));
        }
        let base = self.base(forwarded.prefix.as_deref());
        let Forwarded { client: address, host, https, .. } = forwarded;
        let https = https.unwrap_or_else(|| self.app.settings.public_url.scheme() == "https");
        let host = host.or_else(|| host_of(request.uri(), request.headers()));
        let site = self.site(host.clone(), facts).await?;
        let posts = facts.shape == Shape::Page && request.method() == Method::POST;
        if posts && web::origin::is_foreign(request.headers(), host.as_deref(), &site.url) {
            return Err(Error::forbidden(
                "This form came from another site. Open the page here and send it again.",
            ));
        }
        let path_and_query = match request.uri().query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        *request.uri_mut() =
            path_and_query.parse().map_err(|_| Error::not_found("There is nothing at this path."))?;
        request.extensions_mut().insert(Arrival { site, address, tracking, facts, base, https, endpoint });
        match self.router.clone().oneshot(request).await {
            Ok(answer) => Ok(answer),
            Err(never) => match never {},
        }
    }

    /// The tenant that a request asks, by its host name (contract section 2).
    async fn site(&self, host: Option<String>, facts: PathFacts) -> Result<Arc<Site>> {
        // At the gateway the host is the application's; the credential says which tenant.
        let gateway = facts.shape == Shape::Gateway;
        let name = host.filter(|_| !gateway).and_then(|host| self.app.settings.tenant_of_host(&host));
        let name = name.unwrap_or_else(|| TenantName::DEFAULT.to_owned());
        if let Some(site) = self.app.memory.site(&name) {
            return Ok(site);
        }
        // Made a moment ago by another process, perhaps.
        self.app.memory.refresh().await?;
        self.app.memory.site(&name).ok_or_else(|| Error::not_found("There is no such tenant."))
    }
}

/// The outcome of a handler, which takes at most [`HANDLER_TIMEOUT`] and may panic.
async fn bounded(handled: impl Future<Output = Result<Answer>>, tracking: TrackingId) -> Result<Answer> {
    let span = tracing::error_span!("request", %tracking);
    let handled = AssertUnwindSafe(handled).catch_unwind().instrument(span);
    match tokio::time::timeout(HANDLER_TIMEOUT, handled).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Error::internal("a handler panicked")),
        Err(_) => Err(Error::unavailable("a handler took too long")),
    }
}

fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let host = uri.authority().map(ToString::to_string);
    host.or_else(|| headers.get(HOST)?.to_str().ok().map(str::to_owned))
}

/// A failure on its way out of the router, to be told in the shape of the path that was asked.
#[derive(Clone)]
struct Refused(Arc<Failure>);

fn refuse(failure: impl Into<Failure>) -> Answer {
    let mut answer = respond::empty(axum::http::StatusCode::INTERNAL_SERVER_ERROR);
    answer.extensions_mut().insert(Refused(Arc::new(failure.into())));
    answer
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

/// All methods of one path.
fn methods(routes: Vec<Route>, app: &Arc<App>) -> MethodRouter {
    let mut allow: Vec<&str> =
        routes.iter().filter_map(|route| Some(route.method.as_ref()?.as_str())).collect();
    if allow.contains(&"GET") {
        allow.push("HEAD");
    }
    let allow = Arc::new(allow.join(", "));
    let (routes, app) = (Arc::new(routes), Arc::clone(app));
    any(move |Extension(arrival): Extension<Arrival>, request: axum::http::Request<Body>| async move {
        // A HEAD is answered as the GET that it stands for; the body is left out on the wire (RFC 9110 section 9.3.2).
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let Some(route) = routes.iter().find(|route| route.method.as_ref().is_none_or(|m| m == method))
        else {
            return refuse(Error::MethodNotAllowed { allow: allow.to_string() });
        };
        let _ = arrival.endpoint.set(route.name);
        dispatch(Arc::clone(&app), route, arrival, request).await.unwrap_or_else(refuse)
    })
}

async fn dispatch(
    app: Arc<App>,
    route: &Route,
    arrival: Arrival,
    request: axum::http::Request<Body>,
) -> Result<Answer, Failure> {
    let Arrival { site, address, tracking, facts, base, https, .. } = arrival;
    let (parts, body) = request.into_parts();
    let body = SyncWrapper::new(body);
    let mut request = Request { app, site, address, tracking, facts, base, https, parts, body };
    match route.handler {
        Handler::Open(handler) => handler(request).await,
        Handler::Api(access, handler) => {
            let caller = request.caller().await?;
            check_access(access, &request.app, &caller.holder())?;
            handler(request, caller).await
        }
        Handler::Page { access, with_temporary_password, handler } => {
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
    }
}

fn check_access(access: Access, app: &App, holder: &Holder<'_>) -> Result<()> {
    match access {
        Access::Credential => Ok(()),
        Access::SomePatRight => holder.require_some_pat_right(),
        Access::Right(right) => holder.require(&app.catalogue, right),
    }
}
