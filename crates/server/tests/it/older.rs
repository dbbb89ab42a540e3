//! The PAT endpoints under the paths of before (contract sections 5, 10 and 11).

use serde_json::{Value, json};

use crate::support::{Call, PATS, Patron, START};

const CURRENT: [&str; 2] = ["/v2025/personal-access-tokens", "/v2026/personal-access-tokens"];
const OLDER: [&str; 3] =
    ["/v3/personal-access-tokens", "/v2024/personal-access-tokens", "/beta/personal-access-tokens"];

#[tokio::test]
async fn every_endpoint_is_there_and_says_that_it_is_old() {
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    for base in CURRENT.into_iter().chain(OLDER) {
        let mut replies = Vec::new();
        let body = json!({"name": base, "expirationDate": "2027-06-01T00:00:00Z"});
        let made = patron.send(Call::post(base).auth(&admin).json(&body)).await.expect(200);
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let one = format!("{base}/{id}");
        replies.push(made);
        replies.push(patron.send(Call::get(&format!("{base}/?owner-id=me")).auth(&admin)).await.expect(200));
        let shown = patron.send(Call::get(&one).auth(&admin)).await.expect(200);
        assert_eq!(shown.json(), patron.shown(&admin, &id).await);
        replies.push(shown);
        let patch = json!([{"op": "replace", "path": "/name", "value": format!("{base} renamed")}]);
        let patched = patron.send(Call::new("PATCH", &one).auth(&admin).json_patch(&patch)).await.expect(200);
        assert_eq!(patched.json(), patron.shown(&admin, &id).await);
        replies.push(patched);
        replies.push(patron.send(Call::new("DELETE", &one).auth(&admin)).await.expect(204));
        // Errors too, whoever gives them.
        replies.push(patron.send(Call::get(&one).auth(&admin)).await.expect_error("404 Not found"));
        replies.push(patron.send(Call::get(&format!("{one}/x/y"))).await.expect_error("404 Not found"));
        replies.push(patron.send(Call::get(base)).await.expect(401));
        replies.push(
            patron
                .send(Call::post(base).auth(&admin).json(&json!([])))
                .await
                .expect_error("400.0 Bad request syntax"),
        );
        replies.push(
            patron.send(Call::new("PUT", base).auth(&admin)).await.expect_error("405.0 Method Not Allowed"),
        );
        replies.push(
            patron
                .send(Call::post(base).auth(&admin).body("text/plain", "x"))
                .await
                .expect_error("415.0 Unsupported Media Type"),
        );
        for reply in &replies {
            assert_eq!(reply.header("x-deprecated"), Some("true"), "{base}: {}", reply.text());
        }
    }
    for path in [PATS, "/tenant/v1", "/oauth/token", "/personal-access-tokens/v1/x", "/nothing"] {
        assert_eq!(patron.send(Call::get(path).auth(&admin)).await.header("x-deprecated"), None, "{path}");
    }
}

#[tokio::test]
async fn too_many_requests_and_the_count_is_one_for_each_version() {
    let patron = Patron::with(|settings| settings.rate_limits.requests = 2).await;
    let admin = patron.admin.basic();
    for base in OLDER.into_iter().chain(CURRENT).chain([PATS]) {
        for _ in 0..2 {
            patron.send(Call::get(base).auth(&admin)).await.expect(200);
        }
        let third = patron.send(Call::get(base).auth(&admin)).await.expect(429);
        assert_eq!(third.json(), json!({"message": " Rate Limit Exceeded "}));
        assert_eq!(third.header("x-deprecated"), (base != PATS).then_some("true"));
    }
}

#[tokio::test]
async fn the_current_rule_on_v2025_and_v2026() {
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    for base in CURRENT {
        let post = |body: Value| patron.send(Call::post(base).auth(&admin).json(&body));
        post(json!({"name": "none"})).await.expect_error("400.1 Bad Request Content");
        let far =
            post(json!({"name": format!("{base} far"), "expirationDate": "9999-12-31T23:59:59Z"})).await;
        assert_eq!(far.expect(200).json()["expirationDate"], "9999-12-31T23:59:59.000Z");
        let never = post(json!({"name": format!("{base} never"), "userAwareTokenNeverExpires": true}))
            .await
            .expect(200);
        assert_eq!(never.json()["expirationDate"], Value::Null);
        let one = format!("{base}/{}", never.json()["id"].as_str().unwrap());
        let patch = json!([{"op": "replace", "path": "/expirationDate", "value": "2030-01-01T00:00:00Z"}]);
        let patched = patron.send(Call::new("PATCH", &one).auth(&admin).json_patch(&patch)).await.expect(200);
        assert_eq!(patched.json()["expirationDate"], "2030-01-01T00:00:00.000Z");
    }
}

#[tokio::test]
async fn six_calendar_months_under_the_older_rule() {
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    for base in OLDER {
        let post = |name: &str, mut body: Value| {
            body["name"] = json!(format!("{base} {name}"));
            patron.send(Call::post(base).auth(&admin).json(&body))
        };
        // Omitted, null, empty, with the flag or without: six months.
        let never = json!({"expirationDate": null, "userAwareTokenNeverExpires": true});
        for (name, body) in [("omitted", json!({})), ("flag", never)] {
            let made = post(name, body).await.expect(200).json();
            assert_eq!(made["expirationDate"], "2027-09-01T12:00:00.000Z", "{base} {name}");
            let shown = patron.shown(&admin, made["id"].as_str().unwrap()).await;
            assert_eq!(shown["userAwareTokenNeverExpires"], false);
        }
        let latest = post("latest", json!({"expirationDate": "2027-09-01T12:00:00.000Z"})).await.expect(200);
        assert_eq!(latest.json()["created"], START);
        for late in ["2027-09-01T12:00:00.001Z", "2028-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
            let refused =
                post("late", json!({"expirationDate": late, "userAwareTokenNeverExpires": true})).await;
            let refused = refused.expect_error("400.1.3 Illegal value");
            assert_eq!(refused.message(), "Field 'expirationDate' is at most 6 months ahead on this path.");
        }
        post("past", json!({"expirationDate": START})).await.expect_error("400.1.3 Illegal value");
    }
}

#[tokio::test]
async fn a_day_that_the_sixth_month_lacks_is_its_last_day() {
    let patron = Patron::start().await;
    // 31 August.
    patron.pass_seconds(183 * 86_400);
    assert_eq!(patron.in_seconds(0), "2027-08-31T12:00:00.000Z");
    let call =
        Call::post(OLDER[0]).auth(&patron.admin.basic()).json(&json!({"name": "ci", "expirationDate": ""}));
    let made = patron.send(call).await.expect(200).json();
    assert_eq!(made["expirationDate"], "2028-02-29T12:00:00.000Z");
}

#[tokio::test]
async fn only_name_and_scope_are_patchable_under_the_older_rule() {
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    let body = json!({"name": "ci", "userAwareTokenNeverExpires": true});
    let id = patron.create(&admin, &body).await["id"].as_str().unwrap().to_owned();
    for base in OLDER {
        let patch = |patch: Value| {
            patron.send(Call::new("PATCH", &format!("{base}/{id}")).auth(&admin).json_patch(&patch))
        };
        for field in ["expirationDate", "userAwareTokenNeverExpires", "managed"] {
            let refused = patch(json!([
                {"op": "replace", "path": "/name", "value": "x"},
                {"op": "replace", "path": format!("/{field}"), "value": "2027-06-01T00:00:00Z"},
            ]));
            let refused = refused.await.expect_error("400.1 Bad Request Content");
            assert_eq!(refused.message(), format!("Field '{field}' is not patchable."));
        }
        let changed = patch(json!([
            {"op": "replace", "path": "/name", "value": base},
            {"op": "add", "path": "/scope/-", "value": "demo:x"},
        ]));
        let changed = changed.await.expect(200).json();
        assert_eq!((&changed["name"], &changed["expirationDate"]), (&json!(base), &Value::Null));
        assert_eq!(changed["scope"], json!(["sp:scopes:all", "demo:x"]));
        patch(json!([])).await.expect(200);
    }
}

#[tokio::test]
async fn clients_that_cannot_read_null_lose_nothing_there_either() {
    let patron = Patron::start().await;
    let post = |base: &str| {
        let call = Call::post(base).auth(&patron.admin.basic()).header("user-agent", "SailPoint-SDK-Go/1.0");
        patron.send(call.json(&json!({"name": base, "userAwareTokenNeverExpires": true})))
    };
    for base in CURRENT {
        assert_eq!(post(base).await.expect(200).json()["expirationDate"], "9999-12-31T23:59:59.999Z");
    }
    for base in OLDER {
        assert_eq!(post(base).await.expect(200).json()["expirationDate"], "2027-09-01T12:00:00.000Z");
    }
}
