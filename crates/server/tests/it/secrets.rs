//! A secret exists in the clear in the create answer and in `bootstrap.json`, and nowhere else: not in the database
//! and its companions, not in a log that tells everything, not in another answer, not in what the operating system
//! shows of a process (contract sections 1, 4 and 7).

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::database::database_files;
use crate::serving::Folder;
use crate::support::{Call, Reply, Server, basic, form, patron};

const PATS: &str = "/personal-access-tokens/v1";
const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// What must be nowhere, each spelling with a name for people.
#[derive(Default)]
struct Secrets(BTreeMap<String, Vec<u8>>);

impl Secrets {
    fn add(&mut self, name: &str, spelling: &str, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        assert!(bytes.len() >= 10, "{name} {spelling} is too short to be looked for");
        self.0.insert(format!("{name} {spelling}"), bytes);
    }

    /// A secret and the header values that it comes in; also without its last letters, as a text cut short has it.
    fn add_secret(&mut self, name: &str, id: &str, secret: &str) {
        self.add(name, "plain", secret);
        self.add(name, "cut short", &secret[..secret.len() * 3 / 4]);
        self.add(name, "in capitals", secret.to_uppercase());
        self.add(name, "in Base64", STANDARD.encode(secret).trim_end_matches('='));
        self.add(name, "in a Basic header", basic(id, secret).replace("Basic ", "").trim_end_matches('='));
        if let Ok(bytes) = hex::decode(secret) {
            self.add(name, "as bytes in Base64", STANDARD.encode(&bytes).trim_end_matches('='));
            self.add(name, "as random bytes", &bytes[..bytes.len() * 7 / 8]);
        }
    }

    fn add_token(&mut self, name: &str, token: &str) {
        let signature = token.rsplit('.').next().unwrap();
        self.add(name, "whole", token);
        self.add(name, "its signature", signature);
        self.add(name, "its signature as bytes", URL_SAFE_NO_PAD.decode(signature).unwrap());
    }

    /// Which of them are there.
    fn within(&self, text: &[u8]) -> Vec<&str> {
        let found = self
            .0
            .iter()
            .filter(|(_, secret)| text.windows(secret.len()).any(|window| window == secret.as_slice()));
        found.map(|(name, _)| name.as_str()).collect()
    }

    #[track_caller]
    fn are_not_in(&self, place: &str, text: &[u8]) {
        assert_eq!(self.within(text), [""; 0], "in {place}");
    }

    /// Every file of the data folder but the two that are made for secrets.
    #[track_caller]
    fn are_in_no_file(&self, folder: &Folder) -> Vec<String> {
        let mut looked_at = Vec::new();
        for entry in fs::read_dir(&folder.data).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !["bootstrap.json", "master.key"].contains(&name.as_str()) {
                self.are_not_in(&name, &fs::read(folder.data.join(&name)).unwrap());
                looked_at.push(name);
            }
        }
        self.are_not_in("the database", &folder.database().dump());
        looked_at.sort();
        looked_at
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field}: {value}")).to_owned()
}

/// An HTTP/2 request without TLS, byte by byte, since clients of the tests speak HTTP/1.1; the bytes of the answer's
/// body.
fn http2(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }
    // A string of HPACK (RFC 7541 section 5), not Huffman coded.
    fn string(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut length = text.len();
        if length < 127 {
            bytes.push(u8::try_from(length).unwrap());
        } else {
            bytes.push(127);
            length -= 127;
            while length >= 128 {
                bytes.push(u8::try_from(length % 128).unwrap() + 128);
                length /= 128;
            }
            bytes.push(u8::try_from(length).unwrap());
        }
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }
    let mut block = Vec::new();
    let pseudo = [(":method", method), (":scheme", "http"), (":authority", "x"), (":path", path)];
    for (name, value) in pseudo.iter().chain(headers) {
        // A literal that enters the table of headers.
        block.extend([vec![0x40], string(name), string(value)].concat());
    }
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&frame(4, 0, 0, &[])).unwrap();
    stream.write_all(&frame(1, 4, 1, &block)).unwrap();
    stream.write_all(&frame(0, 1, 1, body.as_bytes())).unwrap();
    let mut answer = Vec::new();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).unwrap();
        if head[3] == 0 {
            answer.extend(payload);
        }
        assert_ne!(head[3], 7, "the connection is given up");
        if head[8] == 1 && head[3] < 2 && head[4] & 1 == 1 {
            return answer;
        }
    }
}

/// A service that logs everything, and all that was said by it and about it.
struct Scene {
    folder: Folder,
    server: Server,
    secrets: Secrets,
    /// Answers and outputs that may hold no secret.
    said: Vec<(String, Vec<u8>)>,
}

impl Scene {
    fn start() -> Self {
        let folder = Folder::new();
        let limits = [("PATRON_LOG", "trace"), ("PATRON_RATE_LIMITS_REQUESTS", "0")];
        let server = Server::start_with(&folder.data, &[], &limits);
        let mut secrets = Secrets::default();
        let made = folder.bootstrap();
        secrets.add_secret("bootstrap's PAT", &text(&made, "clientId"), &text(&made, "clientSecret"));
        secrets.add_secret("bootstrap's password", "admin", &text(&made, "password"));
        Self { folder, server, secrets, said: Vec::new() }
    }

    /// Sends a call whose answer may hold no secret.
    fn send(&mut self, call: Call) -> Reply {
        let name = format!("the answer to {} {}", call.method, call.uri);
        let reply = self.server.send(call);
        let headers = format!("{:?}", reply.headers).into_bytes();
        self.said.push((name, [reply.body.clone(), headers].concat()));
        reply
    }

    /// Makes a PAT over HTTP.
    fn create(&mut self, credential: &str, path: &str, name: &str) -> (String, String) {
        let draft = json!({ "name": name, "userAwareTokenNeverExpires": true });
        let made = self.server.send(Call::post(path).auth(credential).json(&draft)).expect(200).json();
        let (id, secret) = (text(&made, "id"), text(&made, "secret"));
        self.secrets.add_secret(name, &id, &secret);
        (id, secret)
    }

    /// Exchanges a PAT, however it is sent.
    fn exchange(&mut self, name: &str, call: Call) -> String {
        let token = text(&self.server.send(call).expect(200).json(), "access_token");
        self.secrets.add_token(name, &token);
        token
    }

    /// Runs a command; its outputs may hold no secret.
    fn command(&mut self, args: &[&str], stdin: &str) {
        let mut command = patron(&self.folder.data);
        command.args(args).env("PATRON_LOG", "trace");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        self.said.push((format!("the output of {args:?}"), [output.stdout, output.stderr].concat()));
    }

    fn look(&self) {
        let Self { folder, server, secrets, said } = self;
        for (place, text) in said {
            secrets.are_not_in(place, text);
        }
        let files = secrets.are_in_no_file(folder);
        let ours = database_files(&["patron.db", "patron.db-shm", "patron.db-wal", "patron.db.lock"]);
        assert_eq!(files, ours);
        secrets.are_not_in("the log", server.log().as_bytes());
        let out = fs::read(folder.data.with_extension("out")).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), "", "stdout is no terminal");
        let metrics = reqwest::blocking::get(format!("http://{}/metrics", server.management)).unwrap();
        secrets.are_not_in("the metrics", &metrics.bytes().unwrap());
        if cfg!(target_os = "linux") {
            for file in ["cmdline", "environ"] {
                let shown = fs::read(format!("/proc/{}/{file}", server.pid())).unwrap();
                assert!(!shown.is_empty());
                secrets.are_not_in(file, &shown);
            }
        }
    }
}

/// What a scene made: PATs as ids and secrets, and an access token of the first.
struct Made {
    first: (String, String),
    second: (String, String),
    deleted: (String, String),
    token: String,
}

/// PATs made, exchanged, presented and ended, by every road.
fn use_well(scene: &mut Scene) -> Made {
    let admin = scene.folder.basic();
    let owner = text(&scene.folder.bootstrap(), "identityId");

    let (id, secret) = scene.create(&admin, PATS, "first");
    let second = scene.create(&admin, "/v2025/personal-access-tokens", "second");
    let (gone_id, gone_secret) = scene.create(&admin, "/v3/personal-access-tokens", "gone");
    let made = crate::support::run_json(
        &scene.folder.data,
        &["admin", "pat", "create", "--owner", &owner, "--name", "by the operator", "--never-expires"],
    );
    scene.secrets.add_secret("by the operator", &text(&made, "id"), &text(&made, "secret"));
    let password = "a password that nobody guesses";
    scene.secrets.add_secret("typed password", "admin", password);
    scene.command(&["admin", "identity", "set-password", &owner], password);

    let grant = GRANT;
    let pairs = [grant, ("client_id", id.as_str()), ("client_secret", secret.as_str())];
    let token = scene.exchange("by form", Call::post("/oauth/token").form(&pairs));
    scene.exchange("by query", Call::post(&format!("/oauth/token?{}", form(&pairs))));
    scene.exchange(
        "split",
        Call::post(&format!("/oauth/token?client_secret={secret}")).form(&[grant, ("client_id", &id)]),
    );
    scene.exchange("by Basic", Call::post("/oauth/token").auth(&basic(&id, &secret)).form(&[grant]));
    let part = |(name, value): (&str, &str)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts = pairs.map(part).concat();
    let multipart = Call::post("/oauth/token").body("multipart/form-data; boundary=x", parts + "--x--\r\n");
    let multipart_token = scene.exchange("by multipart", multipart);
    let urlencoded = [("content-type", "application/x-www-form-urlencoded")];
    let answer = http2(&scene.server.address, "POST", "/oauth/token", &urlencoded, &form(&pairs));
    let over_http2 = text(&serde_json::from_slice(&answer).unwrap(), "access_token");
    scene.secrets.add_token("over HTTP/2", &over_http2);
    let header = [("authorization", &*basic(&id, &secret))];
    let list = http2(&scene.server.address, "GET", PATS, &header, "");
    assert!(String::from_utf8_lossy(&list).contains(&id));
    scene.said.push(("a list over HTTP/2".to_owned(), list));
    let header = [("authorization", &*format!("Bearer {over_http2}"))];
    let answer = http2(&scene.server.address, "GET", "/tenant/v1", &header, "");
    assert!(String::from_utf8_lossy(&answer).contains("default"));

    let bearer = format!("Bearer {token}");
    for credential in [&basic(&id, &secret), &bearer] {
        for uri in [PATS, "/forward-auth", "/tenant/v1", "/public-identities/v1", "/audit-events/v1"] {
            scene.send(Call::get(uri).auth(credential)).expect(200);
        }
    }
    let one = format!("{PATS}/{id}");
    scene.send(Call::get(&one).auth(&bearer)).expect(200);
    let rename = json!([{ "op": "replace", "path": "/name", "value": "renamed" }]);
    scene.send(Call::new("PATCH", &one).auth(&bearer).json_patch(&rename)).expect(200);
    let never = json!([{ "op": "replace", "path": "/userAwareTokenNeverExpires", "value": true }]);
    let bulk = json!({ "ids": [id], "patch": never });
    scene.send(Call::post(&format!("{PATS}/bulk-update")).auth(&bearer).json(&bulk)).expect(200);
    let client = [pairs[1], pairs[2]];
    scene.send(Call::post("/oauth/introspect").form(&[client[0], client[1], ("token", &token)])).expect(200);
    scene
        .send(Call::post("/oauth/revoke").form(&[client[0], client[1], ("token", &multipart_token)]))
        .expect(200);
    scene.send(Call::get(PATS).auth(&format!("Bearer {multipart_token}"))).expect(401);
    scene
        .send(Call::post("/oauth/introspect").form(&[client[0], client[1], ("token", &multipart_token)]))
        .expect(200);
    scene.send(Call::new("DELETE", &format!("{PATS}/{gone_id}")).auth(&admin)).expect(204);

    Made { first: (id, secret), second, deleted: (gone_id, gone_secret), token }
}

/// Secrets that are wrong, or in a wrong place.
fn misuse(scene: &mut Scene, made: &Made) {
    let (admin, grant) = (scene.folder.basic(), GRANT);
    let (admin_id, admin_secret) = scene.folder.id_and_secret();
    let Made {
        first: (id, secret),
        second: (other_id, other_secret),
        deleted: (gone_id, gone_secret),
        token,
    } = made;
    let bearer = format!("Bearer {token}");
    let guess = "somebody elses password, mistyped";
    scene.secrets.add_secret("a wrong secret", id, guess);
    let (gone, swapped) = (basic(gone_id, gone_secret), basic(secret, id));
    scene.secrets.add("swapped", "in a Basic header", swapped.replace("Basic ", "").trim_end_matches('='));
    for credential in [&basic(id, guess), &basic(&admin_id, secret), &basic(guess, secret), &gone, &swapped] {
        scene.send(Call::get(PATS).auth(credential)).expect(401);
        scene.send(Call::get("/forward-auth").auth(credential)).expect(401);
        scene.send(Call::post("/oauth/token").auth(credential).form(&[grant])).expect(401);
    }
    for (id, secret) in [(&**id, guess), (secret, id), (gone_id, gone_secret), ("nobody", guess)] {
        let wrong = [grant, ("client_id", id), ("client_secret", secret), ("token", token)];
        for uri in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
            scene.send(Call::post(uri).form(&wrong)).expect(401);
            scene.send(Call::post(&format!("{uri}?{}", form(&wrong)))).expect(401);
        }
    }
    for value in [secret, &admin_secret, &token.replace('.', "")] {
        scene.send(Call::get(PATS).auth(&format!("Bearer {value}"))).expect(401);
        scene.send(Call::get(PATS).auth(&format!("Basic {value}"))).expect(401);
        scene.send(Call::get(PATS).auth(value)).expect(401);
        scene.send(Call::get(&format!("{PATS}/{value}")).auth(&admin)).expect(404);
        scene.send(Call::get(&format!("/nothing/{value}?{value}"))).expect(404);
    }
    scene.send(Call::get(&format!("{PATS}?client_secret={other_secret}")).auth(&bearer)).expect(200);
    scene.send(Call::get(&format!("/forward-auth?access_token={token}&secret={secret}"))).expect(401);
    let broken = format!("{{\"secret\": \"{secret}\"");
    scene.send(Call::post(PATS).auth(&bearer).body("application/json", broken)).expect(400);
    let huge = format!("client_secret={secret}{}", "&".repeat(70_000));
    let urlencoded = "application/x-www-form-urlencoded";
    scene.send(Call::post("/oauth/token").body(urlencoded, huge)).expect(413);
    let client = [("client_id", id.as_str()), ("client_secret", secret.as_str())];
    let twice = [grant, client[0], client[1], client[1]];
    scene.send(Call::post("/oauth/token").auth(&basic(id, secret)).form(&twice)).expect(400);
    let two = [grant, client[0], ("client_id", other_id), client[1]];
    scene.send(Call::post("/oauth/token").form(&two)).expect(400);
    let request = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 500\r\n\r\nclient_secret={secret}"
    );
    let mut stream = TcpStream::connect(&scene.server.address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    drop(stream);
}

#[test]
fn secrets_are_nowhere_in_the_clear() {
    let mut scene = Scene::start();
    let made = use_well(&mut scene);
    misuse(&mut scene, &made);
    let bearer = format!("Bearer {}", made.token);

    // Commands look at all of it.
    for args in [
        &["admin", "pat", "list", "--json"][..],
        &["admin", "pat", "list"],
        &["admin", "audit", "list", "--limit", "10000", "--json"],
        &["admin", "identity", "list", "--json"],
        &["admin", "keys", "list", "--json"],
        &["config", "check", "--json"],
    ] {
        scene.command(args, "");
    }
    // What was gathered in memory is in the database by now: a list waits for it.
    let trail = scene.send(Call::get("/audit-events/v1").auth(&bearer)).expect(200).text();
    assert!(trail.contains("PERSONAL_ACCESS_TOKEN_USE_FAILED"));

    // What is looked for is found where it may be, and the log does tell everything.
    let bootstrap = fs::read(scene.folder.data.join("bootstrap.json")).unwrap();
    assert!(scene.secrets.within(&bootstrap).contains(&"bootstrap's PAT plain"));
    assert!(scene.secrets.within(&bootstrap).contains(&"bootstrap's password plain"));
    assert!(scene.server.log().contains(" TRACE ") && scene.server.log().contains("h2"));
    scene.look();

    // Killed, the files are as they were; closed in peace, they are folded into one.
    let Scene { folder, server, secrets, .. } = scene;
    server.kill();
    secrets.are_in_no_file(&folder);
    let server = Server::start(&folder.data, &[]);
    let log = server.log.clone();
    assert_eq!(server.stop(), Some(0));
    assert_eq!(secrets.are_in_no_file(&folder), database_files(&["patron.db", "patron.db.lock"]));
    secrets.are_not_in("the log", &fs::read(log).unwrap());
}
