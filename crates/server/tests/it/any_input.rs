//! No input gives a 5xx: any method, query, header and body on every endpoint, in the contract's shapes.

use patron::paths::{PathFacts, normal};
use patron::respond::Shape;
use patron::routes::routes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::bad_input::unlimited;
use crate::support::{Call, Patron, Reply, basic, form};

/// What a caller is.
#[derive(Debug, Clone)]
enum Who {
    Nobody,
    Admin,
    AdminToken,
    Wrong(String),
    /// The administrator's browser; whether the form is one of its own.
    Visitor(bool),
}

/// What a body is made of.
#[derive(Debug, Clone)]
enum Sent {
    Bytes(Vec<u8>),
    Json(Value),
    Form(Vec<(String, String)>),
    /// A good body of some endpoint, cut and with a byte changed.
    Bent(usize, usize, u8),
}

#[derive(Debug, Clone)]
struct Asked {
    route: prop::sample::Index,
    method: Option<String>,
    id: Option<String>,
    query: Vec<(String, String)>,
    raw_query: Option<String>,
    who: Who,
    headers: Vec<(String, String)>,
    sent: Sent,
}

fn good_bodies() -> Vec<Vec<u8>> {
    [
        json!({ "name": "a", "scope": ["sp:scopes:all"], "accessTokenValiditySeconds": 900,
            "expirationDate": "2027-06-01T00:00:00.000Z", "userAwareTokenNeverExpires": true }),
        json!([{ "op": "replace", "path": "/name", "value": "b" }, { "op": "add", "path": "/scope/-", "value": "x" }]),
        json!({ "ids": ["00000000000000000000000000000000"],
            "patch": [{ "op": "replace", "path": "/expirationDate" }] }),
        json!([{ "op": "replace", "path": "/capabilities", "value": ["ORG_ADMIN", "HELPDESK"] }]),
    ]
    .iter()
    .map(|body| body.to_string().into_bytes())
    .chain([
        b"grant_type=client_credentials&client_id=a&client_secret=b&scope=c&token=d".to_vec(),
        b"--x\r\nContent-Disposition: form-data; name=grant_type\r\n\r\nclient_credentials\r\n--x--\r\n".to_vec(),
    ])
    .collect()
}

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("name"),
        Just("scope"),
        Just("expirationDate"),
        Just("userAwareTokenNeverExpires"),
        Just("accessTokenValiditySeconds"),
        Just("managed"),
        Just("ownerId"),
        Just("ids"),
        Just("patch"),
        Just("op"),
        Just("path"),
        Just("from"),
        Just("value"),
        Just("/name"),
        Just("/scope/0"),
        Just("/expirationDate"),
        Just("replace"),
        Just("copy"),
        Just("2028-01-01T00:00:00Z"),
        Just("sp:scopes:all"),
    ];
    let word = word.prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn any_pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        Just("grant_type"),
        Just("client_id"),
        Just("client_secret"),
        Just("scope"),
        Just("token"),
        Just("tenant"),
        Just("owner-id"),
        Just("filters"),
        Just("sorters"),
        Just("limit"),
        Just("offset"),
        Just("count"),
    ];
    let name = prop_oneof![4 => name.prop_map(str::to_owned), 1 => any::<String>()];
    let value = prop_oneof![
        any::<String>(),
        "[0-9]{1,20}",
        "(lastUsed|id|alias|name|not|and|or|le|eq|sw|in|isnull|[() \",0-9:TZ.+-]){0,12}",
        Just("client_credentials".to_owned()),
        Just("me".to_owned()),
        Just("true".to_owned()),
    ];
    prop::collection::vec((name, value), 0..5)
}

fn any_headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        Just("content-type"),
        Just("content-encoding"),
        Just("content-length"),
        Just("host"),
        Just("user-agent"),
        Just("accept"),
        Just("origin"),
        Just("forwarded"),
        Just("x-forwarded-for"),
        Just("x-forwarded-host"),
        Just("x-forwarded-proto"),
        Just("x-forwarded-prefix"),
        Just("x-http-method-override"),
        Just("authorization"),
    ];
    let value = prop_oneof![
        "[ -~\u{e9}]{0,40}",
        "application/(json|json-patch\\+json|x-www-form-urlencoded)(; charset=[a-z0-9-]{0,8})?",
        "multipart/form-data(; boundary=[a-z\"=]{0,6})?",
        "(Bearer|Basic|Digest) [ -~]{0,60}",
        "[0-9]{1,24}",
        "[a-z.:\\[\\]0-9-]{0,30}",
    ];
    prop::collection::vec((name.prop_map(str::to_owned), value), 0..4)
}

fn any_asked() -> impl Strategy<Value = Asked> {
    let method = prop_oneof![
        4 => Just(None),
        1 => prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
            .prop_map(|method| Some(method.to_owned())),
        1 => "[A-Z!#$%&'*+.^_`|~a-z0-9-]{1,12}".prop_map(Some),
    ];
    let id = prop_oneof![
        2 => Just(None),
        1 => "[0-9a-f]{30,33}".prop_map(Some),
        1 => "([!$&'()*+,;=:@a-zA-Z0-9._~-]|%[0-9a-fA-F]{2}|%){0,40}".prop_map(Some),
    ];
    let who = prop_oneof![
        1 => Just(Who::Nobody),
        4 => Just(Who::Admin),
        4 => Just(Who::AdminToken),
        1 => any::<String>().prop_map(Who::Wrong),
        4 => any::<bool>().prop_map(Who::Visitor),
    ];
    let sent = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Sent::Bytes),
        any_json().prop_map(Sent::Json),
        any_pairs().prop_map(Sent::Form),
        (any::<usize>(), any::<usize>(), any::<u8>())
            .prop_map(|(which, at, byte)| Sent::Bent(which, at, byte)),
    ];
    let raw_query = prop::option::weighted(0.2, "([!$&'()*+,;=:@/?a-zA-Z0-9._~-]|%[0-9a-fA-F]{2}|%){0,60}");
    (any::<prop::sample::Index>(), method, id, any_pairs(), raw_query, who, any_headers(), sent).prop_map(
        |(route, method, id, query, raw_query, who, headers, sent)| Asked {
            route,
            method,
            id,
            query,
            raw_query,
            who,
            headers,
            sent,
        },
    )
}

fn call(patron: &Patron, token: &str, session: (&str, &str), asked: &Asked) -> Call {
    let routes = routes();
    let route = asked.route.get(&routes);
    let of_identity = ["/auth-users", "/ui/a/identities"].iter().any(|path| route.path.starts_with(path));
    let known = if of_identity { &patron.admin.owner } else { &patron.admin.id };
    // Its own PAT deleted, the caller would be nobody from then on.
    let deletes =
        asked.method.as_deref().or(route.method.as_ref().map(axum::http::Method::as_str)) == Some("DELETE");
    let id = asked.id.as_deref().or((!deletes).then_some(known)).unwrap_or("x");
    let path = route.path.replace("{id}", id).replace("{*path}", id);
    let pairs: Vec<_> = asked.query.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let query = asked.raw_query.clone().unwrap_or_else(|| form(&pairs));
    let method = asked.method.clone().or_else(|| route.method.as_ref().map(ToString::to_string));
    let mut call = Call::new(&method.unwrap_or_else(|| "GET".to_owned()), &format!("{path}?{query}"));
    call.body = match &asked.sent {
        Sent::Bytes(bytes) => bytes.clone(),
        Sent::Json(value) => value.to_string().into_bytes(),
        Sent::Form(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            form(&pairs).into_bytes()
        }
        Sent::Bent(which, at, byte) => {
            let bodies = good_bodies();
            let mut body = bodies[which % bodies.len()].clone();
            let at = at % body.len();
            body[at] = *byte;
            body
        }
    };
    call.headers.clone_from(&asked.headers);
    match &asked.who {
        Who::Nobody => call,
        Who::Admin => call.auth(&patron.admin.basic()),
        Who::AdminToken => call.auth(token),
        Who::Wrong(secret) => call.auth(&basic(&patron.admin.id, secret)),
        Who::Visitor(own_form) => {
            // Signed out, it would be nobody from then on.
            if *own_form && route.name != "sign-out" {
                call.body.extend(format!("&csrf={}", session.1).bytes());
            }
            call.header("cookie", &format!("patron_session={}", session.0))
        }
    }
}

/// What every answer keeps to, whatever was asked.
fn judge(path: &str, reply: &Reply) -> Result<(), TestCaseError> {
    let status = reply.status.as_u16();
    prop_assert!(status < 500, "{status}: {}", reply.text());
    prop_assert_eq!(reply.header("slpt-request-id").map(str::len), Some(32));
    prop_assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    if status < 400 {
        return Ok(());
    }
    if PathFacts::of(&normal(path.split('?').next().unwrap())).shape == Shape::Page {
        prop_assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
        prop_assert!(reply.text().starts_with("<!doctype html>"));
        prop_assert_eq!(status == 405, reply.header("allow").is_some());
        return Ok(());
    }
    prop_assert_eq!(reply.header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_slice(&reply.body).map_err(|_| TestCaseError::fail(reply.text()))?;
    let keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let expected: &[&str] = match status {
        _ if path.starts_with("/oauth/") => &["error", "error_description"],
        401 => &["error"],
        400 | 403 | 404 | 405 | 413 | 415 => &["causes", "detailCode", "messages", "trackingId"],
        other => return Err(TestCaseError::fail(format!("{other} is no status of Patron's: {body}"))),
    };
    prop_assert_eq!(keys, expected);
    prop_assert_eq!(status == 401, reply.header("www-authenticate").is_some());
    prop_assert_eq!(status == 405, reply.header("allow").is_some());
    Ok(())
}

#[test]
fn any_request_is_answered_in_the_contracts_shape() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let patron = runtime.block_on(unlimited());
    let token = runtime.block_on(patron.bearer(&patron.admin));
    let admin = runtime.block_on(patron.identity_now("default", &patron.admin.owner)).unwrap();
    let visit = runtime.block_on(patron.visit(&admin));
    let session = (visit.cookies["patron_session"].as_str(), visit.csrf.as_str());
    let mut runner = TestRunner::new(Config { cases: 3_000, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&any_asked(), |asked| {
        let call = call(&patron, &token, session, &asked);
        if call.uri.parse::<axum::http::Uri>().is_err() {
            return Ok(());
        }
        let path = call.uri.clone();
        // The same may be asked at the gateway of another path; the shape goes by the path alone.
        judge(&path, &runtime.block_on(patron.send(call)))
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    // It answers on, and nothing has become of the administrator.
    runtime.block_on(async {
        let uri = format!("/auth-users/v1/{}", patron.admin.owner);
        let admin = patron.send(Call::get(&uri).auth(&patron.admin.basic())).await.expect(200).json();
        assert!(admin["capabilities"].as_array().unwrap().contains(&json!("ORG_ADMIN")));
    });
}
