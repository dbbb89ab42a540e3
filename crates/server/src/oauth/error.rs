//! What an OAuth endpoint refuses, as RFC 6749 section 5.2 names it.

use std::fmt;

use patron_core::error::shorten;

/// A refusal of an OAuth endpoint. `Display` is its public description.
///
/// It knows no status: `respond.rs` says which one each becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OAuthError {
    /// A parameter is missing, repeated or malformed, or more than one way of authenticating was used.
    InvalidRequest(String),
    /// No client credentials, or ones that are not (or no longer) good.
    InvalidClient(String),
    /// The grant type is not one that Patron knows (RFC 6749 section 5.2).
    UnsupportedGrantType(String),
    /// A scope that is malformed or exceeds what the PAT has.
    InvalidScope(String),
    /// The client may not do this (RFC 6749 section 5.2, RFC 7009 section 2.1).
    UnauthorizedClient(String),
    /// The body is of a type that these endpoints do not read: 415, `invalid_request` (contract section 6).
    UnsupportedMediaType(String),
}

impl OAuthError {
    /// The value of `error`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) | Self::UnsupportedMediaType(_) => "invalid_request",
            Self::InvalidClient(_) => "invalid_client",
            Self::UnsupportedGrantType(_) => "unsupported_grant_type",
            Self::InvalidScope(_) => "invalid_scope",
            Self::UnauthorizedClient(_) => "unauthorized_client",
        }
    }

    /// The value of `error_description`: only the characters that RFC 6749 section 5.2 allows there.
    pub fn description(&self) -> String {
        let (Self::InvalidRequest(text)
        | Self::InvalidClient(text)
        | Self::UnsupportedGrantType(text)
        | Self::InvalidScope(text)
        | Self::UnauthorizedClient(text)
        | Self::UnsupportedMediaType(text)) = self;
        printable(text)
    }

    /// An `invalid_request` with this description.
    pub(super) fn request(text: impl Into<String>) -> Self {
        Self::InvalidRequest(text.into())
    }

    /// An `invalid_client` with this description.
    pub(super) fn client(text: impl Into<String>) -> Self {
        Self::InvalidClient(text.into())
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description())
    }
}

impl std::error::Error for OAuthError {}

/// `text` in the characters of `error_description`: %x20-21 / %x23-5B / %x5D-7E.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push('\''),
            '…' => out.push_str("..."),
            ' '..='~' if c != '\\' => out.push(c),
            _ => out.push('?'),
        }
    }
    out
}

/// What a caller sent, fit to be said back to it: short, and printable.
pub(super) fn echo(given: &str) -> String {
    printable(&shorten(given))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_refusal_has_the_code_of_its_rfc() {
        let text = String::new;
        for (error, code) in [
            (OAuthError::InvalidRequest(text()), "invalid_request"),
            (OAuthError::InvalidClient(text()), "invalid_client"),
            (OAuthError::UnsupportedGrantType(text()), "unsupported_grant_type"),
            (OAuthError::InvalidScope(text()), "invalid_scope"),
            (OAuthError::UnauthorizedClient(text()), "unauthorized_client"),
            (OAuthError::UnsupportedMediaType(text()), "invalid_request"),
        ] {
            assert_eq!(error.code(), code);
        }
    }

    #[test]
    fn a_description_keeps_what_may_be_said_and_replaces_the_rest() {
        let error = OAuthError::request("Scope \"a\\b\" \u{e9}\n\u{7f} is too long…");
        assert_eq!(error.description(), "Scope 'a?b' ??? is too long...");
        assert_eq!(error.to_string(), error.description());
        assert_eq!(echo(&"x".repeat(100)), format!("{}...", "x".repeat(60)));
    }

    proptest! {
        #[test]
        fn a_description_is_always_of_the_characters_of_rfc_6749(text in any::<String>()) {
            let allowed = |b: u8| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            prop_assert!(OAuthError::InvalidScope(text.clone()).description().bytes().all(allowed));
            prop_assert!(echo(&text).bytes().all(allowed));
        }
    }
}
