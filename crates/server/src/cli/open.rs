//! The database and the master key, as commands open them.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use patron_core::audit::{Context, Party};
use patron_core::clock::{Clock, Entropy};
use patron_core::id::TrackingId;
use patron_core::rights::Catalogue;
use patron_store::Store;

use super::{Failed, Session};
use crate::keys::MasterKey;
use crate::system::{SystemClock, SystemEntropy, SystemSteadyClock};

/// The key file's name in the data folder.
const MASTER_KEY_FILE: &str = "master.key";

impl Session {
    pub(super) fn clock() -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }

    pub(super) fn entropy() -> Arc<dyn Entropy> {
        Arc::new(SystemEntropy)
    }

    /// The data folder, made when it is missing, for its owner alone.
    pub(super) fn data_dir(&self) -> Result<PathBuf, Failed> {
        let path = self.settings.data_dir.clone();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|error| format!("the data folder {} cannot be made: {error}", path.display()))?;
        Ok(path)
    }

    /// The database, made when it is a file that is missing.
    pub(super) async fn open_or_create(&self) -> Result<Store, Failed> {
        self.data_dir()?;
        self.open_store().await
    }

    /// The database, which must be there and bootstrapped.
    pub(super) async fn open(&self) -> Result<Store, Failed> {
        if let Some(path) = self.settings.sqlite_path()
            && !path.exists()
        {
            return Err(self.missing());
        }
        let store = self.open_store().await?;
        if store.is_bootstrapped().await.map_err(explain)? { Ok(store) } else { Err(self.missing()) }
    }

    async fn open_store(&self) -> Result<Store, Failed> {
        let steady = Arc::new(SystemSteadyClock);
        Ok(Store::open(&self.settings.database_url, Self::clock(), Self::entropy(), steady).await?)
    }

    fn missing(&self) -> Failed {
        let place = self
            .settings
            .sqlite_path()
            .map_or_else(|| "that database_url names".to_owned(), |path| format!("at {}", path.display()));
        format!("there is no database {place} yet: run `patron serve` or `patron bootstrap` first").into()
    }

    /// The master key: from `PATRON_MASTER_KEY`, or else from the key file in the data folder, which is made when
    /// `create` says that there is nothing yet that another key has sealed.
    pub(super) fn master_key(&self, create: bool) -> Result<MasterKey, Failed> {
        if let Some(text) = &self.settings.master_key {
            return Ok(MasterKey::from_text(text.expose())?);
        }
        let path = self.settings.data_dir.join(MASTER_KEY_FILE);
        if create {
            self.data_dir()?;
            return Ok(MasterKey::read_or_create(&path, &SystemEntropy)?);
        }
        Ok(MasterKey::read(&path)?)
    }

    /// The levels, scopes and rights in force.
    pub(super) fn catalogue(&self) -> Result<Catalogue, Failed> {
        Ok(Catalogue::new(&self.settings.levels, &self.settings.scopes)?)
    }
}

/// What audit events of a command carry.
pub(super) fn operator() -> Context {
    Context {
        actor: Party::operator(),
        acting: None,
        address: None,
        tracking: TrackingId::random(&SystemEntropy),
    }
}

/// An error with its cause: whoever runs a command on the database is the operator.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
pub(super) fn explain(error: patron_core::Error) -> Failed {
    match error.cause() {
        Some(cause) => format!("{error} ({cause})").into(),
        None => error.to_string().into(),
    }
}
