//! Administration → All tokens and Dashboard: finding everyone's tokens, and changing many at once.

use serde_json::{Value, json};

use crate::browser::{Browser, Look};
use crate::site::{Person, Site};

const ALL_TOKENS: &str = "/ui/a/personal-access-tokens";

/// An administrator, and people whose tokens were used and expire at all times, in numbers that differ.
pub(crate) fn populated() -> (Site, Person) {
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

/// Tokens of two people; the administrator's own is the bootstrap's.
struct Case {
    site: Site,
    admin: Person,
    jane: Person,
}

impl Case {
    fn start() -> Self {
        let site = Site::start();
        let admin = site.admin();
        let jane = site.person("jane", "Jane Doe", &[]);
        let john = site.person("john", "John Smith", &[]);
        let never = ["--never-expires", "--scope", "sp:my-personal-access-tokens:read"];
        for (owner, name) in [(&jane, "nightly report"), (&jane, "build server"), (&john, "backup")] {
            site.token(owner, name, &never);
        }
        site.token(&john, "next century", &["--expiration-date", "2125-01-31T00:00:00Z"]);
        let old = site.token(&john, "last year's", &["--expiration-date", "2125-01-31T00:00:00Z"]);
        site.expire(&old);
        Self { site, admin, jane }
    }

    fn names_of(&self, owner: &Person) -> Vec<String> {
        let listed = self.site.command(&["admin", "pat", "list", "--owner", &owner.id]);
        listed.as_array().unwrap().iter().map(|pat| pat["name"].as_str().unwrap().to_owned()).collect()
    }
}

impl Browser {
    /// The names in the table, as they stand.
    #[track_caller]
    fn rows(&self) -> Vec<String> {
        self.texts("tbody th")
    }
}

#[test]
fn every_filter_finds_what_it_says() {
    let case = Case::start();
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = case.site.signed_in(look, &case.admin);
        browser.press("All tokens");
        assert_eq!(browser.rows().len(), 6, "{look}: {:?}", browser.rows());

        let search = |field: &str, text: &str, expected: &[&str]| {
            browser.go(ALL_TOKENS);
            browser.fill(field, text);
            browser.press("Search");
            assert_eq!(browser.value(field), text, "{look}: what was asked for stays in its field");
            let mut rows = browser.rows();
            rows.sort();
            assert_eq!(rows, expected, "{look}: {field} {text}");
        };
        search("Name, owner or Client ID", "NIGHTLY", &["nightly report"]);
        search("Name, owner or Client ID", "smith", &["backup", "last year's", "next century"]);
        search("Owner's login name", "jane", &["build server", "nightly report"]);
        search("Scope", "sp:my-personal-access-tokens:read", &["backup", "build server", "nightly report"]);
        browser.go(ALL_TOKENS);
        browser.fill("Owner's login name", "nobody");
        browser.press("Search");
        browser.expect("There is nobody with the login name “nobody”.");

        let choose = |field: &str, option: &str, expected: &[&str]| {
            browser.go(ALL_TOKENS);
            browser.choose(field, option);
            browser.press("Search");
            let mut rows = browser.rows();
            rows.sort();
            assert_eq!(rows, expected, "{look}: {field} {option}");
        };
        choose("Expires", "Never expires", &["backup", "build server", "nightly report"]);
        choose("Expires", "Expired", &["last year's"]);
        choose(
            "Expires",
            "Active",
            &["backup", "bootstrap", "build server", "next century", "nightly report"],
        );
        choose(
            "Last used",
            "Never used",
            &["backup", "bootstrap", "build server", "last year's", "next century", "nightly report"],
        );
        browser.expect_silent_console();
    }
}

#[test]
fn many_are_given_an_expiry_after_a_look_at_which() {
    let case = Case::start();
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = case.site.signed_in(look, &case.admin);
        browser.go(&format!("{ALL_TOKENS}?owner=jane"));
        browser.press("Set expiry…");
        browser.expect("Choose at least one token.");
        browser.tick("Tick nightly report");
        browser.tick("Tick build server");
        browser.tick("90 days");
        browser.press("Set expiry…");
        browser.expect("2 tokens of 1 person");
        assert_eq!(browser.rows(), ["build server", "nightly report"].map(str::to_owned));
        let expiry = || -> Vec<Value> {
            let listed = case.site.command(&["admin", "pat", "list", "--owner", &case.jane.id]);
            listed.as_array().unwrap().iter().map(|pat| pat["expirationDate"].clone()).collect()
        };
        assert_eq!(expiry(), [json!(null), json!(null)], "{look}: nothing has happened yet");
        browser.press("Cancel");
        assert_eq!(browser.rows().len(), 2);
        assert!(browser.path().contains("owner=jane"), "the filter is still there: {}", browser.path());

        browser.tick("All 2 that match");
        browser.tick("90 days");
        browser.press("Set expiry…");
        browser.press("Set the expiry of 2 tokens");
        browser.expect("2 tokens have their new expiry.");
        assert!(expiry().iter().all(|date| !date.is_null()), "{look}: {:?}", expiry());
        for token in
            case.site.command(&["admin", "pat", "list", "--owner", &case.jane.id]).as_array().unwrap()
        {
            case.site.never_expire(token);
        }
        browser.expect_silent_console();
    }
}

#[test]
fn many_are_deleted_after_a_look_at_which() {
    let case = Case::start();
    for look in [Look::LIGHT, Look::PLAIN] {
        let robot = case.site.person(&format!("robot-{look}"), "Robot", &[]);
        let tokens = ["one", "two", "three"].map(|name| case.site.token(&robot, name, &["--never-expires"]));
        let browser = case.site.signed_in(look, &case.admin);
        browser.go(&format!("{ALL_TOKENS}?owner={}", robot.login));
        browser.tick("Tick one");
        browser.tick("Tick two");
        browser.press("Delete…");
        browser.expect("2 tokens of 1 person");

        // One that goes meanwhile is not counted, and the others are asked about again.
        let gone = tokens[0]["id"].as_str().unwrap();
        case.site.command(&["admin", "pat", "revoke", gone, "--owner", &robot.id]);
        browser.press("Delete 2 tokens");
        browser.expect("The tokens that match have changed since you looked.");
        assert_eq!(case.names_of(&robot), ["two", "three"], "{look}: nothing has been done yet");
        browser.press("Delete 1 token");
        browser.expect("1 token was deleted.");
        assert_eq!(case.names_of(&robot), ["three"]);
        let [id, secret] = ["id", "secret"].map(|field| tokens[1][field].as_str().unwrap());
        case.site.list_with(id, secret).expect(401);

        // One by itself, from its page.
        browser.press("three");
        browser.press("Delete…");
        browser.fill("To confirm, type the token's name or its Client ID", "three");
        browser.press("Delete token");
        assert!(case.names_of(&robot).is_empty());
        browser.expect_silent_console();
    }
}

#[test]
fn a_box_ticks_all_on_the_page_where_scripts_run() {
    let case = Case::start();
    let browser = case.site.signed_in(Look::LIGHT, &case.admin);
    browser.go(ALL_TOKENS);
    browser.tick("Tick all on this page");
    browser.press("Delete…");
    browser.expect("6 tokens of 3 people");
}

#[test]
fn the_dashboard_counts_and_leads_to_what_it_counts() {
    let case = Case::start();
    for look in [Look::LIGHT, Look::PLAIN] {
        let browser = case.site.signed_in(look, &case.admin);
        browser.press("Dashboard");
        let stats = browser.run(
            "return [...document.querySelectorAll('.stat')].map(stat => [stat.querySelector('.stat-number').innerText, stat.href])",
            vec![],
        );
        let stats = stats.as_array().unwrap().clone();
        assert!(stats.len() > 3, "{stats:?}");
        for stat in stats {
            let (number, address) = (stat[0].as_str().unwrap(), stat[1].as_str().unwrap());
            browser.go(address.strip_prefix(&browser.base).unwrap());
            assert_eq!(browser.rows().len().to_string(), number, "{look}: {}", browser.describe());
        }
        browser.expect_silent_console();
    }
}

#[test]
fn whoever_may_not_see_everyone_s_tokens_does_not() {
    let case = Case::start();
    let browser = case.site.signed_in(Look::PLAIN, &case.jane);
    browser.expect_no("All tokens");
    for path in [ALL_TOKENS, "/ui/a/dashboard", "/ui/a/audit", "/ui/a/identities"] {
        browser.go(path);
        browser.expect("Status 403");
        browser.expect_no("backup");
    }
}
