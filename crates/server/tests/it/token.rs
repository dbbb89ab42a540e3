//! `POST /oauth/token`: every way of asking for an access token, the answer, and what the token says, as a library
//! that is not Patron's reads it.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use patron::config::ScopeClaim;
use patron_core::clock::Clock as _;
use patron_core::pat::Draft;
use patron_core::time::Timestamp;
use serde_json::{Value, json};

use super::support::*;

/// Reads an access token as another service would: with the published keys, for this issuer and audience.
pub(super) async fn verified(
    patron: &Patron,
    token: &str,
    issuer: &str,
    audience: &str,
) -> Option<(Header, Value)> {
    let keys = patron.send(Call::get("/oauth/jwks")).await.expect(200);
    let keys: JwkSet = serde_json::from_slice(&keys.body).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let key = DecodingKey::from_jwk(keys.find(header.kid.as_deref()?)?).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The test's clock is not the library's.
    validation.validate_exp = false;
    let data = jsonwebtoken::decode::<Value>(token, &key, &validation).ok()?;
    Some((data.header, data.claims))
}

const START_SECONDS: i64 = 1_803_902_400;

fn multipart(boundary: &str, parts: &[(&str, &str)]) -> String {
    let part = |(head, value): &(&str, &str)| format!("--{boundary}\r\n{head}\r\n\r\n{value}\r\n");
    parts.iter().map(part).collect::<String>() + &format!("--{boundary}--\r\n")
}

const GRANT: &str = "grant_type=client_credentials";
const FORM: &str = "application/x-www-form-urlencoded";

/// Every character escaped, as RFC 6749 section 2.3.1 lets a library do.
pub(super) fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        let _ = write!(out, "%{byte:02X}");
    }
    out
}

/// The same exchange as the clients of the world write it.
fn ways(pat: &Pat) -> Vec<(&'static str, Call)> {
    let Pat { id, secret, .. } = pat;
    let post = || Call::post("/oauth/token");
    let ask = |query: &str| Call::post(&format!("/oauth/token?{query}"));
    let (id_pair, secret_pair) = (format!("client_id={id}"), format!("client_secret={secret}"));
    let all = format!("{GRANT}&{id_pair}&{secret_pair}");
    let quoted = |name: &str| format!("Content-Disposition: form-data; name=\"{name}\"");
    let (grant_head, id_head, secret_head) =
        (quoted("grant_type"), quoted("client_id"), quoted("client_secret"));
    let axios = multipart(
        "axios-1.7.9-boundary-Rq0_4X",
        &[(&grant_head, "client_credentials"), (&id_head, id), (&secret_head, secret)],
    );
    let dotnet_head = |name: &str| {
        format!("Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name={name}")
    };
    let dotnet = multipart(
        "0ae2c6a1-31a4-4ab1-b0c4-3a1dcd3d3d7f",
        &[
            (&dotnet_head("grant_type"), "client_credentials"),
            (&dotnet_head("client_id"), id),
            (&dotnet_head("client_secret"), secret),
        ],
    );
    let curl_file = "Content-Disposition: form-data; name=\"client_secret\"; filename=\"secret.txt\"\r\n\
                     Content-Type: application/octet-stream";
    let curl = multipart(
        "------------------------d74496d66958873e",
        &[(&grant_head, "client_credentials"), (&id_head, id), (curl_file, secret)],
    );
    let two_parts = multipart("b", &[(&grant_head, "client_credentials"), (&id_head, id)]);
    let encoded = basic(&escaped(id), &escaped(secret));
    let unpadded = pat.basic().trim_end_matches('=').to_owned();
    vec![
        ("form", post().body(FORM, &*all)),
        ("form, axios", post().body("application/x-www-form-urlencoded;charset=UTF-8", &*all)),
        ("form, charset", post().body("application/x-www-form-urlencoded; charset=utf-8", &*all)),
        ("form, shouted", post().body("APPLICATION/X-WWW-FORM-URLENCODED", &*all)),
        ("form, no content type", {
            let mut call = post();
            call.body = all.clone().into_bytes();
            call
        }),
        ("form, all escaped", post().body(FORM, format!("{GRANT}&client_id={}&{secret_pair}", escaped(id)))),
        ("form, empty values beside", post().body(FORM, format!("{all}&client_secret=&scope=&audience="))),
        ("form, more than is read", post().body(FORM, format!("{all}&resource=a&resource=b"))),
        ("multipart, axios", post().body("multipart/form-data; boundary=axios-1.7.9-boundary-Rq0_4X", axios)),
        (
            "multipart, .NET: unquoted names, typed parts, quoted boundary",
            post().body("multipart/form-data; boundary=\"0ae2c6a1-31a4-4ab1-b0c4-3a1dcd3d3d7f\"", dotnet),
        ),
        (
            "multipart, curl -F with a file",
            post().body("multipart/form-data; boundary=------------------------d74496d66958873e", curl),
        ),
        ("query", ask(&all)),
        ("query, a JSON content type and no body", ask(&all).header("content-type", "application/json")),
        ("query and form", ask(&format!("{GRANT}&{id_pair}")).body(FORM, &*secret_pair)),
        ("query and form, the other way", ask(&secret_pair).body(FORM, format!("{GRANT}&{id_pair}"))),
        ("query and multipart", ask(&secret_pair).body("multipart/form-data; boundary=b", two_parts)),
        ("the same id in both", ask(&id_pair).body(FORM, &*all)),
        ("Basic", post().auth(&pat.basic()).body(FORM, GRANT)),
        ("Basic, grant in the query", ask(GRANT).auth(&pat.basic())),
        ("Basic, id as well", post().auth(&pat.basic()).body(FORM, format!("{GRANT}&{id_pair}"))),
        ("Basic, percent-encoded", post().auth(&encoded).body(FORM, GRANT)),
        ("Basic, unpadded", post().auth(&unpadded).body(FORM, GRANT)),
        ("basic, small", post().auth(&pat.basic().replacen("Basic", "basic", 1)).body(FORM, GRANT)),
        ("shouted grant", ask(&all.replace("client_credentials", "CLIENT_CREDENTIALS"))),
        ("a stale Bearer beside", post().auth("Bearer eyJ.a.b").body(FORM, &*all)),
        ("an empty Authorization beside", post().auth("").body(FORM, &*all)),
        ("two slashes", Call::post("//oauth/token").body(FORM, &*all)),
        ("a slash at the end", Call::post("/oauth/token/").body(FORM, &*all)),
    ]
}

#[tokio::test]
async fn every_way_of_asking_gives_the_same_answer() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &["CERT_ADMIN"]).await;
    let pat = patron.pat(&jane, "ci", &["demo:first", "demo:second"]).await;
    for (way, call) in ways(&pat) {
        let reply = patron.send(call).await;
        assert_eq!(reply.status, 200, "{way}: {}", reply.text());
        let mut body = reply.json();
        let token = body["access_token"].take();
        let jti = body["jti"].take();
        let (_, claims) =
            verified(&patron, token.as_str().unwrap(), "http://patron.test", "http://patron.test")
                .await
                .unwrap();
        assert_eq!(claims["jti"], jti, "{way}");
        assert_eq!(claims["client_id"], pat.id, "{way}");
        let tenant = patron.send(Call::get("/oauth/info")).await.json()["tenantId"].clone();
        let whole = json!({
            "access_token": null, "token_type": "bearer", "expires_in": 43_200,
            "scope": "demo:first demo:second", "tenant_id": tenant, "pod": "local", "org": "default",
            "identity_id": jane.id.to_string(), "user_name": "jane", "strong_auth": false,
            "strong_auth_supported": false, "jti": null,
        });
        assert_eq!(body, whole, "{way}");
        assert_eq!(reply.header("content-type"), Some("application/json"), "{way}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{way}");
        assert_eq!(reply.header("pragma"), Some("no-cache"), "{way}");
        assert_eq!(reply.header("slpt-request-id").map(str::len), Some(32), "{way}");
        assert_eq!(reply.header("www-authenticate"), None, "{way}");
        assert_eq!(reply.header("x-deprecated"), None, "{way}");
    }
}

#[tokio::test]
async fn the_token_says_exactly_what_it_should() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &["CERT_ADMIN", "HELPDESK"]).await;
    let pat = patron.pat(&jane, "ci", &["demo:first", "demo:second"]).await;
    let answer = patron.send(pat.exchange()).await.expect(200).json();
    let token = answer["access_token"].as_str().unwrap();
    let (header, claims) =
        verified(&patron, token, "http://patron.test", "http://patron.test").await.expect("a valid token");
    // RFC 9068 section 2.1.
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(header.alg, Algorithm::ES256);
    let raw: Value = {
        use base64::Engine as _;
        let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap());
        serde_json::from_slice(&head.unwrap()).unwrap()
    };
    assert_eq!(raw, json!({ "alg": "ES256", "typ": "at+jwt", "kid": header.kid }));
    let jti = claims["jti"].as_str().unwrap();
    assert!(jti.len() == 32 && jti.bytes().all(|b| b.is_ascii_hexdigit()), "{jti}");
    assert_eq!(
        claims,
        json!({
            "iss": "http://patron.test", "sub": jane.id.to_string(), "aud": "http://patron.test",
            "iat": START_SECONDS, "exp": START_SECONDS + 43_200, "jti": answer["jti"], "client_id": pat.id,
            "scope": "demo:first demo:second", "tenant_id": answer["tenant_id"], "org": "default",
            "pod": "local", "identity_id": jane.id.to_string(), "user_name": "jane",
            "authorities": ["CERT_ADMIN", "HELPDESK"], "strong_auth": false,
            "strong_auth_supported": false, "internal": false,
        })
    );
    assert_eq!(Timestamp::parse(START).unwrap().seconds(), START_SECONDS);
    // No library takes a token for another issuer or audience.
    assert!(verified(&patron, token, "http://other.test", "http://patron.test").await.is_none());
    assert!(verified(&patron, token, "http://patron.test", "http://other.test").await.is_none());
}

#[tokio::test]
async fn each_token_is_its_own_and_a_managed_pats_is_internal() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let first = patron.send(pat.exchange()).await.expect(200).json();
    let second = patron.send(pat.exchange()).await.expect(200).json();
    assert_ne!(first["jti"], second["jti"]);
    assert_ne!(first["access_token"], second["access_token"]);
    assert_eq!(first["scope"], "sp:scopes:all");
    let url = "http://patron.test";
    let (_, claims) = verified(&patron, first["access_token"].as_str().unwrap(), url, url).await.unwrap();
    assert_eq!((&claims["internal"], &claims["authorities"]), (&json!(false), &json!([])));
    let managed = patron.managed_pat(&jane, "flow", &[]).await;
    let token = patron.access_token(&managed).await;
    let (_, claims) = verified(&patron, &token, url, url).await.unwrap();
    assert_eq!(claims["internal"], true);
}

#[tokio::test]
async fn settings_of_what_tokens_say() {
    let patron = Patron::with(|settings| {
        settings.tokens.scope_claim = ScopeClaim::Array;
        settings.tokens.audience = Some("https://api.example.com".to_owned());
        settings.pod = "eu1".to_owned();
    })
    .await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &["demo:first", "demo:second"]).await;
    let answer = patron.send(pat.exchange()).await.expect(200).json();
    assert_eq!((&answer["scope"], &answer["pod"]), (&json!("demo:first demo:second"), &json!("eu1")));
    let token = answer["access_token"].as_str().unwrap();
    let (_, claims) =
        verified(&patron, token, "http://patron.test", "https://api.example.com").await.expect("valid");
    assert_eq!(claims["scope"], json!(["demo:first", "demo:second"]));
    assert_eq!((&claims["aud"], &claims["pod"]), (&json!("https://api.example.com"), &json!("eu1")));
    // Patron itself reads the array as well.
    let call = Call::get("/public-identities/v1").auth(&format!("Bearer {token}"));
    patron.send(call).await.expect(200);
    let narrowed = patron.send(pat.exchange_for("demo:second")).await.expect(200).json();
    let token = narrowed["access_token"].as_str().unwrap();
    let (_, claims) =
        verified(&patron, token, "http://patron.test", "https://api.example.com").await.unwrap();
    assert_eq!(claims["scope"], json!(["demo:second"]));
}

#[tokio::test]
async fn a_tenant_issues_under_its_own_name() {
    let patron =
        Patron::with(|settings| settings.public_url = "https://pat.test:8443".parse().unwrap()).await;
    let anna = patron.identity_in("acme", "anna", &[]).await;
    let pat = patron.pat(&anna, "ci", &[]).await;
    let answer = patron.send(pat.exchange().host("acme.tenants.test:8443")).await.expect(200).json();
    let url = "https://acme.tenants.test:8443";
    let token = answer["access_token"].as_str().unwrap();
    let (_, claims) = verified(&patron, token, url, url).await.expect("the tenant's issuer and audience");
    assert_eq!((&answer["org"], &claims["org"]), (&json!("acme"), &json!("acme")));
    let info = patron.send(Call::get("/oauth/info").host("ACME.tenants.test")).await.json();
    assert_eq!(claims["tenant_id"], info["tenantId"]);
    assert_ne!(info["tenantId"], patron.send(Call::get("/oauth/info")).await.json()["tenantId"]);
    // The same PAT is nobody's elsewhere, and nobody is asked at a tenant that is not there.
    let elsewhere = patron.send(pat.exchange().host("pat.test")).await.expect(401);
    assert_eq!(elsewhere.json()["error"], "invalid_client");
    let nowhere = patron.send(pat.exchange().host("nobody.tenants.test")).await.expect(404);
    assert_eq!(nowhere.json()["error"], "invalid_request");
}

#[tokio::test]
async fn scopes_are_narrowed_and_answered_as_asked() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &["demo:first", "idn:my-personal-access-tokens:manage"]).await;
    let all = patron.pat(&jane, "all", &[]).await;
    for (pat, asked, answered) in [
        (&pat, "demo:first", "demo:first"),
        // The two spellings are one scope; the caller's comes back.
        (&pat, "sp:my-personal-access-tokens:manage", "sp:my-personal-access-tokens:manage"),
        (
            &pat,
            "idn:my-personal-access-tokens:manage demo:first",
            "idn:my-personal-access-tokens:manage demo:first",
        ),
        (&pat, "demo:first demo:first", "demo:first"),
        (&pat, "", "demo:first idn:my-personal-access-tokens:manage"),
        (&all, "sp:scopes:all", "sp:scopes:all"),
        (&all, "sp:scopes:default", "sp:scopes:default"),
        (&all, "sp:my-personal-access-tokens:read", "sp:my-personal-access-tokens:read"),
    ] {
        let answer = patron.send(pat.exchange_for(asked)).await.expect(200).json();
        assert_eq!(answer["scope"], answered, "{asked}");
        let token = answer["access_token"].as_str().unwrap();
        let (_, claims) = verified(&patron, token, "http://patron.test", "http://patron.test").await.unwrap();
        assert_eq!(claims["scope"], answered, "{asked}");
    }
    for (pat, asked) in [
        (&pat, "demo:second"),
        (&pat, "demo:first demo:second"),
        (&pat, "Demo:first"),
        (&pat, "sp:scopes:all"),
        // Managing includes reading, but the PAT does not have the scope.
        (&pat, "idn:my-personal-access-tokens:read"),
        // A USER's level does not open it.
        (&all, "idn:all-personal-access-tokens:read"),
        (&all, "in:no:catalogue"),
        (&all, "a\"b"),
        (&all, "\u{e9}"),
        (&all, " "),
    ] {
        let reply = patron.send(pat.exchange_for(asked)).await.expect(400);
        assert_eq!(reply.json()["error"], "invalid_scope", "{asked:?}");
    }
}

#[tokio::test]
async fn a_narrowed_token_may_do_no_more_than_it_says() {
    let patron = Patron::start().await;
    let narrow = patron.send(patron.admin.exchange_for("idn:my-personal-access-tokens:read")).await.json();
    let auth = format!("Bearer {}", narrow["access_token"].as_str().unwrap());
    let mine = "/personal-access-tokens/v1?owner-id=me";
    patron.send(Call::get(mine).auth(&auth)).await.expect(200);
    let everyone = Call::get("/personal-access-tokens/v1").auth(&auth);
    patron.send(everyone).await.expect_error("403 Forbidden");
    let create = Call::post("/personal-access-tokens/v1").auth(&auth);
    let create = create.json(&json!({ "name": "x", "userAwareTokenNeverExpires": true }));
    patron.send(create).await.expect_error("403 Forbidden");
    let none = patron.send(patron.admin.exchange_for("sp:scopes:default")).await.json();
    let auth = format!("Bearer {}", none["access_token"].as_str().unwrap());
    patron.send(Call::get(mine).auth(&auth)).await.expect_error("403 Forbidden");
    patron.send(Call::get("/public-identities/v1").auth(&auth)).await.expect(200);
}

#[tokio::test]
async fn a_token_lives_as_long_as_its_pat_says_and_never_longer_than_it() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let draft = |name: &str, validity: Option<i64>, millis: Option<i64>| Draft {
        name: Some(name.to_owned()),
        access_token_validity_seconds: validity,
        expiration_date: millis
            .map(|ms| Timestamp::from_millis(patron.clock.now().millis() + ms).to_string()),
        user_aware_token_never_expires: true,
        ..Draft::default()
    };
    for (name, validity, millis, lives) in [
        ("default", None, None, 43_200),
        ("longest", Some(43_200), None, 43_200),
        ("shorter", Some(900), None, 900),
        ("shortest", Some(15), None, 15),
        ("the date is nearer", None, Some(100_000), 100),
        ("the date is nearer, by a part of a second", Some(900), Some(10_999), 10),
        ("the date is farther", Some(900), Some(901_000), 900),
        ("a second is left", None, Some(1_000), 1),
    ] {
        let pat = patron.pat_of(&jane, draft(name, validity, millis)).await;
        let answer = patron.send(pat.exchange()).await.expect(200).json();
        assert_eq!(answer["expires_in"], lives, "{name}");
        let token = answer["access_token"].as_str().unwrap();
        let (_, claims) = verified(&patron, token, "http://patron.test", "http://patron.test").await.unwrap();
        assert_eq!(claims["exp"], START_SECONDS + lives, "{name}");
    }
    // In its last second a PAT counts as expired.
    let pat = patron.pat_of(&jane, draft("less than a second is left", None, Some(999))).await;
    let refused = patron.send(pat.exchange()).await.expect(401).json();
    assert_eq!(
        refused,
        json!({
            "error": "invalid_client",
            "error_description": "The personal access token expired at 2027-03-01T12:00:00.999Z.",
        })
    );
}

#[test]
fn a_client_of_its_own_making_over_http() {
    use reqwest::blocking::multipart::{Form, Part};
    let dir = tempfile::TempDir::new().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    let first: Value = serde_json::from_slice(&std::fs::read(data.join("bootstrap.json")).unwrap()).unwrap();
    let (id, secret) = (first["clientId"].as_str().unwrap(), first["clientSecret"].as_str().unwrap());
    let grant = ("grant_type", "client_credentials");
    let all = [grant, ("client_id", id), ("client_secret", secret)];
    let client = reqwest::blocking::Client::new();
    let post = || client.post(server.url("/oauth/token"));
    let typed = |text: &str| Part::text(text.to_owned()).mime_str("text/plain; charset=utf-8").unwrap();
    let parts = Form::new().part("grant_type", typed(grant.1)).text("client_id", id.to_owned());
    for (way, request) in [
        ("form", post().form(&all)),
        ("query", post().query(&all)),
        ("query, no length", post().query(&all).header("transfer-encoding", "chunked")),
        ("Basic", post().basic_auth(id, Some(secret)).form(&[grant])),
        ("multipart", post().multipart(parts.part("client_secret", typed(secret)))),
    ] {
        let answer = request.send().unwrap();
        assert_eq!(answer.status(), 200, "{way}");
        assert_eq!(answer.json::<Value>().unwrap()["expires_in"], 43_200, "{way}");
    }
    // The official clients have no body to send and say so in ways of their own.
    let query = form(&all);
    for head in ["content-length: 0\r\ncontent-type: application/json", "content-length: 0", "accept: */*"] {
        let request =
            format!("POST /oauth/token?{query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}\r\n\r\n");
        let answer = server.raw(request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{head}: {answer}");
    }
    assert!(!server.log().contains(secret), "a secret in a query is in no log");
}
