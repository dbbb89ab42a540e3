//! `POST /oauth/introspect` (RFC 7662) and `POST /oauth/revoke` (RFC 7009).

use serde_json::{Value, json};

use super::support::*;

const OPEN: &str = "/public-identities/v1";

impl Patron {
    async fn introspect(&self, as_whom: &Pat, token: &str) -> Value {
        let call = Call::post("/oauth/introspect").auth(&as_whom.basic());
        let reply = self.send(call.form(&[("token", token)])).await.expect(200);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        reply.json()
    }

    async fn is_active(&self, token: &str) -> bool {
        let answer = self.introspect(&self.admin, token).await;
        let active = answer["active"].as_bool().unwrap();
        // Who is not told that it is active is told nothing else.
        assert!(active || answer == json!({ "active": false }), "{answer}");
        active
    }

    async fn revoke(&self, as_whom: &Pat, token: &str) -> Reply {
        let call = Call::post("/oauth/revoke").auth(&as_whom.basic());
        self.send(call.form(&[("token", token), ("token_type_hint", "access_token")])).await
    }
}

#[tokio::test]
async fn an_active_token_is_told_whole() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &["demo:first", "demo:second"]).await;
    let issued = patron.send(pat.exchange()).await.json();
    let token = issued["access_token"].as_str().unwrap();
    let whole = json!({
        "active": true, "scope": "demo:first demo:second", "client_id": pat.id, "username": "jane",
        "token_type": "bearer", "exp": 1_803_902_400 + 43_200, "iat": 1_803_902_400, "sub": jane.id.to_string(),
        "aud": "http://patron.test", "iss": "http://patron.test", "jti": issued["jti"],
    });
    // Any PAT of the tenant may ask, its own too, in every way that the token endpoint knows.
    let other =
        patron.pat(&patron.identity("bob", &[]).await, "resource server", &["sp:scopes:default"]).await;
    assert_eq!(patron.introspect(&other, token).await, whole);
    assert_eq!(patron.introspect(&pat, token).await, whole);
    let (id, secret) = (("client_id", other.id.as_str()), ("client_secret", other.secret.as_str()));
    let posted = Call::post("/oauth/introspect").form(&[("token", token), id, secret]);
    assert_eq!(patron.send(posted).await.expect(200).json(), whole);
    let query = format!("/oauth/introspect?{}", form(&[("token", token), id, secret]));
    assert_eq!(patron.send(Call::post(&query)).await.expect(200).json(), whole);
    let hinted = Call::post("/oauth/introspect").auth(&other.basic());
    let hinted = hinted.form(&[("token", token), ("token_type_hint", "refresh_token")]);
    assert_eq!(patron.send(hinted).await.expect(200).json(), whole);
}

#[tokio::test]
async fn the_end_that_is_told_is_the_end_that_comes() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let token = patron.access_token(&pat).await;
    let date = patron.in_seconds(100);
    let patch = json!([{ "op": "replace", "path": "/expirationDate", "value": date }]);
    patron.patch_pat(&pat.basic(), &pat, &patch).await;
    assert_eq!(patron.introspect(&patron.admin, &token).await["exp"], 1_803_902_400 + 100);
    patron.pass_seconds(99);
    assert!(patron.is_active(&token).await);
    patron.pass_seconds(1);
    assert!(!patron.is_active(&token).await);
}

#[tokio::test]
async fn inactive_at_once() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let deleted = patron.pat(&jane, "deleted", &[]).await;
    let token = patron.access_token(&deleted).await;
    assert!(patron.is_active(&token).await);
    patron.delete_pat(&deleted).await;
    assert!(!patron.is_active(&token).await, "the PAT was deleted");

    let pat = patron.pat(&jane, "ci", &[]).await;
    let token = patron.access_token(&pat).await;
    patron.set_enabled(&jane, false).await;
    assert!(!patron.is_active(&token).await, "the owner is disabled");
    patron.set_enabled(&jane, true).await;
    assert!(!patron.is_active(&token).await, "the owner was disabled");

    let token = patron.access_token(&pat).await;
    let kept = patron.access_token(&pat).await;
    patron.revoke(&pat, &token).await.expect(200);
    assert!(!patron.is_active(&token).await, "revoked");
    assert!(patron.is_active(&kept).await, "another token of the same PAT");

    patron.pass_seconds(43_200);
    assert!(!patron.is_active(&kept).await, "expired");

    for no_token in ["x", "a.b.c", &pat.secret, &pat.id, "é"] {
        assert!(!patron.is_active(no_token).await, "{no_token}");
    }
    let tampered = patron.access_token(&pat).await + "AAAA";
    assert!(!patron.is_active(&tampered).await);
}

#[tokio::test]
async fn another_tenants_token_is_inactive_and_cannot_be_revoked() {
    let patron = Patron::start().await;
    let anna = patron.identity_in("acme", "anna", &["ORG_ADMIN"]).await;
    let foreign = patron.pat(&anna, "ci", &[]).await;
    let answer = patron.send(foreign.exchange().host("acme.tenants.test")).await.expect(200).json();
    let token = answer["access_token"].as_str().unwrap();
    assert!(!patron.is_active(token).await);
    // RFC 7009 section 2.2: a token that is none here is answered as one that was ended.
    patron.revoke(&patron.admin, token).await.expect(200);
    let there = Call::post("/oauth/introspect").host("acme.tenants.test").auth(&foreign.basic());
    let there = patron.send(there.form(&[("token", token)])).await.expect(200).json();
    assert_eq!(there["active"], true);
    // Nor does a PAT of one tenant authenticate at another.
    let stranger = Call::post("/oauth/introspect").auth(&foreign.basic()).form(&[("token", token)]);
    assert_eq!(patron.send(stranger).await.expect(401).json()["error"], "invalid_client");
}

#[tokio::test]
async fn who_may_ask() {
    let patron = Patron::start().await;
    let token = patron.access_token(&patron.admin).await;
    for path in ["/oauth/introspect", "/oauth/revoke"] {
        let wrong = Call::post(path).auth(&basic(&patron.admin.id, "x")).form(&[("token", &token)]);
        for (what, call) in [
            ("nobody", Call::post(path).form(&[("token", &token)])),
            ("a bearer", Call::post(path).auth(&format!("Bearer {token}")).form(&[("token", &token)])),
            ("a wrong secret", wrong),
        ] {
            let reply = patron.send(call).await.expect(401);
            assert_eq!(reply.json()["error"], "invalid_client", "{what}");
            assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"patron\""), "{what}");
        }
        for pairs in [&[][..], &[("token", "")], &[("token", "a"), ("token", "b")]] {
            let reply =
                patron.send(Call::post(path).auth(&patron.admin.basic()).form(pairs)).await.expect(400);
            assert_eq!(reply.json()["error"], "invalid_request", "{pairs:?}");
        }
        let reply = patron.send(Call::get(path)).await.expect(405);
        assert_eq!(reply.json()["error"], "invalid_request");
    }
    patron.send(Call::get(OPEN).auth(&format!("Bearer {token}"))).await.expect(200);
}

#[tokio::test]
async fn revoking_ends_one_token_for_good() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &["sp:scopes:default"]).await;
    let (ended, kept) = (patron.access_token(&pat).await, patron.access_token(&pat).await);
    let reply = patron.revoke(&pat, &ended).await.expect(200);
    assert_eq!(reply.body, b"");
    let call = |token: &str| Call::get(OPEN).auth(&format!("Bearer {token}"));
    let refused = patron.send(call(&ended)).await.expect(401).json();
    assert_eq!(refused, json!({ "error": "JWT validation failed: JWT is revoked" }));
    patron.send(call(&kept)).await.expect(200);
    // Again, and what was never a token: nothing to end, nothing to complain about.
    patron.revoke(&pat, &ended).await.expect(200);
    patron.revoke(&pat, "x").await.expect(200);
    let events = patron.events("ACCESS_TOKEN_REVOKED").await;
    assert_eq!(events.len(), 1, "once");
    assert_eq!(events[0]["actor"]["id"], jane.id.to_string());
    assert_eq!(events[0]["attributes"]["clientId"], pat.id);
    assert_eq!((&events[0]["operation"], &events[0]["status"]), (&json!("REVOKE"), &json!("PASSED")));
}

#[tokio::test]
async fn only_all_manage_ends_anothers_token() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let sibling = patron.pat(&jane, "sibling", &[]).await;
    let token = patron.access_token(&pat).await;
    let admin = patron.identity("boss", &["ORG_ADMIN"]).await;
    let reader = patron.pat(&admin, "reader", &["idn:all-personal-access-tokens:read"]).await;
    for other in [&sibling, &reader] {
        let reply = patron.revoke(other, &token).await.expect(400);
        let text = "The access token was made from another personal access token.";
        assert_eq!(reply.json(), json!({ "error": "unauthorized_client", "error_description": text }));
        assert!(patron.is_active(&token).await);
    }
    let manager = patron.pat(&admin, "manager", &["sp:all-personal-access-tokens:manage"]).await;
    patron.revoke(&manager, &token).await.expect(200);
    assert!(!patron.is_active(&token).await);
}
