//! How often one may ask, and how often one may guess (contract section 8).

use std::sync::Arc;

use patron::reconcile;
use serde_json::json;
use tokio::sync::watch;

use super::support::*;

const V1: &str = "/tenant/v1";
const PATS: &str = "/personal-access-tokens/v1?owner-id=me";

/// Asserts a 429 of the API.
#[track_caller]
fn assert_limited(reply: &Reply, retry_after: &str) {
    assert_eq!(reply.status, 429, "{}", reply.text());
    assert_eq!(reply.json(), json!({ "message": " Rate Limit Exceeded " }));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("retry-after"), Some(retry_after));
    assert_eq!(reply.header("www-authenticate"), None);
    assert_eq!(reply.header("slpt-request-id").map(str::len), Some(32));
}

/// Asserts a 429 of `/oauth/`: RFC 6749's members beside the API's.
#[track_caller]
fn assert_limited_oauth(reply: &Reply, retry_after: &str) {
    assert_eq!(reply.status, 429, "{}", reply.text());
    assert_eq!(
        reply.json(),
        json!({
            "error": "temporarily_unavailable",
            "error_description": "Too many requests; wait as Retry-After says.",
            "message": " Rate Limit Exceeded ",
        })
    );
    assert_eq!(reply.header("retry-after"), Some(retry_after));
    assert_eq!(reply.header("www-authenticate"), None);
}

#[tokio::test]
async fn a_hundred_requests_in_ten_seconds() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let sibling = patron.pat(&jane, "sibling", &[]).await;
    let bearer = patron.bearer(&pat).await;
    // Whatever path and credential of the version: it is one count.
    for n in 0..100 {
        let call = if n % 2 == 0 { Call::get(V1).auth(&bearer) } else { Call::get(PATS).auth(&pat.basic()) };
        patron.send(call).await.expect(200);
    }
    assert_limited(&patron.send(Call::get(V1).auth(&bearer)).await, "10");
    assert_limited(&patron.send(Call::get(PATS).auth(&pat.basic())).await, "10");
    let create = Call::post("/personal-access-tokens/v1").auth(&bearer);
    let create = create.json(&json!({ "name": "x", "userAwareTokenNeverExpires": true }));
    assert_limited(&patron.send(create).await, "10");
    let listed = patron.send(Call::get(PATS).auth(&sibling.basic())).await.expect(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 2, "what was refused was not done");
    // Other versions count apart, and so do other PATs, its owner's too.
    patron.send(Call::get("/v3/personal-access-tokens?owner-id=me").auth(&bearer)).await.expect(200);
    patron.send(Call::get("/v2025/personal-access-tokens?owner-id=me").auth(&bearer)).await.expect(200);
    patron.send(pat.exchange()).await.expect(200);
    // Who waits as told is let in.
    patron.clock.advance_millis(9_999);
    assert_limited(&patron.send(Call::get(V1).auth(&bearer)).await, "1");
    patron.clock.advance_millis(1);
    patron.send(Call::get(V1).auth(&bearer)).await.expect(200);
}

#[tokio::test]
async fn a_node_that_ends_leaves_its_counts_to_the_others() {
    let patron = Patron::start().await;
    for _ in 0..5 {
        patron.send(Call::get(V1).auth(&patron.admin.basic())).await.expect(200);
    }
    let (_stop, stopped) = watch::channel(true);
    reconcile::run(Arc::clone(&patron.app), stopped).await;
    let counted = patron.database().row("SELECT COUNT(*) FROM hits", &[]);
    assert_eq!(counted.int(0).unwrap(), 1, "the client's requests");
}

#[tokio::test]
async fn an_older_path_is_limited_and_deprecated_at_once() {
    let patron = Patron::with(|settings| settings.rate_limits.requests = 1).await;
    let path = "/v3/personal-access-tokens?owner-id=me";
    patron.send(Call::get(path).auth(&patron.admin.basic())).await.expect(200);
    let reply = patron.send(Call::get(path).auth(&patron.admin.basic())).await;
    assert_limited(&reply, "10");
    assert_eq!(reply.header("x-deprecated"), Some("true"));
}

#[tokio::test]
async fn the_window_slides() {
    let patron = Patron::with(|settings| {
        settings.rate_limits.requests = 10;
        settings.rate_limits.window_seconds = 10;
    })
    .await;
    let auth = patron.admin.basic();
    let ask = || patron.send(Call::get(V1).auth(&auth));
    for _ in 0..5 {
        ask().await.expect(200);
    }
    patron.pass_seconds(9);
    for _ in 0..5 {
        ask().await.expect(200);
    }
    assert_limited(&ask().await, "1");
    // A second later a fixed window would have let in ten.
    patron.pass_seconds(1);
    for _ in 0..5 {
        ask().await.expect(200);
    }
    assert_limited(&ask().await, "9");
    patron.pass_seconds(9);
    for _ in 0..5 {
        ask().await.expect(200);
    }
    assert_limited(&ask().await, "1");
}

#[tokio::test]
async fn oauth_is_a_version_of_its_own() {
    let patron = Patron::with(|settings| settings.rate_limits.requests = 3).await;
    let pat = patron.admin.clone();
    let token = patron.access_token(&pat).await;
    let inspect = || Call::post("/oauth/introspect").auth(&pat.basic()).form(&[("token", &token)]);
    patron.send(inspect()).await.expect(200);
    patron.send(Call::post("/oauth/revoke").auth(&pat.basic()).form(&[("token", "x")])).await.expect(200);
    for call in
        [pat.exchange(), inspect(), Call::post("/oauth/revoke").auth(&pat.basic()).form(&[("token", "x")])]
    {
        assert_limited_oauth(&patron.send(call).await, "10");
    }
    // The API is untouched, and what needs no credential is not counted at all.
    patron.send(Call::get(V1).auth(&pat.basic())).await.expect(200);
    for path in ["/oauth/info", "/oauth/jwks", "/.well-known/jwks.json", "/openapi.json"] {
        for _ in 0..10 {
            patron.send(Call::get(path)).await.expect(200);
        }
    }
}

#[tokio::test]
async fn only_authenticated_requests_count() {
    let patron = Patron::with(|settings| {
        settings.rate_limits.requests = 2;
        settings.rate_limits.auth_failures_per_client = 0;
        settings.rate_limits.auth_failures_per_address = 0;
    })
    .await;
    let pat = patron.admin.clone();
    for _ in 0..10 {
        patron.send(Call::get(V1).auth(&basic(&pat.id, "wrong"))).await.expect(401);
        patron.send(Call::get(V1)).await.expect(401);
        let wrong = Pat { secret: "wrong".to_owned(), ..pat.clone() };
        patron.send(wrong.exchange()).await.expect(401);
    }
    patron.send(Call::get(V1).auth(&pat.basic())).await.expect(200);
    // One that is refused for want of rights was authenticated.
    patron.send(Call::get("/personal-access-tokens/v1/x").auth(&pat.basic())).await.expect(404);
    assert_limited(&patron.send(Call::get(V1).auth(&pat.basic())).await, "10");
    patron.send(pat.exchange()).await.expect(200);
}

#[tokio::test]
async fn zero_is_off() {
    let patron = Patron::with(|settings| {
        settings.rate_limits.requests = 0;
        settings.rate_limits.auth_failures_per_client = 0;
        settings.rate_limits.auth_failures_per_address = 0;
    })
    .await;
    for _ in 0..150 {
        patron.send(Call::get(V1).auth(&patron.admin.basic())).await.expect(200);
        patron.send(Call::get(V1).auth(&basic(&patron.admin.id, "x"))).await.expect(401);
        patron.send(Call::get(V1).auth("Bearer x")).await.expect(401);
    }
}

fn guess(id: &str, from: &str) -> Call {
    let pairs = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", "guess")];
    Call::post("/oauth/token").form(&pairs).from(from)
}

#[tokio::test]
async fn twenty_guesses_a_minute_at_one_client() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    // From ever other addresses, and wherever the secret is tried: it is one count.
    for n in 0..20 {
        let from = format!("203.0.113.{n}");
        let call = if n % 2 == 0 {
            guess(&pat.id, &from)
        } else {
            Call::get(V1).auth(&basic(&pat.id, "guess")).from(&from)
        };
        patron.send(call).await.expect(401);
    }
    assert_limited_oauth(&patron.send(guess(&pat.id, "198.51.100.1")).await, "60");
    let call = Call::get(V1).auth(&basic(&pat.id, "guess")).from("198.51.100.1");
    assert_limited(&patron.send(call).await, "60");
    // Nobody can lock another out: the right secret passes, even from where the guesses came.
    for from in ["203.0.113.0", "198.51.100.1"] {
        patron.send(pat.exchange().from(from)).await.expect(200);
        patron.send(Call::get(V1).auth(&pat.basic()).from(from)).await.expect(200);
    }
    // And it wipes nothing: the guesser is still told to wait, another client's guesser is not.
    assert_limited_oauth(&patron.send(guess(&pat.id, "198.51.100.1")).await, "60");
    patron.send(guess(&patron.admin.id, "198.51.100.1")).await.expect(401);
    patron.clock.advance_millis(59_999);
    assert_limited_oauth(&patron.send(guess(&pat.id, "198.51.100.1")).await, "1");
    patron.clock.advance_millis(1);
    patron.send(guess(&pat.id, "198.51.100.1")).await.expect(401);
}

#[tokio::test]
async fn an_id_that_is_nobodys_is_throttled_no_less() {
    let patron = Patron::start().await;
    for id in ["ffffffffffffffffffffffffffffffff", "nobody"] {
        for _ in 0..20 {
            patron.send(guess(id, "203.0.113.1")).await.expect(401);
        }
        assert_limited_oauth(&patron.send(guess(id, "203.0.113.1")).await, "60");
    }
}

#[tokio::test]
async fn a_hundred_guesses_a_minute_from_one_address() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    // Ever other ids, and tokens that nobody was ever given.
    for n in 0..100 {
        let call = if n % 2 == 0 {
            guess(&format!("{n:032x}"), "203.0.113.1")
        } else {
            Call::get(V1).auth(&format!("Bearer a.b.{n}")).from("203.0.113.1")
        };
        patron.send(call).await.expect(401);
    }
    assert_limited_oauth(&patron.send(guess("0", "203.0.113.1")).await, "60");
    assert_limited(&patron.send(Call::get(V1).auth("Bearer x").from("203.0.113.1")).await, "60");
    // Its neighbours behind the same address are not locked out, nor is anybody elsewhere.
    let bearer = patron.bearer(&pat).await;
    patron.send(pat.exchange().from("203.0.113.1")).await.expect(200);
    patron.send(Call::get(V1).auth(&bearer).from("203.0.113.1")).await.expect(200);
    patron.send(guess("0", "203.0.113.2")).await.expect(401);
    // An IPv4 address written as IPv6 is the same address.
    assert_limited_oauth(&patron.send(guess("1", "::ffff:203.0.113.1")).await, "60");
}

#[tokio::test]
async fn an_ipv6_customer_is_one_address() {
    let patron = Patron::with(|settings| settings.rate_limits.auth_failures_per_address = 3).await;
    for n in 0..3 {
        patron.send(guess(&format!("{n}"), &format!("2001:db8:1:1::{n}"))).await.expect(401);
    }
    assert_limited_oauth(&patron.send(guess("x", "2001:db8:1:1:ffff::1")).await, "60");
    patron.send(guess("x", "2001:db8:1:2::1")).await.expect(401);
}

#[tokio::test]
async fn who_was_once_let_in_is_no_guesser() {
    let patron = Patron::with(|settings| {
        settings.rate_limits.auth_failures_per_client = 2;
        settings.rate_limits.auth_failures_per_address = 2;
    })
    .await;
    let jane = patron.identity("jane", &[]).await;
    let gone = patron.identity("gone", &[]).await;
    let expired = patron.pat_for_millis(&jane, "expired", 5_000).await;
    let deleted = patron.pat(&jane, "deleted", &[]).await;
    let disabled = patron.pat(&gone, "disabled", &[]).await;
    let revoked = patron.pat(&jane, "revoked", &[]).await;
    let mut tokens = Vec::new();
    for pat in [&expired, &deleted, &disabled, &revoked] {
        tokens.push(patron.bearer(pat).await);
    }
    let ended = tokens[3].trim_start_matches("Bearer ");
    patron
        .send(Call::post("/oauth/revoke").auth(&revoked.basic()).form(&[("token", ended)]))
        .await
        .expect(200);
    patron.delete_pat(&deleted).await;
    patron.set_enabled(&gone, false).await;
    patron.pass_seconds(5);
    for _ in 0..10 {
        for pat in [&expired, &deleted, &disabled] {
            patron.send(pat.exchange()).await.expect(401);
            patron.send(Call::get(V1).auth(&pat.basic())).await.expect(401);
        }
        for auth in tokens.iter().map(String::as_str).chain(["Bearer ", "Bearer", "Basic ", "Basic Og=="]) {
            patron.send(Call::get(V1).auth(auth)).await.expect(401);
        }
        patron.send(Call::get(V1)).await.expect(401);
        patron
            .send(Call::post("/oauth/token").form(&[("grant_type", "client_credentials")]))
            .await
            .expect(401);
    }
    // None of that counted: two guesses are still free.
    patron.send(guess(&expired.id, "127.0.0.1")).await.expect(401);
    patron.send(guess(&deleted.id, "127.0.0.1")).await.expect(401);
    patron.send(guess(&expired.id, "127.0.0.1")).await.expect(429);
    // And their holders are told as before.
    let told = patron.send(expired.exchange()).await.expect(401).json();
    assert_eq!(told["error_description"], "The personal access token expired at 2027-03-01T12:00:05.000Z.");
    let told = patron.send(deleted.exchange()).await.expect(401).json();
    assert_eq!(told["error_description"], "The personal access token was deleted.");
}

#[tokio::test]
async fn addresses_are_those_that_trusted_proxies_name() {
    let patron = Patron::with(|settings| {
        settings.rate_limits.auth_failures_per_address = 2;
        settings.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    })
    .await;
    let through = |proxy: &str, header: &str, value: &str| {
        Call::get(V1).auth("Bearer x").from(proxy).header(header, value)
    };
    // A stranger that names another address each time is still one.
    for n in 0..2 {
        let call = through("203.0.113.9", "x-forwarded-for", &format!("198.51.100.{n}"));
        patron.send(call).await.expect(401);
    }
    for header in ["x-forwarded-for", "forwarded", "x-real-ip"] {
        patron.send(through("203.0.113.9", header, "for=198.51.100.77")).await.expect(429);
    }
    // Nor has it used up anything of those that it named.
    patron.send(through("10.0.0.1", "x-forwarded-for", "198.51.100.0")).await.expect(401);
    patron.send(through("10.0.0.1", "x-forwarded-for", "198.51.100.0")).await.expect(401);
    patron.send(through("10.0.0.1", "x-forwarded-for", "198.51.100.0")).await.expect(429);
    // What the client wrote in front of what the proxy added is hearsay, whichever proxy and header says it.
    for value in ["192.0.2.1, 198.51.100.0", "192.0.2.2, 198.51.100.0, 10.2.2.2"] {
        patron.send(through("10.0.0.2", "x-forwarded-for", value)).await.expect(429);
    }
    let forwarded = "for=192.0.2.3, for=\"198.51.100.0:4711\";proto=https";
    patron.send(through("10.0.0.2", "forwarded", forwarded)).await.expect(429);
    // Others behind the same proxy are not touched.
    patron.send(through("10.0.0.1", "x-forwarded-for", "198.51.100.1")).await.expect(401);
    let events = patron.events("PERSONAL_ACCESS_TOKEN_USE_FAILED").await;
    assert!(events.is_empty(), "a token that is none names no PAT: {events:?}");
}

#[tokio::test]
async fn the_tenant_is_the_host_that_trusted_proxies_name() {
    let patron =
        Patron::with(|settings| settings.trusted_proxies = vec!["10.0.0.1/32".parse().unwrap()]).await;
    let anna = patron.identity_in("acme", "anna", &[]).await;
    let pat = patron.pat(&anna, "ci", &[]).await;
    let ask = |peer: &str, name: &str, value: &str| {
        Call::get(V1).auth(&pat.basic()).from(peer).host("internal:8080").header(name, value)
    };
    let (x, rfc) =
        (("x-forwarded-host", "acme.tenants.test"), ("forwarded", "for=1.1.1.1;host=acme.tenants.test"));
    for (name, value) in [x, rfc] {
        let tenant = patron.send(ask("10.0.0.1", name, value)).await.expect(200).json();
        assert_eq!(tenant["name"], "acme");
        patron.send(ask("10.0.0.2", name, value)).await.expect(401);
    }
    // Behind the proxy, what the client put in front of what the proxy added does not count.
    patron.send(ask("10.0.0.1", "x-forwarded-host", "acme.tenants.test, patron.test")).await.expect(401);
    // An untrusted one cannot leave its tenant, either.
    let own =
        Call::get(V1).auth(&pat.basic()).host("acme.tenants.test").header("x-forwarded-host", "patron.test");
    patron.send(own.from("203.0.113.1")).await.expect(200);
}

#[tokio::test]
async fn the_trail_names_the_address_that_counts() {
    let patron =
        Patron::with(|settings| settings.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]).await;
    let header = ("x-forwarded-for", "192.0.2.1, 198.51.100.7");
    let (trusted, stranger) = (guess(&patron.admin.id, "10.1.1.1"), guess(&patron.admin.id, "203.0.113.9"));
    patron.send(trusted.header(header.0, header.1)).await.expect(401);
    patron.send(stranger.header(header.0, header.1)).await.expect(401);
    let events = patron.events("PERSONAL_ACCESS_TOKEN_USE_FAILED").await;
    let mut addresses: Vec<_> = events.iter().map(|event| event["ipAddress"].as_str().unwrap()).collect();
    addresses.sort_unstable();
    assert_eq!(addresses, ["198.51.100.7", "203.0.113.9"]);
}
