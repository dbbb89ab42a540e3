//! Bad input, whatever it is, on every endpoint that takes any: the contract's 4xx in the contract's shape, and a
//! service that answers on (contract sections 7, 10 and 11). What only a wire can carry is in `wire.rs`.

use axum::http::Method;
use patron::paths::OLDER_PAT_PATHS;
use patron::routes::{Handler, routes};
use serde_json::{Value, json};

use crate::support::{Call, Patron, Reply, basic};

const PATS: &str = "/personal-access-tokens/v1";
const FORM: &str = "application/x-www-form-urlencoded";
const NOBODY: &str = "00000000000000000000000000000000";

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
    let endpoints = routes().into_iter().filter_map(|route| {
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
fn expect_oauth_error(reply: &Reply, status: u16, error: &str) {
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
    let (missing, length, value) =
        ("400.1.0 Required Data Missing Or Empty", "400.1.2 Value length out of range", "400.1.3 Illegal value");
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
            let reply = patron.send(Call::new("PATCH", &one).auth(&patron.admin.basic()).json_patch(&body)).await;
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
    let (missing, length, value) =
        ("400.1.0 Required Data Missing Or Empty", "400.1.2 Value length out of range", "400.1.3 Illegal value");
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
        for content_type in ["application/json", "Application/JSON ; charset=UTF-8", "application/json;x", ""] {
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
async fn bad_queries_are_400_wherever_one_is_read() {
    let patron = unlimited().await;
    let lists: Vec<String> = routes()
        .into_iter()
        .filter(|route| route.name.starts_with("list"))
        .map(|route| route.path)
        .collect();
    assert_eq!(lists.len(), 6 + 2);
    let long = format!("filters={}", "x".repeat(2_001));
    let deep = format!("filters={}", "(".repeat(33));
    let many = "a=1&".repeat(65);
    for list in lists {
        for query in [
            "limit=%",
            "limit=%4",
            "limit=%zz",
            "x=%ff",
            "%c3=1",
            "limit=%ed%a0%80",
            "limit=1&limit=1",
            "filters=&filters=",
            "limit=0",
            "limit=251",
            "limit=-1",
            "limit=1.0",
            "limit=0x10",
            "limit=99999999999999999999",
            "limit=%00",
            "offset=-1",
            "offset=x",
            "offset=4294967296",
            "count=1",
            "count=TRUE",
            &many,
        ] {
            let reply = patron.send(Call::get(&format!("{list}?{query}")).auth(&patron.admin.basic())).await;
            assert_eq!(reply.status, 400, "{list}?{query}: {}", reply.text());
            reply.expect_error("400.0 Bad request syntax");
        }
        for query in [
            "filters=x",
            "filters=%00",
            "filters=lastUsed",
            "filters=lastUsed+le",
            "filters=lastUsed+le+yesterday",
            "filters=name+eq+%22x%22",
            "filters=%28",
            "filters=%22",
            "filters=not",
            "filters=%F0%9F%92%A9",
            &long,
            &deep,
        ] {
            let reply = patron.send(Call::get(&format!("{list}?{query}")).auth(&patron.admin.basic())).await;
            assert_eq!(reply.status, 400, "{list}?{query}: {}", reply.text());
            reply.expect_error("400.1.3 Illegal value");
        }
        // What nobody asks for is ignored.
        let uri = format!("{list}?nothing=%C3%A9&&=&x&filters=&limit=&offset=&count=&owner-id=&sorters=");
        patron.send(Call::get(&uri).auth(&patron.admin.basic())).await.expect(200);
    }
    let uri = "/public-identities/v1?sorters=";
    for sorter in ["alias", "name,name", "%00", "--name", "name+desc"] {
        let call = Call::get(&format!("{uri}{sorter}")).auth(&patron.admin.basic());
        patron.send(call).await.expect_error("400.1.3 Illegal value");
    }
    for query in ["scope=%", "tenant=%ff", "scope=a&scope=b", "tenant=a&tenant=b"] {
        let call = Call::get(&format!("/forward-auth?{query}")).auth(&patron.admin.basic());
        patron.send(call).await.expect_error("400.0 Bad request syntax");
    }
}

#[tokio::test]
async fn paths_that_are_none_and_ids_that_are_none_are_404() {
    let patron = unlimited().await;
    for path in [
        "/",
        "/nothing",
        "/personal-access-tokens",
        "/personal-access-tokens/v2",
        "/personal-access-tokens/V1",
        "/personal-access-tokens/v1x",
        "/personal-access-tokens%2Fv1",
        "/personal-access-tokens/v1/a/b",
        "/v4/personal-access-tokens",
        "/v3/personal-access-tokens/bulk-update/x",
        "/auth-users/v1",
        "/tenant/v2",
        "/ui",
        "/docs/nothing.css",
        "/docs/../oauth/info",
        "/.well-known/nothing",
        "/.well-known/oauth-authorization-server/other",
        "/forward-auth/x",
        "/health/live",
        "/metrics",
        "/oauthx",
        "/%",
        "/%zz/%00",
        "/%F0%9F%92%A9",
    ] {
        for method in ["GET", "POST", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            // A path with an issuer behind it is a path of its own, of one tenant or none.
            if path.starts_with("/.well-known/oauth") && method != "GET" {
                continue;
            }
            let reply = patron.send(Call::new(method, path).auth(&patron.admin.basic())).await;
            assert_eq!(reply.status, 404, "{method} {path}: {}", reply.text());
            reply.expect_error("404 Not found");
        }
    }
    for path in ["/oauth", "/oauth/nothing", "/oauth/token/x", "/oauth/%00", "/oauth/authorize"] {
        expect_oauth_error(&patron.send(Call::post(path)).await, 404, "invalid_request");
    }
    let upper = patron.admin.id.to_uppercase();
    let doubled = patron.admin.id.repeat(2);
    let encoded = format!("%{:02x}{}", patron.admin.id.as_bytes()[0], &patron.admin.id[1..]);
    let bases = std::iter::once(PATS).chain(OLDER_PAT_PATHS.iter().map(|(base, ..)| *base));
    for base in bases.chain(["/auth-users/v1"]) {
        for id in ["x", "me", "%zz", "%00", "..", "%2e%2e", "*", "0", &upper, &doubled, &encoded, NOBODY] {
            let uri = format!("{base}/{id}");
            let methods: &[&str] =
                if base == "/auth-users/v1" { &["GET", "PATCH"] } else { &["GET", "PATCH", "DELETE"] };
            for method in methods {
                let call = Call::new(method, &uri).auth(&patron.admin.basic()).json_patch(&json!([]));
                let reply = patron.send(call).await;
                assert_eq!(reply.status, 404, "{method} {uri}: {}", reply.text());
                reply.expect_error("404 Not found");
            }
        }
    }
}

#[tokio::test]
async fn methods_that_a_path_does_not_take_are_405_with_those_that_it_takes() {
    let patron = unlimited().await;
    let mut by_path: std::collections::BTreeMap<String, Vec<Option<Method>>> = std::collections::BTreeMap::new();
    for route in routes() {
        by_path.entry(route.path).or_default().push(route.method);
    }
    for (path, taken) in by_path {
        let uri = path.replace("{id}", &patron.admin.id).replace("{*path}", "");
        if taken.contains(&None) {
            continue;
        }
        let taken: Vec<Method> = taken.into_iter().flatten().collect();
        for name in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get"] {
            let method: Method = name.parse().unwrap();
            if taken.contains(&method) || (method == Method::HEAD && taken.contains(&Method::GET)) {
                continue;
            }
            // Whoever asks: the path says what it takes before anybody is asked who they are.
            let reply = patron.send(Call::new(name, &uri)).await;
            assert_eq!(reply.status, 405, "{name} {uri}");
            let mut allowed: Vec<&str> = reply.header("allow").unwrap().split(", ").collect();
            let mut expected: Vec<&str> = taken.iter().map(Method::as_str).collect();
            allowed.sort_unstable();
            expected.sort_unstable();
            assert_eq!(allowed, expected, "{name} {uri}");
            if path.starts_with("/oauth/") {
                expect_oauth_error(&reply, 405, "invalid_request");
            } else {
                reply.expect_error("405.0 Method Not Allowed");
            }
        }
    }
}

#[tokio::test]
async fn broken_forms_are_rfc_6749_errors() {
    let patron = unlimited().await;
    let many = "a=1&".repeat(65);
    let broken: Vec<(&str, Vec<u8>)> = vec![
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
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1".to_vec()),
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
    let table: Vec<(Vec<(&str, &str)>, u16, &str)> = vec![
        (vec![], 400, "invalid_request"),
        (vec![("client_id", id), ("client_secret", secret)], 400, "invalid_request"),
        (vec![grant, grant, ("client_id", id), ("client_secret", secret)], 400, "invalid_request"),
        (vec![grant, ("client_id", id), ("client_id", NOBODY), ("client_secret", secret)], 400, "invalid_request"),
        (vec![grant, ("client_id", id), ("client_secret", secret), ("client_secret", "x")], 400, "invalid_request"),
        (vec![("grant_type", "password"), ("client_id", id)], 400, "unsupported_grant_type"),
        (vec![grant], 401, "invalid_client"),
        (vec![grant, ("client_id", id)], 401, "invalid_client"),
        (vec![grant, ("client_id", id), ("client_secret", "")], 401, "invalid_client"),
        (vec![grant, ("client_secret", secret)], 401, "invalid_client"),
        (vec![grant, ("client_id", id), ("client_secret", "wrong")], 401, "invalid_client"),
        (vec![grant, ("client_id", "é\u{1f4a9}"), ("client_secret", secret)], 401, "invalid_client"),
        (vec![grant, ("client_id", id), ("client_secret", secret), ("scope", "a\"b")], 400, "invalid_scope"),
        (vec![grant, ("client_id", id), ("client_secret", secret), ("scope", "no:such")], 400, "invalid_scope"),
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
