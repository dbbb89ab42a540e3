//! The settings file: TOML, read so that every fault is told with its line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use patron_core::error::shorten;
use patron_core::limits::SCOPE_CHARS;
use patron_core::rights::{CustomScope, is_built_in_level, is_built_in_scope};
use patron_core::scope::is_scope_token;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::table::{SETTINGS, Setting};
use super::value::{Raw, Wrong, mistyped, string, strings};
use super::{Settings, Source};
use crate::limits::CONFIG_FILE_BYTES;

/// Characters of a level's name.
const LEVEL_CHARS: usize = 64;

/// The file's text, or what is wrong with it.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(CONFIG_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("{shown}: cannot be read: {error}"))?;
    if bytes.len() as u64 > CONFIG_FILE_BYTES {
        return Err(format!("{shown}: is over {CONFIG_FILE_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = line_of(error.as_bytes(), error.utf8_error().valid_up_to());
        format!("{shown}:{line}: is not UTF-8")
    })
}

/// The line of a byte, from 1.
fn line_of(text: &[u8], at: usize) -> usize {
    text.iter().take(at).filter(|&&byte| byte == b'\n').count() + 1
}

/// Sets what the file sets, and notes what is wrong with it, by line.
pub(super) fn apply(
    path: &Path,
    text: &str,
    settings: &mut Settings,
    sources: &mut BTreeMap<&'static str, Source>,
    problems: &mut Vec<String>,
) {
    let root = match DeTable::parse(text) {
        Ok(root) => root.into_inner(),
        Err(error) => {
            // Not the error's `Display`: that quotes the line, which may hold a password.
            let line = line_of(text.as_bytes(), error.span().map_or(0, |span| span.start));
            problems.push(format!("{}:{line}: {}", path.display(), error.message()));
            return;
        }
    };
    let mut faults: Vec<(usize, String)> = Vec::new();
    let mut given = BTreeMap::new();
    collect("", &root, &mut given, &mut faults);
    // In the table's order: scopes are checked against the levels that were read before them.
    for setting in SETTINGS {
        let Some((key_at, value)) = given.get(setting.key) else { continue };
        match (setting.set)(settings, &Raw::Toml(value)) {
            Ok(()) => {
                let source = Source::File { path: path.to_owned(), line: line_of(text.as_bytes(), *key_at) };
                sources.insert(setting.key, source);
            }
            Err(wrong) => {
                let at = wrong.at.unwrap_or(value.span().start);
                faults.push((at, format!("{}: {}", setting.key, wrong.text)));
            }
        }
    }
    faults.sort();
    for (at, fault) in faults {
        problems.push(format!("{}:{}: {fault}", path.display(), line_of(text.as_bytes(), at)));
    }
}

/// Where a key stands, and its value.
type Given<'a> = (usize, &'a Spanned<DeValue<'a>>);

/// Matches a table's keys with the settings.
fn collect<'a>(
    section: &str,
    table: &'a DeTable<'a>,
    given: &mut BTreeMap<&'static str, Given<'a>>,
    faults: &mut Vec<(usize, String)>,
) {
    for (key, value) in table {
        let at = key.span().start;
        let name = format!("{section}{}", key.get_ref());
        let is_section = |setting: &Setting| setting.key.split_once('.').is_some_and(|(of, _)| of == name);
        // A quoted key with a dot in it is one key, not a section's.
        let found = SETTINGS.iter().find(|setting| setting.in_file && setting.key == name);
        if let Some(setting) = found.filter(|_| !key.get_ref().contains('.')) {
            given.insert(setting.key, (at, value));
        } else if section.is_empty() && SETTINGS.iter().any(is_section) {
            match value.get_ref().as_table() {
                Some(inner) => collect(&format!("{name}."), inner, given, faults),
                None => faults.push((at, format!("{name}: {}", mistyped("a table", value).text))),
            }
        } else {
            faults.push((at, format!("unknown key '{}'", shorten(&name))));
        }
    }
}

/// `[levels]`: names and the names of their rights.
pub(super) fn levels(raw: &Raw<'_>) -> Result<BTreeMap<String, Vec<String>>, Wrong> {
    let Raw::Toml(value) = raw else { return Err(Wrong::new("can be set in the file alone")) };
    let table = value.get_ref().as_table().ok_or_else(|| mistyped("a table", value))?;
    let mut levels = BTreeMap::new();
    for (key, rights) in table {
        let name = key.get_ref().as_ref();
        if !is_level_name(name) {
            let text =
                format!("'{}' is no level: capitals, digits and '_', at most {LEVEL_CHARS}", shorten(name));
            return Err(Wrong::at(key, text));
        }
        if is_built_in_level(name) {
            return Err(Wrong::at(key, format!("level '{name}' is Patron's own")));
        }
        levels.insert(name.to_owned(), tokens("right", rights)?);
    }
    Ok(levels)
}

fn is_level_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.len() <= LEVEL_CHARS
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// A list of scope-tokens (RFC 6749 section 3.3), repeats dropped.
fn tokens(what: &str, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, Wrong> {
    let mut names: Vec<String> = Vec::new();
    for item in strings(value)? {
        check_token(what, &item, item.get_ref())?;
        if names.iter().all(|known| known != item.get_ref()) {
            names.push((*item.get_ref()).to_owned());
        }
    }
    Ok(names)
}

fn check_token<T>(what: &str, place: &Spanned<T>, name: &str) -> Result<(), Wrong> {
    if is_scope_token(name) && name.len() <= SCOPE_CHARS {
        return Ok(());
    }
    let text = format!(
        "'{}' is no {what}: 1 to {SCOPE_CHARS} printable ASCII characters without blank, '\"' and '\\'",
        shorten(name)
    );
    Err(Wrong::at(place, text))
}

/// `[[scopes]]`, whose levels are Patron's own or among `known`.
pub(super) fn scopes(
    raw: &Raw<'_>,
    known: &BTreeMap<String, Vec<String>>,
) -> Result<Vec<CustomScope>, Wrong> {
    let Raw::Toml(value) = raw else { return Err(Wrong::new("can be set in the file alone")) };
    let list = value.get_ref().as_array().ok_or_else(|| mistyped("tables [[scopes]]", value))?;
    let mut names = BTreeSet::new();
    let mut scopes = Vec::new();
    for item in list {
        let scope = scope(item, known)?;
        if !names.insert(scope.name.clone()) {
            return Err(Wrong::at(item, format!("scope '{}' stands twice", scope.name)));
        }
        scopes.push(scope);
    }
    Ok(scopes)
}

fn scope(item: &Spanned<DeValue<'_>>, known: &BTreeMap<String, Vec<String>>) -> Result<CustomScope, Wrong> {
    let table = item.get_ref().as_table().ok_or_else(|| mistyped("a table", item))?;
    let (mut name, mut description, mut rights, mut levels) = (None, None, None, None);
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "name" => {
                let given = string(value)?;
                check_token("scope", value, given)?;
                if is_built_in_scope(given) {
                    return Err(Wrong::at(value, format!("scope '{given}' is Patron's own")));
                }
                name = Some(given.to_owned());
            }
            "description" => description = Some(string(value)?.to_owned()),
            "rights" => rights = Some(tokens("right", value)?),
            "levels" => levels = Some(scope_levels(value, known)?),
            unknown => return Err(Wrong::at(key, format!("unknown key '{}'", shorten(unknown)))),
        }
    }
    let missing = |key: &str| Wrong::at(item, format!("a scope has no '{key}'"));
    Ok(CustomScope {
        name: name.ok_or_else(|| missing("name"))?,
        description: description.unwrap_or_default(),
        rights: rights.unwrap_or_default(),
        // Without a default: neither everybody nor nobody is a safe guess.
        levels: levels.ok_or_else(|| missing("levels"))?,
    })
}

/// Known levels, or `*` alone.
fn scope_levels(
    value: &Spanned<DeValue<'_>>,
    known: &BTreeMap<String, Vec<String>>,
) -> Result<Vec<String>, Wrong> {
    let levels = strings(value)?;
    for level in &levels {
        let name = *level.get_ref();
        if name == "*" && levels.len() > 1 {
            return Err(Wrong::at(level, "'*' is every level and stands alone"));
        }
        if name != "*" && !is_built_in_level(name) && !known.contains_key(name) {
            return Err(Wrong::at(level, format!("there is no level '{}'", shorten(name))));
        }
    }
    Ok(levels.into_iter().map(|level| level.into_inner().to_owned()).collect())
}
