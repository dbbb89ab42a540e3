//! The command line: one clap definition, a file a command group.
//!
//! JSON goes to stdout alone, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage (contract
//! section 1). The commands of the service stand on its settings; those of [`client`], and [`migrate`], know nothing of
//! them.

mod admin;
mod bootstrap;
mod client;
mod fault;
mod lock;
mod migrate;
mod open;
mod serve;
mod show;
mod unfinished;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::config::{self, Flags, Loaded, Settings};
use crate::process;

/// A personal access token authority: service and command line.
#[derive(Parser)]
#[command(name = "patron", version, about, propagate_version = true, mut_args(not_the_clients))]
struct Cli {
    /// Answer in JSON on stdout, and tell errors in JSON on stderr
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Before the command's name the settings' flags are no command's but the service's: what is global there would be
/// offered by the client's commands too.
fn not_the_clients(arg: clap::Arg) -> clap::Arg {
    if arg.get_help_heading() == Some(config::FLAGS_HEADING) { arg.global(false) } else { arg }
}

#[derive(Subcommand)]
enum Command {
    /// Start the service; on an empty database, bootstrap first (also what `patron` alone does)
    Serve(OfService<serve::Serve>),
    /// Create the first tenant, administrator and personal access token on an empty database
    Bootstrap(OfService<bootstrap::BootstrapArgs>),
    /// Act on the database itself, also while the service runs
    Admin(OfService<admin::Admin>),
    /// Copy everything from one database into a new one, such as from SQLite to PostgreSQL and back
    Migrate(migrate::Migrate),
    /// Look at the settings
    Config(OfService<ConfigArgs>),
    #[command(flatten)]
    Client(client::Command),
}

// A command with the flags of the service's settings.
#[derive(Args)]
struct OfService<A: Args> {
    #[command(flatten)]
    args: A,
    #[command(flatten)]
    flags: Flags,
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

/// Why a command failed, for the person at the terminal. [`fault`] knows those that are more than a text.
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What every command of the service works with.
pub(crate) struct Session {
    settings: Arc<Settings>,
    loaded: Loaded,
    json: bool,
    /// Whether the process's memory is kept from others.
    guarded: Result<(), rustix::io::Errno>,
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return fault::wrong_arguments(&error),
    };
    let json = cli.wants_json();
    cli.run().map_or_else(|error| fault::exit(&error, json), |()| ExitCode::SUCCESS)
}

impl Cli {
    fn wants_json(&self) -> bool {
        self.json || matches!(&self.command, Some(Command::Client(command)) if command.is_json())
    }

    fn run(self) -> Result<(), Failed> {
        // Before the settings, among which the master key may be, and before a client's secret.
        let guarded = process::guard_secrets();
        let json = self.wants_json();
        let outer = self.flags;
        let session = |flags: Flags| Session::load(&flags.or(outer.clone()), json, guarded);
        match self.command {
            None => serve_until_told(session(Flags::default())?, serve::Serve::default()),
            Some(Command::Serve(OfService { args, flags })) => serve_until_told(session(flags)?, args),
            Some(Command::Bootstrap(OfService { args, flags })) => {
                let session = session(flags)?;
                runtime()?.block_on(bootstrap::run(&session, &args))
            }
            Some(Command::Admin(OfService { args, flags })) => {
                let session = session(flags)?;
                runtime()?.block_on(admin::run(&session, args))
            }
            Some(Command::Migrate(args)) => {
                outer.first_given().map_or(Ok(()), refuse_flag)?;
                runtime()?.block_on(migrate::run(&args, json))
            }
            Some(Command::Config(OfService { args, flags })) => {
                let ConfigCommand::Check = args.command;
                let session = session(flags)?;
                let text = if json { show::pretty(&session.loaded.json()) } else { session.loaded.table() };
                show::out(&text)
            }
            Some(Command::Client(command)) => {
                outer.first_given().map_or(Ok(()), refuse_flag)?;
                client::run(command, json, Cli::command)
            }
        }
    }
}

fn refuse_flag(flag: &str) -> Result<(), Failed> {
    Err(fault::usage(format!("{flag} is the service's, not this command's")))
}

impl Session {
    fn load(flags: &Flags, json: bool, guarded: Result<(), rustix::io::Errno>) -> Result<Self, Failed> {
        let env = |name: &str| -> Option<OsString> { std::env::var_os(name) };
        let loaded = config::load(flags, &env)?;
        Ok(Self { settings: Arc::new(loaded.settings.clone()), loaded, json, guarded })
    }
}

fn serve_until_told(session: Session, args: serve::Serve) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve::run(session, args))
}

/// Where a command that is no service runs.
fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
