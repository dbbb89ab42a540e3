//! The reference's four commands and its model, by every client of Patron's against Patron and against the original.

pub(crate) mod callers;
mod faults;
mod readme;
mod servers;

use patron_client::{CreatePersonalAccessTokenRequest, JsonPatch, Timestamp};
use serde_json::{Value, json};

use self::callers::{Caller, CommandLine, Sdk};
use self::servers::{Access, PatronSite, Site};
use crate::original::{Original, Sent};

/// The date of the reference's patch lies in 2027; this one lies ahead of whoever runs the test.
const END: &str = "2099-12-31T23:59:59.999Z";
const FILTERS: &str = "lastUsed le 2023-02-05T10:59:27.214Z";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// The least that a creation can say.
fn minimal() -> CreatePersonalAccessTokenRequest {
    CreatePersonalAccessTokenRequest::named("nightly report").never_expiring()
}

/// All that one can say.
fn complete() -> CreatePersonalAccessTokenRequest {
    CreatePersonalAccessTokenRequest::named("NodeJS Integration")
        .with_scope(["demo:personal-access-token-scope:first", "demo:personal-access-token-scope:second"])
        .with_validity(36_900)
        .expiring(at(END))
}

fn patch() -> JsonPatch {
    JsonPatch::new().name("New name").scope(["sp:scopes:all"]).expiring(at(END))
}

/// The ten properties of `Getpersonalaccesstokenresponse`, as a client gives them.
#[derive(Debug, PartialEq)]
struct Model {
    id: Value,
    name: Value,
    scope: Value,
    owner: Value,
    created: Value,
    last_used: Value,
    managed: Value,
    access_token_validity_seconds: Value,
    expiration_date: Value,
    user_aware_token_never_expires: Value,
}

impl Model {
    #[track_caller]
    fn of(pat: &Value) -> Self {
        let created = pat["created"].as_str().unwrap();
        assert_eq!(at(created).to_string(), created);
        let property =
            |name: &str| pat.get(name).cloned().unwrap_or_else(|| panic!("{name} is missing: {pat}"));
        Self {
            id: property("id"),
            name: property("name"),
            scope: property("scope"),
            owner: property("owner"),
            created: property("created"),
            last_used: property("lastUsed"),
            managed: property("managed"),
            access_token_validity_seconds: property("accessTokenValiditySeconds"),
            expiration_date: property("expirationDate"),
            // Where a server says nothing of it, nothing is made up; the reference's default is false.
            user_aware_token_never_expires: pat
                .get("userAwareTokenNeverExpires")
                .cloned()
                .unwrap_or(json!(false)),
        }
    }
}

fn find<'a>(list: &'a [Value], made: &Value) -> &'a Value {
    list.iter().find(|pat| pat["id"] == made["id"]).unwrap_or_else(|| panic!("{} is not listed", made["id"]))
}

/// Does what the reference's examples do, and looks at all that comes back.
fn run(caller: &dyn Caller, access: &Access) {
    let plain = caller.create(&minimal()).unwrap();
    let full = caller.create(&complete()).unwrap();
    for made in [&plain, &full] {
        assert_eq!(made["secret"].as_str().unwrap().len(), 64);
        assert_eq!(
            (&made["owner"]["type"], &made["owner"]["id"]),
            (&json!("IDENTITY"), &json!(access.owner))
        );
    }
    assert_eq!(
        (&plain["accessTokenValiditySeconds"], &plain["expirationDate"]),
        (&json!(43_200), &Value::Null)
    );
    assert_eq!((&full["accessTokenValiditySeconds"], &full["expirationDate"]), (&json!(36_900), &json!(END)));

    let all = caller.list(None, None).unwrap();
    let used = all.iter().find(|pat| pat["id"] == access.client_id.as_str()).unwrap();
    let used = used["lastUsed"].as_str().unwrap();
    assert_eq!(at(used).to_string(), used);
    let of = |made: &Value, rest: Value| {
        let mut pat = rest;
        for name in ["id", "name", "owner", "created"] {
            pat[name] = made[name].clone();
        }
        Model::of(&pat)
    };
    let defaults = json!({
        "scope": ["sp:scopes:all"], "lastUsed": null, "managed": false, "accessTokenValiditySeconds": 43_200,
        "expirationDate": null, "userAwareTokenNeverExpires": true,
    });
    assert_eq!(Model::of(find(&all, &plain)), of(&plain, defaults));
    let given = json!({
        "scope": ["demo:personal-access-token-scope:first", "demo:personal-access-token-scope:second"],
        "lastUsed": null, "managed": false, "accessTokenValiditySeconds": 36_900, "expirationDate": END,
    });
    assert_eq!(Model::of(find(&all, &full)), of(&full, given));

    assert_eq!(caller.list(Some(&access.owner), Some(FILTERS)).unwrap(), Vec::<Value>::new());
    let unused = caller.list(Some("me"), Some("lastUsed isnull")).unwrap();
    assert_eq!((find(&unused, &plain)["name"].as_str(), unused.len()), (Some("nightly report"), 2));

    let id = full["id"].as_str().unwrap();
    let patched = Model::of(&caller.patch(id, &patch()).unwrap());
    assert_eq!((patched.name, patched.scope), (json!("New name"), json!(["sp:scopes:all"])));
    assert_eq!((patched.expiration_date, patched.access_token_validity_seconds), (json!(END), json!(36_900)));
    let refused = caller.patch(id, &JsonPatch::new().name("").test("/owner", "me")).unwrap_err();
    assert_eq!(refused.status, Some(400));

    for made in [&plain, &full] {
        caller.delete(made["id"].as_str().unwrap()).unwrap();
    }
    let gone = caller.delete(id).unwrap_err();
    assert_eq!((gone.status, gone.detail_code.as_deref()), (Some(404), Some("404 Not found")));
    assert_eq!(caller.list(None, None).unwrap().len(), 1);
}

#[test]
fn the_sdk_against_patron() {
    let patron = PatronSite::start();
    run(&Sdk::new(&patron.access()), &patron.access());
}

#[test]
fn the_sdk_against_the_original() {
    let original = Original::start();
    run(&Sdk::new(&original.access()), &original.access());
    assert_as_the_reference_has_it(&original);
}

#[test]
fn the_command_line_against_patron() {
    let patron = PatronSite::start();
    run(&CommandLine::new(&patron.access()), &patron.access());
}

#[test]
fn the_command_line_against_the_original() {
    let original = Original::start();
    run(&CommandLine::new(&original.access()), &original.access());
    assert_as_the_reference_has_it(&original);
}

/// Whether the requests of [`run`] were those that the reference describes: path, parameters, content type, body.
#[track_caller]
fn assert_as_the_reference_has_it(original: &Original) {
    let sent: Vec<Sent> =
        original.sent().into_iter().filter(|sent| !sent.path.starts_with("/oauth/")).collect();
    let told = |sent: &Sent| {
        let query: Vec<_> = form_urlencoded::parse(sent.query.as_bytes()).into_owned().collect();
        let body = if sent.body.is_empty() { Value::Null } else { serde_json::from_str(&sent.body).unwrap() };
        json!([sent.method, sent.path, query, sent.content_type, body])
    };
    let path = "/personal-access-tokens/v1";
    let one = |sent: &Sent| sent.path.strip_prefix(path).unwrap().to_owned();
    let id = one(&sent[5]);
    let end = json!({ "op": "replace", "path": "/expirationDate", "value": END });
    let expected = [
        json!(["POST", path, [], "application/json", { "name": "nightly report", "userAwareTokenNeverExpires": true }]),
        json!(["POST", path, [], "application/json", {
            "name": "NodeJS Integration", "accessTokenValiditySeconds": 36_900, "expirationDate": END,
            "scope": ["demo:personal-access-token-scope:first", "demo:personal-access-token-scope:second"],
        }]),
        json!(["GET", path, [], null, null]),
        json!(["GET", path, [["owner-id", original.admin.owner], ["filters", FILTERS]], null, null]),
        json!(["GET", path, [["owner-id", "me"], ["filters", "lastUsed isnull"]], null, null]),
        json!(["PATCH", format!("{path}{id}"), [], "application/json-patch+json", [
            { "op": "replace", "path": "/name", "value": "New name" },
            { "op": "replace", "path": "/scope", "value": ["sp:scopes:all"] }, end,
        ]]),
    ];
    for (sent, expected) in sent.iter().zip(&expected) {
        assert_eq!(&told(sent), expected);
    }
    let deleted = sent.iter().filter(|sent| sent.method == "DELETE");
    let deleted: Vec<_> = deleted.map(|sent| (sent.content_type.clone(), sent.body.clone())).collect();
    assert_eq!(deleted, vec![(None, String::new()); 3]);
}
