//! The API's page, and whether the tests' browsers are what they are said to be.

use fantoccini::key::Key;
use tempfile::TempDir;

use crate::browser::{Browser, Look};
use crate::process::Server;

#[test]
fn javascript_is_off_where_a_look_says_so() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]);
    let page = "data:text/html,<title>t</title><p id=p>off</p><script>p.textContent='on'</script>";
    for (look, state) in [(Look::LIGHT, "on"), (Look::PLAIN, "off")] {
        let browser = Browser::open(look, &server);
        browser.go_to(page);
        browser.expect(state);
    }
}

#[test]
fn the_api_s_page_is_read_by_keyboard_alone() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]);
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = Browser::open(look, &server);
        browser.go("/docs");
        browser.tab_to("openapi.json");
        browser.key(Key::Enter);
        assert_eq!(browser.path(), "/openapi.json", "{look}");
        browser.back();
        assert_eq!(browser.path(), "/docs", "{look}");
    }
}
