//! The audit trail (contract sections 9 and 11): what each event says, who may read it, and that nothing changes
//! without it.

use std::sync::Arc;

use patron::keys::{self, MasterKey};
use patron_core::clock::Clock as _;
use patron_core::identity::{Draft, Identity};
use patron_core::name::TenantName;
use patron_core::time::Timestamp;
use patron_store::pats::Use;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::callers::{DEFAULT, UNKNOWN, fresh_name, path_of, replace, unlimited};
use crate::support::{Call, Pat, Patron, Reply, START, form, operator, pat_id, run, run_json};

pub(crate) const PATS: &str = "/personal-access-tokens/v1";
pub(crate) const BULK: &str = "/personal-access-tokens/v1/bulk-update";

pub(crate) async fn list(patron: &Patron, query: &[(&str, &str)]) -> Reply {
    let uri = format!("/audit-events/v1?{}", form(query));
    patron.send_as(&patron.admin.basic(), Call::get(&uri)).await
}

/// The newest events of this name, as the API tells them.
pub(crate) async fn events(patron: &Patron, name: &str) -> Vec<Value> {
    let filter = format!(r#"technicalName eq "{name}""#);
    let rows = list(patron, &[("filters", &filter)]).await.expect(200).json();
    rows.as_array().unwrap().clone()
}

pub(crate) fn new_pat(name: &str) -> Call {
    Call::post(PATS).json(&json!({ "name": name, "scope": [DEFAULT], "userAwareTokenNeverExpires": true }))
}

pub(crate) fn exchange(pat: &Pat) -> Call {
    let secret = &pat.secret;
    let pairs = [("grant_type", "client_credentials"), ("client_id", &pat.id), ("client_secret", secret)];
    Call::post("/oauth/token").form(&pairs)
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

    let database = patron.database();
    database.forbid_inserting("audit_events", "1 = 1");
    let dump = || {
        let tables = ["tenants", "identities", "pats", "deleted_pats", "revoked_tokens", "signing_keys"];
        tables.map(|table| database.query(&format!("SELECT * FROM {table} ORDER BY 1, 2"), &[]))
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
    assert!(store.set_password_hash(operator(), tenant, jane.id, "x".to_owned(), false).await.is_err());
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
    database.allow();
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
    let told_of: Vec<[String; 4]> = rows
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
            let text = |value: &'_ Value| value.as_str().unwrap().to_owned();
            [
                text(&row["technicalName"]),
                text(&row["operation"]),
                text(&row["target"]["type"]),
                text(&row["target"]["id"]),
            ]
        })
        .collect();
    let key = told_of.last().unwrap()[3].as_str();
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

/// A use is recorded a little later than it happened, and stands in the trail where it happened.
#[tokio::test]
async fn the_trail_is_in_the_order_of_what_happened() {
    let patron = Patron::with(unlimited).await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    // The use of the credential that asks is in the trail by then.
    list(&patron, &[]).await.expect(200);
    patron.pass_seconds(10);
    let at = patron.clock.now();
    patron.pass_seconds(10);
    patron.identity("later", &[]).await;
    let used = Use { tenant: jane.tenant, pat: pat_id(&pat.id), at, context: operator(), always: true };
    patron.app.store.record_uses(vec![used]).await.unwrap();
    patron.pass_seconds(10);
    patron.identity("last", &[]).await;
    let names = async |filter: &str, limit: &str, offset: &str| {
        let rows = list(&patron, &[("filters", filter), ("limit", limit), ("offset", offset)]).await;
        let rows = rows.expect(200).json();
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row["target"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let after_start = format!("created gt {START}");
    assert_eq!(names(&after_start, "", "").await, ["last", "later", "ci"]);
    assert_eq!(names("", "3", "").await, ["last", "later", "ci"]);
    assert_eq!(names("", "1", "2").await, ["ci"]);
    assert_eq!(names(&format!("{after_start} and created le {at}"), "", "").await, ["ci"]);
    assert_eq!(names(&format!("created gt {at}"), "", "").await, ["last", "later"]);
}

/// What the filter or the page leaves out is not read at all: an event that cannot be read is not in the way.
#[tokio::test]
async fn the_trail_is_read_no_further_than_asked() {
    let patron = Patron::with(unlimited).await;
    let jane = patron.identity("jane", &[]).await;
    patron.pass_seconds(10);
    let from = patron.clock.now();
    patron.send_as(&patron.admin.basic(), new_pat("ci")).await.expect(200);
    patron.change(&jane, |jane| jane.enabled = false).await.unwrap();
    patron.app.recorder.flush().await.unwrap();
    let broken = "UPDATE audit_events SET attributes = 'x' WHERE target_name = 'admin'";
    assert_eq!(patron.database().execute(broken, &[]), 1, "the administrator's own making");
    let (jane, admin) = (jane.id.to_string(), &patron.admin.owner);
    let filters = |text: String| vec![("filters", text), ("count", "true".to_owned())];
    for (query, rows) in [
        (filters(format!("created ge {from}")), 3),
        (filters(format!("created ge {from} and not technicalName sw \"P\"")), 1),
        (filters(format!("target.id eq \"{jane}\"")), 2),
        (filters(format!("target.id eq \"{jane}\" and actor.id eq \"patron-admin\"")), 2),
        (filters(format!("actor.id eq \"{admin}\"")), 2),
        (filters("technicalName eq \"IDENTITY_DISABLED\"".to_owned()), 1),
        (filters(format!("target.id eq \"{admin}\" and target.id eq \"{jane}\"")), 0),
        (filters(format!("created lt {from} and created gt {from}")), 0),
        (vec![("limit", "2".to_owned())], 2),
        (vec![("limit", "1".to_owned()), ("offset", "2".to_owned())], 1),
    ] {
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = list(&patron, &query).await.expect(200);
        assert_eq!(reply.json().as_array().unwrap().len(), rows, "{query:?}");
        let total = (query[0].0 == "filters").then(|| rows.to_string());
        assert_eq!(reply.header("x-total-count"), total.as_deref(), "{query:?}");
    }
    for query in [("count", "true"), ("filters", "technicalName sw \"IDENTITY_\""), ("limit", "250")] {
        list(&patron, &[query]).await.expect_error("500.0 Internal Fault");
    }
}
