//! Bulk update of expiries (contract sections 5, 7 and 11).

use serde_json::{Value, json};

use crate::support::{Call, PATS, Patron, Reply};

const BULK: &str = "/personal-access-tokens/v1/bulk-update";
const DATE: &str = "2028-01-01T00:00:00.000Z";

struct World {
    patron: Patron,
    admin: String,
    /// PATs of two owners, in the order of their ids.
    ids: Vec<String>,
}

impl World {
    async fn new() -> Self {
        let patron = Patron::start().await;
        let (jane, john) = (patron.identity("jane", &[]).await, patron.identity("john", &[]).await);
        let mut ids = Vec::new();
        for n in 0..13 {
            for owner in [&jane, &john] {
                ids.push(patron.pat(owner, &format!("{n}"), &[]).await.id);
            }
        }
        ids.sort();
        Self { admin: patron.admin.basic(), patron, ids }
    }

    async fn send(&self, body: &Value) -> Reply {
        self.patron.send(Call::new("PATCH", BULK).auth(&self.admin).json(body)).await
    }

    /// Every PAT with all its fields.
    async fn all(&self) -> Value {
        self.patron.send(Call::get(PATS).auth(&self.admin)).await.expect(200).json()
    }

    async fn refuses(&self, body: Value, code: &str) -> String {
        let before = self.all().await;
        let reply = self.send(&body).await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        let text = reply.expect_error(code).message();
        assert_eq!(self.all().await, before, "{body}");
        text
    }
}

fn to_date(date: &str) -> Value {
    json!([{"op": "replace", "path": "/expirationDate", "value": date}])
}

#[tokio::test]
async fn many_at_once_sorted_and_without_the_flag() {
    let world = World::new().await;
    let mut before = world.all().await;
    for (method, date) in [("PATCH", DATE), ("POST", "2029-01-01T00:00:00.000Z")] {
        let mut ids = world.ids[..25].to_vec();
        ids.reverse();
        let call = Call::new(method, BULK).auth(&world.admin);
        let reply =
            world.patron.send(call.json(&json!({"ids": ids, "patch": to_date(date)}))).await.expect(200);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("x-deprecated"), None);
        let mut expected: Vec<Value> = Vec::new();
        for pat in before.as_array_mut().unwrap() {
            if world.ids[..25].iter().any(|id| pat["id"] == *id) {
                pat["expirationDate"] = json!(date);
                let mut pat = pat.clone();
                pat.as_object_mut().unwrap().remove("userAwareTokenNeverExpires");
                expected.push(pat);
            }
        }
        expected.sort_by_key(|pat| pat["id"].as_str().unwrap().to_owned());
        assert_eq!(reply.json(), json!(expected));
        // The 26th and the administrator's own are as they were, and the flag is still set.
        assert_eq!(world.all().await, before);
    }
}

#[tokio::test]
async fn ids_are_1_to_25_known_and_apart() {
    let world = World::new().await;
    let missing = "400.1.0 Required Data Missing Or Empty";
    let value = "400.1.3 Illegal value";
    let reference = "400.1.404 Referenced object not found";
    let known = &world.ids[0];
    for (ids, code) in [
        (json!([]), missing),
        (json!(null), missing),
        (json!(world.ids), "400.1.2 Value length out of range"),
        (json!([known, known]), value),
        (json!([known, ""]), value),
        (json!([known, "  "]), value),
        (json!([known, null]), value),
        (json!([known, 7]), value),
        (json!(known), value),
        (json!([known, "0".repeat(32)]), reference),
        (json!([known, "x"]), reference),
        (json!(["x", known]), reference),
    ] {
        world.refuses(json!({"ids": ids, "patch": to_date(DATE)}), code).await;
    }
    world.refuses(json!({"patch": to_date(DATE)}), missing).await;
    let text = world.refuses(json!({"ids": ["0".repeat(32)], "patch": []}), reference).await;
    assert_eq!(text, format!("There is no personal access token '{}'.", "0".repeat(32)));
    // One is enough.
    let one =
        world.send(&json!({"ids": [known], "patch": to_date(DATE), "unknown": {}})).await.expect(200).json();
    assert_eq!((one.as_array().unwrap().len(), &one[0]["expirationDate"]), (1, &json!(DATE)));
}

#[tokio::test]
async fn ids_of_other_tenants_and_deleted_ones_are_not_there() {
    let world = World::new().await;
    let joe = world.patron.identity_in("acme", "joe", &[]).await;
    let theirs = world.patron.pat(&joe, "theirs", &[]).await.id;
    let deleted = &world.ids[1];
    let call = Call::new("DELETE", &format!("{PATS}/{deleted}")).auth(&world.admin);
    world.patron.send(call).await.expect(204);
    for id in [&theirs, deleted] {
        let body = json!({"ids": [world.ids[0], id], "patch": to_date(DATE)});
        world.refuses(body, "400.1.404 Referenced object not found").await;
    }
}

#[tokio::test]
async fn only_the_two_expiry_fields() {
    let world = World::new().await;
    let bulk = |patch: Value| json!({"ids": &world.ids[..2], "patch": patch});
    for field in ["name", "scope", "managed", "owner", "secret"] {
        for operation in [
            json!({"op": "replace", "path": format!("/{field}"), "value": "x"}),
            json!({"op": "test", "path": format!("/{field}"), "value": "x"}),
            json!({"op": "copy", "from": format!("/{field}"), "path": "/expirationDate"}),
        ] {
            let text = world.refuses(bulk(json!([operation])), "400.1 Bad Request Content").await;
            assert_eq!(text, format!("Field '{field}' is not patchable."));
        }
    }
    for (patch, code) in [
        (json!([{"op": "remove", "path": "/userAwareTokenNeverExpires"}]), "400.1 Bad Request Content"),
        (json!([{"op": "replace", "path": "/expirationDate", "value": null}]), "400.1 Bad Request Content"),
        (to_date("2027-03-01T12:00:00Z"), "400.1.3 Illegal value"),
        (to_date("soon"), "400.1.3 Illegal value"),
        (json!([{"op": "test", "path": "/expirationDate", "value": DATE}]), "400.1 Bad Request Content"),
        (json!(null), "400.1.0 Required Data Missing Or Empty"),
        (json!({}), "400.0 Bad request syntax"),
        (json!([{"op": "replace"}]), "400.0 Bad request syntax"),
    ] {
        world.refuses(bulk(patch), code).await;
    }
    let never = json!([
        {"op": "replace", "path": "/expirationDate"},
        {"op": "replace", "path": "/userAwareTokenNeverExpires", "value": true},
    ]);
    world.send(&bulk(to_date(DATE))).await.expect(200);
    let changed = world.send(&bulk(never)).await.expect(200).json();
    assert_eq!((&changed[0]["expirationDate"], &changed[1]["expirationDate"]), (&Value::Null, &Value::Null));
    let before = world.all().await;
    let unchanged = world.send(&bulk(json!([]))).await.expect(200).json();
    assert_eq!(unchanged.as_array().unwrap().len(), 2);
    assert_eq!(world.all().await, before);
}

#[tokio::test]
async fn all_or_nothing() {
    let world = World::new().await;
    world.send(&json!({"ids": [world.ids[0]], "patch": to_date(DATE)})).await.expect(200);
    // The test holds for the first, in the order of ids, and not for the second.
    let patch = json!([
        {"op": "test", "path": "/expirationDate", "value": DATE},
        {"op": "replace", "path": "/expirationDate", "value": "2030-01-01T00:00:00Z"},
    ]);
    let text =
        world.refuses(json!({"ids": &world.ids[..2], "patch": patch}), "400.1 Bad Request Content").await;
    assert_eq!(text, "Operation 0 of the patch: the test of '/expirationDate' failed.");
    assert_eq!(world.patron.shown(&world.admin, &world.ids[0]).await["expirationDate"], DATE);
}

#[tokio::test]
async fn what_is_no_bulk_update() {
    let world = World::new().await;
    let send = |content_type: &str, body: &str| {
        world.patron.send(Call::post(BULK).auth(&world.admin).body(content_type, body))
    };
    for wrong in ["", "[]", "null", "{", r#"{"ids":["x"],"ids":["y"],"patch":[]}"#] {
        send("application/json", wrong).await.expect_error("400.0 Bad request syntax");
    }
    for wrong in ["text/plain", "application/json-patch+json"] {
        send(wrong, "{}").await.expect_error("415.0 Unsupported Media Type");
    }
    let right = json!({"ids": [world.ids[0]], "patch": []}).to_string();
    send("application/json; charset=utf-8", &right).await.expect(200);
    for method in ["GET", "PUT", "DELETE"] {
        let reply = world.patron.send(Call::new(method, BULK).auth(&world.admin)).await;
        reply.expect_error("405.0 Method Not Allowed");
    }
}

#[tokio::test]
async fn the_right_is_all_update() {
    let world = World::new().await;
    let patron = &world.patron;
    let body = json!({"ids": [world.ids[0]], "patch": to_date(DATE)});
    let jane = patron.identity("second", &[]).await;
    let own = patron.pat(&jane, "own", &[]).await;
    let admin = patron.identity("third", &["ORG_ADMIN"]).await;
    let others = ["sp:all-personal-access-tokens:manage", "sp:my-personal-access-tokens:manage"];
    let others = patron.pat(&admin, "others", &others).await;
    for pat in [&own, &others] {
        let refused = patron.send(Call::post(BULK).auth(&pat.basic()).json(&body)).await;
        let refused = refused.expect_error("403 Forbidden");
        assert_eq!(refused.message(), "This needs the right 'idn:all-personal-access-tokens:update'.");
    }
    // Not even its own.
    let mine = json!({"ids": [own.id], "patch": to_date(DATE)});
    patron.send(Call::post(BULK).auth(&own.basic()).json(&mine)).await.expect_error("403 Forbidden");
    let right = patron.pat(&admin, "right", &["idn:all-personal-access-tokens:update"]).await;
    patron.send(Call::post(BULK).auth(&right.basic()).json(&body)).await.expect(200);
}

#[tokio::test]
async fn managed_ones_are_the_platforms() {
    let world = World::new().await;
    let patron = &world.patron;
    let owner = patron.identity("workflows", &[]).await;
    let managed = patron.managed_pat(&owner, "m", &[]).await;
    let body = json!({"ids": [world.ids[0], managed.id], "patch": to_date(DATE)});
    // Seen and not to be changed; not seen; both leave everything as it was.
    let before = world.all().await;
    world.send(&body).await.expect_error("403 Forbidden");
    let admin = patron.identity("third", &["ORG_ADMIN"]).await;
    let update = patron.pat(&admin, "update", &["sp:all-personal-access-tokens:update"]).await;
    let hidden = patron.send(Call::post(BULK).auth(&update.basic()).json(&body)).await;
    let hidden = hidden.expect_error("400.1.404 Referenced object not found");
    assert_eq!(hidden.message(), format!("There is no personal access token '{}'.", managed.id));
    let id_of = |pat: &Value| pat["id"].as_str().unwrap().to_owned();
    let after = world.all().await;
    let known: Vec<_> = before.as_array().unwrap().iter().map(id_of).collect();
    let kept: Vec<_> = after.as_array().unwrap().iter().filter(|pat| known.contains(&id_of(pat))).collect();
    assert_eq!(json!(kept), before);
}

#[tokio::test]
async fn whoever_has_both_rights_updates_managed_ones_too() {
    let rights = ["idn:all-personal-access-tokens:update", "idn:managed-personal-access-tokens:manage"];
    let patron = Patron::with(|settings| {
        settings.levels.insert("ENGINE".to_owned(), rights.map(str::to_owned).to_vec());
    })
    .await;
    let engine = patron.identity("engine", &["ENGINE"]).await;
    let engine = patron.pat(&engine, "engine", &[]).await;
    let owner = patron.identity("workflows", &[]).await;
    let managed = patron.managed_pat(&owner, "m", &[]).await;
    let body = json!({"ids": [managed.id, patron.admin.id], "patch": to_date(DATE)});
    let reply = patron.send(Call::post(BULK).auth(&engine.basic()).json(&body)).await.expect(200).json();
    assert_eq!((&reply[0]["expirationDate"], &reply[1]["expirationDate"]), (&json!(DATE), &json!(DATE)));
}

#[tokio::test]
async fn it_is_on_the_current_rules_paths_alone() {
    let world = World::new().await;
    let body = json!({"ids": [world.ids[0]], "patch": to_date(DATE)});
    for (base, there) in [("v2025", true), ("v2026", true), ("v2024", false), ("v3", false), ("beta", false)]
    {
        for method in ["PATCH", "POST"] {
            let path = format!("/{base}/personal-access-tokens/bulk-update");
            let reply = world.patron.send(Call::new(method, &path).auth(&world.admin).json(&body)).await;
            assert_eq!(reply.header("x-deprecated"), Some("true"));
            if there {
                assert_eq!(reply.expect(200).json()[0]["id"], world.ids[0]);
            } else {
                assert!(matches!(reply.status.as_u16(), 404 | 405), "{}", reply.text());
            }
        }
    }
}
