//! What clients ask of the nodes, and how an answer is read.

use std::sync::Mutex;
use std::time::Duration;

use patron_core::time::Timestamp;
use reqwest::blocking::{Client as Http, RequestBuilder};
use serde_json::{Value, json};

use crate::history::{Fate, History};
use crate::model::{Asked, Credential, Event, Got, Model, Pat, Patch, Row, Token};
use crate::process::basic;
use crate::random::Random;
use crate::time::{At, Span};
use crate::wire::{Answer, Back, client, send};
use crate::world::World;

const PATS: &str = "/personal-access-tokens/v1";
const READ: &str = "sp:my-personal-access-tokens:read";
const MANAGE: &str = "sp:my-personal-access-tokens:manage";
/// An owner with more live PATs than this gets no more: lists stay short.
const CROWDED: usize = 30;

/// Those who take part.
pub(crate) struct Cast {
    /// Nobody disables them: what is done with their acting PATs must always be done.
    pub(crate) workers: Vec<usize>,
    /// They are disabled and enabled.
    pub(crate) victims: Vec<usize>,
    /// Their levels change.
    pub(crate) leaders: Vec<usize>,
    /// The first administrator.
    pub(crate) admin: usize,
}

impl Cast {
    /// Enters them in the database and in the model.
    pub(crate) fn enter(world: &World, model: &mut Model, workers: usize) -> Self {
        let bootstrap = world.bootstrap();
        let text = |field: &str| bootstrap[field].as_str().unwrap().to_owned();
        let acting = acting_pat(text("clientId"), text("clientSecret"), "bootstrap");
        let admin = model.add_identity(text("identityId"), true, acting);
        let mut several = |kind: &str, count: usize| {
            (0..count).map(|number| enter(world, model, &format!("{kind}{number}"))).collect()
        };
        Self {
            workers: several("worker", workers),
            victims: several("victim", 3),
            leaders: several("leader", 2),
            admin,
        }
    }
}

fn enter(world: &World, model: &mut Model, name: &str) -> usize {
    let made = world.admin(&["admin", "identity", "create", "--name", name]);
    let id = made["id"].as_str().unwrap().to_owned();
    let pat = world.admin(&["admin", "pat", "create", "--owner", &id, "--name", "acting", "--never-expires"]);
    let text = |field: &str| pat[field].as_str().unwrap().to_owned();
    model.add_identity(id, false, acting_pat(text("id"), text("secret"), "acting"))
}

/// The first administrator's ends in a month, which nobody here sees.
fn acting_pat(id: String, secret: String, name: &str) -> Pat {
    new_pat(id, secret, name, vec!["sp:scopes:all".to_owned()], At::BEGINNING)
}

fn new_pat(id: String, secret: String, name: &str, scope: Vec<String>, created: At) -> Pat {
    Pat {
        id,
        secret,
        owner: 0,
        created,
        lives: History::new(true, created),
        name: History::new(name.to_owned(), created),
        scope: History::new(scope, created),
        expires: History::new(None, created),
        busy: false,
    }
}

/// A client, with connections of its own.
pub(crate) struct Client<'a> {
    number: usize,
    world: &'a World,
    model: &'a Mutex<Model>,
    cast: &'a Cast,
    http: Http,
    random: Random,
    names: usize,
}

impl<'a> Client<'a> {
    pub(crate) fn new(
        number: usize,
        (world, model, cast): (&'a World, &'a Mutex<Model>, &'a Cast),
        random: Random,
    ) -> Self {
        Self { number, world, model, cast, http: client(), random, names: 0 }
    }

    /// Asks for something, whatever comes next.
    pub(crate) fn act(&mut self) {
        let node = self.any_node();
        match self.random.below(100) {
            0..8 => {
                let owner = self.any_owner();
                self.create(node, owner);
            }
            8..26 => drop(self.any_pat().map(|pat| self.exchange(node, pat))),
            26..48 => {
                if let Some(by) = self.any_credential() {
                    self.call(node, by);
                }
            }
            48..56 => {
                if let Some(token) = self.any_token() {
                    self.introspect(node, token);
                }
            }
            56..68 => {
                if let Some(by) = self.any_credential() {
                    self.forward_auth(node, by);
                }
            }
            68..75 => self.patch_something(node),
            75..82 => {
                if let Some(pat) = self.any_pat() {
                    self.delete(node, pat);
                }
            }
            82..88 => {
                if let Some(token) = self.any_token() {
                    self.revoke(node, token);
                }
            }
            88..90 => self.disable_and_enable(),
            90..92 => {
                let leader = self.any_leader();
                self.lead(node, leader);
            }
            92..96 => {
                let leader = self.any_leader();
                self.use_levels(node, leader);
            }
            _ => {
                let owner = self.any_owner();
                self.list(node, owner);
            }
        }
    }

    fn any_node(&mut self) -> usize {
        self.random.below(self.world.nodes.len())
    }

    fn any_owner(&mut self) -> usize {
        // Its own, mostly.
        let worker = self.cast.workers[self.number % self.cast.workers.len()];
        if self.random.one_in(3) { *self.random.pick(&self.cast.victims).unwrap() } else { worker }
    }

    fn any_leader(&mut self) -> usize {
        *self.random.pick(&self.cast.leaders).unwrap()
    }

    /// A PAT of anybody's, rather one that is there and that was made or changed of late.
    fn any_pat(&mut self) -> Option<usize> {
        let model = self.model.lock().unwrap();
        let acting: Vec<usize> = model.identities.iter().map(|identity| identity.acting).collect();
        let wants_dead = self.random.one_in(6);
        let newest = (0..model.pats.len()).rev().filter(|pat| !acting.contains(pat));
        let wanted = newest.filter(|&pat| *model.pats[pat].lives.last() != wants_dead);
        let wanted: Vec<usize> = wanted.take(40).collect();
        self.random.pick(&wanted).copied()
    }

    fn any_token(&mut self) -> Option<usize> {
        let model = self.model.lock().unwrap();
        let wants_dead = self.random.one_in(6);
        let is_wanted = |&token: &usize| {
            let token = &model.tokens[token];
            (*token.lives.last() && *model.pats[token.pat].lives.last()) != wants_dead
        };
        let wanted: Vec<usize> = (0..model.tokens.len()).rev().filter(is_wanted).take(60).collect();
        self.random.pick(&wanted).copied()
    }

    fn any_credential(&mut self) -> Option<Credential> {
        if self.random.one_in(3) {
            self.any_pat().map(Credential::Pat)
        } else {
            self.any_token().map(Credential::Token)
        }
    }

    fn all_nodes(&self) -> std::ops::Range<usize> {
        0..self.world.nodes.len()
    }

    // What is read.

    /// An access token for a PAT; its number.
    pub(crate) fn exchange(&mut self, node: usize, pat: usize) -> Option<usize> {
        let (id, secret) = {
            let model = self.model.lock().unwrap();
            (model.pats[pat].id.clone(), model.pats[pat].secret.clone())
        };
        let form = [("grant_type", "client_credentials"), ("client_id", &id), ("client_secret", &secret)];
        let request = self.http.post(self.url(node, "/oauth/token")).form(&form);
        let (when, back) = send(request);
        let (got, answer) = self.read(back, &[(200, Got::Done), (401, Got::Refused)]);
        let answer = answer.map(|answer| answer.json()).unwrap_or_default();
        let got = if matches!(got, Got::Done) { Got::Scopes(words(&answer["scope"])) } else { got };
        let mut model = self.model.lock().unwrap();
        let mut made = None;
        if let Got::Scopes(scope) = &got {
            let text = answer["access_token"].as_str().unwrap_or_default().to_owned();
            let lives = History::new(true, when.begin);
            model.tokens.push(Token { text, pat, made: when, scope: scope.clone(), lives, busy: false });
            made = Some(model.tokens.len() - 1);
        }
        let node = Some(node);
        model.record(Event { client: self.number, node, when, asked: Asked::Exchange(pat), got });
        made
    }

    pub(crate) fn call(&mut self, node: usize, by: Credential) {
        let request = self.http.get(self.url(node, "/tenant/v1"));
        self.ask(node, self.signed(request, by), Asked::Call(by), &[(200, Got::Done), (401, Got::Refused)]);
    }

    fn introspect(&mut self, node: usize, token: usize) {
        let (asking, text) = {
            let model = self.model.lock().unwrap();
            let asking = &model.pats[model.identities[self.cast.admin].acting];
            (basic(&asking.id, &asking.secret), model.tokens[token].text.clone())
        };
        let request = self.http.post(self.url(node, "/oauth/introspect")).header("authorization", asking);
        let (when, back) = send(request.form(&[("token", text.as_str())]));
        let (got, answer) = self.read(back, &[(200, Got::Done)]);
        let active = answer.map(|answer| answer.json()["active"].clone());
        let got = if active == Some(Value::Bool(false)) { Got::Refused } else { got };
        self.record(Some(node), when, Asked::Introspect(token), got);
    }

    fn forward_auth(&mut self, node: usize, by: Credential) {
        let request = self.signed(self.http.get(self.url(node, "/forward-auth")), by);
        let (when, back) = send(request);
        let (got, answer) = self.read(back, &[(200, Got::Done), (401, Got::Refused)]);
        let scopes = answer.as_ref().and_then(|answer| answer.header("x-auth-scope"));
        let got = match (got, scopes) {
            (Got::Done, Some(scopes)) => Got::Scopes(scopes.split(' ').map(str::to_owned).collect()),
            (got, _) => got,
        };
        self.record(Some(node), when, Asked::ForwardAuth(by), got);
    }

    fn use_levels(&mut self, node: usize, leader: usize) {
        let path = format!("/auth-users/v1/{}", self.model.lock().unwrap().identities[leader].id);
        let request = self.as_identity(self.http.get(self.url(node, &path)), leader);
        self.ask(node, request, Asked::LeadsSeen(leader), &[(200, Got::Done), (403, Got::Forbidden)]);
    }

    pub(crate) fn list(&mut self, node: usize, owner: usize) {
        let request = self.http.get(self.url(node, &format!("{PATS}?owner-id=me")));
        let (when, back) = send(self.as_identity(request, owner));
        let (got, answer) = self.read(back, &[(200, Got::Done), (401, Got::Refused)]);
        let got = match (got, answer) {
            (Got::Done, Some(answer)) => match answer.json().as_array() {
                Some(rows) => Got::Rows(rows.iter().map(row).collect()),
                None => Got::Wrong(format!("no list: {}", answer.body)),
            },
            (got, _) => got,
        };
        self.record(Some(node), when, Asked::List(owner), got);
    }

    // What is changed.

    /// A PAT, used at each node once its creation was answered; its number.
    pub(crate) fn create(&mut self, node: usize, owner: usize) -> Option<usize> {
        let name = format!("{}-{}", self.number, self.names);
        self.names += 1;
        {
            let mut model = self.model.lock().unwrap();
            if model.pats.iter().filter(|pat| pat.owner == owner && *pat.lives.last()).count() > CROWDED {
                return None;
            }
            model.create(owner, &name);
        }
        let scope = [READ, MANAGE];
        let body = json!({ "name": name, "scope": scope, "userAwareTokenNeverExpires": true });
        let request = self.http.post(self.url(node, PATS)).header("content-type", "application/json");
        let (when, back) = send(self.as_identity(request.body(body.to_string()), owner));
        let (got, answer) = self.read_creation(back);
        let mut model = self.model.lock().unwrap();
        let pat = answer.filter(|_| matches!(got, Got::Done)).map(|made| {
            let text = |field: &str| made[field].as_str().unwrap_or_default().to_owned();
            let pat = new_pat(text("id"), text("secret"), &text("name"), words(&made["scope"]), when.end);
            Pat { owner, ..pat }
        });
        let pat = model.created(&name, got.fate(when.end), pat);
        let asked = Asked::Create { owner };
        model.record(Event { client: self.number, node: Some(node), when, asked, got });
        drop(model);
        if let Some(pat) = pat
            && self.random.one_in(2)
        {
            for node in self.all_nodes() {
                self.exchange(node, pat);
            }
        }
        pat
    }

    fn patch_something(&mut self, node: usize) {
        let Some(pat) = self.any_pat() else { return };
        let expires = self.model.lock().unwrap().pats[pat].expires.last().is_some();
        let patch = match self.random.below(5) {
            // What expires soon is left to expire.
            _ if expires => return,
            0 => {
                let soon = i64::try_from(self.random.between(1_000, 8_000)).unwrap();
                Patch::Expires(At::now().wall() + soon)
            }
            1 | 2 => {
                self.names += 1;
                Patch::Name(format!("{}-renamed-{}", self.number, self.names))
            }
            3 => Patch::Scope(vec![READ.to_owned()]),
            _ => Patch::Scope(vec![READ.to_owned(), MANAGE.to_owned()]),
        };
        self.patch(node, pat, patch);
    }

    pub(crate) fn patch(&mut self, node: usize, pat: usize, patch: Patch) {
        let (id, owner) = {
            let mut model = self.model.lock().unwrap();
            let target = &mut model.pats[pat];
            if std::mem::replace(&mut target.busy, true) {
                return;
            }
            match patch.clone() {
                Patch::Name(name) => target.name.ask(name),
                Patch::Scope(scope) => target.scope.ask(scope),
                Patch::Expires(at) => target.expires.ask(Some(at)),
            }
            (target.id.clone(), target.owner)
        };
        let (field, value) = match &patch {
            Patch::Name(name) => ("/name", json!(name)),
            Patch::Scope(scope) => ("/scope", json!(scope)),
            Patch::Expires(at) => ("/expirationDate", json!(Timestamp::from_millis(*at).to_string())),
        };
        let mut body = vec![json!({ "op": "replace", "path": field, "value": value })];
        if matches!(patch, Patch::Expires(_)) {
            body.push(json!({ "op": "replace", "path": "/userAwareTokenNeverExpires", "value": false }));
        }
        let request = self.http.patch(self.url(node, &format!("{PATS}/{id}")));
        let request = request.header("content-type", "application/json-patch+json");
        let (when, back) = send(self.as_identity(request.body(json!(body).to_string()), owner));
        let (got, _) = self.read(back, CHANGED);
        let mut model = self.model.lock().unwrap();
        let (fate, target) = (got.fate(when.end), &mut model.pats[pat]);
        match patch {
            Patch::Name(_) => target.name.settle(fate),
            Patch::Scope(_) => target.scope.settle(fate),
            Patch::Expires(_) => target.expires.settle(fate),
        }
        target.busy = false;
        let asked = Asked::Patch(pat, patch);
        model.record(Event { client: self.number, node: Some(node), when, asked, got });
        drop(model);
        if let Fate::Answered(_) = fate {
            let node = self.any_node();
            self.forward_auth(node, Credential::Pat(pat));
        }
    }

    /// Deletes a PAT; once that was answered, every node is asked at once what it thinks of it.
    pub(crate) fn delete(&mut self, node: usize, pat: usize) -> Fate {
        let (id, owner) = {
            let mut model = self.model.lock().unwrap();
            let target = &mut model.pats[pat];
            if std::mem::replace(&mut target.busy, true) {
                return Fate::Refused;
            }
            target.lives.ask(false);
            (target.id.clone(), target.owner)
        };
        let request = self.http.delete(self.url(node, &format!("{PATS}/{id}")));
        let (when, back) = send(self.as_identity(request, owner));
        let (got, _) = self.read(back, CHANGED);
        let fate = got.fate(when.end);
        let mut model = self.model.lock().unwrap();
        model.pats[pat].lives.settle(fate);
        model.pats[pat].busy = false;
        let token = (0..model.tokens.len()).rev().find(|&token| model.tokens[token].pat == pat);
        model.record(Event { client: self.number, node: Some(node), when, asked: Asked::Delete(pat), got });
        drop(model);
        if let Fate::Answered(_) = fate {
            for node in self.all_nodes() {
                self.exchange(node, pat);
                if let Some(token) = token {
                    self.call(node, Credential::Token(token));
                }
            }
        }
        fate
    }

    /// Revokes an access token, by its own PAT or as the administrator, and asks every node.
    pub(crate) fn revoke(&mut self, node: usize, token: usize) -> Fate {
        let (by, client, text) = {
            let mut model = self.model.lock().unwrap();
            let own = model.tokens[token].pat;
            let by = if self.random.one_in(2) { own } else { model.identities[self.cast.admin].acting };
            let target = &mut model.tokens[token];
            if std::mem::replace(&mut target.busy, true) {
                return Fate::Refused;
            }
            target.lives.ask(false);
            let text = target.text.clone();
            (by, basic(&model.pats[by].id, &model.pats[by].secret), text)
        };
        let request = self.http.post(self.url(node, "/oauth/revoke")).header("authorization", client);
        let (when, back) = send(request.form(&[("token", text.as_str())]));
        let (got, _) = self.read(back, &[(200, Got::Done), (401, Got::Refused)]);
        let fate = got.fate(when.end);
        let mut model = self.model.lock().unwrap();
        model.tokens[token].lives.settle(fate);
        model.tokens[token].busy = false;
        let asked = Asked::Revoke { token, by };
        model.record(Event { client: self.number, node: Some(node), when, asked, got });
        drop(model);
        if let Fate::Answered(_) = fate {
            for node in self.all_nodes() {
                self.call(node, Credential::Token(token));
            }
        }
        fate
    }

    /// Revokes an access token, as the administrator, while somebody else ends it or its PAT: whoever of the two is
    /// answered first, it has ended.
    pub(crate) fn revoke_as_well(&self, node: usize, token: usize) {
        let admin = self.model.lock().unwrap().identities[self.cast.admin].acting;
        let text = {
            let mut model = self.model.lock().unwrap();
            let target = &mut model.tokens[token];
            if *target.lives.last() {
                target.lives.ask(false);
            }
            target.text.clone()
        };
        let request = self.signed(self.http.post(self.url(node, "/oauth/revoke")), Credential::Pat(admin));
        let (when, back) = send(request.form(&[("token", text.as_str())]));
        let (got, _) = self.read(back, &[(200, Got::Done)]);
        let mut model = self.model.lock().unwrap();
        model.tokens[token].lives.settle(got.fate(when.end));
        let asked = Asked::Revoke { token, by: admin };
        model.record(Event { client: self.number, node: Some(node), when, asked, got });
    }

    /// Sets an identity's levels, as the administrator.
    fn lead(&mut self, node: usize, leader: usize) {
        let (path, leads) = {
            let mut model = self.model.lock().unwrap();
            let identity = &mut model.identities[leader];
            if std::mem::replace(&mut identity.busy, true) {
                return;
            }
            let leads = !*identity.leads.last();
            identity.leads.ask(leads);
            (format!("/auth-users/v1/{}", identity.id), leads)
        };
        let levels = if leads { json!(["ORG_ADMIN"]) } else { json!([]) };
        let body = json!([{ "op": "replace", "path": "/capabilities", "value": levels }]);
        let request = self.http.patch(self.url(node, &path));
        let request = request.header("content-type", "application/json-patch+json").body(body.to_string());
        let (when, back) = send(self.as_identity(request, self.cast.admin));
        let (got, _) = self.read(back, &[(200, Got::Done)]);
        let fate = got.fate(when.end);
        let mut model = self.model.lock().unwrap();
        model.identities[leader].leads.settle(fate);
        model.identities[leader].busy = false;
        let asked = Asked::Lead(leader);
        model.record(Event { client: self.number, node: Some(node), when, asked, got });
        drop(model);
        if let Fate::Answered(_) = fate {
            for node in self.all_nodes() {
                self.use_levels(node, leader);
            }
        }
    }

    /// An operator disables somebody, and some time later enables them.
    fn disable_and_enable(&mut self) {
        let victim = *self.random.pick(&self.cast.victims).unwrap();
        if std::mem::replace(&mut self.model.lock().unwrap().identities[victim].busy, true) {
            return;
        }
        self.enable(victim, false);
        crate::time::pass(Duration::from_millis(self.random.between(0, 200) as u64));
        self.enable(victim, true);
        self.model.lock().unwrap().identities[victim].busy = false;
    }

    /// What became of it is asked of every node, of the acting PAT and of one access token.
    pub(crate) fn enable(&mut self, identity: usize, enabled: bool) -> Fate {
        let id = {
            let mut model = self.model.lock().unwrap();
            let target = &mut model.identities[identity];
            target.enabled.ask(enabled);
            target.id.clone()
        };
        let begin = At::now();
        let verb = if enabled { "enable" } else { "disable" };
        let output = self.world.try_admin(&["admin", "identity", verb, &id]);
        let when = Span { begin, end: At::now() };
        let got = if output.status.success() { Got::Done } else { Got::Outage };
        let fate = got.fate(when.end);
        let mut model = self.model.lock().unwrap();
        model.identities[identity].enabled.settle(fate);
        let acting = model.identities[identity].acting;
        let is_its = |token: &usize| model.pats[model.tokens[*token].pat].owner == identity;
        let token = (0..model.tokens.len()).rev().find(is_its);
        let asked = Asked::Enable(identity, enabled);
        model.record(Event { client: self.number, node: None, when, asked, got });
        drop(model);
        if let Fate::Answered(_) = fate {
            for node in self.all_nodes() {
                self.call(node, Credential::Pat(acting));
                if let Some(token) = token {
                    self.call(node, Credential::Token(token));
                }
            }
        }
        fate
    }

    // How it is sent and read.

    fn url(&self, node: usize, path: &str) -> String {
        self.world.nodes[node].url(path)
    }

    fn as_identity(&self, request: RequestBuilder, identity: usize) -> RequestBuilder {
        let acting = self.model.lock().unwrap().identities[identity].acting;
        self.signed(request, Credential::Pat(acting))
    }

    fn signed(&self, request: RequestBuilder, by: Credential) -> RequestBuilder {
        let model = self.model.lock().unwrap();
        let value = match by {
            Credential::Pat(pat) => basic(&model.pats[pat].id, &model.pats[pat].secret),
            Credential::Token(token) => format!("Bearer {}", model.tokens[token].text),
        };
        request.header("authorization", value)
    }

    fn ask(&self, node: usize, request: RequestBuilder, asked: Asked, known: &[(u16, Got)]) {
        let (when, back) = send(request);
        let (got, _) = self.read(back, known);
        self.record(Some(node), when, asked, got);
    }

    fn record(&self, node: Option<usize>, when: Span, asked: Asked, got: Got) {
        self.model.lock().unwrap().record(Event { client: self.number, node, when, asked, got });
    }

    /// What an answer says, where these statuses are known.
    fn read(&self, back: Back, known: &[(u16, Got)]) -> (Got, Option<Answer>) {
        let answer = match back {
            Back::Cut => return (Got::Cut, None),
            Back::Unsent => return (Got::Unsent, None),
            Back::Answer(answer) => answer,
        };
        if self.model.lock().unwrap().shows_secret(&answer.body) {
            return (Got::Wrong("an answer shows a secret that was shown before".to_owned()), None);
        }
        let got = known.iter().find(|(status, _)| *status == answer.status).map(|(_, got)| got.clone());
        (got.unwrap_or_else(|| unexpected(&answer)), Some(answer))
    }

    /// The one answer that shows a secret.
    fn read_creation(&self, back: Back) -> (Got, Option<Value>) {
        match back {
            Back::Answer(answer) if answer.status == 200 => match answer.json() {
                made @ Value::Object(_) => (Got::Done, Some(made)),
                _ => (Got::Wrong(format!("no PAT: {}", answer.body)), None),
            },
            other => (self.read(other, &[(401, Got::Refused)]).0, None),
        }
    }
}

const CHANGED: &[(u16, Got)] =
    &[(200, Got::Done), (204, Got::Done), (401, Got::Refused), (404, Got::Missing)];

/// An outage, told as it must be, or what may not be answered.
fn unexpected(answer: &Answer) -> Got {
    match (answer.status, answer.header("retry-after")) {
        (503, Some(_)) => Got::Outage,
        (503, None) => Got::Wrong("a 503 without Retry-After".to_owned()),
        (status, _) => Got::Wrong(format!("{status}: {}", answer.body)),
    }
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text.split(' ').map(str::to_owned).collect(),
        Value::Array(words) => words.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn row(value: &Value) -> Row {
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let expires =
        value["expirationDate"].as_str().and_then(|text| Timestamp::parse(text).ok()).map(Timestamp::millis);
    Row { id: text("id"), name: text("name"), scope: words(&value["scope"]), expires }
}
