//! What the audit trail is told (contract section 9): each kind of event, whole, when it happens and not otherwise.

use patron_core::clock::Clock as _;
use patron_core::id::PatId;
use serde_json::{Value, json};

use crate::audit::{BULK, PATS, events, exchange, list, new_pat};
use crate::callers::{DEFAULT, UNKNOWN, path_of, replace, unlimited};
use crate::support::{Call, Pat, Patron, Reply, START, basic, operator};

const PEER: &str = "192.0.2.7";

/// Sends a change as the administrator and gives what was told of it: the answer, and the events with its number.
async fn told(patron: &Patron, call: Call) -> (Reply, Vec<Value>) {
    let reply = patron.send(call.auth(&patron.admin.basic()).from(PEER)).await;
    let number = reply.header("slpt-request-id").unwrap().to_owned();
    let rows = list(patron, &[]).await.expect(200).json();
    let mine = rows.as_array().unwrap().iter().filter(|row| {
        row["trackingNumber"] == *number && row["technicalName"] != "PERSONAL_ACCESS_TOKEN_USED"
    });
    (reply, mine.cloned().collect())
}

/// The whole of an event that the administrator caused through the API at the start of time.
fn by_admin(patron: &Patron, event: &Value, name: &str, verb: &str, target: &Value, more: &Value) -> Value {
    let id = event["id"].as_str().unwrap();
    assert!(PatId::parse(id).is_some(), "{id} is no id");
    json!({
        "id": id,
        "created": START,
        "tenant": "default",
        "technicalName": name,
        "actor": { "type": "IDENTITY", "id": patron.admin.owner, "name": "admin" },
        "target": target,
        "ipAddress": PEER,
        "trackingNumber": event["trackingNumber"],
        "operation": verb,
        "status": "PASSED",
        "attributes": more,
    })
}

fn pat_party(id: &str, name: &str) -> Value {
    json!({ "type": "PERSONAL_ACCESS_TOKEN", "id": id, "name": name })
}

#[tokio::test]
async fn the_life_of_a_pat_is_told() {
    let patron = Patron::start().await;
    let (reply, events) = told(&patron, new_pat("ci")).await;
    let id = reply.expect(200).json()["id"].as_str().unwrap().to_owned();
    let owner = &patron.admin.owner;
    let more = json!({ "ownerId": owner, "scope": [DEFAULT], "expirationDate": null, "managed": false });
    let name = "PERSONAL_ACCESS_TOKEN_CREATED";
    assert_eq!(events, [by_admin(&patron, &events[0], name, "CREATE", &pat_party(&id, "ci"), &more)]);

    let patch = json!([
        { "op": "replace", "path": "/name", "value": "cd" },
        { "op": "add", "path": "/scope/-", "value": "demo:x" },
        { "op": "replace", "path": "/expirationDate", "value": "2027-04-01T00:00:00Z" },
    ]);
    let (reply, events) = told(&patron, Call::new("PATCH", &path_of(&id)).json_patch(&patch)).await;
    reply.expect(200);
    let more = json!({
        "ownerId": owner,
        "name": { "before": "ci", "after": "cd" },
        "scope": { "before": [DEFAULT], "after": [DEFAULT, "demo:x"] },
        "expirationDate": { "before": null, "after": "2027-04-01T00:00:00.000Z" },
    });
    let name = "PERSONAL_ACCESS_TOKEN_UPDATED";
    assert_eq!(events, [by_admin(&patron, &events[0], name, "UPDATE", &pat_party(&id, "cd"), &more)]);

    let other = patron.caller(&[], &[]).await;
    let date = "2027-05-01T00:00:00.000Z";
    let body = json!({ "ids": [id, other.id], "patch": replace("/expirationDate", &json!(date)) });
    let (reply, events) = told(&patron, Call::post(BULK).json(&body)).await;
    reply.expect(200);
    let mut targets: Vec<&str> = events.iter().map(|e| e["target"]["id"].as_str().unwrap()).collect();
    targets.sort_unstable();
    let mut ids = [id.as_str(), &other.id];
    ids.sort_unstable();
    assert_eq!(targets, ids, "one event for each PAT of a bulk update");
    for event in &events {
        assert_eq!(event["technicalName"], name);
        assert_eq!(event["attributes"]["expirationDate"]["after"], date);
    }

    let (reply, events) = told(&patron, Call::new("DELETE", &path_of(&id))).await;
    reply.expect(204);
    let more = json!({ "ownerId": owner });
    let name = "PERSONAL_ACCESS_TOKEN_DELETED";
    assert_eq!(events, [by_admin(&patron, &events[0], name, "DELETE", &pat_party(&id, "cd"), &more)]);
}

/// What is refused, and what changes nothing, leaves nothing in the trail.
#[tokio::test]
async fn what_did_not_happen_is_not_told() {
    let patron = Patron::start().await;
    let managed = {
        let other = patron.identity("other", &[]).await;
        patron.managed_pat(&other, "flow", &[]).await.id
    };
    let mine = path_of(&patron.admin.id);
    let patch = |uri: &str, patch: &Value| Call::new("PATCH", uri).json_patch(patch);
    for (call, status) in [
        (patch(&mine, &json!([])), 200),
        (patch(&mine, &replace("/name", &json!("bootstrap"))), 200),
        (patch(&mine, &replace("/name", &json!(""))), 400),
        (patch(&path_of(&managed), &replace("/name", &json!("x"))), 403),
        (patch(&path_of(UNKNOWN), &replace("/name", &json!("x"))), 404),
        (Call::new("DELETE", &path_of(UNKNOWN)), 404),
        (new_pat("bootstrap"), 400),
        (
            Call::post(BULK)
                .json(&json!({ "ids": [patron.admin.id, UNKNOWN], "patch": crate::callers::expires() })),
            400,
        ),
        (
            patch(
                &format!("/auth-users/v1/{}", patron.admin.owner),
                &replace("/capabilities", &json!(["ORG_ADMIN"])),
            ),
            200,
        ),
        (
            patch(&format!("/auth-users/v1/{}", patron.admin.owner), &replace("/capabilities", &json!([]))),
            400,
        ),
        (Call::get(PATS), 200),
    ] {
        let what = format!("{} {}", call.method, call.uri);
        let (reply, events) = told(&patron, call).await;
        assert_eq!(reply.status.as_u16(), status, "{what}: {}", reply.text());
        assert_eq!(events, [Value::Null; 0], "{what}");
    }
}

#[tokio::test]
async fn an_expiry_is_told_once() {
    let patron = Patron::start().await;
    let owner = &patron.admin.owner;
    let new = json!({ "name": "short", "expirationDate": patron.in_seconds(30) });
    let made = told(&patron, Call::post(PATS).json(&new)).await.0.expect(200).json();
    let id = made["id"].as_str().unwrap();
    let name = "PERSONAL_ACCESS_TOKEN_EXPIRED";
    let tidy = async || patron::housekeeping::once(&patron.app).await.unwrap();
    patron.pass_seconds(29);
    tidy().await;
    assert_eq!(events(&patron, name).await, [Value::Null; 0]);
    patron.pass_seconds(1);
    for _ in 0..3 {
        tidy().await;
    }
    let told_of = events(&patron, name).await;
    let event = json!({
        "id": told_of[0]["id"],
        "created": patron.app.clock.now().to_string(),
        "tenant": "default",
        "technicalName": name,
        "actor": { "type": "SYSTEM", "id": "patron", "name": "Patron" },
        "target": pat_party(id, "short"),
        "ipAddress": null,
        "trackingNumber": told_of[0]["trackingNumber"],
        "operation": "EXPIRE",
        "status": "PASSED",
        "attributes": { "ownerId": owner, "expirationDate": made["expirationDate"] },
    });
    assert_eq!(told_of, [event]);
    // A new date is a new expiry.
    let later = replace("/expirationDate", &json!(patron.in_seconds(60)));
    told(&patron, Call::new("PATCH", &path_of(id)).json_patch(&later)).await.0.expect(200);
    tidy().await;
    assert_eq!(events(&patron, name).await.len(), 1);
    patron.pass_seconds(60);
    tidy().await;
    tidy().await;
    assert_eq!(events(&patron, name).await.len(), 2);
}

#[tokio::test]
async fn a_use_is_told_as_last_used_moves() {
    let patron = Patron::with(unlimited).await;
    let pat = patron.caller(&[], &[]).await;
    let owner = patron.identity_now("default", &pat.owner).await.unwrap();
    let uses = async || {
        let rows = events(&patron, "PERSONAL_ACCESS_TOKEN_USED").await.into_iter();
        rows.filter(|row| row["target"]["id"] == *pat.id).collect::<Vec<_>>()
    };
    let reply = patron.send(exchange(&pat).from(PEER)).await.expect(200);
    let mut event = by_admin(
        &patron,
        &json!({ "id": UNKNOWN, "trackingNumber": reply.header("slpt-request-id") }),
        "PERSONAL_ACCESS_TOKEN_USED",
        "USE",
        &pat_party(&pat.id, "credential"),
        &json!({}),
    );
    event["actor"] = json!({ "type": "IDENTITY", "id": pat.owner, "name": owner.name });
    let told_of = uses().await;
    event["id"] = told_of[0]["id"].clone();
    assert_eq!(told_of, [event]);
    // Not again within a day, however it is used; then once more.
    patron.pass_seconds(24 * 3_600 - 1);
    patron.send(exchange(&pat)).await.expect(200);
    patron.send_as(&pat.basic(), Call::get("/tenant/v1")).await.expect(200);
    assert_eq!(uses().await.len(), 1);
    patron.pass_seconds(1);
    for _ in 0..3 {
        patron.send_as(&pat.basic(), Call::get("/tenant/v1")).await.expect(200);
    }
    assert_eq!(uses().await.len(), 2);
}

#[tokio::test]
async fn every_use_is_told_by_a_setting() {
    let patron = Patron::with(|settings| settings.audit.every_use = true).await;
    let pat = patron.caller(&[], &[]).await;
    for _ in 0..3 {
        patron.send(exchange(&pat)).await.expect(200);
    }
    patron.send_as(&pat.basic(), Call::get("/tenant/v1")).await.expect(200);
    // An access token is no PAT.
    let bearer = patron.bearer(&pat).await;
    patron.send_as(&bearer, Call::get("/tenant/v1")).await.expect(200);
    let filter = format!(r#"target.id eq "{}" and technicalName eq "PERSONAL_ACCESS_TOKEN_USED""#, pat.id);
    let rows = list(&patron, &[("filters", &filter)]).await.expect(200).json();
    assert_eq!(rows.as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_failed_use_tells_the_trail_what_it_does_not_tell_the_caller() {
    let patron = Patron::with(unlimited).await;
    let worker = patron.identity("worker", &[]).await;
    let pat = patron.pat(&worker, "ci", &[]).await;
    let deleted = patron.pat(&worker, "gone", &[]).await;
    patron.revoke_pat("default", &deleted.id).await;
    let wrong = Pat { secret: "0".repeat(64), ..pat.clone() };
    let mut texts = Vec::new();
    let mut fail = async |call: Call| {
        let reply = patron.send(call.from(PEER)).await.expect(401);
        texts.push(reply.text());
    };
    for _ in 0..7 {
        fail(exchange(&wrong)).await;
    }
    fail(exchange(&Pat { id: UNKNOWN.to_owned(), ..pat.clone() })).await;
    fail(Call::get("/tenant/v1").auth(&basic("no id at all", "x"))).await;
    fail(exchange(&deleted)).await;
    patron.change(&worker, |worker| worker.enabled = false).await.unwrap();
    fail(exchange(&pat)).await;
    assert_eq!(texts[0], texts[7], "an unknown id and a wrong secret are told alike");
    let mut told_of = events(&patron, "PERSONAL_ACCESS_TOKEN_USE_FAILED").await;
    told_of
        .sort_by_key(|event| event["attributes"]["reason"].to_string() + &event["target"]["id"].to_string());
    let party = |id: &str| json!({ "type": "PERSONAL_ACCESS_TOKEN", "id": id, "name": "" });
    let expected = [
        ("DELETED", &deleted.id[..], 1),
        ("OWNER_DISABLED", &pat.id, 1),
        ("UNKNOWN_CLIENT", UNKNOWN, 1),
        // What is no id is not kept: it may be a secret in the wrong place.
        ("UNKNOWN_CLIENT", "malformed", 1),
        // Many as one.
        ("WRONG_SECRET", &pat.id, 7),
    ];
    assert_eq!(told_of.len(), expected.len());
    for (event, (reason, id, count)) in told_of.iter().zip(expected) {
        assert_eq!(event["attributes"], json!({ "reason": reason, "count": count }));
        assert_eq!((&event["actor"], &event["target"]), (&party(id), &party(id)));
        assert_eq!((&event["ipAddress"], &event["status"]), (&json!(PEER), &json!("FAILED")));
    }
}

/// Thousands of made-up ids from everywhere become a bounded number of events that still count every try.
#[tokio::test]
async fn an_attack_does_not_fill_the_trail() {
    let patron = Patron::with(unlimited).await;
    for n in 0..1_500 {
        let call = Call::get("/tenant/v1").auth(&basic(&format!("guess {n}"), "x"));
        patron.send(call.from(&format!("198.51.{}.{}", n / 250, n % 250))).await.expect(401);
    }
    let rows = patron.events("PERSONAL_ACCESS_TOKEN_USE_FAILED").await;
    assert!(rows.len() <= 1_001, "{} events", rows.len());
    let tries: u64 = rows.iter().map(|row| row["attributes"]["count"].as_u64().unwrap()).sum();
    assert_eq!(tries, 1_500);
}

#[tokio::test]
async fn an_identity_that_changes_is_told() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &["HELPDESK"]).await;
    let party = json!({ "type": "IDENTITY", "id": jane.id.to_string(), "name": "jane" });
    let uri = format!("/auth-users/v1/{}", jane.id);
    let patch = replace("/capabilities", &json!(["CERT_ADMIN", "HELPDESK"]));
    let (reply, events) = told(&patron, Call::new("PATCH", &uri).json_patch(&patch)).await;
    reply.expect(200);
    let more = json!({ "levels": { "before": ["HELPDESK"], "after": ["CERT_ADMIN", "HELPDESK"] } });
    assert_eq!(events, [by_admin(&patron, &events[0], "IDENTITY_UPDATED", "UPDATE", &party, &more)]);

    let pat = patron.pat(&jane, "ci", &[]).await;
    patron.change(&jane, |jane| jane.enabled = false).await.unwrap();
    patron.change(&jane, |jane| jane.enabled = false).await.unwrap();
    patron.change(&jane, |jane| jane.enabled = true).await.unwrap();
    patron
        .app
        .store
        .set_password_hash(operator(), jane.tenant, jane.id, "$hash$".to_owned(), false)
        .await
        .unwrap();
    patron.app.store.delete_identity(operator(), jane.tenant, jane.id).await.unwrap();
    let filter = format!(r#"actor.id eq "patron-admin" and (target.id in ("{}","{}"))"#, jane.id, pat.id);
    let rows = list(&patron, &[("filters", &filter)]).await.expect(200);
    assert!(!rows.text().contains("$hash$"));
    let rows = rows.json();
    let told_of: Vec<(&str, &str, &Value)> = rows
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|row| {
            assert_eq!(
                row["actor"],
                json!({ "type": "SYSTEM", "id": "patron-admin", "name": "patron admin" })
            );
            assert_eq!((&row["ipAddress"], &row["status"]), (&Value::Null, &json!("PASSED")));
            let text = |field: &str| row[field].as_str().unwrap();
            (text("technicalName"), text("operation"), &row["attributes"])
        })
        .collect();
    let owner = json!({ "ownerId": jane.id.to_string() });
    let made = json!({ "ownerId": jane.id.to_string(), "scope": ["sp:scopes:all"], "expirationDate": null, "managed": false });
    assert_eq!(
        told_of,
        [
            ("IDENTITY_CREATED", "CREATE", &json!({ "levels": ["HELPDESK"] })),
            ("PERSONAL_ACCESS_TOKEN_CREATED", "CREATE", &made),
            ("IDENTITY_DISABLED", "DISABLE", &json!({})),
            ("IDENTITY_ENABLED", "ENABLE", &json!({})),
            ("IDENTITY_UPDATED", "UPDATE", &json!({ "password": "changed" })),
            ("PERSONAL_ACCESS_TOKEN_DELETED", "DELETE", &owner),
            ("IDENTITY_DELETED", "DELETE", &json!({})),
        ]
    );
}

#[tokio::test]
async fn a_revoked_access_token_is_told_once() {
    let patron = Patron::start().await;
    let pat = patron.caller(&[], &[]).await;
    let token = patron.bearer(&pat).await;
    let call = || Call::post("/oauth/revoke").form(&[("token", token.strip_prefix("Bearer ").unwrap())]);
    let (reply, events) = told(&patron, call()).await;
    reply.expect(200);
    let target = json!({ "type": "ACCESS_TOKEN", "id": events[0]["target"]["id"], "name": "" });
    let more = json!({ "clientId": pat.id });
    assert_eq!(events, [by_admin(&patron, &events[0], "ACCESS_TOKEN_REVOKED", "REVOKE", &target, &more)]);
    assert_eq!(told(&patron, call()).await.1, [Value::Null; 0]);
}
