//! Names: of PATs, identities and tenants.

use std::fmt;

use crate::error::{Detail, Error, Result};
use crate::limits::{NAME_CHARS, TENANT_NAME_CHARS};

/// Reads a name that a person gave: trimmed, 1 to [`NAME_CHARS`] characters, no control characters.
/// `field` is what the caller calls it, for the error's text.
pub fn person_given(field: &'static str, given: &str) -> Result<String> {
    let name = given.trim();
    if name.is_empty() {
        return Err(Error::invalid(Detail::Missing, format!("Field '{field}' is required.")).at(field));
    }
    if name.chars().count() > NAME_CHARS {
        return Err(Error::invalid(
            Detail::Length,
            format!("Field '{field}' has more than {NAME_CHARS} characters."),
        )
        .at(field));
    }
    if name.chars().any(char::is_control) {
        return Err(
            Error::invalid(Detail::Value, format!("Field '{field}' has control characters.")).at(field)
        );
    }
    Ok(name.to_owned())
}

/// Whether the name of anything that is kept can be this text or contain it: at most [`NAME_CHARS`] characters, no
/// control characters. Asked before a text from outside is looked for, since an engine may refuse what no name has:
/// PostgreSQL knows no text with a NUL in it.
pub fn could_be_name(text: &str) -> bool {
    // No character takes more than 4 bytes, so that a long text is not counted.
    text.len() <= 4 * NAME_CHARS && text.chars().count() <= NAME_CHARS && !text.chars().any(char::is_control)
}

/// Whether a character in a text that somebody chose would move a terminal's cursor, break its line or turn the line's
/// direction: controls, the Unicode line separators, and the marks of the bidirectional algorithm (UAX #9 section 2).
pub fn moves_cursor(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// The name of a tenant: a DNS label of lowercase letters, digits and inner hyphens, at most 63.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantName(String);

impl TenantName {
    /// The tenant of every host name that is not under the tenant domain.
    pub const DEFAULT: &'static str = "default";

    /// Reads a tenant's name.
    pub fn parse(given: &str) -> Result<Self> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if given.is_empty() {
            return Err(Error::invalid(Detail::Missing, "A tenant needs a name."));
        }
        if given.len() > TENANT_NAME_CHARS {
            return Err(Error::invalid(
                Detail::Length,
                format!("A tenant's name has at most {TENANT_NAME_CHARS} characters."),
            ));
        }
        if !given.bytes().all(allowed) || given.starts_with('-') || given.ends_with('-') {
            return Err(Error::invalid(
                Detail::Value,
                "A tenant's name has lowercase letters, digits and inner hyphens only.",
            ));
        }
        // Such labels are reserved (RFC 5891 section 4.2.3.1): in a URL they mean a name in another script, or nothing.
        if given.get(2..4) == Some("--") {
            return Err(Error::invalid(
                Detail::Value,
                "A tenant's name has no two hyphens in the third and fourth place.",
            ));
        }
        Ok(Self(given.to_owned()))
    }

    /// The default tenant's name.
    pub fn default_tenant() -> Self {
        Self(Self::DEFAULT.to_owned())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(person_given("name", "  NodeJS Integration\n").unwrap(), "NodeJS Integration");
        assert_eq!(person_given("name", &"名".repeat(255)).unwrap().chars().count(), 255);
        let code = |given: &str| match person_given("name", given) {
            Err(Error::Invalid { detail, .. }) => Some(detail),
            _ => None,
        };
        assert_eq!(code(" \t\n"), Some(Detail::Missing));
        assert_eq!(code(&"a".repeat(256)), Some(Detail::Length));
        assert_eq!(code("a\u{0}b"), Some(Detail::Value));
        assert_eq!(code("a\u{85}b"), Some(Detail::Value));
        assert_eq!(code("<script>\u{202e}👩‍🚀"), None);
    }

    #[test]
    fn no_name_is_longer_or_has_control_characters() {
        for text in ["", "a", " ", "<\u{202e}👩‍🚀", &"名".repeat(255), &"🚀".repeat(255)] {
            assert!(could_be_name(text), "{text}");
        }
        for text in ["\u{0}", "a\u{0}b", "\n", "\u{85}", &"a".repeat(256), &"🚀".repeat(256)] {
            assert!(!could_be_name(text), "{text:?}");
        }
    }

    #[test]
    fn tenants_are_dns_labels() {
        for good in ["a", "acme", "a-1", "0", &"a".repeat(63)] {
            assert!(TenantName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "xn--a", "ab--c", "Acme", "a.b", "a_b", "é", &"a".repeat(64)] {
            assert!(TenantName::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_name_reads_as_itself(given in "\\PC{0,300}") {
            if let Ok(name) = person_given("name", &given) {
                prop_assert!(could_be_name(&name));
                prop_assert_eq!(person_given("name", &name).unwrap(), name);
            }
        }
    }
}
