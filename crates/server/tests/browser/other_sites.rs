//! What a page of another site can make a browser do that is signed in here: nothing.

use serde_json::json;

use crate::browser::{Browser, Look};
use crate::site::{Site, TOKENS};

impl Browser {
    /// Opens a page that is of no site.
    #[track_caller]
    fn go_elsewhere(&self, html: &str) {
        self.go_to("data:text/html,<!doctype html><title>elsewhere</title>");
        // A `data:` page could not be told this HTML without escaping all of it.
        self.run("document.body.innerHTML = arguments[0]", vec![json!(html)]);
    }
}

#[test]
fn a_form_of_another_site_does_nothing() {
    let site = Site::start();
    let jane = site.person("jane", "Jane Doe", &[]);
    let kept = site.token(&jane, "kept", &["--never-expires"]);
    let kept = kept["id"].as_str().unwrap();
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = site.signed_in(look, &jane);
        for (path, fields) in [
            (format!("{TOKENS}/new"), "<input name=name value=theirs><input name=expires value=30>"),
            (format!("{TOKENS}/{kept}/delete"), "<input name=name value=kept>"),
            ("/ui/sign-out".to_owned(), ""),
        ] {
            let address = format!("{}{path}", browser.base);
            browser.go_elsewhere(&format!(
                "<form method=post action='{address}'>{fields}<input type=hidden name=csrf value=0><button>Go</button></form>"
            ));
            browser.press("Go");
            browser.go(TOKENS);
            assert_eq!(browser.texts("tbody th"), ["kept"], "{look}: {path}");
        }
    }
}

#[test]
fn no_page_is_shown_inside_another_one() {
    let site = Site::start();
    let jane = site.person("jane", "Jane Doe", &[]);
    let browser = site.signed_in(Look::LIGHT, &jane);
    for path in [TOKENS, "/ui/sign-in", "/ui/sign-out", "/docs"] {
        browser.go_elsewhere(&format!("<iframe src='{}{path}'></iframe>", browser.base));
        // A frame that is refused becomes an error page, which is of no site.
        let refused = || browser.run("return location.protocol", vec![]) == "chrome-error:";
        browser.in_frame(|| browser.until("the frame is refused", refused));
    }
}
