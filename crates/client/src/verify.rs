use std::sync::Mutex;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use patron_core::time::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::send::Repeatable;

/// An access token whose signature is the server's and whose time is now (RFC 7519, RFC 9068).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Its header: `alg`, `kid`, `typ`.
    pub header: Map<String, Value>,
    /// Its claims. A service that is shown a token compares `aud` with its own name, and `iss` with the server's
    /// public URL (RFC 9068 section 4), and looks for what it needs in `scope`.
    pub claims: Map<String, Value>,
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

/// How long the server's keys are kept. As long as Patron lets them be cached.
const KEPT_SECONDS: i64 = 300;
/// A key that is not there is looked for anew at most this often, so that forged `kid`s make no flood of requests.
const LOOKED_SECONDS: i64 = 10;
/// How far the clocks of the server and of this machine may be apart.
const LEEWAY_SECONDS: i64 = 5;

/// The server's public keys, as they were fetched last.
#[derive(Default)]
pub(crate) struct Keys(Mutex<Option<Fetched>>);

#[derive(Clone)]
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
    /// ```
    /// # mod patron { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/served/mod.rs")); }
    /// # patron::served(|url, client_id, client_secret| async move {
    /// # let client = patron_client::Client::new(&url, patron_client::Credentials::new(client_id, client_secret))?;
    /// let token = client.token().await?;
    /// let verified = client.verify(token.expose()).await?;
    /// assert_eq!(verified.claims["scope"], "sp:scopes:all");
    /// # Ok(()) });
    /// ```
    pub async fn verify(&self, token: &str) -> Result<VerifiedToken> {
        let bad = |what: &str| Error::Token(what.to_owned());
        let header = jsonwebtoken::decode_header(token).map_err(|_| bad("it is no signed JWT"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(bad("its algorithm is none that is checked with a public key"));
        }
        let key =
            self.key(header.kid.as_deref()).await?.ok_or_else(|| bad("its key is not among the server's"))?;
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
        let begins = claims.get("nbf").and_then(Value::as_f64);
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

    /// The key with this name. Keys that were fetched are fetched again when they are old, or lack the one asked for.
    async fn key(&self, kid: Option<&str>) -> Result<Option<DecodingKey>> {
        let now = self.inner.clock.now();
        let age = |fetched: &Fetched| now.seconds() - fetched.at.seconds();
        let kept = self.inner.keys.0.lock().map_or(None, |kept| kept.clone());
        if let Some(kept) = kept.filter(|kept| (0..KEPT_SECONDS).contains(&age(kept))) {
            let found = find(&kept.keys, kid);
            if found.is_some() || age(&kept) < LOOKED_SECONDS {
                return Ok(found);
            }
        }
        let answer = self.send(self.request(Method::GET, &["oauth", "jwks"]), Repeatable::Yes).await?;
        let set: KeySet = self.json(answer).await?;
        let found = find(&set.keys, kid);
        if let Ok(mut kept) = self.inner.keys.0.lock() {
            *kept = Some(Fetched { at: now, keys: set.keys });
        }
        Ok(found)
    }
}

/// The key of this name; without a name, the only one there is.
fn find(keys: &[Value], kid: Option<&str>) -> Option<DecodingKey> {
    let key = match (kid, keys) {
        (Some(_), _) => keys.iter().find(|key| key.get("kid").and_then(Value::as_str) == kid)?,
        (None, [only]) => only,
        (None, _) => return None,
    };
    let key: Jwk = serde_json::from_value(key.clone()).ok()?;
    DecodingKey::from_jwk(&key).ok()
}
