//! What this crate's tests stand on: a bootstrapped store in a temporary folder, with a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use patron_core::Result;
use patron_core::audit::{Acting, Context, Means, Party};
use patron_core::clock::{Clock as _, Entropy, ManualClock};
use patron_core::id::{TenantKey, TrackingId};
use patron_core::identity::{Draft, Identity};
use patron_core::name::TenantName;
use patron_core::pat::{self, NewPat, Pat, Rules};
use patron_core::time::Timestamp;
use patron_testing::{Engine, Session, psql_at};
use tempfile::TempDir;

use crate::Store;
use crate::driver::{Row, Value, add_functions};
use crate::pats::Creation;
use crate::sessions::SessionLimits;

/// PATs that an owner may have here.
const MANY: u32 = 200;

/// How long sessions live here.
pub(crate) const LIMITS: SessionLimits = SessionLimits { idle_seconds: 1_800, absolute_seconds: 43_200 };

/// Bytes that never repeat, in another fixture neither, in an order that no id should depend on.
struct Counter;

impl Entropy for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        static LAST: AtomicU64 = AtomicU64::new(1);
        for chunk in bytes.chunks_mut(8) {
            let next = LAST.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            chunk.copy_from_slice(&next.to_le_bytes()[..chunk.len()]);
        }
    }
}

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) tenant: TenantKey,
    engine: Engine,
    url: String,
    _directory: TempDir,
}

impl Fixture {
    /// On the engine that this run of the tests is about.
    pub(crate) async fn new() -> Self {
        Self::on(Engine::of_this_run()).await
    }

    pub(crate) async fn on(engine: Engine) -> Self {
        let fixture = Self::untouched(engine).await;
        fixture.store.migrate().await.unwrap();
        let tenant = fixture.store.create_tenant(operator(), TenantName::default_tenant()).await.unwrap().key;
        Self { tenant, ..fixture }
    }

    /// A database without anything in it, a schema neither.
    pub(crate) async fn untouched(engine: Engine) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = engine.empty_database(&directory.path().join("patron.db"));
        let clock = Arc::new(ManualClock::new(Timestamp::parse("2027-03-01T12:00:00Z").unwrap()));
        let store =
            Store::open_as_it_is(&url, clock.clone(), Arc::new(Counter), clock.clone()).await.unwrap();
        Self { store, clock, tenant: TenantKey(0), engine, url, _directory: directory }
    }

    /// The same database as another process has it.
    pub(crate) async fn another_store(&self) -> Store {
        let clock = self.clock.clone();
        Store::open_as_it_is(&self.url, clock.clone(), Arc::new(Counter), clock).await.unwrap()
    }

    /// Runs a statement that is none of Patron's; the number of rows that it changed.
    pub(crate) async fn execute(&self, sql: &'static str, params: &[Value]) -> Result<u64> {
        let params = params.to_vec();
        let db = &self.store.db;
        db.write("test", move |tx| {
            let params = params.clone();
            Box::pin(async move { tx.execute(sql, &params).await })
        })
        .await
    }

    /// Runs statements that are none of Patron's.
    pub(crate) async fn sql(&self, sql: &'static str) {
        self.store.db.write("test", move |tx| Box::pin(tx.execute_script(sql))).await.unwrap();
    }

    /// The rows that a statement of the test's own finds.
    pub(crate) async fn rows(&self, sql: &'static str) -> Vec<Row> {
        self.store.db.read("test", move |tx| Box::pin(tx.query(sql, &[]))).await.unwrap()
    }

    /// The number that a statement of the test's own finds.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        self.rows(sql).await[0].int(0).unwrap()
    }

    /// What somebody with the database's own tool can do, who has it overlook the constraints between tables.
    pub(crate) fn force(&self, sql: &str) {
        match self.engine {
            Engine::Sqlite => {
                self.file().execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
            }
            Engine::Postgres => {
                psql_at(&self.url, &format!("SET session_replication_role = replica; {sql}"));
            }
        }
    }

    /// Has a session of somebody else's run statements and hold what they lock, until it ends. PostgreSQL only.
    pub(crate) fn shut(&self, sql: &str) -> Session {
        Session::holding(&self.url, sql)
    }

    /// Waits until so many sessions of this database wait for locks. PostgreSQL only.
    pub(crate) async fn until_waiting(&self, sessions: i64) {
        let waiting = "SELECT COUNT(DISTINCT a.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
                       WHERE NOT l.granted AND a.datname = current_database()";
        while self.number(waiting).await < sessions {}
    }

    /// Has every session find rows by indexes from now on, as it would in large tables: small ones are read as a whole,
    /// which makes more conflicts than there are.
    pub(crate) fn use_indexes(&self) {
        self.set("enable_seqscan = off");
    }

    /// Has every session go by a setting of the server's from now on. PostgreSQL only.
    pub(crate) fn set(&self, setting: &str) {
        let database = self.url.rsplit('/').next().unwrap();
        psql_at(&self.url, &format!("ALTER ROLE CURRENT_USER IN DATABASE {database} SET {setting}"));
        self.store.reconnect();
    }

    /// Bytes as they are written in a statement.
    pub(crate) fn literal(&self, bytes: &[u8]) -> String {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        match self.engine {
            Engine::Sqlite => format!("X'{hex}'"),
            Engine::Postgres => format!("'\\x{hex}'"),
        }
    }

    /// Whether a text can be kept at all.
    pub(crate) fn takes(&self, text: &str) -> bool {
        self.engine == Engine::Sqlite || !text.contains('\0')
    }

    fn file(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.url.strip_prefix("sqlite:").unwrap()).unwrap()
    }

    /// How the engine goes about a statement, in its own words.
    pub(crate) fn plan(&self, sql: &str) -> Vec<String> {
        match self.engine {
            Engine::Sqlite => self.sqlite_plan(sql),
            Engine::Postgres => self.postgres_plan(sql),
        }
    }

    fn sqlite_plan(&self, sql: &str) -> Vec<String> {
        let file = self.file();
        add_functions(&file).unwrap();
        let mut explained = file.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        // Unbound placeholders are null, which does not matter to the plan.
        let steps = explained.raw_query().mapped(|row| row.get("detail"));
        steps.collect::<std::result::Result<_, _>>().unwrap()
    }

    /// A plan for whatever the values may be. Tables are read as a whole, and rows sorted, only where nothing else will
    /// do: with the few rows of a test it would always be cheaper.
    fn postgres_plan(&self, sql: &str) -> Vec<String> {
        let highest = (1..100).rev().find(|n| sql.contains(&format!("${n}"))).unwrap_or(0);
        let nulls = vec!["NULL"; highest].join(", ");
        let arguments = if highest == 0 { String::new() } else { format!("({nulls})") };
        let script = format!(
            "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; \
             SET plan_cache_mode = force_generic_plan; \
             PREPARE planned AS {sql}; EXPLAIN (COSTS OFF) EXECUTE planned{arguments};"
        );
        psql_at(&self.url, &script).lines().map(|line| line.trim().to_owned()).collect()
    }

    pub(crate) async fn tenant(&self, name: &str) -> TenantKey {
        self.store.create_tenant(operator(), TenantName::parse(name).unwrap()).await.unwrap().key
    }

    pub(crate) async fn identity(&self, tenant: TenantKey, name: &str, levels: &[&str]) -> Identity {
        let levels = levels.iter().map(|&level| level.to_owned()).collect();
        let draft =
            Draft { name: name.to_owned(), display_name: Some(name.to_owned()), levels, ..Draft::default() };
        self.store.create_identity(operator(), tenant, draft).await.unwrap()
    }

    pub(crate) async fn pat(&self, owner: &Identity, name: &str) -> Pat {
        self.make_pat(owner, name, false).await
    }

    pub(crate) async fn managed_pat(&self, owner: &Identity, name: &str) -> Pat {
        self.make_pat(owner, name, true).await
    }

    async fn make_pat(&self, owner: &Identity, name: &str, managed: bool) -> Pat {
        let draft = pat::Draft {
            name: Some(name.to_owned()),
            user_aware_token_never_expires: true,
            ..pat::Draft::default()
        };
        let new: NewPat = draft.check(Rules::Current, self.clock.now()).unwrap();
        let creation = Creation { owner: owner.id, managed, per_owner: MANY };
        self.store.create_pat(operator(), owner.tenant, creation, new).await.unwrap().0
    }
}

/// What a request with a credential of this identity carries.
pub(crate) fn acting(who: &Identity, means: Means) -> Context {
    Context { acting: Some(Acting::of(who, means)), ..operator() }
}

pub(crate) fn operator() -> Context {
    Context {
        actor: Party::operator(),
        acting: None,
        address: None,
        tracking: TrackingId::from_bytes([7; 16]),
    }
}
