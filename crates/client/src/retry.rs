use std::time::Duration;

use patron_core::time::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How a client goes on after 429 (too many requests) and 503 (out of service).
///
/// The server's `Retry-After` is kept to; without one the pauses are half a second, a second, two. What would take
/// longer than `longest_pause` is not waited for: the error tells when to come back.
///
/// A request that was refused with 429 was not carried out and is always repeated. After 503 nobody knows, so there a
/// creation is repeated only when the server answers with the request's own `Idempotency-Key` (IETF draft
/// "The Idempotency-Key HTTP Header Field"), and a patch only when it does the same twice as once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often a request is repeated. 0: never.
    pub repeats: u32,
    /// The longest pause before a repetition.
    pub longest_pause: Duration,
}

/// Three repetitions, with pauses of at most 30 seconds.
impl Default for Retry {
    fn default() -> Self {
        Self { repeats: 3, longest_pause: Duration::from_secs(30) }
    }
}

impl Retry {
    /// No repetitions.
    pub const NEVER: Self = Self { repeats: 0, longest_pause: Duration::ZERO };

    /// How long to wait before repetition number `repeat`, counted from 0; `None` when it is not worth it.
    pub(crate) fn pause(&self, repeat: u32, asked: Option<Duration>) -> Option<Duration> {
        let pause = asked.unwrap_or_else(|| Duration::from_millis(500) * 2u32.saturating_pow(repeat));
        (repeat < self.repeats && pause <= self.longest_pause).then_some(pause)
    }
}

/// What `Retry-After` asks for: seconds, or a date (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(u64::try_from(now.millis()).ok()?);
    Some(at.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::parse("2026-11-22T10:00:00.500Z").unwrap();
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, now)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Sun, 22 Nov 2026 10:00:10 GMT"), Some(Duration::from_millis(9_500)));
        assert_eq!(read("Sun, 22 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn pauses_are_bounded() {
        let retry = Retry::default();
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(retry.pause(0, seconds(30)), seconds(30));
        assert_eq!(retry.pause(0, seconds(31)), None);
        assert_eq!(retry.pause(3, seconds(1)), None);
        assert_eq!(
            (retry.pause(0, None), retry.pause(1, None)),
            (Some(Duration::from_millis(500)), seconds(1))
        );
        assert_eq!(Retry::NEVER.pause(0, Some(Duration::ZERO)), None);
    }
}
