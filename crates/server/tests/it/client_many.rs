//! `patron pat delete` and `bulk-update` by a filter: shown first, confirmed, and carried on where one fails.

use serde_json::{Value, json};

use crate::home::{Home, text};

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
    let bulk = ["pat", "bulk-update", "--expires", "2999-01-31", "--json"];
    let changed = home.json(&[&bulk[..4], &ids].concat());
    assert_eq!(changed.as_array().unwrap().len(), 30);
    assert!(
        changed.as_array().unwrap().iter().all(|pat| pat["expirationDate"] == "2999-01-31T23:59:59.999Z")
    );

    // One id that is nobody's in the second portion: that one is refused whole, the first is done.
    let unknown = "0".repeat(32);
    let output = home.patron(&[&bulk[..], &ids, &[&unknown]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().len(), 25);
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(told["error"], "6 of 31 tokens could not be changed");
    assert_eq!(
        (told["failed"].as_array().unwrap().len(), told["failed"][0]["ids"].as_array().unwrap().len()),
        (1, 6)
    );
    let said = home.patron(&[&bulk[..4], &ids, &[&unknown]].concat()).output().unwrap().stderr;
    let said = String::from_utf8(said).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines.len(), lines[1]), (2, "patron: 6 of 31 tokens could not be changed"), "{said}");
    assert!(lines[0].starts_with("patron: ") && lines[0].contains(&unknown), "{said}");
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
