//! `patron pat delete`: by id, or by a filter.

use clap::Args;
use serde_json::json;

use super::super::{fault, show};
use super::many::{Deed, Errand, Many, counted};
use super::{Failed, Work, plan};

#[derive(Args)]
pub(super) struct Delete {
    #[command(flatten)]
    many: Many,
}

const DELETION: Deed = Deed { verb: "Delete", done: "deleted", filter: "--expired" };

pub(super) async fn run(work: &Work<'_>, args: Delete) -> Result<(), Failed> {
    args.many.check(&DELETION)?;
    let ids = args.many.ids(work, &DELETION).await?;
    if args.many.dry_run {
        let requests: Vec<_> = ids.iter().map(|id| plan::Request::delete(id)).collect();
        return plan::tell(work, &requests);
    }
    let mut errand = Errand::new(work, &DELETION, ids.len());
    for id in ids {
        errand.asking(1);
        match work.connection.client.delete(&id).await {
            Ok(()) => errand.succeeded([id]),
            Err(error) => errand.failed(vec![id], error),
        }
    }
    errand.is_through();
    if !errand.is_futile() {
        if work.caller.json {
            let told = show::pretty(&json!({ "deleted": errand.done() }));
            errand.tell(|| show::out(&told));
        } else if errand.done().is_empty() {
            fault::say("No tokens.");
        } else {
            fault::say(&format!("Deleted {}.", counted(errand.done().len())));
        }
    }
    errand.end()
}
