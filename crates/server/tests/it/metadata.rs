//! Where everything is: `/oauth/info`, RFC 8414's document, the published keys, and their rotation.

use std::sync::Arc;

use patron::keys::{self, MasterKey, PUBLISH_AFTER_SECONDS, PUBLISH_AHEAD_SECONDS};
use patron::system::SystemEntropy;
use patron_core::clock::Clock as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::*;
use super::token::verified;

const METADATA: &str = "/.well-known/oauth-authorization-server";

#[tokio::test]
async fn info_is_open_to_every_origin() {
    let patron = Patron::start().await;
    let reply =
        patron.send(Call::get("/oauth/info").header("origin", "https://app.example")).await.expect(200);
    let info = reply.json();
    let tenant_id = info["tenantId"].as_str().unwrap();
    assert!(tenant_id.len() == 32 && tenant_id.bytes().all(|b| b.is_ascii_hexdigit()), "{tenant_id}");
    assert_eq!(
        info,
        json!({
            "tenantId": tenant_id, "tenantName": "default",
            "authorizeEndpoint": "http://patron.test/ui/sign-in",
            "tokenEndpoint": "http://patron.test/oauth/token", "cloudDomainUrl": "http://patron.test",
            "logoutUrl": "http://patron.test/ui/sign-out", "pod": "local",
        })
    );
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    let preflight = Call::new("OPTIONS", "/oauth/info")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "x-requested-with");
    let reply = patron.send(preflight).await.expect(204);
    assert_eq!(reply.body, b"");
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert!(reply.header("access-control-allow-methods").unwrap().contains("GET"));
    assert_eq!(reply.header("access-control-allow-headers"), Some("*"));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    // Nothing that takes a credential is open to other origins.
    let token = patron.admin.exchange().header("origin", "https://app.example");
    assert_eq!(patron.send(token).await.expect(200).header("access-control-allow-origin"), None);
}

/// Follows an address of the service as its reader would: its path below the public URL, with that host.
async fn follow(patron: &Patron, method: &str, address: &Value) -> Reply {
    let url: reqwest::Url = address.as_str().unwrap().parse().unwrap();
    patron.send(Call::new(method, url.path()).host(url.authority())).await
}

#[tokio::test]
async fn every_address_that_is_told_exists() {
    for public_url in ["http://patron.test", "https://pat.test:8443/patron/"] {
        let patron = Patron::with(|settings| settings.public_url = public_url.parse().unwrap()).await;
        patron.tenant("acme").await;
        let base: reqwest::Url = public_url.parse().unwrap();
        for host in [base.authority(), "acme.tenants.test"] {
            let info = patron.send(Call::get("/oauth/info").host(host)).await.expect(200).json();
            for page in ["authorizeEndpoint", "logoutUrl"] {
                let reply = follow(&patron, "GET", &info[page]).await.expect(200);
                assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"), "{page}");
            }
            let unasked = follow(&patron, "POST", &info["tokenEndpoint"]).await.expect(400);
            assert_eq!(unasked.json()["error"], "invalid_request");

            let metadata = patron.send(Call::get(METADATA).host(host)).await.expect(200).json();
            assert_eq!(metadata["issuer"], info["cloudDomainUrl"], "the same tenant");
            follow(&patron, "GET", &metadata["jwks_uri"]).await.expect(200);
            follow(&patron, "GET", &metadata["service_documentation"]).await.expect(200);
            follow(&patron, "POST", &metadata["token_endpoint"]).await.expect(400);
            for endpoint in ["introspection_endpoint", "revocation_endpoint"] {
                let reply = follow(&patron, "POST", &metadata[endpoint]).await.expect(401);
                assert_eq!(reply.json()["error"], "invalid_client", "{endpoint}");
            }
        }
    }
}

#[tokio::test]
async fn the_document_of_rfc_8414() {
    let patron = Patron::start().await;
    patron.tenant("acme").await;
    let reply = patron.send(Call::get(METADATA)).await.expect(200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let mut document = reply.json();
    let scopes = document["scopes_supported"].take();
    for scope in ["sp:scopes:all", "sp:scopes:default", "sp:my-personal-access-tokens:manage"] {
        assert!(scopes.as_array().unwrap().contains(&json!(scope)), "{scopes}");
    }
    let methods = json!(["client_secret_basic", "client_secret_post"]);
    let expected = |base: &str| {
        json!({
            "issuer": base, "token_endpoint": format!("{base}/oauth/token"),
            "jwks_uri": format!("{base}/oauth/jwks"),
            "introspection_endpoint": format!("{base}/oauth/introspect"),
            "revocation_endpoint": format!("{base}/oauth/revoke"),
            "grant_types_supported": ["client_credentials"], "response_types_supported": [],
            "token_endpoint_auth_methods_supported": methods,
            "introspection_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_methods_supported": methods,
            "scopes_supported": null, "service_documentation": format!("{base}/docs"),
        })
    };
    assert_eq!(document, expected("http://patron.test"));
    let mut document = patron.send(Call::get(METADATA).host("acme.tenants.test")).await.expect(200).json();
    document["scopes_supported"].take();
    assert_eq!(document, expected("http://acme.tenants.test"));
    patron.send(Call::get(&format!("{METADATA}/acme"))).await.expect_error("404 Not found");
}

#[tokio::test]
async fn an_issuer_with_a_path_is_found_where_rfc_8414_looks() {
    let patron =
        Patron::with(|settings| settings.public_url = "https://pat.test/a/patron".parse().unwrap()).await;
    for path in [
        // RFC 8414 section 3.1: the well-known part goes between host and path.
        "/.well-known/oauth-authorization-server/a/patron",
        "/.well-known/oauth-authorization-server/a/patron/",
        // As a proxy passes on what is below the prefix, and as one leaves the prefix on.
        "/.well-known/oauth-authorization-server",
        "/a/patron/.well-known/oauth-authorization-server",
    ] {
        let document = patron.send(Call::get(path)).await.expect(200).json();
        assert_eq!(document["issuer"], "https://pat.test/a/patron", "{path}");
        assert_eq!(document["token_endpoint"], "https://pat.test/a/patron/oauth/token", "{path}");
    }
    for path in ["/a", "/a/patron/x", "/a/patronx", "/patron"] {
        patron.send(Call::get(&format!("{METADATA}{path}"))).await.expect_error("404 Not found");
    }
    let mut call = patron.admin.exchange();
    call.uri = "/a/patron/oauth/token".to_owned();
    let answer = patron.send(call).await.expect(200).json();
    let token = answer["access_token"].as_str().unwrap();
    let (_, claims) = verified(&patron, token, "https://pat.test/a/patron", "https://pat.test/a/patron")
        .await
        .expect("the issuer that the document names");
    assert_eq!(claims["iss"], "https://pat.test/a/patron");
}

#[tokio::test]
async fn the_published_keys() {
    let patron = Patron::start().await;
    let reply = patron.send(Call::get("/oauth/jwks")).await.expect(200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    let other = patron.send(Call::get("/.well-known/jwks.json").host("x.example")).await.expect(200);
    assert_eq!((other.json(), other.header("cache-control")), (reply.json(), reply.header("cache-control")));
    let keys = reply.json()["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 2, "the one that signs and the next one");
    for key in &keys {
        let names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"], "nothing private");
        assert_eq!((&key["kty"], &key["crv"]), (&json!("EC"), &json!("P-256")));
        assert_eq!((&key["alg"], &key["use"]), (&json!("ES256"), &json!("sig")));
    }
    assert_ne!(keys[0]["kid"], keys[1]["kid"]);
}

/// Names of the published keys.
fn kids(reply: &Reply) -> Vec<String> {
    let keys = reply.json();
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn kid_of(token: &str) -> String {
    jsonwebtoken::decode_header(token.trim_start_matches("Bearer ")).unwrap().kid.unwrap()
}

impl Patron {
    async fn rotate(&self) -> patron_core::Result<()> {
        let now = self.clock.now();
        let decide = Arc::new(move |records: &[keys::KeyRecord]| {
            let master = MasterKey::from_text(TEST_MASTER_KEY).ok().unwrap();
            keys::rotated(records, now, &master, &SystemEntropy)
        });
        let tenant = self.tenant("default").await;
        self.app.store.rotate_signing_keys(operator(), tenant, decide).await.map(drop)
    }

    async fn published(&self) -> Vec<String> {
        kids(&self.send(Call::get("/oauth/jwks")).await.expect(200))
    }
}

#[tokio::test]
async fn a_key_is_published_before_it_signs_and_after_it_signed() {
    let patron = Patron::start().await;
    let url = "http://patron.test";
    let first = patron.access_token(&patron.admin).await;
    let published = patron.published().await;
    patron.rotate().await.unwrap();
    // The next key was made a moment ago: nobody can have read it, so it does not sign yet.
    let again = patron.access_token(&patron.admin).await;
    assert_eq!(kid_of(&again), kid_of(&first));
    let during = patron.published().await;
    assert_eq!(during.len(), 3, "a new next key is published at once");
    assert!(published.iter().all(|kid| during.contains(kid)));
    let refused = patron.rotate().await.unwrap_err();
    assert!(refused.to_string().contains("rotate again after that"), "{refused}");
    patron.pass_seconds(PUBLISH_AHEAD_SECONDS - 1);
    assert_eq!(kid_of(&patron.access_token(&patron.admin).await), kid_of(&first));
    let last = patron.access_token(&patron.admin).await;
    patron.pass_seconds(1);
    let second = patron.access_token(&patron.admin).await;
    assert_ne!(kid_of(&second), kid_of(&first));
    assert!(published.contains(&kid_of(&second)), "it was published before it signed");
    // What the old key signed is good to the end, here and elsewhere.
    for token in [&first, &last, &second] {
        let auth = format!("Bearer {token}");
        patron.send(Call::get("/tenant/v1").auth(&auth)).await.expect(200);
        assert!(verified(&patron, token, url, url).await.is_some());
    }
    // By now the key after it has been published for long enough: it takes over at once.
    patron.rotate().await.unwrap();
    let third = patron.access_token(&patron.admin).await;
    assert!(kid_of(&third) != kid_of(&second) && during.contains(&kid_of(&third)));
    // A retired key leaves when nothing that it signed can be alive.
    patron.pass_seconds(PUBLISH_AFTER_SECONDS - 1);
    assert!(patron.published().await.contains(&kid_of(&second)));
    patron.pass_seconds(1);
    assert!(!patron.published().await.contains(&kid_of(&second)));
    assert!(patron.published().await.contains(&kid_of(&third)));
    let events = patron.events("SIGNING_KEY_ROTATED").await;
    assert_eq!(events.len(), 2, "the refused one changed nothing");
    assert_eq!(events[0]["target"]["id"], kid_of(&third));
    assert_eq!(events[1]["target"]["id"], kid_of(&second));
}

#[test]
fn keys_are_rotated_while_the_service_runs() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    let bootstrap: Value =
        serde_json::from_slice(&std::fs::read(data.join("bootstrap.json")).unwrap()).unwrap();
    let (id, secret) = (bootstrap["clientId"].as_str().unwrap(), bootstrap["clientSecret"].as_str().unwrap());
    let before = server.bearer(id, secret);
    let published = kids(&server.send(Call::get("/oauth/jwks")).expect(200));
    let listed = run_json(&data, &["admin", "keys", "list"]);
    let states: Vec<_> =
        listed.as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|&&state| state == "active").count(), 1, "{listed}");
    assert_eq!(states.iter().filter(|&&state| state == "next").count(), 1, "{listed}");

    let rotated = run_json(&data, &["admin", "keys", "rotate"]);
    assert_eq!(rotated.as_array().unwrap().len(), 3, "{rotated}");
    assert!(!rotated.to_string().to_lowercase().contains("private"), "{rotated}");
    let now_published = kids(&server.send(Call::get("/oauth/jwks")).expect(200));
    assert_eq!(now_published.len(), 3, "the running service publishes the new key at once");
    assert!(published.iter().all(|kid| now_published.contains(kid)));
    assert_eq!(kid_of(&server.bearer(id, secret)), kid_of(&before), "and does not sign with it yet");
    server.send(Call::get("/tenant/v1").auth(&before)).expect(200);

    let refused = run(&data, &["admin", "keys", "rotate", "--json"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(refused.stdout, b"");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("rotate again after that"), "{told}");
    assert_eq!(kids(&server.send(Call::get("/oauth/jwks"))), now_published);
    let log = server.log();
    assert_eq!(server.stop(), Some(0));
    assert!(!log.contains(secret));
}

/// Somebody who can write to the database puts keys there that this service cannot open.
#[tokio::test]
async fn keys_under_another_master_key_do_not_stop_the_service() {
    let patron = Patron::start().await;
    let before = patron.access_token(&patron.admin).await;
    let now = patron.clock.now();
    let foreign = Arc::new(move |_: &[keys::KeyRecord]| {
        let other = MasterKey::from_text(&"02".repeat(32)).ok().unwrap();
        Ok((keys::bootstrap(now, &other, &SystemEntropy).ok().unwrap().to_vec(), Vec::new()))
    });
    let tenant = patron.tenant("default").await;
    patron.app.store.rotate_signing_keys(operator(), tenant, foreign).await.unwrap();
    let after = patron.access_token(&patron.admin).await;
    assert_eq!(kid_of(&after), kid_of(&before));
    for token in [before, after] {
        patron.send(Call::get("/tenant/v1").auth(&format!("Bearer {token}"))).await.expect(200);
    }
}
