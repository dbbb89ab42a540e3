//! Settings for people and scripts: `patron config check` and `docs/settings.md`.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use url::Url;

use super::{Loaded, SETTINGS, Settings, Source};

/// What stands for a password.
const MASK: &str = "***";

impl Loaded {
    /// A line for each setting: its name, its value and where that came from. Passwords and keys are masked.
    pub fn table(&self) -> String {
        let rows: Vec<[String; 3]> = SETTINGS
            .iter()
            .map(|setting| {
                let value = match (setting.show)(&self.settings) {
                    Value::Null => "-".to_owned(),
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                [setting.key.to_owned(), value, self.source(setting.key).to_string()]
            })
            .collect();
        let header = ["setting", "value", "source"].map(str::to_owned);
        let width = |column: usize| {
            let cells = rows.iter().chain([&header]).map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        // A long value, such as a catalogue of scopes, moves its own source only.
        let (first, second) = (width(0), width(1).min(40));
        let mut table = String::new();
        for [setting, value, source] in std::iter::once(&header).chain(&rows) {
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{setting:first$}  {value:second$}  {source}");
        }
        table
    }

    /// `{"listen": {"value": "127.0.0.1:8080", "source": "default"}, …}`. Passwords and keys are masked.
    pub fn json(&self) -> Value {
        let entry = |key: &str, value: Value| json!({"value": value, "source": self.source(key).to_string()});
        let entries = SETTINGS.iter().map(|s| (s.key.to_owned(), entry(s.key, (s.show)(&self.settings))));
        Value::Object(entries.collect::<Map<_, _>>())
    }

    fn source(&self, key: &str) -> &Source {
        self.sources.get(key).unwrap_or(&Source::Default)
    }
}

/// A database URL with its passwords masked; of what is no URL, only the scheme.
pub(super) fn mask_url(text: &str) -> String {
    if text.starts_with("sqlite:") {
        return text.to_owned();
    }
    let Ok(mut url) = Url::parse(text) else {
        return text
            .split_once(':')
            .map_or_else(|| MASK.to_owned(), |(scheme, _)| format!("{scheme}:{MASK}"));
    };
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return format!("{}:{MASK}", url.scheme());
    }
    if url.query().is_some() {
        let is_secret = |name: &str| name.to_ascii_lowercase().contains("pass");
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(name, value)| {
                (name.to_string(), if is_secret(&name) { MASK.to_owned() } else { value.into() })
            })
            .collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    url.into()
}

pub(super) fn scopes(settings: &Settings) -> Value {
    let scope = |scope: &patron_core::rights::CustomScope| {
        json!({
            "name": scope.name,
            "description": scope.description,
            "rights": scope.rights,
            "levels": scope.levels,
        })
    };
    settings.scopes.iter().map(scope).collect()
}

/// What goes before the table in `docs/settings.md`.
const PREFACE: &str = "\
# Settings

This page is generated from the table in `crates/server/src/config/table.rs`; a test fails when it drifts.

A flag wins over the environment, the environment over the file, the file over the default. `patron config check` prints
what is in force and where each value came from, with passwords and keys masked; `--json` prints the same for scripts.

The file is TOML. It is read only when `--config` or `PATRON_CONFIG` names it: a `patron.toml` in the current folder is not
looked for. An unknown key, a wrong type and a value out of range are refused with the file and the line, and the command
ends with exit code 2. A wrong value is refused even where another place overrides it.

An environment variable that is empty counts as not set. In a variable, a list has commas between its items. A dot in
a setting's name stands for a section of the file: `rate_limits.requests` is `requests` under `[rate_limits]`.

";

/// What follows the table.
const LEVELS_AND_SCOPES: &str = "
## Levels and scopes

```toml
[levels]
AUDITOR = [\"idn:all-personal-access-tokens:read\"]

[[scopes]]
name = \"demo:orders:read\"
description = \"Read orders\"
rights = []
levels = [\"*\"]
```

A level's name has capitals, digits and `_`, begins with a capital and has at most 64 characters. Its value lists the
rights that it has beside everyone's; a right may be Patron's or any other name, which then is a right of the operator's
own.

| key of a scope | | meaning |
|---|---|---|
| `name` | required | 1 to 255 printable ASCII characters without blank, `\"` and `\\` (RFC 6749, `scope-token`) |
| `description` | default: empty | for people |
| `rights` | default: `[]` | what it grants in Patron; none for a scope that only other services ask for |
| `levels` | required | the levels that may use it, Patron's or the operator's own; `[\"*\"]` is every level |

Patron's own levels and scopes cannot be redefined.
";

/// The whole of `docs/settings.md`.
pub fn settings_markdown() -> String {
    let mut page = PREFACE.to_owned();
    page.push_str(
        "| setting | flag | environment | takes | default | meaning |\n|---|---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let code = |name: Option<&str>| name.map_or_else(|| "–".to_owned(), |name| format!("`{name}`"));
        let key = if setting.in_file {
            format!("`{}`", setting.key)
        } else {
            format!("{} (not in the file)", setting.key)
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| {key} | {} | {} | {} | {} | {} |",
            code(setting.flag.map(|(name, _)| name)),
            code(setting.env),
            setting.takes,
            setting.default,
            setting.about
        );
    }
    page.push_str(LEVELS_AND_SCOPES);
    page
}
