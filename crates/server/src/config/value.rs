//! Values as they were given, and their checks one by one.

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net};
use patron_core::error::shorten;
use patron_core::secret::Secret;
use toml::Spanned;
use toml::de::DeValue;
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::keys::MasterKey;

/// A value as it was given.
pub(super) enum Raw<'a> {
    /// By a flag or the environment.
    Text(&'a OsStr),
    /// By the file.
    Toml(&'a Spanned<DeValue<'a>>),
}

/// Why a value is refused.
#[derive(Debug)]
pub(super) struct Wrong {
    /// For the operator; without passwords and keys.
    pub(super) text: String,
    /// The byte of the file where it stands, if that is more exact than the value itself.
    pub(super) at: Option<usize>,
}

impl Wrong {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), at: None }
    }

    pub(super) fn at<T>(value: &Spanned<T>, text: impl Into<String>) -> Self {
        Self { text: text.into(), at: Some(value.span().start) }
    }
}

/// What to say of a TOML value of another type than the `wanted` one.
pub(super) fn mistyped(wanted: &str, found: &Spanned<DeValue<'_>>) -> Wrong {
    Wrong::at(found, format!("expected {wanted}, found {}", found.get_ref().type_str()))
}

/// A string of the file.
pub(super) fn string<'a>(value: &'a Spanned<DeValue<'_>>) -> Result<&'a str, Wrong> {
    value.get_ref().as_str().ok_or_else(|| mistyped("a string", value))
}

/// A list of strings of the file, each with its place.
pub(super) fn strings<'a>(value: &'a Spanned<DeValue<'_>>) -> Result<Vec<Spanned<&'a str>>, Wrong> {
    let list = value.get_ref().as_array().ok_or_else(|| mistyped("a list of strings", value))?;
    list.iter().map(|item| Ok(Spanned::new(item.span(), string(item)?))).collect()
}

impl Raw<'_> {
    pub(super) fn text(&self) -> Result<&str, Wrong> {
        match self {
            Self::Text(text) => text.to_str().ok_or_else(|| Wrong::new("is not UTF-8")),
            Self::Toml(value) => string(value),
        }
    }

    /// A text that `check` takes.
    pub(super) fn checked<T>(&self, check: impl Fn(&str) -> Result<T, String>) -> Result<T, Wrong> {
        check(self.text()?).map_err(Wrong::new)
    }

    pub(super) fn path(&self) -> Result<PathBuf, Wrong> {
        let path = match self {
            Self::Text(text) => PathBuf::from(text),
            Self::Toml(value) => PathBuf::from(string(value)?),
        };
        if path.as_os_str().is_empty() { Err(Wrong::new("is empty")) } else { Ok(path) }
    }

    pub(super) fn number(&self, range: RangeInclusive<u32>) -> Result<u32, Wrong> {
        let number = match self {
            Self::Text(_) => self.text()?.parse().ok(),
            Self::Toml(value) => {
                let integer =
                    value.get_ref().as_integer().ok_or_else(|| mistyped("a whole number", value))?;
                u32::from_str_radix(integer.as_str(), integer.radix()).ok()
            }
        };
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            Wrong::new(format!("must be a whole number from {} to {}", range.start(), range.end()))
        })
    }

    pub(super) fn switch(&self) -> Result<bool, Wrong> {
        match self {
            Self::Text(_) => self.checked(|text| match text {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(format!("must be true or false, not '{}'", shorten(text))),
            }),
            Self::Toml(value) => value.get_ref().as_bool().ok_or_else(|| mistyped("true or false", value)),
        }
    }

    /// A list in the file; with commas between elsewhere.
    pub(super) fn list<T>(&self, check: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, Wrong> {
        match self {
            Self::Text(_) => {
                let items = self.text()?.split(',').map(str::trim).filter(|item| !item.is_empty());
                items.map(|item| check(item).map_err(Wrong::new)).collect()
            }
            Self::Toml(value) => strings(value)?
                .iter()
                .map(|item| check(item.get_ref()).map_err(|text| Wrong::at(item, text)))
                .collect(),
        }
    }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("'{}' is no address with a port, such as 127.0.0.1:8080", shorten(text)))
}

pub(super) fn address_or_off(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" { Ok(None) } else { address(text).map(Some).map_err(|error| error + ", and not 'off'") }
}

/// What follows `sqlite:` or `sqlite://`.
pub(crate) fn sqlite_file(url: &str) -> Option<&str> {
    let path = url.strip_prefix("sqlite:")?;
    Some(path.strip_prefix("//").unwrap_or(path))
}

/// Never says what was given: it may hold a password.
pub(crate) fn database_url(text: &str) -> Result<String, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return patron_store::driver::check_url(text).map(|()| text.to_owned());
    }
    match sqlite_file(text) {
        None => Err("must be sqlite:<path> or postgres://user:password@host/database".to_owned()),
        Some("") => Err("names no file; it must be sqlite:<path>".to_owned()),
        // Every connection would have an empty database of its own.
        Some(path) if path.starts_with(":memory:") => Err("must name a file, not :memory:".to_owned()),
        Some(path) if path.contains(['?', '\0']) => Err("takes no parameters: sqlite:<path>".to_owned()),
        Some(_) => Ok(text.to_owned()),
    }
}

/// Never says what was given: it may hold a password.
pub(super) fn public_url(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("may hold no user and no password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("may hold no '?' and no '#'".to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if path.contains("//") {
        return Err("may hold no empty part in its path".to_owned());
    }
    url.set_path(&path);
    Ok(url)
}

/// A DNS name that leaves room for a tenant's name in front, lowercased (RFC 1123 section 2.1).
pub(super) fn dns_name(text: &str) -> Result<String, String> {
    let name = text.to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // What a URL would read as an address, or write in another way, is no host that a tenant can be found by.
    let in_url = Url::parse(&format!("http://tenant.{name}")).ok();
    let is_host = in_url.is_some_and(|url| url.host_str() == Some(&format!("tenant.{name}")));
    let is_address = name.parse::<IpAddr>().is_ok();
    let longest = 253 - (patron_core::limits::TENANT_NAME_CHARS + 1);
    if name.len() <= longest && name.split('.').all(is_label) && is_host && !is_address {
        Ok(name)
    } else {
        Err(format!("'{}' is no domain, such as api.example.com", shorten(text)))
    }
}

/// A network, or an address for one that has it alone; IPv4 even when it is written as IPv6.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let net: Option<IpNet> = text.parse().ok().or_else(|| text.parse().map(|ip: IpAddr| ip.into()).ok());
    match net {
        Some(IpNet::V6(v6)) => {
            let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
            let v4 = v4.and_then(|(ip, length)| Ipv4Net::new(ip, length).ok());
            Ok(v4.map_or(IpNet::V6(v6), IpNet::V4).trunc())
        }
        Some(v4) => Ok(v4.trunc()),
        None => Err(format!("'{}' is no network, such as 10.0.0.0/8", shorten(text))),
    }
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::builder()
        .parse(text)
        .map(|_| text.to_owned())
        .map_err(|_| format!("'{}' is no log filter, such as info or patron=debug,info", shorten(text)))
}

/// 1 to 255 characters, none of them for control.
pub(super) fn label(text: &str) -> Result<String, String> {
    if (1..=255).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("must have 1 to 255 characters, none of them control characters".to_owned())
    }
}

/// A `StringOrURI` of RFC 7519 section 2: what has a colon must be a URI.
pub(super) fn audience(text: &str) -> Result<String, String> {
    if text.contains(':') && Url::parse(text).is_err() {
        return Err(format!("'{}' has a colon, so it must be a URI", shorten(text)));
    }
    label(text)
}

/// Never says what was given.
pub(super) fn master_key(text: &str) -> Result<Secret, String> {
    match MasterKey::from_text(text) {
        Ok(_) => Ok(Secret::presented(text.to_owned())),
        Err(error) => Err(error.to_string()),
    }
}
