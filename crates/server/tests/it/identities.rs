//! Identities (contract sections 2 and 3): the public list, levels, the tenant, and what disabling, enabling and
//! deleting do to credentials.

use std::collections::HashSet;
use std::sync::Arc;

use patron::app::App;
use patron::keys::MasterKey;
use patron::system::SystemEntropy;
use patron_core::clock::Entropy;
use patron_core::identity::{Draft, Identity};
use patron_store::Store;
use serde_json::{Value, json};

use crate::callers::{ALL, RIGHT_SCOPES, UNKNOWN, fresh_name, replace, respelled, unlimited};
use crate::support::{Call, Pat, Patron, Reply, database_url, form, operator, run_json};

const PUBLIC: &str = "/public-identities/v1";

fn person(name: &str, display: &str, first: &str, last: &str, email: &str) -> Draft {
    let given = |text: &str| Some(text.to_owned());
    Draft {
        name: name.to_owned(),
        display_name: given(display),
        first_name: given(first),
        last_name: given(last),
        email: given(email),
        levels: Vec::new(),
    }
}

/// A few people besides the administrator, whose display names are in another order than their login names.
async fn people(patron: &Patron) -> Vec<Identity> {
    let mut made = Vec::new();
    for draft in [
        person("anna", "Zoë Ant", "Anna", "Ant", "anna@example.com"),
        person("bert", "Yves Bee", "Bert", "Bee", "bert@example.com"),
        person("bertha", "Xaver Bee", "Bertha", "Bee", "bertha@example.org"),
        person("o'neil \"x\\y\"", "W, (odd)", "", "", ""),
    ] {
        made.push(patron.identity_of("default", draft).await);
    }
    made
}

async fn list(patron: &Patron, query: &[(&str, &str)]) -> Reply {
    let uri = format!("{PUBLIC}?{}", form(query));
    patron.send_as(&patron.admin.basic(), Call::get(&uri)).await
}

async fn aliases(patron: &Patron, query: &[(&str, &str)]) -> Vec<String> {
    let rows = list(patron, query).await.expect(200).json();
    rows.as_array().unwrap().iter().map(|row| row["alias"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_public_identity_says_who_it_is_and_no_more() {
    let patron = Patron::start().await;
    let people = people(&patron).await;
    patron.change(&people[1], |bert| bert.enabled = false).await.unwrap();
    let rows = list(&patron, &[("filters", r#"alias sw "bert" or alias sw "o'""#)]).await.expect(200).json();
    let person = |n: usize, name: &str, alias: &str, email: Value, status: &str, state: &str| {
        json!({
            "id": people[n].id.to_string(),
            "name": name,
            "alias": alias,
            "email": email,
            "status": status,
            "identityState": state,
            "manager": null,
            "attributes": [],
        })
    };
    let inactive = "INACTIVE_LONG_TERM";
    assert_eq!(
        rows,
        json!([
            person(1, "Yves Bee", "bert", json!("bert@example.com"), "Inactive", inactive),
            person(2, "Xaver Bee", "bertha", json!("bertha@example.org"), "Active", "ACTIVE"),
            person(3, "W, (odd)", "o'neil \"x\\y\"", Value::Null, "Active", "ACTIVE"),
        ])
    );
}

#[tokio::test]
async fn identities_are_filtered() {
    let patron = Patron::with(unlimited).await;
    let people = people(&patron).await;
    let (anna, bert) = (people[0].id.to_string(), people[1].id.to_string());
    let odd = "o'neil \"x\\y\"";
    for (filter, expected) in [
        (String::new(), vec!["admin", "anna", "bert", "bertha", odd]),
        ("  ".to_owned(), vec!["admin", "anna", "bert", "bertha", odd]),
        (format!(r#"id eq "{anna}""#), vec!["anna"]),
        (format!("id eq {anna}"), vec!["anna"]),
        (format!(r#"id in ("{bert}", "{anna}")"#), vec!["anna", "bert"]),
        (format!(r#"id in ("{anna}","{anna}","{UNKNOWN}","x")"#), vec!["anna"]),
        (format!(r#"id eq "{}""#, anna.to_uppercase()), vec![]),
        (format!(r#"id eq "{anna}" and id eq "{bert}""#), vec![]),
        (format!(r#"id eq "{anna}" or id eq "{bert}""#), vec!["anna", "bert"]),
        (format!(r#"not id eq "{anna}" and not alias eq "admin""#), vec!["bert", "bertha", odd]),
        (r#"alias eq "bert""#.to_owned(), vec!["bert"]),
        (r#"alias eq "Bert""#.to_owned(), vec![]),
        (r#"alias sw "bert""#.to_owned(), vec!["bert", "bertha"]),
        (r#"alias eq "o'neil \"x\\y\"""#.to_owned(), vec![odd]),
        (r#"email eq "anna@example.com""#.to_owned(), vec!["anna"]),
        (r#"email sw "bert""#.to_owned(), vec!["bert", "bertha"]),
        (r#"firstname eq "Anna""#.to_owned(), vec!["anna"]),
        (r#"firstname sw "Bert""#.to_owned(), vec!["bert", "bertha"]),
        (r#"lastname eq "Bee""#.to_owned(), vec!["bert", "bertha"]),
        (r#"lastname sw "B" and firstname eq "Bert""#.to_owned(), vec!["bert"]),
        (r#"lastname sw "A" or lastname sw "B" and firstname eq "Bert""#.to_owned(), vec!["anna", "bert"]),
        (r#"(lastname sw "A" or lastname sw "B") and firstname eq "Bert""#.to_owned(), vec!["bert"]),
        // Who has no mail address matches no comparison, and so every negated one.
        (r#"email sw """#.to_owned(), vec!["anna", "bert", "bertha"]),
        (r#"not email sw "b""#.to_owned(), vec!["admin", "anna", odd]),
        (r#"not (alias sw "b" or alias sw "a")"#.to_owned(), vec![odd]),
    ] {
        assert_eq!(aliases(&patron, &[("filters", &filter)]).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn a_wrong_filter_says_what_is_wrong() {
    let patron = Patron::start().await;
    for (filter, names) in [
        (r#"name eq "x""#, "'name'"),
        (r#"id sw "x""#, "sw"),
        (r#"alias in ("x")"#, "in"),
        (r#"alias co "x""#, "co"),
        (r#"alias EQ "x""#, "EQ"),
        (r#"ALIAS eq "x""#, "ALIAS"),
        (r#"alias eq "x"#, "column"),
        (r#"(alias eq "x""#, "column"),
        ("id in ()", "column"),
        (r#"alias eq "a" AND alias eq "b""#, "AND"),
    ] {
        let reply = list(&patron, &[("filters", filter)]).await;
        let text = reply.expect_error("400.1.3 Illegal value").message();
        assert!(text.contains(names), "{filter}: {text}");
    }
    for (query, code) in [
        ([("sorters", "alias")], "400.1.3 Illegal value"),
        ([("sorters", "name,name")], "400.1.3 Illegal value"),
        ([("limit", "251")], "400.0 Bad request syntax"),
        ([("limit", "0")], "400.0 Bad request syntax"),
        ([("offset", "-1")], "400.0 Bad request syntax"),
        ([("count", "yes")], "400.0 Bad request syntax"),
    ] {
        list(&patron, &query).await.expect_error(code);
    }
}

#[tokio::test]
async fn identities_are_sorted_and_paged() {
    let patron = Patron::start().await;
    people(&patron).await;
    let odd = "o'neil \"x\\y\"";
    let by_login = ["admin", "anna", "bert", "bertha", odd];
    // By display name: Administrator, W, Xaver, Yves, Zoë.
    let by_name = ["admin", odd, "bertha", "bert", "anna"];
    assert_eq!(aliases(&patron, &[]).await, by_login);
    assert_eq!(aliases(&patron, &[("sorters", "name")]).await, by_name);
    let mut turned = by_name;
    turned.reverse();
    assert_eq!(aliases(&patron, &[("sorters", "-name")]).await, turned);
    let page = [("sorters", "name"), ("limit", "2"), ("offset", "1"), ("count", "true")];
    assert_eq!(aliases(&patron, &page).await, by_name[1..3]);
    let reply = list(&patron, &page).await;
    assert_eq!(reply.header("x-total-count"), Some("5"));
    // The count is that of the filter, not that of the page.
    let page = [("filters", r#"alias sw "b""#), ("limit", "1"), ("count", "true")];
    assert_eq!(list(&patron, &page).await.header("x-total-count"), Some("2"));
    assert_eq!(aliases(&patron, &[("offset", "5")]).await, [""; 0]);
    assert_eq!(list(&patron, &[("limit", "1")]).await.header("x-total-count"), None);
}

/// A page has 250 at most, and pages put together have everybody once.
#[tokio::test]
async fn many_identities_are_all_there() {
    let patron = Patron::with(unlimited).await;
    for _ in 0..600 {
        patron.identity(&fresh_name(), &[]).await;
    }
    assert_eq!(aliases(&patron, &[]).await.len(), 250);
    let mut all = Vec::new();
    for offset in ["0", "250", "500", "750"] {
        all.extend(aliases(&patron, &[("limit", "250"), ("offset", offset)]).await);
    }
    assert_eq!(all.len(), 601);
    all.dedup();
    assert_eq!(all.len(), 601);
    let found = aliases(&patron, &[("filters", r#"alias sw "made ""#), ("limit", "3")]).await;
    assert_eq!(found.len(), 3);
}

/// What the page or the filter leaves out is not read at all: an identity that cannot be read is not in the way.
#[tokio::test]
async fn identities_are_read_no_further_than_asked() {
    let patron = Patron::start().await;
    people(&patron).await;
    patron.database().execute("UPDATE identities SET levels = 'x' WHERE name = 'bertha'", &[]);
    let odd = "o'neil \"x\\y\"";
    for (query, expected) in [
        (&[("limit", "3")][..], &["admin", "anna", "bert"][..]),
        (&[("limit", "1"), ("offset", "2")], &["bert"]),
        (&[("limit", "2"), ("sorters", "name")], &["admin", odd]),
        (&[("limit", "2"), ("sorters", "-name")], &["anna", "bert"]),
        (&[("filters", r#"alias eq "bert""#), ("count", "true")], &["bert"]),
        (&[("filters", r#"alias eq "bert" and alias eq "bertha""#), ("count", "true")], &[]),
    ] {
        assert_eq!(aliases(&patron, query).await, expected, "{query:?}");
    }
    for query in [("limit", "4"), ("count", "true"), ("filters", r#"alias sw "bert""#)] {
        list(&patron, &[query]).await.expect_error("500.0 Internal Fault");
    }
}

/// More than are read at a time, of whom many have the same display name.
#[tokio::test]
async fn many_identities_are_paged_in_every_order() {
    let patron = Patron::with(unlimited).await;
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 2199) \
               INSERT INTO identities (id, tenant, name, display_name, first_name, last_name, email, levels, enabled, \
               generation, password_hash, created) SELECT randomblob(16), 1, 'p' || i, 'name ' || i / 700, '', '', '', '[]', 1, \
               0, NULL, 0 FROM n";
    assert_eq!(patron.database().execute(sql, &[]), 1_200);
    let display = |row: &Value| row["name"].as_str().unwrap().to_owned();
    let mut listed = Vec::new();
    for sorters in ["", "name", "-name"] {
        let mut rows: Vec<Value> = Vec::new();
        for offset in ["0", "250", "500", "750", "1000", "1250"] {
            let query = [("sorters", sorters), ("limit", "250"), ("offset", offset), ("count", "true")];
            let reply = list(&patron, &query).await.expect(200);
            assert_eq!(reply.header("x-total-count"), Some("1201"));
            rows.extend(reply.json().as_array().unwrap().clone());
        }
        let ids: HashSet<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!((rows.len(), ids.len()), (1_201, 1_201), "{sorters}");
        listed.push(rows);
    }
    assert!(listed[0].is_sorted_by_key(|row| row["alias"].as_str().unwrap().to_owned()));
    assert!(listed[1].is_sorted_by_key(display));
    listed[1].reverse();
    assert!(listed[1] == listed[2], "one order is the other turned round");

    let admin = run_json(patron.dir.path(), &["admin", "identity", "list"]);
    let names = |rows: &[Value], field: &str| {
        rows.iter().map(|row| row[field].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(admin.as_array().unwrap(), "name"), names(&listed[0], "alias"));
}

/// Whoever has any good credential may look: it is what `sp:scopes:default` is for.
#[tokio::test]
async fn everyone_may_look_at_identities_and_the_tenant() {
    let patron = Patron::start().await;
    let pat = patron.caller(&[], &["sp:scopes:default"]).await;
    for auth in [pat.basic(), patron.bearer(&pat).await] {
        let rows = patron.send_as(&auth, Call::get(PUBLIC)).await.expect(200).json();
        assert_eq!(rows.as_array().unwrap().len(), 2);
        let tenant = patron.send_as(&auth, Call::get("/tenant/v1")).await.expect(200).json();
        let info = patron.send(Call::get("/oauth/info")).await.expect(200).json();
        assert_eq!(
            tenant,
            json!({
                "id": info["tenantId"],
                "name": "default",
                "fullName": "default",
                "pod": "local",
                "region": "",
                "description": "",
                "products": [],
            })
        );
    }
}

#[tokio::test]
async fn an_auth_user_is_shown_with_its_levels() {
    let patron = Patron::start().await;
    let mut draft = person("jane", "Jane Doe", "Jane", "Doe", "jane@example.com");
    draft.levels = vec!["CERT_ADMIN".to_owned(), "HELPDESK".to_owned()];
    let jane = patron.identity_of("default", draft).await;
    let auth = patron.admin.basic();
    let user = |id: &str| Call::get(&format!("/auth-users/v1/{id}"));
    let shown = patron.send_as(&auth, user(&jane.id.to_string())).await.expect(200).json();
    let full = json!({
        "tenant": "default",
        "id": jane.id.to_string(),
        "uid": "jane",
        "alias": "jane",
        "email": "jane@example.com",
        "firstname": "Jane",
        "lastname": "Doe",
        "displayName": "Jane Doe",
        "capabilities": ["CERT_ADMIN", "HELPDESK"],
    });
    assert_eq!(shown, full);
    let admin = patron.send_as(&auth, user(&patron.admin.owner)).await.expect(200).json();
    assert_eq!((&admin["email"], &admin["firstname"]), (&Value::Null, &Value::Null));
    for id in [UNKNOWN, "x", "%00", "JANE", &jane.id.to_string().to_uppercase()] {
        let reply = patron.send_as(&auth, user(id)).await.expect_error("404 Not found");
        assert_eq!(reply.message(), "There is no such identity.");
    }
    // The scopes that give this, in both spellings, and in a token that was narrowed to one.
    for scope in [RIGHT_SCOPES[8], RIGHT_SCOPES[9], ALL] {
        for scope in [scope.to_owned(), respelled(scope)] {
            let call = Call::post("/oauth/token").auth(&auth);
            let call = call.form(&[("grant_type", "client_credentials"), ("scope", &scope)]);
            let reply = patron.send(call).await;
            if scope == "idn:scopes:all" {
                // That one has a single spelling.
                assert_eq!(reply.expect(400).json()["error"], "invalid_scope");
                continue;
            }
            let token = reply.expect(200).json()["access_token"].as_str().unwrap().to_owned();
            let shown = patron.send_as(&format!("Bearer {token}"), user(&jane.id.to_string())).await;
            assert_eq!(shown.expect(200).json(), full);
        }
    }
}

#[tokio::test]
async fn levels_are_patched() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &["CERT_ADMIN"]).await;
    let uri = format!("/auth-users/v1/{}", jane.id);
    let patch = async |patch: &Value| {
        patron.send_as(&patron.admin.basic(), Call::new("PATCH", &uri).json_patch(patch)).await
    };
    for (change, levels) in [
        (json!([]), vec!["CERT_ADMIN"]),
        (replace("/capabilities", &json!(["HELPDESK", "ORG_ADMIN"])), vec!["HELPDESK", "ORG_ADMIN"]),
        (
            json!([{ "op": "add", "path": "/capabilities/-", "value": "USER" }]),
            vec!["HELPDESK", "ORG_ADMIN", "USER"],
        ),
        (json!([{ "op": "remove", "path": "/capabilities/1" }]), vec!["HELPDESK", "USER"]),
        (json!([{ "op": "add", "path": "/capabilities/0", "value": "USER" }]), vec!["USER", "HELPDESK"]),
        (
            json!([
                { "op": "test", "path": "/capabilities/0", "value": "USER" },
                { "op": "replace", "path": "/capabilities/0", "value": "ROLE_ADMIN" },
            ]),
            vec!["ROLE_ADMIN", "HELPDESK"],
        ),
        (replace("/capabilities", &json!([])), vec![]),
    ] {
        let shown = patch(&change).await.expect(200).json();
        assert_eq!(shown["capabilities"], json!(levels), "{change}");
        assert_eq!(patron.identity_now("default", &jane.id.to_string()).await.unwrap().levels, levels);
    }
    for (change, code) in [
        (replace("/capabilities", &json!(["KING"])), "400.1.3 Illegal value"),
        (replace("/capabilities", &json!(["org_admin"])), "400.1.3 Illegal value"),
        (replace("/capabilities", &json!("ORG_ADMIN")), "400.1.3 Illegal value"),
        (replace("/capabilities", &json!([1])), "400.1.3 Illegal value"),
        (json!([{ "op": "test", "path": "/capabilities", "value": ["X"] }]), "400.1 Bad Request Content"),
        (json!({ "capabilities": ["ORG_ADMIN"] }), "400.0 Bad request syntax"),
    ] {
        patch(&change).await.expect_error(code);
    }
    for field in ["id", "alias", "uid", "enabled", "email", "displayName", "password"] {
        let reply = patch(&replace(&format!("/{field}"), &json!("x"))).await;
        let text = reply.expect_error("400.1 Bad Request Content").message();
        assert_eq!(text, format!("Field '{field}' is not patchable."));
    }
    let many: Vec<String> = (0..40).map(|n| format!("L{n}")).collect();
    patch(&replace("/capabilities", &json!(many))).await.expect_error("400.1.3 Illegal value");
    assert_eq!(patron.identity_now("default", &jane.id.to_string()).await.unwrap().levels, [""; 0]);
    let nobody = Call::new("PATCH", &format!("/auth-users/v1/{UNKNOWN}")).json_patch(&json!([]));
    patron.send_as(&patron.admin.basic(), nobody).await.expect_error("404 Not found");
}

/// Levels count as they are now, for access tokens that were made before as well.
#[tokio::test]
async fn a_changed_level_counts_from_the_next_request() {
    let patron = Patron::start().await;
    let pat = patron.caller(&["HELPDESK"], &[]).await;
    let bearer = patron.bearer(&pat).await;
    let uri = format!("/auth-users/v1/{}", pat.owner);
    let set = async |levels: &[&str]| {
        let call = Call::new("PATCH", &uri).json_patch(&replace("/capabilities", &json!(levels)));
        patron.send_as(&patron.admin.basic(), call).await.expect(200);
    };
    for (levels, status) in [(&["ORG_ADMIN"][..], 200), (&[], 403), (&["HELPDESK", "ORG_ADMIN"], 200)] {
        set(levels).await;
        for auth in [&bearer, &pat.basic()] {
            let reply = patron.send_as(auth, Call::get("/audit-events/v1")).await;
            assert_eq!(reply.status.as_u16(), status, "{levels:?}");
        }
    }
}

/// Every way to use a credential, and whether it works.
async fn works(patron: &Patron, pat: &Pat, bearer: &str) -> [bool; 5] {
    let ok = |reply: &Reply| reply.status.is_success();
    let exchange = Call::post("/oauth/token").form(&[
        ("grant_type", "client_credentials"),
        ("client_id", &pat.id),
        ("client_secret", &pat.secret),
    ]);
    let token = bearer.strip_prefix("Bearer ").unwrap();
    let introspect = Call::post("/oauth/introspect").auth(&patron.admin.basic()).form(&[("token", token)]);
    [
        ok(&patron.send(exchange).await),
        ok(&patron.send_as(&pat.basic(), Call::get(PUBLIC)).await),
        ok(&patron.send_as(bearer, Call::get(PUBLIC)).await),
        ok(&patron.send_as(bearer, Call::get("/forward-auth")).await),
        patron.send(introspect).await.expect(200).json()["active"] == true,
    ]
}

#[tokio::test]
async fn disabling_ends_everything_and_enabling_revives_the_pats() {
    let patron = Patron::with(unlimited).await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let managed = patron.managed_pat(&jane, "flow", &[]).await;
    let (old, old_managed) = (patron.bearer(&pat).await, patron.bearer(&managed).await);
    assert_eq!(works(&patron, &pat, &old).await, [true; 5]);
    assert_eq!(works(&patron, &managed, &old_managed).await, [true; 5]);

    patron.change(&jane, |jane| jane.enabled = false).await.unwrap();
    assert_eq!(works(&patron, &pat, &old).await, [false; 5]);
    assert_eq!(works(&patron, &managed, &old_managed).await, [false; 5]);
    let form = [("grant_type", "client_credentials")];
    let told =
        patron.send(Call::post("/oauth/token").auth(&pat.basic()).form(&form)).await.expect(401).json();
    let text = "The owner of the personal access token is disabled.";
    assert_eq!(told, json!({ "error": "invalid_client", "error_description": text }));
    // They are still there to be seen.
    let uri = format!("/personal-access-tokens/v1?owner-id={}", jane.id);
    let listed = patron.send_as(&patron.admin.basic(), Call::get(&uri)).await.expect(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 2);

    patron.change(&jane, |jane| jane.enabled = true).await.unwrap();
    // The PATs work again; access tokens from before stay dead, new ones work.
    assert_eq!(works(&patron, &pat, &old).await, [true, true, false, false, false]);
    let new = patron.bearer(&pat).await;
    assert_eq!(works(&patron, &pat, &new).await, [true; 5]);
    // Enabling what is enabled changes nothing.
    patron.change(&jane, |jane| jane.enabled = true).await.unwrap();
    assert_eq!(works(&patron, &pat, &new).await, [true; 5]);
}

#[tokio::test]
async fn deleting_ends_everything_for_good() {
    let patron = Patron::with(unlimited).await;
    let jane = patron.identity("jane", &["ORG_ADMIN"]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let bearer = patron.bearer(&pat).await;
    assert_eq!(works(&patron, &pat, &bearer).await, [true; 5]);
    patron.app.store.delete_identity(operator(), jane.tenant, jane.id).await.unwrap();
    assert_eq!(works(&patron, &pat, &bearer).await, [false; 5]);
    let form = [("grant_type", "client_credentials")];
    let told =
        patron.send(Call::post("/oauth/token").auth(&pat.basic()).form(&form)).await.expect(401).json();
    assert_eq!(told["error_description"], "The personal access token was deleted.");
    let auth = patron.admin.basic();
    for uri in [format!("/auth-users/v1/{}", jane.id), crate::callers::path_of(&pat.id)] {
        patron.send_as(&auth, Call::get(&uri)).await.expect_error("404 Not found");
    }
    let uri = format!("/personal-access-tokens/v1?owner-id={}", jane.id);
    assert_eq!(patron.send_as(&auth, Call::get(&uri)).await.expect(200).json(), json!([]));
    assert_eq!(aliases(&patron, &[]).await, ["admin"]);
    // The name is free again, and whoever takes it is somebody else.
    let again = patron.identity("jane", &[]).await;
    assert_ne!(again.id, jane.id);
    assert_eq!(works(&patron, &pat, &bearer).await, [false; 5]);
}

/// Another node over the same database.
async fn second_node(patron: &Patron) -> Patron {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let url = database_url(patron.dir.path());
    let store = Store::open(&url, patron.clock.clone(), entropy.clone(), patron.clock.clone()).await.unwrap();
    let master = MasterKey::from_text(&"01".repeat(32)).ok().unwrap();
    let settings = Arc::clone(&patron.app.settings);
    let app = App::build(settings, store, master, patron.clock.clone(), entropy, patron.clock.clone())
        .await
        .ok()
        .unwrap();
    let dir = tempfile::TempDir::new().unwrap();
    Patron::of(Arc::new(app), patron.clock.clone(), patron.admin.clone(), dir).await
}

#[tokio::test]
async fn every_node_honours_a_change_from_the_next_request_on() {
    let patron = Patron::with(unlimited).await;
    let other = second_node(&patron).await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let bearer = patron.bearer(&pat).await;
    for node in [&other, &patron] {
        assert_eq!(works(node, &pat, &bearer).await, [true; 5]);
    }
    other.change(&jane, |jane| jane.enabled = false).await.unwrap();
    for node in [&patron, &other] {
        assert_eq!(works(node, &pat, &bearer).await, [false; 5]);
    }
    patron.change(&jane, |jane| jane.enabled = true).await.unwrap();
    for node in [&other, &patron] {
        assert_eq!(works(node, &pat, &bearer).await, [true, true, false, false, false]);
    }
    // Levels, too.
    patron.change(&jane, |jane| jane.levels = vec!["ORG_ADMIN".to_owned()]).await.unwrap();
    other.send_as(&pat.basic(), Call::get("/audit-events/v1")).await.expect(200);
    other.change(&jane, |jane| jane.levels.clear()).await.unwrap();
    patron.send_as(&pat.basic(), Call::get("/audit-events/v1")).await.expect(403);
    other.app.store.delete_identity(operator(), jane.tenant, jane.id).await.unwrap();
    assert_eq!(works(&patron, &pat, &bearer).await, [false; 5]);
}
