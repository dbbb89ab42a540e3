//! `patron logout`: the end of a profile.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::credentials::{self, Acting};
use super::profiles::ProfileFile;
use super::{Caller, Failed, connection, fault, keyring, show};

/// How long revoking may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(in crate::cli) struct Logout {
    #[command(flatten)]
    acting: Acting,
}

pub(super) fn run(caller: &Caller, args: &Logout) -> Result<(), Failed> {
    let file = ProfileFile::in_folder(caller.around.config_folder()?);
    let all = file.read()?;
    let name = args.acting.profile(&caller.around)?.or(all.current.clone());
    let name = name.ok_or("there is no current profile; see `patron profile list`")?;
    let in_keyring = all.named(&name)?.client_secret.is_none();

    // Without its secret the profile can still be forgotten.
    let revoked = match credentials::of_profile(&file, &name) {
        Ok(credential) => {
            let tokens = caller.cache().take_all(&credential);
            let alive: Vec<_> =
                tokens.into_iter().filter(|token| token.seconds_left(Caller::now()) > 0).collect();
            if alive.is_empty() { Ok(()) } else { caller.run(revoke(&credential, alive)) }
        }
        Err(error) => Err(error),
    };
    let forgotten = if in_keyring { keyring::forget(&name) } else { Ok(()) };
    file.change(|all| {
        all.profiles.remove(&name);
        if all.current.as_deref() == Some(name.as_str()) {
            all.current = None;
        }
        Ok(())
    })?;
    if let Err(error) = &revoked {
        fault::say(&format!(
            "Note: access tokens that were kept could not be revoked, and end by themselves: {error}"
        ));
    }
    if let Err(error) = forgotten {
        fault::say(&format!("Note: its secret could not be taken out of the system's keyring: {error}"));
    }
    if caller.json {
        return show::out(&show::pretty(
            &json!({ "profile": name, "loggedOut": true, "revoked": revoked.is_ok() }),
        ));
    }
    fault::say(&format!(
        "Logged out of profile {name}. Its personal access token still works: `patron pat delete` ends one."
    ));
    Ok(())
}

async fn revoke(
    credential: &credentials::Credential,
    tokens: Vec<patron_client::AccessToken>,
) -> Result<(), Failed> {
    let client = connection::client(credential, None)?;
    let revoking = async {
        for token in tokens {
            client.revoke(token.expose()).await?;
        }
        Ok(())
    };
    // Nobody who leaves waits for a server that does not answer.
    tokio::time::timeout(PATIENCE, revoking)
        .await
        .unwrap_or_else(|_| Err("the server does not answer in time".into()))
}
