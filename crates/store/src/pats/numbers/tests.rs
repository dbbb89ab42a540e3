use patron_core::pat::Pat;

use super::*;
use crate::pats::search::{Column, Expires, Managed, Order, Search, Used};
use crate::testing::Fixture;

const DAY: i64 = DAY_MILLIS;
const HOUR: i64 = DAY / 24;

/// Moves a PAT's times, in milliseconds from now.
async fn set(fixture: &Fixture, pat: &Pat, used: Option<i64>, expires: Option<i64>, managed: bool) {
    let at = |offset: i64| fixture.store.clock.now().millis() + offset;
    let sql = "UPDATE pats SET created = $1, last_used = $2, expires = $3, managed = $4 WHERE id = $5";
    let [created, used, expires] = [Some(-200 * DAY), used, expires].map(|offset| offset.map(at).into());
    fixture.execute(sql, &[created, used, expires, managed.into(), pat.id.as_bytes().into()]).await.unwrap();
}

/// PATs of every kind, of which those of `bob` are managed; and one in another tenant.
async fn populated() -> Fixture {
    let fixture = Fixture::new().await;
    let elsewhere = fixture.tenant("acme").await;
    fixture.pat(&fixture.identity(elsewhere, "stranger", &[]).await, "theirs").await;
    let ann = fixture.identity(fixture.tenant, "ann", &[]).await;
    let bob = fixture.identity(fixture.tenant, "bob", &[]).await;
    for (name, used, expires) in [
        ("a", Some(0), None),
        ("b", Some(-7 * DAY), Some(999)),
        ("c", Some(-7 * DAY - 1), Some(1_000)),
        ("d", Some(-30 * DAY), Some(7 * DAY - 1)),
        ("e", Some(-90 * DAY), Some(7 * DAY)),
        ("f", Some(-90 * DAY - 1), Some(30 * DAY)),
        ("g", Some(-365 * DAY), Some(30 * DAY + 1)),
        ("h", Some(-365 * DAY - 1), Some(182 * DAY - 1)),
        ("i", None, Some(182 * DAY)),
        ("j", None, Some(-HOUR)),
    ] {
        let pat = fixture.pat(&ann, name).await;
        set(&fixture, &pat, used, expires, false).await;
    }
    for (name, used, expires) in [("k", None, None), ("l", Some(-HOUR), None), ("m", None, Some(8 * DAY))] {
        let pat = fixture.pat(&bob, name).await;
        set(&fixture, &pat, used, expires, true).await;
    }
    fixture
}

async fn numbers(fixture: &Fixture, managed: bool) -> Numbers {
    fixture.store.pat_numbers(fixture.tenant, managed, 10).await.unwrap()
}

#[tokio::test]
async fn counts_are_what_the_same_search_finds() {
    let fixture = populated().await;
    let counts = numbers(&fixture, true).await.counts;
    let expected = Counts {
        all: 13,
        live: 11,
        expired: 2,
        never_used: 4,
        unused: 7,
        never_expiring: 3,
        expiring: 5,
        managed: 3,
    };
    assert_eq!(counts, expected);
    let own = numbers(&fixture, false).await.counts;
    let expected = Counts {
        all: 10,
        live: 8,
        expired: 2,
        never_used: 2,
        unused: 5,
        never_expiring: 1,
        expiring: 4,
        managed: 0,
    };
    assert_eq!(own, expected);
    let now = fixture.store.clock.now();
    let all = Search {
        tenant: fixture.tenant,
        managed: Managed::With,
        owner: None,
        text: String::new(),
        scope: None,
        used: Used::Any,
        expires: Expires::Any,
    };
    for (count, search) in [
        (counts.all, all.clone()),
        (counts.live, Search { expires: Expires::Live { now }, ..all.clone() }),
        (counts.expired, Search { expires: Expires::Expired { now }, ..all.clone() }),
        (counts.never_used, Search { used: Used::Never, ..all.clone() }),
        (counts.unused, Search { used: Used::NotSince(now.plus_days(-Counts::UNUSED_DAYS)), ..all.clone() }),
        (counts.never_expiring, Search { expires: Expires::Never, ..all.clone() }),
        (
            counts.expiring,
            Search {
                expires: Expires::Within { now, until: now.plus_days(Counts::EXPIRING_DAYS) },
                ..all.clone()
            },
        ),
        (counts.managed, Search { managed: Managed::Only, ..all.clone() }),
    ] {
        let order = Order { by: Column::Created, descending: false };
        let found = fixture.store.search_pats(search.clone(), order, 0, 0).await.unwrap();
        assert_eq!(found.total, count, "{search:?}");
    }
}

#[tokio::test]
async fn each_stretch_of_last_uses_has_its_ends() {
    let fixture = populated().await;
    let uses = numbers(&fixture, true).await.last_uses;
    assert_eq!(uses, LastUses { used: [3, 2, 1, 2, 1], never: 4 });
    let own = numbers(&fixture, false).await.last_uses;
    assert_eq!(own, LastUses { used: [2, 2, 1, 2, 1], never: 2 });
}

#[tokio::test]
async fn each_week_has_the_live_ones_that_expire_in_it() {
    let fixture = populated().await;
    let mut expected = [0; WEEKS];
    expected[0] = 2;
    expected[1] = 1;
    expected[4] = 2;
    expected[25] = 1;
    assert_eq!(numbers(&fixture, false).await.expiries, expected);
    expected[1] = 2;
    assert_eq!(numbers(&fixture, true).await.expiries, expected);
}

#[tokio::test]
async fn those_with_the_most_come_first_and_no_more_than_asked_for() {
    let fixture = populated().await;
    let top = async |managed, limit| {
        let numbers = fixture.store.pat_numbers(fixture.tenant, managed, limit).await.unwrap();
        numbers.neverending.into_iter().map(|owner| (owner.display_name, owner.count)).collect::<Vec<_>>()
    };
    let (ann, bob) = (("ann".to_owned(), 1), ("bob".to_owned(), 2));
    assert_eq!(top(true, 10).await, [bob.clone(), ann.clone()]);
    assert_eq!(top(true, 1).await, [bob]);
    assert_eq!(top(false, 10).await, [ann]);
}

#[tokio::test]
async fn a_tenant_without_tokens_has_noughts() {
    let fixture = Fixture::new().await;
    let noughts = Numbers {
        counts: Counts::default(),
        last_uses: LastUses::default(),
        expiries: [0; WEEKS],
        neverending: Vec::new(),
    };
    assert_eq!(numbers(&fixture, true).await, noughts);
}

#[tokio::test]
async fn all_numbers_are_of_the_same_moment() {
    let fixture = Fixture::new().await;
    let ann = fixture.identity(fixture.tenant, "ann", &[]).await;
    let made = async {
        for n in 0..100 {
            fixture.managed_pat(&ann, &n.to_string()).await;
        }
    };
    let looked_at = async {
        loop {
            let Numbers { counts, last_uses, neverending, .. } = numbers(&fixture, true).await;
            let of_ann: u64 = neverending.iter().map(|owner| owner.count).sum();
            assert_eq!((last_uses.never, of_ann), (counts.all, counts.all));
            if counts.all == 100 {
                break;
            }
        }
    };
    tokio::join!(made, looked_at);
}

#[tokio::test]
async fn sqlite_counts_in_indexes() {
    let fixture = Fixture::on(patron_testing::Engine::Sqlite).await;
    for sql in [BY_EXPIRY, BY_LAST_USE, BY_WEEK, NEVERENDING] {
        let plan = fixture.plan(sql);
        let mut reads = plan.iter().filter(|step| step.contains(" pats "));
        assert!(reads.all(|step| step.starts_with("SEARCH pats USING COVERING INDEX")), "{plan:?}");
    }
}
