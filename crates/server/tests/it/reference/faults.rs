//! What servers say instead of what was asked for, and what Patron's clients make of it.

use serde_json::{Value, json};

use super::callers::{Caller, CommandLine, GET, Sdk};
use super::minimal;
use super::servers::{Access, PatronSite, Site};
use crate::original::{Original, Sent};

/// How often the original was asked this.
fn count(original: &Original, method: &str, path: &str) -> usize {
    let is = |sent: &&Sent| sent.method == method && sent.path == path;
    original.sent().iter().filter(is).count()
}

fn callers(access: &Access) -> [Box<dyn Caller>; 2] {
    [Box::new(Sdk::new(access)), Box::new(CommandLine::new(access))]
}

#[test]
fn too_many_requests_are_waited_out() {
    let original = Original::start();
    for caller in callers(&original.access()) {
        original.limit(1);
        let before = count(&original, "POST", "/personal-access-tokens/v1");
        let made = caller.create(&minimal()).unwrap();
        assert_eq!(count(&original, "POST", "/personal-access-tokens/v1"), before + 2);
        // Refused was not done: there is one.
        let named = |pat: &&Value| pat["name"] == "nightly report";
        assert_eq!(caller.list(None, None).unwrap().iter().filter(named).count(), 1);
        caller.delete(made["id"].as_str().unwrap()).unwrap();
    }
}

#[test]
fn too_many_requests_for_too_long_are_told() {
    let original = Original::start();
    original.limit(usize::MAX);
    let refused = CommandLine::new(&original.access()).list(None, None).unwrap_err();
    assert_eq!(
        (refused.status, refused.text.as_str()),
        (Some(429), "Rate Limit Exceeded (429; try again in 1 s)")
    );
    // Not for ever.
    assert_eq!(count(&original, "GET", "/personal-access-tokens/v1"), 4);
}

fn an_ended_access_token_is_replaced(site: &dyn Site) {
    for caller in callers(&site.access()) {
        let ended = caller.token();
        assert_eq!(caller.token(), ended, "it is kept");
        site.end(&ended);
        assert_eq!(caller.list(None, None).unwrap().len(), 1);
        assert_ne!(caller.token(), ended);
    }
}

#[test]
fn an_ended_access_token_is_replaced_at_patron() {
    an_ended_access_token_is_replaced(&PatronSite::start());
}

#[test]
fn an_ended_access_token_is_replaced_at_the_original() {
    let original = Original::start();
    an_ended_access_token_is_replaced(&original);
    assert_eq!(count(&original, "POST", "/oauth/token"), 4);
}

fn a_wrong_secret_is_told_as_such(site: &dyn Site, said: &str) {
    let access = site.access().with_wrong_secret();
    for caller in callers(&access) {
        let refused = caller.list(None, None).unwrap_err();
        assert_eq!((refused.status, refused.text.as_str()), (Some(401), said));
    }
    let output = CommandLine::new(&access).patron(&["pat", "list"], "");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len(), told), (Some(1), 0, format!("patron: {said}\n")));
}

#[test]
fn a_wrong_secret_is_told_as_such_by_patron() {
    let said = "The client id or the client secret is wrong. (invalid_client)";
    a_wrong_secret_is_told_as_such(&PatronSite::start(), said);
}

#[test]
fn a_wrong_secret_is_told_as_such_by_the_original() {
    a_wrong_secret_is_told_as_such(&Original::start(), "Bad client credentials (invalid_client)");
}

#[test]
fn the_originals_access_tokens_are_verified() {
    let original = Original::start();
    let sdk = Sdk::new(&original.access());
    let token = sdk.token();
    let verified = sdk.runtime.block_on(sdk.client.verify(&token)).unwrap();
    assert_eq!(
        (&verified.header["alg"], &verified.claims["scope"]),
        (&json!("RS256"), &json!(["sp:scopes:all"]))
    );
    let forged = format!("{}A", &token[..token.len() - 1]);
    let forged = if forged == token { format!("{}Q", &token[..token.len() - 1]) } else { forged };
    let line = CommandLine::new(&original.access());
    for (token, valid) in [(token, true), (forged, false)] {
        let output = line.patron(&["token", "inspect", "--json", "-"], &token);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (told["valid"].as_bool(), &told["claims"]["scope"][0]),
            (Some(valid), &json!("sp:scopes:all"))
        );
        assert_eq!(output.status.success(), valid);
    }
}

/// Where the original has nothing, its gateway says so in a form of its own.
#[test]
fn what_the_original_has_not_is_no_riddle() {
    let original = Original::start();
    let sdk = Sdk::new(&original.access());
    let (id, token) = (original.admin.id.as_str(), sdk.token());
    let calls = [
        sdk.runtime.block_on(sdk.client.get(id)).map(drop),
        sdk.runtime.block_on(sdk.client.introspect(&token)).map(drop),
        sdk.runtime.block_on(sdk.client.revoke(&token)),
    ];
    for answer in calls {
        let error = answer.unwrap_err();
        // The gateway's 404 says that there is no such call, and nothing of a token.
        let by_gateway = matches!(&error, patron_client::Error::Unreadable { status: Some(404), .. });
        assert!(by_gateway && !error.is_not_found() && !error.is_outage(), "{error}");
    }
    // There one PAT is found among one's own.
    let output = CommandLine::new(&original.access()).patron(&[GET, &[id]].concat(), "");
    let pat: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (pat["id"].as_str(), &pat["managed"], &pat["accessTokenValiditySeconds"]),
        (Some(id), &json!(false), &json!(43_200))
    );
}
