//! The original's PATs, in memory.

use std::fmt::Write as _;

use aws_lc_rs::rand;
use patron_core::time::Timestamp;
use serde_json::{Value, json};

use super::{Answer, Sent, with_offset};
use crate::support::Pat;

/// Seconds that an access token lives unless its PAT says otherwise.
const VALIDITY: i64 = 43_200;

#[derive(Default)]
pub(super) struct Pats(Vec<Stored>);

#[derive(Clone)]
pub(super) struct Stored {
    pub(super) id: String,
    secret: String,
    name: String,
    pub(super) scope: Vec<String>,
    pub(super) owner: String,
    created: Timestamp,
    last_used: Option<Timestamp>,
    validity: Option<i64>,
    expires: Option<Timestamp>,
    acknowledged: bool,
}

pub(super) fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    rand::fill(&mut random).unwrap();
    random.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

impl Pats {
    /// The PAT that the product begins with.
    pub(super) fn first(&mut self, now: Timestamp) -> Pat {
        let (owner, acknowledged) = (random_hex(16), true);
        let stored = Stored { acknowledged, ..Stored::new("first", &owner, now) };
        self.0.push(stored.clone());
        Pat { id: stored.id, secret: stored.secret, owner }
    }

    /// The PAT with this id and secret, from now on used.
    pub(super) fn use_with(&mut self, id: &str, secret: &str, now: Timestamp) -> Option<&Stored> {
        let live = |pat: &&mut Stored| pat.expires.is_none_or(|at| now < at);
        let pat = self.0.iter_mut().find(|pat| pat.id == id && pat.secret == secret).filter(live)?;
        pat.last_used = Some(now);
        Some(pat)
    }

    pub(super) fn create(&mut self, sent: &Sent, caller: &str, now: Timestamp) -> Answer {
        let Some(body) = read(sent, "application/json") else { return unreadable() };
        let Some(name) = body["name"].as_str().filter(|name| !name.trim().is_empty()) else {
            return Answer::error("400.1.0 Required data missing or empty", "The name is required.");
        };
        let owner = self.find(caller).map(|pat| pat.owner.clone()).unwrap_or_default();
        let mut pat = Stored::new(name, &owner, now);
        if let Some(scope) = body["scope"].as_array() {
            pat.scope = texts(scope);
        }
        pat.validity = body["accessTokenValiditySeconds"].as_i64();
        if let Err(refused) =
            pat.set_expiry(&body["expirationDate"], body["userAwareTokenNeverExpires"] == true, now)
        {
            return refused;
        }
        if self.0.iter().any(|other| other.name == name) {
            return Answer::error("400.1.409 Reference conflict", "The name is taken.");
        }
        self.0.push(pat.clone());
        Answer::ok(pat.as_created())
    }

    pub(super) fn list(&self, sent: &Sent) -> Answer {
        let owner = Sent::parameter(&sent.query, "owner-id").filter(|owner| owner != "me");
        let matches = match Sent::parameter(&sent.query, "filters").as_deref().map(filter) {
            None => Box::new(|_: &Stored| true) as Filter,
            Some(Some(filter)) => filter,
            Some(None) => return Answer::error("400.1.3 Illegal value", "The filter is not supported."),
        };
        let of_owner = |pat: &&Stored| owner.as_ref().is_none_or(|owner| *owner == pat.owner);
        let listed = self.0.iter().filter(of_owner).filter(|pat| matches(pat));
        Answer::ok(listed.map(Stored::as_listed).collect())
    }

    pub(super) fn patch(&mut self, id: &str, sent: &Sent, now: Timestamp) -> Answer {
        let Some(Value::Array(patch)) = read(sent, "application/json-patch+json") else {
            return unreadable();
        };
        let Some(pat) = self.0.iter_mut().find(|pat| pat.id == id) else { return not_found() };
        match pat.patched(&patch, now) {
            Ok(patched) => {
                *pat = patched;
                Answer::ok(pat.as_listed())
            }
            Err(refused) => refused,
        }
    }

    pub(super) fn bulk_update(&mut self, sent: &Sent, now: Timestamp) -> Answer {
        let Some(body) = read(sent, "application/json") else { return unreadable() };
        let (Some(ids), Some(patch)) = (body["ids"].as_array(), body["patch"].as_array()) else {
            return unreadable();
        };
        let mut patched = Vec::new();
        for id in texts(ids) {
            let Some(pat) = self.find(&id) else {
                return Answer::error("400.1.404 Referenced object not found", "A PAT is not there.");
            };
            match pat.patched(patch, now) {
                Ok(pat) => patched.push(pat),
                Err(refused) => return refused,
            }
        }
        patched.sort_by(|one, other| one.id.cmp(&other.id));
        self.0.retain(|pat| patched.iter().all(|new| new.id != pat.id));
        self.0.extend(patched.iter().cloned());
        Answer::ok(patched.iter().map(Stored::as_listed).collect())
    }

    pub(super) fn delete(&mut self, id: &str) -> Answer {
        let before = self.0.len();
        self.0.retain(|pat| pat.id != id);
        if self.0.len() == before {
            not_found()
        } else {
            Answer { status: 204, body: None, retry_after: None }
        }
    }

    fn find(&self, id: &str) -> Option<&Stored> {
        self.0.iter().find(|pat| pat.id == id)
    }
}

impl Stored {
    fn new(name: &str, owner: &str, now: Timestamp) -> Self {
        Self {
            id: random_hex(16),
            secret: random_hex(32),
            name: name.to_owned(),
            scope: vec!["sp:scopes:all".to_owned()],
            owner: owner.to_owned(),
            created: now,
            last_used: None,
            validity: None,
            expires: None,
            acknowledged: false,
        }
    }

    /// Seconds that its access tokens live.
    pub(super) fn lives(&self) -> i64 {
        self.validity.unwrap_or(VALIDITY)
    }

    /// What lists and patches show: null or nothing for what was not set.
    fn as_listed(&self) -> Value {
        let mut pat = json!({
            "id": self.id, "name": self.name, "scope": self.scope, "created": with_offset(self.created),
            "owner": { "type": "IDENTITY", "id": self.owner, "name": "Support", "email": null },
            "lastUsed": self.last_used.map(with_offset), "managed": null, "modified": null, "tenantId": "acme",
        });
        if let Some(seconds) = self.validity {
            pat["accessTokenValiditySeconds"] = seconds.into();
        }
        if let Some(at) = self.expires {
            pat["expirationDate"] = at.to_string().into();
        } else {
            pat["userAwareTokenNeverExpires"] = self.acknowledged.into();
        }
        pat
    }

    fn as_created(&self) -> Value {
        let mut pat = self.as_listed();
        pat["secret"] = self.secret.clone().into();
        pat["created"] = self.created.to_string().into();
        pat["accessTokenValiditySeconds"] = self.lives().into();
        pat["expirationDate"] = self.expires.map(|at| at.to_string()).into();
        pat
    }

    fn patched(&self, patch: &[Value], now: Timestamp) -> Result<Self, Answer> {
        let mut pat = self.clone();
        let is_acknowledgement = |operation: &Value| {
            operation["path"] == "/userAwareTokenNeverExpires" && operation["value"] == true
        };
        let acknowledged = patch.iter().any(is_acknowledgement);
        for operation in patch {
            let pointer = operation["path"].as_str().unwrap_or_default();
            match (operation["op"].as_str(), pointer, &operation["value"]) {
                (Some("replace" | "add"), "/name", Value::String(name)) => pat.name.clone_from(name),
                (Some("replace" | "add"), "/scope", Value::Array(scope)) => pat.scope = texts(scope),
                (Some("replace" | "add" | "remove"), "/expirationDate", at) => {
                    pat.set_expiry(at, acknowledged, now)?;
                }
                (Some("replace" | "add"), "/userAwareTokenNeverExpires", Value::Bool(_)) => {}
                _ => {
                    let field = pointer.trim_start_matches('/');
                    let text = format!("Field '{field}' is not patchable.");
                    return Err(Answer::error("400.1 Bad Request Content", &text));
                }
            }
        }
        Ok(pat)
    }

    /// The reference's rule: a date in the future, or none and the acknowledgement.
    fn set_expiry(&mut self, date: &Value, acknowledged: bool, now: Timestamp) -> Result<(), Answer> {
        let given = date.as_str().filter(|text| !text.is_empty());
        let at = given.map(Timestamp::parse).transpose();
        match (at, acknowledged) {
            (Ok(Some(at)), _) if now < at => (self.expires, self.acknowledged) = (Some(at), false),
            (Ok(None), true) => (self.expires, self.acknowledged) = (None, true),
            (Ok(None), false) => {
                let text = "userAwareTokenNeverExpires must be true when expirationDate is null or empty.";
                return Err(Answer::error("400.1 Bad Request Content", text));
            }
            _ => {
                return Err(Answer::error(
                    "400.1.3 Illegal value",
                    "expirationDate must be a date in the future.",
                ));
            }
        }
        Ok(())
    }
}

/// Which PATs a list is of.
type Filter = Box<dyn Fn(&Stored) -> bool>;

/// The two filters that there are.
fn filter(text: &str) -> Option<Filter> {
    match text.split_whitespace().collect::<Vec<_>>()[..] {
        ["lastUsed", "isnull"] => Some(Box::new(|pat| pat.last_used.is_none())),
        ["lastUsed", "le", at] => {
            let at = Timestamp::parse(at).ok()?;
            Some(Box::new(move |pat| pat.last_used.is_some_and(|used| used <= at)))
        }
        _ => None,
    }
}

fn read(sent: &Sent, media_type: &str) -> Option<Value> {
    sent.is(media_type).then(|| serde_json::from_str(&sent.body).ok())?
}

fn texts(list: &[Value]) -> Vec<String> {
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn unreadable() -> Answer {
    Answer::error("400.0 Bad request syntax", "The request could not be read.")
}

fn not_found() -> Answer {
    Answer::error(
        "404 Not found",
        "The server did not find a current representation for the target resource.",
    )
}
