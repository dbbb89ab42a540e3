//! No escalation (contract section 3): a credential can never make, widen or hand out more than it has itself.

use patron_core::name::TenantName;
use patron_core::rights::CustomScope;
use serde_json::{Value, json};

use crate::callers::{
    ALL, DEFAULT, RIGHT_SCOPES, UNKNOWN, fresh_name, path_of, replace, respelled, unlimited,
};
use crate::support::{Call, Pat, Patron, Reply};

const PATS: &str = "/personal-access-tokens/v1";
const MY_READ: &str = RIGHT_SCOPES[0];
const MY_MANAGE: &str = RIGHT_SCOPES[1];
const ALL_READ: &str = RIGHT_SCOPES[2];
const ALL_MANAGE: &str = RIGHT_SCOPES[3];
const USER_MANAGE: &str = RIGHT_SCOPES[9];

/// Patron with a scope for another service, one with rights of its own, and an operator's level.
async fn patron() -> Patron {
    Patron::with(|settings| {
        unlimited(settings);
        settings.levels.insert("AUDITOR".to_owned(), vec!["idn:all-personal-access-tokens:read".to_owned()]);
        settings.levels.insert("SHOPKEEPER".to_owned(), vec!["shop:refund".to_owned()]);
        let scope = |name: &str, rights: &[&str], levels: &[&str]| CustomScope {
            name: name.to_owned(),
            description: String::new(),
            rights: rights.iter().map(|&right| right.to_owned()).collect(),
            levels: levels.iter().map(|&level| level.to_owned()).collect(),
        };
        settings.scopes = vec![
            scope("demo:orders:read", &[], &["*"]),
            scope("demo:reading", &["idn:my-personal-access-tokens:read"], &["*"]),
            scope("demo:both", &[MY_MANAGE, ALL_READ].map(respelled).each_ref().map(String::as_str), &["*"]),
            scope("demo:certificates", &[], &["CERT_ADMIN"]),
            scope("shop:refunds", &["shop:refund"], &["*"]),
        ];
    })
    .await
}

/// A PAT over Basic and an access token made from it, which must fare the same.
async fn both(patron: &Patron, pat: &Pat) -> [String; 2] {
    [pat.basic(), patron.bearer(pat).await]
}

async fn create(patron: &Patron, auth: &str, path: &str, scope: &Value) -> Reply {
    let mut new = json!({ "name": fresh_name(), "expirationDate": "2027-04-01T00:00:00Z" });
    if *scope != json!("omitted") {
        new["scope"] = scope.clone();
    }
    patron.send_as(auth, Call::post(path).json(&new)).await
}

async fn patch(patron: &Patron, auth: &str, id: &str, patch: &Value) -> Reply {
    patron.send_as(auth, Call::new("PATCH", &path_of(id)).json_patch(patch)).await
}

/// Refused, with the excess and nothing else named.
#[track_caller]
fn assert_excess(reply: Reply, excess: &[&str]) {
    let reply = reply.expect_error("403 Forbidden");
    let text = "The credential in use lacks the scopes that this would grant: ";
    assert_eq!(reply.message(), format!("{text}{}.", excess.join(", ")));
}

/// What an administrator's credential with `my:manage` and two more scopes may give on, and what it may not.
fn wanted() -> Vec<(Value, Vec<&'static str>)> {
    vec![
        (json!([MY_MANAGE]), vec![]),
        (json!([MY_MANAGE, "demo:orders:read", "other:service"]), vec![]),
        // The right includes this one.
        (json!([MY_READ]), vec![]),
        (json!(["demo:reading"]), vec![]),
        (json!(["idn:my-personal-access-tokens:manage", "idn:my-personal-access-tokens:read"]), vec![]),
        (json!([DEFAULT]), vec![]),
        (json!([]), vec![]),
        (json!([ALL]), vec![ALL]),
        (json!([MY_MANAGE, ALL]), vec![ALL]),
        (json!([ALL_READ]), vec![ALL_READ]),
        (json!(["idn:all-personal-access-tokens:read"]), vec!["idn:all-personal-access-tokens:read"]),
        (json!([ALL_MANAGE, MY_READ, USER_MANAGE]), vec![ALL_MANAGE, USER_MANAGE]),
        (json!(["demo:both"]), vec!["demo:both"]),
        // Scopes of other services grant nothing here and something there, so they must be held by name.
        (json!(["demo:certificates"]), vec!["demo:certificates"]),
        (json!(["another:service"]), vec!["another:service"]),
        (json!(["OTHER:service"]), vec!["OTHER:service"]),
    ]
}

async fn limited(patron: &Patron) -> Pat {
    patron.caller(&["ORG_ADMIN"], &[MY_MANAGE, "demo:orders:read", "other:service"]).await
}

#[tokio::test]
async fn nobody_creates_beyond_the_credential_in_use() {
    let patron = patron().await;
    let pat = limited(&patron).await;
    for auth in both(&patron, &pat).await {
        for path in [PATS, "/v2025/personal-access-tokens", "/v3/personal-access-tokens"] {
            for (scope, excess) in wanted() {
                let reply = create(&patron, &auth, path, &scope).await;
                if excess.is_empty() {
                    reply.expect(200);
                } else {
                    assert_excess(reply, &excess);
                }
            }
            // What is not said is everything.
            for everything in [json!("omitted"), Value::Null] {
                assert_excess(create(&patron, &auth, path, &everything).await, &[ALL]);
            }
        }
    }
}

#[tokio::test]
async fn nobody_patches_beyond_the_credential_in_use() {
    let patron = patron().await;
    let pat = limited(&patron).await;
    let owner = patron.identity_now(TenantName::DEFAULT, &pat.owner).await.unwrap();
    let target = patron.pat(&owner, "target", &[DEFAULT]).await;
    let whole = patron.pat(&owner, "whole", &[]).await.basic();
    for auth in both(&patron, &pat).await {
        // Itself as well as another of the same owner's.
        for id in [&target.id, &pat.id] {
            let before: Value = patron.send_as(&auth, Call::get(&path_of(id))).await.json()["scope"].clone();
            for (scope, excess) in wanted() {
                let reply = patch(&patron, &auth, id, &replace("/scope", &scope)).await;
                if excess.is_empty() {
                    let stored = if scope == json!([]) { json!([DEFAULT]) } else { scope };
                    assert_eq!(reply.expect(200).json()["scope"], stored);
                    // The credential may have narrowed itself; the next line starts from where this one did.
                    patch(&patron, &whole, id, &replace("/scope", &before)).await.expect(200);
                } else {
                    assert_excess(reply, &excess);
                }
            }
            // Every other way to write a scope.
            for sneaky in [
                json!([{ "op": "add", "path": "/scope/-", "value": ALL }]),
                json!([{ "op": "add", "path": "/scope", "value": [ALL] }]),
                json!([{ "op": "replace", "path": "/scope/0", "value": ALL }]),
                json!([
                    { "op": "replace", "path": "/name", "value": ALL },
                    { "op": "copy", "from": "/name", "path": "/scope/0" },
                    { "op": "replace", "path": "/name", "value": "innocent" },
                ]),
                json!([
                    { "op": "replace", "path": "/name", "value": ALL },
                    { "op": "move", "from": "/name", "path": "/scope/0" },
                    { "op": "add", "path": "/name", "value": "innocent" },
                ]),
            ] {
                assert_excess(patch(&patron, &auth, id, &sneaky).await, &[ALL]);
            }
            let now = patron.send_as(&auth, Call::get(&path_of(id))).await.json();
            assert_eq!(now["scope"], before, "a refused patch left something behind");
            assert_ne!(now["name"], "innocent");
        }
    }
}

/// A PAT keeps what it had: whoever lacks its scopes may still name or narrow it.
#[tokio::test]
async fn a_patch_may_keep_what_was_there() {
    let patron = patron().await;
    let pat = limited(&patron).await;
    let owner = patron.identity_now(TenantName::DEFAULT, &pat.owner).await.unwrap();
    let wide = patron.pat(&owner, "wide", &[ALL_READ, ALL_MANAGE]).await;
    let auth = pat.basic();
    patch(&patron, &auth, &wide.id, &replace("/name", &json!("still wide"))).await.expect(200);
    patch(&patron, &auth, &wide.id, &replace("/scope", &json!([respelled(ALL_READ)]))).await.expect(200);
    // Gone is gone.
    let again = patch(&patron, &auth, &wide.id, &replace("/scope", &json!([ALL_READ, ALL_MANAGE]))).await;
    assert_excess(again, &[ALL_MANAGE]);
}

#[tokio::test]
async fn all_scopes_lack_none_of_the_owners() {
    let patron = patron().await;
    for levels in [&["ORG_ADMIN"][..], &["HELPDESK"], &[]] {
        let pat = patron.caller(levels, &[]).await;
        for auth in both(&patron, &pat).await {
            for (scope, _) in wanted() {
                create(&patron, &auth, PATS, &scope).await.expect(200);
            }
        }
    }
}

/// A PAT of a USER may be given a scope beyond its level; it is stored and grants nothing.
#[tokio::test]
async fn a_scope_beyond_the_level_grants_nothing() {
    let patron = patron().await;
    let pat = patron.caller(&["USER"], &[]).await;
    let made = create(&patron, &pat.basic(), PATS, &json!([ALL_READ, USER_MANAGE])).await.expect(200).json();
    assert_eq!(made["scope"], json!([ALL_READ, USER_MANAGE]));
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    let new = Pat { id: text("id"), secret: text("secret"), owner: pat.owner.clone() };
    for auth in both(&patron, &new).await {
        for uri in [PATS, "/personal-access-tokens/v1?owner-id=me", &format!("/auth-users/v1/{}", pat.owner)]
        {
            patron.send_as(&auth, Call::get(uri)).await.expect_error("403 Forbidden");
        }
    }
    // Until the level has it: levels count as they are now, for tokens made before too.
    let bearer = patron.bearer(&new).await;
    let owner = patron.identity_now(TenantName::DEFAULT, &pat.owner).await.unwrap();
    patron.change(&owner, |owner| owner.levels = vec!["AUDITOR".to_owned()]).await.unwrap();
    patron.send_as(&bearer, Call::get(PATS)).await.expect(200);
    patron.change(&owner, |owner| owner.levels.clear()).await.unwrap();
    patron.send_as(&bearer, Call::get(PATS)).await.expect_error("403 Forbidden");
}

/// An access token that was narrowed has what it was narrowed to, whatever its PAT has.
#[tokio::test]
async fn a_narrowed_token_is_as_weak_as_it_says() {
    let patron = patron().await;
    let narrowed = async |scope: &str| {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        let call = Call::post("/oauth/token").auth(&patron.admin.basic()).form(&form);
        let reply = patron.send(call).await.expect(200).json();
        assert_eq!(reply["scope"], scope);
        format!("Bearer {}", reply["access_token"].as_str().unwrap())
    };
    let auth = narrowed(MY_MANAGE).await;
    for fine in [json!([MY_MANAGE]), json!([MY_READ, DEFAULT]), json!(["demo:reading"])] {
        create(&patron, &auth, PATS, &fine).await.expect(200);
    }
    for excess in [ALL, ALL_READ, "demo:both", "other:service"] {
        assert_excess(create(&patron, &auth, PATS, &json!([MY_READ, excess])).await, &[excess]);
    }
    assert_excess(create(&patron, &auth, PATS, &json!("omitted")).await, &[ALL]);
    assert_excess(create(&patron, &auth, PATS, &json!(["demo:orders:read"])).await, &["demo:orders:read"]);
    // It cannot widen the PAT that it was made from either: that PAT keeps all, or gets less.
    patch(&patron, &auth, &patron.admin.id, &replace("/name", &json!("renamed"))).await.expect(200);
    patch(&patron, &auth, &patron.admin.id, &replace("/scope", &json!([MY_READ]))).await.expect(200);
    assert_excess(patch(&patron, &auth, &patron.admin.id, &replace("/scope", &json!([ALL]))).await, &[ALL]);
    let auth = narrowed(MY_READ).await;
    create(&patron, &auth, PATS, &json!([DEFAULT])).await.expect_error("403 Forbidden");
    patron
        .send_as(&auth, Call::new("DELETE", &path_of(&patron.admin.id)))
        .await
        .expect_error("403 Forbidden");
}

/// To make a PAT of one's own with `all:manage` is not to get `my:manage` by it.
#[tokio::test]
async fn the_right_to_create_gives_no_other() {
    let patron = patron().await;
    let pat = patron.caller(&["ORG_ADMIN"], &[ALL_MANAGE]).await;
    for auth in both(&patron, &pat).await {
        create(&patron, &auth, PATS, &json!([ALL_MANAGE, ALL_READ])).await.expect(200);
        assert_excess(create(&patron, &auth, PATS, &json!([MY_MANAGE, ALL_READ])).await, &[MY_MANAGE]);
    }
}

/// The owner of a PAT is the caller, whoever the caller is; managed PATs are the platform's alone to make.
#[tokio::test]
async fn nobody_makes_a_pat_for_somebody_else() {
    let patron = patron().await;
    let other = patron.identity("other", &["ORG_ADMIN"]).await;
    for field in ["ownerId", "owner", "owner-id", "owner_id"] {
        let mut new = json!({ "name": field, "userAwareTokenNeverExpires": true });
        new[field] = other.id.to_string().into();
        let reply = patron.send_as(&patron.admin.basic(), Call::post(PATS).json(&new)).await;
        if field == "ownerId" {
            reply.expect_error("400.1.3 Illegal value");
        } else {
            assert_eq!(reply.expect(200).json()["owner"]["id"], *patron.admin.owner);
        }
        new["managed"] = true.into();
        new["ownerId"] = other.id.to_string().into();
        let reply = patron.send_as(&patron.admin.basic(), Call::post(PATS).json(&new)).await;
        let text = reply.expect_error("403 Forbidden").message();
        assert_eq!(text, "This needs the right 'idn:managed-personal-access-tokens:manage'.");
    }
    for (more, code) in [
        (json!({ "managed": true }), "400.1.0 Required Data Missing Or Empty"),
        (json!({ "managed": true, "ownerId": "" }), "400.1.0 Required Data Missing Or Empty"),
        (json!({ "managed": true, "ownerId": "x" }), "400.1.404 Referenced object not found"),
        (json!({ "managed": true, "ownerId": UNKNOWN }), "400.1.404 Referenced object not found"),
        (json!({ "managed": false, "ownerId": other.id.to_string() }), "400.1.3 Illegal value"),
    ] {
        let platform = patron.caller(&["PLATFORM"], &[]).await;
        let mut new = json!({ "name": "flow", "userAwareTokenNeverExpires": true });
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        patron.send_as(&platform.basic(), Call::post(PATS).json(&new)).await.expect_error(code);
    }
    // The platform's purpose: any scope, for any enabled identity.
    let platform = patron.caller(&["PLATFORM"], &["sp:managed-personal-access-tokens:manage"]).await;
    let new = |owner: &str| json!({ "name": "flow", "userAwareTokenNeverExpires": true, "managed": true, "ownerId": owner });
    let ask = |owner: &str| Call::post(PATS).json(&new(owner));
    let made = patron.send_as(&platform.basic(), ask(&other.id.to_string())).await.expect(200).json();
    assert_eq!((&made["scope"], &made["owner"]["id"]), (&json!([ALL]), &json!(other.id.to_string())));
    patron.change(&other, |other| other.enabled = false).await.unwrap();
    let reply = patron.send_as(&platform.basic(), ask(&other.id.to_string())).await;
    reply.expect_error("400.1.404 Referenced object not found");
    // And nothing else: what it may make for others it may not make for itself.
    create(&patron, &platform.basic(), PATS, &json!([DEFAULT])).await.expect_error("403 Forbidden");
    let platform =
        patron.caller(&["PLATFORM"], &["sp:managed-personal-access-tokens:manage", MY_MANAGE]).await;
    assert_excess(create(&patron, &platform.basic(), PATS, &json!([ALL])).await, &[ALL]);
}

fn users(id: &str) -> String {
    format!("/auth-users/v1/{id}")
}

async fn give(patron: &Patron, auth: &str, id: &str, levels: &[&str]) -> Reply {
    let call = Call::new("PATCH", &users(id)).json_patch(&replace("/capabilities", &json!(levels)));
    patron.send_as(auth, call).await
}

#[tokio::test]
async fn nobody_gives_a_level_that_exceeds_the_credential() {
    let patron = patron().await;
    let target = patron.identity("target", &["HELPDESK"]).await;
    let id = target.id.to_string();
    let pat = patron.caller(&["ORG_ADMIN"], &[USER_MANAGE, MY_MANAGE]).await;
    for auth in both(&patron, &pat).await {
        let reply = give(&patron, &auth, &id, &["HELPDESK", "ORG_ADMIN"]).await.expect_error("403 Forbidden");
        let text = reply.message();
        for lacks in ["idn:all-personal-access-tokens:manage", "idn:audit-events:read"] {
            assert!(text.contains(lacks), "{text}");
        }
        assert!(!text.contains("auth-user") && !text.contains("my-personal"), "{text}");
        let reply = give(&patron, &auth, &id, &["AUDITOR"]).await.expect_error("403 Forbidden");
        let named = "this would grant: idn:all-personal-access-tokens:read.";
        assert!(reply.message().ends_with(named), "{}", reply.message());
        // Oneself is no exception, and no other operation either.
        give(&patron, &auth, &pat.owner, &["ORG_ADMIN", "AUDITOR"]).await.expect_error("403 Forbidden");
        let add = json!([{ "op": "add", "path": "/capabilities/-", "value": "ORG_ADMIN" }]);
        let reply = patron.send_as(&auth, Call::new("PATCH", &users(&id)).json_patch(&add)).await;
        reply.expect_error("403 Forbidden");
        assert_eq!(patron.identity_now("default", &id).await.unwrap().levels, ["HELPDESK"]);
        // What it has it may give, and what was there may stay.
        give(&patron, &auth, &id, &["HELPDESK", "CERT_ADMIN"]).await.expect(200);
        give(&patron, &auth, &pat.owner, &["ORG_ADMIN", "HELPDESK"]).await.expect(200);
        give(&patron, &auth, &pat.owner, &["ORG_ADMIN"]).await.expect(200);
        give(&patron, &auth, &id, &["HELPDESK"]).await.expect(200);
    }
    // With all scopes every level but one.
    let everything = ["ORG_ADMIN", "AUDITOR", "ROLE_SUBADMIN"];
    let given = give(&patron, &patron.admin.basic(), &id, &everything).await.expect(200).json();
    assert_eq!(given["capabilities"], json!(everything));
}

#[tokio::test]
async fn platform_is_given_on_the_command_line_alone() {
    let patron = patron().await;
    let target = patron.identity("target", &[]).await;
    let both_levels = patron.caller(&["ORG_ADMIN", "PLATFORM"], &[]).await;
    for pat in [&patron.admin, &both_levels] {
        for auth in both(&patron, pat).await {
            for id in [&target.id.to_string(), &patron.admin.owner] {
                let reply = give(&patron, &auth, id, &["ORG_ADMIN", "PLATFORM"]).await;
                let text = reply.expect_error("403 Forbidden").message();
                assert_eq!(text, "Level 'PLATFORM' is given on the command line alone.");
            }
        }
    }
    // Who has it keeps it, and loses it like any other.
    let auth = both_levels.basic();
    let kept = give(&patron, &auth, &both_levels.owner, &["PLATFORM", "ORG_ADMIN"]).await.expect(200).json();
    assert_eq!(kept["capabilities"], json!(["PLATFORM", "ORG_ADMIN"]));
    give(&patron, &auth, &both_levels.owner, &["ORG_ADMIN"]).await.expect(200);
    give(&patron, &auth, &both_levels.owner, &["ORG_ADMIN", "PLATFORM"]).await.expect_error("403 Forbidden");
}

#[tokio::test]
async fn the_last_enabled_administrator_stays() {
    let patron = patron().await;
    let admin = patron.identity_now("default", &patron.admin.owner).await.unwrap();
    let auth = patron.admin.basic();
    let second = patron.identity("second", &["ORG_ADMIN"]).await;
    patron.change(&second, |second| second.enabled = false).await.unwrap();
    // An administrator that is disabled is none, and one of another tenant is no help.
    patron.identity_in("acme", "theirs", &["ORG_ADMIN"]).await;
    let text = "This is the last enabled ORG_ADMIN of the tenant.";
    for levels in [&[][..], &["HELPDESK"]] {
        let reply = give(&patron, &auth, &patron.admin.owner, levels).await;
        assert_eq!(reply.expect_error("400.1 Bad Request Content").message(), text);
    }
    let refused = patron.change(&admin, |admin| admin.enabled = false).await.unwrap_err();
    assert_eq!(refused.to_string(), text);
    let refused = patron.change(&admin, |admin| admin.levels.clear()).await.unwrap_err();
    assert_eq!(refused.to_string(), text);
    let operator = crate::support::operator();
    let refused = patron.app.store.delete_identity(operator, admin.tenant, admin.id).await.unwrap_err();
    assert_eq!(refused.to_string(), text);
    // It changes in other ways, and its credential still works.
    give(&patron, &auth, &patron.admin.owner, &["CERT_ADMIN", "ORG_ADMIN"]).await.expect(200);
    // With a second one it may go.
    patron.change(&second, |second| second.enabled = true).await.unwrap();
    give(&patron, &auth, &patron.admin.owner, &[]).await.expect(200);
    patron.send_as(&auth, Call::get(&users(&patron.admin.owner))).await.expect_error("403 Forbidden");
    let refused = patron.change(&second, |second| second.enabled = false).await.unwrap_err();
    assert_eq!(refused.to_string(), text);
}

/// Revoking an access token of another PAT asks for the right to delete that PAT, and a narrow PAT has it not.
#[tokio::test]
async fn a_narrow_pat_ends_no_tokens_but_its_own() {
    let patron = patron().await;
    let victim = patron.bearer(&patron.admin).await;
    let token = victim.strip_prefix("Bearer ").unwrap();
    let owner = patron.identity_now("default", &patron.admin.owner).await.unwrap();
    // Even of the same owner.
    let narrow = patron.pat(&owner, "narrow", &[MY_MANAGE]).await;
    let call = Call::post("/oauth/revoke").auth(&narrow.basic()).form(&[("token", token)]);
    let reply = patron.send(call).await.expect(400);
    assert_eq!(reply.json()["error"], "unauthorized_client");
    patron.send_as(&victim, Call::get(PATS)).await.expect(200);
}

/// Rights of the operator's own follow the same rule, though no endpoint of Patron's asks for them.
#[tokio::test]
async fn the_operators_own_rights_are_no_exception() {
    let patron = patron().await;
    let target = patron.identity("target", &[]).await.id.to_string();
    let narrow = patron.caller(&["ORG_ADMIN"], &[MY_MANAGE, USER_MANAGE]).await;
    for auth in both(&patron, &narrow).await {
        assert_excess(create(&patron, &auth, PATS, &json!(["shop:refunds"])).await, &["shop:refunds"]);
        let reply = give(&patron, &auth, &target, &["SHOPKEEPER"]).await.expect_error("403 Forbidden");
        assert!(reply.message().ends_with("this would grant: shop:refund."), "{}", reply.message());
    }
    let keeper = patron.caller(&["ORG_ADMIN"], &[MY_MANAGE, USER_MANAGE, "shop:refunds"]).await;
    create(&patron, &keeper.basic(), PATS, &json!(["shop:refunds"])).await.expect(200);
    give(&patron, &keeper.basic(), &target, &["SHOPKEEPER"]).await.expect(200);
}

/// `sp:…` and `idn:…` are one scope wherever a scope is held, asked for or given on.
#[tokio::test]
async fn two_spellings_are_one_scope() {
    let patron = patron().await;
    for scope in RIGHT_SCOPES {
        for (held, wanted) in [(scope.to_owned(), respelled(scope)), (respelled(scope), scope.to_owned())] {
            let pat = patron.caller(&["ORG_ADMIN"], &[&held, MY_MANAGE]).await;
            // Given on, and stored as it was spelled.
            let made = create(&patron, &pat.basic(), PATS, &json!([wanted])).await.expect(200).json();
            assert_eq!(made["scope"], json!([wanted]));
            let to = replace("/scope", &json!([wanted]));
            let id = made["id"].as_str().unwrap();
            patch(&patron, &pat.basic(), id, &replace("/scope", &json!([held]))).await.expect(200);
            assert_eq!(
                patch(&patron, &pat.basic(), id, &to).await.expect(200).json()["scope"],
                json!([wanted])
            );
            // Asked for in an exchange, and answered as it was asked for.
            let form = [("grant_type", "client_credentials"), ("scope", &wanted)];
            let call = Call::post("/oauth/token").auth(&pat.basic()).form(&form);
            let told = patron.send(call).await.expect(200).json();
            assert_eq!(told["scope"], wanted);
            // Asked for by a gateway.
            let bearer = format!("Bearer {}", told["access_token"].as_str().unwrap());
            for asked in [&held, &wanted] {
                let reply = patron.send_as(&bearer, Call::get(&format!("/forward-auth?scope={asked}"))).await;
                // No level but PLATFORM's may use this one.
                let status = if scope.contains("managed-personal-access-tokens:manage") { 403 } else { 200 };
                assert_eq!(reply.status.as_u16(), status, "{asked} with {wanted}");
            }
        }
    }
}
