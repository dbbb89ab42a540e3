//! What is sent again after 429 and 503, and what never is. The runtime's clock is paused: pauses take no time, and
//! are measured exactly.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use patron_client::{
    AccessToken, Client, CreatePersonalAccessTokenRequest, JsonPatch, JsonPatchOperation, Timestamp,
};
use tokio::time::Instant;

use crate::double::{Double, ID};

const LIMITED: &str = r#"{"message":" Rate Limit Exceeded "}"#;
const OUTAGE: &str =
    r#"{"detailCode":"503.0 Service Unavailable","trackingId":"t","messages":[],"causes":[]}"#;
const PAT: &str = r#"{"id":"1","name":"n","scope":[],"owner":{"type":"IDENTITY","id":"2","name":"o"},
    "created":"2017-07-11T18:45:37.098Z"}"#;
const MADE: &str = r#"{"id":"1","secret":"s","name":"n","scope":[],"owner":{"type":"IDENTITY","id":"2","name":"o"},
    "created":"2017-07-11T18:45:37.098Z","accessTokenValiditySeconds":900}"#;

async fn served() -> (Double, Client) {
    let double = Double::start().await;
    let token = AccessToken::new("kept", "", Timestamp::MIN, Timestamp::MAX);
    let client = double.builder().access_token(token).build().unwrap();
    (double, client)
}

fn ci() -> CreatePersonalAccessTokenRequest {
    CreatePersonalAccessTokenRequest::named("ci").never_expiring()
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_are_waited_out() {
    let (double, client) = served().await;
    double.then(429, &[("retry-after", "7")], LIMITED).then(429, &[("retry-after", "2")], LIMITED);
    double.then(200, &[], MADE);
    let start = Instant::now();
    // A creation too: it was not carried out.
    client.create(&ci()).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 9);
    let asked = double.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0].header("idempotency-key"), asked[2].header("idempotency-key"));
}

#[tokio::test(start_paused = true)]
async fn pauses_and_repetitions_have_a_bound() {
    let (double, client) = served().await;
    double.then(429, &[("retry-after", "31")], LIMITED);
    let error = client.get("1").await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(31)));
    assert_eq!(error.to_string(), "Rate Limit Exceeded (429; try again in 31 s)");

    for _ in 0..4 {
        double.then(503, &[], OUTAGE);
    }
    let start = Instant::now();
    let error = client.get("1").await.unwrap_err();
    assert_eq!(error.to_string(), "Service Unavailable (503.0 Service Unavailable; tracking id t)");
    // Half a second, one, two.
    assert_eq!(start.elapsed().as_millis() / 100, 35);
    assert_eq!(double.lines().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_creation_is_not_repeated_after_an_outage() {
    let (double, client) = served().await;
    double.then(503, &[("retry-after", "1")], OUTAGE);
    let error = client.create(&ci()).await.unwrap_err();
    assert!(error.maybe_done() && error.status() == Some(503), "{error}");
    assert_eq!(double.lines().len(), 1);

    // Unless the server knows the request again.
    double.then_with(|asked| {
        let key = asked.header("idempotency-key").unwrap();
        Response::builder().status(503).header("idempotency-key", key).body(Body::from(OUTAGE)).unwrap()
    });
    double.then(200, &[], MADE);
    client.create(&ci()).await.unwrap();
    // By another key it does not.
    double.then(503, &[("idempotency-key", "\"another\"")], OUTAGE);
    client.create(&ci()).await.unwrap_err();
    assert_eq!(double.lines().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_no_answer() {
    let (double, client) = served().await;
    double.then(
        200,
        &[("content-length", "1000")],
        Body::from_stream(futures_util::stream::iter([Ok("{\"id\""), Err(std::io::Error::other("cut"))])),
    );
    let error = client.create(&ci()).await.unwrap_err();
    assert!(error.maybe_done() && error.is_outage(), "{error:?}");
    assert_eq!(double.lines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_patch_is_repeated_when_twice_is_as_good_as_once() {
    let (double, client) = served().await;
    double.then(503, &[], OUTAGE).then(200, &[], PAT);
    client.patch("1", JsonPatch::new().name("a").never_expiring()).await.unwrap();
    assert_eq!(double.lines().len(), 2);

    let add = JsonPatchOperation { value: Some("b".into()), ..JsonPatchOperation::new("add", "/scope/-") };
    for patch in [JsonPatch::new().then(add), JsonPatch::new().test("/name", "a").name("b")] {
        double.then(503, &[], OUTAGE);
        client.patch("1", patch).await.unwrap_err();
        assert_eq!(double.lines().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_was_lost_on_its_way_is_a_deletion() {
    let (double, client) = served().await;
    let gone = r#"{"detailCode":"404 Not found","trackingId":"t","messages":[],"causes":[]}"#;
    double.then(503, &[], OUTAGE).then(404, &[], gone);
    client.delete(ID).await.unwrap();
    // One that was not sent before, or only refused, is none.
    double.then(404, &[], gone).then(429, &[("retry-after", "1")], LIMITED).then(404, &[], gone);
    assert!(client.delete(ID).await.unwrap_err().is_not_found());
    assert!(client.delete(ID).await.unwrap_err().is_not_found());
    assert_eq!(double.lines().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_done_is_not_forgotten() {
    let (double, client) = served().await;
    let gone = r#"{"detailCode":"404 Not found","trackingId":"t","messages":[],"causes":[]}"#;
    // Between the two attempts the access token was refused.
    double.then(503, &[], OUTAGE).then(401, &[], "").then_token("next", 600).then(404, &[], gone);
    client.delete(ID).await.unwrap();
    assert_eq!(double.lines().len(), 4);
    // The next one failed in another way: no answer of this API, no answer at all.
    let cut =
        || Body::from_stream(futures_util::stream::iter([Err::<&str, _>(std::io::Error::other("cut"))]));
    double.then(503, &[], OUTAGE).then(404, &[], "<html>");
    double.then(503, &[], OUTAGE).then(401, &[], "").then(503, &[("retry-after", "60")], cut());
    for _ in 0..2 {
        let error = client.delete(ID).await.unwrap_err();
        assert!(error.maybe_done() && !error.is_not_found(), "{error:?}");
    }
    assert_eq!(double.lines().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_drips_is_not_waited_for_for_ever() {
    let (double, client) = served().await;
    let drops = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(50)).await;
        Some((Ok::<_, std::io::Error>(" "), ()))
    });
    double.then(200, &[], Body::from_stream(drops));
    let start = Instant::now();
    let error = client.create(&ci()).await.unwrap_err();
    assert!(error.maybe_done() && error.to_string().contains("does not answer in time"), "{error}");
    assert_eq!(start.elapsed().as_secs(), 120);
}
