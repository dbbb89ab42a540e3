//! The database behind Patron's back, whichever engine this run of the tests is about.

use std::{fs, thread};

use patron_store::driver::{self, BoxFuture, Options, Row, Tx, Value};
use patron_testing::Engine;

/// What SQLite has by that name, so that statements need not be written twice.
const RANDOMBLOB: &str = "CREATE OR REPLACE FUNCTION randomblob(length INTEGER) RETURNS BYTEA LANGUAGE SQL AS $$ \
     SELECT substring(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) FROM 1 FOR length) $$";

/// A test's own way to the database: what no statement of Patron's does. Calls block, in async tests too.
pub(crate) struct Database {
    url: String,
}

impl Database {
    pub(crate) fn at(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    /// Runs a statement, which may call SQLite's `randomblob`; the number of rows that it changed.
    #[track_caller]
    pub(crate) fn execute(&self, sql: &str, params: &[Value]) -> u64 {
        if Engine::of_this_run() == Engine::Postgres && sql.contains("randomblob") {
            self.script(RANDOMBLOB);
        }
        let (sql, params) = (known(sql), params.to_vec());
        self.write(move |tx| {
            let params = params.clone();
            Box::pin(async move { tx.execute(sql, &params).await })
        })
    }

    /// Runs any number of statements.
    #[track_caller]
    pub(crate) fn script(&self, sql: &str) {
        let sql = known(sql);
        self.write(move |tx| Box::pin(tx.execute_script(sql)));
    }

    /// The rows that a statement finds.
    #[track_caller]
    pub(crate) fn query(&self, sql: &str, params: &[Value]) -> Vec<Row> {
        let (sql, params) = (known(sql), params.to_vec());
        self.write(move |tx| {
            let params = params.clone();
            Box::pin(async move { tx.query(sql, &params).await })
        })
    }

    /// The one row that a statement finds.
    #[track_caller]
    pub(crate) fn row(&self, sql: &str, params: &[Value]) -> Row {
        let mut rows = self.query(sql, params);
        assert_eq!(rows.len(), 1, "{sql}");
        rows.remove(0)
    }

    /// From now on, inserting into this table fails where `condition` holds.
    pub(crate) fn forbid_inserting(&self, table: &str, condition: &str) {
        let fail = match Engine::of_this_run() {
            Engine::Sqlite => "SELECT RAISE(ABORT, 'the trail is full of secret words')",
            Engine::Postgres => "RAISE EXCEPTION 'the trail is full of secret words'",
        };
        self.trigger("BEFORE INSERT", table, condition, fail);
    }

    /// From now on, each row of this table that is updated has `statement` done as well.
    pub(crate) fn add_to_updates(&self, table: &str, statement: &str) {
        self.trigger("AFTER UPDATE", table, "1 = 1", statement);
    }

    fn trigger(&self, when: &str, table: &str, condition: &str, action: &str) {
        let sql = match Engine::of_this_run() {
            Engine::Sqlite => {
                format!("CREATE TRIGGER test {when} ON {table} WHEN {condition} BEGIN {action}; END")
            }
            Engine::Postgres => format!(
                "CREATE FUNCTION test() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN \
                 IF {condition} THEN {action}; END IF; RETURN NEW; END $$; \
                 CREATE TRIGGER test {when} ON {table} FOR EACH ROW EXECUTE FUNCTION test()"
            ),
        };
        self.script(&sql);
    }

    /// Takes back what was forbidden or added last.
    pub(crate) fn allow(&self) {
        self.script(match Engine::of_this_run() {
            Engine::Sqlite => "DROP TRIGGER test",
            Engine::Postgres => "DROP FUNCTION test CASCADE",
        });
    }

    /// All that is in it, as whoever gets hold of it finds it: the bytes of its files, or a dump.
    pub(crate) fn dump(&self) -> Vec<u8> {
        let Some(path) = self.url.strip_prefix("sqlite:") else {
            return patron_testing::dump(&self.url).into_bytes();
        };
        let files = ["", "-wal"].map(|suffix| fs::read(format!("{path}{suffix}")).unwrap_or_default());
        files.concat()
    }

    /// That nothing in its files is broken. Those of a server are out of Patron's reach.
    pub(crate) fn assert_whole(&self) {
        if Engine::of_this_run() == Engine::Sqlite {
            assert_eq!(self.row("PRAGMA integrity_check", &[]).text(0).unwrap(), "ok");
        }
    }

    #[track_caller]
    fn write<T, F>(&self, work: F) -> T
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, patron_core::Result<T>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let done = thread::scope(|scope| {
            // A runtime of its own, on a thread of its own: the test's may be waiting for this call.
            let thread = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let database = driver::Database::open(&self.url, Options::default()).await?;
                    let done = database.write("test", work).await;
                    database.close().await;
                    done
                })
            });
            thread.join().unwrap()
        });
        done.unwrap_or_else(|error| panic!("{error:?}"))
    }
}

/// Which of these files of SQLite's are in the data folder: all, or none when the database is elsewhere.
pub(crate) fn database_files<'f>(files: &[&'f str]) -> Vec<&'f str> {
    match Engine::of_this_run() {
        Engine::Sqlite => files.to_vec(),
        Engine::Postgres => Vec::new(),
    }
}

/// The driver takes statements that stand in the program, while tests put some together.
fn known(sql: &str) -> &'static str {
    sql.to_owned().leak()
}
