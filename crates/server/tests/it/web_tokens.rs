//! Preferences → Personal Access Tokens, as a browser without scripts sees it.

use crate::support::{Call, Patron};
use crate::visit::{between, names};

const TOKENS: &str = "/ui/d/user-preferences/personal-access-tokens";

#[tokio::test]
async fn a_token_is_made_shown_once_used_changed_and_deleted() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let mut visit = patron.visit(&jane).await;

    let empty = visit.get(TOKENS).await.expect(200).text();
    assert!(empty.contains("You have no tokens yet"), "{empty}");
    let form = visit.get(&format!("{TOKENS}/new")).await.expect(200).text();
    assert!(form.contains("What is this token for?") && form.contains("Create Token"), "{form}");

    let fields = [("name", "ci"), ("expires", "60"), ("validity", "900"), ("scope", "sp:scopes:all")];
    let made = visit.post(&format!("{TOKENS}/new"), &fields).await.expect(200);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let page = made.text();
    let secret = between(&page, "id=\"secret\">", "<").to_owned();
    let id = between(&page, "data-copy=\"", "\"").to_owned();
    for snippet in ["SAIL_CLIENT_SECRET=", "$env:SAIL_CLIENT_SECRET", "/oauth/token", "os.environ"] {
        assert!(page.contains(snippet), "{snippet} is missing");
    }

    let exchange = Call::post("/oauth/token").form(&[
        ("grant_type", "client_credentials"),
        ("client_id", &id),
        ("client_secret", &secret),
    ]);
    let token = patron.send(exchange).await.expect(200).json();
    assert_eq!(token["expires_in"], 900);
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let list = patron.send(Call::get("/personal-access-tokens/v1?owner-id=me").auth(&bearer)).await;
    let pat = &list.expect(200).json()[0];
    assert_eq!((&pat["name"], &pat["scope"][0]), (&"ci".into(), &"sp:scopes:all".into()));
    assert_eq!(pat["expirationDate"], patron.in_seconds(60 * 86_400));

    let listed = visit.get(TOKENS).await.expect(200).text();
    assert_eq!(names(&listed), ["ci"]);
    assert!(listed.contains("60 days left") && listed.contains("just now"), "{listed}");
    assert!(!listed.contains(&secret), "shown once");

    let one = format!("{TOKENS}/{id}");
    let edit = visit.get(&one).await.expect(200).text();
    assert!(edit.contains("value=\"ci\"") && !edit.contains(&secret), "{edit}");
    let fields = [
        ("name", "nightly"),
        ("expires", "never"),
        ("aware", "true"),
        ("scope", "sp:my-personal-access-tokens:read"),
    ];
    assert_eq!(visit.post(&one, &fields).await.leads_to(), TOKENS);
    let told = visit.get(TOKENS).await.text();
    assert!(told.contains("The token was changed.") && told.contains("Never expires"), "{told}");
    assert!(!visit.get(TOKENS).await.text().contains("The token was changed."), "told once");

    let deletion = format!("{one}/delete");
    assert!(visit.get(&deletion).await.expect(200).text().contains("type the token&#39;s name"));
    let wrong = visit.post(&deletion, &[("name", "ci")]).await.expect(400).text();
    assert!(wrong.contains("That is neither its name nor its Client ID."), "{wrong}");
    assert_eq!(visit.post(&deletion, &[("name", "nightly")]).await.leads_to(), TOKENS);
    let gone = patron.send(Call::get("/personal-access-tokens/v1?owner-id=me").auth(&bearer)).await;
    gone.expect(401);
    assert_eq!(patron.events("PERSONAL_ACCESS_TOKEN_DELETED").await[0]["actor"]["name"], "jane");
}

#[tokio::test]
async fn what_is_left_as_it_was_is_not_written_back() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &["sp:my-personal-access-tokens:manage"]).await;
    let mut visit = patron.visit(&jane).await;
    let one = format!("{TOKENS}/{}", pat.id);
    let page = visit.get(&one).await.expect(200).text();
    assert!(page.contains("name=\"was-name\" value=\"ci\""), "{page}");
    let was = "name=\"was-scope\" value=\"sp:my-personal-access-tokens:manage\"";
    assert!(page.contains(was), "{page}");
    // Somebody narrows it and renames it while the form is open.
    let narrowed = serde_json::json!([
        {"op": "replace", "path": "/scope", "value": ["sp:my-personal-access-tokens:read"]},
        {"op": "replace", "path": "/name", "value": "renamed"},
    ]);
    let path = format!("/personal-access-tokens/v1/{}", pat.id);
    let all = patron.pat(&jane, "all", &[]).await;
    patron.send(Call::new("PATCH", &path).auth(&all.basic()).json_patch(&narrowed)).await.expect(200);
    let manage = "sp:my-personal-access-tokens:manage";
    let fields =
        [("was-name", "ci"), ("was-scope", manage), ("name", "ci"), ("scope", manage), ("expires", "60")];
    assert_eq!(visit.post(&one, &fields).await.leads_to(), TOKENS);
    let pat = patron.send(Call::get(&path).auth(&all.basic())).await.expect(200).json();
    assert_eq!(pat["name"], "renamed");
    assert_eq!(pat["scope"], serde_json::json!(["sp:my-personal-access-tokens:read"]));
    assert_eq!(pat["expirationDate"], patron.in_seconds(60 * 86_400));
}

#[tokio::test]
async fn another_sites_form_gets_no_cookies() {
    let patron = Patron::start().await;
    for path in ["/ui/sign-in", "/ui/sign-out", TOKENS] {
        for (name, value) in
            [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
        {
            let call = Call::post(path).host("patron.test").header(name, value);
            let reply = patron.send(call.form(&[("name", "x"), ("password", "y")])).await.expect(403);
            assert_eq!(reply.header("set-cookie"), None, "{path}: it would take the visitor's session");
        }
    }
    let call = Call::post("/ui/sign-in").host("patron.test").header("origin", "http://patron.test");
    patron
        .send(call.form(&[("name", "x"), ("password", "y")]))
        .await
        .expect(403)
        .header("set-cookie")
        .unwrap();
}

/// What is typed, the field that it is wrong for, and what is said of it.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_what_was_typed_stays() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    patron.pat(&jane, "taken", &[]).await;
    let mut visit = patron.visit(&jane).await;
    let path = format!("{TOKENS}/new");
    let long = "x".repeat(256);
    let cases: [Case<'_>; 8] = [
        (&[("name", " "), ("expires", "30"), ("validity", "900")], "name", "Give it a name."),
        (&[("name", &long), ("expires", "30"), ("validity", "900")], "name", "At most 255 characters."),
        (&[("name", "taken"), ("expires", "30"), ("validity", "900")], "name", "&#39;taken&#39; already."),
        (
            &[("name", "a"), ("expires", "never"), ("validity", "900")],
            "userAwareTokenNeverExpires",
            "Tick the box",
        ),
        (
            &[("name", "a"), ("expires", "date"), ("date", "2027-02-28"), ("validity", "9")],
            "accessTokenValiditySeconds",
            "From 15 to 43,200",
        ),
        (
            &[("name", "a"), ("expires", "date"), ("date", "2027-02-28"), ("validity", "900")],
            "expirationDate",
            "still to come",
        ),
        (
            &[("name", "a"), ("expires", "date"), ("date", ""), ("validity", "900")],
            "expirationDate",
            "still to come",
        ),
        (&[("name", "a"), ("expires", "1000"), ("validity", "900")], "expirationDate", "still to come"),
    ];
    for (fields, field, text) in cases {
        let fields = [fields, &[("scope", "sp:my-personal-access-tokens:read")]].concat();
        let page = visit.post(&path, &fields).await.expect(400).text();
        let problem = between(&page, &format!("id=\"{field}-problem\">"), "</p>");
        assert!(problem.contains(text), "{problem}");
        let typed = fields[0].1;
        assert!(page.contains(&format!("id=\"name\" name=\"name\" value=\"{typed}\"")), "{typed} was lost");
        let scope = "value=\"sp:my-personal-access-tokens:read\" checked";
        assert!(page.contains(scope), "the scope was lost");
    }
    assert_eq!(names(&visit.get(TOKENS).await.text()), ["taken"]);
}

#[tokio::test]
async fn what_contradicts_itself_is_not_guessed_at() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let mut visit = patron.visit(&jane).await;
    for (field, extra) in
        [("expirationDate", ("date", "2027-12-31")), ("userAwareTokenNeverExpires", ("aware", "true"))]
    {
        let fields = [("name", "a"), ("expires", "30"), ("validity", "900"), extra];
        let page = visit.post(&format!("{TOKENS}/new"), &fields).await.expect(400).text();
        assert!(between(&page, &format!("id=\"{field}-problem\">"), "</p>").contains("goes with"), "{page}");
    }
    assert_eq!(names(&visit.get(TOKENS).await.text()), [""; 0]);
}

#[tokio::test]
async fn at_the_limit_nothing_is_offered_and_the_reason_is_told() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    for n in 0..10 {
        patron.pat(&jane, &format!("token {n}"), &[]).await;
    }
    patron.managed_pat(&jane, "the platform's", &[]).await;
    let mut visit = patron.visit(&jane).await;
    let page = visit.get(TOKENS).await.expect(200).text();
    assert!(page.contains("You have as many tokens as you may: 10."), "{page}");
    assert!(!page.contains("/new\""), "{page}");
    assert_eq!(names(&page).len(), 10, "managed ones do not appear");
    let form = visit.get(&format!("{TOKENS}/new")).await.expect(200).text();
    assert!(form.contains("disabled aria-describedby=\"limit\""), "{form}");
    let fields = [("name", "an 11th"), ("expires", "30"), ("validity", "900")];
    let page = visit.post(&format!("{TOKENS}/new"), &fields).await.expect(400).text();
    assert!(page.contains("10 are allowed"), "{page}");
}

#[tokio::test]
async fn only_ones_own_unmanaged_tokens_have_a_page() {
    let patron = Patron::start().await;
    let (jane, admin) = (patron.identity("jane", &[]).await, patron.identity("eve", &["ORG_ADMIN"]).await);
    let hers = patron.pat(&jane, "hers", &[]).await;
    let managed = patron.managed_pat(&admin, "managed", &[]).await;
    let elsewhere = patron.identity_in("acme", "stranger", &["ORG_ADMIN"]).await;
    let theirs = patron.pat(&elsewhere, "theirs", &[]).await;
    let mut visit = patron.visit(&admin).await;
    for id in [&hers.id, &managed.id, &theirs.id, "no-id", "0"] {
        for path in [format!("{TOKENS}/{id}"), format!("{TOKENS}/{id}/delete")] {
            let page = visit.get(&path).await.expect(404);
            assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
            visit.post(&path, &[("name", "hers"), ("expires", "keep")]).await.expect(404);
        }
    }
    assert_eq!(names(&visit.get(TOKENS).await.text()), [""; 0]);
}

#[tokio::test]
async fn the_scopes_are_those_of_ones_level_and_a_link_fills_the_form() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let mut visit = patron.visit(&jane).await;
    let page = visit.get(&format!("{TOKENS}/new")).await.text();
    assert!(page.contains("value=\"sp:my-personal-access-tokens:read\""), "{page}");
    assert!(!page.contains("sp:all-personal-access-tokens:read"), "not of her level");
    let admin = patron.identity("eve", &["ORG_ADMIN"]).await;
    let mut at_admin = patron.visit(&admin).await;
    assert!(
        at_admin.get(&format!("{TOKENS}/new")).await.text().contains("sp:all-personal-access-tokens:read")
    );

    let link = "?name=%3Cci%3E+build&scope=idn:my-personal-access-tokens:read+demo:orders&days=90";
    let form = format!("{TOKENS}/new{link}");
    assert_eq!(visit.get(&format!("{TOKENS}{link}")).await.leads_to(), form);
    let page = visit.get(&form).await.expect(200).text();
    assert!(page.contains("value=\"&#60;ci&#62; build\""), "{page}");
    assert!(page.contains("name=\"expires\" value=\"90\" checked"), "{page}");
    for scope in ["sp:my-personal-access-tokens:read", "demo:orders"] {
        assert!(page.contains(&format!("value=\"{scope}\" checked")), "{scope}");
    }
    let page = visit.get(&format!("{TOKENS}/new?days=45")).await.text();
    assert!(page.contains("value=\"date\" checked") && page.contains("value=\"2027-04-15\""), "{page}");
    for wrong in ["days=0", "days=-1", "days=x", "days=99999999999"] {
        let page = visit.get(&format!("{TOKENS}/new?{wrong}")).await.expect(200).text();
        assert!(page.contains("name=\"expires\" value=\"30\" checked"), "{wrong}");
    }
}

#[tokio::test]
async fn the_table_is_searched_and_sorted() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    patron.pat(&jane, "beta", &["demo:orders"]).await;
    patron.pass_seconds(1);
    let alpha = patron.pat(&jane, "Alpha", &[]).await;
    patron.pass_seconds(1);
    patron.pat(&jane, "gamma", &[]).await;
    patron.bearer(&alpha).await;
    let mut visit = patron.visit(&jane).await;
    for (query, expected) in [
        ("", &["beta", "Alpha", "gamma"][..]),
        ("?sort=name", &["Alpha", "beta", "gamma"]),
        ("?sort=name&dir=desc", &["gamma", "beta", "Alpha"]),
        ("?sort=created&dir=desc", &["gamma", "Alpha", "beta"]),
        ("?sort=used&dir=desc", &["Alpha", "gamma", "beta"]),
        ("?q=ALPH", &["Alpha"]),
        ("?q=orders", &["beta"]),
        ("?q=%20nothing%20", &[]),
        ("?sort=nonsense", &["beta", "Alpha", "gamma"]),
    ] {
        assert_eq!(
            names(&visit.get(&format!("{TOKENS}{query}")).await.expect(200).text()),
            expected,
            "{query}"
        );
    }
    assert_eq!(names(&visit.get(&format!("{TOKENS}?q={}", alpha.id)).await.text()), ["Alpha"]);
}

#[tokio::test]
async fn names_show_as_themselves() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let wide = "＠".repeat(255);
    for name in ["<script>alert(1)</script>", "\" onfocus=\"alert(1)", "שלום <b>", "👩‍👩‍👧‍👦", &wide]
    {
        patron.pat(&jane, name, &[]).await;
    }
    let mut visit = patron.visit(&jane).await;
    let page = visit.get(TOKENS).await.expect(200).text();
    assert!(
        page.contains("&#60;script&#62;alert(1)&#60;/script&#62;") && !page.contains("<script>alert"),
        "{page}"
    );
    assert!(!page.contains("\" onfocus=\""), "{page}");
    assert!(page.contains(&wide) && page.contains("👩‍👩‍👧‍👦") && page.contains("שלום &#60;b&#62;"));
}

#[tokio::test]
async fn the_longest_name_can_be_typed_whatever_its_characters() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &["ORG_ADMIN"]).await;
    let mut visit = patron.visit(&jane).await;
    // A browser counts UTF-16 units, of which each of these has two; the rule counts characters.
    let name = "🔑".repeat(255);
    let fields = [("name", name.as_str()), ("expires", "30"), ("validity", "900")];
    let made = visit.post(&format!("{TOKENS}/new"), &fields).await.expect(200).text();
    let edit = format!("{TOKENS}/{}", between(&made, "data-copy=\"", "\""));
    for path in [&edit, &format!("{TOKENS}/new"), "/ui/a/identities/new", "/ui/a/audit"] {
        let page = visit.get(path).await.expect(200).text();
        assert!(!page.contains("maxlength"), "{path} cuts off what is typed");
    }
}

#[tokio::test]
async fn every_form_needs_its_token_and_every_page_a_session() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let mut visit = patron.visit(&jane).await;
    let one = format!("{TOKENS}/{}", pat.id);
    let (new, deletion) = (format!("{TOKENS}/new"), format!("{one}/delete"));
    let fields = "name=ci&expires=30&validity=900";
    for path in [&new, &one, &deletion] {
        for body in [fields.to_owned(), format!("{fields}&csrf=00"), format!("{fields}&csrf=")] {
            let call = Call::post(path).body("application/x-www-form-urlencoded", body);
            let page = visit.send(call).await.expect(403).text();
            assert!(page.contains("did not come from a page"), "{page}");
        }
        let call = Call::post(path).body("application/json", "{}");
        visit.send(call).await.expect(415);
    }
    for path in [TOKENS, &new, &one, &deletion] {
        let reply = patron.stranger().get(path).await;
        assert!(reply.leads_to().starts_with("/ui/sign-in?next="), "{path}");
        assert_eq!(
            patron.send(Call::get(path).auth(&pat.basic())).await.leads_to(),
            reply.leads_to(),
            "no PAT opens it"
        );
    }
    assert_eq!(patron.stranger().post(&new, &[("name", "x")]).await.leads_to(), "/ui/sign-in");
    assert_eq!(names(&visit.get(TOKENS).await.text()), ["ci"]);
    let mut other = patron.visit(&jane).await.at("acme.tenants.test");
    patron.tenant("acme").await;
    assert!(other.get(TOKENS).await.leads_to().starts_with("/ui/sign-in"), "a session is of its tenant");
}

#[tokio::test]
async fn pages_carry_what_keeps_them_safe() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let mut visit = patron.visit(&jane).await;
    for path in [TOKENS, "/ui/nothing-here"] {
        let reply = visit.get(path).await;
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{path}");
        }
        let page = reply.text();
        assert!(
            !page.contains(" style=\"") && !page.contains(" onclick=") && !page.contains("<style"),
            "{page}"
        );
        let style = between(&page, "rel=\"stylesheet\" href=\"", "\"");
        let style = patron.send(Call::get(style)).await.expect(200);
        assert_eq!(style.header("cache-control"), Some("public, max-age=31536000, immutable"));
    }
    patron.send(Call::get("/ui/assets/style.css")).await.expect(404);
}
