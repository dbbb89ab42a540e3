//! What happens between a request's head and its end: a credential that ends meanwhile changes nothing, and a caller
//! that hangs up takes nothing with it.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use futures_util::FutureExt as _;
use patron_core::id::TokenId;
use patron_core::identity::Identity;
use patron_core::time::Timestamp;
use serde_json::{Value, json};

use crate::support::{Call, Pat, Patron, Reply, identity_id, operator, pat_id};

/// Sends a head, lets `meanwhile` happen once Patron waits for the body, then sends the body.
async fn interrupted(
    patron: &Patron,
    (method, path): (&str, &str),
    auth: &str,
    body: &Value,
    meanwhile: impl Future<Output = ()>,
) -> (StatusCode, Value) {
    let (asked, mut ask) = tokio::sync::oneshot::channel::<()>();
    let (give, given) = tokio::sync::oneshot::channel::<Bytes>();
    let body_stream = futures_util::stream::once(async move {
        asked.send(()).unwrap();
        Ok::<_, std::convert::Infallible>(given.await.unwrap())
    });
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", auth)
        .header("content-type", "application/json")
        .body(Body::from_stream(body_stream))
        .unwrap();
    let answering = patron.front.answer([127, 0, 0, 1].into(), request);
    let mut answering = Box::pin(answering);
    // The credential was judged when the body is asked for.
    tokio::select! {
        _ = &mut answering => panic!("answered before the body came"),
        asked = &mut ask => asked.unwrap(),
    }
    meanwhile.await;
    give.send(Bytes::from(body.to_string())).unwrap();
    let answer = answering.await;
    let status = answer.status();
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn creation() -> Value {
    json!({ "name": "sneaked in", "userAwareTokenNeverExpires": true })
}

async fn change(patron: &Patron, who: &Identity, change: fn(&mut Identity)) {
    let decide = Arc::new(move |old: &Identity| {
        let mut new = old.clone();
        change(&mut new);
        Ok(new)
    });
    patron.app.store.change_identity(operator(), who.tenant, who.id, decide).await.unwrap();
}

async fn names(patron: &Patron) -> Vec<String> {
    let reply =
        patron.send(Call::get("/personal-access-tokens/v1").auth(&patron.admin.basic())).await.expect(200);
    let names = reply.json();
    names.as_array().unwrap().iter().map(|pat| pat["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_credential_that_ends_while_the_body_is_on_its_way_changes_nothing() {
    let patron = Patron::start().await;
    let endings: [&str; 5] =
        ["pat deleted", "owner disabled", "levels changed", "token revoked", "scope narrowed"];
    for ending in endings {
        let owner = patron.identity(ending, &["HELPDESK"]).await;
        let pat = patron.pat(&owner, "ci", &[]).await;
        let bearer = patron.bearer(&pat).await;
        let auth = if ending == "scope narrowed" { pat.basic() } else { bearer.clone() };
        let meanwhile = async {
            match ending {
                "pat deleted" => {
                    let allow = Arc::new(|_: &patron_core::pat::Pat| Ok(()));
                    patron
                        .app
                        .store
                        .delete_pat(operator(), owner.tenant, pat_id(&pat.id), allow)
                        .await
                        .unwrap();
                }
                "owner disabled" => change(&patron, &owner, |who| who.enabled = false).await,
                "levels changed" => change(&patron, &owner, |who| who.levels.clear()).await,
                "token revoked" => {
                    let claims = jti_of(&bearer);
                    let (jti, pat) = (TokenId::parse(&claims).unwrap(), pat_id(&pat.id));
                    patron
                        .app
                        .store
                        .revoke_token(operator(), owner.tenant, jti, pat, Timestamp::MAX)
                        .await
                        .unwrap();
                }
                _ => narrow(&patron, &owner, &pat).await,
            }
        };
        let path = ("POST", "/personal-access-tokens/v1");
        let (status, body) = interrupted(&patron, path, &auth, &creation(), meanwhile).await;
        assert_eq!(status, 401, "{ending}: {body}");
        assert!(body["error"].is_string(), "{ending}: {body}");
        assert!(!names(&patron).await.contains(&"sneaked in".to_owned()), "{ending}");
    }
}

#[tokio::test]
async fn patches_bulk_updates_and_levels_are_judged_again_too() {
    let patron = Patron::start().await;
    let target = patron.identity("target", &[]).await;
    let kept = patron.pat(&target, "kept", &[]).await;
    let one = |id: &str| format!("/personal-access-tokens/v1/{id}");
    for (what, n) in [("patch", 0), ("bulk", 1), ("levels", 2)] {
        let admin = patron.identity(what, &["ORG_ADMIN"]).await;
        let pat = patron.pat(&admin, "ci", &[]).await;
        let bearer = patron.bearer(&pat).await;
        let expiry = json!([{ "op": "replace", "path": "/expirationDate", "value": "2030-01-01T00:00:00Z" }]);
        let calls = [
            ("PATCH", one(&pat.id), json!([{ "op": "replace", "path": "/name", "value": "new" }])),
            (
                "POST",
                "/personal-access-tokens/v1/bulk-update".to_owned(),
                json!({ "ids": [kept.id], "patch": expiry }),
            ),
            (
                "PATCH",
                format!("/auth-users/v1/{}", target.id),
                json!([{ "op": "add", "path": "/capabilities/-", "value": "ORG_ADMIN" }]),
            ),
        ];
        let (method, path, body) = &calls[n];
        let meanwhile = change(&patron, &admin, |who| who.enabled = false);
        let (status, answer) = interrupted(&patron, (method, path), &bearer, body, meanwhile).await;
        assert_eq!(status, 401, "{what}: {answer}");
    }
    let shown = patron.app.store.pat(target.tenant, pat_id(&kept.id)).await.unwrap().unwrap();
    assert_eq!(shown.expiry.date(), None);
    let target =
        patron.app.store.identity(target.tenant, identity_id(&target.id.to_string())).await.unwrap().unwrap();
    assert!(target.levels.is_empty());
}

fn jti_of(bearer: &str) -> String {
    use base64::Engine as _;
    let claims = bearer.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["jti"].as_str().unwrap().to_owned()
}

async fn narrow(patron: &Patron, owner: &Identity, pat: &Pat) {
    let narrowed = Arc::new(|old: &patron_core::pat::Pat| {
        let scope = patron_core::scope::ScopeList::from_request(Some(Vec::new()))?;
        Ok(patron_core::pat::Pat { scope, ..old.clone() })
    });
    patron.app.store.patch_pat(operator(), owner.tenant, pat_id(&pat.id), narrowed).await.unwrap();
}

/// A caller that hangs up in the middle of a list takes neither its own use nor others' failures with it.
#[tokio::test]
async fn hanging_up_loses_no_record() {
    let patron = Patron::start().await;
    let user = patron.identity("user", &[]).await;
    let pat = patron.pat(&user, "ci", &[]).await;
    let wrong = Pat { secret: "0".repeat(64), ..pat.clone() };
    let _: Reply = patron.send(Call::get("/tenant/v1").auth(&pat.basic())).await.expect(200);
    for _ in 0..15 {
        let _: Reply = patron.send(Call::get("/tenant/v1").auth(&wrong.basic())).await.expect(401);
        let list = Call::get("/personal-access-tokens/v1?owner-id=me").auth(&pat.basic());
        let mut listing = Box::pin(patron.send(list));
        // Polled a few times, as a connection polls it, and dropped.
        for _ in 0..3 {
            if (&mut listing).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let failed = patron.events("PERSONAL_ACCESS_TOKEN_USE_FAILED").await;
    let count: u64 = failed.iter().map(|event| event["attributes"]["count"].as_u64().unwrap()).sum();
    assert_eq!(count, 15, "{failed:?}");
    assert_eq!(patron.events("PERSONAL_ACCESS_TOKEN_USED").await.len(), 1);
}

/// Who guesses on after being told to wait adds to one entry, whatever ids it names.
#[tokio::test]
async fn a_throttled_guesser_is_one_entry() {
    let patron = Patron::with(|settings| settings.rate_limits.auth_failures_per_address = 5).await;
    for n in 0..300_u32 {
        let pat = Pat { id: format!("{n:032x}"), secret: "0".repeat(64), owner: String::new() };
        let reply = patron.send(Call::get("/tenant/v1").auth(&pat.basic())).await;
        assert_eq!(reply.status, if n < 5 { 401 } else { 429 });
    }
    let events = patron.events("PERSONAL_ACCESS_TOKEN_USE_FAILED").await;
    let count = |event: &Value| event["attributes"]["count"].as_u64().unwrap();
    let told: Vec<_> = events.iter().filter(|event| event["target"]["id"] != "*").collect();
    let throttled: Vec<_> = events.iter().filter(|event| event["target"]["id"] == "*").collect();
    assert_eq!(told.iter().map(|event| count(event)).sum::<u64>(), 5);
    assert_eq!(throttled.iter().map(|event| count(event)).sum::<u64>(), 295);
    assert_eq!(told.len(), 5);
}
