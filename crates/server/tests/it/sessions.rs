//! Web sessions: how long they live, what ends them, and the pages about one's own password and browser.

use patron::limits::{GUESS_WINDOW_SECONDS, GUESSES};
use serde_json::json;

use crate::sign_in::{GOOD, SIGN_IN, TOKENS};
use crate::support::{Call, Patron, Reply, form, operator};
use crate::visit::Visit;

const PASSWORD: &str = "/ui/d/user-preferences/password";
const DISPLAY: &str = "/ui/d/user-preferences/display";
const ELSEWHERE: &str = "/ui/d/user-preferences/display/sign-out-elsewhere";
const SIGN_OUT: &str = "/ui/sign-out";
const NEW: &str = "another horse battery";

impl Visit<'_> {
    /// Whether it has a session, as the pages see it.
    async fn is_signed_in(&mut self) -> bool {
        let reply = self.get(TOKENS).await;
        let signed_in = reply.status.as_u16() == 200;
        assert!(signed_in || reply.leads_to().starts_with(SIGN_IN), "{}", reply.text());
        signed_in
    }

    async fn change_password(&mut self, current: &str, new: &str, again: &str) -> Reply {
        self.get(PASSWORD).await.expect(200);
        self.post(PASSWORD, &[("current", current), ("new", new), ("again", again)]).await
    }
}

impl Patron {
    /// A visit of somebody who signs in with [`GOOD`].
    async fn signed_in(&self, name: &str) -> Visit<'_> {
        let mut visit = self.stranger();
        visit.sign_in(name, GOOD).await.leads_to();
        visit
    }
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let patron = Patron::with(|settings| {
        settings.sessions.idle_minutes = 10;
        settings.sessions.absolute_hours = 1;
    })
    .await;
    patron.person("jane", &[]).await;
    let mut visit = patron.signed_in("jane").await;
    patron.pass_seconds(599);
    assert!(visit.is_signed_in().await);
    patron.pass_seconds(599);
    assert!(visit.is_signed_in().await, "it was in use");
    patron.pass_seconds(600);
    assert!(!visit.is_signed_in().await, "idle");

    let mut visit = patron.signed_in("jane").await;
    for _ in 0..11 {
        patron.pass_seconds(300);
        assert!(visit.is_signed_in().await);
    }
    patron.pass_seconds(299);
    assert!(visit.is_signed_in().await);
    patron.pass_seconds(1);
    assert!(!visit.is_signed_in().await, "old");
    // What is sent from a page that was open all the while does nothing, and says where to go.
    assert_eq!(visit.post(PASSWORD, &[("current", GOOD)]).await.leads_to(), SIGN_IN);
    patron::housekeeping::once(&patron.app).await.unwrap();
    visit.sign_in("jane", GOOD).await.leads_to();
}

#[tokio::test]
async fn what_ends_somebody_s_sessions() {
    let patron = Patron::start().await;
    let jane = patron.person("jane", &[]).await;
    let mut others = patron.stranger();
    patron.person("joe", &[]).await;
    others.sign_in("joe", GOOD).await.leads_to();

    let mut visit = patron.signed_in("jane").await;
    patron.change(&jane, |jane| jane.enabled = false).await.unwrap();
    assert!(!visit.is_signed_in().await, "disabled");
    patron.change(&jane, |jane| jane.enabled = true).await.unwrap();
    assert!(!visit.is_signed_in().await, "disabled and enabled");

    let mut visit = patron.signed_in("jane").await;
    patron.set_password(&jane, GOOD, false).await;
    assert!(!visit.is_signed_in().await, "a new password, though it is the same");

    let mut visit = patron.signed_in("jane").await;
    patron.change(&jane, |jane| jane.levels = vec!["HELPDESK".to_owned()]).await.unwrap();
    assert!(visit.is_signed_in().await, "other levels do not");
    patron.app.store.delete_identity(operator(), jane.tenant, jane.id).await.unwrap();
    assert!(!visit.is_signed_in().await, "deleted");
    visit.sign_in("jane", GOOD).await.expect(401);
    assert!(others.is_signed_in().await, "somebody else's");
}

#[tokio::test]
async fn a_session_is_of_one_tenant() {
    let patron = Patron::start().await;
    let jane = patron.person("jane", &[]).await;
    let other = patron.identity_in("acme", "jane", &[]).await;
    patron.set_password(&other, NEW, false).await;
    let mut visit = patron.signed_in("jane").await;
    let session = visit.cookies["patron_session"].clone();
    let mut elsewhere = patron.stranger().at("acme.tenants.test");
    elsewhere.cookies.insert("patron_session".to_owned(), session);
    assert!(!elsewhere.is_signed_in().await);
    elsewhere.get(SIGN_OUT).await.expect(200);
    elsewhere.post(SIGN_OUT, &[]).await.leads_to();
    assert!(visit.is_signed_in().await, "nobody ends it from another tenant");

    let mut there = patron.stranger().at("acme.tenants.test");
    let page = there.get(SIGN_IN).await.expect(200).text();
    assert!(page.contains("acme"), "{page}");
    there.post(SIGN_IN, &[("name", "jane"), ("password", GOOD)]).await.expect(401);
    there.post(SIGN_IN, &[("name", "jane"), ("password", NEW)]).await.leads_to();
    assert!(there.is_signed_in().await);
    // Neither does a browser that is known here count as known there.
    let device = patron.app.devices.issue(jane.tenant, jane.id, "hash");
    assert!(patron.app.devices.read(&device, other.tenant, other.id, "hash").is_none());
}

#[tokio::test]
async fn a_cookie_that_is_no_session_is_none() {
    let patron = Patron::start().await;
    patron.person("jane", &[]).await;
    let visit = patron.signed_in("jane").await;
    let good = &visit.cookies["patron_session"];
    for value in
        ["", "x", &good.to_uppercase(), &good[1..], &format!("{good}0"), &"0".repeat(64), "%00", "\"\""]
    {
        let mut other = patron.stranger();
        other.cookies.insert("patron_session".to_owned(), value.to_owned());
        assert!(!other.is_signed_in().await, "{value}");
        other.get(SIGN_IN).await.expect(200);
    }
    // The API takes none for a credential, and the pages take no credential of the API's.
    let cookie = format!("patron_session={good}");
    patron.send(Call::get("/personal-access-tokens/v1").header("cookie", &cookie)).await.expect(401);
    let admin = patron.admin.basic();
    let reply = patron.send(Call::get(TOKENS).auth(&admin)).await;
    assert!(reply.leads_to().starts_with(SIGN_IN));
}

#[tokio::test]
async fn one_signs_out_with_a_button_of_a_page_and_with_nothing_else() {
    let patron = Patron::start().await;
    patron.person("jane", &[]).await;
    let mut visit = patron.signed_in("jane").await;
    let kept = visit.cookies.clone();
    let page = visit.get(SIGN_OUT).await.expect(200).text();
    assert!(page.contains("You are signed in as") && page.contains("jane"), "{page}");
    assert!(visit.is_signed_in().await, "a link does not");
    for csrf in [None, Some(""), Some("0"), Some(kept["patron_session"].as_str())] {
        let fields: Vec<_> = csrf.map(|csrf| ("csrf", csrf)).into_iter().collect();
        let call = Call::post(SIGN_OUT).body("application/x-www-form-urlencoded", form(&fields));
        visit.send(call).await.expect(403);
        assert!(visit.is_signed_in().await, "another site's form does not");
    }
    assert_eq!(visit.post(SIGN_OUT, &[]).await.leads_to(), SIGN_OUT);
    assert_ne!(visit.cookies["patron_session"], kept["patron_session"], "the browser was told to forget it");
    assert!(!visit.is_signed_in().await);
    let page = visit.get(SIGN_OUT).await.expect(200).text();
    assert!(page.contains("You are signed out"), "{page}");
    let mut old = patron.stranger();
    old.cookies = kept;
    assert!(!old.is_signed_in().await, "and the server has");
    assert_eq!(old.post(SIGN_OUT, &[]).await.leads_to(), SIGN_OUT, "there is nothing left to end");
}

#[tokio::test]
async fn no_form_is_taken_that_is_of_another_page() {
    let patron = Patron::start().await;
    patron.person("jane", &[]).await;
    let mut visit = patron.signed_in("jane").await;
    let mut other = patron.signed_in("jane").await;
    other.get(TOKENS).await.expect(200);
    let foreign = other.csrf.clone();
    for (path, fields) in [
        (PASSWORD, vec![("current", GOOD), ("new", NEW), ("again", NEW)]),
        (DISPLAY, vec![("zone", "Europe/Berlin")]),
        (ELSEWHERE, vec![]),
    ] {
        for csrf in ["", foreign.as_str()] {
            let fields: Vec<_> = fields.iter().copied().chain([("csrf", csrf)]).collect();
            let call = Call::post(path).body("application/x-www-form-urlencoded", form(&fields));
            let reply = visit.send(call).await.expect(403);
            assert!(reply.headers.get("set-cookie").is_none());
        }
    }
    assert!(other.is_signed_in().await && visit.is_signed_in().await);
    visit.change_password(GOOD, NEW, NEW).await.leads_to();
}

#[tokio::test]
async fn a_new_password_of_one_s_own_ends_every_other_session() {
    let patron = Patron::start().await;
    let jane = patron.person("jane", &[]).await;
    let (mut here, mut there) = (patron.signed_in("jane").await, patron.signed_in("jane").await);
    let before = here.cookies.clone();
    let page = here.get(PASSWORD).await.expect(200).text();
    assert!(!page.contains("Somebody else has set this password."), "{page}");

    let long = "x".repeat(1_025);
    for (current, new, again, told) in [
        ("wrong", NEW, NEW, "This is not your current password."),
        (GOOD, NEW, "another horse batterie", "This is not the same as the new password."),
        (GOOD, "eleven char", "eleven char", "From 12 to 1,024 characters."),
        (GOOD, &long, &long, "From 12 to 1,024 characters."),
        (GOOD, GOOD, GOOD, "Choose another one than the current password."),
        ("", NEW, NEW, "This is not your current password."),
    ] {
        let page = here.change_password(current, new, again).await.expect(400).text();
        assert!(page.contains(told), "{page}");
        assert!(![GOOD, NEW].iter().any(|secret| page.contains(secret)), "no password is said back");
    }
    assert!(there.is_signed_in().await);

    assert_eq!(here.change_password(GOOD, NEW, NEW).await.leads_to(), PASSWORD);
    assert_ne!(here.cookies["patron_session"], before["patron_session"], "the session is another one");
    let page = here.get(PASSWORD).await.expect(200).text();
    assert!(page.contains("Your password was changed."), "{page}");
    let mut old = patron.stranger();
    old.cookies = before;
    assert!(!old.is_signed_in().await && !there.is_signed_in().await && here.is_signed_in().await);
    there.sign_in("jane", GOOD).await.expect(401);
    there.sign_in("jane", NEW).await.leads_to();

    let changed = &patron.events("IDENTITY_UPDATED").await[0];
    let party = json!({ "type": "IDENTITY", "id": jane.id.to_string(), "name": "jane" });
    assert_eq!((&changed["actor"], &changed["target"]), (&party, &party));
    assert_eq!(changed["attributes"], json!({ "password": "changed" }));
    let failed = patron.events("SIGN_IN_FAILED").await;
    assert!(failed.iter().any(|event| event["target"] == party && event["attributes"]["count"] == 2));
}

#[tokio::test]
async fn who_found_a_session_open_cannot_guess_the_password_in_it() {
    let patron = Patron::start().await;
    patron.person("jane", &[]).await;
    let mut visit = patron.signed_in("jane").await;
    for _ in 0..GUESSES {
        visit.change_password("wrong", NEW, NEW).await.expect(400);
    }
    let refused = visit.change_password(GOOD, NEW, NEW).await.expect(429);
    assert_eq!(refused.header("retry-after"), Some(GUESS_WINDOW_SECONDS.to_string().as_str()));
    assert!(refused.text().contains("Too many wrong passwords."));
    assert!(visit.is_signed_in().await);
    let mut other = patron.signed_in("jane").await;
    other.change_password(GOOD, NEW, NEW).await.leads_to();
}

#[tokio::test]
async fn a_password_that_somebody_else_has_set_opens_one_page() {
    let patron = Patron::start().await;
    let jane = patron.person("jane", &["ORG_ADMIN"]).await;
    patron.set_password(&jane, GOOD, true).await;
    let mut visit = patron.stranger();
    assert_eq!(visit.sign_in("jane", GOOD).await.leads_to(), TOKENS);
    for path in [TOKENS, &format!("{TOKENS}/new"), DISPLAY] {
        assert_eq!(visit.get(path).await.leads_to(), PASSWORD, "{path}");
    }
    visit.get(PASSWORD).await.expect(200);
    let made = [("name", "ci"), ("expires", "30"), ("validity", "900"), ("scope", "sp:scopes:all")];
    assert_eq!(visit.post(&format!("{TOKENS}/new"), &made).await.leads_to(), PASSWORD);
    assert_eq!(visit.post(ELSEWHERE, &[]).await.leads_to(), PASSWORD);
    assert_eq!(patron.events("PERSONAL_ACCESS_TOKEN_CREATED").await.len(), 1, "bootstrap's own");
    let page = visit.get(PASSWORD).await.expect(200).text();
    assert!(page.contains("Somebody else has set this password."), "{page}");
    assert!(!page.contains("/ui/a/") && !page.contains("nav class=\"tabs\""), "no link leads anywhere else");
    let mut other = patron.stranger();
    other.sign_in("jane", GOOD).await.leads_to();
    assert_eq!(other.sign_out().await.leads_to(), SIGN_OUT, "signing out is possible");
    assert_eq!(visit.change_password(GOOD, NEW, NEW).await.leads_to(), TOKENS);
    assert!(visit.is_signed_in().await);
    visit.get(DISPLAY).await.expect(200);
}

#[tokio::test]
async fn every_other_session_is_ended_on_request() {
    let patron = Patron::start().await;
    let jane = patron.person("jane", &[]).await;
    patron.person("joe", &[]).await;
    let mut joes = patron.signed_in("joe").await;
    let mut here = patron.signed_in("jane").await;
    let mut others = [patron.signed_in("jane").await, patron.signed_in("jane").await];
    let page = here.get(DISPLAY).await.expect(200).text();
    assert!(page.contains("Sign out everywhere else"), "{page}");
    assert_eq!(here.post(ELSEWHERE, &[]).await.leads_to(), DISPLAY);
    assert!(here.get(DISPLAY).await.text().contains("2 other sessions were ended."));
    for other in &mut others {
        assert!(!other.is_signed_in().await);
    }
    assert!(here.is_signed_in().await && joes.is_signed_in().await);
    here.get(DISPLAY).await.expect(200);
    here.post(ELSEWHERE, &[]).await.leads_to();
    assert!(here.get(DISPLAY).await.text().contains("There was no other session."));
    let told = patron.events("IDENTITY_UPDATED").await;
    let told: Vec<_> = told.iter().filter(|event| event["attributes"]["sessionsEnded"] == 2).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["actor"]["id"], jane.id.to_string());
}

#[tokio::test]
async fn times_are_in_the_zone_that_one_chose() {
    let patron = Patron::start().await;
    patron.person("jane", &[]).await;
    let mut visit = patron.signed_in("jane").await;
    let page = visit.get(DISPLAY).await.expect(200).text();
    assert!(page.contains("<option value=\"\" selected>") && page.contains("Times are in UTC."), "{page}");
    assert_eq!(visit.post(DISPLAY, &[("zone", "Pacific/Kiritimati")]).await.leads_to(), DISPLAY);
    assert_eq!(visit.cookies["patron_zone"], "Pacific/Kiritimati");
    let page = visit.get(DISPLAY).await.expect(200).text();
    assert!(page.contains("<option selected>Pacific/Kiritimati</option>"), "{page}");
    assert!(page.contains("Saved for this browser.") && page.contains("Times are in Pacific/Kiritimati."));
    // It is noon of the first in UTC, and the second there.
    assert!(page.contains("2 Mar 2027"), "{page}");
    let page = visit.post(DISPLAY, &[("zone", "Europe/Atlantis")]).await.expect(400).text();
    assert!(page.contains("There is no such time zone."), "{page}");
    assert_eq!(visit.cookies["patron_zone"], "Pacific/Kiritimati");
    // What the script found is no choice; and a choice can be taken back.
    visit.post(DISPLAY, &[("zone", "")]).await.leads_to();
    assert!(!visit.cookies.contains_key("patron_zone"));
    visit.cookies.insert("patron_zone".to_owned(), "auto:Europe/Berlin".to_owned());
    let page = visit.get(DISPLAY).await.expect(200).text();
    assert!(page.contains("<option value=\"\" selected>") && page.contains("Times are in Europe/Berlin."));
}

#[tokio::test]
async fn levels_that_were_taken_away_are_gone_with_the_next_page() {
    let patron = Patron::start().await;
    let jane = patron.person("jane", &["ORG_ADMIN"]).await;
    let mut visit = patron.signed_in("jane").await;
    assert!(visit.get(TOKENS).await.expect(200).text().contains("/ui/a/"));
    patron.change(&jane, |jane| jane.levels = Vec::new()).await.unwrap();
    assert!(!visit.get(TOKENS).await.expect(200).text().contains("/ui/a/"));
}
