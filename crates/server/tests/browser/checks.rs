//! What every page must stand: accessibility, a silent console, no sideways scrolling. And its picture.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{env, fs};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::browser::Browser;

/// axe-core's source. `cargo xtask test` fetches it and says where it is.
static AXE: LazyLock<String> = LazyLock::new(|| {
    let path = env::var_os("PATRON_AXE").expect(
        "PATRON_AXE must name the file axe.min.js of axe-core: `cargo xtask test --only browser` fetches it and sets this",
    );
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("PATRON_AXE, {}: {error}", path.display()))
});

/// WCAG 2.0 to 2.2, levels A and AA, and axe-core's best practices.
const RULES: [&str; 6] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

impl Browser {
    /// All checks of one page as it stands, and its screenshot.
    #[track_caller]
    pub(crate) fn check(&self, page: &str) {
        self.screenshot(page);
        self.expect_no_sideways_scrolling();
        if self.look.script {
            self.expect_accessible();
        }
        self.expect_silent_console();
    }

    /// Asserts that axe-core finds nothing on the page. It needs timers, so JavaScript must be on.
    #[track_caller]
    pub(crate) fn expect_accessible(&self) {
        // WebDriver runs scripts whatever the page's content security policy says.
        self.run(&AXE, vec![]);
        let script = "
            const [rules, done] = arguments;
            axe.run(document, { runOnly: rules, resultTypes: ['violations'] })
                .then(found => done(found.violations), error => done(String(error)));";
        let found = self.run_async(script, vec![json!(RULES)]);
        let found = found.as_array().unwrap_or_else(|| panic!("axe-core failed: {found}"));
        assert!(found.is_empty(), "axe-core's findings on {}:\n{}", self.describe(), findings(found));
    }

    /// Asserts that the console had no error or warning since this was last asked: breaches of the content security
    /// policy, scripts that throw, files that are not there.
    #[track_caller]
    pub(crate) fn expect_silent_console(&self) {
        let visited = self.history();
        let entries = self.console();
        let entries = entries.as_array().unwrap().iter().filter(|entry| {
            let text = entry["message"].as_str().unwrap_or_default();
            // A page that answers 400 or 404 has not failed to load: what it should answer is the test's to say.
            let resource = text.split_once(" - Failed to load resource").map(|(address, _)| address);
            let page = resource.is_some_and(|address| visited.iter().any(|visited| visited == address));
            ["SEVERE", "WARNING"].iter().any(|level| entry["level"] == *level) && !page
        });
        let entries: Vec<&str> = entries.map(|entry| entry["message"].as_str().unwrap_or_default()).collect();
        assert!(entries.is_empty(), "the console on {}:\n{}", self.describe(), entries.join("\n"));
    }

    /// Asserts that the page is no wider than the window, and that nothing on it has to be scrolled sideways to be
    /// read.
    #[track_caller]
    pub(crate) fn expect_no_sideways_scrolling(&self) {
        let script = "
            const page = document.documentElement;
            const html = element => element.outerHTML.slice(0, 200);
            const all = [...document.body.querySelectorAll('*')];
            if (page.scrollWidth > page.clientWidth) {
                const wide = all.filter(element => element.getBoundingClientRect().right > page.clientWidth);
                return [`${page.scrollWidth} > ${page.clientWidth}`, ...wide.slice(0, 5).map(html)].join('\\n');
            }
            const scrolls = element => ['auto', 'scroll'].includes(getComputedStyle(element).overflowX);
            const wide = all.filter(element => element.scrollWidth > element.clientWidth && scrolls(element));
            return wide.map(element => `${element.scrollWidth} > ${element.clientWidth}: ${html(element)}`).join('\\n');";
        let wide = self.run(script, vec![]);
        let wide = wide.as_str().unwrap_or_default();
        assert!(wide.is_empty(), "{} has to be scrolled sideways:\n{wide}", self.describe());
    }

    /// Takes a picture of the whole page: `screenshots/<page>-<look>.png` in the target folder.
    #[track_caller]
    pub(crate) fn screenshot(&self, page: &str) -> PathBuf {
        let size = &self.devtools("Page.getLayoutMetrics", json!({}))["cssContentSize"];
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        let picture = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.devtools("Page.captureScreenshot", picture);
        let picture = base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{page}-{}.png", self.look));
        fs::write(&file, picture.unwrap()).unwrap();
        file
    }
}

/// axe-core's findings, a paragraph each.
fn findings(found: &[Value]) -> String {
    let mut text = String::new();
    for rule in found {
        let word = |field: &str| rule[field].as_str().unwrap_or_default();
        let _ = writeln!(text, "\n{} ({}): {}", word("id"), word("impact"), word("help"));
        let nodes = rule["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
        // Each row of a table has the same; a few will do.
        for node in nodes.iter().take(3) {
            let _ = writeln!(text, "  {} {}", node["target"], node["html"].as_str().unwrap_or_default());
            for line in node["failureSummary"].as_str().unwrap_or_default().lines() {
                let _ = writeln!(text, "    {line}");
            }
        }
        if nodes.len() > 3 {
            let _ = writeln!(text, "  and {} more", nodes.len() - 3);
        }
    }
    text
}
