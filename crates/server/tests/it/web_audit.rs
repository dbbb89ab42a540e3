//! Administration → Audit trail, as a browser without scripts sees it.

use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt as _;
use patron_core::identity::{Draft, Identity};
use patron_core::name::TenantName;
use serde_json::Value;

use crate::support::{Patron, Reply};
use crate::visit::{Visit, between};

const AUDIT: &str = "/ui/a/audit";
const EXPORT: &str = "/ui/a/audit/export";

/// The rows of the table: event and target's name.
fn rows(page: &str) -> Vec<String> {
    let rows = page.split("<th scope=\"row\"").skip(1);
    let told = |row: &str| {
        let what = between(row, "data-label=\"What\"><span>", "</span>");
        let target = row.split("data-label=\"To what\"").nth(1).unwrap();
        format!("{what}: {}", between(target, "<bdi class=\"name\">", "</bdi>"))
    };
    rows.map(told).collect()
}

/// A link of the page, as the browser follows it.
fn link(page: &str, before: &str) -> String {
    between(page, before, "\"").replace("&#38;", "&").replace("&amp;", "&")
}

async fn admin(patron: &Patron) -> Identity {
    patron.identity("root", &["ORG_ADMIN"]).await
}

async fn events(visit: &mut Visit<'_>, query: &str) -> Vec<String> {
    rows(&visit.get(&format!("{AUDIT}?{query}")).await.expect(200).text())
}

fn csv_of(reply: &Reply) -> Vec<csv::StringRecord> {
    csv::Reader::from_reader(&reply.body[..]).records().map(Result::unwrap).collect()
}

#[tokio::test]
async fn the_trail_is_shown_newest_first_and_filtered() {
    let patron = Patron::start().await;
    let admin = admin(&patron).await;
    patron.pass_seconds(10);
    let jane = patron.identity("jane", &[]).await;
    patron.pass_seconds(10);
    patron.change(&jane, |jane| jane.levels = vec!["HELPDESK".to_owned()]).await.unwrap();
    let mut visit = patron.visit(&admin).await;
    let (root, jane_id) = (admin.id.to_string(), jane.id.to_string());
    let page = visit.get(AUDIT).await.expect(200).text();
    // The visit itself needs a password and a sign-in.
    assert_eq!(
        rows(&page)[..5],
        [
            "Signed in: root",
            "Identity changed: root",
            "Identity changed: jane",
            "Identity created: jane",
            "Identity created: root"
        ]
    );
    assert!(page.contains("– → HELPDESK"), "attributes are readable: {page}");
    assert!(page.contains(&format!("/ui/a/identities/{jane_id}\"")), "{page}");
    for (query, expected) in [
        ("name=IDENTITY_CREATED".to_owned(), &["Identity created: jane", "Identity created: root"][..]),
        (format!("target={jane_id}"), &["Identity changed: jane", "Identity created: jane"]),
        (format!("target={jane_id}&name=IDENTITY_CREATED"), &["Identity created: jane"]),
        (format!("target={jane_id}&actor={root}"), &[]),
        (
            format!("target=+{jane_id}+&actor=patron-admin&from=2027-03-01&to=2027-03-01"),
            &["Identity changed: jane", "Identity created: jane"],
        ),
        (format!("target={jane_id}&from=2027-03-02"), &[]),
        (format!("target={jane_id}&to=2027-02-28"), &[]),
        ("name=NO_SUCH".to_owned(), &[]),
        ("target=%22+or+target.id+eq+%22x".to_owned(), &[]),
    ] {
        let found = events(&mut visit, &query).await;
        let found: Vec<_> =
            found.iter().filter(|row| !row.ends_with("Administrator") && !row.ends_with("admin")).collect();
        assert_eq!(found, expected, "{query}");
    }
    // The form keeps what was chosen.
    let page = visit.get(&format!("{AUDIT}?name=SIGN_IN_PASSED&from=2027-03-01")).await.text();
    assert!(
        page.contains("value=\"SIGN_IN_PASSED\" selected") && page.contains("value=\"2027-03-01\""),
        "{page}"
    );
}

#[tokio::test]
async fn days_begin_and_end_where_the_reader_is() {
    let patron = Patron::start().await;
    let admin = admin(&patron).await;
    let mut visit = patron.visit(&admin).await;
    // 12:00 UTC on 1 March is 01:00 on 2 March in Auckland.
    for (zone, day, shown) in [
        ("UTC", "2027-03-01", "1 Mar 2027</span> <span class=\"nowrap\">12:00"),
        ("Pacific/Auckland", "2027-03-02", "2 Mar 2027</span> <span class=\"nowrap\">01:00"),
    ] {
        visit.cookies.insert("patron_zone".to_owned(), zone.to_owned());
        let page = visit.get(&format!("{AUDIT}?from={day}&to={day}")).await.expect(200).text();
        assert!(page.contains(shown), "{zone}: {page}");
        for other in ["from=2027-03-03", "to=2027-02-28"] {
            assert_eq!(events(&mut visit, other).await, [""; 0], "{zone} {other}");
        }
        let file = visit.get(&format!("{EXPORT}?format=csv&from={day}&to={day}")).await.expect(200);
        assert!(!csv_of(&file).is_empty());
        let name = format!("attachment; filename=\"audit-default-{day}.csv\"");
        assert_eq!(file.header("content-disposition"), Some(name.as_str()));
    }
}

#[tokio::test]
async fn pages_put_together_are_the_trail_whatever_happens_meanwhile() {
    let patron = Patron::start().await;
    let admin = admin(&patron).await;
    for i in 0..120 {
        patron.identity(&format!("p{i:03}"), &[]).await;
    }
    let mut visit = patron.visit(&admin).await;
    let query = "name=IDENTITY_CREATED&actor=patron-admin";
    let mut all = Vec::new();
    let mut path = format!("{AUDIT}?{query}");
    loop {
        let page = visit.get(&path).await.expect(200).text();
        assert_eq!(page.contains(">Newest<"), !all.is_empty(), "{path}");
        all.extend(rows(&page));
        patron.identity(&format!("later {}", all.len()), &[]).await;
        if !page.contains("rel=\"next\"") {
            break;
        }
        path = format!("{AUDIT}{}", link(&page, "rel=\"next\" href=\""));
    }
    let expected: Vec<_> = (0..120).rev().map(|i| format!("Identity created: p{i:03}")).collect();
    assert_eq!(all[..120], expected);
    assert!(all.len() <= 122 && all[120..].iter().all(|row| !row.contains("later")), "{:?}", &all[120..]);
    // A place that nobody was given shows the newest events.
    assert_eq!(rows(&visit.get(&format!("{AUDIT}?before=x&{query}")).await.expect(200).text()).len(), 50);
}

#[tokio::test]
async fn what_is_wrong_with_a_filter_is_said() {
    let patron = Patron::start().await;
    let admin = admin(&patron).await;
    let mut visit = patron.visit(&admin).await;
    let long = "x".repeat(256);
    for (query, field) in [
        ("from=2027-02-30".to_owned(), "from"),
        ("to=yesterday".to_owned(), "to"),
        ("actor=%00".to_owned(), "actor"),
        (format!("target={long}"), "target"),
    ] {
        let page = visit.get(&format!("{AUDIT}?{query}")).await.expect(400).text();
        assert!(page.contains(&format!("id=\"{field}-problem\"")), "{query}: {page}");
        visit.get(&format!("{EXPORT}?format=csv&{query}")).await.expect(400);
    }
    for format in ["", "format=", "format=xlsx", "format=CSV"] {
        visit.get(&format!("{EXPORT}?{format}")).await.expect(400);
    }
}

#[tokio::test]
async fn a_file_has_what_the_filters_let_through_and_the_api_says() {
    let patron = Patron::start().await;
    let admin = admin(&patron).await;
    let names = ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "a \"quoted\", name"];
    for name in names {
        let draft = Draft { name: name.to_owned(), ..Draft::default() };
        patron.identity_of(TenantName::DEFAULT, draft).await;
    }
    patron.identity_in("acme", "stranger", &[]).await;
    let mut visit = patron.visit(&admin).await;
    let page = visit.get(&format!("{AUDIT}?name=IDENTITY_CREATED")).await.expect(200).text();
    let file = visit.get(&link(&page, "match as <a href=\"")).await.expect(200);
    assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(file.header("cache-control"), Some("no-store"));
    assert!(file.header("content-disposition").unwrap().starts_with("attachment; "));
    let told: Vec<String> = csv_of(&file).iter().map(|row| row[8].to_owned()).collect();
    let expected = ["a \"quoted\", name", "'@x", "'-1", "'+1", "'=cmd|' /C calc'!A0", "root"];
    assert_eq!(told[..6], expected);
    assert!(!file.text().contains("stranger"));
    assert!(!file.text().contains("SIGN_IN"));

    let lines = visit.get(&format!("{EXPORT}?format=ndjson&name=IDENTITY_CREATED")).await.expect(200);
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> = lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, patron.events("IDENTITY_CREATED").await);
    assert_eq!(lines[1]["target"]["name"], "@x", "for programs it is as it is");
}

/// Events of the past, more than are read at a time.
fn seed(patron: &Patron, count: u32) {
    let sql = "WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
               INSERT INTO audit_events (id, created, tenant, technical_name, actor_kind, actor_id, actor_name, \
               target_kind, target_id, target_name, ip_address, tracking_number, operation, status, attributes) \
               SELECT randomblob(16), i, 1, 'SEEDED', 'SYSTEM', 'x', 'x', 'TENANT', 'y', 'y', NULL, \
               randomblob(16), 'USE', 'PASSED', '{}' FROM n";
    assert_eq!(patron.database().execute(sql, &[count.into()]), u64::from(count));
}

/// The parts of the file as they are sent.
async fn parts(patron: &Patron, visit: &Visit<'_>) -> axum::body::BodyDataStream {
    let cookie = format!("patron_session={}", visit.cookies["patron_session"]);
    let request = Request::get(format!("{EXPORT}?format=ndjson&name=SEEDED")).header("cookie", cookie);
    let answer = patron.front.answer([127, 0, 0, 1].into(), request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status().as_u16(), 200);
    answer.into_body().into_data_stream()
}

#[tokio::test]
async fn a_long_trail_is_sent_in_parts_and_breaks_off_where_it_cannot_be_read() {
    let patron = Patron::start().await;
    let admin = admin(&patron).await;
    let visit = patron.visit(&admin).await;
    seed(&patron, 2_600);
    let mut stream = parts(&patron, &visit).await;
    let (mut lines, mut longest) = (0, 0);
    while let Some(part) = stream.next().await {
        let part = part.unwrap();
        let here = part.split(|&byte| byte == b'\n').count() - 1;
        longest = longest.max(here);
        lines += here;
    }
    assert_eq!((lines, longest), (2_600, 500));

    let broken =
        "UPDATE audit_events SET attributes = 'x' WHERE technical_name = 'SEEDED' AND created = 1000";
    patron.database().execute(broken, &[]);
    let mut stream = parts(&patron, &visit).await;
    let mut last = None;
    while let Some(part) = stream.next().await {
        last = Some(part.is_ok());
    }
    assert_eq!(last, Some(false), "the file does not end as if it were whole");
}

#[tokio::test]
async fn the_trail_is_for_those_with_the_right() {
    let patron = Patron::with(|settings| {
        let read = vec!["idn:audit-events:read".to_owned()];
        settings.levels.insert("AUDITOR".to_owned(), read);
    })
    .await;
    let auditor = patron.identity("auditor", &["AUDITOR"]).await;
    let helpdesk = patron.identity("helpdesk", &["HELPDESK"]).await;
    let elsewhere = patron.identity_in("acme", "stranger", &["ORG_ADMIN"]).await;
    let file = format!("{EXPORT}?format=csv");
    let mut visit = patron.visit(&auditor).await;
    let page = visit.get(AUDIT).await.expect(200).text();
    assert!(!page.contains("/ui/a/identities"), "what one may not see is not linked: {page}");
    assert!(!page.contains("stranger"));
    visit.get(&file).await.expect(200);
    let mut visit = patron.visit(&helpdesk).await;
    visit.get(AUDIT).await.expect(403);
    visit.get(&file).await.expect(403);
    let mut visit = patron.visit(&elsewhere).await.at("acme.tenants.test");
    let page = visit.get(AUDIT).await.expect(200).text();
    assert!(page.contains("stranger") && !page.contains("auditor"), "{page}");
    let file = visit.get(&file).await.expect(200).text();
    assert!(file.contains("stranger") && !file.contains("auditor"), "{file}");
}

#[tokio::test]
async fn names_are_no_markup() {
    let patron = Patron::start().await;
    let admin = admin(&patron).await;
    let name = "<script>alert(1)</script>";
    patron.identity_of(TenantName::DEFAULT, Draft { name: name.to_owned(), ..Draft::default() }).await;
    let mut visit = patron.visit(&admin).await;
    for path in [
        AUDIT,
        "/ui/a/identities",
        "/ui/a/identities?q=%3Cscript%3Ealert",
        "/ui/a/audit?actor=%22%3E%3Cscript%3Ealert",
    ] {
        let page = visit.get(path).await.expect(200).text();
        assert!(page.contains("script") && !page.contains("<script>alert"), "{path}: {page}");
    }
}
