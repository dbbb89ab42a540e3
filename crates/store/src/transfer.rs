//! Everything that lasts, copied from one database into a new one of whichever engine: `patron migrate`.
//!
//! The source is read from one snapshot, a batch of rows at a time. The destination is written in one transaction, so
//! whatever ends it early leaves a destination as empty as it was; and before it is committed all rows are read back
//! and compared. What belongs to running services stays behind: the change feed, nodes, and what they have counted. The
//! new database's feed begins anew, which no memory can mistake for the old one's: nobody has served it yet.

use std::sync::LazyLock;

use patron_core::coherence::NodeRow;
use patron_core::{Error, Result};
use sha2::{Digest as _, Sha256};
use tokio::task::yield_now;

use crate::driver::{Row, Side, Tx, Value};
use crate::insert::Insert;
use crate::migrate::{self, MigrateError};
use crate::{Store, changes, migrations};

#[cfg(test)]
mod tests;

/// How many rows a statement reads or writes. Engines bound the number of placeholders: SQLite at 32,766.
const BATCH: usize = 256;

/// A table that is copied. The first of its columns is its key.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
    /// The database gives the key, and goes on after the highest.
    is_numbered: bool,
}

/// The tables that are copied, each after those that it refers to: the one list of what there is, which a test holds
/// against the schema.
const TABLES: &[Table] = &[
    Table { name: "tenants", columns: &["key", "id", "name", "created"], is_numbered: true },
    Table {
        name: "identities",
        columns: &[
            "id",
            "tenant",
            "name",
            "display_name",
            "first_name",
            "last_name",
            "email",
            "levels",
            "enabled",
            "generation",
            "password_hash",
            "created",
            "password_temporary",
        ],
        is_numbered: false,
    },
    Table {
        name: "pats",
        columns: &[
            "id",
            "tenant",
            "owner",
            "name",
            "scope",
            "secret_hash",
            "created",
            "last_used",
            "managed",
            "validity",
            "expires",
            "user_aware",
            "expiry_recorded",
        ],
        is_numbered: false,
    },
    Table { name: "bootstrap_pat", columns: &["tenant", "pat"], is_numbered: false },
    Table { name: "deleted_pats", columns: &["id", "tenant", "secret_hash", "deleted"], is_numbered: false },
    Table { name: "revoked_tokens", columns: &["jti", "tenant", "expires"], is_numbered: false },
    Table {
        name: "signing_keys",
        columns: &["kid", "created", "activates", "retires", "sealed_private", "public_jwk"],
        is_numbered: false,
    },
    Table {
        name: "audit_events",
        columns: &[
            "seq",
            "id",
            "created",
            "tenant",
            "technical_name",
            "actor_kind",
            "actor_id",
            "actor_name",
            "target_kind",
            "target_id",
            "target_name",
            "ip_address",
            "tracking_number",
            "operation",
            "status",
            "attributes",
        ],
        is_numbered: true,
    },
    Table {
        name: "sessions",
        columns: &["hash", "tenant", "identity", "generation", "created", "last_seen"],
        is_numbered: false,
    },
];

/// The statements on a table that follow from its entry in [`TABLES`].
struct Statements {
    table: &'static Table,
    /// Reads the first batch, and the one after a key.
    first: String,
    next: String,
    insert: Insert,
}

static STATEMENTS: LazyLock<Vec<Statements>> = LazyLock::new(|| TABLES.iter().map(Statements::of).collect());

impl Statements {
    fn of(table: &'static Table) -> Self {
        let Table { name, columns, .. } = table;
        let (key, list) = (columns[0], columns.join(", "));
        let select = format!("SELECT {list} FROM {name}");
        // A number and no placeholder: a server that plans for any number of rows may sort all of them.
        let order = format!("ORDER BY {key} LIMIT {BATCH}");
        let insert = Insert::new(&format!("{name} ({list})"), 0, "");
        Self {
            table,
            first: format!("{select} {order}"),
            next: format!("{select} WHERE {key} > $1 {order}"),
            insert,
        }
    }

    /// The rows after this key, or the first; at most [`BATCH`].
    async fn read(&'static self, tx: &mut Tx, after: Option<&Value>) -> Result<Vec<Row>> {
        match after {
            None => tx.query(&self.first, &[]).await,
            Some(key) => tx.query(&self.next, std::slice::from_ref(key)).await,
        }
    }

    async fn write(&'static self, tx: &mut Tx, rows: &[Row]) -> Result<()> {
        let rows: Vec<Vec<Value>> = rows.iter().map(|row| row.values().to_vec()).collect();
        self.insert.write(tx, &[], &rows).await
    }
}

/// Goes through a table in the order of its key, and adds up what it has passed.
struct Walk {
    statements: &'static Statements,
    last: Option<Value>,
    rows: u64,
    sum: Sha256,
}

impl Walk {
    fn new(statements: &'static Statements) -> Self {
        Self { statements, last: None, rows: 0, sum: Sha256::new() }
    }

    /// The next rows; none at the end.
    async fn next(&mut self, tx: &mut Tx) -> Result<Vec<Row>> {
        let rows = self.statements.read(tx, self.last.as_ref()).await?;
        for row in &rows {
            self.rows += 1;
            row.values().iter().for_each(|value| add(&mut self.sum, value));
        }
        if let Some(last) = rows.last() {
            self.last = last.values().first().cloned();
        }
        Ok(rows)
    }

    fn tally(self) -> Tally {
        Tally { rows: self.rows, sha256: self.sum.finalize().into() }
    }
}

/// Adds a value so that no two lists of values add up alike: its kind, its length, its bytes.
fn add(sum: &mut Sha256, value: &Value) {
    let number;
    let (kind, bytes): (u8, &[u8]) = match value {
        Value::Null => (0, &[]),
        Value::Int(value) => {
            number = value.to_be_bytes();
            (1, &number)
        }
        Value::Text(text) => (2, text.as_bytes()),
        Value::Blob(bytes) => (3, bytes),
    };
    sum.update([kind]);
    sum.update((bytes.len() as u64).to_be_bytes());
    sum.update(bytes);
}

/// What there is in a table of one of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// How many rows.
    pub rows: u64,
    /// A checksum of all of them in the order of their keys, the same for the same rows on every engine.
    pub sha256: [u8; 32],
}

/// A table that was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Its name.
    pub table: &'static str,
    /// As it was read.
    pub source: Tally,
    /// As it was read back.
    pub destination: Tally,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The table that it is at.
    pub table: &'static str,
    /// How many of its rows are done.
    pub rows: u64,
    /// Whether it reads back what it wrote.
    pub is_check: bool,
}

/// Why nothing was copied. `Display` is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The database that is read, failed or is out of reach.
    #[error("the source cannot be read: {}", cause(.0))]
    Source(Error),
    /// The database that is written, failed or is out of reach, or another process was at it.
    #[error("the destination cannot be written: {}; nothing was copied", cause(.0))]
    Destination(Error),
    /// A row of the source's does not fit into the destination.
    #[error("the destination does not take rows of {table}: {}; nothing was copied", cause(.error))]
    Row {
        /// The table.
        table: &'static str,
        /// What the destination says to it.
        error: Error,
    },
    /// The destination was lost while it made everything so.
    #[error(
        "the destination has not confirmed that all is written: {}; try again: if it is written after all, the \
         destination is not empty any more",
        cause(.0)
    )]
    Unconfirmed(Error),
    /// The source is none of Patron's databases, or of another version of the schema.
    #[error("the source {}", source_schema(*.found, *.known))]
    SourceSchema {
        /// The version that it has.
        found: Option<i64>,
        /// The version that this program knows.
        known: Option<i64>,
    },
    /// The destination's schema cannot be made.
    #[error("the destination: {0}")]
    DestinationSchema(#[from] MigrateError),
    /// The source has no tenant.
    #[error("the source is empty: nobody has bootstrapped it")]
    SourceEmpty,
    /// The destination is in use, or was.
    #[error("the destination is not empty ({0} has rows): what is copied goes into a new database")]
    DestinationFull(&'static str),
    /// Some service renews its row there.
    #[error("a `patron serve` works on the {0}: stop every one of them first")]
    Served(&'static str),
    /// Somebody wrote to the source since it was read.
    #[error("the source was changed meanwhile, so nothing was copied; let nobody use it, and try again")]
    Changed,
    /// What was read back is not what was written.
    #[error(
        "{} was read back with other rows than it has in the source ({} and {}); nothing was copied",
        .0.table, .0.destination.rows, .0.source.rows
    )]
    Differs(Copied),
}

fn cause(error: &Error) -> &str {
    error.cause().unwrap_or("no cause is known")
}

fn source_schema(found: Option<i64>, known: Option<i64>) -> String {
    match (found, known) {
        (None, _) => "is no database of Patron's".to_owned(),
        (Some(found), Some(known)) if found < known => format!(
            "has schema version {found}, and this Patron's is {known}: start this Patron on it once, which brings it \
             up to date"
        ),
        (Some(found), _) => {
            format!("has schema version {found}, which this Patron does not know: update Patron")
        }
    }
}

/// Copies everything that lasts, from a database that nobody serves into a new one; both are opened by
/// [`Store::open_as_it_is`]. What of a file nobody serves is for the caller to make sure.
///
/// SQLite's statements are run on the caller's thread.
///
/// # Errors
/// See [`TransferError`]. The source is as it was, and so is the destination, its schema aside.
pub async fn copy(
    from: &Store,
    to: &Store,
    mut told: impl FnMut(Progress),
) -> Result<Vec<Copied>, TransferError> {
    check_schemas(from, to).await?;
    let dead = nobody_serves(from, "source", TransferError::Source).await?;
    nobody_serves(to, "destination", TransferError::Destination).await?;

    let source = from.db.begin_copying("transfer.read", Side::Source).await;
    let mut source = source.map_err(TransferError::Source)?;
    let destination = to.db.begin_copying("transfer.write", Side::Destination).await;
    let mut destination = destination.map_err(TransferError::Destination)?;
    check_content(source.tx(), destination.tx()).await?;

    let began = Mark::of(source.tx()).await.map_err(TransferError::Source)?;
    let mut copied = Vec::with_capacity(TABLES.len());
    for statements in &*STATEMENTS {
        let source = copy_table(statements, source.tx(), destination.tx(), &mut told).await?;
        copied.push((statements, source));
    }
    drop(source);
    let mut compared = Vec::with_capacity(TABLES.len());
    for (statements, source) in copied {
        let read = read_back(statements, destination.tx(), &mut told).await;
        let destination = read.map_err(TransferError::Destination)?;
        let copied = Copied { table: statements.table.name, source, destination };
        if copied.source != copied.destination {
            return Err(TransferError::Differs(copied));
        }
        compared.push(copied);
    }
    check_unchanged(from, &began, &dead).await?;
    destination.commit().await.map_err(TransferError::Unconfirmed)?;
    Ok(compared)
}

/// The source's schema has to be this program's, and is not changed; the destination's is made if there is none.
async fn check_schemas(from: &Store, to: &Store) -> Result<(), TransferError> {
    let known = |store: &Store| migrations(&store.db).last().map(|migration| migration.version);
    let found = migrate::current(&from.db).await.map_err(TransferError::Source)?;
    if found != known(from) {
        return Err(TransferError::SourceSchema { found, known: known(from) });
    }
    let found = migrate::current(&to.db).await.map_err(TransferError::Destination)?;
    if found.is_some() && found != known(to) {
        return Err(TransferError::DestinationFull("schema_migrations"));
    }
    Ok(to.migrate().await?)
}

/// The rows of the nodes that served it once.
async fn nobody_serves(
    store: &Store,
    side: &'static str,
    failed: fn(Error) -> TransferError,
) -> Result<Vec<NodeRow>, TransferError> {
    store.rows_of_the_dead().await.map_err(failed)?.ok_or(TransferError::Served(side))
}

/// There must be something on the one side, and nothing on the other.
async fn check_content(source: &mut Tx, destination: &mut Tx) -> Result<(), TransferError> {
    if STATEMENTS[0].read(source, None).await.map_err(TransferError::Source)?.is_empty() {
        return Err(TransferError::SourceEmpty);
    }
    for statements in &*STATEMENTS {
        let rows = statements.read(destination, None).await.map_err(TransferError::Destination)?;
        if !rows.is_empty() {
            return Err(TransferError::DestinationFull(statements.table.name));
        }
    }
    Ok(())
}

/// Tells how far it is, and lets the caller give up: from one SQLite file to another nothing else is waited for.
async fn tell(told: &mut impl FnMut(Progress), progress: Progress) {
    told(progress);
    yield_now().await;
}

async fn copy_table(
    statements: &'static Statements,
    source: &mut Tx,
    destination: &mut Tx,
    told: &mut impl FnMut(Progress),
) -> Result<Tally, TransferError> {
    let table = statements.table;
    let mut walk = Walk::new(statements);
    loop {
        tell(told, Progress { table: table.name, rows: walk.rows, is_check: false }).await;
        let rows = walk.next(source).await.map_err(TransferError::Source)?;
        if rows.is_empty() {
            break;
        }
        let written = statements.write(destination, &rows).await;
        written.map_err(|error| TransferError::Row { table: table.name, error })?;
    }
    if table.is_numbered
        && let Some(Value::Int(last)) = walk.last
    {
        let numbered = destination.number_after(table.name, table.columns[0], last).await;
        numbered.map_err(TransferError::Destination)?;
    }
    Ok(walk.tally())
}

async fn read_back(
    statements: &'static Statements,
    destination: &mut Tx,
    told: &mut impl FnMut(Progress),
) -> Result<Tally> {
    let mut walk = Walk::new(statements);
    loop {
        tell(told, Progress { table: statements.table.name, rows: walk.rows, is_check: true }).await;
        if walk.next(destination).await?.is_empty() {
            return Ok(walk.tally());
        }
    }
}

/// What no change leaves as it was: each is on the audit trail, in the feed, or of a session. (When a PAT was used last is
/// noted by services alone, which are found by their rows.)
#[derive(PartialEq, Eq)]
struct Mark {
    events: i64,
    feed: i64,
    sessions: i64,
    session_used: i64,
}

impl Mark {
    async fn of(tx: &mut Tx) -> Result<Self> {
        let none = || Error::internal("a count has no row");
        let events = tx.query_opt("SELECT COUNT(*) FROM audit_events", &[]).await?.ok_or_else(none)?;
        let sql = "SELECT COUNT(*), COALESCE(MAX(last_seen), 0) FROM sessions";
        let sessions = tx.query_opt(sql, &[]).await?.ok_or_else(none)?;
        Ok(Self {
            events: events.int(0)?,
            feed: changes::last(tx).await?,
            sessions: sessions.int(0)?,
            session_used: sessions.int(1)?,
        })
    }
}

/// What was changed while it was copied is not in the copy: by a service that started late, or by `patron admin`.
async fn check_unchanged(from: &Store, began: &Mark, dead: &[NodeRow]) -> Result<(), TransferError> {
    let now = from.db.begin_copying("transfer.look", Side::Source).await;
    let now = Mark::of(now.map_err(TransferError::Source)?.tx()).await.map_err(TransferError::Source)?;
    let (nodes, _) = from.nodes().await.map_err(TransferError::Source)?;
    if nodes.iter().any(|row| !dead.contains(row)) {
        return Err(TransferError::Served("source"));
    }
    if now == *began { Ok(()) } else { Err(TransferError::Changed) }
}
