//! What every engine does: the tests that run on each.

use std::thread;
use std::time::Duration;

use patron_core::{Error, Result};
use patron_testing::Engine;
use tempfile::TempDir;

use super::{BoxFuture, Database, Options, Value};

const INSERT: &str = "INSERT INTO t (id, name) VALUES ($1, $2)";

struct Fixture {
    db: Database,
    url: String,
    _directory: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = Engine::of_this_run().empty_database(&directory.path().join("patron.db"));
        let db = open(&url).await;
        let schema = "CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE)";
        db.write("schema", move |tx| Box::pin(tx.execute_script(schema))).await.unwrap();
        Self { db, url, _directory: directory }
    }
}

/// What a process of its own has of the database.
async fn open(url: &str) -> Database {
    let options = Options { busy_timeout: Duration::from_mins(1), readers: 2, ..Options::default() };
    Database::open(url, options).await.unwrap()
}

async fn insert(db: &Database, id: i64) -> Result<u64> {
    db.write("insert", move |tx| {
        Box::pin(async move { tx.execute(INSERT, &[id.into(), format!("name {id}").into()]).await })
    })
    .await
}

async fn ids(db: &Database) -> Vec<i64> {
    let read = db.read("ids", |tx| Box::pin(tx.query("SELECT id FROM t ORDER BY id", &[])));
    read.await.unwrap().iter().map(|row| row.int(0).unwrap()).collect()
}

pub(super) fn cause<T>(result: Result<T>) -> String {
    match result {
        Err(Error::Internal { cause }) => cause,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("no error"),
    }
}

pub(super) fn is_unavailable<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Unavailable { .. }))
}

#[tokio::test]
async fn what_fails_is_undone_and_told_as_what_it_is() {
    let Fixture { db, _directory, .. } = Fixture::new().await;
    let refused = db.write("refused", |tx| {
        Box::pin(async {
            tx.execute(INSERT, &[Value::Int(1), "refused".into()]).await?;
            Err::<(), _>(Error::not_found("none"))
        })
    });
    assert!(matches!(refused.await, Err(Error::NotFound { text }) if text == "none"), "returned as it is");
    let panics = db.write("panics", |tx| {
        Box::pin(async {
            tx.execute(INSERT, &[Value::Int(2), "panics".into()]).await?;
            panic!("in the future");
            #[expect(unreachable_code, reason = "names the type")]
            Ok(())
        })
    });
    assert_eq!(cause(panics.await), "panics: the transaction panicked");
    let at_once = db.read("at once", |_| -> BoxFuture<'_, Result<()>> { panic!("in the closure") });
    assert_eq!(cause(at_once.await), "at once: the transaction panicked");
    assert_eq!(ids(&db).await, [0; 0]);
    assert_eq!(insert(&db, 3).await.unwrap(), 1);
    assert_eq!(ids(&db).await, [3]);
}

#[tokio::test]
async fn a_failed_statement_ends_its_transaction_even_if_the_closure_goes_on() {
    let Fixture { db, _directory, .. } = Fixture::new().await;
    insert(&db, 1).await.unwrap();
    let result = db.write("stubborn", |tx| {
        Box::pin(async {
            tx.execute(INSERT, &[Value::Int(2), "kept?".into()]).await?;
            tx.execute(INSERT, &[Value::Int(1), "taken".into()]).await.unwrap_err();
            tx.execute(INSERT, &[Value::Int(3), "later".into()]).await.unwrap_err();
            Ok(())
        })
    });
    let why = cause(result.await).to_lowercase();
    assert!(why.starts_with("stubborn: ") && why.contains("unique constraint"), "{why}");
    assert_eq!(ids(&db).await, [1]);
    insert(&db, 2).await.unwrap();
}

/// Inserts as another process, and waits for it: some drivers' transactions cannot wait for anything else.
fn insert_from_elsewhere(url: &str, id: i64) {
    let url = url.to_owned();
    let elsewhere = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { insert(&open(&url).await, id).await.unwrap() });
    });
    elsewhere.join().unwrap();
}

#[tokio::test]
async fn a_read_is_a_snapshot_and_cannot_write() {
    let Fixture { db, url, _directory } = Fixture::new().await;
    insert(&db, 1).await.unwrap();
    let counts = db.read("twice", move |tx| {
        let url = url.clone();
        Box::pin(async move {
            let before = tx.query("SELECT id FROM t", &[]).await?.len();
            insert_from_elsewhere(&url, 2);
            Ok((before, tx.query("SELECT id FROM t", &[]).await?.len()))
        })
    });
    assert_eq!(counts.await.unwrap(), (1, 1));
    assert_eq!(ids(&db).await, [1, 2]);
    let write = db.read("sly", |tx| Box::pin(tx.execute("DELETE FROM t", &[])));
    write.await.unwrap_err();
    let script = db.read("sly", |tx| Box::pin(tx.execute_script("DELETE FROM t")));
    script.await.unwrap_err();
    assert_eq!(ids(&db).await, [1, 2]);
}

#[tokio::test]
async fn placeholders_go_by_their_number_and_each_has_its_value() {
    let Fixture { db, _directory, .. } = Fixture::new().await;
    insert(&db, 1).await.unwrap();
    let query = |sql, params: &'static [i64]| {
        db.read("query", move |tx| {
            Box::pin(async move {
                let params: Vec<Value> = params.iter().map(|n| Value::from(*n)).collect();
                let row = tx.query_opt(sql, &params).await?;
                row.map(|row| Ok((row.int(0)?, row.int(1)?))).transpose()
            })
        })
    };
    let swapped = "SELECT CAST($2 AS BIGINT), CAST($1 AS BIGINT) FROM t WHERE id < $2";
    assert_eq!(query(swapped, &[1, 2]).await.unwrap(), Some((2, 1)));
    assert_eq!(query(swapped, &[2, 1]).await.unwrap(), None);
    cause(query(swapped, &[1]).await);
    cause(query(swapped, &[1, 2, 3]).await);
    assert!(
        cause(query("SELECT id, id FROM t UNION SELECT id + 1, id FROM t", &[]).await).contains("2 rows")
    );
}

#[tokio::test]
async fn every_kind_of_value_comes_back_and_returning_gives_rows() {
    let Fixture { db, _directory, .. } = Fixture::new().await;
    let blob = match Engine::of_this_run() {
        Engine::Sqlite => "CREATE TABLE k (a BIGINT, b TEXT, c BLOB, d TEXT)",
        Engine::Postgres => "CREATE TABLE k (a BIGINT, b TEXT, c BYTEA, d TEXT)",
    };
    db.write("table", move |tx| Box::pin(tx.execute_script(blob))).await.unwrap();
    for number in [i64::MIN, -1, 0, 1, i64::MAX] {
        let row = db.write("kinds", move |tx| {
            Box::pin(async move {
                let params = [number.into(), "ä'\"\\".into(), [0_u8, 255].into(), Value::Null];
                tx.query_opt("INSERT INTO k VALUES ($1, $2, $3, $4) RETURNING a, b, c, d", &params).await
            })
        });
        let row = row.await.unwrap().unwrap();
        assert_eq!((row.int(0).unwrap(), row.text(1).unwrap()), (number, "ä'\"\\"));
        assert_eq!((row.blob(2).unwrap(), row.opt_text(3).unwrap()), (&[0, 255][..], None));
    }
    let unread = db.write("unread", |tx| Box::pin(tx.execute("DELETE FROM k RETURNING a", &[])));
    assert_eq!(cause(unread.await), "unread: the statement returns rows and nobody reads them");
    let exists = async |table: &'static str| {
        db.read("exists", move |tx| Box::pin(async move { tx.table_exists(table).await })).await.unwrap()
    };
    assert_eq!((exists("k").await, exists("kk").await), (true, false));
}

#[tokio::test]
async fn causes_hold_no_values() {
    let Fixture { db, _directory, .. } = Fixture::new().await;
    insert(&db, 1).await.unwrap();
    let taken = db
        .write("taken", |tx| Box::pin(async { tx.execute(INSERT, &[Value::Int(2), "name 1".into()]).await }));
    let why = cause(taken.await);
    assert!(why.to_lowercase().contains("unique constraint") && !why.contains("name 1"), "{why}");
    let wrong = db.read("wrong", |tx| Box::pin(tx.query("SELECT absent FROM t", &[])));
    let why = cause(wrong.await);
    assert!(why.starts_with("wrong: ") && why.contains("absent"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_lose_no_update() {
    let Fixture { db, url, _directory } = Fixture::new().await;
    insert(&db, 0).await.unwrap();
    let other = open(&url).await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let db = if task % 2 == 0 { db.clone() } else { other.clone() };
            tokio::spawn(async move {
                for _ in 0..25 {
                    db.write("add", |tx| {
                        Box::pin(async {
                            let row = tx.query_opt("SELECT id FROM t", &[]).await?.unwrap();
                            tx.execute("UPDATE t SET id = $1", &[(row.int(0)? + 1).into()]).await
                        })
                    })
                    .await
                    .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(ids(&db).await, [200]);
}

/// Two that each read what the other writes: one after the other, one of them sees what the other has done.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writes_run_as_if_one_after_the_other() {
    let Fixture { db, url, _directory } = Fixture::new().await;
    let other = open(&url).await;
    for round in 0..20 {
        let insert_if_alone = |db: &Database, id: i64| {
            let db = db.clone();
            tokio::spawn(async move {
                db.write("alone", move |tx| {
                    Box::pin(async move {
                        let sql = "SELECT id FROM t WHERE id >= $1";
                        let there = tx.query(sql, &[(round * 10).into()]).await?;
                        if there.is_empty() {
                            tx.execute(INSERT, &[id.into(), format!("name {id}").into()]).await?;
                        }
                        Ok(there.len())
                    })
                })
                .await
            })
        };
        let (one, two) = (insert_if_alone(&db, round * 10), insert_if_alone(&other, round * 10 + 1));
        let mut there = [one.await.unwrap().unwrap(), two.await.unwrap().unwrap()];
        there.sort_unstable();
        assert_eq!(there, [0, 1], "both thought that they were alone");
    }
}

#[tokio::test]
async fn nothing_goes_on_once_it_is_closed() {
    let Fixture { db, url, _directory } = Fixture::new().await;
    insert(&db, 1).await.unwrap();
    db.clone().close().await;
    db.close().await;
    assert!(is_unavailable(&insert(&db, 2).await));
    assert!(is_unavailable(&db.read("late", |_| Box::pin(async { Ok(()) })).await));
    assert_eq!(ids(&open(&url).await).await, [1]);
}

#[tokio::test]
async fn strpos_counts_letters() {
    let Fixture { db, _directory, .. } = Fixture::new().await;
    let ask = async |sql: &'static str, values: [Value; 2]| {
        let read = db.read("ask", move |tx| {
            let values = values.clone();
            Box::pin(async move { tx.query_opt(sql, &values).await })
        });
        read.await.unwrap().unwrap()
    };
    let place = "SELECT STRPOS(CAST($1 AS TEXT), CAST($2 AS TEXT))";
    for (text, sought, at) in
        [("äbc", "bc", 2), ("abab", "b", 2), ("abc", "C", 0), ("", "a", 0), ("a", "", 1)]
    {
        let row = ask(place, [text.into(), sought.into()]).await;
        assert_eq!(row.int(0).unwrap(), at, "{sought} in {text}");
    }
    assert_eq!(ask(place, ["a".into(), Value::Null]).await.opt_int(0).unwrap(), None);
}
