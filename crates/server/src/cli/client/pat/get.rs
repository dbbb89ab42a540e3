//! `patron pat get`.

use clap::Args;

use super::{Failed, Work, answer};

#[derive(Args)]
pub(super) struct Get {
    /// The token's id
    id: String,
}

pub(super) async fn run(work: &Work<'_>, args: &Get) -> Result<(), Failed> {
    answer::one(work, work.connection.pat(&args.id).await?)
}
