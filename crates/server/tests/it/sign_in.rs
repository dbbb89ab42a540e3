//! Signing in with a login name and a password, as a browser without scripts sees it.

use patron::guesses::Guesser;
use patron::limits::{GUESS_WINDOW_SECONDS, GUESSES, GUESSES_PER_ADDRESS};
use patron_core::identity::Identity;
use patron_core::name::TenantName;
use patron_core::secret::Password;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::database::Database;
use crate::support::{Call, Patron, Reply, Server, database_url, form, identity_id, operator};
use crate::visit::Visit;

pub(crate) const SIGN_IN: &str = "/ui/sign-in";
pub(crate) const TOKENS: &str = "/ui/d/user-preferences/personal-access-tokens";
pub(crate) const GOOD: &str = "correct horse battery";
const WRONG_TEXT: &str = "The login name or the password is wrong.";

impl Patron {
    /// Gives an identity this password, of its own choice or not.
    pub(crate) async fn set_password(&self, who: &Identity, password: &str, temporary: bool) {
        let hash = self.app.passwords.hash(Password::typed(password.to_owned())).await.unwrap();
        self.app.store.set_password_hash(operator(), who.tenant, who.id, hash, temporary).await.unwrap();
    }

    /// An identity whose password is [`GOOD`].
    pub(crate) async fn person(&self, name: &str, levels: &[&str]) -> Identity {
        let who = self.identity(name, levels).await;
        self.set_password(&who, GOOD, false).await;
        who
    }
}

impl Visit<'_> {
    /// Opens the form and sends it.
    pub(crate) async fn sign_in(&mut self, name: &str, password: &str) -> Reply {
        self.get(SIGN_IN).await.expect(200);
        self.post(SIGN_IN, &[("name", name), ("password", password)]).await
    }

    /// Presses the button of the page for it.
    pub(crate) async fn sign_out(&mut self) -> Reply {
        self.get("/ui/sign-out").await.expect(200);
        self.post("/ui/sign-out", &[]).await
    }

    /// The same from another address.
    async fn sign_in_from(&mut self, address: &str, name: &str, password: &str) -> Reply {
        self.get(SIGN_IN).await.expect(200);
        let csrf = self.csrf.clone();
        let fields = form(&[("name", name), ("password", password), ("csrf", &csrf)]);
        let call = Call::post(SIGN_IN).body("application/x-www-form-urlencoded", fields);
        self.send(call.from(address)).await
    }
}

/// The `Set-Cookie` lines of an answer for cookies of this name, without their values.
fn cookie_flags(reply: &Reply, name: &str) -> Vec<String> {
    let lines = reply.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let of_name = lines.filter_map(|line| line.strip_prefix(&format!("{name}=")));
    of_name.map(|rest| rest.split_once("; ").unwrap().1.to_owned()).collect()
}

/// The failed sign-ins that were recorded: target, reason and how many, the most first.
async fn failures(patron: &Patron) -> Vec<(String, String, u64)> {
    let events = patron.events("SIGN_IN_FAILED").await;
    let told = |event: &Value| {
        let attributes = &event["attributes"];
        assert_eq!((&event["status"], &event["operation"]), (&json!("FAILED"), &json!("SIGN_IN")));
        let target = event["target"]["id"].as_str().unwrap().to_owned();
        (target, attributes["reason"].as_str().unwrap().to_owned(), attributes["count"].as_u64().unwrap())
    };
    let mut told: Vec<_> = events.iter().map(told).collect();
    told.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
    told
}

#[tokio::test]
async fn one_is_asked_to_sign_in_and_goes_on_where_one_wanted_to() {
    let patron = Patron::start().await;
    let jane = patron.person("jane", &[]).await;
    let mut visit = patron.stranger();
    let wanted = format!("{TOKENS}?search=a%20b");
    let asked = visit.get(&wanted).await.leads_to();
    let form = visit.get(&asked).await.expect(200);
    assert_eq!(form.header("cache-control"), Some("no-store"));
    assert_eq!(cookie_flags(&form, "patron_session"), ["HttpOnly; SameSite=Lax; Path=/"]);
    let before = visit.cookies["patron_session"].clone();
    assert!(visit.get(&asked).await.headers.get("set-cookie").is_none(), "the browser has its cookie");
    let next = "search=a%20b";
    assert!(form.text().contains(next), "{}", form.text());

    let done = visit.post(SIGN_IN, &[("name", " jane "), ("password", GOOD), ("next", &wanted)]).await;
    assert_eq!(done.leads_to(), wanted);
    assert_eq!(cookie_flags(&done, "patron_session"), ["HttpOnly; SameSite=Lax; Path=/"]);
    let device = ["HttpOnly; SameSite=Lax; Path=/ui/sign-in; Max-Age=31536000"];
    assert_eq!(cookie_flags(&done, "patron_device"), device);
    let session = visit.cookies["patron_session"].clone();
    assert_ne!(session, before, "nobody knew this one before");
    visit.get(&wanted).await.expect(200);
    let mut old = patron.stranger();
    old.cookies.insert("patron_session".to_owned(), before);
    assert!(old.get(TOKENS).await.leads_to().starts_with(SIGN_IN));
    // Who has signed in is sent on.
    assert_eq!(visit.get(&asked).await.leads_to(), wanted);
    assert_eq!(visit.get("/ui/sign-in?next=https://evil.example").await.leads_to(), TOKENS);

    let passed = patron.events("SIGN_IN_PASSED").await;
    let party = json!({ "type": "IDENTITY", "id": jane.id.to_string(), "name": "jane" });
    assert_eq!(passed.len(), 1);
    assert_eq!((&passed[0]["actor"], &passed[0]["target"]), (&party, &party));
    assert_eq!(passed[0]["ipAddress"], "127.0.0.1");
    assert_eq!(passed[0]["trackingNumber"].as_str(), done.header("slpt-request-id"));
    assert!(!passed[0].to_string().contains(&session));
}

#[tokio::test]
async fn a_new_session_takes_the_place_of_the_one_before() {
    let patron = Patron::start().await;
    patron.person("jane", &[]).await;
    patron.person("joe", &[]).await;
    let mut visit = patron.stranger();
    visit.sign_in("jane", GOOD).await.leads_to();
    let mut janes = patron.stranger();
    janes.cookies = visit.cookies.clone();
    janes.get(TOKENS).await.expect(200);
    // With the form that was open in another tab before, or made anew, somebody else signs in.
    visit.get(TOKENS).await.expect(200);
    visit.post(SIGN_IN, &[("name", "joe"), ("password", GOOD)]).await.leads_to();
    assert!(visit.get(TOKENS).await.expect(200).text().contains("joe"));
    assert!(janes.get(TOKENS).await.leads_to().starts_with(SIGN_IN));
}

#[tokio::test]
async fn behind_https_cookies_are_secure_and_of_this_host() {
    let by_url = Patron::with(|settings| settings.public_url = "https://patron.test".parse().unwrap()).await;
    let by_proxy = Patron::with(|settings| {
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    for (patron, proto) in [(&by_url, None), (&by_proxy, Some("https"))] {
        patron.person("jane", &[]).await;
        let with = |call: Call| match proto {
            Some(proto) => call.header("x-forwarded-proto", proto),
            None => call,
        };
        let mut visit = patron.stranger();
        visit.send(with(Call::get(SIGN_IN))).await.expect(200);
        let csrf = visit.csrf.clone();
        let fields = form(&[("name", "jane"), ("password", GOOD), ("csrf", &csrf)]);
        let call = Call::post(SIGN_IN).body("application/x-www-form-urlencoded", fields);
        let done = visit.send(with(call)).await;
        done.leads_to();
        let flags = ["HttpOnly; SameSite=Lax; Secure; Path=/"];
        assert_eq!(cookie_flags(&done, "__Host-patron_session"), flags);
        assert!(cookie_flags(&done, "patron_device")[0].contains("; Secure;"));
        visit.send(with(Call::get(TOKENS))).await.expect(200);
    }
    // What somebody says who is no proxy does not count, and neither does the cookie of the other kind.
    let mut visit = by_proxy.stranger();
    let call = Call::get(SIGN_IN).from("203.0.113.9").header("x-forwarded-proto", "https");
    let form = visit.send(call).await.expect(200);
    assert_eq!(cookie_flags(&form, "patron_session"), ["HttpOnly; SameSite=Lax; Path=/"]);
}

#[tokio::test]
async fn behind_a_prefix_links_and_cookies_have_it() {
    let patron =
        Patron::with(|settings| settings.public_url = "http://patron.test/sub".parse().unwrap()).await;
    patron.person("jane", &[]).await;
    let mut visit = patron.stranger();
    let asked = visit.get("/sub/ui/d/user-preferences/display").await.leads_to();
    assert!(asked.starts_with("/sub/ui/sign-in?next="), "{asked}");
    let form = visit.get(&asked).await.expect(200).text();
    assert!(form.contains("action=\"/sub/ui/sign-in\""), "{form}");
    let next = "/ui/d/user-preferences/display";
    let done = visit.post("/sub/ui/sign-in", &[("name", "jane"), ("password", GOOD), ("next", next)]).await;
    assert_eq!(done.leads_to(), format!("/sub{next}"));
    assert!(cookie_flags(&done, "patron_device")[0].contains("; Path=/sub/ui/sign-in;"));
}

#[tokio::test]
async fn whatever_is_wrong_is_told_in_the_same_words() {
    let patron = Patron::start().await;
    let jane = patron.person("jane", &[]).await;
    let silent = patron.identity("silent", &[]).await;
    let elsewhere = patron.identity_in("acme", "stranger", &[]).await;
    patron.set_password(&elsewhere, GOOD, false).await;
    let unknown = "Kennwort-statt-Name";
    let mut pages = Vec::new();
    for (name, password) in [
        ("jane", "wrong"),
        ("jane", ""),
        ("Jane", GOOD),
        ("silent", GOOD),
        ("stranger", GOOD),
        (unknown, GOOD),
    ] {
        let mut visit = patron.stranger();
        let reply = visit.sign_in(name, if password.is_empty() { " " } else { password }).await.expect(401);
        assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="patron""#));
        let page = reply.text();
        assert!(page.contains(WRONG_TEXT) && page.contains(&format!("value=\"{name}\"")), "{page}");
        assert!(!page.contains(GOOD), "a password is never said back");
        pages.push(page.replace(name, "NAME").replace(&visit.csrf, "CSRF"));
        assert!(visit.get(TOKENS).await.leads_to().starts_with(SIGN_IN));
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:?}");
    let told = failures(&patron).await;
    let known = |id: &str, reason: &str, count| (id.to_owned(), reason.to_owned(), count);
    for expected in [
        known("unknown", "UNKNOWN_NAME", 3),
        known(&jane.id.to_string(), "WRONG_PASSWORD", 2),
        known(&silent.id.to_string(), "NO_PASSWORD", 1),
    ] {
        assert!(told.contains(&expected), "{expected:?} in {told:?}");
    }
    assert_eq!(told.len(), 3);
    let all = patron.events("SIGN_IN_FAILED").await;
    assert!(!json!(all).to_string().contains(unknown), "it may have been a password");
    assert_eq!(patron.events("SIGN_IN_PASSED").await, [json!(null); 0]);
}

#[tokio::test]
async fn a_form_that_is_not_filled_in_is_no_guess() {
    let patron = Patron::start().await;
    let mut visit = patron.stranger();
    for _ in 0..=GUESSES {
        let page = visit.sign_in("jane", "").await.expect(400).text();
        assert!(page.contains("Type your password.") && page.contains("value=\"jane\""), "{page}");
        let page = visit.sign_in("  ", GOOD).await.expect(400).text();
        assert!(page.contains("Type your login name."), "{page}");
    }
    assert_eq!(failures(&patron).await, []);
    visit.sign_in("jane", GOOD).await.expect(401);
}

#[tokio::test]
async fn that_one_is_disabled_is_told_to_who_knows_the_password() {
    let patron = Patron::start().await;
    let jane = patron.person("jane", &[]).await;
    patron.change(&jane, |jane| jane.enabled = false).await.unwrap();
    let mut visit = patron.stranger();
    assert!(visit.sign_in("jane", "wrong").await.expect(401).text().contains(WRONG_TEXT));
    let page = visit.sign_in("jane", GOOD).await.expect(403).text();
    assert!(page.contains("your account is disabled"), "{page}");
    assert!(visit.get(TOKENS).await.leads_to().starts_with(SIGN_IN));
    let reasons: Vec<_> = failures(&patron).await.into_iter().map(|(_, reason, _)| reason).collect();
    assert!(reasons.contains(&"DISABLED".to_owned()), "{reasons:?}");
    patron.change(&jane, |jane| jane.enabled = true).await.unwrap();
    visit.sign_in("jane", GOOD).await.leads_to();
}

#[tokio::test]
async fn a_form_of_another_site_signs_nobody_in() {
    let patron = Patron::start().await;
    patron.person("jane", &[]).await;
    let fields = [("name", "jane"), ("password", GOOD)];
    let stale = "This form had grown stale";
    let mut visit = patron.stranger();
    // A browser that was never here, one whose form lacks the token, and one whose token is another browser's.
    let page = visit.post(SIGN_IN, &fields).await.expect(403).text();
    assert!(page.contains(stale) && page.contains("value=\"jane\"") && !page.contains(GOOD), "{page}");
    let mut other = patron.stranger();
    other.get(SIGN_IN).await;
    for csrf in ["", &other.csrf, &visit.cookies["patron_session"], &visit.csrf.to_uppercase()] {
        let fields = form(&[fields[0], fields[1], ("csrf", csrf)]);
        let call = Call::post(SIGN_IN).body("application/x-www-form-urlencoded", fields);
        let mut victim = patron.stranger();
        victim.cookies = visit.cookies.clone();
        assert!(victim.send(call).await.expect(403).text().contains(stale));
    }
    assert!(visit.get(TOKENS).await.leads_to().starts_with(SIGN_IN));
    assert_eq!(failures(&patron).await, [], "nothing was tried");
    // The page that tells so brings what the next try needs.
    visit.post(SIGN_IN, &fields).await.leads_to();
    let call = Call::post(SIGN_IN).body("text/plain", form(&fields));
    patron.stranger().send(call).await.expect(415);
}

#[tokio::test]
async fn nobody_is_sent_to_another_site() {
    let patron = Patron::start().await;
    patron.person("jane", &[]).await;
    for next in [
        "https://evil.example/ui",
        "//evil.example/ui",
        "/\\evil.example",
        "/ui/../../x",
        "javascript:alert(1)",
    ] {
        let mut visit = patron.stranger();
        let query = form(&[("next", next)]);
        let page = visit.get(&format!("{SIGN_IN}?{query}")).await.expect(200).text();
        assert!(!page.contains("name=\"next\""), "{page}");
        let done = visit.post(SIGN_IN, &[("name", "jane"), ("password", GOOD), ("next", next)]).await;
        assert_eq!(done.leads_to(), TOKENS, "{next}");
    }
}

#[tokio::test]
async fn a_name_that_is_guessed_at_is_closed_to_strangers_for_a_while() {
    let patron = Patron::start().await;
    let jane = patron.person("jane", &[]).await;
    let window = i64::from(GUESS_WINDOW_SECONDS);
    for (name, is_there) in [("jane", true), ("nobody", false)] {
        for n in 0..GUESSES {
            let from = format!("203.0.113.{n}");
            patron.stranger().sign_in_from(&from, name, "wrong").await.expect(401);
        }
        // Also the right one, from anywhere: or else it could be found by going on.
        for password in ["wrong", GOOD] {
            let refused = patron.stranger().sign_in_from("198.51.100.1", name, password).await.expect(429);
            assert_eq!(refused.header("retry-after"), Some(window.to_string().as_str()));
            let page = refused.text();
            assert!(page.contains("Try again in 15 minutes.") && page.contains(name), "{page}");
        }
        if is_there {
            let told = failures(&patron).await;
            assert!(told.contains(&(jane.id.to_string(), "TOO_MANY_TRIES".to_owned(), 2)), "{told:?}");
        }
    }
    patron.pass_seconds(window - 1);
    patron.stranger().sign_in("jane", GOOD).await.expect(429);
    patron.pass_seconds(1);
    patron.stranger().sign_in("jane", GOOD).await.leads_to();
}

#[tokio::test]
async fn an_address_that_tries_name_after_name_is_stopped() {
    let patron = Patron::start().await;
    patron.person("jane", &[]).await;
    let (tenant, now) = (patron.tenant(TenantName::DEFAULT).await, patron.app.clock.now());
    // As a wrong password is counted, without the hash of each, which takes its time.
    for n in 1..GUESSES_PER_ADDRESS {
        let (name, address) = (format!("name {n}"), [203, 0, 113, 9].into());
        let guesser = Guesser::Stranger { tenant, name: &name, address };
        let _counted = patron.app.guesses.count(guesser, now).ok().unwrap();
    }
    patron.stranger().sign_in_from("203.0.113.9", "the last one", "wrong").await.expect(401);
    patron.stranger().sign_in_from("203.0.113.9", "jane", GOOD).await.expect(429);
    patron.stranger().sign_in_from("203.0.113.8", "jane", GOOD).await.leads_to();
}

#[tokio::test]
async fn right_passwords_are_no_guesses() {
    let patron = Patron::start().await;
    patron.person("jane", &[]).await;
    for _ in 0..GUESSES + 2 {
        patron.stranger().sign_in("jane", GOOD).await.leads_to();
    }
}

#[tokio::test]
async fn nobody_locks_out_a_person_in_a_browser_that_it_used_before() {
    let patron = Patron::start().await;
    patron.person("jane", &[]).await;
    patron.person("joe", &[]).await;
    let mut janes = patron.stranger();
    janes.sign_in("jane", GOOD).await.leads_to();
    janes.sign_out().await.leads_to();
    let mut joes = patron.stranger();
    joes.sign_in("joe", GOOD).await.leads_to();

    // Strangers guess, from the very address that jane has.
    for _ in 0..GUESSES {
        patron.stranger().sign_in("jane", "wrong").await.expect(401);
    }
    patron.stranger().sign_in("jane", GOOD).await.expect(429);
    // What joe's browser has, or what somebody makes up, helps nobody to guess at jane.
    let mut forged = patron.stranger();
    let device = janes.cookies["patron_device"].clone();
    for value in
        [joes.cookies["patron_device"].clone(), device[..device.len() - 2].to_owned() + "00", "x".to_owned()]
    {
        forged.cookies.insert("patron_device".to_owned(), value);
        forged.sign_in("jane", GOOD).await.expect(429);
    }
    // Jane herself does not wait.
    assert_eq!(janes.sign_in("jane", "mistyped").await.status.as_u16(), 401);
    janes.sign_in("jane", GOOD).await.leads_to();
    janes.sign_out().await.leads_to();

    // Who has her browser cannot guess for ever either, and that closes no other.
    let mut other = patron.stranger();
    other.cookies.insert("patron_device".to_owned(), device);
    for _ in 0..GUESSES {
        if other.sign_in("jane", "wrong").await.status.as_u16() == 429 {
            break;
        }
    }
    other.sign_in("jane", GOOD).await.expect(429);
    janes.sign_in("jane", GOOD).await.leads_to();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_guesses_at_the_same_time_are_no_more_than_one_after_another() {
    let patron = Patron::start().await;
    patron.person("jane", &[]).await;
    let mut visits: Vec<_> = (0..GUESSES + 5).map(|_| patron.stranger()).collect();
    let tries = visits.iter_mut().map(|visit| visit.sign_in("jane", "wrong"));
    let statuses: Vec<u16> =
        futures_util::future::join_all(tries).await.iter().map(|reply| reply.status.as_u16()).collect();
    let looked_at = statuses.iter().filter(|&&status| status == 401).count();
    assert_eq!(u32::try_from(looked_at).unwrap(), GUESSES, "{statuses:?}");
}

#[tokio::test]
async fn an_outage_is_never_a_wrong_password() {
    let patron = Patron::start().await;
    let jane = patron.person("jane", &[]).await;
    let mut visit = patron.stranger();
    visit.get(SIGN_IN).await.expect(200);
    // A hash in the database that is none is a fault of ours.
    let broken = "$broken$".to_owned();
    patron.app.store.set_password_hash(operator(), jane.tenant, jane.id, broken, false).await.unwrap();
    let fields = [("name", "jane"), ("password", GOOD)];
    for _ in 0..=GUESSES {
        let page = visit.post(SIGN_IN, &fields).await.expect(500).text();
        assert!(!page.contains(WRONG_TEXT), "{page}");
        visit.get(SIGN_IN).await.expect(200);
    }
    patron.set_password(&jane, GOOD, false).await;
    visit.post(SIGN_IN, &fields).await.leads_to();

    let mut other = patron.stranger();
    other.get(SIGN_IN).await.expect(200);
    patron.lose_database().await;
    let reply = other.post(SIGN_IN, &fields).await.expect(503);
    assert_eq!(reply.header("retry-after"), Some("2"));
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    let page = reply.text();
    assert!(page.contains(reply.header("slpt-request-id").unwrap()) && !page.contains(WRONG_TEXT), "{page}");
    // Neither is it a session that is gone.
    visit.get(TOKENS).await.expect(503);
    visit.get(SIGN_IN).await.expect(503);
    visit.post("/ui/sign-out", &[]).await.expect(503);
    assert!(visit.cookies.contains_key("patron_session"));
}

#[tokio::test]
async fn the_password_of_bootstrap_is_good_for_choosing_another() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let server = Server::start_with(&data, &[], &[("PATRON_LOG", "trace")]);
    let made: Value = serde_json::from_slice(&std::fs::read(data.join("bootstrap.json")).unwrap()).unwrap();
    let first = made["password"].as_str().unwrap().to_owned();
    let (own, password) = ("a password of my own", "/ui/d/user-preferences/password");
    let mut visit = server.stranger();

    let without_token = [("name", "admin"), ("password", first.as_str()), ("next", "%")];
    visit.send(Call::post(SIGN_IN).form(&without_token)).await.expect(403);
    visit.get("/ui/nothing-here").await.expect(404);
    let done = visit.sign_in("admin", &first).await;
    assert_eq!(done.leads_to(), TOKENS);
    for path in [TOKENS, "/ui/d/user-preferences/display", "/ui/a/dashboard"] {
        assert_eq!(visit.get(path).await.leads_to(), password, "{path}");
    }
    assert!(visit.get(password).await.expect(200).text().contains("Somebody else has set this password."));
    let same = [("current", first.as_str()), ("new", first.as_str()), ("again", first.as_str())];
    assert!(visit.post(password, &same).await.expect(400).text().contains("Choose another one"));
    let fields = [("current", first.as_str()), ("new", own), ("again", own)];
    assert_eq!(visit.post(password, &fields).await.leads_to(), TOKENS);
    let page = visit.get(TOKENS).await.expect(200).text();
    assert!(page.contains("Your password was changed."), "{page}");
    visit.sign_out().await.leads_to();
    assert_eq!(visit.sign_in("admin", &first).await.status.as_u16(), 401);
    assert_eq!(visit.sign_in("admin", own).await.leads_to(), TOKENS);
    visit.get(TOKENS).await.expect(200);

    // An operator's choice stands; that of --reset-admin does not, and ends the session.
    let id = identity_id(made["identityId"].as_str().unwrap()).to_string();
    let mut set = crate::support::patron(&data);
    set.args(["admin", "identity", "set-password", &id]).stdin(std::process::Stdio::piped());
    let mut set = set.stderr(std::process::Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut set.stdin.take().unwrap(), b"the operator's choice\n").unwrap();
    assert!(set.wait().unwrap().success());
    assert!(visit.get(TOKENS).await.leads_to().starts_with(SIGN_IN), "whoever knew the old one is out");
    visit.sign_in("admin", "the operator's choice").await.leads_to();
    visit.get(TOKENS).await.expect(200);
    let reset = crate::support::run_json(&data, &["bootstrap", "--reset-admin"]);
    assert!(visit.get(TOKENS).await.leads_to().starts_with(SIGN_IN));
    let again = reset["password"].as_str().unwrap().to_owned();
    visit.sign_in("admin", &again).await.leads_to();
    assert_eq!(visit.get(TOKENS).await.leads_to(), password);

    // Nothing that opens a door was written down.
    let tokens = visit.sessions;
    let log = server.log();
    assert!(log.contains("a request was refused"), "the log tells of requests");
    server.stop();
    let database = Database::at(&database_url(&data)).dump();
    let in_database = |text: &str| database.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(in_database("SIGN_IN_PASSED"), "the database was read");
    for secret in tokens.iter().chain([&first, &again, &own.to_owned(), &"the operator's choice".to_owned()])
    {
        assert!(!log.contains(secret.as_str()), "in the log");
        assert!(!in_database(secret), "in the database");
    }
    assert!(tokens.len() > 4, "{}", tokens.len());
}
