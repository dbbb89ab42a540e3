use patron_core::clock::Clock as _;
use patron_core::secret::SessionToken;

use super::*;
use crate::changes::Change;
use crate::sessions::SessionLimits;
use crate::testing::{Fixture, operator};

/// Who is on the pages of this size, put together.
async fn listed(fixture: &Fixture, order: Order, limit: u32) -> Vec<Identity> {
    let mut all: Vec<Identity> = Vec::new();
    loop {
        let page = fixture.store.identities_page(fixture.tenant, order, all.last(), limit).await.unwrap();
        let full = page.len() == limit as usize;
        all.extend(page);
        if !full {
            return all;
        }
    }
}

#[tokio::test]
async fn pages_of_every_order_put_together_have_everybody_once() {
    let fixture = Fixture::new().await;
    let highest = char::MAX.to_string().repeat(NAME_CHARS);
    let mut expected = Vec::new();
    for (name, display) in [
        ("d", "same"),
        ("a", "same"),
        ("c", "same"),
        ("B", "Same"),
        ("b", "ä"),
        (&highest, &highest),
        ("e", "sam"),
        ("f", "same"),
    ] {
        let draft =
            Draft { name: name.to_owned(), display_name: Some(display.to_owned()), ..Draft::default() };
        let made = fixture.store.create_identity(operator(), fixture.tenant, draft).await.unwrap();
        expected.push(made);
    }
    let elsewhere = fixture.tenant("acme").await;
    fixture.identity(elsewhere, "b", &[]).await;
    for order in [Order::LoginName, Order::DisplayName, Order::DisplayNameDescending] {
        expected.sort_by(|a, b| order.compare(a, b));
        for limit in [1, 2, 3, 100] {
            assert_eq!(listed(&fixture, order, limit).await, expected, "{order:?}, {limit} at a time");
        }
    }
    assert_eq!(expected[0].name, highest);
}

mod sqlite {
    use patron_testing::Engine;

    use super::*;

    #[tokio::test]
    async fn a_page_is_read_by_an_index_in_its_order() {
        let fixture = Fixture::on(Engine::Sqlite).await;
        for (order, index) in [
            (Order::LoginName, "sqlite_autoindex_identities_2 (tenant=? AND (name,id)>(?,?))"),
            (Order::DisplayName, "identities_by_display_name (tenant=? AND (display_name,id)>(?,?))"),
            (
                Order::DisplayNameDescending,
                "identities_by_display_name (tenant=? AND (display_name,id)<(?,?))",
            ),
        ] {
            let plan = fixture.plan(order.page());
            assert_eq!(plan, [format!("SEARCH identities USING INDEX {index}")], "{order:?}");
        }
    }
}

mod postgres {
    use patron_testing::Engine;

    use super::*;

    #[tokio::test]
    async fn a_page_is_read_by_an_index_in_its_order() {
        let fixture = Fixture::on(Engine::Postgres).await;
        for (order, scan, bound) in [
            // The index does not hold the id, which decides nothing: no two in a tenant have one name.
            (Order::LoginName, "Scan using identities_tenant_name_key", "(name >= $"),
            (Order::DisplayName, "Scan using identities_by_display_name", "ROW(display_name, id) >"),
            (
                Order::DisplayNameDescending,
                "Scan Backward using identities_by_display_name",
                "ROW(display_name, id) <",
            ),
        ] {
            let plan = fixture.plan(order.page());
            let at = plan.iter().position(|step| step.contains(scan)).unwrap_or_else(|| panic!("{plan:?}"));
            assert!(plan[at + 1].starts_with("Index Cond: ") && plan[at + 1].contains(bound), "{plan:?}");
            assert!(!plan.iter().any(|step| step.ends_with("->  Sort")), "{plan:?}");
        }
    }
}

fn assert_last<T: std::fmt::Debug>(result: Result<T>) {
    assert_eq!(result.unwrap_err().to_string(), identity::last_admin().to_string());
}

#[tokio::test]
async fn a_level_that_looks_like_the_administrators_is_none() {
    let fixture = Fixture::new().await;
    let admin = fixture.identity(fixture.tenant, "admin", &["HELPDESK", ORG_ADMIN]).await;
    for (name, level) in [
        ("wildcard", "ORGXADMIN"),
        ("case", "org_admin"),
        ("longer", "XORG_ADMIN"),
        ("quoted", "X\"ORG_ADMIN"),
        ("escaped", "ORG!_ADMIN"),
    ] {
        fixture.identity(fixture.tenant, name, &[level]).await;
    }
    let disabled = fixture.identity(fixture.tenant, "disabled", &[ORG_ADMIN]).await;
    let (id, store) = (admin.id, &fixture.store);
    let disable: Decision = Arc::new(|old: &Identity| Ok(Identity { enabled: false, ..old.clone() }));
    let change = async |id, decide: &Decision| {
        store.change_identity(operator(), fixture.tenant, id, Arc::clone(decide)).await
    };
    change(disabled.id, &disable).await.unwrap();
    let elsewhere = fixture.tenant("acme").await;
    fixture.identity(elsewhere, "admin", &[ORG_ADMIN]).await;

    let demote: Decision = Arc::new(|old: &Identity| Ok(Identity { levels: Vec::new(), ..old.clone() }));
    assert_last(change(id, &disable).await);
    assert_last(change(id, &demote).await);
    let deleted = store.delete_identity(operator(), fixture.tenant, id).await;
    assert_last(deleted);

    let enable: Decision = Arc::new(|old: &Identity| Ok(Identity { enabled: true, ..old.clone() }));
    change(disabled.id, &enable).await.unwrap();
    change(id, &disable).await.unwrap();
}

#[tokio::test]
async fn a_password_of_somebody_elses_is_temporary_and_set_for_whom_it_may_be() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let hash = |text: &str| text.to_owned();
    let draft = Draft { name: "jane".to_owned(), ..Draft::default() };
    let made = store.create_identity_with_password(operator(), tenant, draft, hash("first")).await.unwrap();
    let kept = async || {
        let found = store.credentials_of(tenant, "jane".to_owned()).await.unwrap().unwrap();
        (found.password_hash.unwrap(), found.password_temporary)
    };
    assert_eq!(kept().await, (hash("first"), true));

    store.set_password_hash(operator(), tenant, made.id, hash("own"), false).await.unwrap();
    let session = SessionToken::generate(&*store.entropy).hash();
    let begun = store.sign_in(operator(), tenant, made.id, hash("own"), None, session).await.unwrap();
    assert!(begun.is_some());
    let limits = SessionLimits { idle_seconds: 60, absolute_seconds: 60 };
    let is_alive = async || store.session(tenant, session, limits).await.unwrap().is_some();

    let refuse: Permission = Arc::new(|who: &Identity| Err(Error::forbidden(who.name.as_str())));
    let refused = store.reset_password(operator(), tenant, made.id, hash("new"), refuse).await.unwrap_err();
    assert_eq!(refused.to_string(), "jane");
    assert_eq!((kept().await, is_alive().await), ((hash("own"), false), true));

    let elsewhere = fixture.tenant("acme").await;
    let allow: Permission = Arc::new(|_: &Identity| Ok(()));
    let missing = store.reset_password(operator(), elsewhere, made.id, hash("new"), Arc::clone(&allow)).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    let reset = store.reset_password(operator(), tenant, made.id, hash("new"), allow).await.unwrap();
    assert_eq!(reset, made);
    assert_eq!((kept().await, is_alive().await), ((hash("new"), true), false));
}

#[tokio::test]
async fn a_login_name_that_none_can_be_is_not_looked_for() {
    let fixture = Fixture::new().await;
    let jane = fixture.identity(fixture.tenant, "jane", &[]).await;
    assert_eq!(fixture.store.identity_named(fixture.tenant, "jane".to_owned()).await.unwrap(), Some(jane));
    for name in ["a\u{0}b", &"x".repeat(256)] {
        // So that the engine would find it.
        if fixture.takes(name) {
            fixture.execute("UPDATE identities SET name = $1", &[name.into()]).await.unwrap();
        }
        let found = fixture.store.identity_named(fixture.tenant, name.to_owned()).await.unwrap();
        assert_eq!(found, None, "{name:?}");
        let found = fixture.store.credentials_of(fixture.tenant, name.to_owned()).await.unwrap();
        assert!(found.is_none(), "{name:?}");
        let search = Search { text: name.to_owned(), order: Order::LoginName, managed: false };
        let found = fixture.store.identities_found(fixture.tenant, search, 0, 10).await.unwrap();
        assert_eq!(found, (Vec::new(), 0), "{name:?}");
    }
}

#[tokio::test]
async fn whoever_is_deleted_takes_all_pats_along_however_many() {
    let fixture = Fixture::new().await;
    let (jane, kept) = (
        fixture.identity(fixture.tenant, "jane", &[]).await,
        fixture.identity(fixture.tenant, "joe", &[]).await,
    );
    let others = fixture.pat(&kept, "stays").await;
    let mut pats = Vec::new();
    for n in 0..150 {
        pats.push(fixture.pat(&jane, &format!("{n:03}")).await);
    }
    let expires = fixture.clock.now().plus_seconds(-1);
    for pat in &pats[..2] {
        let values = [expires.into(), pat.id.into()];
        fixture.execute("UPDATE pats SET expires = $1 WHERE id = $2", &values).await.unwrap();
    }
    let known = "UPDATE pats SET expiry_recorded = 1 WHERE id = $1";
    fixture.execute(known, &[pats[1].id.into()]).await.unwrap();
    let seen = fixture.store.feed_end().await.unwrap();
    fixture.store.delete_identity(operator(), fixture.tenant, jane.id).await.unwrap();

    assert_eq!(fixture.number("SELECT COUNT(*) FROM pats").await, 1);
    assert_eq!(fixture.store.pat(fixture.tenant, others.id).await.unwrap(), Some(others));
    for pat in &pats {
        let left = fixture.store.credential(pat.id).await.unwrap();
        assert!(matches!(left, Some(crate::pats::Credential::Deleted { .. })), "{}", pat.name);
    }
    let events = async |name: &'static str| {
        let rows = fixture.rows(name).await;
        rows.iter().map(|row| row.text(0).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let of = "SELECT target_name FROM audit_events WHERE technical_name = 'PERSONAL_ACCESS_TOKEN_EXPIRED'";
    assert_eq!(events(of).await, ["000"], "only the one of which it was not recorded yet");
    let of = "SELECT target_name FROM audit_events WHERE technical_name = 'PERSONAL_ACCESS_TOKEN_DELETED' \
              ORDER BY target_name";
    assert_eq!(events(of).await, pats.iter().map(|pat| pat.name.clone()).collect::<Vec<_>>());
    let changed = fixture.store.changes_after(seen).await.unwrap().entries.unwrap();
    // Nothing says in which order: all were made in the same moment.
    let mut expected = pats.iter().map(|pat| Change::Pat(pat.id)).chain([Change::Identity(jane.id)]);
    assert_eq!(changed.len(), pats.len() + 1);
    assert!(expected.all(|change| changed.contains(&change)));
}
