//! `patron pat create`: the one command whose answer holds a secret.

use std::fs::{self, File};
use std::io::IsTerminal as _;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use clap::Args;
use patron_client::{CreatePersonalAccessTokenRequest, CreatePersonalAccessTokenResponse};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::super::expiry::{CHOICES, Expiry, ExpiryArgs};
use super::super::unfinished::Unfinished;
use super::super::{fault, show};
use super::{Failed, Output, Work, answer, plan, read_json};

#[derive(Args)]
pub(super) struct Create {
    /// What people call it
    #[arg(conflicts_with = "flag_name")]
    name: Option<String>,
    /// The same, as a flag
    #[arg(id = "flag_name", long = "name", value_name = "NAME")]
    flag_name: Option<String>,
    /// What it is limited to; may be repeated; none is everything that its owner may do
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    #[command(flatten)]
    expiry: ExpiryArgs,
    /// Seconds that an access token made from it lives: 15 to 43200
    #[arg(long, value_name = "SECONDS")]
    validity: Option<u32>,
    /// Made by the platform for another identity
    #[arg(long, requires = "owner")]
    managed: bool,
    /// For whom a managed token is made
    #[arg(long, value_name = "ID", requires = "managed")]
    owner: Option<String>,
    /// Write the secret into this new file, for its owner alone, instead of showing it
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    save_to: Option<PathBuf>,
    /// The JSON of the request itself, from a file, or - for stdin
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "name", "flag_name", "scopes", "expires", "expiration_date", "never_expires", "validity", "managed", "owner"
        ]
    )]
    body: Option<String>,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(work: &Work<'_>, args: Create) -> Result<(), Failed> {
    // Where the secret goes is settled before there is one.
    let form = form(work, &args)?;
    let request = match &args.body {
        Some(path) => read_json(path).await?,
        None => built(&args).await?,
    };
    if args.dry_run {
        return plan::tell(work, &[plan::Request::create(&request)?]);
    }
    let file = args.save_to.as_deref().map(new_file).transpose()?;
    work.caller
        .if_interrupted
        .set("; the token may have been made, with a secret that nobody knows: see `patron pat list`".into());
    let made = work.connection.client.create(&request).await.map_err(|error| maybe_made(work, error))?;
    work.caller.if_interrupted.set("; the token was made, and its secret is lost: delete it".into());
    let told = match file {
        None => tell(work, &made, form).await,
        Some((file, path)) => save(work, &made, form, file, path).await,
    };
    work.caller.if_interrupted.take();
    told
}

/// How the secret is written. To a terminal it is shown to its reader; anywhere else somebody has to have said so.
fn form(work: &Work<'_>, args: &Create) -> Result<Output, Failed> {
    match work.output {
        Output::Csv => Err(fault::usage("--output csv is for lists: take json or env")),
        Output::Table if args.save_to.is_some() => Ok(Output::Json),
        Output::Table if !std::io::stdout().is_terminal() && !args.dry_run => Err(fault::usage(
            "stdout is no terminal, so the secret would be written to who knows where: say --json, --output env or \
             --save-to FILE",
        )),
        _ if args.save_to.is_none() && !args.dry_run && leads_nowhere(&std::io::stdout()) => Err(
            fault::usage("stdout is closed or /dev/null, so the secret would be lost: take --save-to FILE"),
        ),
        form => Ok(form),
    }
}

/// Whether what is written there is gone. What was closed when the process began is `/dev/null` by now: the runtime
/// opens that in its place, so the two cannot be told apart.
fn leads_nowhere(stream: &impl AsFd) -> bool {
    let stream = stream.as_fd().try_clone_to_owned().and_then(|stream| File::from(stream).metadata());
    let (Ok(stream), Ok(null)) = (stream, fs::metadata("/dev/null")) else { return false };
    stream.file_type().is_char_device() && stream.rdev() == null.rdev()
}

async fn built(args: &Create) -> Result<CreatePersonalAccessTokenRequest, Failed> {
    let name = args.name.as_ref().or(args.flag_name.as_ref());
    let name = name.ok_or_else(|| fault::usage("what is it called? patron pat create NAME --expires 90d"))?;
    let expiry = args.expiry.chosen().await?;
    let mut request = CreatePersonalAccessTokenRequest::named(name);
    request = match expiry.ok_or_else(|| fault::usage(format!("until when? {CHOICES}")))? {
        Expiry::At(at) => request.expiring(at),
        Expiry::Never => request.never_expiring(),
    };
    if !args.scopes.is_empty() {
        request = request.with_scope(args.scopes.iter().map(String::as_str));
    }
    if let Some(seconds) = args.validity {
        request = request.with_validity(seconds);
    }
    if let Some(owner) = &args.owner {
        request = request.managed_for(owner);
    }
    Ok(request)
}

/// A file of a name that no file has.
fn new_file(path: &Path) -> Result<(Unfinished, &Path), Failed> {
    if path.symlink_metadata().is_ok() {
        return Err(format!("{} is there already and is not overwritten", path.display()).into());
    }
    Ok((Unfinished::create(path)?, path))
}

/// Says so where nobody knows whether there is a token now. Programs are told by the error's `maybeDone`.
fn maybe_made(work: &Work<'_>, error: patron_client::Error) -> Failed {
    if error.maybe_done() && !work.caller.json {
        fault::say(
            "Note: the token may have been made, with a secret that nobody knows: see `patron pat list`.",
        );
    }
    error.into()
}

/// Writes the secret to stdout. A reader that has gone is a failure here: it has not got what there is but once.
async fn tell(work: &Work<'_>, made: &CreatePersonalAccessTokenResponse, form: Output) -> Result<(), Failed> {
    if form == Output::Table {
        fault::say("The secret is shown this once.");
    }
    match text(work, made, form).and_then(|text| show::out(&text)) {
        Ok(()) => Ok(()),
        Err(error) => Err(taken_back(work, made, &format!("stdout cannot be written: {error}")).await),
    }
}

/// Writes the secret into the file.
async fn save(
    work: &Work<'_>,
    made: &CreatePersonalAccessTokenResponse,
    form: Output,
    file: Unfinished,
    path: &Path,
) -> Result<(), Failed> {
    if let Err(error) = text(work, made, form).and_then(|text| file.finish_new(&text)) {
        return Err(taken_back(work, made, &error.to_string()).await);
    }
    let mut told = serde_json::to_value(made)?;
    if let Some(fields) = told.as_object_mut() {
        fields.remove("secret");
    }
    if work.caller.json {
        told["savedTo"] = json!(path.display().to_string());
        return show::out(&show::pretty(&told));
    }
    fault::say(&format!("The secret is in {}.", path.display()));
    show::out(&answer::lines(&told))
}

/// Deletes the token again, whose secret has reached nobody, and says why.
async fn taken_back(work: &Work<'_>, made: &CreatePersonalAccessTokenResponse, why: &str) -> Failed {
    let became = match work.connection.client.delete(&made.id).await {
        Ok(()) => "the token that was made is deleted again".to_owned(),
        Err(also) => {
            format!("the token {} was made, its secret is lost, and it could not be deleted: {also}", made.id)
        }
    };
    format!("{why}; {became}").into()
}

/// The answer with its secret.
fn text(work: &Work<'_>, made: &CreatePersonalAccessTokenResponse, form: Output) -> Result<String, Failed> {
    let value = serde_json::to_value(made)?;
    Ok(match form {
        Output::Env => env(&work.connection.credential.base_url, made),
        Output::Jsonl => format!("{value}\n"),
        Output::Json => show::pretty(&value),
        Output::Table | Output::Csv => answer::lines(&value),
    })
}

/// As shells and the original's clients read it.
fn env(base_url: &str, made: &CreatePersonalAccessTokenResponse) -> String {
    let values = [
        ("SAIL_BASE_URL", base_url),
        ("SAIL_CLIENT_ID", &made.id),
        ("SAIL_CLIENT_SECRET", made.secret.expose_secret()),
    ];
    values.map(|(name, value)| format!("{name}={}\n", quoted(value))).concat()
}

/// A word that a shell takes as it is; in quotes where it must be, since not every reader of such files knows them.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+-".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_what_was_meant() {
        assert_eq!(quoted("https://acme.example.com:8443/x-y_z"), "https://acme.example.com:8443/x-y_z");
        assert_eq!(quoted("it's $HOME; `x`"), r"'it'\''s $HOME; `x`'");
        assert_eq!(quoted(""), "''");
    }
}
