//! The access token: one exchange for many calls, renewed in time, replaced when it is refused.

use std::sync::Arc;

use patron_client::{AccessToken, Client, Clock as _, CreatePersonalAccessTokenRequest, Error, Timestamp};
use patron_core::clock::ManualClock;

use crate::double::{Double, ID, SECRET};

const PAT: &str = r#"{"id":"1","name":"n","scope":[],"owner":{"type":"IDENTITY","id":"2","name":"o"},
    "created":"2017-07-11T18:45:37.098Z"}"#;
const EXPIRED: &str = r#"{"error":"JWT validation failed: JWT is expired"}"#;

async fn served() -> (Double, Client, Arc<ManualClock>) {
    let double = Double::start().await;
    let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-11-22T10:00:00Z").unwrap()));
    let client = double.builder().clock(clock.clone()).build().unwrap();
    (double, client, clock)
}

#[tokio::test]
async fn many_calls_make_one_exchange() {
    let (double, client, clock) = served().await;
    double.then_token("first", 600);
    let tokens = futures_util::future::join_all((0..8).map(|_| client.token())).await;
    assert!(tokens.iter().all(|token| token.as_ref().unwrap().expose() == "first"));
    let asked = double.asked();
    assert_eq!((asked.len(), asked[0].path.as_str()), (1, "/oauth/token"));
    assert_eq!(asked[0].body, format!("grant_type=client_credentials&client_id={ID}&client_secret={SECRET}"));

    // A minute before its end it is renewed, for clones too.
    clock.advance_millis(539_999);
    assert_eq!(client.token().await.unwrap().expose(), "first");
    clock.advance_millis(1);
    double.then_token("second", 600);
    assert_eq!(client.clone().token().await.unwrap().expose(), "second");
    assert_eq!(client.token().await.unwrap().ends(), clock.now().plus_seconds(600));
    assert_eq!(double.lines(), ["POST /oauth/token"]);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let (double, client, _) = served().await;
    double.then_token("first", 600).then(200, &[], PAT);
    client.get("1").await.unwrap();
    double.asked();

    double.then(401, &[], EXPIRED).then_token("second", 600).then(200, &[], PAT);
    client.get("1").await.unwrap();
    let asked = double.asked();
    assert_eq!(asked[0].header("authorization"), Some("Bearer first"));
    assert_eq!(asked[2].header("authorization"), Some("Bearer second"));

    // One that was obtained just now and is refused nevertheless is not replaced again and again.
    double.then(401, &[], EXPIRED).then_token("third", 600).then(401, &[], EXPIRED);
    let error = client.get("1").await.unwrap_err();
    assert!(error.is_unauthorized(), "{error}");
    assert_eq!(error.to_string(), "JWT validation failed: JWT is expired (401)");
    assert_eq!(double.lines().len(), 3);
}

#[tokio::test]
async fn an_outage_leaves_a_good_token_in_use() {
    let (double, client, clock) = served().await;
    double.then_token("first", 600);
    client.token().await.unwrap();
    clock.advance_millis(599_000);
    let outage = r#"{"error":"temporarily_unavailable","error_description":"The database is out of reach."}"#;
    double.then(503, &[("retry-after", "60")], outage);
    assert_eq!(client.token().await.unwrap().expose(), "first");
    // When it has ended, the outage is what is told, and not a wrong secret.
    clock.advance_millis(1_000);
    double.then(503, &[("retry-after", "60")], outage);
    let error = client.token().await.unwrap_err();
    assert!(error.is_outage() && !error.is_unauthorized(), "{error}");
    assert_eq!(error.oauth_error(), Some("temporarily_unavailable"));
    double.asked();
}

/// Within its bounds a server may take its time; nobody waits for it who has a good token, and nobody waits for others
/// to have waited for it.
#[tokio::test(start_paused = true)]
async fn nobody_waits_in_vain() {
    let (double, client, clock) = served().await;
    for _ in 0..4 {
        double.then(503, &[], "<html>");
    }
    let tokens = futures_util::future::join_all((0..8).map(|_| client.token())).await;
    assert!(tokens.iter().all(|token| token.as_ref().unwrap_err().is_outage()), "{tokens:?}");
    assert_eq!(double.lines().len(), 4);

    double.then_token("first", 600);
    client.token().await.unwrap();
    clock.advance_millis(599_000);
    double.then(502, &[], "<html>");
    let tokens = futures_util::future::join_all((0..8).map(|_| client.token())).await;
    assert!(tokens.iter().all(|token| token.as_ref().unwrap().expose() == "first"), "{tokens:?}");
    // What is asked next tries anew.
    double.then_token("second", 600);
    assert_eq!(client.token().await.unwrap().expose(), "second");
    assert_eq!(double.lines().len(), 3);
}

#[tokio::test]
async fn who_has_no_token_has_done_nothing() {
    let (double, client, _) = served().await;
    let request = CreatePersonalAccessTokenRequest::named("ci").never_expiring();
    for (status, body) in [(500, "<html>"), (503, EXPIRED), (200, "{}")] {
        double.then(status, &[("retry-after", "60")], body);
        let error = client.create(&request).await.unwrap_err();
        assert!(!error.maybe_done(), "{error:?}");
    }
    assert_eq!(double.lines(), ["POST /oauth/token"; 3]);
}

#[tokio::test]
async fn a_wrong_secret_is_told_and_not_repeated() {
    let (double, client, _) = served().await;
    let wrong = r#"{"error":"invalid_client","error_description":"Client authentication failed."}"#;
    double.then(401, &[], wrong);
    let error = client.get("1").await.unwrap_err();
    assert_eq!(error.to_string(), "Client authentication failed. (invalid_client)");
    assert!(!format!("{error:?}").contains(SECRET));
    assert_eq!(double.lines(), ["POST /oauth/token"]);
}

#[tokio::test]
async fn a_kept_token_is_used_without_an_exchange() {
    let (double, _, clock) = served().await;
    let now = clock.now();
    let kept = AccessToken::new("kept", "sp:scopes:all", now, now.plus_seconds(600));
    let client = double.builder().clock(clock.clone()).access_token(kept).build().unwrap();
    double.then(200, &[], PAT);
    client.get("1").await.unwrap();
    assert_eq!(double.asked()[0].header("authorization"), Some("Bearer kept"));

    // Without credentials it is sent to its end and beyond: the server says what is wrong with it.
    let ended = AccessToken::new("ended", "", now, now);
    let address = client.base_url().as_str().to_owned();
    let client = Client::builder(&address).access_token(ended).clock(clock).build().unwrap();
    double.then(401, &[], EXPIRED);
    assert!(client.get("1").await.unwrap_err().is_unauthorized());
    assert!(matches!(client.introspect("x").await, Err(Error::Usage(_))));
    assert_eq!(double.lines().len(), 1);
}

#[tokio::test]
async fn a_token_brings_no_header_of_its_own() {
    let (double, client, _) = served().await;
    for token in ["", "a b", r"a\r\nX-Evil: 1", r"a\u001b[2J", "ä"] {
        double.then_token(token, 600);
        let error = client.token().await.unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error}");
        assert!(!error.to_string().contains("Evil"), "{error}");
    }
    assert_eq!(double.lines().len(), 5);
}

#[tokio::test]
async fn narrower_and_fresh_tokens() {
    let (double, client, _) = served().await;
    double.then_token("narrow", 600).then_token("first", 600).then_token("fresh", 600);
    assert_eq!(client.token_for(&["a:b", "c:d"]).await.unwrap().expose(), "narrow");
    assert!(client.kept_token().is_none());
    assert_eq!(client.token().await.unwrap().expose(), "first");
    assert_eq!(client.fresh_token().await.unwrap().expose(), "fresh");
    assert_eq!(client.token().await.unwrap().expose(), "fresh");
    assert!(double.asked()[0].body.ends_with("&scope=a%3Ab+c%3Ad"));
    // Without one named it would be the widest of all.
    for none in [&[][..], &["", " "]] {
        assert!(matches!(client.token_for(none).await, Err(Error::Usage(_))));
    }
    assert!(double.asked().is_empty());
}

#[tokio::test]
async fn nothing_is_taken_for_a_verified_token() {
    let (double, client, _) = served().await;
    for forged in ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA"] {
        assert!(matches!(client.verify(forged).await, Err(Error::Token(_))), "{forged}");
    }
    // A key that the server does not have; looked for once.
    double.then(200, &[], r#"{"keys":[{"kty":"NEW","kid":"b"}]}"#);
    for _ in 0..2 {
        let unknown = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.e30.AAAA";
        assert!(matches!(client.verify(unknown).await, Err(Error::Token(_))));
    }
    assert_eq!(double.lines(), ["GET /oauth/jwks"]);
}
