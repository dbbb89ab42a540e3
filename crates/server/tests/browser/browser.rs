//! A browser as a person uses it: by what stands on labels, buttons and links.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::{Client, Locator};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::driver::{self, Driver};
use crate::process::Server;

/// What the person in front of the browser has set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// Whether pages may run JavaScript.
    pub(crate) script: bool,
    pub(crate) scheme: Scheme,
    pub(crate) width: Width,
}

/// `prefers-color-scheme`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// A window of 1280 by 900.
    Wide,
    /// A phone of 390 by 844.
    Phone,
}

impl Look {
    pub(crate) const LIGHT: Self = Self { script: true, scheme: Scheme::Light, width: Width::Wide };
    pub(crate) const DARK: Self = Self { scheme: Scheme::Dark, ..Self::LIGHT };
    pub(crate) const PHONE: Self = Self { width: Width::Phone, ..Self::LIGHT };
    /// JavaScript is off.
    pub(crate) const PLAIN: Self = Self { script: false, ..Self::LIGHT };
}

/// As in the names of screenshots.
impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.width, self.scheme) {
            (Width::Wide, Scheme::Light) => "light",
            (Width::Wide, Scheme::Dark) => "dark",
            (Width::Phone, Scheme::Light) => "phone",
            (Width::Phone, Scheme::Dark) => "phone-dark",
        })?;
        f.write_str(if self.script { "" } else { "-plain" })
    }
}

/// Chromium with a fresh profile, at one [`Server`].
pub(crate) struct Browser {
    pub(crate) look: Look,
    /// Where the server is: `http://127.0.0.1:…`.
    pub(crate) base: String,
    client: Client,
    // Below the client, so that it ends after it; and the profile after both.
    _driver: Driver,
    runtime: Runtime,
    _home: TempDir,
}

/// How long a test waits for something that must happen, and how often it looks.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(5);

const FLAGS: &[&str] = &[
    "--headless=new",
    // Chromium's sandbox refuses to start for root, and what it shows here is our own.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-sync",
    // /dev/shm is small in containers.
    "--disable-dev-shm-usage",
    "--accept-lang=en-US",
    "--window-size=1280,900",
];

/// The setting behind `chrome://settings/content/javascript`: blocked.
const BLOCKED: i32 = 2;

impl Browser {
    /// Starts a browser for a server; no page is open yet.
    pub(crate) fn open(look: Look, server: &Server) -> Self {
        let home = TempDir::new().unwrap();
        let mut flags: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
        flags.push(format!("--user-data-dir={}", home.path().join("profile").display()));
        let mut options = json!({ "args": flags });
        if !look.script {
            options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": BLOCKED });
        }
        if look.width == Width::Phone {
            let metrics = json!({ "width": 390, "height": 844, "pixelRatio": 2.0, "touch": true });
            options["mobileEmulation"] = json!({ "deviceMetrics": metrics });
        }
        let capabilities: Map<String, Value> = [
            ("goog:chromeOptions".to_owned(), options),
            ("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" })),
            ("timeouts".to_owned(), json!({ "script": 120_000, "pageLoad": 60_000 })),
        ]
        .into_iter()
        .collect();

        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut driver = Driver::start(home.path());
        let client = runtime.block_on(driver.session(capabilities));
        let base = server.url("");
        let browser = Self { look, base, client, _driver: driver, runtime, _home: home };
        let scheme = if look.scheme == Scheme::Dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        browser.devtools("Emulation.setEmulatedMedia", json!({ "features": features }));
        browser
    }

    /// Waits for what the browser answers.
    #[track_caller]
    pub(crate) fn wait<T>(&self, what: &str, answer: impl Future<Output = Result<T, CmdError>>) -> T {
        match self.runtime.block_on(answer) {
            Ok(value) => value,
            Err(error) => panic!("{what} ({}): {error}", self.look),
        }
    }

    /// A command of the Chrome DevTools Protocol.
    #[track_caller]
    pub(crate) fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.wait(command, driver::devtools(&self.client, command, parameters))
    }

    /// What the console has had since this was last asked.
    #[track_caller]
    pub(crate) fn console(&self) -> Value {
        self.wait("the console", driver::console(&self.client))
    }

    /// Runs a function's body in the page, whether the page itself may run scripts or not.
    #[track_caller]
    pub(crate) fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.wait("a script of the test", self.client.execute(script, arguments))
    }

    /// As [`Browser::run`], for a body that calls its last argument when it is done.
    #[track_caller]
    pub(crate) fn run_async(&self, script: &str, arguments: Vec<Value>) -> Value {
        assert!(self.look.script, "a page without JavaScript has no timers to wait for");
        self.wait("a script of the test", self.client.execute_async(script, arguments))
    }
}

/// Going about.
impl Browser {
    /// Opens a path of the server, as typed into the address bar, and waits until it is loaded.
    #[track_caller]
    pub(crate) fn go(&self, path: &str) {
        self.go_to(&format!("{}{path}", self.base));
    }

    /// Opens any address, and waits until it is loaded.
    #[track_caller]
    pub(crate) fn go_to(&self, address: &str) {
        self.wait(address, self.client.goto(address));
    }

    #[track_caller]
    pub(crate) fn back(&self) {
        self.leaving(|| self.wait("back", self.client.back()));
    }

    #[track_caller]
    pub(crate) fn forward(&self) {
        self.leaving(|| self.wait("forward", self.client.forward()));
    }

    #[track_caller]
    pub(crate) fn reload(&self) {
        self.leaving(|| self.wait("reload", self.client.refresh()));
    }

    /// Does what leads to another page, and waits until that one is loaded. The driver waits by itself only when the
    /// browser has begun to go there by the time the click is done.
    #[track_caller]
    pub(crate) fn leaving(&self, act: impl FnOnce()) {
        // When the document began: no two of them in one tab have the same.
        let document = || self.client.execute("return [performance.timeOrigin, document.readyState]", vec![]);
        let left = self.wait("the page", document())[0].clone();
        act();
        // Asked in one question, so that the answer is of one document. While the pages change there is none.
        let there = |page: Value| page[0] != left && page[1] == "complete";
        self.until("another page comes", || self.runtime.block_on(document()).is_ok_and(there));
    }

    /// Waits until something is so that no event tells of.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            let patient = begin.elapsed() < PATIENCE;
            assert!(patient, "in vain until {what}: {}\n{}", self.describe(), self.text());
            self.runtime.block_on(async { tokio::time::sleep(PAUSE).await });
        }
    }

    /// Where the browser is, without the server's address.
    #[track_caller]
    pub(crate) fn path(&self) -> String {
        let url = self.wait("the address", self.client.current_url()).to_string();
        url.strip_prefix(&self.base).unwrap_or(&url).to_owned()
    }

    /// Does something inside the page's one frame.
    #[track_caller]
    pub(crate) fn in_frame(&self, act: impl FnOnce()) {
        self.wait("the frame", self.client.enter_frame(0));
        act();
        self.wait("the page around the frame", self.client.enter_parent_frame());
    }

    /// Every address in the history of this tab, the oldest first.
    #[track_caller]
    pub(crate) fn history(&self) -> Vec<String> {
        let history = self.devtools("Page.getNavigationHistory", json!({}));
        let entries = history["entries"].as_array().unwrap().iter();
        entries.map(|entry| entry["url"].as_str().unwrap().to_owned()).collect()
    }
}

/// Reading.
impl Browser {
    #[track_caller]
    pub(crate) fn title(&self) -> String {
        self.wait("the title", self.client.title())
    }

    /// The page's HTML as it stands, values that were typed not included.
    #[track_caller]
    pub(crate) fn source(&self) -> String {
        self.wait("the source", self.client.source())
    }

    /// What is to be read on the page.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        self.run("return document.body.innerText", vec![]).as_str().unwrap_or_default().to_owned()
    }

    /// The text of everything that a CSS selector finds.
    #[track_caller]
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        let script =
            "return [...document.querySelectorAll(arguments[0])].map(found => found.innerText.trim())";
        let found = self.run(script, vec![json!(selector)]);
        found.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    /// Asserts that a text is to be read on the page.
    #[track_caller]
    pub(crate) fn expect(&self, text: &str) {
        let page = self.text();
        assert!(page.contains(text), "{text:?} is not on {}:\n{page}", self.describe());
    }

    /// Asserts that a text is not to be read on the page.
    #[track_caller]
    pub(crate) fn expect_no(&self, text: &str) {
        let page = self.text();
        assert!(!page.contains(text), "{text:?} is on {}:\n{page}", self.describe());
    }

    /// Which page, in which look, for the text of a failure.
    #[track_caller]
    pub(crate) fn describe(&self) -> String {
        format!("{} ({}, {})", self.path(), self.title(), self.look)
    }
}

/// Finding and using what stands on the page.
impl Browser {
    /// The first that a CSS selector finds.
    #[track_caller]
    pub(crate) fn find(&self, selector: &str) -> Element {
        match self.runtime.block_on(self.client.find(Locator::Css(selector))) {
            Ok(element) => element,
            Err(error) => panic!("{selector} on {}: {error}\n{}", self.describe(), self.text()),
        }
    }

    /// The button or link with this name, as a screen reader says it.
    #[track_caller]
    pub(crate) fn button(&self, name: &str) -> Element {
        let script = "
            const same = element => (element.getAttribute('aria-label') || element.innerText || element.value || '')
                .replace(/\\s+/g, ' ').trim() === arguments[0];
            const all = [...document.querySelectorAll('button, a[href], summary, input[type=submit]')];
            return all.filter(element => element.checkVisibility() && same(element));";
        self.only(&format!("a button or link {name:?}"), script, name)
    }

    /// The field with this label, or with the one label that begins so.
    #[track_caller]
    pub(crate) fn field(&self, label: &str) -> Element {
        let script = "
            const words = text => (text || '').replace(/\\s+/g, ' ').trim();
            const labels = element => [...(element.labels || [])].map(label => words(label.textContent));
            const names = element => [words(element.getAttribute('aria-label')), ...labels(element)];
            const fields = [...document.querySelectorAll('input, select, textarea')]
                .filter(element => element.type !== 'hidden' && element.checkVisibility());
            const exact = fields.filter(element => names(element).includes(arguments[0]));
            const wanted = arguments[0] + ' ';
            return exact.length ? exact
                : fields.filter(element => names(element).some(name => name.startsWith(wanted)));";
        self.only(&format!("a field {label:?}"), script, label)
    }

    #[track_caller]
    fn only(&self, what: &str, script: &str, argument: &str) -> Element {
        let found = self.run(script, vec![json!(argument)]);
        let mut found: Vec<Element> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|found| {
                let id = found.as_object().and_then(|reference| reference.values().next()).unwrap();
                let id = id.as_str().unwrap().to_owned();
                Element::from_element_id(self.client.clone(), id.into())
            })
            .collect();
        assert_eq!(found.len(), 1, "{what} must be once on {}:\n{}", self.describe(), self.text());
        found.remove(0)
    }

    /// Clicks the button or link with this name, which leads to another page.
    #[track_caller]
    pub(crate) fn press(&self, name: &str) {
        let button = self.button(name);
        self.leaving(|| self.wait(name, button.click()));
    }

    /// Clicks the button with this name, which does something on this page.
    #[track_caller]
    pub(crate) fn press_here(&self, name: &str) {
        let button = self.button(name);
        self.wait(name, button.click());
    }

    /// Types into the field with this label, in place of what stood there.
    #[track_caller]
    pub(crate) fn fill(&self, label: &str, text: &str) {
        let field = self.field(label);
        self.wait(label, field.clear());
        self.wait(label, field.send_keys(text));
    }

    /// Chooses an option by its text.
    #[track_caller]
    pub(crate) fn choose(&self, label: &str, option: &str) {
        let field = self.field(label);
        self.wait(label, field.select_by_label(option));
    }

    /// Clicks a checkbox or radio button.
    #[track_caller]
    pub(crate) fn tick(&self, label: &str) {
        let field = self.field(label);
        self.wait(label, field.click());
    }

    /// What stands in the field with this label.
    #[track_caller]
    pub(crate) fn value(&self, label: &str) -> String {
        let field = self.field(label);
        self.wait(label, field.prop("value")).unwrap_or_default()
    }
}

/// The keyboard alone.
impl Browser {
    /// Presses Enter where it leads to another page.
    #[track_caller]
    pub(crate) fn enter(&self) {
        self.leaving(|| self.key(Key::Enter));
    }

    /// Presses and releases one key.
    #[track_caller]
    pub(crate) fn key(&self, key: Key) {
        self.keys(&[key.into()]);
    }

    /// Types into whatever has the focus.
    #[track_caller]
    pub(crate) fn write(&self, text: &str) {
        self.keys(&text.chars().collect::<Vec<_>>());
    }

    #[track_caller]
    fn keys(&self, keys: &[char]) {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for &value in keys {
            actions = actions.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        self.wait("the keyboard", self.client.perform_actions(actions));
    }

    /// The name of what has the focus: its label, or its text.
    #[track_caller]
    pub(crate) fn focused(&self) -> String {
        let script = "
            const element = document.activeElement;
            if (!element || element === document.body) return '';
            const label = (element.labels || [])[0];
            return (element.getAttribute('aria-label') || (label || element).innerText || element.value || element.id)
                .replace(/\\s+/g, ' ').trim();";
        self.run(script, vec![]).as_str().unwrap_or_default().to_owned()
    }

    /// Presses Tab until something of this name, or with these words in it, has the focus.
    #[track_caller]
    pub(crate) fn tab_to(&self, name: &str) {
        let mut passed = Vec::new();
        loop {
            self.key(Key::Tab);
            let focused = self.focused();
            if focused.contains(name) {
                return;
            }
            passed.push(focused);
            assert!(passed.len() < 200, "Tab never comes to {name:?} on {}: {passed:?}", self.describe());
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser in good order; whatever comes of it, the driver ends it by its pid.
        let _ = self.runtime.block_on(self.client.clone().close());
    }
}
