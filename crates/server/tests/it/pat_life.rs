//! The life of a PAT: its use, its expiry, its end (contract sections 4 and 11).

use serde_json::{Value, json};

use crate::support::{Call, PATS, Pat, Patron, START};

const DAY: i64 = 86_400;

/// A PAT of the administrator's that expires in so many seconds.
async fn expiring(patron: &Patron, name: &str, seconds: i64) -> Pat {
    let body = json!({"name": name, "expirationDate": patron.in_seconds(seconds)});
    let made = patron.create(&patron.admin.basic(), &body).await;
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    Pat { id: text("id"), secret: text("secret"), owner: patron.admin.owner.clone() }
}

async fn patch(patron: &Patron, pat: &Pat, patch: Value) {
    let call = Call::new("PATCH", &format!("{PATS}/{}", pat.id)).auth(&patron.admin.basic());
    patron.send(call.json_patch(&patch)).await.expect(200);
}

/// What an access token is still good for.
async fn status(patron: &Patron, auth: &str) -> u16 {
    patron.send(Call::get("/tenant/v1").auth(auth)).await.status.as_u16()
}

#[tokio::test]
async fn last_used_moves_at_most_once_in_24_hours() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let admin = patron.admin.basic();
    for over_basic in [false, true] {
        let pat = patron.pat(&jane, if over_basic { "basic" } else { "exchange" }, &[]).await;
        let used = async || {
            if over_basic {
                patron.send(Call::get("/tenant/v1").auth(&pat.basic())).await.expect(200);
            } else {
                patron.exchange(&pat.id, &pat.secret).await.expect(200);
            }
        };
        let first = patron.in_seconds(0);
        let last_used = async || patron.shown(&admin, &pat.id).await["lastUsed"].clone();
        assert_eq!(last_used().await, Value::Null);
        used().await;
        assert_eq!(last_used().await, first.as_str());
        patron.clock.advance_millis(DAY * 1_000 / 4);
        used().await;
        assert_eq!(last_used().await, first.as_str());
        patron.clock.advance_millis(DAY * 1_000 / 4);
        used().await;
        assert_eq!(last_used().await, first.as_str());
    }
}

#[tokio::test]
async fn the_24_hours_of_last_used_end_to_the_millisecond() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let last_used = async || patron.shown(&patron.admin.basic(), &pat.id).await["lastUsed"].clone();
    patron.exchange(&pat.id, &pat.secret).await.expect(200);
    patron.clock.advance_millis(DAY * 1_000 - 1);
    patron.exchange(&pat.id, &pat.secret).await.expect(200);
    assert_eq!(last_used().await, START);
    patron.clock.advance_millis(1);
    patron.exchange(&pat.id, &pat.secret).await.expect(200);
    assert_eq!(last_used().await, "2027-03-02T12:00:00.000Z");
    patron.pass_seconds(10 * DAY);
    patron.send(Call::get(PATS).auth(&pat.basic())).await.expect_error("403 Forbidden");
    // Refused for want of a right, and presented all the same.
    assert_eq!(last_used().await, "2027-03-12T12:00:00.000Z");
}

#[tokio::test]
async fn failures_and_access_tokens_do_not_move_last_used() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let admin = patron.admin.basic();
    patron.exchange(&pat.id, "wrong").await.expect(401);
    assert_eq!(patron.shown(&admin, &pat.id).await["lastUsed"], Value::Null);
    let token = patron.bearer(&pat).await;
    // Short of the token's end, and then past a day with one that was made in between.
    patron.pass_seconds(DAY - 60);
    let later = patron.bearer(&pat).await;
    patron.pass_seconds(3_600);
    patron.send(Call::get("/tenant/v1").auth(&later)).await.expect(200);
    assert_eq!(status(&patron, &token).await, 401);
    assert_eq!(patron.shown(&admin, &pat.id).await["lastUsed"], START);
}

#[tokio::test]
async fn a_patch_shows_the_use_of_a_moment_ago_and_keeps_it() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let rename = json!([{"op": "replace", "path": "/name", "value": "renamed"}]);
    let one = format!("{PATS}/{}", pat.id);
    let reply =
        patron.send(Call::new("PATCH", &one).auth(&pat.basic()).json_patch(&rename)).await.expect(200);
    assert_eq!(reply.json()["lastUsed"], START);
    // And so does the answer of a bulk update.
    let admin = patron.admin.basic();
    let bulk = json!({"ids": [patron.admin.id], "patch": []});
    let reply =
        patron.send(Call::post(&format!("{PATS}/bulk-update")).auth(&admin).json(&bulk)).await.expect(200);
    assert_eq!(reply.json()[0]["lastUsed"], START);
    assert_eq!(patron.shown(&admin, &pat.id).await["lastUsed"], START);
}

#[tokio::test]
async fn the_last_second_counts_as_expired() {
    let patron = Patron::start().await;
    let pat = expiring(&patron, "short", 100).await;
    patron.pass_seconds(99);
    let last = patron.exchange(&pat.id, &pat.secret).await.expect(200).json();
    assert_eq!(last["expires_in"], 1);
    patron.clock.advance_millis(1);
    let late = patron.exchange(&pat.id, &pat.secret).await.expect(401);
    assert_eq!(late.json()["error"], "invalid_client");
    assert_eq!(
        late.json()["error_description"],
        "The personal access token expired at 2027-03-01T12:01:40.000Z."
    );
    assert_eq!(status(&patron, &pat.basic()).await, 401);
    // It says that only to its holder.
    let guess = patron.exchange(&pat.id, &"0".repeat(64)).await.expect(401);
    assert!(!guess.text().contains("expired"));
}

#[tokio::test]
async fn no_access_token_outlives_its_pat() {
    let patron = Patron::start().await;
    let pat = expiring(&patron, "short", 3_600).await;
    let token = patron.exchange(&pat.id, &pat.secret).await.expect(200).json();
    assert_eq!(token["expires_in"], 3_600);
    let auth = format!("Bearer {}", token["access_token"].as_str().unwrap());
    patron.pass_seconds(3_598);
    assert_eq!(status(&patron, &auth).await, 200);
    patron.pass_seconds(2);
    assert_eq!(status(&patron, &auth).await, 401);
    // A date without whole seconds: the token ends before it, not after.
    let odd = json!({"name": "odd", "expirationDate": patron.in_seconds(20).replace(".000Z", ".999Z")});
    let odd = patron.create(&patron.admin.basic(), &odd).await;
    let token =
        patron.exchange(odd["id"].as_str().unwrap(), odd["secret"].as_str().unwrap()).await.expect(200);
    assert_eq!(token.json()["expires_in"], 20);
}

#[tokio::test]
async fn a_date_drawn_closer_ends_access_tokens_beyond_it() {
    let patron = Patron::start().await;
    let pat = expiring(&patron, "long", 100 * DAY).await;
    let token = patron.bearer(&pat).await;
    patch(
        &patron,
        &pat,
        json!([{"op": "replace", "path": "/expirationDate", "value": patron.in_seconds(600)}]),
    )
    .await;
    patron.pass_seconds(598);
    assert_eq!(status(&patron, &token).await, 200);
    patron.pass_seconds(2);
    assert_eq!(status(&patron, &token).await, 401);
    assert_eq!(status(&patron, &pat.basic()).await, 401);
}

#[tokio::test]
async fn an_expired_pat_is_listed_renamed_and_brought_back() {
    let patron = Patron::start().await;
    let pat = expiring(&patron, "short", 60).await;
    patron.pass_seconds(DAY);
    let admin = patron.admin.basic();
    assert!(patron.listed(&admin, "owner-id=me").await.contains(&"short".to_owned()));
    patch(&patron, &pat, json!([{"op": "replace", "path": "/name", "value": "shorter"}])).await;
    let shown = patron.shown(&admin, &pat.id).await;
    assert_eq!(
        (&shown["name"], &shown["expirationDate"]),
        (&json!("shorter"), &json!("2027-03-01T12:01:00.000Z"))
    );
    patron.exchange(&pat.id, &pat.secret).await.expect(401);
    patch(
        &patron,
        &pat,
        json!([{"op": "replace", "path": "/expirationDate", "value": patron.in_seconds(60)}]),
    )
    .await;
    patron.exchange(&pat.id, &pat.secret).await.expect(200);
}

#[tokio::test]
async fn a_deleted_pat_and_its_access_tokens_end_at_once() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let token = patron.bearer(&pat).await;
    assert_eq!(status(&patron, &token).await, 200);
    // With the very token that it ends.
    patron.send(Call::new("DELETE", &format!("{PATS}/{}", pat.id)).auth(&token)).await.expect(204);
    assert_eq!(status(&patron, &token).await, 401);
    assert_eq!(status(&patron, &pat.basic()).await, 401);
    let told = patron.exchange(&pat.id, &pat.secret).await.expect(401).json();
    assert_eq!(told["error_description"], "The personal access token was deleted.");
}

#[tokio::test]
async fn the_holder_of_a_deleted_pat_is_told_for_90_days_and_counts_as_no_guesser() {
    let patron = Patron::with(|settings| settings.rate_limits.auth_failures_per_client = 2).await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    patron
        .send(Call::new("DELETE", &format!("{PATS}/{}", pat.id)).auth(&patron.admin.basic()))
        .await
        .expect(204);
    patron.pass_seconds(89 * DAY);
    patron::housekeeping::once(&patron.app).await.unwrap();
    for _ in 0..5 {
        let told = patron.exchange(&pat.id, &pat.secret).await.expect(401);
        assert_eq!(told.json()["error_description"], "The personal access token was deleted.");
    }
    let kept = || -> i64 { patron.database().row("SELECT COUNT(*) FROM deleted_pats", &[]).int(0).unwrap() };
    assert_eq!(kept(), 1);
    patron.pass_seconds(DAY + 1);
    patron::housekeeping::once(&patron.app).await.unwrap();
    assert_eq!(kept(), 0);
}

#[tokio::test]
async fn a_new_scope_counts_for_new_access_tokens_at_once_and_old_ones_keep_theirs() {
    let patron = Patron::start().await;
    let pat = expiring(&patron, "ci", DAY).await;
    let old = patron.bearer(&pat).await;
    patch(
        &patron,
        &pat,
        json!([{"op": "replace", "path": "/scope", "value": ["sp:my-personal-access-tokens:read"]}]),
    )
    .await;
    let exchanged = patron.exchange(&pat.id, &pat.secret).await.expect(200).json();
    assert_eq!(exchanged["scope"], "sp:my-personal-access-tokens:read");
    let new = format!("Bearer {}", exchanged["access_token"].as_str().unwrap());
    patron.send(Call::get(PATS).auth(&old)).await.expect(200);
    patron.send(Call::get(PATS).auth(&new)).await.expect_error("403 Forbidden");
    patron.send(Call::get(PATS).auth(&pat.basic())).await.expect_error("403 Forbidden");
}
