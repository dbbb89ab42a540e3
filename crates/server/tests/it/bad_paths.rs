//! Paths that are none, queries that cannot be read, and methods that a path does not take (contract sections 7 and
//! 11).

use std::collections::BTreeMap;

use axum::http::Method;
use patron::paths::OLDER_PAT_PATHS;
use serde_json::json;

use crate::bad_input::{NOBODY, expect_oauth_error, unlimited};
use crate::callers::endpoints;
use crate::support::Call;

const PATS: &str = "/personal-access-tokens/v1";

#[tokio::test]
async fn bad_queries_are_400_wherever_one_is_read() {
    let patron = unlimited().await;
    let lists: Vec<String> = endpoints()
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
        // A gateway turns 400 into 500.
        patron.send(call).await.expect_error("403 Forbidden");
        patron.send(Call::get(&format!("/forward-auth?{query}"))).await.expect(401);
    }
}

#[tokio::test]
async fn paths_that_are_none_and_ids_that_are_none_are_404() {
    let patron = unlimited().await;
    for path in [
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
    let bases = std::iter::once(PATS).chain(OLDER_PAT_PATHS.iter().map(|(base, ..)| *base));
    for base in bases.chain(["/auth-users/v1"]) {
        for id in ["x", "me", "%zz", "%00", "..", "%2e%2e", "*", "0", &upper, &doubled, NOBODY] {
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
    let mut by_path: BTreeMap<String, Vec<Option<Method>>> = BTreeMap::new();
    for route in endpoints() {
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
            if expected.contains(&"GET") {
                expected.push("HEAD");
            }
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
