//! What the audit trail says of PATs, and that nothing changes without it (contract section 9).

use serde_json::{Value, json};

use crate::support::{Call, PATS, Patron, Reply, START};
use patron_core::clock::Clock as _;
use patron_store::driver::Row;

/// The events of this name, newest first, each without its own id, which must look like one.
async fn events(patron: &Patron, technical_name: &str) -> Vec<Value> {
    let mut events = patron.events(technical_name).await;
    for event in &mut events {
        let id = event["id"].take();
        assert_eq!(id.as_str().unwrap().len(), 32);
    }
    events
}

fn admin(patron: &Patron) -> Value {
    json!({"type": "IDENTITY", "id": patron.admin.owner, "name": "admin"})
}

fn pat(id: &Value, name: &str) -> Value {
    json!({"type": "PERSONAL_ACCESS_TOKEN", "id": id, "name": name})
}

async fn create(patron: &Patron, name: &str) -> Reply {
    let body = json!({"name": name, "scope": ["a"], "expirationDate": "2028-01-01T00:00:00Z"});
    patron.send(Call::post(PATS).auth(&patron.admin.basic()).from("192.0.2.7").json(&body)).await
}

async fn patch(patron: &Patron, id: &Value, operations: &Value) -> Reply {
    let one = format!("{PATS}/{}", id.as_str().unwrap());
    let call = Call::new("PATCH", &one).auth(&patron.admin.basic()).from("2001:db8::7");
    patron.send(call.json_patch(operations)).await
}

async fn delete(patron: &Patron, id: &Value) -> Reply {
    let path = format!("{PATS}/{}", id.as_str().unwrap());
    patron.send(Call::new("DELETE", &path).auth(&patron.admin.basic()).from("192.0.2.7")).await
}

async fn bulk(patron: &Patron, ids: &[&Value], date: &str) -> Reply {
    let body = json!({"ids": ids, "patch": [{"op": "replace", "path": "/expirationDate", "value": date}]});
    patron.send(Call::post(&format!("{PATS}/bulk-update")).auth(&patron.admin.basic()).json(&body)).await
}

#[tokio::test]
async fn a_creation() {
    let patron = Patron::start().await;
    let made = create(&patron, "ci").await.expect(200);
    let event = &events(&patron, "PERSONAL_ACCESS_TOKEN_CREATED").await[0];
    let expected = json!({
        "id": null,
        "created": START,
        "tenant": "default",
        "technicalName": "PERSONAL_ACCESS_TOKEN_CREATED",
        "actor": admin(&patron),
        "target": pat(&made.json()["id"], "ci"),
        "ipAddress": "192.0.2.7",
        "trackingNumber": made.header("slpt-request-id"),
        "operation": "CREATE",
        "status": "PASSED",
        "attributes": {
            "ownerId": patron.admin.owner,
            "scope": ["a"],
            "expirationDate": "2028-01-01T00:00:00.000Z",
            "managed": false,
        },
    });
    assert_eq!(*event, expected);
    // The secret is in no event of any kind.
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    let trail =
        patron.database().query("SELECT attributes || target_name || actor_name FROM audit_events", &[]);
    assert!(!trail.is_empty());
    assert!(trail.iter().all(|event| !event.text(0).unwrap().contains(&secret)));
}

#[tokio::test]
async fn a_patch_with_what_it_changed() {
    let patron = Patron::start().await;
    let id = create(&patron, "ci").await.expect(200).json()["id"].clone();
    patron.pass_seconds(5);
    let all = json!([
        {"op": "replace", "path": "/name", "value": "renamed"},
        {"op": "add", "path": "/scope/-", "value": "b"},
        {"op": "remove", "path": "/expirationDate"},
        {"op": "replace", "path": "/userAwareTokenNeverExpires", "value": true},
    ]);
    let reply = patch(&patron, &id, &all).await.expect(200);
    let expected = json!({
        "id": null,
        "created": patron.in_seconds(0),
        "tenant": "default",
        "technicalName": "PERSONAL_ACCESS_TOKEN_UPDATED",
        "actor": admin(&patron),
        "target": pat(&id, "renamed"),
        "ipAddress": "2001:db8::7",
        "trackingNumber": reply.header("slpt-request-id"),
        "operation": "UPDATE",
        "status": "PASSED",
        "attributes": {
            "ownerId": patron.admin.owner,
            "name": {"before": "ci", "after": "renamed"},
            "scope": {"before": ["a"], "after": ["a", "b"]},
            "expirationDate": {"before": "2028-01-01T00:00:00.000Z", "after": null},
            "userAwareTokenNeverExpires": {"before": false, "after": true},
        },
    });
    assert_eq!(events(&patron, "PERSONAL_ACCESS_TOKEN_UPDATED").await, [expected]);
    // What changes nothing is no change, and what is refused is none either.
    patch(&patron, &id, &json!([])).await.expect(200);
    patch(&patron, &id, &json!([{"op": "test", "path": "/name", "value": "renamed"}])).await.expect(200);
    patch(&patron, &id, &json!([{"op": "replace", "path": "/name", "value": "renamed"}])).await.expect(200);
    patch(&patron, &id, &json!([{"op": "replace", "path": "/name", "value": "bootstrap"}])).await.expect(400);
    assert_eq!(events(&patron, "PERSONAL_ACCESS_TOKEN_UPDATED").await.len(), 1);
    patch(&patron, &id, &json!([{"op": "replace", "path": "/name", "value": "again"}])).await.expect(200);
    let newest = &events(&patron, "PERSONAL_ACCESS_TOKEN_UPDATED").await[0];
    let attributes = json!({"ownerId": patron.admin.owner, "name": {"before": "renamed", "after": "again"}});
    assert_eq!(newest["attributes"], attributes);
}

#[tokio::test]
async fn a_deletion_of_anothers() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let janes = json!(patron.pat(&jane, "janes", &[]).await.id);
    let reply = delete(&patron, &janes).await.expect(204);
    let expected = json!({
        "id": null,
        "created": START,
        "tenant": "default",
        "technicalName": "PERSONAL_ACCESS_TOKEN_DELETED",
        "actor": admin(&patron),
        "target": pat(&janes, "janes"),
        "ipAddress": "192.0.2.7",
        "trackingNumber": reply.header("slpt-request-id"),
        "operation": "DELETE",
        "status": "PASSED",
        "attributes": {"ownerId": jane.id.to_string()},
    });
    assert_eq!(events(&patron, "PERSONAL_ACCESS_TOKEN_DELETED").await, [expected]);
    delete(&patron, &janes).await.expect(404);
    assert_eq!(events(&patron, "PERSONAL_ACCESS_TOKEN_DELETED").await.len(), 1);
}

#[tokio::test]
async fn a_bulk_update_is_an_event_for_each_pat_that_it_changes() {
    let patron = Patron::start().await;
    let one = create(&patron, "one").await.json()["id"].clone();
    let two = create(&patron, "two").await.json()["id"].clone();
    bulk(&patron, &[&one], "2029-01-01T00:00:00Z").await.expect(200);
    let both = bulk(&patron, &[&one, &two], "2029-01-01T00:00:00Z").await.expect(200);
    let changed = events(&patron, "PERSONAL_ACCESS_TOKEN_UPDATED").await;
    assert_eq!(changed.len(), 2);
    assert_eq!(changed[0]["target"]["id"], two);
    assert_eq!(changed[0]["trackingNumber"].as_str(), both.header("slpt-request-id"));
    let dates = json!({"before": "2028-01-01T00:00:00.000Z", "after": "2029-01-01T00:00:00.000Z"});
    assert_eq!(changed[0]["attributes"], json!({"ownerId": patron.admin.owner, "expirationDate": dates}));
}

#[tokio::test]
async fn an_expiry_is_told_once_for_each_date() {
    let patron = Patron::start().await;
    let id = create(&patron, "ci").await.expect(200).json()["id"].clone();
    let extend = |seconds: i64| json!([{"op": "replace", "path": "/expirationDate", "value": patron.in_seconds(seconds)}]);
    patch(&patron, &id, &extend(100)).await.expect(200);
    let told = async || {
        patron::housekeeping::once(&patron.app).await.unwrap();
        events(&patron, "PERSONAL_ACCESS_TOKEN_EXPIRED").await
    };
    patron.pass_seconds(98);
    assert_eq!(told().await, [] as [Value; 0]);
    patron.pass_seconds(2);
    let first = told().await;
    let mut expected = json!({
        "id": null,
        "created": patron.in_seconds(0),
        "tenant": "default",
        "technicalName": "PERSONAL_ACCESS_TOKEN_EXPIRED",
        "actor": {"type": "SYSTEM", "id": "patron", "name": "Patron"},
        "target": pat(&id, "ci"),
        "ipAddress": null,
        "trackingNumber": null,
        "operation": "EXPIRE",
        "status": "PASSED",
        "attributes": {"expirationDate": "2027-03-01T12:01:40.000Z", "ownerId": patron.admin.owner},
    });
    expected["trackingNumber"] = first[0]["trackingNumber"].clone();
    assert_eq!(first, [expected]);
    patron.pass_seconds(60);
    assert_eq!(told().await.len(), 1);
    // Renaming it does not make it expire again; a new date does, when it comes.
    patch(&patron, &id, &json!([{"op": "replace", "path": "/name", "value": "x"}])).await.expect(200);
    assert_eq!(told().await.len(), 1);
    patch(&patron, &id, &extend(10)).await.expect(200);
    assert_eq!(told().await.len(), 1);
    patron.pass_seconds(10);
    assert_eq!(told().await.len(), 2);
}

#[tokio::test]
async fn many_that_expire_at_once_are_all_told() {
    let patron = Patron::start().await;
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100) \
               INSERT INTO pats SELECT randomblob(16), tenant, id, 'pat ' || i, '[\"a\"]', randomblob(32), 0, NULL, \
               0, 900, $1, 0, 0 FROM n, identities";
    patron.database().execute(sql, &[patron.clock.now().plus_seconds(1).millis().into()]);
    patron.pass_seconds(1);
    patron::housekeeping::once(&patron.app).await.unwrap();
    assert_eq!(events(&patron, "PERSONAL_ACCESS_TOKEN_EXPIRED").await.len(), 1_100);
}

#[tokio::test]
async fn a_use_is_told_as_last_used_moves_or_every_time() {
    for every_use in [false, true] {
        let patron = Patron::with(|settings| settings.audit.every_use = every_use).await;
        let jane = patron.identity("jane", &[]).await;
        let janes = patron.pat(&jane, "ci", &[]).await;
        let first = patron.exchange(&janes.id, &janes.secret).await.expect(200);
        patron.exchange(&janes.id, &janes.secret).await.expect(200);
        patron.send(Call::get("/tenant/v1").auth(&janes.basic())).await.expect(200);
        patron.pass_seconds(86_400);
        patron.exchange(&janes.id, &janes.secret).await.expect(200);
        let told = events(&patron, "PERSONAL_ACCESS_TOKEN_USED").await;
        assert_eq!(told.len(), if every_use { 4 } else { 2 });
        let expected = json!({
            "id": null,
            "created": START,
            "tenant": "default",
            "technicalName": "PERSONAL_ACCESS_TOKEN_USED",
            "actor": {"type": "IDENTITY", "id": janes.owner, "name": "jane"},
            "target": pat(&json!(janes.id), "ci"),
            "ipAddress": "127.0.0.1",
            "trackingNumber": first.header("slpt-request-id"),
            "operation": "USE",
            "status": "PASSED",
            "attributes": {},
        });
        assert_eq!(*told.last().unwrap(), expected);
    }
}

/// From now on the trail takes no event of this name.
fn forbid(patron: &Patron, technical_name: &str) {
    let named = format!("NEW.technical_name = '{technical_name}'");
    patron.database().forbid_inserting("audit_events", &named);
}

fn allow(patron: &Patron) {
    patron.database().allow();
}

/// Every row of these tables.
fn rows(patron: &Patron) -> Vec<Row> {
    let database = patron.database();
    let tables = ["pats", "deleted_pats", "changes", "audit_events"];
    let all = tables.map(|table| database.query(&format!("SELECT * FROM {table} ORDER BY 1"), &[]));
    all.concat()
}

/// The change fails in the shape of contract section 7, says nothing of why, and leaves no trace.
async fn fails(patron: &Patron, before: &[Row], reply: Reply) {
    let reply = reply.expect_error("500.0 Internal Fault");
    for inside in ["trail", "trigger", "constraint", "SQL", "audit"] {
        assert!(!reply.text().contains(inside), "{}", reply.text());
    }
    patron.app.recorder.flush().await.unwrap();
    assert_eq!(rows(patron), before);
}

#[tokio::test]
async fn no_change_without_its_record() {
    let patron = Patron::start().await;
    let id = create(&patron, "ci").await.expect(200).json()["id"].clone();
    let other = create(&patron, "other").await.expect(200).json()["id"].clone();
    patron.app.recorder.flush().await.unwrap();
    let before = rows(&patron);
    let rename = json!([{"op": "replace", "path": "/name", "value": "x"}]);

    forbid(&patron, "PERSONAL_ACCESS_TOKEN_CREATED");
    fails(&patron, &before, create(&patron, "new").await).await;
    allow(&patron);
    forbid(&patron, "PERSONAL_ACCESS_TOKEN_UPDATED");
    fails(&patron, &before, patch(&patron, &id, &rename).await).await;
    fails(&patron, &before, bulk(&patron, &[&id, &other], "2029-01-01T00:00:00Z").await).await;
    allow(&patron);
    forbid(&patron, "PERSONAL_ACCESS_TOKEN_DELETED");
    fails(&patron, &before, delete(&patron, &id).await).await;
    allow(&patron);

    // And no record without its change.
    patron.database().forbid_inserting("changes", "1 = 1");
    fails(&patron, &before, patch(&patron, &id, &rename).await).await;
    fails(&patron, &before, delete(&patron, &id).await).await;
    allow(&patron);

    create(&patron, "new").await.expect(200);
    patch(&patron, &id, &rename).await.expect(200);
    bulk(&patron, &[&id, &other], "2029-01-01T00:00:00Z").await.expect(200);
    delete(&patron, &id).await.expect(204);
}

#[tokio::test]
async fn no_expiry_is_taken_as_told_that_was_not() {
    let patron = Patron::start().await;
    let id = create(&patron, "ci").await.expect(200).json()["id"].clone();
    let soon = json!([{"op": "replace", "path": "/expirationDate", "value": patron.in_seconds(10)}]);
    patch(&patron, &id, &soon).await.expect(200);
    patron.pass_seconds(10);
    forbid(&patron, "PERSONAL_ACCESS_TOKEN_EXPIRED");
    assert!(patron::housekeeping::once(&patron.app).await.is_err());
    allow(&patron);
    patron::housekeeping::once(&patron.app).await.unwrap();
    assert_eq!(events(&patron, "PERSONAL_ACCESS_TOKEN_EXPIRED").await.len(), 1);
}

#[tokio::test]
async fn last_used_does_not_move_without_its_record() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let janes = patron.pat(&jane, "ci", &[]).await;
    let last_used = || -> Option<i64> {
        let sql = "SELECT last_used FROM pats WHERE name = 'ci'";
        patron.database().row(sql, &[]).opt_int(0).unwrap()
    };
    forbid(&patron, "PERSONAL_ACCESS_TOKEN_USED");
    patron.exchange(&janes.id, &janes.secret).await.expect(200);
    assert!(patron.app.recorder.flush().await.is_err());
    assert_eq!(last_used(), None);
    // It is not forgotten either.
    allow(&patron);
    patron.app.recorder.flush().await.unwrap();
    assert!(last_used().is_some());
    assert_eq!(events(&patron, "PERSONAL_ACCESS_TOKEN_USED").await.len(), 1);
}

#[tokio::test]
async fn with_every_use_told_no_use_succeeds_untold() {
    let patron = Patron::with(|settings| settings.audit.every_use = true).await;
    let jane = patron.identity("jane", &[]).await;
    let janes = patron.pat(&jane, "ci", &[]).await;
    forbid(&patron, "PERSONAL_ACCESS_TOKEN_USED");
    let refused = patron.exchange(&janes.id, &janes.secret).await.expect(500);
    assert_eq!(refused.json()["error"], "server_error");
    patron.send(Call::get("/tenant/v1").auth(&janes.basic())).await.expect_error("500.0 Internal Fault");
    allow(&patron);
    patron.exchange(&janes.id, &janes.secret).await.expect(200);
    assert_eq!(events(&patron, "PERSONAL_ACCESS_TOKEN_USED").await.len(), 1);
}

/// An expiry is told once, also when the PAT is deleted or revived before anybody looked.
#[tokio::test]
async fn an_expiry_is_told_before_a_deletion_or_a_new_date() {
    let patron = Patron::start().await;
    let user = patron.identity("user", &[]).await;
    let (gone, revived) = (patron.pat(&user, "gone", &[]).await, patron.pat(&user, "revived", &[]).await);
    let helper = patron.pat(&user, "helper", &[]).await;
    let one = |pat: &crate::support::Pat| format!("{PATS}/{}", pat.id);
    let date = |at: String| serde_json::json!([{ "op": "replace", "path": "/expirationDate", "value": at }]);
    for pat in [&gone, &revived] {
        let soon = date(patron.in_seconds(60));
        patron.send(Call::new("PATCH", &one(pat)).auth(&helper.basic()).json_patch(&soon)).await.expect(200);
    }
    patron.pass_seconds(61);
    patron.send(Call::new("DELETE", &one(&gone)).auth(&helper.basic())).await.expect(204);
    let later = date(patron.in_seconds(3_600));
    patron
        .send(Call::new("PATCH", &one(&revived)).auth(&helper.basic()).json_patch(&later))
        .await
        .expect(200);
    patron::housekeeping::once(&patron.app).await.unwrap();
    let expired = patron.events("PERSONAL_ACCESS_TOKEN_EXPIRED").await;
    let mut told: Vec<_> = expired.iter().map(|event| event["target"]["name"].as_str().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, ["gone", "revived"]);
}
