//! `patron pat …`: personal access tokens over HTTP.

mod answer;
mod bulk_update;
mod choice;
mod create;
mod delete;
mod get;
mod list;
mod many;
mod patch;
mod plan;
mod table;

use clap::{Args, Subcommand, ValueEnum};
use serde::de::DeserializeOwned;

use super::connection::Connection;
use super::credentials::Acting;
use super::{Caller, Failed, fault, terminal};

#[derive(Args)]
pub(in crate::cli) struct PatArgs {
    #[command(subcommand)]
    command: PatCommand,
    #[command(flatten)]
    acting: Acting,
    /// How the answer is written; --json is json
    #[arg(long, global = true, value_enum, value_name = "FORM")]
    output: Option<Output>,
    /// In a table: all columns, and dates in full
    #[arg(long, global = true)]
    wide: bool,
}

impl PatArgs {
    /// Whether the answer was asked for as one JSON document; errors are told so too then.
    pub(in crate::cli) fn is_json(&self) -> bool {
        self.output == Some(Output::Json)
    }
}

#[derive(Subcommand)]
enum PatCommand {
    /// List tokens, one's own unless others are asked for
    List(list::ListArgs),
    /// Show one token
    Get(get::Get),
    /// Create a token; its secret is shown once, here
    Create(create::Create),
    /// Change the name, scopes or expiry of a token
    Patch(patch::Patch),
    /// End tokens and every access token made from them
    Delete(delete::Delete),
    /// Set the expiry of many tokens
    BulkUpdate(bulk_update::BulkUpdate),
}

/// How an answer is written.
#[expect(clippy::doc_markdown, reason = "clap prints these comments as they are")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// One JSON object a line
    Jsonl,
    /// RFC 4180, with a line of column names first
    Csv,
    /// A new token as SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET
    Env,
}

/// What every one of these commands works with.
struct Work<'a> {
    caller: &'a Caller,
    connection: Connection,
    output: Output,
    wide: bool,
}

pub(super) async fn run(caller: &Caller, args: PatArgs) -> Result<(), Failed> {
    if caller.json && args.output.is_some_and(|output| output != Output::Json) {
        return Err(fault::usage("--json and another --output are two forms: give one of them"));
    }
    let output = args.output.unwrap_or(if caller.json { Output::Json } else { Output::Table });
    if output == Output::Env && !matches!(args.command, PatCommand::Create(_)) {
        return Err(fault::usage("--output env is for a new token: no other answer has a secret"));
    }
    let connection = Connection::find(caller, &args.acting)?;
    let work = Work { caller, connection, output, wide: args.wide };
    let done = match args.command {
        PatCommand::List(args) => list::run(&work, args).await,
        PatCommand::Get(args) => get::run(&work, &args).await,
        PatCommand::Create(args) => create::run(&work, args).await,
        PatCommand::Patch(args) => patch::run(&work, args).await,
        PatCommand::Delete(args) => delete::run(&work, args).await,
        PatCommand::BulkUpdate(args) => bulk_update::run(&work, args).await,
    };
    work.connection.keep_token();
    done
}

/// Reads JSON from a file, or from stdin where its name is `-`. On a thread of its own, so that an interruption is heard
/// while nothing comes.
async fn read_json<T: DeserializeOwned>(path: &str) -> Result<T, Failed> {
    let shown = if path == "-" { "stdin" } else { path };
    let file = path.to_owned();
    let read = move || match file.as_str() {
        "-" => std::io::read_to_string(std::io::stdin()),
        path => std::fs::read_to_string(path),
    };
    let text = tokio::task::spawn_blocking(read).await?;
    let text = text.map_err(|error| format!("{shown} cannot be read: {error}"))?;
    serde_json::from_str(&text).map_err(|error| fault::usage(format!("{shown} is not what is sent: {error}")))
}

/// Whether somebody can be asked before something is done to many tokens.
fn require_consent(yes: bool) -> Result<(), Failed> {
    if yes || terminal::is_attended() {
        return Ok(());
    }
    Err(fault::usage("there is no terminal to confirm it at: --yes does without"))
}
