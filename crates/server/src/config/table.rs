//! The one table of settings.

use std::ffi::OsString;

use serde_json::{Value, json};

use super::value::{self, Raw, Wrong};
use super::{Flags, LogFormat, ScopeClaim, Settings, file, show};

/// Where a flag's text is kept.
pub(super) type FlagOf = fn(&Flags) -> Option<&OsString>;

/// One setting: its names, its meaning, and how it is read and shown.
pub struct Setting {
    /// Its key in the file, the section and a dot in front; also its name in `patron config check`.
    pub key: &'static str,
    /// Whether the file may set it.
    pub in_file: bool,
    /// Its environment variable.
    pub env: Option<&'static str>,
    /// Its flag, and where that is kept.
    pub(super) flag: Option<(&'static str, FlagOf)>,
    /// What it may be, for people.
    pub takes: &'static str,
    /// What it is when nobody sets it, for people.
    pub default: &'static str,
    /// What it does, for people; Markdown.
    pub about: &'static str,
    pub(super) set: fn(&mut Settings, &Raw<'_>) -> Result<(), Wrong>,
    /// Its value, fit to be printed: passwords and keys are masked.
    pub show: fn(&Settings) -> Value,
}

/// Most requests or failures that a limit can be set to.
const HIGHEST_RATE: u32 = 1_000_000;

/// What every entry of [`SETTINGS`] begins from.
const PLAIN: Setting = Setting {
    key: "",
    in_file: true,
    env: None,
    flag: None,
    takes: "",
    default: "",
    about: "",
    set: |_, _| Ok(()),
    show: |_| Value::Null,
};

/// All settings, in the order in which they are shown. Levels stand before the scopes that name them.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "config",
        in_file: false,
        env: Some("PATRON_CONFIG"),
        flag: Some(("--config", |flags| flags.config.as_ref())),
        takes: "a path",
        default: "none",
        about: "The settings file. None is read unless it is named here.",
        set: |s, raw| raw.path().map(|path| s.config = Some(path)),
        show: |s| s.config.as_ref().map_or(Value::Null, |path| json!(path.to_string_lossy())),
    },
    Setting {
        key: "listen",
        env: Some("PATRON_LISTEN"),
        flag: Some(("--listen", |flags| flags.listen.as_ref())),
        takes: "address:port",
        default: "`127.0.0.1:8080`",
        about: "Where the service listens. Port 0 is any free one.",
        set: |s, raw| raw.checked(value::address).map(|address| s.listen = address),
        show: |s| json!(s.listen.to_string()),
        ..PLAIN
    },
    Setting {
        key: "management_listen",
        env: Some("PATRON_MANAGEMENT_LISTEN"),
        flag: Some(("--management-listen", |flags| flags.management_listen.as_ref())),
        takes: "address:port, or `off`",
        default: "`127.0.0.1:9090`",
        about: "Where `/health/live`, `/health/ready` and `/metrics` are served. They ask for no credential.",
        set: |s, raw| raw.checked(value::address_or_off).map(|address| s.management_listen = address),
        show: |s| s.management_listen.map_or(json!("off"), |address| json!(address.to_string())),
        ..PLAIN
    },
    Setting {
        key: "database_url",
        env: Some("PATRON_DATABASE_URL"),
        flag: Some(("--database-url", |flags| flags.database_url.as_ref())),
        takes: "`sqlite:<path>` or `postgres://user:password@host/database`",
        default: "`sqlite:<data_dir>/patron.db`",
        about: "The database. A relative path is relative to the current folder. A PostgreSQL may be shared by several \
                nodes; TLS and failover are in [operating.md](operating.md#several-nodes).",
        set: |s, raw| raw.checked(value::database_url).map(|url| s.database_url = url),
        show: |s| json!(show::mask_url(&s.database_url)),
        ..PLAIN
    },
    Setting {
        key: "data_dir",
        env: Some("PATRON_DATA_DIR"),
        flag: Some(("--data-dir", |flags| flags.data_dir.as_ref())),
        takes: "a path",
        default: "`patron-data`",
        about: "The folder that Patron keeps its files in. A relative path is relative to the current folder, \
                wherever it was set.",
        set: |s, raw| raw.path().map(|path| s.data_dir = path),
        show: |s| json!(s.data_dir.to_string_lossy()),
        ..PLAIN
    },
    Setting {
        key: "public_url",
        env: Some("PATRON_PUBLIC_URL"),
        flag: Some(("--public-url", |flags| flags.public_url.as_ref())),
        takes: "an http or https URL",
        default: "`http://` and `listen`: `http://127.0.0.1:8080`",
        about: "The URL that clients reach the default tenant by: the issuer of its tokens and the start of every \
                link. It may have a path, such as `https://example.com/patron`.",
        set: |s, raw| raw.checked(value::public_url).map(|url| s.public_url = url),
        show: |s| json!(s.base_url()),
        ..PLAIN
    },
    Setting {
        key: "tenant_domain",
        env: Some("PATRON_TENANT_DOMAIN"),
        takes: "a domain",
        default: "none",
        about: "With `api.example.com`, the host `acme.api.example.com` is the tenant `acme`. Without, every host is \
                the default tenant.",
        set: |s, raw| raw.checked(value::dns_name).map(|name| s.tenant_domain = Some(name)),
        show: |s| json!(s.tenant_domain),
        ..PLAIN
    },
    Setting {
        key: "trusted_proxies",
        env: Some("PATRON_TRUSTED_PROXIES"),
        takes: "a list of networks or addresses",
        default: "`[]`",
        about: "Whose `X-Forwarded-For`, `-Proto`, `-Host`, `-Prefix` and `Forwarded` count; anyone else's are \
                ignored. A trusted proxy must set each of them or drop it.",
        set: |s, raw| raw.list(value::network).map(|nets| s.trusted_proxies = nets),
        show: |s| s.trusted_proxies.iter().map(ToString::to_string).collect(),
        ..PLAIN
    },
    Setting {
        key: "pod",
        env: Some("PATRON_POD"),
        takes: "1 to 255 characters",
        default: "`local`",
        about: "The name of this installation, in tokens and `/oauth/info`.",
        set: |s, raw| raw.checked(value::label).map(|pod| s.pod = pod),
        show: |s| json!(s.pod),
        ..PLAIN
    },
    Setting {
        key: "log",
        env: Some("PATRON_LOG"),
        takes: "filter directives",
        default: "`info`",
        about: "What is logged: `error`, `warn`, `info`, `debug`, `trace`, also by module: `warn,patron=debug`.",
        set: |s, raw| raw.checked(value::log_filter).map(|log| s.log = log),
        show: |s| json!(s.log),
        ..PLAIN
    },
    Setting {
        key: "log_format",
        env: Some("PATRON_LOG_FORMAT"),
        takes: "`text` or `json`",
        default: "`text`",
        about: "How log lines look: for people, or one JSON object a line.",
        set: |s, raw| raw.checked(log_format).map(|format| s.log_format = format),
        show: |s| match s.log_format {
            LogFormat::Text => json!("text"),
            LogFormat::Json => json!("json"),
        },
        ..PLAIN
    },
    Setting {
        key: "master_key",
        in_file: false,
        env: Some("PATRON_MASTER_KEY"),
        takes: "32 bytes, as 64 hex digits or in Base64",
        default: "the file `master.key` in `data_dir`",
        about: "The key that signing keys are wrapped with in the database. It is never printed.",
        set: |s, raw| raw.checked(value::master_key).map(|key| s.master_key = Some(key)),
        show: |s| if s.master_key.is_some() { json!("set") } else { Value::Null },
        ..PLAIN
    },
    Setting {
        key: "rate_limits.requests",
        env: Some("PATRON_RATE_LIMITS_REQUESTS"),
        takes: "0 to 1000000",
        default: "`100`",
        about: "Requests per client id and API version in a window; more get 429. 0 is off.",
        set: |s, raw| raw.number(0..=HIGHEST_RATE).map(|n| s.rate_limits.requests = n),
        show: |s| json!(s.rate_limits.requests),
        ..PLAIN
    },
    Setting {
        key: "rate_limits.window_seconds",
        env: Some("PATRON_RATE_LIMITS_WINDOW_SECONDS"),
        takes: "1 to 3600",
        default: "`10`",
        about: "The length of that window, which slides.",
        set: |s, raw| raw.number(1..=3_600).map(|n| s.rate_limits.window_seconds = n),
        show: |s| json!(s.rate_limits.window_seconds),
        ..PLAIN
    },
    Setting {
        key: "rate_limits.auth_failures_per_client",
        env: Some("PATRON_RATE_LIMITS_AUTH_FAILURES_PER_CLIENT"),
        takes: "0 to 1000000",
        default: "`20`",
        about: "Wrong secrets per client id in a minute; further wrong ones get 429. A right one always passes. \
                0 is off.",
        set: |s, raw| raw.number(0..=HIGHEST_RATE).map(|n| s.rate_limits.auth_failures_per_client = n),
        show: |s| json!(s.rate_limits.auth_failures_per_client),
        ..PLAIN
    },
    Setting {
        key: "rate_limits.auth_failures_per_address",
        env: Some("PATRON_RATE_LIMITS_AUTH_FAILURES_PER_ADDRESS"),
        takes: "0 to 1000000",
        default: "`100`",
        about: "The same per address, or per /64 of IPv6; forged access tokens count too.",
        set: |s, raw| raw.number(0..=HIGHEST_RATE).map(|n| s.rate_limits.auth_failures_per_address = n),
        show: |s| json!(s.rate_limits.auth_failures_per_address),
        ..PLAIN
    },
    Setting {
        key: "sessions.idle_minutes",
        env: Some("PATRON_SESSIONS_IDLE_MINUTES"),
        takes: "1 to 1440",
        default: "`30`",
        about: "Minutes without a request after which a web session has ended.",
        set: |s, raw| raw.number(1..=1_440).map(|n| s.sessions.idle_minutes = n),
        show: |s| json!(s.sessions.idle_minutes),
        ..PLAIN
    },
    Setting {
        key: "sessions.absolute_hours",
        env: Some("PATRON_SESSIONS_ABSOLUTE_HOURS"),
        takes: "1 to 720",
        default: "`12`",
        about: "Hours after its sign-in at which a web session has ended, however much it is used.",
        set: |s, raw| raw.number(1..=720).map(|n| s.sessions.absolute_hours = n),
        show: |s| json!(s.sessions.absolute_hours),
        ..PLAIN
    },
    Setting {
        key: "pat_limits.per_owner",
        env: Some("PATRON_PAT_LIMITS_PER_OWNER"),
        takes: "1 to 10000",
        default: "`10`",
        about: "PATs that an owner may have, managed ones aside.",
        set: |s, raw| raw.number(1..=10_000).map(|n| s.pat_limits.per_owner = n),
        show: |s| json!(s.pat_limits.per_owner),
        ..PLAIN
    },
    Setting {
        key: "cache.mebibytes",
        env: Some("PATRON_CACHE_MEBIBYTES"),
        takes: "16 to 65536",
        default: "`232`",
        about: "What PATs, their owners and verified access tokens may take in memory together, in MiB. A PAT that is \
                not in memory costs an exchange a read. 232 hold some 330,000 PATs.",
        set: |s, raw| raw.number(16..=65_536).map(|n| s.cache.mebibytes = n),
        show: |s| json!(s.cache.mebibytes),
        ..PLAIN
    },
    Setting {
        key: "tokens.audience",
        env: Some("PATRON_TOKENS_AUDIENCE"),
        takes: "a string or URI",
        default: "the issuer",
        about: "The `aud` claim of access tokens.",
        set: |s, raw| raw.checked(value::audience).map(|audience| s.tokens.audience = Some(audience)),
        show: |s| json!(s.tokens.audience),
        ..PLAIN
    },
    Setting {
        key: "tokens.scope_claim",
        env: Some("PATRON_TOKENS_SCOPE_CLAIM"),
        takes: "`string` or `array`",
        default: "`string`",
        about: "The form of the `scope` claim: one string with a space between, or an array as the original \
                product's.",
        set: |s, raw| raw.checked(scope_claim).map(|form| s.tokens.scope_claim = form),
        show: |s| match s.tokens.scope_claim {
            ScopeClaim::String => json!("string"),
            ScopeClaim::Array => json!("array"),
        },
        ..PLAIN
    },
    Setting {
        key: "compatibility.never_expires_date",
        env: Some("PATRON_COMPATIBILITY_NEVER_EXPIRES_DATE"),
        takes: "`true` or `false`",
        default: "`true`",
        about: "Tell the official Python and Go clients, when they create a PAT that never expires, the date \
                9999-12-31 in place of null, which they cannot read.",
        set: |s, raw| raw.switch().map(|on| s.compatibility.never_expires_date = on),
        show: |s| json!(s.compatibility.never_expires_date),
        ..PLAIN
    },
    Setting {
        key: "audit.every_use",
        env: Some("PATRON_AUDIT_EVERY_USE"),
        takes: "`true` or `false`",
        default: "`false`",
        about: "Record every use of a PAT, not only those that move its `lastUsed`.",
        set: |s, raw| raw.switch().map(|on| s.audit.every_use = on),
        show: |s| json!(s.audit.every_use),
        ..PLAIN
    },
    Setting {
        key: "levels",
        takes: "a table of lists of rights",
        default: "`{}`",
        about: "User levels of the operator's own, beside Patron's.",
        set: |s, raw| file::levels(raw).map(|levels| s.levels = levels),
        show: |s| json!(s.levels),
        ..PLAIN
    },
    Setting {
        key: "scopes",
        takes: "tables",
        default: "`[]`",
        about: "Scopes of the operator's own, beside Patron's.",
        set: |s, raw| file::scopes(raw, &s.levels).map(|scopes| s.scopes = scopes),
        show: show::scopes,
        ..PLAIN
    },
];

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be text or json".to_owned()),
    }
}

fn scope_claim(text: &str) -> Result<ScopeClaim, String> {
    match text {
        "string" => Ok(ScopeClaim::String),
        "array" => Ok(ScopeClaim::Array),
        _ => Err("must be string or array".to_owned()),
    }
}
