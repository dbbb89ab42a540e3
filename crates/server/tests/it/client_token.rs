//! `patron token` and what is kept for it.

use std::fs;

use serde_json::{Value, json};

use crate::home::{Home, failed, files, succeeded};
use crate::support::Call;

#[test]
fn a_token_is_printed_for_scripts() {
    let home = Home::logged_in();
    let token = home.ok(&["token"]);
    assert_eq!((token.lines().count(), token.matches('.').count()), (1, 2));
    assert_eq!(home.ok(&["token", "--header"]), format!("Authorization: Bearer {token}"));
    let told = home.json(&["token"]);
    assert_eq!(told["accessToken"], token.trim());
    assert_eq!(told.as_object().unwrap().keys().collect::<Vec<_>>(), ["accessToken", "expiresIn"]);
    assert!((43_000..=43_200).contains(&told["expiresIn"].as_u64().unwrap()));
    home.server.send(Call::get("/tenant/v1").auth(&format!("Bearer {}", token.trim()))).expect(200);
    assert_ne!(home.ok(&["token", "--fresh"]), token);
    home.fails(&["token", "--header", "--json"], 2);

    let narrow = home.json(&["token", "--scope", "sp:scopes:default"]);
    let inspected =
        home.with_stdin(&["token", "inspect", "-", "--json"], narrow["accessToken"].as_str().unwrap());
    let inspected: Value = serde_json::from_str(&succeeded(inspected)).unwrap();
    assert_eq!(
        (&inspected["valid"], &inspected["claims"]["scope"]),
        (&json!(true), &json!("sp:scopes:default"))
    );
    assert!(home.fails(&["token", "--scope", "a b"], 1).contains("invalid_scope"));
}

#[test]
fn a_kept_token_needs_no_server() {
    let home = Home::logged_in();
    let token = home.ok(&["token"]);
    home.server.signal("STOP");
    assert_eq!(home.ok(&["token"]), token);
    // Another secret, another scope: another token, which there is none of.
    home.server.signal("KILL");
    home.fails(&["token", "--scope", "sp:scopes:default"], 1);
    let mut other = home.patron(&["token"]);
    other.envs([
        ("SAIL_BASE_URL", home.url()),
        ("SAIL_CLIENT_ID", home.client_id()),
        ("SAIL_CLIENT_SECRET", "x".into()),
    ]);
    failed(other.output().unwrap(), 1);
}

#[test]
fn what_is_kept_wrongly_is_obtained_anew() {
    let home = Home::logged_in();
    let before = home.ok(&["token"]);
    let kept = files(&home.path().join(".cache"));
    assert_eq!(kept.len(), 1);
    let whole = fs::read_to_string(&kept[0]).unwrap();
    let past = whole.replace("\"ends\":\"2", "\"ends\":\"1");
    for wrong in ["", "{", &whole[..20], past.as_str()] {
        fs::write(&kept[0], wrong).unwrap();
        let after = home.ok(&["token"]);
        assert_ne!(after, before, "{wrong}");
        assert_eq!(home.ok(&["token"]), after);
    }
    // One that the server no longer takes is replaced by the commands that find out.
    let revoked = home.ok(&["token"]);
    let form = [("token", revoked.trim())];
    let (id, secret) = home.folder.id_and_secret();
    home.server
        .send(Call::post("/oauth/revoke").auth(&crate::support::basic(&id, &secret)).form(&form))
        .expect(200);
    home.ok(&["pat", "list"]);
    assert_ne!(home.ok(&["token"]), revoked);
}

#[test]
fn a_token_is_taken_apart_and_checked() {
    let home = Home::logged_in();
    let own = home.json(&["token", "inspect"]);
    assert_eq!((&own["valid"], &own["reason"]), (&json!(true), &Value::Null));
    assert_eq!(
        (&own["header"]["alg"], &own["claims"]["client_id"]),
        (&json!("ES256"), &json!(home.client_id()))
    );
    let lines = home.ok(&["token", "inspect"]);
    assert!(lines.contains("valid: true\n") && lines.contains("scope: sp:scopes:all\n"), "{lines}");
    // Somebody has changed what it says.
    let token = home.ok(&["token"]);
    let parts: Vec<&str> = token.trim().split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], parts[1], parts[2].chars().rev().collect::<String>());
    let output = home.with_stdin(&["token", "inspect", "-", "--json"], &forged);
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["valid"], &told["claims"]), (&json!(false), &own["claims"]));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("signature") && !said.contains(parts[1]), "{said}");
    assert!(failed(home.with_stdin(&["token", "inspect", "-"], "nonsense"), 1).contains("no JWT"));
    // A token is never an argument, where others could read it; what was one is not repeated.
    let said = home.fails(&["token", "inspect", token.trim()], 2);
    assert!(said.contains("stdin") && !said.contains(parts[2]), "{said}");
}
