//! What is the same for every endpoint: requests are counted however they end, only so many are handled at once, and
//! each names one host (contract sections 1, 2 and 7).

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures_util::stream;
use patron::limits::REQUESTS;
use tokio::sync::Semaphore;

use crate::support::{Call, PATS, Patron, basic};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// An exchange whose body is what `next` gives.
fn exchange(mut next: impl FnMut() -> std::task::Poll<()> + Send + 'static) -> Request<Body> {
    let chunks = stream::poll_fn(move |_| next().map(|()| None::<Result<Bytes, Infallible>>));
    Request::post("/oauth/token").body(Body::from_stream(chunks)).unwrap()
}

fn counted(patron: &Patron, metric: &str) -> u64 {
    let text = String::from_utf8(patron.app.metrics.text()).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

fn requests(patron: &Patron, endpoint: &str, status: u16) -> u64 {
    counted(patron, &format!("patron_http_requests_total{{endpoint=\"{endpoint}\",status=\"{status}\"}}"))
}

#[tokio::test]
async fn every_answer_is_counted_once_by_its_status() {
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    for (call, endpoint, status) in [
        (Call::get(PATS).auth(&admin), "list", 200),
        (Call::get("/v3/personal-access-tokens").auth(&admin), "list", 200),
        (Call::get(PATS), "list", 401),
        (Call::get("/nothing"), "unmatched", 404),
        (Call::get("/oauth/nothing"), "unmatched", 404),
        (Call::get(PATS).host("nobody.tenants.test").auth(&admin), "unmatched", 404),
        (Call::new("PUT", PATS).auth(&admin), "unmatched", 405),
        (Call::get("/oauth/token"), "unmatched", 405),
        (Call::post("/oauth/token").body("text/plain", "x"), "exchange", 415),
        (Call::get(PATS).header("host", "a").header("host", "b"), "unmatched", 400),
    ] {
        let before = requests(&patron, endpoint, status);
        patron.send(call).await.expect(status);
        assert_eq!(requests(&patron, endpoint, status), before + 1, "{endpoint} {status}");
    }
    // A handler that panics, in its body here.
    let answer = patron.front.answer(PEER, exchange(|| panic!("on purpose"))).await;
    assert_eq!((answer.status().as_u16(), requests(&patron, "exchange", 500)), (500, 1));
    // A database that is gone, found out before the endpoint and by it.
    patron.lose_database().await;
    patron.send(Call::get(PATS).host("nobody.tenants.test")).await.expect(503);
    patron.send(Call::get(PATS).auth(&admin)).await.expect(503);
    assert_eq!((requests(&patron, "unmatched", 503), requests(&patron, "list", 503)), (1, 1));
    // Nothing else was, and all were timed.
    let text = String::from_utf8(patron.app.metrics.text()).unwrap();
    let sum = |metric: &str| -> u64 {
        let lines = text.lines().filter(|line| line.starts_with(metric));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    assert_eq!(sum("patron_http_requests_total{"), 13);
    assert_eq!(sum("patron_http_request_seconds_count{"), 13);
}

#[tokio::test]
async fn who_is_over_a_limit_is_counted_whichever_it_is() {
    let patron = Patron::with(|settings| {
        settings.rate_limits.requests = 1;
        settings.rate_limits.auth_failures_per_address = 1;
    })
    .await;
    let limited = || counted(&patron, "patron_rate_limited_total");
    patron.send(Call::get(PATS).auth(&patron.admin.basic())).await.expect(200);
    assert_eq!(limited(), 0);
    patron.send(Call::get(PATS).auth(&patron.admin.basic())).await.expect(429);
    assert_eq!(limited(), 1);
    let wrong = basic(&patron.admin.id, "wrong");
    patron.send(Call::get(PATS).auth(&wrong)).await.expect(401);
    assert_eq!(limited(), 1);
    patron.send(Call::get(PATS).auth(&wrong)).await.expect(429);
    patron.send(Call::get(PATS).auth("Bearer wrong")).await.expect(429);
    patron.exchange(&patron.admin.id, "wrong").await.expect(429);
    assert_eq!(limited(), 4);
    // Which a gateway is told otherwise.
    patron.send(Call::get("/forward-auth").auth(&wrong)).await.expect(401);
    assert_eq!(limited(), 5);
}

#[tokio::test]
async fn only_so_many_requests_are_handled_at_once() {
    let patron = Patron::start().await;
    let reading = Arc::new(Semaphore::new(0));
    let mut handled = Vec::new();
    for _ in 0..REQUESTS {
        let (front, reading, mut told) = (patron.front.clone(), Arc::clone(&reading), false);
        let never_ends = exchange(move || {
            if !std::mem::replace(&mut told, true) {
                reading.add_permits(1);
            }
            std::task::Poll::Pending
        });
        handled.push(tokio::spawn(async move { front.answer(PEER, never_ends).await }));
    }
    // Each is being handled.
    let _all = reading.acquire_many(u32::try_from(REQUESTS).unwrap()).await.unwrap();
    let reply = patron.send(Call::get(PATS).auth(&patron.admin.basic())).await;
    assert!(reply.header("retry-after").is_some());
    reply.expect_error("503.0 Service Unavailable");
    let reply = patron.exchange(&patron.admin.id, &patron.admin.secret).await.expect(503);
    assert_eq!(reply.json()["error"], "temporarily_unavailable");
    // A place is free again when its request was given up.
    let given_up = handled.pop().unwrap();
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    patron.send(Call::get(PATS).auth(&patron.admin.basic())).await.expect(200);
    // Or answered: the one place serves any number of them.
    patron.exchange(&patron.admin.id, &patron.admin.secret).await.expect(200);
    handled.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn more_than_one_host_is_400() {
    let patron =
        Patron::with(|settings| settings.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]).await;
    let two = |uri: &str| Call::get(uri).host("acme.tenants.test").host("patron.test");
    for uri in [PATS, "/nothing", "/forward-auth"] {
        patron.send(two(uri)).await.expect_error("400.0 Bad request syntax");
    }
    // The same twice is no better, nor is one that a proxy has told of otherwise.
    let same = Call::get(PATS).host("patron.test").host("patron.test");
    patron.send(same).await.expect_error("400.0 Bad request syntax");
    let proxied = two(PATS).from("10.0.0.1").header("x-forwarded-host", "patron.test");
    patron.send(proxied).await.expect_error("400.0 Bad request syntax");
    let reply = patron.send(two("/oauth/info")).await.expect(400);
    assert_eq!(reply.json()["error"], "invalid_request");
    patron.send(Call::get("/oauth/info").host("patron.test")).await.expect(200);
}
