//! Patron's storage: every SQL statement, grouped by the noun it is about, the migrations, and the change feed that
//! lets several processes on one database see what the others have done.
//!
//! Each change runs in one named transaction together with its audit events and its entries in the feed
//! ([`changes`]); the decision whether it may be done is handed in and taken inside that transaction, on the row
//! as it is then. Nothing outside [`driver`] names a database engine.

mod acting;
pub mod audit;
pub mod bootstrap;
pub mod changes;
mod convert;
pub mod driver;
pub mod identities;
pub mod keys;
pub mod migrate;
pub mod pats;
pub mod tenants;
pub mod tokens;

use std::sync::Arc;

use patron_core::audit::Context;
use patron_core::clock::{Clock, Entropy};
use patron_core::{Error, Result};

use crate::driver::{BoxFuture, Database, Options, Tx};
use crate::migrate::Migration;

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "patron",
    sql: include_str!("../../../migrations/sqlite/0001_patron.sql"),
}];

/// The database, with the clock and the randomness that its rows are stamped with. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    db: Database,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Store {
    /// Opens the database at `url` (`sqlite:<file>`, created when missing) and brings its schema up to date.
    ///
    /// # Errors
    /// A text for the operator: the file cannot be opened, is no database, or was made by a newer Patron.
    pub async fn open(
        url: &str,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let db = Database::open(url, Options::default()).await.map_err(|e| OpenError::new(&e))?;
        migrate::migrate(&db, MIGRATIONS, clock.now()).await.map_err(|e| OpenError(e.to_string()))?;
        Ok(Self { db, clock, entropy })
    }

    /// Whether the database answers and its schema is this program's.
    pub async fn check(&self) -> Result<()> {
        let known = MIGRATIONS.last().map(|migration| migration.version);
        match migrate::current(&self.db).await? {
            version if version == known => Ok(()),
            other => Err(Error::unavailable(format!("the schema is {other:?}, this program's is {known:?}"))),
        }
    }

    /// A number that changes whenever any process has committed something. Costs microseconds and no disk access.
    pub fn version(&self) -> Result<i64> {
        self.db.version()
    }

    /// Makes a change: one transaction, in which the credential that asks is judged once more before anything else.
    /// A credential that ended while the request was on its way changes nothing.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the credential is no longer what it was; what `work` answers.
    async fn change<T, F>(&self, name: &'static str, context: Context, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx, Store, Context) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let (store, work) = (self.clone(), Arc::new(work));
        self.db
            .write(name, move |tx| {
                let (store, context, work) = (store.clone(), context.clone(), Arc::clone(&work));
                Box::pin(async move {
                    acting::judge(tx, &context, store.clock.now()).await?;
                    work(tx, store, context).await
                })
            })
            .await
    }

    /// Finishes what is waiting and closes the database.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

/// Why the database could not be opened, for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(String);

impl OpenError {
    fn new(error: &Error) -> Self {
        Self(error.cause().map_or_else(|| error.to_string(), str::to_owned))
    }
}
