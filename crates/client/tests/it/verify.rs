//! Which access tokens are taken for the server's, and which never.

use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use patron_client::{Client, Clock as _, Error, Timestamp};
use patron_core::clock::ManualClock;
use serde_json::{Value, json};

use crate::double::Double;

async fn served() -> (Double, Client, Arc<ManualClock>) {
    let double = Double::start().await;
    let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-11-22T10:00:00Z").unwrap()));
    let client = double.builder().clock(clock.clone()).build().unwrap();
    (double, client, clock)
}

/// A new key, and its public half by this name.
fn key(kid: &str) -> (EncodingKey, Value) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let key = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
    let mut public = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
    public["kid"] = kid.into();
    public["use"] = "sig".into();
    (key, public)
}

fn header(kid: &str) -> Header {
    Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) }
}

fn sign(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, claims, key).unwrap()
}

fn why(result: Result<patron_client::VerifiedToken, Error>) -> String {
    let error = result.unwrap_err();
    let why = error.to_string();
    assert!(matches!(error, Error::Token(_)), "{error:?}");
    why.strip_prefix("The access token is not valid: ").unwrap().to_owned()
}

#[tokio::test]
async fn a_good_token_tells_its_claims() {
    let (double, client, clock) = served().await;
    let (key, public) = key("a");
    double.then(200, &[], json!({ "keys": [{ "kty": "NEW", "kid": "b" }, public] }).to_string());
    let end = clock.now().seconds() + 60;
    for aud in [json!("shop"), json!(["other", "shop"])] {
        let token = sign(&header("a"), &json!({ "exp": end, "iss": "https://acme", "aud": aud }), &key);
        let verified = client.verify(&token).await.unwrap();
        assert_eq!((&verified.claims["exp"], &verified.header["kid"]), (&json!(end), &json!("a")));
        assert!(verified.is_for("https://acme", "shop"));
        assert!(!verified.is_for("https://acme", "other shop") && !verified.is_for("https://evil", "shop"));
    }
    let bare = client.verify(&sign(&header("a"), &json!({ "exp": end }), &key)).await.unwrap();
    assert!(!bare.is_for("", "") && !bare.is_for("https://acme", "shop"));
    assert_eq!(double.lines(), ["GET /oauth/jwks"]);
}

#[tokio::test]
async fn only_what_the_servers_key_signed_is_its_own() {
    let (double, client, clock) = served().await;
    let ((good, public), (other, _)) = (key("a"), key("a"));
    let (mut encrypts, mut longer) = (public.clone(), public.clone());
    (encrypts["kid"], encrypts["use"]) = ("encrypts".into(), "enc".into());
    (longer["kid"], longer["alg"]) = ("longer".into(), "ES384".into());
    let point = public["x"].as_str().unwrap().to_owned();
    let shared = json!({ "kty": "oct", "kid": "shared", "k": point });
    double.then(200, &[], json!({ "keys": [public, encrypts, longer, shared] }).to_string());
    let claims = json!({ "exp": clock.now().seconds() + 60, "scope": "a" });
    let token = sign(&header("a"), &claims, &good);
    client.verify(&token).await.unwrap();

    // Another's key by the same name; the claims of another token; and no signature at all.
    let forged = sign(&header("a"), &claims, &other);
    let more = sign(&header("a"), &json!({ "exp": claims["exp"], "scope": "a b" }), &other);
    let signature = token.rsplit_once('.').unwrap().1;
    let swapped = format!("{}.{signature}", more.rsplit_once('.').unwrap().0);
    let bare = format!("{}.", token.rsplit_once('.').unwrap().0);
    for token in [&forged, &swapped, &bare] {
        assert_eq!(why(client.verify(token).await), "its signature is not the server's");
    }
    // A secret that everyone can read is none, and a key signs what it is for.
    let hmac = EncodingKey::from_base64_secret(&point.replace('-', "+").replace('_', "/"))
        .unwrap_or_else(|_| EncodingKey::from_secret(point.as_bytes()));
    let shared = Header { kid: Some("shared".to_owned()), ..Header::new(Algorithm::HS256) };
    assert!(why(client.verify(&sign(&shared, &claims, &hmac)).await).starts_with("its algorithm is none"));
    for (kid, why_not) in [
        ("shared", "its signature is not the server's"),
        ("encrypts", "its key is not among the server's"),
        ("longer", "its key is not among the server's"),
        ("unknown", "its key is not among the server's"),
    ] {
        assert_eq!(why(client.verify(&sign(&header(kid), &claims, &good)).await), why_not, "{kid}");
    }
    // Without a name it may be any of them.
    let nameless = sign(&Header::new(Algorithm::ES256), &claims, &good);
    assert_eq!(why(client.verify(&nameless).await), "its key is not among the server's");
    let critical = Header { crit: Some(vec!["exp".to_owned()]), ..header("a") };
    assert!(
        why(client.verify(&sign(&critical, &claims, &good)).await).starts_with("it asks for an extension")
    );
    let long = sign(&header("a"), &json!({ "exp": claims["exp"], "more": "a".repeat(64 * 1024) }), &good);
    assert_eq!(why(client.verify(&long).await), "it is too long");
    assert_eq!(double.lines(), ["GET /oauth/jwks"]);
}

#[tokio::test]
async fn a_token_is_good_in_its_time() {
    let (double, client, clock) = served().await;
    let (key, public) = key("a");
    double.then(200, &[], json!({ "keys": [public] }).to_string());
    let now = clock.now().seconds();
    for good in [json!({ "exp": now - 4 }), json!({ "exp": 1e18, "nbf": now + 5 })] {
        client.verify(&sign(&header("a"), &good, &key)).await.unwrap();
    }
    for (claims, why_not) in [
        (json!({ "exp": now - 5 }), "it has ended"),
        (json!({ "exp": -1 }), "it has ended"),
        (json!({ "exp": (now + 60).to_string() }), "it says no end"),
        (json!({ "exp": null }), "it says no end"),
        (json!({ "iat": now }), "it says no end"),
        (json!({ "exp": now + 60, "nbf": now + 6 }), "it is not good yet"),
        (json!({ "exp": now + 60, "nbf": (now + 600).to_string() }), "when it begins is no number"),
    ] {
        assert_eq!(why(client.verify(&sign(&header("a"), &claims, &key)).await), why_not, "{claims}");
    }
    double.asked();
}

#[tokio::test]
async fn keys_are_fetched_once_and_when_there_is_a_new_one() {
    let (double, client, clock) = served().await;
    let ((old, first), (new, second)) = (key("a"), key("b"));
    let claims = json!({ "exp": clock.now().seconds() + 3_600 });
    let (of_old, of_new) = (sign(&header("a"), &claims, &old), sign(&header("b"), &claims, &new));

    double.then(200, &[], json!({ "keys": [first] }).to_string());
    let all = futures_util::future::join_all((0..8).map(|_| client.verify(&of_old))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(double.lines().len(), 1);

    // The new one is looked for, but not at every token that names it.
    why(client.verify(&of_new).await);
    clock.advance_millis(10_000);
    double.then(200, &[], json!({ "keys": [first, second] }).to_string());
    client.verify(&of_new).await.unwrap();
    assert_eq!(double.lines().len(), 1);

    // An outage makes no token bad: those at hand do until they are five minutes old, and then it is told.
    clock.advance_millis(299_000);
    client.verify(&of_old).await.unwrap();
    clock.advance_millis(1_000);
    double.then(503, &[("retry-after", "60")], "");
    let error = client.verify(&of_old).await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
    // The old one is withdrawn.
    double.then(200, &[], json!({ "keys": [second] }).to_string());
    why(client.verify(&of_old).await);
    assert_eq!(double.lines().len(), 2);
}
