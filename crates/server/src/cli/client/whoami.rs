//! `patron whoami`: which credential is in use, and for whom it acts.

use clap::Args;
use serde_json::{Value, json};

use super::connection::Connection;
use super::credentials::{Acting, Source};
use super::{Caller, Failed, show};

#[derive(Args)]
pub(in crate::cli) struct Whoami {
    #[command(flatten)]
    acting: Acting,
}

pub(super) async fn run(caller: &Caller, args: &Whoami) -> Result<(), Failed> {
    let connection = Connection::find(caller, &args.acting)?;
    let credential = &connection.credential;
    // An old access token would say that a credential works which has ended meanwhile.
    let token = connection.client.fresh_token().await?;
    connection.keep_token();
    // Not every server tells these, and not to every credential.
    let pat = connection.pat(&credential.client_id).await.ok();
    let seen = connection.client.introspect(token.expose()).await.ok().filter(|seen| seen.active);

    let profile = if let Source::Profile(name) = &credential.source { Some(name) } else { None };
    let mut told = json!({
        "baseUrl": credential.base_url,
        "source": credential.source.to_string(),
        "profile": profile,
        "clientId": credential.client_id,
        "name": pat.as_ref().map(|pat| &pat.name),
        "identityId": pat.as_ref().map(|pat| &pat.owner.id).or(seen.as_ref().and_then(|seen| seen.sub.as_ref())),
        "displayName": pat.as_ref().map(|pat| &pat.owner.name),
        "userName": seen.as_ref().and_then(|seen| seen.username.as_ref()),
        "scope": token.scope().split_whitespace().collect::<Vec<_>>(),
    });
    if let Some(pat) = &pat {
        // Null is an answer here: it never expires.
        told["expirationDate"] = pat.expiration_date.map_or(Value::Null, |at| at.to_string().into());
    }
    if caller.json {
        return show::out(&show::pretty(&told));
    }
    let columns = [
        "baseUrl",
        "source",
        "clientId",
        "name",
        "identityId",
        "displayName",
        "userName",
        "scope",
        "expirationDate",
    ];
    show::out(&show::table(&told, &columns))
}
