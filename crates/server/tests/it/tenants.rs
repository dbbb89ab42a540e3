//! Tenants (contract section 2): which one a request asks, and that none can see, guess, use or change what is
//! another's, at any endpoint.

use patron::config::Settings;
use patron::routes::{Handler, Route};
use patron_core::identity::Identity;
use serde_json::{Value, json};

use crate::callers::{Aim, UNKNOWN, endpoints, good_call, unlimited};
use crate::support::{Call, Pat, Patron, Reply, basic};

const ACME: &str = "acme.tenants.test";
const GLOBEX: &str = "globex.tenants.test";

/// What an endpoint answers to a mighty caller of one tenant who names what is another tenant's, as if it were not
/// there. An endpoint that is missing here fails the test.
const TABLE: &[(&str, u16)] = &[
    ("exchange", 200),
    ("introspect", 200),
    ("revoke", 200),
    ("oauth-info", 200),
    ("oauth-info-preflight", 204),
    ("jwks", 200),
    ("metadata", 200),
    ("forward-auth", 200),
    ("openapi", 200),
    ("docs", 200),
    ("list-public-identities", 200),
    ("get-tenant", 200),
    ("get-auth-user", 404),
    ("patch-auth-user", 404),
    ("list-audit-events", 200),
    ("create", 200),
    ("list", 200),
    ("get", 404),
    ("patch", 404),
    ("delete", 404),
    ("bulk-update", 400),
];

fn expected(route: &Route) -> u16 {
    let found = TABLE.iter().find(|(name, _)| *name == route.name);
    let (_, status) = found.unwrap_or_else(|| panic!("'{}' has no entry in the table", route.name));
    if route.path.ends_with("{*path}") { 404 } else { *status }
}

/// Whether the endpoint knows its caller by a credential, and by which kinds.
fn takes(route: &Route) -> (bool, bool) {
    let client = ["exchange", "introspect", "revoke"].contains(&route.name);
    (client || matches!(route.handler, Handler::Api(..)), matches!(route.handler, Handler::Api(..)))
}

/// Somebody who may do everything in a tenant.
struct Side {
    host: &'static str,
    who: Identity,
    pat: Pat,
    bearer: String,
    aim: Aim,
}

impl Side {
    async fn new(patron: &Patron, tenant: &'static str, host: &'static str) -> Self {
        let name = format!("{tenant}-admin");
        let who = patron.identity_in(tenant, &name, &["ORG_ADMIN", "PLATFORM"]).await;
        let pat = patron.pat(&who, &format!("{tenant}-credential"), &[]).await;
        let target = patron.pat(&who, &format!("{tenant}-target"), &[]).await;
        let form = [("grant_type", "client_credentials")];
        let call = |pat: &Pat| Call::post("/oauth/token").host(host).auth(&pat.basic()).form(&form);
        let token = async |pat: &Pat| -> String {
            let reply = patron.send(call(pat)).await.expect(200).json();
            reply["access_token"].as_str().unwrap().to_owned()
        };
        let aim = Aim { identity: who.id.to_string(), token: token(&target).await, pat: target.id };
        let bearer = format!("Bearer {}", token(&pat).await);
        Self { host, who, pat, bearer, aim }
    }

    /// Everything by which this side could be known in an answer.
    fn marks(&self) -> Vec<String> {
        let tenant = self.host.split('.').next().unwrap();
        vec![tenant.to_owned(), self.aim.pat.clone(), self.aim.identity.clone(), self.pat.id.clone()]
    }
}

async fn two_sides() -> (Patron, Side, Side) {
    let patron = Patron::with(unlimited).await;
    let victim = Side::new(&patron, "acme", ACME).await;
    let attacker = Side::new(&patron, "globex", GLOBEX).await;
    (patron, victim, attacker)
}

/// The endpoints' calls, made by this credential at that host.
fn call(route: &Route, aim: &Aim, host: &str, auth: &str) -> Call {
    good_call(route, aim).host(host).auth(auth)
}

/// An answer but for its tracking id, so that two can be compared.
fn anonymous(reply: &Reply, ids: &Aim) -> (u16, String) {
    let mut text = reply.text();
    if let Some(tracking) = reply.header("slpt-request-id") {
        text = text.replace(tracking, "TRACKING");
    }
    for id in [&ids.pat, &ids.identity] {
        text = text.replace(id.as_str(), "ID");
    }
    (reply.status.as_u16(), text)
}

/// What is there of a side: nothing that the other does may change it.
async fn state_of(patron: &Patron, side: &Side) -> Value {
    let get = async |uri: &str| {
        patron.send(Call::get(uri).host(side.host).auth(&side.bearer)).await.expect(200).json()
    };
    let user = format!("/auth-users/v1/{}", side.aim.identity);
    json!([get("/personal-access-tokens/v1").await, get(&user).await, get("/public-identities/v1").await])
}

#[test]
fn the_table_has_every_endpoint_and_no_other() {
    let mut known: Vec<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    let mut there: Vec<&str> = endpoints().iter().map(|route| route.name).collect();
    known.sort_unstable();
    there.sort_unstable();
    there.dedup();
    assert_eq!(known, there);
}

/// At one's own host, another tenant's ids are as good as none.
#[tokio::test]
async fn what_is_anothers_is_not_there() {
    let (patron, victim, attacker) = two_sides().await;
    let before = state_of(&patron, &victim).await;
    let nobodys = Aim { pat: UNKNOWN.to_owned(), identity: UNKNOWN.to_owned(), token: "a.b.c".to_owned() };
    for route in endpoints() {
        let (by_pat, by_token) = takes(&route);
        for (auth, used) in [(attacker.pat.basic(), by_pat), (attacker.bearer.clone(), by_token)] {
            if !used && (by_pat || by_token) {
                continue;
            }
            let ask = async |aim: &Aim| patron.send(call(&route, aim, GLOBEX, &auth)).await;
            let (theirs, none) = (ask(&victim.aim).await, ask(&nobodys).await);
            let what = format!("{:?} {}: {}", route.method, route.path, theirs.text());
            assert_eq!(theirs.status.as_u16(), expected(&route), "{what}");
            let shown = anonymous(&theirs, &victim.aim);
            if !theirs.status.is_success() || ["introspect", "revoke"].contains(&route.name) {
                assert_eq!(shown, anonymous(&none, &nobodys), "{what}");
            }
            for mark in victim.marks() {
                // What the caller sent may be said back; `anonymous` took that out.
                assert!(!shown.1.contains(&mark), "'{mark}' shows in {what}");
                let header = |value: &str| value.contains(&mark);
                let headers = theirs.headers.values().filter_map(|value| value.to_str().ok());
                assert!(!headers.into_iter().any(header), "'{mark}' shows in the headers of {what}");
            }
        }
    }
    assert_eq!(state_of(&patron, &victim).await, before);
    // The access token that the attacker tried to revoke works, and is not told of.
    let victims = format!("Bearer {}", victim.aim.token);
    patron.send(Call::get("/tenant/v1").host(ACME).auth(&victims)).await.expect(200);
}

/// At another tenant's host, one's credential is nobody's.
#[tokio::test]
async fn a_credential_works_in_its_own_tenant_alone() {
    let (patron, victim, attacker) = two_sides().await;
    let before = state_of(&patron, &victim).await;
    let nobody = basic(UNKNOWN, &attacker.pat.secret);
    for host in [ACME, "patron.test", "127.0.0.1"] {
        for route in endpoints() {
            let (by_pat, by_token) = takes(&route);
            let what = format!("{:?} {} at {host}", route.method, route.path);
            if by_pat {
                let reply = patron.send(call(&route, &victim.aim, host, &attacker.pat.basic())).await;
                assert_eq!(reply.status.as_u16(), 401, "{what}: {}", reply.text());
                let unknown = patron.send(call(&route, &victim.aim, host, &nobody)).await;
                assert_eq!(anonymous(&reply, &victim.aim), anonymous(&unknown, &victim.aim), "{what}");
            }
            if by_token {
                let reply = patron.send(call(&route, &victim.aim, host, &attacker.bearer)).await;
                assert_eq!(reply.status.as_u16(), 401, "{what}: {}", reply.text());
                assert_eq!(
                    reply.text(),
                    r#"{"error":"JWT validation failed: JWT is not valid here"}"#,
                    "{what}"
                );
            }
        }
    }
    // The default tenant's is no master key.
    let admin = patron.bearer(&patron.admin).await;
    for auth in [patron.admin.basic(), admin] {
        patron.send(Call::get("/tenant/v1").host(ACME).auth(&auth)).await.expect(401);
        patron.send(Call::get("/tenant/v1").auth(&auth)).await.expect(200);
    }
    assert_eq!(state_of(&patron, &victim).await, before);
}

/// Lists and filters that name the other tenant's rows by every field there is.
#[tokio::test]
async fn no_list_reaches_over() {
    let (patron, victim, attacker) = two_sides().await;
    let (identity, pat) = (&victim.aim.identity, &victim.aim.pat);
    for query in [
        format!("/personal-access-tokens/v1?owner-id={identity}&count=true"),
        format!("/v3/personal-access-tokens?owner-id={identity}&count=true"),
        format!("/public-identities/v1?count=true&filters=id+eq+%22{identity}%22"),
        format!("/public-identities/v1?count=true&filters=id+in+(%22{identity}%22)"),
        "/public-identities/v1?count=true&filters=alias+sw+%22acme%22".to_owned(),
        format!("/audit-events/v1?count=true&filters=actor.id+eq+%22{identity}%22"),
        format!("/audit-events/v1?count=true&filters=target.id+eq+%22{identity}%22"),
        format!("/audit-events/v1?count=true&filters=target.id+in+(%22{pat}%22)"),
    ] {
        let reply = patron.send(Call::get(&query).host(GLOBEX).auth(&attacker.bearer)).await.expect(200);
        assert_eq!((reply.json(), reply.header("x-total-count")), (json!([]), Some("0")), "{query}");
        let own = patron.send(Call::get(&query).host(ACME).auth(&victim.bearer)).await.expect(200);
        assert_ne!(own.json(), json!([]), "{query} would prove nothing");
    }
    let all =
        patron.send(Call::get("/personal-access-tokens/v1?count=true").auth(&patron.admin.basic())).await;
    assert_eq!(all.header("x-total-count"), Some("1"), "the default tenant has its own alone");
}

/// A managed PAT for another tenant's identity, and one id of theirs among one's own.
#[tokio::test]
async fn no_change_reaches_over() {
    let (patron, victim, attacker) = two_sides().await;
    let before = state_of(&patron, &victim).await;
    let send = async |call: Call| patron.send(call.host(GLOBEX).auth(&attacker.bearer)).await;
    let new = json!({ "name": "x", "userAwareTokenNeverExpires": true, "managed": true, "ownerId": victim.aim.identity });
    let reply = send(Call::post("/personal-access-tokens/v1").json(&new)).await;
    reply.expect_error("400.1.404 Referenced object not found");
    let patch = crate::callers::expires();
    for ids in [[&attacker.aim.pat, &victim.aim.pat], [&victim.aim.pat, &attacker.aim.pat]] {
        let body = json!({ "ids": ids, "patch": patch });
        let reply = send(Call::post("/personal-access-tokens/v1/bulk-update").json(&body)).await;
        reply.expect_error("400.1.404 Referenced object not found");
        let own = send(Call::get(&crate::callers::path_of(&attacker.aim.pat))).await.expect(200).json();
        assert_eq!(own["expirationDate"], Value::Null, "half of a bulk update was done");
    }
    assert_eq!(state_of(&patron, &victim).await, before);
}

/// Names are a tenant's own: the same may be taken in each.
#[tokio::test]
async fn names_are_taken_in_one_tenant_alone() {
    let (patron, victim, attacker) = two_sides().await;
    for (side, tenant) in [(&victim, "acme"), (&attacker, "globex")] {
        let jane = patron.identity_in(tenant, "jane", &[]).await;
        let pat = patron.pat(&jane, "ci", &[]).await;
        let new = json!({ "name": "laptop", "userAwareTokenNeverExpires": true });
        let call = Call::post("/personal-access-tokens/v1").host(side.host).auth(&pat.basic()).json(&new);
        assert_eq!(patron.send(call).await.expect(200).json()["owner"]["name"], "jane");
    }
}

/// At the gateway the host is the application's, so the credential says which tenant; `?tenant=` insists on one.
#[tokio::test]
async fn forward_auth_tells_tenants_apart() {
    let (patron, victim, attacker) = two_sides().await;
    for host in [ACME, GLOBEX, "app.example", "nobody.tenants.test"] {
        for (side, tenant) in [(&victim, "acme"), (&attacker, "globex")] {
            for auth in [&side.pat.basic(), &side.bearer] {
                let ask = async |uri: &str| patron.send(Call::get(uri).host(host).auth(auth)).await;
                let reply = ask("/forward-auth").await.expect(200);
                assert_eq!(reply.header("x-auth-tenant"), Some(tenant));
                assert_eq!(reply.header("x-auth-identity"), Some(side.aim.identity.as_str()));
                for asked in ["acme", "globex", "default", "nobody", "ACME"] {
                    let reply = ask(&format!("/forward-auth?tenant={asked}")).await;
                    let status = if asked == tenant { 200 } else { 401 };
                    assert_eq!(reply.status.as_u16(), status, "{asked} with a credential of {tenant}");
                }
                ask("/forward-auth?tenant=").await.expect(200);
            }
        }
    }
}

/// Who tries another tenant's id is told of in the trail of the tenant that was asked, not in the other's.
#[tokio::test]
async fn failures_are_told_to_the_tenant_that_was_asked() {
    let (patron, victim, attacker) = two_sides().await;
    patron.send(Call::get("/tenant/v1").host(GLOBEX).auth(&victim.pat.basic())).await.expect(401);
    let uri = "/audit-events/v1?filters=technicalName+eq+%22PERSONAL_ACCESS_TOKEN_USE_FAILED%22";
    let events = async |side: &Side| {
        patron.send(Call::get(uri).host(side.host).auth(&side.bearer)).await.expect(200).json()
    };
    let told = events(&attacker).await;
    assert_eq!(told[0]["attributes"], json!({ "reason": "UNKNOWN_CLIENT", "count": 1 }));
    assert_eq!((&told[0]["target"]["id"], &told[0]["tenant"]), (&json!(victim.pat.id), &json!("globex")));
    assert_eq!(events(&victim).await, json!([]));
}

async fn tenant_at(patron: &Patron, call: Call) -> Result<String, u16> {
    let reply = patron.send(call).await;
    if reply.status == 200 {
        Ok(reply.json()["tenantName"].as_str().unwrap().to_owned())
    } else {
        Err(reply.status.as_u16())
    }
}

#[tokio::test]
async fn the_host_name_says_which_tenant() {
    let (patron, ..) = two_sides().await;
    for (host, expected) in [
        (ACME, Ok("acme")),
        ("ACME.Tenants.TEST", Ok("acme")),
        ("acme.tenants.test.", Ok("acme")),
        ("acme.tenants.test:8080", Ok("acme")),
        ("acme.tenants.test.:8080", Ok("acme")),
        (GLOBEX, Ok("globex")),
        ("patron.test", Ok("default")),
        ("patron.test:443", Ok("default")),
        ("tenants.test", Ok("default")),
        ("127.0.0.1", Ok("default")),
        ("127.0.0.1:8080", Ok("default")),
        ("[::1]:8080", Ok("default")),
        ("localhost", Ok("default")),
        ("", Ok("default")),
        ("acme.example", Ok("default")),
        ("acme.tenants.test.evil.example", Ok("default")),
        ("acmetenants.test", Ok("default")),
        ("default.tenants.test", Ok("default")),
        ("nobody.tenants.test", Err(404)),
        ("NOBODY.tenants.test.:1", Err(404)),
        ("x.acme.tenants.test", Err(404)),
        ("acme.globex.tenants.test", Err(404)),
        (".tenants.test", Err(404)),
        ("acme%2e.tenants.test", Err(404)),
    ] {
        let got = tenant_at(&patron, Call::get("/oauth/info").host(host)).await;
        assert_eq!(got, expected.map(str::to_owned), "{host}");
    }
    assert_eq!(tenant_at(&patron, Call::get("/oauth/info")).await, Ok("default".to_owned()), "no Host");
    // RFC 9112 section 3.2.2: a whole URL as the target wins over Host.
    let whole = Call::get(&format!("http://{ACME}/oauth/info")).host(GLOBEX);
    assert_eq!(tenant_at(&patron, whole).await, Ok("acme".to_owned()));
    // One made while the service runs is there at once.
    patron.tenant("nobody").await;
    let call = Call::get("/oauth/info").host("nobody.tenants.test");
    assert_eq!(tenant_at(&patron, call).await, Ok("nobody".to_owned()));
}

#[tokio::test]
async fn an_unknown_tenant_has_nothing() {
    let (patron, victim, attacker) = two_sides().await;
    for route in endpoints() {
        if route.name == "forward-auth" {
            continue;
        }
        for auth in [&attacker.pat.basic(), &victim.bearer, "Bearer "] {
            let reply = patron.send(call(&route, &victim.aim, "nobody.tenants.test", auth)).await;
            assert_eq!(reply.status.as_u16(), 404, "{}", route.path);
            if route.path.starts_with("/oauth/") {
                assert_eq!(reply.json()["error"], "invalid_request");
            } else {
                let text = reply.expect_error("404 Not found").message();
                assert_eq!(text, "There is no such tenant.");
            }
        }
    }
}

#[tokio::test]
async fn without_a_tenant_domain_there_is_one_tenant() {
    let patron = Patron::with(|settings| settings.tenant_domain = None).await;
    patron.tenant("acme").await;
    for host in [ACME, "nobody.tenants.test", "patron.test"] {
        let got = tenant_at(&patron, Call::get("/oauth/info").host(host)).await;
        assert_eq!(got, Ok("default".to_owned()), "{host}");
    }
}

#[tokio::test]
async fn the_public_urls_own_host_is_the_default_tenant() {
    let patron =
        Patron::with(|settings| settings.public_url = "https://www.tenants.test/".parse().unwrap()).await;
    let call = Call::get("/oauth/info").host("WWW.tenants.test:443");
    assert_eq!(tenant_at(&patron, call).await, Ok("default".to_owned()));
    let call = Call::get("/oauth/info").host("ww.tenants.test");
    assert_eq!(tenant_at(&patron, call).await, Err(404));
}

#[tokio::test]
async fn a_forwarded_host_counts_from_trusted_proxies_alone() {
    let trusting = |settings: &mut Settings| settings.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    let patron = Patron::with(trusting).await;
    patron.tenant("acme").await;
    patron.tenant("globex").await;
    let x = ("x-forwarded-host", ACME);
    let rfc = ("forwarded", "for=192.0.2.9;host=acme.tenants.test");
    for (peer, (name, value), expected) in [
        ("10.1.2.3", x, Ok("acme")),
        ("::ffff:10.1.2.3", x, Ok("acme")),
        ("10.1.2.3", ("x-forwarded-host", "ACME.tenants.test:443"), Ok("acme")),
        // What the nearest proxy added counts, not what its client sent along.
        ("10.1.2.3", ("x-forwarded-host", "globex.tenants.test, acme.tenants.test"), Ok("acme")),
        ("10.1.2.3", ("x-forwarded-host", "nobody.tenants.test"), Err(404)),
        ("10.1.2.3", rfc, Ok("acme")),
        ("11.1.2.3", x, Ok("globex")),
        ("127.0.0.1", x, Ok("globex")),
        ("192.0.2.1", x, Ok("globex")),
        ("192.0.2.1", rfc, Ok("globex")),
    ] {
        let call = Call::get("/oauth/info").host(GLOBEX).header(name, value).from(peer);
        let got = tenant_at(&patron, call).await;
        assert_eq!(got, expected.map(str::to_owned), "{name}: {value} from {peer}");
    }
}

/// The issuer is the tenant's public URL whatever host a request names, and so are all addresses that are told.
#[tokio::test]
async fn every_tenant_has_an_issuer_of_its_own() {
    let change = |settings: &mut Settings| {
        settings.public_url = "https://pat.example.com:8443/patron/".parse().unwrap();
    };
    let patron = Patron::with(change).await;
    let acme = Side::new(&patron, "acme", ACME).await;
    for (host, auth, url) in [
        (ACME, acme.pat.basic(), "https://acme.tenants.test:8443/patron"),
        ("ACME.tenants.test.:1", acme.pat.basic(), "https://acme.tenants.test:8443/patron"),
        ("127.0.0.1:8080", patron.admin.basic(), "https://pat.example.com:8443/patron"),
        ("evil.example", patron.admin.basic(), "https://pat.example.com:8443/patron"),
    ] {
        let send = async |call: Call| patron.send(call.host(host).auth(&auth)).await.expect(200).json();
        let token = send(Call::post("/oauth/token").form(&[("grant_type", "client_credentials")])).await;
        let token = token["access_token"].as_str().unwrap();
        let told = send(Call::post("/oauth/introspect").form(&[("token", token)])).await;
        assert_eq!((&told["iss"], &told["aud"]), (&json!(url), &json!(url)));
        let info = send(Call::get("/oauth/info")).await;
        assert_eq!(info["cloudDomainUrl"], url);
        assert_eq!(info["tokenEndpoint"], format!("{url}/oauth/token"));
        let metadata = send(Call::get("/.well-known/oauth-authorization-server")).await;
        assert_eq!(metadata["issuer"], url);
        for endpoint in ["token_endpoint", "jwks_uri", "introspection_endpoint", "revocation_endpoint"] {
            assert!(metadata[endpoint].as_str().unwrap().starts_with(url), "{metadata}");
        }
    }
    let keys = async |host: &str| patron.send(Call::get("/oauth/jwks").host(host)).await.expect(200).json();
    assert_eq!(keys(ACME).await, keys("patron.test").await);
    assert!(acme.who.is_active_admin());
}
