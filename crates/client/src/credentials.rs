use std::fmt;

use patron_api::TokenResponse;
use patron_core::time::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use crate::limits::RENEWED_BEFORE_MILLIS;

/// A PAT to exchange: its id is the `client_id`, its secret the `client_secret` (RFC 6749 section 2.3.1).
///
/// The secret is erased from memory when the last copy goes, and `Debug` does not show it.
#[derive(Clone)]
pub struct Credentials {
    client_id: String,
    client_secret: SecretString,
}

impl Credentials {
    /// A PAT's id and secret.
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<SecretString>) -> Self {
        Self { client_id: client_id.into(), client_secret: client_secret.into() }
    }

    /// The PAT's id.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The PAT's secret.
    pub fn client_secret(&self) -> &SecretString {
        &self.client_secret
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// An access token (RFC 6749 section 1.4), and from when to when it is good.
///
/// `Debug` does not show the token.
#[derive(Debug, Clone)]
pub struct AccessToken {
    token: SecretString,
    scope: String,
    obtained: Timestamp,
    ends: Timestamp,
}

impl AccessToken {
    /// An access token that somebody else has kept; see [`ClientBuilder::access_token`](crate::ClientBuilder::access_token).
    pub fn new(
        token: impl Into<SecretString>,
        scope: impl Into<String>,
        obtained: Timestamp,
        ends: Timestamp,
    ) -> Self {
        Self { token: token.into(), scope: scope.into(), obtained, ends }
    }

    /// What an exchange at `now` answered.
    pub(crate) fn of(answer: TokenResponse, now: Timestamp) -> Self {
        let ends = now.plus_seconds(answer.expires_in.into());
        Self { token: answer.access_token, scope: answer.scope, obtained: now, ends }
    }

    /// The token itself, in the clear.
    pub fn expose(&self) -> &str {
        self.token.expose_secret()
    }

    /// The value of the header `Authorization`: `Bearer …` (RFC 6750 section 2.1), in the clear.
    pub fn header(&self) -> SecretString {
        format!("Bearer {}", self.expose()).into()
    }

    /// Its scopes, a space between.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// When it was obtained.
    pub fn obtained(&self) -> Timestamp {
        self.obtained
    }

    /// When it ends.
    pub fn ends(&self) -> Timestamp {
        self.ends
    }

    /// Whole seconds that it is still good at `now`.
    pub fn seconds_left(&self, now: Timestamp) -> u64 {
        u64::try_from((self.ends.millis() - now.millis()) / 1_000).unwrap_or(0)
    }

    /// Whether it is worth being sent at `now`: good, and not about to end. One that a clock set back makes look as if
    /// it came from the future is not.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let life = self.ends.millis() - self.obtained.millis();
        let margin = RENEWED_BEFORE_MILLIS.min(life / 10);
        self.obtained <= now && now.millis() < self.ends.millis() - margin
    }

    /// Whether it is good at all at `now`.
    pub(crate) fn is_good(&self, now: Timestamp) -> bool {
        now < self.ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_it_ends() {
        let at = |seconds: i64| Timestamp::from_millis(1_000_000 + seconds * 1_000);
        let lives = |seconds: i64| AccessToken::new("t", "", at(0), at(seconds));
        // A minute before it ends, or a tenth of its life.
        assert!(lives(3_600).is_fresh(at(3_539)) && !lives(3_600).is_fresh(at(3_540)));
        assert!(lives(100).is_fresh(at(89)) && !lives(100).is_fresh(at(90)));
        assert!(lives(100).is_good(at(99)) && !lives(100).is_good(at(100)));
        assert_eq!((lives(100).seconds_left(at(1)), lives(100).seconds_left(at(200))), (99, 0));
        // Not from the future, and never one that has no life.
        assert!(!lives(100).is_fresh(at(-1)) && !lives(0).is_fresh(at(0)));
    }

    #[test]
    fn nothing_prints_a_secret() {
        let credentials = Credentials::new("the-id", "the-secret");
        let token = AccessToken::new("the-token", "sp:scopes:all", Timestamp::MIN, Timestamp::MAX);
        let shown = format!("{credentials:?} {token:?} {:?}", token.header());
        assert!(shown.contains("the-id") && shown.contains("sp:scopes:all"), "{shown}");
        assert!(!shown.contains("the-secret") && !shown.contains("the-token"), "{shown}");
    }
}
