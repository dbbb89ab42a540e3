//! How a command ends that is not done: its exit code, and what it says on stderr, in a line for people or as one JSON
//! object where `--json` is among the arguments.

use std::ffi::OsString;
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use serde_json::{Value, json};

use super::{Failed, show};
use crate::config::ConfigError;

/// What was asked for cannot be asked for so: exit code 2.
#[derive(Debug)]
struct Usage(String);

/// Who was reading has gone, as `head` does once it has its lines: there is nobody to tell, and nothing has failed.
#[derive(Debug)]
pub(super) struct ReaderGone;

/// Something was done for some and not for others.
#[derive(Debug)]
pub(super) struct Partly {
    /// In all.
    pub(super) summary: String,
    /// Ids, and why it was not done for them.
    pub(super) failed: Vec<(Vec<String>, Failed)>,
}

impl fmt::Display for Partly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (ids, error) in &self.failed {
            // Ids come from the server.
            writeln!(f, "{}: {error}", show::harmless(&ids.join(" ")))?;
        }
        f.write_str(&self.summary)
    }
}

impl std::error::Error for Partly {}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

impl fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads any more")
    }
}

impl std::error::Error for ReaderGone {}

/// A failure that is one of usage.
pub(super) fn usage(text: impl Into<String>) -> Failed {
    Box::new(Usage(text.into()))
}

/// Tells why a command ended, and gives the exit code.
pub(super) fn exit(error: &Failed, json: bool) -> ExitCode {
    if error.is::<ReaderGone>() {
        return ExitCode::SUCCESS;
    }
    // Its lines begin with the file, the variable or the flag.
    let named = error.is::<ConfigError>();
    if json {
        say(&object(error).to_string());
    } else if named {
        say(&error.to_string());
    } else {
        // Much of it was written by a server.
        error.to_string().lines().for_each(|line| say(&format!("patron: {}", show::harmless(line))));
    }
    ExitCode::from(if named || is_usage(error) { 2 } else { 1 })
}

/// Tells what is wrong with the arguments, or gives the help or the version that they ask for.
pub(super) fn wrong_arguments(error: &clap::Error) -> ExitCode {
    let json = asks_for_json(std::env::args_os());
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => drop(error.print()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !json => drop(error.print()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            say(&json!({ "error": "which command? --help lists them" }).to_string());
        }
        _ if json => say(&json!({ "error": in_a_line(&error.render().to_string()) }).to_string()),
        _ => say(&format!("patron: {}; --help tells more", in_a_line(&error.render().to_string()))),
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Whether the arguments, which could not be read, ask for JSON.
fn asks_for_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let arguments: Vec<_> = arguments.collect();
    let form = |pair: &[OsString]| pair[0] == "--output" && pair[1] == "json";
    arguments.iter().any(|argument| argument == "--json" || argument == "--output=json")
        || arguments.windows(2).any(form)
}

/// What clap says in a paragraph and in its tips, without the usage that it adds.
fn in_a_line(rendered: &str) -> String {
    let said = rendered.strip_prefix("error: ").unwrap_or(rendered);
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut paragraphs = said.split("\n\n").map(line);
    let first = paragraphs.next().unwrap_or_default();
    match paragraphs.find_map(|text| Some(text.strip_prefix("tip: ")?.to_owned())) {
        Some(tip) => format!("{first} ({tip})"),
        None => first,
    }
}

/// What programs are told. `error` is the line for people; the rest is there where a server has said it.
fn object(error: &Failed) -> Value {
    if let Some(Partly { summary, failed }) = error.downcast_ref() {
        let failed = failed.iter().map(|(ids, error)| {
            let mut told = object(error);
            told["ids"] = json!(ids);
            told
        });
        return json!({ "error": summary, "failed": failed.collect::<Value>() });
    }
    let mut told = json!({ "error": error.to_string() });
    if error.downcast_ref::<patron_client::Error>().is_some_and(patron_client::Error::maybe_done) {
        told["maybeDone"] = true.into();
    }
    if let Some(refusal) =
        error.downcast_ref::<patron_client::Error>().and_then(patron_client::Error::refusal)
    {
        told["status"] = refusal.status.into();
        told["messages"] = json!(refusal.messages);
        let optional = [
            (
                "detailCode",
                refusal.detail_code.as_deref().or(refusal.oauth_error.as_deref()).map(Value::from),
            ),
            ("trackingId", refusal.tracking_id.as_deref().map(Value::from)),
            ("retryAfter", refusal.retry_after.map(|wait| wait.as_secs().into())),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                told[name] = value;
            }
        }
    }
    told
}

fn is_usage(error: &Failed) -> bool {
    let by_client = error.downcast_ref::<patron_client::Error>();
    error.is::<Usage>() || matches!(by_client, Some(patron_client::Error::Usage(_)))
}

/// A line on stderr, whose reader may have gone.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clap_says_fits_a_line() {
        let command = clap::Command::new("x").arg(clap::Arg::new("name").long("name").required(true));
        let error = command.try_get_matches_from(["x"]).unwrap_err();
        let said = in_a_line(&error.render().to_string());
        assert_eq!(said, "the following required arguments were not provided: --name <name>");
        let command = clap::Command::new("x").subcommand(clap::Command::new("create"));
        let error = command.try_get_matches_from(["x", "creat"]).unwrap_err();
        let said = in_a_line(&error.render().to_string());
        assert_eq!(said, "unrecognized subcommand 'creat' (a similar subcommand exists: 'create')");
    }

    #[test]
    fn json_is_asked_for_in_any_spelling() {
        let asks = |arguments: &[&str]| asks_for_json(arguments.iter().map(OsString::from));
        assert!(asks(&["x", "--json"]) && asks(&["--output=json"]) && asks(&["--output", "json", "y"]));
        assert!(!asks(&["json", "--output"]) && !asks(&["--output", "csv", "json"]));
    }

    #[test]
    fn an_id_of_the_servers_begins_no_line() {
        let failed = vec![(vec!["a\npatron: all is well\u{1b}[2J".to_owned()], "no".into())];
        let told = Partly { summary: "1 of 1".to_owned(), failed }.to_string();
        assert_eq!(told.lines().count(), 2, "{told}");
        assert!(!told.contains('\u{1b}'));
    }
}
