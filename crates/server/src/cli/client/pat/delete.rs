//! `patron pat delete`: by id, or by a filter.

use std::collections::HashSet;

use clap::Args;
use serde_json::json;

use super::super::{fault, show, terminal};
use super::choice::Choice;
use super::many::{self, Outcome, counted};
use super::{Failed, Work, plan, require_consent};

#[derive(Args)]
pub(super) struct Delete {
    /// Ids of tokens; without one, those that the filters choose
    ids: Vec<String>,
    /// Ask nothing
    #[arg(long)]
    yes: bool,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    choice: Choice,
}

pub(super) async fn run(work: &Work<'_>, args: Delete) -> Result<(), Failed> {
    let Some(ids) = ids(work, &args).await? else { return Ok(()) };
    if args.dry_run {
        let requests: Vec<_> = ids.iter().map(|id| plan::Request::delete(id)).collect();
        return plan::tell(work, &requests);
    }
    let mut outcome = Outcome::default();
    let bar = many::bar(ids.len());
    for id in &ids {
        match work.connection.client.delete(id).await {
            Ok(()) => outcome.done.push(id.clone()),
            Err(error) => outcome.failed.push((vec![id.clone()], error.into())),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if !outcome.done.is_empty() {
        if work.is_json() {
            show::out(&show::pretty(&json!({ "deleted": outcome.done })))?;
        } else {
            fault::say(&format!("Deleted {}.", counted(outcome.done.len())));
        }
    }
    outcome.end("deleted")
}

/// The ids, once it was confirmed; `None` when it was not, or when there are none.
async fn ids(work: &Work<'_>, args: &Delete) -> Result<Option<Vec<String>>, Failed> {
    match (args.ids.is_empty(), args.choice.is_given()) {
        (true, false) => return Err(fault::usage("which? Give ids, or filters such as --expired")),
        (false, true) => {
            return Err(fault::usage("ids and filters are two ways to choose: give one of them"));
        }
        (true, true) if !args.choice.is_narrow() => {
            return Err(fault::usage("--all alone is every token there is: add a filter, such as --expired"));
        }
        _ => {}
    }
    // Found out before anything is looked for.
    let asks = !(args.yes || args.dry_run);
    require_consent(!asks)?;
    if !args.ids.is_empty() {
        let mut seen = HashSet::new();
        let mut ids: Vec<String> = args.ids.iter().filter(|id| seen.insert(id.as_str())).cloned().collect();
        // After it nothing can be done any more.
        let own = &work.connection.credential.client_id;
        ids.sort_by_key(|id| id == own);
        let what = if let [id] = ids.as_slice() { format!("token {id}") } else { counted(ids.len()) };
        return declined_or(!asks || terminal::confirms(&format!("Delete {what}?")).await?, ids);
    }
    let pats = many::chosen(work, &args.choice).await?;
    if pats.is_empty() && !args.dry_run {
        if work.is_json() {
            show::out(&show::pretty(&json!({ "deleted": [] })))?;
        } else {
            fault::say("No tokens.");
        }
        return Ok(None);
    }
    let meant = args.dry_run || many::confirmed(work, &pats, "Delete", args.yes).await?;
    declined_or(meant, pats.into_iter().map(|pat| pat.id).collect())
}

fn declined_or(meant: bool, ids: Vec<String>) -> Result<Option<Vec<String>>, Failed> {
    if meant { Ok(Some(ids)) } else { Err("not confirmed; nothing was done".into()) }
}
