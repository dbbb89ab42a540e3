//! Administration → Identities, as a browser without scripts sees it.

use patron_core::identity::{Draft, Identity};
use patron_core::name::TenantName;

use crate::support::{Call, Patron};
use crate::visit::{Visit, between, names};

const IDENTITIES: &str = "/ui/a/identities";
const SIGN_IN: &str = "/ui/sign-in";

/// The levels that a form offers, those that are ticked with a `+` in front.
fn offered(page: &str) -> Vec<String> {
    let boxes = page.split("name=\"level\" value=\"").skip(1);
    let told = |part: &str| {
        let (name, rest) = part.split_once('"').unwrap();
        let ticked = rest.split('>').next().unwrap().contains("checked");
        format!("{}{name}", if ticked { "+" } else { "" })
    };
    boxes.map(told).collect()
}

fn of(identity: &Identity) -> String {
    format!("{IDENTITIES}/{}", identity.id)
}

/// Signs in as anybody would, and gives the browser and where it was sent.
async fn signed_in<'a>(patron: &'a Patron, name: &str, password: &str) -> (Visit<'a>, u16) {
    let mut visit = patron.stranger();
    visit.get(SIGN_IN).await.expect(200);
    let reply = visit.post(SIGN_IN, &[("name", name), ("password", password)]).await;
    (visit, reply.status.as_u16())
}

#[tokio::test]
async fn an_identity_is_made_and_its_first_password_told_once() {
    let patron = Patron::start().await;
    let admin = patron.identity("root", &["ORG_ADMIN"]).await;
    let mut visit = patron.visit(&admin).await;
    let list = visit.get(IDENTITIES).await.expect(200).text();
    assert!(list.contains("New Identity"), "{list}");
    let new = format!("{IDENTITIES}/new");
    let form = visit.get(&new).await.expect(200).text();
    let levels = offered(&form);
    assert!(levels.contains(&"ORG_ADMIN".to_owned()) && !form.contains("PLATFORM"), "{levels:?}");

    let fields = [
        ("name", " jane "),
        ("displayName", "Jane <b>Doe</b>"),
        ("firstname", ""),
        ("lastname", "Doe"),
        ("email", "jane@corp.example"),
        ("level", "HELPDESK"),
        ("level", "CERT_ADMIN"),
    ];
    let made = visit.post(&new, &fields).await.expect(200);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let page = made.text();
    assert!(page.contains("Jane &#60;b&#62;Doe&#60;/b&#62;"), "{page}");
    let password = between(&page, "id=\"password\">", "<").to_owned();
    assert_eq!(password.len(), 24);
    assert!(page.contains("http://patron.test/ui/sign-in"), "{page}");

    let jane = patron.app.store.identity_named(admin.tenant, "jane".to_owned()).await.unwrap().unwrap();
    assert_eq!((jane.levels.join(" ").as_str(), jane.last_name.as_str()), ("HELPDESK CERT_ADMIN", "Doe"));
    for path in [&of(&jane), IDENTITIES] {
        assert!(!visit.get(path).await.expect(200).text().contains(&password), "told once");
    }
    let events = patron.events("IDENTITY_CREATED").await;
    assert_eq!(events[0]["actor"]["id"], admin.id.to_string());
    assert!(!events[0].to_string().contains(&password));

    // The first sign-in asks for a new one before anything else.
    let (mut jane_visit, status) = signed_in(&patron, "jane", &password).await;
    assert_eq!(status, 303);
    let tokens = "/ui/d/user-preferences/personal-access-tokens";
    assert_eq!(jane_visit.get(tokens).await.leads_to(), "/ui/d/user-preferences/password");
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_what_was_typed_stays() {
    let patron = Patron::start().await;
    let admin = patron.identity("root", &["ORG_ADMIN"]).await;
    patron.identity("taken", &[]).await;
    let mut visit = patron.visit(&admin).await;
    let (new, long) = (format!("{IDENTITIES}/new"), "x".repeat(256));
    for (field, value, text) in [
        ("name", " ", "Give it a name."),
        ("name", "taken", "There is an identity named &#39;taken&#39; already."),
        ("displayName", &long, "At most 255 characters."),
        ("firstname", "a\u{7}", "A name has no control characters."),
        ("email", &long, "At most 255 characters."),
        ("level", "NO_SUCH", "Level &#39;NO_SUCH&#39; is not known"),
    ] {
        let mut fields = vec![("lastname", "kept as it was")];
        if field != "name" {
            fields.push(("name", "new"));
        }
        fields.push((field, value));
        let page = visit.post(&new, &fields).await.expect(400).text();
        let id = if field == "level" { "levels" } else { field };
        let problem = between(&page, &format!("id=\"{id}-problem\">"), "</p>");
        assert!(problem.starts_with(text), "{field}: {problem}");
        assert!(page.contains("value=\"kept as it was\""), "{page}");
    }
    // Through a form of one's own making, no level comes that one cannot give.
    visit.post(&new, &[("name", "engine"), ("level", "PLATFORM")]).await.expect(403);
    assert_eq!(patron.app.store.identity_named(admin.tenant, "engine".to_owned()).await.unwrap(), None);
    let made = patron.events("IDENTITY_CREATED").await;
    assert!(made.iter().all(|event| event["actor"]["type"] == "SYSTEM"), "{made:?}");
}

#[tokio::test]
async fn identities_are_searched_sorted_and_paged() {
    let patron = Patron::start().await;
    let admin = patron.identity("root", &["ORG_ADMIN"]).await;
    for i in 0..59 {
        let draft = Draft {
            name: format!("p{i:02}"),
            display_name: Some(format!("Person {:02}", 58 - i)),
            email: Some(format!("{i}@corp.example")),
            ..Draft::default()
        };
        patron.identity_of(TenantName::DEFAULT, draft).await;
    }
    patron.identity_in("acme", "stranger", &[]).await;
    let mut visit = patron.visit(&admin).await;
    // With `admin`, whom bootstrap made, and `root`.
    let first = visit.get(IDENTITIES).await.expect(200).text();
    assert_eq!(names(&first).len(), 50);
    assert_eq!(names(&first)[..2], ["Administrator", "Person 00"]);
    assert!(first.contains("61 identities") && first.contains("Page 1 of 2"), "{first}");
    assert!(!first.contains("stranger"));
    let second = visit.get(&format!("{IDENTITIES}{}", next(&first))).await.expect(200).text();
    assert_eq!(names(&second).len(), 11);
    assert!(second.contains("rel=\"prev\"") && !second.contains("rel=\"next\""), "{second}");
    let beyond = visit.get(&format!("{IDENTITIES}?page=99")).await.expect(200).text();
    assert_eq!(names(&beyond), names(&second));

    let by_login = visit.get(&format!("{IDENTITIES}?sort=login&q=PERSON")).await.expect(200).text();
    assert_eq!(names(&by_login)[..2], ["Person 58", "Person 57"]);
    let rest = visit.get(&format!("{IDENTITIES}{}", next(&by_login))).await.expect(200).text();
    assert_eq!(names(&rest), (0..=8).rev().map(|i| format!("Person {i:02}")).collect::<Vec<_>>());
    for (query, expected) in [
        ("q=7%40corp", &["Person 01", "Person 11", "Person 21", "Person 31", "Person 41", "Person 51"][..]),
        ("q=p03", &["Person 55"]),
        ("q=%25", &[]),
        ("q=stranger", &[]),
        (&format!("q={}", admin.id), &["root"]),
        (
            "q=person+0&sort=name&dir=desc&page=x",
            &[
                "Person 09",
                "Person 08",
                "Person 07",
                "Person 06",
                "Person 05",
                "Person 04",
                "Person 03",
                "Person 02",
                "Person 01",
                "Person 00",
            ],
        ),
    ] {
        let page = visit.get(&format!("{IDENTITIES}?{query}")).await.expect(200).text();
        assert_eq!(names(&page), expected, "{query}");
    }
}

/// The link to the next page.
fn next(page: &str) -> String {
    between(page, "rel=\"next\" href=\"", "\"").replace("&#38;", "&").replace("&amp;", "&")
}

#[tokio::test]
async fn levels_are_set_as_they_are_ticked() {
    let patron = Patron::start().await;
    let admin = patron.identity("root", &["ORG_ADMIN"]).await;
    let jane = patron.identity("jane", &["HELPDESK"]).await;
    let mut visit = patron.visit(&admin).await;
    let page = visit.get(&of(&jane)).await.expect(200).text();
    assert!(offered(&page).contains(&"+HELPDESK".to_owned()), "{page}");
    assert!(!page.contains("PLATFORM"));

    let fields = [("before", "HELPDESK"), ("level", "CERT_ADMIN"), ("level", "HELPDESK")];
    assert_eq!(visit.post(&of(&jane), &fields).await.leads_to(), of(&jane));
    let told = visit.get(&of(&jane)).await.text();
    assert!(told.contains("The levels were saved."), "{told}");
    let levels = async || patron.identity_now("default", &jane.id.to_string()).await.unwrap().levels;
    assert_eq!(levels().await, ["HELPDESK", "CERT_ADMIN"]);
    let events = patron.events("IDENTITY_UPDATED").await;
    assert_eq!(events[0]["attributes"]["levels"]["before"][0], "HELPDESK");
    assert_eq!(events[0]["actor"]["name"], "root");

    // Another order of the same is no change, and what somebody else changed meanwhile is not overwritten.
    visit
        .post(
            &of(&jane),
            &[
                ("before", "CERT_ADMIN"),
                ("before", "HELPDESK"),
                ("level", "CERT_ADMIN"),
                ("level", "HELPDESK"),
            ],
        )
        .await
        .leads_to();
    assert_eq!(patron.events("IDENTITY_UPDATED").await.len(), events.len());
    let stale =
        visit.post(&of(&jane), &[("before", "HELPDESK"), ("level", "ORG_ADMIN")]).await.expect(400).text();
    assert!(stale.contains("Somebody else has changed the levels"), "{stale}");
    assert!(
        offered(&stale).contains(&"+CERT_ADMIN".to_owned())
            && !offered(&stale).contains(&"+ORG_ADMIN".to_owned())
    );
    assert_eq!(levels().await, ["HELPDESK", "CERT_ADMIN"]);

    // Nobody is given the platform's level here. Who has it may lose it.
    let before = [("before", "HELPDESK"), ("before", "CERT_ADMIN")];
    visit.post(&of(&jane), &[&before[..], &[("level", "PLATFORM")]].concat()).await.expect(403);
    let engine = patron.identity("engine", &["PLATFORM"]).await;
    let page = visit.get(&of(&engine)).await.expect(200).text();
    assert!(
        offered(&page).contains(&"+PLATFORM".to_owned()) && page.contains("Only the command line"),
        "{page}"
    );
    visit.post(&of(&engine), &[("before", "PLATFORM")]).await.leads_to();

    // The last administrator stays one.
    let bootstrapped = patron.admin.owner.clone();
    let bootstrapped = patron.identity_now("default", &bootstrapped).await.unwrap();
    visit.post(&of(&bootstrapped), &[("before", "ORG_ADMIN")]).await.leads_to();
    let refused = visit.post(&of(&admin), &[("before", "ORG_ADMIN")]).await.expect(400).text();
    assert!(refused.contains("last enabled ORG_ADMIN"), "{refused}");
}

#[tokio::test]
async fn disabling_says_what_it_ends_and_ends_it() {
    let patron = Patron::start().await;
    let admin = patron.identity("root", &["ORG_ADMIN"]).await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let bearer = patron.bearer(&pat).await;
    let mut jane_visit = patron.visit(&jane).await;
    let mut visit = patron.visit(&admin).await;
    let status = async |auth: &str| patron.send(Call::get("/tenant/v1").auth(auth)).await.status.as_u16();
    let asked = visit.get(&format!("{}/disable", of(&jane))).await.expect(200).text();
    assert!(asked.contains("tokens and access tokens are refused"), "{asked}");
    assert_eq!(status(&bearer).await, 200, "asked, not done");

    assert_eq!(visit.post(&format!("{}/disable", of(&jane)), &[]).await.leads_to(), of(&jane));
    let page = visit.get(&of(&jane)).await.expect(200).text();
    assert!(page.contains("The identity was disabled.") && page.contains("Enable…"), "{page}");
    assert_eq!((status(&bearer).await, status(&pat.basic()).await), (401, 401));
    assert!(
        jane_visit.get("/ui/d/user-preferences/personal-access-tokens").await.leads_to().starts_with(SIGN_IN)
    );

    visit.get(&format!("{}/enable", of(&jane))).await.expect(200);
    visit.post(&format!("{}/enable", of(&jane)), &[]).await.leads_to();
    assert_eq!((status(&bearer).await, status(&pat.basic()).await), (401, 200));
    for name in ["IDENTITY_DISABLED", "IDENTITY_ENABLED"] {
        assert_eq!(patron.events(name).await[0]["actor"]["id"], admin.id.to_string(), "{name}");
    }

    // The last administrator stays enabled; who disables itself is signed out.
    let first = patron.identity_now("default", &patron.admin.owner).await.unwrap();
    visit.post(&format!("{}/disable", of(&first)), &[]).await.leads_to();
    let refused = visit.post(&format!("{}/disable", of(&admin)), &[]).await.expect(400).text();
    assert!(refused.contains("last enabled ORG_ADMIN"), "{refused}");
    visit.post(&format!("{}/enable", of(&first)), &[]).await.leads_to();
    visit.post(&format!("{}/disable", of(&admin)), &[]).await.leads_to();
    assert!(visit.get(&of(&admin)).await.leads_to().starts_with(SIGN_IN));
}

#[tokio::test]
async fn a_reset_password_is_told_once_and_asks_for_a_new_one() {
    let patron = Patron::start().await;
    let admin = patron.identity("root", &["ORG_ADMIN"]).await;
    let mut visit = patron.visit(&admin).await;
    let fields = [("name", "jane")];
    let page = visit.post(&format!("{IDENTITIES}/new"), &fields).await.expect(200).text();
    let first = between(&page, "id=\"password\">", "<").to_owned();
    let jane = patron.app.store.identity_named(admin.tenant, "jane".to_owned()).await.unwrap().unwrap();
    let pat = patron.pat(&jane, "ci", &[]).await;
    let (mut jane_visit, status) = signed_in(&patron, "jane", &first).await;
    assert_eq!(status, 303);

    let path = format!("{}/reset-password", of(&jane));
    let asked = visit.get(&path).await.expect(200).text();
    assert!(asked.contains("its sessions end"), "{asked}");
    let page = visit.post(&path, &[]).await.expect(200);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let second = between(&page.text(), "id=\"password\">", "<").to_owned();
    assert_ne!(first, second);
    assert!(jane_visit.get("/ui/d/user-preferences/password").await.leads_to().starts_with(SIGN_IN));
    let (_, status) = signed_in(&patron, "jane", &first).await;
    assert_ne!(status, 303, "the first one is no good any more");
    let (mut jane_visit, status) = signed_in(&patron, "jane", &second).await;
    assert_eq!(status, 303);
    let next = jane_visit.get("/ui/d/user-preferences/personal-access-tokens").await.leads_to();
    assert_eq!(next, "/ui/d/user-preferences/password");
    patron.send(Call::get("/tenant/v1").auth(&pat.basic())).await.expect(200);

    let event = &patron.events("IDENTITY_UPDATED").await[0];
    assert_eq!(
        (&event["actor"]["name"], &event["attributes"]["password"]),
        (&"root".into(), &"changed".into())
    );
    assert!(!event.to_string().contains(&second));

    // One's own is changed on its own page, by whoever knows the old one.
    let own = format!("{}/reset-password", of(&admin));
    assert!(!visit.get(&of(&admin)).await.expect(200).text().contains("Reset password"));
    visit.get(&own).await.expect(403);
    visit.post(&own, &[]).await.expect(403);
}

/// Who manages identities and nothing else comes by no rights through them.
#[tokio::test]
async fn nobody_is_a_way_to_rights_that_one_lacks() {
    let patron = Patron::with(|settings| {
        let manage = vec!["idn:auth-user:manage".to_owned()];
        settings.levels.insert("DESK".to_owned(), manage);
    })
    .await;
    let desk = patron.identity("desk", &["DESK"]).await;
    let admin = patron.identity("root", &["ORG_ADMIN"]).await;
    let former = patron.identity("former", &["ORG_ADMIN"]).await;
    let engine = patron.identity("engine", &["PLATFORM"]).await;
    patron.set_enabled(&former, false).await;
    let jane = patron.identity("jane", &[]).await;
    let mut visit = patron.visit(&desk).await;

    let form = visit.get(&format!("{IDENTITIES}/new")).await.expect(200).text();
    assert!(offered(&form).contains(&"DESK".to_owned()) && !form.contains("ORG_ADMIN"), "{form}");
    visit.post(&format!("{IDENTITIES}/new"), &[("name", "x"), ("level", "ORG_ADMIN")]).await.expect(403);
    visit.post(&of(&jane), &[("level", "ORG_ADMIN")]).await.expect(403);
    visit
        .post(&of(&desk), &[("before", "DESK"), ("level", "DESK"), ("level", "ORG_ADMIN")])
        .await
        .expect(403);
    for who in [&admin, &former, &engine] {
        let path = format!("{}/reset-password", of(who));
        assert!(!visit.get(&of(who)).await.expect(200).text().contains(&path), "{}", who.name);
        visit.get(&path).await.expect(403);
        let refused = visit.post(&path, &[]).await.expect(403).text();
        assert!(!refused.contains("id=\"password\""), "{refused}");
    }
    let enable = format!("{}/enable", of(&former));
    assert!(!visit.get(&of(&former)).await.expect(200).text().contains(&enable));
    visit.get(&enable).await.expect(403);
    visit.post(&enable, &[]).await.expect(403);
    assert!(!patron.identity_now("default", &former.id.to_string()).await.unwrap().enabled);
    // What it is for.
    visit.post(&format!("{}/reset-password", of(&jane)), &[]).await.expect(200);
    visit.post(&of(&jane), &[("level", "DESK")]).await.leads_to();
}

/// What one may not do is not offered, and refused when it is posted all the same.
#[tokio::test]
async fn who_may_only_look_is_offered_nothing_more() {
    let patron = Patron::with(|settings| {
        let read = vec!["idn:auth-user:read".to_owned()];
        settings.levels.insert("READER".to_owned(), read);
    })
    .await;
    let reader = patron.identity("reader", &["READER"]).await;
    let jane = patron.identity("jane", &["HELPDESK"]).await;
    patron.pat(&jane, "ci", &[]).await;
    let mut visit = patron.visit(&reader).await;
    let list = visit.get(IDENTITIES).await.expect(200).text();
    assert!(list.contains(">jane<") && !list.contains("New Identity"), "{list}");
    let one = visit.get(&of(&jane)).await.expect(200).text();
    assert!(one.contains("HELPDESK"), "{one}");
    for hidden in
        ["name=\"level\"", "disable", "reset-password", "/ui/a/audit", "/ui/a/personal-access-tokens"]
    {
        assert!(!one.contains(hidden), "{hidden}: {one}");
        assert!(!list.contains(hidden), "{hidden}: {list}");
    }
    for path in ["new", "x/disable", "x/enable", "x/reset-password"] {
        let path = format!("{IDENTITIES}/{}", path.replace('x', &jane.id.to_string()));
        visit.get(&path).await.expect(403);
        visit.post(&path, &[("name", "x")]).await.expect(403);
    }
    visit.post(&of(&jane), &[("before", "HELPDESK")]).await.expect(403);
    let now = patron.identity_now("default", &jane.id.to_string()).await.unwrap();
    assert_eq!(now, jane);

    let mut stranger = patron.visit(&jane).await;
    for path in [IDENTITIES, &of(&jane), &format!("{IDENTITIES}/new")] {
        stranger.get(path).await.expect(403);
    }
}

#[tokio::test]
async fn identities_elsewhere_are_not_there() {
    let patron = Patron::start().await;
    let admin = patron.identity("root", &["ORG_ADMIN"]).await;
    let stranger = patron.identity_in("acme", "stranger", &[]).await;
    let mut visit = patron.visit(&admin).await;
    for id in [stranger.id.to_string().as_str(), "0123456789abcdef0123456789abcdef", "x", "%00"] {
        let one = format!("{IDENTITIES}/{id}");
        visit.get(&one).await.expect(404);
        visit.post(&one, &[("level", "HELPDESK")]).await.expect(404);
        for action in ["enable", "disable", "reset-password"] {
            visit.get(&format!("{one}/{action}")).await.expect(404);
            visit.post(&format!("{one}/{action}"), &[]).await.expect(404);
        }
    }
    assert_eq!(patron.identity_now("acme", &stranger.id.to_string()).await, Some(stranger));
}
