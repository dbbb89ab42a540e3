//! `patron pat bulk-update`: the expiry of many tokens, 25 at a time, as the API takes them.

use clap::Args;
use patron_client::{BulkUpdateRequest, JsonPatch};
use patron_core::limits::BULK_IDS;

use super::super::expiry::{CHOICES, Expiry, ExpiryArgs};
use super::super::fault;
use super::answer::ListWriter;
use super::many::{Deed, Errand, Many};
use super::{Failed, Work, plan};

#[derive(Args)]
pub(super) struct BulkUpdate {
    #[command(flatten)]
    expiry: ExpiryArgs,
    #[command(flatten)]
    many: Many,
}

const CHANGE: Deed = Deed { verb: "Change", done: "changed", filter: "--never-expiring" };

pub(super) async fn run(work: &Work<'_>, args: BulkUpdate) -> Result<(), Failed> {
    args.many.check(&CHANGE)?;
    let patch = match args.expiry.chosen().await? {
        Some(Expiry::At(at)) => JsonPatch::new().expiring(at),
        Some(Expiry::Never) => JsonPatch::new().never_expiring(),
        None => return Err(fault::usage(format!("to when? {CHOICES}"))),
    };
    let ids = args.many.ids(work, &CHANGE).await?;
    let requests: Vec<_> =
        ids.chunks(BULK_IDS).map(|ids| BulkUpdateRequest::new(ids, patch.clone())).collect();
    if args.many.dry_run {
        let requests = requests.iter().map(plan::Request::bulk_update).collect::<Result<Vec<_>, _>>()?;
        return plan::tell(work, &requests);
    }
    let mut list = ListWriter::new(work, true)?;
    let mut errand = Errand::new(work, &CHANGE, ids.len());
    for request in requests {
        send(work, request, &mut errand, &mut list).await;
    }
    errand.is_through();
    if !errand.is_futile() {
        errand.tell(|| list.finish());
    }
    errand.end()
}

/// Sends a request; token by token where it was refused for what is in it. The server does all of a request or nothing,
/// and one token that is gone by now is to stop no other.
async fn send(work: &Work<'_>, request: BulkUpdateRequest, errand: &mut Errand<'_>, list: &mut ListWriter) {
    let mut waiting = vec![request];
    while let Some(request) = waiting.pop() {
        errand.asking(request.ids.len());
        match work.connection.client.bulk_update(&request).await {
            Ok(pats) => {
                errand.succeeded(pats.iter().map(|pat| pat.id.clone()));
                for pat in pats {
                    errand.tell(|| list.push(pat));
                }
            }
            Err(error) if request.ids.len() > 1 && matches!(error.status(), Some(400 | 404)) => {
                // The last is taken first.
                let each = request.ids.iter().rev();
                waiting.extend(each.map(|id| BulkUpdateRequest::new([id], request.patch.clone())));
            }
            Err(error) => errand.failed(request.ids, error),
        }
    }
}
