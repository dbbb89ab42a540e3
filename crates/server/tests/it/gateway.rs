//! `/forward-auth`: what a gateway in front of any application is told.

use serde_json::json;

use super::support::*;

const GATE: &str = "/forward-auth";
const CHALLENGE: &str = "Basic realm=\"patron\", Bearer realm=\"patron\"";

/// The five headers that a gateway copies.
#[track_caller]
fn told(reply: &Reply) -> [String; 5] {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.body, b"");
    let one = |name: &str| {
        let values: Vec<_> = reply.headers.get_all(name).iter().collect();
        assert_eq!(values.len(), 1, "{name}");
        values[0].to_str().unwrap().to_owned()
    };
    ["x-auth-identity", "x-auth-user", "x-auth-client", "x-auth-tenant", "x-auth-scope"].map(one)
}

/// Asserts a 401 with one challenge line, which is all that nginx passes on.
#[track_caller]
fn assert_401(what: &str, reply: &Reply, error: &str) {
    assert_eq!(reply.status, 401, "{what}: {}", reply.text());
    assert_eq!(reply.json(), json!({ "error": error }), "{what}");
    let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, [CHALLENGE], "{what}");
    assert_eq!(reply.header("content-type"), Some("application/json"), "{what}");
    assert_eq!(reply.header("retry-after"), None, "{what}");
    assert!(!reply.headers.keys().any(|name| name.as_str().starts_with("x-auth-")), "{what}");
}

#[tokio::test]
async fn any_method_is_told_who_it_is() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &["demo:first", "demo:second"]).await;
    let whole = [&jane.id.to_string(), "jane", &pat.id, "default", "demo:first demo:second"];
    let bearer = patron.bearer(&pat).await;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "PURGE"] {
        for auth in [&bearer, &pat.basic()] {
            let reply = patron.send(Call::new(method, GATE).auth(auth)).await;
            assert_eq!(told(&reply), whole, "{method}");
            assert_eq!(reply.header("cache-control"), Some("no-store"));
        }
        let reply = patron.send(Call::new(method, GATE)).await;
        assert_401(method, &reply, "JWT validation failed: no Authorization header");
    }
    // As the gateways send it: the application's headers, and a content type or length that is not for Patron.
    let nginx = Call::get("//forward-auth/")
        .auth(&bearer)
        .header("x-original-uri", "/app?scope=all&tenant=acme")
        .header("x-forwarded-method", "DELETE")
        .header("content-type", "application/xml");
    assert_eq!(told(&patron.send(nginx).await), whole);
}

#[tokio::test]
async fn names_are_percent_encoded() {
    let patron = Patron::start().await;
    for (name, encoded) in [
        ("jane@example.com", "jane@example.com"),
        ("Jürgen Müller", "J%C3%BCrgen%20M%C3%BCller"),
        ("100%", "100%25"),
        ("a,b;c\"d\\e", "a%2Cb%3Bc%22d%5Ce"),
        ("名前", "%E5%90%8D%E5%89%8D"),
    ] {
        let identity = patron.identity(name, &[]).await;
        let pat = patron.pat(&identity, "ci", &[]).await;
        let [_, user, ..] = told(&patron.send(Call::get(GATE).auth(&pat.basic())).await);
        assert_eq!(user, encoded);
        let decoded = percent_encoding::percent_decode_str(&user).decode_utf8().unwrap();
        assert_eq!(decoded, name, "nothing is lost");
    }
}

#[tokio::test]
async fn headers_that_a_client_sends_itself_change_nothing() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &["demo:first"]).await;
    let spoofed = Call::get(GATE)
        .auth(&pat.basic())
        .header("x-auth-identity", &patron.admin.owner)
        .header("x-auth-user", "admin")
        .header("x-auth-scope", "sp:scopes:all");
    let told = told(&patron.send(spoofed).await);
    assert_eq!(told, [&jane.id.to_string(), "jane", &pat.id, "default", "demo:first"]);
}

#[tokio::test]
async fn a_scope_that_is_asked_for_must_be_had_and_open() {
    let patron = Patron::with(|settings| {
        let scope = |name: &str, levels: &[&str]| patron_core::rights::CustomScope {
            name: name.to_owned(),
            description: name.to_owned(),
            rights: Vec::new(),
            levels: levels.iter().map(|&level| level.to_owned()).collect(),
        };
        settings.scopes =
            vec![scope("demo:orders:read", &["*"]), scope("demo:orders:close", &["CERT_ADMIN"])];
    })
    .await;
    let jane = patron.identity("jane", &[]).await;
    let boss = patron.identity("boss", &["CERT_ADMIN"]).await;
    let reader = patron.pat(&jane, "reader", &["demo:orders:read", "demo:orders:close"]).await;
    let all = patron.pat(&jane, "all", &[]).await;
    let boss_all = patron.pat(&boss, "all", &[]).await;
    let boss_reader = patron.pat(&boss, "reader", &["demo:orders:read"]).await;
    let boss_closer = patron.pat(&boss, "closer", &["demo:orders:close"]).await;
    for (pat, scope, granted) in [
        (&reader, "demo:orders:read", true),
        // Stored, but outside its owner's level.
        (&reader, "demo:orders:close", false),
        (&all, "demo:orders:read", true),
        (&all, "demo:orders:close", false),
        (&boss_all, "demo:orders:close", true),
        (&boss_closer, "demo:orders:close", true),
        (&boss_reader, "demo:orders:close", false),
        (&all, "in:no:catalogue", false),
        (&boss_reader, "sp:scopes:all", false),
        (&all, "sp:scopes:all", true),
        // The two spellings are one scope.
        (&all, "sp:my-personal-access-tokens:read", true),
        (&all, "idn:my-personal-access-tokens:read", true),
        (&all, "idn:all-personal-access-tokens:read", false),
        (&reader, "", true),
    ] {
        for auth in [pat.basic(), patron.bearer(pat).await] {
            let path = format!("{GATE}?{}", form(&[("scope", scope)]));
            let reply = patron.send(Call::get(&path).auth(&auth)).await;
            if granted {
                assert_eq!(told(&reply)[2], pat.id);
            } else {
                let reply = reply.expect_error("403 Forbidden");
                assert_eq!(reply.message(), format!("The credential does not have the scope '{scope}'."));
                assert_eq!(reply.header("x-auth-identity"), None);
                assert_eq!(reply.header("www-authenticate"), None);
            }
        }
    }
    // A token narrowed to less has less, whatever its PAT has.
    let narrow = patron.send(all.exchange_for("sp:scopes:default")).await.expect(200).json();
    let auth = format!("Bearer {}", narrow["access_token"].as_str().unwrap());
    let reply = patron.send(Call::get("/forward-auth?scope=demo%3Aorders%3Aread").auth(&auth)).await;
    reply.expect_error("403 Forbidden");
}

#[tokio::test]
async fn the_tenant_is_the_credentials_or_the_one_asked_for() {
    let patron =
        Patron::with(|settings| settings.trusted_proxies = vec!["10.0.0.1/32".parse().unwrap()]).await;
    let anna = patron.identity_in("acme", "anna", &[]).await;
    let pat = patron.pat(&anna, "ci", &["demo:first"]).await;
    let answer = patron.send(pat.exchange().host("acme.tenants.test")).await.expect(200).json();
    let bearer = format!("Bearer {}", answer["access_token"].as_str().unwrap());
    // The host is the application's, whatever it looks like.
    for host in ["app.example.com", "patron.test", "acme.tenants.test", "nobody.tenants.test", "127.0.0.1:80"]
    {
        for auth in [&bearer, &pat.basic()] {
            let [identity, _, client, tenant, _] =
                told(&patron.send(Call::get(GATE).host(host).auth(auth)).await);
            assert_eq!((identity, client, tenant), (anna.id.to_string(), pat.id.clone(), "acme".to_owned()));
        }
        let own = told(&patron.send(Call::get(GATE).host(host).auth(&patron.admin.basic())).await);
        assert_eq!(own[3], "default", "{host}");
    }
    // Nor does what a trusted gateway says of the application's host count.
    let forwarded =
        Call::get(GATE).auth(&pat.basic()).from("10.0.0.1").header("x-forwarded-host", "nobody.tenants.test");
    assert_eq!(told(&patron.send(forwarded).await)[3], "acme");
    let wrong = "Basic authentication failed: The client id or the client secret is wrong.";
    let not_here = "JWT validation failed: JWT is not valid here";
    for (query, good) in [("tenant=acme", true), ("tenant=", true), ("tenant=default", false)] {
        let path = format!("{GATE}?{query}");
        let (basic, token) = (
            patron.send(Call::get(&path).auth(&pat.basic())).await,
            patron.send(Call::get(&path).auth(&bearer)).await,
        );
        if good {
            assert_eq!((told(&basic)[3].as_str(), told(&token)[3].as_str()), ("acme", "acme"), "{query}");
        } else {
            assert_401(query, &basic, wrong);
            assert_401(query, &token, not_here);
        }
    }
    for auth in [&bearer, &pat.basic()] {
        let nowhere = patron.send(Call::get("/forward-auth?tenant=nobody").auth(auth)).await;
        assert_401("a tenant that is not there", &nowhere, not_here);
    }
}

#[tokio::test]
async fn who_is_refused_and_why() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let deleted = patron.pat(&jane, "deleted", &[]).await;
    let dead = patron.bearer(&deleted).await;
    patron.delete_pat(&deleted).await;
    for (auth, error) in [
        ("Bearer ", "JWT validation failed: JWT is empty"),
        ("Bearer x", "JWT validation failed: JWT is malformed"),
        ("Digest x", "JWT validation failed: neither Bearer nor Basic"),
        (&dead, "JWT validation failed: the personal access token was deleted"),
        (&deleted.basic(), "Basic authentication failed: The personal access token was deleted."),
        (
            &basic(&patron.admin.id, "x"),
            "Basic authentication failed: The client id or the client secret is wrong.",
        ),
    ] {
        assert_401(auth, &patron.send(Call::get(GATE).auth(auth)).await, error);
    }
    // A gateway asks for a scope only after it knows who it is.
    let reply = patron.send(Call::get("/forward-auth?scope=demo%3Afirst")).await;
    assert_401("scope", &reply, "JWT validation failed: no Authorization header");
}

#[tokio::test]
async fn never_429() {
    let patron = Patron::with(|settings| {
        settings.rate_limits.requests = 3;
        settings.rate_limits.auth_failures_per_client = 2;
        settings.rate_limits.auth_failures_per_address = 4;
    })
    .await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    let bearer = patron.bearer(&pat).await;
    for _ in 0..20 {
        for auth in [&bearer, &pat.basic()] {
            told(&patron.send(Call::get(GATE).auth(auth)).await);
        }
    }
    let wrong = "Basic authentication failed: The client id or the client secret is wrong.";
    let throttled = "Too many wrong credentials";
    for (n, error) in [wrong, wrong, throttled, throttled].into_iter().enumerate() {
        let reply = patron.send(Call::get(GATE).auth(&basic(&pat.id, "x"))).await;
        assert_401(&format!("guess {n}"), &reply, error);
    }
    for (n, error) in
        ["JWT validation failed: JWT is malformed"; 2].into_iter().chain([throttled; 2]).enumerate()
    {
        let reply = patron.send(Call::get(GATE).auth("Bearer x")).await;
        assert_401(&format!("token {n}"), &reply, error);
    }
    // What guesses here counts elsewhere, and the right secret passes here as everywhere.
    patron.send(Call::get("/tenant/v1").auth("Bearer x")).await.expect(429);
    told(&patron.send(Call::get(GATE).auth(&pat.basic())).await);
    told(&patron.send(Call::get(GATE).auth(&bearer)).await);
}

#[tokio::test]
async fn no_uncounted_requests_leak_into_the_api_limit() {
    let patron = Patron::with(|settings| settings.rate_limits.requests = 2).await;
    let jane = patron.identity("jane", &[]).await;
    let pat = patron.pat(&jane, "ci", &[]).await;
    for _ in 0..10 {
        told(&patron.send(Call::get(GATE).auth(&pat.basic())).await);
    }
    for status in [200, 200, 429] {
        patron.send(Call::get("/tenant/v1").auth(&pat.basic())).await.expect(status);
    }
}
