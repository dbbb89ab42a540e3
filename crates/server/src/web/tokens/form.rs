//! The fields of a token, as the form has them: what is typed becomes what the API takes, and the rules are the API's.

use patron_core::rights::Catalogue;
use patron_core::scope::{ALL, DEFAULT, ScopeList};
use patron_core::time::Timestamp;

use crate::limits::LINK_DAYS;
use crate::web::Form;
use crate::web::frame::Problems;
use crate::web::moment::{Zone, chosen_days};

/// The fields that a link may fill in.
pub(super) const PREFILLED: &[&str] = &["name", "scope", "days"];
/// What a new token gets when nobody says otherwise.
const DEFAULT_DAYS: &str = "30";

/// A token as it is being typed.
pub(super) struct Typed {
    pub(super) name: String,
    /// `30`, `60`, `90`, `date`, `never`, or `keep` for one that is there.
    pub(super) expires: String,
    /// For `date`: a day, `2027-01-31`.
    pub(super) date: String,
    /// Whether it is acknowledged that a token that never expires does so.
    pub(super) aware: bool,
    pub(super) validity: String,
    pub(super) scopes: Vec<String>,
    /// What the form of a token that is there began with.
    pub(super) was: Was,
}

/// The name and the scopes that a form began with. What was left as it was is not written back: somebody else may have
/// changed it in the meantime.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Was {
    pub(super) name: String,
    pub(super) scopes: Vec<String>,
}

impl Typed {
    /// A new token, filled in as the link says.
    pub(super) fn prefilled(query: &Form, zone: &Zone, now: Timestamp) -> Self {
        let days = query.text("days").trim();
        let days_ahead = days.parse().ok().filter(|days| (1..=LINK_DAYS).contains(days));
        let (expires, date) = match days_ahead {
            None => (DEFAULT_DAYS.to_owned(), String::new()),
            Some(_) if chosen_days(days).is_some() => (days.to_owned(), String::new()),
            Some(days) => ("date".to_owned(), zone.day(now.plus_days(days))),
        };
        // As OAuth writes lists of scopes; commas, too, which people type.
        let scopes = query.all("scope").flat_map(|list| list.split([' ', ','])).filter(|s| !s.is_empty());
        Self {
            name: query.text("name").to_owned(),
            expires,
            date,
            aware: false,
            validity: patron_core::pat::Validity::default().seconds().to_string(),
            scopes: scopes.map(str::to_owned).collect(),
            was: Was::default(),
        }
    }

    /// What was posted.
    pub(super) fn posted(form: &Form) -> Self {
        Self {
            name: form.text("name").to_owned(),
            expires: form.text("expires").to_owned(),
            date: form.text("date").trim().to_owned(),
            aware: form.has("aware"),
            validity: form.text("validity").trim().to_owned(),
            scopes: form.all("scope").map(str::to_owned).collect(),
            was: Was {
                name: form.text("was-name").to_owned(),
                scopes: form.all("was-scope").map(str::to_owned).collect(),
            },
        }
    }

    /// Says what contradicts itself: a day or an acknowledgement that goes with another expiry than the chosen one. To
    /// take either for the other would be a guess.
    pub(super) fn contradictions(&self) -> Problems {
        let mut problems = Problems::default();
        if !self.date.is_empty() && self.expires != "date" {
            problems.add("expirationDate", "token-date-not-chosen");
        }
        if self.aware && self.expires != "never" {
            problems.add("userAwareTokenNeverExpires", "token-never-not-chosen");
        }
        problems
    }

    /// The `expirationDate` that the API would be sent: none for `never`. A day ends where the reader is; what is no
    /// day goes on as it is, for the rule to refuse.
    pub(super) fn expiration_date(&self, zone: &Zone, now: Timestamp) -> Option<String> {
        match self.expires.as_str() {
            "never" => None,
            "date" => {
                let at = zone.end_of_day(&self.date);
                Some(at.map_or_else(|| format!("day {}", self.date), |at| at.to_string()))
            }
            days => {
                let at = chosen_days(days).map(|days| now.plus_days(days).to_string());
                Some(at.unwrap_or_else(|| "no choice".to_owned()))
            }
        }
    }

    /// Whether it is to expire never, and that is acknowledged.
    pub(super) fn is_aware(&self) -> bool {
        self.expires == "never" && self.aware
    }

    /// The number of seconds, or what the rule refuses.
    pub(super) fn validity_seconds(&self) -> i64 {
        self.validity.parse().unwrap_or(-1)
    }
}

/// A scope that can be chosen.
pub(super) struct Choice {
    pub(super) name: String,
    /// What it lets; none for one that is in no catalogue.
    pub(super) description: Option<String>,
    pub(super) chosen: bool,
}

/// The scopes that the person's level can use, and whatever else is chosen already.
pub(super) fn choices(catalogue: &Catalogue, levels: &[String], chosen: &[String]) -> Vec<Choice> {
    let chosen = ScopeList::from_kept(chosen.to_vec());
    // Nothing chosen means the default scope, so it is no choice of its own.
    let offered = catalogue.scopes().filter(|entry| entry.name != DEFAULT);
    let open = offered.filter(|entry| catalogue.is_open(&entry.name, levels));
    let mut choices: Vec<Choice> = open
        .map(|entry| Choice {
            name: entry.name.clone(),
            description: Some(entry.description.clone()),
            chosen: catalogue.names_scope(&chosen, &entry.name),
        })
        .collect();
    choices.sort_by_key(|choice| choice.name != ALL);
    let others = chosen.as_slice().iter().filter(|name| {
        *name != DEFAULT && !choices.iter().any(|choice| catalogue.same_scope(&choice.name, name))
    });
    let others: Vec<Choice> = others
        .map(|name| Choice {
            name: name.clone(),
            description: catalogue.scope(name).map(|entry| entry.description.clone()),
            chosen: true,
        })
        .collect();
    choices.extend(others);
    choices
}
