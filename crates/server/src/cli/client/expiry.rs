//! When a token is to stop working, as it is said on the command line.

use clap::Args;
use patron_core::time::Timestamp;

use super::span::{NoSpan, Span};
use super::{Caller, Failed, fault, terminal};

/// What has to be typed where `never` is asked for at a terminal.
const ACKNOWLEDGEMENT: &str = "never expires";

#[derive(Args)]
#[group(multiple = false)]
pub(super) struct ExpiryArgs {
    /// When it stops working: 90d from now (or h, w, m, y), 2027-01-31 (that day's end, UTC), 2027-01-31T12:00:00Z, or
    /// never, which asks whether that is meant
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    expires: Option<String>,
    /// The same, as a date alone
    #[arg(long, value_name = "DATE")]
    expiration_date: Option<String>,
    /// It never stops working, a greater risk when it leaks; this is the acknowledgement
    #[arg(long)]
    never_expires: bool,
}

/// When a token is to stop working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    At(Timestamp),
    /// Acknowledged.
    Never,
}

/// The ways to say it, for those who have not.
pub(super) const CHOICES: &str =
    "--expires 90d, --expires 2027-01-31, or --never-expires, which is a greater risk";

impl ExpiryArgs {
    /// What was said, if anything was. Asks where it was `never`.
    pub(super) async fn chosen(&self) -> Result<Option<Expiry>, Failed> {
        let said = match (&self.expires, &self.expiration_date, self.never_expires) {
            (Some(text), ..) => When::read(text, Caller::now())?,
            (None, Some(text), _) => When::At(date(text, Caller::now())?),
            (None, None, true) => return Ok(Some(Expiry::Never)),
            (None, None, false) => return Ok(None),
        };
        match said {
            When::At(at) => Ok(Some(Expiry::At(at))),
            When::Never => acknowledged().await.map(Some),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum When {
    At(Timestamp),
    Never,
}

impl When {
    fn read(text: &str, now: Timestamp) -> Result<Self, Failed> {
        if text.eq_ignore_ascii_case("never") {
            return Ok(Self::Never);
        }
        match text.parse::<Span>() {
            Ok(span) => match span.after(now) {
                Timestamp::MAX => Err(fault::usage(format!("'{text}' from now is beyond the year 9999"))),
                at => Ok(Self::At(at)),
            },
            Err(error @ NoSpan::Least) => Err(fault::usage(format!("'{text}': {error}"))),
            Err(NoSpan::Other) => date(text, now).map(Self::At),
        }
    }
}

/// A day, which means its end, or a moment; not one that has passed, also where no server is asked.
fn date(text: &str, now: Timestamp) -> Result<Timestamp, Failed> {
    let at = Timestamp::end_of_day(text).or_else(|| Timestamp::parse(text).ok());
    let wrong = match at {
        Some(at) if at > now => return Ok(at),
        Some(_) => "has passed: a token ends in the future",
        None => "is no date",
    };
    Err(fault::usage(format!("'{}' {wrong}: {CHOICES}", text.escape_debug())))
}

async fn acknowledged() -> Result<Expiry, Failed> {
    if !terminal::is_attended() {
        return Err(fault::usage(
            "--expires never asks at a terminal, and there is none: --never-expires acknowledges it",
        ));
    }
    fault::say("A token that never expires works for whoever finds it, until somebody deletes it.");
    let typed = terminal::ask(&format!("Type '{ACKNOWLEDGEMENT}' to go on: ")).await?;
    if typed.eq_ignore_ascii_case(ACKNOWLEDGEMENT) {
        Ok(Expiry::Never)
    } else {
        Err("not acknowledged; nothing was done".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_days_moments_and_never() {
        let now = Timestamp::parse("2027-01-01T12:00:00Z").unwrap();
        let at = |text: &str| match When::read(text, now) {
            Ok(When::At(at)) => Some(at.to_string()),
            _ => None,
        };
        assert_eq!(at("90d").as_deref(), Some("2027-04-01T12:00:00.000Z"));
        assert_eq!(at("2027-01-31").as_deref(), Some("2027-01-31T23:59:59.999Z"));
        assert_eq!(at("2027-01-31T12:00:00+02:00").as_deref(), Some("2027-01-31T10:00:00.000Z"));
        for text in ["never", "Never", "NEVER"] {
            assert_eq!(When::read(text, now).unwrap(), When::Never);
        }
        for text in [
            "",
            "soon",
            "2027-02-30",
            "90",
            "99999999y",
            "9000y",
            "0d",
            "+5d",
            "2026-12-31",
            "2027-01-01T12:00:00Z",
        ] {
            assert!(When::read(text, now).is_err(), "{text}");
        }
    }
}
