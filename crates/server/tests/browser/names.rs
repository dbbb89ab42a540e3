//! Names that people and attackers choose stand on every page as they are, and break no layout.

use serde_json::json;

use crate::browser::{Browser, Look};
use crate::site::{PASSWORD, Person, Site, TOKENS};

/// As wide as a name can be: no place to break, and no character narrower than another.
fn wide() -> String {
    "W".repeat(255)
}

/// What is tried: a word for the failure, and the name.
fn names() -> Vec<(&'static str, String)> {
    vec![
        ("markup", "<script>alert(1)</script>".to_owned()),
        ("an attribute", "\" onmouseover=\"alert(1)\" x='".to_owned()),
        ("an entity", "&lt;b&gt; &amp; &#x202e;".to_owned()),
        ("a template", "{{ 7 * 7 }} ${7*7} { $count }".to_owned()),
        ("wide", wide()),
        ("wide and not Latin", "\u{9f98}".repeat(255)),
        ("right to left", "\u{05e9}\u{05dc}\u{05d5}\u{05dd} \u{05e2}\u{05d5}\u{05dc}\u{05dd} (1)".to_owned()),
        ("an override of direction", "user\u{202e}gpj.exe".to_owned()),
        ("emoji", "\u{1f469}\u{200d}\u{1f4bb} \u{1f3f3}\u{fe0f}\u{200d}\u{1f308} build".to_owned()),
        ("blanks within", "a  b   c".to_owned()),
    ]
}

impl Browser {
    /// Asserts that each name stands in the page's text as it is, that none became markup, and that the page is no
    /// wider than the window.
    #[track_caller]
    fn expect_names(&self, selector: &str) {
        let script = "return [...document.querySelectorAll(arguments[0])].map(found => found.textContent)";
        let shown = self.run(script, vec![selector.into()]);
        let shown: Vec<&str> = shown.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        for (kind, name) in names() {
            assert!(shown.contains(&name.as_str()), "{kind} on {}: {shown:?}", self.describe());
        }
        assert_eq!(self.run("return document.scripts.length", vec![]), 1, "{}", self.describe());
        let handlers = "return document.querySelectorAll('[onmouseover]').length";
        assert_eq!(self.run(handlers, vec![]), 0, "{}", self.describe());
        self.expect_no_sideways_scrolling();
    }
}

fn jane_with_names(site: &Site) -> (Person, Vec<String>) {
    let jane = site.person("jane", "Jane Doe", &[]);
    let ids = names().into_iter().map(|(_, name)| {
        let made = site.token(&jane, &name, &["--never-expires", "--scope", &"w".repeat(255)]);
        made["id"].as_str().unwrap().to_owned()
    });
    let ids = ids.collect();
    (jane, ids)
}

#[test]
fn names_of_tokens_stand_as_they_are_wide_and_on_a_phone() {
    let site = Site::start();
    let (jane, ids) = jane_with_names(&site);
    for look in [Look::LIGHT, Look::PHONE] {
        let browser = site.signed_in(look, &jane);
        browser.expect_names("tbody .name");
        browser.check("tokens-names");
        for (id, (kind, name)) in ids.iter().zip(names()) {
            browser.go(&format!("{TOKENS}/{id}"));
            assert_eq!(browser.value("What is this token for?"), name, "{kind} ({look})");
            browser.expect_no_sideways_scrolling();
            browser.go(&format!("{TOKENS}/{id}/delete"));
            browser.expect_no_sideways_scrolling();
            let shown = browser.run("return document.querySelector('.facts .name').textContent", vec![]);
            assert_eq!(shown, name.as_str(), "{kind} ({look})");
        }
        browser.expect_silent_console();
    }
}

#[test]
fn names_are_typed_and_deleted_as_they_are() {
    let site = Site::start();
    let jane = site.person("jane", "Jane Doe", &[]);
    let browser = site.signed_in(Look::PLAIN, &jane);
    // The driver types no character beyond the basic plane.
    for (kind, name) in names().into_iter().filter(|(_, name)| name.chars().all(|c| c <= '\u{ffff}')) {
        browser.make_token(&name, &[]);
        let shown = browser.run("return document.querySelector('.card .name').textContent", vec![]);
        assert_eq!(shown, name.as_str(), "{kind}");
        browser.expect_no_sideways_scrolling();
        browser.press("Done");
        browser.press(&format!("Delete {}", words(&name)));
        browser.fill("To confirm, type the token's name or its Client ID", &name);
        browser.press("Delete token");
        browser.expect("The token was deleted.");
        browser.expect("You have no tokens yet");
    }
    browser.expect_silent_console();
}

/// A name as a label says it: blanks run together.
fn words(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Somebody's own names stand on each page, in the menu.
#[test]
fn names_of_people_stand_as_they_are() {
    let site = Site::start();
    let browser = site.browser(Look::PHONE);
    for (number, (kind, name)) in names().into_iter().enumerate() {
        let person = site.person(&format!("person{number}"), &name, &[]);
        browser.go(TOKENS);
        browser.sign_in(&person.login, PASSWORD);
        let shown = browser.run("return document.querySelector('.menu-name').textContent", vec![]);
        assert_eq!(shown, name.as_str(), "{kind}");
        browser.expect_no_sideways_scrolling();
        browser.wait("the menu", browser.find(".menu summary").click());
        browser.expect_no_sideways_scrolling();
        browser.press("Sign out");
    }
    browser.expect_silent_console();
}

/// Everyone's names, of people and of their tokens, on the pages of administrators.
#[test]
fn names_stand_as_they_are_on_pages_of_administrators() {
    let site = Site::start();
    let admin = site.admin();
    let mut made = Vec::new();
    for (kind, name) in names() {
        let person = site.person(&name, &name, &[]);
        let token = site.token(&person, &name, &["--never-expires", "--scope", &"w".repeat(255)]);
        made.push((kind, name, person, token["id"].as_str().unwrap().to_owned()));
    }
    for look in [Look::LIGHT, Look::PHONE] {
        let browser = site.signed_in(look, &admin);
        browser.go("/ui/a/personal-access-tokens");
        browser.expect_names("tbody th .name");
        browser.expect_names("tbody td .name");
        browser.check("all-tokens-names");
        for (number, (_, _, _, id)) in made.iter().enumerate() {
            let tick = browser.find(&format!("input[name='id'][value='{id}']"));
            browser.wait("a box", tick.click());
            assert_eq!(
                browser.run("return document.querySelectorAll('tbody :checked').length", vec![]),
                number + 1
            );
        }
        browser.press("Delete…");
        browser.expect_names("tbody th .name");
        browser.check("all-tokens-delete-names");
        browser.go("/ui/a/identities");
        browser.expect_names("tbody th .name");
        browser.expect_names("tbody td .name");
        browser.check("identities-names");
        browser.go("/ui/a/audit");
        browser.expect_names("tbody td .name");
        browser.check("audit-names");
        browser.go("/ui/a/dashboard");
        browser.expect_no_sideways_scrolling();
        let script = "return [...document.querySelectorAll('.chart text')].filter(text =>
            text.getBoundingClientRect().left < text.closest('.card').getBoundingClientRect().left)
            .map(text => text.textContent)";
        assert_eq!(browser.run(script, vec![]), json!([]), "labels that stick out of their chart ({look})");
        browser.check("dashboard-names");
        for (kind, name, person, id) in &made {
            let shows = |path: &str, selector: &str| {
                browser.go(path);
                let script = "return document.querySelector(arguments[0]).textContent";
                assert_eq!(
                    browser.run(script, vec![selector.into()]),
                    name.as_str(),
                    "{kind}: {path} ({look})"
                );
                browser.expect_no_sideways_scrolling();
            };
            shows(&format!("/ui/a/personal-access-tokens/{id}"), "h1");
            shows(&format!("/ui/a/personal-access-tokens/{id}/delete"), ".facts .name");
            shows(&format!("/ui/a/identities/{}", person.id), "h1");
            shows(&format!("/ui/a/identities/{}/disable", person.id), ".facts .name");
        }
        browser.expect_silent_console();
    }
}
