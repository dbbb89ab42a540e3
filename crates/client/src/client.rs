use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use patron_core::clock::Clock;
use url::{Host, Url};

use crate::ambient::SystemClock;
use crate::credentials::{AccessToken, Credentials};
use crate::error::{Error, Result};
use crate::limits::{CONNECT_TIMEOUT, READ_TIMEOUT};
use crate::retry::Retry;
use crate::tokens::Tokens;
use crate::verify::Keys;

/// A client of one server, as one PAT. Cheap to clone; clones share their connections and their access token.
///
/// ```
/// # mod patron { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/served/mod.rs")); }
/// # patron::served(|url, client_id, client_secret| async move {
/// use patron_client::{Client, CreatePersonalAccessTokenRequest, Credentials, ExposeSecret as _, Timestamp};
///
/// let client = Client::new(&url, Credentials::new(client_id, client_secret))?;
/// let request = CreatePersonalAccessTokenRequest::named("nightly report")
///     .with_scope(["sp:my-personal-access-tokens:read"])
///     .expiring(Timestamp::parse("2099-01-31T00:00:00Z").unwrap());
/// let made = client.create(&request).await?;
/// assert_eq!(made.secret.expose_secret().len(), 64);
/// client.delete(&made.id).await?;
/// # Ok(()) });
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) base: Url,
    pub(crate) retry: Retry,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) tokens: Tokens,
    pub(crate) keys: Keys,
}

/// Shows where it leads and as whom, and no secret.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.inner.base.as_str())
            .field("credentials", &self.inner.credentials)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the server at `base_url`, with the defaults of [`ClientBuilder`].
    pub fn new(base_url: &str, credentials: Credentials) -> Result<Self> {
        Self::builder(base_url).credentials(credentials).build()
    }

    /// Takes the address and the PAT from the environment, by the names that the original product's clients use:
    /// `SAIL_BASE_URL`, `SAIL_CLIENT_ID`, `SAIL_CLIENT_SECRET`.
    pub fn from_env() -> Result<Self> {
        let read = |name: &str| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.is_empty())
                .ok_or_else(|| Error::usage(format!("{name} is not set")))
        };
        let credentials = Credentials::new(read("SAIL_CLIENT_ID")?, read("SAIL_CLIENT_SECRET")?);
        Self::new(&read("SAIL_BASE_URL")?, credentials)
    }

    /// Builds a client of the server at `base_url`: `https://acme.api.example.com`, with a path if the server stands
    /// below one.
    pub fn builder(base_url: &str) -> ClientBuilder {
        ClientBuilder {
            base_url: base_url.to_owned(),
            credentials: None,
            access_token: None,
            allow_http: false,
            retry: Retry::default(),
            user_agent: concat!("patron-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            clock: Arc::new(SystemClock),
        }
    }

    /// The server's address.
    pub fn base_url(&self) -> &Url {
        &self.inner.base
    }

    /// The PAT that the client acts as.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.inner.credentials.as_ref()
    }
}

/// How a [`Client`] is to be.
pub struct ClientBuilder {
    base_url: String,
    credentials: Option<Credentials>,
    access_token: Option<AccessToken>,
    allow_http: bool,
    retry: Retry,
    user_agent: String,
    clock: Arc<dyn Clock>,
}

/// What `localhost` and the names below it are (RFC 6761 section 6.3); the port is the URL's.
const LOOPBACK: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0),
];

impl ClientBuilder {
    /// The PAT to act as. Without one, and without an access token, only tokens can be verified.
    #[must_use]
    pub fn credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    /// An access token to begin with, such as one kept from before. When it is about to end, or refused, and there are
    /// credentials, it is replaced.
    #[must_use]
    pub fn access_token(self, token: AccessToken) -> Self {
        Self { access_token: Some(token), ..self }
    }

    /// Whether secrets may be sent unencrypted, over `http://`, to other machines. To this machine itself they always
    /// may. Default: no.
    #[must_use]
    pub fn allow_http(self, allowed: bool) -> Self {
        Self { allow_http: allowed, ..self }
    }

    /// How to go on after 429 and 503.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// The header `User-Agent`. Default: `patron-client/` and its version.
    #[must_use]
    pub fn user_agent(self, name: impl Into<String>) -> Self {
        Self { user_agent: name.into(), ..self }
    }

    /// The clock that says when an access token is about to end. Default: the system's.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The client. No connection is made yet. Fails with [`Error::Usage`] when the address is none, or would carry
    /// secrets unencrypted to another machine, or when no request can be made as was chosen.
    ///
    /// Proxies are those that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name, and none to this machine.
    pub fn build(self) -> Result<Client> {
        let base = base(&self.base_url, self.allow_http)?;
        let mut http = reqwest::Client::builder()
            .user_agent(self.user_agent)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            // A form with a secret is sent where the caller said and nowhere else.
            .redirect(reqwest::redirect::Policy::none());
        if is_this_machine(&base) {
            // Without these, a proxy that the environment names would be sent it, or whom a name server tells.
            http = http.no_proxy();
            if let Some(Host::Domain(name)) = base.host() {
                http = http.resolve_to_addrs(name, &LOOPBACK);
            }
        }
        let http = http.build().map_err(|error| Error::transport(base.as_str(), error))?;
        let inner = Inner {
            http,
            base,
            retry: self.retry,
            clock: self.clock,
            credentials: self.credentials,
            tokens: Tokens::new(self.access_token),
            keys: Keys::default(),
        };
        Ok(Client { inner: Arc::new(inner) })
    }
}

/// The address, checked. Texts do not repeat it: it might hold a password.
fn base(text: &str, allow_http: bool) -> Result<Url> {
    let no_url = "The base URL is none: expected something like https://acme.api.example.com";
    let url: Url = text.trim().parse().map_err(|_| Error::usage(no_url))?;
    if url.host().is_none() || !matches!(url.scheme(), "http" | "https") {
        return Err(Error::usage(no_url));
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(Error::usage("The base URL may have a path, but no user, query or fragment"));
    }
    if url.scheme() == "http" && !allow_http && !is_this_machine(&url) {
        return Err(Error::usage(format!(
            "http:// would carry secrets to {} unencrypted; use https://, or allow http if the network is your own",
            url.host_str().unwrap_or_default()
        )));
    }
    Ok(url)
}

/// Whether what is sent there stays on this machine.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_checked() {
        for good in [
            "https://acme.api.example.com",
            "https://example.com/patron/",
            "http://127.0.0.1:8080",
            "http://localhost:8080/patron",
            "http://[::1]:8080",
            " https://example.com ",
        ] {
            assert!(base(good, false).is_ok(), "{good}");
        }
        for bad in [
            "",
            "acme.api.example.com",
            "ftp://example.com",
            "mailto:jane@example.com",
            "https://user:password@example.com",
            "https://example.com/?a=b",
            "http://example.com",
            "http://127.0.0.1.example.com",
        ] {
            let refused = base(bad, false).unwrap_err();
            assert!(matches!(refused, Error::Usage(_)), "{bad}");
            assert!(!refused.to_string().contains("password"), "{refused}");
        }
        assert!(base("http://example.com", true).is_ok());
    }
}
