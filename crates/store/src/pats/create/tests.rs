use futures_util::future::join_all;
use patron_core::identity::Identity;
use patron_core::pat::{Draft, Rules};

use super::*;
use crate::testing::{Fixture, operator};

fn named(fixture: &Fixture, name: &str) -> NewPat {
    let draft =
        Draft { name: Some(name.to_owned()), user_aware_token_never_expires: true, ..Draft::default() };
    draft.check(Rules::Current, patron_core::clock::Clock::now(&*fixture.clock)).unwrap()
}

fn own(owner: &Identity, per_owner: u32) -> Creation {
    Creation { owner: owner.id, managed: false, per_owner }
}

async fn create(
    store: &Store,
    context: Context,
    tenant: TenantKey,
    creation: Creation,
    new: NewPat,
) -> Result<Pat> {
    store.create_pat(context, tenant, creation, new).await.map(|(pat, _)| pat)
}

fn detail(outcome: Result<Pat>) -> Detail {
    match outcome.unwrap_err() {
        Error::Invalid { detail, .. } => detail,
        other => panic!("{other:?}"),
    }
}

/// All of them wait before the first is made, so they are made together.
#[tokio::test]
async fn of_those_made_together_each_is_refused_for_what_is_wrong_with_it() {
    let fixture = Fixture::new().await;
    let (jane, joe) = (
        fixture.identity(fixture.tenant, "jane", &[]).await,
        fixture.identity(fixture.tenant, "joe", &[]).await,
    );
    let nobody = IdentityId::from_bytes([9; 16]);
    let make = |owner: IdentityId, name: &str, per_owner: u32| {
        let actor = Party::other("TEST", format!("who wants {name}"), "");
        let creation = Creation { owner, managed: false, per_owner };
        create(
            &fixture.store,
            Context { actor, ..operator() },
            fixture.tenant,
            creation,
            named(&fixture, name),
        )
    };
    let asked = vec![
        make(jane.id, "one", 2),
        make(nobody, "none", 2),
        make(joe.id, "one", 9),
        make(jane.id, "one", 9),
        make(joe.id, "one", 9),
        make(jane.id, "two", 2),
        make(jane.id, "three", 2),
    ];
    let mut outcomes = join_all(asked).await.into_iter();
    let mut next = || outcomes.next().unwrap();
    let pat = next().unwrap();
    assert_eq!((pat.name.as_str(), pat.owner, pat.owner_name.as_str()), ("one", jane.id, "jane"));
    assert_eq!(detail(next()), Detail::ReferenceNotFound);
    assert_eq!(next().unwrap().owner_name, "joe");
    assert_eq!(detail(next()), Detail::Conflict);
    assert_eq!(detail(next()), Detail::Conflict);
    // There is room for one more, as the second "one" was not made. Those that were refused at first are then made each
    // alone, so either may come before the other.
    let (second, refused) = match (next(), next()) {
        (Ok(second), refused) | (refused, Ok(second)) => (second.name.as_str().to_owned(), refused),
        neither => panic!("{neither:?}"),
    };
    assert_eq!(detail(refused), Detail::Limit);
    // What was answered is there, with its own record.
    assert_eq!(fixture.store.pat(fixture.tenant, pat.id).await.unwrap(), Some(pat.clone()));
    let records = "SELECT actor_id, target_name FROM audit_events WHERE technical_name = 'PERSONAL_ACCESS_TOKEN_CREATED' \
                   ORDER BY target_name, seq";
    let records: Vec<(String, String)> = fixture
        .rows(records)
        .await
        .iter()
        .map(|row| (row.text(0).unwrap().to_owned(), row.text(1).unwrap().to_owned()))
        .collect();
    let of = |name: &str| (format!("who wants {name}"), name.to_owned());
    assert_eq!(records, [of("one"), of("one"), of(&second)]);
}

mod postgres {
    use patron_core::audit::Means;
    use patron_core::id::TokenId;
    use patron_core::time::Timestamp;
    use patron_testing::Engine;

    use super::*;
    use crate::testing::acting;

    fn acting_with(who: &Identity, pat: PatId, token: TokenId) -> Context {
        let means = Means::Pat { pat, token: Some(token), pat_scopes: None };
        acting(who, means)
    }

    const TOKEN: TokenId = TokenId::from_bytes([1; 16]);

    #[tokio::test]
    async fn an_owner_has_no_more_than_it_may_whoever_makes_them() {
        let fixture = Fixture::on(Engine::Postgres).await;
        let jane = fixture.identity(fixture.tenant, "jane", &[]).await;
        let (here, there) = (&fixture.store, fixture.another_store().await);
        let names: Vec<String> = (0..30).map(|n| format!("token {n}")).collect();
        let make = |store: &Store, name: &String| {
            let (store, new) = (store.clone(), named(&fixture, name));
            let (tenant, creation) = (fixture.tenant, own(&jane, 10));
            async move { create(&store, operator(), tenant, creation, new).await }
        };
        let all =
            names.iter().enumerate().map(|(n, name)| make(if n % 2 == 0 { here } else { &there }, name));
        let (fit, refused): (Vec<_>, Vec<_>) = join_all(all).await.into_iter().partition(Result::is_ok);
        assert_eq!(fit.len(), 10);
        assert!(refused.into_iter().all(|refused| detail(refused) == Detail::Limit));
        assert_eq!(fixture.number("SELECT COUNT(*) FROM pats").await, 10);
    }

    #[tokio::test]
    async fn who_is_waited_for_keeps_nobody_else_waiting() {
        let fixture = Fixture::on(Engine::Postgres).await;
        let jane = fixture.identity(fixture.tenant, "jane", &[]).await;
        let joe = fixture.identity(fixture.tenant, "joe", &[]).await;
        let pat = fixture.pat(&jane, "ci").await;
        let gate = fixture.shut("SELECT 1 FROM pats FOR UPDATE");
        let mut waiting = Vec::new();
        // As many as there are tasks, each in the hands of another.
        for (name, sessions) in ["a", "b", "c", "d"].into_iter().zip(1..) {
            let (store, tenant, creation) = (fixture.store.clone(), fixture.tenant, own(&jane, 9));
            let (context, new) = (acting_with(&jane, pat.id, TOKEN), named(&fixture, name));
            waiting.push(tokio::spawn(async move { create(&store, context, tenant, creation, new).await }));
            fixture.until_waiting(sessions).await;
        }
        assert!(waiting.len() > CREATIONS.tasks);
        let make =
            |name| create(&fixture.store, operator(), fixture.tenant, own(&joe, 9), named(&fixture, name));
        for made in join_all(["one", "two"].map(make)).await {
            assert_eq!(made.unwrap().owner, joe.id);
        }
        assert!(gate.succeeds());
        for made in join_all(waiting).await {
            assert_eq!(made.unwrap().unwrap().owner, jane.id);
        }
    }

    /// A name is free when whoever gives it up has been answered, and nobody waits for that.
    #[tokio::test]
    async fn a_name_that_is_being_given_up_keeps_nobody_waiting() {
        let fixture = Fixture::on(Engine::Postgres).await;
        let jane = fixture.identity(fixture.tenant, "jane", &[]).await;
        let joe = fixture.identity(fixture.tenant, "joe", &[]).await;
        fixture.pat(&jane, "ci").await;
        let gate = fixture.shut("DELETE FROM pats");
        let make = |(owner, name)| {
            create(&fixture.store, operator(), fixture.tenant, own(owner, 9), named(&fixture, name))
        };
        let mut outcomes = join_all([(&jane, "ci"), (&joe, "one")].map(make)).await.into_iter();
        assert_eq!(detail(outcomes.next().unwrap()), Detail::Conflict);
        assert_eq!(outcomes.next().unwrap().unwrap().owner, joe.id);
        assert!(gate.succeeds());
    }

    /// The row of the credential is found as it was before the wait, and it is the table of revoked tokens that has changed.
    #[tokio::test]
    async fn nothing_is_made_with_a_token_that_is_revoked_while_it_waits() {
        let fixture = Fixture::on(Engine::Postgres).await;
        let jane = fixture.identity(fixture.tenant, "jane", &[]).await;
        let pat = fixture.pat(&jane, "ci").await;
        let context = acting_with(&jane, pat.id, TOKEN);
        // The revocation has done all but to enter the feed.
        let gate = fixture.shut("SELECT last FROM feed FOR UPDATE");
        let ends = Timestamp::from_millis(2_000_000_000_000);
        let revoke = fixture.store.revoke_token(operator(), fixture.tenant, TOKEN, pat.id, ends);
        let create = async {
            fixture.until_waiting(1).await;
            let make = create(&fixture.store, context, fixture.tenant, own(&jane, 9), named(&fixture, "new"));
            let open = async {
                fixture.until_waiting(2).await;
                assert!(gate.succeeds());
            };
            tokio::join!(make, open).0
        };
        let (revoked, made) = tokio::join!(revoke, create);
        revoked.unwrap();
        assert!(matches!(made, Err(Error::Unauthenticated { .. })), "{made:?}");
        assert_eq!(fixture.number("SELECT COUNT(*) FROM pats").await, 1);
    }

    /// Whoever deletes it does not see at first what is made meanwhile.
    #[tokio::test]
    async fn an_owner_that_is_deleted_meanwhile_leaves_nothing() {
        let fixture = Fixture::on(Engine::Postgres).await;
        let jane = fixture.identity(fixture.tenant, "jane", &[]).await;
        fixture.use_indexes();
        // The PAT is there, and its record is not.
        let gate = fixture.shut("LOCK TABLE audit_events IN SHARE MODE");
        let make = create(&fixture.store, operator(), fixture.tenant, own(&jane, 9), named(&fixture, "new"));
        let delete = async {
            fixture.until_waiting(1).await;
            let delete = fixture.store.delete_identity(operator(), fixture.tenant, jane.id);
            let open = async {
                fixture.until_waiting(2).await;
                assert!(gate.succeeds());
            };
            tokio::join!(delete, open).0
        };
        let (created, deleted) = tokio::join!(make, delete);
        created.unwrap();
        deleted.unwrap();
        let left = "SELECT COUNT(*) FROM pats";
        assert_eq!(
            (fixture.number(left).await, fixture.number("SELECT COUNT(*) FROM deleted_pats").await),
            (0, 1)
        );
    }

    #[tokio::test]
    async fn what_the_server_does_not_take_fails_alone() {
        let fixture = Fixture::on(Engine::Postgres).await;
        let jane = fixture.identity(fixture.tenant, "jane", &[]).await;
        let make = |name: &str| {
            let new = NewPat { name: name.to_owned(), ..named(&fixture, "x") };
            create(&fixture.store, operator(), fixture.tenant, own(&jane, 9), new)
        };
        let [one, wrong, two] = join_all(["one", "a\0b", "two"].map(make)).await.try_into().unwrap();
        assert_eq!([one, two].map(|made| made.unwrap().name), ["one", "two"]);
        assert!(matches!(wrong, Err(Error::Internal { .. })), "{wrong:?}");
    }
}
