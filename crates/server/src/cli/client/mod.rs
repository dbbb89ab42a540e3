//! The user's commands: what a person or a script does with tokens of any server that speaks this API, over HTTP. They
//! stand on `patron-client` and know nothing of the service's settings.

mod connection;
mod credentials;
mod expiry;
mod keyring;
mod login;
mod logout;
mod manual;
mod pat;
mod profile;
mod profiles;
mod span;
mod surroundings;
mod terminal;
mod token;
mod token_cache;
mod whoami;

use std::borrow::Cow;
use std::cell::Cell;

use clap::Subcommand;
use patron_core::clock::Clock as _;
use patron_core::time::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::surroundings::Surroundings;
use self::token_cache::TokenCache;
use super::{Failed, fault, runtime, show, unfinished};
use crate::system::SystemClock;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Keep a server's URL and the id and secret of a token as a profile, once the server has accepted them
    Login(login::Login),
    /// Forget a profile and end the access tokens kept for it
    Logout(logout::Logout),
    /// Show which credential is in use, and for whom it acts
    Whoami(whoami::Whoami),
    /// Personal access tokens
    Pat(pat::PatArgs),
    /// Print an access token, for scripts
    Token(token::TokenArgs),
    /// See profiles, and choose one
    #[command(subcommand)]
    Profile(profile::ProfileCommand),
    /// Print the completions of a shell
    Completions(manual::Completions),
    /// Print the manual page, or write those of all commands
    Man(manual::Man),
}

/// What every command of the client works with.
struct Caller {
    around: Surroundings,
    /// Whether the answer is to be JSON.
    json: bool,
    /// What to add when the command is interrupted just now.
    if_interrupted: Cell<Cow<'static, str>>,
}

impl Caller {
    fn cache(&self) -> TokenCache {
        TokenCache::in_folder(self.around.cache_folder().ok())
    }

    fn now() -> Timestamp {
        SystemClock.now()
    }

    /// Does what takes a server, until it is done or somebody interrupts it. What has been opened until then is
    /// dropped, so that no file stays half written.
    fn run<T>(&self, work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        let runtime = runtime()?;
        let done = runtime.block_on(async {
            // Before the work begins, so that there is no moment when a signal would end it as it stands.
            let mut signals = Signals::new()?;
            tokio::select! {
                done = work => done,
                signal = signals.next() => Err(format!("{signal}{}", self.if_interrupted.take()).into()),
            }
        });
        // A thread may still wait for a line that is to be typed.
        runtime.shutdown_background();
        done
    }
}

/// The signals that end programs.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// What has happened when one of them comes.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "interrupted",
            _ = self.terminate.recv() => "terminated",
            _ = self.hangup.recv() => "the terminal is gone",
        }
    }
}

impl Command {
    /// Whether the command's own flags ask for JSON, as `--json` does.
    pub(super) fn is_json(&self) -> bool {
        matches!(self, Self::Pat(args) if args.is_json())
    }
}

/// Runs a command. `definition` is the whole command line, for what is generated from it.
pub(super) fn run(command: Command, json: bool, definition: fn() -> clap::Command) -> Result<(), Failed> {
    let caller = Caller { around: Surroundings::of_process(), json, if_interrupted: Cell::default() };
    match command {
        Command::Login(args) => caller.run(login::run(&caller, args)),
        Command::Logout(args) => logout::run(&caller, &args),
        Command::Whoami(args) => caller.run(whoami::run(&caller, &args)),
        Command::Pat(args) => caller.run(pat::run(&caller, args)),
        Command::Token(args) => token::run(&caller, &args),
        Command::Profile(command) => profile::run(&caller, command),
        Command::Completions(args) => manual::completions(&args, definition()),
        Command::Man(args) => manual::man(&args, definition()),
    }
}
