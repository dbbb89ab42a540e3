//! What must be true, whatever fails:
//!
//! - no answered change is lost;
//! - what was refused by the time that a request began is not accepted;
//! - what is good is never refused: an outage is 503 or a connection that breaks;
//! - a secret is shown once.
//!
//! A change that was not answered is perhaps made; both are allowed then, until somebody sees which it is.

mod learn;
mod tell;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::history::{Fate, From, History};
use crate::time::{At, Span};

/// Milliseconds by which clocks may differ about whether something has expired.
const CLOCKS: i64 = 100;
/// In its last second a PAT counts as expired.
const LAST_SECOND: i64 = 1_000;

/// Somebody.
pub(crate) struct Identity {
    pub(crate) id: String,
    /// The PAT by which it makes its changes; nobody ends it.
    pub(crate) acting: usize,
    pub(crate) enabled: History<bool>,
    /// Whether it has an administrator's level.
    pub(crate) leads: History<bool>,
    /// Somebody is about to change it.
    pub(crate) busy: bool,
}

/// A PAT whose creation was answered.
pub(crate) struct Pat {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) owner: usize,
    pub(crate) created: At,
    pub(crate) lives: History<bool>,
    pub(crate) name: History<String>,
    pub(crate) scope: History<Vec<String>>,
    pub(crate) expires: History<Option<i64>>,
    pub(crate) busy: bool,
}

/// An access token.
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) pat: usize,
    pub(crate) made: Span,
    pub(crate) scope: Vec<String>,
    pub(crate) lives: History<bool>,
    pub(crate) busy: bool,
}

/// A creation that was not answered, at least not yet.
pub(crate) struct Creation {
    owner: usize,
    asked: At,
    fate: Fate,
}

/// What somebody proves by who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    Pat(usize),
    Token(usize),
}

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Create { owner: usize },
    Exchange(usize),
    Call(Credential),
    Introspect(usize),
    ForwardAuth(Credential),
    Patch(usize, Patch),
    Delete(usize),
    Revoke { token: usize, by: usize },
    Enable(usize, bool),
    Lead(usize),
    LeadsSeen(usize),
    List(usize),
}

#[derive(Debug, Clone)]
pub(crate) enum Patch {
    Name(String),
    Scope(Vec<String>),
    Expires(i64),
}

/// A PAT in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) scope: Vec<String>,
    pub(crate) expires: Option<i64>,
}

/// What was answered.
#[derive(Debug, Clone)]
pub(crate) enum Got {
    Done,
    /// With these scopes.
    Scopes(Vec<String>),
    Rows(Vec<Row>),
    /// The credential is not, or no longer, good.
    Refused,
    /// There is no such thing.
    Missing,
    /// The rights do not suffice.
    Forbidden,
    /// 503.
    Outage,
    /// The connection broke.
    Cut,
    /// There was no connection.
    Unsent,
    /// What may never be answered.
    Wrong(String),
}

/// What was asked of whom, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) client: usize,
    /// `None` is `patron admin`.
    pub(crate) node: Option<usize>,
    pub(crate) when: Span,
    pub(crate) asked: Asked,
    pub(crate) got: Got,
}

/// All that is known.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) identities: Vec<Identity>,
    pub(crate) pats: Vec<Pat>,
    pub(crate) tokens: Vec<Token>,
    creations: HashMap<String, Creation>,
    by_id: HashMap<String, usize>,
    secrets: HashSet<String>,
    /// PATs whose creation was not answered, and when they were first seen in a list.
    unanswered: BTreeMap<String, (usize, At)>,
    pub(crate) events: Vec<Event>,
    pub(crate) violations: Vec<String>,
}

/// Why a credential may be refused.
struct Reasons {
    revoked: bool,
    deleted: bool,
    expired: bool,
    /// The places of the changes of its owner that may be why.
    disablings: BTreeSet<usize>,
}

type Judgement = Result<(), String>;

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Judgement {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl Model {
    /// Takes in what somebody is.
    pub(crate) fn add_identity(&mut self, id: String, leads: bool, acting: Pat) -> usize {
        let at = self.identities.len();
        let acting = self.insert_pat(Pat { owner: at, ..acting });
        let (enabled, leads) = (History::new(true, At::BEGINNING), History::new(leads, At::BEGINNING));
        self.identities.push(Identity { id, acting, enabled, leads, busy: false });
        at
    }

    fn insert_pat(&mut self, pat: Pat) -> usize {
        let at = self.pats.len();
        self.by_id.insert(pat.id.clone(), at);
        // It may have been in a list before its answer was taken in.
        self.unanswered.remove(&pat.id);
        if !self.secrets.insert(pat.secret.clone()) {
            self.violations.push(format!("the secret of {} was shown before", pat.id));
        }
        self.pats.push(pat);
        at
    }

    /// The last access tokens made for an identity.
    pub(crate) fn newest_tokens_of(&self, identity: usize, count: usize) -> Vec<usize> {
        let is_its = |token: &usize| self.pats[self.tokens[*token].pat].owner == identity;
        (0..self.tokens.len()).rev().filter(is_its).take(count).collect()
    }

    /// A creation begins.
    pub(crate) fn create(&mut self, owner: usize, name: &str) {
        let creation = Creation { owner, asked: At::now(), fate: Fate::Asked };
        self.creations.insert(name.to_owned(), creation);
    }

    /// What came of it, and the PAT if there is one.
    pub(crate) fn created(&mut self, name: &str, fate: Fate, pat: Option<Pat>) -> Option<usize> {
        self.creations.get_mut(name).unwrap().fate = fate;
        pat.map(|pat| self.insert_pat(pat))
    }

    /// Takes an event in, and what it teaches; judges it.
    pub(crate) fn record(&mut self, event: Event) {
        let judgement = self.judge(&event);
        self.learn(&event);
        let number = self.events.len();
        self.events.push(event);
        if let Err(why) = judgement {
            self.violated(number, &why);
        }
    }

    /// Judges everything once more, now that it is known what became of every change.
    pub(crate) fn judge_all_again(&mut self) {
        for number in 0..self.events.len() {
            if let Err(why) = self.judge(&self.events[number]) {
                self.violated(number, &format!("in the end: {why}"));
            }
        }
    }

    /// Judges what was answered with an outage, now that it is known when what has failed.
    pub(crate) fn judge_outages(&mut self, is_excused: impl Fn(&Event) -> bool) {
        for number in 0..self.events.len() {
            let event = &self.events[number];
            if event.got.is_outage() && !is_excused(event) {
                self.violated(number, "an outage, and nothing has failed that explains it");
            }
        }
    }

    fn violated(&mut self, number: usize, why: &str) {
        // The first ones tell what is wrong, and a history may be long.
        if self.violations.len() < 5 {
            let history = self.history_of(number);
            self.violations.push(format!("{why}\n  {}\n{history}", self.told(number)));
        } else {
            self.violations.push(format!("{why}\n  {}", self.told(number)));
        }
    }

    fn judge(&self, event: &Event) -> Judgement {
        let when = event.when;
        match (&event.asked, &event.got) {
            (_, Got::Wrong(what)) => Err(what.clone()),
            // What an outage has done to a change is seen later, and whether there was a reason for it.
            (_, Got::Outage | Got::Cut | Got::Unsent) | (Asked::Enable(..) | Asked::Lead(..), Got::Done) => {
                Ok(())
            }
            (Asked::Exchange(pat), got) => self.judge_credential(Credential::Pat(*pat), got, when),
            (Asked::Call(by) | Asked::ForwardAuth(by), got) => self.judge_credential(*by, got, when),
            (Asked::Introspect(token), got) => self.judge_credential(Credential::Token(*token), got, when),
            // A PAT that loses scopes while it asks for a change is told that it has changed.
            (Asked::Revoke { by, .. }, Got::Refused) if self.changes_scope(*by, when) => Ok(()),
            (Asked::Revoke { by, .. }, got) => self.judge_credential(Credential::Pat(*by), got, when),
            (Asked::Create { owner, .. }, got) => self.judge_owner(*owner, got, when),
            (Asked::Patch(pat, _) | Asked::Delete(pat), Got::Missing) => {
                let may_be_gone = self.pats[*pat].lives.may_be(&false, when, From::Database);
                require(may_be_gone, || "a PAT that is there is answered as missing".to_owned())
            }
            (Asked::Patch(pat, _) | Asked::Delete(pat), got) => {
                let pat = &self.pats[*pat];
                let may_be_there = !matches!(got, Got::Done) || pat.lives.may_be(&true, when, From::Database);
                require(may_be_there, || "a PAT that was deleted was changed".to_owned())?;
                self.judge_owner(pat.owner, got, when)
            }
            (Asked::LeadsSeen(identity), got) => {
                let leads = matches!(got, Got::Done);
                require(leads || matches!(got, Got::Forbidden), || {
                    "a good credential is refused".to_owned()
                })?;
                let may_be = self.identities[*identity].leads.may_be(&leads, when, From::Memory);
                require(may_be, || format!("an answered change of levels is not seen: it leads: {leads}"))
            }
            (Asked::List(identity), Got::Rows(rows)) => {
                self.judge_owner(*identity, &Got::Done, when)?;
                self.judge_rows(*identity, rows, when)
            }
            (Asked::List(identity), got) => self.judge_owner(*identity, got, when),
            (Asked::Enable(..) | Asked::Lead(..), got) => Err(format!("this is refused: {got:?}")),
        }
    }

    fn changes_scope(&self, pat: usize, when: Span) -> bool {
        self.pats[pat].scope.possible(when, From::Memory).nth(1).is_some()
    }

    /// Judges an answer to one who makes a change by its acting PAT.
    fn judge_owner(&self, owner: usize, got: &Got, when: Span) -> Judgement {
        self.judge_credential(Credential::Pat(self.identities[owner].acting), got, when)
    }

    fn judge_credential(&self, by: Credential, got: &Got, when: Span) -> Judgement {
        match got {
            Got::Done | Got::Scopes(_) => {
                self.may_be_accepted(by, when)?;
                let Got::Scopes(scopes) = got else { return Ok(()) };
                let may_be = match by {
                    Credential::Pat(pat) => self.pats[pat].scope.may_be(scopes, when, From::Memory),
                    Credential::Token(token) => self.tokens[token].scope == *scopes,
                };
                require(may_be, || format!("an answered change is not seen: the scopes are {scopes:?}"))
            }
            Got::Refused => {
                require(self.may_be_refused(by, when), || "a good credential is refused".to_owned())
            }
            other => Err(format!("a good credential is answered with {other:?}")),
        }
    }

    /// Whether a credential may be good for whoever asks within `when`, or why not.
    pub(crate) fn may_be_accepted(&self, by: Credential, when: Span) -> Judgement {
        let pat = match by {
            Credential::Pat(pat) => pat,
            Credential::Token(token) => {
                let token = &self.tokens[token];
                let may_live = token.lives.may_be(&true, when, From::Memory);
                require(may_live, || "a revoked access token is accepted".to_owned())?;
                require(!self.is_of_an_earlier_generation(token, when), || {
                    "an access token from before its owner was disabled is accepted".to_owned()
                })?;
                token.pat
            }
        };
        let pat = &self.pats[pat];
        require(pat.lives.may_be(&true, when, From::Memory), || "a deleted PAT is accepted".to_owned())?;
        let enabled = self.identities[pat.owner].enabled.may_be(&true, when, From::Memory);
        require(enabled, || "a PAT of a disabled identity is accepted".to_owned())?;
        let over =
            |expires: &Option<i64>| expires.is_some_and(|at| at - LAST_SECOND + CLOCKS < when.begin.wall());
        let may_last = pat.expires.possible(when, From::Memory).any(|expires| !over(expires));
        require(may_last, || "an expired PAT is accepted".to_owned())
    }

    fn may_be_refused(&self, by: Credential, when: Span) -> bool {
        let Reasons { revoked, deleted, expired, disablings } = self.reasons_to_refuse(by, when);
        revoked || deleted || expired || !disablings.is_empty()
    }

    fn reasons_to_refuse(&self, by: Credential, when: Span) -> Reasons {
        let (number, token) = match by {
            Credential::Pat(pat) => (pat, None),
            Credential::Token(token) => (self.tokens[token].pat, Some(&self.tokens[token])),
        };
        let pat = &self.pats[number];
        let mut disablings = self.identities[pat.owner].enabled.explain(&false, when, From::Memory);
        let since = token.map(|token| self.disablings_since(token, when)).unwrap_or_default();
        disablings.extend(since);
        let over =
            |expires: &Option<i64>| expires.is_some_and(|at| at - LAST_SECOND - CLOCKS < when.end.wall());
        Reasons {
            revoked: token.is_some_and(|token| token.lives.may_be(&false, when, From::Memory)),
            deleted: pat.lives.may_be(&false, when, From::Memory),
            expired: pat.expires.possible(when, From::Memory).any(over),
            disablings,
        }
    }

    /// Whether the access token's exchange had ended before anybody asked to enable its owner once more, after a
    /// disabling that whoever asks at `when` knows of: it is dead for good.
    fn is_of_an_earlier_generation(&self, token: &Token, when: Span) -> bool {
        let changes = self.identities[self.pats[token.pat].owner].enabled.changes();
        changes.iter().enumerate().any(|(at, change)| {
            let mut later = changes[at..].iter().filter(|later| later.to && later.fate != Fate::Refused);
            let is_known = !change.to && change.hides_earlier(when.begin, From::Memory);
            is_known && later.next().is_none_or(|enabling| token.made.end <= enabling.asked)
        })
    }

    /// The places of the disablings that may have come after the access token: no enabling between was answered.
    fn disablings_since(&self, token: &Token, when: Span) -> Vec<usize> {
        let enabled = &self.identities[self.pats[token.pat].owner].enabled;
        let mut perhaps = Vec::new();
        for (at, change) in enabled.changes().iter().enumerate() {
            if !change.to && change.fate != Fate::Refused && change.asked <= when.end {
                perhaps.push(at);
            }
            if change.to && matches!(change.fate, Fate::Answered(at) if at <= token.made.begin) {
                perhaps.clear();
            }
        }
        perhaps
    }

    fn judge_rows(&self, owner: usize, rows: &[Row], when: Span) -> Judgement {
        let shown: HashMap<&str, &Row> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
        for (at, pat) in self.pats.iter().enumerate().filter(|(_, pat)| pat.owner == owner) {
            let was_there = pat.created <= when.begin && !pat.lives.may_be(&false, when, From::Database);
            let is_shown = shown.contains_key(pat.id.as_str());
            require(is_shown || !was_there, || format!("PAT {at} is lost: it is not in the list"))?;
        }
        for (id, (whose, seen)) in &self.unanswered {
            let lost = *whose == owner && *seen <= when.begin && !shown.contains_key(id.as_str());
            require(!lost, || format!("{id} was in a list before and nobody deleted it"))?;
        }
        rows.iter().try_for_each(|row| self.judge_row(owner, row, when))
    }

    fn judge_row(&self, owner: usize, row: &Row, when: Span) -> Judgement {
        let Some(&at) = self.by_id.get(&row.id) else {
            let creation = self.creations.get(&row.name);
            let asked = creation.is_some_and(|creation| {
                creation.owner == owner && creation.asked <= when.end && creation.fate != Fate::Refused
            });
            return require(asked, || format!("nobody made {row:?}"));
        };
        let pat = &self.pats[at];
        let from = From::Database;
        require(pat.lives.may_be(&true, when, from), || format!("PAT {at} was deleted and is in the list"))?;
        let unchanged = pat.name.may_be(&row.name, when, from)
            && pat.scope.may_be(&row.scope, when, from)
            && pat.expires.may_be(&row.expires, when, from);
        require(unchanged, || format!("an answered change of PAT {at} is lost: {row:?}"))
    }
}

impl Asked {
    /// Whether it is to change something, and so waits for others who do.
    pub(crate) fn is_change(&self) -> bool {
        match self {
            Self::Create { .. }
            | Self::Patch(..)
            | Self::Delete(_)
            | Self::Revoke { .. }
            | Self::Enable(..)
            | Self::Lead(_) => true,
            Self::Exchange(_)
            | Self::Call(_)
            | Self::Introspect(_)
            | Self::ForwardAuth(_)
            | Self::LeadsSeen(_)
            | Self::List(_) => false,
        }
    }
}

impl Got {
    /// Whether nobody has said what is so.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Outage | Self::Cut | Self::Unsent)
    }

    /// For the report's columns.
    pub(crate) fn column(&self) -> usize {
        match self {
            Self::Done | Self::Scopes(_) | Self::Rows(_) => 0,
            Self::Refused | Self::Missing | Self::Forbidden => 1,
            Self::Outage => 2,
            Self::Cut => 3,
            Self::Unsent => 4,
            Self::Wrong(_) => 5,
        }
    }

    /// What becomes of a change that was answered so at `end`.
    pub(crate) fn fate(&self, end: At) -> Fate {
        match self {
            Self::Done | Self::Scopes(_) | Self::Rows(_) => Fate::Answered(end),
            Self::Refused | Self::Missing | Self::Forbidden | Self::Unsent => Fate::Refused,
            Self::Outage | Self::Cut | Self::Wrong(_) => Fate::Perhaps,
        }
    }
}
