//! Every page stands all checks in every look, and leaves its picture.

use crate::admin_tokens::populated;
use crate::browser::{Browser, Look};
use crate::site::{Site, TOKENS};

/// Each in a test of its own for each look, so that they run side by side.
macro_rules! in_every_look {
    ($($name:ident => $check:ident;)+) => {
        $(mod $name {
            use super::{$check, Look};
            #[test]
            fn light() {
                $check(Look::LIGHT);
            }
            #[test]
            fn dark() {
                $check(Look::DARK);
            }
            #[test]
            fn phone() {
                $check(Look::PHONE);
            }
            #[test]
            fn without_javascript() {
                $check(Look::PLAIN);
            }
        })+
    };
}

in_every_look! {
    one_s_own => check_one_s_own;
    an_administrator_s => check_an_administrator_s;
    everyone_s_tokens => check_everyone_s_tokens;
    the_api_s => check_the_api_s;
}

fn check_the_api_s(look: Look) {
    let site = Site::start();
    site.browser(look).see("/docs", "docs");
}

/// A person's own pages, with tokens in every state.
fn check_one_s_own(look: Look) {
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
    let browser = site.browser(look);
    browser.see("/ui/sign-in", "sign-in");
    browser.sign_in("nobody", "wrong");
    browser.check("sign-in-wrong");

    let browser = site.signed_in(look, &newcomer);
    browser.check("tokens-none");

    let browser = site.signed_in(look, &jane);
    browser.see(TOKENS, "tokens");
    browser.wait("the menu", browser.find(".menu summary").click());
    // What an open menu covers cannot be touched, which axe-core takes for too small.
    browser.screenshot("menu");
    browser.expect_no_sideways_scrolling();
    browser.see(&format!("{TOKENS}?q=nightly&sort=name&dir=desc"), "tokens-found");
    browser.see(&format!("{TOKENS}?q=nothing"), "tokens-no-match");
    browser.see(&format!("{TOKENS}/new"), "token-new");
    browser.fill("What is this token for?", "nightly report");
    browser.press("Create Token");
    browser.check("token-new-problem");
    browser.make_token(&format!("made {look}"), &["sp:my-personal-access-tokens:read"]);
    browser.check("token-made");
    browser.see(&format!("{TOKENS}/{}", word("id")), "token-edit");
    browser.see(&format!("{TOKENS}/{}/delete", word("id")), "token-delete");
    browser.fill("To confirm, type the token's name or its Client ID", "something else");
    browser.press("Delete token");
    browser.check("token-delete-problem");
    browser.see(&format!("{TOKENS}/00000000000000000000000000000000"), "error");
    browser.see("/ui/d/user-preferences/password", "password");
    browser.see("/ui/d/user-preferences/display", "display");
    browser.press("Save");
    browser.check("display-saved");
    browser.see("/ui/sign-out", "sign-out");
    browser.press("Sign out");
    browser.check("signed-out");
}

/// The pages about everyone's tokens.
fn check_everyone_s_tokens(look: Look) {
    let (site, admin) = populated();
    let browser = site.signed_in(look, &admin);
    let tokens = "/ui/a/personal-access-tokens";
    browser.see("/ui/a/dashboard", "dashboard");
    browser.see(tokens, "all-tokens");
    browser.see(&format!("{tokens}?use=unused&sort=used&dir=desc&owner=max"), "all-tokens-found");
    browser.see(&format!("{tokens}?owner=nobody"), "all-tokens-nobody");
    browser.see(&format!("{tokens}?q=nothing"), "all-tokens-no-match");
    for (act, page) in [("Set expiry…", "all-tokens-expiry"), ("Delete…", "all-tokens-delete")] {
        browser.go(&format!("{tokens}?q=token&sort=owner"));
        browser.press(act);
        browser.check("all-tokens-problem");
        browser.tick("All 21 that match");
        browser.press(act);
        browser.check(page);
    }
    browser.go(&format!("{tokens}?owner=bob"));
    browser.press("bob's token 1");
    browser.check("admin-token");
    browser.press("Delete…");
    browser.check("admin-token-delete");
    browser.fill("To confirm, type the token's name or its Client ID", "something else");
    browser.press("Delete token");
    browser.check("admin-token-delete-problem");
}

/// What an administrator has besides.
fn check_an_administrator_s(look: Look) {
    let site = Site::start();
    let admin = site.admin();
    let jane = site.person("jane", "Jane Doe", &["HELPDESK", "CERT_ADMIN", "SOURCE_SUBADMIN"]);
    site.token(&jane, "nightly report", &["--never-expires"]);
    for number in 1..=60 {
        site.command(&["admin", "identity", "create", "--name", &format!("robot {number}")]);
    }
    let browser = site.signed_in(look, &admin);
    browser.see("/ui/a/identities", "identities");
    browser.see("/ui/a/identities?q=nothing", "identities-no-match");
    browser.see(&format!("/ui/a/identities/{}", jane.id), "identity");
    browser.press("Save levels");
    browser.check("identity-saved");
    browser.see(&format!("/ui/a/identities/{}/disable", jane.id), "identity-disable");
    browser.see(&format!("/ui/a/identities/{}/reset-password", jane.id), "identity-reset");
    browser.press("Reset password");
    browser.check("identity-password");
    browser.see("/ui/a/identities/new", "identity-new");
    browser.fill("Login name", "jane");
    browser.press("Create Identity");
    browser.check("identity-new-problem");
    browser.see("/ui/a/audit", "audit");
    let details = browser.find("tbody details summary");
    browser.wait("the details", details.click());
    browser.check("audit-details");
    browser.see("/ui/a/audit?actor=00000000000000000000000000000000", "audit-none");
}

impl Browser {
    /// Opens a page and checks it.
    #[track_caller]
    fn see(&self, path: &str, page: &str) {
        self.go(path);
        self.check(page);
    }
}
