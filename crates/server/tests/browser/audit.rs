//! Administration → Audit trail: what is recorded, found again, and downloaded.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::{Browser, Look};
use crate::site::Site;

const AUDIT: &str = "/ui/a/audit";

impl Browser {
    /// Clicks a link that downloads, and gives what came: the file's name and what is in it.
    #[track_caller]
    fn download(&self, link: &str) -> (String, String) {
        let folder = TempDir::new().unwrap();
        let behavior = json!({ "behavior": "allow", "downloadPath": folder.path().to_str().unwrap() });
        self.devtools("Browser.setDownloadBehavior", behavior);
        self.press_here(link);
        let files = || fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
        // While it comes its name ends in `.crdownload`.
        let whole = || files().find(|file| file.extension().is_none_or(|ending| ending != "crdownload"));
        self.until("the file has come", || files().count() == 1 && whole().is_some());
        let file = whole().unwrap();
        (file.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&file).unwrap())
    }
}

#[test]
fn what_happened_is_found_and_downloaded() {
    let site = Site::start();
    let admin = site.admin();
    let jane = site.person("jane", "=HYPERLINK(\"x\")", &[]);
    site.token(&jane, "@SUM(1)", &["--never-expires"]);
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = site.signed_in(look, &admin);
        browser.press("Audit trail");
        browser.expect("Token created");
        browser.expect("Signed in");
        browser.choose("What happened", "Token created");
        browser.press("Show");
        browser.expect("@SUM(1)");
        assert!(!browser.texts("tbody").concat().contains("Signed in"), "{}", browser.text());

        let (name, trail) = browser.download("NDJSON");
        assert!(name.ends_with(".ndjson"), "{name}");
        let events: Vec<Value> = trail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events.len(), 2, "the bootstrap's and jane's: {trail}");
        assert!(
            events.iter().all(|event| event["technicalName"] == "PERSONAL_ACCESS_TOKEN_CREATED"),
            "{trail}"
        );

        // Everything that happened to jane, from a link in the table.
        browser.press("Show all");
        browser.go(&format!("{AUDIT}?target={}", jane.id));
        assert_eq!(browser.value("ID of what it was done to"), jane.id);
        let (name, trail) = browser.download("CSV");
        assert!(name.contains(".csv"), "{name}");
        assert!(trail.contains("IDENTITY_CREATED"), "{trail}");
        assert!(
            !trail.contains(",=HYPERLINK") && !trail.contains(",\"=HYPERLINK"),
            "runs in a spreadsheet: {trail}"
        );

        browser.fill("ID of who did it", "nobody");
        browser.press("Show");
        browser.expect("Nothing was recorded that matches.");
        assert_eq!(browser.value("ID of who did it"), "nobody", "what was typed is kept");
        browser.expect_silent_console();
    }
}
