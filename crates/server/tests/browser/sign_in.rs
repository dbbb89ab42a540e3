//! Signing in and out, and the passwords that it takes.

use serde_json::json;

use crate::browser::Look;
use crate::site::{PASSWORD, Site, TOKENS};

#[test]
fn a_newcomer_s_first_sign_in_asks_for_a_password_of_their_own() {
    let site = Site::start();
    let word = |field: &str| site.bootstrap[field].as_str().unwrap().to_owned();
    let browser = site.browser(Look::LIGHT);
    browser.go("/");
    assert!(browser.path().starts_with("/ui/sign-in"), "{}", browser.path());
    browser.sign_in(&word("userName"), &word("password"));
    browser.expect("Somebody else has set this password.");
    browser.check("password-must");

    // Nothing else opens before.
    for path in [TOKENS, "/ui/a/identities", "/ui/d/user-preferences/display"] {
        browser.go(path);
        browser.expect("Somebody else has set this password.");
    }
    browser.fill("Current password", &word("password"));
    browser.fill("New password", PASSWORD);
    browser.fill("New password, once more", "not the same one");
    browser.press("Change password");
    browser.expect("This is not the same as the new password.");
    for field in ["Current password", "New password", "New password, once more"] {
        assert_eq!(browser.value(field), "", "{field} is not sent back");
    }
    browser.fill("Current password", &word("password"));
    browser.fill("New password", PASSWORD);
    browser.fill("New password, once more", PASSWORD);
    browser.press("Change password");
    browser.expect("Your password was changed.");
    browser.go(TOKENS);
    browser.expect("bootstrap");

    let again = site.browser(Look::PLAIN);
    again.go(TOKENS);
    again.sign_in(&word("userName"), &word("password"));
    again.expect("The login name or the password is wrong.");
    assert_eq!(again.value("Login name"), word("userName"), "the name is kept");
    assert_eq!(again.value("Password"), "", "the password is not");
    again.sign_in(&word("userName"), PASSWORD);
    again.expect("bootstrap");
}

#[test]
fn one_comes_to_where_one_wanted_to_go_and_nowhere_else() {
    let site = Site::start();
    let jane = site.person("jane", "Jane Doe", &[]);
    for look in [Look::LIGHT, Look::PLAIN] {
        let wanted = format!("{TOKENS}?q=a%20b&sort=name");
        let browser = site.browser(look);
        browser.go(&wanted);
        browser.sign_in(&jane.login, PASSWORD);
        assert_eq!(browser.path(), wanted);
        browser.go("/ui/sign-in?next=%2F%2Fexample.com%2Fui");
        assert_eq!(browser.path(), TOKENS);
    }
}

#[test]
fn signing_out_ends_the_session_and_back_shows_nothing() {
    let site = Site::start();
    let jane = site.person("jane", "Jane Doe", &[]);
    site.token(&jane, "kept to oneself", &["--never-expires"]);
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = site.signed_in(look, &jane);
        browser.expect("kept to oneself");
        browser.wait("the menu", browser.find(".menu summary").click());
        browser.press("Sign out");
        browser.expect("You are signed out");
        browser.check("signed-out");
        browser.back();
        browser.expect_no("kept to oneself");
        browser.go(TOKENS);
        assert!(browser.path().starts_with("/ui/sign-in"), "{}", browser.path());
    }
}

#[test]
fn signing_out_elsewhere_and_a_new_password_end_other_sessions() {
    let site = Site::start();
    let jane = site.person("jane", "Jane Doe", &[]);
    let [here, there] = [Look::LIGHT, Look::PLAIN].map(|look| site.signed_in(look, &jane));
    let display = "/ui/d/user-preferences/display";
    here.go(display);
    here.press("Sign out everywhere else");
    here.expect("1 other session was ended.");
    there.reload();
    assert!(there.path().starts_with("/ui/sign-in"), "{}", there.path());
    there.sign_in(&jane.login, PASSWORD);
    there.expect("You have no tokens yet");

    here.go("/ui/d/user-preferences/password");
    here.fill("Current password", PASSWORD);
    here.fill("New password", "another one that is long");
    here.fill("New password, once more", "another one that is long");
    here.press("Change password");
    here.expect("Your password was changed.");
    there.reload();
    assert!(there.path().starts_with("/ui/sign-in"), "{}", there.path());
    here.go(TOKENS);
    here.expect("You have no tokens yet");
}

#[test]
fn times_are_shown_in_the_zone_that_was_chosen() {
    let site = Site::start();
    let jane = site.person("jane", "Jane Doe", &[]);
    site.token(&jane, "new year", &["--expiration-date", "2099-12-31T23:30:00Z"]);
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = site.signed_in(look, &jane);
        browser.expect("31 Dec 2099");
        browser.go("/ui/d/user-preferences/display");
        browser.choose("Time zone", "Asia/Tokyo");
        browser.press("Save");
        browser.expect("Saved for this browser.");
        browser.go(TOKENS);
        browser.expect("1 Jan 2100");
        browser.expect("Times are in Asia/Tokyo.");
        browser.expect_silent_console();
    }
}

#[test]
fn times_are_shown_in_the_browser_s_zone_where_scripts_run() {
    let site = Site::start();
    let jane = site.person("jane", "Jane Doe", &[]);
    site.token(&jane, "new year", &["--expiration-date", "2099-12-31T23:30:00Z"]);
    let browser = site.browser(Look::LIGHT);
    browser.devtools("Emulation.setTimezoneOverride", json!({ "timezoneId": "Asia/Tokyo" }));
    browser.go(TOKENS);
    browser.sign_in(&jane.login, PASSWORD);
    browser.expect("1 Jan 2100");
    browser.expect("Times are in Asia/Tokyo.");

    // Whoever travels reads the times of where they are, until they choose a zone.
    browser.devtools("Emulation.setTimezoneOverride", json!({ "timezoneId": "America/New_York" }));
    browser.reload();
    browser.reload();
    browser.expect("31 Dec 2099");
    browser.expect("Times are in America/New_York.");
    browser.go("/ui/d/user-preferences/display");
    browser.choose("Time zone", "Europe/Berlin");
    browser.press("Save");
    browser.go(TOKENS);
    browser.reload();
    browser.expect("Times are in Europe/Berlin.");
}
