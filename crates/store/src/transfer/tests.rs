use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use patron_testing::Engine;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::block_in_place;

use super::*;
use crate::testing::Fixture;

/// The tables that stay behind: what services that run tell each other, and the schema's own.
const LEFT_BEHIND: [&str; 6] = ["changes", "feed", "hit_publications", "hits", "nodes", "schema_migrations"];

/// A source of a file's, with rows of every table and of every kind of content that its columns take: one, some, as many
/// as a batch, one more, and two batches and some.
async fn full() -> Fixture {
    let fixture = Fixture::on(Engine::Sqlite).await;
    let acme = fixture.tenant("acme").await;
    let jane = fixture.identity(fixture.tenant, "jane \u{1d11e} O'Neill \\x00 %", &["ORG_ADMIN"]).await;
    let joe = fixture.identity(acme, "joe", &[]).await;
    for name in ["ci", "a\u{301}b", "名前"] {
        fixture.pat(&jane, name).await;
    }
    let pat = fixture.managed_pat(&joe, "ci").await;
    let (id, owner): (Value, Value) = (pat.id.into(), joe.id.into());
    let run = async |sql: &'static str, values: &[Value]| {
        assert_eq!(fixture.execute(sql, values).await.unwrap(), 1, "{sql}");
    };
    let sql = "INSERT INTO tenants (key, id, name, created) VALUES ($1, $2, 'far', 5)";
    run(sql, &[40_i64.into(), [9; 16].into()]).await;
    run("UPDATE pats SET expires = $1, last_used = 0 WHERE id = $2", &[i64::MAX.into(), id.clone()]).await;
    run(
        "UPDATE identities SET password_hash = '$argon2id$v=19$' WHERE id = $1",
        std::slice::from_ref(&owner),
    )
    .await;
    run("INSERT INTO bootstrap_pat (tenant, pat) VALUES ($1, $2)", &[acme.into(), id]).await;
    let sql = "INSERT INTO signing_keys (kid, created, activates, retires, sealed_private, public_jwk) \
               VALUES ($1, 1, NULL, $2, $3, '{}')";
    run(sql, &["B".into(), i64::MIN.into(), [0, 255, 0].into()]).await;
    run(sql, &["a".into(), Value::Null, Vec::<u8>::new().into()]).await;
    let sql = "INSERT INTO sessions (hash, tenant, identity, generation, created, last_seen) \
               VALUES ($1, $2, $3, 1, 2, 3)";
    run(sql, &[[7; 32].into(), acme.into(), owner]).await;
    let sql = "INSERT INTO deleted_pats (id, tenant, secret_hash, deleted) VALUES ($1, 1, $1, $2)";
    many(&fixture, sql, BATCH, |n| vec![spread(n), n.into()]).await;
    let sql = "INSERT INTO revoked_tokens (jti, tenant, expires) VALUES ($1, 1, $2)";
    many(&fixture, sql, BATCH + 1, |n| vec![spread(n), n.into()]).await;
    let sql = "INSERT INTO audit_events (id, created, tenant, technical_name, actor_kind, actor_id, actor_name, \
               target_kind, target_id, target_name, ip_address, tracking_number, operation, status, attributes) \
               VALUES ($1, $2, 1, 'X', 'USER', '', 'é', 'PAT', '', '', $3, $1, 'O', 'S', $4)";
    many(&fixture, sql, 2 * BATCH + 50, |n| {
        let address = if n % 2 == 0 { Value::Null } else { "2001:db8::1".into() };
        let attributes = if n == 300 { "\u{1f600} ".repeat(200_000) } else { r#"{"a":"\u0000"}"#.to_owned() };
        vec![spread(n), (-n).into(), address, attributes.into()]
    })
    .await;
    fixture
}

/// Inserts many rows at once.
async fn many(fixture: &Fixture, sql: &'static str, count: usize, row: fn(i64) -> Vec<Value>) {
    let write = fixture.store.db.write("test", move |tx| {
        Box::pin(async move {
            for n in 0..i64::try_from(count).unwrap() {
                tx.execute(sql, &row(n)).await?;
            }
            Ok(())
        })
    });
    write.await.unwrap();
}

/// 16 bytes for a number, in another order than that of the numbers.
fn spread(n: i64) -> Value {
    Value::Blob(
        u128::from(n.unsigned_abs()).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060).to_le_bytes().to_vec(),
    )
}

async fn copied(from: &Fixture, to: &Fixture) -> Result<Vec<Copied>, TransferError> {
    copy(&from.store, &to.store, |_| {}).await
}

#[track_caller]
fn refusal(outcome: Result<Vec<Copied>, TransferError>) -> String {
    outcome.unwrap_err().to_string()
}

/// All rows of a table in the order of its first column, whatever [`TABLES`] says of it.
async fn all(fixture: &Fixture, table: &str) -> Vec<Row> {
    fixture.rows(format!("SELECT * FROM {table} ORDER BY 1").leak()).await
}

/// The names of all tables with those of their columns.
async fn schema(fixture: &Fixture) -> BTreeSet<(String, String)> {
    let sql = if fixture.store.is_shared() {
        "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns \
         WHERE table_schema = current_schema()"
    } else {
        "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"
    };
    let rows = fixture.rows(sql).await;
    let text = |row: &Row, column| row.text(column).unwrap().to_owned();
    rows.iter().map(|row| (text(row, 0), text(row, 1))).collect()
}

async fn assert_nothing_in(fixture: &Fixture) {
    for Table { name, .. } in TABLES {
        assert_eq!(all(fixture, name).await, [], "{name}");
    }
    assert!(!fixture.store.is_bootstrapped().await.unwrap());
}

#[tokio::test]
async fn the_list_has_every_table_and_column() {
    let schema = schema(&Fixture::new().await).await;
    let (left, kept): (BTreeSet<_>, BTreeSet<_>) =
        schema.into_iter().partition(|(table, _)| LEFT_BEHIND.contains(&table.as_str()));
    let listed = TABLES.iter().flat_map(|table| table.columns.iter().map(|column| (table.name, *column)));
    let listed: BTreeSet<_> = listed.map(|(table, column)| (table.to_owned(), column.to_owned())).collect();
    assert_eq!(kept, listed);
    let left: BTreeSet<_> = left.iter().map(|(table, _)| table.as_str()).collect();
    assert_eq!(left, BTreeSet::from(LEFT_BEHIND));
}

#[tokio::test]
async fn everything_goes_there_and_back() {
    let from = full().await;
    let (there, back) =
        (Fixture::untouched(Engine::of_this_run()).await, Fixture::untouched(Engine::Sqlite).await);
    let first = copied(&from, &there).await.unwrap();
    let second = copied(&there, &back).await.unwrap();
    assert_eq!(first, second, "the same rows have the same sums on any engine");
    assert_eq!(
        first.iter().map(|copied| copied.table).collect::<Vec<_>>(),
        TABLES.iter().map(|table| table.name).collect::<Vec<_>>()
    );
    for Copied { table, source, destination } in first {
        let rows = all(&from, table).await;
        assert_eq!(source, destination);
        assert!(!rows.is_empty() && rows.len() as u64 == source.rows, "{table}: {}", rows.len());
        assert!(all(&there, table).await == rows, "{table} there");
        assert!(all(&back, table).await == rows, "{table} back");
    }

    // The databases go on with their own numbers, and feeds begin anew.
    for place in [&there, &back] {
        let last = place.number("SELECT MAX(seq) FROM audit_events").await;
        assert_eq!(all(place, "changes").await, []);
        assert_eq!(place.tenant("next").await.0, 41);
        assert_eq!(place.number("SELECT MAX(seq) FROM audit_events").await, last + 1);
        assert_eq!(place.number("SELECT last FROM feed").await, 1);
        place.store.check().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_in_use_or_was_is_no_destination() {
    let (from, to) = (Fixture::new().await, Fixture::new().await);
    let refused = "the destination is not empty (tenants has rows): what is copied goes into a new database";
    assert_eq!(refusal(copied(&from, &to).await), refused);
    assert_eq!(refusal(copied(&from, &from).await), refused);

    let to = Fixture::untouched(Engine::of_this_run()).await;
    to.store.migrate().await.unwrap();
    let sql = "INSERT INTO revoked_tokens (jti, tenant, expires) VALUES ($1, 1, 1)";
    to.execute(sql, &[[1].into()]).await.unwrap();
    assert!(refusal(copied(&from, &to).await).contains("(revoked_tokens has rows)"));

    // It is not even brought up to date.
    to.sql("DELETE FROM revoked_tokens; DELETE FROM schema_migrations WHERE version > 2").await;
    assert!(refusal(copied(&from, &to).await).contains("(schema_migrations has rows)"));
    assert_eq!(migrate::current(&to.store.db).await.unwrap(), Some(2));
}

#[tokio::test]
async fn only_a_database_of_this_patrons_is_a_source() {
    let to = Fixture::untouched(Engine::Sqlite).await;
    let from = Fixture::untouched(Engine::of_this_run()).await;
    assert_eq!(refusal(copied(&from, &to).await), "the source is no database of Patron's");
    assert_eq!(migrate::current(&from.store.db).await.unwrap(), None, "nothing was made there");
    from.store.migrate().await.unwrap();
    assert_eq!(refusal(copied(&from, &to).await), "the source is empty: nobody has bootstrapped it");
    let known = migrations(&from.store.db).len();

    let from = Fixture::new().await;
    from.sql("INSERT INTO schema_migrations (version, name, applied) VALUES (99, 'x', 0)").await;
    let newer = "the source has schema version 99, which this Patron does not know: update Patron";
    assert_eq!(refusal(copied(&from, &to).await), newer);
    from.sql("DELETE FROM schema_migrations WHERE version > 1").await;
    let older = format!(
        "the source has schema version 1, and this Patron's is {known}: start this Patron on it once, which brings it \
         up to date"
    );
    assert_eq!(refusal(copied(&from, &to).await), older);
    assert_eq!(migrate::current(&from.store.db).await.unwrap(), Some(1));
}

#[tokio::test]
async fn an_interrupted_copy_leaves_nothing_and_may_be_repeated() {
    let from = full().await;
    let to = Fixture::untouched(Engine::of_this_run()).await;
    // All is written and none of it committed.
    let is_late = |progress: Progress| progress.is_check && progress.table == "sessions" && progress.rows > 0;

    let dies = copy(&from.store, &to.store, |progress| assert!(!is_late(progress), "on purpose"));
    AssertUnwindSafe(dies).catch_unwind().await.unwrap_err();
    assert_nothing_in(&to).await;

    let late = Notify::new();
    let told = |progress| {
        if is_late(progress) {
            late.notify_one();
        }
    };
    tokio::select! {
        biased;
        _ = copy(&from.store, &to.store, told) => panic!("nothing was waited for"),
        () = late.notified() => {}
    }
    assert_nothing_in(&to).await;

    copied(&from, &to).await.unwrap();
    assert!(to.store.is_bootstrapped().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_somebody_changes_meanwhile_is_copied_again() {
    let (from, to) = (Fixture::new().await, Fixture::untouched(Engine::Sqlite).await);
    let mut changes = 0;
    let outcome = copy(&from.store, &to.store, |progress| {
        if progress.table == "sessions" && !progress.is_check && changes == 0 {
            changes += 1;
            block_in_place(|| Handle::current().block_on(from.identity(from.tenant, "late", &[])));
        }
    });
    assert!(matches!(outcome.await, Err(TransferError::Changed)));
    assert_eq!(changes, 1);
    assert_nothing_in(&to).await;
    copied(&from, &to).await.unwrap();
    assert_eq!(to.number("SELECT COUNT(*) FROM identities").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_or_is_used_meanwhile_is_a_change() {
    for change in ["DELETE FROM sessions", "UPDATE sessions SET last_seen = last_seen + 1"] {
        let (from, to) = (Fixture::new().await, Fixture::untouched(Engine::Sqlite).await);
        let jane = from.identity(from.tenant, "jane", &[]).await;
        let sql = "INSERT INTO sessions (hash, tenant, identity, generation, created, last_seen) \
                   VALUES ($1, $2, $3, 1, 2, 3)";
        from.execute(sql, &[[7; 32].into(), from.tenant.into(), jane.id.into()]).await.unwrap();
        let mut changed = false;
        let outcome = copy(&from.store, &to.store, |progress| {
            if progress.is_check && !std::mem::replace(&mut changed, true) {
                block_in_place(|| Handle::current().block_on(from.sql(change)));
            }
        });
        assert!(matches!(outcome.await, Err(TransferError::Changed)), "{change}");
        assert_nothing_in(&to).await;
    }
}

#[test]
fn a_checksum_tells_apart_what_differs_anywhere() {
    let sum = |values: &[Value]| {
        let mut sum = Sha256::new();
        for value in values {
            add(&mut sum, value);
        }
        <[u8; 32]>::from(sum.finalize())
    };
    let different: [&[Value]; 8] = [
        &[],
        &[Value::Null],
        &["".into()],
        &[Value::Blob(Vec::new())],
        &["ab".into(), "c".into()],
        &["a".into(), "bc".into()],
        &[Value::Blob(0_i64.to_be_bytes().to_vec())],
        &[0_i64.into()],
    ];
    assert_eq!(different.map(sum).iter().collect::<BTreeSet<_>>().len(), different.len());
}

mod sqlite {
    use super::*;

    #[tokio::test]
    async fn a_batch_is_read_by_the_key() {
        let fixture = Fixture::on(Engine::Sqlite).await;
        for Statements { table, first, next, .. } in &*STATEMENTS {
            for (sql, start) in [(first, "SCAN"), (next, "SEARCH")] {
                let plan = fixture.plan(sql);
                assert!(plan.len() == 1 && plan[0].starts_with(start), "{}: {plan:?}", table.name);
            }
        }
    }

    #[tokio::test]
    async fn a_destination_that_keeps_something_else_is_undone() {
        let from = full().await;
        for (table, action) in [
            ("pats", "DELETE FROM pats WHERE managed = 1"),
            ("pats", "UPDATE pats SET scope = scope || ' ' WHERE managed = 1"),
            ("audit_events", "UPDATE audit_events SET ip_address = '' WHERE ip_address IS NULL"),
        ] {
            let to = Fixture::untouched(Engine::Sqlite).await;
            to.store.migrate().await.unwrap();
            let trigger = format!("CREATE TRIGGER other AFTER INSERT ON sessions BEGIN {action}; END");
            to.sql(trigger.leak()).await;
            match copied(&from, &to).await {
                Err(TransferError::Differs(copied)) => assert_eq!(copied.table, table, "{action}"),
                other => panic!("{action}: {other:?}"),
            }
            assert_nothing_in(&to).await;
        }
    }
}

mod postgres {
    use patron_core::coherence::Terms;
    use patron_core::id::NodeId;

    use super::*;

    const NODE: NodeId = NodeId::from_bytes([3; 16]);

    #[tokio::test]
    async fn a_batch_is_read_by_the_key() {
        let fixture = Fixture::on(Engine::Postgres).await;
        for Statements { table, first, next, .. } in &*STATEMENTS {
            for sql in [first, next] {
                let plan = fixture.plan(sql);
                let scan = format!("Index Scan using {}_pkey", table.name);
                assert!(plan[0].starts_with("Limit") && plan[1].contains(&scan), "{}: {plan:?}", table.name);
            }
        }
    }

    async fn register(store: &Store, renewal: i64) {
        let mut following = store.following().await.unwrap();
        following.register(NODE, renewal).await.unwrap();
        following.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_is_served_is_neither_source_nor_destination() {
        let (server, source) = (Fixture::on(Engine::Postgres).await, full().await);
        let new = Fixture::untouched(Engine::Postgres).await;
        new.store.migrate().await.unwrap();
        let file = Fixture::untouched(Engine::Sqlite).await;
        for (from, to, side) in [(&server, &file, "source"), (&source, &new, "destination")] {
            let busy = if side == "source" { from } else { to };
            let serve = async {
                for renewal in 1.. {
                    register(&busy.store, renewal).await;
                }
            };
            register(&busy.store, 0).await;
            let outcome =
                tokio::select! { outcome = copied(from, to) => outcome, () = serve => panic!("it ends") };
            let text = format!("a `patron serve` works on the {side}: stop every one of them first");
            assert_eq!(refusal(outcome), text);
            assert_nothing_in(to).await;
        }
    }

    #[tokio::test]
    async fn what_a_dead_node_has_left_keeps_nobody_away() {
        let (from, to) = (Fixture::on(Engine::Postgres).await, Fixture::untouched(Engine::Sqlite).await);
        register(&from.store, 1).await;
        let over = i64::try_from(Terms::STANDARD.over()).unwrap();
        let time = async {
            loop {
                from.clock.advance_millis(over / 10);
                from.number("SELECT 1").await;
            }
        };
        let outcome =
            tokio::select! { outcome = copied(&from, &to) => outcome, () = time => panic!("it ends") };
        outcome.unwrap();
        assert_eq!(all(&to, "nodes").await, []);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_node_that_comes_late_is_found_out() {
        let (from, to) = (Fixture::on(Engine::Postgres).await, Fixture::untouched(Engine::Sqlite).await);
        let outcome = copy(&from.store, &to.store, |progress| {
            if progress.table == "tenants" && progress.rows == 0 && !progress.is_check {
                let late = register(&from.store, 1);
                block_in_place(|| Handle::current().block_on(late));
            }
        });
        assert!(matches!(outcome.await, Err(TransferError::Served("source"))));
        assert_nothing_in(&to).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_destination_that_somebody_else_fills_meanwhile_is_left_to_them() {
        let (from, to) = (full().await, Fixture::untouched(Engine::Postgres).await);
        let outcome = copy(&from.store, &to.store, |progress| {
            if progress.table == "tenants" && progress.rows == 0 && !progress.is_check {
                block_in_place(|| Handle::current().block_on(to.tenant("default")));
            }
        });
        assert!(matches!(outcome.await, Err(TransferError::Row { table: "tenants", .. })));
        assert_eq!(to.number("SELECT COUNT(*) FROM tenants").await, 1);
        assert_eq!(to.number("SELECT COUNT(*) FROM identities").await, 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_destination_that_another_run_is_at_work_on_is_refused_at_once() {
        let (from, to) = (full().await, Fixture::untouched(Engine::Postgres).await);
        let mut refused = None;
        let outcome = copy(&from.store, &to.store, |progress| {
            if progress.is_check && refused.is_none() {
                let second = copied(&from, &to);
                refused = Some(refusal(block_in_place(|| Handle::current().block_on(second))));
            }
        });
        outcome.await.unwrap();
        let refused = refused.unwrap();
        assert!(refused.contains("another `patron migrate` is at work on it"), "{refused}");
        assert!(refused.ends_with("nothing was copied"), "{refused}");
        copied(&to, &Fixture::untouched(Engine::Sqlite).await).await.unwrap();
    }

    #[tokio::test]
    async fn a_text_that_the_server_does_not_take_is_told_of_without_its_words() {
        let (from, to) = (Fixture::on(Engine::Sqlite).await, Fixture::untouched(Engine::Postgres).await);
        let jane = from.identity(from.tenant, "jane", &[]).await;
        let sql = "UPDATE identities SET email = $1 WHERE id = $2";
        from.execute(sql, &["hush\0hush".into(), jane.id.into()]).await.unwrap();
        let refused = refusal(copied(&from, &to).await);
        assert!(refused.starts_with("the destination does not take rows of identities: "), "{refused}");
        assert!(refused.contains("0x00") && !refused.contains("hush"), "{refused}");
        assert_nothing_in(&to).await;
    }
}
