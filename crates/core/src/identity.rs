//! Identities: the persons and services that own PATs (contract section 2).

use crate::error::{Detail, Error, Result, shorten};
use crate::id::{IdentityId, TenantKey};
use crate::limits::{LEVELS_PER_IDENTITY, NAME_CHARS, PASSWORD_CHARS, PASSWORD_MIN_CHARS};
use crate::name;
use crate::rights::{Catalogue, ORG_ADMIN};
use crate::secret::Password;
use crate::time::Timestamp;

/// A person or a service, without its password hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The tenant it belongs to.
    pub tenant: TenantKey,
    /// Its id.
    pub id: IdentityId,
    /// Its login name, unique in the tenant.
    pub name: String,
    /// What people read.
    pub display_name: String,
    /// Given name, perhaps empty.
    pub first_name: String,
    /// Family name, perhaps empty.
    pub last_name: String,
    /// Mail address, perhaps empty.
    pub email: String,
    /// What it is; everyone is a `USER` without saying so.
    pub levels: Vec<String>,
    /// Whether its credentials work.
    pub enabled: bool,
    /// Moves on when the identity is disabled: access tokens and sessions of earlier generations stay dead.
    pub generation: u32,
    /// When it was made.
    pub created: Timestamp,
}

/// What an identity is to be made of, not yet checked.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// Login name.
    pub name: String,
    /// Display name; the login name when there is none.
    pub display_name: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Levels.
    pub levels: Vec<String>,
}

impl Draft {
    /// Checks it and drops repeated levels.
    pub fn check(self, catalogue: &Catalogue) -> Result<Self> {
        let name = name::person_given("name", &self.name)?;
        let display_name = name::person_given("displayName", self.display_name.as_deref().unwrap_or(&name))?;
        Ok(Self {
            display_name: Some(display_name),
            first_name: optional("firstname", self.first_name)?,
            last_name: optional("lastname", self.last_name)?,
            email: optional("email", self.email)?,
            levels: check_levels(catalogue, self.levels)?,
            name,
        })
    }
}

fn optional(field: &'static str, given: Option<String>) -> Result<Option<String>> {
    let Some(given) = given.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    name::person_given(field, &given).map(Some)
}

/// Checks that the catalogue knows these levels, and drops repeats.
pub fn check_levels(catalogue: &Catalogue, given: Vec<String>) -> Result<Vec<String>> {
    let mut levels: Vec<String> = Vec::with_capacity(given.len().min(LEVELS_PER_IDENTITY));
    for level in given {
        if level.chars().count() > NAME_CHARS || !catalogue.knows_level(&level) {
            let known = catalogue.levels().collect::<Vec<_>>().join(", ");
            let text = format!("Level '{}' is not known; known are {known}.", shorten(&level));
            return Err(Error::invalid(Detail::Value, text).at("levels"));
        }
        if !levels.contains(&level) {
            levels.push(level);
        }
    }
    if levels.len() > LEVELS_PER_IDENTITY {
        return Err(Error::invalid(
            Detail::Length,
            format!("An identity has at most {LEVELS_PER_IDENTITY} levels."),
        )
        .at("levels"));
    }
    Ok(levels)
}

/// Checks a password that a person chose: its length alone, as NIST SP 800-63B section 3.1.1.2 asks.
pub fn check_password(password: &Password) -> Result<()> {
    match password.expose().chars().count() {
        n if n < PASSWORD_MIN_CHARS => Err(Error::invalid(
            Detail::Length,
            format!("A password has at least {PASSWORD_MIN_CHARS} characters."),
        )
        .at("password")),
        n if n > PASSWORD_CHARS => Err(Error::invalid(
            Detail::Length,
            format!("A password has at most {PASSWORD_CHARS} characters."),
        )
        .at("password")),
        _ => Ok(()),
    }
}

/// Checks a password that takes the place of another: as [`check_password`], and it is another one.
pub fn check_new_password(new: &Password, current: &Password) -> Result<()> {
    check_password(new)?;
    if new.expose() == current.expose() {
        return Err(Error::invalid(Detail::Value, "The new password is the same as the current one."));
    }
    Ok(())
}

impl Identity {
    /// Whether it is an administrator whose credentials work.
    pub fn is_active_admin(&self) -> bool {
        self.enabled && self.levels.iter().any(|level| level == ORG_ADMIN)
    }
}

/// The answer to a change that would leave a tenant without an administrator.
pub fn last_admin() -> Error {
    Error::invalid(Detail::Content, format!("This is the last enabled {ORG_ADMIN} of the tenant."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_completed_and_checked() {
        let catalogue = Catalogue::built_in();
        let draft = |name: &str, levels: &[&str]| Draft {
            name: name.into(),
            email: Some(" ".into()),
            levels: levels.iter().map(|&l| l.to_owned()).collect(),
            ..Draft::default()
        };
        let made = draft(" jane ", &["CERT_ADMIN", "CERT_ADMIN"]).check(&catalogue).unwrap();
        assert_eq!(
            (made.name.as_str(), made.display_name.as_deref(), made.email),
            ("jane", Some("jane"), None)
        );
        assert_eq!(made.levels, ["CERT_ADMIN"]);
        assert!(draft("", &[]).check(&catalogue).is_err());
        assert!(draft("a\u{7}", &[]).check(&catalogue).is_err());
        assert!(draft("jane", &["NOBODY"]).check(&catalogue).is_err());
    }

    #[test]
    fn passwords_have_a_length() {
        let length = |n: usize| check_password(&Password::typed("ü".repeat(n))).is_ok();
        assert!(!length(11) && length(12) && length(1024) && !length(1025));
    }

    #[test]
    fn a_new_password_is_another_one() {
        let check = |new: &str| {
            let typed = |text: &str| Password::typed(text.to_owned());
            check_new_password(&typed(new), &typed("correct horse")).map_err(|error| error.to_string())
        };
        assert_eq!(check("Correct horse"), Ok(()));
        assert_eq!(
            check("correct horse"),
            Err("The new password is the same as the current one.".to_owned())
        );
        assert!(check("short").is_err());
    }
}
