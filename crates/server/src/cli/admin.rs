//! `patron admin …`: straight on the database, also while the service runs, which honours it from the next request on.

use std::io::{BufRead as _, IsTerminal as _};
use std::sync::Arc;

use clap::{Args, Subcommand};
use patron_core::access;
use patron_core::clock::Clock as _;
use patron_core::criteria::{AUDIT_EVENTS, Criteria};
use patron_core::id::{IdentityId, PatId};
use patron_core::identity::{self, Draft as IdentityDraft, Identity};
use patron_core::name::TenantName;
use patron_core::pat::{Draft, Pat, Rules};
use patron_core::secret::Password;
use patron_core::time::Timestamp;
use patron_store::Store;
use patron_store::changes::Place;
use patron_store::identities::{Order, no_such_identity};
use patron_store::pats::{Creation, Selection};
use patron_store::tenants::Tenant;
use serde_json::{Value, json};

use super::open::{explain, operator};
use super::{Failed, Session, show};
use crate::api;
use crate::keys;
use crate::limits::ROWS;
use crate::passwords::Passwords;
use crate::system::{SystemClock, SystemEntropy};
use crate::trail::TrailReader;

#[derive(Args)]
pub(super) struct Admin {
    #[command(subcommand)]
    group: Group,
    /// The tenant to act in
    #[arg(long, global = true, value_name = "NAME", default_value = TenantName::DEFAULT)]
    tenant: String,
}

#[derive(Subcommand)]
enum Group {
    /// Tenants
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Identities: the persons and services that own tokens
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// Personal access tokens of any identity
    #[command(subcommand)]
    Pat(PatCommand),
    /// Signing keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// The audit trail
    #[command(subcommand)]
    Audit(AuditCommand),
}

#[derive(Subcommand)]
enum TenantCommand {
    /// Create a tenant
    Create {
        /// Lowercase letters, digits and inner hyphens, at most 63
        #[arg(long)]
        name: String,
    },
    /// List all tenants
    List,
}

#[derive(Subcommand)]
enum IdentityCommand {
    /// Create an identity
    Create {
        /// Login name, unique in the tenant
        #[arg(long)]
        name: String,
        /// Name for people; the login name when it is not given
        #[arg(long)]
        display_name: Option<String>,
        /// Given name
        #[arg(long)]
        first_name: Option<String>,
        /// Family name
        #[arg(long)]
        last_name: Option<String>,
        /// Mail address
        #[arg(long)]
        email: Option<String>,
        /// User level; may be repeated
        #[arg(long = "level", value_name = "LEVEL")]
        levels: Vec<String>,
    },
    /// List the tenant's identities
    List,
    /// Show one identity
    Show {
        /// Its id
        id: String,
    },
    /// Set an identity's levels to exactly these
    SetLevels {
        /// Its id
        id: String,
        /// User level; may be repeated; USER alone is what everyone has
        #[arg(long = "level", value_name = "LEVEL", required = true)]
        levels: Vec<String>,
    },
    /// Refuse an identity's tokens and sessions from the next request on
    Disable {
        /// Its id
        id: String,
    },
    /// Accept an identity's tokens again
    Enable {
        /// Its id
        id: String,
    },
    /// Delete an identity and all its tokens
    Delete {
        /// Its id
        id: String,
    },
    /// Set an identity's password, read from stdin
    SetPassword {
        /// Its id
        id: String,
    },
}

#[derive(Subcommand)]
enum PatCommand {
    /// Create a token for an identity; its secret is shown once, here
    Create {
        /// The identity that will own it
        #[arg(long, value_name = "ID")]
        owner: String,
        /// What people call it
        #[arg(long)]
        name: String,
        /// What it is limited to; may be repeated; none is everything that the owner may do
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// When it stops working: 2027-01-31 (that day's end, UTC) or 2027-01-31T12:00:00Z
        #[arg(
            long,
            value_name = "DATE",
            required_unless_present = "never_expires",
            conflicts_with = "never_expires"
        )]
        expiration_date: Option<String>,
        /// It never stops working; a greater risk when it leaks
        #[arg(long)]
        never_expires: bool,
        /// Seconds that an access token made from it lives: 15 to 43200
        #[arg(long, value_name = "SECONDS")]
        validity: Option<i64>,
        /// Made by the platform: in lists only for those with the right, and not counted towards the owner's limit
        #[arg(long)]
        managed: bool,
    },
    /// List the tokens of an identity, or of all; managed ones too
    List {
        /// The identity; all of the tenant's when it is not given
        #[arg(long, value_name = "ID")]
        owner: Option<String>,
    },
    /// End a token and every access token made from it
    Revoke {
        /// The token's id
        id: String,
        /// The identity that owns it
        #[arg(long, value_name = "ID")]
        owner: String,
    },
}

#[derive(Subcommand)]
enum KeysCommand {
    /// List the signing keys
    List,
    /// Let the next key take over, as soon as every verifier can know it, and make a new next one
    Rotate,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// List events, newest first
    List {
        /// How many at most
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Only these, such as: created ge 2027-01-01T00:00:00Z and target.id eq "…"
        #[arg(long, default_value = "")]
        filters: String,
    },
}

pub(super) async fn run(session: &Session, args: Admin) -> Result<(), Failed> {
    let store = session.open().await?;
    let result = Operator { session, store: &store, tenant: args.tenant }.run(args.group).await;
    store.close().await;
    result
}

struct Operator<'a> {
    session: &'a Session,
    store: &'a Store,
    tenant: String,
}

const IDENTITY: [&str; 6] = ["id", "name", "displayName", "email", "levels", "enabled"];
const PAT: [&str; 8] =
    ["id", "name", "scope", "owner.name", "created", "lastUsed", "expirationDate", "managed"];

impl Operator<'_> {
    async fn run(&self, group: Group) -> Result<(), Failed> {
        match group {
            Group::Tenant(command) => self.tenant(command).await,
            Group::Identity(command) => self.identity(command).await,
            Group::Pat(command) => self.pat(command).await,
            Group::Keys(command) => self.keys(command).await,
            Group::Audit(AuditCommand::List { limit, filters }) => self.audit(limit, &filters).await,
        }
    }

    fn tell(&self, value: &Value, columns: &[&str]) -> Result<(), Failed> {
        show::out(&if self.session.json { show::pretty(value) } else { show::table(value, columns) })
    }

    /// Says that something was done that has nothing to show but itself.
    fn done(&self, text: &str, value: &Value) -> Result<(), Failed> {
        if self.session.json {
            return show::out(&show::pretty(value));
        }
        eprintln!("{text}");
        Ok(())
    }

    async fn the_tenant(&self) -> Result<Tenant, Failed> {
        let found = self.store.tenant(self.tenant.clone()).await.map_err(explain)?;
        Ok(found.ok_or_else(|| format!("there is no tenant '{}'", self.tenant))?)
    }

    async fn tenant(&self, command: TenantCommand) -> Result<(), Failed> {
        let shown = |tenant: &Tenant| {
            json!({
                "id": tenant.id.to_string(),
                "name": tenant.name.as_str(),
                "created": tenant.created.to_string(),
                "url": self.session.settings.tenant_url(tenant.name.as_str()),
            })
        };
        let columns = ["id", "name", "created", "url"];
        match command {
            TenantCommand::Create { name } => {
                let name = TenantName::parse(&name).map_err(explain)?;
                let settings = &self.session.settings;
                let host = settings.tenant_domain.as_ref().map(|domain| format!("{name}.{domain}"));
                if host.is_some() && host.as_deref() == settings.public_url.host_str() {
                    return Err(format!(
                        "{name}'s host would be that of public_url, which is the default tenant's"
                    )
                    .into());
                }
                let made = self.store.create_tenant(operator(), name).await.map_err(explain)?;
                self.tell(&shown(&made), &columns)
            }
            TenantCommand::List => {
                let all = self.store.tenants(Place::default()).await.map_err(explain)?;
                self.tell(&all.iter().map(shown).collect(), &columns)
            }
        }
    }

    async fn identity(&self, command: IdentityCommand) -> Result<(), Failed> {
        let tenant = self.the_tenant().await?.key;
        let catalogue = self.session.catalogue()?;
        match command {
            IdentityCommand::Create { name, display_name, first_name, last_name, email, levels } => {
                let draft = IdentityDraft { name, display_name, first_name, last_name, email, levels };
                let draft = draft.check(&catalogue).map_err(explain)?;
                let made = self.store.create_identity(operator(), tenant, draft).await.map_err(explain)?;
                self.tell(&shown(&made), &IDENTITY)
            }
            IdentityCommand::List => {
                let (mut all, mut last) = (Vec::new(), None);
                loop {
                    let page = self.store.identities_page(tenant, Order::LoginName, last.as_ref(), ROWS);
                    let mut page = page.await.map_err(explain)?;
                    all.extend(page.iter().map(shown));
                    if page.len() < ROWS as usize {
                        return self.tell(&Value::Array(all), &IDENTITY);
                    }
                    last = page.pop();
                }
            }
            IdentityCommand::Show { id } => {
                let found = self.store.identity(tenant, identity_id(&id)?).await.map_err(explain)?;
                self.tell(&shown(&found.ok_or_else(no_such_identity)?), &IDENTITY)
            }
            IdentityCommand::SetLevels { id, levels } => {
                let levels = identity::check_levels(&catalogue, levels).map_err(explain)?;
                self.change(&id, move |old| Identity { levels: levels.clone(), ..old.clone() }).await
            }
            IdentityCommand::Disable { id } => {
                self.change(&id, |old| Identity { enabled: false, ..old.clone() }).await
            }
            IdentityCommand::Enable { id } => {
                self.change(&id, |old| Identity { enabled: true, ..old.clone() }).await
            }
            IdentityCommand::Delete { id } => {
                let id = identity_id(&id)?;
                self.store.delete_identity(operator(), tenant, id).await.map_err(explain)?;
                self.done("Deleted, with all its tokens.", &json!({ "id": id.to_string(), "deleted": true }))
            }
            IdentityCommand::SetPassword { id } => {
                let id = identity_id(&id)?;
                let password = read_password()?;
                identity::check_password(&password).map_err(explain)?;
                let hash = Passwords::new(1, Session::entropy()).hash(password).await.map_err(explain)?;
                self.store.set_password_hash(operator(), tenant, id, hash, false).await.map_err(explain)?;
                self.done("The password is set.", &json!({ "id": id.to_string(), "passwordSet": true }))
            }
        }
    }

    async fn change(
        &self,
        id: &str,
        change: impl Fn(&Identity) -> Identity + Send + Sync + 'static,
    ) -> Result<(), Failed> {
        let tenant = self.the_tenant().await?.key;
        let decide = Arc::new(move |old: &Identity| Ok(change(old)));
        let changed = self.store.change_identity(operator(), tenant, identity_id(id)?, decide).await;
        self.tell(&shown(&changed.map_err(explain)?), &IDENTITY)
    }

    async fn pat(&self, command: PatCommand) -> Result<(), Failed> {
        let tenant = self.the_tenant().await?.key;
        match command {
            PatCommand::Create { owner, name, scopes, expiration_date, never_expires, validity, managed } => {
                let draft = Draft {
                    name: Some(name),
                    scope: (!scopes.is_empty()).then_some(scopes),
                    expiration_date: expiration_date
                        .map(|date| Timestamp::end_of_day(&date).map_or(date, |end| end.to_string())),
                    user_aware_token_never_expires: never_expires,
                    access_token_validity_seconds: validity,
                };
                let new = draft.check(Rules::Current, SystemClock.now()).map_err(explain)?;
                let per_owner = self.session.settings.pat_limits.per_owner;
                let creation = Creation { owner: identity_id(&owner)?, managed, per_owner };
                let (pat, secret) =
                    self.store.create_pat(operator(), tenant, creation, new).await.map_err(explain)?;
                let value = serde_json::to_value(api::pats::written_with_secret(&pat, &secret))?;
                let columns = [
                    "id",
                    "secret",
                    "scope",
                    "name",
                    "owner.name",
                    "created",
                    "accessTokenValiditySeconds",
                    "expirationDate",
                ];
                self.tell(&value, &columns)
            }
            PatCommand::List { owner } => {
                let owner = owner.as_deref().map(identity_id).transpose()?;
                let filter = patron_core::filter::Filter::everything();
                let selection = Selection { tenant, owner, managed: true, filter };
                let (mut all, mut after) = (Vec::new(), None);
                loop {
                    let page = self.store.pats_page(selection.clone(), after, ROWS).await.map_err(explain)?;
                    for pat in &page {
                        all.push(serde_json::to_value(api::pats::written(pat))?);
                    }
                    match page.last() {
                        Some(last) if page.len() == ROWS as usize => after = Some((last.created, last.id)),
                        _ => return self.tell(&Value::Array(all), &PAT),
                    }
                }
            }
            PatCommand::Revoke { id, owner } => {
                let owner = identity_id(&owner)?;
                let id = PatId::parse(&id).ok_or_else(access::no_such_pat)?;
                let decide = Arc::new(
                    move |pat: &Pat| if pat.owner == owner { Ok(()) } else { Err(access::no_such_pat()) },
                );
                self.store.delete_pat(operator(), tenant, id, decide).await.map_err(explain)?;
                self.done("Revoked.", &json!({ "id": id.to_string(), "revoked": true }))
            }
        }
    }

    async fn keys(&self, command: KeysCommand) -> Result<(), Failed> {
        let now = SystemClock.now();
        let records = match command {
            KeysCommand::List => self.store.signing_keys(Place::default()).await.map_err(explain)?,
            KeysCommand::Rotate => {
                let (tenant, master) = (self.the_tenant().await?.key, self.session.master_key(false)?);
                let decide = Arc::new(move |records: &[keys::KeyRecord]| {
                    keys::rotated(records, now, &master, &SystemEntropy)
                });
                self.store.rotate_signing_keys(operator(), tenant, decide).await.map_err(explain)?
            }
        };
        let shown = records.iter().map(|key| {
            json!({
                "kid": key.kid,
                "state": keys::state_of(key, now).as_str(),
                "created": key.created.to_string(),
                "activates": key.activates.map(|at| at.to_string()),
                "retires": key.retires.map(|at| at.to_string()),
            })
        });
        self.tell(&shown.collect(), &["kid", "state", "created", "activates", "retires"])
    }

    async fn audit(&self, limit: u32, filters: &str) -> Result<(), Failed> {
        let tenant = self.the_tenant().await?;
        let page = crate::body::Page { limit: Some(limit), offset: 0, count: false };
        let criteria = Criteria::parse(filters, AUDIT_EVENTS).map_err(explain)?;
        let trail = TrailReader::new(self.store.clone(), tenant.key, criteria, None);
        let (events, _) = api::audit::select(trail, page).await.map_err(explain)?;
        let events = events.iter().map(|event| api::audit::written(event, tenant.name.as_str()));
        let events = events.map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        let columns =
            ["created", "technicalName", "actor.name", "target.type", "target.name", "ipAddress", "status"];
        self.tell(&Value::Array(events), &columns)
    }
}

fn identity_id(text: &str) -> Result<IdentityId, Failed> {
    Ok(IdentityId::parse(text).ok_or_else(no_such_identity)?)
}

fn shown(identity: &Identity) -> Value {
    let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "id": identity.id.to_string(),
        "name": identity.name,
        "displayName": identity.display_name,
        "firstname": optional(&identity.first_name),
        "lastname": optional(&identity.last_name),
        "email": optional(&identity.email),
        "levels": identity.levels,
        "enabled": identity.enabled,
        "created": identity.created.to_string(),
    })
}

/// A password from stdin: its first line, or typed unseen at a terminal.
fn read_password() -> Result<Password, Failed> {
    if std::io::stdin().is_terminal() {
        return Ok(Password::typed(rpassword::prompt_password("New password: ")?));
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(Password::typed(line))
}
