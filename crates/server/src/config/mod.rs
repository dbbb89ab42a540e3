//! What can be set, where it was set, and whether it makes sense (contract sections 1 and 12).
//!
//! A flag wins over the environment, the environment over the file, the file over the default. [`SETTINGS`] is the one
//! table of them: it drives reading, provenance, `patron config check` and `docs/settings.md`. A file is read only when
//! `--config` or `PATRON_CONFIG` names it; none is looked for in the current folder. Whatever is wrong anywhere is
//! reported, even in a value that another place overrides, all of it at once.

mod file;
mod show;
mod table;
mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use patron_core::limits;
use patron_core::name::TenantName;
use patron_core::rights::{Catalogue, CustomScope};
use patron_core::secret::Secret;
use patron_store::sessions::SessionLimits;
use url::Url;

use crate::limits::CACHE_MEBIBYTES;

pub use show::settings_markdown;
pub use table::{SETTINGS, Setting};
use value::Raw;
pub(crate) use value::{database_url, sqlite_file};

/// The heading that the flags stand under in a command's help.
pub const FLAGS_HEADING: &str = "Settings";

/// The flags that every command of the service takes. They are kept as given and read by [`load`], as the environment
/// is, so that a wrong one is told in the same words.
#[expect(clippy::doc_markdown, reason = "clap prints these comments as they are")]
#[derive(clap::Args, Clone, Default)]
#[command(next_help_heading = FLAGS_HEADING)]
pub struct Flags {
    /// Settings file (TOML); none is read unless named [env: PATRON_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<OsString>,
    /// Where the service listens [env: PATRON_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub listen: Option<OsString>,
    /// Where health and metrics are served, or `off` [env: PATRON_MANAGEMENT_LISTEN] [default: 127.0.0.1:9090]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub management_listen: Option<OsString>,
    /// The database: sqlite:PATH, or postgres://… where several nodes share one (a password belongs into the
    /// environment) [env: PATRON_DATABASE_URL] [default: patron.db in the data folder]
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<OsString>,
    /// The folder that Patron keeps its files in [env: PATRON_DATA_DIR] [default: patron-data]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<OsString>,
    /// The URL that clients reach the service by [env: PATRON_PUBLIC_URL] [default: http:// and where it listens]
    #[arg(long, global = true, value_name = "URL")]
    pub public_url: Option<OsString>,
}

impl Flags {
    /// These flags, and `outer`'s where one is not among them.
    #[must_use]
    pub fn or(self, outer: Self) -> Self {
        Self {
            config: self.config.or(outer.config),
            listen: self.listen.or(outer.listen),
            management_listen: self.management_listen.or(outer.management_listen),
            database_url: self.database_url.or(outer.database_url),
            data_dir: self.data_dir.or(outer.data_dir),
            public_url: self.public_url.or(outer.public_url),
        }
    }

    /// The first that is given, with its dashes.
    pub fn first_given(&self) -> Option<&'static str> {
        SETTINGS
            .iter()
            .filter_map(|setting| setting.flag)
            .find(|(_, of)| of(self).is_some())
            .map(|(name, _)| name)
    }
}

/// Shows nothing: `--database-url` may hold a password.
impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flags").finish_non_exhaustive()
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How an access token's `scope` claim is written (contract section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeClaim {
    /// One string with a space between (RFC 9068 section 2.2.3).
    String,
    /// An array of strings, as the original product writes it.
    Array,
}

/// Contract section 8: how often one may ask, and guess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests per client id and API version in a window; 0 is off.
    pub requests: u32,
    /// The length of that window, seconds: 1 to 3600.
    pub window_seconds: u32,
    /// Wrong guesses per client id in a minute; 0 is off.
    pub auth_failures_per_client: u32,
    /// Wrong guesses per address in a minute; 0 is off.
    pub auth_failures_per_address: u32,
}

/// How long web sessions live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    /// Minutes without a request after which one has ended: 1 to 1440.
    pub idle_minutes: u32,
    /// Hours after its sign-in at which one has ended in any case: 1 to 720.
    pub absolute_hours: u32,
}

impl Sessions {
    /// As the store asks for them.
    pub fn limits(&self) -> SessionLimits {
        SessionLimits { idle_seconds: self.idle_minutes * 60, absolute_seconds: self.absolute_hours * 3_600 }
    }
}

/// Limits on PATs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatLimits {
    /// Unmanaged PATs that an owner may have: 1 to 10000.
    pub per_owner: u32,
}

/// What is kept in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// What PATs, identities and verified access tokens may take together, in MiB: 16 to 65536.
    pub mebibytes: u32,
}

/// What access tokens say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The `aud` claim; `None` is the issuer.
    pub audience: Option<String>,
    /// The form of the `scope` claim.
    pub scope_claim: ScopeClaim,
}

/// Answers bent for clients that trip over the plain ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compatibility {
    /// Contract section 10, point 9: tell the official clients of a never-expiring PAT a date in the year 9999.
    pub never_expires_date: bool,
}

/// What the audit trail keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Record every use of a PAT, not only those that move its `lastUsed`.
    pub every_use: bool,
}

/// Everything that can be set, checked. `Debug` shows what `patron config check` shows: no password and no key.
#[derive(Clone)]
pub struct Settings {
    /// The settings file, if one was named.
    pub config: Option<PathBuf>,
    /// Where the service listens.
    pub listen: SocketAddr,
    /// Where health and metrics are served; `None` is off.
    pub management_listen: Option<SocketAddr>,
    /// `sqlite:<path>`, or `postgres://…`; see [`Settings::sqlite_path`].
    pub database_url: String,
    /// The folder that Patron keeps its files in; relative to the current one unless absolute.
    pub data_dir: PathBuf,
    /// The URL that clients reach the default tenant by: http or https, perhaps with a path, without user, query or
    /// fragment. [`Settings::base_url`] is how it is shown.
    pub public_url: Url,
    /// `acme.<tenant_domain>` is the tenant `acme`; `None`: every host is the default tenant.
    pub tenant_domain: Option<String>,
    /// Whose `X-Forwarded-*` and `Forwarded` headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// The name of this installation, in tokens and `/oauth/info`.
    pub pod: String,
    /// What is logged: directives of `tracing_subscriber::EnvFilter`, known to parse.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The key that signing keys are wrapped with in the database, if one was given; environment only.
    pub master_key: Option<Secret>,
    /// How often one may ask, and guess.
    pub rate_limits: RateLimits,
    /// How long web sessions live.
    pub sessions: Sessions,
    /// Limits on PATs.
    pub pat_limits: PatLimits,
    /// What is kept in memory.
    pub cache: Cache,
    /// What access tokens say.
    pub tokens: Tokens,
    /// Answers bent for clients.
    pub compatibility: Compatibility,
    /// What the audit trail keeps.
    pub audit: Audit,
    /// The operator's own levels and the names of their rights.
    pub levels: BTreeMap<String, Vec<String>>,
    /// The operator's own scopes, in the file's order.
    pub scopes: Vec<CustomScope>,
}

impl Default for Settings {
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            config: None,
            listen: local(8080),
            management_listen: Some(local(9090)),
            database_url: "sqlite:patron-data/patron.db".to_owned(),
            data_dir: PathBuf::from("patron-data"),
            public_url: url_of(local(8080)),
            tenant_domain: None,
            trusted_proxies: Vec::new(),
            pod: "local".to_owned(),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            master_key: None,
            rate_limits: RateLimits {
                requests: 100,
                window_seconds: 10,
                auth_failures_per_client: 20,
                auth_failures_per_address: 100,
            },
            sessions: Sessions { idle_minutes: 30, absolute_hours: 12 },
            pat_limits: PatLimits { per_owner: limits::PATS_PER_OWNER },
            cache: Cache { mebibytes: CACHE_MEBIBYTES },
            tokens: Tokens { audience: None, scope_claim: ScopeClaim::String },
            compatibility: Compatibility { never_expires_date: true },
            audit: Audit { every_use: false },
            levels: BTreeMap::new(),
            scopes: Vec::new(),
        }
    }
}

impl Settings {
    /// `public_url` without a slash at its end, as `iss` and links begin.
    pub fn base_url(&self) -> &str {
        self.public_url.as_str().trim_end_matches('/')
    }

    /// A tenant's public URL without a slash at its end: `public_url` with `<tenant>.<tenant_domain>` as its host; the
    /// default tenant's is `public_url` itself (contract section 2).
    ///
    /// # Panics
    /// Never for a name and a domain that were checked: together they are a host name.
    pub fn tenant_url(&self, tenant: &str) -> String {
        let mut url = self.public_url.clone();
        if let Some(domain) = self.tenant_domain.as_deref().filter(|_| tenant != TenantName::DEFAULT) {
            url.set_host(Some(&format!("{tenant}.{domain}")))
                .expect("a tenant's name and the tenant domain were checked to be a host name together");
        }
        url.as_str().trim_end_matches('/').to_owned()
    }

    /// The tenant that a `Host` names: `<tenant>.<tenant_domain>`; `None` is the default tenant. `public_url`'s own
    /// host is the default tenant's, wherever it is.
    pub fn tenant_of_host(&self, host: &str) -> Option<String> {
        let domain = self.tenant_domain.as_deref()?;
        // An IPv6 address has colons of its own, and is under no domain.
        let host = host.split(':').next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        if self.public_url.host_str() == Some(&host) {
            return None;
        }
        host.strip_suffix(domain)?.strip_suffix('.').map(str::to_owned)
    }

    /// The file of the SQLite database, if it is one: what follows `sqlite:` or `sqlite://`, relative to the current
    /// folder unless absolute.
    pub fn sqlite_path(&self) -> Option<&Path> {
        value::sqlite_file(&self.database_url).map(Path::new)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(SETTINGS.iter().map(|setting| (setting.key, (setting.show)(self).to_string())))
            .finish()
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The settings file.
    File {
        /// As it was named.
        path: PathBuf,
        /// Where its key stands, from 1.
        line: usize,
    },
    /// The environment variable of this name.
    Environment(&'static str),
    /// The flag of this name, with its dashes.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// What is in force, and why.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub settings: Settings,
    /// Where each came from, by [`Setting::key`]; every setting is in it.
    pub sources: BTreeMap<&'static str, Source>,
}

/// What is wrong with the settings: one line for each fault, which begins with the file and line, the variable or the
/// flag. It shows no password and no key. The command ends with exit code 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The faults: those of the file by line, then the environment's, then the flags'.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// Reads and checks all settings. `env` gives the value of an environment variable; an empty one counts as not set.
pub fn load(flags: &Flags, env: &dyn Fn(&str) -> Option<OsString>) -> Result<Loaded, ConfigError> {
    let env = |name: &str| env(name).filter(|value| !value.is_empty());
    let mut settings = Settings::default();
    let mut sources: BTreeMap<_, _> = SETTINGS.iter().map(|setting| (setting.key, Source::Default)).collect();
    let mut problems = Vec::new();

    if let Some(path) = flags.config.clone().or_else(|| env("PATRON_CONFIG")).map(PathBuf::from) {
        match file::read(&path) {
            Ok(text) => file::apply(&path, &text, &mut settings, &mut sources, &mut problems),
            Err(problem) => problems.push(problem),
        }
    }
    for setting in SETTINGS {
        if let Some(name) = setting.env
            && let Some(given) = env(name)
        {
            match (setting.set)(&mut settings, &Raw::Text(&given)) {
                Ok(()) => drop(sources.insert(setting.key, Source::Environment(name))),
                Err(wrong) => problems.push(format!("{name}: {}", wrong.text)),
            }
        }
    }
    for setting in SETTINGS {
        if let Some((name, of)) = setting.flag
            && let Some(given) = of(flags)
        {
            match (setting.set)(&mut settings, &Raw::Text(given)) {
                Ok(()) => drop(sources.insert(setting.key, Source::Flag(name))),
                Err(wrong) => problems.push(format!("{name}: {}", wrong.text)),
            }
        }
    }
    if problems.is_empty() {
        complete(&mut settings, &sources, &mut problems);
    }
    if problems.is_empty() { Ok(Loaded { settings, sources }) } else { Err(ConfigError { problems }) }
}

/// Derives the defaults that follow other settings, and checks what takes two settings to check.
fn complete(settings: &mut Settings, sources: &BTreeMap<&str, Source>, problems: &mut Vec<String>) {
    let is_default = |key: &str| sources.get(key) == Some(&Source::Default);
    let named =
        |key: &str| sources.get(key).map_or_else(|| key.to_owned(), |source| format!("{source}: {key}"));
    if is_default("database_url") {
        match settings.data_dir.join("patron.db").to_str() {
            Some(path) => settings.database_url = format!("sqlite:{path}"),
            None => problems.push(format!("{}: is not UTF-8; give database_url too", named("data_dir"))),
        }
    }
    if is_default("public_url") && settings.listen.port() != 0 {
        settings.public_url = url_of(settings.listen);
    }
    if settings.management_listen == Some(settings.listen) && settings.listen.port() != 0 {
        problems.push(format!("{}: is the same as listen, {}", named("management_listen"), settings.listen));
    }
    if let Err(error) = Catalogue::new(&settings.levels, &settings.scopes) {
        let key = if is_default("levels") { "scopes" } else { "levels" };
        let source = sources.get(key).map(ToString::to_string).unwrap_or_default();
        problems.push(format!("{source}: levels and scopes: {error}"));
    }
}

/// How a client on this machine reaches a listener there.
fn url_of(listen: SocketAddr) -> Url {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let url = format!("http://{}", SocketAddr::new(ip, listen.port()));
    Url::parse(&url).expect("an address and a port are an authority")
}

#[cfg(test)]
mod tests;
