//! The original's access tokens: JWTs signed with RSA, their scopes an array.

use std::collections::HashMap;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use patron_core::time::Timestamp;
use serde_json::{Value, json};

use super::pats::{Pats, random_hex};
use super::{Answer, Sent};

const KEY_ID: &str = "the-originals-key";

/// Bytes before the RSA key itself in PKCS #8: the same for every key of 2048 bits.
const PKCS8_HEADER: usize = 26;

pub(super) struct Tokens {
    key: EncodingKey,
    /// Those that are good, with the PAT that each was made from.
    good: HashMap<String, String>,
}

impl Tokens {
    pub(super) fn new() -> Self {
        let pkcs8 = KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
        Self { key: EncodingKey::from_rsa_der(&pkcs8.as_ref()[PKCS8_HEADER..]), good: HashMap::new() }
    }

    pub(super) fn jwks(&self) -> Value {
        let mut key =
            serde_json::to_value(Jwk::from_encoding_key(&self.key, Algorithm::RS256).unwrap()).unwrap();
        key["kid"] = KEY_ID.into();
        key["use"] = "sig".into();
        json!({ "keys": [{ "kty": "oct", "kid": "of-a-kind-nobody-knows", "alg": "none" }, key] })
    }

    pub(super) fn end_all(&mut self) {
        self.good.clear();
    }

    /// The PAT of the access token that came along.
    pub(super) fn holder(&self, sent: &Sent) -> Option<String> {
        self.good.get(sent.authorization.as_deref()?.strip_prefix("Bearer ")?).cloned()
    }

    pub(super) fn exchange(&mut self, sent: &Sent, pats: &mut Pats, now: Timestamp) -> Answer {
        let field = |name: &str| Sent::parameter(&sent.body, name).unwrap_or_default();
        let error = |status: u16, error: &str, text: &str| {
            Answer::new(status, json!({ "error": error, "error_description": text }))
        };
        if !sent.is("application/x-www-form-urlencoded") || field("grant_type") != "client_credentials" {
            return error(400, "unsupported_grant_type", "Unsupported grant type");
        }
        let Some(pat) = pats.use_with(&field("client_id"), &field("client_secret"), now) else {
            return error(401, "invalid_client", "Bad client credentials");
        };
        let jti = random_hex(16);
        let claims = json!({
            "tenant_id": "58eb06a4-dcd7-4e96-8fac-cca2afc03e61", "internal": false, "pod": "stg01-useast1",
            "org": "acme", "identity_id": pat.owner, "user_name": "support", "strong_auth": false,
            "authorities": ["ORG_ADMIN"], "client_id": pat.id, "strong_auth_supported": false,
            "claims_supported": false, "scope": pat.scope, "exp": now.seconds() + pat.lives(), "jti": jti,
        });
        let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::RS256) };
        let token = encode(&header, &claims, &self.key).unwrap();
        self.good.insert(token.clone(), pat.id.clone());
        Answer::ok(json!({
            "access_token": token, "token_type": "bearer", "expires_in": pat.lives(), "scope": pat.scope.join(" "),
            "accessType": "OFFLINE", "tenant_id": "58eb06a4-dcd7-4e96-8fac-cca2afc03e61", "internal": false,
            "pod": "stg01-useast1", "strong_auth_supported": false, "org": "acme", "user_id": "595826",
            "claims_supported": false, "identity_id": pat.owner, "strong_auth": false, "enabled": true, "jti": jti,
        }))
    }
}
