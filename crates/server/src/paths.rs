//! What a path says before it is routed: its API version, the rules it follows, the shape of its errors.

use std::borrow::Cow;

use patron_core::pat::Rules;

use crate::respond::Shape;

/// Paths of the PAT API besides `/personal-access-tokens/v1`, each with its version and rules (contract section 5).
/// All of them answer with `X-Deprecated: true`.
pub const OLDER_PAT_PATHS: [(&str, &str, Rules); 5] = [
    ("/v2026/personal-access-tokens", "v2026", Rules::Current),
    ("/v2025/personal-access-tokens", "v2025", Rules::Current),
    ("/v2024/personal-access-tokens", "v2024", Rules::Older),
    ("/v3/personal-access-tokens", "v3", Rules::Older),
    ("/beta/personal-access-tokens", "beta", Rules::Older),
];

/// What a path says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathFacts {
    /// What requests are counted under: `v1`, `v3`, …, `oauth`.
    pub version: &'static str,
    /// Which rules creations and patches follow.
    pub rules: Rules,
    /// Whether the answer carries `X-Deprecated: true`.
    pub deprecated: bool,
    /// In which shape errors are told.
    pub shape: Shape,
}

impl PathFacts {
    /// Reads a path whose slashes are single.
    pub fn of(path: &str) -> Self {
        let under =
            |base: &str| path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if let Some(&(_, version, rules)) = OLDER_PAT_PATHS.iter().find(|(base, ..)| under(base)) {
            return Self { version, rules, deprecated: true, shape: Shape::Api };
        }
        let (version, shape) = if under("/oauth") {
            ("oauth", Shape::OAuth)
        } else if under("/forward-auth") {
            ("forward-auth", Shape::Gateway)
        } else if path == "/" || under("/ui") {
            ("ui", Shape::Page)
        } else {
            ("v1", Shape::Api)
        };
        Self { version, rules: Rules::Current, deprecated: false, shape }
    }
}

/// The path with every run of slashes made one and none at its end, and without needless percent escapes (RFC 3986
/// section 6.2.2.2); the root stays `/`.
pub fn normal(path: &str) -> Cow<'_, str> {
    let is_normal = path.starts_with('/') && !path.contains("//") && !path.contains('%');
    if is_normal && (path == "/" || !path.ends_with('/')) {
        return Cow::Borrowed(path);
    }
    let mut normal = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        normal.push('/');
        push_unescaped(&mut normal, segment);
    }
    if normal.is_empty() {
        normal.push('/');
    }
    Cow::Owned(normal)
}

/// Adds a segment, with the escapes of letters, digits and `-._~` undone: they mean the same as the characters.
fn push_unescaped(to: &mut String, segment: &str) {
    let mut rest = segment;
    while let Some(at) = rest.find('%') {
        to.push_str(&rest[..at]);
        rest = &rest[at..];
        let escaped = rest.get(1..3).and_then(|hex| u8::from_str_radix(hex, 16).ok()).map(char::from);
        if let Some(c) = escaped.filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~')) {
            to.push(c);
            rest = &rest[3..];
        } else {
            to.push('%');
            rest = &rest[1..];
        }
    }
    to.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needless_escapes_are_undone() {
        for (given, expected) in [
            ("/%76%31", "/v1"),
            ("/a%2Fb", "/a%2Fb"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%+1", "/%+1"),
            ("/%zz%7e", "/%zz~"),
            ("/%é1", "/%é1"),
            ("/%2e%2E", "/.."),
        ] {
            assert_eq!(normal(given), expected);
        }
    }

    #[test]
    fn slashes_are_made_single() {
        for (given, expected) in [
            ("//oauth/token", "/oauth/token"),
            ("/a//b/", "/a/b"),
            ("/", "/"),
            ("///", "/"),
            ("", "/"),
            ("/a", "/a"),
        ] {
            assert_eq!(normal(given), expected);
        }
    }

    #[test]
    fn versions_and_rules() {
        let facts = PathFacts::of("/v3/personal-access-tokens/ef38f94347e94562b5bb8424a56397d8");
        assert_eq!((facts.version, facts.rules, facts.deprecated), ("v3", Rules::Older, true));
        let facts = PathFacts::of("/v2025/personal-access-tokens");
        assert_eq!((facts.version, facts.rules, facts.deprecated), ("v2025", Rules::Current, true));
        let facts = PathFacts::of("/personal-access-tokens/v1/bulk-update");
        assert_eq!((facts.version, facts.deprecated), ("v1", false));
        assert_eq!(PathFacts::of("/oauth/token").shape, Shape::OAuth);
        assert_eq!(PathFacts::of("/oauthx").shape, Shape::Api);
        assert!(!PathFacts::of("/v3/personal-access-tokensx").deprecated);
    }
}
