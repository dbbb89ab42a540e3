//! Which database a run of the tests is about.

use std::env;
use std::path::Path;

use crate::databases::database_url;

/// Chooses the engine: `sqlite`, which it is without, or `postgres`.
pub const ENGINE: &str = "PATRON_TEST_ENGINE";

/// An engine that the same tests run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// A server: see [`database_url`].
    Postgres,
}

impl Engine {
    /// What [`ENGINE`] says.
    pub fn of_this_run() -> Self {
        let name = env::var(ENGINE).unwrap_or_default();
        Self::named(&name).unwrap_or_else(|| panic!("{ENGINE} is {name:?} and must be sqlite or postgres"))
    }

    /// The URL of an empty database; `file` is where it is if it is a file.
    pub fn empty_database(self, file: &Path) -> String {
        match self {
            Self::Sqlite => format!("sqlite:{}", file.display()),
            Self::Postgres => database_url(),
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "" | "sqlite" => Some(Self::Sqlite),
            "postgres" => Some(Self::Postgres),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_engine_is_none() {
        let named = ["", "sqlite", "postgres", "postgresql", "Postgres"].map(Engine::named);
        assert_eq!(named, [Some(Engine::Sqlite), Some(Engine::Sqlite), Some(Engine::Postgres), None, None]);
    }
}
