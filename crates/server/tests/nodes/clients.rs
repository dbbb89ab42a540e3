//! What clients ask of the nodes, and how an answer is read.

mod changes;
mod frozen;

use std::sync::Mutex;
use std::time::Duration;

use patron_core::time::Timestamp;
use reqwest::blocking::{Client as Http, RequestBuilder};
use serde_json::Value;

use crate::history::History;
use crate::model::{Asked, Credential, Event, Got, Model, Pat, Row, Token};
use crate::process::basic;
use crate::random::Random;
use crate::time::{At, Span, pass};
use crate::wire::{Answer, Back, client, secrets_in, send};
use crate::world::World;

const PATS: &str = "/personal-access-tokens/v1";
const READ: &str = "sp:my-personal-access-tokens:read";
const MANAGE: &str = "sp:my-personal-access-tokens:manage";
/// Those who take part.
pub(crate) struct Cast {
    /// Nobody disables them: what is done with their acting PATs must always be done.
    pub(crate) workers: Vec<usize>,
    /// They are disabled and enabled.
    pub(crate) victims: Vec<usize>,
    /// Their levels change.
    pub(crate) leaders: Vec<usize>,
    /// The first administrator. Whoever makes PATs for it has them to themselves.
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

    /// A PAT of anybody's but the administrator's, rather one that is there and that was made or changed of late.
    fn any_pat(&mut self) -> Option<usize> {
        let model = self.model.lock().unwrap();
        let acting: Vec<usize> = model.identities.iter().map(|identity| identity.acting).collect();
        let wants_dead = self.random.one_in(6);
        let is_spared = |pat: usize| acting.contains(&pat) || model.pats[pat].owner == self.cast.admin;
        let newest = (0..model.pats.len()).rev().filter(|&pat| !is_spared(pat));
        let wanted = newest.filter(|&pat| *model.pats[pat].lives.last() != wants_dead);
        let wanted: Vec<usize> = wanted.take(40).collect();
        self.random.pick(&wanted).copied()
    }

    /// An access token of anybody's but the administrator's, one of those made last and rather one that is good.
    fn any_token(&mut self) -> Option<usize> {
        let model = self.model.lock().unwrap();
        let wants_dead = self.random.one_in(6);
        let now = Span { begin: At::now(), end: At::now() };
        let is_wanted = |&token: &usize| {
            let pat = model.tokens[token].pat;
            let may_be_good = model.may_be_accepted(Credential::Token(token), now).is_ok();
            model.pats[pat].owner != self.cast.admin && may_be_good != wants_dead
        };
        let newest = (0..model.tokens.len()).rev().take(1_000);
        let wanted: Vec<usize> = newest.filter(is_wanted).take(60).collect();
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
    pub(crate) fn exchange(&self, node: usize, pat: usize) -> Option<usize> {
        let (id, secret) = {
            let model = self.model.lock().unwrap();
            (model.pats[pat].id.clone(), model.pats[pat].secret.clone())
        };
        let form = [("grant_type", "client_credentials"), ("client_id", &id), ("client_secret", &secret)];
        let request = self.http.post(self.url(node, "/oauth/token")).form(&form);
        let (when, back) = send(request);
        let (got, answer) = Self::read(back, &[(200, Got::Done), (401, Got::Refused)]);
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

    pub(crate) fn call(&self, node: usize, by: Credential) {
        let request = self.http.get(self.url(node, "/tenant/v1"));
        self.ask(node, self.signed(request, by), Asked::Call(by), &[(200, Got::Done), (401, Got::Refused)]);
    }

    fn introspect(&self, node: usize, token: usize) {
        let (asking, text) = {
            let model = self.model.lock().unwrap();
            let asking = &model.pats[model.identities[self.cast.admin].acting];
            (basic(&asking.id, &asking.secret), model.tokens[token].text.clone())
        };
        let request = self.http.post(self.url(node, "/oauth/introspect")).header("authorization", asking);
        let (when, back) = send(request.form(&[("token", text.as_str())]));
        let (got, answer) = Self::read(back, &[(200, Got::Done)]);
        let active = answer.map(|answer| answer.json()["active"].clone());
        let got = if active == Some(Value::Bool(false)) { Got::Refused } else { got };
        self.record(Some(node), when, Asked::Introspect(token), got);
    }

    fn forward_auth(&self, node: usize, by: Credential) {
        let request = self.signed(self.http.get(self.url(node, "/forward-auth")), by);
        let (when, back) = send(request);
        let (got, answer) = Self::read(back, &[(200, Got::Done), (401, Got::Refused)]);
        let scopes = answer.as_ref().and_then(|answer| answer.header("x-auth-scope"));
        let got = match (got, scopes) {
            (Got::Done, Some(scopes)) => Got::Scopes(scopes.split(' ').map(str::to_owned).collect()),
            (got, _) => got,
        };
        self.record(Some(node), when, Asked::ForwardAuth(by), got);
    }

    fn use_levels(&self, node: usize, leader: usize) {
        let path = format!("/auth-users/v1/{}", self.model.lock().unwrap().identities[leader].id);
        let request = self.as_identity(self.http.get(self.url(node, &path)), leader);
        self.ask(node, request, Asked::LeadsSeen(leader), &[(200, Got::Done), (403, Got::Forbidden)]);
    }

    pub(crate) fn list(&self, node: usize, owner: usize) {
        let request = self.http.get(self.url(node, &format!("{PATS}?owner-id=me")));
        let (when, back) = send(self.as_identity(request, owner));
        let (got, answer) = Self::read(back, &[(200, Got::Done), (401, Got::Refused)]);
        let got = match (got, answer) {
            (Got::Done, Some(answer)) => match answer.json().as_array() {
                Some(rows) => Got::Rows(rows.iter().map(row).collect()),
                None => Got::Wrong(format!("no list: {}", answer.body)),
            },
            (got, _) => got,
        };
        self.record(Some(node), when, Asked::List(owner), got);
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
        let (got, _) = Self::read(back, known);
        self.record(Some(node), when, asked, got);
    }

    /// Asks for something again and again until it is answered, well or not; whether it was before `limit`.
    pub(crate) fn asks_until_answered(&self, limit: At, ask: impl Fn()) -> bool {
        loop {
            ask();
            if !self.last_got().is_outage() {
                return true;
            }
            if At::now() >= limit {
                return false;
            }
            pass(Duration::from_millis(10));
        }
    }

    /// What the last thing that it asked for was answered with.
    pub(crate) fn last_got(&self) -> Got {
        let model = self.model.lock().unwrap();
        model.events.iter().rev().find(|event| event.client == self.number).unwrap().got.clone()
    }

    fn record(&self, node: Option<usize>, when: Span, asked: Asked, got: Got) {
        self.model.lock().unwrap().record(Event { client: self.number, node, when, asked, got });
    }

    /// What an answer says, where these statuses are known.
    fn read(back: Back, known: &[(u16, Got)]) -> (Got, Option<Answer>) {
        let answer = match back {
            Back::Cut => return (Got::Cut, None),
            Back::Unsent => return (Got::Unsent, None),
            Back::Answer(answer) => answer,
        };
        if secrets_in(&answer.body).next().is_some() {
            return (Got::Wrong(format!("an answer shows a secret: {}", answer.body)), None);
        }
        let got = known.iter().find(|(status, _)| *status == answer.status).map(|(_, got)| got.clone());
        (got.unwrap_or_else(|| unexpected(&answer)), Some(answer))
    }

    /// The one answer that shows a secret, and no other than that.
    fn read_creation(back: Back) -> (Got, Option<Value>) {
        match back {
            Back::Answer(answer) if answer.status == 200 => match answer.json() {
                made @ Value::Object(_) if secrets_in(&answer.body).eq(made["secret"].as_str()) => {
                    (Got::Done, Some(made))
                }
                _ => (Got::Wrong(format!("no PAT: {}", answer.body)), None),
            },
            other => (Self::read(other, &[(401, Got::Refused)]).0, None),
        }
    }
}

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
