//! How long administrators wait for a page of 10,000 PATs, by filter and order, and for the dashboard's numbers:
//! `cargo bench -p patron-store`. Prints the median and the slowest of each; judges nothing.
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use patron_core::audit::{Context, Party};
use patron_core::clock::{Entropy, ManualClock};
use patron_core::id::{TenantKey, TrackingId};
use patron_core::identity::Draft;
use patron_core::name::TenantName;
use patron_core::pat::{self, Rules};
use patron_core::rights::Spellings;
use patron_core::time::{DAY_MILLIS, Timestamp};
use patron_store::Store;
use patron_store::pats::Creation;
use patron_store::pats::search::{Column, Expires, Managed, Order, Search, Used};

const OWNERS: usize = 1_000;
const PATS_PER_OWNER: usize = 10;
const RUNS: usize = 21;

/// A generator whose bytes are the same in every run.
struct Sequence(std::sync::atomic::AtomicU64);

impl Entropy for Sequence {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let mixed = next.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (next << 31);
            chunk.copy_from_slice(&mixed.to_be_bytes()[..chunk.len()]);
        }
    }
}

fn operator() -> Context {
    Context {
        actor: Party::operator(),
        acting: None,
        address: None,
        tracking: TrackingId::from_bytes([7; 16]),
    }
}

async fn populate(store: &Store, file: &std::path::Path, now: Timestamp) -> TenantKey {
    let tenant = store.create_tenant(operator(), TenantName::default_tenant()).await.expect("a tenant").key;
    for n in 0..OWNERS {
        let draft = Draft {
            name: format!("person.{n}@example.com"),
            display_name: Some(format!("Person Number {}", (n * 7_919) % OWNERS)),
            ..Draft::default()
        };
        let owner = store.create_identity(operator(), tenant, draft).await.expect("an identity").id;
        let creation = Creation { owner, managed: false, per_owner: 10 };
        let made = (0..PATS_PER_OWNER).map(|k| {
            let draft = pat::Draft {
                name: Some(format!("Token {k} for the nightly report")),
                scope: (k % 2 == 0).then(|| {
                    vec!["sp:my-personal-access-tokens:read".to_owned(), format!("demo:orders:{k}")]
                }),
                user_aware_token_never_expires: true,
                ..pat::Draft::default()
            };
            let new = draft.check(Rules::Current, now).expect("a draft by the rules");
            store.create_pat(operator(), tenant, creation, new)
        });
        for made in made {
            made.await.expect("a token");
        }
    }
    // Times spread over a year, as a tenant's are that has been there for one.
    let file = rusqlite::Connection::open(file).expect("the database's file");
    file.execute(
        "UPDATE pats SET created = ?1 - (rank * 7919 % 365) * ?2, \
         last_used = CASE WHEN rank % 4 = 0 THEN NULL ELSE ?1 - (rank * 104729 % 400) * ?2 END, \
         expires = CASE WHEN rank % 3 = 0 THEN NULL ELSE ?1 + (rank * 1299709 % 500 - 100) * ?2 END \
         FROM (SELECT id AS its, ROW_NUMBER() OVER (ORDER BY id) AS rank FROM pats) WHERE id = its",
        (now.millis(), DAY_MILLIS),
    )
    .expect("times");
    tenant
}

async fn measure<T>(name: &str, mut run: impl AsyncFnMut() -> T) {
    let mut taken: Vec<Duration> = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let begun = Instant::now();
        run().await;
        taken.push(begun.elapsed());
    }
    taken.sort_unstable();
    println!("{name:<48} median {:>9.3?}  slowest {:>9.3?}", taken[RUNS / 2], taken[RUNS - 1]);
}

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("patron.db");
    let now = Timestamp::parse("2027-03-01T12:00:00Z").expect("a time");
    let clock = Arc::new(ManualClock::new(now));
    let url = format!("sqlite:{}", path.display());
    let store =
        Store::open(&url, clock.clone(), Arc::new(Sequence(1.into())), clock).await.expect("a database");
    let begun = Instant::now();
    let tenant = populate(&store, &path, now).await;
    println!("{} PATs of {OWNERS} owners in {:.1?}", OWNERS * PATS_PER_OWNER, begun.elapsed());
    pages(&store, tenant, now).await;
    measure("numbers", async || store.pat_numbers(tenant, true, 10).await.expect("numbers")).await;
}

async fn pages(store: &Store, tenant: TenantKey, now: Timestamp) {
    let all = Search {
        tenant,
        managed: Managed::With,
        owner: None,
        text: String::new(),
        scope: None,
        used: Used::Any,
        expires: Expires::Any,
    };
    let spellings = |kind: &str| format!("{kind}:my-personal-access-tokens:read");
    let searches = [
        ("all", all.clone()),
        ("text 'NIGHTLY' (all)", Search { text: "NIGHTLY".into(), ..all.clone() }),
        ("text 'ümlaut' (none)", Search { text: "ümlaut".into(), ..all.clone() }),
        ("scope", Search { scope: Some(Spellings(spellings("sp"), spellings("idn"))), ..all.clone() }),
        ("never used", Search { used: Used::Never, ..all.clone() }),
        ("unused for 90 days", Search { used: Used::NotSince(now.plus_days(-90)), ..all.clone() }),
        ("never expires", Search { expires: Expires::Never, ..all.clone() }),
        (
            "within 30 days",
            Search { expires: Expires::Within { now, until: now.plus_days(30) }, ..all.clone() },
        ),
        ("expired", Search { expires: Expires::Expired { now }, ..all.clone() }),
    ];
    for (name, search) in &searches {
        for by in [Column::Created, Column::Name, Column::Owner, Column::LastUsed, Column::Expires] {
            for descending in [false, true] {
                let way = if descending { "descending" } else { "ascending" };
                let page = async || {
                    let order = Order { by, descending };
                    store.search_pats(search.clone(), order, 50, 0).await.expect("a page")
                };
                measure(&format!("{name}, by {by:?} {way}"), page).await;
            }
        }
    }
    let order = Order { by: Column::Owner, descending: false };
    measure("all, by Owner, the last page", async || {
        store.search_pats(all.clone(), order, 50, 9_950).await.expect("a page")
    })
    .await;
    measure("all, by Owner, 5,000 at once", async || {
        store.search_pats(all.clone(), order, 5_000, 0).await.expect("a page")
    })
    .await;
}
