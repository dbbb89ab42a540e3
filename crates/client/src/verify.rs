use std::sync::{Mutex, PoisonError};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use patron_core::time::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::limits::{KEYS_KEPT_SECONDS, KEYS_LOOKED_SECONDS, LEEWAY_SECONDS, TOKEN_BYTES};
use crate::send::Repeatable;
use crate::turns::Turns;

/// An access token whose signature is the server's and whose time is now (RFC 7519, RFC 9068).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Its header: `alg`, `kid`, `typ`.
    pub header: Map<String, Value>,
    /// Its claims. A service that is shown a token looks for what it needs in `scope`, once [`is_for`](Self::is_for)
    /// says that the token is its own to accept.
    pub claims: Map<String, Value>,
}

impl VerifiedToken {
    /// Whether `iss` is this issuer, the tenant's public URL, and `aud`, one text or several, names this audience
    /// (RFC 9068 section 4).
    pub fn is_for(&self, issuer: &str, audience: &str) -> bool {
        let names = |aud: &Value| match aud {
            Value::Array(several) => several.iter().any(|one| one == audience),
            one => one == audience,
        };
        self.claims.get("iss").is_some_and(|iss| iss == issuer) && self.claims.get("aud").is_some_and(names)
    }
}

/// What is signed with a key that only the server has, and nothing with a secret that others could share.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::EdDSA,
];

/// The server's public keys, as they were fetched last.
#[derive(Default)]
pub(crate) struct Keys {
    kept: Mutex<Option<Fetched>>,
    fetches: Turns,
}

struct Fetched {
    at: Timestamp,
    keys: Vec<Value>,
}

/// A JWK set (RFC 7517 section 5). Keys stay as they are: one of a kind that is not known must not hide the others.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Client {
    /// Checks an access token by the server's public keys (`/oauth/jwks`): its signature, and that it has not ended.
    ///
    /// It does not ask whether the token was revoked: [`introspect`](Client::introspect) does. The keys are kept for
    /// five minutes. Fails with [`Error::Token`] when the token is not good, and never with that because of an outage.
    ///
    /// All tenants of a server may sign with the same keys, as Patron's do. Whoever lets somebody in for a token
    /// therefore asks [`VerifiedToken::is_for`] as well: without that, a token of another tenant is as good.
    ///
    /// ```
    /// # mod patron { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/served/mod.rs")); }
    /// # patron::served(|url, client_id, client_secret| async move {
    /// # let client = patron_client::Client::new(&url, patron_client::Credentials::new(client_id, client_secret))?;
    /// let token = client.token().await?;
    /// let verified = client.verify(token.expose()).await?;
    /// assert_eq!(verified.claims["scope"], "sp:scopes:all");
    /// assert!(verified.is_for("http://127.0.0.1:8080", "http://127.0.0.1:8080"));
    /// # Ok(()) });
    /// ```
    pub async fn verify(&self, token: &str) -> Result<VerifiedToken> {
        let bad = |what: &str| Error::Token(what.to_owned());
        if token.len() > TOKEN_BYTES {
            return Err(bad("it is too long"));
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| bad("it is no signed JWT"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(bad("its algorithm is none that is checked with a public key"));
        }
        if header.crit.is_some() {
            return Err(bad("it asks for an extension that is not known (RFC 7515 section 4.1.11)"));
        }
        let wanted = Wanted { kid: header.kid.as_deref(), algorithm: header.alg };
        let key = self.key(wanted).await?;
        let mut validation = Validation::new(header.alg);
        // The times are checked below, by this client's clock.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation)
            .map_err(|_| bad("its signature is not the server's"))?;
        self.is_in_time(&decoded.claims)?;
        let header = serde_json::to_value(&decoded.header).ok().and_then(|header| match header {
            Value::Object(header) => Some(header),
            _ => None,
        });
        Ok(VerifiedToken { header: header.unwrap_or_default(), claims: decoded.claims })
    }

    fn is_in_time(&self, claims: &Map<String, Value>) -> Result<()> {
        let now = self.inner.clock.now().seconds();
        let ends =
            claims.get("exp").and_then(Value::as_f64).ok_or_else(|| Error::Token("it says no end".into()))?;
        let begins = match claims.get("nbf") {
            None => None,
            Some(begins) => {
                Some(begins.as_f64().ok_or_else(|| Error::Token("when it begins is no number".into()))?)
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 stay far below 2^52")]
        let (early, late) = ((now - LEEWAY_SECONDS) as f64, (now + LEEWAY_SECONDS) as f64);
        if ends <= early {
            return Err(Error::Token("it has ended".into()));
        }
        if begins.is_some_and(|begins| begins > late) {
            return Err(Error::Token("it is not good yet".into()));
        }
        Ok(())
    }

    /// The key that is wanted. Keys that were fetched are fetched again when they are old, or lack the one asked for.
    async fn key(&self, wanted: Wanted<'_>) -> Result<DecodingKey> {
        if let Some(told) = self.kept_key(wanted) {
            return told;
        }
        let fetched = self.inner.keys.fetches.take(async {
            if self.kept_key(wanted).is_some() {
                return Ok(());
            }
            let at = self.inner.clock.now();
            let answer = self.send(self.request(Method::GET, &["oauth", "jwks"]), Repeatable::Yes).await?;
            let KeySet { keys } = self.json(answer).await?;
            *self.inner.keys.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Fetched { at, keys });
            Ok(())
        });
        fetched.await?;
        self.kept_key(wanted).unwrap_or_else(|| Err(unknown_key()))
    }

    /// What the keys at hand say of it, that it is not among them too; `None` when they have to be fetched.
    fn kept_key(&self, wanted: Wanted<'_>) -> Option<Result<DecodingKey>> {
        let kept = self.inner.keys.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.as_ref()?;
        let age = self.inner.clock.now().seconds() - kept.at.seconds();
        if !(0..KEYS_KEPT_SECONDS).contains(&age) {
            return None;
        }
        let found = find(&kept.keys, wanted);
        (found.is_some() || age < KEYS_LOOKED_SECONDS).then(|| found.ok_or_else(unknown_key))
    }
}

fn unknown_key() -> Error {
    Error::Token("its key is not among the server's".to_owned())
}

/// What a token says of the key that it is signed with.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    kid: Option<&'a str>,
    algorithm: Algorithm,
}

impl Wanted<'_> {
    /// Whether this key may be it: of this name, and for nothing but such signatures (RFC 8725 section 3.1).
    fn may_be(self, key: &Value) -> bool {
        let named = self.kid.is_none_or(|kid| key.get("kid").is_some_and(|name| name == kid));
        let signs = key.get("use").is_none_or(|usage| usage == "sig");
        let so = key
            .get("alg")
            .is_none_or(|name| serde_json::to_value(self.algorithm).is_ok_and(|mine| *name == mine));
        named && signs && so
    }
}

/// The key that is wanted; without a name, the only one there is.
fn find(keys: &[Value], wanted: Wanted<'_>) -> Option<DecodingKey> {
    if wanted.kid.is_none() && keys.len() != 1 {
        return None;
    }
    let key = keys.iter().find(|key| wanted.may_be(key))?;
    let key: Jwk = serde_json::from_value(key.clone()).ok()?;
    DecodingKey::from_jwk(&key).ok()
}
