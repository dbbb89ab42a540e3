//! Tokens as people read them.

use patron_client::PersonalAccessToken;
use patron_core::pat::{Expiry, State};
use patron_core::time::Timestamp;

use super::super::show::{Grid, Look, Tone};

/// Days before its end from which on a token is shown as ending soon.
const SOON_DAYS: i64 = 14;

/// How a table of tokens is to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) look: Look,
    pub(super) now: Timestamp,
    /// All columns, and dates in full.
    pub(super) wide: bool,
    /// Whether each row tells its owner.
    pub(super) owners: bool,
}

/// The table of these tokens.
pub(super) fn table(pats: &[PersonalAccessToken], style: Style) -> String {
    let has_room = |columns| style.wide || style.look.width.is_none_or(|width| width >= columns);
    let there = COLUMNS.map(|(name, _)| match name {
        "owner" => style.owners || style.wide,
        "owner id" | "managed" | "validity" => style.wide,
        "scope" => has_room(ROOM_FOR_SCOPE),
        "created" => has_room(ROOM_FOR_ALL),
        _ => true,
    });
    let chosen =
        || COLUMNS.iter().zip(there).filter(|(_, there)| *there).map(|((name, cell), _)| (*name, *cell));
    let mut rows = Grid::new(&chosen().map(|(name, _)| name).collect::<Vec<_>>());
    for pat in pats {
        rows.push(chosen().map(|(_, cell)| cell(pat, style)));
    }
    rows.whole(&["id", "expires", "last used", "created", "owner id"]);
    rows.text(style.look)
}

/// Columns from which on a terminal has room for a token's scopes beside the rest.
const ROOM_FOR_SCOPE: u16 = 90;
/// Columns from which on it has room for all that is usually shown.
const ROOM_FOR_ALL: u16 = 110;

/// What a column shows of a token.
type Shown = fn(&PersonalAccessToken, Style) -> (String, Tone);

const COLUMNS: [(&str, Shown); 10] = [
    ("id", |pat, _| plain(pat.id.clone())),
    ("name", |pat, _| plain(pat.name.clone())),
    ("scope", |pat, _| plain(pat.scope.join(" "))),
    ("expires", |pat, style| (style.date(pat.expiration_date), tone(pat, style.now))),
    ("last used", |pat, style| plain(style.date(pat.last_used))),
    ("created", |pat, style| plain(style.date(Some(pat.created)))),
    ("owner", |pat, _| plain(pat.owner.name.clone())),
    ("owner id", |pat, _| plain(pat.owner.id.clone())),
    ("managed", |pat, _| plain(pat.managed.to_string())),
    ("validity", |pat, _| plain(format!("{} s", pat.access_token_validity_seconds))),
];

fn plain(text: String) -> (String, Tone) {
    (text, Tone::Plain)
}

impl Style {
    /// A date as people tell it; in full for a program, or for who wants to know.
    fn date(self, at: Option<Timestamp>) -> String {
        match at {
            None => "never".to_owned(),
            Some(at) if self.look.width.is_none() || self.wide => at.to_string(),
            Some(at) => relative(at, self.now),
        }
    }
}

fn tone(pat: &PersonalAccessToken, now: Timestamp) -> Tone {
    match Expiry::from_date(pat.expiration_date).state(now) {
        State::Expired(_) => Tone::Ended,
        State::Live if pat.expiration_date.is_some_and(|at| at <= now.plus_days(SOON_DAYS)) => Tone::Soon,
        State::Live => Tone::Plain,
    }
}

/// How far a moment is away: `3 days ago`, `in 2 months`.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    // A month as the calendar has it on average.
    const MONTH: i64 = 2_629_746;
    const YEAR: i64 = 12 * MONTH;
    let seconds = (at.millis() - now.millis()) / 1_000;
    let away = seconds.abs();
    if away < MINUTE {
        return if seconds <= 0 { "just now" } else { "in a moment" }.to_owned();
    }
    // Below each bound, the unit. Tokens are made for 90 days, which "in 2 months" would not tell.
    let units =
        [(HOUR, MINUTE, "minute"), (DAY, HOUR, "hour"), (100 * DAY, DAY, "day"), (2 * YEAR, MONTH, "month")];
    let fitting = units.into_iter().find(|(below, ..)| away < *below);
    let (length, unit) = fitting.map_or((YEAR, "year"), |(_, length, unit)| (length, unit));
    // To the nearest, so that a token made for 90 days has 90 left, and not 89.
    let count = (away + length / 2) / length;
    let plural = if count == 1 { "" } else { "s" };
    if seconds < 0 { format!("{count} {unit}{plural} ago") } else { format!("in {count} {unit}{plural}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse("2027-06-01T12:00:00Z").unwrap()
    }

    fn pats() -> Vec<PersonalAccessToken> {
        let pat = |name: &str, used: Option<&str>, expires: Option<&str>| {
            let written = json!({
                "id": "0".repeat(32), "name": name, "scope": ["sp:scopes:all"], "created": "2027-05-31T12:00:00Z",
                "owner": { "type": "IDENTITY", "id": "2", "name": "Jane Doe" }, "lastUsed": used, "expirationDate": expires,
            });
            serde_json::from_value(written).unwrap()
        };
        vec![
            pat("ci", Some("2027-06-01T11:00:00Z"), Some("2027-06-03T12:00:00Z")),
            pat("old\n", None, Some("2027-06-01T11:59:00Z")),
            pat("ever", None, None),
        ]
    }

    fn style(width: Option<u16>) -> Style {
        Style { look: Look { width, colour: false }, now: now(), wide: false, owners: false }
    }

    #[test]
    fn a_terminal_is_told_how_far_away_dates_are() {
        insta::assert_snapshot!(table(&pats(), style(Some(120))), @r"
        id                                name  scope          expires       last used   created
        00000000000000000000000000000000  ci    sp:scopes:all  in 2 days     1 hour ago  1 day ago
        00000000000000000000000000000000  old�  sp:scopes:all  1 minute ago  never       1 day ago
        00000000000000000000000000000000  ever  sp:scopes:all  never         never       1 day ago
        ");
        let coloured = table(&pats(), Style { look: Look { width: Some(120), colour: true }, ..style(None) });
        assert!(
            coloured.contains("\u{1b}[38;5;11min 2 days") && coloured.contains("\u{1b}[38;5;9m1 minute ago"),
            "{coloured:?}"
        );
    }

    #[test]
    fn a_narrow_terminal_wraps_neither_ids_nor_dates() {
        let text = table(&pats(), style(Some(80)));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(
            text.contains(&"0".repeat(32)) && text.contains("1 minute ago") && !text.contains("created"),
            "{text}"
        );
    }

    #[test]
    fn others_are_told_dates_in_full() {
        let style = Style { owners: true, ..style(None) };
        insta::assert_snapshot!(table(&pats()[..1], style), @r"
        id                                name  scope          expires                   last used                 created                   owner
        00000000000000000000000000000000  ci    sp:scopes:all  2027-06-03T12:00:00.000Z  2027-06-01T11:00:00.000Z  2027-05-31T12:00:00.000Z  Jane Doe
        ");
        let wide = Style { wide: true, ..style };
        assert!(
            table(&pats(), wide).lines().next().unwrap().ends_with("owner     owner id  managed  validity")
        );
    }

    #[test]
    fn how_far_a_moment_is_away() {
        let of = |seconds: i64| relative(now().plus_seconds(seconds), now());
        for (seconds, told) in [
            (0, "just now"),
            (-59, "just now"),
            (59, "in a moment"),
            (60, "in 1 minute"),
            (-3_599, "60 minutes ago"),
            (7_200, "in 2 hours"),
            (-86_400, "1 day ago"),
            (60 * 86_400, "in 60 days"),
            (90 * 86_400, "in 90 days"),
            (100 * 86_400, "in 3 months"),
            (-400 * 86_400, "13 months ago"),
            (800 * 86_400, "in 2 years"),
        ] {
            assert_eq!(of(seconds), told, "{seconds}");
        }
    }
}
