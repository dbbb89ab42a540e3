//! A server, spoken to with a credential and the access token that is kept for it.

use futures_util::TryStreamExt as _;
use patron_client::{AccessToken, Client, Credentials, List, PersonalAccessToken};

use super::credentials::{self, Acting, Credential, Source};
use super::token_cache::TokenCache;
use super::{Caller, Failed};

/// A client, whose access token outlives the command.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) credential: Credential,
    cache: TokenCache,
}

impl Connection {
    /// With the credential that the profile, or what is around, gives.
    pub(super) fn find(caller: &Caller, acting: &Acting) -> Result<Self, Failed> {
        Self::open(caller, credentials::find(&caller.around, acting)?)
    }

    /// With this credential. Nothing is sent yet.
    pub(super) fn open(caller: &Caller, credential: Credential) -> Result<Self, Failed> {
        let cache = caller.cache();
        let kept = cache.get(&credential, &[], Caller::now());
        let client = client(&credential, kept)?;
        Ok(Self { client, credential, cache })
    }

    /// Keeps the access token in use for the next command; none, if it was refused and there is no other.
    pub(super) fn keep_token(&self) {
        match self.client.kept_token() {
            Some(token) => self.cache.put(&self.credential, &[], &token),
            None => drop(self.cache.take_all(&self.credential)),
        }
    }

    /// One PAT. The original has no call for that, so there it is looked for among one's own.
    pub(super) async fn pat(&self, id: &str) -> Result<PersonalAccessToken, Failed> {
        let refused = match self.client.get(id).await {
            Ok(pat) => return Ok(pat),
            Err(error) => error,
        };
        let unknown_call = matches!(refused, patron_client::Error::Unreadable { .. });
        if unknown_call || refused.is_not_found() || refused.status() == Some(405) {
            let mut own = self.client.list(&List::mine());
            while let Ok(Some(pat)) = own.try_next().await {
                if pat.id == id {
                    return Ok(pat);
                }
            }
        }
        Err(refused.into())
    }
}

/// A client of the credential's server.
pub(super) fn client(credential: &Credential, token: Option<AccessToken>) -> Result<Client, Failed> {
    let pat = Credentials::new(credential.client_id.as_str(), credential.client_secret.clone());
    let builder = Client::builder(&credential.base_url)
        .credentials(pat)
        .allow_http(credential.allow_http)
        .user_agent(concat!("patron/", env!("CARGO_PKG_VERSION")));
    let builder = if let Some(token) = token { builder.access_token(token) } else { builder };
    builder.build().map_err(|error| with_the_way_out(error, credential))
}

/// Says how http is allowed, where that is what was refused.
fn with_the_way_out(error: patron_client::Error, credential: &Credential) -> Failed {
    if !credential.base_url.starts_with("http://") || credential.allow_http {
        return error.into();
    }
    let way = match credential.source {
        Source::Profile(_) => "`patron login --allow-http`",
        Source::Environment | Source::File(_) => "PATRON_ALLOW_HTTP=1",
    };
    super::fault::usage(format!("{error} ({way})"))
}
