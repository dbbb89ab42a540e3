//! Administration → Dashboard and All tokens.

use crate::browser::Look;
use crate::site::{Person, Site};

const TOKENS: &str = "/ui/a/personal-access-tokens";
const DASHBOARD: &str = "/ui/a/dashboard";

/// People whose tokens were used and expire at all times, in numbers that differ.
fn populated() -> (Site, Person) {
    let site = Site::start();
    let admin = site.admin();
    let long = "Maximiliane von und zu Oberammergau-Wolkenstein";
    for (login, display_name, tokens) in
        [("jane", "Jane Doe", 6), ("bob", "Bob <Builder>", 4), ("max", long, 9), ("he", "שלמה כהן", 2)]
    {
        let person = site.person(login, display_name, &[]);
        for n in 0..tokens {
            let scopes = ["--scope", "sp:my-personal-access-tokens:read", "--scope", "demo:orders:read"];
            let expiry =
                if n % 2 == 0 { &["--never-expires"][..] } else { &["--expiration-date", "2099-01-31"] };
            site.token(
                &person,
                &format!("{login}'s token {n}"),
                &[&scopes[..(n % 3) * 2 % 5], expiry].concat(),
            );
        }
    }
    let day = 86_400_000_i64;
    let spread = "UPDATE pats SET created = created - 400 * ?1 + rank * 15 * ?1, \
                  last_used = CASE WHEN rank % 4 > 0 THEN created - rank * rank * ?1 END, \
                  expires = expires - expires + created + (rank * 11 - 20) * ?1 \
                  FROM (SELECT id AS its, ROW_NUMBER() OVER (ORDER BY created, name) AS rank FROM pats) \
                  WHERE id = its AND name <> 'bootstrap'";
    site.database().execute(spread, [day]).unwrap();
    (site, admin)
}

/// Everyone's tokens, as [`crate::pages`] sees them in each look.
pub(crate) fn check_everyones_tokens(look: Look) {
    let (site, admin) = populated();
    let browser = site.signed_in(look, &admin);
    let all_that_match = || {
        browser.go(&format!("{TOKENS}?q=token&sort=owner"));
        let all = browser.find("input[name='which'][value='all']");
        browser.wait("all that match", all.click());
    };
    browser.see(DASHBOARD, "dashboard");
    browser.see(TOKENS, "all-tokens");
    browser.see(&format!("{TOKENS}?use=unused&sort=used&dir=desc&owner=max"), "all-tokens-found");
    browser.see(&format!("{TOKENS}?owner=nobody"), "all-tokens-nobody");
    browser.go(&format!("{TOKENS}?q=token&sort=owner"));
    browser.press("Set expiry…");
    browser.check("all-tokens-problem");
    all_that_match();
    browser.press("Set expiry…");
    browser.check("all-tokens-preview-expiry");
    all_that_match();
    browser.press("Delete…");
    browser.check("all-tokens-preview-delete");
    browser.go(&format!("{TOKENS}?owner=bob"));
    browser.press("bob's token 1");
    browser.check("any-token");
    browser.press("Delete…");
    browser.check("any-token-delete");
}

#[test]
fn a_number_leads_to_its_tokens_and_these_are_deleted_together() {
    for look in [Look::LIGHT, Look::PLAIN] {
        let (site, admin) = populated();
        let browser = site.signed_in(look, &admin);
        browser.press("Dashboard");
        let number = browser.find("a.stat[href$='?use=never']");
        browser.leaving(|| browser.wait("the number", number.click()));
        assert_eq!(browser.path(), format!("{TOKENS}?use=never"), "{look}");
        let found = browser.texts("tbody th").len();
        assert!(found > 3, "{look}: {found}");
        let all = browser.find("input[name='which'][value='all']");
        browser.wait("all that match", all.click());
        browser.press("Delete…");
        browser.press(&format!("Delete {found} tokens"));
        browser.expect(&format!("{found} tokens were deleted."));
        browser.expect("No token matches.");
        browser.expect_silent_console();
    }
}

#[test]
fn a_box_above_ticks_all_below_and_what_is_ticked_gets_its_expiry() {
    let (site, admin) = populated();
    let browser = site.signed_in(Look::LIGHT, &admin);
    browser.go(&format!("{TOKENS}?owner=jane"));
    let above = browser.find("[data-check-all]");
    browser.wait("the box above", above.click());
    browser.press("Set expiry…");
    browser.expect("6 tokens of 1 person");
    browser.press("Set the expiry of 6 tokens");
    browser.expect("6 tokens have their new expiry.");
    browser.expect("91 days left");
    browser.expect_silent_console();
}
