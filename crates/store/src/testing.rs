//! What this crate's tests stand on: a bootstrapped store in a temporary folder, with a clock that the test moves.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use patron_core::audit::{Context, Party};
use patron_core::clock::{Clock as _, Entropy, ManualClock};
use patron_core::id::{TenantKey, TrackingId};
use patron_core::identity::{Draft, Identity};
use patron_core::name::TenantName;
use patron_core::pat::{self, NewPat, Pat, Rules};
use patron_core::time::Timestamp;
use tempfile::TempDir;

use crate::Store;
use crate::driver::add_functions;
use crate::pats::Creation;
use crate::sessions::SessionLimits;

/// How long sessions live here.
pub(crate) const LIMITS: SessionLimits = SessionLimits { idle_seconds: 1_800, absolute_seconds: 43_200 };

/// Bytes that never repeat, in an order that no id should depend on.
struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            chunk.copy_from_slice(&next.to_le_bytes()[..chunk.len()]);
        }
    }
}

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) tenant: TenantKey,
    path: PathBuf,
    _directory: TempDir,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("patron.db");
        let clock = Arc::new(ManualClock::new(Timestamp::parse("2027-03-01T12:00:00Z").unwrap()));
        let url = format!("sqlite:{}", path.display());
        let entropy = Arc::new(Counter(AtomicU64::new(1)));
        let store = Store::open(&url, clock.clone(), entropy, clock.clone()).await.unwrap();
        let tenant = store.create_tenant(operator(), TenantName::default_tenant()).await.unwrap().key;
        Self { store, clock, tenant, path, _directory: directory }
    }

    /// The file itself, for what no statement of Patron's does.
    pub(crate) fn file(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(&self.path).unwrap()
    }

    /// Runs statements that no statement of Patron's does.
    pub(crate) async fn sql(&self, sql: &'static str) {
        self.store.db.write("test", move |tx| Box::pin(tx.execute_script(sql))).await.unwrap();
    }

    /// How the engine goes about a statement.
    pub(crate) fn plan(&self, sql: &str) -> Vec<String> {
        let file = self.file();
        add_functions(&file).unwrap();
        let mut explained = file.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        // Unbound placeholders are null, which does not matter to the plan.
        let steps = explained.raw_query().mapped(|row| row.get("detail"));
        steps.collect::<Result<_, _>>().unwrap()
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
        let creation = Creation { owner: owner.id, managed, per_owner: 10 };
        self.store.create_pat(operator(), owner.tenant, creation, new).await.unwrap().0
    }
}

pub(crate) fn operator() -> Context {
    Context {
        actor: Party::operator(),
        acting: None,
        address: None,
        tracking: TrackingId::from_bytes([7; 16]),
    }
}
