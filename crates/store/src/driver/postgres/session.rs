//! One connection and the transaction on it.

use deadpool_postgres::Object;
use futures_util::future::{join, join_all};
use patron_core::{Error, Result};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Duration, timeout};
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::fault::Fault;
use super::value;
use crate::driver::value::{Row, Value};
use crate::driver::{Hold, Query};

/// How long it may take to tell a server that nobody waits for it any more.
const CANCEL_LIMIT: Duration = Duration::from_secs(1);
/// Lifts the server's time limit for what comes next in the transaction.
const WAIT: &str = "SET LOCAL statement_timeout = 0";
/// The same, and wakes whoever listens once the transaction is committed. See [`super::listen`].
const NOTIFY_AND_WAIT: &str = "NOTIFY patron_changes; SET LOCAL statement_timeout = 0";

/// When a connection was taken. The service may learn meanwhile that there is another primary.
pub(super) struct Generation {
    current: watch::Receiver<u64>,
    taken: u64,
}

impl Generation {
    pub(super) fn now(current: &watch::Sender<u64>) -> Self {
        let current = current.subscribe();
        let taken = *current.borrow();
        Self { current, taken }
    }

    fn is_current(&self) -> bool {
        *self.current.borrow() == self.taken
    }

    /// Ends when there is another one.
    pub(super) async fn over(&self) {
        let mut current = self.current.clone();
        if current.wait_for(|generation| *generation != self.taken).await.is_err() {
            // The database is closed. What is under way ends by itself.
            std::future::pending::<()>().await;
        }
    }
}

/// A connection that was taken from the pool for one transaction. Without a connection, every statement is unavailable.
///
/// It goes back by [`Session::end`] alone, and only if it is as any other of the pool. Dropped in any other way, by a
/// panic or a deadline, it is closed, which rolls back: what state it is in is not known.
pub(in crate::driver) struct Session {
    connection: Option<Object>,
    /// It has settings or locks of its own, which end with it.
    is_special: bool,
    generation: Generation,
    /// The name of the transaction, for the causes of errors.
    name: &'static str,
    /// The first failure of a statement in this transaction.
    failed: Option<Fault>,
    /// What a request to cancel is sent with, if one is to be sent when this is cut short.
    cancels: Option<MakeRustlsConnect>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
    }
}

impl Session {
    pub(super) fn new(
        connection: Object,
        generation: Generation,
        name: &'static str,
        is_special: bool,
    ) -> Self {
        Self { connection: Some(connection), is_special, generation, name, failed: None, cancels: None }
    }

    /// Gives the connection back to the pool, unless it is no longer to be used. There may be no transaction on it.
    pub(super) fn end(mut self) {
        if !self.is_special && self.generation.is_current() {
            drop(self.connection.take());
        }
    }

    /// Has the server told when this is cut short. A commit that waits for a standby outlives its connection otherwise,
    /// and takes a place among the server's connections for as long as the standby is away. It is done then, whether a
    /// standby has it or not: only for what nobody relies on.
    pub(super) fn cancel_if_cut_short(&mut self, tls: MakeRustlsConnect) {
        self.cancels = Some(tls);
    }

    /// Takes the connection away from the pool for good.
    fn close(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if let (Some(tls), Ok(runtime)) = (self.cancels.take(), Handle::try_current()) {
            let cancel = connection.cancel_token();
            runtime.spawn(async move { drop(timeout(CANCEL_LIMIT, cancel.cancel_query(tls)).await) });
        }
        drop(Object::take(connection));
    }

    /// Ends when the connection is no longer to be used, if that comes before it is given back.
    pub(super) async fn outlives_its_generation(&self) {
        self.generation.over().await;
    }

    /// Gives up the connection, for it leads to the wrong server, and the transaction, which may run again on another.
    pub(in crate::driver) fn leave(&mut self, cause: &str) {
        self.failed.get_or_insert_with(|| Fault::broken(cause));
    }

    pub(super) fn fault(&self) -> Option<&Fault> {
        self.failed.as_ref()
    }

    pub(in crate::driver) fn failure(&self) -> Option<Error> {
        self.failed.as_ref().map(Fault::error)
    }

    /// Begins or undoes a transaction, whatever its state.
    pub(super) async fn control(&self, sql: &'static str) -> Result<(), Fault> {
        let outcome = self.connected()?.batch_execute(sql).await;
        outcome.map_err(|error| Fault::of(&error).prefixed(self.name))
    }

    /// What a question is answered that is asked before the transaction begins.
    pub(super) async fn is_true(&self, sql: &'static str) -> Result<bool, Fault> {
        let answer = self.connected()?.query_one(sql, &[]).await;
        answer.and_then(|row| row.try_get(0)).map_err(|error| Fault::of(&error).prefixed(self.name))
    }

    /// Commits. The server's own time limit does not hold for it: a commit that waits for a standby and is cut short
    /// is answered as if it had been done, with nothing but a warning.
    pub(super) async fn commit(&self, notify: bool) -> Result<(), Fault> {
        let connection = self.connected()?;
        let before = if notify { NOTIFY_AND_WAIT } else { WAIT };
        // Both are on their way at once.
        let before = connection.batch_execute(before);
        let (before, committed) = join(before, connection.batch_execute("COMMIT")).await;
        before.and(committed).map_err(|error| Fault::of(&error).prefixed(self.name))
    }

    /// Commits, and gives the connection back.
    pub(in crate::driver) async fn finish(self) -> Result<()> {
        if let Some(fault) = &self.failed {
            return Err(fault.error());
        }
        self.commit(false).await.map_err(|fault| fault.error())?;
        self.end();
        Ok(())
    }

    pub(in crate::driver) async fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64> {
        let outcome = self.try_execute(sql, params).await;
        self.noted(outcome)
    }

    pub(in crate::driver) async fn query(
        &mut self,
        sql: &'static str,
        params: &[Value],
        hold: Hold,
    ) -> Result<Vec<Row>> {
        let outcome = self.try_query(sql, params, hold).await;
        self.noted(outcome)
    }

    /// All are sent before the first is answered, and run in their order.
    pub(in crate::driver) async fn query_each(&mut self, queries: &[Query]) -> Result<Vec<Vec<Row>>> {
        let outcome = self.try_query_each(queries).await;
        self.noted(outcome)
    }

    pub(in crate::driver) async fn execute_script(&mut self, sql: &str) -> Result<()> {
        let outcome = self.try_execute_script(sql).await;
        self.noted(outcome)
    }

    async fn try_execute(&self, sql: &'static str, params: &[Value]) -> Result<u64, Fault> {
        let connection = self.ready()?;
        let statement = connection.prepare_cached(sql).await.map_err(|error| Fault::of(&error))?;
        if !statement.columns().is_empty() {
            return Err(Fault::Mistake("the statement returns rows and nobody reads them".to_owned()));
        }
        connection.execute(&statement, &bound(&statement, params)?).await.map_err(|error| Fault::of(&error))
    }

    async fn try_query_each(&self, queries: &[Query]) -> Result<Vec<Vec<Row>>, Fault> {
        // All first: while one is still made known to the server, others that it knows would overtake it.
        let mut statements = Vec::with_capacity(queries.len());
        for query in queries {
            statements.push(self.statement(query.sql, query.hold).await?);
        }
        let each = statements.iter().zip(queries);
        let found = join_all(each.map(|(statement, query)| self.run_query(statement, &query.params))).await;
        // The first failure in their order tells why; those behind it, that it has failed.
        found.into_iter().collect()
    }

    async fn try_query(&self, sql: &'static str, params: &[Value], hold: Hold) -> Result<Vec<Row>, Fault> {
        let statement = self.statement(sql, hold).await?;
        self.run_query(&statement, params).await
    }

    async fn statement(&self, sql: &'static str, hold: Hold) -> Result<Statement, Fault> {
        let connection = self.ready()?;
        // Rows that refer to those that are held may come and go meanwhile: their keys stay as they are.
        let statement = match hold {
            Hold::No => connection.prepare_cached(sql).await,
            Hold::Wait => connection.prepare_cached(&format!("{sql} FOR NO KEY UPDATE")).await,
            Hold::Skip => connection.prepare_cached(&format!("{sql} FOR NO KEY UPDATE SKIP LOCKED")).await,
        };
        statement.map_err(|error| Fault::of(&error))
    }

    async fn run_query(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Fault> {
        let rows = self.connected()?.query(statement, &bound(statement, params)?).await;
        let rows = rows.map_err(|error| Fault::of(&error))?;
        rows.iter().map(|row| value::row(row).map_err(|error| Fault::of(&error))).collect()
    }

    async fn try_execute_script(&self, sql: &str) -> Result<(), Fault> {
        self.ready()?.batch_execute(sql).await.map_err(|error| Fault::of(&error))
    }

    fn connected(&self) -> Result<&Object, Fault> {
        self.connection.as_ref().ok_or_else(|| Fault::broken("there is no connection to the database"))
    }

    /// The connection, unless a statement of this transaction has failed.
    fn ready(&self) -> Result<&Object, Fault> {
        self.failed.clone().map_or(Ok(()), Err)?;
        self.connected()
    }

    /// Keeps the first failure of the transaction.
    fn noted<T>(&mut self, outcome: Result<T, Fault>) -> Result<T> {
        outcome.map_err(|fault| {
            let first = self.failed.get_or_insert_with(|| fault.prefixed(self.name));
            first.error()
        })
    }
}

/// The values for a statement's placeholders, as many as there are.
fn bound<'p>(statement: &Statement, params: &'p [Value]) -> Result<Vec<&'p (dyn ToSql + Sync)>, Fault> {
    let count = statement.params().len();
    if count != params.len() {
        return Err(Fault::Mistake(format!("{count} placeholders and {} parameters", params.len())));
    }
    Ok(params.iter().map(|value| value as &(dyn ToSql + Sync)).collect())
}
