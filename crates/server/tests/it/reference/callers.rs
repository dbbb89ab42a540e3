//! Who does what the reference's examples do: the SDK, and the command line as a process of its own.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use futures_util::TryStreamExt as _;
use patron_client::{Client, CreatePersonalAccessTokenRequest, Credentials, Error, JsonPatch, List};
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::servers::Access;

/// A client of the API. What it is answered comes back as the JSON that it makes of it.
pub(crate) trait Caller {
    fn create(&self, request: &CreatePersonalAccessTokenRequest) -> Result<Value, Refused>;
    fn list(&self, owner_id: Option<&str>, filters: Option<&str>) -> Result<Vec<Value>, Refused>;
    fn patch(&self, id: &str, patch: &JsonPatch) -> Result<Value, Refused>;
    fn delete(&self, id: &str) -> Result<(), Refused>;
    /// The access token in use.
    fn token(&self) -> String;
}

/// Why something was not done.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: Option<u16>,
    pub(crate) detail_code: Option<String>,
    pub(crate) text: String,
}

/// The SDK.
pub(crate) struct Sdk {
    pub(crate) client: Client,
    pub(crate) runtime: Runtime,
}

impl Sdk {
    pub(crate) fn new(access: &Access) -> Self {
        let credentials = Credentials::new(&access.client_id, access.client_secret.as_str());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { client: Client::new(&access.url, credentials).unwrap(), runtime }
    }

    fn run<T: Serialize>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<Value, Refused> {
        let answer = self.runtime.block_on(call).map_err(|error| Refused {
            status: error.status(),
            detail_code: error.detail_code().map(str::to_owned),
            text: error.to_string(),
        })?;
        Ok(serde_json::to_value(answer).unwrap())
    }
}

impl Caller for Sdk {
    fn create(&self, request: &CreatePersonalAccessTokenRequest) -> Result<Value, Refused> {
        self.run(self.client.create(request))
    }

    fn list(&self, owner_id: Option<&str>, filters: Option<&str>) -> Result<Vec<Value>, Refused> {
        let list = owner_id.map_or_else(List::everyones, List::of);
        let list = match filters {
            Some(filters) => list.filters(filters),
            None => list,
        };
        let listed = self.run(self.client.list(&list).try_collect::<Vec<_>>())?;
        Ok(listed.as_array().unwrap().clone())
    }

    fn patch(&self, id: &str, patch: &JsonPatch) -> Result<Value, Refused> {
        self.run(self.client.patch(id, patch))
    }

    fn delete(&self, id: &str) -> Result<(), Refused> {
        self.run(self.client.delete(id)).map(drop)
    }

    fn token(&self) -> String {
        self.runtime.block_on(self.client.token()).unwrap().expose().to_owned()
    }
}

/// The commands of the PowerShell module, each without the id, owner or filters that may follow.
pub(crate) const CREATE: &[&str] = &["pat", "create", "--json", "--body", "-"];
pub(crate) const LIST: &[&str] = &["pat", "list", "--json"];
pub(crate) const GET: &[&str] = &["pat", "get", "--json", "--"];
pub(crate) const PATCH: &[&str] = &["pat", "patch", "--json", "--patch", "-", "--"];
pub(crate) const DELETE: &[&str] = &["pat", "delete", "--json", "--yes", "--"];

/// The command line, in a home of its own. It speaks JSON, and is told by stdin what it sends.
pub(crate) struct CommandLine {
    home: TempDir,
    access: Access,
}

impl CommandLine {
    pub(crate) fn new(access: &Access) -> Self {
        Self { home: TempDir::new().unwrap(), access: access.clone() }
    }

    /// A program with nothing in its environment but what the original's clients are told by.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(&self.home).env("HOME", self.home.path()).stdin(Stdio::null());
        command.envs([
            ("SAIL_BASE_URL", &self.access.url),
            ("SAIL_CLIENT_ID", &self.access.client_id),
            ("SAIL_CLIENT_SECRET", &self.access.client_secret),
        ]);
        command
    }

    pub(crate) fn patron(&self, args: &[&str], stdin: &str) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_patron"));
        let command = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may end before it is told anything.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// What it answers, or the one JSON object on stderr that says why it does not.
    fn run(&self, args: &[&str], stdin: &str) -> Result<Value, Refused> {
        let output = self.patron(args, stdin);
        let stderr = String::from_utf8(output.stderr).unwrap();
        if output.status.success() {
            assert_eq!(stderr, "", "{args:?}");
            let text = String::from_utf8(output.stdout).unwrap();
            return Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() });
        }
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        let told: Value = serde_json::from_str(&stderr).unwrap_or_else(|_| panic!("{args:?}: {stderr}"));
        Err(Refused {
            status: told["status"].as_u64().map(|status| u16::try_from(status).unwrap()),
            detail_code: told["detailCode"].as_str().map(str::to_owned),
            text: told["error"].as_str().unwrap().to_owned(),
        })
    }
}

impl Caller for CommandLine {
    fn create(&self, request: &CreatePersonalAccessTokenRequest) -> Result<Value, Refused> {
        self.run(CREATE, &serde_json::to_string(request).unwrap())
    }

    fn list(&self, owner_id: Option<&str>, filters: Option<&str>) -> Result<Vec<Value>, Refused> {
        let whose = owner_id.map_or_else(|| "--all".to_owned(), |id| format!("--owner={id}"));
        let filters = filters.map(|filters| format!("--filters={filters}"));
        let args = LIST.iter().copied().chain([whose.as_str()]).chain(filters.as_deref());
        let listed = self.run(&args.collect::<Vec<_>>(), "")?;
        Ok(listed.as_array().unwrap().clone())
    }

    fn patch(&self, id: &str, patch: &JsonPatch) -> Result<Value, Refused> {
        self.run(&[PATCH, &[id]].concat(), &serde_json::to_string(patch).unwrap())
    }

    fn delete(&self, id: &str) -> Result<(), Refused> {
        self.run(&[DELETE, &[id]].concat(), "").map(drop)
    }

    fn token(&self) -> String {
        let answer = self.run(&["token", "--json"], "").unwrap();
        answer["accessToken"].as_str().unwrap().to_owned()
    }
}
