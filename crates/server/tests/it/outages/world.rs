//! A service whose database can be taken away, and one request of every kind to it.

use std::path::PathBuf;
use std::thread;

use patron_core::secret::SessionToken;
use patron_testing::{Cluster, Proxy, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Call, Reply, Server, basic};

const PATS: &str = "/personal-access-tokens/v1";
const SIGN_IN: &str = "/ui/sign-in";
const PASSWORD_PAGE: &str = "/ui/d/user-preferences/password";

/// A server whose way to its database can be broken.
pub(super) struct World {
    pub(super) cluster: Cluster,
    pub(super) way: Proxy,
    pub(super) server: Server,
    pub(super) bearer: String,
    client: (String, String),
    /// The first administrator's login name and password.
    person: (String, String),
    /// The session of a browser where that one has signed in, and of one where nobody has.
    session: SessionToken,
    stranger: SessionToken,
    pat: String,
    _dir: TempDir,
}

/// A request, and what it is answered when all is well.
pub(super) struct Asked {
    pub(super) what: &'static str,
    pub(super) call: Call,
    pub(super) well: u16,
}

/// What it was answered.
pub(super) struct Answered {
    what: &'static str,
    well: u16,
    reply: Reply,
}

impl Answered {
    #[track_caller]
    pub(super) fn expect_well(&self) {
        assert_eq!(self.reply.status.as_u16(), self.well, "{}: {}", self.what, self.reply.text());
    }

    /// What an outage looks like: 503, when to come again, and nothing of what goes on inside.
    #[track_caller]
    pub(super) fn expect_outage(&self) {
        let (what, text) = (self.what, self.reply.text());
        assert_eq!(self.reply.status.as_u16(), 503, "{what}: {text}");
        assert!(self.reply.header("retry-after").is_some(), "{what}: no Retry-After");
        assert!(!text.contains("SQL"), "{what}: {text}");
    }
}

fn asked(what: &'static str, call: Call, well: u16) -> Asked {
    Asked { what, call, well }
}

impl World {
    pub(super) fn new() -> Self {
        Self::on(Cluster::start(Settings::default()))
    }

    pub(super) fn on(cluster: Cluster) -> Self {
        let way = Proxy::to(cluster.address());
        cluster.psql("postgres", "CREATE DATABASE patron");
        let dir = TempDir::new().unwrap();
        let data: PathBuf = dir.path().join("data");
        let url = cluster.url_through(way.address(), "patron");
        // What is asked again and again until something is so would meet a limit.
        let env = [("PATRON_DATABASE_URL", url.as_str()), ("PATRON_RATE_LIMITS_REQUESTS", "0")];
        let server = Server::start_with(&data, &[], &env);
        let bootstrap: Value =
            serde_json::from_slice(&std::fs::read(data.join("bootstrap.json")).unwrap()).unwrap();
        let text = |name: &str| bootstrap[name].as_str().unwrap().to_owned();
        let client = (text("clientId"), text("clientSecret"));
        let bearer = server.bearer(&client.0, &client.1);
        let made = server.send(
            Call::post(PATS)
                .auth(&bearer)
                .json(&json!({ "name": "one", "userAwareTokenNeverExpires": true })),
        );
        let pat = made.expect(200).json()["id"].as_str().unwrap().to_owned();
        let stranger = SessionToken::presented(&"0".repeat(64)).unwrap();
        let session = stranger.clone();
        let person = (text("userName"), text("password"));
        let mut world =
            Self { cluster, way, server, bearer, client, person, session, stranger, pat, _dir: dir };
        world.session = world.sign_in();
        world
    }

    /// A new session of the administrator's.
    fn sign_in(&self) -> SessionToken {
        let reply = self.server.send(self.sign_in_with(&self.person.1)).expect(303);
        let cookie = reply.header("set-cookie").unwrap().split([';', '=']).nth(1).unwrap();
        SessionToken::presented(cookie).unwrap()
    }

    fn sign_in_with(&self, password: &str) -> Call {
        let csrf = self.stranger.csrf();
        let form = [("name", self.person.0.as_str()), ("password", password), ("csrf", csrf.as_str())];
        in_session(Call::post(SIGN_IN).form(&form), &self.stranger)
    }

    pub(super) fn exchange(&self) -> Reply {
        let pairs = [
            ("grant_type", "client_credentials"),
            ("client_id", self.client.0.as_str()),
            ("client_secret", self.client.1.as_str()),
        ];
        self.server.send(Call::post("/oauth/token").form(&pairs))
    }

    /// One request of every kind, in an order in which none is in another's way. What good ones ask for is there; what
    /// the bad ones ask for is not.
    pub(super) fn everything(&self) -> Vec<Asked> {
        let [mut all, pages] = [self.tokens_and_api(), self.pages()];
        all.extend(pages);
        // What all of the API is asked with.
        let token = [("token", self.bearer.strip_prefix("Bearer ").unwrap())];
        let own = basic(&self.client.0, &self.client.1);
        all.push(asked("revoke", Call::post("/oauth/revoke").auth(&own).form(&token), 200));
        all
    }

    fn tokens_and_api(&self) -> Vec<Asked> {
        let nobody = "0".repeat(32);
        let one = format!("{PATS}/{}", self.pat);
        let nobodys = format!("{PATS}/{nobody}");
        let identity = format!("/auth-users/v1/{nobody}");
        let token = [("token", self.bearer.strip_prefix("Bearer ").unwrap())];
        let own = basic(&self.client.0, &self.client.1);
        let wrong = basic(&self.client.0, &"0".repeat(64));
        let unknown = basic(&nobody, &"0".repeat(64));
        let grant = [("grant_type", "client_credentials")];
        let new = json!({ "name": "two", "userAwareTokenNeverExpires": true });
        let patch = json!([{ "op": "replace", "path": "/name", "value": "three" }]);
        let bulk = json!({ "ids": [self.pat], "patch": [{ "op": "remove", "path": "/expirationDate" },
            { "op": "replace", "path": "/userAwareTokenNeverExpires", "value": true }] });
        let levels = json!([{ "op": "replace", "path": "/capabilities", "value": [] }]);
        let api = |call: Call| call.auth(&self.bearer);
        vec![
            asked("exchange", Call::post("/oauth/token").auth(&own).form(&grant), 200),
            asked("exchange of a wrong secret", Call::post("/oauth/token").auth(&wrong).form(&grant), 401),
            asked("exchange of an unknown id", Call::post("/oauth/token").auth(&unknown).form(&grant), 401),
            asked("introspect", Call::post("/oauth/introspect").auth(&own).form(&token), 200),
            asked("gateway", api(Call::get("/forward-auth")), 200),
            asked("gateway, wrong", Call::get("/forward-auth").auth(&wrong), 401),
            asked("list", api(Call::get(PATS)), 200),
            asked("list of an older path", api(Call::get("/v3/personal-access-tokens")), 200),
            asked("list with Basic", Call::get(PATS).auth(&own), 200),
            asked("get", api(Call::get(&one)), 200),
            asked("get what is not there", api(Call::get(&nobodys)), 404),
            asked("create", api(Call::post(PATS)).json(&new), 200),
            asked("patch", api(Call::new("PATCH", &one)).json_patch(&patch), 200),
            asked("delete what is not there", api(Call::new("DELETE", &nobodys)), 404),
            asked("bulk update", api(Call::post(&format!("{PATS}/bulk-update"))).json(&bulk), 200),
            asked("identities", api(Call::get("/public-identities/v1")), 200),
            asked("levels of nobody", api(Call::get(&identity)), 404),
            asked("levels for nobody", api(Call::new("PATCH", &identity)).json_patch(&levels), 404),
            asked("audit trail", api(Call::get("/audit-events/v1")), 200),
            asked("tenant", api(Call::get("/tenant/v1")), 200),
        ]
    }

    fn pages(&self) -> Vec<Asked> {
        let csrf = self.session.csrf();
        let sign_out = Call::post("/ui/sign-out").form(&[("csrf", csrf.as_str())]);
        vec![
            asked("sign in", self.sign_in_with(&self.person.1), 303),
            asked("sign in with a wrong password", self.sign_in_with("wrong"), 401),
            asked("page", in_session(Call::get(PASSWORD_PAGE), &self.session), 200),
            asked(
                "page of a session that is nobody's",
                in_session(Call::get(PASSWORD_PAGE), &self.stranger),
                303,
            ),
            asked("sign out", in_session(sign_out, &self.session), 303),
        ]
    }

    /// Sends all of these at once, and gives what was answered.
    pub(super) fn send_all(&self, all: Vec<Asked>) -> Vec<Answered> {
        let send = |Asked { what, call, well }| Answered { what, well, reply: self.server.send(call) };
        thread::scope(|scope| {
            let calls: Vec<_> = all.into_iter().map(|asked| scope.spawn(move || send(asked))).collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        })
    }

    /// Asks until memory is trusted no more. Until then what is in it is answered from it.
    fn outlast_the_lease(&self) {
        loop {
            let reply = self.exchange();
            match reply.status.as_u16() {
                200 => {}
                503 => return,
                other => panic!("{other}: {}", reply.text()),
            }
        }
    }

    #[track_caller]
    fn expect_the_outage_everywhere(&self) {
        self.send_all(self.everything()).iter().for_each(Answered::expect_outage);
        self.expect_what_needs_no_database();
        assert_eq!(self.health("ready"), 503);
    }

    #[track_caller]
    pub(super) fn expect_what_needs_no_database(&self) {
        for path in ["/oauth/jwks", "/.well-known/jwks.json", "/oauth/info", "/openapi.json", SIGN_IN] {
            self.server.send(Call::get(path)).expect(200);
        }
        assert_eq!(self.health("live"), 200);
    }

    pub(super) fn health(&self, of: &str) -> u16 {
        let url = format!("http://{}/health/{of}", self.server.management);
        reqwest::blocking::get(url).unwrap().status().as_u16()
    }

    /// Asks until it is back; then everything is as it was.
    #[track_caller]
    pub(super) fn expect_all_well(&self) {
        while self.exchange().status.as_u16() == 503 {}
        let list = self.server.send(Call::get(PATS).auth(&self.bearer)).expect(200).json();
        let names: Vec<_> = list.as_array().unwrap().iter().map(|pat| pat["name"].clone()).collect();
        assert_eq!(names, ["bootstrap", "one"], "nothing was done that was answered with 503");
        for Asked { what, call, well } in self.everything() {
            Answered { what, well, reply: self.server.send(call) }.expect_well();
        }
        self.expect_what_needs_no_database();
        assert_eq!(self.health("ready"), 200);
        for secret in [&self.client.1, &self.person.1] {
            assert!(!self.server.log().contains(secret), "a secret in the log");
        }
    }

    /// Each request is answered as ever, or is told of an outage. What they change stays changed.
    #[track_caller]
    pub(super) fn expect_each_well_or_out(&self) {
        // What ends the credentials of the others comes after them.
        let is_last = |asked: &Asked| ["revoke", "sign out"].contains(&asked.what);
        let (last, others) = self.everything().into_iter().partition(is_last);
        for answered in [self.send_all(others), self.send_all(last)].iter().flatten() {
            if answered.reply.status.as_u16() != answered.well {
                answered.expect_outage();
            }
        }
        self.expect_what_needs_no_database();
    }

    /// Asks until it is back; then changes are made.
    #[track_caller]
    pub(super) fn expect_changes(&self) {
        while self.exchange().status.as_u16() == 503 {}
        let bearer = self.server.bearer(&self.client.0, &self.client.1);
        let new = json!({ "name": "late", "userAwareTokenNeverExpires": true });
        self.server.send(Call::post(PATS).auth(&bearer).json(&new)).expect(200);
        assert_eq!(self.health("ready"), 200);
    }

    /// Breaks it, looks, mends it, looks.
    pub(super) fn outage<B>(mut self, cause: impl FnOnce(&mut Self) -> B, end: impl FnOnce(&mut Self, B)) {
        let broken = cause(&mut self);
        self.outlast_the_lease();
        self.expect_the_outage_everywhere();
        end(&mut self, broken);
        self.expect_all_well();
    }
}

/// Why it was answered so stands in the log alone.
impl Drop for World {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.server.log());
        }
    }
}

fn in_session(call: Call, session: &SessionToken) -> Call {
    call.header("cookie", &format!("patron_session={}", session.expose()))
}
