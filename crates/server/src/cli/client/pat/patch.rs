//! `patron pat patch`.

use clap::Args;
use patron_client::{JsonPatch, JsonPatchOperation};

use super::super::expiry::{Expiry, ExpiryArgs};
use super::{Failed, Work, answer, fault, plan, read_json};

#[derive(Args)]
pub(super) struct Patch {
    /// The token's id
    id: String,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// Exactly this scope; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// This scope as well; may be repeated
    #[arg(long = "add-scope", value_name = "SCOPE", conflicts_with = "scopes")]
    added: Vec<String>,
    /// No longer this scope; may be repeated
    #[arg(long = "remove-scope", value_name = "SCOPE", conflicts_with = "scopes")]
    removed: Vec<String>,
    #[command(flatten)]
    expiry: ExpiryArgs,
    /// The JSON Patch itself (RFC 6902), from a file, or - for stdin
    #[arg(
        long = "patch",
        value_name = "FILE",
        conflicts_with_all = ["name", "scopes", "added", "removed", "expires", "expiration_date", "never_expires"]
    )]
    raw: Option<String>,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(work: &Work<'_>, args: Patch) -> Result<(), Failed> {
    let patch: Vec<JsonPatchOperation> = match &args.raw {
        Some(path) => read_json(path).await?,
        None => built(work, &args).await?.into(),
    };
    if args.raw.is_none() && patch.is_empty() {
        return Err(fault::usage(
            "nothing is to be changed: give --name, --scope, --expires or --patch, for example",
        ));
    }
    if args.dry_run {
        return plan::tell(work, &[plan::Request::patch(&args.id, &patch)?]);
    }
    answer::one(work, work.connection.client.patch(&args.id, &patch).await?)
}

async fn built(work: &Work<'_>, args: &Patch) -> Result<JsonPatch, Failed> {
    let mut patch = JsonPatch::new();
    if let Some(name) = &args.name {
        patch = patch.name(name);
    }
    if !args.scopes.is_empty() {
        patch = patch.scope(args.scopes.iter().map(String::as_str));
    }
    if !args.added.is_empty() || !args.removed.is_empty() {
        let before = work.connection.pat(&args.id).await?.scope;
        let after = merged(&before, &args.added, &args.removed)?;
        // Somebody else's change in between is not undone: the server refuses the patch then.
        patch = patch.test("/scope", before).scope(after);
    }
    Ok(match args.expiry.chosen().await? {
        Some(Expiry::At(at)) => patch.expiring(at),
        Some(Expiry::Never) => patch.never_expiring(),
        None => patch,
    })
}

fn merged(before: &[String], added: &[String], removed: &[String]) -> Result<Vec<String>, Failed> {
    if let Some(missing) = removed.iter().find(|scope| !before.contains(scope)) {
        return Err(format!("it has no scope '{}' that could be removed", missing.escape_debug()).into());
    }
    let mut after: Vec<String> = before.iter().filter(|scope| !removed.contains(scope)).cloned().collect();
    for scope in added {
        if !after.contains(scope) {
            after.push(scope.clone());
        }
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_added_and_removed() {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(merged(&list("a b"), &list("c a"), &list("b")).unwrap(), list("a c"));
        assert!(merged(&list("a"), &[], &list("b")).is_err());
    }
}
