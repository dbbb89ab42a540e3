//! Every page stands all checks in every look, and leaves its picture.

use crate::browser::Look;
use crate::site::{Site, TOKENS};

/// A person's own pages, with tokens in every state.
#[test]
fn one_s_own_pages_stand_all_checks() {
    let site = Site::start();
    let newcomer = site.person("newcomer", "Nell Newcomer", &[]);
    let jane = site.person("jane", "Jane Doe", &[]);
    let many =
        ["--scope", "sp:my-personal-access-tokens:read", "--scope", "sp:my-personal-access-tokens:manage"];
    let many =
        [&many[..], &["--scope", "sp:scopes:default", "--scope", "demo:orders:read", "--never-expires"]];
    let nightly = site.token(&jane, "nightly report", &many.concat());
    site.token(&jane, "build server", &["--expiration-date", "2099-01-31T00:00:00Z"]);
    let old = site.token(&jane, "last year's", &["--expiration-date", "2099-01-31T00:00:00Z"]);
    site.expire(&old);
    let word = |field: &str| nightly[field].as_str().unwrap().to_owned();
    site.list_with(&word("id"), &word("secret")).expect(200);
    for look in Look::CHECKED {
        let browser = site.browser(look);
        let see = |path: &str, page: &str| {
            browser.go(path);
            browser.check(page);
        };
        see("/ui/sign-in", "sign-in");
        browser.sign_in("nobody", "wrong");
        browser.check("sign-in-wrong");

        let browser = site.signed_in(look, &newcomer);
        browser.check("tokens-none");

        let browser = site.signed_in(look, &jane);
        let see = |path: &str, page: &str| {
            browser.go(path);
            browser.check(page);
        };
        see(TOKENS, "tokens");
        browser.wait("the menu", browser.find(".menu summary").click());
        browser.screenshot("menu");
        browser.expect_no_sideways_scrolling();
        see(&format!("{TOKENS}?q=nightly&sort=name&dir=desc"), "tokens-found");
        see(&format!("{TOKENS}?q=nothing"), "tokens-no-match");
        see(&format!("{TOKENS}/new"), "token-new");
        browser.fill("What is this token for?", "nightly report");
        browser.press("Create Token");
        browser.check("token-new-problem");
        browser.make_token(&format!("made {look}"), &["sp:my-personal-access-tokens:read"]);
        browser.check("token-made");
        see(&format!("{TOKENS}/{}", word("id")), "token-edit");
        see(&format!("{TOKENS}/{}/delete", word("id")), "token-delete");
        see(&format!("{TOKENS}/00000000000000000000000000000000"), "error");
    }
}
