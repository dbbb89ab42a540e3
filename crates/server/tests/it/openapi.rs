//! The API's description for programs and people: pinned, whole, and true (contract section 1).

use std::collections::{BTreeMap, BTreeSet};

use patron::paths::OLDER_PAT_PATHS;
use patron::routes::Handler;
use serde_json::{Value, json};

use crate::callers::endpoints;
use crate::support::{Call, Patron};

async fn document(patron: &Patron) -> Value {
    let reply = patron.send(Call::get("/openapi.json")).await.expect(200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    reply.json()
}

/// Every operation: its method and path, and what is said of it.
fn operations(document: &Value) -> BTreeMap<(String, String), &Value> {
    let mut found = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.insert((method.to_uppercase(), path.clone()), operation);
        }
    }
    found
}

#[tokio::test]
async fn the_description_is_pinned() {
    let mut document = document(&Patron::start().await).await;
    assert_eq!(document["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    document["info"]["version"] = json!("[version]");
    insta::assert_json_snapshot!("openapi", document);
}

#[tokio::test]
async fn every_endpoint_is_described_and_nothing_else() {
    // Pages for people, and what only says where the rest is.
    let left_out: BTreeSet<(String, String)> = [
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("GET", "/docs/style.css"),
        ("OPTIONS", "/oauth/info"),
        ("GET", "/.well-known/oauth-authorization-server/{*path}"),
    ]
    .map(|(method, path)| (method.to_owned(), path.to_owned()))
    .into();
    let older = |path: &str| OLDER_PAT_PATHS.iter().any(|(base, ..)| path.starts_with(base));
    let served: BTreeSet<(String, String)> = endpoints()
        .into_iter()
        .filter(|route| !older(&route.path))
        .map(|route| (route.method.map_or("GET".to_owned(), |method| method.to_string()), route.path))
        .collect();
    let document = document(&Patron::start().await).await;
    let described: BTreeSet<(String, String)> = operations(&document).into_keys().collect();
    let expected: BTreeSet<_> = served.difference(&left_out).cloned().collect();
    assert_eq!(described, expected);
    assert!(left_out.is_subset(&served), "an exception that is none any more");
}

#[tokio::test]
async fn every_operation_is_told_whole() {
    let document = document(&Patron::start().await).await;
    let mut names = BTreeSet::new();
    let access: BTreeMap<_, _> = endpoints()
        .into_iter()
        .map(|route| {
            let method = route.method.map_or("GET".to_owned(), |method| method.to_string());
            ((method, route.path), matches!(route.handler, Handler::Api(..)))
        })
        .collect();
    for ((method, path), operation) in operations(&document) {
        let told = format!("{method} {path}");
        // OpenAPI 3.1 section 4.8.10: unique among all operations.
        assert!(
            names.insert(operation["operationId"].as_str().unwrap().to_owned()),
            "{told}: operationId twice"
        );
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{told}");
        let responses: Vec<&str> =
            operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
        assert!(responses.iter().any(|status| status.starts_with('2')), "{told}");
        let asked: Vec<&str> =
            path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')).collect();
        let none = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&none);
        let in_path: Vec<&str> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(in_path, asked, "{told}");
        assert_eq!(operation["security"].is_array(), access[&(method.clone(), path.clone())], "{told}");
        if operation["security"].is_array() {
            for status in ["401", "403", "429", "500", "503"] {
                assert!(responses.contains(&status), "{told}: {status}");
            }
        }
        if operation["requestBody"].is_object() {
            for status in ["400", "413", "415"] {
                assert!(responses.contains(&status), "{told}: {status}");
            }
        }
    }
}

/// Calls `see` with every object in a value.
fn objects<'v>(value: &'v Value, see: &mut impl FnMut(&'v serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            see(object);
            object.values().for_each(|value| objects(value, see));
        }
        Value::Array(items) => items.iter().for_each(|value| objects(value, see)),
        _ => {}
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_every_model_is_referred_to() {
    let document = document(&Patron::start().await).await;
    let mut referred = BTreeSet::new();
    objects(&document, &mut |object| {
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("outside: {reference}"));
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            referred.insert(reference.rsplit('/').next().unwrap().to_owned());
        }
        if let Some(schemes) = object.get("security").and_then(Value::as_array) {
            for name in schemes.iter().flat_map(|scheme| scheme.as_object().unwrap().keys()) {
                assert!(document["components"]["securitySchemes"].get(name).is_some(), "{name}");
            }
        }
    });
    let models: BTreeSet<String> =
        document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(referred, models);
}

/// Checks a value against the few parts of JSON Schema that the description uses.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        return check(document, document.pointer(&reference[1..]).unwrap(), value, at);
    }
    if let Some(either) = schema["oneOf"].as_array() {
        let nulls = either.iter().filter(|schema| schema["type"] == "null");
        if value.is_null() && nulls.count() == 1 {
            return;
        }
        let rest: Vec<_> = either.iter().filter(|schema| schema["type"] != "null").collect();
        assert_eq!(rest.len(), 1, "{at}");
        return check(document, rest[0], value, at);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed = match &schema["type"] {
        Value::String(only) => vec![only.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec![kind],
    };
    assert!(allowed.contains(&kind), "{at}: {value} is no {allowed:?}");
    if let Some(values) = schema["enum"].as_array() {
        assert!(values.contains(value), "{at}: {value}");
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(document, &schema["items"], item, &format!("{at}[{index}]"));
    }
    let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object()) else {
        return;
    };
    for (name, value) in object {
        let schema = properties.get(name).unwrap_or_else(|| panic!("{at}.{name} is not described"));
        check(document, schema, value, &format!("{at}.{name}"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert!(object.contains_key(name), "{at} lacks {name}");
    }
}

#[tokio::test]
async fn answers_are_as_described() {
    let patron = Patron::start().await;
    let document = document(&patron).await;
    let (basic, id) = (patron.admin.basic(), patron.admin.id.clone());
    let bearer = patron.bearer(&patron.admin).await;
    let token = bearer.strip_prefix("Bearer ").unwrap().to_owned();
    let base = "/personal-access-tokens/v1";
    let one = format!("{base}/{id}");
    let user = format!("/auth-users/v1/{}", patron.admin.owner);
    let never = json!([{ "op": "replace", "path": "/userAwareTokenNeverExpires", "value": true }]);
    let client = [("client_id", id.as_str()), ("client_secret", patron.admin.secret.as_str())];
    let grant = ("grant_type", "client_credentials");
    let described = |path: &str| path.replace(&id, "{id}").replace(&patron.admin.owner, "{id}");
    let calls = [
        Call::post(base).auth(&basic).json(&json!({ "name": "x", "userAwareTokenNeverExpires": true })),
        Call::get(base).auth(&basic),
        Call::get(&one).auth(&basic),
        Call::new("PATCH", &one).auth(&basic).json_patch(&never),
        Call::new("PATCH", &format!("{base}/bulk-update"))
            .auth(&basic)
            .json(&json!({ "ids": [id], "patch": never })),
        Call::post(&format!("{base}/bulk-update")).auth(&basic).json(&json!({ "ids": [id], "patch": never })),
        Call::post("/oauth/token").form(&[grant, client[0], client[1]]),
        Call::post("/oauth/introspect").form(&[client[0], client[1], ("token", &token)]),
        Call::get("/oauth/info"),
        Call::get("/oauth/jwks"),
        Call::get("/.well-known/jwks.json"),
        Call::get("/.well-known/oauth-authorization-server"),
        Call::get("/public-identities/v1").auth(&basic),
        Call::get("/tenant/v1").auth(&basic),
        Call::get(&user).auth(&basic),
        Call::new("PATCH", &user).auth(&basic).json_patch(&json!([])),
        Call::get("/audit-events/v1").auth(&basic),
        // And errors.
        Call::get(base),
        Call::post(base).auth(&basic).json(&json!({})),
        Call::post(base).auth(&basic).body("text/plain", "x"),
        Call::post(base).auth(&basic).body("application/json", " ".repeat(65_537)),
        Call::get(&format!("{base}/{}", "0".repeat(32))).auth(&basic),
        Call::post("/oauth/token"),
        Call::post("/oauth/token").form(&[grant]),
        Call::get("/forward-auth"),
        Call::get("/forward-auth?scope=no:such").auth(&basic),
    ];
    let mut told = BTreeSet::new();
    for call in calls {
        let (method, uri) = (call.method.to_string().to_lowercase(), call.uri.clone());
        let path = described(uri.split('?').next().unwrap()).replace(&"0".repeat(32), "{id}");
        let reply = patron.send(call).await;
        let status = reply.status.as_str().to_owned();
        let operation = &document["paths"][&path][&method];
        let response = &operation["responses"][&status];
        assert!(response.is_object(), "{method} {path} does not tell of {status}: {}", reply.text());
        check(&document, &response["content"]["application/json"]["schema"], &reply.json(), &path);
        told.insert((method.to_uppercase(), path));
    }
    // All but those whose good answers have no body.
    let rest: Vec<_> =
        operations(&document).into_keys().filter(|operation| !told.contains(operation)).collect();
    let of = |method: &str, path: &str| (method.to_owned(), path.to_owned());
    assert_eq!(rest, [of("DELETE", "/personal-access-tokens/v1/{id}"), of("POST", "/oauth/revoke")]);
}

/// The values of an attribute in a page.
fn attributes<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let mark = format!(" {name}=\"");
    page.split(&mark).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn the_pages_need_no_script_and_nothing_from_outside() {
    let patron = Patron::start().await;
    for page in ["/docs"] {
        let reply = patron.send(Call::get(page)).await.expect(200);
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
        let policy = reply.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
        let html = reply.text();
        assert!(html.starts_with("<!doctype html>") && html.contains("<html lang=\"en\">"));
        let lower = html.to_lowercase();
        for bad in [
            "<script",
            "javascript:",
            "<iframe",
            "<img",
            "<style",
            " style=",
            "@import",
            " onclick",
            "<object",
        ] {
            assert!(!lower.contains(bad), "{page}: {bad}");
        }
        let anchors: BTreeSet<&str> = attributes(&html, "id").into_iter().collect();
        assert_eq!(anchors.len(), attributes(&html, "id").len(), "{page}: an id twice");
        for link in attributes(&html, "href").into_iter().chain(attributes(&html, "src")) {
            assert!(!link.contains(':') && !link.starts_with('/'), "{page}: {link} leads outside");
            if let Some(anchor) = link.strip_prefix('#') {
                assert!(anchors.contains(anchor), "{page}: {link} leads nowhere");
                continue;
            }
            let base = page.rsplit_once('/').unwrap().0;
            let target = match link.strip_prefix("../") {
                Some(up) => format!("/{up}"),
                None => format!("{base}/{link}"),
            };
            patron.send(Call::get(&target)).await.expect(200);
        }
    }
    let style = patron.send(Call::get("/docs/style.css")).await.expect(200);
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    assert!(!style.text().contains("url(") && !style.text().contains("@import"));
    // The page tells of every operation.
    let page = patron.send(Call::get("/docs")).await.text();
    let document = document(&patron).await;
    for ((method, path), _) in operations(&document) {
        let told = format!("<h2><b class=\"method\">{method}</b> <code>{path}</code></h2>");
        assert!(page.contains(&told), "{told}");
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_it_safe() {
    let patron = Patron::start().await;
    let mut seen = BTreeSet::new();
    for uri in [
        "/docs",
        "/openapi.json",
        "/oauth/info",
        "/oauth/jwks",
        "/nothing",
        "/oauth/nothing",
        "/personal-access-tokens/v1",
        "/v3/personal-access-tokens",
        "/forward-auth",
        "/tenant/v1",
    ] {
        for call in [Call::get(uri), Call::get(uri).auth(&patron.admin.basic()), Call::new("PUT", uri)] {
            let reply = patron.send(call).await;
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{uri}");
            let policy = reply.header("content-security-policy").unwrap();
            assert!(
                policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
                "{uri}"
            );
            let tracking = reply.header("slpt-request-id").unwrap().to_owned();
            assert!(tracking.len() == 32 && tracking.bytes().all(|b| b.is_ascii_hexdigit()), "{tracking}");
            assert!(seen.insert(tracking), "each answer has a tracking id of its own");
            let deprecated = uri.starts_with("/v3").then_some("true");
            assert_eq!(reply.header("x-deprecated"), deprecated, "{uri}");
            assert_eq!(reply.header("server"), None);
        }
    }
}
