//! The files of the original product's clients: `config.json`, which its SDKs read in the current folder, and the
//! `config.yaml` that its command line writes. Both are read as those clients do: keys in any case.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use super::{Failed, Found};

/// In the current folder.
pub(super) const LOCAL: &str = "config.json";
/// Bytes beyond which a file is none of theirs.
const FILE_BYTES: u64 = 1024 * 1024;
/// In the home folder.
pub(super) const HOME: &str = ".sailpoint/config.yaml";

/// `{"BaseURL", "ClientId", "ClientSecret"}`. A `config.json` with none or only one of them is another program's.
pub(super) fn local(path: &Path) -> Result<Option<Found>, Failed> {
    let Some(text) = text_of(path)? else { return Ok(None) };
    let keys = ["BaseURL", "ClientId", "ClientSecret"];
    let Ok(value) = serde_json::from_str::<Value>(&text) else {
        let lower = text.to_lowercase();
        if keys.iter().any(|key| lower.contains(&key.to_lowercase())) {
            return Err(format!("{} is no JSON", path.display()).into());
        }
        return Ok(None);
    };
    if keys.iter().filter(|key| field(&value, key).is_some()).count() < 2 {
        return Ok(None);
    }
    let [base_url, client_id, secret] =
        [text_at(path, &value, keys[0])?, text_at(path, &value, keys[1])?, text_at(path, &value, keys[2])?];
    Ok(Some(Found { base_url, client_id, client_secret: secret.into() }))
}

/// The environment that `activeenvironment` names, of `environments`.
pub(super) fn home(path: &Path) -> Result<Option<Found>, Failed> {
    let Some(text) = text_of(path)? else { return Ok(None) };
    let shown = path.display();
    // What the parser says shows the lines around, where a secret may be.
    let value: Value = serde_saphyr::from_str(&text).map_err(|_| format!("{shown} is no YAML"))?;
    let Some(environments) = field(&value, "environments") else { return Ok(None) };
    let active = text_at(path, &value, "activeenvironment")?;
    let environment = field(environments, &active)
        .ok_or_else(|| format!("{shown}: there is no environment '{active}', which is the active one"))?;
    let base_url = text_at(path, environment, "baseurl")?;
    let pat = field(environment, "pat").unwrap_or(&Value::Null);
    let kept_elsewhere = || {
        format!(
            "{shown} has no secret for '{active}': newer versions of that command line keep it in a keyring of their \
             own, where patron does not look. Run `patron login`, or set SAIL_BASE_URL, SAIL_CLIENT_ID and \
             SAIL_CLIENT_SECRET"
        )
    };
    let is_empty = |key| field(pat, key).is_none_or(|value| value.as_str() == Some(""));
    if is_empty("clientid") || is_empty("clientsecret") {
        return Err(kept_elsewhere().into());
    }
    let [client_id, secret] = [text_at(path, pat, "clientid")?, text_at(path, pat, "clientsecret")?];
    Ok(Some(Found { base_url, client_id, client_secret: secret.into() }))
}

/// The text of a file, without the mark that some editors begin it with; `None` where there is none.
///
/// A pipe or a device of that name could be waited for without end, so it is not opened.
fn text_of(path: &Path) -> Result<Option<String>, Failed> {
    match fs::metadata(path) {
        Ok(data) if !data.is_file() => {
            return Err(format!("{} cannot be read: it is no file", path.display()).into());
        }
        Ok(data) if data.len() > FILE_BYTES => return Ok(None),
        _ => {}
    }
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display()).into()),
    }
}

/// A field of an object, by its name in any case; null is as if it were not there.
fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let (_, value) = value.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    (!value.is_null()).then_some(value)
}

/// A text that must be there. One that reads as a number has lost its leading zeros and must be put in quotes.
fn text_at(path: &Path, value: &Value, name: &str) -> Result<String, Failed> {
    let shown = path.display();
    match field(value, name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        None | Some(Value::String(_)) => Err(format!("{shown} has no {name}").into()),
        Some(_) => Err(format!("{shown}: {name} is no text; put it in quotes").into()),
    }
}
