//! Who asks, and by which name, when proxies stand in front (contract section 8, `trusted_proxies`).
//!
//! Anybody can send `X-Forwarded-For` and its kin, so they count only when the connection comes from a trusted
//! proxy, and only as far as trusted proxies vouch for them:
//!
//! - Addresses are read from the right, since each proxy adds at the end. Trusted proxies are stepped over; the
//!   first address that is not one is the client, and whatever stands left of it is hearsay.
//! - Of host, protocol and prefix the last value counts: the one that the nearest proxy set or added.
//! - `X-Forwarded-For`, `-Proto` and `-Host` win over RFC 7239's `Forwarded`: where one of them is present,
//!   `Forwarded` is ignored altogether. A proxy that sets one kind mostly passes the other on as its client sent
//!   it, and proxies that set `X-Forwarded-*` are by far the more common. A proxy that sets `Forwarded` must
//!   therefore drop the others.
//!
//! A proxy must set each of these headers or drop it; one that it passes on as it came is believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::limits::{HOST_BYTES, PREFIX_BYTES};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// What is known of a request's origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// Who asks: the peer, or the nearest address that no trusted proxy has. Never an IPv4 address written as IPv6.
    pub client: IpAddr,
    /// The host that was asked for, lowercase, with its port if one was given. `None`: no trusted proxy said; the
    /// request's own `Host` counts.
    pub host: Option<String>,
    /// Whether the client speaks HTTPS. `None`: no trusted proxy said.
    pub https: Option<bool>,
    /// The path that the nearest proxy took off in front: `/patron`, no slash at its end, only unreserved characters
    /// of RFC 3986 and single slashes.
    pub prefix: Option<String>,
}

/// Reads the headers of a request that came over a connection from `peer`.
pub fn resolve(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Forwarded {
    let peer = peer.to_canonical();
    let is_proxy = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if !is_proxy(&peer) {
        return Forwarded { client: peer, host: None, https: None, prefix: None };
    }
    let prefix = last(&joined(headers, &X_FORWARDED_PREFIX)).and_then(prefix);
    let of_x = [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO];
    if of_x.iter().any(|name| headers.contains_key(name)) {
        let hops = joined(headers, &X_FORWARDED_FOR);
        Forwarded {
            client: client(peer, elements(&hops).map(node), is_proxy),
            host: last(&joined(headers, &X_FORWARDED_HOST)).and_then(host),
            https: last(&joined(headers, &X_FORWARDED_PROTO)).and_then(https),
            prefix,
        }
    } else {
        let hops = joined(headers, &http::header::FORWARDED);
        let nearest = elements(&hops).next();
        let of_nearest = |name| nearest.and_then(|element| parameter(element, name));
        Forwarded {
            client: client(peer, elements(&hops).map(|element| node(&parameter(element, "for")?)), is_proxy),
            host: of_nearest("host").as_deref().and_then(host),
            https: of_nearest("proto").as_deref().and_then(https),
            prefix,
        }
    }
}

/// The first of `hops`, nearest first, that is no trusted proxy. What is no address ends the walk at the last one
/// that was.
fn client(
    peer: IpAddr,
    hops: impl Iterator<Item = Option<IpAddr>>,
    is_proxy: impl Fn(&IpAddr) -> bool,
) -> IpAddr {
    let mut client = peer;
    for hop in hops {
        let Some(address) = hop else { break };
        client = address;
        if !is_proxy(&address) {
            break;
        }
    }
    client
}

/// All lines of a header as one list (RFC 9110 section 5.3). Bytes that are no text stay something that parses as
/// nothing, so that they spoil their own element alone.
fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let lines: Vec<_> =
        headers.get_all(name).iter().map(HeaderValue::as_bytes).map(String::from_utf8_lossy).collect();
    lines.join(",")
}

/// The elements of a list, last first; empty ones are none (RFC 9110 section 5.6.1).
fn elements(list: &str) -> impl Iterator<Item = &str> {
    from_the_right(list, b',').filter(|element| !element.is_empty())
}

fn last(list: &str) -> Option<&str> {
    elements(list).next()
}

/// The parts between separators outside quotes, trimmed, last first.
///
/// It starts at the right because that is the end that trusted proxies wrote: a quote that a client leaves open
/// cannot swallow what stands behind it.
fn from_the_right(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let bytes = text.as_bytes();
        let mut quoted = false;
        for at in (0..bytes.len()).rev() {
            if bytes[at] == b'"' {
                let backslashes = bytes[..at].iter().rev().take_while(|&&byte| byte == b'\\').count();
                quoted ^= backslashes % 2 == 0;
            } else if bytes[at] == separator && !quoted {
                rest = Some(&text[..at]);
                return Some(text[at + 1..].trim());
            }
        }
        rest = None;
        Some(text.trim())
    })
}

/// A parameter of an element of `Forwarded`, unquoted; `None` when it is missing, given twice or broken.
fn parameter(element: &str, name: &str) -> Option<String> {
    let mut values = from_the_right(element, b';')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value);
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    let Some(quoted) = value.strip_prefix('"') else {
        return (!value.contains('"')).then(|| value.to_owned());
    };
    let mut text = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => text.push(characters.next()?),
            character => text.push(character),
        }
    }
    characters.next().is_none().then_some(text)
}

/// An address as `X-Forwarded-For` and `Forwarded` spell it: bare, in brackets, with a port. Names that hide an
/// address (`unknown`, `_proxy`; RFC 7239 section 6.3) are none.
fn node(text: &str) -> Option<IpAddr> {
    let address = if let Ok(bare) = text.parse::<IpAddr>() {
        bare
    } else if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        if !(port.is_empty() || is_port(port.strip_prefix(':')?)) {
            return None;
        }
        address.parse::<Ipv6Addr>().ok()?.into()
    } else {
        let (address, port) = text.split_once(':')?;
        if !is_port(port) {
            return None;
        }
        address.parse::<Ipv4Addr>().ok()?.into()
    };
    Some(address.to_canonical())
}

/// A port as RFC 7239 section 6 has it: up to five digits, or a name after an underscore.
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(name) => {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        }
        None => (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()),
    }
}

fn host(text: &str) -> Option<String> {
    let authority: Authority = text.parse().ok().filter(|_| text.len() <= HOST_BYTES)?;
    let name = authority.host();
    let plain =
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) || name.starts_with('[');
    let whole = match authority.port() {
        Some(port) => authority.as_str() == format!("{name}:{port}"),
        None => authority.as_str() == name,
    };
    (plain && whole && !name.is_empty()).then(|| text.to_ascii_lowercase())
}

fn https(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("https") {
        Some(true)
    } else if text.eq_ignore_ascii_case("http") {
        Some(false)
    } else {
        None
    }
}

/// The prefix is put in front of links and redirects, so nothing in it may lead elsewhere: no `//host`, no dots
/// that climb, nothing encoded.
fn prefix(text: &str) -> Option<String> {
    if text.len() > PREFIX_BYTES {
        return None;
    }
    let path = text.strip_suffix('/').unwrap_or(text);
    let segments = path.strip_prefix('/')?;
    let plain = |segment: &str| {
        !segment.is_empty()
            && segment != "."
            && !segment.contains("..")
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    };
    segments.split('/').all(plain).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn trusted() -> Vec<IpNet> {
        ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap()).to_vec()
    }

    fn ask(peer: &str, lines: &[(&str, &str)]) -> Forwarded {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        resolve(ip(peer), &headers, &trusted())
    }

    fn client_of(header: &str, value: &str) -> String {
        ask(PROXY, &[(header, value)]).client.to_string()
    }

    #[test]
    fn a_stranger_says_what_it_likes_and_nothing_counts() {
        let lines = [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/evil"),
            ("forwarded", "for=203.0.113.9;host=evil.example;proto=https"),
        ];
        let nothing = Forwarded { client: ip("198.51.100.1"), host: None, https: None, prefix: None };
        assert_eq!(ask("198.51.100.1", &lines), nothing);
        assert_eq!(ask("::ffff:198.51.100.1", &lines), nothing, "an IPv4 peer on an IPv6 socket");
        assert_eq!(resolve(ip(PROXY), &HeaderMap::new(), &[]).client, ip(PROXY));
    }

    #[test]
    fn a_trusted_proxy_says_who_where_and_how() {
        let said = Forwarded {
            client: ip("203.0.113.9"),
            host: Some("acme.api.example.com:8443".to_owned()),
            https: Some(true),
            prefix: Some("/patron".to_owned()),
        };
        for peer in [PROXY, "::ffff:10.0.0.1", "fd00::1"] {
            let x = ask(
                peer,
                &[
                    ("x-forwarded-for", "203.0.113.9"),
                    ("x-forwarded-host", "Acme.API.example.com:8443"),
                    ("x-forwarded-proto", "HTTPS"),
                    ("x-forwarded-prefix", "/patron/"),
                ],
            );
            assert_eq!(x, said, "{peer}");
            let rfc = ask(
                peer,
                &[
                    ("forwarded", "For=203.0.113.9; Proto=https ;HOST=\"acme.api.example.com:8443\""),
                    ("x-forwarded-prefix", "/patron"),
                ],
            );
            assert_eq!(rfc, said, "{peer}");
        }
    }

    #[test]
    fn addresses_are_walked_from_the_right_over_trusted_proxies() {
        for (value, client) in [
            ("203.0.113.9", "203.0.113.9"),
            ("1.1.1.1, 203.0.113.9", "203.0.113.9"),
            ("1.1.1.1, 203.0.113.9, 10.2.2.2 ,10.1.1.1", "203.0.113.9"),
            ("10.9.9.9, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
            ("203.0.113.9, fd00::7", "203.0.113.9"),
            // All of them are proxies: the farthest asks for itself.
            ("10.3.3.3, 10.2.2.2", "10.3.3.3"),
            // Rubbish ends the walk.
            ("203.0.113.9, rubbish, 10.2.2.2", "10.2.2.2"),
            ("203.0.113.9, unknown", PROXY),
            ("203.0.113.9, 10.2.2.2, 999.1.1.1", PROXY),
            ("203.0.113.9, \u{fffd}, 10.2.2.2", "10.2.2.2"),
            ("", PROXY),
            (" , ,", PROXY),
            ("203.0.113.9,,", "203.0.113.9"),
            // Ports and brackets.
            ("203.0.113.9:4711", "203.0.113.9"),
            ("2001:db8::9", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("[2001:db8::9]:4711", "2001:db8::9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("203.0.113.9, ::ffff:10.4.4.4", "203.0.113.9"),
            ("[2001:db8::9]4711", PROXY),
            ("[203.0.113.9]", PROXY),
            ("203.0.113.9:port", PROXY),
            ("203.0.113.9:123456", PROXY),
            ("fe80::1%eth0", PROXY),
        ] {
            assert_eq!(client_of("x-forwarded-for", value), client, "{value:?}");
        }
    }

    #[test]
    fn many_lines_are_one_list() {
        let lines = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "203.0.113.9, 10.1.1.1")];
        assert_eq!(ask(PROXY, &lines).client, ip("203.0.113.9"));
        let lines =
            [("forwarded", "for=1.1.1.1"), ("forwarded", "for=203.0.113.9"), ("forwarded", "for=10.1.1.1")];
        assert_eq!(ask(PROXY, &lines).client, ip("203.0.113.9"));
    }

    #[test]
    fn rfc_7239_in_all_its_spellings() {
        for (value, client) in [
            ("for=203.0.113.9", "203.0.113.9"),
            ("FOR=\"203.0.113.9:47011\"", "203.0.113.9"),
            ("for=\"[2001:db8::9]:47011\";by=10.0.0.1", "2001:db8::9"),
            ("for=\"[2001:db8::9]:_port\"", "2001:db8::9"),
            ("for=\"203\\.0.113.9\"", "203.0.113.9"),
            ("for=1.1.1.1, for=203.0.113.9;proto=http, for=10.1.1.1", "203.0.113.9"),
            ("for=1.1.1.1, for=_hidden, for=10.1.1.1", "10.1.1.1"),
            ("for=unknown", PROXY),
            ("by=1.1.1.1", PROXY),
            ("for=1.1.1.1;for=2.2.2.2", PROXY),
            ("for=\"1.1.1.1", PROXY),
            ("for=1.1.1.1\"", PROXY),
            ("for=\"1.1.1.1\"x", PROXY),
            ("for", PROXY),
        ] {
            assert_eq!(client_of("forwarded", value), client, "{value:?}");
        }
    }

    #[test]
    fn quotes_that_a_client_leaves_open_hide_nothing() {
        for spoof in ["for=\"", "for=\"1.1.1.1", "for=1.1.1.1;host=\"evil.example", "\"", "\\\"", "for=\"a\\"]
        {
            let value = format!("{spoof}, for=203.0.113.9;host=good.example;proto=https");
            let found = ask(PROXY, &[("forwarded", &value)]);
            assert_eq!(found.client, ip("203.0.113.9"), "{value}");
            assert_eq!(found.host.as_deref(), Some("good.example"), "{value}");
            assert_eq!(found.https, Some(true), "{value}");
        }
        // Separators inside quotes separate nothing.
        let found =
            ask(PROXY, &[("forwarded", "for=203.0.113.9;secret=\"a, for=1.1.1.1;host=evil.example\"")]);
        assert_eq!((found.client, found.host), (ip("203.0.113.9"), None));
    }

    #[test]
    fn where_both_kinds_are_present_forwarded_is_ignored() {
        let spoof = ("forwarded", "for=1.1.1.1;host=evil.example;proto=https");
        for own in
            [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "http"), ("x-forwarded-host", "h")]
        {
            let found = ask(PROXY, &[spoof, own]);
            assert_ne!(found.client, ip("1.1.1.1"), "{own:?}");
            assert_ne!(found.host.as_deref(), Some("evil.example"), "{own:?}");
            assert_ne!(found.https, Some(true), "{own:?}");
        }
    }

    #[test]
    fn of_host_proto_and_prefix_the_nearest_proxys_counts() {
        let found = ask(
            PROXY,
            &[
                ("x-forwarded-host", "evil.example, good.example"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-prefix", "/evil,/good"),
            ],
        );
        assert_eq!(found.host.as_deref(), Some("good.example"));
        assert_eq!(found.https, Some(false));
        assert_eq!(found.prefix.as_deref(), Some("/good"));
        let found =
            ask(PROXY, &[("forwarded", "for=1.1.1.1;host=evil.example;proto=https, for=203.0.113.9")]);
        assert_eq!((found.host, found.https), (None, None));
    }

    #[test]
    fn hosts_and_protocols_that_are_none_are_ignored() {
        for good in ["a", "a.example", "A_b.example:1", "127.0.0.1:8080", "[::1]", "[2001:db8::1]:443"] {
            let found = ask(PROXY, &[("x-forwarded-host", good)]);
            assert_eq!(found.host, Some(good.to_ascii_lowercase()));
        }
        let long = "a".repeat(HOST_BYTES + 1);
        for bad in [
            "",
            "u@a.example",
            "a.example/x",
            "a b",
            "a:b",
            ":80",
            "a:",
            "a%41",
            "a\"b",
            "ä",
            "a:99999",
            "[x",
            &long,
        ] {
            assert_eq!(ask(PROXY, &[("x-forwarded-host", bad)]).host, None, "{bad:?}");
        }
        for bad in ["", "ftp", "https:", "https https"] {
            assert_eq!(ask(PROXY, &[("x-forwarded-proto", bad)]).https, None, "{bad:?}");
        }
    }

    #[test]
    fn a_prefix_leads_nowhere_else() {
        for (good, read) in [("/a", "/a"), ("/a/", "/a"), ("/a-b/C.d_e~1/", "/a-b/C.d_e~1")] {
            assert_eq!(ask(PROXY, &[("x-forwarded-prefix", good)]).prefix.as_deref(), Some(read));
        }
        let long = format!("/{}", "a".repeat(PREFIX_BYTES));
        for bad in [
            "",
            "/",
            "//",
            "a",
            "a/b",
            "//evil.example",
            "/a//b",
            "/a//",
            "/..",
            "/../a",
            "/a/..",
            "/a..b",
            "/./a",
            "/%2e%2e",
            "/a b",
            "/a?b",
            "/a#b",
            "/a\\b",
            "/a\"b",
            "/<b>",
            "/ä",
            "https://evil.example",
            "/a:b",
            &long,
        ] {
            assert_eq!(ask(PROXY, &[("x-forwarded-prefix", bad)]).prefix, None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_breaks_it(
            lines in prop::collection::vec(
                (0_usize..5, prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..40),
                    "[a-z0-9=,;:\"\\\\\\[\\]./ ]{0,40}".prop_map(String::into_bytes),
                ]),
                0..6,
            ),
        ) {
            let names = [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, X_FORWARDED_PREFIX, http::header::FORWARDED];
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    headers.append(names[name].clone(), value);
                }
            }
            let found = resolve(ip(PROXY), &headers, &trusted());
            prop_assert_eq!(found.client, found.client.to_canonical());
            prop_assert!(found.prefix.is_none_or(|p| p.starts_with('/') && !p.contains("//") && !p.contains("..")));
            prop_assert_eq!(resolve(ip("192.0.2.1"), &headers, &trusted()).client, ip("192.0.2.1"));
        }

        /// Whatever the client put in front, the address that the proxy added is the one.
        #[test]
        fn no_spoof_moves_the_client(spoof in "[ -~]{0,60}", client in any::<u32>()) {
            let client = IpAddr::V4(client.into());
            prop_assume!(!trusted().iter().any(|net| net.contains(&client)));
            for (name, own) in [("x-forwarded-for", client.to_string()), ("forwarded", format!("for={client}"))] {
                let found = ask(PROXY, &[(name, &format!("{spoof}, {own}"))]);
                prop_assert_eq!(found.client, client);
            }
        }
    }
}
