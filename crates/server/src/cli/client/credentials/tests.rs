use std::fs;

use secrecy::ExposeSecret as _;

use super::super::profiles::Profile;
use super::*;

/// A home folder and a current one, empty.
struct Case {
    dir: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Case {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("home/.sailpoint")).unwrap();
        fs::create_dir(dir.path().join("here")).unwrap();
        let home = dir.path().join("home").to_str().unwrap().to_owned();
        Self { dir, variables: vec![("HOME", home)] }
    }

    fn set(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value.to_owned()));
        self
    }

    fn sail(&mut self) -> &mut Self {
        self.set("SAIL_BASE_URL", "https://env.example.com/")
            .set("SAIL_CLIENT_ID", "env-id")
            .set("SAIL_CLIENT_SECRET", "env-5ecret")
    }

    fn local(&self, text: &str) -> &Self {
        fs::write(self.dir.path().join("here/config.json"), text).unwrap();
        self
    }

    fn home(&self, text: &str) -> &Self {
        fs::write(self.dir.path().join("home/.sailpoint/config.yaml"), text).unwrap();
        self
    }

    fn profile(&self, name: &str, current: bool) -> &Self {
        let around = self.around();
        let profile = Profile {
            base_url: format!("https://{name}.example.com"),
            client_id: format!("{name}-id"),
            client_secret: Some(format!("{name}-5ecret").into()),
            allow_http: false,
        };
        let change = |all: &mut super::super::profiles::Profiles| {
            all.profiles.insert(name.to_owned(), profile);
            if current {
                all.current = Some(name.to_owned());
            }
            Ok(())
        };
        ProfileFile::in_folder(around.config_folder().unwrap()).change(change).unwrap();
        self
    }

    fn around(&self) -> Surroundings {
        let variables = self.variables.clone();
        let find = move |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        };
        Surroundings::new(find, self.dir.path().join("here"))
    }

    /// The host's first label, the id and the secret of what is found.
    fn finds(&self, profile: Option<&str>) -> [String; 3] {
        let found = find(&self.around(), &acting(profile)).unwrap();
        let host = found.base_url.strip_prefix("https://").and_then(|url| url.strip_suffix(".example.com"));
        [host.unwrap().to_owned(), found.client_id, found.client_secret.expose_secret().to_owned()]
    }

    #[track_caller]
    fn fails(&self) -> String {
        let said = find(&self.around(), &acting(None)).unwrap_err().to_string();
        assert!(!said.contains("5ecret"), "{said}");
        said
    }
}

fn acting(profile: Option<&str>) -> Acting {
    Acting { profile: profile.map(str::to_owned) }
}

fn of(name: &str) -> [String; 3] {
    [name.to_owned(), format!("{name}-id"), format!("{name}-5ecret")]
}

const LOCAL: &str =
    r#"{"BaseURL":"https://local.example.com","ClientId":"local-id","ClientSecret":"local-5ecret"}"#;
const HOME: &str = "
activeenvironment: work
authtype: pat
environments:
  other:
    baseurl: https://other.example.com
  work:
    tenanturl: https://ui.example.com
    baseurl: https://yaml.example.com
    pat:
      clientid: yaml-id
      clientsecret: yaml-5ecret
";

#[test]
fn each_source_gives_way_to_the_one_before_it() {
    let mut case = Case::new();
    assert!(case.fails().contains("patron login"));
    assert_eq!(case.home(HOME).finds(None), of("yaml"));
    assert_eq!(case.local(LOCAL).finds(None), of("local"));
    case.profile("other", false);
    assert_eq!(case.finds(None), of("local"), "a profile that is not the current one is not asked for");
    assert_eq!(case.profile("current", true).finds(None), of("current"));
    assert_eq!(case.sail().finds(None), of("env"));
    assert_eq!(case.set("PATRON_PROFILE", "current").finds(None), of("current"));
    assert_eq!(case.finds(Some("other")), of("other"));
    assert!(find(&case.around(), &acting(Some("nobody"))).unwrap_err().to_string().contains("nobody"));
}

#[test]
fn some_of_a_source_is_never_made_whole_by_another() {
    let mut case = Case::new();
    case.profile("current", true).local(LOCAL);
    case.set("SAIL_CLIENT_SECRET", "env-5ecret");
    assert!(case.fails().starts_with("SAIL_BASE_URL and SAIL_CLIENT_ID are not set"), "{}", case.fails());
    case.set("SAIL_CLIENT_ID", "env-id").set("SAIL_CLIENT_SECRET", "");
    assert!(case.fails().contains("SAIL_CLIENT_SECRET are not set"), "{}", case.fails());

    let case = Case::new();
    case.home(HOME).local(r#"{"BaseURL":"https://local.example.com","ClientSecret":"local-5ecret"}"#);
    assert!(case.fails().contains("has no ClientId"));
}

#[test]
fn the_originals_files_are_read_as_its_clients_read_them() {
    let case = Case::new();
    case.local("\u{feff}{\"baseurl\":\"https://local.example.com/\",\"CLIENTID\":\"local-id\",\"clientSecret\":\"local-5ecret\",\"x\":1}");
    assert_eq!(case.finds(None), of("local"));
    // Another program's.
    case.home(HOME);
    for text in ["{}", "[]", "// a comment\n{}", r#"{"name":"app"}"#] {
        assert_eq!(case.local(text).finds(None), of("yaml"), "{text}");
    }
    assert!(case.local(r#"{"ClientSecret":"5ecret","#).fails().contains("config.json is no JSON"));
    case.local("{}").home(&HOME.replace("environments", "Environments").replace("clientid", "clientID"));
    assert_eq!(case.finds(None), of("yaml"));
}

#[test]
fn what_the_originals_files_lack_is_told() {
    let case = Case::new();
    for (text, told) in [
        (HOME.replace("      clientsecret: yaml-5ecret\n", ""), "keyring of their own"),
        (HOME.replace("yaml-5ecret", "\"\""), "keyring of their own"),
        (HOME.replace("activeenvironment: work", "activeenvironment: gone"), "no environment 'gone'"),
        (HOME.replace("yaml-id", "0012"), "put it in quotes"),
        (HOME.replace("activeenvironment: work\n", ""), "has no activeenvironment"),
        ("a: [5ecret".to_owned(), "is no YAML"),
    ] {
        let said = case.home(&text).fails();
        assert!(said.contains(told), "{text}: {said}");
    }
    assert!(case.home("customexportpath: x\n").fails().contains("patron login"));
    fs::remove_file(case.dir.path().join("home/.sailpoint/config.yaml")).unwrap();
    fs::create_dir(case.dir.path().join("home/.sailpoint/config.yaml")).unwrap();
    assert!(case.fails().contains("cannot be read"));
}

#[test]
fn a_pipe_is_not_waited_for_and_another_programs_file_is_left_alone() {
    let case = Case::new();
    let made = std::process::Command::new("mkfifo").arg(case.dir.path().join("here/config.json")).status();
    assert!(made.unwrap().success());
    assert!(case.fails().contains("config.json cannot be read: it is no file"));
    fs::remove_file(case.dir.path().join("here/config.json")).unwrap();
    case.local(r#"{"clientId":"of a game","theme":"dark"}"#).home(HOME);
    assert_eq!(case.finds(None), of("yaml"));
    case.local(&format!("{{\"BaseURL\":1,\"ClientId\":\"{}\"}}", "x".repeat(1024 * 1024)));
    assert_eq!(case.finds(None), of("yaml"));
}

#[test]
fn without_a_home_what_needs_none_works() {
    let mut case = Case::new();
    case.set("HOME", "");
    assert!(case.fails().contains("HOME is not set"));
    assert_eq!(case.local(LOCAL).finds(None), of("local"));
    assert_eq!(case.sail().finds(None), of("env"));
}

#[test]
fn http_is_allowed_where_it_was_said() {
    let mut case = Case::new();
    case.sail();
    let allowed = |case: &Case, profile| find(&case.around(), &acting(profile)).unwrap().allow_http;
    assert!(!allowed(&case, None));
    case.profile("current", true);
    case.set("PATRON_ALLOW_HTTP", "1");
    assert!(allowed(&case, None));
    assert!(!allowed(&case, Some("current")), "a profile has its own word");
    let shown = format!("{:?}", find(&case.around(), &acting(None)).unwrap());
    assert!(shown.contains("env-id") && !shown.contains("5ecret"), "{shown}");
}
