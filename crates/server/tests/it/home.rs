//! What the tests of the client's commands stand on: a home folder of their own, and a server.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rexpect::session::{PtySession, spawn_command};
use serde_json::Value;
use tempfile::TempDir;

use crate::serving::Folder;
use crate::support::{Server, run_json};

/// How long a test waits for a terminal to show something, in milliseconds.
const PATIENCE: u64 = 60_000;

/// An empty home folder, and a server that has been bootstrapped.
pub(crate) struct Home {
    dir: TempDir,
    pub(crate) folder: Folder,
    pub(crate) server: Server,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// With these settings of the service, by their variables.
    pub(crate) fn with(settings: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let server = Server::start_with(&folder.data, &[], settings);
        Self { dir: TempDir::new().unwrap(), folder, server }
    }

    /// After `patron login` with the first token.
    pub(crate) fn logged_in() -> Self {
        let home = Self::new();
        home.login();
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn profiles(&self) -> PathBuf {
        self.path().join(".config/patron/profiles.toml")
    }

    pub(crate) fn url(&self) -> String {
        self.server.url("")
    }

    pub(crate) fn client_id(&self) -> String {
        self.folder.id_and_secret().0
    }

    pub(crate) fn secret(&self) -> String {
        self.folder.id_and_secret().1
    }

    /// `patron` in this home folder, and nothing of the test's own environment that it reads.
    pub(crate) fn patron(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patron"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["PATRON_", "SAIL_", "XDG_", "NO_COLOR", "CLICOLOR"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            {
                command.env_remove(name.as_ref());
            }
        }
        command.env("HOME", self.path()).current_dir(self.path()).args(args).stdin(Stdio::null());
        command
    }

    /// Logs in with the first token, as profile `default`.
    pub(crate) fn login(&self) {
        let (id, secret) = self.folder.id_and_secret();
        let mut login = self.patron(&["login", "--url", &self.url(), "--client-id", &id]);
        let output = login.env("PATRON_CLIENT_SECRET", secret).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What a command says on stdout that must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        succeeded(self.patron(args).output().unwrap())
    }

    /// What a command says in JSON that must succeed.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let text = self.ok(&[args, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{args:?} gave no JSON: {text}"))
    }

    /// What a command says on stderr that must fail so, and say nothing on stdout.
    #[track_caller]
    pub(crate) fn fails(&self, args: &[&str], code: i32) -> String {
        failed(self.patron(args).output().unwrap(), code)
    }

    /// The same with a text on stdin.
    pub(crate) fn with_stdin(&self, args: &[&str], text: &str) -> Output {
        with_stdin(self.patron(args), text)
    }

    /// Makes a token that never expires.
    pub(crate) fn create(&self, name: &str) -> Value {
        self.json(&["pat", "create", name, "--never-expires"])
    }

    /// The names of one's own tokens, as the server has them.
    pub(crate) fn names(&self) -> Vec<String> {
        let owner = text(&self.folder.bootstrap(), "identityId");
        let list = run_json(&self.folder.data, &["admin", "pat", "list", "--owner", &owner]);
        list.as_array().unwrap().iter().map(|pat| text(pat, "name")).collect()
    }

    /// A command at a terminal of its own.
    pub(crate) fn at_terminal(&self, args: &[&str]) -> PtySession {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patron"));
        command.env_clear().env("HOME", self.path()).env("TERM", "xterm").current_dir(self.path()).args(args);
        spawn_command(command, Some(PATIENCE)).unwrap()
    }
}

pub(crate) fn with_stdin(mut command: Command, text: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child.wait_with_output().unwrap()
}

#[track_caller]
pub(crate) fn succeeded(output: Output) -> String {
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
pub(crate) fn failed(output: Output, code: i32) -> String {
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(!stderr.trim().is_empty() && !stderr.contains("panicked"), "{stderr}");
    stderr
}

pub(crate) fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field}: {value}")).to_owned()
}

/// A pipe whose reader has gone, as stdout of a command.
pub(crate) fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A file on a full disk, as stdout of a command.
pub(crate) fn full_disk() -> Stdio {
    fs::File::options().write(true).open("/dev/full").unwrap().into()
}

/// What a server answers who asks for an access token.
pub(crate) const ACCESS_TOKEN: &str = r#"{"access_token":"a.b.c","token_type":"bearer","expires_in":900}"#;

/// Takes a connection and reads the request on it.
pub(crate) fn take_request(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    let mut request = BufReader::new(&stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        request.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    request.read_exact(&mut vec![0; length]).unwrap();
    stream
}

/// Takes a request, answers it and hangs up.
pub(crate) fn answer_one(listener: &TcpListener, status: &str, body: &str) {
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    take_request(listener).write_all(answer.as_bytes()).unwrap();
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
