//! `patron pat delete` and `bulk-update`: shown first, confirmed, and carried on where one fails or nobody reads.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::home::{ACCESS_TOKEN, Home, answer_one, closed_pipe, failed, full_disk, take_request, text};

/// A home with unmanaged tokens of these names beside the first one.
fn with_tokens(names: &[&str]) -> Home {
    let home = Home::logged_in();
    for name in names {
        home.create(name);
    }
    home
}

#[test]
fn a_filter_deletes_what_it_chooses_once_it_is_confirmed() {
    let home = with_tokens(&["a", "b"]);
    let said = home.fails(&["pat", "delete", "--never-used"], 2);
    assert!(said.contains("--yes") && home.names().len() == 3, "{said}");
    let output = home.patron(&["pat", "delete", "--never-used", "--yes"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    // What it would touch comes before what it did.
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("id ") && lines[1].contains(" a ") && lines[2].contains(" b "), "{said}");
    assert_eq!((lines.last().copied(), output.stdout.len()), (Some("Deleted 2 tokens."), 0));
    assert_eq!(home.names(), ["bootstrap"]);
    assert_eq!(home.json(&["pat", "delete", "--never-used", "--yes"]), json!({ "deleted": [] }));
}

#[test]
fn everything_there_is_is_no_filter() {
    let home = with_tokens(&["a"]);
    for args in [vec!["pat", "delete"], vec!["pat", "bulk-update", "--expires", "1d"]] {
        assert!(home.fails(&[&args[..], &["--yes"]].concat(), 2).contains("which?"));
        assert!(home.fails(&[&args[..], &["--all", "--yes"]].concat(), 2).contains("--all alone"));
        let both = home.fails(&[&args[..], &[&home.client_id(), "--never-used", "--yes"]].concat(), 2);
        assert!(both.contains("two ways"), "{both}");
    }
    assert!(home.fails(&["pat", "bulk-update", "--never-used", "--yes"], 2).contains("to when?"));
    assert_eq!(home.names(), ["bootstrap", "a"]);
}

#[test]
fn one_that_fails_stops_no_other_and_ones_own_comes_last() {
    let home = with_tokens(&["a", "b"]);
    let ids: Vec<String> =
        home.json(&["pat", "list"]).as_array().unwrap().iter().map(|pat| text(pat, "id")).collect();
    let unknown = "0".repeat(32);
    // The credential's own stands first, and would end what follows it.
    let args = ["pat", "delete", &ids[0], &ids[1], &unknown, &ids[2], &ids[1], "--yes", "--json"];
    let output = home.patron(&args).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told, json!({ "deleted": [ids[1], ids[2], ids[0]] }));
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(told["error"], "1 of 4 tokens could not be deleted");
    assert_eq!((&told["failed"][0]["ids"], &told["failed"][0]["status"]), (&json!([unknown]), &json!(404)));
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn a_bulk_update_goes_in_portions_and_tells_which_failed() {
    let home = Home::with(&[("PATRON_PAT_LIMITS_PER_OWNER", "40")]);
    home.login();
    let made: Vec<String> = (0..30).map(|number| text(&home.create(&format!("t{number}")), "id")).collect();
    let ids: Vec<&str> = made.iter().map(String::as_str).collect();
    let bulk = ["pat", "bulk-update", "--expires", "2999-01-31", "--yes", "--json"];
    let unasked = home.fails(&[&bulk[..4], &ids].concat(), 2);
    assert!(unasked.contains("--yes"), "{unasked}");
    // One that is named twice is changed once.
    let changed = home.json(&[&bulk[..5], &ids, &ids[..2]].concat());
    assert_eq!(changed.as_array().unwrap().len(), 30);
    assert!(
        changed.as_array().unwrap().iter().all(|pat| pat["expirationDate"] == "2999-01-31T23:59:59.999Z")
    );

    // One id that is nobody's in the first portion, which the server refuses whole: that one fails alone.
    let unknown = "0".repeat(32);
    let output = home.patron(&[&bulk[..], &[&unknown], &ids].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let changed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let changed: Vec<String> = changed.as_array().unwrap().iter().map(|pat| text(pat, "id")).collect();
    assert_eq!((changed[0].as_str(), changed.len()), (ids[0], 30));
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(told["error"], "1 of 31 tokens could not be changed");
    assert_eq!((&told["failed"][0]["ids"], &told["failed"][1]), (&json!([unknown]), &Value::Null));
    let said = home.patron(&[&bulk[..5], &ids, &[&unknown]].concat()).output().unwrap().stderr;
    let said = String::from_utf8(said).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines.len(), lines[1]), (2, "patron: 1 of 31 tokens could not be changed"), "{said}");
    assert!(lines[0].starts_with("patron: ") && lines[0].contains(&unknown), "{said}");
}

#[test]
fn what_was_asked_for_is_done_though_nobody_reads() {
    let home = Home::with(&[("PATRON_PAT_LIMITS_PER_OWNER", "40")]);
    home.login();
    for number in 0..30 {
        home.create(&format!("t{number}{}", "n".repeat(200)));
    }
    let run = |args: &[&str], stdout| {
        let mut command = home.patron(&[args, &["--yes", "--json"]].concat());
        let output =
            command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let changed = |day: &str| {
        let list = home.json(&["pat", "list", "--never-used"]);
        list.as_array().unwrap().iter().filter(|pat| text(pat, "expirationDate").starts_with(day)).count()
    };
    let bulk = ["pat", "bulk-update", "--never-used", "--expires"];
    assert_eq!(run(&[&bulk[..], &["2999-01-31"]].concat(), closed_pipe()), (0, String::new()));
    assert_eq!(changed("2999-01-31"), 30);
    let (code, said) = run(&[&bulk[..], &["2999-02-01"]].concat(), full_disk());
    let told: Value = serde_json::from_str(&said).unwrap();
    assert!(code == 1 && text(&told, "error").starts_with("all was changed, but stdout cannot"), "{said}");
    assert_eq!(changed("2999-02-01"), 30);

    let ids: Vec<String> = home
        .json(&["pat", "list", "--never-used"])
        .as_array()
        .unwrap()
        .iter()
        .map(|pat| text(pat, "id"))
        .collect();
    let unknown = "0".repeat(32);
    let (code, said) = run(&["pat", "delete", &ids[0], &unknown], closed_pipe());
    let told: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &told["failed"][0]["ids"]), (1, &json!([unknown])), "{said}");
    assert_eq!(run(&["pat", "delete", &ids[1]], closed_pipe()), (0, String::new()));
    assert_eq!(home.names().len(), 29);
}

#[test]
fn an_interrupted_deletion_says_how_far_it_came() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut command = home.patron(&["pat", "delete", "1", "2", "3", "--yes", "--output", "json"]);
    command.envs([("SAIL_BASE_URL", url.as_str()), ("SAIL_CLIENT_ID", "x"), ("SAIL_CLIENT_SECRET", "y")]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    answer_one(&listener, "200 OK", ACCESS_TOKEN);
    answer_one(&listener, "204 No Content", "");
    let unanswered = take_request(&listener);
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let told: Value = serde_json::from_str(&failed(child.wait_with_output().unwrap(), 1)).unwrap();
    assert_eq!(told, json!({ "error": "terminated; 1 of 3 tokens was deleted, and 1 more may be" }));
    drop(unanswered);
}

#[test]
fn a_blank_text_chooses_nothing() {
    let home = with_tokens(&["a"]);
    let yes: &[&str] = &["--yes"];
    for (command, more) in [
        (&["pat", "list"][..], &[][..]),
        (&["pat", "delete"], yes),
        (&["pat", "bulk-update", "--expires", "1d"], yes),
    ] {
        for text in ["", " \t"] {
            for choice in [["--owner", text], ["--name", text], ["--filters", text], ["--scope", text]] {
                let said = home.fails(&[command, &choice, more].concat(), 2);
                assert!(said.contains("blank") && said.contains(choice[0]), "{command:?} {choice:?}: {said}");
            }
        }
    }
    assert!(home.fails(&["pat", "delete", "", "--yes"], 2).contains("blank"));
    assert_eq!(home.names(), ["bootstrap", "a"]);
    assert_eq!(home.json(&["pat", "list", "--never-expiring", "--name", "a"])[0]["name"], "a");
}

#[test]
fn programs_are_told_nothing_but_the_answer() {
    let home = with_tokens(&["x1", "x2"]);
    for args in [
        ["pat", "bulk-update", "--never-used", "--expires=1d", "--yes"],
        ["pat", "delete", "--name", "x", "--yes"],
        ["pat", "delete", "--name", "nobody's", "--yes"],
    ] {
        for form in [&["--json"][..], &["--output", "json"]] {
            let output = home.patron(&[&args[..], form].concat()).output().unwrap();
            assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{args:?}");
            serde_json::from_slice::<Value>(&output.stdout).unwrap();
        }
    }
}

#[test]
fn a_bulk_update_by_filter_sets_an_end() {
    let home = with_tokens(&["x1", "x2"]);
    let changed = home.json(&["pat", "bulk-update", "--never-expiring", "--expires", "30d", "--yes"]);
    assert_eq!(changed.as_array().unwrap().len(), 2);
    assert_eq!(home.json(&["pat", "list", "--never-expiring"]), json!([]));
    let back = home.json(&["pat", "bulk-update", "--name", "X1", "--never-expires", "--yes"]);
    assert_eq!((&back[0]["name"], &back[0]["expirationDate"]), (&json!("x1"), &Value::Null));
}
