//! What only a server can do to a transaction. The rest is in `driver/tests.rs`, for every engine.

mod postgres {
    use std::sync::Arc;
    use std::time::Duration;

    use patron_core::{Error, Result};
    use patron_testing::{Cluster, Proxy, Settings, database_url};

    use crate::driver::{Database, Hold, Options, Value};

    async fn open(url: &str) -> Database {
        Database::open(url, Options::default()).await.unwrap()
    }

    async fn number(db: &Database, sql: &'static str) -> i64 {
        db.read("number", move |tx| Box::pin(tx.query_opt(sql, &[]))).await.unwrap().unwrap().int(0).unwrap()
    }

    async fn script(db: &Database, sql: &'static str) -> Result<()> {
        db.write("script", move |tx| Box::pin(tx.execute_script(sql))).await
    }

    fn cause<T>(result: Result<T>) -> String {
        match result.map(drop).unwrap_err() {
            Error::Unavailable { cause } => cause,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn transactions_that_lose_a_conflict_run_again_until_they_win() {
        let db = open(&database_url()).await;
        script(&db, "CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (0)").await.unwrap();
        // Each reads and writes the same row, so of those at the same time all but one lose.
        let add = || {
            db.write("add", |tx| {
                Box::pin(async move {
                    let n = tx.query("SELECT n FROM t", &[]).await?[0].int(0)?;
                    tx.execute("UPDATE t SET n = $1", &[Value::Int(n + 1)]).await
                })
            })
        };
        let all = futures_util::future::join_all((0..40).map(|_| add())).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
        assert_eq!(number(&db, "SELECT n FROM t").await, 40);
    }

    #[tokio::test]
    async fn what_two_transactions_must_not_both_do_only_one_does() {
        let db = open(&database_url()).await;
        script(&db, "CREATE TABLE t (n BIGINT)").await.unwrap();
        // As when an owner may have one token more.
        let insert = || {
            db.write("insert", |tx| {
                Box::pin(async move {
                    let there = tx.query("SELECT COUNT(*) FROM t", &[]).await?[0].int(0)?;
                    if there > 0 {
                        return Err(Error::not_found("no room"));
                    }
                    tx.execute("INSERT INTO t VALUES (1)", &[]).await
                })
            })
        };
        let all = futures_util::future::join_all((0..20).map(|_| insert())).await;
        assert_eq!(all.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(number(&db, "SELECT COUNT(*) FROM t").await, 1);
    }

    #[tokio::test]
    async fn whoever_ends_what_is_held_waits_for_those_that_hold_it() {
        let url = database_url();
        let (db, other) = (open(&url).await, open(&url).await);
        script(&db, "CREATE TABLE t (n BIGINT); CREATE TABLE done (who TEXT); INSERT INTO t VALUES (7)")
            .await
            .unwrap();
        let (holds, held) = tokio::sync::oneshot::channel();
        let (go_on, goes_on) = tokio::sync::oneshot::channel::<()>();
        let parts = Arc::new(std::sync::Mutex::new(Some((holds, goes_on))));
        let holder = db.write("holder", move |tx| {
            let parts = Arc::clone(&parts);
            Box::pin(async move {
                tx.query_held("SELECT n FROM t", &[], Hold::Shared).await?;
                let (holds, goes_on) = parts.lock().unwrap().take().expect("it is not run twice");
                holds.send(()).unwrap();
                goes_on.await.unwrap();
                tx.execute("INSERT INTO done VALUES ('holder')", &[]).await
            })
        });
        let ender = async {
            held.await.unwrap();
            let end = tokio::spawn(async move {
                script(&other, "DELETE FROM t; INSERT INTO done VALUES ('ender')").await
            });
            // It waits for the row: nothing else here waits for a lock.
            while number(&db, "SELECT COUNT(*) FROM pg_locks WHERE NOT granted").await == 0 {}
            assert_eq!(number(&db, "SELECT COUNT(*) FROM done").await, 0);
            go_on.send(()).unwrap();
            end.await.unwrap()
        };
        let (held, ended) = tokio::join!(holder, ender);
        held.unwrap();
        ended.unwrap();
        let order = "SELECT COUNT(*) FROM done d JOIN done e ON d.who = 'holder' AND e.who = 'ender'";
        assert_eq!(number(&db, order).await, 1);
    }

    #[tokio::test]
    async fn a_caller_that_hangs_up_cuts_nothing_in_half() {
        let db = open(&database_url()).await;
        script(&db, "CREATE TABLE t (n BIGINT)").await.unwrap();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let begun = Arc::new(std::sync::Mutex::new(Some(begun)));
        let write = db.write("two", move |tx| {
            let begun = Arc::clone(&begun);
            Box::pin(async move {
                tx.execute("INSERT INTO t VALUES (1)", &[]).await?;
                begun.lock().unwrap().take().unwrap().send(()).unwrap();
                tx.execute("INSERT INTO t VALUES (2)", &[]).await
            })
        });
        tokio::select! {
            biased;
            _ = has_begun => {}
            _ = write => {}
        }
        while number(&db, "SELECT COUNT(*) FROM t").await == 0 {}
        assert_eq!(number(&db, "SELECT COUNT(*) FROM t").await, 2);
    }

    #[tokio::test]
    async fn a_panic_undoes_and_leaves_the_pool_as_it_was() {
        let options = Options { connections: 1, ..Options::default() };
        let db = Database::open(&database_url(), options).await.unwrap();
        script(&db, "CREATE TABLE t (n BIGINT)").await.unwrap();
        let panics = db.write("panics", |tx| {
            Box::pin(async move {
                tx.execute("INSERT INTO t VALUES (1)", &[]).await?;
                panic!("on purpose");
                #[expect(unreachable_code, reason = "names the type")]
                Ok(())
            })
        });
        assert!(
            matches!(panics.await, Err(Error::Internal { cause }) if cause == "panics: the transaction panicked")
        );
        assert_eq!(number(&db, "SELECT COUNT(*) FROM t").await, 0);
    }

    #[tokio::test]
    async fn a_server_that_comes_back_is_used_at_once() {
        let mut cluster = Cluster::start(Settings::default());
        let db = open(&cluster.create_database()).await;
        script(&db, "CREATE TABLE t (n BIGINT)").await.unwrap();
        cluster.restart();
        // On the connections that it has just cut.
        script(&db, "INSERT INTO t VALUES (1)").await.unwrap();
        assert_eq!(number(&db, "SELECT COUNT(*) FROM t").await, 1);
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_waited_for_no_longer_than_that() {
        let cluster = Cluster::start(Settings::default());
        let way = Proxy::to(cluster.address());
        cluster.psql("postgres", "CREATE DATABASE d");
        let options = Options { busy_timeout: Duration::from_millis(300), ..Options::default() };
        let db = Database::open(&cluster.url_through(way.address(), "d"), options).await.unwrap();
        script(&db, "CREATE TABLE t (n BIGINT)").await.unwrap();
        way.stall();
        assert_eq!(
            cause(script(&db, "INSERT INTO t VALUES (1)").await),
            "script: the database took too long"
        );
        way.pass();
        while db.read("count", |tx| Box::pin(tx.query("SELECT COUNT(*) FROM t", &[]))).await.is_err() {}
    }

    #[tokio::test]
    async fn a_standby_is_no_place_to_write_and_no_mistake_of_ours() {
        let cluster = Cluster::start(Settings::default());
        let way = Proxy::to(cluster.address());
        cluster.psql("postgres", "CREATE DATABASE d");
        let standby = cluster.standby();
        let db = open(&cluster.url_through(way.address(), "d")).await;
        way.target(standby.address());
        way.cut();
        cause(script(&db, "CREATE TABLE t (n BIGINT)").await);
        let both = format!(
            "{},{}/d",
            cluster.url_through(standby.address(), "").trim_end_matches('/'),
            cluster.address()
        );
        // Of two it finds the one that takes writes, whichever comes first.
        script(&open(&both).await, "CREATE TABLE t (n BIGINT)").await.unwrap();
    }

    #[tokio::test]
    async fn the_server_is_known_by_its_certificate() {
        let mut cluster = Cluster::start(Settings::default());
        let roots = cluster.enable_tls("localhost").display().to_string();
        cluster.psql("postgres", "CREATE DATABASE d");
        let url = cluster.url("d");
        let named = |host: &str, parameters: &str| {
            url.replace("127.0.0.1", host) + &format!("?{parameters}").replace("ROOTS", &roots)
        };
        let tried = async |url: String| Database::open(&url, Options::default()).await;
        for (host, parameters) in
            [("localhost", "sslmode=verify-full&sslrootcert=ROOTS"), ("127.0.0.1", "sslmode=require")]
        {
            let db = tried(named(host, parameters)).await.unwrap();
            let encrypted = "SELECT COUNT(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl";
            assert_eq!(number(&db, encrypted).await, 1, "{host} {parameters}");
        }
        for (host, parameters) in
            [("localhost", "sslmode=verify-full"), ("127.0.0.1", "sslmode=verify-full&sslrootcert=ROOTS")]
        {
            let cause = cause(tried(named(host, parameters)).await);
            assert!(cause.contains("certificate"), "{host} {parameters}: {cause}");
        }
        // Without a word about TLS this machine is spoken to in the clear.
        tried(named("127.0.0.1", "")).await.unwrap();
        cluster.configure("ssl", None);
        cause(tried(named("127.0.0.1", "sslmode=require")).await);
    }

    #[tokio::test]
    async fn a_wrong_password_and_a_missing_database_are_told_without_the_password() {
        let cluster = Cluster::start(Settings::default());
        let url = cluster.url("nowhere");
        let password = url.split([':', '@']).nth(2).unwrap().to_owned();
        let missing = cause(Database::open(&url, Options::default()).await);
        assert!(missing.contains("nowhere") && !missing.contains(&password), "{missing}");
        let wrong = cause(Database::open(&url.replace(&password, "hunter2"), Options::default()).await);
        assert!(wrong.contains("password authentication failed") && !wrong.contains("hunter2"), "{wrong}");
    }
}
