use std::fmt;
use std::time::Duration;

use patron_api::{ErrorMessage, ErrorResponse, OAuthErrorResponse, RateLimitResponse, UnauthorizedResponse};
use patron_core::name::moves_cursor;
use reqwest::StatusCode;

use crate::limits::LINE_CHARS;

/// A result of this client.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. `Display` gives one line for a person; no error holds a credential.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused, and said why.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The server could not be reached, or broke off.
    #[error("{address} {what}: {cause}")]
    Unreachable {
        /// Its address.
        address: String,
        /// `cannot be reached`, or what else went wrong.
        what: &'static str,
        /// Whether the request may have arrived and been carried out.
        maybe_done: bool,
        /// Why, innermost cause last.
        cause: String,
    },
    /// The answer is none of this API.
    #[error("{address} {what}")]
    Unreadable {
        /// The server's address.
        address: String,
        /// What is wrong with the answer; nothing of the answer itself.
        what: String,
        /// Its status, if that is what is wrong with it.
        status: Option<u16>,
        /// Whether the request was carried out, as its status says.
        maybe_done: bool,
    },
    /// The client was put together wrongly, or asked for what it cannot do.
    #[error("{0}")]
    Usage(String),
    /// An access token is not what it claims to be.
    #[error("The access token is not valid: {0}")]
    Token(String),
}

/// What a server answers instead of what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// A stable code for programs, such as `400.1.409 Reference conflict`.
    pub detail_code: Option<String>,
    /// Under `/oauth/`: the error of RFC 6749 section 5.2, such as `invalid_client`.
    pub oauth_error: Option<String>,
    /// Names the request in the server's log.
    pub tracking_id: Option<String>,
    /// What is wrong, for people, in the server's languages. Never empty.
    pub messages: Vec<ErrorMessage>,
    /// How long to wait before asking again, if the server says so.
    pub retry_after: Option<Duration>,
    /// Whether the request, or an earlier attempt of the same, may have been carried out.
    pub maybe_done: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.messages.first().map_or("", |message| message.text.trim());
        f.write_str(&one_line(text))?;
        let code = self.detail_code.as_deref().or(self.oauth_error.as_deref());
        match code {
            Some(code) => write!(f, " ({}", one_line(code))?,
            None => write!(f, " ({}", self.status)?,
        }
        if let Some(wait) = self.retry_after {
            write!(f, "; try again in {} s", wait.as_secs().max(1))?;
        }
        if let Some(tracking) = &self.tracking_id {
            write!(f, "; tracking id {}", one_line(tracking))?;
        }
        f.write_str(")")
    }
}

/// A text that somebody else has written, as one line: nothing in it moves the cursor or turns the direction.
fn one_line(text: &str) -> String {
    text.chars().take(LINE_CHARS).map(|c| if moves_cursor(c) { ' ' } else { c }).collect()
}

impl Error {
    /// The refusal, if the server answered with one.
    pub fn refusal(&self) -> Option<&Refusal> {
        if let Self::Refused(refusal) = self { Some(refusal) } else { None }
    }

    /// The HTTP status, if the server refused.
    pub fn status(&self) -> Option<u16> {
        self.refusal().map(|refusal| refusal.status)
    }

    /// The stable code for programs, such as `404 Not found`.
    pub fn detail_code(&self) -> Option<&str> {
        self.refusal()?.detail_code.as_deref()
    }

    /// The error of RFC 6749 section 5.2, such as `invalid_client`.
    pub fn oauth_error(&self) -> Option<&str> {
        self.refusal()?.oauth_error.as_deref()
    }

    /// What names the request in the server's log.
    pub fn tracking_id(&self) -> Option<&str> {
        self.refusal()?.tracking_id.as_deref()
    }

    /// The server's texts for people.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.refusal()
            .into_iter()
            .flat_map(|refusal| refusal.messages.iter().map(|message| message.text.as_str()))
    }

    /// How long to wait before asking again, if the server says so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal()?.retry_after
    }

    /// Whether there is no such object, or none that the credential may see.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether the credential is not, or no longer, accepted.
    pub fn is_unauthorized(&self) -> bool {
        self.status() == Some(401)
    }

    /// Whether the server is out of reach or out of service, so that the same call may succeed later.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(refusal) => refusal.status >= 500,
            Self::Unreadable { status, .. } => matches!(status, Some(500..)),
            Self::Usage(_) | Self::Token(_) => false,
        }
    }

    /// Whether the request, or an earlier attempt of the same, may have been carried out although it failed. Without an
    /// access token to send it with, it was not.
    pub fn maybe_done(&self) -> bool {
        match self {
            Self::Unreachable { maybe_done, .. } | Self::Unreadable { maybe_done, .. } => *maybe_done,
            Self::Refused(refusal) => refusal.maybe_done,
            Self::Usage(_) | Self::Token(_) => false,
        }
    }

    pub(crate) fn with_maybe_done(mut self, is: bool) -> Self {
        match &mut self {
            Self::Unreachable { maybe_done, .. } | Self::Unreadable { maybe_done, .. } => *maybe_done = is,
            Self::Refused(refusal) => refusal.maybe_done = is,
            Self::Usage(_) | Self::Token(_) => {}
        }
        self
    }

    pub(crate) fn or_maybe_done(self, earlier: bool) -> Self {
        let is = self.maybe_done() || earlier;
        self.with_maybe_done(is)
    }

    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    /// What reqwest says, without the URL, which the address already tells.
    pub(crate) fn transport(address: &str, error: reqwest::Error) -> Self {
        let (unsendable, maybe_done) = (error.is_builder(), !error.is_connect());
        let what = if error.is_timeout() {
            "does not answer in time"
        } else if maybe_done {
            "broke off"
        } else {
            "cannot be reached"
        };
        let error = error.without_url();
        let mut innermost: &dyn std::error::Error = &error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        let cause = one_line(&innermost.to_string());
        if unsendable {
            return Self::Usage(format!("No request can be made for {address}: {cause}"));
        }
        Self::Unreachable { address: address.to_owned(), what, maybe_done, cause }
    }
}

/// The refusal that an answer tells, in whichever of this API's forms.
pub(crate) fn refusal(status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> Option<Refusal> {
    let text = |text: String| ErrorMessage { locale: String::new(), locale_origin: String::new(), text };
    let mut refusal = Refusal {
        status: status.as_u16(),
        detail_code: None,
        oauth_error: None,
        tracking_id: None,
        messages: Vec::new(),
        retry_after,
        maybe_done: false,
    };
    if let Ok(body) = serde_json::from_slice::<ErrorResponse>(body) {
        refusal.detail_code = Some(body.detail_code);
        refusal.tracking_id = Some(body.tracking_id).filter(|id| !id.is_empty());
        refusal.messages = body.messages;
    } else if let Some(body) = oauth(body) {
        refusal.oauth_error = Some(body.error);
        refusal.messages = vec![text(body.error_description)];
    } else if status == StatusCode::NOT_FOUND {
        // The forms below are those of 401 and 429; what gateways answer to an address that they do not know looks the
        // same, and says nothing of whether a PAT exists.
        return None;
    } else if let Ok(body) = serde_json::from_slice::<UnauthorizedResponse>(body) {
        refusal.messages = vec![text(body.error)];
    } else if let Ok(body) = serde_json::from_slice::<RateLimitResponse>(body) {
        refusal.messages = vec![text(body.message)];
    } else if status == StatusCode::UNAUTHORIZED || status == StatusCode::TOO_MANY_REQUESTS {
        // Some servers and gateways send these without a body that can be read; the status says enough.
    } else {
        return None;
    }
    refusal.messages.retain(|message| !message.text.trim().is_empty());
    if refusal.messages.is_empty() {
        refusal.messages = vec![text(status.canonical_reason().unwrap_or("Refused").to_owned())];
    }
    Some(refusal)
}

/// RFC 6749's form. Its description may be missing; what tells it from that of 401 is then that its error is a code.
fn oauth(body: &[u8]) -> Option<OAuthErrorResponse> {
    let body: OAuthErrorResponse = serde_json::from_slice(body).ok()?;
    let is_code = body.error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (is_code || !body.error_description.is_empty()).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Option<Refusal> {
        refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes(), None)
    }

    #[test]
    fn every_form_of_error_is_read() {
        let body = r#"{"detailCode":"404 Not found","trackingId":"abc","messages":[
            {"locale":"en-US","localeOrigin":null,"text":"There is none."}],"causes":null,"more":1}"#;
        let known = read(404, body).unwrap();
        assert_eq!(known.to_string(), "There is none. (404 Not found; tracking id abc)");
        let body = r#"{"error":"invalid_client","error_description":"Wrong."}"#;
        assert_eq!(read(401, body).unwrap().to_string(), "Wrong. (invalid_client)");
        let body = r#"{"error":"JWT validation failed: JWT is expired"}"#;
        assert_eq!(read(401, body).unwrap().to_string(), "JWT validation failed: JWT is expired (401)");
        let limited = refusal(
            StatusCode::TOO_MANY_REQUESTS,
            br#"{"message":" Rate Limit Exceeded "}"#,
            Some(Duration::from_secs(7)),
        );
        assert_eq!(limited.unwrap().to_string(), "Rate Limit Exceeded (429; try again in 7 s)");
        // Without a text, and from a gateway.
        let body = r#"{"detailCode":"500.0 Internal Fault","messages":[]}"#;
        assert_eq!(read(500, body).unwrap().to_string(), "Internal Server Error (500.0 Internal Fault)");
        let body = r#"{"error":"invalid_client"}"#;
        assert_eq!(read(401, body).unwrap().to_string(), "Unauthorized (invalid_client)");
        let body = r#"{"detailCode":"400.0 Bad request syntax","messages":[{"locale":"en-US","text":null}]}"#;
        assert_eq!(read(400, body).unwrap().to_string(), "Bad Request (400.0 Bad request syntax)");
        assert_eq!(read(401, "").unwrap().to_string(), "Unauthorized (401)");
        assert_eq!(read(502, "<html>Bad Gateway</html>"), None);
        for body in [r#"{"message":"no Route matched"}"#, r#"{"status":404,"error":"Not Found","path":"/"}"#]
        {
            assert_eq!(read(404, body), None);
        }
    }

    #[test]
    fn a_text_stays_on_its_line() {
        let body = r#"{"error":"a\nb\u001b[31mc\u202ed"}"#;
        assert_eq!(read(401, body).unwrap().to_string(), "a b [31mc d (401)");
    }
}
