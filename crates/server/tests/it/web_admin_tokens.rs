//! Administration → Dashboard and All tokens, as a browser without scripts sees them.

use patron_core::identity::Identity;
use patron_core::pat::Draft;

use crate::support::{Call, Pat, Patron};
use crate::visit::{Visit, between, names};

pub(crate) const TOKENS: &str = "/ui/a/personal-access-tokens";
const DASHBOARD: &str = "/ui/a/dashboard";
const DAY: i64 = 86_400;

/// The hidden fields and the pressed button of the form that leads to a path, without the CSRF token.
pub(crate) fn fields(page: &str, path: &str) -> Vec<(String, String)> {
    let form = between(page, &format!("action=\"{path}\">"), "</form>");
    let inputs = form.split("<input type=\"hidden\" ").skip(1);
    let field = |input: &str| {
        (between(input, "name=\"", "\"").to_owned(), between(input, "value=\"", "\"").to_owned())
    };
    inputs.map(field).filter(|(name, _)| name != "csrf").collect()
}

pub(crate) fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// The administrator, and people with tokens.
pub(crate) struct Scene {
    pub(crate) patron: Patron,
    admin: Identity,
    pub(crate) jane: Identity,
    bob: Identity,
}

impl Scene {
    /// Jane has `ci`, `nightly` and `old`, Bob `ci` and a managed one. `old` has expired, `nightly` expires in 20
    /// days, Jane's `ci` was used; 100 days have passed, and then `new` was made.
    pub(crate) async fn new() -> Self {
        let patron = Patron::start().await;
        let admin = patron.identity("eve", &["ORG_ADMIN"]).await;
        let (jane, bob) = (patron.identity("jane", &[]).await, patron.identity("bob", &[]).await);
        // Each a second after the one before, so that their order is this one.
        patron.pass_seconds(1);
        let used = patron.pat(&jane, "ci", &["sp:my-personal-access-tokens:read"]).await;
        patron.bearer(&used).await;
        patron.app.recorder.flush().await.unwrap();
        patron.pass_seconds(1);
        patron.pat_for_millis(&jane, "nightly", 120 * DAY * 1_000).await;
        patron.pass_seconds(1);
        patron.pat_for_millis(&jane, "old", 10 * DAY * 1_000).await;
        patron.pass_seconds(1);
        patron.pat(&bob, "ci", &["demo:orders:read"]).await;
        patron.pass_seconds(1);
        patron.managed_pat(&bob, "workflow", &[]).await;
        patron.pass_seconds(100 * DAY);
        patron.pat(&bob, "new", &[]).await;
        Self { patron, admin, jane, bob }
    }

    pub(crate) async fn visit(&self) -> Visit<'_> {
        self.patron.visit(&self.admin).await
    }

    /// The names of all tokens that there are, as the API lists them.
    pub(crate) async fn left(&self) -> Vec<String> {
        self.patron.listed(&self.patron.admin.basic(), "").await
    }

    /// When a token expires, as the API says it.
    pub(crate) async fn expires(&self, id: &str) -> serde_json::Value {
        self.patron.shown(&self.patron.admin.basic(), id).await["expirationDate"].clone()
    }
}

/// Shows a preview and gives what its form carries.
pub(crate) async fn previewed(
    visit: &mut Visit<'_>,
    posted: &[(&str, &str)],
) -> (String, Vec<(String, String)>) {
    let page = visit.post(&format!("{TOKENS}/preview"), posted).await.expect(200).text();
    let fields = fields(&page, &format!("{TOKENS}/bulk"));
    (page, fields)
}

#[tokio::test]
async fn every_filter_finds_what_it_says() {
    let scene = Scene::new().await;
    let mut visit = scene.visit().await;
    let jane = scene.jane.id.to_string();
    for (query, expected) in [
        ("?sort=name", &["bootstrap", "ci", "ci", "new", "nightly", "old", "workflow"][..]),
        ("?q=NIGHT", &["nightly"]),
        ("?q=jane&sort=name", &["ci", "nightly", "old"]),
        ("?owner=jane&sort=name", &["ci", "nightly", "old"]),
        (&format!("?owner={jane}&sort=name&dir=desc"), &["old", "nightly", "ci"]),
        ("?owner=nobody", &[]),
        ("?owner=%00", &[]),
        ("?q=ci%00", &[]),
        ("?scope=%00", &[]),
        ("?scope=demo:orders:read", &["ci"]),
        ("?scope=idn:my-personal-access-tokens:read", &["ci"]),
        ("?scope=demo:orders", &[]),
        ("?use=never&owner=jane&sort=name", &["nightly", "old"]),
        ("?use=unused&sort=name", &["bootstrap", "ci", "ci", "nightly", "old", "workflow"]),
        ("?use=unused&unused=101", &[]),
        ("?expiry=never&owner=bob&sort=name", &["ci", "new", "workflow"]),
        ("?expiry=within", &["nightly"]),
        ("?expiry=within&within=19", &[]),
        ("?expiry=live&owner=jane&sort=expires", &["nightly", "ci"]),
        ("?expiry=expired", &["old"]),
        ("?managed=only", &["workflow"]),
        ("?managed=without&owner=bob&sort=created", &["ci", "new"]),
        ("?sort=used&dir=desc&q=ci", &["ci", "ci"]),
        ("", &["bootstrap", "ci", "nightly", "old", "ci", "workflow", "new"]),
        (
            "?q=%20&owner=%20&scope=&use=x&expiry=x&sort=x&dir=x&managed=x&page=x&within=-1",
            &["bootstrap", "ci", "nightly", "old", "ci", "workflow", "new"],
        ),
    ] {
        let page = visit.get(&format!("{TOKENS}{query}")).await.expect(200).text();
        assert_eq!(names(&page), expected, "{query}");
        assert_eq!(expected.is_empty(), page.contains("No token matches."), "{query}");
    }
    let page = visit.get(&format!("{TOKENS}?owner=%3Cnobody%3E")).await.expect(200).text();
    assert!(page.contains("nobody with the login name “&#60;nobody&#62;”"), "{page}");
}

#[tokio::test]
async fn a_client_id_finds_its_token_and_what_was_typed_stays() {
    let scene = Scene::new().await;
    let pat = scene.patron.pat(&scene.jane, "sought", &[]).await;
    let mut visit = scene.visit().await;
    let page = visit.get(&format!("{TOKENS}?q={}&use=never&unused=45", pat.id)).await.expect(200).text();
    assert_eq!(names(&page), ["sought"]);
    for kept in [
        &format!("name=\"q\" value=\"{}\"", pat.id) as &str,
        "value=\"never\" selected>Never used",
        "name=\"unused\" min=\"1\" max=\"36525\" value=\"45\"",
    ] {
        assert!(page.contains(kept), "{kept}");
    }
    // Its columns.
    for text in
        [&pat.id as &str, "jane", "sp:scopes:all", "Never used", "Never expires", "Active", "just now"]
    {
        assert!(page.contains(text), "{text}");
    }
}

#[tokio::test]
async fn ten_thousand_are_paged() {
    let patron = Patron::start().await;
    let admin = patron.identity("eve", &["ORG_ADMIN"]).await;
    let jane = patron.identity("jane", &[]).await;
    patron.pass_seconds(1);
    patron.pat(&jane, "first", &[]).await;
    let copy = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) \
                INSERT INTO pats (id, tenant, owner, name, scope, secret_hash, created, last_used, managed, validity, \
                expires, user_aware, expiry_recorded) SELECT randomblob(16), tenant, owner, 'token ' || i, scope, \
                randomblob(32), created + i, last_used, managed, validity, expires, user_aware, expiry_recorded \
                FROM pats, n WHERE name = 'first'";
    patron.database().execute(copy, &[]);
    let mut visit = patron.visit(&admin).await;
    let page = visit.get(&format!("{TOKENS}?sort=created&dir=desc")).await.expect(200).text();
    assert!(page.contains("1–50 of 10,000"), "{page}");
    assert_eq!(names(&page)[0], "token 9999");
    assert!(
        page.contains("href=\"?sort=created&#38;dir=desc&#38;page=2\"") && !page.contains("rel=\"prev\""),
        "{page}"
    );
    let page = visit.get(&format!("{TOKENS}?sort=created&dir=desc&page=200")).await.expect(200).text();
    assert!(page.contains("9,951–10,000 of 10,000") && !page.contains("rel=\"next\""), "{page}");
    assert_eq!(names(&page).last().unwrap(), "bootstrap");
    let page = visit.get(&format!("{TOKENS}?page=999")).await.expect(200).text();
    assert!(page.contains("9,951–10,000 of 10,000"), "the last one there is");
    // More at once than may be.
    let all = [("which", "all"), ("act", "delete")];
    let page = visit.post(&format!("{TOKENS}/preview"), &all).await.expect(400).text();
    assert!(page.contains("That would be 10,000 tokens. At most 5,000 can be changed at once"), "{page}");
    let page = visit.post(&format!("{TOKENS}/bulk"), &all).await.expect(400).text();
    assert!(page.contains("At most 5,000"), "{page}");
    // As many as may be, in one go; the page lists some of them.
    let all = [("which", "all"), ("q", "token 1"), ("act", "delete")];
    let (page, form) = previewed(&mut visit, &all).await;
    assert!(page.contains("1,110 tokens of 1 person") && page.contains("and 910 more."), "{page}");
    let leads = visit.post(&format!("{TOKENS}/bulk"), &borrowed(&form)).await.leads_to();
    assert_eq!(leads, format!("{TOKENS}?q=token%201"));
    let page = visit.get(&leads).await.expect(200).text();
    assert!(page.contains("1,110 tokens were deleted.") && page.contains("No token matches."), "{page}");
    assert!(visit.get(TOKENS).await.text().contains("of 8,890"));
    assert_eq!(patron.events("PERSONAL_ACCESS_TOKEN_DELETED").await.len(), 1_110);
}

#[tokio::test]
async fn those_that_are_ticked_are_deleted_after_a_preview() {
    let scene = Scene::new().await;
    let mine = scene.patron.pat(&scene.jane, "<b>mine</b>", &[]).await;
    let bearer = scene.patron.bearer(&mine).await;
    let other = scene.patron.pat(&scene.bob, "other", &[]).await;
    let before = scene.left().await.len();
    let mut visit = scene.visit().await;
    visit.get(TOKENS).await.expect(200);
    let chosen =
        [("which", "ticked"), ("id", &mine.id), ("id", &other.id), ("id", &mine.id), ("act", "delete")];
    let (page, form) = previewed(&mut visit, &chosen).await;
    assert!(page.contains("2 tokens of 2 people") && page.contains("cannot be undone"), "{page}");
    assert_eq!(names(&page), ["other", "&#60;b&#62;mine&#60;/b&#62;"], "by their owners");
    assert!(page.contains("Delete 2 tokens"), "{page}");
    assert_eq!(scene.left().await.len(), before, "nothing has happened");
    assert_eq!(
        visit.post(&format!("{TOKENS}/bulk"), &borrowed(&form)).await.leads_to(),
        format!("{TOKENS}?")
    );
    let told = visit.get(TOKENS).await.text();
    assert!(told.contains("2 tokens were deleted."), "{told}");
    assert_eq!(scene.left().await.len(), before - 2);
    let list = Call::get("/personal-access-tokens/v1?owner-id=me").auth(&bearer);
    scene.patron.send(list).await.expect(401);
    let events = scene.patron.events("PERSONAL_ACCESS_TOKEN_DELETED").await;
    assert!(events.len() == 2 && events.iter().all(|event| event["actor"]["name"] == "eve"), "{events:?}");
    // Sent again, there is nothing that it could be done to.
    let again = visit.post(&format!("{TOKENS}/bulk"), &borrowed(&form)).await.expect(400).text();
    assert!(again.contains("Choose at least one token."), "{again}");
}

#[tokio::test]
async fn what_is_done_is_what_was_shown() {
    let scene = Scene::new().await;
    let mut visit = scene.visit().await;
    visit.get(TOKENS).await.expect(200);
    let chosen = [("which", "all"), ("owner", "jane"), ("act", "delete")];
    let (page, form) = previewed(&mut visit, &chosen).await;
    assert_eq!(names(&page), ["ci", "nightly", "old"]);
    scene.patron.pat(&scene.jane, "meanwhile", &[]).await;
    let bulk = format!("{TOKENS}/bulk");
    let page = visit.post(&bulk, &borrowed(&form)).await.expect(409).text();
    assert!(page.contains("have changed since you looked"), "{page}");
    assert_eq!(names(&page), ["ci", "meanwhile", "nightly", "old"]);
    assert_eq!(scene.left().await.len(), 8, "nothing has happened");
    let form = fields(&page, &bulk);
    assert_eq!(visit.post(&bulk, &borrowed(&form)).await.leads_to(), format!("{TOKENS}?owner=jane"));
    assert_eq!(scene.left().await, ["bootstrap", "ci", "workflow", "new"]);
    // Neither is it done without the page.
    let unseen = [("which", "all"), ("owner", "bob"), ("act", "delete")];
    visit.post(&bulk, &unseen).await.expect(409);
    visit.post(&bulk, &[&unseen[..], &[("digest", "")]].concat()).await.expect(409);
    assert_eq!(scene.left().await.len(), 4);
}

#[tokio::test]
async fn an_expiry_is_set_to_the_end_of_a_day_where_the_reader_is() {
    let scene = Scene::new().await;
    let first = scene.patron.pat(&scene.jane, "a first", &[]).await;
    let managed = scene.patron.managed_pat(&scene.jane, "managed", &[]).await;
    let mut visit = scene.visit().await;
    visit.cookies.insert("patron_zone".to_owned(), "Europe/Berlin".to_owned());
    visit.get(TOKENS).await.expect(200);
    let bulk = format!("{TOKENS}/bulk");
    let chosen = |until| [("which", "all"), ("owner", "jane"), ("act", "expire"), ("until", until)];
    let (page, form) = previewed(&mut visit, &chosen("60")).await;
    // It is 9 June; old has expired, nightly has 20 days left.
    for text in [
        "4 tokens of 1 person",
        "They all expire on 8 Aug 2027",
        "in Europe/Berlin",
        "1 of them expires sooner than that now, and will work longer.",
        "1 of them has expired, and will work again.",
        "1 token is left out: the platform manages it",
        "Set the expiry of 4 tokens",
    ] {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
    assert_eq!(names(&page), ["a first", "ci", "nightly", "old", "managed"]);
    assert_eq!(visit.post(&bulk, &borrowed(&form)).await.leads_to(), format!("{TOKENS}?owner=jane"));
    assert!(visit.get(TOKENS).await.text().contains("4 tokens have their new expiry."));
    assert_eq!(scene.expires(&first.id).await, "2027-08-08T21:59:59.000Z");
    assert_eq!(scene.expires(&managed.id).await, serde_json::Value::Null);
    assert_eq!(scene.patron.events("PERSONAL_ACCESS_TOKEN_UPDATED").await.len(), 4);

    let until_date = |date| [&chosen("date")[..], &[("date", date)]].concat();
    let (_, form) = previewed(&mut visit, &until_date("2030-01-31")).await;
    visit.post(&bulk, &borrowed(&form)).await.leads_to();
    assert_eq!(scene.expires(&first.id).await, "2030-01-31T22:59:59.000Z");

    for wrong in ["", "2027-06-08", "31.01.2030", "2030-02-30"] {
        for path in [&bulk, &format!("{TOKENS}/preview")] {
            let page = visit.post(path, &until_date(wrong)).await.expect(400).text();
            let problem = between(&page, "id=\"expirationDate-problem\">", "</p>");
            assert_eq!(problem, "Choose a day that is still to come.");
            assert!(page.contains("name=\"owner\" value=\"jane\""), "the filter was lost");
            assert!(page.contains("value=\"all\" checked"), "the choice was lost");
        }
    }
    let ticked = [("which", "ticked"), ("id", &first.id), ("act", "expire"), ("until", "date")];
    let page = visit.post(&format!("{TOKENS}/preview"), &ticked).await.expect(400).text();
    assert!(page.contains(&format!("value=\"{}\" aria-label=\"Tick a first\" checked", first.id)), "{page}");
    assert_eq!(scene.expires(&first.id).await, "2030-01-31T22:59:59.000Z");
}

#[tokio::test]
async fn rights_decide_what_is_offered_and_what_is_done() {
    let patron = Patron::with(|settings| {
        let level = |rights: &[&str]| rights.iter().map(|&right| right.to_owned()).collect();
        let read = "idn:all-personal-access-tokens:read";
        settings.levels.insert("READER".to_owned(), level(&[read]));
        settings.levels.insert("UPDATER".to_owned(), level(&[read, "idn:all-personal-access-tokens:update"]));
        settings.levels.insert("REMOVER".to_owned(), level(&["idn:all-personal-access-tokens:manage"]));
    })
    .await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "hers", &[]).await;
    let managed = patron.managed_pat(&jane, "managed", &[]).await;
    let one = format!("{TOKENS}/{}", pat.id);
    let (preview, bulk, delete) =
        (format!("{TOKENS}/preview"), format!("{TOKENS}/bulk"), format!("{one}/delete"));

    let mut stranger = patron.stranger();
    let mut own = patron.visit(&jane).await;
    for path in [TOKENS, DASHBOARD, &one, &delete] {
        assert!(stranger.get(path).await.leads_to().starts_with("/ui/sign-in?next="));
        own.get(path).await.expect(403);
    }
    for path in [&preview, &bulk, &delete] {
        assert_eq!(stranger.post(path, &[("act", "delete")]).await.leads_to(), "/ui/sign-in");
        own.post(path, &[("act", "delete"), ("name", "hers")]).await.expect(403);
    }

    let expire = [("id", pat.id.as_str()), ("act", "expire"), ("until", "30")];
    let remove = [("id", pat.id.as_str()), ("act", "delete")];
    for (level, may_expire, may_delete) in [
        ("READER", false, false),
        ("UPDATER", true, false),
        ("REMOVER", false, true),
        ("ORG_ADMIN", true, true),
    ] {
        let who = patron.identity(&level.to_lowercase(), &[level]).await;
        let mut visit = patron.visit(&who).await;
        let (list, page) =
            (visit.get(TOKENS).await.expect(200).text(), visit.get(&one).await.expect(200).text());
        for page in [&list, &page] {
            assert_eq!(page.contains("value=\"expire\""), may_expire, "{level}: {page}");
        }
        assert_eq!(list.contains("value=\"delete\""), may_delete, "{level}");
        assert_eq!(page.contains("/delete\""), may_delete, "{level}");
        let sees_managed = level == "ORG_ADMIN";
        assert_eq!(names(&list).contains(&"managed".to_owned()), sees_managed, "{level}");
        assert_eq!(list.contains("name=\"managed\""), sees_managed, "{level}");
        visit.get(&format!("{TOKENS}/{}", managed.id)).await.expect(if sees_managed { 200 } else { 404 });
        let only = visit.get(&format!("{TOKENS}?managed=only")).await.expect(200).text();
        assert_eq!(names(&only).is_empty(), !sees_managed, "{level}");
        for (may, fields) in [(may_expire, &expire[..]), (may_delete, &remove)] {
            visit.post(&preview, fields).await.expect(if may { 200 } else { 403 });
            visit.post(&bulk, fields).await.expect(if may { 409 } else { 403 });
        }
        visit.get(&delete).await.expect(if may_delete { 200 } else { 403 });
        visit.post(&delete, &[("name", "not its name")]).await.expect(if may_delete { 400 } else { 403 });
        if !may_delete {
            visit.post(&delete, &[("name", "hers")]).await.expect(403);
        }
    }
    assert_eq!(patron.listed(&patron.admin.basic(), "").await.len(), 3, "nothing has happened");
}

#[tokio::test]
async fn who_may_not_read_identities_is_not_told_whether_there_is_one() {
    let patron = Patron::with(|settings| {
        let read = vec!["idn:all-personal-access-tokens:read".to_owned()];
        settings.levels.insert("READER".to_owned(), read);
    })
    .await;
    let idle = patron.identity("idle", &[]).await;
    let jane = patron.identity("jane", &[]).await;
    patron.pat(&jane, "hers", &[]).await;
    let (idle_id, nobodys_id) = (idle.id.to_string(), "0".repeat(32));
    let (reader, admin) =
        (patron.identity("reader", &["READER"]).await, patron.identity("eve", &["ORG_ADMIN"]).await);
    let (mut reads, mut administers) = (patron.visit(&reader).await, patron.visit(&admin).await);
    for (somebody, nobody) in [("idle", "nobody"), (&idle_id, &nobodys_id)] {
        let mut page = async |owner: &str| {
            let page = reads.get(&format!("{TOKENS}?owner={owner}&expiry=never")).await.expect(200).text();
            assert!(page.contains("No token matches."), "{page}");
            page.replace(owner, "OWNER")
        };
        assert_eq!(page(somebody).await, page(nobody).await);
        for (owner, told) in [(somebody, false), (nobody, true)] {
            let page = administers.get(&format!("{TOKENS}?owner={owner}")).await.expect(200).text();
            assert_eq!(page.contains("id=\"owner-problem\""), told, "{owner}");
        }
    }
    let page = reads.get(&format!("{TOKENS}?owner=jane")).await.expect(200).text();
    assert_eq!(names(&page), ["hers"], "whose tokens are seen, can be looked for");
}

#[tokio::test]
async fn one_token_is_seen_whole_and_deleted_by_its_name() {
    let scene = Scene::new().await;
    let draft = Draft {
        name: Some("sought".to_owned()),
        user_aware_token_never_expires: true,
        access_token_validity_seconds: Some(900),
        scope: Some((0..5).map(|n| format!("demo:{n}")).collect()),
        ..Draft::default()
    };
    let pat = scene.patron.pat_of(&scene.bob, draft).await;
    let mut visit = scene.visit().await;
    let one = format!("{TOKENS}/{}", pat.id);
    let page = visit.get(&one).await.expect(200).text();
    let (owner, events) =
        (format!("/ui/a/identities/{}", pat.owner), format!("/ui/a/audit?target={}", pat.id));
    for text in [
        "sought",
        "bob",
        "demo:0",
        "demo:4",
        "900 seconds",
        "Never used",
        "acknowledged",
        &pat.id,
        &owner,
        &events,
    ] {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
    let managed = scene.patron.managed_pat(&scene.bob, "managed", &[]).await;
    let page = visit.get(&format!("{TOKENS}/{}", managed.id)).await.expect(200).text();
    assert!(page.contains(">Managed<") && !page.contains("value=\"expire\""), "{page}");
    scene.patron.set_enabled(&scene.bob, false).await;
    assert!(visit.get(&one).await.text().contains("Owner disabled"));
    let delete = format!("{one}/delete");
    assert!(visit.get(&delete).await.expect(200).text().contains("type the token&#39;s name"));
    let wrong = visit.post(&delete, &[("name", "ci")]).await.expect(400).text();
    assert!(
        wrong.contains("That is neither its name nor its Client ID.") && wrong.contains("value=\"ci\""),
        "{wrong}"
    );
    assert_eq!(visit.post(&delete, &[("name", " sought ")]).await.leads_to(), TOKENS);
    assert!(visit.get(TOKENS).await.text().contains("The token was deleted."));
    for path in [&one, &delete, &format!("{TOKENS}/no-id"), &format!("{TOKENS}/{}", "0".repeat(32))] {
        visit.get(path).await.expect(404);
    }
}

#[tokio::test]
async fn other_tenants_tokens_are_not_there() {
    let scene = Scene::new().await;
    let stranger = scene.patron.identity_in("acme", "stranger", &["ORG_ADMIN"]).await;
    let theirs: Pat = scene.patron.pat(&stranger, "theirs", &[]).await;
    let mut visit = scene.visit().await;
    let page = visit.get(TOKENS).await.expect(200).text();
    assert!(page.contains("of 7") && !page.contains("theirs"), "{page}");
    for query in
        [format!("?q={}", theirs.id), format!("?owner={}", theirs.owner), "?owner=stranger".to_owned()]
    {
        assert!(visit.get(&format!("{TOKENS}{query}")).await.text().contains("No token matches."), "{query}");
    }
    visit.get(&format!("{TOKENS}/{}", theirs.id)).await.expect(404);
    let chosen = [("id", theirs.id.as_str()), ("act", "delete")];
    visit.post(&format!("{TOKENS}/preview"), &chosen).await.expect(400);
    let mut at_acme = scene.patron.visit(&stranger).await.at("acme.tenants.test");
    let page = at_acme.get(TOKENS).await.expect(200).text();
    assert_eq!(names(&page), ["theirs"]);
    let page = at_acme.get(DASHBOARD).await.expect(200).text();
    assert!(
        page.contains("<span class=\"stat-number\">1</span> <span class=\"muted\">Tokens</span>"),
        "{page}"
    );
}

#[tokio::test]
async fn a_failure_midway_says_what_was_done() {
    let scene = Scene::new().await;
    for n in 0..60 {
        scene.patron.pat(&scene.jane, &format!("many {n:02}"), &[]).await;
    }
    let mut visit = scene.visit().await;
    visit.get(TOKENS).await.expect(200);
    let chosen = [("which", "all"), ("q", "many"), ("act", "delete")];
    let (_, form) = previewed(&mut visit, &chosen).await;
    // The 51st deletion fails, and with it the second part of them.
    let full = "(SELECT COUNT(*) FROM deleted_pats) >= 50";
    scene.patron.database().forbid_inserting("deleted_pats", full);
    let reply = visit.post(&format!("{TOKENS}/bulk"), &borrowed(&form)).await.expect(500);
    let page = reply.text();
    assert!(page.contains("50 tokens were deleted. 10 tokens were not, and are as they were."), "{page}");
    assert!(
        page.contains(reply.header("slpt-request-id").unwrap()) && !page.contains("secret words"),
        "{page}"
    );
    assert_eq!(scene.left().await.len(), 7 + 10);
    assert_eq!(scene.patron.events("PERSONAL_ACCESS_TOKEN_DELETED").await.len(), 50);
}

#[tokio::test]
async fn the_dashboard_counts_and_leads_to_what_it_counts() {
    let scene = Scene::new().await;
    let mut visit = scene.visit().await;
    let page = visit.get(DASHBOARD).await.expect(200).text();
    let stats: Vec<(String, String)> = page
        .split("<a class=\"card stat\" href=\"")
        .skip(1)
        .map(|stat| {
            let href = stat.split('"').next().unwrap().replace("&#38;", "&");
            (href, between(stat, "<span class=\"stat-number\">", "<").to_owned())
        })
        .collect();
    let counts: Vec<&str> = stats.iter().map(|(_, count)| count.as_str()).collect();
    assert_eq!(counts, ["7", "6", "1", "1", "5", "6", "6", "1"]);
    for (href, count) in &stats {
        let list = visit.get(href).await.expect(200).text();
        assert_eq!(names(&list).len().to_string(), *count, "{href}");
    }
    for (id, numbers) in [
        ("uses", &["0", "0", "0", "1", "0", "6"][..]),
        ("weeks", &["0", "0", "1", "0"]),
        ("owners", &["3", "1", "1"]),
    ] {
        let chart = between(&page, &format!("<h2 id=\"{id}-heading\">"), "</section>");
        let title = between(chart, &format!("<title id=\"{id}-title\">"), "<");
        assert!(chart.starts_with(title) && !title.is_empty(), "{chart}");
        assert!(chart.contains(&format!("role=\"img\" aria-labelledby=\"{id}-title\"")), "{chart}");
        let table: Vec<&str> = chart
            .split("<td class=\"number\">")
            .skip(1)
            .take(numbers.len())
            .map(|cell| cell.split('<').next().unwrap())
            .collect();
        assert_eq!(table, numbers, "{id}");
    }
    assert!(page.contains("From 9 Jun 2027") && page.contains(">\n9 Jun\n"), "{page}");
    assert!(!page.contains("style="), "the policy refuses it");
    let bobs = format!("?owner={}&#38;expiry=never", scene.bob.id);
    assert!(page.contains(&bobs), "{page}");
}

#[tokio::test]
async fn an_empty_dashboard_says_so() {
    let patron = Patron::start().await;
    let stranger = patron.identity_in("acme", "stranger", &["ORG_ADMIN"]).await;
    let mut visit = patron.visit(&stranger).await.at("acme.tenants.test");
    let page = visit.get(DASHBOARD).await.expect(200).text();
    for text in [
        "There are no tokens yet.",
        "No token expires in the next 26 weeks.",
        "Every token has an expiry date.",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("<svg class=\"chart\""), "{page}");
    assert!(visit.get(TOKENS).await.expect(200).text().contains("No token matches."));
}

#[tokio::test]
async fn names_of_tokens_and_people_show_as_themselves() {
    let patron = Patron::start().await;
    let admin = patron.identity("eve", &["ORG_ADMIN"]).await;
    let wild = patron.identity("<i>&\"'", &[]).await;
    let wide = "＠".repeat(255);
    patron.pat(&wild, "<script>alert(1)</script>", &[]).await;
    patron.pat(&wild, &wide, &[]).await;
    let mut visit = patron.visit(&admin).await;
    for path in [TOKENS, DASHBOARD] {
        let page = visit.get(path).await.expect(200).text();
        assert!(!page.contains("<script>alert") && !page.contains("<i>"), "{page}");
    }
    let page = visit.get(&format!("{TOKENS}?sort=name")).await.text();
    assert!(page.contains("&#60;script&#62;alert(1)&#60;/script&#62;") && page.contains(&wide), "{page}");
    let found = visit.get(&format!("{TOKENS}?owner=%3Ci%3E%26%22%27")).await.text();
    assert_eq!(names(&found).len(), 2);
}
