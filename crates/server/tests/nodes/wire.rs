//! Requests as they are sent, and what comes of them.

use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::time::{At, Span};

/// Longer than any handler takes. A request that was given up might still be done at any time later, so none is.
const PATIENCE: Duration = Duration::from_secs(100);

/// A client with connections of its own.
pub(crate) fn client() -> Client {
    let client = Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
    client.no_proxy().build().unwrap()
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What came back.
pub(crate) enum Back {
    Answer(Answer),
    /// The connection broke before there was a whole answer: nobody knows what was done.
    Cut,
    /// There was no connection: nothing was done.
    Unsent,
}

/// Sends a request, and says when that was.
pub(crate) fn send(request: RequestBuilder) -> (Span, Back) {
    let begin = At::now();
    let back = match request.send() {
        Err(error) if error.is_connect() => Back::Unsent,
        Err(_) => Back::Cut,
        Ok(answer) => {
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            match answer.bytes() {
                Ok(body) => {
                    let body = String::from_utf8_lossy(&body).into_owned();
                    Back::Answer(Answer { status, headers, body })
                }
                Err(_) => Back::Cut,
            }
        }
    };
    (Span { begin, end: At::now() }, back)
}

/// What in a text looks like a PAT's secret.
pub(crate) fn secrets_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| word.len() == 64 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}
