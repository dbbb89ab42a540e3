//! `patron pat bulk-update`: the expiry of many tokens, 25 at a time, as the API takes them.

use clap::Args;
use patron_client::{BulkUpdateRequest, JsonPatch};
use patron_core::limits::BULK_IDS;

use super::super::expiry::{CHOICES, Expiry, ExpiryArgs};
use super::super::fault;
use super::answer::ListWriter;
use super::choice::Choice;
use super::many::{self, Outcome};
use super::{Failed, Work, plan, require_consent};

#[derive(Args)]
pub(super) struct BulkUpdate {
    /// Ids of tokens; without one, those that the filters choose
    ids: Vec<String>,
    #[command(flatten)]
    expiry: ExpiryArgs,
    /// Ask nothing
    #[arg(long)]
    yes: bool,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    choice: Choice,
}

pub(super) async fn run(work: &Work<'_>, args: BulkUpdate) -> Result<(), Failed> {
    match (args.ids.is_empty(), args.choice.is_given()) {
        (true, false) => return Err(fault::usage("which? Give ids, or filters such as --never-expiring")),
        (false, true) => {
            return Err(fault::usage("ids and filters are two ways to choose: give one of them"));
        }
        (true, true) if !args.choice.is_narrow() => {
            return Err(fault::usage(
                "--all alone is every token there is: add a filter, such as --never-expiring",
            ));
        }
        _ => {}
    }
    let patch = match args.expiry.chosen().await? {
        Some(Expiry::At(at)) => JsonPatch::new().expiring(at),
        Some(Expiry::Never) => JsonPatch::new().never_expiring(),
        None => return Err(fault::usage(format!("to when? {CHOICES}"))),
    };
    let ids = ids(work, &args).await?;
    let requests: Vec<_> =
        ids.chunks(BULK_IDS).map(|ids| BulkUpdateRequest::new(ids, patch.clone())).collect();
    if args.dry_run {
        let requests = requests.iter().map(plan::Request::bulk_update).collect::<Result<Vec<_>, _>>()?;
        return plan::tell(work, &requests);
    }
    send(work, requests, ids.len()).await
}

async fn send(work: &Work<'_>, requests: Vec<BulkUpdateRequest>, count: usize) -> Result<(), Failed> {
    let mut list = ListWriter::new(work, true)?;
    let mut outcome = Outcome::default();
    let bar = many::bar(count);
    for request in requests {
        match work.connection.client.bulk_update(&request).await {
            Ok(pats) => {
                for pat in pats {
                    outcome.done.push(pat.id.clone());
                    list.push(pat)?;
                }
            }
            // All of a request or none.
            Err(error) => outcome.failed.push((request.ids.clone(), error.into())),
        }
        bar.inc(request.ids.len() as u64);
    }
    bar.finish_and_clear();
    if !outcome.done.is_empty() || outcome.failed.is_empty() {
        list.finish()?;
    }
    outcome.end("changed")
}

/// The ids; those of a filter once it was confirmed that they are meant.
async fn ids(work: &Work<'_>, args: &BulkUpdate) -> Result<Vec<String>, Failed> {
    if !args.ids.is_empty() {
        return Ok(args.ids.clone());
    }
    require_consent(args.yes || args.dry_run)?;
    let pats = many::chosen(work, &args.choice).await?;
    let meant = args.dry_run || pats.is_empty() || many::confirmed(work, &pats, "Change", args.yes).await?;
    if meant {
        Ok(pats.into_iter().map(|pat| pat.id).collect())
    } else {
        Err("not confirmed; nothing was done".into())
    }
}
