//! What `/oauth/` refuses: status, body and headers of every error.

use patron::housekeeping;
use serde_json::json;

use super::support::*;

const GRANT: &str = "grant_type=client_credentials";
const FORM: &str = "application/x-www-form-urlencoded";
const WRONG: &str = "The client id or the client secret is wrong.";

/// Asserts an error of RFC 6749 section 5.2: the whole body, and what its headers must and must not say.
#[track_caller]
fn assert_refused(what: &str, reply: &Reply, status: u16, error: &str, description: &str) {
    assert_eq!(reply.status.as_u16(), status, "{what}: {}", reply.text());
    assert_eq!(reply.json(), json!({ "error": error, "error_description": description }), "{what}");
    assert_eq!(reply.header("content-type"), Some("application/json"), "{what}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{what}");
    assert_eq!(reply.header("pragma"), Some("no-cache"), "{what}");
    assert_eq!(reply.header("slpt-request-id").map(str::len), Some(32), "{what}");
    let challenge = (status == 401).then_some("Basic realm=\"patron\"");
    assert_eq!(reply.header("www-authenticate"), challenge, "{what}");
    assert_eq!(
        reply.headers.get_all("www-authenticate").iter().count(),
        usize::from(status == 401),
        "{what}"
    );
    assert_eq!(reply.header("retry-after"), None, "{what}");
}

#[tokio::test]
async fn every_malformed_request() {
    let patron = Patron::start().await;
    let pat = &patron.admin;
    let (id, secret) = (format!("client_id={}", pat.id), format!("client_secret={}", pat.secret));
    let all = format!("{GRANT}&{id}&{secret}");
    let form = |body: &str| Call::post("/oauth/token").body(FORM, body);
    let twice = "The client secret was sent more than once.";
    let two_ids = "Two different client ids were sent.";
    let broken_part = "--b\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_cred";
    let nameless = "--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n";
    for (what, call, description) in [
        ("two secrets", form(&format!("{all}&client_secret=x")), twice),
        ("the same secret twice", Call::post(&format!("/oauth/token?{secret}")).body(FORM, &*all), twice),
        ("Basic and a secret", form(&all).auth(&pat.basic()), twice),
        ("two ids", form(&format!("{all}&client_id=x")), two_ids),
        ("two ids, query and form", Call::post("/oauth/token?client_id=x").body(FORM, &*all), two_ids),
        ("Basic and another id", form(&format!("{GRANT}&client_id=x")).auth(&pat.basic()), two_ids),
        (
            "two Authorization headers",
            form(GRANT).auth(&pat.basic()).auth(&pat.basic()),
            "The request has more than one Authorization header.",
        ),
        ("no grant type", form(&format!("{id}&{secret}")), "Parameter 'grant_type' is missing."),
        ("nothing at all", Call::post("/oauth/token"), "Parameter 'grant_type' is missing."),
        (
            "two grant types",
            form(&format!("{all}&{GRANT}")),
            "Parameter 'grant_type' was sent more than once.",
        ),
        ("two scopes", form(&format!("{all}&scope=a&scope=a")), "Parameter 'scope' was sent more than once."),
        ("a broken escape", form(&format!("{all}&scope=%zz")), "A parameter is not percent-encoded UTF-8."),
        ("NUL", form(&format!("{all}&scope=%00")), "A parameter contains a NUL character."),
        (
            "no boundary",
            Call::post("/oauth/token").body("multipart/form-data", "x"),
            "The multipart boundary is missing.",
        ),
        (
            "a multipart body that breaks off",
            Call::post("/oauth/token").body("multipart/form-data; boundary=b", broken_part),
            "The multipart body is malformed or not finished.",
        ),
        (
            "a part without a name",
            Call::post("/oauth/token").body("multipart/form-data; boundary=b", nameless),
            "A part of the multipart body has no name.",
        ),
    ] {
        let reply = patron.send(call).await;
        assert_refused(what, &reply, 400, "invalid_request", description);
        assert!(!reply.text().contains(&pat.secret), "{what}");
    }
    let reply = patron.send(form(&all.replace("client_credentials", "pass%22word"))).await;
    let text = "Grant type 'pass'word' is not known here; use 'client_credentials'.";
    assert_refused("another grant", &reply, 400, "unsupported_grant_type", text);
    let reply = patron.send(form(&format!("{all}&scope=nobody%3Ahas"))).await;
    let text = "The personal access token does not have the scope 'nobody:has'.";
    assert_refused("a scope that it lacks", &reply, 400, "invalid_scope", text);
}

#[tokio::test]
async fn every_request_without_credentials() {
    let patron = Patron::start().await;
    let pat = &patron.admin;
    let (id, secret) = (format!("client_id={}", pat.id), format!("client_secret={}", pat.secret));
    let form = |body: &str| Call::post("/oauth/token").body(FORM, body);
    let nobody = "The client did not authenticate.";
    for (what, call, description) in [
        ("none", form(GRANT), nobody),
        ("a Bearer alone", form(GRANT).auth("Bearer x"), nobody),
        ("both empty", form(&format!("{GRANT}&client_id=&client_secret=")), nobody),
        ("no secret", form(&format!("{GRANT}&{id}")), "The client secret is missing."),
        ("an empty secret", form(&format!("{GRANT}&{id}&client_secret=")), "The client secret is missing."),
        ("no id", form(&format!("{GRANT}&{secret}")), "The client id is missing."),
        ("Basic alone", form(GRANT).auth("Basic"), "The Basic credentials lack the client id or the secret."),
        (
            "Basic without a secret",
            form(GRANT).auth(&basic(&pat.id, "")),
            "The Basic credentials lack the client id or the secret.",
        ),
        ("Basic, no Base64", form(GRANT).auth("Basic !!!"), "The Basic credentials are malformed."),
    ] {
        assert_refused(what, &patron.send(call).await, 401, "invalid_client", description);
    }
}

#[tokio::test]
async fn other_methods_types_sizes_and_paths() {
    let patron = Patron::start().await;
    let json_body = json!({ "grant_type": "client_credentials" });
    let reply = patron.send(Call::post("/oauth/token").json(&json_body)).await;
    let text = "Content type 'application/json' is not read here.";
    assert_refused("JSON", &reply, 415, "invalid_request", text);
    let packed = Call::post("/oauth/token").body(FORM, GRANT).header("content-encoding", "gzip");
    let text = "Content type 'gzip encoded' is not read here.";
    assert_refused("gzip", &patron.send(packed).await, 415, "invalid_request", text);
    let big = format!("{GRANT}&padding={}", "x".repeat(64 * 1024));
    let reply = patron.send(Call::post("/oauth/token").body(FORM, big)).await;
    assert_refused("too large", &reply, 413, "invalid_request", "The body is over 65536 bytes.");
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let reply = patron.send(Call::new(method, "/oauth/token")).await;
        assert_refused(method, &reply, 405, "invalid_request", "This path takes POST.");
        assert_eq!(reply.header("allow"), Some("POST"));
    }
    for path in ["/oauth", "/oauth/authorize", "/oauth/token/x"] {
        let reply = patron.send(Call::get(path)).await;
        assert_refused(path, &reply, 404, "invalid_request", "There is nothing at this path.");
    }
    let reply = patron.send(Call::post("/oauth/token").host("nobody.tenants.test")).await;
    assert_refused("no tenant", &reply, 404, "invalid_request", "There is no such tenant.");
}

/// A whole answer, apart from the id of its request.
fn whole(mut reply: Reply) -> (u16, Vec<(String, Vec<u8>)>, String) {
    reply.headers.remove("slpt-request-id").unwrap();
    let mut headers: Vec<_> =
        reply.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    headers.sort();
    (reply.status.as_u16(), headers, reply.text())
}

#[tokio::test]
async fn nobody_learns_whether_an_id_exists() {
    let patron = Patron::start().await;
    let PatsOfAllKinds { live, deleted, expired, disabled, foreign } = patron.pats_of_all_kinds().await;
    let other_secret = patron.admin.secret.clone();
    let mut broken_secret = live.secret.clone();
    broken_secret.replace_range(0..1, if live.secret.starts_with('0') { "1" } else { "0" });
    let tries: &[(&str, &str, &str)] = &[
        ("nobody's id", "ffffffffffffffffffffffffffffffff", &other_secret),
        ("no id at all", "admin", "admin"),
        ("an id in capitals that is nobody's", "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", "x"),
        ("an id with SQL", "' OR 1=1 --", "x"),
        ("another's secret", &live.id, &other_secret),
        ("a digit is wrong", &live.id, &broken_secret),
        ("a short secret", &live.id, "x"),
        ("deleted, wrong secret", &deleted.id, &other_secret),
        ("expired, wrong secret", &expired.id, &other_secret),
        ("owner disabled, wrong secret", &disabled.id, &other_secret),
        ("another tenant's, right secret", &foreign.id, &foreign.secret),
        ("another tenant's, wrong secret", &foreign.id, &other_secret),
    ];
    let send = |id: &str, secret: &str| {
        let pairs = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        Call::post("/oauth/token").form(&pairs)
    };
    let unknown = patron.send(send("0".repeat(32).as_str(), &other_secret)).await;
    assert_refused("unknown", &unknown, 401, "invalid_client", WRONG);
    let unknown = whole(unknown);
    for (what, id, secret) in tries {
        assert_eq!(whole(patron.send(send(id, secret)).await), unknown, "{what}");
    }
    // The same holds for Basic on the API, in the API's words.
    let ask = |id: &str, secret: &str| Call::get("/tenant/v1").auth(&basic(id, secret));
    let unknown = whole(patron.send(ask("0".repeat(32).as_str(), &other_secret)).await);
    assert_eq!(unknown.0, 401);
    for (what, id, secret) in tries {
        assert_eq!(whole(patron.send(ask(id, secret)).await), unknown, "{what}");
    }
}

#[tokio::test]
async fn who_has_the_right_secret_is_told_why_it_does_not_work() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let deleted = patron.pat(&jane, "deleted", &[]).await;
    patron.delete_pat(&deleted).await;
    let expired = patron.pat_for_millis(&jane, "expired", 5_250).await;
    let gone = patron.identity("gone", &[]).await;
    let disabled = patron.pat(&gone, "disabled", &[]).await;
    patron.set_enabled(&gone, false).await;
    let leaver = patron.identity("leaver", &[]).await;
    let orphan = patron.pat(&leaver, "orphan", &[]).await;
    patron.app.store.delete_identity(operator(), leaver.tenant, leaver.id).await.unwrap();
    patron.pass_seconds(5);
    for (pat, description) in [
        (&deleted, "The personal access token was deleted."),
        (&expired, "The personal access token expired at 2027-03-01T12:00:05.250Z."),
        (&disabled, "The owner of the personal access token is disabled."),
        (&orphan, "The personal access token was deleted."),
    ] {
        assert_refused(description, &patron.send(pat.exchange()).await, 401, "invalid_client", description);
        let inspect = Call::post("/oauth/introspect").auth(&pat.basic()).form(&[("token", "x")]);
        assert_refused(description, &patron.send(inspect).await, 401, "invalid_client", description);
        let reply = patron.send(Call::get("/tenant/v1").auth(&pat.basic())).await.expect(401);
        assert_eq!(reply.json(), json!({ "error": format!("Basic authentication failed: {description}") }));
    }
}

#[tokio::test]
async fn a_deleted_pat_is_remembered_for_ninety_days() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    patron.delete_pat(&pat).await;
    let day = 86_400;
    patron.pass_seconds(90 * day - 1);
    housekeeping::once(&patron.app).await.unwrap();
    let told = "The personal access token was deleted.";
    assert_refused("day 89", &patron.send(pat.exchange()).await, 401, "invalid_client", told);
    patron.pass_seconds(2);
    housekeeping::once(&patron.app).await.unwrap();
    assert_refused("day 90", &patron.send(pat.exchange()).await, 401, "invalid_client", WRONG);
}

#[tokio::test]
async fn a_database_out_of_reach() {
    let patron = Patron::start().await;
    let token = patron.access_token(&patron.admin).await;
    patron.lose_database().await;
    let inspect = Call::post("/oauth/introspect").auth(&patron.admin.basic()).form(&[("token", &token)]);
    for call in [patron.admin.exchange(), inspect] {
        let reply = patron.send(call).await.expect(503);
        let text = "The service is out of reach of its database. Try again shortly.";
        assert_eq!(reply.json(), json!({ "error": "temporarily_unavailable", "error_description": text }));
        assert_eq!(reply.header("retry-after"), Some("2"));
        assert_eq!(reply.header("www-authenticate"), None);
    }
    // Who verifies tokens is not left alone.
    patron.send(Call::get("/oauth/jwks")).await.expect(200);
    patron.send(Call::get("/oauth/info")).await.expect(200);
}
