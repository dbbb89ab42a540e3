//! `patron profile …`: which profiles there are, and which one is taken when none is named.

use clap::Subcommand;
use serde_json::{Value, json};

use super::profiles::{ProfileFile, Profiles};
use super::{Caller, Failed, fault, show};

#[derive(Subcommand)]
pub(in crate::cli) enum ProfileCommand {
    /// List the profiles
    List,
    /// Take this profile whenever none is named
    Use {
        /// Its name
        name: String,
    },
}

pub(super) fn run(caller: &Caller, command: ProfileCommand) -> Result<(), Failed> {
    let file = ProfileFile::in_folder(caller.around.config_folder()?);
    match command {
        ProfileCommand::List => {
            let list = shown(&file.read()?);
            let columns = ["name", "current", "baseUrl", "clientId", "secretIn"];
            show::out(&if caller.json { show::pretty(&list) } else { show::table(&list, &columns) })
        }
        ProfileCommand::Use { name } => {
            file.change(|all| {
                all.named(&name)?;
                all.current = Some(name.clone());
                Ok(())
            })?;
            if caller.json {
                return show::out(&show::pretty(&json!({ "current": name })));
            }
            fault::say(&format!("Profile {name} is taken from now on."));
            Ok(())
        }
    }
}

fn shown(all: &Profiles) -> Value {
    let row = |(name, profile): (&String, &super::profiles::Profile)| {
        json!({
            "name": name,
            "current": all.current.as_ref() == Some(name),
            "baseUrl": profile.base_url,
            "clientId": profile.client_id,
            "secretIn": if profile.client_secret.is_some() { "file" } else { "keyring" },
        })
    };
    all.profiles.iter().map(row).collect()
}
