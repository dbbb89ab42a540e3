//! `patron token`: an access token for scripts.

mod inspect;

use clap::{Args, Subcommand};
use serde_json::json;

use super::credentials::{self, Acting, Credential};
use super::{Caller, Failed, connection, fault, show};

#[derive(Args)]
pub(in crate::cli) struct TokenArgs {
    #[command(subcommand)]
    command: Option<TokenCommand>,
    #[command(flatten)]
    acting: Acting,
    /// Print the whole header, as HTTP takes it: Authorization: Bearer …
    #[arg(long)]
    header: bool,
    /// Narrow it to this scope; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Obtain a new one, also when one is kept that is good
    #[arg(long)]
    fresh: bool,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Take an access token apart, and check it by the server's public keys
    Inspect(inspect::Inspect),
}

pub(super) fn run(caller: &Caller, args: &TokenArgs) -> Result<(), Failed> {
    let credential = credentials::find(&caller.around, &args.acting)?;
    if let Some(TokenCommand::Inspect(inspect)) = &args.command {
        if args.header || args.fresh || !args.scopes.is_empty() {
            return Err(fault::usage("`token inspect` takes none of `token`'s flags"));
        }
        return caller.run(inspect::run(caller, inspect, credential));
    }
    if args.header && caller.json {
        return Err(fault::usage("--header and --json are two forms: give one of them"));
    }
    let mut scopes = args.scopes.clone();
    scopes.sort();
    scopes.dedup();
    // What scripts ask for again and again: a token that is kept needs neither TLS nor a runtime.
    let kept = if args.fresh { None } else { caller.cache().get(&credential, &scopes, Caller::now()) };
    let token = match kept {
        Some(token) => token,
        None => caller.run(obtain(caller, &credential, &scopes))?,
    };
    if caller.json {
        let left = token.seconds_left(Caller::now());
        return show::out(&show::pretty(&json!({ "accessToken": token.expose(), "expiresIn": left })));
    }
    let name = if args.header { "Authorization: Bearer " } else { "" };
    show::out(&format!("{name}{}\n", token.expose()))
}

async fn obtain(
    caller: &Caller,
    credential: &Credential,
    scopes: &[String],
) -> Result<patron_client::AccessToken, Failed> {
    let client = connection::client(credential, None)?;
    let token = if scopes.is_empty() {
        client.fresh_token().await?
    } else {
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        client.token_for(&scopes).await?
    };
    caller.cache().put(credential, scopes, &token);
    Ok(token)
}
