//! PATs: made, shown, deleted (contract sections 4, 5 and 10).

use serde_json::{Value, json};

use crate::support::{Call, PATS, Patron, START};

/// A creation that keeps all rules.
fn good(name: &str) -> Value {
    json!({"name": name, "expirationDate": "2028-01-01T00:00:00Z"})
}

#[tokio::test]
async fn a_creation_answers_these_fields_and_no_others() {
    let patron = Patron::start().await;
    let call = Call::post(PATS).auth(&patron.admin.basic()).json(&json!({
        "name": "NodeJS Integration",
        "scope": ["demo:first", "demo:second", "demo:first"],
        "accessTokenValiditySeconds": 36_900,
        "expirationDate": "2027-12-31T23:59:59.999Z",
    }));
    let reply = patron.send(call).await.expect(200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let mut made = reply.json();
    let id = made["id"].take();
    let secret = made["secret"].take();
    assert!(is_hex(id.as_str().unwrap(), 32), "{id}");
    assert!(is_hex(secret.as_str().unwrap(), 64), "{secret}");
    assert_eq!(
        made,
        json!({
            "id": null,
            "secret": null,
            "name": "NodeJS Integration",
            "scope": ["demo:first", "demo:second"],
            "owner": {"type": "IDENTITY", "id": patron.admin.owner, "name": "Administrator"},
            "created": START,
            "accessTokenValiditySeconds": 36_900,
            "expirationDate": "2027-12-31T23:59:59.999Z",
        })
    );
}

#[tokio::test]
async fn a_creation_has_defaults_and_a_null_date_when_it_never_expires() {
    let patron = Patron::start().await;
    let mut made = patron
        .create(&patron.admin.basic(), &json!({"name": "never", "userAwareTokenNeverExpires": true}))
        .await;
    made["id"].take();
    made["secret"].take();
    assert_eq!(
        made,
        json!({
            "id": null,
            "secret": null,
            "name": "never",
            "scope": ["sp:scopes:all"],
            "owner": {"type": "IDENTITY", "id": patron.admin.owner, "name": "Administrator"},
            "created": START,
            "accessTokenValiditySeconds": 43_200,
            "expirationDate": null,
        })
    );
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// CRC-32 as zlib has it, bit by bit, so that the product's own is not its own judge.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

#[tokio::test]
async fn a_secret_ends_in_its_checksum_and_is_kept_nowhere() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    let one = patron.create(&admin, &good("one")).await;
    let two = patron.create(&admin, &good("two")).await;
    assert_ne!(one["secret"], two["secret"]);
    assert_ne!(one["id"], two["id"]);
    let (id, secret) = (one["id"].as_str().unwrap(), one["secret"].as_str().unwrap());
    let bytes = hex::decode(secret).unwrap();
    assert_eq!(bytes[28..], crc32(&bytes[..28]).to_be_bytes());
    assert!(patron.exchange(id, secret).await.status.is_success());

    // Neither an answer nor the database has it.
    assert_eq!(patron.shown(&admin, id).await.get("secret"), None);
    let list = patron.send(Call::get(PATS).auth(&admin)).await.expect(200).text();
    assert!(!list.contains(secret) && !list.contains("secret"), "{list}");
    for file in std::fs::read_dir(patron.dir.path()).unwrap() {
        let kept = std::fs::read(file.unwrap().path()).unwrap();
        let has = |needle: &[u8]| kept.windows(needle.len()).any(|window| window == needle);
        assert!(!has(secret.as_bytes()) && !has(&bytes));
    }
}

#[tokio::test]
async fn one_pat_as_it_is_shown() {
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    let body = json!({"name": " \tci ", "scope": [], "accessTokenValiditySeconds": 15.0,
        "userAwareTokenNeverExpires": true});
    let made = patron.create(&admin, &body).await;
    let reply =
        patron.send(Call::get(&format!("{PATS}/{}", made["id"].as_str().unwrap())).auth(&admin)).await;
    assert_eq!(
        reply.expect(200).json(),
        json!({
            "id": made["id"],
            "name": "ci",
            "scope": ["sp:scopes:default"],
            "owner": {"type": "IDENTITY", "id": patron.admin.owner, "name": "Administrator"},
            "created": START,
            "lastUsed": null,
            "managed": false,
            "accessTokenValiditySeconds": 15,
            "expirationDate": null,
            "userAwareTokenNeverExpires": true,
        })
    );
}

/// Each creation is refused with the code, and leaves nothing behind.
async fn all_refused(patron: &Patron, cases: &[(Value, &str)]) {
    for (change, code) in cases {
        let mut body = good("wanted");
        for (field, value) in change.as_object().unwrap() {
            body[field] = value.clone();
        }
        let reply = patron.send(Call::post(PATS).auth(&patron.admin.basic()).json(&body)).await;
        assert_eq!(reply.status, 400, "{body}");
        reply.expect_error(code);
    }
    assert_eq!(patron.listed(&patron.admin.basic(), "").await, ["bootstrap"]);
}

#[tokio::test]
async fn names_have_their_limits() {
    let patron = Patron::start().await;
    all_refused(
        &patron,
        &[
            (json!({"name": null}), "400.1.0 Required Data Missing Or Empty"),
            (json!({"name": ""}), "400.1.0 Required Data Missing Or Empty"),
            (json!({"name": " \t\n"}), "400.1.0 Required Data Missing Or Empty"),
            (json!({"name": "é".repeat(256)}), "400.1.2 Value length out of range"),
            (json!({"name": "a\u{0}b"}), "400.1.3 Illegal value"),
            (json!({"name": "a\nb"}), "400.1.3 Illegal value"),
            (json!({"name": "a\u{7f}b"}), "400.1.3 Illegal value"),
            (json!({"name": 7}), "400.1.3 Illegal value"),
            (json!({"name": ["a"]}), "400.1.3 Illegal value"),
            (json!({"name": "bootstrap"}), "400.1.409 Reference conflict"),
            (json!({"name": " bootstrap\n"}), "400.1.409 Reference conflict"),
        ],
    )
    .await;
    let admin = patron.admin.basic();
    let nameless = json!({"expirationDate": "2028-01-01T00:00:00Z"});
    let reply = patron.send(Call::post(PATS).auth(&admin).json(&nameless)).await;
    let reply = reply.expect_error("400.1.0 Required Data Missing Or Empty");
    assert_eq!(reply.message(), "Field 'name' is required.");
    // Exact: neither case nor composition makes two names one. 255 characters, not bytes.
    for name in ["Bootstrap", "boot strap", "x", &"é".repeat(255), "e\u{301}", "é", "<b>'\";--"] {
        assert_eq!(patron.create(&admin, &good(name)).await["name"], name);
    }
}

#[tokio::test]
async fn names_are_unique_for_one_owner_alone() {
    let patron = Patron::start().await;
    let jane = patron.identity("jane", &[]).await;
    let jane = patron.pat(&jane, "janes", &[]).await;
    patron.create(&jane.basic(), &good("ci")).await;
    patron.create(&patron.admin.basic(), &good("ci")).await;
    let again = patron.send(Call::post(PATS).auth(&jane.basic()).json(&good("ci"))).await;
    let again = again.expect_error("400.1.409 Reference conflict");
    assert_eq!(again.message(), "The owner has a personal access token named 'ci' already.");
}

#[tokio::test]
async fn scopes_have_their_limits() {
    let patron = Patron::start().await;
    let numbered = |n: usize| (0..n).map(|n| format!("demo:{n}")).collect::<Vec<_>>();
    all_refused(
        &patron,
        &[
            (json!({"scope": "sp:scopes:all"}), "400.1.3 Illegal value"),
            (json!({"scope": [1]}), "400.1.3 Illegal value"),
            (json!({"scope": [null]}), "400.1.3 Illegal value"),
            (json!({"scope": {}}), "400.1.3 Illegal value"),
            (json!({"scope": [""]}), "400.1.3 Illegal value"),
            (json!({"scope": ["two words"]}), "400.1.3 Illegal value"),
            (json!({"scope": ["quo\"te"]}), "400.1.3 Illegal value"),
            (json!({"scope": ["back\\slash"]}), "400.1.3 Illegal value"),
            (json!({"scope": ["umläut"]}), "400.1.3 Illegal value"),
            (json!({"scope": numbered(101)}), "400.1.2 Value length out of range"),
            (json!({"scope": ["s".repeat(256)]}), "400.1.2 Value length out of range"),
        ],
    )
    .await;
    let admin = patron.admin.basic();
    let most = json!({"name": "most", "scope": numbered(100), "userAwareTokenNeverExpires": true});
    assert_eq!(patron.create(&admin, &most).await["scope"], json!(numbered(100)));
    for (name, given, kept) in [
        ("null", json!(null), json!(["sp:scopes:all"])),
        ("empty", json!([]), json!(["sp:scopes:default"])),
        ("long", json!(["s".repeat(255)]), json!(["s".repeat(255)])),
        ("repeats", json!(["b", "a", "b", "a"]), json!(["b", "a"])),
        ("unknown", json!(["made:up"]), json!(["made:up"])),
    ] {
        let body = json!({"name": name, "scope": given, "userAwareTokenNeverExpires": true});
        let made = patron.create(&admin, &body).await;
        assert_eq!(made["scope"], kept, "{name}");
        assert_eq!(patron.shown(&admin, made["id"].as_str().unwrap()).await["scope"], kept, "{name}");
    }
}

#[tokio::test]
async fn the_validity_has_both_ends() {
    let patron = Patron::start().await;
    let validity = |value: Value| json!({"accessTokenValiditySeconds": value});
    all_refused(
        &patron,
        &[
            14.into(),
            43_201.into(),
            0.into(),
            (-1).into(),
            u64::MAX.into(),
            json!(15.5),
            json!("900"),
            json!(true),
        ]
        .map(|value| (validity(value), "400.1.3 Illegal value")),
    )
    .await;
    let admin = patron.admin.basic();
    for (name, given, kept) in [
        ("least", json!(15), 15),
        ("most", json!(43_200), 43_200),
        ("null", json!(null), 43_200),
        ("float", json!(900.0), 900),
    ] {
        let mut body = good(name);
        body["accessTokenValiditySeconds"] = given;
        assert_eq!(patron.create(&admin, &body).await["accessTokenValiditySeconds"], kept, "{name}");
    }
}

#[tokio::test]
async fn never_expiring_is_acknowledged_and_dates_are_in_the_future() {
    let patron = Patron::start().await;
    let date = |value: Value| json!({"expirationDate": value});
    let content = "400.1 Bad Request Content";
    let mut cases = vec![
        (date(json!(null)), content),
        (date(json!("")), content),
        (json!({"expirationDate": null, "userAwareTokenNeverExpires": false}), content),
        (json!({"expirationDate": "", "userAwareTokenNeverExpires": null}), content),
        (json!({"userAwareTokenNeverExpires": "true"}), "400.1.3 Illegal value"),
        (json!({"userAwareTokenNeverExpires": 1}), "400.1.3 Illegal value"),
        // The flag does not make a wrong date right.
        (json!({"expirationDate": "soon", "userAwareTokenNeverExpires": true}), "400.1.3 Illegal value"),
        (date(json!(1_900_000_000_000_i64)), "400.1.3 Illegal value"),
    ];
    for wrong in [
        START,
        "2027-03-01T11:59:59.999Z",
        "1999-12-31T23:59:59Z",
        "2027-03-01T12:00:00+00:01",
        "2028-01-01",
        "2028-02-30T00:00:00Z",
        "2028-01-01 00:00:00Z",
        "2028-01-01T00:00:00.0000000001Z",
        "2028-01-01T00:00:00+0000",
        "10000-01-01T00:00:00Z",
        " ",
        "tomorrow",
    ] {
        cases.push((date(json!(wrong)), "400.1.3 Illegal value"));
    }
    all_refused(&patron, &cases).await;
    let missing = patron.send(Call::post(PATS).auth(&patron.admin.basic()).json(&json!({"name": "x"}))).await;
    let missing = missing.expect_error(content);
    assert_eq!(
        missing.message(),
        "Without 'expirationDate' the token never expires; 'userAwareTokenNeverExpires' must then be true."
    );
}

#[tokio::test]
async fn dates_are_read_in_every_spelling_and_written_in_one() {
    let patron = Patron::with(|settings| settings.pat_limits.per_owner = 20).await;
    let admin = patron.admin.basic();
    for (given, written) in [
        ("2028-01-01T00:00:00Z", "2028-01-01T00:00:00.000Z"),
        ("2028-01-01T00:00:00", "2028-01-01T00:00:00.000Z"),
        ("2028-01-01T00:00:00.5", "2028-01-01T00:00:00.500Z"),
        ("2028-01-01T01:00:00.098+02:00", "2027-12-31T23:00:00.098Z"),
        ("2028-01-01T00:00:00-11:30", "2028-01-01T11:30:00.000Z"),
        ("2028-01-01T00:00:00.123456789Z", "2028-01-01T00:00:00.123Z"),
        ("2027-03-01T12:00:00.001Z", "2027-03-01T12:00:00.001Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ] {
        let made = patron.create(&admin, &json!({"name": given, "expirationDate": given})).await;
        assert_eq!(made["expirationDate"], written);
        let shown = patron.shown(&admin, made["id"].as_str().unwrap()).await;
        assert_eq!(shown["expirationDate"], written);
        assert_eq!(shown["userAwareTokenNeverExpires"], false);
    }
    // A date and the acknowledgement go together; both are kept.
    let both =
        json!({"name": "both", "expirationDate": "2028-01-01T00:00:00Z", "userAwareTokenNeverExpires": true});
    let made = patron.create(&admin, &both).await;
    assert_eq!(made["expirationDate"], "2028-01-01T00:00:00.000Z");
    assert_eq!(patron.shown(&admin, made["id"].as_str().unwrap()).await["userAwareTokenNeverExpires"], true);
}

#[tokio::test]
async fn ten_an_owner_expired_ones_too() {
    let patron = Patron::start().await;
    let owner = patron.identity("jane", &[]).await;
    let jane = patron.pat(&owner, "first", &[]).await.basic();
    let soon = json!({"name": "soon", "expirationDate": patron.in_seconds(60)});
    let soon = patron.create(&jane, &soon).await;
    for n in 3..=10 {
        patron.create(&jane, &good(&format!("{n}"))).await;
    }
    patron.pass_seconds(3_600);
    let eleventh = patron.send(Call::post(PATS).auth(&jane).json(&good("11"))).await;
    let eleventh = eleventh.expect_error("400.1.4 Limit violation");
    assert_eq!(eleventh.message(), "The owner has 10 personal access tokens, and 10 are allowed.");
    // An expired one stays listed and keeps its name, until it is deleted.
    assert_eq!(patron.listed(&jane, "owner-id=me").await.len(), 10);
    let other = patron.create(&patron.admin.basic(), &good("soon")).await;
    assert_eq!(other["name"], "soon", "another owner's");
    let gone = format!("{PATS}/{}", soon["id"].as_str().unwrap());
    patron.send(Call::new("DELETE", &gone).auth(&jane)).await.expect(204);
    patron.create(&jane, &good("soon")).await;
    let again = patron.send(Call::post(PATS).auth(&jane).json(&good("11"))).await;
    again.expect_error("400.1.4 Limit violation");
}

#[tokio::test]
async fn the_limit_is_a_setting() {
    let patron = Patron::with(|settings| settings.pat_limits.per_owner = 2).await;
    let admin = patron.admin.basic();
    patron.create(&admin, &good("second")).await;
    let third = patron.send(Call::post(PATS).auth(&admin).json(&good("third"))).await;
    third.expect_error("400.1.4 Limit violation");
}

#[tokio::test]
async fn a_race_for_one_name_and_for_the_last_place_has_one_winner() {
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    for n in 2..=9 {
        patron.create(&admin, &good(&format!("{n}"))).await;
    }
    let (body, other) = (good("same"), good("other"));
    let attempt = |body| patron.send(Call::post(PATS).auth(&admin).json(body));
    let (a, b, c) = tokio::join!(attempt(&body), attempt(&other), attempt(&body));
    let made = [&a, &b, &c].iter().filter(|reply| reply.status == 200).count();
    assert_eq!(made, 1, "{} {} {}", a.text(), b.text(), c.text());
    assert_eq!(patron.listed(&admin, "").await.len(), 10);
}

#[tokio::test]
async fn a_body_that_is_no_creation() {
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    let send = |body: &str| patron.send(Call::post(PATS).auth(&admin).body("application/json", body));
    for no_json in
        ["", " ", "{", "name=ci", "[]", "\"ci\"", "null", "7", "{\"name\":\"a\",}", "\u{feff}{}", "{} {}"]
    {
        send(no_json).await.expect_error("400.0 Bad request syntax");
    }
    for repeated in [
        r#"{"name":"a","name":"b","userAwareTokenNeverExpires":true}"#,
        r#"{"name":"a","userAwareTokenNeverExpires":true,"x":{"y":1,"y":2}}"#,
        r#"{"name":"a","n\u0061me":"b","userAwareTokenNeverExpires":true}"#,
    ] {
        send(repeated).await.expect_error("400.0 Bad request syntax");
    }
    let latin1 = b"{\"name\":\"caf\xe9\",\"userAwareTokenNeverExpires\":true}".to_vec();
    let reply = patron.send(Call::post(PATS).auth(&admin).body("application/json", latin1)).await;
    reply.expect_error("400.0 Bad request syntax");
    assert_eq!(patron.listed(&admin, "").await, ["bootstrap"]);
}

#[tokio::test]
async fn unknown_fields_are_ignored_and_those_of_the_answer_are_not_settable() {
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    let mut body = good("ci");
    let tries = json!({"id": "0".repeat(32), "secret": "s", "created": "2000-01-01T00:00:00Z", "owner": {"id": "x"},
        "lastUsed": "2000-01-01T00:00:00Z", "tenant": "acme", "$ref": [{}], "managed": null, "ownerId": null});
    body.as_object_mut().unwrap().extend(tries.as_object().unwrap().clone());
    let made = patron.create(&admin, &body).await;
    assert_ne!(made["id"], body["id"]);
    assert_ne!(made["secret"], "s");
    assert_eq!((&made["created"], &made["owner"]["id"]), (&json!(START), &json!(patron.admin.owner)));
}

#[tokio::test]
async fn content_types_and_the_size_of_a_body() {
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    let send = |content_type: &str, name: &str| {
        patron.send(Call::post(PATS).auth(&admin).body(content_type, good(name).to_string()))
    };
    for right in
        ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=\"UTF-8\"", ""]
    {
        send(right, &format!("as {right}")).await.expect(200);
    }
    let mut bare = Call::post(PATS).auth(&admin);
    bare.body = good("no type").to_string().into_bytes();
    patron.send(bare).await.expect(200);
    for wrong in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json-patch+json",
        "application/jsonx",
    ] {
        let reply = send(wrong, wrong).await.expect_error("415.0 Unsupported Media Type");
        assert_eq!(reply.message(), format!("Content type '{wrong}' is not read here."));
    }
    let padded = |bytes: usize, name: &str| {
        let mut body = good(name).to_string();
        body.push_str(&" ".repeat(bytes - body.len()));
        patron.send(Call::post(PATS).auth(&admin).body("application/json", body))
    };
    padded(64 * 1024, "largest").await.expect(200);
    padded(64 * 1024 + 1, "too large").await.expect_error("413.0 Payload Too Large");
}

#[tokio::test]
async fn other_methods_and_other_paths() {
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    let one = format!("{PATS}/{}", patron.admin.id);
    for (method, path, allow) in [
        ("PUT", PATS, "POST, GET, HEAD"),
        ("DELETE", PATS, "POST, GET, HEAD"),
        ("PATCH", PATS, "POST, GET, HEAD"),
        ("POST", &one, "GET, PATCH, DELETE, HEAD"),
        ("PUT", &one, "GET, PATCH, DELETE, HEAD"),
    ] {
        let reply = patron.send(Call::new(method, path).auth(&admin)).await;
        let reply = reply.expect_error("405.0 Method Not Allowed");
        assert_eq!(reply.header("allow"), Some(allow));
    }
    for path in [
        "/personal-access-tokens",
        "/personal-access-tokens/v2",
        "/v4/personal-access-tokens",
        &format!("{one}/x"),
    ] {
        patron.send(Call::get(path).auth(&admin)).await.expect_error("404 Not found");
    }
}

#[tokio::test]
async fn json_content_types_without_a_body_are_nothing_wrong() {
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    let made = patron.create(&admin, &good("ci")).await;
    let one = format!("{PATS}/{}", made["id"].as_str().unwrap());
    let empty = |method: &str, path: &str| {
        patron.send(Call::new(method, path).auth(&admin).body("application/json; charset=utf-8", ""))
    };
    empty("GET", PATS).await.expect(200);
    empty("GET", &one).await.expect(200);
    let gone = empty("DELETE", &one).await.expect(204);
    assert!(gone.body.is_empty());
}

#[tokio::test]
async fn slashes_too_many_and_a_prefix_in_front() {
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    for (n, path) in
        ["/personal-access-tokens/v1/", "//personal-access-tokens//v1", "/personal-access-tokens/v1//"]
            .into_iter()
            .enumerate()
    {
        let made =
            patron.send(Call::post(path).auth(&admin).json(&good(&format!("{n}")))).await.expect(200).json();
        let id = made["id"].as_str().unwrap();
        patron.send(Call::get(&format!("{path}?owner-id=me")).auth(&admin)).await.expect(200);
        patron.send(Call::get(&format!("{path}//{id}/")).auth(&admin)).await.expect(200);
        let patch = json!([{"op": "replace", "path": "/name", "value": path}]);
        patron
            .send(Call::new("PATCH", &format!("{path}/{id}/")).auth(&admin).json_patch(&patch))
            .await
            .expect(200);
        patron.send(Call::new("DELETE", &format!("/{path}/{id}")).auth(&admin)).await.expect(204);
    }

    let patron =
        Patron::with(|settings| settings.public_url = "http://patron.test/patron".parse().unwrap()).await;
    let admin = patron.bearer(&patron.admin).await;
    for path in ["/patron/personal-access-tokens/v1", PATS, "/patron//personal-access-tokens/v1/"] {
        patron.send(Call::get(path).auth(&admin)).await.expect(200);
    }
    let older = patron.send(Call::get("/patron/v3/personal-access-tokens").auth(&admin)).await.expect(200);
    assert_eq!(older.header("x-deprecated"), Some("true"));
    for path in ["/patronx/personal-access-tokens/v1", "/patron/patron/personal-access-tokens/v1"] {
        patron.send(Call::get(path).auth(&admin)).await.expect_error("404 Not found");
    }
}

#[tokio::test]
async fn clients_that_cannot_read_null_get_the_last_date_there_is() {
    let patron = Patron::start().await;
    let admin = patron.admin.basic();
    let last = json!("9999-12-31T23:59:59.999Z");
    for (agent, date) in [
        ("SailPoint-SDK-Python/2.0", &last),
        ("SailPoint-SDK-Go/2.1 (linux)", &last),
        ("SailPoint-SDK-TypeScript/1", &Value::Null),
        ("python-requests SailPoint-SDK-Python", &Value::Null),
        ("sailpoint-sdk-python/2.0", &Value::Null),
    ] {
        let never = json!({"name": agent, "userAwareTokenNeverExpires": true});
        let call = Call::post(PATS).auth(&admin).header("user-agent", agent);
        let made = patron.send(call.json(&never)).await.expect(200).json();
        assert_eq!(&made["expirationDate"], date, "{agent}");
        // Only that answer: it never expires, and every other says so.
        let one = format!("{PATS}/{}", made["id"].as_str().unwrap());
        let shown = patron.send(Call::get(&one).auth(&admin).header("user-agent", agent)).await.expect(200);
        assert_eq!(shown.json()["expirationDate"], Value::Null, "{agent}");
    }
    let dated =
        Call::post(PATS).auth(&admin).header("user-agent", "SailPoint-SDK-Python/2.0").json(&good("dated"));
    assert_eq!(patron.send(dated).await.expect(200).json()["expirationDate"], "2028-01-01T00:00:00.000Z");

    let patron = Patron::with(|settings| settings.compatibility.never_expires_date = false).await;
    let never = json!({"name": "never", "userAwareTokenNeverExpires": true});
    let call = Call::post(PATS).auth(&patron.admin.basic()).header("user-agent", "SailPoint-SDK-Python/2.0");
    assert_eq!(patron.send(call.json(&never)).await.expect(200).json()["expirationDate"], Value::Null);
}
