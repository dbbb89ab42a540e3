//! The audit trail (contract sections 9 and 11): what each event says, who may read it, and that nothing changes
//! without it.

use std::sync::Arc;

use patron::keys::{self, MasterKey};
use patron_core::clock::Clock as _;
use patron_core::id::PatId;
use patron_core::identity::{Draft, Identity};
use patron_core::name::TenantName;
use patron_core::time::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::callers::{DEFAULT, UNKNOWN, fresh_name, path_of, replace, unlimited};
use crate::support::{Call, Pat, Patron, Reply, START, basic, form, operator, run, run_json};

const PATS: &str = "/personal-access-tokens/v1";
const BULK: &str = "/personal-access-tokens/v1/bulk-update";
const PEER: &str = "192.0.2.7";

async fn list(patron: &Patron, query: &[(&str, &str)]) -> Reply {
    let uri = format!("/audit-events/v1?{}", form(query));
    patron.send_as(&patron.admin.basic(), Call::get(&uri)).await
}

/// The newest events of this name, as the API tells them.
async fn events(patron: &Patron, name: &str) -> Vec<Value> {
    let filter = format!(r#"technicalName eq "{name}""#);
    let rows = list(patron, &[("filters", &filter)]).await.expect(200).json();
    rows.as_array().unwrap().clone()
}

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

fn new_pat(name: &str) -> Call {
    Call::post(PATS).json(&json!({ "name": name, "scope": [DEFAULT], "userAwareTokenNeverExpires": true }))
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
        "userAwareTokenNeverExpires": events[0]["attributes"]["userAwareTokenNeverExpires"],
    });
    let mut more = more;
    if more["userAwareTokenNeverExpires"].is_null() {
        more.as_object_mut().unwrap().remove("userAwareTokenNeverExpires");
    }
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

fn exchange(pat: &Pat) -> Call {
    let secret = &pat.secret;
    let pairs = [("grant_type", "client_credentials"), ("client_id", &pat.id), ("client_secret", secret)];
    Call::post("/oauth/token").form(&pairs)
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
        ("UNKNOWN_CLIENT", "no id at all", 1),
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
    patron.app.store.set_password_hash(operator(), jane.tenant, jane.id, "$hash$".to_owned()).await.unwrap();
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

#[tokio::test]
async fn the_trail_is_filtered() {
    let patron = Patron::with(unlimited).await;
    let at = |seconds: i64| Timestamp::parse(START).unwrap().plus_seconds(seconds).to_string();
    let anna = patron.identity("anna", &[]).await.id.to_string();
    patron.pass_seconds(10);
    let bert = patron.identity("bert", &[]).await;
    patron.pass_seconds(10);
    patron.change(&bert, |bert| bert.enabled = false).await.unwrap();
    let bert = bert.id.to_string();
    let admin = patron.admin.owner.clone();
    patron.pass_seconds(10);
    patron.send_as(&patron.admin.basic(), new_pat("ci")).await.expect(200);
    let (zero, ten, twenty) = (at(0), at(10), at(20));
    let ident = "technicalName sw \"IDENTITY_\"";
    for (filter, expected) in [
        (ident.to_owned(), vec!["DISABLED bert", "CREATED bert", "CREATED anna", "CREATED admin"]),
        ("technicalName eq \"IDENTITY_DISABLED\"".to_owned(), vec!["DISABLED bert"]),
        ("technicalName eq \"identity_disabled\"".to_owned(), vec![]),
        (r#"technicalName in ("IDENTITY_DISABLED", "IDENTITY_ENABLED")"#.to_owned(), vec!["DISABLED bert"]),
        (format!("{ident} and created ge {ten}"), vec!["DISABLED bert", "CREATED bert"]),
        (format!("{ident} and created gt {ten}"), vec!["DISABLED bert"]),
        (format!("{ident} and created le {ten}"), vec!["CREATED bert", "CREATED anna", "CREATED admin"]),
        (format!("{ident} and created lt \"{ten}\""), vec!["CREATED anna", "CREATED admin"]),
        (format!("created eq {twenty}"), vec!["DISABLED bert"]),
        (format!("{ident} and created gt {zero} and created lt {twenty}"), vec!["CREATED bert"]),
        (format!("target.id eq \"{anna}\""), vec!["CREATED anna"]),
        (
            format!("target.id in (\"{anna}\",\"{bert}\")"),
            vec!["DISABLED bert", "CREATED bert", "CREATED anna"],
        ),
        (format!("target.id eq \"{anna}\" and target.id eq \"{bert}\""), vec![]),
        (format!("target.id eq \"{anna}\" or created eq {twenty}"), vec!["DISABLED bert", "CREATED anna"]),
        (
            format!("actor.id eq \"patron-admin\" and target.id eq \"{bert}\" and not created lt {twenty}"),
            vec!["DISABLED bert"],
        ),
        (format!("actor.id eq \"{admin}\" and {ident}"), vec![]),
        (
            format!("not (actor.id eq \"{admin}\") and {ident} and not target.id eq \"{bert}\""),
            vec!["CREATED anna", "CREATED admin"],
        ),
        (format!("actor.id eq \"{UNKNOWN}\""), vec![]),
    ] {
        let rows = list(&patron, &[("filters", &filter), ("count", "true")]).await.expect(200);
        let total = rows.header("x-total-count").unwrap().to_owned();
        let rows = rows.json();
        let rows = rows.as_array().unwrap();
        assert!(
            rows.iter().all(|row| row["technicalName"].as_str().unwrap().starts_with("IDENTITY_")),
            "{filter}"
        );
        let shown: Vec<String> = rows
            .iter()
            .map(|row| {
                let name = row["technicalName"].as_str().unwrap().trim_start_matches("IDENTITY_");
                format!("{name} {}", row["target"]["name"].as_str().unwrap())
            })
            .collect();
        assert_eq!(shown, expected, "{filter}");
        assert_eq!(total, expected.len().to_string(), "{filter}");
    }
    let by_admin = format!("actor.id eq \"{admin}\" and technicalName eq \"PERSONAL_ACCESS_TOKEN_CREATED\"");
    assert_eq!(list(&patron, &[("filters", &by_admin)]).await.json().as_array().unwrap().len(), 1);
    for (filter, names) in [
        ("status eq \"PASSED\"", "'status'"),
        ("created eq \"yesterday\"", "yesterday"),
        ("created in (\"2027-01-01T00:00:00Z\")", "'in'"),
        ("actor.id sw \"x\"", "'sw'"),
        ("actor.name eq \"x\"", "'actor.name'"),
        ("technicalName", "column"),
    ] {
        let text =
            list(&patron, &[("filters", filter)]).await.expect_error("400.1.3 Illegal value").message();
        assert!(text.contains(names), "{filter}: {text}");
    }
}

#[tokio::test]
async fn the_trail_is_paged_newest_first() {
    let patron = Patron::with(unlimited).await;
    let names: Vec<String> = (0..620).map(|_| fresh_name()).collect();
    for name in &names {
        patron.identity(name, &[]).await;
        patron.pass_seconds(1);
    }
    let newest: Vec<&String> = names.iter().rev().collect();
    let filter = ("filters", "technicalName eq \"IDENTITY_CREATED\" and created ge 2027-03-01T12:00:00Z");
    let page = async |limit: &str, offset: &str| {
        let query = [filter, ("limit", limit), ("offset", offset), ("count", "true")];
        let reply = list(&patron, &query).await.expect(200);
        // With the administrator, who was made first.
        assert_eq!(reply.header("x-total-count"), Some("621"));
        let rows = reply.json();
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row["target"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(page("3", "0").await.iter().collect::<Vec<_>>(), newest[..3]);
    assert_eq!(page("250", "400").await.iter().take(220).collect::<Vec<_>>(), newest[400..]);
    assert_eq!(page("250", "400").await[220], "admin");
    assert_eq!(page("", "499").await[..2].iter().collect::<Vec<_>>(), newest[499..501]);
    assert_eq!(page("1", "621").await, [""; 0]);
    let all = list(&patron, &[filter]).await.expect(200);
    assert_eq!((all.json().as_array().unwrap().len(), all.header("x-total-count")), (250, None));
    for wrong in [("limit", "251"), ("limit", "0"), ("offset", "x"), ("count", "1")] {
        list(&patron, &[wrong]).await.expect_error("400.0 Bad request syntax");
    }
}

/// No secret and no hash of one is in the trail.
#[tokio::test]
async fn the_trail_keeps_no_secret() {
    let patron = Patron::start().await;
    let made = patron.send_as(&patron.admin.basic(), new_pat("ci")).await.expect(200).json();
    let pat = Pat {
        id: made["id"].as_str().unwrap().to_owned(),
        secret: made["secret"].as_str().unwrap().to_owned(),
        owner: patron.admin.owner.clone(),
    };
    let bearer = patron.bearer(&pat).await;
    patron.send(exchange(&Pat { secret: "hunter2-hunter2".to_owned(), ..pat.clone() })).await.expect(401);
    patron.send_as(&bearer, Call::get("/tenant/v1")).await.expect(200);
    let trail = list(&patron, &[]).await.expect(200).text();
    assert!(trail.contains("WRONG_SECRET"));
    for secret in [&pat.secret[..], &patron.admin.secret, "hunter2", bearer.strip_prefix("Bearer ").unwrap()]
    {
        assert!(!trail.contains(secret));
    }
}

/// Every change there is, with a database that takes everything but events: none of them happens.
#[tokio::test]
async fn nothing_changes_without_its_record() {
    let patron = Patron::with(|settings| {
        unlimited(settings);
        settings.audit.every_use = true;
    })
    .await;
    let tenant = patron.tenant("default").await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let bearer = patron.bearer(&patron.admin).await;
    let token = patron.bearer(&pat).await;
    let new = json!({ "name": "short", "expirationDate": patron.in_seconds(60) });
    patron.send_as(&bearer, Call::post(PATS).json(&new)).await.expect(200);
    patron.app.recorder.flush().await.unwrap();

    let file = rusqlite::Connection::open(patron.dir.path().join("patron.db")).unwrap();
    let stop = "CREATE TRIGGER no_events BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'no'); END";
    file.execute_batch(stop).unwrap();
    let dump = || {
        let mut rows = Vec::new();
        for table in ["tenants", "identities", "pats", "deleted_pats", "revoked_tokens", "signing_keys"] {
            let mut all = file.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap();
            let columns = all.column_count();
            let found = all.query_map([], |row| {
                (0..columns).map(|n| row.get::<_, rusqlite::types::Value>(n)).collect::<Result<Vec<_>, _>>()
            });
            rows.extend(found.unwrap().map(Result::unwrap));
        }
        rows
    };
    let before = dump();
    let mine = path_of(&patron.admin.id);
    let user = format!("/auth-users/v1/{}", jane.id);
    for call in [
        new_pat("new"),
        Call::new("PATCH", &mine).json_patch(&replace("/name", &json!("new"))),
        Call::new("DELETE", &path_of(&pat.id)),
        Call::post(BULK).json(&json!({ "ids": [pat.id], "patch": crate::callers::expires() })),
        Call::new("PATCH", &user).json_patch(&replace("/capabilities", &json!(["HELPDESK"]))),
    ] {
        let what = format!("{} {}", call.method, call.uri);
        let reply = patron.send_as(&bearer, call).await.expect_error("500.0 Internal Fault");
        assert!(!reply.text().contains("no_events") && !reply.text().contains("ABORT"), "{what}");
    }
    // With the setting a use is a change, too: an exchange does not succeed unrecorded.
    let form = [("token", token.strip_prefix("Bearer ").unwrap())];
    for call in [exchange(&pat), Call::post("/oauth/revoke").auth(&patron.admin.basic()).form(&form)] {
        assert_eq!(patron.send(call).await.expect(500).json()["error"], "server_error");
    }
    patron.send_as(&pat.basic(), Call::get("/tenant/v1")).await.expect_error("500.0 Internal Fault");

    let store = &patron.app.store;
    let flipped = |identity: &Identity| Ok(Identity { enabled: !identity.enabled, ..identity.clone() });
    assert!(store.change_identity(operator(), tenant, jane.id, Arc::new(flipped)).await.is_err());
    assert!(store.delete_identity(operator(), tenant, jane.id).await.is_err());
    assert!(store.set_password_hash(operator(), tenant, jane.id, "x".to_owned()).await.is_err());
    let draft = Draft { name: "new".to_owned(), ..Draft::default() };
    assert!(store.create_identity(operator(), tenant, draft).await.is_err());
    assert!(store.create_tenant(operator(), TenantName::parse("new").unwrap()).await.is_err());
    let (now, master) = (patron.clock.now(), MasterKey::from_text(&"01".repeat(32)).ok().unwrap());
    let entropy = patron::system::SystemEntropy;
    let rotate = move |records: &[keys::KeyRecord]| keys::rotated(records, now, &master, &entropy);
    let rotate = Arc::new(rotate);
    assert!(store.rotate_signing_keys(operator(), tenant, rotate.clone()).await.is_err());
    patron.pass_seconds(60);
    assert!(patron::housekeeping::once(&patron.app).await.is_err());
    assert_eq!(dump(), before);

    // It was the trail alone that was in the way.
    file.execute_batch("DROP TRIGGER no_events").unwrap();
    patron.send_as(&bearer, new_pat("new")).await.expect(200);
    store.rotate_signing_keys(operator(), tenant, rotate).await.unwrap();
    assert_eq!(events(&patron, "SIGNING_KEY_ROTATED").await.len(), 1);
    patron::housekeeping::once(&patron.app).await.unwrap();
    assert_eq!(events(&patron, "PERSONAL_ACCESS_TOKEN_EXPIRED").await.len(), 1);
}

/// The command line leaves its own traces, and reads the trail with the same filters.
#[test]
fn the_command_line_is_audited() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path();
    let admin = |args: &[&str]| run_json(dir, &[&["admin"], args].concat());
    run_json(dir, &["bootstrap"]);
    let tenant = admin(&["tenant", "create", "--name", "acme"]);
    let jane = admin(&["identity", "create", "--name", "jane", "--level", "HELPDESK", "--tenant", "acme"]);
    let jane = jane["id"].as_str().unwrap();
    admin(&["identity", "set-levels", jane, "--level", "PLATFORM", "--tenant", "acme"]);
    let pat =
        admin(&["pat", "create", "--owner", jane, "--name", "ci", "--never-expires", "--tenant", "acme"]);
    let pat = pat["id"].as_str().unwrap();
    admin(&["pat", "revoke", pat, "--owner", jane, "--tenant", "acme"]);
    admin(&["identity", "disable", jane, "--tenant", "acme"]);
    admin(&["identity", "enable", jane, "--tenant", "acme"]);
    admin(&["identity", "delete", jane, "--tenant", "acme"]);
    let rotated = admin(&["keys", "rotate", "--tenant", "acme"]);
    let rows = admin(&["audit", "list", "--tenant", "acme"]);
    let told_of: Vec<[&str; 4]> = rows
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|row| {
            assert_eq!(
                row["actor"],
                json!({ "type": "SYSTEM", "id": "patron-admin", "name": "patron admin" })
            );
            assert_eq!((&row["tenant"], &row["ipAddress"]), (&json!("acme"), &Value::Null));
            let text =
                |value: &'_ Value| -> &str { Box::leak(value.as_str().unwrap().to_owned().into_boxed_str()) };
            [
                text(&row["technicalName"]),
                text(&row["operation"]),
                text(&row["target"]["type"]),
                text(&row["target"]["id"]),
            ]
        })
        .collect();
    let key = told_of.last().unwrap()[3];
    assert!(rotated.as_array().unwrap().iter().any(|listed| listed["kid"] == key), "{key} is a key");
    assert_eq!(
        told_of,
        [
            ["TENANT_CREATED", "CREATE", "TENANT", tenant["id"].as_str().unwrap()],
            ["IDENTITY_CREATED", "CREATE", "IDENTITY", jane],
            ["IDENTITY_UPDATED", "UPDATE", "IDENTITY", jane],
            ["PERSONAL_ACCESS_TOKEN_CREATED", "CREATE", "PERSONAL_ACCESS_TOKEN", pat],
            ["PERSONAL_ACCESS_TOKEN_DELETED", "DELETE", "PERSONAL_ACCESS_TOKEN", pat],
            ["IDENTITY_DISABLED", "DISABLE", "IDENTITY", jane],
            ["IDENTITY_ENABLED", "ENABLE", "IDENTITY", jane],
            ["IDENTITY_DELETED", "DELETE", "IDENTITY", jane],
            ["SIGNING_KEY_ROTATED", "ROTATE", "SIGNING_KEY", key],
        ]
    );
    let filter = format!(r#"target.id eq "{jane}" and technicalName sw "IDENTITY_D""#);
    let found = admin(&["audit", "list", "--tenant", "acme", "--filters", &filter]);
    assert_eq!(found.as_array().unwrap().len(), 2);
    let one = admin(&["audit", "list", "--tenant", "acme", "--limit", "1"]);
    assert_eq!(one[0]["technicalName"], "SIGNING_KEY_ROTATED");
    // The other tenant's trail has none of it.
    let default = admin(&["audit", "list"]);
    assert!(!default.to_string().contains(jane), "{default}");
    let wrong = run(dir, &["admin", "audit", "list", "--filters", "nonsense eq \"x\""]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("'nonsense'"));
}
