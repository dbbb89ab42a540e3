//! `patron migrate`: everything from one database into a new one, while nobody serves either.

use std::ffi::OsString;
use std::fs::File;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use patron_store::Store;
use patron_store::transfer::{self, Copied, Progress, Tally};
use serde_json::{Value, json};

use super::lock::{canonical, lock};
use super::{Failed, Session, fault, show};
use crate::config;
use crate::system::SystemSteadyClock;

const RULES: &str = "Stop every `patron serve` on both first. All is written or nothing, and read back and compared \
    before it counts. The source stays as it is. The master key is no part of a database: the new place needs the same \
    one. A URL with a password belongs into the environment: everybody sees a command's arguments.";

#[derive(Args)]
#[command(after_help = RULES)]
pub(super) struct Migrate {
    #[arg(
        long,
        value_name = "URL",
        help = "The database that is read: sqlite:PATH or postgres://… [env: PATRON_MIGRATE_FROM]"
    )]
    from: Option<OsString>,
    #[arg(
        long,
        value_name = "URL",
        help = "The database that is written, new and empty: sqlite:PATH or postgres://… [env: PATRON_MIGRATE_TO]"
    )]
    to: Option<OsString>,
}

const DONE: &str = "Every row was read back and is as in the source, which nobody may serve any more.\n\
    Start `patron serve` with the new database_url and the same master key as before: the file master.key in the data \
    folder, or PATRON_MASTER_KEY.";

pub(super) async fn run(args: &Migrate, json: bool) -> Result<(), Failed> {
    let from = Place::read(args.from.as_ref(), "--from", "PATRON_MIGRATE_FROM")?;
    let to = Place::read(args.to.as_ref(), "--to", "PATRON_MIGRATE_TO")?;
    if from.is_same_file(&to) {
        return Err(fault::usage("--from and --to are the same file"));
    }
    if let Some(path) = from.file().filter(|path| !path.exists()) {
        return Err(format!("the source: there is no database at {}", path.display()).into());
    }
    let _locks = (from.lock()?, to.lock()?);
    let source = from.open("source").await?;
    let destination = to.open("destination").await?;
    let bar = bar(json);
    let copied = transfer::copy(&source, &destination, |progress| tell(&bar, progress)).await;
    bar.finish_and_clear();
    source.close().await;
    destination.close().await;
    let copied = copied?;
    show::out(&if json { show::pretty(&written(&copied)) } else { table(&copied) })?;
    DONE.lines().for_each(fault::say);
    Ok(())
}

/// A database that is named in an argument or in the environment.
struct Place(String);

impl Place {
    fn read(flag: Option<&OsString>, name: &str, variable: &str) -> Result<Self, Failed> {
        let (given, origin) = match flag {
            Some(given) => (Some(given.clone()), name),
            None => (std::env::var_os(variable), variable),
        };
        let given =
            given.ok_or_else(|| fault::usage(format!("{name} or {variable} has to name a database")))?;
        let text = given.into_string().map_err(|_| fault::usage(format!("{origin}: is not UTF-8")))?;
        let url = config::database_url(&text);
        url.map(Self).map_err(|problem| fault::usage(format!("{origin}: {problem}")))
    }

    fn file(&self) -> Option<&Path> {
        config::sqlite_file(&self.0).map(Path::new)
    }

    fn is_same_file(&self, other: &Self) -> bool {
        self.file().is_some_and(|file| other.file().is_some_and(|other| canonical(file) == canonical(other)))
    }

    /// Keeps services off it, if it is a file. Those of a server are known by their rows.
    fn lock(&self) -> Result<Option<File>, Failed> {
        let Some(file) = self.file() else { return Ok(None) };
        let taken = || format!("a patron serves {}, or migrates it: stop it first", file.display());
        Ok(Some(lock(file)?.ok_or_else(taken)?))
    }

    async fn open(&self, side: &str) -> Result<Store, Failed> {
        let steady = Arc::new(SystemSteadyClock);
        let opened = Store::open_as_it_is(&self.0, Session::clock(), Session::entropy(), steady).await;
        opened.map_err(|error| format!("the {side}: {error}").into())
    }
}

/// What moves on stderr while it works, where that is a terminal.
fn bar(json: bool) -> ProgressBar {
    let shown = !json && std::io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    let style = ProgressStyle::with_template("{spinner} {msg} {human_pos} rows");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

fn tell(bar: &ProgressBar, progress: Progress) {
    let doing = if progress.is_check { "comparing" } else { "copying" };
    bar.set_message(format!("{doing} {}:", progress.table));
    bar.set_position(progress.rows);
}

fn written(copied: &[Copied]) -> Value {
    let tally = |tally: &Tally| json!({ "rows": tally.rows, "sha256": hex::encode(tally.sha256) });
    let table = |copied: &Copied| {
        json!({
            "table": copied.table,
            "source": tally(&copied.source),
            "destination": tally(&copied.destination),
        })
    };
    json!({ "tables": copied.iter().map(table).collect::<Value>() })
}

fn table(copied: &[Copied]) -> String {
    let row = |copied: &Copied| {
        json!({
            "table": copied.table,
            "source": copied.source.rows,
            "destination": copied.destination.rows,
            "sha256": hex::encode(copied.destination.sha256),
        })
    };
    show::table(&copied.iter().map(row).collect(), &["table", "source", "destination", "sha256"])
}
