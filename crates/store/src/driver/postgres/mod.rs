//! PostgreSQL, and what speaks its protocol and its SQL: a pool of connections, each transaction in a task of its own.
//!
//! Transactions that write are `SERIALIZABLE` and run again when they lose a conflict, so what is written for SQLite's
//! single writer holds here as well; those that hold all they rely on are `READ COMMITTED`. Beyond standard SQL the server
//! needs `ON CONFLICT`, `RETURNING`, `FOR NO KEY UPDATE`, `SKIP LOCKED` and advisory locks; `LISTEN` and `NOTIFY` are used where it has them.

mod address;
mod contention;
mod fault;
mod listen;
mod servers;
mod session;
#[cfg(test)]
mod tests;
mod value;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use futures_util::future::{Either, select, try_join_all};
use patron_core::{Error, Result};
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::{Instant, sleep, timeout};

use self::address::Address;
use self::contention::{Contention, QUEUE};
use self::fault::Fault;
pub use self::listen::Notifications;
use self::session::Generation;
pub(super) use self::session::Session;
use super::{BoxFuture, DriverSession, Isolation, Lane, Options, Side, Tx};
use crate::patience::Patience;

/// How long a commit may take after its caller has given up on it. One that waits for a standby cannot be undone, and
/// the server's process stays busy with it, so its connection is not replaced by another one meanwhile, unless the
/// service turns to another server.
const COMMIT_LIMIT: Duration = Duration::from_mins(1);
/// How long a commit may still take once its connection is not to be used any more. A server that is well is done with it
/// by then: the follower may have lost nothing but a connection of its own.
const COMMIT_GRACE: Duration = Duration::from_secs(1);
/// How many connections a transaction may lose before it is given up.
const LOST_AT_MOST: u32 = 3;
/// How often a transaction may begin anew because rows refer to each other otherwise than it could know.
const REFERRED_AT_MOST: u32 = 20;
/// How long a transaction that has lost more than one conflict rests before it runs again.
const FIRST_REST: Duration = Duration::from_millis(1);
const LONGEST_REST: Duration = Duration::from_millis(32);
/// How long undoing may take. A connection that takes longer is closed, which undoes as well.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(1);
/// Connections for what nodes wait for of each other: one that follows the feed, one that loads what has changed, and
/// one that looks how far the others are.
const NODES: usize = 3;
/// How long a change of the schema may take, and wait for another process that makes one.
const ALONE_LIMIT: Duration = Duration::from_mins(30);

/// What holds for every connection. A transaction whose client stands still frees its locks soon: everybody's changes
/// may be waiting for them, and statements follow each other at once.
const SETTINGS: &str = "SET statement_timeout = '5s'; SET lock_timeout = '4s'; \
                        SET idle_in_transaction_session_timeout = '750ms'";
/// What holds for those of [`Lane::Nodes`] instead. A transaction that follows the feed stands idle while what it has
/// read is applied, which may need several answers from a server that is far away; and it locks a row of one node's alone.
const SETTINGS_OF_NODES: &str = "SET statement_timeout = '5s'; SET lock_timeout = '4s'; \
                                 SET idle_in_transaction_session_timeout = '2s'";

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Read,
    Write,
    /// Writes, and holds what it relies on.
    Hold,
    /// Writes, and no other of this mode runs beside it in any process.
    Alone,
    /// Goes through a whole database, for as long as it takes.
    Copy(Side),
    /// Reads the change feed and writes a row of the nodes': nothing that depends on what was read.
    Follow,
}

impl Mode {
    fn begin(self) -> &'static str {
        match self {
            Self::Read | Self::Copy(Side::Source) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Self::Write | Self::Alone | Self::Copy(Side::Destination) => {
                "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE"
            }
            Self::Hold | Self::Follow => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        }
    }

    /// What is said on the connection before it begins, if anything. The connection is used for nothing else then.
    fn prepare(self) -> &'static [&'static str] {
        match self {
            Self::Read | Self::Write | Self::Hold | Self::Follow => &[],
            Self::Copy(_) => &[UNLIMITED],
            Self::Alone => &[UNLIMITED, LOCK],
        }
    }
}

/// A database on a server.
pub(super) struct Postgres {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    /// For what nodes wait for of each other: no number of requests comes before it.
    nodes: Pool,
    /// Moves on when connections are no longer to be used. See [`Session`].
    generation: watch::Sender<u64>,
    /// Of when connections must be. See [`Postgres::reconnect`] and [`Postgres::connect_nodes`].
    reach: std::sync::Mutex<Reach>,
    /// Whether requests may use the database now.
    admits: watch::Sender<bool>,
    address: Address,
    patience: Duration,
    /// Whether the server knows `LISTEN` and `NOTIFY`.
    notifies: bool,
    /// Whether it knows the [`QUEUE`], as far as was tried since the connections were given up.
    queues: AtomicBool,
    contention: Contention,
}

/// Between when a connection must have been made, to lead where it should.
#[derive(Clone, Copy)]
struct Reach {
    since: Instant,
    /// Of those that follow.
    until: Option<Instant>,
}

impl Postgres {
    pub(super) async fn open(url: &str, options: &Options) -> Result<Self> {
        let address = Address::parse(url)?;
        let pool = pool_of(&address, options.connections.max(1), options.busy_timeout, SETTINGS)?;
        let nodes = pool_of(&address, NODES, options.busy_timeout, SETTINGS_OF_NODES)?;
        let patience = options.busy_timeout;
        let since = Instant::now();
        let notifies = Patience::new(patience).wait(look(&pool)).await.ok_or_else(no_answer)?;
        let notifies = notifies.map_err(|fault| fault.error())?;
        let generation = watch::Sender::new(0);
        let shared = Shared {
            pool,
            nodes,
            generation,
            reach: std::sync::Mutex::new(Reach { since, until: None }),
            admits: watch::Sender::new(true),
            address,
            patience,
            notifies,
            queues: AtomicBool::new(true),
            contention: Contention::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    pub(super) async fn write<T, F>(
        &self,
        lane: Lane,
        isolation: Isolation,
        name: &'static str,
        work: F,
    ) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let mode = match isolation {
            Isolation::Serial => Mode::Write,
            Isolation::Held => Mode::Hold,
        };
        self.run(lane, name, mode, self.shared.patience, work).await
    }

    pub(super) async fn read<T, F>(&self, lane: Lane, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.run(lane, name, Mode::Read, self.shared.patience, work).await
    }

    pub(super) async fn write_alone<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.run(Lane::Requests, name, Mode::Alone, ALONE_LIMIT, work).await
    }

    pub(super) async fn notifications(&self) -> Result<Notifications> {
        if !self.shared.notifies {
            return Err(Error::internal("the database server does not know LISTEN"));
        }
        let opened =
            Patience::new(self.shared.patience).wait(Notifications::open(&self.shared.address)).await;
        opened.ok_or_else(no_answer)?.map_err(|fault| fault.error())
    }

    /// Begins a transaction in the caller's own hands.
    pub(super) async fn begin_following(&self, name: &'static str) -> Result<Session> {
        let begun = self.shared.begin(Lane::Nodes, name, Mode::Follow, None).await;
        begun.map_err(|fault| fault.error())
    }

    /// Begins a transaction in the caller's own hands, on a connection that ends with it.
    pub(super) async fn begin_copying(&self, name: &'static str, side: Side) -> Result<Session> {
        let begun = self.shared.begin(Lane::Requests, name, Mode::Copy(side), None).await;
        begun.map_err(|fault| fault.error())
    }

    /// Uses no connection any more that there is: those in use are closed when they come back, and commits that are
    /// under way are not waited for.
    pub(super) fn reconnect(&self) {
        // Noted first: one that was taken out of the pool just now is known by its age.
        *self.shared.reach() = Reach { since: Instant::now(), until: None };
        // Another server may have it, or the table that was missing be there again.
        self.shared.queues.store(true, Ordering::Relaxed);
        self.shared.generation.send_modify(|generation| *generation += 1);
        for pool in [&self.shared.pool, &self.shared.nodes] {
            pool.retain(|_, _| false);
        }
    }

    /// Opens the connections that nodes wait for each other on: a server that takes no more later on refuses none of them.
    /// None that is opened later is followed on, until the next [`Postgres::reconnect`]: it may lead to another server,
    /// on which nobody has registered.
    pub(super) async fn connect_nodes(&self) -> Result<()> {
        let all = try_join_all((0..NODES).map(|_| connect(&self.shared.nodes)));
        let opened = Patience::new(self.shared.patience).wait(all).await;
        opened.ok_or_else(no_answer)?.map(drop).map_err(|fault| fault.error())?;
        self.shared.reach().until = Some(Instant::now());
        Ok(())
    }

    /// Has requests wait, or go on.
    pub(super) fn admit(&self, admits: bool) {
        self.shared.admits.send_replace(admits);
    }

    pub(super) fn try_another_server(&self) {
        self.shared.address.servers.try_another();
    }

    pub(super) fn close(&self) {
        self.shared.pool.close();
        self.shared.nodes.close();
    }

    /// Runs a transaction in a task of its own: a caller that hangs up, or has waited long enough, cuts nothing in half.
    /// Once a caller was told that it took too long, nothing is committed any more: others may have changed the same
    /// meanwhile, and been answered.
    async fn run<T, F>(
        &self,
        lane: Lane,
        name: &'static str,
        mode: Mode,
        patience: Duration,
        work: F,
    ) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let (shared, mut patience) = (Arc::clone(&self.shared), Patience::new(patience));
        let given_up = Arc::new(AtomicBool::new(false));
        let asked = Asked { lane, name, mode, patience, given_up: Arc::clone(&given_up), enters: false };
        let task = tokio::spawn(async move { shared.transact(asked, work).await });
        match patience.wait(task).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) if error.is_panic() => {
                Err(Error::internal(format!("{name}: the transaction panicked")))
            }
            Some(Err(_)) => Err(Error::unavailable(format!("{name}: the service is stopping"))),
            None => {
                given_up.store(true, Ordering::Release);
                Err(too_long(name).error())
            }
        }
    }
}

pub(super) fn check(url: &str) -> Result<()> {
    Address::parse(url).map(drop)
}

fn pool_of(address: &Address, size: usize, patience: Duration, settings: &'static str) -> Result<Pool> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_connect(address.config.clone(), address.servers.clone(), recycling);
    let settings = Hook::async_fn(move |connection, _| {
        Box::pin(async move { connection.batch_execute(settings).await.map_err(HookError::Backend) })
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

fn no_answer() -> Error {
    Error::unavailable("the database server does not answer")
}

fn too_long(name: &str) -> Fault {
    Fault::broken(format!("{name}: the database took too long"))
}

/// A transaction that is to be run.
struct Asked {
    lane: Lane,
    name: &'static str,
    mode: Mode,
    patience: Patience,
    /// Whether its caller was told that it took too long.
    given_up: Arc<AtomicBool>,
    /// Whether it is known to enter something in the feed.
    enters: bool,
}

impl Asked {
    fn is_over(&self) -> bool {
        self.patience.is_over() || self.given_up.load(Ordering::Acquire)
    }
}

/// Why an attempt has come to nothing.
enum Lost {
    /// Surely nothing was kept.
    Undone(Fault),
    /// It was lost as it was committed, and nobody knows.
    Unknown(Fault),
}

impl Lost {
    /// The same of what has only read: there was nothing to keep.
    fn undone(self) -> Self {
        match self {
            Self::Undone(fault) | Self::Unknown(fault) => Self::Undone(fault),
        }
    }
}

impl Shared {
    /// Runs a transaction until it is done, fails by itself, or there is no more time.
    async fn transact<T, F>(&self, mut asked: Asked, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync,
    {
        let mut turn = None;
        if let (Mode::Write, Some(enters)) = (asked.mode, self.contention.expected(asked.name)) {
            asked.enters = enters;
            turn = self.take_turn(&mut asked).await;
        }
        let (mut conflicts, mut taken, mut referred, mut broken, mut rest) = (0, false, 0, 0, FIRST_REST);
        loop {
            if asked.is_over() {
                return Err(too_long(asked.name).error());
            }
            if asked.lane == Lane::Requests && !self.is_admitted(&mut asked).await {
                return Err(Error::unavailable(format!("{}: {LOST_SIGHT}", asked.name)));
            }
            let queue = (turn.is_some() && asked.enters).then_some(QUEUE);
            let fault = match self.attempt(&mut asked, queue, &work).await {
                Ok(outcome) => return outcome,
                Err(Lost::Unknown(fault)) => return Err(fault.error()),
                Err(Lost::Undone(fault)) if asked.is_over() => return Err(fault.error()),
                Err(Lost::Undone(fault)) => fault,
            };
            // What was taken a moment ago by another is seen the second time. A connection may be lost for no better reason
            // than that this process stood still for a moment, and once more.
            match fault {
                Fault::Conflict(_) => {
                    // Whoever has won may still be there, and the conflict with it.
                    if conflicts > 0 {
                        asked.patience.wait(sleep(rest)).await;
                        rest = LONGEST_REST.min(rest * 2);
                    }
                    conflicts += 1;
                    // All that enter something meet at the feed. Others meet by chance, where an index has little to tell
                    // them apart by, and rarely again: for one such loss nobody else need wait.
                    let will_again = asked.enters || conflicts > 1;
                    if turn.is_none() && asked.mode == Mode::Write && will_again {
                        self.contention.note(asked.name, asked.enters);
                        turn = self.take_turn(&mut asked).await;
                    }
                }
                Fault::Taken(_) if !std::mem::replace(&mut taken, true) => {}
                Fault::Referred(cause) if asked.mode == Mode::Write => {
                    // What refers to it comes faster than it is deleted.
                    if referred == REFERRED_AT_MOST {
                        return Err(Error::unavailable(cause));
                    }
                    referred += 1;
                }
                Fault::Broken(_) if broken < LOST_AT_MOST => broken += 1,
                fault => return Err(fault.error()),
            }
        }
    }

    fn reach(&self) -> std::sync::MutexGuard<'_, Reach> {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn is_admitted(&self, asked: &mut Asked) -> bool {
        let mut admits = self.admits.subscribe();
        let admitted = admits.wait_for(|admits| *admits);
        matches!(asked.patience.wait(admitted).await, Some(Ok(_)))
    }

    async fn take_turn(&self, asked: &mut Asked) -> Option<OwnedMutexGuard<()>> {
        asked.patience.wait(self.contention.turn(asked.name).lock_owned()).await
    }

    /// Runs a transaction once. The inner result is what `work` has answered and what was kept, if it is `Ok`.
    async fn attempt<T, F>(
        &self,
        asked: &mut Asked,
        queue: Option<&'static str>,
        work: &F,
    ) -> Result<Result<T>, Lost>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync,
    {
        let Asked { lane, name, mode, .. } = *asked;
        // A server that is hung answers nothing, not even that it is: whoever is at work on it learns from the
        // follower that there may be another.
        let generation = Generation::now(&self.generation);
        let worked = async {
            let mut tx = Tx::new(DriverSession::Postgres(self.begin(lane, name, mode, queue).await?));
            let outcome = work(&mut tx).await;
            Ok((tx, outcome))
        };
        let worked = match select(pin!(asked.patience.wait(worked)), pin!(generation.over())).await {
            Either::Left((worked, _)) => worked.ok_or_else(|| too_long(name)),
            Either::Right(_) => Err(Fault::broken(format!("{name}: the connections were given up"))),
        };
        let (tx, outcome) = worked.and_then(|worked| worked).map_err(Lost::Undone)?;
        let Tx { session: DriverSession::Postgres(session), enters, .. } = tx else {
            let cause = format!("{name}: the transaction was exchanged for another one");
            return Err(Lost::Undone(Fault::Mistake(cause)));
        };
        asked.enters |= enters;
        match (session.fault().cloned(), outcome) {
            (None, Ok(_)) if asked.is_over() => {
                undo(session).await;
                Err(Lost::Undone(too_long(name)))
            }
            (None, Ok(value)) => {
                let committed = self.commit(session, name, enters && self.notifies).await;
                committed.map_err(|lost| if mode == Mode::Read { lost.undone() } else { lost })?;
                Ok(Ok(value))
            }
            (Some(fault @ Fault::Mistake(_)), Ok(_)) => {
                undo(session).await;
                Ok(Err(fault.error()))
            }
            (None | Some(Fault::Mistake(_)), Err(error)) => {
                undo(session).await;
                Ok(Err(error))
            }
            (Some(fault), _) => {
                undo(session).await;
                Err(Lost::Undone(fault))
            }
        }
    }

    async fn commit(&self, session: Session, name: &'static str, notify: bool) -> Result<(), Lost> {
        let committed = {
            let commit = pin!(timeout(COMMIT_LIMIT, session.commit(notify)));
            let given_up = async {
                session.outlives_its_generation().await;
                sleep(COMMIT_GRACE).await;
            };
            match select(commit, pin!(given_up)).await {
                Either::Left((committed, _)) => committed,
                // The server that it waits for is no longer the one.
                Either::Right(((), _)) => return Err(Lost::Unknown(too_long(name))),
            }
        };
        match committed {
            Ok(Ok(())) => {
                session.end();
                Ok(())
            }
            Ok(Err(
                fault @ (Fault::Conflict(_) | Fault::Taken(_) | Fault::Referred(_) | Fault::Mistake(_)),
            )) => {
                // The server has undone it, and the connection is as good as before.
                undo(session).await;
                Err(Lost::Undone(fault))
            }
            Ok(Err(fault)) => Err(Lost::Unknown(fault)),
            Err(_) => Err(Lost::Unknown(too_long(name))),
        }
    }

    /// Begins on a connection that works: one from the pool may have lost its server since it was last used.
    async fn begin(
        &self,
        lane: Lane,
        name: &'static str,
        mode: Mode,
        queue: Option<&'static str>,
    ) -> Result<Session, Fault> {
        let pool = match lane {
            Lane::Requests => &self.pool,
            Lane::Nodes => &self.nodes,
        };
        let mut left = pool.status().max_size;
        loop {
            let before = mode.prepare();
            // Asked first: a connection that is opened meanwhile may be of either generation.
            let generation = Generation::now(&self.generation);
            let connection = connect(pool).await?;
            let (opened, Reach { since, until }) = (Object::metrics(&connection).created, *self.reach());
            if opened < since.into_std() {
                drop(Object::take(connection));
                continue;
            }
            let is_late = lane == Lane::Nodes && until.is_some_and(|until| opened > until.into_std());
            if is_late && mode == Mode::Follow {
                drop(Object::take(connection));
                return Err(Fault::broken(format!("{name}: the connection may lead to another server")));
            }
            // Late ones are not kept, so that nobody follows on them.
            let mut session = Session::new(connection, generation, name, is_late || !before.is_empty());
            if mode == Mode::Follow {
                session.cancel_if_cut_short(self.address.servers.tls());
            }
            let begun = async {
                for sql in before {
                    session.control(sql).await?;
                }
                if mode == Mode::Copy(Side::Destination) && !session.is_true(TRY_LOCK).await? {
                    return Err(Fault::Mistake(format!("{name}: {IN_USE}")));
                }
                session.control(mode.begin()).await?;
                let queue = queue.filter(|_| self.queues.load(Ordering::Relaxed));
                Ok(if let Some(queue) = queue { session.control(queue).await } else { Ok(()) })
            };
            match begun.await {
                Ok(Ok(())) => return Ok(session),
                // A server that has no such lock, or nothing to lock.
                Ok(Err(Fault::Mistake(_))) => self.queues.store(false, Ordering::Relaxed),
                Ok(Err(fault)) => return Err(fault),
                Err(Fault::Broken(_)) if left > 0 => left -= 1,
                // A server that begins no transaction is at fault, whatever it says: a standby for one.
                Err(fault) => return Err(Fault::broken(fault.cause())),
            }
        }
    }
}

const LOST_SIGHT: &str = "this node has lost sight of the others and has not registered anew";

/// Lifts the server's limits of [`SETTINGS`].
const UNLIMITED: &str =
    "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0";

/// Any number that no other user of the database locks.
const LOCK: &str = "SELECT pg_advisory_lock(7238112094417)";
/// The same, without waiting: whoever copies may do so for hours.
const TRY_LOCK: &str = "SELECT pg_try_advisory_lock(7238112094417)";
const IN_USE: &str =
    "another `patron migrate` is at work on it, or a `patron serve` that brings its schema up to date";

/// Undoes a transaction. A connection on which that cannot be done is not used again.
async fn undo(session: Session) {
    let is_good = !matches!(session.fault(), Some(Fault::Broken(_)));
    if is_good && matches!(timeout(ROLLBACK_LIMIT, session.control("ROLLBACK")).await, Ok(Ok(()))) {
        session.end();
    }
}
