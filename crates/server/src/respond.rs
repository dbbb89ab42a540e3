//! The one place that turns results into HTTP answers (contract section 7; RFC 6749 section 5.2 under `/oauth/`).

use std::fmt;

use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use patron_api::{ErrorMessage, ErrorResponse, OAuthErrorResponse, RateLimitResponse, UnauthorizedResponse};
use patron_core::Error;
use patron_core::id::TrackingId;
use serde::Serialize;

use crate::oauth::OAuthError;
use crate::web;

/// The header that names a request in every answer.
pub const TRACKING_HEADER: HeaderName = HeaderName::from_static("slpt-request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// What a caller should wait when the database is out of reach, in seconds.
const UNAVAILABLE_RETRY_SECONDS: u32 = 2;

/// An answer without a request yet.
pub type Answer = Response<Body>;

/// Why a request was not done, as handlers say it.
#[derive(Debug)]
pub enum Failure {
    /// One of Patron's rules.
    Rule(Error),
    /// One of OAuth's.
    OAuth(OAuthError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Rule(error)
    }
}

impl From<OAuthError> for Failure {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(error) => error.fmt(f),
            Self::OAuth(error) => error.fmt(f),
        }
    }
}

/// In which shape a path tells its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `{"detailCode", …}`, 401 with a Bearer challenge.
    Api,
    /// `{"error", "error_description"}`, 401 with a Basic challenge.
    OAuth,
    /// As [`Shape::Api`], 401 with a Basic and a Bearer challenge: `/forward-auth`.
    Gateway,
    /// A page for people.
    Page,
}

/// A JSON answer.
///
/// # Panics
/// Never: the types that are answered have string keys and no fallible parts.
pub fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(body).unwrap_or_default();
    with_body(status, JSON, Body::from(body))
}

/// An answer with a body of any type.
pub fn with_body(status: StatusCode, content_type: HeaderValue, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}

/// Tells the log of a failure: of a fault its cause, with the tracking id, which nobody else is told.
pub fn log(failure: &Failure, tracking: TrackingId) {
    let status = status_of(failure).as_u16();
    if let Failure::Rule(error) = failure
        && let Some(cause) = error.cause()
    {
        tracing::error!(%tracking, status, cause, "a request failed");
    } else {
        tracing::debug!(%tracking, status, "a request was refused: {failure}");
    }
}

/// A failure as an answer. Causes of faults go to the log here, with the tracking id, and nowhere else.
/// `base` is what a page's links begin with.
pub fn failure(failure: &Failure, shape: Shape, tracking: TrackingId, base: &str) -> Answer {
    let status = status_of(failure);
    log(failure, tracking);
    let mut answer = match shape {
        Shape::OAuth => oauth_body(failure, status),
        Shape::Api | Shape::Gateway => api_body(failure, status, tracking),
        Shape::Page => web::frame::error(base, status, failure.to_string().trim(), tracking),
    };
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match failure {
        Failure::Rule(Error::RateLimited { retry_after }) => {
            headers.insert(RETRY_AFTER, HeaderValue::from((*retry_after).max(1)));
        }
        Failure::Rule(Error::Unavailable { .. }) => {
            headers.insert(RETRY_AFTER, HeaderValue::from(UNAVAILABLE_RETRY_SECONDS));
        }
        Failure::Rule(Error::MethodNotAllowed { allow }) => {
            headers.extend(HeaderValue::from_str(allow).map(|allow| (ALLOW, allow)));
        }
        _ => {}
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge(shape)));
    }
    answer
}

/// The challenge of a 401.
pub fn challenge(shape: Shape) -> &'static str {
    match shape {
        // Bearer alone, so that no browser opens a dialog.
        Shape::Api | Shape::Page => r#"Bearer realm="patron""#,
        Shape::OAuth => r#"Basic realm="patron""#,
        Shape::Gateway => r#"Basic realm="patron", Bearer realm="patron""#,
    }
}

/// The status of a failure.
pub fn status_of(failure: &Failure) -> StatusCode {
    match failure {
        Failure::Rule(error) => match error {
            Error::Invalid { .. } => StatusCode::BAD_REQUEST,
            Error::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
            Error::Forbidden { .. } => StatusCode::FORBIDDEN,
            Error::NotFound { .. } => StatusCode::NOT_FOUND,
            Error::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Error::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Error::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Error::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Error::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Error::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        },
        Failure::OAuth(error) => match error {
            OAuthError::InvalidClient(_) => StatusCode::UNAUTHORIZED,
            OAuthError::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => StatusCode::BAD_REQUEST,
        },
    }
}

fn detail_code(failure: &Failure) -> &'static str {
    match failure {
        Failure::Rule(error) => match error {
            Error::Invalid { detail, .. } => detail.code(),
            Error::Unauthenticated { .. } => "401 Unauthorized",
            Error::Forbidden { .. } => "403 Forbidden",
            Error::NotFound { .. } => "404 Not found",
            Error::MethodNotAllowed { .. } => "405.0 Method Not Allowed",
            Error::TooLarge => "413.0 Payload Too Large",
            Error::UnsupportedMediaType { .. } => "415.0 Unsupported Media Type",
            Error::RateLimited { .. } => "429 Too Many Requests",
            Error::Unavailable { .. } => "503.0 Service Unavailable",
            Error::Internal { .. } => "500.0 Internal Fault",
        },
        Failure::OAuth(_) => patron_core::error::Detail::Syntax.code(),
    }
}

fn api_body(failure: &Failure, status: StatusCode, tracking: TrackingId) -> Answer {
    let text = failure.to_string();
    match failure {
        Failure::Rule(Error::Unauthenticated { .. }) | Failure::OAuth(OAuthError::InvalidClient(_)) => {
            json(status, &UnauthorizedResponse { error: text })
        }
        Failure::Rule(Error::RateLimited { .. }) => json(status, &RateLimitResponse { message: text }),
        _ => {
            let message =
                ErrorMessage { locale: "en-US".to_owned(), locale_origin: "DEFAULT".to_owned(), text };
            let body = ErrorResponse {
                detail_code: detail_code(failure).to_owned(),
                tracking_id: tracking.to_string(),
                messages: vec![message],
                causes: Vec::new(),
            };
            json(status, &body)
        }
    }
}

fn oauth_body(failure: &Failure, status: StatusCode) -> Answer {
    let body = match failure {
        Failure::OAuth(error) => OAuthErrorResponse {
            error: error.code().to_owned(),
            error_description: error.description(),
            message: None,
        },
        Failure::Rule(error) => {
            let (code, message) = match error {
                Error::RateLimited { .. } => ("temporarily_unavailable", Some(error.to_string())),
                Error::Unavailable { .. } => ("temporarily_unavailable", None),
                Error::Internal { .. } => ("server_error", None),
                Error::Unauthenticated { .. } => ("invalid_client", None),
                Error::Forbidden { .. } => ("unauthorized_client", None),
                _ => ("invalid_request", None),
            };
            let description = match error {
                Error::RateLimited { .. } => "Too many requests; wait as Retry-After says.".to_owned(),
                other => OAuthError::InvalidRequest(other.to_string()).description(),
            };
            OAuthErrorResponse { error: code.to_owned(), error_description: description, message }
        }
    };
    let mut answer = json(status, &body);
    answer.headers_mut().insert("pragma", HeaderValue::from_static("no-cache"));
    answer
}
