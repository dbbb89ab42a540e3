//! The schema's versions: which the database has, and the steps to the one that this program knows.
//!
//! Each step is one transaction, recorded in the table `schema_migrations`. Processes that start together take
//! turns: what is missing is looked up again under the writer's lock.

use std::sync::Arc;

use patron_core::Error;
use patron_core::time::Timestamp;

use crate::driver::{Database, Tx};

/// Portable: read by every driver before it knows anything else of the database.
const CREATE: &str = "CREATE TABLE schema_migrations (
    version BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    applied BIGINT NOT NULL
)";

/// One step from a version of the schema to the next.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its place in the order, from 1, without gaps.
    pub version: i64,
    /// What it does, as in its file's name; a version never changes its name.
    pub name: &'static str,
    /// Any number of statements, free of `BEGIN` and `COMMIT`.
    pub sql: &'static str,
}

/// Why a database was not brought to the known version. `Display` is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A later Patron has used the database.
    #[error(
        "the database has schema version {found}, and this Patron knows versions up to {known}: \
         update Patron or restore a backup"
    )]
    Newer {
        /// The highest version in the database.
        found: i64,
        /// The highest version that this program knows.
        known: i64,
    },
    /// The database's history is not the beginning of this program's.
    #[error(
        "the database's schema is not Patron's: its history has {found} where version {version} '{known}' belongs; \
         restore a backup"
    )]
    Diverged {
        /// The version in question.
        version: i64,
        /// What this program calls it.
        known: &'static str,
        /// What stands in its place.
        found: String,
    },
    /// The database failed or is out of reach, or a step is wrong; a step that failed has left nothing behind.
    #[error("the database's schema cannot be brought up to date: {}", .0.cause().unwrap_or("no cause is known"))]
    Database(#[from] Error),
}

/// Applies what the database lacks of `migrations`, each with `now` as its time.
///
/// Fails when the database is newer than `migrations`, or has another history than theirs. Migrations are
/// numbered from 1 without gaps.
pub async fn migrate(db: &Database, migrations: &[Migration], now: Timestamp) -> Result<(), MigrateError> {
    if !migrations.iter().zip(1..).all(|(migration, version)| migration.version == version) {
        return Err(Error::internal("migrations are not numbered from 1 without gaps").into());
    }
    let migrations: Arc<[Migration]> = migrations.into();
    loop {
        // A database that is up to date, or refused, is not written to.
        let applied = db.read("migrate.look", |tx| Box::pin(history(tx))).await?;
        if remaining(&applied, &migrations)?.is_empty() {
            return Ok(());
        }
        let migrations = Arc::clone(&migrations);
        db.write_alone("migrate.apply", move |tx| {
            let migrations = Arc::clone(&migrations);
            Box::pin(async move { apply_next(tx, &migrations, now).await })
        })
        .await??;
    }
}

/// The highest version that was applied; `None` for a database without a schema. For readiness checks.
pub async fn current(db: &Database) -> Result<Option<i64>, Error> {
    let applied = db.read("migrate.current", |tx| Box::pin(history(tx))).await?;
    Ok(applied.last().map(|applied| applied.version))
}

/// A step that the database has taken.
struct Applied {
    version: i64,
    name: String,
}

async fn history(tx: &mut Tx) -> Result<Vec<Applied>, Error> {
    if !tx.table_exists("schema_migrations").await? {
        return Ok(Vec::new());
    }
    let rows = tx.query("SELECT version, name FROM schema_migrations ORDER BY version", &[]).await?;
    rows.iter().map(|row| Ok(Applied { version: row.int(0)?, name: row.text(1)?.to_owned() })).collect()
}

/// The steps that are left to take, if those taken are the first of `migrations`.
fn remaining<'m>(applied: &[Applied], migrations: &'m [Migration]) -> Result<&'m [Migration], MigrateError> {
    let known = migrations.last().map_or(0, |migration| migration.version);
    if let Some(newest) = applied.last().filter(|newest| newest.version > known) {
        return Err(MigrateError::Newer { found: newest.version, known });
    }
    for (found, known) in applied.iter().zip(migrations) {
        if (found.version, found.name.as_str()) != (known.version, known.name) {
            return Err(MigrateError::Diverged {
                version: known.version,
                known: known.name,
                found: format!("version {} '{}'", found.version, found.name),
            });
        }
    }
    Ok(migrations.get(applied.len()..).unwrap_or_default())
}

/// Takes the next step, unless another process has taken it in the meantime. A refusal is no error of the
/// transaction's: it has written nothing.
async fn apply_next(
    tx: &mut Tx,
    migrations: &[Migration],
    now: Timestamp,
) -> Result<Result<(), MigrateError>, Error> {
    let applied = history(tx).await?;
    let next = match remaining(&applied, migrations) {
        Ok(remaining) => remaining.first(),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let Some(next) = next else { return Ok(Ok(())) };
    if !tx.table_exists("schema_migrations").await? {
        tx.execute_script(CREATE).await?;
    }
    tx.execute_script(next.sql).await.map_err(|error| of_step(next, error))?;
    tx.execute(
        "INSERT INTO schema_migrations (version, name, applied) VALUES ($1, $2, $3)",
        &[next.version.into(), next.name.into(), now.millis().into()],
    )
    .await?;
    Ok(Ok(()))
}

/// Says in the cause which step failed.
fn of_step(step: &Migration, error: Error) -> Error {
    let told = |cause: String| format!("migration {} '{}': {cause}", step.version, step.name);
    match error {
        Error::Unavailable { cause } => Error::unavailable(told(cause)),
        Error::Internal { cause } => Error::internal(told(cause)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use patron_testing::Engine;

    use super::*;
    use crate::driver::Options;

    const FIRST: Migration =
        Migration { version: 1, name: "first", sql: "CREATE TABLE a (x BIGINT); CREATE TABLE b (x BIGINT);" };
    const SECOND: Migration = Migration { version: 2, name: "second", sql: "INSERT INTO a VALUES (1);" };
    const THIRD: Migration = Migration { version: 3, name: "third", sql: "INSERT INTO a VALUES (2);" };

    fn now() -> Timestamp {
        Timestamp::from_millis(1_000)
    }

    /// An empty database, and where it is.
    struct Place {
        url: String,
        _directory: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let url = Engine::of_this_run().empty_database(&directory.path().join("patron.db"));
            Self { url, _directory: directory }
        }
    }

    async fn open(place: &Place) -> Database {
        let options = Options { busy_timeout: Duration::from_mins(1), readers: 1, ..Options::default() };
        Database::open(&place.url, options).await.unwrap()
    }

    async fn ints(db: &Database, sql: &'static str) -> Vec<i64> {
        let rows = db.read("test", move |tx| Box::pin(tx.query(sql, &[]))).await.unwrap();
        rows.iter().map(|row| row.int(0).unwrap()).collect()
    }

    async fn run(db: &Database, sql: &'static str) {
        db.write("test", move |tx| Box::pin(tx.execute_script(sql))).await.unwrap();
    }

    #[tokio::test]
    async fn applies_what_is_missing_in_order_and_once() {
        let place = Place::new();
        let db = open(&place).await;
        assert_eq!(current(&db).await.unwrap(), None);
        migrate(&db, &[], now()).await.unwrap();
        assert_eq!(current(&db).await.unwrap(), None);

        migrate(&db, &[FIRST, SECOND], now()).await.unwrap();
        assert_eq!(current(&db).await.unwrap(), Some(2));
        migrate(&db, &[FIRST, SECOND, THIRD], Timestamp::from_millis(2_000)).await.unwrap();
        assert_eq!(current(&db).await.unwrap(), Some(3));
        migrate(&db, &[FIRST, SECOND, THIRD], now()).await.unwrap();
        assert_eq!(ints(&db, "SELECT x FROM a ORDER BY x").await, [1, 2]);
        assert_eq!(
            ints(&db, "SELECT applied FROM schema_migrations ORDER BY version").await,
            [1_000, 1_000, 2_000]
        );
    }

    #[tokio::test]
    async fn a_step_that_fails_leaves_nothing_and_is_named() {
        let place = Place::new();
        let db = open(&place).await;
        let broken = Migration {
            version: 2,
            name: "broken",
            sql: "INSERT INTO a VALUES (7); INSERT INTO nowhere VALUES (1);",
        };
        let error = migrate(&db, &[FIRST, broken], now()).await.unwrap_err().to_string();
        assert!(error.contains("migration 2 'broken'") && error.contains("nowhere"), "{error}");
        assert_eq!(current(&db).await.unwrap(), Some(1));
        assert_eq!(ints(&db, "SELECT x FROM a").await, [0; 0]);
        migrate(&db, &[FIRST, SECOND], now()).await.unwrap();
        assert_eq!(ints(&db, "SELECT x FROM a").await, [1]);
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused() {
        let place = Place::new();
        let db = open(&place).await;
        migrate(&db, &[FIRST, SECOND, THIRD], now()).await.unwrap();
        let error = migrate(&db, &[FIRST], now()).await.unwrap_err();
        assert!(matches!(error, MigrateError::Newer { found: 3, known: 1 }), "{error}");
        assert_eq!(
            error.to_string(),
            "the database has schema version 3, and this Patron knows versions up to 1: \
             update Patron or restore a backup"
        );
    }

    #[tokio::test]
    async fn a_gap_and_another_name_are_refused() {
        let place = Place::new();
        let db = open(&place).await;
        migrate(&db, &[FIRST, SECOND, THIRD], now()).await.unwrap();

        let renamed = Migration { name: "2nd", ..SECOND };
        let error = migrate(&db, &[FIRST, renamed, THIRD], now()).await.unwrap_err();
        assert!(matches!(error, MigrateError::Diverged { version: 2, known: "2nd", .. }), "{error}");

        run(&db, "DELETE FROM schema_migrations WHERE version = 2").await;
        let error = migrate(&db, &[FIRST, SECOND, THIRD], now()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the database's schema is not Patron's: its history has version 3 'third' where version 2 'second' \
             belongs; restore a backup"
        );
    }

    #[tokio::test]
    async fn a_list_with_a_gap_is_a_fault() {
        let place = Place::new();
        let db = open(&place).await;
        let error = migrate(&db, &[FIRST, THIRD], now()).await.unwrap_err();
        assert!(matches!(error, MigrateError::Database(Error::Internal { .. })), "{error}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_that_start_together_apply_each_step_once() {
        let place = Arc::new(Place::new());
        let starts: Vec<_> = (0..8)
            .map(|_| {
                let place = Arc::clone(&place);
                tokio::spawn(async move {
                    let db = open(&place).await;
                    migrate(&db, &[FIRST, SECOND, THIRD], now()).await.unwrap();
                    assert_eq!(ints(&db, "SELECT x FROM a ORDER BY x").await, [1, 2]);
                    db.close().await;
                })
            })
            .collect();
        for start in starts {
            start.await.unwrap();
        }
    }

    mod sqlite {
        use super::*;

        #[tokio::test]
        async fn an_up_to_date_file_is_not_written_to() {
            let directory = tempfile::tempdir().unwrap();
            let url = Engine::Sqlite.empty_database(&directory.path().join("patron.db"));
            let db = Database::open(&url, Options::default()).await.unwrap();
            migrate(&db, &[FIRST, SECOND], now()).await.unwrap();
            let version = db.version().unwrap();
            migrate(&db, &[FIRST, SECOND], now()).await.unwrap();
            assert_eq!(db.version().unwrap(), version);
        }
    }
}
