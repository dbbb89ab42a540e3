//! Every page stands all checks in every look, and leaves its picture.

use crate::browser::{Browser, Look};
use crate::site::{Person, Site, TOKENS};

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
    browser.fill("To confirm, type the token's name", "something else");
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

/// What an administrator has besides.
fn check_an_administrator_s(look: Look) {
    let site = Site::start();
    let admin = site.admin();
    let jane = site.person("jane", "Jane Doe", &["HELPDESK", "CERT_ADMIN", "SOURCE_SUBADMIN"]);
    let token = site.token(&jane, "nightly report", &["--never-expires"]);
    for number in 1..=60 {
        let made = site.command(&["admin", "identity", "create", "--name", &format!("robot {number}")]);
        let robot = Person { id: made["id"].as_str().unwrap().to_owned(), login: String::new() };
        let ends = format!("2027-{:02}-{:02}T00:00:00Z", 1 + number % 12, 1 + number % 28);
        site.token(&robot, &format!("robot's {number}"), &["--expiration-date", &ends]);
    }
    let browser = site.signed_in(look, &admin);
    let tokens = "/ui/a/personal-access-tokens";
    browser.see("/ui/a/dashboard", "dashboard");
    browser.see(tokens, "all-tokens");
    browser.see(&format!("{tokens}?owner=nobody"), "all-tokens-nobody");
    browser.see(&format!("{tokens}?q=nothing"), "all-tokens-no-match");
    browser.see(&format!("{tokens}?q=robot&sort=name&dir=desc"), "all-tokens-found");
    browser.press("Delete…");
    browser.check("all-tokens-problem");
    browser.tick("All 60 that match");
    browser.press("Delete…");
    browser.check("all-tokens-delete");
    browser.see(&format!("{tokens}?owner=jane"), "all-tokens-of-one");
    browser.press("nightly report");
    browser.check("admin-token");
    browser.press("Set expiry…");
    browser.check("all-tokens-expiry");
    browser.see(&format!("{tokens}/{}/delete", token["id"].as_str().unwrap()), "admin-token-delete");
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
