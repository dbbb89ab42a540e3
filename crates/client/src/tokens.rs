//! The access token: obtained once, kept, and replaced before it ends.

use std::sync::{Mutex, PoisonError};

use patron_api::TokenResponse;
use reqwest::Method;
use secrecy::ExposeSecret as _;

use crate::client::Client;
use crate::credentials::{AccessToken, Credentials};
use crate::error::{Error, Result};
use crate::retry::Retry;
use crate::send::Repeatable;
use crate::turns::Turns;

/// The token in use. New ones are obtained in turns, so that many calls at once make one exchange.
pub(crate) struct Tokens {
    kept: Mutex<Option<AccessToken>>,
    exchanges: Turns,
}

impl Tokens {
    pub(crate) fn new(token: Option<AccessToken>) -> Self {
        Self { kept: Mutex::new(token), exchanges: Turns::default() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Option<AccessToken>) -> T) -> T {
        work(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Client {
    /// `POST /oauth/token`: an access token (RFC 6749 section 4.4). The one in use, if it is not about to end; or a
    /// new one, which is then the one in use.
    ///
    /// A server that is out of reach just then leaves the old one in use for as long as it is good.
    pub async fn token(&self) -> Result<AccessToken> {
        self.current_token().await.map(|(token, _)| token)
    }

    /// The token in use, and whether it was obtained just now.
    pub(crate) async fn current_token(&self) -> Result<(AccessToken, bool)> {
        if let Some(token) = self.token_to_send() {
            return Ok((token, false));
        }
        let tokens = &self.inner.tokens;
        let obtained = tokens.exchanges.take(async {
            if let Some(token) = self.token_to_send() {
                return Ok((token, false));
            }
            // Who still has a good one need not wait for the server to come back.
            let retry = if self.good_token().is_some() { Retry::NEVER } else { self.inner.retry };
            let token = self.exchange(None, retry).await?;
            tokens.with(|kept| *kept = Some(token.clone()));
            Ok((token, true))
        });
        match obtained.await {
            Err(error) if error.is_outage() => self.good_token().map(|token| (token, false)).ok_or(error),
            other => other,
        }
    }

    /// The token in use, if it is not about to end, or if nothing is at hand to obtain another with.
    fn token_to_send(&self) -> Option<AccessToken> {
        let (now, replaceable) = (self.inner.clock.now(), self.inner.credentials.is_some());
        self.inner.tokens.with(|kept| kept.clone()).filter(|token| !replaceable || token.is_fresh(now))
    }

    fn good_token(&self) -> Option<AccessToken> {
        let now = self.inner.clock.now();
        self.inner.tokens.with(|kept| kept.clone()).filter(|token| token.is_good(now))
    }

    /// The access token in use, if there is one: to keep it for later.
    pub fn kept_token(&self) -> Option<AccessToken> {
        self.inner.tokens.with(|kept| kept.clone())
    }

    /// A new access token in any case, which is then the one in use.
    pub async fn fresh_token(&self) -> Result<AccessToken> {
        let tokens = &self.inner.tokens;
        let token = tokens.exchanges.take(self.exchange(None, self.inner.retry)).await?;
        tokens.with(|kept| *kept = Some(token.clone()));
        Ok(token)
    }

    /// A new access token with fewer scopes than the PAT has (RFC 6749 section 3.3). It is not kept.
    ///
    /// No scope at all is [`Error::Usage`]: an exchange that names none is answered with all that the PAT has.
    pub async fn token_for(&self, scope: &[&str]) -> Result<AccessToken> {
        let scope = scope.join(" ");
        if scope.trim().is_empty() {
            return Err(Error::usage("An access token with fewer scopes needs one at least"));
        }
        self.exchange(Some(&scope), self.inner.retry).await
    }

    /// Puts the token out of use, unless it has been replaced meanwhile.
    pub(crate) fn forget(&self, token: &str) {
        self.inner.tokens.with(|kept| drop(kept.take_if(|kept| kept.expose() == token)));
    }

    /// An exchange. When it fails, nothing has been done of what the token is wanted for.
    async fn exchange(&self, scope: Option<&str>, retry: Retry) -> Result<AccessToken> {
        let credentials = self.pat()?;
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", credentials.client_id()),
            ("client_secret", credentials.client_secret().expose_secret()),
        ];
        form.extend(scope.map(|scope| ("scope", scope)));
        let request = self.request(Method::POST, &["oauth", "token"]).form(&form);
        // Before the request: a token that took long to come ends sooner, not later.
        let now = self.inner.clock.now();
        let answer = async {
            let answer = self.send_with(request, Repeatable::Yes, retry).await?;
            self.json::<TokenResponse>(answer).await
        };
        let answer = answer.await.map_err(|error| error.with_maybe_done(false))?;
        // What goes into headers, and by `patron token` into those of other programs, may bring no line of its own.
        let token = answer.access_token.expose_secret();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Unreadable {
                address: self.base_url().to_string(),
                what: "gave an access token that no header can carry".to_owned(),
                status: None,
                maybe_done: false,
            });
        }
        Ok(AccessToken::of(answer, now))
    }

    /// The PAT that authenticates at the endpoints under `/oauth/`.
    pub(crate) fn pat(&self) -> Result<&Credentials> {
        self.inner
            .credentials
            .as_ref()
            .ok_or_else(|| Error::usage("This asks for the client id and secret of a PAT"))
    }
}
