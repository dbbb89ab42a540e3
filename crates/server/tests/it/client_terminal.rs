//! The client at a terminal: what it asks, what it shows, and how it is interrupted. The terminal is a pseudo-terminal
//! of `rexpect`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use rexpect::session::PtySession;

use crate::home::{Home, files, text};

#[track_caller]
fn ends(terminal: &PtySession, code: i32) {
    let status = format!("{:?}", terminal.process().wait().unwrap());
    assert!(status.starts_with("Exited(") && status.ends_with(&format!(", {code})")), "{status}");
}

#[test]
fn a_login_asks_for_what_it_was_not_given_and_does_not_show_the_secret() {
    let home = Home::new();
    let secret = home.secret();
    let mut terminal = home.at_terminal(&["login"]);
    terminal.exp_string("Server URL: ").unwrap();
    terminal.send_line(&home.url()).unwrap();
    terminal.exp_string("Client id: ").unwrap();
    terminal.send_line(&home.client_id()).unwrap();
    terminal.exp_string("Client secret (not shown): ").unwrap();
    terminal.send_line(&secret).unwrap();
    let shown = terminal.exp_eof().unwrap();
    assert!(shown.contains("Logged in to") && !shown.contains(&secret), "{shown}");
    ends(&terminal, 0);
    home.ok(&["whoami"]);
}

#[test]
fn an_interrupted_question_leaves_nothing() {
    let home = Home::new();
    let mut terminal = home.at_terminal(&["login", "--url", &home.url(), "--client-id", "x"]);
    terminal.exp_string("Client secret (not shown): ").unwrap();
    terminal.send_control('c').unwrap();
    let shown = terminal.exp_eof().unwrap();
    assert!(shown.contains("patron: interrupted"), "{shown}");
    ends(&terminal, 1);
    assert!(!home.profiles().exists());
}

#[test]
fn waiting_for_stdin_can_be_interrupted() {
    let home = Home::logged_in();
    let mut command = home.patron(&["pat", "create", "--body", "-", "--json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // More than a pipe holds: when it is written, it is being read.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&vec![b' '; 1024 * 1024]).unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    // Its stdin stays open.
    let status = child.wait().unwrap();
    drop(stdin);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((status.code(), said.trim()), (Some(1), r#"{"error":"interrupted"}"#));
}

#[test]
fn two_forms_at_once_are_refused() {
    let home = Home::logged_in();
    for form in ["table", "csv", "jsonl"] {
        assert!(home.fails(&["pat", "list", "--json", "--output", form], 2).contains("two forms"), "{form}");
    }
    assert!(home.ok(&["pat", "list", "--json", "--output", "json"]).starts_with('['));
    let said = home.fails(&["pat", "list", "--output", "json", "--nosuch"], 2);
    assert!(said.starts_with(r#"{"error":"unexpected argument '--nosuch' found"#), "{said}");
    assert_eq!(home.fails(&["--json", "pat"], 2).trim(), r#"{"error":"which command? --help lists them"}"#);
    let said = home.fails(&["pat", "lst"], 2);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("patron: unrecognized subcommand 'lst'"), "{said}");
}

#[test]
fn a_secret_is_shown_once_at_a_terminal() {
    let home = Home::logged_in();
    let mut terminal = home.at_terminal(&["pat", "create", "ci", "--expires", "90d"]);
    let shown = terminal.exp_eof().unwrap();
    let secret = shown.lines().find_map(|line| line.strip_prefix("secret: ")).unwrap().trim();
    assert!(secret.len() == 64 && shown.contains("shown this once"), "{shown}");
    ends(&terminal, 0);
    assert_eq!(home.names(), ["bootstrap", "ci"]);
}

#[test]
fn never_is_acknowledged_in_words() {
    let home = Home::logged_in();
    for (typed, code, names) in [("yes", 1, 1), ("never expires", 0, 2)] {
        let mut terminal = home.at_terminal(&["pat", "create", "ci", "--expires", "never"]);
        terminal.exp_string("Type 'never expires' to go on: ").unwrap();
        terminal.send_line(typed).unwrap();
        let shown = terminal.exp_eof().unwrap();
        assert_eq!(shown.contains("nothing was done"), code == 1, "{shown}");
        ends(&terminal, code);
        assert_eq!(home.names().len(), names);
    }
}

#[test]
fn a_deletion_is_confirmed() {
    let home = Home::logged_in();
    let id = text(&home.create("ci"), "id");
    for (args, typed, code, left) in [
        (vec!["pat", "delete", id.as_str()], "n", 1, 2),
        (vec!["pat", "delete", "--never-used"], "", 1, 2),
        (vec!["pat", "delete", "--never-used"], "y", 0, 1),
    ] {
        let mut terminal = home.at_terminal(&args);
        let before = terminal.exp_string("? [y/N] ").unwrap();
        assert!(
            before.contains("Delete 1 token") || before.contains(&format!("Delete token {id}")),
            "{before}"
        );
        terminal.send_line(typed).unwrap();
        terminal.exp_eof().unwrap();
        ends(&terminal, code);
        assert_eq!(home.names().len(), left, "{args:?} {typed}");
    }
}

#[test]
fn a_change_of_many_is_confirmed_by_id_too() {
    let home = Home::logged_in();
    let ids = [text(&home.create("ci"), "id"), text(&home.create("cd"), "id")];
    for (ids, asked, typed, code) in [
        (&ids[..1], format!("Change token {}? [y/N] ", ids[0]), "", 1),
        (&ids[..], "Change 2 tokens? [y/N] ".to_owned(), "y", 0),
    ] {
        let mut args = vec!["pat", "bulk-update", "--expires", "2999-01-31"];
        args.extend(ids.iter().map(String::as_str));
        let mut terminal = home.at_terminal(&args);
        terminal.exp_string(&asked).unwrap();
        terminal.send_line(typed).unwrap();
        terminal.exp_eof().unwrap();
        ends(&terminal, code);
        let left = home.json(&["pat", "list", "--never-expiring", "--never-used"]);
        assert_eq!(left.as_array().unwrap().is_empty(), code == 0, "{left}");
    }
}

#[test]
fn a_table_fits_the_terminal_and_tells_how_far_away_dates_are() {
    let home = Home::logged_in();
    home.json(&["pat", "create", "name\u{202e}gpj.exe", "--expires", "10d"]);
    let shown = |args: &[&str]| home.at_terminal(args).exp_eof().unwrap();
    let table = shown(&["pat", "list"]);
    assert!(table.contains("in 10 days"), "{table}");
    // Yellow: it ends soon.
    assert!(table.contains("\u{1b}[") && !table.contains('\u{202e}'), "{table:?}");
    let wide = shown(&["pat", "list", "--wide"]);
    assert!(!wide.contains("in 10 days"), "{wide}");
    let mut plain = std::process::Command::new(env!("CARGO_BIN_EXE_patron"));
    plain
        .env_clear()
        .env("HOME", home.path())
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .args(["pat", "list"]);
    let plain = rexpect::session::spawn_command(plain, Some(60_000)).unwrap().exp_eof().unwrap();
    assert!(plain.contains("bootstrap") && !plain.contains('\u{1b}'), "{plain:?}");
}

#[test]
fn an_interrupted_creation_says_what_may_have_happened_and_leaves_no_file() {
    let home = Home::logged_in();
    // The server takes the request and does not answer.
    home.server.signal("STOP");
    let saved = home.path().join("ci.json");
    let args = ["pat", "create", "ci", "--never-expires", "--save-to", saved.to_str().unwrap()];
    let mut terminal = home.at_terminal(&args);
    // Its file is opened before the request is sent.
    while !files(home.path()).iter().any(|file| file.to_string_lossy().contains("ci.json.")) {
        std::thread::yield_now();
    }
    terminal.send_control('c').unwrap();
    let shown = terminal.exp_eof().unwrap();
    home.server.signal("CONT");
    assert!(shown.contains("patron: interrupted; the token may have been made"), "{shown}");
    ends(&terminal, 1);
    assert!(!files(home.path()).iter().any(|file| file.to_string_lossy().contains("ci.json")));
    assert!(fs::read_to_string(home.profiles()).is_ok());
}

#[test]
fn a_bar_shows_how_far_it_is_where_there_is_much_to_do() {
    let home = Home::with(&[("PATRON_RATE_LIMITS_REQUESTS", "0")]);
    home.login();
    home.create("one");
    // More than an owner may make.
    let copies = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 119) INSERT INTO pats \
         SELECT randomblob(16), tenant, owner, name || i, scope, secret_hash, created, last_used, managed, validity, \
         expires, user_aware, expiry_recorded FROM pats, n WHERE name = 'one'";
    assert_eq!(home.folder.database().execute(copies, &[]), 119);
    let mut terminal = home.at_terminal(&["pat", "delete", "--never-used", "--yes"]);
    let shown = terminal.exp_eof().unwrap();
    assert!(
        shown.contains("and 70 more") && shown.contains("/120 ") && shown.contains("Deleted 120 tokens."),
        "{shown}"
    );
    ends(&terminal, 0);
    assert_eq!(home.names(), ["bootstrap"]);
}
