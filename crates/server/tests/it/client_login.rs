//! `patron login`, `logout`, `whoami` and `profile`: where a credential comes from, where it is kept, and what becomes
//! of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::home::{Home, failed, files, mode, succeeded, text};
use crate::support::{Call, run_json};

#[test]
fn a_login_is_kept_for_its_owner_alone_once_the_server_has_accepted_it() {
    let home = Home::new();
    let (url, id, secret) = (home.url(), home.client_id(), home.secret());
    let login = ["login", "--url", &url, "--client-id", &id, "--json"];
    // Refused: nothing is kept.
    let refused = failed(home.with_stdin(&login, &format!("{}\n", "f".repeat(64))), 1);
    assert!(refused.contains("invalid_client") && !home.profiles().exists(), "{refused}");
    let said = succeeded(home.with_stdin(&login, &format!("{secret}\nnever read\n")));
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&told["profile"], &told["clientId"]), (&json!("default"), &json!(id)));
    assert!(!said.contains(&secret));
    assert_eq!(mode(&home.profiles()), 0o600);
    assert_eq!(mode(home.profiles().parent().unwrap()), 0o700);
    for file in files(home.path()) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }

    let who = home.json(&["whoami"]);
    assert_eq!(
        (&who["clientId"], &who["userName"], &who["name"]),
        (&json!(id), &json!("admin"), &json!("bootstrap"))
    );
    assert_eq!((&who["baseUrl"], &who["profile"]), (&json!(url), &json!("default")));
    assert_eq!(who["scope"], json!(["sp:scopes:all"]));
    assert!(home.ok(&["whoami"]).contains("displayName: Administrator\n"));
}

#[test]
fn what_others_can_read_is_refused() {
    let home = Home::logged_in();
    fs::set_permissions(home.profiles(), fs::Permissions::from_mode(0o644)).unwrap();
    for args in [vec!["whoami"], vec!["token"], vec!["logout"], vec!["profile", "list"]] {
        let said = home.fails(&args, 1);
        assert!(said.contains("chmod 600") && !said.contains(&home.secret()), "{said}");
    }
}

#[test]
fn profiles_are_chosen_by_flag_by_variable_and_for_good() {
    let home = Home::logged_in();
    let made = home.create("other");
    let (url, other) = (home.url(), text(&made, "id"));
    let login = home.patron(&["login", "--url", &url, "--client-id", &other, "--profile", "other"]);
    succeeded(crate::home::with_stdin(login, &text(&made, "secret")));
    let who = |args: &[&str]| text(&home.json(&[&["whoami"], args].concat()), "clientId");
    // The last login is the current one.
    assert_eq!(who(&[]), other);
    assert_eq!(who(&["--profile", "default"]), home.client_id());
    let mut by_variable = home.patron(&["whoami", "--json"]);
    let said = succeeded(by_variable.env("PATRON_PROFILE", "default").output().unwrap());
    assert!(said.contains(&home.client_id()), "{said}");
    assert_eq!(home.json(&["profile", "use", "default"]), json!({ "current": "default" }));
    assert_eq!(who(&[]), home.client_id());
    let list = home.json(&["profile", "list"]);
    let names: Vec<_> =
        list.as_array().unwrap().iter().map(|p| (text(p, "name"), p["current"].clone())).collect();
    assert_eq!(names, [("default".to_owned(), json!(true)), ("other".to_owned(), json!(false))]);
    assert!(!list.to_string().contains(&text(&made, "secret")));
    for args in [
        vec!["profile", "use", "nobody"],
        vec!["whoami", "--profile", "nobody"],
        vec!["logout", "--profile", "nobody"],
    ] {
        assert!(home.fails(&args, 1).contains("there is no profile 'nobody' (default, other)"));
    }
    assert!(home.fails(&["login", "--profile", "a b", "--url", &url], 2).contains("a profile's name has"));
}

#[test]
fn a_logout_leaves_nothing_and_ends_the_access_token() {
    let home = Home::logged_in();
    let bearer = format!("Bearer {}", home.ok(&["token"]).trim());
    home.server.send(Call::get("/tenant/v1").auth(&bearer)).expect(200);
    assert_eq!(home.json(&["logout"]), json!({ "profile": "default", "loggedOut": true, "revoked": true }));
    home.server.send(Call::get("/tenant/v1").auth(&bearer)).expect(401);
    let secret = home.secret();
    for file in files(home.path()) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&secret) && !text.contains("accessToken"), "{}: {text}", file.display());
    }
    assert!(home.fails(&["whoami"], 1).contains("run `patron login`"));
    assert!(home.fails(&["logout"], 1).contains("there is no current profile"));
    // The PAT is not what was logged out of.
    home.login();
    home.ok(&["whoami"]);
}

#[test]
fn a_logout_needs_no_server() {
    let home = Home::logged_in();
    home.server.signal("STOP");
    home.server.signal("KILL");
    let output = home.patron(&["logout"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("could not be revoked"), "{said}");
    assert_eq!(home.json(&["profile", "list"]), json!([]));
}

#[test]
fn the_environment_and_files_of_the_originals_clients_work() {
    let home = Home::new();
    let (url, id, secret) = (home.url(), home.client_id(), home.secret());
    let source = |home: &Home| text(&home.json(&["whoami"]), "source");

    fs::create_dir(home.path().join(".sailpoint")).unwrap();
    let yaml = format!(
        "activeenvironment: x\nenvironments:\n  x:\n    baseurl: {url}\n    pat:\n      clientid: {id}\n      clientsecret: {secret}\n"
    );
    // Ids are hexadecimal: one that YAML reads as a number is still the text that it is.
    fs::write(home.path().join(".sailpoint/config.yaml"), yaml.replace(&id, &format!("'{id}'"))).unwrap();
    assert!(source(&home).ends_with(".sailpoint/config.yaml"));
    let json = json!({ "BaseURL": url, "ClientId": id, "ClientSecret": secret });
    fs::write(home.path().join("config.json"), json.to_string()).unwrap();
    assert!(source(&home).ends_with("config.json"));
    home.login();
    assert_eq!(source(&home), "profile default");
    let mut command = home.patron(&["whoami", "--json"]);
    command.envs([("SAIL_BASE_URL", &url), ("SAIL_CLIENT_ID", &id), ("SAIL_CLIENT_SECRET", &secret)]);
    assert!(succeeded(command.output().unwrap()).contains("environment SAIL_BASE_URL"));
    let mut part = home.patron(&["whoami"]);
    let said = failed(part.env("SAIL_CLIENT_SECRET", "5ecret").output().unwrap(), 2);
    assert!(
        said.contains("SAIL_BASE_URL and SAIL_CLIENT_ID are not set") && !said.contains("5ecret"),
        "{said}"
    );
}

#[test]
fn without_a_home_the_environment_does() {
    let home = Home::new();
    let mut command = home.patron(&["whoami"]);
    let said = failed(command.env_remove("HOME").output().unwrap(), 1);
    assert!(said.contains("HOME is not set"), "{said}");
    let mut command = home.patron(&["pat", "list", "--json"]);
    command.env_remove("HOME").envs([
        ("SAIL_BASE_URL", home.url()),
        ("SAIL_CLIENT_ID", home.client_id()),
        ("SAIL_CLIENT_SECRET", home.secret()),
    ]);
    assert!(succeeded(command.output().unwrap()).contains("bootstrap"));
    // Nor can a profile be kept where nothing can be written.
    let mut login = home.patron(&["login", "--url", &home.url(), "--client-id", "x"]);
    login.env("XDG_CONFIG_HOME", "/proc/self").env("PATRON_CLIENT_SECRET", "x");
    assert_eq!(login.output().unwrap().status.code(), Some(1));
}

#[test]
fn secrets_do_not_go_over_http_to_other_machines_unless_it_was_said() {
    let home = Home::new();
    // A name that leads nowhere: what is refused before a request says so otherwise than one that fails.
    let url = "http://patron.invalid";
    let login = ["login", "--url", url, "--client-id", "x"];
    let said = failed(home.with_stdin(&login, "5ecret\n"), 2);
    assert!(said.contains("--allow-http") && !said.contains("5ecret"), "{said}");
    let said = failed(home.with_stdin(&[&login[..], &["--allow-http"]].concat(), "5ecret\n"), 1);
    assert!(said.contains("cannot be reached"), "{said}");
    let of_environment = |allowed: &str| {
        let mut command = home.patron(&["token"]);
        command.envs([
            ("SAIL_BASE_URL", url),
            ("SAIL_CLIENT_ID", "x"),
            ("SAIL_CLIENT_SECRET", "y"),
            ("PATRON_ALLOW_HTTP", allowed),
        ]);
        command.output().unwrap()
    };
    assert!(failed(of_environment(""), 2).contains("PATRON_ALLOW_HTTP=1"));
    assert!(failed(of_environment("1"), 1).contains("cannot be reached"));
}

#[test]
fn the_services_settings_are_nothing_to_the_client() {
    let home = Home::logged_in();
    let broken = home.path().join("broken.toml");
    fs::write(&broken, "no = settings").unwrap();
    let mut command = home.patron(&["whoami"]);
    succeeded(command.env("PATRON_CONFIG", &broken).env("PATRON_LISTEN", "nonsense").output().unwrap());
    for args in [vec!["--listen", "127.0.0.1:1", "whoami"], vec!["--data-dir", "x", "pat", "list"]] {
        assert!(home.fails(&args, 2).contains(&format!("{} is the service's", args[0])));
    }
    assert_eq!(home.patron(&["whoami", "--listen", "127.0.0.1:1"]).output().unwrap().status.code(), Some(2));
    for command in [vec!["pat", "list"], vec!["login"], vec!["token"]] {
        let help = home.ok(&[&command[..], &["--help"]].concat());
        assert!(
            !help.contains("--listen") && !help.contains("--data-dir") && help.contains("--json"),
            "{help}"
        );
    }
}

/// The data folder says where the database is when it is a file.
mod sqlite {
    use super::*;

    #[test]
    fn the_services_commands_take_its_settings_on_either_side_of_their_names() {
        let home = Home::logged_in();
        let data = home.folder.data.to_str().unwrap();
        let lists = [
            vec!["--data-dir", data, "admin", "pat", "list"],
            vec!["admin", "--data-dir", data, "pat", "list"],
            vec!["admin", "pat", "list", "--data-dir", data],
            vec!["--data-dir", "nowhere", "admin", "pat", "list", "--data-dir", data],
        ];
        for args in lists {
            assert!(home.json(&args).as_array().is_some_and(|list| list.len() == 1), "{args:?}");
        }
        assert_eq!(run_json(&home.folder.data, &["admin", "pat", "list"]).as_array().unwrap().len(), 1);
    }
}
