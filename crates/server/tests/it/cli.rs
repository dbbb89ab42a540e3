//! The command line: what each command says and where, how it ends, and that a running service honours it from the
//! next request on (contract sections 1, 11 and 12).

use std::fs;
use std::io::Write as _;
use std::process::{Output, Stdio};

use patron_core::time::Timestamp;
use serde_json::{Value, json};

use crate::serving::Folder;
use crate::support::{Call, Server, basic, patron, run, run_json};

const PATS: &str = "/personal-access-tokens/v1";

/// Runs `patron admin …` with `--json`, and gives its answer.
#[track_caller]
fn admin(folder: &Folder, args: &[&str]) -> Value {
    run_json(&folder.data, &[&["admin"], args].concat())
}

/// Runs `patron admin …` that must fail so; gives what it says on stderr. Nothing may be on stdout, with `--json`
/// or without.
#[track_caller]
fn admin_fails(folder: &Folder, args: &[&str], code: i32) -> String {
    let with_json = [&["--json", "admin"], args].concat();
    let without = [&["admin"], args].concat();
    let mut said = String::new();
    for args in [with_json, without] {
        let Output { status, stdout, stderr } = run(&folder.data, &args);
        said = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}: {said}");
        assert!(stdout.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&stdout));
        assert!(!said.trim().is_empty() && !said.contains("panicked"), "{args:?}: {said}");
    }
    said
}

/// Runs a command without `--json` that must succeed: its stdout and its stderr.
#[track_caller]
fn plain(folder: &Folder, args: &[&str]) -> (String, String) {
    let Output { status, stdout, stderr } = run(&folder.data, args);
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(0), "{args:?}: {stderr}");
    (stdout, stderr)
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field}: {value}")).to_owned()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Sets a password, which comes on stdin.
fn set_password(folder: &Folder, id: &str, typed: &str) -> Output {
    let mut command = patron(&folder.data);
    command.args(["admin", "identity", "set-password", id, "--json"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn password_hash(folder: &Folder, id: &str) -> Option<String> {
    let sql = "SELECT password_hash FROM identities WHERE id = $1";
    let row = folder.database().row(sql, &[hex::decode(id).unwrap().into()]);
    row.opt_text(0).unwrap().map(str::to_owned)
}

#[test]
fn bootstrap_writes_what_it_made_for_its_owner_alone() {
    let folder = Folder::new();
    let made = run_json(&folder.data, &["bootstrap"]);
    assert_eq!(
        keys(&made),
        ["baseUrl", "clientId", "clientSecret", "identityId", "password", "tenant", "userName"]
    );
    assert_eq!(made, folder.bootstrap());
    assert_eq!((&made["tenant"], &made["userName"]), (&json!("default"), &json!("admin")));
    assert_eq!(made["baseUrl"], "http://127.0.0.1:8080");

    let server = Server::start(&folder.data, &[]);
    let (id, secret) = folder.id_and_secret();
    let own = server.send(Call::get(&format!("{PATS}/{id}")).auth(&basic(&id, &secret))).expect(200).json();
    assert_eq!((&own["name"], &own["scope"]), (&json!("bootstrap"), &json!(["sp:scopes:all"])));
    assert_eq!(own["owner"]["id"], made["identityId"]);
    let millis = |date: &Value| Timestamp::parse(date.as_str().unwrap()).unwrap().millis();
    let lives = millis(&own["expirationDate"]) - millis(&own["created"]);
    assert!((lives - 30 * 86_400_000).abs() < 86_400_000 / 100, "{lives} ms");

    // A second one is refused and changes nothing.
    let output = run(&folder.data, &["bootstrap", "--json"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("there was a bootstrap before; use --reset-admin"), "{said}");
    assert_eq!(made, folder.bootstrap());
}

#[test]
fn bootstrap_tells_no_secret_where_no_terminal_is() {
    let folder = Folder::new();
    let (stdout, stderr) = plain(&folder, &["bootstrap"]);
    assert_eq!(stdout, "");
    assert!(stderr.contains("bootstrap.json"), "{stderr}");
    for secret in ["password", "clientSecret"] {
        assert!(!stderr.contains(&text(&folder.bootstrap(), secret)));
    }
}

#[test]
fn reset_admin_replaces_the_password_and_the_pat_of_a_running_service() {
    let folder = Folder::new();
    let server = Server::start(&folder.data, &[]);
    let before = folder.bootstrap();
    let (old_id, old_secret) = folder.id_and_secret();
    let (old_basic, old_bearer) = (basic(&old_id, &old_secret), server.bearer(&old_id, &old_secret));
    // A new name saves nobody who should not have it.
    let renamed = json!([{ "op": "replace", "path": "/name", "value": "renamed" }]);
    server
        .send(Call::new("PATCH", &format!("{PATS}/{old_id}")).auth(&old_basic).json_patch(&renamed))
        .expect(200);
    let owner = text(&before, "identityId");
    let old_hash = password_hash(&folder, &owner).unwrap();
    // What the administrator made otherwise stays.
    let kept = admin(&folder, &["pat", "create", "--owner", &owner, "--name", "kept", "--never-expires"]);
    // Even one who cannot help himself any more is helped.
    let other = admin(&folder, &["identity", "create", "--name", "second", "--level", "ORG_ADMIN"]);
    admin(&folder, &["identity", "set-levels", &owner, "--level", "USER"]);
    admin(&folder, &["identity", "disable", &owner]);

    let made = run_json(&folder.data, &["bootstrap", "--reset-admin"]);
    assert_eq!((&made["identityId"], &made["userName"]), (&before["identityId"], &before["userName"]));
    assert_eq!(made, folder.bootstrap());
    for field in ["password", "clientId", "clientSecret"] {
        assert_ne!(made[field], before[field], "{field}");
    }
    // From the next request on.
    server.send(Call::get(PATS).auth(&old_basic)).expect(401);
    server.send(Call::get(PATS).auth(&old_bearer)).expect(401);
    server.send(Call::get("/forward-auth").auth(&old_basic)).expect(401);
    let form = [("grant_type", "client_credentials"), ("client_id", &old_id), ("client_secret", &old_secret)];
    server.send(Call::post("/oauth/token").form(&form)).expect(401);
    let list = server.send(Call::get(PATS).auth(&folder.basic())).expect(200).json();
    let names: Vec<&Value> = list.as_array().unwrap().iter().map(|pat| &pat["name"]).collect();
    assert_eq!(names, [&kept["name"], &json!("bootstrap")]);
    assert_ne!(password_hash(&folder, &owner).unwrap(), old_hash);
    let shown = admin(&folder, &["identity", "show", &owner]);
    assert_eq!((&shown["enabled"], &shown["levels"]), (&json!(true), &json!(["USER", "ORG_ADMIN"])));

    // Also when it was deleted.
    assert_eq!(other["enabled"], true);
    admin(&folder, &["identity", "delete", &owner]);
    let anew = run_json(&folder.data, &["bootstrap", "--reset-admin"]);
    assert_ne!(anew["identityId"], made["identityId"]);
    server.send(Call::get(PATS).auth(&folder.basic())).expect(200);
    // It opens no signing key, so it helps also where the master key is not at hand.
    let key = folder.data.join("master.key");
    std::fs::remove_file(&key).unwrap();
    let without = run_json(&folder.data, &["bootstrap", "--reset-admin"]);
    assert_ne!(without["password"], anew["password"]);
    server.send(Call::get(PATS).auth(&folder.basic())).expect(200);
    assert!(!key.exists(), "another key would open nothing");
    // On an empty database it is a bootstrap like any other.
    let empty = Folder::new();
    run_json(&empty.data, &["bootstrap", "--reset-admin"]);
}

#[test]
fn of_bootstraps_at_once_one_wins() {
    for _ in 0..3 {
        let folder = Folder::new();
        let outputs: Vec<Output> = std::thread::scope(|scope| {
            let started: Vec<_> =
                (0..4).map(|_| scope.spawn(|| run(&folder.data, &["bootstrap", "--json"]))).collect();
            started.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let (won, lost): (Vec<_>, Vec<_>) = outputs.iter().partition(|output| output.status.success());
        assert_eq!((won.len(), lost.len()), (1, 3), "{outputs:?}");
        for output in lost {
            assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("there was a bootstrap before"), "{said}");
        }
        assert_eq!(serde_json::from_slice::<Value>(&won[0].stdout).unwrap(), folder.bootstrap());
        let server = Server::start(&folder.data, &[]);
        server.send(Call::get(PATS).auth(&folder.basic())).expect(200);
        // Nothing of the losers is left lying about.
        let files: Vec<_> = fs::read_dir(&folder.data).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(!files.iter().any(|file| file.to_string_lossy().starts_with("bootstrap.json.")), "{files:?}");
        drop(server);
    }
}

#[test]
fn identities() {
    let folder = Folder::new();
    let server = Server::start(&folder.data, &[]);
    let jane = admin(
        &folder,
        &[
            "identity",
            "create",
            "--name",
            "jane",
            "--display-name",
            "Jane Doe",
            "--first-name",
            "Jane",
            "--last-name",
            "Doe",
            "--email",
            "jane@example.com",
            "--level",
            "CERT_ADMIN",
            "--level",
            "HELPDESK",
        ],
    );
    let id = text(&jane, "id");
    assert_eq!(
        jane,
        json!({
            "id": id, "name": "jane", "displayName": "Jane Doe", "firstname": "Jane", "lastname": "Doe",
            "email": "jane@example.com", "levels": ["CERT_ADMIN", "HELPDESK"], "enabled": true,
            "created": jane["created"],
        })
    );
    assert_eq!((id.len(), text(&jane, "created").len()), (32, 24));
    let plainest = admin(&folder, &["identity", "create", "--name", "service"]);
    assert_eq!((&plainest["displayName"], &plainest["email"]), (&json!("service"), &json!(null)));
    assert_eq!(plainest["levels"], json!([]));

    assert_eq!(admin(&folder, &["identity", "show", &id]), jane);
    let list = admin(&folder, &["identity", "list"]);
    let names: Vec<_> = list.as_array().unwrap().iter().map(|one| text(one, "name")).collect();
    assert_eq!(names, ["admin", "jane", "service"]);
    let (table, stderr) = plain(&folder, &["admin", "identity", "list"]);
    assert_eq!(stderr, "");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("id ") && lines[0].ends_with("enabled"), "{table}");
    assert!(lines[2].starts_with(&id) && lines[2].contains("CERT_ADMIN HELPDESK"), "{table}");
    let (shown, _) = plain(&folder, &["admin", "identity", "show", &id]);
    assert!(shown.contains(&format!("id: {id}\n")) && shown.contains("displayName: Jane Doe\n"), "{shown}");

    // Levels count from the next request on.
    let pat = admin(&folder, &["pat", "create", "--owner", &id, "--name", "ci", "--never-expires"]);
    let credential = basic(&text(&pat, "id"), &text(&pat, "secret"));
    let bearer = server.bearer(&text(&pat, "id"), &text(&pat, "secret"));
    let everyones = |credential: &str| server.send(Call::get(PATS).auth(credential)).status.as_u16();
    assert_eq!((everyones(&credential), everyones(&bearer)), (403, 403));
    let changed = admin(&folder, &["identity", "set-levels", &id, "--level", "ORG_ADMIN"]);
    assert_eq!(changed["levels"], json!(["ORG_ADMIN"]));
    assert_eq!((everyones(&credential), everyones(&bearer)), (200, 200));
    let changed = admin(&folder, &["identity", "set-levels", &id, "--level", "USER"]);
    assert_eq!(changed["levels"], json!(["USER"]));
    assert_eq!((everyones(&credential), everyones(&bearer)), (403, 403));

    // Disabled: refused; enabled: the PAT works again, access tokens of before stay dead.
    let mine = |credential: &str| {
        server.send(Call::get(&format!("{PATS}?owner-id=me")).auth(credential)).status.as_u16()
    };
    assert_eq!((mine(&credential), mine(&bearer)), (200, 200));
    assert_eq!(admin(&folder, &["identity", "disable", &id])["enabled"], false);
    assert_eq!((mine(&credential), mine(&bearer)), (401, 401));
    assert_eq!(admin(&folder, &["identity", "enable", &id])["enabled"], true);
    assert_eq!((mine(&credential), mine(&bearer)), (200, 401));

    assert_eq!(admin(&folder, &["identity", "delete", &id]), json!({ "id": id, "deleted": true }));
    assert_eq!(mine(&credential), 401);
    assert!(admin_fails(&folder, &["identity", "show", &id], 1).starts_with("patron: "));
    let (stdout, stderr) = plain(&folder, &["admin", "identity", "delete", &text(&plainest, "id")]);
    assert_eq!((stdout.as_str(), stderr.as_str()), ("", "Deleted, with all its tokens.\n"));
}

#[test]
fn identity_commands_that_cannot_be_done() {
    let folder = Folder::bootstrapped();
    let admin_id = text(&folder.bootstrap(), "identityId");
    let nobody = "0".repeat(32);
    let long = "n".repeat(256);
    for (args, said) in [
        (vec!["identity", "create", "--name", "admin"], "admin"),
        (vec!["identity", "create", "--name", " "], "Field 'name' is required."),
        (vec!["identity", "create", "--name", &long], "more than 255 characters"),
        (vec!["identity", "create", "--name", "a\nb"], "control characters"),
        (vec!["identity", "create", "--name", "x", "--level", "KING"], "Level 'KING' is not known"),
        (vec!["identity", "set-levels", &admin_id, "--level", "KING"], "Level 'KING' is not known"),
        (vec!["identity", "show", &nobody], "identity"),
        (vec!["identity", "show", "nonsense"], "identity"),
        (vec!["identity", "disable", &nobody], "identity"),
        (vec!["identity", "enable", &nobody], "identity"),
        (vec!["identity", "delete", &nobody], "identity"),
        (vec!["identity", "set-levels", &nobody, "--level", "USER"], "identity"),
        (vec!["identity", "list", "--tenant", "nowhere"], "there is no tenant 'nowhere'"),
        // The last enabled ORG_ADMIN.
        (vec!["identity", "disable", &admin_id], "ORG_ADMIN"),
        (vec!["identity", "delete", &admin_id], "ORG_ADMIN"),
        (vec!["identity", "set-levels", &admin_id, "--level", "USER"], "ORG_ADMIN"),
        (vec!["pat", "list", "--owner", "nonsense"], "identity"),
        (vec!["pat", "create", "--owner", &nobody, "--name", "x", "--never-expires"], "identity"),
        (vec!["pat", "revoke", &nobody, "--owner", &admin_id], "personal access token"),
        (vec!["pat", "revoke", "nonsense", "--owner", &admin_id], "personal access token"),
        (vec!["tenant", "create", "--name", "default"], "default"),
        (vec!["tenant", "create", "--name", "Acme"], "lowercase letters"),
        (vec!["tenant", "create", "--name", "acme-"], "lowercase letters"),
        (vec!["audit", "list", "--filters", "nonsense"], "filter"),
    ] {
        let text = admin_fails(&folder, &args, 1);
        assert!(text.to_lowercase().contains(&said.to_lowercase()), "{args:?}: {text}");
    }
    let list = admin(&folder, &["identity", "list"]);
    assert_eq!((list.as_array().unwrap().len(), &list[0]["enabled"]), (1, &json!(true)));
    assert_eq!(list[0]["levels"], json!(["ORG_ADMIN"]));
}

#[test]
fn passwords_come_on_stdin() {
    let folder = Folder::bootstrapped();
    let id = text(&admin(&folder, &["identity", "create", "--name", "jane"]), "id");
    assert_eq!(password_hash(&folder, &id), None);
    let output = set_password(&folder, &id, "correct horse battery\r\nnever read\n");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said, json!({ "id": id, "passwordSet": true }));
    assert!(output.stderr.is_empty());
    let hash = password_hash(&folder, &id).unwrap();
    assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
    let matches = |typed: &str| {
        let hash = argon2::PasswordHash::new(&hash).unwrap();
        argon2::PasswordVerifier::verify_password(&argon2::Argon2::default(), typed.as_bytes(), &hash).is_ok()
    };
    assert!(matches("correct horse battery"));
    assert!(!matches("correct horse battery\r") && !matches("never read"));

    for (typed, code) in [("", 1), ("\n", 1), ("too short\n", 1), (&"x".repeat(1_025), 1)] {
        let output = set_password(&folder, &id, typed);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{typed}");
    }
    assert_eq!(password_hash(&folder, &id).unwrap(), hash);
    assert_eq!(set_password(&folder, &"0".repeat(32), "correct horse battery\n").status.code(), Some(1));
}

#[test]
fn pats() {
    let folder = Folder::new();
    let server = Server::start(&folder.data, &[]);
    let jane = text(&admin(&folder, &["identity", "create", "--name", "jane"]), "id");
    let made = admin(
        &folder,
        &[
            "pat",
            "create",
            "--owner",
            &jane,
            "--name",
            "ci",
            "--scope",
            "sp:scopes:default",
            "--scope",
            "demo:x",
            "--expiration-date",
            "2999-01-31",
            "--validity",
            "900",
        ],
    );
    let (id, secret) = (text(&made, "id"), text(&made, "secret"));
    assert_eq!(
        made,
        json!({
            "id": id, "secret": secret, "scope": ["sp:scopes:default", "demo:x"], "name": "ci",
            "owner": { "type": "IDENTITY", "id": jane, "name": "jane" }, "created": made["created"],
            "accessTokenValiditySeconds": 900, "expirationDate": "2999-01-31T23:59:59.999Z",
        })
    );
    assert_eq!((id.len(), secret.len()), (32, 64));
    let never = admin(&folder, &["pat", "create", "--owner", &jane, "--name", "never", "--never-expires"]);
    assert_eq!((&never["expirationDate"], &never["scope"]), (&json!(null), &json!(["sp:scopes:all"])));
    let managed = admin(
        &folder,
        &[
            "pat",
            "create",
            "--owner",
            &jane,
            "--name",
            "never",
            "--managed",
            "--expiration-date",
            "2999-01-31T12:00:00+02:00",
        ],
    );
    assert_eq!(managed["expirationDate"], "2999-01-31T10:00:00.000Z");
    let (shown, _) =
        plain(&folder, &["admin", "pat", "create", "--owner", &jane, "--name", "shown", "--never-expires"]);
    let shown_secret = shown.lines().find_map(|line| line.strip_prefix("secret: ")).unwrap();
    assert_eq!(shown_secret.len(), 64);

    let list = admin(&folder, &["pat", "list", "--owner", &jane]);
    let of = |list: &Value| -> Vec<(String, bool)> {
        let pats = list.as_array().unwrap().iter();
        pats.map(|pat| (text(pat, "name"), pat["managed"].as_bool().unwrap())).collect()
    };
    let expected = [("ci", false), ("never", false), ("never", true), ("shown", false)];
    assert_eq!(of(&list), expected.map(|(name, managed)| (name.to_owned(), managed)));
    assert!(list.as_array().unwrap().iter().all(|pat| pat.get("secret").is_none()));
    assert_eq!(of(&admin(&folder, &["pat", "list"])).len(), 5);
    let (table, _) = plain(&folder, &["admin", "pat", "list", "--owner", &jane]);
    assert_eq!(table.lines().count(), 5);
    assert!(!table.contains(&secret) && !table.contains(shown_secret));

    // All of them work at the running service.
    let bearer = server.bearer(&id, &secret);
    server.bearer(&text(&managed, "id"), &text(&managed, "secret"));
    let lives = server.send(
        Call::post("/oauth/introspect")
            .auth(&basic(&id, &secret))
            .form(&[("token", bearer.strip_prefix("Bearer ").unwrap())]),
    );
    let lives = lives.expect(200).json();
    assert_eq!((&lives["active"], &lives["scope"]), (&json!(true), &json!("sp:scopes:default demo:x")));
    assert_eq!(lives["exp"].as_i64().unwrap() - lives["iat"].as_i64().unwrap(), 900);

    // Revoked, it and its access tokens are refused from the next request on; only its owner's name revokes it.
    let admin_id = text(&folder.bootstrap(), "identityId");
    admin_fails(&folder, &["pat", "revoke", &id, "--owner", &admin_id], 1);
    server.send(Call::get("/tenant/v1").auth(&bearer)).expect(200);
    let said = admin(&folder, &["pat", "revoke", &id, "--owner", &jane]);
    assert_eq!(said, json!({ "id": id, "revoked": true }));
    server.send(Call::get("/tenant/v1").auth(&bearer)).expect(401);
    server.send(Call::get("/forward-auth").auth(&basic(&id, &secret))).expect(401);
    let never_id = text(&never, "id");
    let (stdout, stderr) = plain(&folder, &["admin", "pat", "revoke", &never_id, "--owner", &jane]);
    assert_eq!((stdout.as_str(), stderr.as_str()), ("", "Revoked.\n"));

    // The rules are those of the API.
    let create = ["pat", "create", "--owner", &jane, "--name"];
    for (more, said) in [
        (vec!["shown", "--never-expires"], "name"),
        (vec!["", "--never-expires"], "name"),
        (vec!["x", "--expiration-date", "2020-01-01"], "future"),
        (vec!["x", "--expiration-date", "soon"], "expirationDate"),
        (vec!["x", "--never-expires", "--validity", "14"], "accessTokenValiditySeconds"),
        (vec!["x", "--never-expires", "--scope", "a b"], "scope"),
    ] {
        let text = admin_fails(&folder, &[&create[..], &more].concat(), 1);
        assert!(text.to_lowercase().contains(&said.to_lowercase()), "{more:?}: {text}");
    }
    admin(&folder, &["identity", "disable", &jane]);
    admin_fails(&folder, &[&create[..], &["x", "--never-expires", "--managed"]].concat(), 1);
}

#[test]
fn tenants_are_apart() {
    let folder = Folder::new();
    let server = Server::start_with(&folder.data, &[], &[("PATRON_TENANT_DOMAIN", "tenants.test")]);
    let info = |host: &str| server.send(Call::get("/oauth/info").host(host));
    info("acme.tenants.test").expect(404);
    let acme = admin(&folder, &["tenant", "create", "--name", "acme"]);
    assert_eq!((keys(&acme), &acme["name"]), (vec!["created", "id", "name", "url"], &json!("acme")));
    assert_eq!(info("acme.tenants.test").expect(200).json()["tenantId"], acme["id"]);
    let list = admin(&folder, &["tenant", "list"]);
    let names: Vec<_> = list.as_array().unwrap().iter().map(|tenant| text(tenant, "name")).collect();
    assert_eq!(names, ["acme", "default"]);
    admin_fails(&folder, &["tenant", "create", "--name", "acme"], 1);
    // Nobody could reach it: that host is the default tenant's.
    let mut taken = patron(&folder.data);
    taken.env("PATRON_TENANT_DOMAIN", "tenants.test").env("PATRON_PUBLIC_URL", "http://front.tenants.test");
    let refused = taken.args(["admin", "tenant", "create", "--name", "front"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stdout));
    assert_eq!(admin(&folder, &["tenant", "list"]), list);

    let jane = admin(&folder, &["identity", "create", "--name", "jane", "--tenant", "acme"]);
    let id = text(&jane, "id");
    let pat = ["pat", "create", "--owner", &id, "--name", "ci", "--never-expires"];
    // In the other tenant it is nobody.
    admin_fails(&folder, &pat, 1);
    admin_fails(&folder, &["identity", "show", &id], 1);
    admin_fails(&folder, &["identity", "disable", &id], 1);
    admin_fails(&folder, &["identity", "delete", &id], 1);
    assert_eq!(set_password(&folder, &id, "correct horse battery\n").status.code(), Some(1));
    let made = admin(&folder, &[&pat[..], &["--tenant", "acme"]].concat());
    admin_fails(&folder, &["pat", "revoke", &text(&made, "id"), "--owner", &id], 1);
    assert_eq!(admin(&folder, &["pat", "list"]).as_array().unwrap().len(), 1);
    assert_eq!(admin(&folder, &["pat", "list", "--tenant", "acme"]).as_array().unwrap().len(), 1);
    let credential = basic(&text(&made, "id"), &text(&made, "secret"));
    server.send(Call::get("/tenant/v1").host("acme.tenants.test").auth(&credential)).expect(200);
    server.send(Call::get("/tenant/v1").auth(&credential)).expect(401);
    let told_of = |tenant: &str| {
        let filter = format!(r#"target.id eq "{id}""#);
        admin(&folder, &["audit", "list", "--tenant", tenant, "--filters", &filter]).as_array().unwrap().len()
    };
    assert_eq!((told_of("acme"), told_of("default")), (1, 0));
}

#[test]
fn keys_are_listed_and_rotated_under_a_running_service() {
    let folder = Folder::new();
    let server = Server::start(&folder.data, &[]);
    let published = || {
        let set = server.send(Call::get("/oauth/jwks")).expect(200).json();
        let mut kids: Vec<String> =
            set["keys"].as_array().unwrap().iter().map(|key| text(key, "kid")).collect();
        kids.sort();
        kids
    };
    let listed = |list: &Value| {
        let mut kids: Vec<String> = list.as_array().unwrap().iter().map(|key| text(key, "kid")).collect();
        kids.sort();
        kids
    };
    let list = admin(&folder, &["keys", "list"]);
    assert_eq!(keys(&list[0]), ["activates", "created", "kid", "retires", "state"]);
    let mut states: Vec<String> = list.as_array().unwrap().iter().map(|key| text(key, "state")).collect();
    states.sort();
    assert_eq!(states, ["active", "next"]);
    assert_eq!(listed(&list), published());
    let (id, secret) = folder.id_and_secret();
    let bearer = server.bearer(&id, &secret);

    let after = admin(&folder, &["keys", "rotate"]);
    assert_eq!(after.as_array().unwrap().len(), 3);
    assert_eq!(admin(&folder, &["keys", "list"]), after);
    // The new next key is published at once, and what the old one signed still works.
    assert_eq!(listed(&after), published());
    server.send(Call::get(PATS).auth(&bearer)).expect(200);
    server.bearer(&id, &secret);
    // One at a time: verifiers must have seen the next key first.
    let said = admin_fails(&folder, &["keys", "rotate"], 1);
    assert!(!said.contains("internal"), "{said}");
    assert_eq!(admin(&folder, &["keys", "list"]).as_array().unwrap().len(), 3);
    let (table, stderr) = plain(&folder, &["admin", "keys", "list"]);
    assert_eq!((table.lines().count(), stderr.as_str()), (4, ""));
    let events = admin(&folder, &["audit", "list", "--filters", r#"technicalName eq "SIGNING_KEY_ROTATED""#]);
    assert_eq!(events.as_array().unwrap().len(), 1);
    assert!(!table.contains("PRIVATE") && !after.to_string().contains("\"d\""));
}

#[test]
fn the_audit_trail_is_listed() {
    let folder = Folder::bootstrapped();
    let jane = text(&admin(&folder, &["identity", "create", "--name", "jane"]), "id");
    admin(&folder, &["identity", "disable", &jane]);
    let events = admin(&folder, &["audit", "list"]);
    let newest = &events[0];
    assert_eq!(
        keys(newest),
        [
            "actor",
            "attributes",
            "created",
            "id",
            "ipAddress",
            "operation",
            "status",
            "target",
            "technicalName",
            "tenant",
            "trackingNumber"
        ]
    );
    assert_eq!(
        (&newest["technicalName"], &newest["target"]["id"]),
        (&json!("IDENTITY_DISABLED"), &json!(jane))
    );
    assert_eq!(admin(&folder, &["audit", "list", "--limit", "1"]), json!([newest]));
    let filter = format!(r#"target.id eq "{jane}" and technicalName eq "IDENTITY_CREATED""#);
    let created = admin(&folder, &["audit", "list", "--filters", &filter]);
    assert_eq!((created.as_array().unwrap().len(), &created[0]["target"]["name"]), (1, &json!("jane")));
    let (table, stderr) = plain(&folder, &["admin", "audit", "list", "--limit", "2"]);
    assert_eq!((table.lines().count(), stderr.as_str()), (3, ""));
    assert!(table.starts_with("created ") && table.contains("IDENTITY_DISABLED"), "{table}");
    for limit in ["0", "10001", "x"] {
        admin_fails(&folder, &["audit", "list", "--limit", limit], 2);
    }
}
