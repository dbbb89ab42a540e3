//! The original product in this process, as its clients see it: what it answers otherwise than Patron, or not at all.
//!
//! It is played by its public description and by what its clients were seen to get. Its answers have fields that
//! Patron's have not, and lack or leave null what Patron's always have; dates come in two spellings, content types in
//! any; it stands below a path prefix; its gateway answers for what it has not: `GET /{id}`, introspection, revocation.

mod pats;
mod tokens;

use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use patron::system::SystemClock;
use patron_core::clock::Clock as _;
use patron_core::time::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::Pat;
use pats::Pats;
use tokens::Tokens;

/// The path below which it stands, as behind a proxy.
const PREFIX: &str = "/behind/a/proxy";

/// The original product, on a free port until it is dropped.
pub(crate) struct Original {
    pub(crate) url: String,
    /// The PAT that it begins with, which may do everything.
    pub(crate) admin: Pat,
    tenant: Arc<Mutex<Tenant>>,
    _runtime: Runtime,
}

/// A request as it came, its path without the prefix.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) content_type: Option<String>,
    pub(crate) body: String,
    authorization: Option<String>,
}

/// What the product knows.
struct Tenant {
    pats: Pats,
    tokens: Tokens,
    sent: Vec<Sent>,
    /// How many requests to the API are still refused as too many.
    too_many: usize,
}

impl Original {
    pub(crate) fn start() -> Self {
        let mut pats = Pats::default();
        let admin = pats.first(SystemClock.now());
        let tenant = Tenant { pats, tokens: Tokens::new(), sent: Vec::new(), too_many: 0 };
        let tenant = Arc::new(Mutex::new(tenant));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}{PREFIX}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(tenant.clone());
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { url, admin, tenant, _runtime: runtime }
    }

    /// Every request so far, oldest first.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.lock().sent.clone()
    }

    /// Refuses that many requests to the API as too many, each until a second later.
    pub(crate) fn limit(&self, requests: usize) {
        self.lock().too_many = requests;
    }

    /// Ends every access token that was made so far, as time does.
    pub(crate) fn end_access_tokens(&self) {
        self.lock().tokens.end_all();
    }

    fn lock(&self) -> MutexGuard<'_, Tenant> {
        self.tenant.lock().unwrap()
    }
}

async fn answer(State(tenant): State<Arc<Mutex<Tenant>>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let sent = Sent {
        method: head.method.to_string(),
        path: head.uri.path().strip_prefix(PREFIX).unwrap_or("outside the prefix").to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        content_type: header("content-type"),
        authorization: header("authorization"),
        body: String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap(),
    };
    let mut tenant = tenant.lock().unwrap();
    tenant.sent.push(sent.clone());
    tenant.answer(&sent, SystemClock.now()).into_response()
}

impl Tenant {
    fn answer(&mut self, sent: &Sent, now: Timestamp) -> Answer {
        let segments: Vec<&str> = sent.path.split('/').filter(|segment| !segment.is_empty()).collect();
        match (sent.method.as_str(), segments.as_slice()) {
            ("POST", ["oauth", "token"]) => self.tokens.exchange(sent, &mut self.pats, now),
            ("GET", ["oauth", "jwks"]) => Answer::ok(self.tokens.jwks()),
            (method, ["personal-access-tokens", "v1", rest @ ..]) => {
                if self.too_many > 0 {
                    self.too_many -= 1;
                    return Answer::too_many();
                }
                let Some(caller) = self.tokens.holder(sent) else {
                    return Answer::unauthorized("JWT validation failed: JWT is expired");
                };
                match (method, rest) {
                    ("POST", []) => self.pats.create(sent, &caller, now),
                    ("GET", []) => self.pats.list(sent),
                    ("PATCH" | "POST", ["bulk-update"]) => self.pats.bulk_update(sent, now),
                    ("PATCH", [id]) => self.pats.patch(id, sent, now),
                    ("DELETE", [id]) => self.pats.delete(id),
                    _ => Answer::no_route(sent),
                }
            }
            _ => Answer::no_route(sent),
        }
    }
}

impl Sent {
    /// Whether the body is said to be of this type, in any case and with any parameter.
    fn is(&self, media_type: &str) -> bool {
        let given = self.content_type.as_deref().unwrap_or_default();
        given.split(';').next().is_some_and(|given| given.trim().eq_ignore_ascii_case(media_type))
    }

    /// A parameter of a form or a query.
    fn parameter(form: &str, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(form.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// What goes back.
struct Answer {
    status: u16,
    body: Option<Value>,
    retry_after: Option<u32>,
}

impl Answer {
    fn new(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), retry_after: None }
    }

    fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    /// An error of the API. The reader's own language comes first, whatever it is.
    fn error(detail_code: &str, text: &str) -> Self {
        let status = detail_code[..3].parse().unwrap();
        Self::new(
            status,
            json!({
                "detailCode": detail_code,
                "trackingId": "c9ee9b0a5d1e4c2f8f0e7a6b5c4d3e2f",
                "messages": [
                    { "locale": "und", "localeOrigin": "REQUEST", "text": text },
                    { "locale": "en-US", "localeOrigin": null, "text": text },
                ],
                "causes": null,
                "timestamp": "2017-07-11T18:45:37.098+0000",
            }),
        )
    }

    fn unauthorized(why: &str) -> Self {
        Self::new(401, json!({ "error": why }))
    }

    fn too_many() -> Self {
        let body = json!({ "message": " Rate Limit Exceeded " });
        Self { retry_after: Some(1), ..Self::new(429, body) }
    }

    /// What the gateway says of an address that leads nowhere: no error of the API.
    fn no_route(sent: &Sent) -> Self {
        let body = json!({
            "timestamp": "2017-07-11T18:45:37.098+0000", "status": 404, "error": "Not Found", "path": sent.path,
        });
        Self::new(404, body)
    }

    fn into_response(self) -> Response<Body> {
        let response = Response::builder().status(StatusCode::from_u16(self.status).unwrap());
        let response = match self.retry_after {
            Some(seconds) => response.header("retry-after", seconds),
            None => response,
        };
        match self.body {
            Some(body) => response
                .header("content-type", "Application/JSON;Charset=UTF-8")
                .body(body.to_string().into()),
            None => response.body(Body::empty()),
        }
        .unwrap()
    }
}

/// A date in the spelling that clients stumble over.
fn with_offset(at: Timestamp) -> String {
    at.to_string().replace('Z', "+0000")
}
