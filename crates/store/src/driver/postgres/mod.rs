//! PostgreSQL, and what speaks its protocol and its SQL: a pool of connections, each transaction in a task of its own.
//!
//! Transactions that write are `SERIALIZABLE` and run again when they lose a conflict, so what is written for SQLite's
//! single writer holds here as well. Nothing is asked of the server beyond standard SQL but `ON CONFLICT`, `RETURNING`,
//! `FOR SHARE`, and `LISTEN`/`NOTIFY` and advisory locks where it has them.

mod address;
mod fault;
mod listen;
mod servers;
mod session;
#[cfg(test)]
mod tests;
mod value;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime};
use patron_core::{Error, Result};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use self::address::Address;
use self::fault::Fault;
pub use self::listen::Notifications;
use self::session::Generation;
pub(super) use self::session::Session;
use super::{BoxFuture, DriverSession, Options, Side, Tx};

/// How long a commit may take after its caller has given up on it. One that waits for a standby cannot be undone, and
/// the server's process stays busy with it, so its connection is not replaced by another one meanwhile.
const COMMIT_LIMIT: Duration = Duration::from_mins(1);
/// How long a change of the schema may take, and wait for another process that makes one.
const ALONE_LIMIT: Duration = Duration::from_mins(30);

/// What holds for every connection. A transaction whose client is gone without a word frees its locks soon.
const SETTINGS: &str = "SET statement_timeout = '5s'; SET idle_in_transaction_session_timeout = '10s'";

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Read,
    Write,
    /// Writes, and no other of this mode runs beside it in any process.
    Alone,
    /// Goes through a whole database, for as long as it takes.
    Copy(Side),
    /// Reads the change feed and writes a row of this process's own: nothing that depends on what was read.
    Follow,
}

impl Mode {
    fn begin(self) -> &'static str {
        match self {
            Self::Read | Self::Copy(Side::Source) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Self::Write | Self::Alone | Self::Copy(Side::Destination) => {
                "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE"
            }
            Self::Follow => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        }
    }

    /// What is said on the connection before it begins, if anything. The connection is used for nothing else then.
    fn prepare(self) -> &'static [&'static str] {
        match self {
            Self::Read | Self::Write | Self::Follow => &[],
            Self::Copy(Side::Source) => &[UNLIMITED],
            Self::Alone | Self::Copy(Side::Destination) => &[UNLIMITED, LOCK],
        }
    }
}

/// A database on a server.
pub(super) struct Postgres {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    /// The connection of the one transaction at a time that follows the change feed: it must not wait for others.
    follower: Pool,
    /// Moves on when connections are no longer to be used. See [`Session`].
    generation: Arc<AtomicU64>,
    address: Address,
    patience: Duration,
    /// Whether the server knows `LISTEN` and `NOTIFY`.
    notifies: bool,
    /// Held by a transaction that has lost a conflict and runs again, so that those of one process do not go on
    /// losing against each other.
    turn: Mutex<()>,
}

impl Postgres {
    pub(super) async fn open(url: &str, options: &Options) -> Result<Self> {
        let address = Address::parse(url)?;
        let pool = pool_of(&address, options.connections.max(1), options.busy_timeout)?;
        let follower = pool_of(&address, 1, options.busy_timeout)?;
        let patience = options.busy_timeout;
        let notifies = timeout(patience, look(&pool)).await;
        let notifies = notifies.map_err(|_| Error::unavailable("the database server does not answer"))?;
        let notifies = notifies.map_err(|fault| fault.error())?;
        let generation = Arc::default();
        let shared = Shared { pool, follower, generation, address, patience, notifies, turn: Mutex::new(()) };
        Ok(Self { shared: Arc::new(shared) })
    }

    pub(super) async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.run(name, Mode::Write, self.shared.patience, work).await
    }

    pub(super) async fn read<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.run(name, Mode::Read, self.shared.patience, work).await
    }

    pub(super) async fn write_alone<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.run(name, Mode::Alone, ALONE_LIMIT, work).await
    }

    pub(super) async fn notifications(&self) -> Result<Notifications> {
        if !self.shared.notifies {
            return Err(Error::internal("the database server does not know LISTEN"));
        }
        let opened = timeout(self.shared.patience, Notifications::open(&self.shared.address)).await;
        let opened = opened.map_err(|_| Error::unavailable("the database server does not answer"))?;
        opened.map_err(|fault| fault.error())
    }

    /// Begins a transaction in the caller's own hands; one at a time.
    pub(super) async fn begin_following(&self, name: &'static str) -> Result<Session> {
        let begun = self.shared.begin(&self.shared.follower, name, Mode::Follow).await;
        begun.map_err(|fault| fault.error())
    }

    /// Begins a transaction in the caller's own hands, on a connection that ends with it.
    pub(super) async fn begin_copying(&self, name: &'static str, side: Side) -> Result<Session> {
        let begun = self.shared.begin(&self.shared.pool, name, Mode::Copy(side)).await;
        begun.map_err(|fault| fault.error())
    }

    /// Uses no connection any more that there is: those in use are closed when they come back.
    pub(super) fn reconnect(&self) {
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        for pool in [&self.shared.pool, &self.shared.follower] {
            pool.retain(|_, _| false);
        }
    }

    pub(super) fn close(&self) {
        self.shared.pool.close();
        self.shared.follower.close();
    }

    /// Runs a transaction in a task of its own: a caller that hangs up, or has waited long enough, cuts nothing in half.
    async fn run<T, F>(&self, name: &'static str, mode: Mode, patience: Duration, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let (shared, deadline) = (Arc::clone(&self.shared), Instant::now() + patience);
        let task = tokio::spawn(async move { shared.transact(name, mode, deadline, work).await });
        match timeout_at(deadline, task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) if error.is_panic() => {
                Err(Error::internal(format!("{name}: the transaction panicked")))
            }
            Ok(Err(_)) => Err(Error::unavailable(format!("{name}: the service is stopping"))),
            Err(_) => Err(too_long(name).error()),
        }
    }
}

pub(super) fn check(url: &str) -> Result<()> {
    Address::parse(url).map(drop)
}

fn pool_of(address: &Address, size: usize, patience: Duration) -> Result<Pool> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_connect(address.config.clone(), address.servers.clone(), recycling);
    let settings = Hook::async_fn(|connection, _| {
        Box::pin(async move { connection.batch_execute(SETTINGS).await.map_err(HookError::Backend) })
    });
    Pool::builder(manager)
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .create_timeout(Some(patience))
        .post_create(settings)
        .build()
        .map_err(Error::internal)
}

/// Finds out whether this is a database that can be used, and whether its server notifies.
async fn look(pool: &Pool) -> Result<bool, Fault> {
    let connection = connect(pool).await?;
    let encoding = connection.query_one("SHOW server_encoding", &[]).await;
    let encoding: String = encoding.and_then(|row| row.try_get(0)).map_err(|error| Fault::of(&error))?;
    if encoding != "UTF8" {
        return Err(Fault::Mistake(format!("the database's encoding is {encoding}; it must be UTF8")));
    }
    match connection.batch_execute("LISTEN patron_changes; UNLISTEN patron_changes").await {
        Ok(()) => Ok(true),
        Err(error) => match Fault::of(&error) {
            Fault::Mistake(_) => Ok(false),
            fault => Err(fault),
        },
    }
}

async fn connect(pool: &Pool) -> Result<deadpool_postgres::Object, Fault> {
    pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            // Whatever is wrong with a connection, no statement of ours is.
            Fault::broken(Fault::of(&error).cause())
        }
        PoolError::Closed => Fault::broken("the database is closed"),
        other => Fault::broken(format!("no connection to the database: {other}")),
    })
}

fn too_long(name: &str) -> Fault {
    Fault::broken(format!("{name}: the database took too long"))
}

impl Shared {
    async fn transact<T, F>(&self, name: &'static str, mode: Mode, deadline: Instant, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync,
    {
        let mut turn = None;
        loop {
            match self.attempt(name, mode, deadline, &work).await {
                Err(Fault::Conflict(_)) if Instant::now() < deadline => {
                    if turn.is_none() {
                        let held = timeout_at(deadline, self.turn.lock()).await;
                        turn = Some(held.map_err(|_| too_long(name).error())?);
                    }
                }
                Err(fault) => return Err(fault.error()),
                Ok(outcome) => return outcome,
            }
        }
    }

    /// Runs a transaction once. The inner result is what `work` has answered and what was kept, if it is `Ok`.
    async fn attempt<T, F>(
        &self,
        name: &'static str,
        mode: Mode,
        deadline: Instant,
        work: &F,
    ) -> Result<Result<T>, Fault>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync,
    {
        let begun = timeout_at(deadline, self.begin(&self.pool, name, mode)).await;
        let session = begun.map_err(|_| too_long(name))??;
        let mut tx = Tx { session: DriverSession::Postgres(session), entered: None };
        let outcome = timeout_at(deadline, work(&mut tx)).await.map_err(|_| too_long(name))?;
        let Tx { session: DriverSession::Postgres(session), entered } = tx else {
            return Err(Fault::Mistake(format!("{name}: the transaction was exchanged for another one")));
        };
        let outcome = match session.fault() {
            Some(Fault::Conflict(_) | Fault::Broken(_)) => return Err(give_up(session).await),
            Some(fault) => outcome.and_then(|_| Err(fault.error())),
            None => outcome,
        };
        if outcome.is_err() {
            session.control("ROLLBACK").await?;
        } else {
            let committed = timeout(COMMIT_LIMIT, session.commit(entered.is_some() && self.notifies)).await;
            committed.map_err(|_| too_long(name))??;
        }
        session.end();
        Ok(outcome)
    }

    /// Begins on a connection that works: one from the pool may have lost its server since it was last used.
    async fn begin(&self, pool: &Pool, name: &'static str, mode: Mode) -> Result<Session, Fault> {
        let mut left = pool.status().max_size;
        loop {
            let before = mode.prepare();
            // Asked first: a connection that is opened meanwhile may be of either generation.
            let generation = Generation::now(&self.generation);
            let session = Session::new(connect(pool).await?, generation, name, !before.is_empty());
            let begun = async {
                for sql in before {
                    session.control(sql).await?;
                }
                session.control(mode.begin()).await
            };
            match begun.await {
                Ok(()) => return Ok(session),
                Err(Fault::Broken(_)) if left > 0 => left -= 1,
                // A server that begins no transaction is at fault, whatever it says: a standby for one.
                Err(fault) => return Err(Fault::broken(fault.cause())),
            }
        }
    }
}

/// Lifts the server's limits of [`SETTINGS`].
const UNLIMITED: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";

/// Any number that no other user of the database locks.
const LOCK: &str = "SELECT pg_advisory_lock(7238112094417)";

/// Undoes a transaction that failed, and tells why it did. A connection that failed is not used again.
async fn give_up(session: Session) -> Fault {
    let fault = session.fault().cloned().unwrap_or_else(|| Fault::broken("a transaction failed"));
    if matches!(fault, Fault::Conflict(_)) && session.control("ROLLBACK").await.is_ok() {
        session.end();
    }
    fault
}
