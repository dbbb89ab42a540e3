//! Chromedriver as a process, and the few WebDriver commands of its own that the tests need.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use fantoccini::error::CmdError;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value, json};
use url::{ParseError, Url};

/// Chromedriver on a free port. It and the browser it started are ended by their pids when this is dropped.
///
/// They stay in the test's process group, so that a runner that ends the whole group (a test that hangs, Ctrl-C)
/// leaves no browser behind.
pub(crate) struct Driver {
    process: Child,
    /// Kept open: chromedriver may still have something to say.
    _output: BufReader<ChildStdout>,
    url: String,
    browser: Option<Pid>,
}

impl Driver {
    /// Starts it with `home` as its home, so that neither it nor the browser finds or leaves anything elsewhere.
    ///
    /// Asked for any free port, chromedriver has the system choose one of IPv6 and then wants the same of IPv4, which
    /// somebody else may hold; it ends then, and another one is started.
    pub(crate) fn start(home: &Path) -> Self {
        for _ in 0..PORTS_AT_MOST {
            let mut process = Command::new("chromedriver")
                .args(["--port=0", "--log-level=SEVERE"])
                .env("HOME", home)
                .env("TZ", "UTC")
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("chromedriver: {error} ({REMEDY})"));
            let mut output = BufReader::new(process.stdout.take().unwrap());
            match port(&mut output) {
                Ok(port) => {
                    let url = format!("http://127.0.0.1:{port}");
                    return Self { process, _output: output, url, browser: None };
                }
                Err(said) => {
                    let ended = process.wait().unwrap();
                    assert!(said.contains("port not available"), "chromedriver ended, {ended}: {said}");
                }
            }
        }
        panic!("chromedriver found no port that is free in both families, {PORTS_AT_MOST} times");
    }

    /// Starts a browser.
    pub(crate) async fn session(&mut self, capabilities: Map<String, Value>) -> Client {
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(capabilities).connect(&self.url).await;
        let client = client.unwrap_or_else(|error| panic!("Chromium does not start ({REMEDY}): {error:?}"));
        let id = client.capabilities().and_then(|capabilities| capabilities.get("goog:processID")).cloned();
        self.browser = id.and_then(|id| Pid::from_raw(i32::try_from(id.as_i64()?).ok()?));
        client
    }
}

/// How many ports are tried.
const PORTS_AT_MOST: u32 = 10;

/// The port that chromedriver says it listens on, or what it said before it ended.
fn port(output: &mut BufReader<ChildStdout>) -> Result<String, String> {
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).unwrap() == 0 {
            return Err(said);
        }
        if let Some((_, port)) = line.trim_end().trim_end_matches('.').split_once("successfully on port ") {
            return Ok(port.to_owned());
        }
        said.push_str(&line);
    }
}

const REMEDY: &str = "`cargo xtask test --only browser` installs what is missing";

impl Drop for Driver {
    fn drop(&mut self) {
        // Whichever has ended already is as it should be.
        if let Some(browser) = self.browser {
            let _ = kill_process(browser, Signal::KILL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command that chromedriver has beyond the standard: a path under the session, and a body.
#[derive(Debug)]
struct Vendor {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _url: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// A command of the Chrome DevTools Protocol, to the page that is open.
pub(crate) async fn devtools(client: &Client, command: &str, parameters: Value) -> Result<Value, CmdError> {
    let body = json!({ "cmd": command, "params": parameters });
    client.issue_cmd(Vendor { path: "goog/cdp/execute", body }).await
}

/// What the browser's console has had since this was last asked.
pub(crate) async fn console(client: &Client) -> Result<Value, CmdError> {
    client.issue_cmd(Vendor { path: "se/log", body: json!({ "type": "browser" }) }).await
}
