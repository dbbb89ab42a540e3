//! Managed PATs: made by the platform for others (contract sections 3, 4, 5 and 11).

use patron_core::identity::Identity;
use serde_json::{Value, json};

use crate::support::{Call, PATS, Pat, Patron, START};

struct World {
    patron: Patron,
    /// A workflow engine's credential.
    engine: Pat,
    jane: Identity,
}

async fn world() -> World {
    let patron = Patron::start().await;
    let engine = patron.identity("engine", &["PLATFORM"]).await;
    let engine = patron.pat(&engine, "engine", &[]).await;
    let jane = patron.identity("jane", &[]).await;
    World { patron, engine, jane }
}

fn managed(name: &str, owner: &str) -> Value {
    json!({"name": name, "managed": true, "ownerId": owner, "expirationDate": "2028-01-01T00:00:00Z"})
}

impl World {
    async fn post(&self, auth: &str, body: &Value) -> crate::support::Reply {
        self.patron.send(Call::post(PATS).auth(auth).json(body)).await
    }

    async fn make(&self, name: &str) -> String {
        let made = self.patron.create(&self.engine.basic(), &managed(name, &self.jane.id.to_string())).await;
        made["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn the_platform_makes_one_of_any_scope_for_another_identity() {
    let world = world().await;
    let jane = world.jane.id.to_string();
    let mut body = managed("workflow", &jane);
    body["scope"] = json!(["sp:all-personal-access-tokens:manage", "demo:x"]);
    body["accessTokenValiditySeconds"] = json!(900);
    let mut made = world.patron.create(&world.engine.basic(), &body).await;
    let (id, secret) = (made["id"].take(), made["secret"].take());
    assert_eq!(
        made,
        json!({
            "id": null,
            "secret": null,
            "name": "workflow",
            "scope": ["sp:all-personal-access-tokens:manage", "demo:x"],
            "owner": {"type": "IDENTITY", "id": jane, "name": "jane"},
            "created": START,
            "accessTokenValiditySeconds": 900,
            "expirationDate": "2028-01-01T00:00:00.000Z",
        })
    );
    let token =
        world.patron.exchange(id.as_str().unwrap(), secret.as_str().unwrap()).await.expect(200).json();
    assert_eq!((&token["identity_id"], &token["user_name"]), (&json!(jane), &json!("jane")));
    // A scope outside the owner's level is stored and grants nothing.
    let auth = format!("Bearer {}", token["access_token"].as_str().unwrap());
    world.patron.send(Call::get(PATS).auth(&auth)).await.expect_error("403 Forbidden");
    let shown = world.patron.shown(&world.patron.admin.basic(), id.as_str().unwrap()).await;
    assert_eq!((&shown["managed"], &shown["owner"]["id"]), (&json!(true), &json!(jane)));
}

#[tokio::test]
async fn the_owner_is_named_known_enabled_and_of_the_same_tenant() {
    let world = world().await;
    let engine = world.engine.basic();
    let with_owner = |owner: Value| {
        let mut body = managed("x", "");
        body["ownerId"] = owner;
        body
    };
    for none in [json!(null), json!("")] {
        world.post(&engine, &with_owner(none)).await.expect_error("400.1.0 Required Data Missing Or Empty");
    }
    let missing = json!({"name": "x", "managed": true, "userAwareTokenNeverExpires": true});
    world.post(&engine, &missing).await.expect_error("400.1.0 Required Data Missing Or Empty");
    let elsewhere = world.patron.identity_in("acme", "joe", &[]).await.id.to_string();
    let off = world.patron.identity("off", &[]).await;
    world.patron.database().execute("UPDATE identities SET enabled = 0 WHERE name = 'off'", &[]);
    for unknown in [
        "0".repeat(32),
        "jane".to_owned(),
        elsewhere,
        off.id.to_string(),
        world.jane.id.to_string().to_uppercase() + "0",
    ] {
        let reply = world.post(&engine, &with_owner(json!(unknown))).await;
        let reply = reply.expect_error("400.1.404 Referenced object not found");
        assert_eq!(reply.message(), format!("There is no enabled identity '{unknown}'."));
    }
    world.post(&engine, &with_owner(json!(7))).await.expect_error("400.1.3 Illegal value");
    // An owner goes with `managed` alone.
    for managed in [json!(false), json!(null)] {
        let mut body = with_owner(json!(world.jane.id.to_string()));
        body["managed"] = managed;
        world.post(&engine, &body).await.expect_error("400.1.3 Illegal value");
    }
    let own = json!({"name": "x", "ownerId": world.engine.owner, "userAwareTokenNeverExpires": true});
    world.post(&engine, &own).await.expect_error("400.1.3 Illegal value");
    let mut text = managed("x", &world.jane.id.to_string());
    text["managed"] = json!("true");
    world.post(&engine, &text).await.expect_error("400.1.3 Illegal value");
}

#[tokio::test]
async fn only_the_platform_makes_them() {
    let world = world().await;
    let jane = world.patron.pat(&world.jane, "all", &[]).await.basic();
    let second = world.patron.identity("e2", &["PLATFORM"]).await;
    let narrow = world.patron.pat(&second, "n", &["sp:my-personal-access-tokens:manage"]).await.basic();
    for auth in [&jane, &world.patron.admin.basic(), &narrow] {
        for owner in [&world.jane.id.to_string(), &"0".repeat(32)] {
            let refused = world.post(auth, &managed("x", owner)).await.expect_error("403 Forbidden");
            let text = refused.message();
            assert_eq!(text, "This needs the right 'idn:managed-personal-access-tokens:manage'.");
        }
    }
    // The right alone is enough, for any scope.
    let engine = world.patron.identity("e3", &["PLATFORM"]).await;
    let right = world.patron.pat(&engine, "r", &["idn:managed-personal-access-tokens:manage"]).await;
    world.post(&right.basic(), &managed("x", &world.jane.id.to_string())).await.expect(200);
}

#[tokio::test]
async fn they_do_not_count_and_have_names_of_their_own() {
    let world = world().await;
    for n in 0..12 {
        world.make(&format!("{n}")).await;
    }
    let twice = world.post(&world.engine.basic(), &managed("0", &world.jane.id.to_string())).await;
    twice.expect_error("400.1.409 Reference conflict");
    let jane = world.patron.pat(&world.jane, "own", &[]).await.basic();
    for n in 0..9 {
        let body = json!({"name": format!("{n}"), "expirationDate": "2028-01-01T00:00:00Z"});
        world.patron.create(&jane, &body).await;
    }
    let eleventh = json!({"name": "11", "expirationDate": "2028-01-01T00:00:00Z"});
    world.post(&jane, &eleventh).await.expect_error("400.1.4 Limit violation");
    world.make("own").await;
}

#[tokio::test]
async fn they_are_in_lists_only_with_the_right() {
    let world = world().await;
    let patron = &world.patron;
    let id = world.make("workflow").await;
    let one = format!("{PATS}/{id}");
    let jane = patron.pat(&world.jane, "own", &[]).await.basic();
    let of_jane = format!("owner-id={}", world.jane.id);
    assert_eq!(patron.listed(&jane, "owner-id=me").await, ["own"]);
    patron.send(Call::get(&one).auth(&jane)).await.expect_error("404 Not found");
    patron.send(Call::new("DELETE", &one).auth(&jane)).await.expect_error("404 Not found");

    let mut names = patron.listed(&patron.admin.basic(), &of_jane).await;
    names.sort();
    assert_eq!(names, ["own", "workflow"]);
    let without = patron.identity("auditor", &["ORG_ADMIN"]).await;
    let without = patron.pat(&without, "w", &["sp:all-personal-access-tokens:read"]).await.basic();
    assert_eq!(patron.listed(&without, &of_jane).await, ["own"]);
    let counted = patron.send(Call::get(&format!("{PATS}?{of_jane}&count=true")).auth(&without)).await;
    assert_eq!(counted.header("x-total-count"), Some("1"));
    let counted =
        patron.send(Call::get(&format!("{PATS}?{of_jane}&count=true")).auth(&patron.admin.basic())).await;
    assert_eq!(counted.header("x-total-count"), Some("2"));
    patron.send(Call::get(&one).auth(&without)).await.expect_error("404 Not found");

    // The platform sees what it makes, and no list of others' PATs.
    let engine = world.engine.basic();
    assert_eq!(patron.shown(&engine, &id).await["managed"], true);
    patron.send(Call::get(&format!("{PATS}?{of_jane}")).auth(&engine)).await.expect_error("403 Forbidden");
    let own = managed("its own", &world.engine.owner);
    patron.create(&engine, &own).await;
    let mut names = patron.listed(&engine, "owner-id=me").await;
    names.sort();
    assert_eq!(names, ["engine", "its own"]);
}

#[tokio::test]
async fn the_platform_patches_and_deletes_them_and_an_administrator_deletes_them() {
    let world = world().await;
    let patron = &world.patron;
    let (one, two) = (world.make("one").await, world.make("two").await);
    let patch = |id: &str, auth: &str| {
        let wider = json!([
            {"op": "replace", "path": "/name", "value": format!("{id} renamed")},
            {"op": "replace", "path": "/scope", "value": ["sp:all-personal-access-tokens:manage"]},
        ]);
        patron.send(Call::new("PATCH", &format!("{PATS}/{id}")).auth(auth).json_patch(&wider))
    };
    let changed = patch(&one, &world.engine.basic()).await.expect(200).json();
    assert_eq!(changed["name"], format!("{one} renamed"));
    assert_eq!(changed["scope"], json!(["sp:all-personal-access-tokens:manage"]));
    // The administrator sees it and may not change it; the owner does not even see it.
    patch(&two, &patron.admin.basic()).await.expect_error("403 Forbidden");
    let jane = patron.pat(&world.jane, "own", &[]).await.basic();
    patch(&two, &jane).await.expect_error("404 Not found");

    let delete = |id: &str, auth: &str| patron.send(Call::new("DELETE", &format!("{PATS}/{id}")).auth(auth));
    delete(&one, &world.engine.basic()).await.expect(204);
    delete(&two, &patron.admin.basic()).await.expect(204);
    // The platform's right is over managed ones: it may know of no other.
    let own = patron.pat(&world.jane, "second", &[]).await.id;
    delete(&own, &world.engine.basic()).await.expect_error("404 Not found");
    patch(&own, &world.engine.basic()).await.expect_error("404 Not found");
}
