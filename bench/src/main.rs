//! Measures Patron against ceilings, in one run: `cargo xtask bench`.
//!
//! `ceiling/` is what it is measured against; `server.rs` runs one server on cores of its own and `load.rs` asks it, by
//! `oha`; `counts.rs` counts instructions; `pats.rs` makes the tokens and `database.rs` fills ten million of them in; `rows/` are the tables' lines, and
//! `report.rs` prints them.

mod ceiling;
mod counts;
mod database;
mod load;
mod pages;
mod pats;
mod place;
mod report;
mod rows;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};

use crate::rows::commits::{Raw, commit};

/// Whatever stops a run. It is shown to a person, who mends it.
type Fault = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Fault>;

/// A fault in words.
#[derive(Debug)]
struct Failure(String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

#[derive(Parser)]
enum Asked {
    /// Measures, prints tables and writes them down
    Run(rows::Run),
    /// Counts the instructions of requests, and holds them against their budgets
    Count(counts::Count),
    /// Serves as one of the ceilings
    #[command(subcommand)]
    Serve(Ceiling),
    /// Commits what a creation writes, without a service, and prints how many a second
    Commit {
        #[arg(long)]
        seconds: f64,
        #[command(subcommand)]
        engine: Engine,
    },
}

#[derive(Subcommand)]
enum Engine {
    /// Into a file that Patron has made
    Sqlite { file: PathBuf },
    /// Into a database that Patron has made
    Postgres {
        #[arg(long, env = "PATRON_BENCH_POSTGRES", hide_env_values = true)]
        url: String,
    },
}

#[derive(Subcommand)]
enum Ceiling {
    /// Reads a form and answers the bytes of a file
    Http { answer: PathBuf },
    /// Exchanges and introspects tokens out of memory
    Exchange { pats: u64, owners: u64 },
}

fn main() -> ExitCode {
    let ended = match Asked::parse() {
        Asked::Run(run) => rows::run(&run),
        Asked::Count(asked) => counts::count(&asked),
        Asked::Serve(ceiling) => serve(ceiling).map(|()| ExitCode::SUCCESS),
        Asked::Commit { seconds, engine } => {
            let raw = match &engine {
                Engine::Sqlite { file } => Raw::Sqlite(file),
                Engine::Postgres { url } => Raw::Postgres(url),
            };
            commit(&raw, Duration::from_secs_f64(seconds)).map(|()| ExitCode::SUCCESS)
        }
    };
    ended.unwrap_or_else(|error| {
        eprintln!("patron-bench: {error}");
        ExitCode::FAILURE
    })
}

/// With as many threads as cores, like Patron.
fn serve(ceiling: Ceiling) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match ceiling {
            Ceiling::Http { answer } => ceiling::http::run(&answer).await,
            Ceiling::Exchange { pats, owners } => {
                ceiling::exchange::run(pats::Pats { count: pats, owners }).await
            }
        }
    })
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "a measurement has no clock to be handed")]
fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// An instant to count from, and a number that no other run has.
#[expect(clippy::disallowed_methods, reason = "a measurement has no clock to be handed")]
fn now() -> (u64, Instant) {
    let since: Duration = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (u64::try_from(since.as_micros()).unwrap_or_default(), Instant::now())
}
