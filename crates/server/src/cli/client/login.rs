//! `patron login`: a profile, once the server has accepted what it holds.

use clap::Args;
use secrecy::SecretString;
use serde_json::json;

use super::credentials::{Acting, Credential, Source};
use super::profiles::{self, Profile, ProfileFile};
use super::{Caller, Failed, connection, fault, keyring, show, terminal};

/// The variable that a script may hand the secret over in: others do not see it, as they would an argument.
const SECRET: &str = "PATRON_CLIENT_SECRET";

#[derive(Args)]
#[expect(clippy::doc_markdown, reason = "clap prints these comments as they are")]
pub(in crate::cli) struct Login {
    /// The server, such as https://acme.api.example.com; asked for at a terminal when it is not given
    #[arg(long)]
    url: Option<String>,
    /// The id of a personal access token; asked for at a terminal when it is not given. Its secret comes from
    /// PATRON_CLIENT_SECRET, or is asked for, or is the first line of stdin
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    #[command(flatten)]
    acting: Acting,
    /// Let secrets go to that server over http://, where anyone on the way can read them
    #[arg(long)]
    allow_http: bool,
    /// Keep the secret in the profiles' file, also where the system has a keyring
    #[arg(long)]
    plain_file: bool,
}

pub(super) async fn run(caller: &Caller, args: Login) -> Result<(), Failed> {
    let name = args.acting.profile(&caller.around)?;
    let name = name.unwrap_or_else(|| profiles::DEFAULT.to_owned());
    profiles::check_name(&name)?;
    let file = ProfileFile::in_folder(caller.around.config_folder()?);
    // What is wrong with it is told before anything is typed.
    file.read()?;

    let base_url = given_or_asked(args.url, "--url", "Server URL: ").await?;
    let client_id = given_or_asked(args.client_id, "--client-id", "Client id: ").await?;
    let credential = Credential {
        base_url,
        client_id,
        client_secret: SecretString::default(),
        allow_http: args.allow_http,
        source: Source::Profile(name.clone()),
    };
    // The address is judged before a secret is asked for.
    let checked = connection::client(&credential, None)?;
    let base_url = checked.base_url().as_str().trim_end_matches('/').to_owned();
    let credential = Credential { base_url, client_secret: secret(caller).await?, ..credential };

    let client = connection::client(&credential, None)?;
    let token = client.token().await?;
    let in_keyring = !args.plain_file && keyring::keep(&name, &credential.client_secret);
    if !in_keyring {
        // What a login before this one has left there would be another token's.
        let _ = keyring::forget(&name);
    }
    let profile = Profile {
        base_url: credential.base_url.clone(),
        client_id: credential.client_id.clone(),
        client_secret: (!in_keyring).then(|| credential.client_secret.clone()),
        allow_http: credential.allow_http,
    };
    file.change(|all| {
        all.profiles.insert(name.clone(), profile);
        all.current = Some(name.clone());
        Ok(())
    })?;
    caller.cache().put(&credential, &[], &token);

    let kept_in =
        if in_keyring { "the system's keyring".to_owned() } else { file.path().display().to_string() };
    if caller.around.variable("SAIL_BASE_URL")?.is_some() {
        fault::say("Note: SAIL_BASE_URL is set, and what it names is used rather than a profile.");
    }
    if caller.json {
        let told = json!({
            "profile": name,
            "baseUrl": credential.base_url,
            "clientId": credential.client_id,
            "scope": token.scope(),
            "secretIn": if in_keyring { "keyring" } else { "file" },
        });
        return show::out(&show::pretty(&told));
    }
    fault::say(&format!(
        "Logged in to {} as profile {name}. The secret is kept in {kept_in}.",
        credential.base_url
    ));
    Ok(())
}

async fn given_or_asked(given: Option<String>, flag: &str, question: &str) -> Result<String, Failed> {
    let value = match given {
        Some(value) => value,
        None if terminal::is_attended() => terminal::ask(question).await?,
        None => {
            return Err(fault::usage(format!("{flag} is missing, and there is no terminal to ask for it")));
        }
    };
    let value = value.trim().to_owned();
    if value.is_empty() { Err(fault::usage(format!("{flag} is empty"))) } else { Ok(value) }
}

async fn secret(caller: &Caller) -> Result<SecretString, Failed> {
    let secret: SecretString = match caller.around.variable(SECRET)? {
        Some(secret) => secret.trim().into(),
        None if terminal::is_typed() => terminal::ask_secret("Client secret (not shown): ").await?,
        None => terminal::line().await?.into(),
    };
    if secrecy::ExposeSecret::expose_secret(&secret).is_empty() {
        return Err(fault::usage(format!("there is no secret: set {SECRET}, or give it as a line on stdin")));
    }
    Ok(secret)
}
