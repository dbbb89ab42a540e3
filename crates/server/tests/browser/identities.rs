//! Administration → Identities: making somebody, handing over a temporary password, disabling and enabling.

use crate::browser::{Browser, Look};
use crate::site::{PASSWORD, Person, Site, TOKENS};

const IDENTITIES: &str = "/ui/a/identities";

impl Browser {
    /// Somebody's first sign-in, with the password that an administrator handed over.
    #[track_caller]
    fn sign_in_first(&self, login: &str, temporary: &str) {
        self.go(TOKENS);
        self.sign_in(login, temporary);
        self.expect("Somebody else has set this password.");
        self.fill("Current password", temporary);
        self.fill("New password", PASSWORD);
        self.fill("New password, once more", PASSWORD);
        self.press("Change password");
        self.go(TOKENS);
        self.expect("You have no tokens yet");
    }

    /// The temporary password that the page shows.
    #[track_caller]
    fn temporary_password(&self) -> String {
        let shown = self.texts("#password");
        assert_eq!(shown.len(), 1, "{}: {}", self.describe(), self.text());
        shown[0].clone()
    }
}

#[test]
fn somebody_is_made_and_signs_in_with_what_was_handed_over() {
    let site = Site::start();
    let admin = site.admin();
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = site.signed_in(look, &admin);
        let login = format!("jane-{look}");
        browser.press("Identities");
        browser.press("New Identity");
        browser.fill("Login name", &admin.login);
        browser.fill("Display name", "Jane Doe");
        browser.press("Create Identity");
        assert!(browser.texts("#name-problem").concat().contains("already"), "{}", browser.text());
        assert_eq!(browser.value("Display name"), "Jane Doe", "what was typed is kept");
        browser.fill("Login name", &login);
        browser.fill("Email", "jane@example.com");
        let level =
            browser.find("input[name='level'][value='AUDITOR'], input[name='level'][value='HELPDESK']");
        browser.wait("a level", level.click());
        browser.press("Create Identity");
        let temporary = browser.temporary_password();
        assert!(browser.history().iter().all(|url| !url.contains(&temporary)), "{look}");
        browser.press("Done");
        browser.expect("jane@example.com");
        assert!(!browser.source().contains(&temporary), "{look}: on the identity's page");
        browser.back();
        assert!(!browser.source().contains(&temporary), "{look}: one back");

        let theirs = site.browser(look);
        theirs.sign_in_first(&login, &temporary);
        theirs.go(IDENTITIES);
        theirs.expect("Status 403");
        browser.expect_silent_console();
        theirs.expect_silent_console();
    }
}

#[test]
fn a_disabled_identity_is_out_at_once_and_back_when_enabled() {
    let site = Site::start();
    let admin = site.admin();
    let jane = site.person("jane", "Jane Doe", &[]);
    let token = site.token(&jane, "hers", &["--never-expires"]);
    let [id, secret] = ["id", "secret"].map(|field| token[field].as_str().unwrap());
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = site.signed_in(look, &admin);
        let theirs = site.signed_in(look, &jane);
        theirs.expect("hers");
        browser.go(&format!("{IDENTITIES}?q=jane"));
        browser.press("Jane Doe");
        browser.press("Disable…");
        browser.expect("Jane Doe");
        browser.press("Disable");
        browser.expect("The identity was disabled.");
        browser.expect("Disabled");
        theirs.reload();
        assert!(theirs.path().starts_with("/ui/sign-in"), "{look}: {}", theirs.path());
        theirs.sign_in(&jane.login, PASSWORD);
        theirs.expect("your account is disabled");
        site.list_with(id, secret).expect(401);

        browser.press("Enable…");
        browser.press("Enable");
        browser.expect("The identity was enabled.");
        site.list_with(id, secret).expect(200);
        theirs.sign_in(&jane.login, PASSWORD);
        theirs.expect("hers");
        browser.expect_silent_console();
    }
}

#[test]
fn a_reset_password_ends_sessions_and_is_shown_once() {
    let site = Site::start();
    let admin = site.admin();
    for look in [Look::LIGHT, Look::PLAIN] {
        let jane = site.person(&format!("jane-{look}"), "Jane Doe", &[]);
        let browser = site.signed_in(look, &admin);
        let theirs = site.signed_in(look, &jane);
        browser.go(&format!("{IDENTITIES}/{}", jane.id));
        browser.press("Reset password…");
        browser.press("Reset password");
        let temporary = browser.temporary_password();
        theirs.reload();
        assert!(theirs.path().starts_with("/ui/sign-in"), "{look}: {}", theirs.path());
        theirs.sign_in_first(&jane.login, &temporary);
        browser.press("Done");
        browser.back();
        assert!(!browser.source().contains(&temporary), "{look}: one back");
        browser.expect_silent_console();
    }
}

#[test]
fn levels_are_given_and_hold_at_once() {
    let site = Site::start();
    let admin = site.admin();
    let jane = site.person("jane", "Jane Doe", &[]);
    let browser = site.signed_in(Look::PLAIN, &admin);
    let theirs = site.signed_in(Look::LIGHT, &jane);
    let level = |browser: &Browser, person: &Person, name: &str| {
        browser.go(&format!("{IDENTITIES}/{}", person.id));
        let level = browser.find(&format!("input[name='level'][value='{name}']"));
        browser.wait(name, level.click());
        browser.press("Save levels");
    };
    theirs.expect_no("Administration");
    level(&browser, &jane, "ORG_ADMIN");
    browser.expect("The levels were saved.");
    theirs.reload();
    theirs.press("Identities");
    theirs.expect("Who can sign in here and own tokens.");

    // Of two administrators one may go, the last one not.
    level(&browser, &jane, "ORG_ADMIN");
    browser.expect("The levels were saved.");
    theirs.reload();
    theirs.expect("403");
    level(&browser, &admin, "ORG_ADMIN");
    browser.expect_no("The levels were saved.");
    browser.go(IDENTITIES);
    browser.expect("Who can sign in here and own tokens.");
}
