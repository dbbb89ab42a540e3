//! What the tests stand on: Patron inside the test's process with a clock that the test moves ([`Patron`]), and what
//! `process.rs` has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use patron::app::App;
use patron::config::Settings;
use patron::front::Front;
use patron::keys::{self, MasterKey};
use patron::system::SystemEntropy;
use patron_core::audit::{Context, Party};
use patron_core::clock::{Clock, Entropy, ManualClock};
use patron_core::coherence::Terms;
use patron_core::id::{IdentityId, PatId, TenantKey, TrackingId};
use patron_core::identity::{Draft as IdentityDraft, Identity};
use patron_core::name::TenantName;
use patron_core::pat::{Draft, Rules};
use patron_core::time::Timestamp;
use patron_store::Store;
use patron_store::audit::Selection;
use patron_store::bootstrap::Bootstrap;
use patron_store::pats::Creation;
use serde_json::Value;
use tempfile::TempDir;

use crate::database::Database;
pub(crate) use crate::process::{Call, Reply, Server, basic, database_url, form, patron, run, run_json};

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
    is_cut_off: AtomicBool,
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
        // Shown when the test fails. A test has several at times.
        let _ = patron::telemetry::start_log(&settings);
        let clock = Arc::new(ManualClock::new(Timestamp::parse(START).unwrap()));
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let url = database_url(dir.path());
        let store = Store::open(&url, clock.clone(), entropy.clone(), clock.clone()).await.unwrap();
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
        let app = App::build(Arc::new(settings), store, master(), clock.clone(), entropy, clock.clone())
            .await
            .ok()
            .unwrap();
        let app = Arc::new(app);
        // Dropped with the runtime of the test.
        let recorder = Arc::clone(&app.recorder);
        let (never, stop) = tokio::sync::watch::channel(false);
        tokio::spawn(async move {
            let _never = never;
            // Nothing is written for the time that passes here: only when it is asked for.
            recorder.run(Duration::MAX, stop).await;
        });
        Self::of(app, clock, admin, dir).await
    }

    /// What this app serves, as soon as it may rely on its memory.
    pub(crate) async fn of(app: Arc<App>, clock: Arc<ManualClock>, admin: Pat, dir: TempDir) -> Self {
        follow(&app);
        let front = Front::new(Arc::clone(&app));
        let patron = Self { front, app, clock, admin, dir, is_cut_off: AtomicBool::new(false) };
        patron.trust_memory().await;
        patron
    }

    pub(crate) async fn send(&self, call: Call) -> Reply {
        let mut request = Request::builder().method(call.method).uri(&call.uri);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        self.trust_memory().await;
        let answer = self.front.answer(call.peer, request.body(Body::from(call.body)).unwrap()).await;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Reply { status: parts.status, headers: parts.headers, body }
    }

    /// Waits for the lease that the test's clock has leapt over, or that there is not yet. A request would wait for it as
    /// well, but no longer than a client would, and a machine may be slower than that.
    async fn trust_memory(&self) {
        match self.app.memory.trust() {
            Some(trust) if !self.is_cut_off.load(Ordering::Relaxed) => trust.held().await,
            _ => {}
        }
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

    /// From now on the database is out of reach, and nothing that is in memory may be relied on any more.
    pub(crate) async fn lose_database(&self) {
        self.is_cut_off.store(true, Ordering::Relaxed);
        self.app.store.close().await;
        if self.app.store.is_shared() {
            self.clock.advance_millis(Terms::STANDARD.lease().cast_signed());
        }
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

/// A PAT that works, and one for each reason why one does not.
pub(crate) struct PatsOfAllKinds {
    pub(crate) live: Pat,
    pub(crate) deleted: Pat,
    pub(crate) expired: Pat,
    /// Its owner is disabled.
    pub(crate) disabled: Pat,
    /// It works in another tenant.
    pub(crate) foreign: Pat,
}

/// Has Patron follow what others change, as a service does, until the runtime of the test is dropped.
fn follow(app: &Arc<App>) {
    let app = Arc::clone(app);
    let (never, stop) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        let _never = never;
        patron::follower::run(app, stop).await;
    });
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

    /// A PAT that works and one for each reason why one does not; five seconds pass.
    pub(crate) async fn pats_of_all_kinds(&self) -> PatsOfAllKinds {
        let jane = self.identity("jane", &[]).await;
        let live = self.pat(&jane, "live", &[]).await;
        let deleted = self.pat(&jane, "deleted", &[]).await;
        self.delete_pat(&deleted).await;
        let expired = self.pat_for_millis(&jane, "expired", 5_000).await;
        let gone = self.identity("gone", &[]).await;
        let disabled = self.pat(&gone, "disabled", &[]).await;
        self.set_enabled(&gone, false).await;
        let anna = self.identity_in("acme", "anna", &[]).await;
        let foreign = self.pat(&anna, "foreign", &[]).await;
        self.pass_seconds(5);
        PatsOfAllKinds { live, deleted, expired, disabled, foreign }
    }

    /// The access token of an exchange.
    pub(crate) async fn access_token(&self, pat: &Pat) -> String {
        self.bearer(pat).await.split_off("Bearer ".len())
    }
}

/// Where the PAT endpoints of today are.
pub(crate) const PATS: &str = "/personal-access-tokens/v1";

impl Patron {
    /// The database itself, behind Patron's back.
    pub(crate) fn database(&self) -> Database {
        Database::at(&database_url(self.dir.path()))
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
