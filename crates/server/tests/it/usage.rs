//! Usage, help and settings of the command line (contract sections 1, 11 and 12).

use std::fs;
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{patron, run, run_json};

fn output(args: &[&str]) -> (Option<i32>, String, String) {
    let dir = TempDir::new().unwrap();
    let Output { status, stdout, stderr } = run(&dir.path().join("data"), args);
    assert!(!dir.path().join("data").exists(), "{args:?} makes a folder");
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn every_command_has_its_help() {
    for command in [
        "",
        "serve",
        "bootstrap",
        "config",
        "config check",
        "admin",
        "admin identity",
        "admin identity create",
        "admin identity list",
        "admin identity show",
        "admin identity set-levels",
        "admin identity disable",
        "admin identity enable",
        "admin identity delete",
        "admin identity set-password",
        "admin tenant",
        "admin tenant create",
        "admin tenant list",
        "admin pat",
        "admin pat create",
        "admin pat list",
        "admin pat revoke",
        "admin keys",
        "admin keys list",
        "admin keys rotate",
        "admin audit",
        "admin audit list",
    ] {
        let words: Vec<&str> = command.split_whitespace().collect();
        let (code, stdout, stderr) = output(&[&words[..], &["--help"]].concat());
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{command}");
        let usage = format!("Usage: patron {command}");
        assert!(stdout.contains(usage.trim_end()), "{command}: {stdout}");
        assert!(stdout.contains("--json") && stdout.contains("--config"), "{command}: {stdout}");
        // A first line that says what it does.
        assert!(stdout.lines().next().unwrap().len() > 6, "{command}: {stdout}");
    }
    let (code, stdout, _) = output(&["--version"]);
    assert_eq!((code, stdout.trim()), (Some(0), concat!("patron ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_usage_is_2_and_said_on_stderr() {
    let id = "0".repeat(32);
    for args in [
        vec!["nonsense"],
        vec!["--nonsense"],
        vec!["serve", "extra"],
        vec!["admin"],
        vec!["admin", "nonsense"],
        vec!["admin", "identity"],
        vec!["admin", "identity", "create"],
        vec!["admin", "identity", "show"],
        // Whoever forgets the levels takes none away.
        vec!["admin", "identity", "set-levels", &id],
        vec!["admin", "identity", "set-password"],
        vec!["admin", "tenant", "create"],
        vec!["admin", "pat", "create", "--owner", &id],
        // One of the two, and not both: never by default.
        vec!["admin", "pat", "create", "--owner", &id, "--name", "x"],
        vec![
            "admin",
            "pat",
            "create",
            "--owner",
            &id,
            "--name",
            "x",
            "--never-expires",
            "--expiration-date",
            "2999-01-01",
        ],
        vec![
            "admin",
            "pat",
            "create",
            "--owner",
            &id,
            "--name",
            "x",
            "--never-expires",
            "--validity",
            "long",
        ],
        vec!["admin", "pat", "revoke", &id],
        vec!["config"],
        // A secret is never an argument.
        vec!["admin", "identity", "set-password", &id, "correct horse battery"],
        vec!["admin", "identity", "set-password", &id, "--password", "correct horse battery"],
        // A wrong setting is wrong usage as well.
        vec!["serve", "--listen", "nowhere"],
        vec!["serve", "--listen", "127.0.0.1:99999"],
        vec!["admin", "tenant", "list", "--database-url", "mysql://x"],
        vec!["config", "check", "--public-url", "ftp://x"],
        vec!["config", "check", "--config", "/nothing/there.toml"],
    ] {
        let (code, stdout, stderr) = output(&args);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{args:?}: {stderr}");
        assert!(!stderr.trim().is_empty() && !stderr.contains("panicked"), "{args:?}");
    }
}

#[test]
fn config_check_says_what_is_in_force_and_where_it_came_from() {
    let dir = TempDir::new().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("patron.toml"));
    let text = "public_url = \"https://pat.example.com/patron\"\n\n[rate_limits]\nrequests = 7\n";
    fs::write(&file, text).unwrap();
    let mut command = patron(&data);
    command.args(["config", "check", "--json", "--listen", "127.0.0.1:1234"]);
    let key = "0123456789abcdef".repeat(4);
    // No flag of the tests' says where it is.
    command.env_remove("PATRON_DATABASE_URL");
    command.env("PATRON_CONFIG", &file).env("PATRON_POD", "west").env("PATRON_MASTER_KEY", &key);
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert_eq!((status.code(), stderr.len()), (Some(0), 0));
    let said: Value = serde_json::from_slice(&stdout).unwrap();
    let shown = file.display();
    for (setting, value, source) in [
        ("listen", json!("127.0.0.1:1234"), "flag --listen".to_owned()),
        ("pod", json!("west"), "environment PATRON_POD".to_owned()),
        ("public_url", json!("https://pat.example.com/patron"), format!("{shown}:1")),
        ("rate_limits.requests", json!(7), format!("{shown}:4")),
        ("rate_limits.window_seconds", json!(10), "default".to_owned()),
        ("database_url", json!(format!("sqlite:{}/patron.db", data.display())), "default".to_owned()),
        ("master_key", json!("set"), "environment PATRON_MASTER_KEY".to_owned()),
    ] {
        assert_eq!(said[setting], json!({ "value": value, "source": source }), "{setting}");
    }
    assert!(!said.to_string().contains(&key));

    let table = String::from_utf8(command.arg("--management-listen=off").output().unwrap().stdout).unwrap();
    assert!(table.contains("management_listen"));
    let plain = run(&data, &["config", "check"]);
    let table = String::from_utf8(plain.stdout).unwrap();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["setting", "value", "source"]);
    assert!(lines.contains(&vec!["listen", "127.0.0.1:8080", "default"]), "{table}");
    assert!(lines.contains(&vec!["management_listen", "127.0.0.1:9090", "default"]), "{table}");
    assert!(lines.contains(&vec!["rate_limits.requests", "100", "default"]), "{table}");
    assert!(!data.exists(), "looking changes nothing");
}

#[test]
fn wrong_settings_are_2_with_file_and_line() {
    let dir = TempDir::new().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("patron.toml"));
    let shown = file.display();
    for (text, said) in [
        ("nonsense = 1\n", vec![format!("{shown}:1: unknown key 'nonsense'")]),
        ("\n\n[rate_limits]\nrequest = 1\n", vec![format!("{shown}:4: unknown key 'rate_limits.request'")]),
        ("listen = 8080\n", vec![format!("{shown}:1: listen: ")]),
        ("listen = \n", vec![format!("{shown}:1: ")]),
        (
            "pod = \"\"\n[pat_limits]\nper_owner = 0\n",
            vec![format!("{shown}:1: pod: "), format!("{shown}:3: pat_limits.per_owner: ")],
        ),
        ("[[scopes]]\nname = \"x y\"\nlevels = [\"*\"]\n", vec![format!("{shown}:2: scopes: ")]),
    ] {
        fs::write(&file, text).unwrap();
        let config = file.to_str().unwrap();
        for args in [
            vec!["config", "check", "--config", config],
            vec!["serve", "--config", config],
            vec!["bootstrap", "--config", config],
            vec!["admin", "--config", config, "tenant", "list"],
            vec!["--config", config],
        ] {
            let Output { status, stdout, stderr } = run(&data, &args);
            let stderr = String::from_utf8(stderr).unwrap();
            assert_eq!((status.code(), stdout.len()), (Some(2), 0), "{args:?}: {stderr}");
            for said in &said {
                assert!(stderr.lines().any(|line| line.starts_with(said)), "{text}: {stderr}");
            }
        }
    }
    assert!(!data.exists());
    // A variable is named instead, and what it holds is not told where it may be a secret.
    let wrong = [
        ("PATRON_LISTEN", "x"),
        ("PATRON_RATE_LIMITS_REQUESTS", "-1"),
        ("PATRON_AUDIT_EVERY_USE", "yes"),
        ("PATRON_LOG", "=,="),
        ("PATRON_DATABASE_URL", "mysql://patron:hunter2@db/patron"),
        ("PATRON_MASTER_KEY", "hunter2"),
    ];
    let mut command = patron(&data);
    let output = command.args(["config", "check"]).envs(wrong).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    for (name, _) in wrong {
        assert!(stderr.lines().any(|line| line.starts_with(&format!("{name}: "))), "{name}: {stderr}");
    }
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn settings_are_in_force_for_commands_as_well() {
    let dir = TempDir::new().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("patron.toml"));
    fs::write(
        &file,
        "public_url = \"https://pat.example.com\"\ntenant_domain = \"api.example.com\"\n\
         [levels]\nAUDITOR = [\"idn:all-personal-access-tokens:read\"]\n[pat_limits]\nper_owner = 1\n",
    )
    .unwrap();
    let config = file.to_str().unwrap();
    let made = run_json(&data, &["bootstrap", "--config", config]);
    assert_eq!(made["baseUrl"], "https://pat.example.com");
    let tenant = run_json(&data, &["admin", "tenant", "create", "--name", "acme", "--config", config]);
    assert_eq!(tenant["url"], "https://acme.api.example.com");
    let create = ["admin", "identity", "create", "--name", "jane", "--level", "AUDITOR"];
    assert_eq!(run(&data, &create).status.code(), Some(1));
    let jane = run_json(&data, &[&create[..], &["--config", config]].concat());
    assert_eq!(jane["levels"], json!(["AUDITOR"]));
    let pat = |name: &str| {
        let owner = jane["id"].as_str().unwrap();
        let args =
            ["admin", "pat", "create", "--owner", owner, "--never-expires", "--config", config, "--name"];
        run(&data, &[&args[..], &[name]].concat())
    };
    assert_eq!(pat("first").status.code(), Some(0));
    assert_eq!(pat("second").status.code(), Some(1));
}

#[test]
fn a_file_may_set_all_that_the_contract_names() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("patron.toml");
    let text = r#"
listen = "127.0.0.1:8081"
public_url = "https://pat.example.com"
tenant_domain = "api.example.com"      # acme.api.example.com is the tenant acme
trusted_proxies = ["10.0.0.0/8"]
[rate_limits]
requests = 0
window_seconds = 20
auth_failures_per_client = 0
auth_failures_per_address = 1
[pat_limits]
per_owner = 11
[tokens]
audience = "https://api.example.com"
scope_claim = "array"
[compatibility]
never_expires_date = false
[audit]
every_use = true
[levels]
AUDITOR = ["idn:all-personal-access-tokens:read"]
[[scopes]]
name = "demo:orders:read"
description = "Read orders"
rights = []
levels = ["*"]
"#;
    fs::write(&file, text).unwrap();
    let said = run_json(&dir.path().join("data"), &["config", "check", "--config", file.to_str().unwrap()]);
    let scope =
        json!({ "name": "demo:orders:read", "description": "Read orders", "rights": [], "levels": ["*"] });
    for (setting, value) in [
        ("listen", json!("127.0.0.1:8081")),
        ("public_url", json!("https://pat.example.com")),
        ("tenant_domain", json!("api.example.com")),
        ("trusted_proxies", json!(["10.0.0.0/8"])),
        ("rate_limits.requests", json!(0)),
        ("rate_limits.window_seconds", json!(20)),
        ("rate_limits.auth_failures_per_client", json!(0)),
        ("rate_limits.auth_failures_per_address", json!(1)),
        ("pat_limits.per_owner", json!(11)),
        ("tokens.audience", json!("https://api.example.com")),
        ("tokens.scope_claim", json!("array")),
        ("compatibility.never_expires_date", json!(false)),
        ("audit.every_use", json!(true)),
        ("levels", json!({ "AUDITOR": ["idn:all-personal-access-tokens:read"] })),
        ("scopes", json!([scope])),
    ] {
        assert_eq!(said[setting]["value"], value, "{setting}");
        let source = said[setting]["source"].as_str().unwrap();
        assert!(source.starts_with(&format!("{}:", file.display())), "{setting}: {source}");
    }
}

#[test]
fn the_page_of_settings_is_that_of_the_program() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
    assert_eq!(fs::read_to_string(page).unwrap(), patron::config::settings_markdown());
}
