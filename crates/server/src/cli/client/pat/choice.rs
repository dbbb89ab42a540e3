//! Which tokens a command is about: whose, and which of those.

use clap::Args;
use futures_util::{Stream, TryStreamExt as _};
use patron_client::{List, PersonalAccessToken};
use patron_core::pat::{Expiry, State};
use patron_core::rights::{Catalogue, Spellings};
use patron_core::time::Timestamp;

use super::super::span::Span;
use super::{Caller, Failed, Work};

#[derive(Args, Default)]
#[command(next_help_heading = "Which tokens")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Choice {
    /// Those of this identity, by its id; me is oneself
    #[arg(long, value_name = "ID", conflicts_with = "all", value_parser = not_blank)]
    owner: Option<String>,
    /// Everyone's
    #[arg(long)]
    all: bool,
    /// What the server is to filter by, such as: lastUsed le 2027-01-31T00:00:00Z or lastUsed isnull
    #[arg(long, value_parser = not_blank)]
    filters: Option<String>,
    /// Not used for so long, such as 90d; one that was never used counts from its creation
    #[arg(long, value_name = "SPAN", conflicts_with = "never_used")]
    unused_for: Option<Span>,
    /// Never used
    #[arg(long)]
    never_used: bool,
    /// Still working, but not for longer than this
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["expired", "never_expiring"])]
    expires_within: Option<Span>,
    /// Expired
    #[arg(long, conflicts_with = "never_expiring")]
    expired: bool,
    /// Without an expiry
    #[arg(long)]
    never_expiring: bool,
    /// With this in its name, in whatever case
    #[arg(long, value_name = "TEXT", value_parser = not_blank)]
    name: Option<String>,
    /// With this scope
    #[arg(long, value_name = "SCOPE", value_parser = not_blank)]
    scope: Option<String>,
}

/// A text of a choice. A blank one is a script's variable that was never set: it would choose everything there is.
pub(super) fn not_blank(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("it is blank") } else { Ok(text.to_owned()) }
}

impl Choice {
    /// Whether it narrows anything. Whose tokens they are counts, everyone's does not.
    pub(super) fn is_narrow(&self) -> bool {
        let texts = [&self.owner, &self.filters, &self.name, &self.scope];
        let spans = [self.unused_for, self.expires_within];
        texts.iter().any(|text| text.is_some())
            || spans.iter().any(Option::is_some)
            || self.never_used
            || self.expired
            || self.never_expiring
    }

    /// Whether anything was said at all.
    pub(super) fn is_given(&self) -> bool {
        self.all || self.is_narrow()
    }

    /// Whether tokens of several owners may be among them.
    pub(super) fn is_of_many(&self) -> bool {
        self.all
    }

    /// The tokens, as they arrive.
    pub(super) fn find<'a>(
        &'a self,
        work: &'a Work<'_>,
    ) -> impl Stream<Item = Result<PersonalAccessToken, Failed>> + 'a {
        let list = match &self.owner {
            _ if self.all => List::everyones(),
            Some(owner) => List::of(owner.as_str()),
            None => List::mine(),
        };
        let now = Caller::now();
        let list = if let Some(filters) = self.sent(now) { list.filters(filters) } else { list };
        let test = Test::of(self, now);
        let found = work.connection.client.list(&list).map_err(Failed::from);
        found.try_filter(move |pat| std::future::ready(test.takes(pat)))
    }
}

impl Choice {
    /// What the server filters by: what was asked for, and what of the rest it can, so that it sends no tokens in vain.
    /// Those that come are held against all of it here.
    fn sent(&self, now: Timestamp) -> Option<String> {
        let unused = match self.unused_for {
            _ if self.never_used => Some("lastUsed isnull".to_owned()),
            Some(span) => Some(format!("lastUsed le {} or lastUsed isnull", span.before(now))),
            None => None,
        };
        match (&self.filters, unused) {
            (Some(own), Some(unused)) => Some(format!("({own}) and ({unused})")),
            (own, unused) => own.clone().or(unused),
        }
    }
}

/// What a token is held against. The meanings are those of the page of all tokens (`patron_store::pats::search`).
struct Test {
    now: Timestamp,
    unused_since: Option<Timestamp>,
    never_used: bool,
    expires_until: Option<Timestamp>,
    expired: bool,
    never_expiring: bool,
    name: Option<String>,
    scope: Option<Spellings>,
}

impl Test {
    fn of(choice: &Choice, now: Timestamp) -> Self {
        Self {
            now,
            unused_since: choice.unused_for.map(|span| span.before(now)),
            never_used: choice.never_used,
            expires_until: choice.expires_within.map(|span| span.after(now)),
            expired: choice.expired,
            never_expiring: choice.never_expiring,
            name: choice.name.as_ref().map(|name| name.to_lowercase()),
            scope: choice.scope.as_deref().map(|scope| Catalogue::built_in().spellings(scope)),
        }
    }

    fn takes(&self, pat: &PersonalAccessToken) -> bool {
        let expiry = Expiry::from_date(pat.expiration_date);
        let is_live = expiry.state(self.now) == State::Live;
        let unused = |since| pat.last_used.unwrap_or(pat.created) < since;
        let expires = |until| is_live && pat.expiration_date.is_some_and(|at| at <= until);
        let named = |name: &String| pat.name.to_lowercase().contains(name);
        let scoped =
            |Spellings(one, other): &Spellings| pat.scope.iter().any(|scope| scope == one || scope == other);
        self.unused_since.is_none_or(unused)
            && !(self.never_used && pat.last_used.is_some())
            && self.expires_until.is_none_or(expires)
            && !(self.expired && is_live)
            && !(self.never_expiring && pat.expiration_date.is_some())
            && self.name.as_ref().is_none_or(named)
            && self.scope.as_ref().is_none_or(scoped)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2027-06-01T12:00:00Z";

    fn pat(name: &str, created: &str, used: Option<&str>, expires: Option<&str>) -> PersonalAccessToken {
        let written = json!({
            "id": "1", "name": name, "scope": ["sp:my-personal-access-tokens:read", "demo:x"], "created": created,
            "owner": { "type": "IDENTITY", "id": "2", "name": "Jane" }, "lastUsed": used, "expirationDate": expires,
        });
        serde_json::from_value(written).unwrap()
    }

    /// The names of those that are taken.
    fn taken(choice: &Choice) -> Vec<&'static str> {
        let test = Test::of(choice, Timestamp::parse(NOW).unwrap());
        let pats = [
            ("new", pat("new", "2027-05-31T00:00:00Z", None, None)),
            (
                "idle",
                pat(
                    "idle",
                    "2026-01-01T00:00:00Z",
                    Some("2027-01-01T00:00:00Z"),
                    Some("2027-06-11T12:00:00Z"),
                ),
            ),
            (
                "busy",
                pat(
                    "busy",
                    "2026-01-01T00:00:00Z",
                    Some("2027-05-31T00:00:00Z"),
                    Some("2027-06-01T12:00:00.999Z"),
                ),
            ),
            ("old", pat("old", "2026-01-01T00:00:00Z", None, Some("2027-06-01T12:00:01Z"))),
        ];
        pats.into_iter().filter(|(_, pat)| test.takes(pat)).map(|(name, _)| name).collect()
    }

    #[test]
    fn use_counts_from_creation_where_there_was_none() {
        let span = |text: &str| Some(text.parse().unwrap());
        assert_eq!(taken(&Choice::default()), ["new", "idle", "busy", "old"]);
        assert_eq!(taken(&Choice { unused_for: span("90d"), ..Choice::default() }), ["idle", "old"]);
        assert_eq!(
            taken(&Choice { unused_for: span("1h"), ..Choice::default() }),
            ["new", "idle", "busy", "old"]
        );
        assert_eq!(taken(&Choice { never_used: true, ..Choice::default() }), ["new", "old"]);
    }

    #[test]
    fn in_its_last_second_a_token_has_expired() {
        let span = |text: &str| Some(text.parse().unwrap());
        assert_eq!(taken(&Choice { expired: true, ..Choice::default() }), ["busy"]);
        assert_eq!(taken(&Choice { never_expiring: true, ..Choice::default() }), ["new"]);
        assert_eq!(taken(&Choice { expires_within: span("10d"), ..Choice::default() }), ["idle", "old"]);
        assert_eq!(taken(&Choice { expires_within: span("9d"), ..Choice::default() }), ["old"]);
    }

    #[test]
    fn names_in_any_case_and_scopes_in_either_spelling() {
        let named = |name: &str| taken(&Choice { name: Some(name.to_owned()), ..Choice::default() });
        assert_eq!((named("LD"), named("x")), (vec!["old"], vec![]));
        let scoped =
            |scope: &str| taken(&Choice { scope: Some(scope.to_owned()), ..Choice::default() }).len();
        assert_eq!(scoped("idn:my-personal-access-tokens:read"), 4);
        assert_eq!((scoped("demo:x"), scoped("demo"), scoped("DEMO:X")), (4, 0, 0));
    }

    #[test]
    fn the_server_is_asked_for_no_more_than_is_needed() {
        let sent = |filters: Option<&str>, unused_for: Option<&str>, never_used| {
            let choice = Choice {
                filters: filters.map(str::to_owned),
                unused_for: unused_for.map(|span| span.parse().unwrap()),
                never_used,
                ..Choice::default()
            };
            choice.sent(Timestamp::parse(NOW).unwrap())
        };
        let own = "lastUsed le 2027-01-01T00:00:00Z";
        let unused = "lastUsed le 2027-05-31T12:00:00.000Z or lastUsed isnull";
        assert_eq!(sent(None, None, false), None);
        assert_eq!(sent(Some(own), None, false).as_deref(), Some(own));
        assert_eq!(sent(None, None, true).as_deref(), Some("lastUsed isnull"));
        assert_eq!(sent(None, Some("1d"), false).as_deref(), Some(unused));
        assert_eq!(sent(Some(own), Some("1d"), false), Some(format!("({own}) and ({unused})")));
    }

    #[test]
    fn everyones_alone_is_no_choice() {
        assert!(!Choice { all: true, ..Choice::default() }.is_narrow());
        assert!(Choice { all: true, expired: true, ..Choice::default() }.is_narrow());
        assert!(Choice { owner: Some("me".to_owned()), ..Choice::default() }.is_narrow());
    }
}
