//! `patron migrate`: the same tokens work in the new place and back in the old one, nobody serves meanwhile, and a run
//! that is cut off has done nothing.

use std::process::Output;

use patron_testing::Engine;
use serde_json::{Value, json};

use crate::serving::Folder;
use crate::support::{Call, PATS, Server, basic, patron};

/// What tells `patron serve` its database.
const DATABASE: &str = "PATRON_DATABASE_URL";

fn file(folder: &Folder, name: &str) -> String {
    format!("sqlite:{}", folder.data.join(name).display())
}

fn migrate(folder: &Folder, from: &str, to: &str, args: &[&str]) -> Output {
    let mut command = patron(&folder.data);
    command.env_remove(DATABASE).arg("migrate").args(args);
    command.env("PATRON_MIGRATE_FROM", from).env("PATRON_MIGRATE_TO", to).output().unwrap()
}

/// What a run says that must fail so, with `--json` and without.
#[track_caller]
fn refused(folder: &Folder, from: &str, to: &str, code: i32) -> String {
    let said = [&["--json"][..], &[]].map(|args| {
        let Output { status, stdout, stderr } = migrate(folder, from, to, args);
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(code), "{stderr}");
        assert!(stdout.is_empty() && !stderr.contains("panicked"), "{stderr}");
        stderr
    });
    let [in_json, said] = said;
    let error = serde_json::from_str::<Value>(&in_json).unwrap()["error"].as_str().unwrap().to_owned();
    assert_eq!(said.trim_end(), format!("patron: {error}"));
    error
}

/// A run that must succeed: its answer in JSON.
#[track_caller]
fn migrated(folder: &Folder, from: &str, to: &str) -> Value {
    let Output { status, stdout, stderr } = migrate(folder, from, to, &["--json"]);
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{stderr}");
    assert!(stderr.contains("the same master key"), "{stderr}");
    serde_json::from_slice(&stdout).unwrap()
}

fn serve(folder: &Folder, url: &str) -> Server {
    Server::start_with(&folder.data, &[], &[(DATABASE, url)])
}

/// What a table's count was on both sides.
fn rows(answer: &Value, table: &str) -> u64 {
    let tables = answer["tables"].as_array().unwrap();
    let found = tables.iter().find(|found| found["table"] == table).unwrap();
    assert_eq!(found["source"], found["destination"]);
    assert_eq!(found["source"]["sha256"].as_str().unwrap().len(), 64);
    found["source"]["rows"].as_u64().unwrap()
}

#[test]
fn tokens_work_in_the_new_place_and_back_in_the_old_one() {
    let folder = Folder::new();
    let old = file(&folder, "patron.db");
    let new = Engine::of_this_run().empty_database(&folder.data.join("new.db"));
    let back = file(&folder, "back.db");

    let server = serve(&folder, &old);
    let (id, secret) = folder.id_and_secret();
    let token = server.bearer(&id, &secret);
    let busy = refused(&folder, &old, &new, 1);
    assert!(
        busy.starts_with("a patron serves ") && busy.ends_with("patron.db, or migrates it: stop it first")
    );
    assert_eq!(server.stop(), Some(0));
    let answer = migrated(&folder, &old, &new);
    assert_eq!((rows(&answer, "tenants"), rows(&answer, "pats")), (1, 1));
    assert!(refused(&folder, &old, &new, 1).starts_with("the destination is not empty"));

    let server = serve(&folder, &new);
    server.bearer(&id, &secret);
    server.send(Call::get(PATS).auth(&token)).expect(200);
    let body = json!({ "name": "made there", "userAwareTokenNeverExpires": true });
    let made = server.send(Call::post(PATS).auth(&basic(&id, &secret)).json(&body)).expect(200).json();
    assert!(refused(&folder, &new, &back, 1).contains("stop"));
    assert_eq!(server.stop(), Some(0));
    let Output { status, stdout, .. } = migrate(&folder, &new, &back, &[]);
    let table = String::from_utf8(stdout).unwrap();
    assert!(status.success());
    let pats = table.lines().find(|line| line.starts_with("pats ")).unwrap();
    let cells: Vec<_> = pats.split_whitespace().collect();
    assert_eq!((&cells[..3], cells[3].len()), (&["pats", "2", "2"][..], 64));

    let server = serve(&folder, &back);
    server.bearer(&id, &secret);
    server.bearer(made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    server.send(Call::get(PATS).auth(&token)).expect(200);
}

#[test]
fn what_cannot_be_done_is_told_without_a_password() {
    let folder = Folder::new();
    std::fs::create_dir(&folder.data).unwrap();
    let (here, there) = (file(&folder, "patron.db"), file(&folder, "there.db"));
    let server = "postgres://patron:hunter2@127.0.0.1:1/patron";
    for (from, to, code, told) in [
        ("mysql://u:hunter2@h/d", &*here, 2, "PATRON_MIGRATE_FROM: must be sqlite:<path> or postgres://"),
        (&*here, "sqlite:", 2, "PATRON_MIGRATE_TO: names no file"),
        (&*here, &*here, 2, "--from and --to are the same file"),
        (&*here, &*there, 1, "the source: there is no database at "),
        (server, &*there, 1, "the source: "),
    ] {
        let said = refused(&folder, from, to, code);
        assert!(said.contains(told) && !said.contains("hunter2"), "{said}");
    }
    assert!(!folder.data.join("patron.db").exists(), "it was not made");

    let run = |args: &[&str]| {
        let output = patron(&folder.data).args(args).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = run(&["migrate", "--from", &here]);
    assert_eq!(
        (code, said.trim_end()),
        (Some(2), "patron: --to or PATRON_MIGRATE_TO has to name a database")
    );
    let (code, said) = run(&["--database-url", &here, "migrate", "--from", &here, "--to", &there]);
    assert_eq!((code, said.contains("--database-url is the service's")), (Some(2), true), "{said}");
    let (code, said) = run(&["migrate", "--from", "oracle:hunter2", "--to", &there]);
    assert_eq!(
        (code, said.contains("--from: must be") && !said.contains("hunter2")),
        (Some(2), true),
        "{said}"
    );
}

mod postgres {
    use std::path::Path;
    use std::process::Stdio;
    use std::time::Duration;

    use patron_testing::{Session, psql_at};

    use super::*;

    /// `kill -9` for a run that waits for what somebody else holds in the database at `url`.
    fn killed_while_it_waits(folder: &Folder, from: &str, to: &str, url: &str) {
        let mut command = patron(&folder.data);
        command.arg("migrate").env("PATRON_MIGRATE_FROM", from).env("PATRON_MIGRATE_TO", to);
        let mut run = command.stdout(Stdio::null()).spawn().unwrap();
        let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while psql_at(url, waiting) == "0\n" {
            assert_eq!(run.try_wait().unwrap(), None, "it does not wait");
            // The server has no event for this.
            std::thread::sleep(Duration::from_millis(20));
        }
        run.kill().unwrap();
        run.wait().unwrap();
    }

    #[test]
    fn a_run_that_is_killed_has_done_nothing() {
        let folder = Folder::new();
        let (old, back) = (file(&folder, "patron.db"), file(&folder, "back.db"));
        let server = Engine::Postgres.empty_database(Path::new(""));
        let mut bootstrap = patron(&folder.data);
        assert!(bootstrap.env(DATABASE, &old).arg("bootstrap").output().unwrap().status.success());

        // Somebody has the id of one of the keys, so the run waits for them. The first one has made the schema.
        let source = rusqlite::Connection::open(folder.data.join("patron.db")).unwrap();
        let kid: String =
            source.query_row("SELECT MAX(kid) FROM signing_keys", [], |row| row.get(0)).unwrap();
        drop(source);
        migrated(&folder, &old, &server);
        psql_at(
            &server,
            "TRUNCATE tenants, identities, pats, bootstrap_pat, signing_keys, audit_events CASCADE",
        );
        let key = format!(
            "INSERT INTO signing_keys (kid, created, sealed_private, public_jwk) VALUES ('{kid}', 1, '', '')"
        );
        let held = Session::holding(&server, &key);
        killed_while_it_waits(&folder, &old, &server, &server);
        drop(held);
        let count = "SELECT COUNT(*) FROM tenants";
        assert_eq!(psql_at(&server, count), "0\n");
        migrated(&folder, &old, &server);

        // The other way, everything but the sessions is written by then.
        let held = Session::holding(&server, "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE");
        killed_while_it_waits(&folder, &server, &back, &server);
        drop(held);
        let destination = rusqlite::Connection::open(folder.data.join("back.db")).unwrap();
        assert_eq!(destination.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
        drop(destination);
        assert_eq!(rows(&migrated(&folder, &server, &back), "tenants"), 1);
    }
}
