//! Who may make, see and delete which PAT (contract sections 2, 3, 5 and 11). Patches, bulk updates and lists have
//! their rights tested in their own files.

use serde_json::{Value, json};

use crate::support::{Call, PATS, Patron, basic};

/// A creation that keeps all rules.
fn good(name: &str) -> Value {
    json!({"name": name, "expirationDate": "2028-01-01T00:00:00Z"})
}

#[tokio::test]
async fn who_may_create_get_and_delete() {
    let patron = Patron::start().await;
    let (jane, john) = (patron.identity("jane", &[]).await, patron.identity("john", &[]).await);
    let johns = patron.pat(&john, "johns", &[]).await;
    let johns = format!("{PATS}/{}", johns.id);
    let unknown = format!("{PATS}/{}", "0".repeat(32));
    let all = patron.pat(&jane, "all", &[]).await.basic();
    let own = format!("{PATS}/{}", patron.pat(&jane, "own", &[]).await.id);
    let reader = patron.pat(&jane, "reader", &["sp:my-personal-access-tokens:read"]).await.basic();
    let nothing = patron.pat(&jane, "nothing", &["sp:scopes:default"]).await.basic();
    let admin = patron.admin.basic();

    patron.send(Call::post(PATS).auth(&reader).json(&good("x"))).await.expect_error("403 Forbidden");
    patron.send(Call::get(&own).auth(&reader)).await.expect(200);
    patron.send(Call::new("DELETE", &own).auth(&reader)).await.expect_error("403 Forbidden");

    // What may not be seen is as good as what is not there, to the letter.
    for method in ["GET", "DELETE"] {
        let texts = async |auth: &str, path: &str| {
            patron.send(Call::new(method, path).auth(auth)).await.expect_error("404 Not found").message()
        };
        let theirs = texts(&all, &johns).await;
        assert_eq!(theirs, texts(&all, &unknown).await);
        assert_eq!(theirs, texts(&admin, &unknown).await);
        for malformed in ["x", "0", &"0".repeat(31), &"0".repeat(33), &"g".repeat(32), "%00", "..%2f", "%F0"]
        {
            assert_eq!(theirs, texts(&all, &format!("{PATS}/{malformed}")).await, "{malformed}");
        }
        let upper = format!("{PATS}/{}", patron.admin.id.to_uppercase());
        if patron.admin.id.bytes().any(|b| b.is_ascii_lowercase()) {
            texts(&admin, &upper).await;
        }
        // No PAT right: forbidden, known id or not.
        for path in [&own, &johns, &unknown, &format!("{PATS}/x")] {
            patron.send(Call::new(method, path).auth(&nothing)).await.expect_error("403 Forbidden");
        }
    }
    patron.send(Call::post(PATS).auth(&nothing).json(&good("x"))).await.expect_error("403 Forbidden");
    patron.send(Call::get(PATS).auth(&nothing)).await.expect_error("403 Forbidden");

    patron.send(Call::get(&johns).auth(&admin)).await.expect(200);
    let gone = patron.send(Call::new("DELETE", &johns).auth(&admin)).await.expect(204);
    assert!(gone.body.is_empty());
    assert_eq!(gone.header("content-type"), None);
    patron.send(Call::new("DELETE", &johns).auth(&admin)).await.expect_error("404 Not found");
    patron.send(Call::get(&johns).auth(&admin)).await.expect_error("404 Not found");
    patron.send(Call::new("DELETE", &own).auth(&all)).await.expect(204);
}

#[tokio::test]
async fn creations_are_for_oneself_within_what_the_credential_has() {
    let patron = Patron::start().await;
    let boss = patron.identity("boss", &["ORG_ADMIN"]).await;
    for right in ["sp:all-personal-access-tokens:manage", "idn:my-personal-access-tokens:manage"] {
        let auth = patron.pat(&boss, right, &[right, "demo:x"]).await.basic();
        let post = |scope: Value| {
            let body =
                json!({"name": format!("by {right}"), "scope": scope, "userAwareTokenNeverExpires": true});
            patron.send(Call::post(PATS).auth(&auth).json(&body))
        };
        for excess in ["sp:scopes:all", "demo:y", "sp:managed-personal-access-tokens:read"] {
            let refused = post(json!([right, excess])).await.expect_error("403 Forbidden");
            assert_eq!(
                refused.message(),
                format!("The credential in use lacks the scopes that this would grant: {excess}.")
            );
        }
        // None named is all scopes.
        post(Value::Null).await.expect_error("403 Forbidden");
        let read = right.replace("idn:", "sp:").replace(":manage", ":read");
        let made = post(json!([right, "demo:x", read, "sp:scopes:default"])).await.expect(200).json();
        assert_eq!(made["owner"]["id"], boss.id.to_string());
    }
}

#[tokio::test]
async fn other_tenants_know_nothing_of_a_pat() {
    let patron = Patron::start().await;
    let root = patron.identity_in("acme", "admin", &["ORG_ADMIN"]).await;
    let acme = patron.pat(&root, "theirs", &[]).await;
    let ours = format!("{PATS}/{}", patron.admin.id);
    for method in ["GET", "DELETE"] {
        let call = Call::new(method, &ours).auth(&acme.basic()).host("acme.tenants.test");
        patron.send(call).await.expect_error("404 Not found");
    }
    let patch = json!([{"op": "replace", "path": "/name", "value": "x"}]);
    let call = Call::new("PATCH", &ours).auth(&acme.basic()).host("acme.tenants.test").json_patch(&patch);
    patron.send(call).await.expect_error("404 Not found");
    let list =
        |query: &str| Call::get(&format!("{PATS}?{query}")).auth(&acme.basic()).host("acme.tenants.test");
    let all = patron.send(list("")).await.expect(200).json();
    assert_eq!((all.as_array().unwrap().len(), &all[0]["name"]), (1, &json!("theirs")));
    let of_our_admin =
        patron.send(list(&format!("owner-id={}&count=true", patron.admin.owner))).await.expect(200);
    assert_eq!((of_our_admin.json(), of_our_admin.header("x-total-count")), (json!([]), Some("0")));
    // The same name is free there.
    let call = Call::post(PATS).auth(&acme.basic()).host("acme.tenants.test").json(&good("bootstrap"));
    patron.send(call).await.expect(200);
}

#[tokio::test]
async fn without_a_credential_that_is_good() {
    let patron = Patron::start().await;
    let wrong = basic(&patron.admin.id, &"0".repeat(64));
    for auth in
        [None, Some("Bearer "), Some("Bearer x"), Some("Basic"), Some(wrong.as_str()), Some("Digest x")]
    {
        for (method, path) in [("GET", PATS), ("POST", PATS), ("DELETE", "/personal-access-tokens/v1/x")] {
            let call = auth.into_iter().fold(Call::new(method, path), Call::auth);
            let reply = patron.send(call.body("application/json", "{")).await.expect(401);
            assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"patron\""));
            assert_eq!(reply.header("content-type"), Some("application/json"));
            assert_eq!(reply.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["error"]);
        }
    }
}
