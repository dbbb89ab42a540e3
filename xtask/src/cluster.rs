//! The PostgreSQL cluster of a run: begun by the first step that needs it, ended with the run.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::report::Stop;
use crate::tools::{Workshop, install_debian, run_shown, succeeds};

/// The crate that makes clusters, and its program. As a program, because this one is built before all others and
/// stands on none of them.
const PROGRAM: &str = "patron-testing";

/// A running cluster. Its program ends it when its stdin ends: with this value, and with this process, whether it ends
/// in order, by Ctrl-C or by a signal.
pub(crate) struct Cluster {
    program: Child,
    url: String,
}

/// Sees to it that PostgreSQL's programs are there, and gives the program that makes clusters of them.
pub(crate) fn need_postgres(workshop: &Workshop) -> Result<PathBuf, Stop> {
    let mut build = workshop.cargo();
    run_shown(build.args(["build", "--locked", "--package", PROGRAM, "--bin", PROGRAM]))?;
    let program = workshop.built(PROGRAM);
    let installed = || succeeds(Command::new(&program).arg("programs"));
    if !installed() {
        install_debian(&["postgresql"])?;
    }
    if !installed() {
        return Err(Stop::Missing("PostgreSQL's programs are nowhere to be found".to_owned()));
    }
    Ok(program)
}

impl Cluster {
    /// For tests it need not wait for the disk; to be measured it must.
    pub(crate) fn start(workshop: &Workshop, durable: bool) -> Result<Self, Stop> {
        let mut command = Command::new(need_postgres(workshop)?);
        let mut program = command
            .arg("cluster")
            .args(durable.then_some("--durable"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Stop::Failed(format!("{PROGRAM}: {error}")))?;
        let mut url = String::new();
        // It says where the cluster is as soon as it is ready; when it fails it has said why, and this is empty.
        let told =
            program.stdout.take().is_some_and(|stdout| BufReader::new(stdout).read_line(&mut url).is_ok());
        let cluster = Self { program, url: url.trim().to_owned() };
        if !told || cluster.url.is_empty() {
            return Err(Stop::Failed("the PostgreSQL cluster did not start".to_owned()));
        }
        Ok(cluster)
    }

    /// The superuser's URL of a database on it. It holds a password.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.program.stdin.take());
        // Its end is all that matters.
        let _ = self.program.wait();
    }
}
