//! Uses and failed uses of PATs: `lastUsed`, and what the audit trail keeps of them (contract sections 4 and 9).

use patron_core::clock::Clock as _;
use patron_store::audit::{Common, Selection};
use serde_json::{Value, json};

use super::support::*;

const USED: &str = "PERSONAL_ACCESS_TOKEN_USED";
const FAILED: &str = "PERSONAL_ACCESS_TOKEN_USE_FAILED";

impl Patron {
    /// `lastUsed` as the administrator reads it.
    async fn last_used(&self, pat: &Pat) -> Value {
        self.app.recorder.flush().await.unwrap();
        let path = format!("/personal-access-tokens/v1/{}", pat.id);
        self.send(Call::get(&path).auth(&self.admin.basic())).await.expect(200).json()["lastUsed"].clone()
    }

    /// Uses of one PAT, newest first.
    async fn uses(&self, pat: &Pat) -> Vec<Value> {
        let mut events = self.events(USED).await;
        events.retain(|event| event["target"]["id"] == pat.id);
        events
    }
}

#[tokio::test]
async fn last_used_moves_once_a_day() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let exchanged = patron.pat(&jane, "exchanged", &[]).await;
    let presented = patron.pat(&jane, "presented", &[]).await;
    assert_eq!(patron.last_used(&exchanged).await, Value::Null);
    let first = patron.clock.now().to_string();
    let bearer = patron.bearer(&exchanged).await;
    patron.send(Call::get("/tenant/v1").auth(&presented.basic())).await.expect(200);
    for pat in [&exchanged, &presented] {
        assert_eq!(patron.last_used(pat).await, first);
    }
    // An access token is no use of its PAT, and neither is a second use on the same day.
    patron.pass_seconds(86_399);
    patron.send(Call::get("/tenant/v1").auth(&patron.bearer(&exchanged).await)).await.expect(200);
    patron.send(Call::get("/tenant/v1").auth(&bearer)).await.expect(401);
    patron.send(Call::get("/tenant/v1").auth(&presented.basic())).await.expect(200);
    for pat in [&exchanged, &presented] {
        assert_eq!(patron.last_used(pat).await, first);
        assert_eq!(patron.uses(pat).await.len(), 1);
    }
    patron.pass_seconds(1);
    let second = patron.clock.now().to_string();
    patron.send(exchanged.exchange()).await.expect(200);
    patron.send(Call::get("/tenant/v1").auth(&presented.basic())).await.expect(200);
    for pat in [&exchanged, &presented] {
        assert_eq!(patron.last_used(pat).await, second);
        assert_eq!(patron.uses(pat).await.len(), 2);
    }
}

#[tokio::test]
async fn a_use_in_the_trail() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let reply = patron.send(pat.exchange().from("203.0.113.7")).await.expect(200);
    let mut event = patron.uses(&pat).await.remove(0);
    assert_eq!(event["id"].take().as_str().map(str::len), Some(32));
    assert_eq!(
        event,
        json!({
            "id": null, "created": START, "tenant": "default", "technicalName": USED,
            "actor": { "type": "IDENTITY", "id": jane.id.to_string(), "name": "jane" },
            "target": { "type": "PERSONAL_ACCESS_TOKEN", "id": pat.id, "name": "ci" },
            "ipAddress": "203.0.113.7", "trackingNumber": reply.header("slpt-request-id"),
            "operation": "USE", "status": "PASSED", "attributes": {},
        })
    );
}

#[tokio::test]
async fn a_refused_exchange_is_no_use() {
    let patron = Patron::with(|settings| settings.rate_limits.requests = 1).await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &["demo:first"]).await;
    patron.send(pat.exchange_for("demo:second")).await.expect(400);
    patron.send(pat.exchange()).await.expect(429);
    assert_eq!(patron.last_used(&pat).await, Value::Null);
    assert!(patron.uses(&pat).await.is_empty());
}

#[tokio::test]
async fn every_use_when_the_operator_wants_it() {
    let patron = Patron::with(|settings| settings.audit.every_use = true).await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let bearer = patron.bearer(&pat).await;
    patron.pass_seconds(1);
    patron.send(Call::get("/tenant/v1").auth(&pat.basic())).await.expect(200);
    patron.send(Call::get("/tenant/v1").auth(&bearer)).await.expect(200);
    patron.send(Call::get("/forward-auth").auth(&pat.basic())).await.expect(200);
    patron.send(pat.exchange()).await.expect(200);
    // In the trail when the answer is given, without a flush: nothing succeeds without its record.
    let tenant = patron.tenant("default").await;
    let of_pat = Selection { common: Some(Common::Target(pat.id.clone())), ..Selection::everything(tenant) };
    let events = patron.app.store.audit_page(of_pat, None, 100).await.unwrap();
    let uses: Vec<_> = events.iter().filter(|event| event.technical_name == USED).collect();
    assert_eq!(uses.len(), 4, "an exchange, two over Basic, an exchange; no access token");
    assert_eq!(patron.last_used(&pat).await, START, "which moves no more often for that");
}

#[tokio::test]
async fn the_trail_alone_tells_why_a_use_failed() {
    let patron = Patron::start().await;
    let PatsOfAllKinds { live: pat, deleted, expired, disabled, foreign } = patron.pats_of_all_kinds().await;
    let unknown = Pat { id: "f".repeat(32), ..pat.clone() };
    let wrong = Pat { secret: "0".repeat(64), ..pat.clone() };
    let rows = [
        (&unknown, "UNKNOWN_CLIENT"),
        // Another tenant's PAT is nobody's here, and this trail does not tell otherwise.
        (&foreign, "UNKNOWN_CLIENT"),
        (&wrong, "WRONG_SECRET"),
        (&deleted, "DELETED"),
        (&expired, "EXPIRED"),
        (&disabled, "OWNER_DISABLED"),
    ];
    for (tried, _) in &rows {
        patron.send(tried.exchange().from("203.0.113.7")).await.expect(401);
    }
    let events = patron.events(FAILED).await;
    assert_eq!(events.len(), rows.len(), "{events:#?}");
    for (tried, reason) in &rows {
        let event = events.iter().find(|event| event["target"]["id"] == tried.id);
        let event = event.unwrap_or_else(|| panic!("{reason} of {}: {events:#?}", tried.id));
        assert_eq!(event["attributes"], json!({ "reason": reason, "count": 1 }));
        assert_eq!(event["ipAddress"], "203.0.113.7");
        assert_eq!((&event["operation"], &event["status"]), (&json!("USE"), &json!("FAILED")));
        assert_eq!(event["created"], "2027-03-01T12:00:05.000Z");
    }
    let trail =
        patron.send(Call::get("/audit-events/v1").auth(&patron.admin.basic())).await.expect(200).text();
    for secret in [&pat.secret, &wrong.secret, &deleted.secret, &foreign.secret] {
        assert!(!trail.contains(secret.as_str()), "no secret, not even a wrong one");
    }
}

#[tokio::test]
async fn an_attack_is_one_event_with_a_count() {
    let patron = Patron::start().await;
    let pat = patron.admin.clone();
    let guess = |id: &str, from: &str| {
        Pat { id: id.to_owned(), secret: "x".to_owned(), ..pat.clone() }.exchange().from(from)
    };
    for _ in 0..30 {
        patron.send(guess(&pat.id, "203.0.113.1")).await;
    }
    for _ in 0..3 {
        patron.send(guess(&pat.id, "203.0.113.2")).await;
    }
    patron.send(guess(&"0".repeat(32), "203.0.113.1")).await;
    let events = patron.events(FAILED).await;
    let mut told: Vec<_> = events
        .iter()
        .map(|event| {
            let attributes = &event["attributes"];
            (
                event["ipAddress"].as_str().unwrap(),
                attributes["reason"].as_str().unwrap(),
                attributes["count"].as_u64(),
            )
        })
        .collect();
    told.sort_unstable();
    // Those that were told to wait are among them.
    let expected = [
        ("203.0.113.1", "UNKNOWN_CLIENT", Some(1)),
        ("203.0.113.1", "WRONG_SECRET", Some(30)),
        ("203.0.113.2", "WRONG_SECRET", Some(3)),
    ];
    assert_eq!(told, expected);
    // What was written is not written again.
    assert_eq!(patron.events(FAILED).await.len(), 3);
    patron.send(guess(&pat.id, "203.0.113.1")).await;
    assert_eq!(patron.events(FAILED).await.len(), 4);
}

/// What is gathered in memory knows no engine. With a file it is gathered before the first of it is written.
mod sqlite {
    use super::*;

    #[tokio::test]
    async fn ever_other_ids_do_not_fill_the_trail() {
        let patron = Patron::start().await;
        for n in 0..1_500 {
            let pat = Pat { id: format!("{n:032x}"), secret: "x".to_owned(), ..patron.admin.clone() };
            let from = format!("10.{}.{}.1", n / 250, n % 250);
            patron.send(pat.exchange().from(&from)).await.expect(401);
        }
        let events = patron.events(FAILED).await;
        assert_eq!(events.len(), 1_001);
        let rest = events.iter().find(|event| event["target"]["id"] == "*").expect("what is left, as one");
        assert_eq!(rest["attributes"], json!({ "reason": "UNKNOWN_CLIENT", "count": 500 }));
        assert_eq!(rest["ipAddress"], Value::Null);
    }
}
