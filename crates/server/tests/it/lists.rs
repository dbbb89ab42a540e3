//! Lists of PATs: whose, which, in which order, how many, and how long ones are sent (contract sections 5 and 11).

use std::collections::HashSet;

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, Response};
use futures_util::StreamExt as _;
use patron_core::time::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::database::Database;
use crate::support::{Call, PATS, Patron, Server, basic, database_url, form};

/// Rows of one internal batch; what is special happens around its multiples.
const BATCH: usize = 500;
/// 2024-01-01, in milliseconds: when the PATs of [`seed`] were made, and from when on they were used.
const MADE: i64 = 1_704_067_200_000;
const USED: i64 = MADE + 1_000_000;

/// So many PATs of `owner`, straight into the database. Every 300 share a moment of creation. The nth was used
/// at [`USED`] and n ms.
fn seed(database: &Database, owner: &str, count: usize) {
    let sql = "WITH RECURSIVE n(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
               INSERT INTO pats SELECT randomblob(16), tenant, id, 'pat ' || i, '[\"a\"]', randomblob(32), \
               $2 + i / 300, $3 + i, 0, 900, NULL, 1, 0 FROM n, identities WHERE i > 0 AND name = $4";
    let count = i64::try_from(count).unwrap();
    database.execute(sql, &[count.into(), MADE.into(), USED.into(), owner.into()]);
}

/// Patron with so many PATs of jane's, and the query that lists them.
async fn seeded(count: usize) -> (Patron, String) {
    let patron = Patron::with(|settings| settings.rate_limits.requests = 0).await;
    let jane = patron.identity("jane", &[]).await;
    seed(&patron.database(), "jane", count);
    let query = format!("owner-id={}", jane.id);
    (patron, query)
}

/// The parts of a list in the order in which they are sent.
async fn parts(patron: &Patron, query: &str) -> BodyDataStream {
    let request = Request::get(format!("{PATS}?{query}")).header("authorization", patron.admin.basic());
    let peer = "127.0.0.1".parse().unwrap();
    let answer: Response<Body> = patron.front.answer(peer, request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), 200);
    answer.into_body().into_data_stream()
}

fn numbers(list: &Value) -> Vec<usize> {
    let name = |pat: &Value| pat["name"].as_str().unwrap().strip_prefix("pat ").unwrap().parse().unwrap();
    list.as_array().unwrap().iter().map(name).collect()
}

fn moment(millis: i64) -> String {
    Timestamp::from_millis(millis).to_string()
}

#[tokio::test]
async fn long_lists_are_whole_and_oldest_first() {
    for count in [0, 1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH, 3 * BATCH + 7] {
        let (patron, query) = seeded(count).await;
        let call = Call::get(&format!("{PATS}?{query}&count=true")).auth(&patron.admin.basic());
        let reply = patron.send(call).await.expect(200);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("x-total-count"), Some(count.to_string().as_str()));
        let list = reply.json();
        let all: HashSet<usize> = numbers(&list).into_iter().collect();
        assert_eq!((list.as_array().unwrap().len(), all.len()), (count, count));
        let created: Vec<_> =
            list.as_array().unwrap().iter().map(|pat| pat["created"].as_str().unwrap()).collect();
        assert!(created.is_sorted());
    }
}

#[tokio::test]
async fn everyones_list_has_every_owners() {
    let (patron, _) = seeded(BATCH).await;
    let names = patron.listed(&patron.admin.basic(), "owner-id=").await;
    assert_eq!(names.len(), BATCH + 1);
    // Made last.
    assert_eq!(names.last().unwrap(), "bootstrap");
    assert_eq!(patron.listed(&patron.admin.basic(), "").await, names);
}

#[tokio::test]
async fn pages_are_parts_of_the_same_order() {
    let (patron, query) = seeded(3 * BATCH + 7).await;
    let admin = patron.admin.basic();
    let whole = patron.listed(&admin, &query).await;
    for (limit, offset) in [
        (1, 0),
        (1, 499),
        (1, 500),
        (250, 0),
        (250, 250),
        (250, 400),
        (250, 499),
        (250, 501),
        (7, 1_500),
        (250, 1_500),
        (1, 1_507),
        (250, 9_999),
    ] {
        let page = format!("{query}&limit={limit}&offset={offset}&count=true");
        let reply = patron.send(Call::get(&format!("{PATS}?{page}")).auth(&admin)).await.expect(200);
        assert_eq!(reply.header("x-total-count"), Some("1507"), "all of them, not those of the page");
        let names: Vec<_> = reply.json().as_array().unwrap().iter().map(|pat| pat["name"].clone()).collect();
        let expected: Vec<_> = whole.iter().skip(offset).take(limit).collect();
        assert_eq!(json!(names), json!(expected), "{page}");
    }
    // An offset without a limit is the rest.
    for offset in [0, 3, 500, 999, 1_000, 1_506, 1_507, 5_000] {
        let rest = patron.listed(&admin, &format!("{query}&offset={offset}")).await;
        assert_eq!(rest, whole.iter().skip(offset).cloned().collect::<Vec<_>>(), "{offset}");
    }
    let mut walked = Vec::new();
    while let page = patron.listed(&admin, &format!("{query}&limit=250&offset={}", walked.len())).await
        && !page.is_empty()
    {
        walked.extend(page);
    }
    assert_eq!(walked, whole);
}

#[tokio::test]
async fn filters_hold_across_batches() {
    let (patron, query) = seeded(3 * BATCH).await;
    let database = patron.database();
    database.execute("UPDATE pats SET last_used = NULL WHERE name IN ('pat 700', 'pat 1400')", &[]);
    let admin = patron.admin.basic();
    let filtered = async |filters: &str, page: &str| {
        let filters = form(&[("filters", filters)]);
        let call = Call::get(&format!("{PATS}?{query}&count=true&{filters}{page}")).auth(&admin);
        let reply = patron.send(call).await.expect(200);
        (numbers(&reply.json()), reply.header("x-total-count").unwrap().parse::<usize>().unwrap())
    };
    let le = |n: i64| format!("lastUsed le {}", moment(USED + n));
    for (filters, expected) in [
        ("lastUsed isnull".to_owned(), vec![700, 1_400]),
        (le(0), vec![]),
        (le(3), vec![1, 2, 3]),
        // A gap that is longer than a batch, so that the first rows read are none of those sought.
        (format!("({}) or not {} and not lastUsed isnull", le(0), le(1_497)), vec![1_498, 1_499, 1_500]),
        (format!("({}) or not {}", le(2), le(1_499)), vec![1, 2, 700, 1_400, 1_500]),
        (format!("{} and lastUsed isnull", le(900)), vec![]),
    ] {
        let (mut listed, total) = filtered(&filters, "").await;
        listed.sort_unstable();
        assert_eq!(listed, expected, "{filters}");
        assert_eq!(total, expected.len(), "{filters}");
    }
    let (every_other, total) = filtered(&format!("not {}", le(600)), "&limit=250&offset=400").await;
    assert_eq!((every_other.len(), total), (250, 3 * BATCH - 600));
    let (rest, _) = filtered(&format!("not {}", le(600)), "&offset=400").await;
    assert_eq!(rest[..250], every_other);
}

#[tokio::test]
async fn a_long_list_is_sent_in_parts_of_bounded_size() {
    let (patron, query) = seeded(4 * BATCH + 1).await;
    let mut stream = parts(&patron, &query).await;
    let (mut whole, mut rows) = (Vec::new(), Vec::new());
    while let Some(part) = stream.next().await {
        let part = part.unwrap();
        rows.push(String::from_utf8_lossy(&part).matches("\"lastUsed\"").count());
        whole.extend_from_slice(&part);
    }
    assert_eq!(rows, [BATCH, BATCH, BATCH, BATCH, 1]);
    let list: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 4 * BATCH + 1);
}

#[tokio::test]
async fn what_comes_and_goes_while_a_list_is_sent_leaves_the_others_once_each() {
    let (patron, query) = seeded(3 * BATCH).await;
    let mut stream = parts(&patron, &query).await;
    let mut whole = stream.next().await.unwrap().unwrap().to_vec();
    let sent: Value = serde_json::from_slice(&[&whole[..], b"]"].concat()).unwrap();
    let sent = numbers(&sent);
    // The last one sent, where the list goes on from; one far ahead; and a new one in front of all.
    let database = patron.database();
    let last = *sent.last().unwrap();
    let ahead = (1..=3 * BATCH).rfind(|n| !sent.contains(n)).unwrap();
    for name in [last, ahead] {
        assert_eq!(database.execute("DELETE FROM pats WHERE name = $1", &[format!("pat {name}").into()]), 1);
    }
    let sql = "INSERT INTO pats SELECT randomblob(16), tenant, id, 'pat 0', '[]', randomblob(32), 0, NULL, 0, 900, \
               NULL, 1, 0 FROM identities WHERE name = 'jane'";
    assert_eq!(database.execute(sql, &[]), 1);
    while let Some(part) = stream.next().await {
        whole.extend_from_slice(&part.unwrap());
    }
    let mut listed = numbers(&serde_json::from_slice(&whole).unwrap());
    listed.sort_unstable();
    let expected: Vec<usize> = (1..=3 * BATCH).filter(|n| *n != ahead).collect();
    assert_eq!(listed, expected);
}

/// Reads a list to its end, and asserts that it ended in an error before its end.
async fn breaks_off(mut stream: BodyDataStream, mut whole: Vec<u8>) {
    let mut failed = false;
    while let Some(part) = stream.next().await {
        match part {
            Ok(part) => whole.extend_from_slice(&part),
            Err(_) => failed = true,
        }
    }
    assert!(failed, "the body ended as if nothing had happened");
    assert!(serde_json::from_slice::<Value>(&whole).is_err());
    assert!(!whole.ends_with(b"]"));
}

#[tokio::test]
async fn a_list_that_fails_midway_ends_in_an_error() {
    let (patron, query) = seeded(3 * BATCH).await;
    let token = patron.bearer(&patron.admin).await;
    let mut stream = parts(&patron, &query).await;
    let first = stream.next().await.unwrap().unwrap().to_vec();
    patron.database().script("ALTER TABLE pats RENAME TO elsewhere");
    breaks_off(stream, first).await;
    // From the start it is an error as any other.
    let call = Call::get(&format!("{PATS}?{query}")).auth(&token);
    let reply = patron.send(call).await.expect_error("500.0 Internal Fault");
    assert!(!reply.text().contains("pats") && !reply.text().contains("SQL"), "{}", reply.text());
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_never_left_out() {
    let (patron, query) = seeded(3 * BATCH).await;
    let spoil = |sql: &str| patron.database().execute(sql, &[]);
    // In the last batch, then in the first.
    let latest = "UPDATE pats SET scope = 'no JSON' WHERE id = (SELECT p.id FROM pats p JOIN identities i ON \
                  i.id = p.owner WHERE i.name = 'jane' ORDER BY p.created DESC, p.id DESC LIMIT 1)";
    assert_eq!(spoil(latest), 1);
    breaks_off(parts(&patron, &query).await, Vec::new()).await;
    assert_eq!(spoil(&latest.replace("DESC", "ASC")), 1);
    let reply = patron.send(Call::get(&format!("{PATS}?{query}")).auth(&patron.admin.basic())).await;
    reply.expect_error("500.0 Internal Fault");
}

#[test]
fn a_list_that_fails_midway_breaks_the_connection_off() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let server = Server::start(&data, &[]);
    let made: Value = serde_json::from_slice(&std::fs::read(data.join("bootstrap.json")).unwrap()).unwrap();
    let auth = basic(made["clientId"].as_str().unwrap(), made["clientSecret"].as_str().unwrap());
    let database = Database::at(&database_url(&data));
    seed(&database, "admin", 2 * BATCH + 1);
    let list = || {
        let head =
            format!("GET {PATS} HTTP/1.1\r\nHost: x\r\nAuthorization: {auth}\r\nConnection: close\r\n\r\n");
        server.raw(head.as_bytes())
    };
    let whole = list();
    assert!(whole.starts_with("HTTP/1.1 200 OK\r\n") && whole.ends_with("\r\n0\r\n\r\n"), "{whole:.300}");
    let spoil = "UPDATE pats SET scope = 'no JSON' WHERE created = (SELECT MAX(created) FROM pats)";
    assert_eq!(database.execute(spoil, &[]), 1);
    let broken = list();
    assert!(broken.starts_with("HTTP/1.1 200 OK\r\n"), "{broken:.300}");
    assert!(broken.len() > 100_000);
    assert!(!broken.ends_with("0\r\n\r\n"), "the last chunk says that the list is whole");
    assert!(server.log().contains("a list broke off"));
}

/// Patron with PATs that were never used, used in 2025, and used in 2026.
async fn used() -> Patron {
    let patron = Patron::with(|settings| settings.rate_limits.requests = 0).await;
    let jane = patron.identity("jane", &[]).await;
    for (name, used) in [
        ("never", None),
        ("old", Some("2025-06-01T10:00:00.500Z")),
        ("new", Some("2026-06-01T10:00:00.000Z")),
    ] {
        patron.pat(&jane, name, &[]).await;
        let used = used.map(|used| Timestamp::parse(used).unwrap().millis());
        let sql = "UPDATE pats SET last_used = $1 WHERE name = $2";
        patron.database().execute(sql, &[used.into(), name.into()]);
        patron.clock.advance_millis(1);
    }
    patron
}

/// The names that a filter leaves of jane's, where `filters` is as it stands in the URL.
async fn left(patron: &Patron, filters: &str) -> Vec<String> {
    let row = patron.database().row("SELECT id FROM identities WHERE name = 'jane'", &[]);
    let jane = hex::encode(row.blob(0).unwrap());
    patron.listed(&patron.admin.basic(), &format!("owner-id={jane}&filters={filters}")).await
}

#[tokio::test]
async fn filters() {
    let patron = used().await;
    for (filters, names) in [
        ("", &["never", "old", "new"][..]),
        ("+%20", &["never", "old", "new"]),
        ("lastUsed+isnull", &["never"]),
        ("lastUsed%20isnull", &["never"]),
        ("not+lastUsed+isnull", &["old", "new"]),
        ("lastUsed+le+2025-06-01T10:00:00.500Z", &["old"]),
        ("lastUsed+le+2025-06-01T10:00:00.499Z", &[]),
        ("lastUsed+le+2027-01-01T00:00:00Z", &["old", "new"]),
        ("lastUsed%20le%20%222025-12-31T00:00:00Z%22", &["old"]),
        ("lastUsed+le+2025-12-31T00:00:00", &["old"]),
        // 10:00 UTC is 12:00 at +02:00; the `+` comes as it is, escaped, and quoted.
        ("lastUsed+le+2026-06-01T12:00:00+02:00", &["old", "new"]),
        ("lastUsed+le+2026-06-01T12:00:00%2B02:00", &["old", "new"]),
        ("lastUsed+le+%222026-06-01T12:00:00+02:00%22", &["old", "new"]),
        ("lastUsed+le+2026-06-01T11:59:59%2B02:00", &["old"]),
        ("not+lastUsed+le+2025-12-31T00:00:00Z", &["never", "new"]),
        ("lastUsed+isnull+or+lastUsed+le+2025-12-31T00:00:00Z", &["never", "old"]),
        ("lastUsed+isnull+and+lastUsed+le+2025-12-31T00:00:00Z", &[]),
        // `not` before `and` before `or`.
        (
            "lastUsed+isnull+or+lastUsed+le+2027-01-01T00:00:00Z+and+lastUsed+le+2025-12-31T00:00:00Z",
            &["never", "old"],
        ),
        (
            "(lastUsed+isnull+or+lastUsed+le+2027-01-01T00:00:00Z)+and+lastUsed+le+2025-12-31T00:00:00Z",
            &["old"],
        ),
        ("not+lastUsed+isnull+and+lastUsed+le+2025-12-31T00:00:00Z", &["old"]),
        ("not+(lastUsed+isnull+and+lastUsed+le+2025-12-31T00:00:00Z)", &["never", "old", "new"]),
        ("not+(lastUsed+isnull+or+lastUsed+le+2025-12-31T00:00:00Z)", &["new"]),
        ("not+not+lastUsed+isnull", &["never"]),
    ] {
        assert_eq!(left(&patron, filters).await, names, "{filters}");
    }
}

#[tokio::test]
async fn filters_that_are_refused_say_why() {
    let patron = used().await;
    let refused = async |filters: &str| {
        let call =
            Call::get(&format!("{PATS}?{}", form(&[("filters", filters)]))).auth(&patron.admin.basic());
        patron.send(call).await.expect_error("400.1.3 Illegal value").message()
    };
    for (filters, said) in [
        ("name eq \"x\"", "field 'name'"),
        ("lastused isnull", "field 'lastused'"),
        ("created le 2025-01-01T00:00:00Z", "field 'created'"),
        ("lastUsed eq 2025-01-01T00:00:00Z", "operator 'eq'"),
        ("lastUsed LE 2025-01-01T00:00:00Z", "operator 'LE'"),
        ("lastUsed ge 2025-01-01T00:00:00Z", "operator 'ge'"),
        ("lastUsed isnull AND lastUsed isnull", "column 17"),
        ("lastUsed le", "column 12"),
        ("lastUsed le soon", "column 13"),
        ("lastUsed le 2025-01-01", "column 13"),
        ("lastUsed", "column 9"),
        ("lastUsed isnull and", "column 20"),
        ("(lastUsed isnull", "column 17"),
        ("lastUsed isnull)", "column 16"),
        ("lastUsed isnull lastUsed isnull", "column 17"),
        ("lastUsed le \"2025-01-01T00:00:00Z", "column 13"),
        ("()", "column 2"),
        ("lastUsed isnull; DROP TABLE pats", "operator 'isnull;'"),
    ] {
        let text = refused(filters).await;
        assert!(text.contains(said), "{filters}: {text}");
    }
    let nested = |levels: usize| format!("{}lastUsed isnull{}", "(".repeat(levels), ")".repeat(levels));
    assert_eq!(left(&patron, &nested(32).replace(' ', "+")).await, ["never"]);
    assert!(refused(&nested(33)).await.contains("32 levels"));
    assert!(refused(&format!("{}lastUsed isnull", "not ".repeat(33))).await.contains("32 levels"));
    let padded = |length: usize| format!("lastUsed isnull{}", " ".repeat(length - 15));
    assert_eq!(left(&patron, &padded(2_000).replace(' ', "+")).await, ["never"]);
    assert!(refused(&padded(2_001)).await.contains("2000 characters"));
}

#[tokio::test]
async fn queries_that_are_refused() {
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    for query in [
        "limit=0",
        "limit=251",
        "limit=-1",
        "limit=1.5",
        "limit=ten",
        "limit=99999999999999999999",
        "offset=-1",
        "offset=x",
        "count=yes",
        "count=1",
        "limit=1&limit=2",
        "owner-id=me&owner-id=me",
        "filters=%",
        "filters=%ff",
        "owner-id=%zz",
    ] {
        let reply = patron.send(Call::get(&format!("{PATS}?{query}")).auth(&admin)).await;
        assert_eq!(reply.status, 400, "{query}");
        reply.expect_error("400.0 Bad request syntax");
    }
    for query in
        ["limit=1", "limit=250", "offset=0", "count=false", "sorters=name&x=y", "limit=&offset=&count="]
    {
        let reply = patron.send(Call::get(&format!("{PATS}?{query}")).auth(&admin)).await.expect(200);
        assert_eq!(reply.json().as_array().unwrap().len(), 1, "{query}");
        assert_eq!(reply.header("x-total-count"), None, "{query}");
    }
}

#[tokio::test]
async fn whose_list_takes_which_right() {
    let patron = Patron::start().await;
    let (jane, boss) = (patron.identity("jane", &[]).await, patron.identity("boss", &["ORG_ADMIN"]).await);
    let janes = patron.pat(&jane, "janes", &[]).await;
    let my = patron.pat(&boss, "my", &["idn:my-personal-access-tokens:read"]).await;
    let all = patron.pat(&boss, "all", &["idn:all-personal-access-tokens:read"]).await;
    let (of_jane, of_boss) = (format!("owner-id={}", jane.id), format!("owner-id={}", boss.id));
    let nobodys = format!("owner-id={}", "0".repeat(32));

    let mine = patron.listed(&my.basic(), "owner-id=me").await;
    assert_eq!((mine.len(), patron.listed(&all.basic(), "owner-id=me").await), (2, mine));
    assert_eq!(patron.listed(&all.basic(), "").await.len(), 4);
    assert_eq!(patron.listed(&all.basic(), &of_jane).await, ["janes"]);
    for nobody in [
        &nobodys,
        "owner-id=x",
        "owner-id=ME",
        "owner-id=%00",
        &of_jane.to_uppercase().replace("OWNER-ID", "owner-id"),
    ] {
        let call = Call::get(&format!("{PATS}?{nobody}&count=true&limit=5")).auth(&all.basic());
        let reply = patron.send(call).await.expect(200);
        if reply.json() == json!([]) {
            assert_eq!(reply.header("x-total-count"), Some("0"), "{nobody}");
        } else {
            // An id without letters is the same in capitals.
            assert!(!jane.id.to_string().bytes().any(|b| b.is_ascii_lowercase()), "{nobody}");
        }
    }
    // Never an empty list for want of a right, not even for one's own id or nobody's.
    for (pat, query) in [
        (&janes, ""),
        (&janes, "owner-id="),
        (&janes, of_jane.as_str()),
        (&janes, of_boss.as_str()),
        (&janes, nobodys.as_str()),
        (&janes, "owner-id=x"),
        (&my, ""),
        (&my, of_boss.as_str()),
    ] {
        let refused = patron.send(Call::get(&format!("{PATS}?{query}")).auth(&pat.basic())).await;
        let text = refused.expect_error("403 Forbidden").message();
        assert_eq!(text, "This needs the right 'idn:all-personal-access-tokens:read'.", "{query}");
    }
    let neither = patron.pat(&boss, "neither", &["idn:all-personal-access-tokens:update"]).await;
    let refused = patron.send(Call::get(&format!("{PATS}?owner-id=me")).auth(&neither.basic())).await;
    refused.expect_error("403 Forbidden");
}

#[tokio::test]
async fn a_list_as_it_is_written() {
    let patron = Patron::start().await;
    let reply = patron.send(Call::get(PATS).auth(&patron.admin.basic())).await.expect(200);
    assert_eq!(
        reply.json(),
        json!([{
            "id": patron.admin.id,
            "name": "bootstrap",
            "scope": ["sp:scopes:all"],
            "owner": {"type": "IDENTITY", "id": patron.admin.owner, "name": "Administrator"},
            "created": crate::support::START,
            // It was used for this very list.
            "lastUsed": crate::support::START,
            "managed": false,
            "accessTokenValiditySeconds": 43_200,
            "expirationDate": null,
            "userAwareTokenNeverExpires": true,
        }])
    );
}
