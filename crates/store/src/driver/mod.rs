//! Transactions on the database: the one part of Patron that names a database driver.
//!
//! SQL is written once, in what SQLite and PostgreSQL both read: placeholders `$1…$n`, `RETURNING`, `ON
//! CONFLICT`, times as integers. To keep the two alike, a statement that fails ends its transaction, as it
//! does in PostgreSQL: later statements fail too and nothing is kept, whatever the closure returns. Ask with
//! `ON CONFLICT` and look at the count, rather than catch an error. Constraints may not be `DEFERRABLE`: they
//! would be judged at the commit, which neighbours share.

#[cfg(test)]
mod conformance;
mod postgres;
mod sqlite;
mod value;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use patron_core::{Error, Result};

pub use self::postgres::Notifications;
use self::postgres::Postgres;
use self::sqlite::Sqlite;
#[cfg(test)]
pub(crate) use self::sqlite::add_functions;
pub use self::value::{Row, Value};

/// What a transaction's closure returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How a database is used.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a write waits for another process's lock, and any transaction for a server, before it is
    /// [`Error::Unavailable`]; 5 s by default.
    pub busy_timeout: Duration,
    /// How many reads of a SQLite file run at a time, at least 1; 4 by default.
    pub readers: usize,
    /// How many connections to a PostgreSQL there are at most, at least 1; 16 by default.
    pub connections: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { busy_timeout: Duration::from_secs(5), readers: 4, connections: 16 }
    }
}

/// Whom a transaction is run for: each has connections of its own to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Requests, and what may wait behind them.
    Requests,
    /// The nodes, which wait for each other: never behind any number of requests.
    Nodes,
}

/// What a transaction that writes may rely on, where others run beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// On all that it has read: it runs as if alone, and again when another was in its way.
    Serial,
    /// On the rows that it holds ([`Hold`]), and on nothing else that it has read. Each of its statements sees what was
    /// committed before it, so what it asks once it holds something is as it is then. It loses nothing to others, but for
    /// two that wait for each other.
    Held,
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
    Postgres(Arc<Postgres>),
}

/// Whether a `postgres://` URL can be read. What is wrong with it is told without quoting it, for it may hold a
/// password. No connection is made.
pub fn check_url(url: &str) -> std::result::Result<(), String> {
    postgres::check(url).map_err(|error| error.cause().unwrap_or("cannot be read").to_owned())
}

impl Database {
    /// Opens the database that `url` names.
    ///
    /// - `sqlite:<path>`: a missing file is created with mode 0600, which SQLite passes on to its `-wal` and `-shm`
    ///   files; a missing directory is not.
    /// - `postgres://user:password@host,…/database?…` as libpq reads it; the database must be there.
    ///
    /// Fails with [`Error::Internal`] when `url` is none, and with [`Error::Unavailable`] when the database
    /// cannot be reached or the file is not a SQLite database. The cause is for the operator and names the file.
    pub async fn open(url: &str, options: Options) -> Result<Self> {
        match url.split_once(':') {
            Some(("sqlite", path)) => {
                let sqlite = Sqlite::open(path, &options).await?;
                Ok(Self { driver: Driver::Sqlite(Arc::new(sqlite)) })
            }
            Some(("postgres" | "postgresql", _)) => {
                let postgres = Postgres::open(url, &options).await?;
                Ok(Self { driver: Driver::Postgres(Arc::new(postgres)) })
            }
            // The URL itself may hold a password.
            _ => Err(Error::internal("the database URL begins with neither `sqlite:` nor `postgres:`")),
        }
    }

    /// Runs `work` in a transaction that may write, and returns once its outcome is on disk.
    ///
    /// `Err` rolls back and is returned as it is. The transaction sees all that was committed before it and
    /// runs as if alone. It may be run again after a conflict, so `work` does nothing but speak to its [`Tx`].
    /// Dropping the future leaves the transaction undone or does all of it. `name` (such as `pats.create`)
    /// stands in the causes of errors.
    ///
    /// Fails with [`Error::Unavailable`] when the database cannot be reached or stays locked, and with
    /// [`Error::Internal`] when a statement is wrong or `work` panics; nothing was kept then. One exception: where the
    /// connection to a server is lost, or too slow, just as it commits, nobody knows.
    pub async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.write_as(Isolation::Serial, name, work).await
    }

    /// The same, relying on what it says.
    pub async fn write_as<T, F>(&self, isolation: Isolation, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        match &self.driver {
            Driver::Sqlite(sqlite) => sqlite.write(name, work).await,
            Driver::Postgres(postgres) => postgres.write(Lane::Requests, isolation, name, work).await,
        }
    }

    /// The same, in a lane.
    pub async fn write_in<T, F>(&self, lane: Lane, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        match &self.driver {
            Driver::Sqlite(sqlite) => sqlite.write(name, work).await,
            Driver::Postgres(postgres) => postgres.write(lane, Isolation::Serial, name, work).await,
        }
    }

    /// Runs `work` on a snapshot that holds all writes that returned before; a statement that writes fails with
    /// [`Error::Internal`]. In all else like [`Database::write`], beside which it runs without waiting.
    pub async fn read<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.read_in(Lane::Requests, name, work).await
    }

    /// The same, in a lane.
    pub async fn read_in<T, F>(&self, lane: Lane, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        match &self.driver {
            Driver::Sqlite(sqlite) => sqlite.read(name, work).await,
            Driver::Postgres(postgres) => postgres.read(lane, name, work).await,
        }
    }

    /// Like [`Database::write`], with no other such transaction of any process beside it: for changes of the schema,
    /// which engines keep apart less well than rows.
    pub async fn write_alone<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        match &self.driver {
            Driver::Sqlite(sqlite) => sqlite.write(name, work).await,
            Driver::Postgres(postgres) => postgres.write_alone(name, work).await,
        }
    }

    /// Whether processes on other machines may use this database, too: then [`Database::version`] cannot tell of them.
    pub fn is_shared(&self) -> bool {
        matches!(self.driver, Driver::Postgres(_))
    }

    /// A number that is another one after any commit by this or another process, and means nothing else.
    ///
    /// What was read after a call is current for as long as further calls give the same number. Takes less than a
    /// microsecond, some after a commit, and does not wait for locks worth speaking of, so that async code may call it. Every failure
    /// is [`Error::Unavailable`]; one that is shared has no such number, and [`Error::Internal`] says so.
    pub fn version(&self) -> Result<i64> {
        match &self.driver {
            Driver::Sqlite(sqlite) => sqlite.version(),
            Driver::Postgres(_) => Err(Error::internal("a database server gives no version")),
        }
    }

    /// What tells of transactions that called [`Tx::enters`], on a connection of its own. It may miss some: it only
    /// saves waiting.
    pub async fn notifications(&self) -> Result<Notifications> {
        match &self.driver {
            Driver::Sqlite(_) => Err(Error::internal("a file gives no notifications")),
            Driver::Postgres(postgres) => postgres.notifications().await,
        }
    }

    /// Begins a transaction that the caller ends, for a service that follows the change feed. What it reads is committed
    /// and otherwise no snapshot, and it is not run again.
    pub async fn begin_following(&self, name: &'static str) -> Result<Open> {
        match &self.driver {
            Driver::Sqlite(_) => Err(Error::internal("a file is not followed")),
            Driver::Postgres(postgres) => {
                let session = DriverSession::Postgres(postgres.begin_following(name).await?);
                Ok(Open { tx: Tx::new(session) })
            }
        }
    }

    /// Begins a transaction that the caller ends, on a connection of its own and without a limit of time: for going
    /// through a whole database. It is not run again. On SQLite its statements are run on the caller's thread.
    pub async fn begin_copying(&self, name: &'static str, side: Side) -> Result<Open> {
        let session = match &self.driver {
            Driver::Sqlite(sqlite) => DriverSession::Sqlite(sqlite.begin_copying(name, side).await?),
            Driver::Postgres(postgres) => DriverSession::Postgres(postgres.begin_copying(name, side).await?),
        };
        Ok(Open { tx: Tx::new(session) })
    }

    /// Has transactions from now on run on new connections.
    pub fn reconnect(&self) {
        match &self.driver {
            Driver::Sqlite(_) => {}
            Driver::Postgres(postgres) => postgres.reconnect(),
        }
    }

    /// Opens the connections of [`Lane::Nodes`] beforehand.
    pub async fn connect_nodes(&self) -> Result<()> {
        match &self.driver {
            Driver::Sqlite(_) => Ok(()),
            Driver::Postgres(postgres) => postgres.connect_nodes().await,
        }
    }

    /// Has transactions of [`Lane::Requests`] that begin from now on wait until they are admitted again, as they are at
    /// first; one that does not wait long enough is unavailable.
    pub fn admit(&self, admits: bool) {
        match &self.driver {
            Driver::Sqlite(_) => {}
            Driver::Postgres(postgres) => postgres.admit(admits),
        }
    }

    /// Has connections from now on made to another server first, where the URL names several.
    pub fn try_another_server(&self) {
        match &self.driver {
            Driver::Sqlite(_) => {}
            Driver::Postgres(postgres) => postgres.try_another_server(),
        }
    }

    /// Takes no more work, finishes what was handed in, and closes the files; the `-wal` file is folded into the
    /// database. (On a server, transactions go on that somebody waits for, and no others.) From then on every call on any
    /// clone is [`Error::Unavailable`]. A second call returns when the first has. Calls that are under way have to be polled
    /// or dropped meanwhile, for this waits for them.
    pub async fn close(&self) {
        match &self.driver {
            Driver::Sqlite(sqlite) => sqlite.close().await,
            Driver::Postgres(postgres) => postgres.close(),
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
    /// What it is to enter in the change feed.
    notes: Notes,
    /// Whether it makes an entry there.
    enters: bool,
    /// Whether a server that commits it must have written something.
    has_written: bool,
}

/// What a transaction is to enter in the change feed once all else is done: everybody's changes wait for the feed, so
/// nobody may wait for anything while holding it.
#[derive(Default)]
pub(crate) struct Notes {
    /// Changes: kinds and subjects.
    pub(crate) changes: Vec<(i64, Value)>,
    /// Whether it rests on what others have changed.
    pub(crate) refers: bool,
}

/// A `SELECT` that is to be run, and what becomes of the rows that it reads.
#[derive(Debug, Clone)]
pub struct Query {
    /// Its text.
    pub sql: &'static str,
    /// What its placeholders take.
    pub params: Vec<Value>,
    /// Whether the rows are held.
    pub hold: Hold,
}

/// Whether the rows that a `SELECT` without aggregates reads are its transaction's alone until it ends: who wants to
/// change or hold them waits. (Were they shared, those who hold them could keep others from ever changing them, and two
/// who hold them and then change them would wait for each other.) A single writer holds everything anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// They are not.
    No,
    /// They are, once nobody else holds them. With [`Isolation::Serial`], whoever has changed them since it began makes it
    /// run again; with [`Isolation::Held`], they are as they are then, and left out if they no longer meet the conditions.
    Wait,
    /// They are; those that somebody else holds are left out.
    Skip,
}

enum DriverSession {
    Sqlite(sqlite::Session),
    Postgres(postgres::Session),
}

/// What [`Database::begin_copying`] is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Reads one snapshot.
    Source,
    /// Writes, beside no other of this kind of any process and as if alone.
    Destination,
}

/// A transaction that is open: [`Database::begin_following`], [`Database::begin_copying`]. Dropped without a commit, it
/// is undone.
pub struct Open {
    tx: Tx,
}

impl Open {
    /// The transaction.
    pub fn tx(&mut self) -> &mut Tx {
        &mut self.tx
    }

    /// Commits it.
    pub async fn commit(self) -> Result<()> {
        match self.tx.session {
            DriverSession::Sqlite(session) => session.finish(),
            DriverSession::Postgres(session) => session.finish().await,
        }
    }
}

impl Tx {
    fn new(session: DriverSession) -> Self {
        Self { session, notes: Notes::default(), enters: false, has_written: false }
    }

    /// As [`Database::is_shared`].
    pub fn is_shared(&self) -> bool {
        matches!(self.session, DriverSession::Postgres(_))
    }

    /// Runs a statement that returns no rows; the number of rows that it changed.
    pub async fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64> {
        match &mut self.session {
            DriverSession::Sqlite(session) => session.execute(sql, params),
            DriverSession::Postgres(session) => {
                let changed = session.execute(sql, params).await?;
                self.has_written |= changed > 0;
                Ok(changed)
            }
        }
    }

    /// Runs a statement and collects the rows that it returns.
    pub async fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        match &mut self.session {
            DriverSession::Sqlite(session) => session.query(sql, params),
            DriverSession::Postgres(session) => session.query(sql, params, Hold::No).await,
        }
    }

    /// Runs queries in their order, of which none waits for another's rows; the rows of each. A server has all of them at
    /// once.
    pub async fn query_each(&mut self, queries: &[Query]) -> Result<Vec<Vec<Row>>> {
        match &mut self.session {
            DriverSession::Sqlite(session) => {
                queries.iter().map(|query| session.query(query.sql, &query.params)).collect()
            }
            DriverSession::Postgres(session) => {
                let found = session.query_each(queries).await?;
                // Who holds a row writes that down as well.
                let holds = |(query, rows): (&Query, &Vec<Row>)| query.hold != Hold::No && !rows.is_empty();
                self.has_written |= queries.iter().zip(&found).any(holds);
                Ok(found)
            }
        }
    }

    /// Whether a server that commits what was done so far must have written something, which one that was left behind by
    /// its standby cannot. What [`Tx::query`] has changed does not count.
    pub(crate) fn has_written(&self) -> bool {
        self.has_written
    }

    /// Gives up the connection: it leads to a server that is not the right one. The transaction runs again on another.
    pub(crate) fn leave_server(&mut self, cause: &'static str) -> Error {
        if let DriverSession::Postgres(session) = &mut self.session {
            session.leave(cause);
        }
        Error::unavailable(cause)
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
    pub async fn execute_script(&mut self, sql: &str) -> Result<()> {
        match &mut self.session {
            DriverSession::Sqlite(session) => session.execute_script(sql),
            DriverSession::Postgres(session) => session.execute_script(sql).await,
        }
    }

    /// What is to be entered in the change feed at the end.
    pub(crate) fn notes(&mut self) -> &mut Notes {
        &mut self.notes
    }

    /// Says that the transaction makes an entry in the change feed: others may be in its way there, and its commit wakes
    /// whoever listens to [`Database::notifications`].
    pub fn enters(&mut self) {
        self.enters = true;
    }

    /// Whether there is a table of that name, which each driver asks in its own way.
    pub async fn table_exists(&mut self, table: &str) -> Result<bool> {
        let sql = match &self.session {
            DriverSession::Sqlite(_) => "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1",
            DriverSession::Postgres(_) => {
                "SELECT 1 FROM information_schema.tables \
                 WHERE table_schema = current_schema() AND table_name = CAST($1 AS TEXT)"
            }
        };
        Ok(self.query_opt(sql, &[table.into()]).await?.is_some())
    }

    /// Has the numbers that the database itself gives to rows go on after `last`: rows that came with theirs do not
    /// move them on everywhere. SQLite goes on after the highest that there is.
    pub async fn number_after(&mut self, table: &str, column: &str, last: i64) -> Result<()> {
        match &mut self.session {
            DriverSession::Sqlite(_) => Ok(()),
            DriverSession::Postgres(session) => {
                let next = last.saturating_add(1);
                let sql = format!("ALTER TABLE {table} ALTER COLUMN {column} RESTART WITH {next}");
                session.execute_script(&sql).await
            }
        }
    }

    /// Why the transaction can no longer be committed, if a statement failed.
    fn failure(&self) -> Option<Error> {
        match &self.session {
            DriverSession::Sqlite(session) => session.failure(),
            DriverSession::Postgres(session) => session.failure(),
        }
    }
}
