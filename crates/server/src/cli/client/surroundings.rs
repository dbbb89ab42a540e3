//! What a client's command finds around it: variables of the environment and folders.

use std::ffi::OsString;
use std::path::PathBuf;

use super::super::{Failed, fault};

/// Finds a variable of the environment.
type Variables = Box<dyn Fn(&str) -> Option<OsString>>;

/// The environment and the current folder, handed in, so that tests bring their own.
pub(super) struct Surroundings {
    variables: Variables,
    /// The current folder.
    pub(super) folder: PathBuf,
}

impl Surroundings {
    /// Those of the process.
    pub(super) fn of_process() -> Self {
        Self::new(|name| std::env::var_os(name), PathBuf::from("."))
    }

    pub(super) fn new(variables: impl Fn(&str) -> Option<OsString> + 'static, folder: PathBuf) -> Self {
        Self { variables: Box::new(variables), folder }
    }

    /// A variable as it is; an empty one counts as not set.
    fn raw(&self, name: &str) -> Option<OsString> {
        (self.variables)(name).filter(|value| !value.is_empty())
    }

    /// A variable; an empty one counts as not set.
    pub(super) fn variable(&self, name: &str) -> Result<Option<String>, Failed> {
        let text = self.raw(name).map(OsString::into_string).transpose();
        text.map_err(|_| fault::usage(format!("{name} is not UTF-8")))
    }

    /// Whether a variable is set to something other than `0`, `false` or `no`.
    pub(super) fn is_on(&self, name: &str) -> Result<bool, Failed> {
        let value = self.variable(name)?.unwrap_or_default().to_lowercase();
        Ok(!matches!(value.as_str(), "" | "0" | "false" | "no"))
    }

    /// The home folder. What the user database says does not count: who unsets `HOME` wants nothing kept.
    pub(super) fn home(&self) -> Result<PathBuf, Failed> {
        let home = self.raw("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        Ok(home.ok_or(
            "HOME is not set, so there is no place to keep profiles; SAIL_BASE_URL, SAIL_CLIENT_ID and \
                       SAIL_CLIENT_SECRET work without",
        )?)
    }

    /// Where profiles are kept (XDG Base Directory Specification).
    pub(super) fn config_folder(&self) -> Result<PathBuf, Failed> {
        self.xdg("XDG_CONFIG_HOME", ".config")
    }

    /// Where access tokens are kept.
    pub(super) fn cache_folder(&self) -> Result<PathBuf, Failed> {
        self.xdg("XDG_CACHE_HOME", ".cache")
    }

    /// The specification has paths that are not absolute ignored.
    fn xdg(&self, name: &str, otherwise: &str) -> Result<PathBuf, Failed> {
        let base = match self.raw(name).map(PathBuf::from).filter(|path| path.is_absolute()) {
            Some(base) => base,
            None => self.home()?.join(otherwise),
        };
        Ok(base.join("patron"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn with(variables: &'static [(&str, &str)]) -> Surroundings {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Surroundings::new(find, PathBuf::from("/here"))
    }

    #[test]
    fn folders_are_where_the_specification_has_them() {
        let home =
            with(&[("HOME", "/home/jane"), ("XDG_CONFIG_HOME", "relative"), ("XDG_CACHE_HOME", "/cache")]);
        assert_eq!(home.config_folder().unwrap(), Path::new("/home/jane/.config/patron"));
        assert_eq!(home.cache_folder().unwrap(), Path::new("/cache/patron"));
        let without = with(&[("HOME", ""), ("XDG_CACHE_HOME", "/cache")]);
        assert!(without.config_folder().unwrap_err().to_string().contains("HOME is not set"));
        assert!(without.cache_folder().is_ok());
    }

    #[test]
    fn a_switch_is_on_when_it_says_so() {
        let around = with(&[("ONE", "1"), ("TRUE", "True"), ("ZERO", "0"), ("NO", "no"), ("EMPTY", "")]);
        let on: Vec<_> =
            ["ONE", "TRUE", "ZERO", "NO", "EMPTY", "UNSET"].map(|name| around.is_on(name).unwrap()).into();
        assert_eq!(on, [true, true, false, false, false, false]);
    }
}
