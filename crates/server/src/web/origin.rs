//! Where a posted form comes from.
//!
//! A form of another site carries none of this host's cookies (`SameSite=Lax`), so it changes nothing; but the answer
//! to a visitor without cookies sets some, and would take the session from the browser. So it gets no answer of that
//! kind.

use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, HeaderName};
use url::Url;

/// Fetch metadata: which browsers send to https and to the machine itself, and no page can forge.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a form came from a page of another site, as far as the browser tells. `host` is the one that was
/// asked, `public` the URL of its tenant.
pub fn is_foreign(headers: &HeaderMap, host: Option<&str>, public: &str) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let Some(origin) = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok()) else { return true };
    // A proxy that is not trusted may have replaced the host; then the public URL is what the browser was shown.
    let asked = host.map(|host| format!("{}://{host}", origin.scheme()));
    let mut own = asked.into_iter().chain([public.to_owned()]).filter_map(|url| Url::parse(&url).ok());
    !own.any(|own| own.origin() == origin.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(pairs: &[(&'static str, &'static str)]) -> bool {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let headers: HeaderMap = pairs.collect();
        let host = headers.get("host").map(|host| host.to_str().unwrap());
        is_foreign(&headers, host, "https://pat.example.com/patron")
    }

    #[test]
    fn forms_of_other_sites_are_told_apart() {
        for own in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "same-origin"), ("origin", "https://behind.a.proxy")],
            &[("host", "10.0.0.1:8080"), ("origin", "http://10.0.0.1:8080")],
            &[("host", "10.0.0.1:80"), ("origin", "http://10.0.0.1")],
            &[("host", "internal:8080"), ("origin", "https://pat.example.com")],
        ] {
            assert!(!foreign(own), "{own:?}");
        }
        for other in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("host", "10.0.0.1:8080"), ("origin", "http://10.0.0.1:8081")],
            &[("host", "pat.example.com"), ("origin", "https://pat.example.com.evil.example")],
            &[("host", "10.0.0.1"), ("origin", "null")],
            &[("host", "10.0.0.1"), ("origin", "")],
        ] {
            assert!(foreign(other), "{other:?}");
        }
    }
}
