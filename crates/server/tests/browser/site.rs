//! Patron with people in it, and browsers in which they have signed in.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::browser::{Browser, Look};
use crate::process::{Call, Reply, Server, basic, patron, run_json};

/// Where one's own tokens are.
pub(crate) const TOKENS: &str = "/ui/d/user-preferences/personal-access-tokens";

/// What everybody's password is in these tests, once it is not the one of the bootstrap.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Patron as a process, in a folder of its own.
pub(crate) struct Site {
    pub(crate) server: Server,
    /// What the bootstrap wrote.
    pub(crate) bootstrap: Value,
    data: PathBuf,
    _dir: TempDir,
}

/// Somebody who can sign in.
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) login: String,
}

impl Site {
    /// As a newcomer starts it.
    pub(crate) fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("data");
        let server = Server::start(&data, &[]);
        let bootstrap = std::fs::read(data.join("bootstrap.json")).unwrap();
        Self { server, bootstrap: serde_json::from_slice(&bootstrap).unwrap(), data, _dir: dir }
    }

    /// The administrator that the bootstrap made, with [`PASSWORD`].
    pub(crate) fn admin(&self) -> Person {
        let word = |field: &str| self.bootstrap[field].as_str().unwrap().to_owned();
        let admin = Person { id: word("identityId"), login: word("userName") };
        self.set_password(&admin);
        admin
    }

    /// Somebody new, with [`PASSWORD`].
    pub(crate) fn person(&self, login: &str, display_name: &str, levels: &[&str]) -> Person {
        let mut args = vec!["admin", "identity", "create", "--name", login, "--display-name", display_name];
        for level in levels {
            args.extend(["--level", level]);
        }
        let made = self.command(&args);
        let person = Person { id: made["id"].as_str().unwrap().to_owned(), login: login.to_owned() };
        self.set_password(&person);
        person
    }

    fn set_password(&self, person: &Person) {
        let mut command = patron(&self.data);
        command.args(["admin", "identity", "set-password", &person.id]).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A token that the operator makes; `more` are further flags. The answer with its secret.
    pub(crate) fn token(&self, owner: &Person, name: &str, more: &[&str]) -> Value {
        let args = ["admin", "pat", "create", "--owner", &owner.id, "--name", name];
        self.command(&[&args, more].concat())
    }

    /// A command of the operator's, and its answer.
    #[track_caller]
    pub(crate) fn command(&self, args: &[&str]) -> Value {
        run_json(&self.data, args)
    }

    /// Puts a token's end into the past, behind Patron's back: what time does.
    pub(crate) fn expire(&self, token: &Value) {
        self.set_expiry(token, "created + 1");
    }

    /// Takes a token's end away, behind Patron's back.
    pub(crate) fn never_expire(&self, token: &Value) {
        self.set_expiry(token, "NULL");
    }

    fn set_expiry(&self, token: &Value, expires: &str) {
        let id = hex::decode(token["id"].as_str().unwrap()).unwrap();
        let sql = format!("UPDATE pats SET expires = {expires} WHERE id = ?1");
        assert_eq!(self.database().execute(&sql, [id]).unwrap(), 1);
    }

    /// A connection of the test's own to the database, behind Patron's back.
    pub(crate) fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.data.join("patron.db")).unwrap()
    }

    /// One's own tokens, asked over HTTP Basic with one of them.
    pub(crate) fn list_with(&self, id: &str, secret: &str) -> Reply {
        let call = Call::get("/personal-access-tokens/v1?owner-id=me");
        self.server.send(call.auth(&basic(id, secret)))
    }

    /// A browser in which nobody has signed in.
    pub(crate) fn browser(&self, look: Look) -> Browser {
        Browser::open(look, &self.server)
    }

    /// A browser in which somebody has signed in, at their tokens.
    #[track_caller]
    pub(crate) fn signed_in(&self, look: Look, person: &Person) -> Browser {
        let browser = self.browser(look);
        browser.go(TOKENS);
        browser.sign_in(&person.login, PASSWORD);
        assert_eq!(browser.path(), TOKENS, "{}", browser.text());
        browser
    }
}

impl Browser {
    /// Fills in and sends the sign-in page, which must be open.
    #[track_caller]
    pub(crate) fn sign_in(&self, login: &str, password: &str) {
        self.fill("Login name", login);
        self.fill("Password", password);
        self.press("Sign in");
    }
}
