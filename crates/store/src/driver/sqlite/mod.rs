//! SQLite: one thread writes and commits together what waits together, some threads read, and one connection
//! tells whether anything was committed.

#[cfg(test)]
mod behaviour;
mod connection;
mod wal_index;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use patron_core::{Error, Result};
use tokio::sync::{mpsc, oneshot};

pub(super) use self::connection::Session;
#[cfg(test)]
pub(crate) use self::connection::add_functions;
use self::connection::{Connector, Fault, Role};
use self::worker::{Message, Task, Worker};
use super::{BoxFuture, Options, Side, Tx};

/// How many transactions may wait for the writer, and as many for the readers; further callers wait outside.
const WAITING: usize = 1024;

/// How long it is known without trying that the database cannot be asked for its version. A try may wait for a lock,
/// and there is one a request: on the threads that serve all of them.
const REST: Duration = Duration::from_millis(100);

pub(super) struct Sqlite {
    writer: mpsc::Sender<Message>,
    readers: mpsc::Sender<Message>,
    connector: Connector,
    watch: Mutex<Watch>,
    /// The readers, then the writer. An async lock, so that a second `close` waits for the first.
    threads: tokio::sync::Mutex<Option<Threads>>,
}

struct Threads {
    readers: Vec<Thread>,
    writer: Thread,
}

impl Sqlite {
    pub(super) async fn open(path: &str, options: &Options) -> Result<Self> {
        let connector = Connector::new(path, options.busy_timeout)?;

        let (writer, jobs) = mpsc::channel(WAITING);
        let (opened, ready) = oneshot::channel();
        let worker = Worker::new(connector.clone(), Role::Writer);
        let creator = connector.clone();
        let writer_thread = Thread::spawn("sqlite-writer", move || {
            let mut worker = worker;
            // Opening waits for locks, so it is done here and not on the caller's thread.
            let result = creator.create_file().and_then(|()| worker.connect());
            let failed = result.is_err();
            // The caller may have hung up; then the channel of jobs is closed, too.
            let _ = opened.send(result);
            if !failed {
                worker.write(jobs);
            }
        })?;
        ready
            .await
            .map_err(|_| Error::internal("the database's writer ended while it opened the file"))?
            .map_err(|fault| fault.error())?;

        let (readers, jobs) = mpsc::channel(WAITING);
        let jobs = Arc::new(Mutex::new(jobs));
        let mut reader_threads = Vec::new();
        for _ in 0..options.readers.max(1) {
            let (worker, jobs) = (Worker::new(connector.clone(), Role::Reader), Arc::clone(&jobs));
            reader_threads.push(Thread::spawn("sqlite-reader", move || worker.read(&jobs))?);
        }

        Ok(Self {
            writer,
            readers,
            connector: connector.clone(),
            watch: Mutex::new(Watch::new(connector, REST)),
            threads: tokio::sync::Mutex::new(Some(Threads {
                readers: reader_threads,
                writer: writer_thread,
            })),
        })
    }

    pub(super) async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        run_on(&self.writer, name, work).await
    }

    pub(super) async fn read<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        run_on(&self.readers, name, work).await
    }

    /// Begins a transaction in the caller's own hands, on a connection that ends with it.
    pub(super) async fn begin_copying(&self, name: &'static str, side: Side) -> Result<Session> {
        let connector = self.connector.clone();
        // Opening and beginning wait for locks.
        let begun = tokio::task::spawn_blocking(move || {
            let (role, begin) = match side {
                Side::Source => (Role::Reader, "BEGIN DEFERRED"),
                Side::Destination => (Role::Writer, "BEGIN IMMEDIATE"),
            };
            let mut session = connector.connect(role)?;
            session.start(name);
            session.control(begin).map(|()| session)
        });
        let begun: Result<Session, Fault> =
            begun.await.map_err(|_| Error::unavailable(format!("{name}: the service is stopping")))?;
        begun.map_err(|fault| fault.error())
    }

    pub(super) fn version(&self) -> Result<i64> {
        lock(&self.watch).version().map_err(|fault| Error::unavailable(fault.cause()))
    }

    pub(super) async fn close(&self) {
        let mut threads = self.threads.lock().await;
        let Some(Threads { readers, writer }) = threads.take() else { return };
        // Sending fails when the thread is gone, which is what is wanted. The writer comes last, so that no
        // reader keeps its checkpoint from folding all of the `-wal` file.
        let _ = self.readers.send(Message::Close).await;
        for reader in readers {
            reader.join().await;
        }
        {
            let mut watch = lock(&self.watch);
            watch.session = Session::default();
            watch.closed = true;
        }
        let _ = self.writer.send(Message::Close).await;
        writer.join().await;
    }
}

/// Hands `work` to the threads behind `queue` and waits for its outcome.
async fn run_on<T, F>(queue: &mpsc::Sender<Message>, name: &'static str, work: F) -> Result<T>
where
    F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
    T: Send + 'static,
{
    let (reply, outcome) = oneshot::channel();
    let closed = || Error::unavailable(format!("{name}: the database is closed"));
    queue.send(Message::Job(Box::new(Task::new(name, work, reply)))).await.map_err(|_| closed())?;
    // Dropped unanswered: handed in just as the queue closed.
    outcome.await.map_err(|_| closed())?
}

/// Takes a lock whose holders cannot leave its content half-done, even by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connection that does nothing but notice others' commits.
struct Watch {
    connector: Connector,
    session: Session,
    /// How often the connection was opened: SQLite's count is comparable within one connection only.
    opened: u32,
    closed: bool,
    /// The last failure, and when it was.
    failed: Option<(Instant, Fault)>,
    /// How long a failure is remembered.
    rest: Duration,
}

impl Watch {
    fn new(connector: Connector, rest: Duration) -> Self {
        Self { connector, session: Session::default(), opened: 0, closed: false, failed: None, rest }
    }

    fn version(&mut self) -> Result<i64, Fault> {
        if self.closed {
            return Err(Fault::Broken("the database is closed".to_owned()));
        }
        if let Some((at, fault)) = &self.failed
            && at.elapsed() < self.rest
        {
            return Err(fault.clone());
        }
        let outcome = self.ask();
        #[expect(clippy::disallowed_methods, reason = "how long to rest is a matter of this machine alone")]
        let failed = outcome.as_ref().err().map(|fault| (Instant::now(), fault.clone()));
        self.failed = failed;
        outcome
    }

    fn ask(&mut self) -> Result<i64, Fault> {
        if !self.session.is_connected() {
            self.session = self.connector.connect(Role::Watch)?;
            self.opened = self.opened.wrapping_add(1);
        }
        let count = self.session.data_version()?;
        Ok(i64::from(self.opened) << 32 | i64::from(count))
    }
}

/// A thread whose end can be awaited.
struct Thread {
    handle: JoinHandle<()>,
    ended: oneshot::Receiver<()>,
}

impl Thread {
    fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<Self> {
        let (end, ended) = oneshot::channel();
        let handle = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // Dropped last, also by a panic.
                let _end: oneshot::Sender<()> = end;
                body();
            })
            .map_err(|error| Error::unavailable(format!("cannot start the thread {name}: {error}")))?;
        Ok(Self { handle, ended })
    }

    async fn join(self) {
        // Nothing is ever sent: an error says that the sender is gone, and the thread all but.
        let _ = self.ended.await;
        let _ = self.handle.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A watch on a file that is not there yet, and what makes it.
    fn watch(rest: Duration) -> (Watch, impl FnOnce(), tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("patron.db");
        let connector = Connector::new(path.to_str().unwrap(), Duration::from_mins(1)).unwrap();
        let make =
            move || drop(rusqlite::Connection::open(path).unwrap().execute_batch("CREATE TABLE t (x)"));
        (Watch::new(connector, rest), make, directory)
    }

    #[test]
    fn a_failure_is_remembered_for_a_while() {
        let (mut watch, make, _directory) = watch(Duration::MAX);
        let first = watch.version().unwrap_err();
        make();
        assert_eq!(watch.version().unwrap_err().cause(), first.cause(), "it was tried again");
        watch.rest = Duration::ZERO;
        watch.version().unwrap();
        // And forgotten once it has passed.
        watch.rest = Duration::MAX;
        watch.version().unwrap();
    }

    #[test]
    fn without_a_rest_it_is_tried_each_time() {
        let (mut watch, make, _directory) = watch(Duration::ZERO);
        watch.version().unwrap_err();
        make();
        watch.version().unwrap();
    }
}
