use std::sync::Arc;

use patron_core::audit::{Acting, Means};
use patron_core::id::TrackingId;
use patron_core::identity::Identity;
use patron_core::rights::ORG_ADMIN;

use super::*;
use crate::testing::{Fixture, LIMITS, operator};

fn hash(n: u8) -> SessionHash {
    SessionHash::from_bytes([n; 32])
}

/// What a request in this session carries.
fn within(session: &Session) -> Context {
    let who = &session.identity;
    Context {
        actor: Party::identity(who.id, &who.name),
        acting: Some(Acting::of(who, Means::Session(session.hash))),
        address: None,
        tracking: TrackingId::from_bytes([8; 16]),
    }
}

/// A store with jane in it, whose password's hash is `PHC`.
struct Case {
    fixture: Fixture,
    jane: Identity,
}

const PHC: &str = "$phc$";

impl Case {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let jane = fixture.identity(fixture.tenant, "jane", &["HELPDESK"]).await;
        let case = Self { fixture, jane };
        case.set_password(PHC, false).await;
        case
    }

    fn store(&self) -> &Store {
        &self.fixture.store
    }

    async fn set_password(&self, phc: &str, temporary: bool) {
        let set = self.store().set_password_hash(
            operator(),
            self.jane.tenant,
            self.jane.id,
            phc.to_owned(),
            temporary,
        );
        set.await.unwrap();
    }

    async fn try_sign_in(&self, phc: &str, previous: Option<u8>, n: u8) -> Option<Session> {
        let (tenant, id) = (self.jane.tenant, self.jane.id);
        let previous = previous.map(hash);
        self.store().sign_in(operator(), tenant, id, phc.to_owned(), previous, hash(n)).await.unwrap()
    }

    async fn sign_in(&self, n: u8) -> Session {
        self.try_sign_in(PHC, None, n).await.unwrap()
    }

    async fn session(&self, n: u8) -> Option<Session> {
        self.store().session(self.jane.tenant, hash(n), LIMITS).await.unwrap()
    }

    async fn enable(&self, enabled: bool) {
        let decide = Arc::new(move |old: &Identity| Ok(Identity { enabled, ..old.clone() }));
        self.store().change_identity(operator(), self.jane.tenant, self.jane.id, decide).await.unwrap();
    }

    fn pass(&self, seconds: i64) {
        self.fixture.clock.advance_millis(seconds * 1_000);
    }

    async fn rows(&self) -> i64 {
        self.fixture.number("SELECT COUNT(*) FROM sessions").await
    }

    /// How many events of this name there are.
    async fn events(&self, name: &str) -> usize {
        let events = self.fixture.rows("SELECT technical_name FROM audit_events").await;
        events.iter().filter(|event| event.text(0).unwrap() == name).count()
    }
}

#[tokio::test]
async fn a_session_is_its_identity_s_in_its_tenant() {
    let case = Case::new().await;
    let made = case.sign_in(1).await;
    assert_eq!((&made.identity, made.hash, made.password_temporary), (&case.jane, hash(1), false));
    assert_eq!(case.session(1).await, Some(made));
    assert_eq!(case.session(2).await, None);
    let elsewhere = case.fixture.tenant("acme").await;
    assert_eq!(case.store().session(elsewhere, hash(1), LIMITS).await.unwrap(), None);
    case.store().sign_out(elsewhere, hash(1)).await.unwrap();
    assert!(case.session(1).await.is_some(), "another tenant cannot end it");
    case.store().sign_out(case.jane.tenant, hash(1)).await.unwrap();
    case.store().sign_out(case.jane.tenant, hash(1)).await.unwrap();
    assert_eq!((case.session(1).await, case.rows().await), (None, 0));
    assert_eq!(case.events("SIGN_IN_PASSED").await, 1);
}

#[tokio::test]
async fn it_ends_when_nobody_uses_it_for_long_and_when_it_is_old() {
    let case = Case::new().await;
    case.sign_in(1).await;
    let idle = i64::from(LIMITS.idle_seconds);
    case.pass(idle - 1);
    assert!(case.session(1).await.is_some());
    case.store().touch_session(case.jane.tenant, hash(1)).await.unwrap();
    case.pass(idle - 1);
    assert!(case.session(1).await.is_some(), "it was in use");
    case.pass(1);
    assert_eq!(case.session(1).await, None, "idle");

    case.sign_in(2).await;
    let absolute = i64::from(LIMITS.absolute_seconds);
    for _ in 0..absolute / 1_000 {
        case.pass(1_000);
        assert!(case.session(2).await.is_some());
        case.store().touch_session(case.jane.tenant, hash(2)).await.unwrap();
    }
    case.pass(absolute % 1_000);
    assert_eq!(case.session(2).await, None, "old");
    // What is gone is none to note.
    case.store().touch_session(case.jane.tenant, hash(9)).await.unwrap();
}

#[tokio::test]
async fn its_use_is_noted_once_a_minute_and_often_enough_for_short_limits() {
    let case = Case::new().await;
    let session = case.sign_in(1).await;
    let due = |limits, seconds| session.is_due(limits, session.last_seen.plus_seconds(seconds));
    assert!(!due(LIMITS, 0) && !due(LIMITS, 59) && due(LIMITS, 60));
    assert!(!due(LIMITS, -59) && due(LIMITS, -60), "also when the clock was set back");
    let short = SessionLimits { idle_seconds: 60, ..LIMITS };
    assert!(!due(short, 14) && due(short, 15));
}

#[tokio::test]
async fn a_new_one_ends_the_one_that_the_browser_had() {
    let case = Case::new().await;
    case.sign_in(1).await;
    case.sign_in(2).await;
    case.try_sign_in(PHC, Some(1), 3).await.unwrap();
    assert_eq!(case.session(1).await, None);
    assert!(case.session(2).await.is_some() && case.session(3).await.is_some());
}

#[tokio::test]
async fn nobody_signs_in_with_a_password_that_was_changed_or_while_disabled() {
    let case = Case::new().await;
    case.sign_in(1).await;
    assert_eq!(case.try_sign_in("$other$", Some(1), 2).await, None);
    assert!(case.session(1).await.is_some(), "what failed has ended nothing");
    case.enable(false).await;
    assert_eq!(case.try_sign_in(PHC, None, 2).await, None);
    assert_eq!((case.rows().await, case.events("SIGN_IN_PASSED").await), (0, 1));
}

#[tokio::test]
async fn of_too_many_those_seen_the_longest_ago_end() {
    let case = Case::new().await;
    let most = u8::try_from(SESSIONS_PER_IDENTITY).unwrap();
    for n in 0..most {
        case.sign_in(n).await;
        case.pass(1);
    }
    let other = case.fixture.identity(case.jane.tenant, "joe", &[]).await;
    let store = case.store();
    store.set_password_hash(operator(), other.tenant, other.id, PHC.to_owned(), false).await.unwrap();
    let joes =
        store.sign_in(operator(), other.tenant, other.id, PHC.to_owned(), None, hash(200)).await.unwrap();
    assert!(joes.is_some());
    store.touch_session(case.jane.tenant, hash(0)).await.unwrap();
    case.sign_in(most).await;
    assert_eq!(case.session(1).await, None, "the oldest that is not in use");
    for n in [0, 2, most, 200] {
        assert!(case.session(n).await.is_some(), "{n}");
    }
    assert_eq!(case.rows().await, i64::from(most) + 1);
}

#[tokio::test]
async fn disabling_ends_them_for_good() {
    let case = Case::new().await;
    case.sign_in(1).await;
    case.enable(false).await;
    assert_eq!((case.session(1).await, case.rows().await), (None, 0));
    case.enable(true).await;
    assert_eq!(case.session(1).await, None);
    // Also one that was made behind the program's back.
    case.sign_in(2).await;
    case.fixture.execute("UPDATE sessions SET generation = generation - 1", &[]).await.unwrap();
    assert_eq!(case.session(2).await, None, "of an earlier generation");
}

#[tokio::test]
async fn a_password_that_is_set_ends_them() {
    let case = Case::new().await;
    case.sign_in(1).await;
    case.set_password("$new$", true).await;
    assert_eq!((case.session(1).await, case.rows().await), (None, 0));
    let session = case.try_sign_in("$new$", None, 2).await.unwrap();
    assert!(session.password_temporary);
    case.set_password("$newer$", false).await;
    assert!(!case.try_sign_in("$newer$", None, 3).await.unwrap().password_temporary);
}

#[tokio::test]
async fn deleting_an_identity_ends_them() {
    let case = Case::new().await;
    case.sign_in(1).await;
    case.store().delete_identity(operator(), case.jane.tenant, case.jane.id).await.unwrap();
    assert_eq!((case.session(1).await, case.rows().await), (None, 0));
}

#[tokio::test]
async fn all_but_one_are_ended_and_that_is_recorded() {
    let case = Case::new().await;
    let keep = case.sign_in(1).await;
    for n in [2, 3] {
        case.sign_in(n).await;
    }
    let (tenant, id) = (case.jane.tenant, case.jane.id);
    let before = case.events("IDENTITY_UPDATED").await;
    let end = || case.store().end_other_sessions(within(&keep), tenant, id, hash(1));
    assert_eq!(end().await.unwrap(), 2);
    assert_eq!((case.rows().await, case.events("IDENTITY_UPDATED").await), (1, before + 1));
    assert_eq!(end().await.unwrap(), 0);
    assert_eq!(case.events("IDENTITY_UPDATED").await, before + 1, "nothing was done");
    assert!(case.session(1).await.is_some());
}

#[tokio::test]
async fn one_s_own_new_password_ends_them_all_and_begins_another() {
    let case = Case::new().await;
    case.set_password(PHC, true).await;
    let (tenant, id) = (case.jane.tenant, case.jane.id);
    let first = case.sign_in(1).await;
    assert!(first.password_temporary);
    case.sign_in(2).await;
    let change = async |session: &Session, expected: &str, n: u8| {
        let (expected, new) = (expected.to_owned(), "$own$".to_owned());
        case.store().change_own_password(within(session), tenant, id, expected, new, hash(n)).await
    };
    assert_eq!(change(&first, "$other$", 3).await.unwrap(), None, "changed meanwhile");
    let made = change(&first, PHC, 3).await.unwrap().unwrap();
    assert_eq!((made.hash, made.password_temporary), (hash(3), false));
    assert_eq!(case.session(3).await, Some(made));
    assert_eq!((case.session(1).await, case.session(2).await, case.rows().await), (None, None, 1));
    let refused = change(&first, "$own$", 4).await.unwrap_err();
    assert!(matches!(refused, Error::Unauthenticated { .. }), "the session has ended: {refused:?}");
    let found = case.store().credentials_of(tenant, "jane".to_owned()).await.unwrap().unwrap();
    assert_eq!((found.password_hash.as_deref(), found.password_temporary), (Some("$own$"), false));
}

#[tokio::test]
async fn a_change_is_made_by_a_session_that_is_what_it_was() {
    let case = Case::new().await;
    let (tenant, store) = (case.jane.tenant, case.store());
    let make = async |session: &Session, name: &str| {
        let draft = patron_core::identity::Draft { name: name.to_owned(), ..Default::default() };
        store.create_identity(within(session), tenant, draft).await.map(drop)
    };
    let refused = |made: Result<()>, why: &str| {
        let error = made.unwrap_err();
        assert!(matches!(error, Error::Unauthenticated { .. }), "{why}: {error:?}");
        assert_eq!(error.to_string(), "The session has ended meanwhile.");
    };
    let session = case.sign_in(1).await;
    make(&session, "a").await.unwrap();

    let promote =
        Arc::new(|old: &Identity| Ok(Identity { levels: vec![ORG_ADMIN.to_owned()], ..old.clone() }));
    store.change_identity(operator(), tenant, case.jane.id, promote).await.unwrap();
    refused(make(&session, "b").await, "other levels than when it was judged");
    let session = case.session(1).await.unwrap();
    make(&session, "b").await.unwrap();

    let elsewhere = case.fixture.tenant("acme").await;
    let mut moved = session.clone();
    moved.identity.tenant = elsewhere;
    refused(make(&moved, "c").await, "another tenant's");
    let mut newer = session.clone();
    newer.identity.generation += 1;
    refused(make(&newer, "c").await, "another generation");
    store.sign_out(tenant, hash(1)).await.unwrap();
    refused(make(&session, "c").await, "signed out");
}

#[tokio::test]
async fn what_a_password_is_held_against() {
    let case = Case::new().await;
    let (tenant, store) = (case.jane.tenant, case.store());
    let of = async |tenant, name: &str| store.credentials_of(tenant, name.to_owned()).await.unwrap();
    let found = of(tenant, "jane").await.unwrap();
    assert_eq!(
        (found.identity, found.password_hash, found.password_temporary),
        (case.jane.clone(), Some(PHC.to_owned()), false)
    );
    case.fixture.identity(tenant, "joe", &[]).await;
    assert_eq!(of(tenant, "joe").await.unwrap().password_hash, None);
    assert!(of(tenant, "Jane").await.is_none());
    let elsewhere = case.fixture.tenant("acme").await;
    assert!(of(elsewhere, "jane").await.is_none());
}

#[tokio::test]
async fn those_that_have_ended_are_dropped() {
    let case = Case::new().await;
    let idle = i64::from(LIMITS.idle_seconds);
    case.sign_in(1).await;
    case.pass(idle - 1);
    case.sign_in(2).await;
    case.store().purge(LIMITS).await.unwrap();
    assert_eq!(case.rows().await, 2);
    case.pass(1);
    case.store().purge(LIMITS).await.unwrap();
    assert_eq!(case.rows().await, 1);
    assert!(case.session(2).await.is_some());
}

const OF_AN_IDENTITY: &str = "DELETE FROM sessions WHERE tenant = $1 AND identity = $2";

mod sqlite {
    use patron_testing::Engine;

    use super::*;

    #[tokio::test]
    async fn statements_on_many_rows_have_their_index() {
        let fixture = Fixture::on(Engine::Sqlite).await;
        for (sql, index) in [
            (OF_AN_IDENTITY, "sessions_by_identity (tenant=? AND identity=?)"),
            (PURGE, "sessions_to_purge (last_seen<?)"),
        ] {
            let plan = fixture.plan(sql);
            assert!(plan.iter().any(|step| step.ends_with(&format!("INDEX {index}"))), "{plan:?}");
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
        }
    }
}

mod postgres {
    use patron_testing::Engine;

    use super::*;

    #[tokio::test]
    async fn statements_on_many_rows_have_their_index() {
        let fixture = Fixture::on(Engine::Postgres).await;
        for (sql, index, bound) in [
            (OF_AN_IDENTITY, "sessions_by_identity", "Index Cond: ((tenant = $1) AND (identity = $2))"),
            (PURGE, "sessions_to_purge", "Index Cond: (last_seen <= $1)"),
        ] {
            let plan = fixture.plan(sql);
            let scan = plan.windows(2).find(|lines| lines[0].contains(index));
            assert!(scan.is_some_and(|lines| lines[1].contains(bound)), "{plan:?}");
        }
    }
}
