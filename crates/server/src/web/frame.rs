//! What surrounds every page, and how a page becomes an answer.

use std::borrow::Borrow;

use askama::Template;
use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use patron_core::id::TrackingId;
use patron_core::rights::Right;
use patron_core::time::Timestamp;
use patron_core::{Error, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::cookies::{self, Notice};
use super::moment::{Moment, Zone, days_until};
use super::texts::texts;
use super::{Visitor, assets};
use crate::app::Request;
use crate::oauth::metadata::SIGN_IN;
use crate::respond::{self, Answer, Failure};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// Everything comes from this server; nothing stands in the page itself that could run.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The path of the list of one's own tokens, and what the others begin with.
pub const TOKENS: &str = "/ui/d/user-preferences/personal-access-tokens";

/// The path of the page that changes one's password.
pub const PASSWORD: &str = "/ui/d/user-preferences/password";

/// The path of the page about the time zone and one's sessions.
pub const DISPLAY: &str = "/ui/d/user-preferences/display";

/// Which part of the pages one is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Signing in and out, errors.
    Outside,
    /// Preferences → Personal Access Tokens.
    Tokens,
    /// Preferences → Password.
    Password,
    /// Preferences → Display.
    Display,
    /// Administration → Dashboard.
    Dashboard,
    /// Administration → All tokens.
    AllTokens,
    /// Administration → Identities.
    Identities,
    /// Administration → Audit trail.
    Audit,
}

/// Who has signed in, as the frame shows it.
#[expect(clippy::struct_excessive_bools, reason = "each offers something of its own")]
pub struct Me {
    /// Display name.
    pub name: String,
    /// Login name.
    pub login: String,
    /// What every form carries.
    pub csrf: String,
    /// Whether the pages about everyone's tokens are offered.
    pub sees_tokens: bool,
    /// Whether the pages about identities are.
    pub sees_identities: bool,
    /// Whether the audit trail is.
    pub sees_audit: bool,
    /// Whether a new password must be chosen before anything else.
    pub must_change_password: bool,
}

/// What every template gets as `frame`.
pub struct Frame {
    /// What every link begins with: the path under which proxies show this service, or nothing.
    pub base: String,
    /// The tenant's name.
    pub tenant: String,
    /// Who has signed in.
    pub me: Option<Me>,
    /// Where one is.
    pub section: Section,
    /// What is told once.
    pub notice: Option<Notice>,
    /// The reader's zone.
    pub zone: Zone,
    /// Now.
    pub now: Timestamp,
}

impl Frame {
    /// The frame of a page that a request asks for.
    pub fn new(request: &Request, visitor: Option<&Visitor>, section: Section) -> Self {
        let zone = cookies::zone(&request.parts.headers).and_then(Zone::named).unwrap_or_default();
        let me = visitor.map(|visitor| Me {
            name: visitor.identity.display_name.clone(),
            login: visitor.identity.name.clone(),
            csrf: visitor.csrf(),
            sees_tokens: visitor.rights.has(Right::ALL_READ),
            sees_identities: visitor.rights.has(Right::AUTH_USER_READ),
            sees_audit: visitor.rights.has(Right::AUDIT_READ),
            must_change_password: visitor.session.password_temporary,
        });
        Self {
            base: request.base.clone(),
            tenant: request.site.name.to_string(),
            me,
            section,
            notice: Notice::waiting(request),
            zone,
            now: request.app.clock.now(),
        }
    }

    /// The text of this id.
    pub fn t(&self, id: impl AsRef<str>) -> String {
        texts().get(id.as_ref())
    }

    /// The text of this id about a number.
    pub fn count(&self, id: &str, count: impl Count) -> String {
        texts().count(id, count.count())
    }

    /// The text of this id about some numbers, each with its name in the text.
    pub fn counts(&self, id: &str, numbers: &[(&str, impl Count)]) -> String {
        let numbers: Vec<_> = numbers.iter().map(|(name, number)| (*name, number.count())).collect();
        texts().counts(id, &numbers)
    }

    /// The text of this id with something in the place of `$what`.
    pub fn with(&self, id: &str, what: &str, value: impl AsRef<str>) -> String {
        texts().with(id, what, value.as_ref())
    }

    /// The language of the page.
    pub fn language(&self) -> &'static str {
        texts().language()
    }

    /// The names of the assets.
    pub fn assets(&self) -> &'static assets::Names {
        assets::names()
    }

    /// A moment as the reader reads it.
    pub fn moment(&self, at: impl Borrow<Timestamp>) -> Moment {
        self.zone.moment(*at.borrow(), self.now)
    }

    /// Whole days until a moment, rounded up; `None` when it has come.
    pub fn days_left(&self, until: impl Borrow<Timestamp>) -> Option<u64> {
        Some(days_until(*until.borrow(), self.now)).filter(|days| *days > 0)
    }

    /// Tomorrow, as a date field takes it.
    pub fn tomorrow(&self) -> String {
        self.zone.day(self.now.plus_days(1))
    }

    /// The CSRF token of this page's forms.
    pub fn csrf(&self) -> &str {
        self.me.as_ref().map_or("", |me| &me.csrf)
    }

    /// Whether the pages about everyone's tokens are offered.
    pub fn sees_tokens(&self) -> bool {
        self.me.as_ref().is_some_and(|me| me.sees_tokens)
    }

    /// Whether the audit trail is.
    pub fn sees_audit(&self) -> bool {
        self.me.as_ref().is_some_and(|me| me.sees_audit)
    }

    /// Whether one is among one's preferences.
    pub fn is_preferences(&self) -> bool {
        matches!(self.section, Section::Tokens | Section::Password | Section::Display)
    }
}

/// A number that a text can be about. Templates hand over values and references alike.
pub trait Count {
    /// The number.
    fn count(&self) -> u64;
}

impl Count for u64 {
    fn count(&self) -> u64 {
        *self
    }
}

impl Count for u32 {
    fn count(&self) -> u64 {
        u64::from(*self)
    }
}

impl Count for usize {
    fn count(&self) -> u64 {
        u64::try_from(*self).unwrap_or(u64::MAX)
    }
}

impl<T: Count + ?Sized> Count for &T {
    fn count(&self) -> u64 {
        (**self).count()
    }
}

/// A field's error, or that of the form as a whole, kept beside what was typed.
#[derive(Debug, Default)]
pub struct Problems(Vec<(&'static str, String)>);

impl Problems {
    /// Takes in a rule that was broken; anything else is not the form's matter and is given back.
    ///
    /// # Errors
    /// The error itself when it is a fault, a missing right or the like.
    pub fn take(&mut self, error: Error) -> Result<()> {
        let Error::Invalid { detail, field, text } = error else { return Err(error) };
        let field = field.unwrap_or_default();
        // In the page's own words where there are some, for the rule's texts speak of JSON.
        let id = format!("error-{field}-{detail:?}");
        let text = if texts().has(&id) { texts().get(&id) } else { text };
        self.0.push((field, text));
        Ok(())
    }

    /// Adds a problem that the page itself sees, with the id of its text.
    pub fn add(&mut self, field: &'static str, id: &str) {
        self.0.push((field, texts().get(id)));
    }

    /// Adds a problem in words of its own.
    pub fn tell(&mut self, field: &'static str, text: String) {
        self.0.push((field, text));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wrong with a field; with the form as a whole for the empty name.
    pub fn at(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(at, _)| *at == field).map(|(_, text)| text.as_str())
    }

    /// The first of them.
    pub fn first(&self) -> Option<&str> {
        self.0.first().map(|(_, text)| text.as_str())
    }

    /// The status of a page with a form: 400 when it is shown again for its problems.
    pub fn status(&self) -> StatusCode {
        if self.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST }
    }
}

/// A page as an answer.
pub fn page(request: &Request, status: StatusCode, template: &impl Template) -> Result<Answer, Failure> {
    let mut answer = html(status, template)?;
    if Notice::waiting(request).is_some() {
        Notice::done(&mut answer, request);
    }
    Ok(answer)
}

fn html(status: StatusCode, template: &impl Template) -> Result<Answer, Failure> {
    let body = template.render().map_err(Error::internal)?;
    let mut answer = respond::with_body(status, HTML, Body::from(body));
    let headers = answer.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(answer)
}

/// Sends the browser to a page of this service (RFC 9110 section 15.4.4).
pub fn redirect(request: &Request, path: &str) -> Answer {
    let mut answer = respond::empty(StatusCode::SEE_OTHER);
    let location = HeaderValue::from_str(&format!("{}{path}", request.base));
    answer.headers_mut().insert(LOCATION, location.unwrap_or(HeaderValue::from_static("/")));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Sends a browser that has no session to sign in, and back here afterwards where that can be looked at again.
pub fn sign_in_first(request: &Request) -> Answer {
    let parts = &request.parts;
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return redirect_with(request, SIGN_IN, Notice::of("notice-session-ended"));
    }
    let here = parts.uri.path_and_query().map_or(TOKENS, PathAndQuery::as_str);
    let next = utf8_percent_encode(here, NON_ALPHANUMERIC);
    redirect(request, &format!("{SIGN_IN}?next={next}"))
}

/// Sends the browser to a page that tells something once.
pub fn redirect_with(request: &Request, path: &str, notice: Notice) -> Answer {
    let mut answer = redirect(request, path);
    notice.leave(&mut answer, request);
    answer
}

/// `GET /` and `GET /ui`: on to the tokens.
pub async fn home(request: Request) -> Result<Answer, Failure> {
    Ok(redirect(&request, TOKENS))
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    status: u16,
    text: String,
    tracking: String,
}

/// A failure as a page. Who asks is not looked up: the database may be what fails.
pub fn error(base: &str, status: StatusCode, text: &str, tracking: TrackingId) -> Answer {
    let frame = Frame {
        base: base.to_owned(),
        tenant: String::new(),
        me: None,
        section: Section::Outside,
        notice: None,
        zone: Zone::default(),
        now: Timestamp::from_millis(0),
    };
    let page =
        ErrorPage { frame, status: status.as_u16(), text: text.to_owned(), tracking: tracking.to_string() };
    html(status, &page).unwrap_or_else(|_| respond::empty(status))
}
