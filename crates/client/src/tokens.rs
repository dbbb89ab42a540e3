//! The access token: obtained once, kept, and replaced before it ends.

use patron_api::TokenResponse;
use reqwest::Method;
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;

use crate::client::Client;
use crate::credentials::{AccessToken, Credentials};
use crate::error::{Error, Result};
use crate::send::Repeatable;

/// The token in use. The lock is held while a new one is obtained, so that many calls at once make one exchange.
pub(crate) struct Tokens(Mutex<Option<AccessToken>>);

impl Tokens {
    pub(crate) fn new(token: Option<AccessToken>) -> Self {
        Self(Mutex::new(token))
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
        let mut kept = self.inner.tokens.0.lock().await;
        let now = self.inner.clock.now();
        if let Some(token) = kept.as_ref().filter(|token| token.is_fresh(now)) {
            return Ok((token.clone(), false));
        }
        if self.inner.credentials.is_none()
            && let Some(token) = kept.as_ref()
        {
            return Ok((token.clone(), false));
        }
        match self.exchange(None).await {
            Ok(token) => {
                *kept = Some(token.clone());
                Ok((token, true))
            }
            Err(error) if error.is_outage() => match kept.as_ref().filter(|token| token.is_good(now)) {
                Some(token) => Ok((token.clone(), false)),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// The access token in use, if there is one: to keep it for later.
    pub async fn kept_token(&self) -> Option<AccessToken> {
        self.inner.tokens.0.lock().await.clone()
    }

    /// A new access token in any case, which is then the one in use.
    pub async fn fresh_token(&self) -> Result<AccessToken> {
        let mut kept = self.inner.tokens.0.lock().await;
        let token = self.exchange(None).await?;
        *kept = Some(token.clone());
        Ok(token)
    }

    /// A new access token with fewer scopes than the PAT has (RFC 6749 section 3.3). It is not kept.
    pub async fn token_for(&self, scope: &[&str]) -> Result<AccessToken> {
        self.exchange(Some(&scope.join(" "))).await
    }

    /// Puts the token out of use, unless it has been replaced meanwhile.
    pub(crate) async fn forget(&self, token: &AccessToken) {
        let mut kept = self.inner.tokens.0.lock().await;
        if kept.as_ref().is_some_and(|kept| kept.expose() == token.expose()) {
            *kept = None;
        }
    }

    async fn exchange(&self, scope: Option<&str>) -> Result<AccessToken> {
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
        let answer = self.send(request, Repeatable::Yes).await?;
        let answer: TokenResponse = self.json(answer).await?;
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
