//! What official clients trip over (contract section 10), point by point.

use serde_json::{Value, json};

use crate::support::{Call, Patron, basic, form};

const PATS: &str = "/personal-access-tokens/v1";

async fn create(patron: &Patron, agent: &str, body: &Value) -> Value {
    let call = Call::post(PATS).auth(&patron.admin.basic()).header("user-agent", agent).json(body);
    patron.send(call).await.expect(200).json()
}

/// `2017-07-11T18:45:37.098Z`
fn is_date(value: &Value) -> bool {
    let form = "dddd-dd-ddTdd:dd:dd.dddZ";
    value.as_str().is_some_and(|text| {
        text.len() == form.len()
            && text.chars().zip(form.chars()).all(|(c, f)| if f == 'd' { c.is_ascii_digit() } else { c == f })
    })
}

#[tokio::test]
async fn a_creation_is_200_with_all_its_fields_and_nothing_else() {
    let patron = Patron::start().await;
    let body =
        json!({ "name": "x", "expirationDate": "2028-01-01T01:00:00.5+01:00", "nobody": "knows this" });
    let call = Call::post(PATS).auth(&patron.admin.basic()).json(&body);
    let reply = patron.send(call).await.expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let made = reply.json();
    assert_eq!(
        made,
        json!({
            "id": made["id"], "secret": made["secret"], "scope": ["sp:scopes:all"], "name": "x",
            "owner": { "type": "IDENTITY", "id": patron.admin.owner, "name": "Administrator" },
            "created": "2027-03-01T12:00:00.000Z", "accessTokenValiditySeconds": 43_200,
            "expirationDate": "2028-01-01T00:00:00.500Z",
        })
    );
    let one = patron
        .send(Call::get(&format!("{PATS}/{}", made["id"].as_str().unwrap())).auth(&patron.admin.basic()));
    let one = one.await.expect(200).json();
    assert!(is_date(&one["created"]) && is_date(&one["expirationDate"]), "{one}");
    assert_eq!(one["lastUsed"], Value::Null);
    patron.bearer(&patron.admin).await;
    let list = patron.send(Call::get(PATS).auth(&patron.admin.basic())).await.expect(200).json();
    let used = list.as_array().unwrap().iter().find(|pat| pat["name"] == "bootstrap").unwrap();
    assert!(is_date(&used["lastUsed"]), "{list}");
}

#[tokio::test]
async fn an_empty_body_with_a_json_content_type_is_no_body() {
    let patron = Patron::start().await;
    let made = create(&patron, "test", &json!({ "name": "x", "userAwareTokenNeverExpires": true })).await;
    let one = format!("{PATS}/{}", made["id"].as_str().unwrap());
    for content_type in ["application/json", "application/json; charset=utf-8", "text/plain"] {
        let call = Call::get(&one).auth(&patron.admin.basic()).body(content_type, "");
        patron.send(call).await.expect(200);
    }
    let call = Call::new("DELETE", &one).auth(&patron.admin.basic()).body("application/json", "");
    assert_eq!(patron.send(call).await.expect(204).body, b"");
}

#[tokio::test]
async fn bearer_with_nothing_behind_is_401() {
    let patron = Patron::start().await;
    for value in ["Bearer ", "Bearer"] {
        let reply = patron.send(Call::get(PATS).auth(value)).await.expect(401);
        assert_eq!(reply.json(), json!({ "error": "JWT validation failed: JWT is empty" }));
    }
}

#[tokio::test]
async fn a_charset_may_stand_behind_any_content_type() {
    let patron = Patron::start().await;
    let one = format!("{PATS}/{}", patron.admin.id);
    let rename = json!([{ "op": "test", "path": "/name", "value": "bootstrap" }]).to_string();
    let named = |name: &str| json!({ "name": name, "userAwareTokenNeverExpires": true }).to_string();
    let pairs = form(&[
        ("grant_type", "client_credentials"),
        ("client_id", &patron.admin.id),
        ("client_secret", &patron.admin.secret),
    ]);
    for (method, uri, content_type, body) in [
        ("POST", PATS, "application/json;charset=utf-8", named("one")),
        ("POST", PATS, "application/json; charset=UTF-8", named("two")),
        ("POST", PATS, "", named("three")),
        ("PATCH", &one, "application/json-patch+json; charset=utf-8", rename.clone()),
        ("PATCH", &one, "application/json; charset=utf-8", rename.clone()),
        ("POST", "/oauth/token", "application/x-www-form-urlencoded; charset=utf-8", pairs.clone()),
        ("POST", "/oauth/token", "", pairs),
    ] {
        let call = Call::new(method, uri);
        let call = if uri == "/oauth/token" { call } else { call.auth(&patron.admin.basic()) };
        let reply = patron.send(call.body(content_type, body)).await;
        assert_eq!(reply.status, 200, "{content_type}: {}", reply.text());
    }
}

#[tokio::test]
async fn slashes_too_many_do_not_matter() {
    let patron = Patron::start().await;
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_id", patron.admin.id.as_str()),
        ("client_secret", patron.admin.secret.as_str()),
    ];
    for uri in ["//oauth/token", "/oauth/token/", "/oauth//token//", "///oauth/token"] {
        patron.send(Call::post(uri).form(&pairs)).await.expect(200);
    }
    for uri in
        ["//personal-access-tokens/v1", "/personal-access-tokens/v1/", "/v2025//personal-access-tokens/"]
    {
        let reply = patron.send(Call::get(&format!("{uri}?owner-id=me")).auth(&patron.admin.basic())).await;
        assert_eq!(reply.expect(200).json().as_array().unwrap().len(), 1);
    }
    // The shape of an error is that of the path as it is meant.
    assert!(
        patron.send(Call::get("//oauth/token/")).await.expect(405).json()["error_description"].is_string()
    );
    assert_eq!(
        patron.send(Call::get("//v3/personal-access-tokens/")).await.expect(401).header("x-deprecated"),
        Some("true")
    );
}

#[tokio::test]
async fn clients_that_read_no_null_date_are_told_one() {
    let patron = Patron::with(|settings| settings.pat_limits.per_owner = 100).await;
    let never = |name: &str| json!({ "name": name, "userAwareTokenNeverExpires": true });
    let far = json!("9999-12-31T23:59:59.999Z");
    for (agent, said) in [
        ("SailPoint-SDK-Python/1.3.0", &far),
        ("SailPoint-SDK-Python", &far),
        ("SailPoint-SDK-Go/2.0", &far),
        ("SailPoint-SDK-TypeScript/1.0", &Value::Null),
        ("SailPoint-SDK-PowerShell", &Value::Null),
        ("curl SailPoint-SDK-Go", &Value::Null),
        ("python-requests/2.32", &Value::Null),
        ("", &Value::Null),
    ] {
        let made = create(&patron, agent, &never(&format!("for {agent}"))).await;
        assert_eq!(&made["expirationDate"], said, "{agent}");
        // Only that answer: it never expires.
        let uri = format!("{PATS}/{}", made["id"].as_str().unwrap());
        let call = Call::get(&uri).auth(&patron.admin.basic()).header("user-agent", agent);
        let one = patron.send(call).await.expect(200).json();
        assert_eq!(
            (&one["expirationDate"], &one["userAwareTokenNeverExpires"]),
            (&Value::Null, &json!(true))
        );
    }
    let dated = json!({ "name": "dated", "expirationDate": "2028-01-01T00:00:00Z" });
    let made = create(&patron, "SailPoint-SDK-Go/2.0", &dated).await;
    assert_eq!(made["expirationDate"], "2028-01-01T00:00:00.000Z");

    let off = Patron::with(|settings| settings.compatibility.never_expires_date = false).await;
    assert_eq!(create(&off, "SailPoint-SDK-Python/1.3.0", &never("x")).await["expirationDate"], Value::Null);
}

#[tokio::test]
async fn a_prefix_in_front_works_behind_a_proxy_that_leaves_it_on() {
    let patron =
        Patron::with(|settings| settings.public_url = "https://example.test/patron".parse().unwrap()).await;
    let credential = basic(&patron.admin.id, &patron.admin.secret);
    // With it, and without it where the proxy takes it off.
    for prefix in ["/patron", ""] {
        let info = patron.send(Call::get(&format!("{prefix}/oauth/info"))).await.expect(200).json();
        assert_eq!(info["tokenEndpoint"], "https://example.test/patron/oauth/token");
        assert_eq!(info["cloudDomainUrl"], "https://example.test/patron");
        patron.send(Call::get(&format!("{prefix}{PATS}")).auth(&credential)).await.expect(200);
        patron.send(Call::get(&format!("{prefix}/docs"))).await.expect(200);
        let reply = patron.send(Call::get(&format!("{prefix}/oauth/token"))).await.expect(405);
        assert!(reply.json()["error_description"].is_string());
        let metadata = format!("{prefix}/.well-known/oauth-authorization-server");
        let metadata = patron.send(Call::get(&metadata)).await.expect(200).json();
        assert_eq!(metadata["issuer"], "https://example.test/patron");
    }
    // RFC 8414 section 3.1: the issuer's path behind the well-known one.
    patron.send(Call::get("/.well-known/oauth-authorization-server/patron")).await.expect(200);
    for uri in ["/patronx/oauth/info", "/patron/patron/oauth/info", "/Patron/oauth/info", "/patronoauth/info"]
    {
        patron.send(Call::get(uri)).await.expect(404);
    }
}
