//! The cookies of the pages. None of them is sent along with a form from elsewhere (`SameSite=Lax`), and behind https
//! no other host can set the one that matters.

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use cookie::{Cookie, CookieBuilder, SameSite};
use patron_core::secret::SessionToken;

use crate::app::Request;
use crate::oauth::metadata::SIGN_IN;
use crate::respond::Answer;

/// The session. Behind https its name has the prefix that keeps other hosts from setting it (RFC 6265bis section
/// 4.1.3.2).
const SESSION: &str = "patron_session";
const SESSION_HOST: &str = "__Host-patron_session";
/// The mark of a browser that somebody has signed in with before.
const DEVICE: &str = "patron_device";
/// Days that the mark is kept after a sign-in; no browser keeps one for longer than 400.
const DEVICE_DAYS: i64 = 365;
/// What the next page tells once.
const NOTICE: &str = "patron_notice";
/// The reader's time zone: its name, after `auto:` when the script set it and not the reader.
const ZONE: &str = "patron_zone";

/// The value of a cookie of a request, the first of that name.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(given, _)| *given == name).map(|(_, value)| value)
}

/// A cookie of this host alone that no script reads.
pub fn build(request: &Request, name: &'static str, value: String) -> CookieBuilder<'static> {
    Cookie::build((name, value)).path("/").http_only(true).same_site(SameSite::Lax).secure(request.https)
}

/// Adds a cookie to an answer.
pub fn set(answer: &mut Answer, cookie: CookieBuilder<'_>) {
    // A cookie is made of names and values of this module's, which a header can carry.
    if let Ok(value) = HeaderValue::from_str(&cookie.build().to_string()) {
        answer.headers_mut().append(SET_COOKIE, value);
    }
}

/// Tells the browser to forget a cookie.
pub fn forget(answer: &mut Answer, request: &Request, name: &'static str) {
    set(answer, build(request, name, String::new()).max_age(cookie::time::Duration::ZERO));
}

fn session_name(request: &Request) -> &'static str {
    if request.https { SESSION_HOST } else { SESSION }
}

/// The session that a browser says it has. Whether there is such a session is another question: before signing in the
/// same cookie ties a form to the browser that got it.
pub fn session(request: &Request) -> Option<SessionToken> {
    SessionToken::presented(read(&request.parts.headers, session_name(request))?)
}

/// Gives a browser a session. It ends with the browser, or sooner on the server.
pub fn set_session(answer: &mut Answer, request: &Request, token: &SessionToken) {
    set(answer, build(request, session_name(request), token.expose().to_owned()));
}

/// Takes the session from a browser, and leaves it one that is nobody's, as the sign-in page does. A cookie that
/// changes makes Chromium drop the pages of the session from what its back button shows; one that goes away does not.
pub fn forget_session(answer: &mut Answer, request: &Request) {
    set_session(answer, request, &SessionToken::generate(&request.app.entropy));
}

/// What the browser says to have signed in with before ([`crate::devices`]).
pub fn device(request: &Request) -> Option<&str> {
    read(&request.parts.headers, DEVICE)
}

/// Marks a browser as one that somebody has signed in with. Only the sign-in page is sent the mark.
pub fn set_device(answer: &mut Answer, request: &Request, value: &str) {
    let path = format!("{}{SIGN_IN}", request.base);
    let age = cookie::time::Duration::days(DEVICE_DAYS);
    set(answer, build(request, DEVICE, value.to_owned()).path(path).max_age(age));
}

/// Something that the next page tells once: an id of a text, and a number for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    /// What, of [`NOTICES`].
    pub id: &'static str,
    /// How many.
    pub count: u64,
}

/// Every notice that there is. Nobody can make a page say anything else.
const NOTICES: &[&str] = &[
    "notice-session-ended",
    "notice-token-saved",
    "notice-token-deleted",
    "notice-signed-out-elsewhere",
    "notice-password-changed",
    "notice-zone-saved",
    "notice-tokens-deleted",
    "notice-tokens-expiry-set",
    "notice-identity-saved",
    "notice-identity-enabled",
    "notice-identity-disabled",
];

impl Notice {
    /// A notice without a number.
    pub const fn of(id: &'static str) -> Self {
        Self { id, count: 0 }
    }

    /// The notice that waits for the next page.
    pub fn waiting(request: &Request) -> Option<Self> {
        let (id, count) = read(&request.parts.headers, NOTICE)?.split_once('.')?;
        let id = NOTICES.iter().find(|known| **known == id)?;
        Some(Self { id, count: count.parse().ok()? })
    }

    /// Leaves it for the next page.
    pub fn leave(self, answer: &mut Answer, request: &Request) {
        set(answer, build(request, NOTICE, format!("{}.{}", self.id, self.count)));
    }

    /// Takes away the one that was told.
    pub fn done(answer: &mut Answer, request: &Request) {
        forget(answer, request, NOTICE);
    }
}

/// The name of the reader's time zone, as the browser keeps it.
pub fn zone(headers: &HeaderMap) -> Option<&str> {
    let kept = read(headers, ZONE)?;
    Some(kept.strip_prefix("auto:").unwrap_or(kept))
}

/// Whether the reader chose the zone, and the script did not.
pub fn zone_is_chosen(headers: &HeaderMap) -> bool {
    read(headers, ZONE).is_some_and(|kept| !kept.starts_with("auto:"))
}

/// Keeps the zone that the reader chose for a year; `None` leaves it to the script again.
pub fn set_zone(answer: &mut Answer, request: &Request, name: Option<&str>) {
    // The script reads and sets it, too.
    let build = |value: &str| build(request, ZONE, value.to_owned()).http_only(false);
    match name {
        Some(name) => set(answer, build(name).max_age(cookie::time::Duration::days(365))),
        None => set(answer, build("").max_age(cookie::time::Duration::ZERO)),
    }
}
