//! A secret is shown once: it is copied from its page, and no way leads back to it.

use serde_json::json;

use crate::browser::{Browser, Look};
use crate::site::{Site, TOKENS};

impl Browser {
    /// What is on the clipboard. Pages may write there; reading it needs a permission, which this gives.
    #[track_caller]
    fn clipboard(&self) -> String {
        let permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"];
        self.devtools("Browser.grantPermissions", json!({ "permissions": permissions, "origin": self.base }));
        let script =
            "navigator.clipboard.readText().then(arguments[0], error => arguments[0](String(error)))";
        self.run_async(script, vec![]).as_str().unwrap_or_default().to_owned()
    }
}

#[test]
fn a_secret_is_copied_at_a_press() {
    let site = Site::start();
    let jane = site.person("jane", "Jane Doe", &[]);
    let browser = site.signed_in(Look::LIGHT, &jane);
    let (id, secret) = browser.make_token("copied", &["sp:my-personal-access-tokens:read"]);
    browser.press_here("Copy the secret");
    assert_eq!(browser.clipboard(), secret);
    assert_eq!(browser.texts(".announcer"), ["Copied"], "a screen reader is told");
    browser.press_here("Copy the Client ID");
    assert_eq!(browser.clipboard(), id);
    browser.press_here("Copy the .env file");
    let address = &browser.base;
    let file = format!("SAIL_BASE_URL={address}\nSAIL_CLIENT_ID={id}\nSAIL_CLIENT_SECRET={secret}\n");
    assert_eq!(browser.clipboard(), file);
    browser.check("token-made");

    browser.press("Done");
    browser.press_here("Copy the Client ID of copied");
    assert_eq!(browser.clipboard(), id);
    browser.expect_silent_console();
}

#[test]
fn without_javascript_there_is_no_button_that_does_nothing() {
    let site = Site::start();
    let jane = site.person("jane", "Jane Doe", &[]);
    let browser = site.signed_in(Look::PLAIN, &jane);
    browser.make_token("by hand", &[]);
    let shown =
        "return [...document.querySelectorAll('.copy')].filter(button => button.checkVisibility()).length";
    assert_eq!(browser.run(shown, vec![]), 0);
    browser.check("token-made");
}

#[test]
fn no_way_leads_back_to_a_secret() {
    let site = Site::start();
    let jane = site.person("jane", "Jane Doe", &[]);
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = site.signed_in(look, &jane);
        let (id, secret) =
            browser.make_token(&format!("secret {look}"), &["sp:my-personal-access-tokens:read"]);
        let gone = |when: &str| {
            assert!(!browser.text().contains(&secret), "to be read {when}: {}", browser.describe());
            assert!(!browser.source().contains(&secret), "in the HTML {when}: {}", browser.describe());
        };
        // Straight back.
        browser.press("Done");
        gone("on the next page");
        browser.back();
        gone("one back");
        browser.forward();
        gone("forward again");

        // After more pages.
        browser.go(&format!("{TOKENS}/{id}"));
        gone("on the token's page");
        browser.go(&format!("{TOKENS}/{id}/delete"));
        gone("on the page that deletes it");
        for step in 1..=3 {
            browser.back();
            gone(&format!("{step} back"));
        }

        for url in browser.history() {
            assert!(!url.contains(&secret), "{look}: {url}");
        }
        site.list_with(&id, &secret).expect(200);
        assert!(!site.server.log().contains(&secret), "{look}: in the log");
    }
}

/// Also by an address typed over it, in place of the button, and when the page is loaded again.
#[test]
fn a_secret_does_not_outlive_its_page_however_it_is_left() {
    let site = Site::start();
    let jane = site.person("jane", "Jane Doe", &[]);
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = site.signed_in(look, &jane);
        let (_, secret) = browser.make_token(&format!("left {look}"), &[]);
        browser.go("/docs");
        browser.back();
        assert!(!browser.source().contains(&secret), "{look}: back from the API's page");

        let (_, secret) = browser.make_token(&format!("reloaded {look}"), &[]);
        browser.reload();
        assert!(!browser.source().contains(&secret), "{look}: loaded again");
        let made = site.command(&["admin", "pat", "list", "--owner", &jane.id]).to_string();
        assert_eq!(made.matches(&format!("reloaded {look}")).count(), 1, "{look}: made once");
    }
}
