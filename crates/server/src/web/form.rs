//! What a page's form sent.

use axum::http::HeaderMap;
use patron_core::error::Detail;
use patron_core::limits::FORM_FIELDS;
use patron_core::{Error, Result};

use crate::app::Request;
use crate::body::{self, Query};
use crate::limits::PAGE_FORM_FIELDS;

/// The fields of a form, or of a query that a form or a link made. It has no `Debug`: a password may be inside.
#[derive(Default)]
pub struct Form(Query);

impl Form {
    /// Reads the body of a request, `application/x-www-form-urlencoded` and at most 64 KiB.
    pub async fn posted(request: &mut Request) -> Result<Self> {
        body::check_type(&request.parts.headers, &["application/x-www-form-urlencoded"])?;
        let bytes = read(&request.parts.headers.clone(), request).await?;
        let text = String::from_utf8(bytes.to_vec())
            .map_err(|_| Error::invalid(Detail::Syntax, "The form is not UTF-8."))?;
        Query::parse_up_to(Some(&text), PAGE_FORM_FIELDS).map(Self)
    }

    /// Reads the query of a request.
    pub fn query(request: &Request) -> Result<Self> {
        Query::parse_up_to(request.parts.uri.query(), FORM_FIELDS).map(Self)
    }

    /// A field's text, the first of that name; empty when it was not sent.
    pub fn text<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.all(name).next().unwrap_or_default()
    }

    /// A field's text without blanks around it; `None` when nothing is left.
    pub fn given<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        Some(self.text(name).trim()).filter(|text| !text.is_empty())
    }

    /// Whether a field was sent at all, as a checked box is.
    pub fn has(&self, name: &str) -> bool {
        self.0.all(name).next().is_some()
    }

    /// Every text of a field that may stand several times.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.all(name)
    }
}

async fn read(headers: &HeaderMap, request: &mut Request) -> Result<bytes::Bytes> {
    let body = std::mem::take(request.body.get_mut());
    body::read(headers, body).await
}
