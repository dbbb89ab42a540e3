//! A connection that a test holds.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Stdio};

use crate::databases::psql_command;

/// A `psql` that stays connected and waits for whatever the server lets it wait for. What it has open is undone when it
/// is dropped.
#[derive(Debug)]
pub struct Session {
    psql: Child,
    output: BufReader<ChildStdout>,
}

impl Session {
    /// Connects to a database; panics when that is refused.
    #[track_caller]
    pub fn open(url: &str) -> Self {
        Self::try_open(url).unwrap()
    }

    /// The same; `None` when the server takes no connection.
    pub fn try_open(url: &str) -> Option<Self> {
        let mut psql = psql_command(url);
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut psql = psql.spawn().unwrap();
        let output = BufReader::new(psql.stdout.take().unwrap());
        let mut session = Self { psql, output };
        // It may be refused before it hears this.
        let _ = session.try_say("SELECT 'here'");
        (session.hear() == "here\n").then_some(session)
    }

    /// Begins a transaction with these statements, and keeps it open. Returns when they are done.
    #[track_caller]
    pub fn holding(url: &str, sql: &str) -> Self {
        let mut session = Self::open(url);
        session.say(&format!("BEGIN; {sql}; SELECT 'held'"));
        // What the statements find comes first.
        loop {
            match session.hear().as_str() {
                "held\n" => return session,
                line => assert_ne!(line, "", "{sql}"),
            }
        }
    }

    /// Hands in a statement.
    pub fn say(&mut self, sql: &str) {
        self.try_say(sql).unwrap();
    }

    fn try_say(&mut self, sql: &str) -> std::io::Result<()> {
        writeln!(self.psql.stdin.as_mut().unwrap(), "{sql};")
    }

    /// The next line that it prints; nothing when it has ended.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    /// Ends it in peace. Whether all that was said has been done.
    pub fn succeeds(mut self) -> bool {
        drop(self.psql.stdin.take());
        self.psql.wait().unwrap().success()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}
