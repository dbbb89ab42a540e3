//! `patron serve`: from its start on whatever it finds to its end in peace, and a database out of reach in between
//! (contract sections 1, 7 and 11).

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use patron::routes::Handler;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::callers::endpoints;
use crate::database::{Database, database_files};
use crate::support::{Call, Patron, Reply, Server, basic, database_url, patron, run, run_json};

/// A data folder in a folder of its own, and what bootstrap says of it once there was one.
pub(crate) struct Folder {
    _dir: TempDir,
    pub(crate) data: PathBuf,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("data");
        Self { _dir: dir, data }
    }

    /// After `patron bootstrap`.
    pub(crate) fn bootstrapped() -> Self {
        let folder = Self::new();
        run_json(&folder.data, &["bootstrap"]);
        folder
    }

    pub(crate) fn bootstrap(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.data.join("bootstrap.json")).unwrap()).unwrap()
    }

    /// The database itself, behind Patron's back.
    pub(crate) fn database(&self) -> Database {
        Database::at(&database_url(&self.data))
    }

    pub(crate) fn id_and_secret(&self) -> (String, String) {
        let text = |field: &str| self.bootstrap()[field].as_str().unwrap().to_owned();
        (text("clientId"), text("clientSecret"))
    }

    pub(crate) fn basic(&self) -> String {
        let (id, secret) = self.id_and_secret();
        basic(&id, &secret)
    }
}

/// What `patron serve` says that must end by itself.
#[track_caller]
fn refused(data: &Path, args: &[&str], env: &[(&str, &str)], code: i32) -> String {
    let mut command = patron(data);
    command.args(["serve", "--listen", "127.0.0.1:0"]).args(args).envs(env.iter().copied());
    if !args.contains(&"--management-listen") {
        command.args(["--management-listen", "off"]);
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that serves after all would never end.
    for _ in 0..12_000 {
        if child.try_wait().unwrap().is_some() {
            let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
            let stderr = String::from_utf8(stderr).unwrap();
            assert_eq!(status.code(), Some(code), "{stderr}");
            assert!(stdout.is_empty(), "{}", String::from_utf8_lossy(&stdout));
            assert!(!stderr.contains("panicked"), "{stderr}");
            return stderr;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    panic!("it serves: {}", String::from_utf8_lossy(&output.stderr));
}

/// A commands that fails says why on stderr, and nothing on stdout.
#[track_caller]
fn fails(data: &Path, args: &[&str], code: i32) -> String {
    let Output { status, stdout, stderr } = run(data, args);
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{args:?}: {stderr}");
    assert!(stdout.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&stdout));
    stderr
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

const PUBLIC: [&str; 2] = ["--public-url", "http://patron.test"];
const PATS: &str = "/personal-access-tokens/v1";

#[test]
fn an_existing_database_is_as_it_was_left() {
    let folder = Folder::new();
    let server = Server::start(&folder.data, &PUBLIC);
    let basic = folder.basic();
    let (id, secret) = folder.id_and_secret();
    let draft = json!({ "name": "kept", "userAwareTokenNeverExpires": true });
    let made = server.send(Call::post(PATS).auth(&basic).json(&draft)).expect(200).json();
    let bearer = server.bearer(&id, &secret);
    let before = folder.bootstrap();
    assert_eq!(server.stop(), Some(0));

    let server = Server::start(&folder.data, &PUBLIC);
    assert_eq!(folder.bootstrap(), before, "an existing database is not bootstrapped again");
    // Access tokens of before still work, and so does the PAT that was made.
    let one = server.send(Call::get(&format!("{PATS}/{}", made["id"].as_str().unwrap())).auth(&bearer));
    assert_eq!(one.expect(200).json()["name"], "kept");
    server.bearer(made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    assert_eq!(server.stop(), Some(0));
    // Nothing is left beside the database once it is closed.
    let mut files: Vec<String> = fs::read_dir(&folder.data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let ours = database_files(&["patron.db", "patron.db.lock"]);
    assert_eq!(files, [&["bootstrap.json", "master.key"], &ours[..]].concat());
}

#[test]
fn files_are_their_owners_alone() {
    let folder = Folder::new();
    let _server = Server::start(&folder.data, &[]);
    assert_eq!(mode(&folder.data), 0o700);
    let ours = database_files(&["patron.db", "patron.db-wal", "patron.db-shm", "patron.db.lock"]);
    for file in [&["bootstrap.json", "master.key"], &ours[..]].concat() {
        assert_eq!(mode(folder.data.join(file)), 0o600, "{file}");
    }
    // A new password and PAT are written as guardedly over a file that somebody opened up.
    set_mode(folder.data.join("bootstrap.json"), 0o666);
    run_json(&folder.data, &["bootstrap", "--reset-admin"]);
    assert_eq!(mode(folder.data.join("bootstrap.json")), 0o600);
}

#[test]
fn a_newer_or_a_strange_schema_is_refused() {
    let folder = Folder::bootstrapped();
    let newer = "INSERT INTO schema_migrations (version, name, applied) VALUES (999, 'later', 0)";
    folder.database().execute(newer, &[]);
    let expected = "the database has schema version 999, and this Patron knows versions up to ";
    for text in [
        refused(&folder.data, &[], &[], 1),
        fails(&folder.data, &["admin", "identity", "list"], 1),
        fails(&folder.data, &["bootstrap", "--reset-admin", "--json"], 1),
    ] {
        assert!(text.contains(expected) && text.contains("update Patron or restore a backup"), "{text}");
    }
    folder.database().execute("DELETE FROM schema_migrations WHERE version = 999", &[]);
    folder.database().execute("UPDATE schema_migrations SET name = 'other' WHERE version = 1", &[]);
    let text = refused(&folder.data, &[], &[], 1);
    assert!(text.contains("the database's schema is not Patron's") && text.contains("'other'"), "{text}");
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("data");
    for text in [refused(&below, &[], &[], 1), fails(&below, &["bootstrap"], 1)] {
        assert!(text.contains(&format!("the data folder {} cannot be made: ", below.display())), "{text}");
    }
}

#[test]
fn an_address_in_use_is_told() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let holder = TcpListener::bind(&taken).unwrap();
    let text = refused(&folder.data, &["--management-listen", &taken], &[], 1);
    assert!(text.contains(&format!("management_listen: {taken} cannot be listened on: ")), "{text}");
    drop(holder);
}

#[test]
fn a_missing_or_a_wrong_master_key_is_told() {
    let folder = Folder::bootstrapped();
    let (key, hidden) = (folder.data.join("master.key"), folder.data.join("hidden"));
    let text = fs::read_to_string(&key).unwrap();
    fs::rename(&key, &hidden).unwrap();

    let said = refused(&folder.data, &[], &[], 1);
    assert!(said.contains(&format!("the key file {} does not exist", key.display())), "{said}");
    assert!(!key.exists(), "another key would open nothing");

    fs::write(&key, "not a key\n").unwrap();
    set_mode(&key, 0o600);
    let said = refused(&folder.data, &[], &[], 1);
    assert!(said.contains("master.key holds no master key"), "{said}");
    assert!(!said.contains("not a key\n"), "{said}");

    let other = "ab".repeat(32);
    fs::write(&key, &other).unwrap();
    for said in [
        refused(&folder.data, &[], &[], 1),
        refused(&folder.data, &[], &[("PATRON_MASTER_KEY", &other)], 1),
        fails(&folder.data, &["admin", "keys", "rotate"], 1),
    ] {
        assert!(
            said.contains("sealed under the master key ") && said.contains("but the one given is "),
            "{said}"
        );
        assert!(!said.contains(&other) && !said.contains(text.trim()), "{said}");
    }

    fs::remove_file(&key).unwrap();
    fs::copy(&hidden, &key).unwrap();
    set_mode(&key, 0o644);
    let said = refused(&folder.data, &[], &[], 1);
    assert!(said.contains("others than its owner may read or write the key file"), "{said}");
    assert!(said.contains("(mode 0644)"), "{said}");
    fs::remove_file(&key).unwrap();

    // The right one from the environment; and one that is none is wrong usage.
    let server = Server::start_with(&folder.data, &[], &[("PATRON_MASTER_KEY", text.trim())]);
    server.send(Call::get(PATS).auth(&folder.basic())).expect(200);
    assert_eq!(server.stop(), Some(0));
    assert!(!key.exists());
    for wrong in ["short", &"x".repeat(40), &"é".repeat(32)] {
        let said = refused(&folder.data, &[], &[("PATRON_MASTER_KEY", wrong)], 2);
        assert!(said.contains("PATRON_MASTER_KEY") && !said.contains(wrong), "{said}");
    }
}

#[test]
fn a_master_key_from_the_environment_makes_no_key_file() {
    let folder = Folder::new();
    let key = "0123456789abcdef".repeat(4);
    let server = Server::start_with(&folder.data, &[], &[("PATRON_MASTER_KEY", &key)]);
    let (id, secret) = folder.id_and_secret();
    server.bearer(&id, &secret);
    assert!(!folder.data.join("master.key").exists());
}

/// Waits until nobody listens there any more.
fn wait_until_closed(address: &str) {
    while TcpStream::connect(address).is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_writes_what_waits() {
    let folder = Folder::bootstrapped();
    let mut server = Server::start(&folder.data, &[]);
    let (address, basic) = (server.address.clone(), folder.basic());
    let draft = json!({ "name": "in flight", "userAwareTokenNeverExpires": true }).to_string();
    let (half, rest) = draft.split_at(10);
    let mut stream = TcpStream::connect(&address).unwrap();
    let head = format!(
        "POST {PATS} HTTP/1.1\r\nHost: x\r\nAuthorization: {basic}\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        draft.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut go_on = [0; 25];
    // It is being handled from here on.
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(half.as_bytes()).unwrap();
    // Used just now, and written down by nobody yet, perhaps.
    let made = run_json(
        &folder.data,
        &[
            "admin",
            "pat",
            "create",
            "--owner",
            folder.bootstrap()["identityId"].as_str().unwrap(),
            "--name",
            "used",
            "--never-expires",
        ],
    );
    server.bearer(made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());

    server.signal("TERM");
    wait_until_closed(&address);
    // It waits for that request, and says that it lives.
    for _ in 0..200 {
        let live = reqwest::blocking::get(format!("http://{}/health/live", server.management)).unwrap();
        assert_eq!(live.status(), 200);
    }
    stream.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(server.wait(), Some(0));

    let list = run_json(&folder.data, &["admin", "pat", "list"]);
    let by_name =
        |name: &str| list.as_array().unwrap().iter().find(|pat| pat["name"] == name).cloned().unwrap();
    assert!(by_name("used")["lastUsed"].is_string(), "{list}");
    assert!(by_name("bootstrap")["lastUsed"].is_string(), "{list}");
    by_name("in flight");
}

#[test]
fn sigint_ends_it_as_well_also_with_idle_connections() {
    let folder = Folder::new();
    let mut server = Server::start(&folder.data, &[]);
    let mut idle = TcpStream::connect(&server.address).unwrap();
    idle.write_all(b"GET /oauth/info HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 17]).unwrap();
    let silent = TcpStream::connect(&server.address).unwrap();
    server.signal("INT");
    assert_eq!(server.wait(), Some(0));
    drop((idle, silent));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = Folder::bootstrapped();
    for second in ["TERM", "INT"] {
        let mut server = Server::start(&folder.data, &[]);
        let mut stream = TcpStream::connect(&server.address).unwrap();
        let head = format!(
            "POST {PATS} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
            folder.basic()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // It is being handled from here on, and would be waited for.
        stream.read_exact(&mut [0; 25]).unwrap();
        server.signal("TERM");
        wait_until_closed(&server.address);
        server.signal(second);
        assert_eq!(server.wait(), Some(1));
        let said = format!("SIG{second} once more: stopped without waiting");
        assert!(server.log().contains(&said), "{}", server.log());
    }
    // As after a crash, nothing is in the way of the next one.
    let server = Server::start(&folder.data, &[]);
    server.send(Call::get(PATS).auth(&folder.basic())).expect(200);
}

/// Asserts a 503 of the path's shape, and that it says when to come back.
#[track_caller]
fn expect_unavailable(uri: &str, reply: &Reply) {
    assert_eq!(reply.status, 503, "{uri}: {}", reply.text());
    let wait: u32 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let body = reply.json();
    if uri.starts_with("/oauth/") {
        assert_eq!(body["error"], "temporarily_unavailable", "{uri}: {body}");
        assert!(body["error_description"].is_string());
    } else {
        assert_eq!(body["detailCode"], "503.0 Service Unavailable", "{uri}: {body}");
        assert_eq!(
            (&body["causes"], body["trackingId"].as_str()),
            (&json!([]), reply.header("slpt-request-id"))
        );
    }
    let text = reply.text().to_lowercase();
    for leak in ["sql", "locked", "patron.db", "select", "database is", "/"] {
        assert!(!text.replace("application/json", "").contains(leak), "{leak}: {text}");
    }
}

#[tokio::test]
async fn a_database_out_of_reach_is_503_everywhere_and_nothing_else() {
    let patron = Patron::start().await;
    let bearer = patron.bearer(&patron.admin).await;
    patron.lose_database().await;
    // What holds nobody's data, or only public keys, is served from memory.
    let needs_none = ["oauth-info", "oauth-info-preflight", "jwks", "metadata", "openapi", "docs"];
    let mut asked = Vec::new();
    for route in endpoints().into_iter().filter(|route| !needs_none.contains(&route.name)) {
        let id = if route.path.starts_with("/auth-users") { &patron.admin.owner } else { &patron.admin.id };
        let uri = route.path.replace("{id}", id);
        let method = route.method.map_or_else(|| "GET".to_owned(), |method| method.to_string());
        let pairs = [
            ("grant_type", "client_credentials"),
            ("client_id", patron.admin.id.as_str()),
            ("client_secret", patron.admin.secret.as_str()),
            ("token", bearer.as_str()),
        ];
        let calls = match route.handler {
            Handler::Open(_) if uri.starts_with("/oauth/") => {
                let wrong = [pairs[0], pairs[1], ("client_secret", "wrong"), pairs[3]];
                vec![Call::new(&method, &uri).form(&pairs), Call::new(&method, &uri).form(&wrong)]
            }
            _ => {
                let body = || Call::new(&method, &uri).json(&json!({}));
                let wrong = basic(&patron.admin.id, "wrong");
                let unknown = basic(&"0".repeat(32), &patron.admin.secret);
                let credentials = [&patron.admin.basic(), &bearer, &wrong, &unknown];
                credentials.into_iter().map(|credential| body().auth(credential)).collect()
            }
        };
        asked.extend(calls.into_iter().map(|call| (uri.clone(), call)));
    }
    assert!(asked.len() > 100);
    // All at once: where nodes share a database, each waits a moment for it.
    let ask = async |(uri, call): (String, Call)| expect_unavailable(&uri, &patron.send(call).await);
    join_all(asked.into_iter().map(ask)).await;
    // A tenant that is not known cannot be told from one that was just made.
    let reply = patron.send(Call::get("/oauth/info").host("new.tenants.test")).await;
    expect_unavailable("/oauth/info", &reply);
    patron.send(Call::get("/oauth/info")).await.expect(200);
    patron.send(Call::get("/oauth/jwks")).await.expect(200);

    let manage = |path: &str| {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        patron::management::answer(Arc::clone(&patron.app), request)
    };
    let ready = manage("/health/ready").await;
    assert_eq!(ready.status(), 503);
    let body: Value = serde_json::from_slice(&ready.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(body, json!({ "status": "DOWN", "checks": { "database": "DOWN", "signingKey": "UP" } }));
    assert_eq!(manage("/health/live").await.status(), 200);
}

#[test]
fn health_and_metrics_have_a_listener_of_their_own() {
    let folder = Folder::new();
    let server = Server::start(&folder.data, &[]);
    let (id, secret) = folder.id_and_secret();
    server.bearer(&id, &secret);
    let client = reqwest::blocking::Client::new();
    let url = |path: &str| format!("http://{}{path}", server.management);
    let get = |path: &str| {
        let answer = client.get(url(path)).send().unwrap();
        let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), content_type, answer.text().unwrap())
    };
    let json_type = "application/json".to_owned();
    assert_eq!(get("/health/live"), (200, json_type.clone(), r#"{"status":"UP"}"#.to_owned()));
    let (status, _, body) = get("//health/ready/");
    let up = json!({ "status": "UP", "checks": { "database": "UP", "signingKey": "UP" } });
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (200, up));
    let (status, content_type, metrics) = get("/metrics");
    assert_eq!((status, content_type.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "# TYPE patron_http_requests_total counter",
        "# TYPE patron_http_request_seconds histogram",
        r#"patron_http_requests_total{endpoint="exchange",status="200"} 1"#,
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}: {metrics}");
    }
    assert_eq!(get("/nothing").0, 404);
    assert_eq!(get(PATS).0, 404);
    assert_eq!(client.post(url("/health/live")).send().unwrap().status(), 405);
    // A schema that is not this program's is not ready.
    let newer = "INSERT INTO schema_migrations (version, name, applied) VALUES (999, 'later', 0)";
    folder.database().execute(newer, &[]);
    let (status, _, body) = get("/health/ready");
    let down = json!({ "status": "DOWN", "checks": { "database": "DOWN", "signingKey": "UP" } });
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (503, down));
    assert_eq!(get("/health/live").0, 200);
    // They are nowhere else.
    server.send(Call::get("/metrics")).expect(404);
    server.send(Call::get("/health/ready")).expect(404);
}

#[test]
fn the_management_listener_can_be_off() {
    let folder = Folder::new();
    let ready = folder.data.with_extension("ready");
    let mut command = patron(&folder.data);
    command.args([
        "serve",
        "--json",
        "--listen",
        "127.0.0.1:0",
        "--management-listen",
        "off",
        "--ready-file",
    ]);
    let out = fs::File::create(folder.data.with_extension("out")).unwrap();
    let mut child = command.arg(&ready).stdout(out).stderr(Stdio::null()).spawn().unwrap();
    while !ready.exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let said: Value = serde_json::from_str(&fs::read_to_string(&ready).unwrap()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((&said["management"], said["pid"].as_u64()), (&json!(null), Some(child.id().into())));
    // With --json, what bootstrap made is on stdout, and nothing else.
    let told = fs::read_to_string(folder.data.with_extension("out")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), folder.bootstrap());
}

#[test]
fn patron_alone_serves() {
    let folder = Folder::new();
    let log = folder.data.with_extension("log");
    let mut command = patron(&folder.data);
    command
        .env("PATRON_LISTEN", "127.0.0.1:0")
        .env("PATRON_MANAGEMENT_LISTEN", "off")
        .env("PATRON_LOG_FORMAT", "json");
    let mut child = command.stdout(Stdio::piped()).stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    let address = loop {
        let said = fs::read_to_string(&log).unwrap();
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let listening = |line: &Value| line["fields"]["addr"].as_str().map(str::to_owned);
        if let Some(address) =
            lines.filter(|line| line["fields"]["message"] == "listening").find_map(|l| listening(&l))
        {
            break address;
        }
        assert!(child.try_wait().unwrap().is_none(), "{said}");
        std::thread::sleep(Duration::from_millis(5));
    };
    // On an empty database it has bootstrapped; its URL is the one that it listens on.
    assert_eq!(folder.bootstrap()["baseUrl"], format!("http://{address}"));
    let list = reqwest::blocking::Client::new().get(format!("http://{address}{PATS}"));
    assert_eq!(list.header("authorization", folder.basic()).send().unwrap().status(), 200);
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stdout.is_empty());
}

/// What is so because the database is a file.
mod sqlite {
    use super::*;

    #[test]
    fn one_server_a_file() {
        let folder = Folder::new();
        let first = Server::start(&folder.data, &[]);
        let text = refused(&folder.data, &[], &[], 1);
        assert!(text.contains("another patron serves ") && text.contains("patron.db already"), "{text}");
        // By whatever name the file is called.
        let url = format!("sqlite:{}/../data/patron.db", folder.data.display());
        assert!(refused(&folder.data, &["--database-url", &url], &[], 1).contains("another patron serves "));
        let link = folder.data.join("link.db");
        std::os::unix::fs::symlink(folder.data.join("patron.db"), &link).unwrap();
        let url = format!("sqlite:{}", link.display());
        assert!(refused(&folder.data, &["--database-url", &url], &[], 1).contains("another patron serves "));
        first.send(Call::get("/oauth/info")).expect(200);
        // One that was killed is no hindrance.
        first.kill();
        let next = Server::start(&folder.data, &[]);
        next.send(Call::get(PATS).auth(&folder.basic())).expect(200);
    }

    #[test]
    fn what_is_no_database_is_refused_and_left_alone() {
        let folder = Folder::new();
        fs::create_dir(&folder.data).unwrap();
        let file = folder.data.join("patron.db");
        let text = "No database, but somebody's only copy of their thesis.\n".repeat(100);
        fs::write(&file, &text).unwrap();
        for said in [refused(&folder.data, &[], &[], 1), fails(&folder.data, &["admin", "tenant", "list"], 1)]
        {
            assert!(said.contains("patron.db") && said.contains("file is not a database"), "{said}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(refused(&folder.data, &[], &[], 1).contains("patron.db"));
        // What is there is told apart from what is not.
        fs::remove_dir(&file).unwrap();
        let said = fails(&folder.data, &["admin", "tenant", "list"], 1);
        assert!(said.contains("there is no database at ") && said.contains("patron serve"), "{said}");
        assert!(!file.exists(), "a command makes no database");
    }

    #[test]
    fn a_folder_in_which_nobody_can_make_a_file_is_told() {
        // Not even root.
        if cfg!(target_os = "linux") {
            let text = refused(Path::new("/proc/self"), &[], &[], 1);
            assert!(text.contains("/patron.db.lock cannot be opened: "), "{text}");
            let text = fails(Path::new("/proc/self"), &["bootstrap"], 1);
            assert!(text.contains("/proc/self/patron.db"), "{text}");
        }
    }

    #[test]
    fn a_locked_file_is_503_and_passes() {
        let folder = Folder::bootstrapped();
        // Every use is recorded, so that a use is a write as well.
        let server = Server::start_with(&folder.data, &[], &[("PATRON_AUDIT_EVERY_USE", "true")]);
        let (id, secret) = folder.id_and_secret();
        let (basic, bearer) = (folder.basic(), server.bearer(&id, &secret));
        let token = bearer.strip_prefix("Bearer ").unwrap();
        let client = [("client_id", id.as_str()), ("client_secret", secret.as_str())];
        let one = format!("{PATS}/{id}");
        let name = |name: &str| json!({ "name": name, "userAwareTokenNeverExpires": true });
        let rename = json!([{ "op": "replace", "path": "/name", "value": "bootstrap" }]);
        let calls = || {
            let grant = ("grant_type", "client_credentials");
            vec![
                Call::post(PATS).auth(&bearer).json(&name("one")),
                Call::post("/v3/personal-access-tokens").auth(&bearer).json(&name("two")),
                Call::new("PATCH", &one).auth(&bearer).json_patch(&rename),
                Call::post(&format!("{PATS}/bulk-update"))
                    .auth(&bearer)
                    .json(&json!({ "ids": [id], "patch": [
                    { "op": "replace", "path": "/expirationDate", "value": "2999-01-01T00:00:00Z" }] })),
                Call::get(PATS).auth(&basic),
                Call::get("/tenant/v1").auth(&basic),
                Call::get("/forward-auth").auth(&basic),
                Call::get("/forward-auth?scope=sp:scopes:all").auth(&basic),
                Call::post("/oauth/token").form(&[grant, client[0], client[1]]),
                Call::post("/oauth/token").auth(&basic).form(&[grant]),
                Call::post("/oauth/introspect").form(&[client[0], client[1], ("token", token)]),
                Call::post("/oauth/revoke").form(&[client[0], client[1], ("token", "none")]),
            ]
        };
        let send_all = || -> Vec<(String, Reply)> {
            std::thread::scope(|scope| {
                let sent: Vec<_> = calls()
                    .into_iter()
                    .map(|call| (call.uri.clone(), scope.spawn(|| server.send(call))))
                    .collect();
                sent.into_iter().map(|(uri, reply)| (uri, reply.join().unwrap())).collect()
            })
        };
        let stranger = rusqlite::Connection::open(folder.data.join("patron.db")).unwrap();
        stranger.execute_batch("BEGIN EXCLUSIVE").unwrap();
        for (uri, reply) in send_all() {
            expect_unavailable(&uri, &reply);
        }
        // What only reads goes on, and what is wrong is still told as what it is.
        server.send(Call::get(&one).auth(&bearer)).expect(200);
        server.send(Call::get("/forward-auth").auth(&bearer)).expect(200);
        server.send(Call::get("/oauth/jwks")).expect(200);
        server.send(Call::get(PATS)).expect(401);
        server.send(Call::get(&format!("{PATS}/x")).auth(&bearer)).expect(404);
        stranger.execute_batch("COMMIT").unwrap();
        for (uri, reply) in send_all() {
            assert!(reply.status.is_success(), "{uri}: {}", reply.text());
        }
        // Nothing of what was answered with 503 was done: the names were free.
        let list = server.send(Call::get(PATS).auth(&bearer)).expect(200).json();
        assert_eq!(list.as_array().unwrap().len(), 3, "{list}");
    }
}
