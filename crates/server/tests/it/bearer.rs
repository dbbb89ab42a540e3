//! Access tokens and PATs on the API: who is let in, who is not, and from when on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use patron::keys::jwt::SigningKey;
use patron_core::pat::Draft;
use serde_json::{Value, json};

use super::support::*;
use super::token::escaped;

const OPEN: &str = "/public-identities/v1";
const MINE: &str = "/personal-access-tokens/v1?owner-id=me";

/// Asserts a 401 of the API: the whole body, and a challenge that opens no dialog in a browser.
#[track_caller]
fn assert_401(what: &str, reply: &Reply, error: &str) {
    assert_eq!(reply.status, 401, "{what}: {}", reply.text());
    assert_eq!(reply.json(), json!({ "error": error }), "{what}");
    assert_eq!(reply.header("content-type"), Some("application/json"), "{what}");
    let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, ["Bearer realm=\"patron\""], "{what}");
    assert_eq!(reply.header("slpt-request-id").map(str::len), Some(32), "{what}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{what}");
}

impl Patron {
    async fn refused(&self, what: &str, auth: &str, error: &str) {
        assert_401(what, &self.send(Call::get(OPEN).auth(auth)).await, error);
    }

    async fn let_in(&self, auth: &str) {
        self.send(Call::get(OPEN).auth(auth)).await.expect(200);
    }
}

#[tokio::test]
async fn what_is_no_credential() {
    let patron = Patron::start().await;
    let reply = patron.send(Call::get(OPEN)).await;
    assert_401("none", &reply, "JWT validation failed: no Authorization header");
    for (auth, error) in [
        ("Bearer", "JWT validation failed: JWT is empty"),
        ("Bearer ", "JWT validation failed: JWT is empty"),
        ("bearer    ", "JWT validation failed: JWT is empty"),
        ("", "JWT validation failed: neither Bearer nor Basic"),
        ("Digest username=x", "JWT validation failed: neither Bearer nor Basic"),
        ("Bearerx", "JWT validation failed: neither Bearer nor Basic"),
        ("Bearer x", "JWT validation failed: JWT is malformed"),
        ("Bearer a.b.c", "JWT validation failed: JWT is malformed"),
        ("Bearer ..", "JWT validation failed: JWT is malformed"),
        ("Basic", "Basic authentication failed: the id or the secret is missing."),
        ("Basic Og==", "Basic authentication failed: the id or the secret is missing."),
        ("Basic !", "Basic authentication failed: the header is malformed."),
        (
            "Basic YWRtaW46YWRtaW4=",
            "Basic authentication failed: The client id or the client secret is wrong.",
        ),
    ] {
        patron.refused(auth, auth, error).await;
    }
    let twice = Call::get(OPEN).auth(&patron.admin.basic()).auth(&patron.admin.basic());
    let reply = patron.send(twice).await;
    assert_401("twice", &reply, "JWT validation failed: more than one Authorization header");
    let pat_as_token = format!("Bearer {}", patron.admin.secret);
    patron.refused("a secret as a token", &pat_as_token, "JWT validation failed: JWT is malformed").await;
    // A token in the query or in a cookie is none.
    let token = patron.access_token(&patron.admin).await;
    let smuggled =
        Call::get(&format!("{OPEN}?access_token={token}")).header("cookie", &format!("token={token}"));
    assert_401("query", &patron.send(smuggled).await, "JWT validation failed: no Authorization header");
}

#[tokio::test]
async fn every_path_of_the_api_asks_first() {
    let patron = Patron::start().await;
    let id = "ef38f94347e94562b5bb8424a56397d8";
    for (method, path, deprecated) in [
        ("GET", "/personal-access-tokens/v1".to_owned(), false),
        ("POST", "/personal-access-tokens/v1".to_owned(), false),
        ("GET", format!("/personal-access-tokens/v1/{id}"), false),
        ("DELETE", format!("/personal-access-tokens/v1/{id}"), false),
        ("PATCH", format!("/v3/personal-access-tokens/{id}"), true),
        ("POST", "/v2025/personal-access-tokens/bulk-update".to_owned(), true),
        ("GET", "/tenant/v1".to_owned(), false),
        ("GET", format!("/auth-users/v1/{id}"), false),
        ("GET", "/audit-events/v1".to_owned(), false),
    ] {
        // As the official clients call: a JSON content type and nothing behind `Bearer `.
        let call = Call::new(method, &path).auth("Bearer ").header("content-type", "application/json");
        let reply = patron.send(call).await;
        assert_401(&path, &reply, "JWT validation failed: JWT is empty");
        assert_eq!(reply.header("x-deprecated"), deprecated.then_some("true"), "{path}");
    }
}

/// A token's three parts, the first two as JSON.
fn taken_apart(token: &str) -> (Value, Value, String) {
    let parts: Vec<&str> = token.split('.').collect();
    let read = |part: &str| serde_json::from_slice(&BASE64URL.decode(part).unwrap()).unwrap();
    (read(parts[0]), read(parts[1]), parts[2].to_owned())
}

fn put_together(header: &Value, claims: &Value, signature: &str) -> String {
    let write = |value: &Value| BASE64URL.encode(value.to_string());
    format!("{}.{}.{signature}", write(header), write(claims))
}

#[tokio::test]
async fn forged_tokens() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &["idn:my-personal-access-tokens:read"]).await;
    let token = patron.access_token(&pat).await;
    let (header, claims, signature) = taken_apart(&token);
    let with = |value: &Value, name: &str, new: Value| {
        let mut value = value.clone();
        value[name] = new;
        value
    };
    let greedy = with(&claims, "scope", json!("sp:scopes:all"));
    let admin = with(&claims, "identity_id", json!(patron.admin.owner));
    let keys = patron.send(Call::get("/oauth/jwks")).await.json();
    let public = BASE64URL.decode(keys["keys"][0]["x"].as_str().unwrap()).unwrap();
    // RFC 8725 section 2.1: the public key taken as the secret of an HMAC.
    let mut hs256 = Header::new(Algorithm::HS256);
    hs256.typ = Some("at+jwt".to_owned());
    hs256.kid = header["kid"].as_str().map(str::to_owned);
    let hmac = jsonwebtoken::encode(&hs256, &greedy, &EncodingKey::from_secret(&public)).unwrap();
    let (own_key, _) = SigningKey::generate().unwrap();
    let own = own_key.sign(&greedy).unwrap();
    let (_, _, own_signature) = taken_apart(&own);
    let own_under_ours = put_together(&header, &greedy, &own_signature);
    let with_jwk = with(&header, "jwk", serde_json::from_str(own_key.public_jwk()).unwrap());
    let none = |alg: &str| put_together(&with(&header, "alg", json!(alg)), &greedy, "");
    let zeros = BASE64URL.encode([0_u8; 64]);
    let mut flipped = signature.clone();
    flipped.replace_range(0..1, if signature.starts_with('A') { "B" } else { "A" });
    for (what, forged, error) in [
        ("alg none", none("none"), "JWT algorithm is not supported"),
        ("alg None", none("None"), "JWT algorithm is not supported"),
        ("alg ES384", none("ES384"), "JWT algorithm is not supported"),
        (
            "no alg",
            put_together(&json!({ "kid": header["kid"], "typ": "at+jwt" }), &greedy, ""),
            "JWT is malformed",
        ),
        ("HMAC with the public key", hmac, "JWT algorithm is not supported"),
        ("more scopes", put_together(&header, &greedy, &signature), "JWT signature is invalid"),
        ("another identity", put_together(&header, &admin, &signature), "JWT signature is invalid"),
        ("another signature", put_together(&header, &claims, &flipped), "JWT signature is invalid"),
        ("no signature", put_together(&header, &claims, ""), "JWT signature is invalid"),
        ("a signature of zeros", put_together(&header, &claims, &zeros), "JWT signature is invalid"),
        ("a key of one's own", own, "JWT key is unknown"),
        ("a key of one's own under our name", own_under_ours, "JWT signature is invalid"),
        ("a key brought along", put_together(&with_jwk, &greedy, &own_signature), "JWT signature is invalid"),
        (
            "a key of another name",
            put_together(&with(&header, "kid", json!("x")), &claims, &signature),
            "JWT key is unknown",
        ),
        (
            "a JWT of another kind",
            put_together(&with(&header, "typ", json!("JWT")), &claims, &signature),
            "JWT is not an access token",
        ),
        (
            "something critical",
            put_together(&with(&header, "crit", json!(["exp"])), &claims, &signature),
            "JWT has an unknown critical header",
        ),
        ("cut off", token[..token.len() - 2].to_owned(), "JWT signature is invalid"),
        ("a part more", format!("{token}.x"), "JWT is malformed"),
        ("too long", format!("{}.{token}", "a".repeat(70_000)), "JWT is too long"),
    ] {
        let auth = format!("Bearer {forged}");
        patron.refused(what, &auth, &format!("JWT validation failed: {error}")).await;
    }
    patron.let_in(&format!("Bearer {token}")).await;
    patron.let_in(&format!("bEARER  {token} ")).await;
}

#[tokio::test]
async fn a_token_ends_when_it_said() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let draft = Draft {
        name: Some("ci".to_owned()),
        access_token_validity_seconds: Some(15),
        user_aware_token_never_expires: true,
        ..Draft::default()
    };
    let pat = patron.pat_of(&jane, draft).await;
    let auth = patron.bearer(&pat).await;
    patron.clock.advance_millis(14_999);
    patron.let_in(&auth).await;
    patron.clock.advance_millis(1);
    patron.refused("expired", &auth, "JWT validation failed: JWT is expired").await;
    patron.let_in(&patron.bearer(&pat).await).await;
}

#[tokio::test]
async fn a_pats_end_is_its_tokens_end() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let expired = "JWT validation failed: JWT is expired";
    // It expires.
    let pat = patron.pat_for_millis(&jane, "short", 10_000).await;
    let auth = patron.bearer(&pat).await;
    patron.let_in(&auth).await;
    patron.pass_seconds(10);
    patron.refused("the PAT expired", &auth, expired).await;
    // Its date is drawn closer than tokens that were issued already.
    let pat = patron.pat(&jane, "closer", &[]).await;
    let auth = patron.bearer(&pat).await;
    let date = patron.in_seconds(60);
    let patch = json!([{ "op": "replace", "path": "/expirationDate", "value": date }]);
    patron.patch_pat(&auth, &pat, &patch).await;
    patron.clock.advance_millis(59_000);
    patron.let_in(&auth).await;
    patron.clock.advance_millis(1);
    patron.refused("the PAT is in its last second", &auth, expired).await;
    let told = format!("Basic authentication failed: The personal access token expired at {date}.");
    patron.refused("the PAT itself", &pat.basic(), &told).await;
    // It is deleted, with its own token.
    let pat = patron.pat(&jane, "deleted", &[]).await;
    let auth = patron.bearer(&pat).await;
    let uri = format!("/personal-access-tokens/v1/{}", pat.id);
    patron.send(Call::new("DELETE", &uri).auth(&auth)).await.expect(204);
    let error = "JWT validation failed: the personal access token was deleted";
    patron.refused("the PAT was deleted", &auth, error).await;
    // Another PAT's tokens do not mind.
    let other = patron.pat(&jane, "other", &[]).await;
    patron.let_in(&patron.bearer(&other).await).await;
}

#[tokio::test]
async fn a_tenants_credentials_are_nothing_elsewhere() {
    let patron = Patron::start().await;
    let anna = patron.identity_in("acme", "anna", &["ORG_ADMIN"]).await;
    let pat = patron.pat(&anna, "ci", &[]).await;
    let answer = patron.send(pat.exchange().host("acme.tenants.test")).await.expect(200).json();
    let auth = format!("Bearer {}", answer["access_token"].as_str().unwrap());
    for host in ["acme.tenants.test", "ACME.tenants.test.", "acme.tenants.test:8080"] {
        let tenant = patron.send(Call::get("/tenant/v1").host(host).auth(&auth)).await.expect(200).json();
        assert_eq!(tenant["name"], "acme");
        patron.send(Call::get("/tenant/v1").host(host).auth(&pat.basic())).await.expect(200);
    }
    patron.tenant("other").await;
    for host in ["patron.test", "127.0.0.1", "other.tenants.test", "acme.tenants.test.evil.example"] {
        let reply = patron.send(Call::get(MINE).host(host).auth(&auth)).await;
        assert_401(host, &reply, "JWT validation failed: JWT is not valid here");
        let reply = patron.send(Call::get(MINE).host(host).auth(&pat.basic())).await;
        let wrong = "Basic authentication failed: The client id or the client secret is wrong.";
        assert_401(host, &reply, wrong);
    }
    let default = Call::get("/tenant/v1").host("acme.tenants.test").auth(&patron.admin.basic());
    patron.send(default).await.expect(401);
    let nowhere = Call::get("/tenant/v1").host("nobody.tenants.test").auth(&auth);
    patron.send(nowhere).await.expect_error("404 Not found");
}

#[tokio::test]
async fn disabled_then_enabled() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let old = patron.bearer(&pat).await;
    patron.let_in(&old).await;
    patron.set_enabled(&jane, false).await;
    let dead = "JWT validation failed: the identity is disabled";
    patron.refused("disabled", &old, dead).await;
    let told = "Basic authentication failed: The owner of the personal access token is disabled.";
    patron.refused("disabled", &pat.basic(), told).await;
    patron.send(pat.exchange()).await.expect(401);
    patron.set_enabled(&jane, true).await;
    // No second has passed: the PAT works, what it is exchanged for works, and the old token stays dead.
    patron.refused("from before", &old, dead).await;
    patron.let_in(&pat.basic()).await;
    let new = patron.bearer(&pat).await;
    patron.let_in(&new).await;
    patron.pass_seconds(60);
    patron.refused("from before", &old, dead).await;
    patron.let_in(&new).await;
    // Once more: a second round must not bring the first one's tokens back.
    patron.set_enabled(&jane, false).await;
    patron.set_enabled(&jane, true).await;
    for token in [&old, &new] {
        patron.refused("from before", token, dead).await;
    }
    patron.let_in(&patron.bearer(&pat).await).await;
    // Another's are not touched.
    patron.let_in(&patron.admin.basic()).await;
}

#[tokio::test]
async fn a_deleted_identity_takes_its_credentials_along() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let auth = patron.bearer(&pat).await;
    patron.let_in(&auth).await;
    patron.app.store.delete_identity(operator(), jane.tenant, jane.id).await.unwrap();
    patron.refused("token", &auth, "JWT validation failed: the personal access token was deleted").await;
    let told = "Basic authentication failed: The personal access token was deleted.";
    patron.refused("PAT", &pat.basic(), told).await;
}

#[tokio::test]
async fn a_patched_scope_counts_for_new_tokens_at_once() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let steward = patron.pat(&jane, "steward", &[]).await;
    let pat = patron.pat(&jane, "ci", &["idn:my-personal-access-tokens:read"]).await;
    let wide = patron.bearer(&pat).await;
    patron.send(Call::get(MINE).auth(&wide)).await.expect(200);
    let narrow = json!([{ "op": "replace", "path": "/scope", "value": ["demo:first"] }]);
    patron.patch_pat(&steward.basic(), &pat, &narrow).await;
    let after = patron.bearer(&pat).await;
    patron.send(Call::get(MINE).auth(&after)).await.expect_error("403 Forbidden");
    patron.send(Call::get(MINE).auth(&pat.basic())).await.expect_error("403 Forbidden");
    // The old one keeps what it said.
    patron.send(Call::get(MINE).auth(&wide)).await.expect(200);
    // And does not gain, either.
    let wider = json!([{ "op": "replace", "path": "/scope", "value": ["sp:scopes:all"] }]);
    patron.patch_pat(&steward.basic(), &pat, &wider).await;
    patron.send(Call::get(MINE).auth(&after)).await.expect_error("403 Forbidden");
    patron.send(Call::get(MINE).auth(&patron.bearer(&pat).await)).await.expect(200);
}

#[tokio::test]
async fn a_changed_level_counts_for_old_tokens_at_once() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let auth = patron.bearer(&pat).await;
    let everyone = || Call::get("/personal-access-tokens/v1").auth(&auth);
    patron.send(everyone()).await.expect_error("403 Forbidden");
    let uri = format!("/auth-users/v1/{}", jane.id);
    let levels = |levels: &[&str]| {
        let patch = json!([{ "op": "replace", "path": "/capabilities", "value": levels }]);
        Call::new("PATCH", &uri).auth(&patron.admin.basic()).json_patch(&patch)
    };
    patron.send(levels(&["ORG_ADMIN"])).await.expect(200);
    patron.send(everyone()).await.expect(200);
    patron.send(levels(&[])).await.expect(200);
    patron.send(everyone()).await.expect_error("403 Forbidden");
    patron.send(Call::get(MINE).auth(&auth)).await.expect(200);
}

#[tokio::test]
async fn a_pat_over_basic_is_its_owner() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    for auth in [
        pat.basic(),
        pat.basic().replacen("Basic", "BASIC", 1),
        basic(&escaped(&pat.id), &escaped(&pat.secret)),
    ] {
        let listed = patron.send(Call::get(MINE).auth(&auth)).await.expect(200).json();
        assert_eq!(listed[0]["id"], pat.id);
        assert_eq!(listed[0]["owner"]["id"], jane.id.to_string());
    }
}
