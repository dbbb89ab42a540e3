//! What clients change, and what they ask about it afterwards.

use std::process::Output;
use std::time::Duration;

use patron_core::time::Timestamp;
use serde_json::{Value, json};

use super::{Client, MANAGE, PATS, READ, new_pat, words};
use crate::history::Fate;
use crate::model::{Asked, Credential, Event, Got, Pat, Patch};
use crate::process::basic;
use crate::time::{At, Span, pass};
use crate::wire::send;

/// An owner with more live PATs than this gets no more: lists stay short.
const CROWDED: usize = 30;
/// As many access tokens of an identity that was disabled or enabled are asked about.
const TOKENS_ASKED_ABOUT: usize = 3;
/// What says that no server could be talked to,
const UNREACHABLE: [&str; 6] = [
    "error connecting to server",
    "error communicating with the server",
    "connection closed",
    "no connection to the database",
    "the database server does not answer",
    "the database took too long",
];
/// and the classes of SQLSTATE in which one says that it does not work just now: connection, recovery or standby,
/// resources, intervention, system.
const OUT_OF_ORDER: [&str; 6] = ["08", "25", "53", "55", "57", "58"];
/// What a change of a PAT may be answered with.
const CHANGED: &[(u16, Got)] =
    &[(200, Got::Done), (204, Got::Done), (401, Got::Refused), (404, Got::Missing)];

impl Client<'_> {
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
        let (got, answer) = Self::read_creation(back);
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

    pub(super) fn patch_something(&mut self, node: usize) {
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
        let (got, _) = Self::read(back, CHANGED);
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
    pub(crate) fn delete(&self, node: usize, pat: usize) -> Fate {
        let fate = self.delete_only(node, pat);
        if let Fate::Answered(_) = fate {
            let token = {
                let model = self.model.lock().unwrap();
                (0..model.tokens.len()).rev().find(|&token| model.tokens[token].pat == pat)
            };
            for node in self.all_nodes() {
                self.exchange(node, pat);
                if let Some(token) = token {
                    self.call(node, Credential::Token(token));
                }
            }
        }
        fate
    }

    /// Deletes a PAT, and asks nobody what they think of it.
    pub(crate) fn delete_only(&self, node: usize, pat: usize) -> Fate {
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
        let (got, _) = Self::read(back, CHANGED);
        let fate = got.fate(when.end);
        let is_gone = matches!(got, Got::Done | Got::Missing);
        let mut model = self.model.lock().unwrap();
        model.pats[pat].lives.settle(fate);
        model.pats[pat].busy = false;
        model.record(Event { client: self.number, node: Some(node), when, asked: Asked::Delete(pat), got });
        // That another has deleted it is worth as much.
        if is_gone { Fate::Answered(when.end) } else { fate }
    }

    /// Deletes a PAT that somebody else is deleting.
    pub(crate) fn delete_as_well(&self, node: usize, pat: usize) {
        let (id, owner) = {
            let model = self.model.lock().unwrap();
            (model.pats[pat].id.clone(), model.pats[pat].owner)
        };
        let request = self.http.delete(self.url(node, &format!("{PATS}/{id}")));
        self.ask(node, self.as_identity(request, owner), Asked::Delete(pat), CHANGED);
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
        let (got, _) = Self::read(back, &[(200, Got::Done), (401, Got::Refused)]);
        let fate = got.fate(when.end);
        let mut model = self.model.lock().unwrap();
        model.tokens[token].lives.settle(fate);
        model.tokens[token].busy = false;
        let asked = Asked::Revoke { token, by };
        model.record(Event { client: self.number, node: Some(node), when, asked, got });
        drop(model);
        if let Fate::Answered(_) = fate {
            self.ask_every_node(Credential::Token(token));
        }
        fate
    }

    /// Revokes an access token, as the administrator, while somebody else ends it or its PAT: whoever of the two is
    /// answered first, it has ended.
    pub(crate) fn revoke_as_well(&self, node: usize, token: usize) -> Fate {
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
        let (got, _) = Self::read(back, &[(200, Got::Done)]);
        let fate = got.fate(when.end);
        let mut model = self.model.lock().unwrap();
        model.tokens[token].lives.settle(fate);
        let asked = Asked::Revoke { token, by: admin };
        model.record(Event { client: self.number, node: Some(node), when, asked, got });
        fate
    }

    /// Sets an identity's levels, as the administrator.
    pub(super) fn lead(&mut self, node: usize, leader: usize) {
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
        let (got, _) = Self::read(back, &[(200, Got::Done)]);
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
    pub(super) fn disable_and_enable(&mut self) {
        let victim = *self.random.pick(&self.cast.victims).unwrap();
        if std::mem::replace(&mut self.model.lock().unwrap().identities[victim].busy, true) {
            return;
        }
        self.enable(victim, false);
        pass(Duration::from_millis(self.random.between(0, 200) as u64));
        self.enable(victim, true);
        self.model.lock().unwrap().identities[victim].busy = false;
    }

    /// An operator disables or enables somebody. What became of it is asked of every node, of the acting PAT and of the
    /// access tokens made last: from before, or while it was being disabled, and none made once it is enabled.
    pub(crate) fn enable(&self, identity: usize, enabled: bool) -> Fate {
        let (id, acting, before) = {
            let mut model = self.model.lock().unwrap();
            let before = model.newest_tokens_of(identity, TOKENS_ASKED_ABOUT);
            let target = &mut model.identities[identity];
            target.enabled.ask(enabled);
            (target.id.clone(), target.acting, before)
        };
        let command = || {
            let begin = At::now();
            let verb = if enabled { "enable" } else { "disable" };
            let output = self.world.try_admin(&["admin", "identity", verb, &id]);
            (Span { begin, end: At::now() }, output)
        };
        let (when, output) = if enabled { command() } else { self.exchange_during(acting, command) };
        let got = of_operator(&output);
        let fate = got.fate(when.end);
        let mut model = self.model.lock().unwrap();
        model.identities[identity].enabled.settle(fate);
        let tokens = if enabled { before } else { model.newest_tokens_of(identity, TOKENS_ASKED_ABOUT) };
        let asked = Asked::Enable(identity, enabled);
        model.record(Event { client: self.number, node: None, when, asked, got });
        drop(model);
        if let Fate::Answered(_) = fate {
            self.ask_every_node(Credential::Pat(acting));
            tokens.into_iter().map(Credential::Token).for_each(|token| self.ask_every_node(token));
        }
        fate
    }

    /// Makes access tokens, now at this node, now at that, a few, for as long as something takes.
    fn exchange_during<T: Send>(&self, pat: usize, something: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let something = scope.spawn(something);
            for node in self.all_nodes().cycle() {
                if something.is_finished() {
                    break;
                }
                self.exchange(node, pat);
                pass(Duration::from_millis(20));
            }
            something.join().unwrap()
        })
    }
}

/// How `patron admin` has ended.
fn of_operator(output: &Output) -> Got {
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Got::Done
    } else if tells_of_an_outage(&told) {
        Got::Outage
    } else {
        Got::Wrong(format!("patron admin has failed: {told}"))
    }
}

/// Whether an error of `patron admin --json` says that the database is out of reach.
fn tells_of_an_outage(told: &str) -> bool {
    let object: Value =
        told.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    let error = object["error"].as_str().unwrap_or_default();
    // A command that does not get so far as to open the database gives the cause alone.
    let sqlstate = error.split_once("(SQLSTATE ").map(|(_, code)| code);
    let while_opening = sqlstate.map_or_else(
        || UNREACHABLE.iter().any(|cause| error.contains(cause)),
        |code| OUT_OF_ORDER.iter().any(|class| code.starts_with(class)),
    );
    error.starts_with(&patron_core::Error::unavailable("").to_string()) || while_opening
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_who_cannot_reach_the_database_is_told_from_one_who_is_refused() {
        let told = |error: &str| tells_of_an_outage(&json!({ "error": error }).to_string());
        let within = patron_core::Error::unavailable("");
        for outage in [
            &format!("{within} (change_identity: the database took too long)"),
            "error connecting to server: Connection refused (os error 111)",
            "no connection to the database: Timeout occurred while creating a new object",
            "the database system is starting up (SQLSTATE 57P03)",
            "the database's schema cannot be brought up to date: connection closed",
        ] {
            assert!(told(outage), "{outage}");
        }
        for mistake in [
            "There is no such identity.",
            "there is no database that database_url names yet",
            "relation \"identities\" does not exist (SQLSTATE 42P01)",
        ] {
            assert!(!told(mistake), "{mistake}");
        }
        assert!(!tells_of_an_outage("thread 'main' panicked"));
    }
}
