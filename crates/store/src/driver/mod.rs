//! Transactions on the database: the one part of Patron that names a database driver.
//!
//! SQL is written once, in what SQLite and PostgreSQL both read: placeholders `$1…$n`, `RETURNING`, `ON
//! CONFLICT`, times as integers. To keep the two alike, a statement that fails ends its transaction, as it
//! does in PostgreSQL: later statements fail too and nothing is kept, whatever the closure returns. Ask with
//! `ON CONFLICT` and look at the count, rather than catch an error. Constraints may not be `DEFERRABLE`: they
//! would be judged at the commit, which neighbours share.

mod sqlite;
#[cfg(test)]
mod tests;
mod value;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use patron_core::{Error, Result};

#[cfg(test)]
pub(crate) use self::sqlite::add_functions;
use self::sqlite::{Session, Sqlite};
pub use self::value::{Row, Value};

/// What a transaction's closure returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How a database is used.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a write waits for another process's lock before it is [`Error::Unavailable`]; 5 s by default.
    pub busy_timeout: Duration,
    /// How many reads run at a time, at least 1; 4 by default.
    pub readers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { busy_timeout: Duration::from_secs(5), readers: 4 }
    }
}

/// The database. A clone is the same database and cheap.
///
/// When the last clone is dropped, what was already handed in is still done, unawaited; [`Database::close`]
/// waits for it.
#[derive(Clone)]
pub struct Database {
    driver: Driver,
}

#[derive(Clone)]
enum Driver {
    Sqlite(Arc<Sqlite>),
}

impl Database {
    /// Opens the database that `url` names: `sqlite:<path>`. A missing file is created with mode 0600, which
    /// SQLite passes on to its `-wal` and `-shm` files; a missing directory is not.
    ///
    /// Fails with [`Error::Internal`] when `url` is none, and with [`Error::Unavailable`] when the database
    /// cannot be reached or the file is not a SQLite database. The cause is for the operator and names the file.
    pub async fn open(url: &str, options: Options) -> Result<Self> {
        match url.split_once(':') {
            Some(("sqlite", path)) => {
                let sqlite = Sqlite::open(path, &options).await?;
                Ok(Self { driver: Driver::Sqlite(Arc::new(sqlite)) })
            }
            // The URL itself may hold a password.
            _ => Err(Error::internal("the database URL does not begin with `sqlite:`")),
        }
    }

    /// Runs `work` in a transaction that may write, and returns once its outcome is on disk.
    ///
    /// `Err` rolls back and is returned as it is. The transaction sees all that was committed before it and
    /// runs as if alone. It may be run again after a conflict, so `work` does nothing but speak to its [`Tx`].
    /// Dropping the future leaves the transaction undone or does all of it. `name` (such as `pats.create`)
    /// stands in the causes of errors.
    ///
    /// Fails with [`Error::Unavailable`] when the database cannot be reached or stays locked, in which case
    /// nothing was kept, and with [`Error::Internal`] when a statement is wrong or `work` panics.
    pub async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        match &self.driver {
            Driver::Sqlite(sqlite) => sqlite.write(name, work).await,
        }
    }

    /// Runs `work` on a snapshot that holds all writes that returned before; a statement that writes fails with
    /// [`Error::Internal`]. In all else like [`Database::write`], beside which it runs without waiting.
    pub async fn read<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        match &self.driver {
            Driver::Sqlite(sqlite) => sqlite.read(name, work).await,
        }
    }

    /// A number that is another one after any commit by this or another process, and means nothing else.
    ///
    /// What was read after a call is current for as long as further calls give the same number. Takes some
    /// microseconds and does not wait for locks worth speaking of, so that async code may call it. Every failure
    /// is [`Error::Unavailable`].
    pub fn version(&self) -> Result<i64> {
        match &self.driver {
            Driver::Sqlite(sqlite) => sqlite.version(),
        }
    }

    /// Whether several servers may be at work on it at once; a SQLite file is one server's.
    pub fn is_shared(&self) -> bool {
        match &self.driver {
            Driver::Sqlite(_) => false,
        }
    }

    /// Takes no more work, finishes what was handed in, and closes the files; the `-wal` file is folded into the
    /// database. From then on every call on any clone is [`Error::Unavailable`]. A second call returns when the
    /// first has. Calls that are under way have to be polled or dropped meanwhile, for this waits for them.
    pub async fn close(&self) {
        match &self.driver {
            Driver::Sqlite(sqlite) => sqlite.close().await,
        }
    }
}

/// A transaction under way: [`Database::write`] and [`Database::read`] lend it to their closures.
///
/// Statements are `&'static str`, so that no value can slip into one; each `$n` takes `params[n - 1]`, and
/// every parameter has to be used. Errors are [`Error::Unavailable`] when the database is at fault and
/// [`Error::Internal`] when the statement is (constraints included); their causes hold no parameter.
pub struct Tx {
    session: DriverSession,
}

enum DriverSession {
    Sqlite(Session),
}

impl Tx {
    /// Lends `session` to `run` as a transaction.
    fn lend<R>(session: &mut Session, run: impl FnOnce(&mut Self) -> R) -> R {
        let mut tx = Self { session: DriverSession::Sqlite(std::mem::take(session)) };
        let result = run(&mut tx);
        match tx.session {
            DriverSession::Sqlite(lent) => *session = lent,
        }
        result
    }

    /// Runs a statement that returns no rows; the number of rows that it changed.
    #[expect(clippy::unused_async, reason = "a driver that speaks to a server waits here")]
    pub async fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64> {
        match &mut self.session {
            DriverSession::Sqlite(session) => session.execute(sql, params),
        }
    }

    /// Runs a statement and collects the rows that it returns.
    #[expect(clippy::unused_async, reason = "a driver that speaks to a server waits here")]
    pub async fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        match &mut self.session {
            DriverSession::Sqlite(session) => session.query(sql, params),
        }
    }

    /// Runs a statement that returns one row or none; more are an [`Error::Internal`].
    pub async fn query_opt(&mut self, sql: &'static str, params: &[Value]) -> Result<Option<Row>> {
        let mut rows = self.query(sql, params).await?;
        match rows.len() {
            0 | 1 => Ok(rows.pop()),
            more => Err(Error::internal(format!("{more} rows where at most one is wanted"))),
        }
    }

    /// Runs any number of statements without parameters, for migrations. They may not begin or end a
    /// transaction.
    #[expect(clippy::unused_async, reason = "a driver that speaks to a server waits here")]
    pub async fn execute_script(&mut self, sql: &str) -> Result<()> {
        match &mut self.session {
            DriverSession::Sqlite(session) => session.execute_script(sql),
        }
    }

    /// Whether there is a table of that name, which each driver asks in its own way.
    pub async fn table_exists(&mut self, table: &str) -> Result<bool> {
        let sql = match &self.session {
            DriverSession::Sqlite(_) => "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1",
        };
        Ok(self.query_opt(sql, &[table.into()]).await?.is_some())
    }

    /// Why the transaction can no longer be committed, if a statement failed.
    fn failure(&self) -> Option<Error> {
        match &self.session {
            DriverSession::Sqlite(session) => session.failure(),
        }
    }
}
