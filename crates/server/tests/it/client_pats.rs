//! `patron pat list|get|create|patch|delete` against a real server.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::home::{
    ACCESS_TOKEN, Home, answer_one, closed_pipe, failed, files, full_disk, mode, succeeded, take_request,
    text,
};
use crate::support::{Call, basic};

const FAR: &str = "2999-01-31";

#[test]
fn a_token_is_created_used_changed_and_deleted() {
    let home = Home::logged_in();
    let made = home.json(&[
        "pat",
        "create",
        "ci",
        "--scope",
        "sp:scopes:default",
        "--scope",
        "demo:x",
        "--expires",
        FAR,
        "--validity",
        "900",
    ]);
    let (id, secret) = (text(&made, "id"), text(&made, "secret"));
    assert_eq!(made["scope"], json!(["sp:scopes:default", "demo:x"]));
    assert_eq!(
        (&made["expirationDate"], &made["accessTokenValiditySeconds"]),
        (&json!("2999-01-31T23:59:59.999Z"), &json!(900))
    );
    home.server.send(Call::get("/tenant/v1").auth(&basic(&id, &secret))).expect(200);

    let shown = home.json(&["pat", "get", &id]);
    assert_eq!((&shown["name"], shown.get("secret")), (&json!("ci"), None));
    assert!(home.ok(&["pat", "get", &id]).contains("name: ci\n"));
    let patched = home.json(&[
        "pat",
        "patch",
        &id,
        "--name",
        "cd",
        "--add-scope",
        "demo:y",
        "--remove-scope",
        "demo:x",
        "--never-expires",
    ]);
    assert_eq!((&patched["name"], &patched["expirationDate"]), (&json!("cd"), &Value::Null));
    assert_eq!(patched["scope"], json!(["sp:scopes:default", "demo:y"]));
    assert_eq!(patched["userAwareTokenNeverExpires"], true);
    let patch = json!([{ "op": "replace", "path": "/name", "value": "raw" }]);
    let output = home.with_stdin(&["pat", "patch", &id, "--patch", "-", "--json"], &patch.to_string());
    assert!(succeeded(output).contains("\"raw\""));

    assert_eq!(home.json(&["pat", "delete", &id, "--yes"]), json!({ "deleted": [id] }));
    assert_eq!(home.names(), ["bootstrap"]);
    assert!(home.fails(&["pat", "get", &id], 1).contains("404"));
    assert!(home.fails(&["pat", "delete", &id, "--yes"], 1).contains("404"));
}

#[test]
fn nothing_is_assumed_about_its_end() {
    let home = Home::logged_in();
    let create = ["pat", "create", "ci", "--json"];
    for (more, said) in [
        (vec![], "--never-expires"),
        (vec!["--expires", "never"], "--never-expires"),
        (vec!["--expires", "soon"], "no date"),
        (vec!["--expires", "2020-01-01"], "has passed"),
        (vec!["--expiration-date", "2020-01-01", "--dry-run"], "has passed"),
        (vec!["--expires", "0d"], "1 or more"),
        (vec!["--expires", "-1d"], "1 or more"),
        (vec!["--expires=+5d"], "1 or more"),
        (vec!["--expires", "90d", "--never-expires"], "cannot be used with"),
        (vec!["--expires", "90d", "--body", "x"], "cannot be used with"),
        (vec!["--managed", "--expires", "1d"], "--owner"),
    ] {
        let told = home.fails(&[&create[..], &more].concat(), 2);
        assert!(told.contains(said), "{more:?}: {told}");
    }
    assert!(home.fails(&["pat", "create", "--expires", "1d", "--json"], 2).contains("what is it called"));
    assert!(home.fails(&["pat", "patch", &home.client_id()], 2).contains("nothing is to be changed"));
    assert_eq!(home.names(), ["bootstrap"]);
    // The rules of the server are told in its words.
    let body = json!({ "name": "ci", "expirationDate": "2020-01-01T00:00:00Z" }).to_string();
    let told = failed(home.with_stdin(&["pat", "create", "--body", "-", "--json"], &body), 1);
    assert!(told.contains("400.1.3") && told.contains("future"), "{told}");
}

#[test]
fn a_secret_goes_nowhere_unasked() {
    let home = Home::logged_in();
    let said = home.fails(&["pat", "create", "ci", "--expires", "1d"], 2);
    assert!(said.contains("--save-to") && home.names() == ["bootstrap"], "{said}");
    assert!(
        home.fails(&["pat", "create", "ci", "--expires", "1d", "--output", "csv"], 2).contains("json or env")
    );
    let env = home.ok(&["pat", "create", "ci", "--expires", "1d", "--output", "env"]);
    let values: Vec<(&str, &str)> = env.lines().map(|line| line.split_once('=').unwrap()).collect();
    assert_eq!(values[0], ("SAIL_BASE_URL", home.url().as_str()));
    // What it says is what this command reads.
    let mut command = home.patron(&["whoami", "--json"]);
    let who = succeeded(command.envs(values.iter().copied()).output().unwrap());
    assert!(who.contains("\"ci\"") && who.contains("environment"), "{who}");
}

#[test]
fn a_token_whose_secret_reaches_nobody_is_not_kept() {
    let home = Home::logged_in();
    let create = |form: &[&str]| {
        home.patron(&[&["pat", "create", "ci", "--expires", "1d", "--output"], form].concat())
    };
    for form in ["json", "jsonl", "env"] {
        for stdout in [closed_pipe(), full_disk()] {
            let said = failed(create(&[form]).stdout(stdout).stderr(Stdio::piped()).output().unwrap(), 1);
            assert!(
                said.contains("cannot be written") && said.contains("is deleted again"),
                "{form}: {said}"
            );
            assert_eq!(home.names(), ["bootstrap"]);
        }
        let said = failed(create(&[form]).stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap(), 2);
        assert!(said.contains("stdout is closed") && said.contains("--save-to"), "{form}: {said}");
    }
    // Closed altogether.
    let mut shell = Command::new("sh");
    let script = "exec \"$0\" pat create ci --expires 1d --json >&-";
    shell.env_clear().env("HOME", home.path()).args(["-c", script, env!("CARGO_BIN_EXE_patron")]);
    assert!(failed(shell.output().unwrap(), 2).contains("stdout is closed"));
    assert_eq!(home.names(), ["bootstrap"]);
    // Where the secret goes elsewhere, the answer may go nowhere.
    for (file, stdout, code) in [("1", Stdio::null(), 0), ("2", closed_pipe(), 0), ("3", full_disk(), 1)] {
        let mut command = home.patron(&["pat", "create", file, "--expires", "1d", "--save-to", file]);
        assert_eq!(command.stdout(stdout).output().unwrap().status.code(), Some(code), "{file}");
        assert!(home.path().join(file).exists());
    }
    assert_eq!(home.names().len(), 4);
}

#[test]
fn a_saved_secret_is_its_owners_alone_and_replaces_nothing() {
    let home = Home::logged_in();
    let path = home.path().join("ci.json");
    let file = path.to_str().unwrap();
    let told = home.json(&["pat", "create", "ci", "--expires", FAR, "--save-to", file]);
    let saved: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!((mode(&path), &saved["id"], told.get("secret")), (0o600, &told["id"], None));
    assert_eq!((text(&saved, "secret").len(), &told["savedTo"]), (64, &json!(file)));

    let said = home.fails(&["pat", "create", "again", "--expires", FAR, "--save-to", file], 1);
    assert!(said.contains("is there already"), "{said}");
    let nowhere = home.path().join("nowhere/x.json");
    let said =
        home.fails(&["pat", "create", "again", "--expires", FAR, "--save-to", nowhere.to_str().unwrap()], 1);
    assert!(said.contains("cannot be written"), "{said}");
    assert_eq!(home.names(), ["bootstrap", "ci"]);

    let env = home.path().join("ci.env");
    home.ok(&[
        "pat",
        "create",
        "env",
        "--expires",
        FAR,
        "--output",
        "env",
        "--save-to",
        env.to_str().unwrap(),
    ]);
    assert!(fs::read_to_string(&env).unwrap().contains("\nSAIL_CLIENT_SECRET="));
    // What the server refuses leaves no file.
    let before = files(home.path());
    home.fails(&["pat", "create", "env", "--expires", FAR, "--save-to", "refused.json"], 1);
    assert_eq!(files(home.path()), before);
}

#[test]
fn a_raw_request_is_sent_as_it_is() {
    let home = Home::logged_in();
    let body =
        json!({ "name": "raw", "scope": null, "expirationDate": "2999-01-31T12:00:00+02:00", "unknown": 1 });
    let output = home.with_stdin(&["pat", "create", "--body", "-", "--json"], &body.to_string());
    let made: Value = serde_json::from_str(&succeeded(output)).unwrap();
    assert_eq!((&made["name"], &made["expirationDate"]), (&json!("raw"), &json!("2999-01-31T10:00:00.000Z")));
    assert!(
        failed(home.with_stdin(&["pat", "create", "--body", "-", "--json"], "{"), 2)
            .contains("stdin is not what is sent")
    );
    assert!(
        home.fails(&["pat", "create", "--body", "nowhere.json", "--json"], 1)
            .contains("nowhere.json cannot be read")
    );
}

#[test]
fn lists_are_narrowed_sorted_and_written_in_every_form() {
    let home = Home::logged_in();
    for (name, expires) in [("Alpha", "2999-01-01"), ("beta", "5d"), ("=1+1", "9d")] {
        home.json(&["pat", "create", name, "--expires", expires, "--scope", "sp:scopes:default"]);
    }
    let names = |args: &[&str]| -> Vec<String> {
        let list = home.json(&[&["pat", "list"], args].concat());
        list.as_array().unwrap().iter().map(|pat| text(pat, "name")).collect()
    };
    assert_eq!(names(&[]), ["bootstrap", "Alpha", "beta", "=1+1"]);
    assert_eq!(names(&["--all"]).len(), 4);
    assert_eq!(names(&["--owner", &"0".repeat(32)]), [""; 0]);
    assert_eq!(names(&["--never-used"]), ["Alpha", "beta", "=1+1"]);
    assert_eq!(names(&["--filters", "lastUsed isnull"]), ["Alpha", "beta", "=1+1"]);
    assert_eq!(names(&["--unused-for", "1h"]), [""; 0]);
    assert_eq!(names(&["--filters", "not lastUsed isnull", "--unused-for", "9000y"]), [""; 0]);
    assert_eq!(names(&["--filters", "lastUsed isnull or not lastUsed isnull", "--never-used"]).len(), 3);
    assert_eq!(names(&["--expires-within", "1w", "--name", "BET"]), ["beta"]);
    assert_eq!(names(&["--scope", "sp:scopes:all"]), ["bootstrap"]);
    assert_eq!(names(&["--sort", "name"]), ["=1+1", "Alpha", "beta", "bootstrap"]);
    assert_eq!(names(&["--sort", "expires", "--descending"]), ["Alpha", "bootstrap", "=1+1", "beta"]);
    assert!(home.fails(&["pat", "list", "--filters", "nonsense"], 1).contains("400"));
    assert_eq!(
        home.patron(&["pat", "list", "--unused-for", "soon"]).output().unwrap().status.code(),
        Some(2)
    );

    let table = home.ok(&["pat", "list", "--sort", "name"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 5, "no line is wrapped where no terminal is: {table}");
    assert!(lines[0].starts_with("id ") && lines[2].contains("2999-01-01T23:59:59.999Z"), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
    let lines = home.ok(&["pat", "list", "--output", "jsonl"]);
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|pat| pat.is_object())));
    let csv = home.ok(&["pat", "list", "--output", "csv", "--name", "1"]);
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(rows.headers().unwrap().get(1), Some("name"));
    assert_eq!(rows.records().next().unwrap().unwrap().get(1), Some("'=1+1"));
    assert_eq!(home.json(&["pat", "list", "--name", "nothing"]), json!([]));
    assert!(home.fails(&["pat", "list", "--output", "env"], 2).contains("new token"));
}

#[test]
fn a_dry_run_sends_nothing() {
    let home = Home::logged_in();
    let id = home.client_id();
    let plan = |args: &[&str]| home.json(&[args, &["--dry-run"]].concat());
    let create = plan(&["pat", "create", "ci", "--never-expires"]);
    let request = &create["requests"][0];
    assert_eq!((&create["dryRun"], &request["method"]), (&json!(true), &json!("POST")));
    assert_eq!(request["body"], json!({ "name": "ci", "userAwareTokenNeverExpires": true }));
    assert_eq!(request["url"], home.server.url("/personal-access-tokens/v1"));
    let patch = plan(&["pat", "patch", &id, "--name", "other"]);
    assert_eq!(patch["requests"][0]["body"], json!([{ "op": "replace", "path": "/name", "value": "other" }]));
    assert_eq!(plan(&["pat", "delete", &id])["requests"][0]["method"], "DELETE");
    let bulk = plan(&["pat", "bulk-update", &id, &id, "--expires", FAR]);
    assert_eq!(bulk["requests"][0]["body"]["ids"], json!([id]));
    assert!(home.ok(&["pat", "delete", &id, "--dry-run"]).starts_with("DELETE http://"));
    assert_eq!(home.names(), ["bootstrap"]);
}

#[test]
fn who_stops_reading_is_no_failure() {
    let home = Home::logged_in();
    for number in 0..9 {
        home.create(&format!("{number}{}", "n".repeat(200)));
    }
    for output in ["jsonl", "json", "csv", "table"] {
        let mut command = home.patron(&["pat", "list", "--output", output]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Whether it reads a little or nothing at all.
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""), "{output}");
    }
}

#[test]
fn errors_are_a_line_or_an_object() {
    let home = Home::logged_in();
    let unknown = "0".repeat(32);
    let line = home.fails(&["pat", "get", &unknown], 1);
    assert!(line.starts_with("patron: ") && line.lines().count() == 1, "{line}");
    let object = |args: &[&str], code: i32| -> Value {
        let said = home.fails(&[args, &["--json"]].concat(), code);
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{args:?}: {said}"))
    };
    let refused = object(&["pat", "get", &unknown], 1);
    assert_eq!((&refused["status"], &refused["detailCode"]), (&json!(404), &json!("404 Not found")));
    assert_eq!((text(&refused, "trackingId").len(), refused["messages"].as_array().unwrap().len()), (32, 1));
    let told = home.fails(&["pat", "get", &unknown, "--output", "json"], 1);
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["status"], 404);
    for (args, code) in [
        (vec!["pat", "delete"], 2),
        (vec!["pat", "lisst"], 2),
        (vec!["pat", "create", "x", "--validity", "y"], 2),
        (vec!["whoami", "--profile", "nobody"], 1),
        (vec!["admin", "pat", "list", "--data-dir", "nowhere"], 1),
        (vec!["config", "check", "--listen", "nonsense"], 2),
    ] {
        let told = object(&args, code);
        assert!(!text(&told, "error").is_empty() && told.as_object().unwrap().len() == 1, "{args:?}: {told}");
    }
    // Out of reach.
    home.server.signal("KILL");
    let told = object(&["pat", "list"], 1);
    assert!(
        text(&told, "error").contains("cannot be reached") || text(&told, "error").contains("broke off"),
        "{told}"
    );
}

#[test]
fn what_somebody_else_has_changed_meanwhile_is_not_undone() {
    // Two processes at once, many times: in the end each scope is there that a success was told of.
    let home = Home::logged_in();
    let id = text(&home.json(&["pat", "create", "ci", "--expires", FAR, "--scope", "demo:0"]), "id");
    let outputs: Vec<(String, Output)> = std::thread::scope(|scope| {
        let adders: Vec<_> = (1..6)
            .map(|number| {
                let (home, id, added) = (&home, &id, format!("demo:{number}"));
                scope.spawn(move || {
                    let output =
                        home.patron(&["pat", "patch", id, "--add-scope", &added, "--json"]).output().unwrap();
                    (added, output)
                })
            })
            .collect();
        adders.into_iter().map(|adder| adder.join().unwrap()).collect()
    });
    let kept = home.json(&["pat", "get", &id])["scope"].clone();
    let kept: Vec<&str> = kept.as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect();
    let told: Vec<&str> = outputs
        .iter()
        .filter(|(_, output)| output.status.success())
        .map(|(added, _)| added.as_str())
        .collect();
    assert!(!told.is_empty() && told.iter().all(|scope| kept.contains(scope)), "{told:?}: {kept:?}");
    assert_eq!(kept.len(), told.len() + 1);
}

/// A server that gives an access token and then, asked to create a PAT, hangs up without an answer.
fn hangs_up(listener: &TcpListener) {
    answer_one(listener, "200 OK", ACCESS_TOKEN);
    take_request(listener);
}

#[test]
fn a_creation_without_an_answer_may_have_happened() {
    let home = Home::new();
    let create = |more: &[&str]| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut command = home.patron(&[&["pat", "create", "ci", "--never-expires"], more].concat());
        command.envs([("SAIL_BASE_URL", url.as_str()), ("SAIL_CLIENT_ID", "x"), ("SAIL_CLIENT_SECRET", "y")]);
        std::thread::scope(|scope| {
            scope.spawn(|| hangs_up(&listener));
            failed(command.output().unwrap(), 1)
        })
    };
    let told: Value = serde_json::from_str(&create(&["--json"])).unwrap();
    assert_eq!(told["maybeDone"], true, "{told}");
    let said = create(&["--output", "env"]);
    assert!(said.contains("may have been made") && said.contains("patron pat list"), "{said}");
    // Neither leaves a file.
    create(&["--json", "--save-to", "ci.json"]);
    assert!(!files(home.path()).iter().any(|file| file.to_string_lossy().contains("ci.json")));
}
