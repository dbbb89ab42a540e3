//! Tests of the whole: flags, a file and an environment in, settings or complaints out.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;

use clap::{CommandFactory as _, Parser};

use super::*;

/// What contract section 12 shows.
const SAMPLE: &str = r#"
listen = "127.0.0.1:8080"
public_url = "https://pat.example.com"
tenant_domain = "api.example.com"      # acme.api.example.com → tenant acme
trusted_proxies = ["10.0.0.0/8"]
[rate_limits]
requests = 100
window_seconds = 10
auth_failures_per_client = 20
auth_failures_per_address = 100
[pat_limits]
per_owner = 10
[tokens]
audience = "https://api.example.com"
scope_claim = "string"
[compatibility]
never_expires_date = true
[audit]
every_use = false
[levels]
AUDITOR = ["idn:all-personal-access-tokens:read"]
[[scopes]]
name = "demo:orders:read"
description = "Read orders"
rights = []
levels = ["*"]
"#;

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    Serve,
}

/// A folder with a settings file in it, flags, and an environment.
struct Case {
    folder: tempfile::TempDir,
    flags: Flags,
    env: HashMap<&'static str, OsString>,
}

impl Case {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), flags: Flags::default(), env: HashMap::new() }
    }

    fn file(text: impl AsRef<[u8]>) -> Self {
        let mut case = Self::new();
        let path = case.folder.path().join("patron.toml");
        std::fs::write(&path, text).unwrap();
        case.flags.config = Some(path.into());
        case
    }

    fn env(mut self, name: &'static str, value: &str) -> Self {
        self.env.insert(name, value.into());
        self
    }

    fn load(&self) -> Result<Loaded, ConfigError> {
        load(&self.flags, &|name| self.env.get(name).cloned())
    }

    fn settings(&self) -> Settings {
        self.load().unwrap().settings
    }

    /// The complaints, without the folder.
    fn problems(&self) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        let error = self.load().expect_err("these settings are wrong");
        error.problems.into_iter().map(|problem| problem.replace(&folder, "")).collect()
    }
}

fn env(name: &'static str, value: &str) -> Case {
    Case::new().env(name, value)
}

#[test]
fn without_anything_the_defaults_are_in_force() {
    let loaded = Case::new().load().unwrap();
    assert!(loaded.sources.values().all(|source| *source == Source::Default));
    assert_eq!(loaded.sources.len(), SETTINGS.len());
    let json = loaded.json();
    for (key, value) in [
        ("config", serde_json::Value::Null),
        ("listen", "127.0.0.1:8080".into()),
        ("management_listen", "127.0.0.1:9090".into()),
        ("database_url", "sqlite:patron-data/patron.db".into()),
        ("data_dir", "patron-data".into()),
        ("public_url", "http://127.0.0.1:8080".into()),
        ("tenant_domain", serde_json::Value::Null),
        ("trusted_proxies", serde_json::json!([])),
        ("pod", "local".into()),
        ("log", "info".into()),
        ("log_format", "text".into()),
        ("master_key", serde_json::Value::Null),
        ("rate_limits.requests", 100.into()),
        ("rate_limits.window_seconds", 10.into()),
        ("rate_limits.auth_failures_per_client", 20.into()),
        ("rate_limits.auth_failures_per_address", 100.into()),
        ("pat_limits.per_owner", 10.into()),
        ("tokens.audience", serde_json::Value::Null),
        ("tokens.scope_claim", "string".into()),
        ("compatibility.never_expires_date", true.into()),
        ("audit.every_use", false.into()),
        ("levels", serde_json::json!({})),
        ("scopes", serde_json::json!([])),
    ] {
        assert_eq!(json[key], serde_json::json!({"value": value, "source": "default"}), "{key}");
    }
}

#[test]
fn the_table_says_of_each_default_what_it_is() {
    for setting in SETTINGS {
        let shown = match (setting.show)(&Settings::default()) {
            serde_json::Value::Null => continue,
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        let said = setting.default.replace("<data_dir>", "patron-data");
        assert!(said.contains(&format!("`{shown}`")), "{}: {said} but {shown}", setting.key);
    }
}

#[test]
fn the_sample_of_the_contract_is_read_whole() {
    let loaded = Case::file(SAMPLE).load().unwrap();
    let settings = &loaded.settings;
    assert_eq!(settings.base_url(), "https://pat.example.com");
    assert_eq!(settings.tenant_domain.as_deref(), Some("api.example.com"));
    assert_eq!(settings.trusted_proxies, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(settings.tokens.audience.as_deref(), Some("https://api.example.com"));
    assert_eq!(settings.levels["AUDITOR"], ["idn:all-personal-access-tokens:read"]);
    let scope = CustomScope {
        name: "demo:orders:read".to_owned(),
        description: "Read orders".to_owned(),
        rights: Vec::new(),
        levels: vec!["*".to_owned()],
    };
    assert_eq!(settings.scopes, [scope]);
    for (key, line) in [("listen", 2), ("rate_limits.requests", 7), ("levels", 20), ("scopes", 22)] {
        assert!(loaded.sources[key].to_string().ends_with(&format!("patron.toml:{line}")), "{key}");
    }
    assert_eq!(loaded.sources["pod"], Source::Default);
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let mut case = Case::file("listen = '127.0.0.1:1'\ndata_dir = 'file'\npod = 'file'\n")
        .env("PATRON_LISTEN", "127.0.0.1:2")
        .env("PATRON_DATA_DIR", "environment");
    case.flags.listen = Some("127.0.0.1:3".into());
    let loaded = case.load().unwrap();
    assert_eq!(loaded.settings.listen.port(), 3);
    assert_eq!(loaded.settings.data_dir, Path::new("environment"));
    assert_eq!(loaded.settings.pod, "file");
    assert_eq!(loaded.sources["listen"], Source::Flag("--listen"));
    assert_eq!(loaded.sources["data_dir"], Source::Environment("PATRON_DATA_DIR"));
    assert!(matches!(loaded.sources["pod"], Source::File { line: 3, .. }));
    assert_eq!(loaded.sources["log"], Source::Default);
}

#[test]
fn the_environment_names_the_file_unless_a_flag_does() {
    let flagged = Case::file("pod = 'flag'");
    let other = Case::file("pod = 'environment'");
    let from_env = env("PATRON_CONFIG", other.flags.config.as_ref().unwrap().to_str().unwrap());
    let loaded = from_env.load().unwrap();
    assert_eq!(loaded.settings.pod, "environment");
    assert_eq!(loaded.sources["config"], Source::Environment("PATRON_CONFIG"));
    let loaded = Case { flags: flagged.flags.clone(), ..from_env }.load().unwrap();
    assert_eq!(loaded.settings.pod, "flag");
    assert_eq!(loaded.sources["config"], Source::Flag("--config"));
}

#[test]
fn every_setting_has_one_name_by_one_rule() {
    for setting in SETTINGS {
        let variable = format!("PATRON_{}", setting.key.replace('.', "_").to_uppercase());
        let expected = (!["levels", "scopes"].contains(&setting.key)).then_some(variable.as_str());
        assert_eq!(setting.env, expected, "{}", setting.key);
        if let Some((flag, _)) = setting.flag {
            assert_eq!(flag, format!("--{}", setting.key.replace('_', "-")));
            let cli = Cli::try_parse_from(["patron", flag, "given"]).unwrap();
            let kept = setting.flag.and_then(|(_, of)| of(&cli.flags)).unwrap();
            assert_eq!(kept, "given", "{flag}");
        }
    }
}

#[test]
fn the_help_names_the_variable_of_each_flag() {
    let command = Cli::command();
    for setting in SETTINGS {
        let Some((flag, _)) = setting.flag else { continue };
        let argument =
            command.get_arguments().find(|argument| argument.get_long() == flag.strip_prefix("--")).unwrap();
        let help = argument.get_help().unwrap().to_string();
        assert!(help.contains(&format!("[env: {}]", setting.env.unwrap())), "{flag}: {help}");
    }
}

#[test]
fn flags_may_follow_the_command() {
    let cli = Cli::try_parse_from(["patron", "serve", "--data-dir", "here"]).unwrap();
    assert!(matches!(cli.command, Some(Command::Serve)));
    assert_eq!(cli.flags.data_dir.as_deref(), Some("here".as_ref()));
}

#[test]
fn every_scalar_can_be_set_by_its_variable() {
    for (name, given, key, shown) in [
        ("PATRON_LISTEN", "[::1]:81", "listen", serde_json::json!("[::1]:81")),
        ("PATRON_MANAGEMENT_LISTEN", "off", "management_listen", "off".into()),
        ("PATRON_DATABASE_URL", "sqlite:/x/y.db", "database_url", "sqlite:/x/y.db".into()),
        ("PATRON_DATA_DIR", "/srv/patron", "data_dir", "/srv/patron".into()),
        ("PATRON_PUBLIC_URL", "https://E.example/patron/", "public_url", "https://e.example/patron".into()),
        ("PATRON_TENANT_DOMAIN", "API.example.com", "tenant_domain", "api.example.com".into()),
        (
            "PATRON_TRUSTED_PROXIES",
            "10.1.2.3/8, 192.0.2.7,::ffff:172.16.0.0/108, fd00::/8,",
            "trusted_proxies",
            serde_json::json!(["10.0.0.0/8", "192.0.2.7/32", "172.16.0.0/12", "fd00::/8"]),
        ),
        ("PATRON_POD", "stg01", "pod", "stg01".into()),
        ("PATRON_LOG", "warn,patron=debug", "log", "warn,patron=debug".into()),
        ("PATRON_LOG_FORMAT", "json", "log_format", "json".into()),
        ("PATRON_RATE_LIMITS_REQUESTS", "0", "rate_limits.requests", 0.into()),
        ("PATRON_RATE_LIMITS_WINDOW_SECONDS", "3600", "rate_limits.window_seconds", 3600.into()),
        (
            "PATRON_RATE_LIMITS_AUTH_FAILURES_PER_CLIENT",
            "1",
            "rate_limits.auth_failures_per_client",
            1.into(),
        ),
        (
            "PATRON_RATE_LIMITS_AUTH_FAILURES_PER_ADDRESS",
            "2",
            "rate_limits.auth_failures_per_address",
            2.into(),
        ),
        ("PATRON_PAT_LIMITS_PER_OWNER", "10000", "pat_limits.per_owner", 10_000.into()),
        ("PATRON_TOKENS_AUDIENCE", "orders", "tokens.audience", "orders".into()),
        ("PATRON_TOKENS_SCOPE_CLAIM", "array", "tokens.scope_claim", "array".into()),
        (
            "PATRON_COMPATIBILITY_NEVER_EXPIRES_DATE",
            "false",
            "compatibility.never_expires_date",
            false.into(),
        ),
        ("PATRON_AUDIT_EVERY_USE", "true", "audit.every_use", true.into()),
    ] {
        let json = env(name, given).load().unwrap().json();
        let source = format!("environment {name}");
        assert_eq!(json[key], serde_json::json!({"value": shown, "source": source}), "{name}");
    }
}

#[test]
fn an_empty_variable_is_none() {
    let case =
        SETTINGS.iter().filter_map(|setting| setting.env).fold(Case::new(), |case, name| case.env(name, ""));
    assert!(case.load().unwrap().sources.values().all(|source| *source == Source::Default));
}

#[test]
fn unknown_keys_are_refused_with_their_line() {
    for (text, problem) in [
        ("foo = 1", "patron.toml:1: unknown key 'foo'"),
        ("\n\npod = 'x'\nPod = 'x'\n", "patron.toml:4: unknown key 'Pod'"),
        ("[rate_limits]\nrequests = 1\nrequest = 1", "patron.toml:3: unknown key 'rate_limits.request'"),
        ("rate_limits.request = 1", "patron.toml:1: unknown key 'rate_limits.request'"),
        ("pod = 'x'\n[rates]\nrequests = 1", "patron.toml:2: unknown key 'rates'"),
        ("[rate_limits.more]\nx = 1", "patron.toml:1: unknown key 'rate_limits.more'"),
        // In quotes it is one key, not a section's.
        ("'rate_limits.requests' = 1", "patron.toml:1: unknown key 'rate_limits.requests'"),
        ("[[scopes]]\nname = 'a:b'\nlevels = []\nlevel = []", "patron.toml:4: scopes: unknown key 'level'"),
        // Named by a flag or the environment alone.
        ("config = 'x'", "patron.toml:1: unknown key 'config'"),
        ("master_key = 'x'", "patron.toml:1: unknown key 'master_key'"),
    ] {
        assert_eq!(Case::file(text).problems(), [problem], "{text}");
    }
}

#[test]
fn wrong_types_and_values_are_refused_with_their_line() {
    let number = |range: &str| format!("must be a whole number from {range}");
    for (text, problem) in [
        ("listen = 8080", "1: listen: expected a string, found integer".to_owned()),
        (
            "pod = 'x'\nlisten = 'localhost:80'",
            "2: listen: 'localhost:80' is no address with a port, such as 127.0.0.1:8080".to_owned(),
        ),
        (
            "management_listen = 'none'",
            "1: management_listen: 'none' is no address with a port, such as 127.0.0.1:8080, and not 'off'"
                .to_owned(),
        ),
        ("management_listen = false", "1: management_listen: expected a string, found boolean".to_owned()),
        ("data_dir = ''", "1: data_dir: is empty".to_owned()),
        ("rate_limits = 5", "1: rate_limits: expected a table, found integer".to_owned()),
        (
            "[rate_limits]\nrequests = '5'",
            "2: rate_limits.requests: expected a whole number, found string".to_owned(),
        ),
        (
            "[rate_limits]\nrequests = 5.0",
            "2: rate_limits.requests: expected a whole number, found float".to_owned(),
        ),
        ("[rate_limits]\nrequests = -1", format!("2: rate_limits.requests: {}", number("0 to 1000000"))),
        (
            "[rate_limits]\nrequests = 1_000_001",
            format!("2: rate_limits.requests: {}", number("0 to 1000000")),
        ),
        (
            "[rate_limits]\nrequests = 99999999999999999999",
            format!("2: rate_limits.requests: {}", number("0 to 1000000")),
        ),
        (
            "[rate_limits]\nwindow_seconds = 0",
            format!("2: rate_limits.window_seconds: {}", number("1 to 3600")),
        ),
        (
            "[rate_limits]\nwindow_seconds = 3601",
            format!("2: rate_limits.window_seconds: {}", number("1 to 3600")),
        ),
        ("[pat_limits]\nper_owner = 0", format!("2: pat_limits.per_owner: {}", number("1 to 10000"))),
        ("[audit]\nevery_use = 'yes'", "2: audit.every_use: expected true or false, found string".to_owned()),
        (
            "trusted_proxies = '10.0.0.0/8'",
            "1: trusted_proxies: expected a list of strings, found string".to_owned(),
        ),
        (
            "trusted_proxies = [\n  '10.0.0.0/8',\n  '10.0.0.0/33',\n]",
            "3: trusted_proxies: '10.0.0.0/33' is no network, such as 10.0.0.0/8".to_owned(),
        ),
        (
            "trusted_proxies = [\n  '10.0.0.0/8',\n  7]",
            "3: trusted_proxies: expected a string, found integer".to_owned(),
        ),
        (
            "tenant_domain = 'a_b.example'",
            "1: tenant_domain: 'a_b.example' is no domain, such as api.example.com".to_owned(),
        ),
        (
            "tenant_domain = 'example.1'",
            "1: tenant_domain: 'example.1' is no domain, such as api.example.com".to_owned(),
        ),
        (
            "tenant_domain = '127.0.0.1'",
            "1: tenant_domain: '127.0.0.1' is no domain, such as api.example.com".to_owned(),
        ),
        (
            "log = 'patron=loud'",
            "1: log: 'patron=loud' is no log filter, such as info or patron=debug,info".to_owned(),
        ),
        ("log_format = 'xml'", "1: log_format: must be text or json".to_owned()),
        ("[tokens]\nscope_claim = 'list'", "2: tokens.scope_claim: must be string or array".to_owned()),
        (
            "[tokens]\naudience = ''",
            "2: tokens.audience: must have 1 to 255 characters, none of them control characters".to_owned(),
        ),
        (
            "[tokens]\naudience = ': x'",
            "2: tokens.audience: ': x' has a colon, so it must be a URI".to_owned(),
        ),
    ] {
        assert_eq!(Case::file(text).problems(), [format!("patron.toml:{problem}")], "{text}");
    }
}

#[test]
fn wrong_levels_and_scopes_are_refused_with_their_line() {
    for (text, problem) in [
        ("levels = 1", "1: levels: expected a table, found integer"),
        ("[levels]\nAUDITOR = 'x'", "2: levels: expected a list of strings, found string"),
        (
            "[levels]\nAUDITOR = [\n'x',\n'a b']",
            "4: levels: 'a b' is no right: 1 to 255 printable ASCII characters without blank, '\"' and '\\'",
        ),
        (
            "[levels]\nA = []\nauditor = []",
            "3: levels: 'auditor' is no level: capitals, digits and '_', at most 64",
        ),
        ("[levels]\nORG_ADMIN = []", "2: levels: level 'ORG_ADMIN' is Patron's own"),
        ("[scopes]\nname = 'a:b'", "1: scopes: expected tables [[scopes]], found table"),
        (
            "[[scopes]]\nname = 'a b'\nlevels = []",
            "2: scopes: 'a b' is no scope: 1 to 255 printable ASCII characters without blank, '\"' and '\\'",
        ),
        (
            "[[scopes]]\nlevels = []\nname = 'sp:scopes:all'",
            "3: scopes: scope 'sp:scopes:all' is Patron's own",
        ),
        ("pod = 'x'\n[[scopes]]\nlevels = []", "2: scopes: a scope has no 'name'"),
        ("[[scopes]]\nname = 'a:b'", "1: scopes: a scope has no 'levels'"),
        ("[[scopes]]\nname = 'a:b'\nlevels = ['AUDITOR']", "3: scopes: there is no level 'AUDITOR'"),
        (
            "[[scopes]]\nname = 'a:b'\nlevels = ['USER',\n'*']",
            "4: scopes: '*' is every level and stands alone",
        ),
        (
            "[[scopes]]\nname = 'a:b'\nlevels = []\n[[scopes]]\nname = 'a:b'\nlevels = []",
            "4: scopes: scope 'a:b' stands twice",
        ),
    ] {
        assert_eq!(Case::file(text).problems(), [format!("patron.toml:{problem}")], "{text}");
    }
}

#[test]
fn what_is_no_toml_is_refused_with_its_line_and_without_its_text() {
    for (text, line) in [
        ("pod = 'x'\nhunter2 hunter2", 2),
        ("pod = 'x'\n\npod = 'hunter2'", 3),
        ("database_url = 'postgres://u:hunter2@h/d", 1),
        ("[levels\n", 1),
    ] {
        let problems = Case::file(text).problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(&format!("patron.toml:{line}: ")), "{problems:?}");
        assert!(!problems[0].contains("hunter2"), "{problems:?}");
    }
    assert_eq!(Case::file(b"pod = 'x'\n# \xff\n").problems(), ["patron.toml:2: is not UTF-8"]);
    assert_eq!(Case::file(vec![b'#'; 1024 * 1024 + 1]).problems(), ["patron.toml: is over 1048576 bytes"]);
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let case = env("PATRON_CONFIG", "/nowhere/patron.toml");
    let problems = case.problems();
    assert!(problems[0].starts_with("/nowhere/patron.toml: cannot be read: "), "{problems:?}");
}

#[test]
fn variables_and_flags_are_refused_by_name_and_all_at_once() {
    let mut case = Case::file("foo = 1\n[audit]\nevery_use = 1\n")
        .env("PATRON_RATE_LIMITS_REQUESTS", "many")
        .env("PATRON_AUDIT_EVERY_USE", "yes");
    case.flags.listen = Some("nowhere".into());
    case.flags.public_url = Some("ftp://x".into());
    assert_eq!(
        case.problems(),
        [
            "patron.toml:1: unknown key 'foo'",
            "patron.toml:3: audit.every_use: expected true or false, found integer",
            "PATRON_RATE_LIMITS_REQUESTS: must be a whole number from 0 to 1000000",
            "PATRON_AUDIT_EVERY_USE: must be true or false, not 'yes'",
            "--listen: 'nowhere' is no address with a port, such as 127.0.0.1:8080",
            "--public-url: must begin with http:// or https://",
        ]
    );
}

#[cfg(unix)]
#[test]
fn what_is_not_utf8_is_a_path_at_most() {
    use std::os::unix::ffi::OsStringExt as _;
    let odd = OsString::from_vec(b"da\xfft".to_vec());
    let mut case = Case::new();
    case.env.insert("PATRON_POD", odd.clone());
    assert_eq!(case.problems(), ["PATRON_POD: is not UTF-8"]);

    let mut case = Case::new();
    case.flags.data_dir = Some(odd.clone());
    assert_eq!(case.problems(), ["flag --data-dir: data_dir: is not UTF-8; give database_url too"]);
    case.flags.database_url = Some("sqlite:x.db".into());
    assert_eq!(case.settings().data_dir.as_os_str(), odd);
}

#[test]
fn the_database_lies_in_the_data_folder_unless_told_otherwise() {
    let database =
        |settings: &Settings| (settings.database_url.clone(), settings.sqlite_path().unwrap().to_owned());
    let relative = env("PATRON_DATA_DIR", "some/where").settings();
    assert_eq!(
        database(&relative),
        ("sqlite:some/where/patron.db".to_owned(), "some/where/patron.db".into())
    );
    // The file's folder has no say in it.
    let from_file = Case::file("data_dir = 'here'").settings();
    assert_eq!(from_file.sqlite_path().unwrap(), Path::new("here/patron.db"));
    let both = env("PATRON_DATA_DIR", "here").env("PATRON_DATABASE_URL", "sqlite:///abs/p.db").settings();
    assert_eq!(both.sqlite_path().unwrap(), Path::new("/abs/p.db"));
    assert_eq!(
        env("PATRON_DATABASE_URL", "sqlite://rel.db").settings().sqlite_path().unwrap(),
        Path::new("rel.db")
    );
}

#[test]
fn databases_that_are_not_served_are_refused_without_their_password() {
    for url in [
        "mysql://u:hunter2@db/patron",
        "host=db password=hunter2",
        "sqlite:",
        "sqlite://",
        "sqlite::memory:",
        "sqlite:x.db?key=hunter2",
        "x.db",
    ] {
        let problems = env("PATRON_DATABASE_URL", url).problems();
        assert!(problems[0].starts_with("PATRON_DATABASE_URL: "), "{problems:?}");
        assert!(problems[0].contains("sqlite:<path>") || problems[0].contains(":memory:"), "{problems:?}");
        assert!(!problems[0].contains("hunter2"), "{problems:?}");
    }
    for (url, expected) in [
        ("postgres://u:hunter2@db:port/patron", "is not as postgres://"),
        ("postgres://u:hunter2@db/patron?sslmode=prefer", "disable, require or verify-full"),
        ("postgres://u:hunter2@db/patron?sslrootcert=/nowhere.pem", "sslrootcert: /nowhere.pem"),
        ("postgresql:///patron?user=u&password=hunter2", "names no host"),
    ] {
        let problems = env("PATRON_DATABASE_URL", url).problems();
        assert!(
            problems[0].starts_with("PATRON_DATABASE_URL: ") && problems[0].contains(expected),
            "{problems:?}"
        );
        assert!(!problems[0].contains("hunter2"), "{problems:?}");
    }
}

#[test]
fn a_database_on_servers_is_no_file() {
    for url in ["postgres://u:p@db/patron", "postgresql://u@one:5432,two:5433/patron?sslmode=require"] {
        let settings = env("PATRON_DATABASE_URL", url).settings();
        assert_eq!((settings.database_url.as_str(), settings.sqlite_path()), (url, None));
    }
}

#[test]
fn passwords_in_urls_are_masked() {
    for (url, shown) in [
        ("sqlite:patron-data/patron.db", "sqlite:patron-data/patron.db"),
        ("postgres://u@db:5432/patron", "postgres://u@db:5432/patron"),
        ("postgres://u:hunter2@db/patron", "postgres://u:***@db/patron"),
        ("postgres://db/p?user=u&password=hunter2&x=1", "postgres://db/p?user=u&password=***&x=1"),
        ("postgres://db/p?sslPassword=hunter2", "postgres://db/p?sslPassword=***"),
        ("postgres://u:hunter2@db:port/patron", "postgres:***"),
        ("hunter2", "***"),
    ] {
        assert_eq!(show::mask_url(url), shown);
    }
}

#[test]
fn the_master_key_is_known_and_never_shown() {
    let key = "hunter2-hunter2-hunter2-hunter2-hunter2-AAA";
    let loaded = env("PATRON_MASTER_KEY", key).load().unwrap();
    assert_eq!(loaded.settings.master_key.as_ref().map(Secret::expose), Some(key));
    assert_eq!(
        loaded.json()["master_key"],
        serde_json::json!({"value": "set", "source": "environment PATRON_MASTER_KEY"})
    );
    let short = env("PATRON_MASTER_KEY", "hunter2").load().unwrap_err();
    let flags = Flags { database_url: Some("hunter2".into()), ..Flags::default() };
    for shown in [
        loaded.table(),
        loaded.json().to_string(),
        format!("{loaded:?}"),
        short.to_string(),
        format!("{flags:?}"),
    ] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn public_urls() {
    for (given, shown) in [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://pat.example.com/", "https://pat.example.com"),
        ("https://pat.example.com:443/a/b//", "https://pat.example.com/a/b"),
        ("http://[::1]:81", "http://[::1]:81"),
    ] {
        assert_eq!(env("PATRON_PUBLIC_URL", given).settings().base_url(), shown);
    }
    for bad in [
        "pat.example.com",
        "/x",
        "ftp://x",
        "https://",
        "https://u@x",
        "https://u:hunter2@x",
        "https://:hunter2@x",
        "https://x?a=1",
        "https://x#a",
        "https://x//y",
        "mailto:a@x",
    ] {
        let problems = env("PATRON_PUBLIC_URL", bad).problems();
        assert!(problems[0].starts_with("PATRON_PUBLIC_URL: "), "{problems:?}");
        assert!(!problems[0].contains("hunter2"), "{problems:?}");
    }
}

#[test]
fn the_public_url_follows_the_listener_unless_set() {
    for (listen, url) in [
        ("127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::]:8081", "http://[::1]:8081"),
        ("192.0.2.1:80", "http://192.0.2.1"),
        ("127.0.0.1:0", "http://127.0.0.1:8080"),
    ] {
        assert_eq!(env("PATRON_LISTEN", listen).settings().base_url(), url, "{listen}");
    }
    let both = env("PATRON_LISTEN", "127.0.0.1:8081").env("PATRON_PUBLIC_URL", "https://x.example");
    assert_eq!(both.settings().base_url(), "https://x.example");
}

#[test]
fn two_listeners_need_two_addresses() {
    let same = env("PATRON_LISTEN", "127.0.0.1:9090");
    assert_eq!(same.problems(), ["default: management_listen: is the same as listen, 127.0.0.1:9090"]);
    let off = env("PATRON_LISTEN", "127.0.0.1:9090").env("PATRON_MANAGEMENT_LISTEN", "off");
    assert_eq!(off.settings().management_listen, None);
    let any = env("PATRON_LISTEN", "127.0.0.1:0").env("PATRON_MANAGEMENT_LISTEN", "127.0.0.1:0");
    assert!(any.load().is_ok());
}

#[test]
fn a_catalogue_has_a_limit() {
    let rights: Vec<String> = (0..limits::RIGHTS).map(|n| format!("'r:{n}'")).collect();
    let problems = Case::file(format!("pod = 'x'\n[levels]\nA = [{}]", rights.join(","))).problems();
    assert_eq!(problems, ["patron.toml:2: levels and scopes: more than 128 rights"]);
}

#[test]
fn a_scope_may_name_a_level_of_the_same_file_and_repeats_count_once() {
    let text = "[[scopes]]\nname = 'a:b'\nlevels = ['AUDITOR']\nrights = ['x', 'x']\n[levels]\nAUDITOR = ['x', 'y', 'x']\n";
    let settings = Case::file(text).settings();
    assert_eq!(settings.levels["AUDITOR"], ["x", "y"]);
    assert_eq!(
        (&settings.scopes[0].rights[..], &settings.scopes[0].levels[..]),
        (&["x".to_owned()][..], &["AUDITOR".to_owned()][..])
    );
}

#[test]
fn the_table_lines_up() {
    let case = Case::file(SAMPLE).env("PATRON_POD", "stg01");
    let table = case.load().unwrap().table();
    assert_eq!(table.lines().count(), SETTINGS.len() + 1);
    let pod = table.lines().find(|line| line.starts_with("pod ")).unwrap();
    assert_eq!(pod.split_whitespace().collect::<Vec<_>>(), ["pod", "stg01", "environment", "PATRON_POD"]);
    let log = table.lines().find(|line| line.starts_with("log ")).unwrap();
    assert_eq!(log.find("default"), pod.find("environment"));
}

#[test]
fn the_page_names_every_setting_once() {
    let page = settings_markdown();
    let (table, _) = page.split_once("\n## ").unwrap();
    for setting in SETTINGS {
        let row = |line: &&str| {
            line.starts_with(&format!("| `{}` |", setting.key))
                || line.starts_with(&format!("| {} (", setting.key))
        };
        assert_eq!(table.lines().filter(row).count(), 1, "{}", setting.key);
    }
    assert!(
        page.lines()
            .filter(|line| line.starts_with('|'))
            .all(|line| line.ends_with(" |") || line.ends_with("-|"))
    );
}
