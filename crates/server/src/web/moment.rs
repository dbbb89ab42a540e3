//! Points in time as people read them: in their own time zone, with how long ago or ahead beside.

use jiff::Timestamp as Instant;
use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::sync::LazyLock;

use patron_core::time::Timestamp;

use super::texts::texts;

/// The zones of the world (IANA), inside the binary: what a machine has of them does not matter.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

const SECONDS_A_MINUTE: i64 = 60;
const SECONDS_AN_HOUR: i64 = 3_600;
const SECONDS_A_DAY: i64 = 86_400;

/// How many days ahead a token's expiry is offered without looking at a calendar.
pub const DAYS: [u32; 3] = [30, 60, 90];

/// The choice of days that a form sent; `None` when it is none of [`DAYS`].
pub fn chosen_days(text: &str) -> Option<i64> {
    DAYS.iter().find(|days| days.to_string() == text).copied().map(i64::from)
}

/// The reader's time zone.
#[derive(Debug, Clone)]
pub struct Zone {
    zone: TimeZone,
    name: String,
}

impl Default for Zone {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, name: "UTC".to_owned() }
    }
}

impl Zone {
    /// The zone of this IANA name (`Europe/Berlin`); `None` when there is none of it.
    pub fn named(name: &str) -> Option<Self> {
        let zone = ZONES.get(name).ok()?;
        Some(Self { name: zone.iana_name().unwrap_or(name).to_owned(), zone })
    }

    /// Its IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of all zones, in the order of the alphabet.
    pub fn names() -> Vec<String> {
        let mut names: Vec<String> = ZONES.available().map(|name| name.to_string()).collect();
        names.sort_unstable();
        names
    }

    fn local(&self, at: Timestamp) -> DateTime {
        // The library's calendar ends a day before the API's; that last day is shown as the one before.
        // It takes no milliseconds in the last second that it knows.
        let (first, last) = (Instant::MIN.as_second() * 1_000, Instant::MAX.as_second() * 1_000);
        let at = Instant::from_millisecond(at.millis().clamp(first, last));
        at.map_or(DateTime::ZERO, |at| self.zone.to_datetime(at))
    }

    /// The last second of a day, written `2027-01-31`, in this zone; `None` when it is no day.
    pub fn end_of_day(&self, day: &str) -> Option<Timestamp> {
        self.at(day, 23, 59, 59)
    }

    /// The first second of a day in this zone.
    pub fn start_of_day(&self, day: &str) -> Option<Timestamp> {
        self.at(day, 0, 0, 0)
    }

    fn at(&self, day: &str, hour: i8, minute: i8, second: i8) -> Option<Timestamp> {
        let date: Date = day.parse().ok().filter(|_| day.len() == 10)?;
        let at = self.zone.to_ambiguous_timestamp(date.at(hour, minute, second, 0)).compatible();
        // Only the last day of the calendar has no such moment everywhere.
        Some(at.map_or(Timestamp::MAX, |at| Timestamp::from_millis(at.as_millisecond())))
    }

    /// The day of a moment, as a date field takes it: `2027-01-31`.
    pub fn day(&self, at: Timestamp) -> String {
        self.local(at).date().to_string()
    }

    /// The day of a moment without its year, where there is little room: `31 Jan`.
    pub fn short_day(&self, at: Timestamp) -> String {
        self.local(at).date().strftime("%-d %b").to_string()
    }

    /// A moment as people of this zone read it.
    pub fn moment(&self, at: Timestamp, now: Timestamp) -> Moment {
        let local = self.local(at);
        let day = local.date().strftime("%-d %b %Y").to_string();
        let full = format!("{} {}", local.strftime("%-d %B %Y, %H:%M:%S"), self.name);
        Moment {
            iso: at.to_string(),
            time: local.strftime("%H:%M").to_string(),
            day,
            full,
            away: away(at, now),
        }
    }
}

/// A point in time, written for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// For programs: the `datetime` attribute.
    pub iso: String,
    /// `31 Jan 2027`
    pub day: String,
    /// `13:05`
    pub time: String,
    /// To the second, with the zone's name.
    pub full: String,
    /// `3 days ago`, `in 3 days`.
    pub away: String,
}

/// Whole days from now until then, rounded up; 0 when it has come.
pub fn days_until(at: Timestamp, now: Timestamp) -> u64 {
    let seconds = at.seconds() - now.seconds();
    u64::try_from((seconds + SECONDS_A_DAY - 1).div_euclid(SECONDS_A_DAY)).unwrap_or(0)
}

fn away(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.seconds() - now.seconds();
    let (unit, size) = match seconds.unsigned_abs() {
        0..60 => return texts().get("just-now"),
        60..3_600 => ("minutes", SECONDS_A_MINUTE),
        3_600..86_400 => ("hours", SECONDS_AN_HOUR),
        86_400..31_536_000 => ("days", SECONDS_A_DAY),
        _ => ("years", 365 * SECONDS_A_DAY),
    };
    let count = seconds.unsigned_abs() / size.unsigned_abs();
    let way = if seconds < 0 { "ago-" } else { "ahead-" };
    texts().count(&format!("{way}{unit}"), count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn moments_are_of_the_readers_zone() {
        let now = at("2027-03-01T12:00:00Z");
        let utc = Zone::default().moment(at("2027-02-26T23:30:05.9Z"), now);
        assert_eq!(utc.iso, "2027-02-26T23:30:05.900Z");
        assert_eq!(
            (utc.day.as_str(), utc.time.as_str(), utc.away.as_str()),
            ("26 Feb 2027", "23:30", "2 days ago")
        );
        let berlin = Zone::named("Europe/Berlin").unwrap().moment(at("2027-02-26T23:30:05.9Z"), now);
        assert_eq!((berlin.day.as_str(), berlin.time.as_str()), ("27 Feb 2027", "00:30"));
        assert_eq!(berlin.full, "27 February 2027, 00:30:05 Europe/Berlin");
        assert!(Zone::named("Europe/Atlantis").is_none() && Zone::named("../etc/passwd").is_none());
        assert!(Zone::names().len() > 300);
    }

    #[test]
    fn days_end_where_the_reader_is() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        assert_eq!(berlin.end_of_day("2027-01-31"), Some(at("2027-01-31T22:59:59Z")));
        assert_eq!(berlin.start_of_day("2027-07-01"), Some(at("2027-06-30T22:00:00Z")));
        assert_eq!(Zone::default().end_of_day("9999-12-31"), Some(Timestamp::MAX));
        for wrong in ["", "2027-02-30", "31.01.2027", "2027-1-31", "2027-01-31T00:00", "+02027-01-31"] {
            assert_eq!(berlin.end_of_day(wrong), None, "{wrong}");
        }
        assert_eq!(berlin.day(at("2027-01-31T23:30:00Z")), "2027-02-01");
        assert_eq!(berlin.short_day(at("2027-01-31T23:30:00Z")), "1 Feb");
    }

    #[test]
    fn the_ends_of_time_can_be_shown() {
        for zone in ["Pacific/Kiritimati", "Pacific/Niue"] {
            let zone = Zone::named(zone).unwrap();
            for at in [Timestamp::MIN, Timestamp::MAX] {
                let day = zone.moment(at, Timestamp::from_millis(0)).day;
                let years = if at == Timestamp::MAX { ["9999", "9999"] } else { ["Jan 0", "Dec -"] };
                assert!(years.iter().any(|year| day.contains(year)), "{day}");
            }
        }
    }

    #[test]
    fn distances_are_told_in_one_unit() {
        let now = at("2027-03-01T12:00:00Z");
        for (seconds, text) in [
            (-1, "just now"),
            (-60, "1 minute ago"),
            (-7_200, "2 hours ago"),
            (-86_400 * 400, "1 year ago"),
            (3_599, "in 59 minutes"),
            (86_400 * 30, "in 30 days"),
        ] {
            assert_eq!(away(now.plus_seconds(seconds), now), text);
        }
        assert_eq!(days_until(now.plus_seconds(1), now), 1);
        assert_eq!(days_until(now.plus_seconds(86_400), now), 1);
        assert_eq!(days_until(now.plus_seconds(-5), now), 0);
    }
}
