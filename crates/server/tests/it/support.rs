//! What the tests stand on: Patron inside the test's process with a clock that the test moves ([`Patron`]), and
//! Patron as a process of its own ([`Server`]).

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use base64::Engine as _;
use http_body_util::BodyExt as _;
use patron::app::App;
use patron::config::Settings;
use patron::front::Front;
use patron::keys::{self, MasterKey};
use patron::system::SystemEntropy;
use patron_core::audit::{Context, Party};
use patron_core::clock::{Clock, Entropy, ManualClock};
use patron_core::id::{IdentityId, PatId, TenantKey, TrackingId};
use patron_core::identity::{Draft as IdentityDraft, Identity};
use patron_core::name::TenantName;
use patron_core::pat::{Draft, Rules};
use patron_core::time::Timestamp;
use patron_store::Store;
use patron_store::audit::Selection;
use patron_store::bootstrap::Bootstrap;
use patron_store::pats::Creation;
use serde_json::{Value, json};
use tempfile::TempDir;

/// When a test begins.
pub(crate) const START: &str = "2027-03-01T12:00:00.000Z";
pub(crate) const TEST_MASTER_KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";

/// Patron inside the test's process: real routes, real database in a temporary folder, a clock that the test moves.
pub(crate) struct Patron {
    pub(crate) front: Front,
    pub(crate) app: Arc<App>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) admin: Pat,
    pub(crate) dir: TempDir,
}

/// A PAT that a test may use, with its secret.
#[derive(Clone)]
pub(crate) struct Pat {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) owner: String,
}

impl Pat {
    pub(crate) fn basic(&self) -> String {
        basic(&self.id, &self.secret)
    }
}

/// `Authorization: Basic …`
pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")))
}

/// What was answered.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; panics with the whole reply when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{} is no JSON: {}", self.status, self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Asserts the status and gives itself back.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// Asserts an error of contract section 7 by its `detailCode`, its whole shape and its tracking header.
    #[track_caller]
    pub(crate) fn expect_error(self, detail_code: &str) -> Self {
        let status: u16 = detail_code[..3].parse().unwrap();
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let body = self.json();
        assert_eq!(body["detailCode"], detail_code, "{body}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("slpt-request-id"), body["trackingId"].as_str(), "{body}");
        assert_eq!(body["causes"], json!([]), "{body}");
        let message = &body["messages"][0];
        assert_eq!((&message["locale"], &message["localeOrigin"]), (&json!("en-US"), &json!("DEFAULT")));
        assert!(!message["text"].as_str().unwrap().is_empty());
        self
    }

    /// The text of an error for people.
    pub(crate) fn message(&self) -> String {
        self.json()["messages"][0]["text"].as_str().unwrap_or_default().to_owned()
    }
}

/// A request that a test builds; `send` it through [`Patron`] or to a [`Server`].
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) uri: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) peer: IpAddr,
}

impl Call {
    pub(crate) fn new(method: &str, uri: &str) -> Self {
        Self {
            method: method.parse().unwrap(),
            uri: uri.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    pub(crate) fn get(uri: &str) -> Self {
        Self::new("GET", uri)
    }

    pub(crate) fn post(uri: &str) -> Self {
        Self::new("POST", uri)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn auth(self, value: &str) -> Self {
        self.header("authorization", value)
    }

    pub(crate) fn host(self, host: &str) -> Self {
        self.header("host", host)
    }

    pub(crate) fn from(mut self, peer: &str) -> Self {
        self.peer = peer.parse().unwrap();
        self
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(crate) fn json_patch(self, body: &Value) -> Self {
        self.body("application/json-patch+json", body.to_string())
    }

    pub(crate) fn form(self, pairs: &[(&str, &str)]) -> Self {
        let body = form(pairs);
        self.body("application/x-www-form-urlencoded", body)
    }
}

/// Pairs as `application/x-www-form-urlencoded`, which is also what a query is.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

impl Patron {
    /// Patron with its defaults.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Patron with settings that differ from the defaults. `http://patron.test` is its public URL and
    /// `tenants.test` its tenant domain.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = TempDir::new().unwrap();
        let mut settings = Settings {
            public_url: "http://patron.test".parse().unwrap(),
            tenant_domain: Some("tenants.test".to_owned()),
            ..Settings::default()
        };
        change(&mut settings);
        let clock = Arc::new(ManualClock::new(Timestamp::parse(START).unwrap()));
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let url = format!("sqlite:{}", dir.path().join("patron.db").display());
        let store = Store::open(&url, clock.clone(), entropy.clone()).await.unwrap();
        let master = || MasterKey::from_text(TEST_MASTER_KEY).ok().unwrap();
        let now = clock.now();
        let catalogue = patron_core::rights::Catalogue::new(&settings.levels, &settings.scopes).unwrap();
        let admin = IdentityDraft {
            name: "admin".to_owned(),
            display_name: Some("Administrator".to_owned()),
            levels: vec!["ORG_ADMIN".to_owned()],
            ..IdentityDraft::default()
        };
        let pat = Draft {
            name: Some("bootstrap".to_owned()),
            user_aware_token_never_expires: true,
            ..Draft::default()
        };
        let with = Bootstrap {
            admin: admin.check(&catalogue).unwrap(),
            password_hash: "none".to_owned(),
            pat: pat.check(Rules::Current, now).unwrap(),
            keys: keys::bootstrap(now, &master(), &SystemEntropy).ok().unwrap().to_vec(),
        };
        let made = store.bootstrap(operator(), with).await.unwrap().unwrap();
        let admin = Pat {
            id: made.pat.id.to_string(),
            secret: made.secret.expose().to_owned(),
            owner: made.admin.id.to_string(),
        };
        let app = App::build(Arc::new(settings), store, master(), clock.clone(), entropy).await.ok().unwrap();
        let app = Arc::new(app);
        // Dropped with the runtime of the test.
        let recorder = Arc::clone(&app.recorder);
        let (never, stop) = tokio::sync::watch::channel(false);
        tokio::spawn(async move {
            let _never = never;
            recorder.run(stop).await;
        });
        Self { front: Front::new(app.clone()), app, clock, admin, dir }
    }

    pub(crate) async fn send(&self, call: Call) -> Reply {
        let mut request = Request::builder().method(call.method).uri(&call.uri);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let answer = self.front.answer(call.peer, request.body(Body::from(call.body)).unwrap()).await;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Reply { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn pass_seconds(&self, seconds: i64) {
        self.clock.advance_millis(seconds * 1_000);
    }

    pub(crate) fn in_seconds(&self, seconds: i64) -> String {
        self.clock.now().plus_seconds(seconds).to_string()
    }

    pub(crate) async fn tenant(&self, name: &str) -> TenantKey {
        match self.app.store.tenant(name.to_owned()).await.unwrap() {
            Some(tenant) => tenant.key,
            None => {
                self.app.store.create_tenant(operator(), TenantName::parse(name).unwrap()).await.unwrap().key
            }
        }
    }

    /// An identity of the default tenant with these levels.
    pub(crate) async fn identity(&self, name: &str, levels: &[&str]) -> Identity {
        self.identity_in(TenantName::DEFAULT, name, levels).await
    }

    pub(crate) async fn identity_in(&self, tenant: &str, name: &str, levels: &[&str]) -> Identity {
        let draft = IdentityDraft {
            name: name.to_owned(),
            levels: levels.iter().map(|&level| level.to_owned()).collect(),
            ..IdentityDraft::default()
        };
        let draft = draft.check(&self.app.catalogue).unwrap();
        self.app.store.create_identity(operator(), self.tenant(tenant).await, draft).await.unwrap()
    }

    /// A never-expiring PAT of an identity, made as the operator makes it; no scopes given is all.
    pub(crate) async fn pat(&self, owner: &Identity, name: &str, scopes: &[&str]) -> Pat {
        self.make_pat(owner, name, scopes, false).await
    }

    pub(crate) async fn managed_pat(&self, owner: &Identity, name: &str, scopes: &[&str]) -> Pat {
        self.make_pat(owner, name, scopes, true).await
    }

    async fn make_pat(&self, owner: &Identity, name: &str, scopes: &[&str], managed: bool) -> Pat {
        let draft = Draft {
            name: Some(name.to_owned()),
            scope: (!scopes.is_empty()).then(|| scopes.iter().map(|&scope| scope.to_owned()).collect()),
            user_aware_token_never_expires: true,
            ..Draft::default()
        };
        let new = draft.check(Rules::Current, self.clock.now()).unwrap();
        let creation = Creation { owner: owner.id, managed, per_owner: u32::MAX };
        let (pat, secret) = self.app.store.create_pat(operator(), owner.tenant, creation, new).await.unwrap();
        Pat { id: pat.id.to_string(), secret: secret.expose().to_owned(), owner: owner.id.to_string() }
    }

    /// The access token of an exchange, as an `Authorization` header.
    pub(crate) async fn bearer(&self, pat: &Pat) -> String {
        let call = Call::post("/oauth/token").form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &pat.id),
            ("client_secret", &pat.secret),
        ]);
        let reply = self.send(call).await.expect(200);
        format!("Bearer {}", reply.json()["access_token"].as_str().unwrap())
    }

    /// The events of the default tenant's trail with this name, newest first.
    pub(crate) async fn events(&self, technical_name: &str) -> Vec<Value> {
        self.app.recorder.flush().await.unwrap();
        let tenant = self.tenant(TenantName::DEFAULT).await;
        let events = self.app.store.audit_page(Selection::everything(tenant), None, 10_000).await.unwrap();
        let events = events.iter().map(|event| patron::api::audit::written(event, TenantName::DEFAULT));
        let events = events.map(|event| serde_json::to_value(event).unwrap());
        events.filter(|event| event["technicalName"] == technical_name).collect()
    }
}

/// What changes by the operator carry.
pub(crate) fn operator() -> Context {
    Context {
        actor: Party::operator(),
        acting: None,
        address: None,
        tracking: TrackingId::random(&SystemEntropy),
    }
}

pub(crate) fn identity_id(text: &str) -> IdentityId {
    IdentityId::parse(text).unwrap()
}

pub(crate) fn pat_id(text: &str) -> PatId {
    PatId::parse(text).unwrap()
}

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// Patron as a process of its own, on a free port, in a folder of its own; ended by its pid when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    pub(crate) management: String,
    pub(crate) log: PathBuf,
}

/// `patron` with a data folder, and nothing of the test's own environment.
pub(crate) fn patron(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patron"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PATRON_") {
            command.env_remove(name);
        }
    }
    command.env("PATRON_DATA_DIR", dir).stdin(Stdio::null());
    command
}

/// Runs a command of `patron` to its end.
pub(crate) fn run(dir: &Path, args: &[&str]) -> Output {
    patron(dir).args(args).output().unwrap()
}

/// Runs a command with `--json` that must succeed, and gives its answer.
#[track_caller]
pub(crate) fn run_json(dir: &Path, args: &[&str]) -> Value {
    let output = patron(dir).args(args).arg("--json").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{args:?} gave no JSON: {text}"))
}

impl Server {
    /// Starts `patron serve` over a data folder and waits until it answers.
    pub(crate) fn start(dir: &Path, args: &[&str]) -> Self {
        Self::start_with(dir, args, &[])
    }

    pub(crate) fn start_with(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        let ready = dir.with_extension("ready");
        let _ = fs::remove_file(&ready);
        let log = dir.with_extension("log");
        let stderr = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = patron(dir);
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--management-listen",
            "127.0.0.1:0",
            "--ready-file",
        ]);
        command.arg(&ready).args(args).envs(env.iter().copied());
        command.stdout(fs::File::create(dir.with_extension("out")).unwrap()).stderr(stderr);
        let mut child = command.spawn().unwrap();
        let mut waited = Duration::ZERO;
        let pause = Duration::from_millis(5);
        let ready = loop {
            if let Ok(text) = fs::read_to_string(&ready) {
                break serde_json::from_str::<Value>(&text).unwrap();
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("patron serve ended with {status}: {}", fs::read_to_string(&log).unwrap());
            }
            assert!(waited < PATIENCE, "patron serve does not get ready");
            // The file system has no event for this that is the same everywhere.
            std::thread::sleep(pause);
            waited += pause;
        };
        let address = ready["listen"].as_str().unwrap().to_owned();
        let management = ready["management"].as_str().unwrap().to_owned();
        Self { child, address, management, log }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().unwrap().code()
    }

    /// The exit code, once it ends by itself.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn send(&self, call: Call) -> Reply {
        let client = reqwest::blocking::Client::builder().timeout(PATIENCE).build().unwrap();
        let mut request = client.request(call.method, self.url(&call.uri)).body(call.body);
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let answer = request.send().unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        Reply { status, headers, body: answer.bytes().unwrap().to_vec() }
    }

    /// Bytes as they are, over a connection of their own; what comes back until it closes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The server may close before it has read everything.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The access token of an exchange, as an `Authorization` header.
    pub(crate) fn bearer(&self, id: &str, secret: &str) -> String {
        let pairs = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        let reply = self.send(Call::post("/oauth/token").form(&pairs)).expect(200);
        format!("Bearer {}", reply.json()["access_token"].as_str().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Pat {
    /// The exchange as most clients send it.
    pub(crate) fn exchange(&self) -> Call {
        Call::post("/oauth/token").form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &self.id),
            ("client_secret", &self.secret),
        ])
    }

    /// The exchange for fewer scopes than the PAT has.
    pub(crate) fn exchange_for(&self, scope: &str) -> Call {
        Call::post("/oauth/token").auth(&self.basic()).form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &self.id),
            ("scope", scope),
        ])
    }
}

impl Patron {
    /// A PAT of an identity with whatever a creation may say.
    pub(crate) async fn pat_of(&self, owner: &Identity, draft: Draft) -> Pat {
        let new = draft.check(Rules::Current, self.clock.now()).unwrap();
        let creation = Creation { owner: owner.id, managed: false, per_owner: u32::MAX };
        let (pat, secret) = self.app.store.create_pat(operator(), owner.tenant, creation, new).await.unwrap();
        Pat { id: pat.id.to_string(), secret: secret.expose().to_owned(), owner: owner.id.to_string() }
    }

    /// A PAT that expires so many milliseconds from now.
    pub(crate) async fn pat_for_millis(&self, owner: &Identity, name: &str, millis: i64) -> Pat {
        let at = Timestamp::from_millis(self.clock.now().millis() + millis).to_string();
        let draft = Draft { name: Some(name.to_owned()), expiration_date: Some(at), ..Draft::default() };
        self.pat_of(owner, draft).await
    }

    /// Deletes a PAT, as the administrator does.
    pub(crate) async fn delete_pat(&self, pat: &Pat) {
        let path = format!("/personal-access-tokens/v1/{}", pat.id);
        self.send(Call::new("DELETE", &path).auth(&self.admin.basic())).await.expect(204);
    }

    /// Patches a PAT with any credential that may.
    pub(crate) async fn patch_pat(&self, auth: &str, pat: &Pat, patch: &Value) {
        let uri = format!("/personal-access-tokens/v1/{}", pat.id);
        self.send(Call::new("PATCH", &uri).auth(auth).json_patch(patch)).await.expect(200);
    }

    /// Disables or enables an identity, as the operator does.
    pub(crate) async fn set_enabled(&self, identity: &Identity, enabled: bool) {
        let decide = Arc::new(move |old: &Identity| Ok(Identity { enabled, ..old.clone() }));
        self.app.store.change_identity(operator(), identity.tenant, identity.id, decide).await.unwrap();
    }

    /// The access token of an exchange.
    pub(crate) async fn access_token(&self, pat: &Pat) -> String {
        self.bearer(pat).await.split_off("Bearer ".len())
    }
}

/// Where the PAT endpoints of today are.
pub(crate) const PATS: &str = "/personal-access-tokens/v1";

impl Patron {
    /// A connection of the test's own to the database, behind Patron's back.
    pub(crate) fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.dir.path().join("patron.db")).unwrap()
    }

    /// A PAT as `GET /{id}` shows it to this caller.
    pub(crate) async fn shown(&self, auth: &str, id: &str) -> Value {
        self.send(Call::get(&format!("{PATS}/{id}")).auth(auth)).await.expect(200).json()
    }

    /// A list, as the names of its PATs in their order.
    pub(crate) async fn listed(&self, auth: &str, query: &str) -> Vec<String> {
        let reply = self.send(Call::get(&format!("{PATS}?{query}")).auth(auth)).await.expect(200);
        let list = reply.json();
        list.as_array().unwrap().iter().map(|pat| pat["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Makes a PAT by the API, and gives the whole answer.
    pub(crate) async fn create(&self, auth: &str, body: &Value) -> Value {
        self.send(Call::post(PATS).auth(auth).json(body)).await.expect(200).json()
    }

    /// An exchange, whatever comes of it.
    pub(crate) async fn exchange(&self, id: &str, secret: &str) -> Reply {
        let pairs = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        self.send(Call::post("/oauth/token").form(&pairs)).await
    }
}
