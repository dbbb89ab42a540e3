//! An authority that forgets everything when it ends: tokens in a hash map, SHA-256, ES256. It keeps no database, no
//! audit trail and no last use, limits nobody, and revokes nothing. What it signs and answers is as much as Patron does.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
};
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::pats::{Pats, secret};
use crate::{Result, now_seconds};

/// What all requests share.
struct Authority {
    hashes: HashMap<[u8; 16], Known>,
    header: String,
    key: EcdsaKeyPair,
    public: ParsedPublicKey,
    random: SystemRandom,
}

struct Known {
    hash: [u8; 32],
    owner: String,
    name: String,
}

/// Serves `/oauth/token` and `/oauth/introspect` for these tokens.
pub(crate) async fn run(pats: Pats) -> Result<()> {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref())?;
    let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key().as_ref())?;
    let known = |number| Known {
        hash: *secret(number).hash().as_bytes(),
        owner: hex::encode(pats.owner(pats.owner_of(number))),
        name: format!("owner-{:08}", pats.owner_of(number)),
    };
    let hashes = (0..pats.count).map(|number| (pats.id(number), known(number))).collect();
    let header = BASE64URL.encode(br#"{"alg":"ES256","typ":"at+jwt","kid":"ceiling"}"#);
    let authority = Authority { hashes, header, key, public, random };
    let router = Router::new()
        .route("/oauth/token", post(exchange))
        .route("/oauth/introspect", post(introspect))
        .with_state(Arc::new(authority));
    super::serve(router).await
}

#[derive(Deserialize)]
struct Exchange {
    grant_type: String,
    client_id: String,
    client_secret: String,
}

/// An access token as it is answered (RFC 6749 section 5.1).
#[derive(Serialize)]
struct Answer {
    access_token: String,
    token_type: &'static str,
    expires_in: u32,
    scope: &'static str,
    tenant_id: &'static str,
    pod: &'static str,
    org: &'static str,
    identity_id: String,
    user_name: String,
    strong_auth: bool,
    strong_auth_supported: bool,
    jti: String,
}

/// What an access token says (RFC 9068 section 2.2, and what the original product's says beside).
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    iat: u64,
    exp: u64,
    jti: String,
    client_id: String,
    scope: String,
    tenant_id: String,
    org: String,
    pod: String,
    identity_id: String,
    user_name: String,
    authorities: Vec<String>,
    strong_auth: bool,
    strong_auth_supported: bool,
    internal: bool,
}

const LIVES: u32 = 749;
const SCOPE: &str = "sp:scopes:all";
const TENANT: &str = "00000000-0000-0000-0000-000000000000";

async fn exchange(
    State(authority): State<Arc<Authority>>,
    Form(asked): Form<Exchange>,
) -> std::result::Result<Json<Answer>, StatusCode> {
    if asked.grant_type != "client_credentials" {
        return Err(StatusCode::BAD_REQUEST);
    }
    let known = authority.known(&asked.client_id, &asked.client_secret).ok_or(StatusCode::UNAUTHORIZED)?;
    let iat = now_seconds();
    let mut jti = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut jti).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let claims = Claims {
        iss: "http://127.0.0.1".to_owned(),
        sub: known.owner.clone(),
        aud: "http://127.0.0.1".to_owned(),
        iat,
        exp: iat + u64::from(LIVES),
        jti: hex::encode(jti),
        client_id: asked.client_id,
        scope: SCOPE.to_owned(),
        tenant_id: TENANT.to_owned(),
        org: "default".to_owned(),
        pod: "patron".to_owned(),
        identity_id: known.owner.clone(),
        user_name: known.name.clone(),
        authorities: Vec::new(),
        strong_auth: false,
        strong_auth_supported: false,
        internal: false,
    };
    let access_token = authority.sign(&claims).ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(Answer {
        access_token,
        token_type: "bearer",
        expires_in: LIVES,
        scope: SCOPE,
        tenant_id: TENANT,
        pod: "patron",
        org: "default",
        identity_id: claims.identity_id,
        user_name: claims.user_name,
        strong_auth: false,
        strong_auth_supported: false,
        jti: claims.jti,
    }))
}

#[derive(Deserialize)]
struct Introspect {
    token: String,
    client_id: String,
    client_secret: String,
}

#[derive(Serialize)]
struct Introspection {
    active: bool,
    #[serde(flatten)]
    claims: Claims,
    token_type: &'static str,
}

async fn introspect(
    State(authority): State<Arc<Authority>>,
    Form(asked): Form<Introspect>,
) -> std::result::Result<Json<Introspection>, StatusCode> {
    authority.known(&asked.client_id, &asked.client_secret).ok_or(StatusCode::UNAUTHORIZED)?;
    let claims = authority.verify(&asked.token).ok_or(StatusCode::BAD_REQUEST)?;
    let active = claims.exp > now_seconds();
    Ok(Json(Introspection { active, claims, token_type: "bearer" }))
}

impl Authority {
    fn known(&self, id: &str, secret: &str) -> Option<&Known> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(id, &mut bytes).ok()?;
        let known = self.hashes.get(&bytes)?;
        (known.hash == *Sha256::digest(secret.as_bytes())).then_some(known)
    }

    fn sign(&self, claims: &Claims) -> Option<String> {
        let mut token = self.header.clone();
        token.push('.');
        BASE64URL.encode_string(serde_json::to_vec(claims).ok()?, &mut token);
        let signature = self.key.sign(&self.random, token.as_bytes()).ok()?;
        token.push('.');
        BASE64URL.encode_string(signature.as_ref(), &mut token);
        Some(token)
    }

    fn verify(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (_, payload) = signed.split_once('.')?;
        self.public.verify_sig(signed.as_bytes(), &BASE64URL.decode(signature).ok()?).ok()?;
        serde_json::from_slice(&BASE64URL.decode(payload).ok()?).ok()
    }
}
