//! Every page attacked: without a session, with too few rights, with forms that are not its own, in the wrong tenant,
//! and without a database. What is refused is told in a page. A new page is attacked without being named here.

use axum::http::Method;
use patron::routes::{Access, Handler, Route, routes};
use patron_core::identity::Identity;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::callers::{is_page, unlimited};
use crate::support::{Call, Patron, Reply};
use crate::visit::Visit;

/// The pages for those who have signed in.
fn pages() -> Vec<Route> {
    let pages: Vec<Route> =
        routes().into_iter().filter(|route| matches!(route.handler, Handler::Page { .. })).collect();
    assert!(pages.len() > 20 && pages.iter().all(is_page), "every page is where its errors are pages");
    pages
}

/// What a path's `{id}` is about.
struct Ids {
    pat: String,
    identity: String,
}

impl Ids {
    async fn of(patron: &Patron, identity: &Identity) -> Self {
        let pat = patron.pat(identity, "target", &[]).await.id;
        Self { pat, identity: identity.id.to_string() }
    }

    fn path(&self, route: &Route) -> String {
        let id = if route.path.contains("identities") { &self.identity } else { &self.pat };
        let path = route.path.replace("{id}", id);
        if route.name == "page-audit-export" { path + "?format=csv" } else { path }
    }
}

fn method(route: &Route) -> &Method {
    route.method.as_ref().expect("a page is for one method")
}

/// Sends what a browser sends: a form where one is posted, with this CSRF token in it.
async fn ask(visit: &mut Visit<'_>, route: &Route, path: &str, csrf: Option<&str>) -> Reply {
    let call = Call::new(method(route).as_str(), path);
    let form: Vec<(&str, &str)> = csrf.map(|csrf| ("csrf", csrf)).into_iter().collect();
    visit.send(if *method(route) == Method::POST { call.form(&form) } else { call }).await
}

/// Asserts a page that tells of an error and names the request.
#[track_caller]
fn assert_refused(reply: &Reply, status: u16, what: &str) {
    assert_eq!(reply.status.as_u16(), status, "{what}: {}", reply.text());
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"), "{what}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{what}");
    let policy = reply.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(reply.text().contains(reply.header("slpt-request-id").unwrap()), "{what}: {}", reply.text());
}

fn told(route: &Route) -> String {
    format!("{} {}", method(route), route.path)
}

/// The administrator's identities and tokens as they are, to see that nothing came of an attack.
async fn state(patron: &Patron) -> String {
    let mut all = String::new();
    for path in ["/personal-access-tokens/v1", "/public-identities/v1"] {
        all += &patron.send(Call::get(path).auth(&patron.admin.basic())).await.expect(200).text();
    }
    let admin = patron.identity_now("default", &patron.admin.owner).await.unwrap();
    format!("{all}{:?}", admin.levels)
}

#[tokio::test]
async fn who_has_not_signed_in_is_sent_to_do_so() {
    let patron = Patron::with(unlimited).await;
    let admin = patron.identity("root", &["ORG_ADMIN"]).await;
    let ids = Ids::of(&patron, &admin).await;
    let elsewhere = patron.identity_in("acme", "stranger", &["ORG_ADMIN"]).await;
    let stranger = patron.visit(&elsewhere).await.cookies["patron_session"].clone();
    let ended = {
        let mut visit = patron.visit(&admin).await;
        let session = visit.cookies["patron_session"].clone();
        visit.post("/ui/sign-out", &[]).await.leads_to();
        session
    };
    let before = state(&patron).await;
    for route in pages() {
        let path = ids.path(&route);
        let nobodys = "0".repeat(64);
        for session in ["", "x", &nobodys, &ended, &stranger] {
            let mut visit = patron.stranger();
            if !session.is_empty() {
                visit.cookies.insert("patron_session".to_owned(), session.to_owned());
            }
            let reply = ask(&mut visit, &route, &path, Some(&"0".repeat(64))).await;
            let to = reply.leads_to();
            if *method(&route) == Method::GET {
                let next = utf8_percent_encode(&path, NON_ALPHANUMERIC);
                assert_eq!(to, format!("/ui/sign-in?next={next}"), "{}", told(&route));
            } else {
                // What was posted is not there to be looked at.
                assert_eq!(to, "/ui/sign-in", "{}", told(&route));
            }
            assert!(reply.body.is_empty(), "{}", told(&route));
        }
        // The API's credentials open no page.
        for auth in [patron.admin.basic(), patron.bearer(&patron.admin).await] {
            let reply = patron.send(Call::new(method(&route).as_str(), &path).auth(&auth)).await;
            assert!(reply.leads_to().starts_with("/ui/sign-in"), "{}", told(&route));
        }
    }
    assert_eq!(state(&patron).await, before);
}

#[tokio::test]
async fn what_takes_a_right_is_refused_without_it() {
    let patron = Patron::with(unlimited).await;
    let admin = patron.identity("root", &["ORG_ADMIN"]).await;
    let user = patron.identity("user", &["HELPDESK"]).await;
    let (of_admin, of_user) = (Ids::of(&patron, &admin).await, Ids::of(&patron, &user).await);
    let mut all = patron.visit(&admin).await;
    let mut none = patron.visit(&user).await;
    let csrf = none.csrf.clone();
    let before = state(&patron).await;
    let mut refused = 0;
    for route in pages() {
        let Handler::Page { access, .. } = route.handler else { unreachable!("pages alone") };
        let path = of_admin.path(&route);
        let reply = ask(&mut none, &route, &path, Some(&csrf)).await;
        if matches!(access, Access::Right(_)) {
            refused += 1;
            assert_refused(&reply, 403, &told(&route));
            assert!(reply.text().contains("This needs the right"), "{}", reply.text());
        } else if route.path.contains("{id}") {
            assert_refused(&reply, 404, &told(&route));
        }
        // With it, and with what is one's own, it opens.
        if *method(&route) == Method::GET {
            let status = match route.name {
                // One's own password is not reset; who is enabled can be enabled once more.
                "page-identity-reset-password" => 403,
                _ => 200,
            };
            let reply = ask(&mut all, &route, &path, None).await;
            assert_eq!(reply.status.as_u16(), status, "{}: {}", told(&route), reply.text());
            if access == Access::Credential {
                ask(&mut none, &route, &of_user.path(&route), None).await.expect(200);
            }
        }
    }
    assert!(refused > 10);
    assert_eq!(state(&patron).await, before);
}

/// A form of another site, or of another session, does nothing.
#[tokio::test]
async fn a_form_that_is_not_ones_own_does_nothing() {
    let patron = Patron::with(unlimited).await;
    let admin = patron.identity("root", &["ORG_ADMIN"]).await;
    let ids = Ids::of(&patron, &admin).await;
    let other = patron.visit(&patron.identity("other", &["ORG_ADMIN"]).await).await.csrf;
    let mut visit = patron.visit(&admin).await;
    let session = visit.cookies["patron_session"].clone();
    let before = state(&patron).await;
    for route in pages().iter().filter(|route| *method(route) == Method::POST) {
        let path = ids.path(route);
        let nothing = "0".repeat(64);
        for csrf in [None, Some(""), Some(nothing.as_str()), Some(&other), Some(&session)] {
            let reply = ask(&mut visit, route, &path, csrf).await;
            assert_refused(&reply, 403, &format!("{} with {csrf:?}", told(route)));
        }
        // Nor does one that says it is something else than a form.
        let call = Call::post(&path).body("text/plain", format!("csrf={}", visit.csrf));
        assert_refused(&visit.send(call).await, 415, &told(route));
        // In the query it is no proof: links are followed from anywhere.
        let csrf = visit.csrf.clone();
        let call = Call::post(&format!("{path}?csrf={csrf}")).form(&[]);
        assert_refused(&visit.send(call).await, 403, &told(route));
    }
    assert_eq!(state(&patron).await, before);
}

/// Whoever was given a password by somebody else sees no page before choosing another.
#[tokio::test]
async fn a_temporary_password_opens_one_page() {
    let patron = Patron::with(unlimited).await;
    let admin = patron.identity("root", &["ORG_ADMIN"]).await;
    let ids = Ids::of(&patron, &admin).await;
    let mut visit = patron.visit(&admin).await;
    patron.database().execute("UPDATE identities SET password_temporary = 1 WHERE name = 'root'", &[]);
    let before = state(&patron).await;
    for route in pages() {
        let csrf = visit.csrf.clone();
        let reply = ask(&mut visit, &route, &ids.path(&route), Some(&csrf)).await;
        if route.name == "page-password" {
            assert_ne!(reply.status.as_u16(), 303, "{}", told(&route));
        } else {
            assert_eq!(reply.leads_to(), "/ui/d/user-preferences/password", "{}", told(&route));
        }
    }
    assert_eq!(state(&patron).await, before);
}

#[tokio::test]
async fn what_a_page_is_not_is_told_in_a_page() {
    let patron = Patron::with(unlimited).await;
    let admin = patron.identity("root", &["ORG_ADMIN"]).await;
    let ids = Ids::of(&patron, &admin).await;
    let mut visit = patron.visit(&admin).await;
    for path in ["/ui/nothing", "/ui/a", "/ui/d", "/ui/a/identities/x/y/z", "/ui/assets/nothing.css"] {
        assert_refused(&visit.get(path).await, 404, path);
    }
    for route in routes().iter().filter(|route| is_page(route)) {
        let path = ids.path(route);
        assert_refused(&visit.send(Call::new("PUT", &path)).await, 405, &path);
        let call = Call::new(method(route).as_str(), &path).host("nobody.tenants.test");
        assert_refused(&patron.send(call).await, 404, &path);
    }
    for route in pages().iter().filter(|route| route.path.contains("{id}")) {
        for id in ["0123456789abcdef0123456789abcdef", "x", "%00", "me"] {
            let (path, csrf) = (route.path.replace("{id}", id), visit.csrf.clone());
            let reply = ask(&mut visit, route, &path, Some(&csrf)).await;
            assert_refused(&reply, 404, &format!("{} {path}", method(route)));
        }
    }
}

/// An outage is told as one: it signs nobody out, and nothing looks as if it were not there.
#[tokio::test]
async fn a_database_out_of_reach_is_503() {
    let patron = Patron::with(unlimited).await;
    let admin = patron.identity("root", &["ORG_ADMIN"]).await;
    let ids = Ids::of(&patron, &admin).await;
    let mut visit = patron.visit(&admin).await;
    patron.lose_database().await;
    for route in pages() {
        let csrf = visit.csrf.clone();
        let reply = ask(&mut visit, &route, &ids.path(&route), Some(&csrf)).await;
        assert_refused(&reply, 503, &told(&route));
        assert!(reply.header("retry-after").is_some(), "{}", told(&route));
        assert!(reply.header("set-cookie").is_none(), "{}", told(&route));
    }
}
