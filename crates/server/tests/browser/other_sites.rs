//! What a page of another site, or of another port of this host, can make a browser do that is signed in here: nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use crate::browser::Look;
use crate::site::{Site, TOKENS};

/// A web server of somebody else's, which has one page. It ends with the test.
struct Elsewhere {
    port: u16,
}

impl Elsewhere {
    fn with(page: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}",
            page.len()
        );
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, answer) = (stream.unwrap(), answer.clone());
                // Browsers open connections that they may never use.
                thread::spawn(move || {
                    if stream.read(&mut [0; 8192]).is_ok_and(|read| read > 0) {
                        let _ = stream.write_all(answer.as_bytes());
                    }
                });
            }
        });
        Self { port }
    }

    /// Its addresses: of another site, whose forms bring no cookies along, and of this one at another port, whose do.
    fn addresses(&self) -> [String; 2] {
        ["localhost", "127.0.0.1"].map(|host| format!("http://{host}:{}/", self.port))
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
            let action = format!("{}{path}", browser.base);
            let elsewhere = Elsewhere::with(&format!(
                "<!doctype html><form method=post action='{action}'>{fields}<input name=csrf value=0><button>Go</button></form>"
            ));
            for address in elsewhere.addresses() {
                browser.go_to(&address);
                browser.press("Go");
                browser.go(TOKENS);
                assert_eq!(browser.texts("tbody th"), ["kept"], "{look}: {path} from {address}");
            }
        }
    }
}

#[test]
fn no_page_is_shown_inside_another_one() {
    let site = Site::start();
    let jane = site.person("jane", "Jane Doe", &[]);
    let browser = site.signed_in(Look::LIGHT, &jane);
    let framed = |address: &str| {
        let elsewhere = Elsewhere::with(&format!("<!doctype html><iframe src='{address}'></iframe>"));
        elsewhere.addresses().map(|around| {
            browser.go_to(&around);
            let mut shown = String::new();
            browser.in_frame(|| {
                // Until the frame has what it gets, it is empty.
                browser.until("the frame has something", || {
                    shown = browser.run("return location.protocol", vec![]).as_str().unwrap().to_owned();
                    shown != "about:"
                });
            });
            shown
        })
    };
    let theirs = Elsewhere::with("<!doctype html><p>Their own");
    assert_eq!(framed(&theirs.addresses()[0]), ["http:", "http:"], "frames as such are shown");
    for path in [TOKENS, "/ui/sign-in", "/ui/sign-out", "/docs"] {
        // A frame that is refused becomes an error page, which is of no site.
        assert_eq!(framed(&format!("{}{path}", browser.base)), ["chrome-error:", "chrome-error:"], "{path}");
    }
}
