//! Points in time as the API writes them: `2017-07-11T18:45:37.098Z`.

use std::fmt;

use chrono::{DateTime, Datelike, Months, NaiveDate, SecondsFormat, Timelike, Utc};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, between the years 0000 and 9999.
///
/// Written in UTC with exactly three decimals and a `Z` (contract section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Milliseconds of a day of 24 hours.
pub const DAY_MILLIS: i64 = 24 * 3_600 * 1_000;

/// Why a text is no point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATime;

impl fmt::Display for NotATime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no date-time such as 2027-12-31T23:59:59Z")
    }
}

impl std::error::Error for NotATime {}

impl Timestamp {
    /// The last millisecond that can be written: 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);
    /// The first one: 0000-01-01T00:00:00.000Z.
    pub const MIN: Self = Self(-62_167_219_200_000);

    /// `millis` since 1970, drawn into the range that can be written.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down: the unit of a JWT's `iat` and `exp` (RFC 7519 section 2).
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// This moment and `seconds` more.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self::from_millis(self.0.saturating_add(seconds.saturating_mul(1_000)))
    }

    /// This moment and `days` of 24 hours more.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        Self::from_millis(self.0.saturating_add(days.saturating_mul(DAY_MILLIS)))
    }

    /// This moment and `months` calendar months more; a day that the month lacks becomes its last day.
    #[must_use]
    pub fn plus_months(self, months: u32) -> Self {
        self.utc()
            .checked_add_months(Months::new(months))
            .map_or(Self::MAX, |at| Self::from_millis(at.timestamp_millis()))
    }

    /// This moment and `months` calendar months less; a day that the month lacks becomes its last day.
    #[must_use]
    pub fn minus_months(self, months: u32) -> Self {
        self.utc()
            .checked_sub_months(Months::new(months))
            .map_or(Self::MIN, |at| Self::from_millis(at.timestamp_millis()))
    }

    /// Reads an RFC 3339 date-time: `Z` or any offset, 0 to 9 decimals; without an offset it is UTC.
    /// What is finer than a millisecond is cut off.
    pub fn parse(text: &str) -> Result<Self, NotATime> {
        let bytes = text.as_bytes();
        // chrono alone would take a blank for the `T`, and any number of decimals.
        if !text.is_ascii() || bytes.len() < 19 || !matches!(bytes[10], b'T' | b't') {
            return Err(NotATime);
        }
        // Leap seconds are announced half a year ahead: one in the future is a slip of the pen, and it would move on to
        // the next minute here.
        if &bytes[17..19] == b"60" {
            return Err(NotATime);
        }
        let tail = &text[19..];
        let decimals = tail.strip_prefix('.').map(|rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        if decimals.is_some_and(|n| n == 0 || n > 9) {
            return Err(NotATime);
        }
        let zone = &tail[decimals.map_or(0, |n| n + 1)..];
        let parsed = if zone.is_empty() {
            DateTime::parse_from_rfc3339(&format!("{text}Z"))
        } else {
            DateTime::parse_from_rfc3339(text)
        }
        .map_err(|_| NotATime)?;
        let millis = parsed.timestamp_millis();
        if (Self::MIN.0..=Self::MAX.0).contains(&millis) { Ok(Self(millis)) } else { Err(NotATime) }
    }

    fn utc(self) -> DateTime<Utc> {
        // The range of this type is within chrono's, so the fallback cannot be reached.
        DateTime::from_timestamp_millis(self.0).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// The day in UTC, counted from 1970-01-01.
    pub fn day(self) -> i64 {
        self.0.div_euclid(DAY_MILLIS)
    }

    /// The last millisecond of a day, as `--expiration-date 2027-01-31` means it; `None` when it is no day.
    pub fn end_of_day(text: &str) -> Option<Self> {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        let end = day.and_hms_milli_opt(23, 59, 59, 999)?.and_utc();
        (text.len() == 10 && end.year() <= 9999 && end.minute() == 59)
            .then(|| Self::from_millis(end.timestamp_millis()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.utc().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Option<String> {
        Timestamp::parse(text).ok().map(|at| at.to_string())
    }

    #[test]
    fn reads_what_rfc_3339_writes_and_a_missing_offset_as_utc() {
        for (given, shows) in [
            ("2027-12-31T23:59:59.999Z", "2027-12-31T23:59:59.999Z"),
            ("2027-12-31T23:59:59Z", "2027-12-31T23:59:59.000Z"),
            ("2027-12-31T23:59:59", "2027-12-31T23:59:59.000Z"),
            ("2027-12-31T23:59:59.1", "2027-12-31T23:59:59.100Z"),
            ("2027-12-31T23:59:59.123456789Z", "2027-12-31T23:59:59.123Z"),
            ("2027-12-31T23:59:59+02:00", "2027-12-31T21:59:59.000Z"),
            ("2027-12-31t23:59:59.5-11:30", "2028-01-01T11:29:59.500Z"),
            ("2028-02-29T00:00:00z", "2028-02-29T00:00:00.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(shown(given).as_deref(), Some(shows), "{given}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for given in [
            "",
            "2027",
            "2027-12-31",
            "2027-12-31 23:59:59Z",
            "2027-02-29T00:00:00Z",
            "2027-13-01T00:00:00Z",
            "2027-12-31T24:00:00Z",
            "2026-12-31T23:59:60Z",
            "2026-06-15T12:00:60.5Z",
            "2027-12-31T23:59Z",
            "2027-12-31T23:59:59.Z",
            "2027-12-31T23:59:59.0123456789Z",
            "2027-12-31T23:59:59+0200",
            "2027-12-31T23:59:59+02",
            "2027-12-31T23:59:59 Z",
            " 2027-12-31T23:59:59Z",
            "10000-01-01T00:00:00Z",
            "+2027-12-31T23:59:59Z",
            "9999-12-31T23:59:59-01:00",
            "0000-01-01T00:00:00+01:00",
            "2027-12-31T23:59:59Zz",
            "２027-12-31T23:59:59Z",
            "2027-12-31T23:59:59\u{0}",
        ] {
            assert_eq!(shown(given), None, "{given}");
        }
    }

    #[test]
    fn six_calendar_months() {
        let plus = |text: &str| Timestamp::parse(text).unwrap().plus_months(6).to_string();
        assert_eq!(plus("2026-08-31T10:00:00Z"), "2027-02-28T10:00:00.000Z");
        assert_eq!(plus("2027-08-31T10:00:00Z"), "2028-02-29T10:00:00.000Z");
        assert_eq!(plus("2026-01-15T10:00:00.5Z"), "2026-07-15T10:00:00.500Z");
        assert_eq!(plus("9999-12-01T00:00:00Z"), Timestamp::MAX.to_string());
        let minus = |text: &str| Timestamp::parse(text).unwrap().minus_months(6).to_string();
        assert_eq!(minus("2026-08-31T10:00:00.5Z"), "2026-02-28T10:00:00.500Z");
        assert_eq!(minus("0000-01-31T00:00:00Z"), Timestamp::MIN.to_string());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same(millis in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let at = Timestamp::from_millis(millis);
            let text = at.to_string();
            prop_assert_eq!(text.len(), 24);
            prop_assert_eq!(Timestamp::parse(&text), Ok(at));
        }

        #[test]
        fn no_text_breaks_it(text in "\\PC{0,40}") {
            let _ = Timestamp::parse(&text);
            let _ = Timestamp::end_of_day(&text);
        }
    }
}
