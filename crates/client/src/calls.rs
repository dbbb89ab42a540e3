//! The calls of the API, each one request.

use patron_api::{
    BulkUpdateRequest, CreatePersonalAccessTokenRequest, CreatePersonalAccessTokenResponse, Introspection,
    JsonPatchOperation, PersonalAccessToken,
};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::ExposeSecret as _;
use url::Url;

use crate::ambient;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::send::{IDEMPOTENCY_KEY, Repeatable};

/// Where PATs are, below the base URL.
pub(crate) const PATS: [&str; 2] = ["personal-access-tokens", "v1"];

impl Client {
    /// Where PATs are on this server: all of them, or what stands below, such as a PAT by its id. Nothing is sent.
    pub fn address_of_pats(&self, below: Option<&str>) -> Url {
        let [first, second] = PATS;
        below.map_or_else(|| self.url(&PATS), |below| self.url(&[first, second, below]))
    }

    /// `POST /personal-access-tokens/v1`: makes a PAT of one's own (`create-personal-access-token-v1`). The answer is
    /// the only place where its secret is ever shown.
    ///
    /// Asks for the right `idn:my-personal-access-tokens:manage`. Refused with `400` when no expiry was chosen, the
    /// name is taken (`400.1.409`) or there are too many (`400.1.4`).
    ///
    /// If this fails so that [`Error::maybe_done`] is true, the PAT may exist, with a secret that nobody knows: list
    /// one's PATs and delete it.
    pub async fn create(
        &self,
        request: &CreatePersonalAccessTokenRequest,
    ) -> Result<CreatePersonalAccessTokenResponse> {
        let mut call = self.request(Method::POST, &PATS).json(request);
        if let Some(key) = ambient::idempotency_key() {
            // A string in the sense of RFC 9651, so with its quotes.
            call = call.header(IDEMPOTENCY_KEY, format!("\"{key}\""));
        }
        let answer = self.call(call, Repeatable::WithKey).await?;
        self.json(answer).await
    }

    /// `GET /personal-access-tokens/v1/{id}`: one PAT. Patron's own; the original has no such call, and answers as it
    /// does to any address that it does not know.
    pub async fn get(&self, id: &str) -> Result<PersonalAccessToken> {
        let answer = self.call(self.request(Method::GET, &pat(id)?), Repeatable::Yes).await?;
        self.json(answer).await
    }

    /// `PATCH /personal-access-tokens/v1/{id}`: changes one's own PAT (`patch-personal-access-token-v1`), all of the
    /// patch or nothing. [`JsonPatch`](crate::JsonPatch) builds one.
    ///
    /// Access tokens that were made before keep their scopes.
    ///
    /// ```
    /// # mod patron { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/served/mod.rs")); }
    /// # patron::served(|url, client_id, client_secret| async move {
    /// # let client = patron_client::Client::new(&url, patron_client::Credentials::new(client_id.clone(), client_secret))?;
    /// # let id = client_id;
    /// use patron_client::{JsonPatch, Timestamp};
    ///
    /// let end = Timestamp::parse("2099-12-31T23:59:59.999Z").unwrap();
    /// let patch = JsonPatch::new().name("New name").scope(["sp:scopes:all"]).expiring(end);
    /// let pat = client.patch(&id, &patch).await?;
    /// assert_eq!((pat.name.as_str(), pat.expiration_date), ("New name", Some(end)));
    /// # Ok(()) });
    /// ```
    pub async fn patch(
        &self,
        id: &str,
        patch: impl AsRef<[JsonPatchOperation]>,
    ) -> Result<PersonalAccessToken> {
        let patch = patch.as_ref();
        let call = self.request(Method::PATCH, &pat(id)?);
        let call = json_patch(call, patch)?;
        let answer = self.call(call, repeatable(patch)).await?;
        self.json(answer).await
    }

    /// `DELETE /personal-access-tokens/v1/{id}`: ends a PAT and every access token made from it
    /// (`delete-personal-access-token-v1`).
    ///
    /// Asks for `idn:my-personal-access-tokens:manage` for one's own, for `idn:all-personal-access-tokens:manage` for
    /// anyone's. When an attempt was lost on its way and the next finds no such PAT, it is deleted: that is a success.
    pub async fn delete(&self, id: &str) -> Result<()> {
        let call = self.request(Method::DELETE, &pat(id)?);
        match self.call(call, Repeatable::Yes).await {
            // A page in front of the server, to sign in at for one, is no deletion.
            Ok(answer) if answer.status() != StatusCode::NO_CONTENT => Err(self.no_answer(answer.status())),
            Err(error) if error.is_not_found() && error.maybe_done() => Ok(()),
            other => other.map(drop),
        }
    }

    /// `POST /personal-access-tokens/v1/bulk-update`: one patch of the expiry for up to 25 PATs of anyone, all or none.
    /// Patron answers them sorted by id. Asks for the right `idn:all-personal-access-tokens:update`.
    ///
    /// ```
    /// # mod patron { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/served/mod.rs")); }
    /// # patron::served(|url, client_id, client_secret| async move {
    /// # let client = patron_client::Client::new(&url, patron_client::Credentials::new(client_id.clone(), client_secret))?;
    /// # let id = client_id;
    /// use patron_client::{BulkUpdateRequest, JsonPatch, Timestamp};
    ///
    /// let end = Timestamp::parse("2099-12-31T23:59:59.999Z").unwrap();
    /// let changed = client.bulk_update(&BulkUpdateRequest::new([id], JsonPatch::new().expiring(end))).await?;
    /// assert_eq!(changed[0].expiration_date, Some(end));
    /// # Ok(()) });
    /// ```
    pub async fn bulk_update(&self, request: &BulkUpdateRequest) -> Result<Vec<PersonalAccessToken>> {
        let call = self.request(Method::POST, &[PATS[0], PATS[1], "bulk-update"]).json(request);
        let answer = self.call(call, repeatable(&request.patch)).await?;
        self.json(answer).await
    }

    /// `POST /oauth/introspect`: asks the server whether an access token works right now, and whose it is (RFC 7662).
    /// Patron's own.
    ///
    /// ```
    /// # mod patron { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/served/mod.rs")); }
    /// # patron::served(|url, client_id, client_secret| async move {
    /// # let client = patron_client::Client::new(&url, patron_client::Credentials::new(client_id, client_secret))?;
    /// let token = client.token().await?;
    /// assert!(client.introspect(token.expose()).await?.active);
    /// client.revoke(token.expose()).await?;
    /// assert!(!client.introspect(token.expose()).await?.active);
    /// # Ok(()) });
    /// ```
    pub async fn introspect(&self, token: &str) -> Result<Introspection> {
        let answer = self.send(self.about("introspect", token)?, Repeatable::Yes).await?;
        self.json(answer).await
    }

    /// `POST /oauth/revoke`: ends one access token (RFC 7009), of this PAT or, with the right
    /// `idn:all-personal-access-tokens:manage`, of any. Patron's own.
    pub async fn revoke(&self, token: &str) -> Result<()> {
        self.send(self.about("revoke", token)?, Repeatable::Yes).await?;
        self.forget(token);
        Ok(())
    }

    /// A form about a token, to an endpoint under `/oauth/`.
    fn about(&self, endpoint: &str, token: &str) -> Result<RequestBuilder> {
        let credentials = self.pat()?;
        let form = [
            ("token", token),
            ("client_id", credentials.client_id()),
            ("client_secret", credentials.client_secret().expose_secret()),
        ];
        Ok(self.request(Method::POST, &["oauth", endpoint]).form(&form))
    }
}

/// The segments of a PAT's address.
fn pat(id: &str) -> Result<[&str; 3]> {
    // An empty segment would be the list, and these two would be taken away; as would be, before they are looked at,
    // line ends and tabs (URL Standard section 4.4), which make other segments of these.
    if matches!(id, "" | "." | "..") || id.contains(char::is_control) {
        return Err(Error::usage("This is no id of a PAT"));
    }
    Ok([PATS[0], PATS[1], id])
}

fn json_patch(call: RequestBuilder, patch: &[JsonPatchOperation]) -> Result<RequestBuilder> {
    let body = serde_json::to_vec(patch).map_err(|_| Error::usage("The patch cannot be written"))?;
    Ok(call.header(CONTENT_TYPE, "application/json-patch+json").body(body))
}

/// A patch of replacements alone does the same twice as once. An `add` to a list, a `test` and the others need not.
fn repeatable(patch: &[JsonPatchOperation]) -> Repeatable {
    if patch.iter().all(|operation| operation.op == "replace") { Repeatable::Yes } else { Repeatable::No }
}
