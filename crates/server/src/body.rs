//! Bodies and queries, read within their limits.

use axum::body::Bytes;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use patron_core::error::{Detail, shorten};
use patron_core::limits::{BODY_BYTES, FORM_FIELDS, PAGE_MAX};
use patron_core::{Error, Result, json};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::app::Request;
use crate::limits::{BODY_TIMEOUT, DISCARD_TIMEOUT, DISCARDED_BYTES};
use crate::oauth::form;

/// Reads a body of at most [`BODY_BYTES`].
pub async fn read(headers: &HeaderMap, mut body: axum::body::Body) -> Result<Bytes> {
    if let Some(encoding) = headers.get(CONTENT_ENCODING).filter(|encoding| !is_identity(encoding)) {
        let given = format!("{} encoded", String::from_utf8_lossy(encoding.as_bytes()));
        return Err(Error::UnsupportedMediaType { given });
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES as u64) {
        // Who waits for a `100 Continue` has not sent it and, told 413, will not.
        if !headers.contains_key(EXPECT) {
            discard(&mut body).await;
        }
        return Err(Error::TooLarge);
    }
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(&mut body, BODY_BYTES).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            discard(&mut body).await;
            Err(Error::TooLarge)
        }
        Ok(Err(_)) => Err(Error::invalid(Detail::Syntax, "The body broke off.")),
        Err(_) => Err(Error::invalid(Detail::Syntax, "The body did not arrive in time.")),
    }
}

/// Content codings have no case (RFC 9110 section 8.4.1).
fn is_identity(encoding: &HeaderValue) -> bool {
    encoding.as_bytes().eq_ignore_ascii_case(b"identity")
}

/// Takes in what is left of a body that is refused: a connection that closes on a client which is still sending is
/// reset, and many clients then tell of a broken pipe in the place of the answer (RFC 9112 section 9.6).
async fn discard(body: &mut axum::body::Body) {
    let mut left = DISCARDED_BYTES;
    let rest = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // What does not come in time is left to the connection's end.
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, rest).await;
}

/// Refuses a body of another type than `expected`. None at all is read as the expected one, and parameters such as
/// `; charset=utf-8` do not matter.
pub(crate) fn check_type(headers: &HeaderMap, expected: &[&str]) -> Result<()> {
    let Some(given) = headers.get(CONTENT_TYPE).filter(|given| !given.is_empty()) else { return Ok(()) };
    let given = String::from_utf8_lossy(given.as_bytes());
    let essence = given.split(';').next().unwrap_or_default().trim();
    if expected.iter().any(|expected| essence.eq_ignore_ascii_case(expected)) {
        return Ok(());
    }
    Err(Error::UnsupportedMediaType { given: shorten(&given) })
}

/// The body of a request as JSON.
pub async fn json_of(request: &mut Request, expected: &[&str]) -> Result<Value> {
    check_type(&request.parts.headers, expected)?;
    let body = std::mem::take(request.body.get_mut());
    json::parse(&read(&request.parts.headers, body).await?)
}

/// The body of a request as one of the API's types. Fields that the type does not know are ignored, and so are those
/// named in `ignored`, whatever they hold.
pub async fn typed<T: DeserializeOwned>(request: &mut Request, ignored: &[&str]) -> Result<T> {
    let mut value = json_of(request, &["application/json"]).await?;
    let Some(fields) = value.as_object_mut() else {
        return Err(Error::invalid(Detail::Syntax, "The body is no JSON object."));
    };
    fields.retain(|name, _| !ignored.contains(&name.as_str()));
    decode(value)
}

/// A JSON value as one of the API's types.
pub fn decode<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let text = format!("Field '{}': {}.", error.path(), shorten(&error.inner().to_string()));
        Error::invalid(Detail::Value, text)
    })
}

/// The parameters of a query or a form: names and values, decoded.
#[derive(Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query strictly: percent escapes must be UTF-8, `+` and `%20` are spaces.
    pub fn parse(query: Option<&str>) -> Result<Self> {
        Self::parse_up_to(query, FORM_FIELDS)
    }

    /// The same of at most `most` parameters.
    pub fn parse_up_to(query: Option<&str>, most: usize) -> Result<Self> {
        let mut pairs = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == most {
                let text = format!("There are more than {most} parameters.");
                return Err(Error::invalid(Detail::Syntax, text));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decoded(name)?, decoded(value)?));
        }
        Ok(Self(pairs))
    }

    /// Every value of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that stands at most once.
    pub fn one(&self, name: &str) -> Result<Option<&str>> {
        let mut values = self.0.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let first = values.next();
        if values.next().is_some() {
            return Err(Error::invalid(Detail::Syntax, format!("Parameter '{name}' stands twice.")));
        }
        Ok(first)
    }

    /// A parameter that is a whole number within bounds.
    fn number(&self, name: &str, least: u32, most: u32) -> Result<Option<u32>> {
        let Some(given) = self.one(name)?.filter(|given| !given.is_empty()) else { return Ok(None) };
        let digits = given.bytes().all(|b| b.is_ascii_digit());
        match given.parse() {
            Ok(number) if digits && (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Error::invalid(
                Detail::Syntax,
                format!(
                    "Parameter '{name}' is a whole number from {least} to {most}, not '{}'.",
                    shorten(given)
                ),
            )),
        }
    }

    /// The part of a collection that is asked for.
    pub fn page(&self) -> Result<Page> {
        let count = match self.one("count")?.unwrap_or_default() {
            "" | "false" => false,
            "true" => true,
            other => {
                let text = format!("Parameter 'count' is true or false, not '{}'.", shorten(other));
                return Err(Error::invalid(Detail::Syntax, text));
            }
        };
        let limit = self.number("limit", 1, PAGE_MAX)?;
        let offset = self.number("offset", 0, i32::MAX.unsigned_abs())?.unwrap_or(0);
        Ok(Page { limit, offset, count })
    }
}

/// A part of a collection (the original's standard collection parameters).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many at most; `None` is all of them.
    pub limit: Option<u32>,
    /// How many are left out in front.
    pub offset: u32,
    /// Whether the header `X-Total-Count` is asked for.
    pub count: bool,
}

fn decoded(text: &str) -> Result<String> {
    let decoded = form::decode(text.as_bytes()).map(|text| text.to_string());
    decoded.ok_or_else(|| Error::invalid(Detail::Syntax, "The parameters are not UTF-8 in percent escapes."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn queries_are_strict() {
        let query = Query::parse(Some("filters=lastUsed+le%20x&owner-id=me&&x")).unwrap();
        assert_eq!(query.one("filters").unwrap(), Some("lastUsed le x"));
        assert_eq!(query.one("x").unwrap(), Some(""));
        assert_eq!(query.one("nothing").unwrap(), None);
        for wrong in ["a=%", "a=%4", "a=%zz", "a=%ff", "%c3=1"] {
            assert!(Query::parse(Some(wrong)).is_err(), "{wrong}");
        }
        assert!(Query::parse(Some("a=1&a=1")).unwrap().one("a").is_err());
    }

    #[test]
    fn pages_have_bounds() {
        let page = |query| Query::parse(Some(query)).unwrap().page();
        assert_eq!(page("").unwrap(), Page { limit: None, offset: 0, count: false });
        assert_eq!(
            page("limit=250&offset=3&count=true").unwrap(),
            Page { limit: Some(250), offset: 3, count: true }
        );
        for wrong in [
            "limit=0",
            "limit=251",
            "limit=-1",
            "limit=+1",
            "limit=1.0",
            "offset=-1",
            "offset=99999999999",
            "count=yes",
        ] {
            assert!(page(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_query_breaks_it(text in "\\PC{0,80}") {
            if let Ok(query) = Query::parse(Some(&text)) {
                let _ = query.page();
            }
        }
    }
}
