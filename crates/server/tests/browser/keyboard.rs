//! By keyboard alone: what one can do with a mouse, one can do without.

use fantoccini::key::Key;

use crate::browser::Look;
use crate::site::{PASSWORD, Site, TOKENS};

#[test]
fn a_token_is_made_and_deleted_by_keyboard_alone() {
    let site = Site::start();
    let jane = site.person("jane", "Jane Doe", &[]);
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = site.browser(look);
        browser.go(TOKENS);
        assert_eq!(browser.focused(), "Login name", "where one begins to type");
        browser.write(&jane.login);
        browser.key(Key::Tab);
        browser.write(PASSWORD);
        browser.enter();
        assert_eq!(browser.path(), TOKENS, "{}", browser.text());

        browser.key(Key::Tab);
        assert_eq!(browser.focused(), "Skip to the content", "the first thing that Tab comes to");
        browser.key(Key::Enter);
        browser.tab_to("Create your first token");
        browser.enter();
        browser.tab_to("What is this token for?");
        browser.write("by keyboard");
        // A group of radio buttons is one stop; arrows move within it.
        browser.key(Key::Tab);
        assert!(browser.focused().starts_with("30 days"), "{}", browser.focused());
        browser.key(Key::Down);
        assert!(browser.focused().starts_with("60 days"), "{}", browser.focused());
        browser.tab_to("sp:my-personal-access-tokens:read");
        browser.write(" ");
        browser.enter();
        browser.expect("Token created");
        let (id, secret) = browser.shown_secret();
        let listed = site.list_with(&id, &secret).expect(200).json();
        assert_eq!(listed[0]["scope"][0], "sp:my-personal-access-tokens:read", "{listed}");

        browser.tab_to("Done");
        browser.enter();
        browser.expect("60 days left");
        browser.tab_to("Delete by keyboard");
        browser.enter();
        browser.tab_to("To confirm, type the token's name or its Client ID");
        browser.write("by keyboard");
        browser.enter();
        browser.expect("The token was deleted.");

        browser.tab_to("Jane Doe");
        browser.key(Key::Enter);
        browser.tab_to("Sign out");
        browser.enter();
        browser.go(TOKENS);
        browser.expect("Sign in");
        browser.expect_silent_console();
    }
}

#[test]
fn an_administrator_finds_and_deletes_by_keyboard_alone() {
    let site = Site::start();
    let admin = site.admin();
    let jane = site.person("jane", "Jane Doe", &[]);
    for look in [Look::LIGHT, Look::PLAIN] {
        for name in ["one", "two"] {
            site.token(&jane, &format!("{name} {look}"), &["--never-expires"]);
        }
        let browser = site.signed_in(look, &admin);
        browser.tab_to("All tokens");
        browser.enter();
        browser.tab_to("Owner's login name");
        browser.write(&jane.login);
        browser.enter();
        for name in ["one", "two"] {
            browser.tab_to(&format!("Tick {name} {look}"));
            browser.write(" ");
        }
        browser.tab_to("Delete…");
        browser.enter();
        browser.expect("2 tokens of 1 person");
        browser.tab_to("Delete 2 tokens");
        browser.enter();
        browser.expect("2 tokens were deleted.");

        browser.tab_to("Identities");
        browser.enter();
        browser.tab_to("Jane Doe");
        browser.enter();
        browser.tab_to("Disable…");
        browser.enter();
        browser.tab_to("Disable");
        browser.enter();
        browser.expect("The identity was disabled.");
        browser.tab_to("Enable…");
        browser.enter();
        browser.tab_to("Enable");
        browser.enter();
        browser.expect("The identity was enabled.");
        browser.expect_silent_console();
    }
}
