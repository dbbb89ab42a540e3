//! `patron bootstrap`: the first tenant, administrator and PAT.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;
use patron_core::clock::{Clock as _, Entropy};
use patron_core::identity::Draft as IdentityDraft;
use patron_core::limits::BOOTSTRAP_PAT_DAYS;
use patron_core::pat::{Draft, Rules};
use patron_core::rights::ORG_ADMIN;
use patron_core::secret::Password;
use patron_store::Store;
use patron_store::bootstrap::{Bootstrap, Bootstrapped};
use serde_json::{Value, json};

use super::open::{explain, operator};
use super::unfinished::Unfinished;
use super::{Failed, Session, show};
use crate::keys;
use crate::passwords::Passwords;
use crate::system::SystemClock;

/// The administrator's login name.
const ADMIN: &str = "admin";
/// The first PAT's name.
const PAT: &str = "bootstrap";
const FILE: &str = "bootstrap.json";

#[derive(Args)]
pub(super) struct BootstrapArgs {
    /// Give the administrator a new password and a new first token, when there was a bootstrap before
    #[arg(long)]
    reset_admin: bool,
}

pub(super) async fn run(session: &Session, args: &BootstrapArgs) -> Result<(), Failed> {
    let store = session.open_or_create().await?;
    let result = bootstrap(session, &store, args.reset_admin).await;
    store.close().await;
    match result? {
        Some(answer) => tell(session, &answer),
        None => {
            Err("there was a bootstrap before; use --reset-admin for a new password and a new token".into())
        }
    }
}

/// Bootstraps and writes `bootstrap.json`; `None` when it was done before.
pub(super) async fn bootstrap(
    session: &Session,
    store: &Store,
    reset: bool,
) -> Result<Option<Answer>, Failed> {
    let before = store.is_bootstrapped().await.map_err(explain)?;
    if before && !reset {
        return Ok(None);
    }
    let (entropy, now) = (Session::entropy(), SystemClock.now());
    // The keys of a bootstrap before stay, so what opens them is not asked for.
    let keys = if before {
        Vec::new()
    } else {
        keys::bootstrap(now, &session.master_key(true)?, &entropy as &dyn Entropy)?.to_vec()
    };
    let file = Unfinished::create(&session.data_dir()?.join(FILE))?;
    let password = Password::generate(&entropy);
    let password_hash = Passwords::new(1, entropy.clone()).hash(password.clone()).await.map_err(explain)?;
    let admin = IdentityDraft {
        name: ADMIN.to_owned(),
        display_name: Some("Administrator".to_owned()),
        levels: vec![ORG_ADMIN.to_owned()],
        ..IdentityDraft::default()
    };
    let pat = Draft {
        name: Some(PAT.to_owned()),
        expiration_date: Some(now.plus_days(BOOTSTRAP_PAT_DAYS).to_string()),
        ..Draft::default()
    };
    let with = Bootstrap {
        admin: admin.check(&session.catalogue()?).map_err(explain)?,
        password_hash,
        pat: pat.check(Rules::Current, now).map_err(explain)?,
        keys,
    };
    let made = if before {
        Some(store.reset_admin(operator(), with).await.map_err(explain)?)
    } else {
        store.bootstrap(operator(), with).await.map_err(explain)?
    };
    let Some(made) = made else { return Ok(None) };
    let answer =
        Answer { json: answer(session, &made, &password), path: session.settings.data_dir.join(FILE) };
    file.finish(&show::pretty(&answer.json))?;
    Ok(Some(answer))
}

/// What bootstrap made, secrets in the clear. It has no `Debug`.
pub(super) struct Answer {
    json: Value,
    pub(super) path: PathBuf,
}

fn answer(session: &Session, made: &Bootstrapped, password: &Password) -> Value {
    json!({
        "tenant": made.tenant.name.as_str(),
        "baseUrl": session.settings.base_url(),
        "identityId": made.admin.id.to_string(),
        "userName": made.admin.name,
        "password": password.expose(),
        "clientId": made.pat.id.to_string(),
        "clientSecret": made.secret.expose(),
    })
}

/// Tells what was made: as JSON when asked, or else to a terminal alone.
pub(super) fn tell(session: &Session, answer: &Answer) -> Result<(), Failed> {
    if session.json {
        return show::out(&show::pretty(&answer.json));
    }
    eprintln!("The first tenant, administrator and token are in {}.", answer.path.display());
    eprintln!("Sign in at {}/ui with userName and password.", session.settings.base_url());
    if std::io::stdout().is_terminal() {
        let fields = ["tenant", "baseUrl", "identityId", "userName", "password", "clientId", "clientSecret"];
        return show::out(&show::table(&answer.json, &fields));
    }
    Ok(())
}
