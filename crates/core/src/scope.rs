//! Scopes: what a PAT is limited to (RFC 6749 section 3.3).

use crate::error::{Detail, Error, Result, shorten};
use crate::limits::{SCOPE_CHARS, SCOPES_PER_PAT};

/// Grants every right of the owner's levels and makes other scopes moot.
pub const ALL: &str = "sp:scopes:all";
/// Grants no right: only endpoints that ask for none.
pub const DEFAULT: &str = "sp:scopes:default";

/// The scopes of a PAT or an access token: at least one, no repeats, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeList(Vec<String>);

impl ScopeList {
    /// Every right of the owner: what a PAT gets that names no scope.
    pub fn all() -> Self {
        Self(vec![ALL.to_owned()])
    }

    /// Reads the scopes of a request. None given is [`ScopeList::all`]; an empty list is `["sp:scopes:default"]`;
    /// repeats are dropped.
    pub fn from_request(given: Option<Vec<String>>) -> Result<Self> {
        given.map_or_else(|| Ok(Self::all()), |given| Self::checked(given).map_err(|error| error.at("scope")))
    }

    fn checked(given: Vec<String>) -> Result<Self> {
        let mut scopes: Vec<String> = Vec::with_capacity(given.len().min(SCOPES_PER_PAT));
        for scope in given {
            if scope.chars().count() > SCOPE_CHARS {
                return Err(Error::invalid(
                    Detail::Length,
                    format!("A scope has more than {SCOPE_CHARS} characters."),
                ));
            }
            if !is_scope_token(&scope) {
                let text = format!("Scope '{}' has characters that a scope cannot have.", shorten(&scope));
                return Err(Error::invalid(Detail::Value, text));
            }
            if scopes.contains(&scope) {
                continue;
            }
            if scopes.len() == SCOPES_PER_PAT {
                return Err(Error::invalid(
                    Detail::Length,
                    format!("Field 'scope' has more than {SCOPES_PER_PAT} scopes."),
                ));
            }
            scopes.push(scope);
        }
        Ok(Self::from_kept(scopes))
    }

    /// Scopes that were checked when they were stored or signed.
    pub fn from_kept(mut scopes: Vec<String>) -> Self {
        if scopes.is_empty() {
            scopes.push(DEFAULT.to_owned());
        }
        Self(scopes)
    }

    /// Reads the `scope` parameter of a token request: tokens with one space between (RFC 6749 section 3.3).
    pub fn parse_parameter(given: &str) -> Option<Self> {
        let scopes: Vec<String> = given.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect();
        if scopes.is_empty() {
            return None;
        }
        Self::from_request(Some(scopes)).ok()
    }

    /// The scopes.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Whether one of them is [`ALL`].
    pub fn grants_all(&self) -> bool {
        self.0.iter().any(|scope| scope == ALL)
    }

    /// As one string with a space between: the `scope` claim (RFC 9068 section 2.2.3).
    pub fn joined(&self) -> String {
        self.0.join(" ")
    }
}

/// RFC 6749 section 3.3: `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`.
pub fn is_scope_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[&str]) -> Result<ScopeList> {
        ScopeList::from_request(Some(given.iter().map(|&s| s.to_owned()).collect()))
    }

    fn detail(given: &[&str]) -> Detail {
        match read(given) {
            Err(Error::Invalid { detail, .. }) => detail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn none_is_all_and_empty_is_default() {
        assert_eq!(ScopeList::from_request(None).unwrap().as_slice(), [ALL]);
        assert_eq!(read(&[]).unwrap().as_slice(), [DEFAULT]);
    }

    #[test]
    fn repeats_are_dropped_and_the_order_kept() {
        assert_eq!(read(&["b", "a", "b"]).unwrap().as_slice(), ["b", "a"]);
        assert!(read(&["a"; 300]).is_ok());
    }

    #[test]
    fn limits_and_characters() {
        let many: Vec<String> = (0..101).map(|n| format!("s{n}")).collect();
        assert_eq!(detail(&many.iter().map(String::as_str).collect::<Vec<_>>()), Detail::Length);
        assert!(read(&many[..100].iter().map(String::as_str).collect::<Vec<_>>()).is_ok());
        assert_eq!(detail(&[&"s".repeat(256)]), Detail::Length);
        assert!(read(&[&"s".repeat(255)]).is_ok());
        for bad in ["", "a b", "a\"b", "a\\b", "é", "a\u{0}", "a\u{7f}"] {
            assert_eq!(detail(&[bad]), Detail::Value, "{bad:?}");
        }
    }
}
