//! How single values are written and read. Writing is strict; reading takes what other servers of this API send: null
//! for a default, dates with an offset in any spelling.

use patron_core::json;
use patron_core::time::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serializer, de};

/// Reads null as the default.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads what is there, null too; what is not there is the field's default.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Reads a whole number in any spelling that JSON has for it: `15`, `15.0`, `1.5e1`.
pub(crate) fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let number = Option::<serde_json::Number>::deserialize(deserializer)?;
    let whole =
        |number| json::whole_number(&number).ok_or_else(|| de::Error::custom("expected a whole number"));
    number.map(whole).transpose()
}

/// Reads scopes. Null, which the original may answer, is what it is in a request: everything.
pub(crate) fn scope<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let scope = Option::deserialize(deserializer)?;
    Ok(scope.unwrap_or_else(|| vec![patron_core::scope::ALL.to_owned()]))
}

/// Reads how long access tokens live; null is the default.
pub(crate) fn validity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let Some(seconds) = whole_number(deserializer)? else { return Ok(default_validity()) };
    u32::try_from(seconds).map_err(|_| de::Error::custom("out of range"))
}

/// See [`patron_core::limits::VALIDITY_MAX_SECONDS`].
pub(crate) const fn default_validity() -> u32 {
    patron_core::limits::VALIDITY_MAX_SECONDS
}

/// Writes a secret in the clear: the wire is the one place where it has to stand.
pub(crate) fn exposed<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// Dates, as `2017-07-11T18:45:37.098Z`.
pub(crate) mod date {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, de, read};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in the field")]
    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        read(&text).ok_or_else(|| de::Error::custom(format!("'{}' is no date", text.escape_debug())))
    }
}

/// Dates that may be missing; reading takes null and an empty text for that.
pub(crate) mod optional_date {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, de, read};

    #[expect(clippy::ref_option, reason = "serde hands in the field")]
    pub(crate) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.collect_str(at),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        match Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => match read(&text) {
                Some(at) => Ok(Some(at)),
                None => Err(de::Error::custom(format!("'{}' is no date", text.escape_debug()))),
            },
        }
    }
}

/// A date as servers write it: RFC 3339, or with an offset without its colon (`+0000`), as ISO 8601 also has it.
fn read(text: &str) -> Option<Timestamp> {
    let with_colon = || {
        let at = text.len().checked_sub(5)?;
        let (date, offset) = (text.get(..at)?, text.get(at..)?);
        let signed = offset.starts_with(['+', '-']) && offset[1..].bytes().all(|b| b.is_ascii_digit());
        signed.then(|| format!("{date}{}:{}", &offset[..3], &offset[3..]))
    };
    Timestamp::parse(text).ok().or_else(|| Timestamp::parse(&with_colon()?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_servers_write_them() {
        let at = Timestamp::parse("2017-07-11T18:45:37.098Z").unwrap();
        for text in [
            "2017-07-11T18:45:37.098Z",
            "2017-07-11T18:45:37.098+00:00",
            "2017-07-11T18:45:37.098+0000",
            "2017-07-11T20:45:37.098999+0200",
            "2017-07-11T18:45:37.098",
        ] {
            assert_eq!(read(text), Some(at), "{text}");
        }
        for text in ["", "+0000", "yesterday", "2017-07-11", "2017-07-11T18:45:37.098+000", "ä+000"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
