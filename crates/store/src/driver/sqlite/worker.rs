//! The threads that run transactions, and the group commit.
//!
//! A commit waits for the disk, and one wait serves as many transactions as there are: the writer runs those
//! that wait, each in a savepoint of its own, commits once, and only then answers all of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use patron_core::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use super::connection::{Connector, Fault, Role, Session};
use super::lock;
use crate::driver::{BoxFuture, DriverSession, Tx};

/// How many transactions one commit serves at most.
const GROUP: usize = 64;

/// What a worker is told.
pub(super) enum Message {
    Job(Box<dyn Job>),
    /// Finish what waits, then end.
    Close,
}

/// A transaction that waits to be run, with the type of its result forgotten.
pub(super) trait Job: Send {
    fn name(&self) -> &'static str;

    /// Whether nobody waits for the outcome any more.
    fn is_abandoned(&self) -> bool;

    /// Runs the closure and keeps its result; whether what it did is to be kept.
    fn run(&mut self, tx: &mut Tx) -> bool;

    /// Tells the caller the result, or that the transaction was lost.
    fn answer(self: Box<Self>, lost: Option<&Fault>);
}

/// A closure and the caller that waits for it.
pub(super) struct Task<T, F> {
    name: &'static str,
    work: F,
    reply: oneshot::Sender<Result<T>>,
    result: Option<Result<T>>,
}

impl<T, F> Task<T, F> {
    pub(super) fn new(name: &'static str, work: F, reply: oneshot::Sender<Result<T>>) -> Self {
        Self { name, work, reply, result: None }
    }
}

impl<T, F> Job for Task<T, F>
where
    F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync,
    T: Send,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, tx: &mut Tx) -> bool {
        // Whatever the closure leaves half-done is in the transaction, which is rolled back. The panic's text
        // goes to the panic hook alone: it may quote a value.
        let result = catch_unwind(AssertUnwindSafe(|| finish((self.work)(tx))))
            .unwrap_or_else(|_| Err(Error::internal(format!("{}: the transaction panicked", self.name))));
        let result = match tx.failure() {
            Some(failure) if result.is_ok() => Err(failure),
            _ => result,
        };
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn answer(self: Box<Self>, lost: Option<&Fault>) {
        let outcome = match (lost, self.result) {
            (Some(fault), _) => Err(fault.error()),
            (None, Some(result)) => result,
            (None, None) => Err(Error::internal(format!("{}: the transaction was not run", self.name))),
        };
        // The caller may have hung up; what was committed stays committed.
        let _ = self.reply.send(outcome);
    }
}

/// The result of a future that has nothing to wait for: on SQLite every method of [`Tx`] is ready at once.
fn finish<T>(mut work: BoxFuture<'_, Result<T>>) -> Result<T> {
    match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Error::internal("a transaction waits for something other than its statements")),
    }
}

/// One thread's connection.
pub(super) struct Worker {
    connector: Connector,
    role: Role,
    session: Session,
}

impl Worker {
    pub(super) fn new(connector: Connector, role: Role) -> Self {
        Self { connector, role, session: Session::default() }
    }

    /// Opens the connection, unless there is a good one.
    pub(super) fn connect(&mut self) -> Result<(), Fault> {
        if !self.session.is_connected() {
            // Closed before the next is opened.
            self.session = Session::default();
            self.session = self.connector.connect(self.role)?;
        }
        Ok(())
    }

    /// Runs transactions that write until the queue is closed and empty.
    pub(super) fn write(mut self, mut jobs: mpsc::Receiver<Message>) {
        while let Some(message) = jobs.blocking_recv() {
            match message {
                Message::Close => jobs.close(),
                Message::Job(job) if job.is_abandoned() => {}
                Message::Job(job) => self.write_group(job, &mut jobs),
            }
        }
        // What fails to be folded in now is so when the file is next opened.
        let _ = self.session.checkpoint();
    }

    /// Runs transactions that read until the queue, which other threads share, is closed and empty.
    pub(super) fn read(mut self, jobs: &Mutex<mpsc::Receiver<Message>>) {
        // What fails to open now is tried again by the first job, which tells.
        let _ = self.connect();
        while let Some(mut job) = next_of_shared(jobs) {
            let outcome = self.begin("BEGIN DEFERRED").and_then(|()| {
                self.run(&mut *job);
                self.session.control("COMMIT")
            });
            self.end(&outcome, [job]);
        }
    }

    fn write_group(&mut self, first: Box<dyn Job>, jobs: &mut mpsc::Receiver<Message>) {
        if let Err(fault) = self.begin("BEGIN IMMEDIATE") {
            // Whoever waits now has waited, and would wait as long again for the same.
            first.answer(Some(&fault));
            while let Some(job) = next_waiting(jobs) {
                job.answer(Some(&fault));
            }
            return;
        }
        let mut ran = Vec::with_capacity(GROUP);
        let mut next = Some(first);
        let mut outcome = Ok(());
        let mut anything = false;
        while let Some(mut job) = next.take() {
            outcome = self.run_in_savepoint(&mut *job).map(|kept| anything |= kept);
            ran.push(job);
            if outcome.is_ok() && ran.len() < GROUP {
                next = next_waiting(jobs);
            }
        }
        // A commit would write the pages that were changed back, and wait for the disk.
        let last = if anything { "COMMIT" } else { "ROLLBACK" };
        let outcome = outcome.and_then(|()| self.session.control(last));
        self.end(&outcome, ran);
    }

    fn begin(&mut self, sql: &'static str) -> Result<(), Fault> {
        self.connect()?;
        self.session.control(sql)
    }

    /// Answers after the commit, failures too: what they saw may be of a neighbour that was lost.
    fn end(&mut self, outcome: &Result<(), Fault>, ran: impl IntoIterator<Item = Box<dyn Job>>) {
        if outcome.is_err() && self.session.is_in_transaction() && self.session.control("ROLLBACK").is_err() {
            // Closing the connection rolls back.
            self.session = Session::default();
        }
        for job in ran {
            job.answer(outcome.as_ref().err());
        }
    }

    /// Runs a job so that its failure is its own; whether it is kept, and `Err` when the whole group is lost.
    fn run_in_savepoint(&mut self, job: &mut dyn Job) -> Result<bool, Fault> {
        self.session.control("SAVEPOINT job")?;
        let keep = self.run(job);
        if !self.session.is_in_transaction() {
            return Err(Fault::Broken(format!("{}: SQLite has ended the transaction", job.name())));
        }
        if !keep {
            self.session.control("ROLLBACK TO job")?;
        }
        self.session.control("RELEASE job")?;
        Ok(keep)
    }

    fn run(&mut self, job: &mut dyn Job) -> bool {
        self.session.start(job.name());
        let session = DriverSession::Sqlite(std::mem::take(&mut self.session));
        let mut tx = Tx::new(session);
        let keep = job.run(&mut tx);
        if let DriverSession::Sqlite(lent) = tx.session {
            self.session = lent;
        }
        keep
    }
}

/// The next job that somebody waits for, if there is one.
fn next_waiting(jobs: &mut mpsc::Receiver<Message>) -> Option<Box<dyn Job>> {
    loop {
        match jobs.try_recv().ok()? {
            Message::Close => jobs.close(),
            Message::Job(job) if job.is_abandoned() => {}
            Message::Job(job) => return Some(job),
        }
    }
}

/// Waits for the next job of a queue that threads share; `None` when it is closed and empty. The lock is held
/// while this waits, so the queue is closed under the same hold: nobody else could get at it.
fn next_of_shared(jobs: &Mutex<mpsc::Receiver<Message>>) -> Option<Box<dyn Job>> {
    let mut jobs = lock(jobs);
    loop {
        match jobs.blocking_recv()? {
            Message::Close => jobs.close(),
            Message::Job(job) if job.is_abandoned() => {}
            Message::Job(job) => return Some(job),
        }
    }
}
