//! Patron as a process of its own ([`Server`]), and the requests and answers of all tests. The browser's tests stand
//! on this file as well.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode};
use base64::Engine as _;
use patron_testing::Engine;
use serde_json::{Value, json};

/// `Authorization: Basic …`
pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")))
}

/// What was answered.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; panics with the whole reply when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{} is no JSON: {}", self.status, self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Asserts the status and gives itself back.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// Asserts an error of contract section 7 by its `detailCode`, its whole shape and its tracking header.
    #[track_caller]
    pub(crate) fn expect_error(self, detail_code: &str) -> Self {
        let status: u16 = detail_code[..3].parse().unwrap();
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let body = self.json();
        assert_eq!(body["detailCode"], detail_code, "{body}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("slpt-request-id"), body["trackingId"].as_str(), "{body}");
        assert_eq!(body["causes"], json!([]), "{body}");
        let message = &body["messages"][0];
        assert_eq!((&message["locale"], &message["localeOrigin"]), (&json!("en-US"), &json!("DEFAULT")));
        assert!(!message["text"].as_str().unwrap().is_empty());
        self
    }

    /// The text of an error for people.
    pub(crate) fn message(&self) -> String {
        self.json()["messages"][0]["text"].as_str().unwrap_or_default().to_owned()
    }
}

/// A request that a test builds; `send` it through [`Patron`] or to a [`Server`].
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) uri: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) peer: IpAddr,
}

impl Call {
    pub(crate) fn new(method: &str, uri: &str) -> Self {
        Self {
            method: method.parse().unwrap(),
            uri: uri.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    pub(crate) fn get(uri: &str) -> Self {
        Self::new("GET", uri)
    }

    pub(crate) fn post(uri: &str) -> Self {
        Self::new("POST", uri)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn auth(self, value: &str) -> Self {
        self.header("authorization", value)
    }

    pub(crate) fn host(self, host: &str) -> Self {
        self.header("host", host)
    }

    pub(crate) fn from(mut self, peer: &str) -> Self {
        self.peer = peer.parse().unwrap();
        self
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(crate) fn json_patch(self, body: &Value) -> Self {
        self.body("application/json-patch+json", body.to_string())
    }

    pub(crate) fn form(self, pairs: &[(&str, &str)]) -> Self {
        let body = form(pairs);
        self.body("application/x-www-form-urlencoded", body)
    }
}

/// Pairs as `application/x-www-form-urlencoded`, which is also what a query is.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// Patron as a process of its own, on a free port, in a folder of its own; ended by its pid when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    pub(crate) management: String,
    pub(crate) log: PathBuf,
}

/// The database that goes with a data folder, empty when it is asked for first. A file is where Patron would put it.
pub(crate) fn database_url(dir: &Path) -> String {
    static URLS: Mutex<BTreeMap<PathBuf, String>> = Mutex::new(BTreeMap::new());
    let make = || Engine::of_this_run().empty_database(&dir.join("patron.db"));
    URLS.lock().unwrap().entry(dir.to_owned()).or_insert_with(make).clone()
}

/// `patron` with a data folder, and nothing of the test's own environment.
pub(crate) fn patron(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patron"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PATRON_") {
            command.env_remove(name);
        }
    }
    command.env("PATRON_DATA_DIR", dir).stdin(Stdio::null());
    if Engine::of_this_run() == Engine::Postgres {
        command.env("PATRON_DATABASE_URL", database_url(dir));
    }
    command
}

/// Runs a command of `patron` to its end.
pub(crate) fn run(dir: &Path, args: &[&str]) -> Output {
    patron(dir).args(args).output().unwrap()
}

/// Runs a command with `--json` that must succeed, and gives its answer.
#[track_caller]
pub(crate) fn run_json(dir: &Path, args: &[&str]) -> Value {
    let output = patron(dir).args(args).arg("--json").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{args:?} gave no JSON: {text}"))
}

impl Server {
    /// Starts `patron serve` over a data folder and waits until it answers.
    pub(crate) fn start(dir: &Path, args: &[&str]) -> Self {
        Self::start_with(dir, args, &[])
    }

    pub(crate) fn start_with(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        let ready = dir.with_extension("ready");
        let _ = fs::remove_file(&ready);
        let log = dir.with_extension("log");
        let stderr = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = patron(dir);
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--management-listen",
            "127.0.0.1:0",
            "--ready-file",
        ]);
        command.arg(&ready).args(args).envs(env.iter().copied());
        command.stdout(fs::File::create(dir.with_extension("out")).unwrap()).stderr(stderr);
        let mut child = command.spawn().unwrap();
        let mut waited = Duration::ZERO;
        let pause = Duration::from_millis(5);
        let ready = loop {
            if let Ok(text) = fs::read_to_string(&ready) {
                break serde_json::from_str::<Value>(&text).unwrap();
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("patron serve ended with {status}: {}", fs::read_to_string(&log).unwrap());
            }
            let told = || fs::read_to_string(&log).unwrap();
            assert!(waited < PATIENCE, "patron serve does not get ready: {}", told());
            // The file system has no event for this that is the same everywhere.
            std::thread::sleep(pause);
            waited += pause;
        };
        let address = ready["listen"].as_str().unwrap().to_owned();
        let management = ready["management"].as_str().unwrap().to_owned();
        Self { child, address, management, log }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().unwrap().code()
    }

    /// The exit code, once it ends by itself.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn send(&self, call: Call) -> Reply {
        let client = reqwest::blocking::Client::builder().timeout(PATIENCE);
        // Where an answer leads is the test's to look at.
        let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let mut request = client.request(call.method, self.url(&call.uri)).body(call.body);
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let answer = request.send().unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        Reply { status, headers, body: answer.bytes().unwrap().to_vec() }
    }

    /// Bytes as they are, over a connection of their own; what comes back until it closes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The server may close before it has read everything.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The access token of an exchange, as an `Authorization` header.
    pub(crate) fn bearer(&self, id: &str, secret: &str) -> String {
        let pairs = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        let reply = self.send(Call::post("/oauth/token").form(&pairs)).expect(200);
        format!("Bearer {}", reply.json()["access_token"].as_str().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}:\n{}", self.log.display(), fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}
