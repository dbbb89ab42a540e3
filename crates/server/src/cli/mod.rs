//! The command line: one clap definition, a file a command group.
//!
//! JSON goes to stdout alone, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage (contract
//! section 1).

mod admin;
mod bootstrap;
mod open;
mod serve;
mod show;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Flags, Loaded, Settings};
use crate::process;

/// A personal access token authority: service and command line.
#[derive(Parser)]
#[command(name = "patron", version, about, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    /// Answer in JSON on stdout
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Start the service; on an empty database, bootstrap first (also what `patron` alone does)
    Serve(serve::Serve),
    /// Create the first tenant, administrator and personal access token on an empty database
    Bootstrap(bootstrap::BootstrapArgs),
    /// Act on the database itself, also while the service runs
    Admin(admin::Admin),
    /// Look at the settings
    Config(ConfigArgs),
}

#[derive(Args)]
struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check the settings, and show what is in force and where each value comes from
    Check,
}

/// Why a command failed, for the person at the terminal.
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What every command works with.
pub(crate) struct Session {
    settings: Arc<Settings>,
    loaded: Loaded,
    json: bool,
    /// Whether the process's memory is kept from others.
    guarded: Result<(), rustix::io::Errno>,
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    // An error of usage prints itself and ends the process with 2; help and version with 0.
    let cli = Cli::parse();
    // Before the settings, among which the master key may be.
    let guarded = process::guard_secrets();
    let env = |name: &str| -> Option<OsString> { std::env::var_os(name) };
    let loaded = match config::load(&cli.flags, &env) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let session = Session { settings: Arc::new(loaded.settings.clone()), loaded, json: cli.json, guarded };
    let command = cli.command.unwrap_or_else(|| Command::Serve(serve::Serve::default()));
    match session.run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("patron: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Session {
    fn run(self, command: Command) -> Result<(), Failed> {
        match command {
            Command::Serve(args) => runtime(true)?.block_on(serve::run(self, args)),
            Command::Bootstrap(args) => runtime(false)?.block_on(bootstrap::run(&self, &args)),
            Command::Admin(args) => runtime(false)?.block_on(admin::run(&self, args)),
            Command::Config(ConfigArgs { command: ConfigCommand::Check }) => {
                let text = if self.json { show::pretty(&self.loaded.json()) } else { self.loaded.table() };
                show::out(&text)
            }
        }
    }
}

fn runtime(service: bool) -> Result<tokio::runtime::Runtime, Failed> {
    let mut builder = if service {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    Ok(builder.enable_all().build()?)
}
