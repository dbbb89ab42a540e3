//! JSON Patch on one PAT (contract sections 5, 7 and 11; RFC 6902).

use serde_json::{Value, json};

use crate::support::{Call, PATS, Pat, Patron, Reply};

const CONTENT: &str = "400.1 Bad Request Content";
const VALUE: &str = "400.1.3 Illegal value";
const SYNTAX: &str = "400.0 Bad request syntax";
const DATE: &str = "2028-01-01T00:00:00.000Z";

/// Patron with a PAT that a test patches with another one of the same owner.
struct World {
    patron: Patron,
    auth: String,
    id: String,
}

impl World {
    /// The PAT has this date, or never expires.
    async fn with(date: Option<&str>) -> Self {
        let patron = Patron::with(|settings| settings.rate_limits.requests = 0).await;
        let auth = patron.admin.basic();
        let body = json!({
            "name": "ci",
            "scope": ["a", "b"],
            "expirationDate": date,
            "userAwareTokenNeverExpires": date.is_none(),
        });
        let id = patron.create(&auth, &body).await["id"].as_str().unwrap().to_owned();
        Self { patron, auth, id }
    }

    async fn new() -> Self {
        Self::with(Some(DATE)).await
    }

    async fn shown(&self) -> Value {
        self.patron.shown(&self.auth, &self.id).await
    }

    async fn send(&self, patch: &Value) -> Reply {
        let call = Call::new("PATCH", &format!("{PATS}/{}", self.id)).auth(&self.auth);
        self.patron.send(call.json_patch(patch)).await
    }

    /// The patch changes these fields and no others, now and for good.
    async fn changes(&self, patch: Value, fields: Value) {
        let mut expected = self.shown().await;
        expected.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let reply = self.send(&patch).await.expect(200);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.json(), expected, "{patch}");
        assert_eq!(self.shown().await, expected, "{patch}");
    }

    /// The patch is refused and changes nothing.
    async fn refuses(&self, patch: Value, code: &str) -> String {
        let before = self.shown().await;
        let reply = self.send(&patch).await;
        assert_eq!(reply.status, 400, "{patch}: {}", reply.text());
        let text = reply.expect_error(code).message();
        assert_eq!(self.shown().await, before, "{patch}");
        text
    }
}

#[tokio::test]
async fn every_field_that_may_change() {
    let world = World::new().await;
    world
        .changes(
            json!([
                {"op": "replace", "path": "/name", "value": " New name\n"},
                {"op": "replace", "path": "/scope", "value": ["x", "x", "y"]},
                {"op": "replace", "path": "/expirationDate", "value": "2030-06-01T12:00:00+02:00"},
                {"op": "add", "path": "/userAwareTokenNeverExpires", "value": true},
            ]),
            json!({
                "name": "New name",
                "scope": ["x", "y"],
                "expirationDate": "2030-06-01T10:00:00.000Z",
                "userAwareTokenNeverExpires": true,
            }),
        )
        .await;
}

#[tokio::test]
async fn what_a_patch_does_not_name_stays() {
    let world = World::new().await;
    world.changes(json!([]), json!({})).await;
    world.changes(json!([{"op": "replace", "path": "/name", "value": "x"}]), json!({"name": "x"})).await;
    world.changes(json!([{"op": "test", "path": "/name", "value": "x"}]), json!({})).await;
    let never = World::with(None).await;
    never.changes(json!([{"op": "add", "path": "/name", "value": "x"}]), json!({"name": "x"})).await;
    let date = json!([{"op": "add", "path": "/expirationDate", "value": DATE}]);
    never.changes(date, json!({"expirationDate": DATE})).await;
}

#[tokio::test]
async fn the_six_operations() {
    let world = World::new().await;
    for (patch, fields) in [
        (json!([{"op": "add", "path": "/name", "value": "added"}]), json!({"name": "added"})),
        (json!([{"op": "copy", "from": "/name", "path": "/scope/0"}]), json!({"scope": ["added", "a", "b"]})),
        (json!([{"op": "move", "from": "/scope/0", "path": "/name"}]), json!({"scope": ["a", "b"]})),
        (json!([{"op": "copy", "from": "/scope/1", "path": "/name"}]), json!({"name": "b"})),
        (
            json!([{"op": "remove", "path": "/name"}, {"op": "add", "path": "/name", "value": "again"}]),
            json!({"name": "again"}),
        ),
        (
            json!([
                {"op": "test", "path": "/name", "value": "again"},
                {"op": "test", "path": "/scope", "value": ["a", "b"]},
                {"op": "test", "path": "/scope/1", "value": "b"},
                {"op": "test", "path": "/expirationDate", "value": DATE},
                {"op": "test", "path": "/userAwareTokenNeverExpires", "value": false},
                {"op": "replace", "path": "/name", "value": "tested"},
            ]),
            json!({"name": "tested"}),
        ),
        // Other members are ignored, and so is a `value` on `remove`.
        (json!([{"op": "remove", "path": "/scope/0", "value": "b", "x": 1}]), json!({"scope": ["b"]})),
    ] {
        world.changes(patch, fields).await;
    }
}

#[tokio::test]
async fn elements_of_the_scope() {
    let world = World::new().await;
    for (patch, scope) in [
        (json!([{"op": "add", "path": "/scope/-", "value": "c"}]), json!(["a", "b", "c"])),
        (json!([{"op": "add", "path": "/scope/0", "value": "z"}]), json!(["z", "a", "b", "c"])),
        (json!([{"op": "replace", "path": "/scope/1", "value": "y"}]), json!(["z", "y", "b", "c"])),
        (json!([{"op": "move", "from": "/scope/3", "path": "/scope/0"}]), json!(["c", "z", "y", "b"])),
        (json!([{"op": "copy", "from": "/scope/0", "path": "/scope/-"}]), json!(["c", "z", "y", "b"])),
        (
            json!([{"op": "remove", "path": "/scope/3"}, {"op": "remove", "path": "/scope/2"}]),
            json!(["c", "z"]),
        ),
        (
            json!([{"op": "remove", "path": "/scope/0"}, {"op": "remove", "path": "/scope/0"}]),
            json!(["sp:scopes:default"]),
        ),
        (json!([{"op": "add", "path": "/scope", "value": []}]), json!(["sp:scopes:default"])),
    ] {
        world.changes(patch, json!({"scope": scope})).await;
    }
    for path in ["/scope/1", "/scope/-", "/scope/00", "/scope/x", "/scope/-1"] {
        world.refuses(json!([{"op": "remove", "path": path}]), CONTENT).await;
    }
}

#[tokio::test]
async fn all_or_nothing() {
    let world = World::new().await;
    let text = world
        .refuses(
            json!([
                {"op": "replace", "path": "/name", "value": "x"},
                {"op": "test", "path": "/scope/0", "value": "b"},
                {"op": "replace", "path": "/scope", "value": []},
            ]),
            CONTENT,
        )
        .await;
    assert_eq!(text, "Operation 1 of the patch: the test of '/scope/0' failed.");
    for last in [
        json!({"op": "replace", "path": "/name", "value": ""}),
        json!({"op": "remove", "path": "/scope/9"}),
        json!({"op": "replace", "path": "/expirationDate", "value": "soon"}),
        json!({"op": "replace", "path": "/managed", "value": true}),
        json!({"op": "nonsense", "path": "/name"}),
    ] {
        let patch = json!([{"op": "replace", "path": "/scope", "value": ["c"]}, last]);
        let reply = world.send(&patch).await;
        assert_eq!(reply.status, 400, "{patch}");
        assert_eq!(world.shown().await["scope"], json!(["a", "b"]), "{patch}");
    }
}

#[tokio::test]
async fn other_fields_are_not_patchable() {
    let world = World::new().await;
    for field in [
        "id",
        "secret",
        "owner",
        "created",
        "lastUsed",
        "managed",
        "accessTokenValiditySeconds",
        "Name",
        "scopes",
        "tenant",
        "",
    ] {
        let text = format!("Field '{field}' is not patchable.");
        for operation in [
            json!({"op": "replace", "path": format!("/{field}"), "value": 1}),
            json!({"op": "add", "path": format!("/{field}"), "value": 1}),
            json!({"op": "remove", "path": format!("/{field}")}),
            json!({"op": "test", "path": format!("/{field}"), "value": 1}),
            json!({"op": "copy", "from": format!("/{field}"), "path": "/name"}),
            json!({"op": "move", "from": "/name", "path": format!("/{field}")}),
        ] {
            assert_eq!(world.refuses(json!([operation]), CONTENT).await, text);
        }
    }
    for (path, field) in [("/name/x", "name"), ("/owner/id", "owner"), ("", ""), ("/scope/0/1", "scope")] {
        let text = world.refuses(json!([{"op": "replace", "path": path, "value": "x"}]), CONTENT).await;
        assert_eq!(text, format!("Field '{field}' is not patchable."));
    }
}

#[tokio::test]
async fn names_and_scopes_keep_their_rules() {
    let world = World::new().await;
    let replace =
        |field: &str, value: Value| json!([{"op": "replace", "path": format!("/{field}"), "value": value}]);
    for (field, value, code) in [
        ("name", json!(""), "400.1.0 Required Data Missing Or Empty"),
        ("name", json!("  "), "400.1.0 Required Data Missing Or Empty"),
        ("name", json!(null), "400.1.0 Required Data Missing Or Empty"),
        ("name", json!("n".repeat(256)), "400.1.2 Value length out of range"),
        ("name", json!("a\u{7}b"), VALUE),
        ("name", json!(["a"]), VALUE),
        ("name", json!("bootstrap"), "400.1.409 Reference conflict"),
        ("scope", json!(null), CONTENT),
        ("scope", json!("a"), VALUE),
        ("scope", json!([1]), VALUE),
        ("scope", json!(["a b"]), VALUE),
        ("scope", json!(["s".repeat(256)]), "400.1.2 Value length out of range"),
        (
            "scope",
            json!((0..101).map(|n| n.to_string()).collect::<Vec<_>>()),
            "400.1.2 Value length out of range",
        ),
        ("scope/0", json!(null), VALUE),
        ("userAwareTokenNeverExpires", json!("true"), VALUE),
    ] {
        world.refuses(replace(field, value), code).await;
    }
    world.refuses(json!([{"op": "remove", "path": "/name"}]), "400.1.0 Required Data Missing Or Empty").await;
    world.refuses(json!([{"op": "remove", "path": "/scope"}]), CONTENT).await;
    // One's own name is no conflict.
    world.changes(replace("name", json!("ci")), json!({})).await;
}

#[tokio::test]
async fn never_expiring_needs_the_flag_in_the_same_patch() {
    let text =
        "Without 'expirationDate' the token never expires; 'userAwareTokenNeverExpires' must then be true.";
    let flag = |value: bool| json!({"op": "replace", "path": "/userAwareTokenNeverExpires", "value": value});
    for clear in [
        json!({"op": "replace", "path": "/expirationDate", "value": null}),
        json!({"op": "replace", "path": "/expirationDate", "value": ""}),
        json!({"op": "replace", "path": "/expirationDate"}),
        json!({"op": "remove", "path": "/expirationDate"}),
        json!({"op": "remove", "path": "/expirationDate", "value": DATE}),
        json!({"op": "add", "path": "/expirationDate", "value": null}),
    ] {
        let world = World::new().await;
        assert_eq!(world.refuses(json!([clear]), CONTENT).await, text);
        assert_eq!(world.refuses(json!([clear, flag(false)]), CONTENT).await, text);
        // That it was set before is not enough.
        world.changes(json!([flag(true)]), json!({"userAwareTokenNeverExpires": true})).await;
        assert_eq!(world.refuses(json!([clear]), CONTENT).await, text);
        world.changes(json!([flag(true), clear]), json!({"expirationDate": null})).await;
    }
    let never = World::with(None).await;
    for clear in [flag(false), json!({"op": "remove", "path": "/userAwareTokenNeverExpires"})] {
        assert_eq!(never.refuses(json!([clear]), CONTENT).await, text);
    }
    let dated = json!([flag(false), {"op": "replace", "path": "/expirationDate", "value": DATE}]);
    never.changes(dated, json!({"expirationDate": DATE, "userAwareTokenNeverExpires": false})).await;
    never.changes(json!([{"op": "remove", "path": "/userAwareTokenNeverExpires"}]), json!({})).await;
}

#[tokio::test]
async fn dates_are_in_the_future() {
    let world = World::new().await;
    for wrong in [
        json!("2027-03-01T12:00:00Z"),
        json!("2020-01-01T00:00:00Z"),
        json!("2028-01-01"),
        json!("soon"),
        json!(1_900_000_000),
        json!([]),
        json!(true),
    ] {
        let patch = json!([
            {"op": "replace", "path": "/expirationDate", "value": wrong},
            {"op": "replace", "path": "/userAwareTokenNeverExpires", "value": true},
        ]);
        world.refuses(patch, VALUE).await;
    }
    for (given, written) in [
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ("2027-03-01T12:00:01", "2027-03-01T12:00:01.000Z"),
    ] {
        let patch = json!([{"op": "replace", "path": "/expirationDate", "value": given}]);
        world.changes(patch, json!({"expirationDate": written})).await;
    }
}

#[tokio::test]
async fn what_is_no_patch() {
    let world = World::new().await;
    for no_patch in [
        json!({}),
        json!(null),
        json!("remove"),
        json!({"op": "replace", "path": "/name", "value": "x"}),
        json!(["replace"]),
        json!([{}]),
        json!([{"op": "replace", "value": "x"}]),
        json!([{"op": "replace", "path": "name", "value": "x"}]),
        json!([{"op": "replace", "path": "/name"}]),
        json!([{"op": "add", "path": "/expirationDate"}]),
        json!([{"op": "REPLACE", "path": "/name", "value": "x"}]),
        json!([{"op": "move", "path": "/name"}]),
        json!([{"op": "copy", "path": "/name", "from": 7}]),
        json!(vec![json!({"op": "test", "path": "/name", "value": "ci"}); 201]),
    ] {
        world.refuses(no_patch, SYNTAX).await;
    }
    let patch = |content_type: &str, body: &str| {
        let call = Call::new("PATCH", &format!("{PATS}/{}", world.id)).auth(&world.auth);
        world.patron.send(call.body(content_type, body))
    };
    for no_json in ["", "[", "[]]", r#"[{"op":"test","op":"test","path":"/name","value":"ci"}]"#] {
        patch("application/json-patch+json", no_json).await.expect_error(SYNTAX);
    }
    for right in ["application/json-patch+json; charset=utf-8", "application/json", ""] {
        patch(right, "[]").await.expect(200);
    }
    for wrong in ["text/plain", "application/merge-patch+json", "multipart/form-data"] {
        patch(wrong, "[]").await.expect_error("415.0 Unsupported Media Type");
    }
    let large = format!("[{}]", " ".repeat(64 * 1024));
    patch("application/json", &large).await.expect_error("413.0 Payload Too Large");
}

/// A PAT of jane's, and what another credential gets for renaming it.
async fn renames(patron: &Patron, auth: &str, id: &str) -> Reply {
    let patch = json!([{"op": "replace", "path": "/name", "value": "renamed"}]);
    patron.send(Call::new("PATCH", &format!("{PATS}/{id}")).auth(auth).json_patch(&patch)).await
}

#[tokio::test]
async fn only_ones_own() {
    let patron = Patron::start().await;
    let (jane, john) = (patron.identity("jane", &[]).await, patron.identity("john", &[]).await);
    let (janes, johns) = (patron.pat(&jane, "janes", &[]).await, patron.pat(&john, "johns", &[]).await);
    let reader = patron.pat(&jane, "reader", &["sp:my-personal-access-tokens:read"]).await;
    // Not seen is not found; seen and not one's own, or seen without the right, is forbidden.
    let hidden = renames(&patron, &johns.basic(), &janes.id).await.expect_error("404 Not found").message();
    let unknown =
        renames(&patron, &johns.basic(), &"0".repeat(32)).await.expect_error("404 Not found").message();
    assert_eq!(hidden, unknown);
    renames(&patron, &johns.basic(), "x").await.expect_error("404 Not found");
    renames(&patron, &patron.admin.basic(), &janes.id).await.expect_error("403 Forbidden");
    renames(&patron, &reader.basic(), &janes.id).await.expect_error("403 Forbidden");
    let nothing = patron.pat(&jane, "nothing", &["sp:scopes:default"]).await;
    for id in [&janes.id, &"0".repeat(32)] {
        renames(&patron, &nothing.basic(), id).await.expect_error("403 Forbidden");
    }
    assert_eq!(patron.shown(&janes.basic(), &janes.id).await["name"], "janes");
    let token = patron.bearer(&janes).await;
    assert_eq!(renames(&patron, &token, &janes.id).await.expect(200).json()["name"], "renamed");
    // The administrator's own right over everyone's is to delete them, not to patch its own.
    let admin = patron.identity("second", &["ORG_ADMIN"]).await;
    let deleter = patron.pat(&admin, "deleter", &["sp:all-personal-access-tokens:manage"]).await;
    renames(&patron, &deleter.basic(), &deleter.id).await.expect_error("403 Forbidden");
}

#[tokio::test]
async fn nobody_patches_into_scopes_that_his_credential_lacks() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let mine = patron.pat(&jane, "mine", &["demo:kept", "sp:my-personal-access-tokens:read"]).await;
    let narrow = patron.pat(&jane, "narrow", &["sp:my-personal-access-tokens:manage", "demo:x"]).await;
    let scope = async |auth: &Pat, value: Value| {
        let patch = json!([{"op": "replace", "path": "/scope", "value": value}]);
        let call = Call::new("PATCH", &format!("{PATS}/{}", mine.id)).auth(&auth.basic());
        patron.send(call.json_patch(&patch)).await
    };
    for excess in ["sp:scopes:all", "demo:y", "sp:all-personal-access-tokens:read"] {
        let refused = scope(&narrow, json!(["demo:x", excess])).await.expect_error("403 Forbidden");
        assert_eq!(
            refused.message(),
            format!("The credential in use lacks the scopes that this would grant: {excess}.")
        );
    }
    // What it holds, what that implies, what grants nothing, and what the PAT has already.
    let within = json!(["demo:x", "idn:my-personal-access-tokens:read", "sp:scopes:default", "demo:kept"]);
    assert_eq!(scope(&narrow, within.clone()).await.expect(200).json()["scope"], within);
    // A PAT with all scopes lacks none of its owner's.
    let all = patron.pat(&jane, "all", &[]).await;
    let any = json!(["sp:scopes:all", "demo:y"]);
    assert_eq!(scope(&all, any.clone()).await.expect(200).json()["scope"], any);
}
