//! One request, repeated where that is right, and its answer read within bounds.

use futures_util::StreamExt as _;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use url::Url;

use crate::client::Client;
use crate::error::{self, Error, Result};
use crate::limits::{ANSWER_BYTES, ANSWER_TIMEOUT};
use crate::retry::{Retry, retry_after};

/// Names a request, so that a server that knows it carries it out once however often it is sent.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Whether a request may be sent again when nobody knows if it was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeatable {
    /// Twice is as good as once.
    Yes,
    /// Only if the server answers with the request's idempotency key.
    WithKey,
    /// No.
    No,
}

impl Client {
    /// The address of these segments below the base, each encoded.
    pub(crate) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.inner.base.clone();
        // A URL with a host always has a path, which the builder has seen to.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// A request whose answer is read whole.
    pub(crate) fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        self.streamed(method, segments).timeout(ANSWER_TIMEOUT)
    }

    /// A request whose answer may take as long as its reader does.
    pub(crate) fn streamed(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        self.inner.http.request(method, self.url(segments)).header("accept", "application/json")
    }

    /// Sends a request with the access token. A token that the server refuses although it looked good is replaced
    /// once: the server had not carried the request out.
    pub(crate) async fn call(&self, request: RequestBuilder, repeatable: Repeatable) -> Result<Response> {
        let (token, fresh) = self.current_token().await?;
        let with = |token: &crate::AccessToken| {
            let mut value = HeaderValue::from_str(token.header().expose_secret())
                .map_err(|_| Error::usage("The access token holds what no header can"))?;
            value.set_sensitive(true);
            let request = copy(&request)?.header(AUTHORIZATION, value);
            Ok::<_, Error>(request)
        };
        let answer = self.send(with(&token)?, repeatable).await;
        match answer {
            Err(error) if error.is_unauthorized() && !fresh && self.inner.credentials.is_some() => {
                self.forget(token.expose());
                let again = async {
                    let token = self.token().await?;
                    self.send(with(&token)?, repeatable).await
                };
                again.await.map_err(|failed| failed.or_maybe_done(error.maybe_done()))
            }
            other => other,
        }
    }

    /// Sends a request as it is. What is not a success is an error.
    pub(crate) async fn send(&self, request: RequestBuilder, repeatable: Repeatable) -> Result<Response> {
        self.send_with(request, repeatable, self.inner.retry).await
    }

    pub(crate) async fn send_with(
        &self,
        request: RequestBuilder,
        repeatable: Repeatable,
        retry: Retry,
    ) -> Result<Response> {
        let mut unknown = false;
        let sent = self.attempts(request, repeatable, retry, &mut unknown).await;
        // However the last attempt failed: an earlier one may have been carried out.
        sent.map_err(|error| error.or_maybe_done(unknown))
    }

    /// Sends a request until it is answered for good; `unknown` tells whether an attempt before the last may have been
    /// carried out.
    async fn attempts(
        &self,
        request: RequestBuilder,
        repeatable: Repeatable,
        retry: Retry,
        unknown: &mut bool,
    ) -> Result<Response> {
        let mut repeat = 0;
        loop {
            let copy = copy(&request)?;
            let response = copy.send().await.map_err(|error| self.transport(error))?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            let pause = retry_after(response.headers(), self.inner.clock.now());
            let not_done = status == StatusCode::TOO_MANY_REQUESTS;
            let again = not_done
                || status == StatusCode::SERVICE_UNAVAILABLE
                    && match repeatable {
                        Repeatable::Yes => true,
                        Repeatable::WithKey => answers_key(&request, &response),
                        Repeatable::No => false,
                    };
            let pause_before = if again { retry.pause(repeat, pause) } else { None };
            let Some(wait) = pause_before else {
                let body = self.whole(response).await.unwrap_or_default();
                let mut refusal =
                    error::refusal(status, &body, pause).ok_or_else(|| self.no_answer(status))?;
                refusal.maybe_done = status.is_server_error();
                return Err(Error::Refused(Box::new(refusal)));
            };
            *unknown |= !not_done;
            repeat += 1;
            tokio::time::sleep(wait).await;
        }
    }

    /// Reads an answer as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T> {
        let body = self.whole(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.unreadable(&error))
    }

    /// The JSON is not what this API answers. The text says where and what kind, and nothing of the answer, which may
    /// hold a secret.
    pub(crate) fn unreadable(&self, error: &serde_json::Error) -> Error {
        let what = match error.classify() {
            serde_json::error::Category::Data => "a field is missing or of another type",
            _ => "it is no JSON",
        };
        let what = format!(
            "gave an answer that cannot be read: {what} (line {}, column {})",
            error.line(),
            error.column()
        );
        Error::Unreadable { address: self.inner.base.to_string(), what, status: None, maybe_done: true }
    }

    pub(crate) fn transport(&self, error: reqwest::Error) -> Error {
        Error::transport(self.inner.base.as_str(), error)
    }

    /// The body, if it is not too long.
    async fn whole(&self, response: Response) -> Result<Vec<u8>> {
        let (mut body, mut pieces) = (Vec::new(), response.bytes_stream());
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| self.transport(error))?;
            if body.len() + piece.len() > ANSWER_BYTES {
                let what = "gave an answer that is too long".to_owned();
                return Err(Error::Unreadable {
                    address: self.inner.base.to_string(),
                    what,
                    status: None,
                    maybe_done: true,
                });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// A status whose body is none of this API.
    pub(crate) fn no_answer(&self, status: StatusCode) -> Error {
        let reason = status.canonical_reason().unwrap_or("unknown");
        let what = if status.is_redirection() {
            format!("leads elsewhere ({} {reason}): is the base URL the API's?", status.as_u16())
        } else {
            format!(
                "answered {} {reason}, not in a form of this API: is the base URL the API's?",
                status.as_u16()
            )
        };
        Error::Unreadable {
            address: self.inner.base.to_string(),
            what,
            status: Some(status.as_u16()),
            maybe_done: status.is_server_error() || status.is_success(),
        }
    }
}

/// Whether the answer carries the key that the request carried.
fn answers_key(request: &RequestBuilder, response: &Response) -> bool {
    let Some(Ok(request)) = request.try_clone().map(RequestBuilder::build) else { return false };
    let key = request.headers().get(IDEMPOTENCY_KEY);
    key.is_some() && key == response.headers().get(IDEMPOTENCY_KEY)
}

fn copy(request: &RequestBuilder) -> Result<RequestBuilder> {
    request.try_clone().ok_or_else(|| Error::usage("The request cannot be repeated"))
}
