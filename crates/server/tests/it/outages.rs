//! What is answered while the database does not do its part: 503 with `Retry-After`, and never what would be said of a
//! wrong secret or of something that is not there. And that nobody has to do anything for it to come back.

mod postgres {
    use std::path::PathBuf;

    use patron_testing::{Cluster, Proxy, Settings};
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use crate::process::{Call, Reply, Server, basic};

    const PATS: &str = "/personal-access-tokens/v1";

    /// A server whose way to its database can be broken.
    struct World {
        cluster: Cluster,
        way: Proxy,
        server: Server,
        client: (String, String),
        bearer: String,
        pat: String,
        _dir: TempDir,
    }

    impl World {
        fn new() -> Self {
            let cluster = Cluster::start(Settings::default());
            let way = Proxy::to(cluster.address());
            cluster.psql("postgres", "CREATE DATABASE patron");
            let dir = TempDir::new().unwrap();
            let data: PathBuf = dir.path().join("data");
            let url = cluster.url_through(way.address(), "patron");
            // What is asked again and again until something is so would meet a limit.
            let env = [("PATRON_DATABASE_URL", url.as_str()), ("PATRON_RATE_LIMITS_REQUESTS", "0")];
            let server = Server::start_with(&data, &[], &env);
            let bootstrap: Value =
                serde_json::from_slice(&std::fs::read(data.join("bootstrap.json")).unwrap()).unwrap();
            let text = |name: &str| bootstrap[name].as_str().unwrap().to_owned();
            let client = (text("clientId"), text("clientSecret"));
            let bearer = server.bearer(&client.0, &client.1);
            let made = server.send(
                Call::post(PATS)
                    .auth(&bearer)
                    .json(&json!({ "name": "one", "userAwareTokenNeverExpires": true })),
            );
            let pat = made.expect(200).json()["id"].as_str().unwrap().to_owned();
            Self { cluster, way, server, client, bearer, pat, _dir: dir }
        }

        fn exchange(&self) -> Reply {
            self.exchange_with(&self.client.0, &self.client.1)
        }

        fn exchange_with(&self, id: &str, secret: &str) -> Reply {
            let pairs = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
            self.server.send(Call::post("/oauth/token").form(&pairs))
        }

        /// One request of every kind. What good ones ask for is there; what the bad ones ask for is not.
        fn everything(&self) -> Vec<(&'static str, Call)> {
            let one = format!("{PATS}/{}", self.pat);
            let nobodys = format!("{PATS}/{}", "0".repeat(32));
            let identity = format!("/auth-users/v1/{}", "0".repeat(32));
            let token = self.bearer.strip_prefix("Bearer ").unwrap();
            let own = basic(&self.client.0, &self.client.1);
            let wrong = basic(&self.client.0, &"0".repeat(64));
            let unknown = basic(&"0".repeat(32), &"0".repeat(64));
            let grant = [("grant_type", "client_credentials")];
            let new = json!({ "name": "two", "userAwareTokenNeverExpires": true });
            let patch = json!([{ "op": "replace", "path": "/name", "value": "three" }]);
            let bulk = json!({ "ids": [self.pat], "patch": [{ "op": "remove", "path": "/expirationDate" },
                { "op": "replace", "path": "/userAwareTokenNeverExpires", "value": true }] });
            let cookie = format!("patron_session={}", "0".repeat(64));
            let api = |call: Call| call.auth(&self.bearer);
            vec![
                ("exchange", Call::post("/oauth/token").auth(&own).form(&grant)),
                ("exchange of a wrong secret", Call::post("/oauth/token").auth(&wrong).form(&grant)),
                ("exchange of an unknown id", Call::post("/oauth/token").auth(&unknown).form(&grant)),
                ("introspect", Call::post("/oauth/introspect").auth(&own).form(&[("token", token)])),
                ("revoke", Call::post("/oauth/revoke").auth(&own).form(&[("token", token)])),
                ("gateway", api(Call::get("/forward-auth"))),
                ("gateway, wrong", Call::get("/forward-auth").auth(&wrong)),
                ("list", api(Call::get(PATS))),
                ("list of an older path", api(Call::get("/v3/personal-access-tokens"))),
                ("list with Basic", Call::get(PATS).auth(&own)),
                ("get", api(Call::get(&one))),
                ("get what is not there", api(Call::get(&nobodys))),
                ("create", api(Call::post(PATS)).json(&new)),
                ("patch", api(Call::new("PATCH", &one)).json_patch(&patch)),
                ("delete what is not there", api(Call::new("DELETE", &nobodys))),
                ("bulk update", api(Call::post(&format!("{PATS}/bulk-update"))).json(&bulk)),
                ("identities", api(Call::get("/public-identities/v1"))),
                ("levels of nobody", api(Call::get(&identity))),
                ("audit trail", api(Call::get("/audit-events/v1"))),
                ("tenant", api(Call::get("/tenant/v1"))),
                (
                    "page of a session that is nobody's",
                    Call::get("/ui/d/user-preferences/personal-access-tokens").header("cookie", &cookie),
                ),
            ]
        }

        /// Asks until memory is trusted no more. Until then what is in it is answered from it.
        fn outlast_the_lease(&self) {
            loop {
                let reply = self.exchange();
                match reply.status.as_u16() {
                    200 => {}
                    503 => return,
                    other => panic!("{other}: {}", reply.text()),
                }
            }
        }

        #[track_caller]
        fn expect_the_outage_everywhere(&self) {
            for (what, call) in self.everything() {
                let reply = self.server.send(call);
                assert_eq!(reply.status.as_u16(), 503, "{what}: {}", reply.text());
                assert!(reply.header("retry-after").is_some(), "{what}: no Retry-After");
                assert!(!reply.text().contains("SQL"), "{what}: {}", reply.text());
            }
            for path in ["/oauth/jwks", "/.well-known/jwks.json", "/openapi.json", "/ui/sign-in"] {
                self.server.send(Call::get(path)).expect(200);
            }
            assert_eq!(self.health("live"), 200);
            assert_eq!(self.health("ready"), 503);
        }

        fn health(&self, of: &str) -> u16 {
            let url = format!("http://{}/health/{of}", self.server.management);
            reqwest::blocking::get(url).unwrap().status().as_u16()
        }

        /// Asks until it is back; then everything is as it was.
        fn expect_all_well(&self) {
            while self.exchange().status.as_u16() == 503 {}
            for (what, call) in self.everything() {
                let reply = self.server.send(call);
                let expected: &[u16] = match what {
                    // The access token that everything else is asked with is revoked here.
                    "exchange" | "introspect" | "revoke" => &[200],
                    _ if what.contains("wrong") || what.contains("unknown") => &[401, 422, 200],
                    _ => continue,
                };
                assert!(expected.contains(&reply.status.as_u16()), "{what}: {}", reply.text());
            }
            let bearer = self.server.bearer(&self.client.0, &self.client.1);
            let list = self.server.send(Call::get(PATS).auth(&bearer)).expect(200).json();
            let names: Vec<_> = list.as_array().unwrap().iter().map(|pat| pat["name"].clone()).collect();
            assert_eq!(names, ["bootstrap", "one"], "nothing was done that was answered with 503");
            assert!(!self.server.log().contains(&self.client.1), "a secret in the log");
        }

        /// Breaks it, looks, mends it, looks.
        fn outage(mut self, cause: impl FnOnce(&mut Self), end: impl FnOnce(&mut Self)) {
            cause(&mut self);
            self.outlast_the_lease();
            self.expect_the_outage_everywhere();
            end(&mut self);
            self.expect_all_well();
        }
    }

    #[test]
    fn gone() {
        World::new().outage(|world| world.way.refuse(), |world| world.way.pass());
    }

    #[test]
    fn stalled() {
        World::new().outage(|world| world.way.stall(), |world| world.way.pass());
    }

    #[test]
    fn stopped_and_started_again() {
        World::new().outage(|world| world.cluster.pause(), |world| world.cluster.resume());
    }

    #[test]
    fn a_standby_in_the_place_of_the_primary() {
        let world = World::new();
        let standby = world.cluster.standby();
        world.outage(
            |world| {
                world.way.target(standby.address());
                world.way.cut();
            },
            |world| {
                world.way.target(world.cluster.address());
                world.way.cut();
            },
        );
    }

    #[test]
    fn no_connection_left() {
        World::new().outage(
            |world| {
                world.cluster.psql(
                    "postgres",
                    "ALTER DATABASE patron ALLOW_CONNECTIONS false; \
                     SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'patron'",
                );
            },
            |world| {
                world.cluster.psql("postgres", "ALTER DATABASE patron ALLOW_CONNECTIONS true");
            },
        );
    }

    #[test]
    fn within_its_lease_a_node_answers_from_memory() {
        let world = World::new();
        world.server.send(Call::get("/forward-auth").auth(&world.bearer)).expect(200);
        world.way.refuse();
        // The lease lasts for seconds, and these take milliseconds.
        world.exchange().expect(200);
        world.server.send(Call::get("/forward-auth").auth(&world.bearer)).expect(200);
        world.way.pass();
        world.expect_all_well();
    }

    #[test]
    fn a_server_that_cannot_be_reached_is_told_at_the_start() {
        let world = World::new();
        world.way.refuse();
        let dir = TempDir::new().unwrap();
        let url = world.cluster.url_through(world.way.address(), "patron");
        let mut command = crate::process::patron(dir.path());
        let output = command.arg("serve").env("PATRON_DATABASE_URL", &url).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("onnect"), "{said}");
        let password = url.split([':', '@']).nth(2).unwrap();
        assert!(!said.contains(password), "{said}");
    }
}
