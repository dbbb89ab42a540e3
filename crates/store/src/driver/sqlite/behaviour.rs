//! What is so because the database is a file with one writer. What every engine does is in `driver/conformance.rs`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use patron_core::{Error, Result};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::driver::conformance::{cause, is_unavailable};
use crate::driver::{BoxFuture, Database, Options, Value};

const INSERT: &str = "INSERT INTO t (id, name) VALUES ($1, $2)";

struct Fixture {
    db: Database,
    path: PathBuf,
    _directory: TempDir,
}

fn options(busy_timeout: Duration) -> Options {
    Options { busy_timeout, readers: 2, ..Options::default() }
}

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

async fn open(path: &Path) -> Database {
    Database::open(&url(path), options(Duration::from_mins(1))).await.unwrap()
}

async fn fixture_waiting(busy_timeout: Duration) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("patron.db");
    let db = Database::open(&url(&path), options(busy_timeout)).await.unwrap();
    db.write("schema", |tx| {
        Box::pin(tx.execute_script("CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE)"))
    })
    .await
    .unwrap();
    Fixture { db, path, _directory: directory }
}

async fn fixture() -> Fixture {
    fixture_waiting(Duration::from_mins(1)).await
}

/// A second program on the same file.
fn stranger(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_mins(1)).unwrap();
    connection
}

async fn insert(db: &Database, id: i64) -> Result<u64> {
    db.write("insert", move |tx| {
        Box::pin(async move { tx.execute(INSERT, &[id.into(), format!("name {id}").into()]).await })
    })
    .await
}

async fn ids(db: &Database) -> Vec<i64> {
    read_ids(db).await.unwrap()
}

async fn read_ids(db: &Database) -> Result<Vec<i64>> {
    let rows = db.read("ids", |tx| Box::pin(tx.query("SELECT id FROM t ORDER BY id", &[]))).await?;
    rows.iter().map(|row| row.int(0)).collect()
}

/// Hands the transaction in, so that the order of the calls is the order in which they are run.
fn hand_in<'f, T: Send + 'f>(call: impl Future<Output = Result<T>> + Send + 'f) -> BoxFuture<'f, Result<T>> {
    // Tokio would stop after some of them, to let other tasks run.
    let mut call: BoxFuture<'f, Result<T>> = Box::pin(tokio::task::unconstrained(call));
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => call,
        Poll::Ready(result) => Box::pin(std::future::ready(result)),
    }
}

/// Holds the writer up, so that what is handed in next waits and becomes one group; ends when it is dropped.
async fn hold_up(db: &Database) -> mpsc::Sender<()> {
    let (end, ended) = mpsc::channel();
    let (started, running) = oneshot::channel();
    let (started, ended) = (Mutex::new(Some(started)), Mutex::new(ended));
    let db = db.clone();
    tokio::spawn(async move {
        db.write("hold up", move |_| {
            started.lock().unwrap().take().unwrap().send(()).unwrap();
            ended.lock().unwrap().recv().unwrap_err();
            Box::pin(async { Ok(()) })
        })
        .await
    });
    running.await.unwrap();
    end
}

#[tokio::test]
async fn what_waits_is_committed_together_and_a_failure_is_its_own() {
    let Fixture { db, path, _directory } = fixture().await;
    let before = db.version().unwrap();
    let held = hold_up(&db).await;
    let mut inserts: Vec<_> = (0..40).map(|id| hand_in(insert(&db, id))).collect();
    let refused = hand_in(db.write("refused", |tx| {
        Box::pin(async {
            tx.execute(INSERT, &[Value::Int(50), "refused".into()]).await?;
            Err::<(), _>(Error::not_found("none"))
        })
    }));
    let twice = hand_in(db.write("twice", |tx| {
        Box::pin(async {
            tx.execute(INSERT, &[Value::Int(51), "first".into()]).await?;
            tx.execute(INSERT, &[Value::Int(51), "second".into()]).await
        })
    }));
    let panics = hand_in(db.write("panics", |_| -> BoxFuture<'_, Result<()>> { panic!("in the closure") }));
    let panics_later = hand_in(db.write("panics later", |tx| {
        Box::pin(async {
            tx.execute(INSERT, &[Value::Int(52), "panics".into()]).await?;
            panic!("in the future");
            #[expect(unreachable_code, reason = "names the type")]
            Ok(())
        })
    }));
    inserts.extend((100..200).map(|id| hand_in(insert(&db, id))));
    drop(held);

    for insert in inserts {
        assert_eq!(insert.await.unwrap(), 1);
    }
    assert!(matches!(refused.await, Err(Error::NotFound { text }) if text == "none"), "returned as it is");
    assert_eq!(cause(twice.await), "twice: UNIQUE constraint failed: t.id");
    assert_eq!(cause(panics.await), "panics: the transaction panicked");
    assert_eq!(cause(panics_later.await), "panics later: the transaction panicked");
    assert_ne!(db.version().unwrap(), before);
    assert_eq!(ids(&db).await, (0..40).chain(100..200).collect::<Vec<_>>());
    let count: i64 = stranger(&path).query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 140, "seen by others");
}

#[tokio::test]
async fn a_group_that_is_lost_is_lost_for_all_and_the_next_goes_on() {
    let Fixture { db, _directory, .. } = fixture().await;
    let held = hold_up(&db).await;
    let before = hand_in(insert(&db, 1));
    // Stands for what SQLite does by itself when the disk is full. The closure does not notice.
    let ends = hand_in(db.write("ends", |tx| {
        Box::pin(async {
            let _ = tx.execute_script("ROLLBACK").await;
            let _ = tx.execute(INSERT, &[Value::Int(2), "outside".into()]).await;
            Ok(())
        })
    }));
    let after = hand_in(insert(&db, 3));
    drop(held);

    assert!(is_unavailable(&before.await), "it was in the same group");
    assert!(is_unavailable(&ends.await));
    assert_eq!(after.await.unwrap(), 1);
    assert_eq!(ids(&db).await, [3], "nothing was written outside of a transaction");
}

#[tokio::test]
async fn a_full_database_is_unavailable_and_recovers_on_a_new_connection() {
    let Fixture { db, _directory, .. } = fixture().await;
    // Holds for the writer's connection only, for as long as it is open.
    db.write("limit", |tx| Box::pin(tx.execute_script("PRAGMA max_page_count = 1"))).await.unwrap();
    let large = |id: i64| {
        db.write("large", move |tx| {
            Box::pin(async move { tx.execute(INSERT, &[id.into(), "x".repeat(100_000).into()]).await })
        })
    };
    assert!(is_unavailable(&large(1).await));
    assert_eq!(large(2).await.unwrap(), 1);
    assert_eq!(ids(&db).await, [2]);
}

#[tokio::test]
async fn a_failed_statement_ends_its_transaction_even_if_the_closure_goes_on() {
    let Fixture { db, _directory, .. } = fixture().await;
    insert(&db, 1).await.unwrap();
    let result = db.write("stubborn", |tx| {
        Box::pin(async {
            tx.execute(INSERT, &[Value::Int(2), "kept?".into()]).await?;
            tx.execute(INSERT, &[Value::Int(1), "taken".into()]).await.unwrap_err();
            tx.execute(INSERT, &[Value::Int(3), "later".into()]).await.unwrap_err();
            Ok(())
        })
    });
    assert_eq!(cause(result.await), "stubborn: UNIQUE constraint failed: t.id");
    assert_eq!(ids(&db).await, [1]);
    insert(&db, 2).await.unwrap();
}

#[tokio::test]
async fn the_version_moves_with_every_commit_of_anybody_and_only_then() {
    let Fixture { db, path, _directory } = fixture().await;
    let other = open(&path).await;
    let mut seen = vec![db.version().unwrap()];
    let mut moved = |db: &Database| {
        let version = db.version().unwrap();
        let moved = !seen.contains(&version);
        seen.push(version);
        moved
    };

    assert!(!moved(&db));
    ids(&db).await;
    assert!(!moved(&db), "a read");
    db.write("refused", |tx| {
        Box::pin(async {
            tx.execute(INSERT, &[Value::Int(9), "refused".into()]).await?;
            Err::<(), _>(Error::TooLarge)
        })
    })
    .await
    .unwrap_err();
    assert!(!moved(&db), "a rollback");
    insert(&db, 1).await.unwrap();
    assert!(moved(&db), "its own writer");
    assert!(!moved(&db));
    insert(&other, 2).await.unwrap();
    assert!(moved(&db), "another process");
    stranger(&path).execute("DELETE FROM t", []).unwrap();
    assert!(moved(&db), "a stranger");
}

#[tokio::test]
async fn a_lock_is_unavailable_to_all_that_wait_and_passes() {
    let Fixture { db, path, _directory } = fixture_waiting(Duration::from_millis(50)).await;
    insert(&db, 1).await.unwrap();
    let mut stranger = stranger(&path);
    let lock = stranger.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();

    let waiting: Vec<_> = (2..200).map(|id| hand_in(insert(&db, id))).collect();
    for insert in waiting {
        assert!(is_unavailable(&insert.await));
    }
    assert_eq!(ids(&db).await, [1], "reads go on");
    db.version().unwrap();

    lock.commit().unwrap();
    insert(&db, 2).await.unwrap();
    assert_eq!(ids(&db).await, [1, 2], "what was unavailable was not done");
}

#[tokio::test]
async fn a_locked_file_cannot_be_opened_until_it_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("patron.db");
    let stranger = stranger(&path);
    stranger.execute_batch("BEGIN EXCLUSIVE; CREATE TABLE x (y)").unwrap();
    let opened = Database::open(&url(&path), options(Duration::from_millis(50))).await;
    assert!(is_unavailable(&opened));
    stranger.execute_batch("COMMIT").unwrap();
    Database::open(&url(&path), options(Duration::from_millis(50))).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_all_or_nothing() {
    let Fixture { db, _directory, .. } = fixture().await;
    let (started, running) = oneshot::channel();
    let (end, ended) = mpsc::channel::<()>();
    let (started, ended) = (Mutex::new(Some(started)), Arc::new(Mutex::new(ended)));
    let under_way = hand_in(db.write("under way", move |tx| {
        let started = started.lock().unwrap().take();
        let ended = Arc::clone(&ended);
        Box::pin(async move {
            tx.execute(INSERT, &[Value::Int(1), "one".into()]).await?;
            started.unwrap().send(()).unwrap();
            ended.lock().unwrap().recv().unwrap_err();
            tx.execute(INSERT, &[Value::Int(2), "two".into()]).await
        })
    }));
    running.await.unwrap();
    let waiting = hand_in(insert(&db, 3));
    let last = hand_in(insert(&db, 4));
    drop(under_way);
    drop(waiting);
    drop(end);
    last.await.unwrap();
    assert_eq!(ids(&db).await, [1, 2, 4]);
}

#[tokio::test]
async fn a_read_is_a_snapshot_and_cannot_write() {
    let Fixture { db, path, _directory } = fixture().await;
    insert(&db, 1).await.unwrap();
    let counts = db.read("twice", move |tx| {
        let path = path.clone();
        Box::pin(async move {
            let before = tx.query("SELECT id FROM t", &[]).await?.len();
            stranger(&path).execute("INSERT INTO t VALUES (2, 'in between')", []).unwrap();
            Ok((before, tx.query("SELECT id FROM t", &[]).await?.len()))
        })
    });
    assert_eq!(counts.await.unwrap(), (1, 1));
    assert_eq!(ids(&db).await, [1, 2]);

    let write = db.read("sly", |tx| Box::pin(tx.execute("DELETE FROM t", &[])));
    assert_eq!(cause(write.await), "sly: a statement that writes in a read");
    let script = db.read("sly", |tx| Box::pin(tx.execute_script("DELETE FROM t")));
    script.await.unwrap_err();
    let panics = db.read("panics", |_| -> BoxFuture<'_, Result<()>> { panic!("in a reader") });
    assert_eq!(cause(panics.await), "panics: the transaction panicked");
    assert_eq!(ids(&db).await, [1, 2]);
}

#[tokio::test]
async fn placeholders_go_by_their_number() {
    let Fixture { db, _directory, .. } = fixture().await;
    let query = |sql, params: &'static [i64]| {
        db.read("query", move |tx| {
            Box::pin(async move {
                let params: Vec<Value> = params.iter().map(|n| Value::from(*n)).collect();
                let row = tx.query_opt(sql, &params).await?;
                row.map(|row| Ok((row.int(0)?, row.int(1)?, row.int(2)?))).transpose()
            })
        })
    };
    assert_eq!(query("SELECT $2, $1, $2", &[1, 2]).await.unwrap(), Some((2, 1, 2)));
    assert_eq!(query("SELECT $1, 0, 0 WHERE $1 > 5", &[1]).await.unwrap(), None);
    assert_eq!(cause(query("SELECT $1, $2, 0", &[1]).await), "query: 2 placeholders and 1 parameters");
    assert_eq!(cause(query("SELECT $1, 0, 0", &[1, 2]).await), "query: 1 placeholders and 2 parameters");
    assert_eq!(cause(query("SELECT $1, $3, 0", &[1, 2]).await), "query: placeholders other than $1 to $2");
    assert_eq!(cause(query("SELECT ?, 0, 0", &[1]).await), "query: placeholders other than $1 to $1");
    assert!(cause(query("SELECT 1.5, 0, 0", &[]).await).contains("column 0 holds a real number"));
    assert!(cause(query("SELECT 1, 0, 0 UNION SELECT 2, 0, 0", &[]).await).contains("2 rows"));
}

#[tokio::test]
async fn causes_hold_no_values() {
    let Fixture { db, _directory, .. } = fixture().await;
    insert(&db, 1).await.unwrap();
    let taken = db
        .write("taken", |tx| Box::pin(async { tx.execute(INSERT, &[Value::Int(2), "name 1".into()]).await }));
    assert_eq!(cause(taken.await), "taken: UNIQUE constraint failed: t.name");
    // SQLite's own text quotes the path.
    let path = db.read("path", |tx| {
        Box::pin(async { tx.query("SELECT json_extract('{}', $1)", &["hush".into()]).await })
    });
    assert_eq!(cause(path.await), "path: SQL logic error (SQLite code 1)");
    let wrong = db.read("wrong", |tx| Box::pin(tx.query("SELECT absent FROM t", &[])));
    let wrong = cause(wrong.await);
    assert!(wrong.contains("no such column: absent"), "{wrong}");
}

#[tokio::test]
async fn a_transaction_may_wait_for_nothing_else() {
    let Fixture { db, _directory, .. } = fixture().await;
    let waits = db.write("waits", |tx| {
        Box::pin(async {
            tx.execute(INSERT, &[Value::Int(1), "one".into()]).await?;
            std::future::pending::<Result<()>>().await
        })
    });
    assert!(cause(waits.await).contains("waits for something other"));
    assert_eq!(ids(&db).await, [0; 0]);
}

#[tokio::test]
async fn closing_finishes_what_waits_and_leaves_one_file() {
    let Fixture { db, path, _directory } = fixture().await;
    db.version().unwrap();
    let held = hold_up(&db).await;
    let waiting: Vec<_> = (0..100).map(|id| hand_in(insert(&db, id))).collect();
    let (first, second) = (db.clone(), db.clone());
    let closing = tokio::spawn(async move { first.close().await });
    drop(held);
    closing.await.unwrap();
    second.close().await;
    for insert in waiting {
        insert.await.unwrap();
    }

    assert!(is_unavailable(&insert(&db, 200).await));
    assert!(is_unavailable(&db.read("late", |_| Box::pin(async { Ok(()) })).await));
    assert!(is_unavailable(&db.version()));
    assert!(!path.with_extension("db-wal").exists(), "folded in");
    assert_eq!(ids(&open(&path).await).await.len(), 100);
}

#[tokio::test]
async fn closing_ends_every_reader_whichever_hears_of_it() {
    let Fixture { path, _directory, .. } = fixture().await;
    for _ in 0..50 {
        let db = Database::open(&url(&path), Options { readers: 8, ..Options::default() }).await.unwrap();
        // Keeps them awake and after the same lock.
        let reads: Vec<_> = (0..200).map(|_| hand_in(read_ids(&db))).collect();
        db.close().await;
        for read in reads {
            read.await.unwrap();
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let Fixture { db, path, _directory } = fixture().await;
    insert(&db, 1).await.unwrap();
    for file in ["db", "db-wal", "db-shm"] {
        let mode = path.with_extension(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn fold_knows_all_letters_and_strpos_counts_them() {
    let fixture = fixture().await;
    let ask = async |sql: &'static str, values: [Value; 2]| {
        let read = fixture.db.read("ask", move |tx| {
            let values = values.clone();
            Box::pin(async move { tx.query_opt(sql, &values).await })
        });
        read.await.unwrap().unwrap()
    };
    for (given, lower) in [("ABC xyz", "abc xyz"), ("ÄÉΣ Straße", "äéσ straße"), ("ΟΔΟΣ", "οδοσ"), ("", "")]
    {
        let row = ask("SELECT FOLD($1), FOLD($2)", [given.into(), Value::Null]).await;
        assert_eq!((row.text(0).unwrap(), row.opt_text(1).unwrap()), (lower, None));
    }
    for (text, sought, place) in
        [("äbc", "bc", 2), ("abab", "b", 2), ("abc", "C", 0), ("", "a", 0), ("a", "", 1)]
    {
        let row = ask("SELECT STRPOS($1, $2)", [text.into(), sought.into()]).await;
        assert_eq!(row.int(0).unwrap(), place, "{sought} in {text}");
    }
    let row = ask("SELECT STRPOS($1, $2)", ["a".into(), Value::Null]).await;
    assert_eq!(row.opt_int(0).unwrap(), None);
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let failure = async |url: &str| match Database::open(url, Options::default()).await {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error.cause().unwrap().to_owned(),
    };
    assert_eq!(
        failure("mysql://user:hush@host/db").await,
        "the database URL begins with neither `sqlite:` nor `postgres:`"
    );
    assert!(failure("sqlite:").await.contains("wants the path of a file"));
    assert!(failure("sqlite::memory:").await.contains("wants the path of a file"));
    assert!(failure("sqlite:a.db?mode=ro").await.contains("takes no parameters"));

    let missing = failure(&url(&directory.path().join("none/patron.db"))).await;
    assert!(missing.contains("cannot create") && missing.contains("none/patron.db"), "{missing}");
    let text = directory.path().join("notes.txt");
    std::fs::write(&text, "dear diary, ".repeat(100)).unwrap();
    let no_database = failure(&url(&text)).await;
    assert!(no_database.contains("notes.txt: file is not a database"), "{no_database}");
    assert_eq!(std::fs::read_to_string(&text).unwrap(), "dear diary, ".repeat(100));
}
