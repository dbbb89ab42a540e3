use std::cmp::Ordering;
use std::sync::OnceLock;

use patron_core::pat::State;
use proptest::prelude::*;
use proptest::sample::select;
use tokio::runtime::Runtime;

use super::*;
use crate::testing::{Fixture, operator};

/// The fixture's present, around which everything in the population happened.
const NOW: &str = "2027-03-01T12:00:00Z";

fn now() -> Timestamp {
    Timestamp::parse(NOW).unwrap()
}

/// Display and login names: letters in both cases, beyond ASCII too, and two people of one name.
const PEOPLE: &[(&str, &str)] =
    &[("Ärna Öz", "arna"), ("ärna öz", "second"), ("Bob", "ÉMILE"), ("", "x"), ("100%_'\"", "bob\\")];
const NAMES: &[&str] = &["ci", "CI", "Straße", "İstanbul", "a%b", "a_b", "nightly report", "'", "ärna"];
const SCOPES: &[&str] =
    &["sp:scopes:all", "demo:x", "demo:X", "demo:xy", "x", "idn:a:read", "sp:a:read", "[", ",,"];
/// Days before or after the present.
const DAYS: &[i64] = &[-400, -91, -90, -30, -8, -1, 0, 1, 7, 30, 31, 365];

/// A population that everything is looked for in, and the model's copy of it.
struct Population {
    runtime: Runtime,
    fixture: Fixture,
    all: Vec<Listed>,
}

fn population() -> &'static Population {
    static POPULATION: OnceLock<Population> = OnceLock::new();
    POPULATION.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let (fixture, all) = runtime.block_on(populate());
        Population { runtime, fixture, all }
    })
}

async fn populate() -> (Fixture, Vec<Listed>) {
    let fixture = Fixture::new().await;
    let elsewhere = fixture.tenant("acme").await;
    let mut ids = Vec::new();
    // A small generator of the test's own: the same population every time.
    let mut state = 7_u64;
    let mut any = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for tenant in [fixture.tenant, elsewhere] {
        for (at, (display_name, login)) in PEOPLE.iter().enumerate() {
            let draft = patron_core::identity::Draft {
                name: (*login).to_owned(),
                display_name: Some((*display_name).to_owned()),
                ..Default::default()
            };
            let owner = fixture.store.create_identity(operator(), tenant, draft).await.unwrap();
            for (n, name) in NAMES.iter().enumerate() {
                let pat = fixture.pat(&owner, name).await;
                let moment = |day: i64| now().plus_days(day).millis();
                let mut day = || moment(DAYS[any(DAYS.len())]);
                let (created, used) = (day(), day());
                // Around the last second, at which a PAT no longer works.
                let expires =
                    [day(), moment(0), moment(0) + 999, moment(0) + 1_000, moment(0) + 1_001][any(5)];
                let mut scopes: Vec<&str> = (0..=any(3)).map(|_| SCOPES[any(SCOPES.len())]).collect();
                scopes.sort_unstable();
                scopes.dedup();
                let values = [
                    created.into(),
                    (any(3) > 0).then_some(used).into(),
                    (any(4) > 0).then_some(expires).into(),
                    (n % 4 == 0).into(),
                    serde_json::to_string(&scopes).unwrap().into(),
                    pat.id.as_bytes().into(),
                ];
                let sql = "UPDATE pats SET created = $1, last_used = $2, expires = $3, managed = $4, scope = $5 \
                           WHERE id = $6";
                fixture.execute(sql, &values).await.unwrap();
                if tenant == fixture.tenant {
                    ids.push(pat.id);
                }
            }
            if at == 2 {
                let sql = "UPDATE identities SET enabled = 0 WHERE id = $1";
                fixture.execute(sql, &[owner.id.as_bytes().into()]).await.unwrap();
            }
        }
    }
    let all = fixture.store.listed_pats(fixture.tenant, ids.clone()).await.unwrap();
    assert_eq!(all.iter().map(|listed| listed.pat.id).collect::<Vec<_>>(), ids);
    let disabled = |listed: &Listed| !listed.owner_enabled;
    assert!(all.iter().all(|listed| disabled(listed) == (listed.owner_login == PEOPLE[2].1)));
    (fixture, all)
}

fn small(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// What a search means, said once more.
fn matches(search: &Search, Listed { pat, owner_login, .. }: &Listed) -> bool {
    let managed = match search.managed {
        Managed::Without => !pat.managed,
        Managed::With => true,
        Managed::Only => pat.managed,
    };
    let contains = |text: &str| small(text).contains(&small(&search.text));
    // No name in the population has an id in it.
    let text = [&pat.name, &pat.owner_name, owner_login].into_iter().any(|text| contains(text))
        || pat.id.to_string() == search.text;
    let scope = search.scope.as_ref().is_none_or(|Spellings(one, other)| {
        pat.scope.as_slice().iter().any(|scope| scope == one || scope == other)
    });
    let used = match search.used {
        Used::Any => true,
        Used::Never => pat.last_used.is_none(),
        Used::NotSince(moment) => pat.last_used.unwrap_or(pat.created) < moment,
    };
    let date = pat.expiry.date();
    let expires = match search.expires {
        Expires::Any => true,
        Expires::Never => date.is_none(),
        Expires::Live { now } => pat.state(now) == State::Live,
        Expires::Within { now, until } => {
            pat.state(now) == State::Live && date.is_some_and(|date| date <= until)
        }
        Expires::Expired { now } => pat.state(now) != State::Live,
    };
    let owner = search.owner.is_none_or(|owner| owner == pat.owner);
    managed && text && scope && used && expires && owner
}

/// What an order means, said once more.
fn compare(order: Order, a: &Listed, b: &Listed) -> Ordering {
    let by = match order.by {
        Column::Created => a.pat.created.cmp(&b.pat.created),
        Column::Name => small(&a.pat.name).cmp(&small(&b.pat.name)),
        Column::Owner => {
            let key = |listed: &Listed| {
                (small(&listed.pat.owner_name), listed.owner_login.clone(), small(&listed.pat.name))
            };
            key(a).cmp(&key(b))
        }
        // `None` is before everything.
        Column::LastUsed => a.pat.last_used.cmp(&b.pat.last_used).then(a.pat.created.cmp(&b.pat.created)),
        Column::Expires => {
            let key = |listed: &Listed| listed.pat.expiry.date().map_or(i64::MAX, Timestamp::millis);
            key(a).cmp(&key(b))
        }
    };
    let by = by.then(a.pat.id.cmp(&b.pat.id));
    if order.descending { by.reverse() } else { by }
}

fn everything() -> Search {
    Search {
        tenant: population().fixture.tenant,
        managed: Managed::With,
        owner: None,
        text: String::new(),
        scope: None,
        used: Used::Any,
        expires: Expires::Any,
    }
}

fn moments() -> impl Strategy<Value = Timestamp> {
    (select(DAYS), -1_001_i64..=1_001)
        .prop_map(|(days, millis)| Timestamp::from_millis(now().plus_days(days).millis() + millis))
}

fn texts() -> impl Strategy<Value = String> {
    let some =
        ["", "", "ci", "ÄRNA", "öz", "émile", "STRASSE", "STRAßE", "%", "_", "'", "\"", "\\", "x", "t"];
    let ids = population().all.iter().map(|listed| listed.pat.id.to_string());
    select(some.into_iter().map(str::to_owned).chain(ids).collect::<Vec<_>>())
}

fn searches() -> impl Strategy<Value = Search> {
    let owners: Vec<_> = population().all.iter().map(|listed| listed.pat.owner).collect();
    let nobody = IdentityId::from_bytes([0; 16]);
    let scope = || select([SCOPES, &["demo", "\"", "\\", "demo:x\",\"x"]].concat()).prop_map(str::to_owned);
    let expires = prop_oneof![
        Just(Expires::Any),
        Just(Expires::Never),
        moments().prop_map(|now| Expires::Live { now }),
        moments().prop_map(|now| Expires::Expired { now }),
        (moments(), moments()).prop_map(|(now, until)| Expires::Within { now, until }),
    ];
    (
        select([Managed::Without, Managed::With, Managed::Only].as_slice()),
        prop_oneof![3 => Just(None), 1 => select(owners).prop_map(Some), 1 => Just(Some(nobody))],
        texts(),
        proptest::option::weighted(0.3, (scope(), scope()).prop_map(|(a, b)| Spellings(a, b))),
        prop_oneof![Just(Used::Any), Just(Used::Never), moments().prop_map(Used::NotSince)],
        expires,
    )
        .prop_map(|(managed, owner, text, scope, used, expires)| Search {
            managed,
            owner,
            text,
            scope,
            used,
            expires,
            ..everything()
        })
}

fn orders() -> impl Strategy<Value = Order> {
    let columns = [Column::Created, Column::Name, Column::Owner, Column::LastUsed, Column::Expires];
    (select(columns.to_vec()), any::<bool>()).prop_map(|(by, descending)| Order { by, descending })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_search_finds_what_it_means_in_its_order(
        search in searches(), order in orders(), limit in 0_u32..60, offset in 0_u32..60,
        most in select([0_u32, 1, 10, 30, COUNTED_PATS].as_slice()),
    ) {
        let Population { runtime, fixture, all } = population();
        let found = fixture.store.search_pats_by(most, search.clone(), order, limit, offset);
        let found = runtime.block_on(found).unwrap();
        let mut expected: Vec<Listed> = all.iter().filter(|pat| matches(&search, pat)).cloned().collect();
        expected.sort_by(|a, b| compare(order, a, b));
        let all_of_it = expected.len() as u64;
        // A PAT of an id is found without a count.
        let counted = if PatId::parse(&search.text).is_some() { all_of_it } else { most.into() };
        prop_assert_eq!((found.total, found.more), (all_of_it.min(counted), all_of_it > counted));
        let page: Vec<_> = expected.into_iter().skip(offset as usize).take(limit as usize).collect();
        prop_assert_eq!(found.rows, page);
    }
}

#[test]
fn every_part_of_a_search_finds_something_and_leaves_something_out() {
    let id = population().all[0].pat.id.to_string();
    for search in [
        Search { managed: Managed::Only, ..everything() },
        Search { managed: Managed::Without, ..everything() },
        Search { owner: Some(population().all[0].pat.owner), ..everything() },
        Search { text: "ÄRNA".into(), ..everything() },
        Search { text: "émile".into(), ..everything() },
        Search { text: id, ..everything() },
        Search { scope: Some(Spellings("demo:X".into(), "demo:X".into())), ..everything() },
        Search { scope: Some(Spellings("idn:a:read".into(), "sp:a:read".into())), ..everything() },
        Search { used: Used::Never, ..everything() },
        Search { used: Used::NotSince(now()), ..everything() },
        Search { expires: Expires::Never, ..everything() },
        Search { expires: Expires::Live { now: now() }, ..everything() },
        Search { expires: Expires::Within { now: now(), until: now().plus_days(30) }, ..everything() },
        Search { expires: Expires::Expired { now: now() }, ..everything() },
    ] {
        let Population { runtime, fixture, all } = population();
        let order = Order { by: Column::Created, descending: false };
        let found = runtime.block_on(fixture.store.search_pats(search.clone(), order, 1, 0)).unwrap();
        assert!(found.total > 0 && found.total < all.len() as u64, "{search:?}: {}", found.total);
    }
}

#[test]
fn ids_of_another_tenant_and_of_nobody_are_passed_over() {
    let Population { runtime, fixture, all } = population();
    let known = all[1].pat.id;
    let ids = vec![PatId::from_bytes([9; 16]), known];
    let here = runtime.block_on(fixture.store.listed_pats(fixture.tenant, ids.clone())).unwrap();
    assert_eq!(here, [all[1].clone()]);
    let elsewhere = TenantKey(fixture.tenant.0 + 1);
    assert_eq!(runtime.block_on(fixture.store.listed_pats(elsewhere, ids)).unwrap(), []);
}

#[test]
fn many_ids_are_found_in_the_order_given() {
    let Population { runtime, fixture, all } = population();
    let nobody = |n: u8| PatId::from_bytes([n; 16]);
    let mut ids: Vec<PatId> = all.iter().rev().map(|listed| listed.pat.id).collect();
    ids.splice(20..20, (0..60).map(nobody));
    assert!(ids.len() > 2 * IDS_AT_ONCE, "more than two statements take");
    let found = runtime.block_on(fixture.store.listed_pats(fixture.tenant, ids)).unwrap();
    assert!(found.iter().eq(all.iter().rev()), "{found:?}");
}

mod sqlite {
    use patron_testing::Engine;

    use super::*;

    const P: &str = "SEARCH p USING PRIMARY KEY (id=?)";
    const I: &str = "SEARCH i USING PRIMARY KEY (id=?)";
    const USED: &str =
        "SEARCH pats USING COVERING INDEX pats_used (tenant=? AND last_used>? AND last_used<?)";
    const UNUSED: &str =
        "SEARCH pats USING COVERING INDEX pats_used (tenant=? AND last_used=? AND created<?)";
    const SORTED: &str = "USE TEMP B-TREE FOR ORDER BY";

    #[tokio::test]
    async fn ids_are_found_by_the_primary_key() {
        let plan = Fixture::on(Engine::Sqlite).await.plan(BY_IDS);
        assert_eq!(plan, [P, I]);
    }

    #[tokio::test]
    async fn what_a_page_does_not_show_is_not_read() {
        let fixture = Fixture::on(Engine::Sqlite).await;
        for descending in [false, true] {
            let created = Order { by: Column::Created, descending };
            let few = fixture.plan(page_of_span(created, true).unwrap());
            assert_eq!(
                few.iter().filter(|step| step.starts_with("SEARCH")).collect::<Vec<_>>(),
                [P, USED, UNUSED, I]
            );
            let many = fixture.plan(page_of_span(created, false).unwrap());
            let behind = if descending { "<" } else { ">" };
            let walk = format!(
                "SEARCH pats USING COVERING INDEX pats_listed (tenant=? AND (created,id){behind}(?,?))"
            );
            assert_eq!(many[..1], [P]);
            assert!(many.contains(&walk), "{many:?}");
            let by_use =
                fixture.plan(page_of_span(Order { by: Column::LastUsed, descending }, false).unwrap());
            assert_eq!(
                by_use.iter().filter(|step| step.starts_with("SEARCH")).collect::<Vec<_>>(),
                [P, USED, UNUSED, I]
            );
            assert!(by_use.contains(&"MERGE (UNION ALL)".to_owned()), "{by_use:?}");
            for plan in [many, by_use] {
                // The page itself is, once it is found.
                assert_eq!(plan.iter().filter(|step| *step == SORTED).count(), 1, "{plan:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_search_looks_among_those_of_the_owner_or_of_the_time_of_use() {
        let fixture = Fixture::on(Engine::Sqlite).await;
        let of_p = |sql| fixture.plan(sql).into_iter().find(|step| step.contains(" p ")).unwrap();
        for by in [Column::Created, Column::Name, Column::Owner, Column::LastUsed, Column::Expires] {
            for descending in [false, true] {
                let order = Order { by, descending };
                let owned = of_p(Among::Owned.page(order));
                assert!(owned.contains("(tenant=? AND owner=?"), "{owned}");
                assert_eq!(of_p(Among::Used.page(order)), P);
            }
        }
        let owned = of_p(Among::Owned.count());
        assert!(owned.contains("(tenant=? AND owner=?"), "{owned}");
        assert_eq!(of_p(Among::Used.count()), P);
        assert_eq!(fixture.plan(BY_ID), [P, I]);
    }
}

mod postgres {
    use patron_testing::Engine;

    use super::*;

    #[tokio::test]
    async fn ids_are_found_by_the_primary_key() {
        let plan = Fixture::on(Engine::Postgres).await.plan(BY_IDS).join("\n");
        assert!(plan.contains("using pats_pkey on pats p"), "{plan}");
        assert!(plan.contains("using identities_") && !plan.contains("Seq Scan"), "{plan}");
    }
}

#[test]
fn a_text_that_no_name_has_is_not_looked_for() {
    let everything = everything();
    Runtime::new().unwrap().block_on(async {
        let fixture = Fixture::new().await;
        let jane = fixture.identity(fixture.tenant, "jane", &[]).await;
        fixture.pat(&jane, "ci").await;
        // As nobody can name one, so that the engine would find it.
        let (nul, long) = ("a\u{0}b", "x".repeat(256));
        let order = Order { by: Column::Created, descending: false };
        for text in [nul, &long] {
            if fixture.takes(text) {
                fixture.execute("UPDATE pats SET name = $1", &[text.into()]).await.unwrap();
            }
            let search = Search { tenant: fixture.tenant, text: text.to_owned(), ..everything.clone() };
            let found = fixture.store.search_pats(search, order, 10, 0).await.unwrap();
            assert_eq!(found, Found::NOTHING, "{text:?}");
        }
    });
}
