//! What is sent, and how answers and errors are read.

use patron_client::{
    BulkUpdateRequest, Client, CreatePersonalAccessTokenRequest, Error, ExposeSecret as _, JsonPatch,
    OwnerType, Timestamp,
};
use serde_json::{Value, json};

use crate::double::{Double, ID, SECRET};

const TRACKING: &str = "e7eab60924f64aa284175b9fa3309599";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

async fn served() -> (Double, Client) {
    let double = Double::start().await;
    let client = double.builder().build().unwrap();
    double.then_token("first", 3600);
    client.token().await.unwrap();
    double.asked();
    (double, client)
}

fn pat() -> Value {
    json!({
        "id": ID,
        "name": "NodeJS Integration",
        "scope": ["demo:personal-access-token-scope:first"],
        "owner": { "type": "IDENTITY", "id": "2c9180867b50d088017b554662fb281e", "name": "Support" },
        "created": "2017-07-11T18:45:37.098Z",
    })
}

#[tokio::test]
async fn a_creation_sends_what_was_chosen_and_nothing_else() {
    let (double, client) = served().await;
    let mut answer = pat();
    answer["secret"] = json!("1234");
    answer["accessTokenValiditySeconds"] = json!(36_900);
    answer["expirationDate"] = Value::Null;
    answer["unheardOf"] = json!({ "a": [1] });
    double.then(200, &[], answer.to_string()).then(200, &[], answer.to_string());

    let end = at("2026-12-31T23:59:59.999Z");
    let request =
        CreatePersonalAccessTokenRequest::named("ci").with_scope(["a", "b"]).expiring(end).with_validity(900);
    let made = client.create(&request).await.unwrap();
    assert_eq!((made.secret.expose_secret(), made.access_token_validity_seconds), ("1234", 36_900));
    assert_eq!((made.expiration_date, made.owner.kind), (None, OwnerType::Identity));
    assert!(!format!("{made:?}").contains("1234"));
    client
        .create(&CreatePersonalAccessTokenRequest::named("ci").expiring(end).never_expiring())
        .await
        .unwrap();

    let asked = double.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("POST", "/personal-access-tokens/v1"));
    assert_eq!(asked[0].header("authorization"), Some("Bearer first"));
    assert_eq!(asked[0].header("content-type"), Some("application/json"));
    assert_eq!(asked[0].header("user-agent"), Some(concat!("patron-client/", env!("CARGO_PKG_VERSION"))));
    let bodies: Vec<Value> = asked.iter().map(|asked| serde_json::from_str(&asked.body).unwrap()).collect();
    assert_eq!(
        bodies[0],
        json!({ "name": "ci", "scope": ["a", "b"], "accessTokenValiditySeconds": 900,
                "expirationDate": "2026-12-31T23:59:59.999Z" })
    );
    assert_eq!(bodies[1], json!({ "name": "ci", "userAwareTokenNeverExpires": true }));
    // Each creation has a key of its own, by which a server could know it again.
    let keys: Vec<_> = asked.iter().map(|asked| asked.header("idempotency-key").unwrap()).collect();
    assert!(keys[0].len() == 34 && keys[0] != keys[1], "{keys:?}");
}

#[tokio::test]
async fn an_answer_is_read_with_the_models_defaults() {
    let (double, client) = served().await;
    double.then(200, &[("content-type", "application/json;CHARSET=UTF-8")], pat().to_string());
    let read = client.get(ID).await.unwrap();
    assert_eq!((read.managed, read.access_token_validity_seconds), (false, 43_200));
    assert_eq!(
        (read.last_used, read.expiration_date, read.user_aware_token_never_expires),
        (None, None, None)
    );

    // Null is the default too, and dates come with offsets.
    let mut answer = pat();
    for field in ["lastUsed", "managed", "accessTokenValiditySeconds", "userAwareTokenNeverExpires"] {
        answer[field] = Value::Null;
    }
    answer["expirationDate"] = json!("");
    answer["scope"] = Value::Null;
    answer["created"] = json!("2017-07-11T20:45:37.098+0200");
    double.then(200, &[], answer.to_string());
    let mut again = client.get(ID).await.unwrap();
    // Without a limit it may do everything.
    assert_eq!(again.scope, ["sp:scopes:all"]);
    again.scope.clone_from(&read.scope);
    assert_eq!(again, read);

    // A PAT's secret is shown once: an owner without a display name must not cost it.
    let mut answer = pat();
    answer["owner"]["name"] = Value::Null;
    double.then(200, &[], answer.to_string());
    assert_eq!(client.get(ID).await.unwrap().owner.name, "");

    // What is required is required; and the error repeats nothing of the answer.
    let mut answer = pat();
    answer.as_object_mut().unwrap().remove("created");
    answer["secret"] = json!("1234");
    double.then(200, &[], answer.to_string());
    let error = client.get(ID).await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("1234"));
    double.asked();
}

#[tokio::test]
async fn an_id_cannot_lead_elsewhere() {
    let (double, client) = served().await;
    double.then(204, &[], "").then(204, &[], "");
    client.delete("a/../b?c#d").await.unwrap();
    client.delete("…").await.unwrap();
    assert_eq!(
        double.lines(),
        [
            "DELETE /personal-access-tokens/v1/a%2F..%2Fb%3Fc%23d",
            "DELETE /personal-access-tokens/v1/%E2%80%A6"
        ]
    );
    // What a URL's parser leaves out makes these "..", the list, and another PAT.
    for id in ["", ".", "..", ".\t.", "\n", "ab\ncd"] {
        assert!(matches!(client.delete(id).await, Err(Error::Usage(_))), "{id}");
    }
    assert!(double.asked().is_empty());
}

#[tokio::test]
async fn patches_are_sent_as_patches() {
    let (double, client) = served().await;
    double.then(200, &[], pat().to_string()).then(200, &[], format!("[{}]", pat()));
    client.patch(ID, JsonPatch::new().name("New name")).await.unwrap();
    let patch = JsonPatch::new().never_expiring();
    let changed = client.bulk_update(&BulkUpdateRequest::new([ID], patch)).await.unwrap();
    assert_eq!(changed.len(), 1);
    let asked = double.asked();
    assert_eq!(asked[0].header("content-type"), Some("application/json-patch+json"));
    assert_eq!(asked[0].body, r#"[{"op":"replace","path":"/name","value":"New name"}]"#);
    assert_eq!(asked[1].path, "/personal-access-tokens/v1/bulk-update");
    let sent: Value = serde_json::from_str(&asked[1].body).unwrap();
    assert_eq!(
        sent,
        json!({ "ids": [ID], "patch": [
            { "op": "replace", "path": "/expirationDate", "value": null },
            { "op": "replace", "path": "/userAwareTokenNeverExpires", "value": true },
        ]})
    );
}

#[tokio::test]
async fn errors_carry_what_the_server_said() {
    let (double, client) = served().await;
    let body = json!({
        "detailCode": "400.1.409 Reference conflict", "trackingId": TRACKING, "causes": null,
        "messages": [
            { "locale": "en-US", "localeOrigin": "DEFAULT", "text": "There is one of this name." },
            { "locale": "de", "localeOrigin": "REQUEST", "text": "Gibt es schon." },
        ],
    });
    double.then(400, &[], body.to_string());
    let error =
        client.create(&CreatePersonalAccessTokenRequest::named("ci").never_expiring()).await.unwrap_err();
    assert_eq!(error.status(), Some(400));
    assert_eq!(error.detail_code(), Some("400.1.409 Reference conflict"));
    assert_eq!(error.tracking_id(), Some(TRACKING));
    assert_eq!(error.texts().collect::<Vec<_>>(), ["There is one of this name.", "Gibt es schon."]);
    assert!(!error.maybe_done() && !error.is_outage());

    // What stands in front of the server is not mistaken for it: no missing object, no wrong secret.
    double.then(200, &[], "<html>");
    let error = client.delete(ID).await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }) && error.maybe_done(), "{error:?}");
    for (status, said) in [
        (404, "answered 404 Not Found, not in a form of this API: is the base URL the API's?"),
        (302, "leads elsewhere (302 Found): is the base URL the API's?"),
        (502, "answered 502 Bad Gateway, not in a form of this API: is the base URL the API's?"),
    ] {
        double.then(status, &[("location", "http://127.0.0.1:1/")], "<html>");
        let error = client.get(ID).await.unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }) && error.to_string().ends_with(said), "{error}");
        assert!(!error.is_not_found());
        assert_eq!(error.is_outage(), status == 502);
    }
    double.asked();

    // Nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client =
        Client::new(&format!("http://{address}"), patron_client::Credentials::new(ID, SECRET)).unwrap();
    let error = client.get(ID).await.unwrap_err();
    assert!(error.is_outage() && !error.maybe_done(), "{error:?}");
    assert!(error.to_string().starts_with(&format!("http://{address}/ cannot be reached: ")), "{error}");
    assert!(!format!("{error:?}").contains(SECRET));
}

#[tokio::test]
async fn tokens_are_asked_about_as_the_pat() {
    let (double, client) = served().await;
    double.then(200, &[], r#"{"active":true,"client_id":"x","more":1}"#).then(200, &[], "");
    assert!(client.introspect("some token").await.unwrap().active);
    client.revoke("first").await.unwrap();
    let asked = double.asked();
    assert_eq!(asked[0].path, "/oauth/introspect");
    assert_eq!(asked[0].body, format!("token=some+token&client_id={ID}&client_secret={SECRET}"));
    assert_eq!((asked[1].path.as_str(), asked[0].header("authorization")), ("/oauth/revoke", None));
    // The one that was revoked is no longer in use.
    assert!(client.kept_token().is_none());
}

#[tokio::test]
async fn what_is_for_this_machine_goes_through_no_proxy() {
    // The environment names the proxy, and is a process's own: so this test is that process.
    if std::env::var_os("HTTP_PROXY").is_none() {
        let again = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "calls::what_is_for_this_machine_goes_through_no_proxy"])
            .env("HTTP_PROXY", "http://127.0.0.1:1")
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .output()
            .unwrap();
        let shown = String::from_utf8(again.stdout).unwrap();
        assert!(again.status.success() && shown.contains(" 1 passed"), "{shown}");
        return;
    }
    let (double, client) = served().await;
    double.then(204, &[], "");
    client.delete(ID).await.unwrap();
}

#[tokio::test]
async fn names_of_this_machine_are_asked_of_nobody() {
    let double = Double::start().await;
    for name in ["localhost", "no-such-name.localhost"] {
        let address = double.builder().build().unwrap().base_url().as_str().replace("127.0.0.1", name);
        let client = Client::new(&address, patron_client::Credentials::new(ID, SECRET)).unwrap();
        double.then_token("first", 600);
        assert_eq!(client.token().await.unwrap().expose(), "first");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_is_no_outage() {
    let double = Double::start().await;
    let error = double.builder().user_agent("a\nb").build().unwrap_err();
    assert!(matches!(error, Error::Usage(_)) && !error.is_outage(), "{error:?}");
}
