//! One connection to a SQLite file: how it is opened, what runs on it, and what its errors mean.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use patron_core::{Error, Result};
use rusqlite::config::DbConfig;
use rusqlite::functions::{self, FunctionFlags};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, Statement, ffi};

use super::wal_index::{Header, WalIndex};
use crate::driver::value::{Row, Value};

/// How many prepared statements a connection keeps: more than there are queries in this crate.
const STATEMENTS: usize = 256;

/// How long the watching connection waits for a lock: its callers are async and may not be held up. Readers of
/// a file in WAL mode wait only while it is recovered or locked exclusively.
const WATCH_TIMEOUT: Duration = Duration::from_millis(20);

/// How long to rest before the next try to turn on WAL mode.
const WAL_PAUSE: Duration = Duration::from_millis(10);

/// What holds for every connection. `synchronous=FULL`: a commit that was answered survives a power cut. The
/// `-wal` file is cut back to 64 MiB after a burst, and what spills stays in memory instead of a temporary file.
const SETTINGS: &str = "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL;
    PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY;";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Reader,
    Watch,
}

/// Why a statement, or the database, failed.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// Somebody else holds the lock.
    Busy(String),
    /// The file cannot be used; a new connection may find it usable again.
    Broken(String),
    /// The statement is wrong, or a constraint forbids it.
    Mistake(String),
}

impl Fault {
    pub(super) fn cause(&self) -> &str {
        match self {
            Self::Busy(cause) | Self::Broken(cause) | Self::Mistake(cause) => cause,
        }
    }

    pub(super) fn error(&self) -> Error {
        match self {
            Self::Busy(cause) | Self::Broken(cause) => Error::unavailable(cause),
            Self::Mistake(cause) => Error::internal(cause),
        }
    }

    fn prefixed(self, prefix: &str) -> Self {
        match self {
            Self::Busy(cause) => Self::Busy(format!("{prefix}: {cause}")),
            Self::Broken(cause) => Self::Broken(format!("{prefix}: {cause}")),
            Self::Mistake(cause) => Self::Mistake(format!("{prefix}: {cause}")),
        }
    }

    /// A failure before any value was bound, whose whole text may therefore be told.
    fn unbound(error: &rusqlite::Error) -> Self {
        Self::classed(error, error.to_string())
    }

    /// A failure of a statement with values. SQLite's own text quotes a value at times (a bad JSON path, say),
    /// so only constraints, which name columns, have theirs told.
    fn bound(error: &rusqlite::Error) -> Self {
        let cause = match error {
            rusqlite::Error::SqliteFailure(failure, Some(text))
                if failure.code == ErrorCode::ConstraintViolation =>
            {
                text.clone()
            }
            rusqlite::Error::SqliteFailure(failure, _) => {
                format!("{} (SQLite code {})", ffi::code_to_str(failure.extended_code), failure.extended_code)
            }
            rusqlite::Error::ExecuteReturnedResults => {
                "the statement returns rows and nobody reads them".to_owned()
            }
            _ => "a value cannot be bound or read".to_owned(),
        };
        Self::classed(error, cause)
    }

    fn classed(error: &rusqlite::Error, cause: String) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(cause),
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::DiskFull
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NoLargeFileSupport
                | ErrorCode::OutOfMemory,
            ) => Self::Broken(cause),
            _ => Self::Mistake(cause),
        }
    }
}

/// Opens connections to one file.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    path: PathBuf,
    busy_timeout: Duration,
}

impl Connector {
    /// `path` as in `sqlite:<path>`, or `sqlite://<path>` as others write it.
    pub(super) fn new(path: &str, busy_timeout: Duration) -> Result<Self> {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.starts_with(":memory:") {
            return Err(Error::internal("the database URL `sqlite:` wants the path of a file"));
        }
        if path.contains('?') {
            return Err(Error::internal("the database URL `sqlite:` takes no parameters after a `?`"));
        }
        // Absolute, so that SQLite takes no path for a `file:` URI, and a change of directory changes nothing.
        let path = std::path::absolute(path)
            .map_err(|error| Error::unavailable(format!("the database file {path}: {error}")))?;
        Ok(Self { path, busy_timeout })
    }

    /// Creates the file for the owner alone, if there is none. SQLite would take the umask's word for the mode.
    pub(super) fn create_file(&self) -> Result<(), Fault> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&self.path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(Fault::Broken(format!("cannot create {}: {error}", self.path.display()))),
        }
    }

    /// Opens a connection to the existing file: one that vanished must not come back empty.
    pub(super) fn connect(&self, role: Role) -> Result<Session, Fault> {
        let connection = self.open(role).map_err(|fault| fault.prefixed(&self.path.display().to_string()))?;
        Ok(Session { connection: Some(connection), read_only: role != Role::Writer, ..Session::default() })
    }

    fn open(&self, role: Role) -> Result<Connection, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(&self.path, flags).map_err(|error| Fault::unbound(&error))?;
        let timeout =
            if role == Role::Watch { self.busy_timeout.min(WATCH_TIMEOUT) } else { self.busy_timeout };
        configure(&connection, role, timeout).map_err(|error| Fault::unbound(&error))?;
        enter_wal(&connection, timeout)?;
        Ok(connection)
    }
}

fn configure(connection: &Connection, role: Role, timeout: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(timeout)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // A plan holds for whatever is bound to it. Otherwise SQLite plans anew each time that a value changes which could
    // make a difference, for as much time again as most queries take.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // `"text"` is a column's name, as in PostgreSQL, and never a string.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.execute_batch(SETTINGS)?;
    add_functions(connection)?;
    if role == Role::Writer { Ok(()) } else { connection.execute_batch("PRAGMA query_only = ON") }
}

/// What PostgreSQL has, or is given by its first migration: `FOLD`, and `STRPOS`, which is SQLite's `INSTR`.
pub(crate) fn add_functions(connection: &Connection) -> rusqlite::Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("fold", 1, flags, fold)?;
    connection.create_scalar_function("strpos", 2, flags, strpos)
}

/// Small letters for capitals of every script, and one for both small sigmas; SQLite's own `LOWER` knows those of ASCII alone. It is in
/// no index, so the file does not depend on it.
fn fold(context: &functions::Context<'_>) -> rusqlite::Result<Option<String>> {
    let text = context.get_raw(0).as_str_or_null()?;
    Ok(text.map(|text| {
        if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            text.chars().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).collect()
        }
    }))
}

/// Where in a text another first stands, counted in characters from 1; 0 when it does not.
fn strpos(context: &functions::Context<'_>) -> rusqlite::Result<Option<i64>> {
    let (text, sought) = (context.get_raw(0).as_str_or_null()?, context.get_raw(1).as_str_or_null()?);
    let (Some(text), Some(sought)) = (text, sought) else { return Ok(None) };
    let place = text.find(sought).map_or(0, |at| text[..at].chars().count() + 1);
    Ok(i64::try_from(place).ok())
}

/// Turns on WAL mode, which is a property of the file. Two processes that do so at once are told «busy» without
/// SQLite's own waiting, as it would be a deadlock; so this waits by itself.
fn enter_wal(connection: &Connection, timeout: Duration) -> Result<(), Fault> {
    let faulty = |error| Fault::unbound(&error);
    connection.busy_timeout(Duration::ZERO).map_err(faulty)?;
    let mut tries = timeout.as_millis() / WAL_PAUSE.as_millis();
    let mode = loop {
        match connection
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))
            .map_err(faulty)
        {
            Err(Fault::Busy(_)) if tries > 0 => tries -= 1,
            outcome => break outcome?,
        }
        thread::sleep(WAL_PAUSE);
    };
    connection.busy_timeout(timeout).map_err(faulty)?;
    if mode != "wal" {
        return Err(Fault::Broken(format!(
            "journal mode stays `{mode}`; the file has to be writable and on a local file system"
        )));
    }
    Ok(())
}

/// A connection and the transaction on it. Without a connection, every statement is unavailable.
#[derive(Default)]
pub(in crate::driver) struct Session {
    connection: Option<Connection>,
    read_only: bool,
    /// The name of the transaction, for the causes of errors.
    name: &'static str,
    /// The first failure of a statement in this transaction.
    failed: Option<Fault>,
    /// The connection has failed and is to be opened anew.
    broken: bool,
    /// Of this connection, once it has counted commits.
    wal_index: Option<WalIndex>,
    /// SQLite's count of commits, and what stood in the WAL-index before it was asked.
    counted: Option<(Header, u32)>,
}

impl Session {
    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_some() && !self.broken
    }

    /// Whether SQLite is within `BEGIN`: some failures, such as a full disk, end the transaction at once.
    pub(super) fn is_in_transaction(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| !connection.is_autocommit())
    }

    /// Forgets the last transaction's name and failure.
    pub(super) fn start(&mut self, name: &'static str) {
        self.name = name;
        self.failed = None;
    }

    /// Begins, ends or divides a transaction, whatever its state.
    pub(super) fn control(&mut self, sql: &'static str) -> Result<(), Fault> {
        let outcome = self.connected(|connection| {
            let mut statement = connection.prepare_cached(sql).map_err(|error| Fault::unbound(&error))?;
            statement.raw_execute().map(|_| ()).map_err(|error| Fault::unbound(&error))
        });
        outcome.map_err(|fault| fault.prefixed(sql))
    }

    /// Commits.
    pub(in crate::driver) fn finish(mut self) -> Result<()> {
        if let Some(fault) = &self.failed {
            return Err(fault.error());
        }
        self.control("COMMIT").map_err(|fault| fault.error())
    }

    /// SQLite's count of others' commits.
    pub(super) fn data_version(&mut self) -> Result<u32, Fault> {
        let header = self.wal_index.as_ref().map(WalIndex::header);
        if let (Some(header), Some((seen, count))) = (header, self.counted)
            && header == seen
        {
            return Ok(count);
        }
        let count = self.connected(|connection| {
            let mut statement =
                connection.prepare_cached("PRAGMA data_version").map_err(|error| Fault::unbound(&error))?;
            statement.query_row([], |row| row.get(0)).map_err(|error| Fault::unbound(&error))
        })?;
        // The header as it was before: what is committed in between may be counted or not, and shows next time.
        self.counted = header.map(|header| (header, count));
        if let (None, Some(connection)) = (&self.wal_index, &self.connection) {
            #[expect(unsafe_code, reason = "it stands beside the connection, and ends with it")]
            // SAFETY: nothing takes either out of a session without the other.
            let wal_index = unsafe { WalIndex::of(connection) };
            self.wal_index = wal_index;
        }
        Ok(count)
    }

    /// Folds the `-wal` file into the database.
    pub(super) fn checkpoint(&mut self) -> Result<(), Fault> {
        self.connected(|connection| {
            connection
                .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
                .map_err(|error| Fault::unbound(&error))
        })
    }

    pub(in crate::driver) fn failure(&self) -> Option<Error> {
        self.failed.as_ref().map(Fault::error)
    }

    pub(in crate::driver) fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64> {
        let read_only = self.read_only;
        self.in_transaction(|connection| {
            let mut statement = prepare(connection, sql, params, read_only)?;
            let changed = statement.raw_execute().map_err(|error| Fault::bound(&error))?;
            Ok(changed as u64)
        })
    }

    pub(in crate::driver) fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        let read_only = self.read_only;
        self.in_transaction(|connection| {
            let mut statement = prepare(connection, sql, params, read_only)?;
            let mut rows = statement.raw_query();
            let mut found = Vec::new();
            while let Some(row) = rows.next().map_err(|error| Fault::bound(&error))? {
                // Asked of the row: the first step prepares anew what was prepared for a schema of before.
                let columns = row.as_ref().column_count();
                found
                    .push(Row::new((0..columns).map(|column| value(row, column)).collect::<Result<_, _>>()?));
            }
            Ok(found)
        })
    }

    pub(in crate::driver) fn execute_script(&mut self, sql: &str) -> Result<()> {
        self.in_transaction(|connection| {
            // Nothing is bound in a script, so all of SQLite's text may be told.
            connection.execute_batch(sql).map_err(|error| Fault::unbound(&error))?;
            if connection.is_autocommit() {
                return Err(Fault::Mistake("the script ended its transaction".to_owned()));
            }
            Ok(())
        })
    }

    /// Runs a statement of the transaction, unless one has failed before it.
    fn in_transaction<T>(&mut self, run: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T> {
        if let Some(fault) = &self.failed {
            return Err(fault.error());
        }
        let outcome = self.connected(|connection| {
            // Outside of a transaction a statement would commit by itself.
            if connection.is_autocommit() {
                return Err(Fault::Broken("SQLite has ended the transaction".to_owned()));
            }
            run(connection)
        });
        outcome.map_err(|fault| {
            let fault = fault.prefixed(self.name);
            let error = fault.error();
            self.failed = Some(fault);
            error
        })
    }

    fn connected<T>(&mut self, run: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let Some(connection) = &self.connection else {
            return Err(Fault::Broken("there is no connection to the database".to_owned()));
        };
        let outcome = run(connection);
        self.broken |= matches!(outcome, Err(Fault::Broken(_)));
        outcome
    }
}

/// A statement with `$n` bound to `params[n - 1]`.
fn prepare<'c>(
    connection: &'c Connection,
    sql: &'static str,
    params: &[Value],
    read_only: bool,
) -> Result<CachedStatement<'c>, Fault> {
    let mut statement = connection.prepare_cached(sql).map_err(|error| Fault::unbound(&error))?;
    if read_only && !statement.readonly() {
        return Err(Fault::Mistake("a statement that writes in a read".to_owned()));
    }
    let count = statement.parameter_count();
    if count != params.len() {
        return Err(Fault::Mistake(format!("{count} placeholders and {} parameters", params.len())));
    }
    for (index, place) in (1..).zip(places(sql, &statement)?.iter()) {
        statement.raw_bind_parameter(index, &params[*place]).map_err(|error| Fault::bound(&error))?;
    }
    Ok(statement)
}

/// The parameters that a statement's placeholders take, in the placeholders' order.
type Places = Rc<[usize]>;

thread_local! {
    /// What [`places`] has found, by the addresses of texts that are never given back.
    static PLACES: RefCell<HashMap<(usize, usize), Places>> = RefCell::default();
}

/// Which of the parameters each of SQLite's placeholders takes. It numbers the names as it meets them, so that `$2` may be
/// its first, and goes through all of them to tell one: that is asked once.
fn places(sql: &'static str, statement: &Statement<'_>) -> Result<Places, Fault> {
    let key = (sql.as_ptr().addr(), sql.len());
    if let Some(known) = PLACES.with_borrow(|known| known.get(&key).map(Rc::clone)) {
        return Ok(known);
    }
    let count = statement.parameter_count();
    let place = |index| {
        let number = statement.parameter_name(index)?.strip_prefix('$')?.parse::<usize>().ok()?;
        number.checked_sub(1).filter(|place| *place < count)
    };
    let places: Option<Places> = (1..=count).map(place).collect();
    let places = places.ok_or_else(|| Fault::Mistake(format!("placeholders other than $1 to ${count}")))?;
    PLACES.with_borrow_mut(|known| known.insert(key, Rc::clone(&places)));
    Ok(places)
}

fn value(row: &rusqlite::Row<'_>, column: usize) -> Result<Value, Fault> {
    match row.get_ref(column).map_err(|error| Fault::bound(&error))? {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(value) => Ok(Value::Int(value)),
        ValueRef::Real(_) => Err(Fault::Mistake(format!("column {column} holds a real number"))),
        ValueRef::Text(bytes) => match str::from_utf8(bytes) {
            Ok(text) => Ok(Value::Text(text.to_owned())),
            Err(_) => Err(Fault::Mistake(format!("column {column} holds a text that is not UTF-8"))),
        },
        ValueRef::Blob(bytes) => Ok(Value::Blob(bytes.to_vec())),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) => ValueRef::Blob(value),
        }))
    }
}
