//! Preferences → Personal Access Tokens: making, using, changing and deleting a token, with JavaScript and without.

use serde_json::json;

use crate::browser::{Browser, Look};
use crate::process::{Call, basic};
use crate::site::{Person, Site, TOKENS};

impl Browser {
    /// Chooses a scope, or takes it back.
    #[track_caller]
    pub(crate) fn scope(&self, name: &str) {
        let scope = self.find(&format!("input[name='scope'][value='{name}']"));
        self.wait(name, scope.click());
    }

    /// Makes a token, and gives its id and secret as the page shows them.
    #[track_caller]
    pub(crate) fn make_token(&self, name: &str, scopes: &[&str]) -> (String, String) {
        self.go(&format!("{TOKENS}/new"));
        self.fill("What is this token for?", name);
        for scope in scopes {
            self.scope(scope);
        }
        self.press("Create Token");
        self.shown_secret()
    }

    /// The id and the secret on the page that shows them.
    #[track_caller]
    pub(crate) fn shown_secret(&self) -> (String, String) {
        let codes = self.texts(".secret code");
        assert_eq!(codes.len(), 2, "{}: {}", self.describe(), self.text());
        let [id, secret] = [&codes[0], &codes[1]];
        assert!(id.len() == 32 && secret.len() == 64, "{codes:?}");
        (id.clone(), secret.clone())
    }
}

fn jane(site: &Site) -> Person {
    site.person("jane", "Jane Doe", &[])
}

#[test]
fn a_token_is_made_and_used_and_changed_and_deleted() {
    let site = Site::start();
    let jane = jane(&site);
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = site.signed_in(look, &jane);
        browser.expect("You have no tokens yet");
        browser.press("Create your first token");
        browser.fill("What is this token for?", "nightly report");
        browser.tick("60 days");
        browser.fill("Access token validity", "900");
        browser.scope("sp:my-personal-access-tokens:read");
        browser.press("Create Token");
        browser.expect("Token created");
        let (id, secret) = browser.shown_secret();

        // It does what was chosen, and no more.
        let listed = site.list_with(&id, &secret).expect(200).json();
        assert_eq!(listed[0]["name"], "nightly report");
        assert_eq!(listed[0]["scope"], json!(["sp:my-personal-access-tokens:read"]));
        assert_eq!(listed[0]["accessTokenValiditySeconds"], 900);
        let body = json!({ "name": "another", "userAwareTokenNeverExpires": true });
        let create = Call::post("/personal-access-tokens/v1").auth(&basic(&id, &secret)).json(&body);
        site.server.send(create).expect(403);

        browser.press("Done");
        assert_eq!(browser.path(), TOKENS);
        browser.expect("nightly report");
        browser.expect("60 days left");

        browser.press("Edit nightly report");
        assert_eq!(browser.value("What is this token for?"), "nightly report");
        browser.fill("What is this token for?", "weekly report");
        browser.scope("sp:my-personal-access-tokens:manage");
        browser.tick("Never");
        browser.press("Save");
        browser.expect("Tick the box to say that you know what a token that never expires means.");
        assert_eq!(browser.value("What is this token for?"), "weekly report", "what was typed is kept");
        browser.tick("I know that a token that never expires");
        browser.press("Save");
        browser.expect("The token was changed.");
        browser.expect("Never expires");
        let listed = site.list_with(&id, &secret).expect(200).json();
        assert_eq!(listed[0]["name"], "weekly report");
        assert_eq!(
            listed[0]["scope"],
            json!(["sp:my-personal-access-tokens:manage", "sp:my-personal-access-tokens:read"])
        );
        assert_eq!(listed[0]["expirationDate"], json!(null));

        browser.press("Delete weekly report");
        browser.fill("To confirm, type the token's name", "nightly report");
        browser.press("Delete token");
        assert_eq!(browser.texts("#name-problem").len(), 1, "{}", browser.text());
        site.list_with(&id, &secret).expect(200);
        browser.fill("To confirm, type the token's name", "weekly report");
        browser.press("Delete token");
        assert_eq!(browser.path(), TOKENS);
        browser.expect("The token was deleted.");
        site.list_with(&id, &secret).expect(401);
        browser.reload();
        browser.expect_no("The token was deleted.");
        browser.expect_silent_console();
    }
}

#[test]
fn what_is_wrong_stands_beside_its_field_and_what_was_typed_is_kept() {
    let site = Site::start();
    let jane = jane(&site);
    site.token(&jane, "taken", &["--never-expires"]);
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = site.signed_in(look, &jane);
        browser.press("New Token");
        browser.fill("What is this token for?", "taken");
        browser.tick("90 days");
        browser.fill("Access token validity", "1200");
        browser.scope("sp:my-personal-access-tokens:read");
        browser.press("Create Token");
        let problem = browser.texts("#name-problem").join("");
        assert!(problem.contains("name"), "{problem:?} on {}", browser.describe());
        assert_eq!(browser.value("What is this token for?"), "taken");
        assert_eq!(browser.value("Access token validity"), "1200");
        let chosen = browser.run(
            "return [...document.querySelectorAll('form.card input:checked')].map(box => box.value)",
            vec![],
        );
        assert_eq!(chosen, json!(["90", "sp:my-personal-access-tokens:read"]));
        browser.fill("What is this token for?", &format!("free {look}"));
        browser.press("Create Token");
        browser.shown_secret();
    }
}

#[test]
fn at_the_limit_no_more_are_offered_and_the_page_says_why() {
    let site = Site::start();
    let jane = jane(&site);
    for number in 1..=9 {
        site.token(&jane, &format!("number {number}"), &["--never-expires"]);
    }
    let browsers = [Look::LIGHT, Look::PLAIN].map(|look| site.signed_in(look, &jane));
    // Both have the form open when there is room for one.
    for browser in &browsers {
        browser.press("New Token");
        browser.fill("What is this token for?", &format!("the last one, {}", browser.look));
    }
    browsers[0].press("Create Token");
    browsers[0].shown_secret();
    browsers[1].press("Create Token");
    browsers[1].expect("You have as many tokens as you may: 10.");
    for browser in &browsers {
        browser.go(TOKENS);
        browser.expect("You have as many tokens as you may: 10.");
        browser.expect("10 tokens of 10.");
        let offer = browser.find(".head .button");
        assert_eq!(browser.wait("its state", offer.attr("aria-disabled")).as_deref(), Some("true"));
        assert_eq!(browser.wait("where it leads", offer.attr("href")), None);
        browser.check("tokens-at-limit");
        browser.go(&format!("{TOKENS}/new"));
        let create = browser.button("Create Token");
        assert!(!browser.wait("its state", create.is_enabled()));
    }
}

#[test]
fn a_link_fills_the_form_in_and_makes_nothing() {
    let site = Site::start();
    let jane = jane(&site);
    let link = format!(
        "{TOKENS}?name=CI%20of%20%22x%22&scope=sp:my-personal-access-tokens:read+demo:orders:read&days=90"
    );
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = site.browser(look);
        browser.go(&link);
        browser.sign_in(&jane.login, crate::site::PASSWORD);
        assert_eq!(browser.value("What is this token for?"), "CI of \"x\"", "{}", browser.describe());
        let chosen = browser.run(
            "return [...document.querySelectorAll('form.card input:checked')].map(box => box.value)",
            vec![],
        );
        assert_eq!(chosen, json!(["90", "sp:my-personal-access-tokens:read", "demo:orders:read"]));
        browser.press("Cancel");
        browser.expect("You have no tokens yet");
    }
}

#[test]
fn a_day_is_chosen_and_no_choice_is_passed_over() {
    let site = Site::start();
    let jane = jane(&site);
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = site.signed_in(look, &jane);
        let day = "Until the end of this day in UTC";
        browser.press("Create your first token");
        browser.fill("What is this token for?", "till the end of the century");
        browser.fill(day, "12/31/2099");
        browser.scope("sp:my-personal-access-tokens:read");
        if !look.script {
            // Without scripts a day that is typed chooses nothing, and is not passed over either.
            browser.press("Create Token");
            assert_eq!(browser.texts("#expirationDate-problem").len(), 1, "{}", browser.text());
            assert_eq!(browser.value(day), "2099-12-31");
            browser.tick("A date of your choice");
        }
        browser.press("Create Token");
        let (id, secret) = browser.shown_secret();
        let listed = site.list_with(&id, &secret).expect(200).json();
        assert_eq!(listed[0]["expirationDate"], "2099-12-31T23:59:59.000Z", "{look}");
        site.command(&["admin", "pat", "revoke", &id, "--owner", &jane.id]);
    }
}
