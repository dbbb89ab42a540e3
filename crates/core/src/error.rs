//! What can go wrong, in words a caller may read, apart from the cause that only the log gets.
//!
//! This enum knows no HTTP: the service turns it into an answer in one place (`server/respond.rs`, and
//! `server/oauth/` for RFC 6749's shape). `docs/status-codes.md` says who acts on which.

use std::fmt;

/// A result of Patron's rules.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which rule a refused request broke: the `400.…` codes of contract section 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Not JSON, not a patch, a bad query.
    Syntax,
    /// Not patchable, or against the expiry rule.
    Content,
    /// Required data is missing or empty.
    Missing,
    /// Too long or too short.
    Length,
    /// Wrong type, wrong range, bad filter.
    Value,
    /// More PATs than an owner may have.
    Limit,
    /// Names something that is not there.
    ReferenceNotFound,
    /// Names something that is taken.
    Conflict,
}

impl Detail {
    /// The stable code that a program reads.
    pub fn code(self) -> &'static str {
        match self {
            Self::Syntax => "400.0 Bad request syntax",
            Self::Content => "400.1 Bad Request Content",
            Self::Missing => "400.1.0 Required Data Missing Or Empty",
            Self::Length => "400.1.2 Value length out of range",
            Self::Value => "400.1.3 Illegal value",
            Self::Limit => "400.1.4 Limit violation",
            Self::ReferenceNotFound => "400.1.404 Referenced object not found",
            Self::Conflict => "400.1.409 Reference conflict",
        }
    }
}

/// Why a request was not done. `Display` is the public text; causes are for the log alone.
#[derive(Debug)]
pub enum Error {
    /// The request is wrong; sending it again as it is will not help.
    Invalid {
        /// Which rule.
        detail: Detail,
        /// Which field breaks it, as the API calls it; `None` when it is no single one.
        field: Option<&'static str>,
        /// What to change, for a person.
        text: String,
    },
    /// No credential, or one that is not (or no longer) good.
    Unauthenticated {
        /// What is wrong with it, without telling an unknown id from a wrong secret.
        text: String,
    },
    /// The credential is good and may not do this.
    Forbidden {
        /// What is missing.
        text: String,
    },
    /// There is nothing there, or nothing that this caller may know of.
    NotFound {
        /// What was looked for.
        text: String,
    },
    /// The path does not take this method.
    MethodNotAllowed {
        /// The methods it takes, for the `Allow` header.
        allow: String,
    },
    /// The body is over [`crate::limits::BODY_BYTES`].
    TooLarge,
    /// The body is of a type that the path does not read.
    UnsupportedMediaType {
        /// The type that was sent.
        given: String,
    },
    /// Too many requests, or too many wrong guesses.
    RateLimited {
        /// Whole seconds to wait, at least 1.
        retry_after: u32,
    },
    /// The database or another part is out of reach; the same request may succeed later.
    Unavailable {
        /// For the log.
        cause: String,
    },
    /// A fault of Patron's.
    Internal {
        /// For the log.
        cause: String,
    },
}

impl Error {
    /// A request that is wrong.
    pub fn invalid(detail: Detail, text: impl Into<String>) -> Self {
        Self::Invalid { detail, field: None, text: text.into() }
    }

    /// The same error, told of this field: a page shows it beside it.
    #[must_use]
    pub fn at(self, name: &'static str) -> Self {
        match self {
            Self::Invalid { detail, text, .. } => Self::Invalid { detail, field: Some(name), text },
            other => other,
        }
    }

    /// A credential that is not good.
    pub fn unauthenticated(text: impl Into<String>) -> Self {
        Self::Unauthenticated { text: text.into() }
    }

    /// A credential that may not do this.
    pub fn forbidden(text: impl Into<String>) -> Self {
        Self::Forbidden { text: text.into() }
    }

    /// Nothing there.
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::NotFound { text: text.into() }
    }

    /// A fault of Patron's, with its cause for the log.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::Internal { cause: cause.to_string() }
    }

    /// A part out of reach, with its cause for the log.
    pub fn unavailable(cause: impl fmt::Display) -> Self {
        Self::Unavailable { cause: cause.to_string() }
    }

    /// What only the log may say.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Unavailable { cause } | Self::Internal { cause } => Some(cause),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { text, .. }
            | Self::Unauthenticated { text }
            | Self::Forbidden { text }
            | Self::NotFound { text } => f.write_str(text),
            Self::MethodNotAllowed { allow } => write!(f, "This path takes {allow}."),
            Self::TooLarge => write!(f, "The body is over {} bytes.", crate::limits::BODY_BYTES),
            Self::UnsupportedMediaType { given } => {
                write!(f, "Content type '{}' is not read here.", shorten(given))
            }
            // With its blanks: contract section 7, as the original product answers.
            Self::RateLimited { .. } => f.write_str(" Rate Limit Exceeded "),
            Self::Unavailable { .. } => {
                f.write_str("The service is out of reach of its database. Try again shortly.")
            }
            Self::Internal { .. } => {
                f.write_str("An internal fault occurred. Name the tracking id when you report it.")
            }
        }
    }
}

impl std::error::Error for Error {}

/// What a caller sent, fit to be said back: at most 60 characters, control characters replaced.
pub fn shorten(given: &str) -> String {
    let mut text: String =
        given.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if given.chars().nth(60).is_some() {
        text.push('…');
    }
    text
}
