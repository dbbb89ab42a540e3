//! Lengths of time as they are typed: `12h`, `90d`, `2w`, `6m`, `1y`.

use std::fmt;
use std::str::FromStr;

use patron_core::time::Timestamp;

/// A length of time: months and years are those of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    count: u32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Hours,
    Days,
    Months,
}

impl Span {
    /// `now` and this much more.
    pub(super) fn after(self, now: Timestamp) -> Timestamp {
        match self.unit {
            Unit::Hours => now.plus_seconds(i64::from(self.count) * 3_600),
            Unit::Days => now.plus_days(self.count.into()),
            Unit::Months => now.plus_months(self.count),
        }
    }

    /// `now` and this much less.
    pub(super) fn before(self, now: Timestamp) -> Timestamp {
        match self.unit {
            Unit::Hours => now.plus_seconds(-i64::from(self.count) * 3_600),
            Unit::Days => now.plus_days(-i64::from(self.count)),
            Unit::Months => now.minus_months(self.count),
        }
    }
}

/// Why a text is no span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSpan {
    /// It does not look like one.
    Other,
    /// It is nothing, or it has a sign.
    Least,
}

impl fmt::Display for NoSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Other => "expected a number and h, d, w, m (months) or y, such as 90d",
            Self::Least => "a span is 1 or more, without a sign, such as 90d",
        })
    }
}

impl std::error::Error for NoSpan {}

impl FromStr for Span {
    type Err = NoSpan;

    fn from_str(text: &str) -> Result<Self, NoSpan> {
        let unit = text.chars().next_back().ok_or(NoSpan::Other)?;
        let written = text.strip_suffix(unit).unwrap_or_default();
        let digits = written.trim_start_matches(['+', '-']);
        let count: u32 = digits.parse().map_err(|_| NoSpan::Other)?;
        let (unit, each) = match unit.to_ascii_lowercase() {
            'h' => (Unit::Hours, 1),
            'd' => (Unit::Days, 1),
            'w' => (Unit::Days, 7),
            'm' => (Unit::Months, 1),
            'y' => (Unit::Months, 12),
            _ => return Err(NoSpan::Other),
        };
        if count == 0 || digits != written {
            return Err(NoSpan::Least);
        }
        // More than the calendar has is a slip of the finger.
        let count = count.checked_mul(each).filter(|count| *count <= 9_999 * 366 * 24);
        Ok(Self { count: count.ok_or(NoSpan::Other)?, unit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_reach_both_ways() {
        let now = Timestamp::parse("2027-03-31T12:00:00Z").unwrap();
        for (text, after, before) in [
            ("12h", "2027-04-01T00:00:00.000Z", "2027-03-31T00:00:00.000Z"),
            ("1d", "2027-04-01T12:00:00.000Z", "2027-03-30T12:00:00.000Z"),
            ("2w", "2027-04-14T12:00:00.000Z", "2027-03-17T12:00:00.000Z"),
            ("1m", "2027-04-30T12:00:00.000Z", "2027-02-28T12:00:00.000Z"),
            ("1Y", "2028-03-31T12:00:00.000Z", "2026-03-31T12:00:00.000Z"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(
                (span.after(now).to_string(), span.before(now).to_string()),
                (after.into(), before.into())
            );
        }
    }

    #[test]
    fn nothing_else_is_one() {
        for text in ["", "d", "90", "0d", "-1d", "+", "1.5d", "90 d", "1s", "d90", "4294967295y", "ä", "1ä"]
        {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        for text in ["0d", "-1d", "+5d", "-0m"] {
            assert_eq!(text.parse::<Span>(), Err(NoSpan::Least), "{text}");
        }
    }
}
