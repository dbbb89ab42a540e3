//! Bad input, whatever it is, on every endpoint that takes any: the contract's 4xx in the contract's shape, and a
//! service that answers on (contract sections 7, 10 and 11). Bad paths, queries and methods are in `bad_paths.rs`;
//! what only a wire can carry is in `wire.rs`.

use axum::http::Method;
use patron::routes::Handler;
use serde_json::{Value, json};

use crate::callers::endpoints;
use crate::support::{Call, Patron, Reply, basic};

const PATS: &str = "/personal-access-tokens/v1";
const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const NOBODY: &str = "00000000000000000000000000000000";

/// Patron without limits on how often one may ask and guess.
pub(crate) async fn unlimited() -> Patron {
    Patron::with(|settings| {
        settings.rate_limits.requests = 0;
        settings.rate_limits.auth_failures_per_client = 0;
        settings.rate_limits.auth_failures_per_address = 0;
    })
    .await
}

/// An endpoint that reads a body of JSON.
struct JsonEndpoint {
    method: Method,
    uri: String,
    takes_array: bool,
}

impl JsonEndpoint {
    fn call(&self, patron: &Patron) -> Call {
        Call::new(self.method.as_str(), &self.uri).auth(&patron.admin.basic())
    }

    /// What its body is called.
    fn content_type(&self) -> &'static str {
        if self.takes_array { "application/json-patch+json" } else { "application/json" }
    }
}

/// All of them, with ids in their paths that are there.
fn json_endpoints(patron: &Patron) -> Vec<JsonEndpoint> {
    let takes_body = |method: &Method| *method == Method::POST || *method == Method::PATCH;
    let endpoints = endpoints().into_iter().filter_map(|route| {
        let method = route.method.filter(takes_body)?;
        let Handler::Api(..) = route.handler else { return None };
        let id = if route.path.starts_with("/auth-users") { &patron.admin.owner } else { &patron.admin.id };
        let takes_array = matches!(route.name, "patch" | "patch-auth-user");
        Some(JsonEndpoint { method, uri: route.path.replace("{id}", id), takes_array })
    });
    let endpoints: Vec<_> = endpoints.collect();
    assert_eq!(endpoints.len(), 6 * 2 + 3 * 2 + 1, "creates and patches, bulk updates, levels");
    endpoints
}

/// Every endpoint that reads an OAuth form.
const FORM_ENDPOINTS: [&str; 3] = ["/oauth/token", "/oauth/introspect", "/oauth/revoke"];

/// Asserts an error of RFC 6749 section 5.2, its whole shape.
#[track_caller]
pub(crate) fn expect_oauth_error(reply: &Reply, status: u16, error: &str) {
    assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
    let body = reply.json();
    assert_eq!(body["error"], error, "{body}");
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["error", "error_description"]);
    assert!(!body["error_description"].as_str().unwrap().is_empty());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let challenge = (status == 401).then_some(r#"Basic realm="patron""#);
    assert_eq!(reply.header("www-authenticate"), challenge);
}

/// What no endpoint takes for JSON.
fn broken_json() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 25] = [
        b"",
        b" \r\n\t",
        b"{",
        b"[",
        b"}",
        b"nul",
        b"NaN",
        b"'x'",
        b"{name:1}",
        b"[1,]",
        b"{\"name\":\"a\",}",
        b"{\"name\":\"a\"} {}",
        b"[]]",
        b"name=a",
        b"<xml/>",
        b"\xff\xfe",
        b"{\"name\":\"\xff\"}",
        b"{\"name\":\"\xed\xa0\x80\"}",
        b"\xef\xbb\xbf{}",
        b"\0",
        b"{\"name\":\"a\0b\"}",
        br#"{"name":"\ud800"}"#,
        br#"[{"op":"test","path":"/name","value":"\udc00\ud800"}]"#,
        br#"{"name":"a","name":"a"}"#,
        br#"[{"op":"test","op":"test","path":"/name","value":{"x":1,"x":1}}]"#,
    ];
    let mut broken: Vec<Vec<u8>> = texts.iter().map(|text| text.to_vec()).collect();
    broken.push(b"[1e999]".to_vec());
    broken.push("[".repeat(10_000).into_bytes());
    broken.push([b"[".repeat(10_000), b"]".repeat(10_000)].concat());
    broken.push("{\"a\":".repeat(10_000).into_bytes());
    broken
}

#[tokio::test]
async fn what_is_no_json_is_refused_everywhere() {
    let patron = unlimited().await;
    for endpoint in json_endpoints(&patron) {
        for body in broken_json() {
            let call = endpoint.call(&patron).body(endpoint.content_type(), body);
            patron.send(call).await.expect_error("400.0 Bad request syntax");
        }
        let other_kind = if endpoint.takes_array { json!({}) } else { json!([]) };
        for body in [other_kind, json!(null), json!(true), json!(17), json!("text")] {
            let call = endpoint.call(&patron).body(endpoint.content_type(), body.to_string());
            patron.send(call).await.expect_error("400.0 Bad request syntax");
        }
        // No body, and nothing said of one.
        patron.send(endpoint.call(&patron)).await.expect_error("400.0 Bad request syntax");
    }
    // Nothing of it was done.
    let list = patron.send(Call::get(PATS).auth(&patron.admin.basic())).await.expect(200).json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["name"], "bootstrap");
}

#[tokio::test]
async fn every_field_of_a_creation_of_a_wrong_type_or_value_is_told() {
    let patron = unlimited().await;
    let (missing, length, value) = (
        "400.1.0 Required Data Missing Or Empty",
        "400.1.2 Value length out of range",
        "400.1.3 Illegal value",
    );
    let long = "n".repeat(256);
    let many: Vec<String> = (0..101).map(|n| format!("demo:{n}")).collect();
    let table: Vec<(&str, Value, &str)> = vec![
        ("name", json!(null), missing),
        ("name", json!(""), missing),
        ("name", json!(" \t "), missing),
        ("name", json!(1), value),
        ("name", json!(true), value),
        ("name", json!(["a"]), value),
        ("name", json!({"a": 1}), value),
        ("name", json!("a\u{0}b"), value),
        ("name", json!("a\nb"), value),
        ("name", json!(long), length),
        ("scope", json!("sp:scopes:all"), value),
        ("scope", json!(1), value),
        ("scope", json!({}), value),
        ("scope", json!([1]), value),
        ("scope", json!([null]), value),
        ("scope", json!([["sp:scopes:all"]]), value),
        ("scope", json!([""]), value),
        ("scope", json!(["a b"]), value),
        ("scope", json!(["é"]), value),
        ("scope", json!(["a\"b"]), value),
        ("scope", json!(["a\u{0}"]), value),
        ("scope", json!([long]), length),
        ("scope", json!(many), length),
        ("accessTokenValiditySeconds", json!("900"), value),
        ("accessTokenValiditySeconds", json!(true), value),
        ("accessTokenValiditySeconds", json!([900]), value),
        ("accessTokenValiditySeconds", json!({}), value),
        ("accessTokenValiditySeconds", json!(900.5), value),
        ("accessTokenValiditySeconds", json!(14), value),
        ("accessTokenValiditySeconds", json!(43_201), value),
        ("accessTokenValiditySeconds", json!(0), value),
        ("accessTokenValiditySeconds", json!(-900), value),
        ("accessTokenValiditySeconds", json!(1e300), value),
        ("accessTokenValiditySeconds", json!(u64::MAX), value),
        ("expirationDate", json!(1_900_000_000), value),
        ("expirationDate", json!(true), value),
        ("expirationDate", json!(["2030-01-01T00:00:00Z"]), value),
        ("expirationDate", json!({}), value),
        ("expirationDate", json!("soon"), value),
        ("expirationDate", json!("2028-02-30T00:00:00Z"), value),
        ("expirationDate", json!("2020-01-01T00:00:00Z"), value),
        ("expirationDate", json!("10000-01-01T00:00:00Z"), value),
        ("expirationDate", json!("2028-01-01T00:00:00Z\u{0}"), value),
        ("userAwareTokenNeverExpires", json!("true"), value),
        ("userAwareTokenNeverExpires", json!(1), value),
        ("userAwareTokenNeverExpires", json!([]), value),
        ("userAwareTokenNeverExpires", json!({}), value),
        ("managed", json!("true"), value),
        ("managed", json!(1), value),
        ("managed", json!([]), value),
        ("managed", json!({}), value),
        ("ownerId", json!(1), value),
        ("ownerId", json!([]), value),
        ("ownerId", json!({}), value),
        ("ownerId", json!(patron.admin.owner), value),
    ];
    let current = std::iter::once(PATS).chain(["/v2025/personal-access-tokens"]);
    for base in current.chain(["/v3/personal-access-tokens"]) {
        for (field, wrong, code) in &table {
            let mut body = json!({ "name": "x", "expirationDate": "2027-06-01T00:00:00Z" });
            body[*field] = wrong.clone();
            let call = Call::post(base).auth(&patron.admin.basic()).json(&body);
            let reply = patron.send(call).await;
            if base.starts_with("/v3") && *field == "userAwareTokenNeverExpires" {
                // The older rule ignores the flag, whatever it holds.
                let made = reply.expect(200).json();
                let one = format!("{PATS}/{}", made["id"].as_str().unwrap());
                patron.send(Call::new("DELETE", &one).auth(&patron.admin.basic())).await.expect(204);
                continue;
            }
            assert_eq!(reply.status, 400, "{base} {body}");
            reply.expect_error(code);
        }
    }
    // The expiry rule (contract section 4).
    for body in [
        json!({ "name": "x" }),
        json!({ "name": "x", "expirationDate": null }),
        json!({ "name": "x", "expirationDate": "" }),
        json!({ "name": "x", "userAwareTokenNeverExpires": false }),
        json!({ "name": "x", "userAwareTokenNeverExpires": null }),
    ] {
        let call = Call::post(PATS).auth(&patron.admin.basic()).json(&body);
        patron.send(call).await.expect_error("400.1 Bad Request Content");
    }
    // Fields that nobody knows are ignored, whatever they hold; null is as if left out.
    let body = json!({
        "name": " spaced ", "nobody": {"knows": [1, {"this": null}]}, "": 1, "secret": "mine", "id": 7,
        "scope": null, "accessTokenValiditySeconds": null, "managed": null, "ownerId": null,
        "userAwareTokenNeverExpires": true,
    });
    let made = patron.send(Call::post(PATS).auth(&patron.admin.basic()).json(&body)).await.expect(200).json();
    assert_eq!((&made["name"], &made["scope"]), (&json!("spaced"), &json!(["sp:scopes:all"])));
    assert_ne!(made["secret"], "mine");
}

#[tokio::test]
async fn what_is_no_patch_is_refused_and_changes_nothing() {
    let patron = unlimited().await;
    let one = format!("{PATS}/{}", patron.admin.id);
    let syntax = "400.0 Bad request syntax";
    let content = "400.1 Bad Request Content";
    let table = [
        (json!([1]), syntax),
        (json!([null]), syntax),
        (json!([[]]), syntax),
        (json!([{}]), syntax),
        (json!([{ "op": "replace" }]), syntax),
        (json!([{ "path": "/name" }]), syntax),
        (json!([{ "op": "replace", "path": "/name" }]), syntax),
        (json!([{ "op": 1, "path": "/name", "value": "x" }]), syntax),
        (json!([{ "op": "replace", "path": 1, "value": "x" }]), syntax),
        (json!([{ "op": "merge", "path": "/name", "value": "x" }]), syntax),
        (json!([{ "op": "REPLACE", "path": "/name", "value": "x" }]), syntax),
        (json!([{ "op": "replace", "path": "name", "value": "x" }]), syntax),
        (json!([{ "op": "replace", "path": "/name~2", "value": "x" }]), syntax),
        (json!([{ "op": "copy", "path": "/name" }]), syntax),
        (json!([{ "op": "move", "from": 1, "path": "/name" }]), syntax),
        (json!([{ "op": "replace", "path": "/secret", "value": "x" }]), content),
        (json!([{ "op": "replace", "path": "/owner", "value": "x" }]), content),
        (json!([{ "op": "replace", "path": "/id", "value": "x" }]), content),
        (json!([{ "op": "add", "path": "/nothing", "value": "x" }]), content),
        (json!([{ "op": "test", "path": "/name", "value": "other" }]), content),
        (json!([{ "op": "remove", "path": "/scope" }]), content),
    ];
    let before = patron.send(Call::get(&one).auth(&patron.admin.basic())).await.expect(200).json();
    for (body, code) in table {
        // All or nothing: a good operation before the bad one leaves nothing behind.
        let mut patch = vec![json!({ "op": "replace", "path": "/name", "value": "renamed" })];
        patch.extend(body.as_array().unwrap().iter().cloned());
        for body in [body, Value::Array(patch)] {
            let reply =
                patron.send(Call::new("PATCH", &one).auth(&patron.admin.basic()).json_patch(&body)).await;
            assert_eq!(reply.status, 400, "{body}: {}", reply.text());
            reply.expect_error(code);
        }
    }
    let after = patron.send(Call::get(&one).auth(&patron.admin.basic())).await.expect(200).json();
    assert_eq!(before["name"], after["name"]);
    assert_eq!(before["scope"], after["scope"]);
}

#[tokio::test]
async fn what_is_no_bulk_update_is_refused() {
    let patron = unlimited().await;
    let never = json!([{ "op": "replace", "path": "/userAwareTokenNeverExpires", "value": true }]);
    let id = &patron.admin.id;
    let (missing, length, value) = (
        "400.1.0 Required Data Missing Or Empty",
        "400.1.2 Value length out of range",
        "400.1.3 Illegal value",
    );
    let unknown = "400.1.404 Referenced object not found";
    let many: Vec<String> = (0..26).map(|n| format!("{n:032x}")).collect();
    let table = [
        (json!({}), missing),
        (json!({ "ids": [id] }), missing),
        (json!({ "patch": never }), missing),
        (json!({ "ids": [], "patch": never }), missing),
        (json!({ "ids": null, "patch": never }), missing),
        (json!({ "ids": id, "patch": never }), value),
        (json!({ "ids": {}, "patch": never }), value),
        (json!({ "ids": [1], "patch": never }), value),
        (json!({ "ids": [null], "patch": never }), value),
        (json!({ "ids": [""], "patch": never }), value),
        (json!({ "ids": [id, " "], "patch": never }), value),
        (json!({ "ids": [id, id], "patch": never }), value),
        (json!({ "ids": many, "patch": never }), length),
        (json!({ "ids": ["nonsense"], "patch": never }), unknown),
        (json!({ "ids": [id, NOBODY], "patch": never }), unknown),
        (json!({ "ids": [id.to_uppercase()], "patch": never }), unknown),
        (json!({ "ids": [id], "patch": {} }), "400.0 Bad request syntax"),
        (json!({ "ids": [id], "patch": "x" }), "400.0 Bad request syntax"),
        (json!({ "ids": [id], "patch": [1] }), "400.0 Bad request syntax"),
        (
            json!({ "ids": [id], "patch": [{ "op": "replace", "path": "/name", "value": "x" }] }),
            "400.1 Bad Request Content",
        ),
    ];
    for endpoint in json_endpoints(&patron).iter().filter(|e| e.uri.ends_with("/bulk-update")) {
        for (body, code) in &table {
            let reply = patron.send(endpoint.call(&patron).json(body)).await;
            assert_eq!(reply.status, 400, "{body}: {}", reply.text());
            reply.expect_error(code);
        }
    }
}

#[tokio::test]
async fn bodies_of_other_types_and_encodings_are_415_and_what_is_left_unsaid_is_not() {
    let patron = unlimited().await;
    let unsupported = "415.0 Unsupported Media Type";
    for endpoint in json_endpoints(&patron) {
        for content_type in [
            "text/plain",
            "application/xml",
            FORM,
            "multipart/form-data; boundary=x",
            "application/vnd.api+json",
            "text/json",
            "application/jsonx",
            "json",
            ";",
            "*/*",
            "application/json, text/plain",
        ] {
            let reply = patron.send(endpoint.call(&patron).body(content_type, "{}")).await;
            assert_eq!(reply.status, 415, "{content_type}: {}", reply.text());
            reply.expect_error(unsupported);
        }
        if !endpoint.takes_array {
            let call = endpoint.call(&patron).body("application/json-patch+json", "{}");
            patron.send(call).await.expect_error(unsupported);
        }
        for encoding in ["gzip", "br", "deflate", "zstd", "x", "identity, gzip"] {
            let call = endpoint.call(&patron).body(endpoint.content_type(), "{}");
            patron.send(call.header("content-encoding", encoding)).await.expect_error(unsupported);
        }
        // These are read, and found to be no JSON.
        for content_type in ["application/json", "Application/JSON ; charset=UTF-8", "application/json;x", ""]
        {
            let reply = patron.send(endpoint.call(&patron).body(content_type, "{")).await;
            reply.expect_error("400.0 Bad request syntax");
        }
        for encoding in ["identity", "Identity"] {
            let call = endpoint.call(&patron).body(endpoint.content_type(), "{");
            let call = call.header("content-encoding", encoding);
            patron.send(call).await.expect_error("400.0 Bad request syntax");
        }
    }
    for uri in FORM_ENDPOINTS {
        for content_type in ["application/json", "text/plain", "multipart/mixed; boundary=x", "*/*"] {
            let reply = patron.send(Call::post(uri).body(content_type, "a=1")).await;
            expect_oauth_error(&reply, 415, "invalid_request");
        }
        let reply = patron.send(Call::post(uri).body(FORM, "a=1").header("content-encoding", "gzip")).await;
        expect_oauth_error(&reply, 415, "invalid_request");
    }
}

#[tokio::test]
async fn bodies_over_64_kib_are_413_and_no_smaller_ones() {
    const LIMIT: usize = 64 * 1024;
    let patron = unlimited().await;
    for endpoint in json_endpoints(&patron) {
        let padded = |bytes: usize| format!("{{{}", " ".repeat(bytes - 1));
        let call = endpoint.call(&patron).body(endpoint.content_type(), padded(LIMIT));
        patron.send(call).await.expect_error("400.0 Bad request syntax");
        let call = endpoint.call(&patron).body(endpoint.content_type(), padded(LIMIT + 1));
        patron.send(call).await.expect_error("413.0 Payload Too Large");
        // Refused by what it announces, before it is sent.
        let call = endpoint.call(&patron).body(endpoint.content_type(), "{}");
        let call = call.header("content-length", "10485760");
        patron.send(call).await.expect_error("413.0 Payload Too Large");
    }
    for uri in FORM_ENDPOINTS {
        let padded = |bytes: usize| format!("a={}", "x".repeat(bytes - 2));
        let reply = patron.send(Call::post(uri).body(FORM, padded(LIMIT))).await;
        assert!(matches!(reply.status.as_u16(), 400 | 401), "{}", reply.text());
        let reply = patron.send(Call::post(uri).body(FORM, padded(LIMIT + 1))).await;
        expect_oauth_error(&reply, 413, "invalid_request");
    }
}

#[tokio::test]
async fn broken_forms_are_rfc_6749_errors() {
    let patron = unlimited().await;
    let many = "a=1&".repeat(65);
    let broken = [
        (FORM, b"grant_type=%".to_vec()),
        (FORM, b"grant_type=%zz".to_vec()),
        (FORM, b"grant_type=%ff".to_vec()),
        (FORM, b"\xff\xfe=1".to_vec()),
        (FORM, b"\0".to_vec()),
        (FORM, b"a=%00".to_vec()),
        (FORM, many.into_bytes()),
        ("multipart/form-data", b"a=1".to_vec()),
        ("multipart/form-data; boundary=", b"a=1".to_vec()),
        ("multipart/form-data; boundary=x", b"a=1".to_vec()),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1".to_vec(),
        ),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n\xff\r\n--x--\r\n".to_vec()),
    ];
    for uri in FORM_ENDPOINTS {
        for (content_type, body) in &broken {
            let reply = patron.send(Call::post(uri).body(content_type, body.clone())).await;
            assert_eq!(reply.status, 400, "{content_type} {}: {}", body.escape_ascii(), reply.text());
            expect_oauth_error(&reply, 400, "invalid_request");
        }
        let reply = patron.send(Call::post(&format!("{uri}?grant_type=%zz"))).await;
        expect_oauth_error(&reply, 400, "invalid_request");
    }
    let (id, secret) = (patron.admin.id.as_str(), patron.admin.secret.as_str());
    let grant = ("grant_type", "client_credentials");
    let table = [
        (vec![], 400, "invalid_request"),
        (vec![("client_id", id), ("client_secret", secret)], 400, "invalid_request"),
        (vec![grant, grant, ("client_id", id), ("client_secret", secret)], 400, "invalid_request"),
        (
            vec![grant, ("client_id", id), ("client_id", NOBODY), ("client_secret", secret)],
            400,
            "invalid_request",
        ),
        (
            vec![grant, ("client_id", id), ("client_secret", secret), ("client_secret", "x")],
            400,
            "invalid_request",
        ),
        (vec![("grant_type", "password"), ("client_id", id)], 400, "unsupported_grant_type"),
        (vec![grant], 401, "invalid_client"),
        (vec![grant, ("client_id", id)], 401, "invalid_client"),
        (vec![grant, ("client_id", id), ("client_secret", "")], 401, "invalid_client"),
        (vec![grant, ("client_secret", secret)], 401, "invalid_client"),
        (vec![grant, ("client_id", id), ("client_secret", "wrong")], 401, "invalid_client"),
        (vec![grant, ("client_id", "é\u{1f4a9}"), ("client_secret", secret)], 401, "invalid_client"),
        (vec![grant, ("client_id", id), ("client_secret", secret), ("scope", "a\"b")], 400, "invalid_scope"),
        (
            vec![grant, ("client_id", id), ("client_secret", secret), ("scope", "no:such")],
            400,
            "invalid_scope",
        ),
    ];
    for (pairs, status, error) in table {
        expect_oauth_error(&patron.send(Call::post("/oauth/token").form(&pairs)).await, status, error);
    }
    for uri in ["/oauth/introspect", "/oauth/revoke"] {
        let client = [("client_id", id), ("client_secret", secret)];
        expect_oauth_error(&patron.send(Call::post(uri).form(&client)).await, 400, "invalid_request");
        let twice = [client[0], client[1], ("token", "a"), ("token", "b")];
        expect_oauth_error(&patron.send(Call::post(uri).form(&twice)).await, 400, "invalid_request");
        // A token that is none is no error: it does not work (RFC 7662 section 2.2, RFC 7009 section 2.2).
        for token in ["x", "a.b.c", "é", &"x".repeat(60_000)] {
            patron.send(Call::post(uri).form(&[client[0], client[1], ("token", token)])).await.expect(200);
        }
    }
}

#[tokio::test]
async fn odd_credentials_are_401_in_the_shape_of_the_path() {
    let patron = unlimited().await;
    let long = format!("Bearer {}", "x".repeat(35_000));
    let values = [
        "",
        "Bearer",
        "Bearer ",
        "bearer x",
        "Bearer a.b.c",
        "Bearer é",
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        "Basic",
        "Basic ",
        "Basic %%%",
        "Basic Og==",
        "Basic /////w==",
        "Digest username=x",
        "x",
        &long,
        &basic(&patron.admin.id, ""),
        &basic("", &patron.admin.secret),
        &basic(&patron.admin.id, "wrong"),
        &basic(NOBODY, &patron.admin.secret),
        &basic("é\u{1f4a9}", "\u{0}"),
    ];
    for value in values {
        for uri in [PATS, "/v3/personal-access-tokens", "/tenant/v1", "/audit-events/v1"] {
            let reply = patron.send(Call::get(uri).auth(value)).await;
            assert_eq!(reply.status, 401, "{uri} {value}: {}", reply.text());
            assert_eq!(reply.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["error"]);
            assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="patron""#));
            assert_eq!(reply.header("content-type"), Some("application/json"));
            assert_eq!(reply.header("slpt-request-id").unwrap().len(), 32);
        }
        let reply = patron.send(Call::get("/forward-auth").auth(value)).await.expect(401);
        assert_eq!(reply.header("www-authenticate"), Some(r#"Basic realm="patron", Bearer realm="patron""#));
        let call = Call::post("/oauth/token").auth(value).form(&[("grant_type", "client_credentials")]);
        expect_oauth_error(&patron.send(call).await, 401, "invalid_client");
    }
    let twice = Call::get(PATS).auth(&patron.admin.basic()).auth(&patron.admin.basic());
    patron.send(twice).await.expect(401);
}
