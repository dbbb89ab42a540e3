//! Every endpoint attacked: without a credential, with every kind of bad one, with too little and with just enough.
//! The table is by the names of [`endpoints`]; a new name without an entry fails here, and so does an entry that no
//! endpoint has.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use patron::routes::{Handler, Route};
use patron_core::filter::Filter;
use patron_core::identity::Identity;
use patron_core::name::TenantName;
use patron_store::pats::Selection;
use serde_json::{Value, json};

use crate::callers::{ALL, Aim, DEFAULT, RIGHT_SCOPES, UNKNOWN, endpoints, good_call, respelled, unlimited};
use crate::support::{Call, Pat, Patron, Reply, basic};

/// Who may call.
enum Who {
    /// Anyone; the status that is answered.
    Anyone(u16),
    /// A PAT of the tenant, as RFC 6749 section 2.3 has it.
    Client,
    /// Whoever has a good credential, told to a gateway.
    Gateway,
    /// Whoever has a good credential.
    Credential,
    /// An administrator's credential with one of the first scopes. One of the second is told that there is nothing
    /// (404), for it sees no PAT; every other is refused (403).
    Scopes(&'static [&'static str], &'static [&'static str]),
}

const MY_READ: &str = RIGHT_SCOPES[0];
const MY_MANAGE: &str = RIGHT_SCOPES[1];
const ALL_READ: &str = RIGHT_SCOPES[2];
const ALL_MANAGE: &str = RIGHT_SCOPES[3];
const ALL_UPDATE: &str = RIGHT_SCOPES[4];
const MANAGED_READ: &str = RIGHT_SCOPES[5];
const AUDIT_READ: &str = RIGHT_SCOPES[7];
const USER_READ: &str = RIGHT_SCOPES[8];
const USER_MANAGE: &str = RIGHT_SCOPES[9];

/// The table: an endpoint's name, who may call, and the status of success. PATs are the caller's own.
const TABLE: &[(&str, Who, u16)] = &[
    ("exchange", Who::Client, 200),
    ("introspect", Who::Client, 200),
    ("revoke", Who::Client, 200),
    ("oauth-info", Who::Anyone(200), 200),
    ("oauth-info-preflight", Who::Anyone(204), 204),
    ("jwks", Who::Anyone(200), 200),
    ("metadata", Who::Anyone(200), 200),
    ("forward-auth", Who::Gateway, 200),
    ("openapi", Who::Anyone(200), 200),
    ("docs", Who::Anyone(200), 200),
    ("list-public-identities", Who::Credential, 200),
    ("get-tenant", Who::Credential, 200),
    ("get-auth-user", Who::Scopes(&[USER_READ, USER_MANAGE], &[]), 200),
    // Whoever gives a level needs what comes with it, which is everyone's `my` rights at least.
    ("patch-auth-user", Who::Scopes(&[], &[]), 200),
    ("list-audit-events", Who::Scopes(&[AUDIT_READ], &[]), 200),
    ("create", Who::Scopes(&[MY_MANAGE, ALL_MANAGE], &[]), 200),
    ("list", Who::Scopes(&[ALL_READ, ALL_MANAGE], &[]), 200),
    ("get", Who::Scopes(&[MY_READ, MY_MANAGE, ALL_READ, ALL_MANAGE], &[ALL_UPDATE, MANAGED_READ]), 200),
    ("patch", Who::Scopes(&[MY_MANAGE], &[ALL_UPDATE, MANAGED_READ]), 200),
    ("delete", Who::Scopes(&[MY_MANAGE, ALL_MANAGE], &[ALL_UPDATE, MANAGED_READ]), 204),
    ("bulk-update", Who::Scopes(&[ALL_UPDATE], &[]), 200),
];

fn entry(route: &Route) -> (&'static Who, u16) {
    let found = TABLE.iter().find(|(name, ..)| *name == route.name);
    let (_, who, success) = found.unwrap_or_else(|| panic!("'{}' has no entry in the table", route.name));
    // RFC 8414 section 3.1: with an issuer's path that is not Patron's there is nothing.
    if route.path.ends_with("{*path}") { (&Who::Anyone(404), 404) } else { (who, *success) }
}

/// An administrator with a PAT that may be lost, and an access token of that PAT.
async fn aim(patron: &Patron, owner: &Identity) -> Aim {
    let target = patron.pat(owner, &crate::callers::fresh_name(), &[]).await;
    let token = patron.bearer(&target).await;
    let token = token.strip_prefix("Bearer ").unwrap().to_owned();
    Aim { pat: target.id, identity: owner.id.to_string(), token }
}

fn selection(owner: &Identity) -> Selection {
    let filter = Filter::parse("").unwrap();
    Selection { tenant: owner.tenant, owner: Some(owner.id), managed: true, filter }
}

fn told(route: &Route) -> String {
    format!("{} {}", route.method.as_ref().map_or("ANY", |method| method.as_str()), route.path)
}

#[test]
fn the_table_has_every_endpoint_and_no_other() {
    let known: BTreeSet<&str> = TABLE.iter().map(|(name, ..)| *name).collect();
    let there: BTreeSet<&str> = endpoints().iter().map(|route| route.name).collect();
    assert_eq!(known, there);
    assert_eq!(known.len(), TABLE.len(), "an entry stands twice");
    for route in endpoints() {
        let (who, _) = entry(&route);
        let open = matches!(route.handler, Handler::Open(_));
        let by_itself = matches!(who, Who::Anyone(_) | Who::Client | Who::Gateway);
        assert_eq!(open, by_itself, "{}", told(&route));
    }
}

/// Credentials that are good for nothing, each as its `Authorization` headers.
async fn bad_credentials(patron: &Patron) -> Vec<(&'static str, Vec<String>)> {
    let admin = &patron.admin;
    let token = patron.bearer(admin).await;
    let [header, claims, signature] =
        token.strip_prefix("Bearer ").unwrap().split('.').collect::<Vec<_>>()[..]
    else {
        panic!()
    };
    let decoded =
        |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let none = encoded(&json!({ "alg": "none", "typ": "at+jwt" }));
    let hmac = encoded(&json!({ "alg": "HS256", "typ": "at+jwt", "kid": decoded(header)["kid"] }));
    let mut longer = decoded(claims);
    longer["exp"] = (longer["exp"].as_i64().unwrap() + 1).into();
    let longer = encoded(&longer);

    let worker = patron.identity("worker", &["ORG_ADMIN"]).await;
    let disabled = patron.pat(&worker, "a", &[]).await;
    let disabled_token = patron.bearer(&disabled).await;
    patron.change(&worker, |worker| worker.enabled = false).await.unwrap();
    let owner = patron.identity("owner", &["ORG_ADMIN"]).await;
    let deleted = patron.pat(&owner, "deleted", &[]).await;
    let deleted_token = patron.bearer(&deleted).await;
    patron.revoke_pat(TenantName::DEFAULT, &deleted.id).await;
    let revoked = patron.bearer(admin).await;
    let form = [("token", revoked.strip_prefix("Bearer ").unwrap())];
    patron.send_as(&admin.basic(), Call::post("/oauth/revoke").form(&form)).await.expect(200);
    let expired = short_lived(patron, admin).await;
    let expired_token = patron.bearer(&expired).await;
    patron.pass_seconds(60);

    let one = |text: &str| vec![text.to_owned()];
    vec![
        ("nothing", vec![]),
        ("an empty header", one("")),
        ("an unknown scheme", one(&format!("Token {}", admin.secret))),
        ("the secret as a token", one(&format!("Bearer {}", admin.secret))),
        ("Bearer and nothing", one("Bearer ")),
        ("garbage", one("Bearer a.b.c")),
        ("no algorithm", vec![format!("Bearer {none}.{claims}.")]),
        ("no algorithm, signed", vec![format!("Bearer {none}.{claims}.{signature}")]),
        ("another algorithm", vec![format!("Bearer {hmac}.{claims}.{signature}")]),
        ("no signature", vec![format!("Bearer {header}.{claims}.")]),
        ("other claims", vec![format!("Bearer {header}.{longer}.{signature}")]),
        ("a wrong secret", one(&basic(&admin.id, &"0".repeat(64)))),
        ("another's secret", one(&basic(&admin.id, &disabled.secret))),
        ("an unknown id", one(&basic(UNKNOWN, &admin.secret))),
        ("an id in capitals", one(&basic(&admin.id.to_uppercase(), &admin.secret))),
        ("id and secret the wrong way round", one(&basic(&admin.secret, &admin.id))),
        ("no secret", one(&basic(&admin.id, ""))),
        ("no id", one(&basic("", &admin.secret))),
        ("no colon", vec![format!("Basic {}", URL_SAFE_NO_PAD.encode(&admin.id))]),
        ("no Base64", one("Basic %%%")),
        ("a disabled owner's PAT", vec![disabled.basic()]),
        ("a disabled owner's token", vec![disabled_token]),
        ("a deleted PAT", vec![deleted.basic()]),
        ("a deleted PAT's token", vec![deleted_token]),
        ("an expired PAT", vec![expired.basic()]),
        ("an expired PAT's token", vec![expired_token]),
        ("a revoked token", vec![revoked]),
        ("two credentials", vec![admin.basic(), patron.bearer(admin).await]),
    ]
}

/// A PAT of the administrator's that ends in a moment.
async fn short_lived(patron: &Patron, admin: &Pat) -> Pat {
    let new = json!({ "name": "short", "expirationDate": patron.in_seconds(30) });
    let call = Call::post("/personal-access-tokens/v1").json(&new);
    let made = patron.send_as(&admin.basic(), call).await.expect(200).json();
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    Pat { id: text("id"), secret: text("secret"), owner: admin.owner.clone() }
}

#[track_caller]
fn assert_challenged(reply: &Reply, route: &Route, with: &str) {
    let who = format!("{} with {with}: {}", told(route), reply.text());
    assert_eq!(reply.status.as_u16(), 401, "{who}");
    assert_eq!(reply.header("content-type"), Some("application/json"), "{who}");
    let (challenge, fields) = match entry(route).0 {
        Who::Client => (r#"Basic realm="patron""#, &["error", "error_description"][..]),
        Who::Gateway => (r#"Basic realm="patron", Bearer realm="patron""#, &["error"][..]),
        _ => (r#"Bearer realm="patron""#, &["error"][..]),
    };
    assert_eq!(reply.headers.get_all("www-authenticate").iter().collect::<Vec<_>>(), [challenge], "{who}");
    let body = reply.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), fields, "{who}");
    if matches!(entry(route).0, Who::Client) {
        assert_eq!(body["error"], "invalid_client", "{who}");
    } else {
        let text = body["error"].as_str().unwrap();
        let known = ["JWT validation failed: ", "Basic authentication failed: "];
        assert!(known.iter().any(|start| text.starts_with(start)), "{who}");
    }
}

#[tokio::test]
async fn nobody_gets_in_without_a_good_credential() {
    let patron = Patron::with(unlimited).await;
    let owner = patron.identity("target", &["ORG_ADMIN"]).await;
    let aim = aim(&patron, &owner).await;
    let bad = bad_credentials(&patron).await;
    let before = patron.identity_now(TenantName::DEFAULT, &aim.identity).await;
    for route in endpoints() {
        let (who, _) = entry(&route);
        for (with, headers) in &bad {
            let mut call = good_call(&route, &aim);
            for header in headers {
                call = call.auth(header);
            }
            let reply = patron.send(call).await;
            match who {
                Who::Anyone(status) => {
                    assert_eq!(reply.status.as_u16(), *status, "{} with {with}", told(&route));
                }
                // Two secrets are a bad request, not a bad client.
                Who::Client if *with == "two credentials" => assert_eq!(reply.status.as_u16(), 400),
                _ => assert_challenged(&reply, &route, with),
            }
        }
    }
    // Nothing came of it.
    assert!(patron.exists(TenantName::DEFAULT, &aim.pat).await);
    assert_eq!(patron.identity_now(TenantName::DEFAULT, &aim.identity).await, before);
    assert_eq!(patron.app.store.pats_count(selection(&owner)).await.unwrap(), 1);
}

/// Who has no credential learns nothing: not whether an id is there, not whether the body is good.
#[tokio::test]
async fn without_a_credential_every_request_looks_the_same() {
    let patron = Patron::with(unlimited).await;
    let owner = patron.identity("target", &["ORG_ADMIN"]).await;
    let aim = aim(&patron, &owner).await;
    let nowhere = Aim { pat: UNKNOWN.to_owned(), identity: UNKNOWN.to_owned(), token: "x".to_owned() };
    let malformed = Aim { pat: "x".to_owned(), identity: "%00".to_owned(), token: "x".to_owned() };
    for route in endpoints() {
        if matches!(route.handler, Handler::Open(_)) {
            continue;
        }
        let mut answers = Vec::new();
        for aim in [&aim, &nowhere, &malformed] {
            answers.push(patron.send(good_call(&route, aim)).await);
            answers.push(patron.send(good_call(&route, aim).body("text/csv", "{")).await);
            let mut call = good_call(&route, aim);
            call.uri += "?limit=x&filters=(&owner-id=me";
            answers.push(patron.send(call).await);
            if route.method.as_ref().is_some_and(|method| method == "GET") {
                let head = Call::new("HEAD", &good_call(&route, aim).uri);
                answers.push(patron.send(head).await);
            }
        }
        for answer in answers {
            assert_eq!(answer.status.as_u16(), 401, "{}", told(&route));
            assert_eq!(
                answer.text(),
                r#"{"error":"JWT validation failed: no Authorization header"}"#,
                "{}",
                told(&route)
            );
        }
    }
}

/// A credential is taken from the `Authorization` header alone at the API.
#[tokio::test]
async fn a_credential_elsewhere_is_none() {
    let patron = Patron::with(unlimited).await;
    let token = patron.bearer(&patron.admin).await;
    let token = token.strip_prefix("Bearer ").unwrap();
    let owner = patron.identity("target", &["ORG_ADMIN"]).await;
    let aim = aim(&patron, &owner).await;
    let (id, secret) = (&patron.admin.id, &patron.admin.secret);
    for route in endpoints() {
        if matches!(route.handler, Handler::Open(_)) {
            continue;
        }
        let mut in_query = good_call(&route, &aim);
        in_query.uri = format!("{}?access_token={token}&client_id={id}&client_secret={secret}", in_query.uri);
        let in_cookie = good_call(&route, &aim).header("cookie", &format!("access_token={token}"));
        let for_proxy = good_call(&route, &aim).header("proxy-authorization", &patron.admin.basic());
        let forwarded = good_call(&route, &aim).header("x-auth-identity", &patron.admin.owner);
        for call in [in_query, in_cookie, for_proxy, forwarded] {
            assert_challenged(&patron.send(call).await, &route, "a credential elsewhere");
        }
    }
}

#[tokio::test]
async fn too_little_and_just_enough() {
    let patron = Patron::with(unlimited).await;
    let owner = patron.identity("target", &["ORG_ADMIN"]).await;
    let mut scopes: Vec<String> = [ALL, DEFAULT, "other:service"].map(str::to_owned).to_vec();
    scopes.extend(RIGHT_SCOPES.iter().flat_map(|&scope| [scope.to_owned(), respelled(scope)]));
    let mut credentials = Vec::new();
    for scope in &scopes {
        let pat = patron.pat(&owner, scope, &[scope]).await;
        credentials.push((scope, pat.basic(), patron.bearer(&pat).await));
    }
    let mut aim = aim(&patron, &owner).await;
    for route in endpoints() {
        let (who, success) = entry(&route);
        for (scope, basic, bearer) in &credentials {
            for (auth, way) in [(basic, "Basic"), (bearer, "Bearer")] {
                let expected = match who {
                    Who::Client if way == "Bearer" => 401,
                    Who::Anyone(_) | Who::Client | Who::Gateway | Who::Credential => success,
                    Who::Scopes(..) if *scope == ALL => success,
                    Who::Scopes(enough, blind) => {
                        let is = |list: &[&str]| list.iter().any(|&s| s == *scope || respelled(s) == **scope);
                        if is(enough) {
                            success
                        } else if is(blind) {
                            404
                        } else {
                            403
                        }
                    }
                };
                let reply = patron.send_as(auth, good_call(&route, &aim)).await;
                let what = format!("{} with {way} and {scope}: {}", told(&route), reply.text());
                if route.name == "revoke" && way == "Basic" && expected == 200 {
                    // Another PAT's access token: only with the right to delete that PAT.
                    let may = *scope == ALL || scope.ends_with("all-personal-access-tokens:manage");
                    assert_eq!(reply.status.as_u16(), if may { 200 } else { 400 }, "{what}");
                } else {
                    assert_eq!(reply.status.as_u16(), expected, "{what}");
                }
                let deleted = reply.status.is_success() && route.name == "delete";
                assert_eq!(patron.exists(TenantName::DEFAULT, &aim.pat).await, !deleted, "{what}");
                if deleted || route.name == "revoke" {
                    aim = self::aim(&patron, &owner).await;
                }
                if expected == 403 {
                    reply.expect_error("403 Forbidden");
                } else if expected == 404 && route.path.contains("{id}") {
                    reply.expect_error("404 Not found");
                }
                if route.name == "patch-auth-user" && expected == 200 {
                    let admin = |owner: &mut Identity| {
                        owner.levels = vec!["ORG_ADMIN".to_owned()];
                    };
                    patron.change(&owner, admin).await.unwrap();
                }
            }
        }
    }
}

/// The same scopes, held by somebody whose level has none of these rights but their own.
#[tokio::test]
async fn scopes_give_no_more_than_the_level_has() {
    let patron = Patron::with(unlimited).await;
    let owner = patron.identity("plain", &["HELPDESK"]).await;
    for &scope in &RIGHT_SCOPES {
        let pat = patron.pat(&owner, scope, &[scope]).await;
        for route in endpoints() {
            let (Who::Scopes(enough, _), success) = entry(&route) else { continue };
            let aim = aim(&patron, &owner).await;
            let reply = patron.send_as(&pat.basic(), good_call(&route, &aim)).await;
            let mine = scope == MY_READ || scope == MY_MANAGE;
            let expected = if mine && enough.contains(&scope) { success } else { 403 };
            assert_eq!(reply.status.as_u16(), expected, "{} with {scope}: {}", told(&route), reply.text());
        }
    }
}

/// Without a right on PATs every PAT path is forbidden, whatever it names; with one, what is not to be seen is as
/// what is not there, and so is what cannot be an id.
#[tokio::test]
async fn known_unknown_and_malformed_ids() {
    let patron = Patron::with(unlimited).await;
    let owner = patron.identity("target", &["ORG_ADMIN"]).await;
    let target = aim(&patron, &owner).await;
    let without = patron.caller(&["ORG_ADMIN"], &[DEFAULT, AUDIT_READ, USER_MANAGE, "other:service"]).await;
    let stranger = patron.caller(&[], &[]).await;
    let capitals = target.pat.to_uppercase();
    let ids =
        [&target.pat, UNKNOWN, "x", &capitals, "%20", "%00", "me", &target.pat[..31], &owner.id.to_string()];
    for route in endpoints().iter().filter(|route| route.path.contains("personal-access-tokens")) {
        let named = ["get", "patch", "delete"].contains(&route.name);
        for id in ids {
            let aim = Aim { pat: id.to_owned(), ..target.clone() };
            let what = format!("{} of {id}", told(route));
            let reply = patron.send_as(&without.basic(), good_call(route, &aim)).await;
            let text = reply.expect_error("403 Forbidden").message();
            assert!(text.starts_with("This needs "), "{what}: {text}");
            if named {
                let reply = patron.send_as(&stranger.basic(), good_call(route, &aim)).await;
                let text = reply.expect_error("404 Not found").message();
                assert_eq!(text, "There is no such personal access token.", "{what}");
            }
        }
    }
    assert!(patron.exists(TenantName::DEFAULT, &target.pat).await);
}
