//! What only a wire can carry: broken HTTP, bodies that end too soon or never, heads that are too long. Whatever
//! comes, the service answers on and nothing in its log has panicked (contract sections 7 and 10).

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Call, Server, basic, form};

struct Wire {
    server: Server,
    basic: String,
    id: String,
    secret: String,
    _dir: TempDir,
}

impl Wire {
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("data");
        let limits =
            [("PATRON_RATE_LIMITS_REQUESTS", "0"), ("PATRON_RATE_LIMITS_AUTH_FAILURES_PER_ADDRESS", "0")];
        let server = Server::start_with(&data, &[], &limits);
        let made: Value =
            serde_json::from_str(&std::fs::read_to_string(data.join("bootstrap.json")).unwrap()).unwrap();
        let (id, secret) = (made["clientId"].as_str().unwrap(), made["clientSecret"].as_str().unwrap());
        let (basic, id, secret) = (basic(id, secret), id.to_owned(), secret.to_owned());
        Self { server, basic, id, secret, _dir: dir }
    }

    /// Sends a head (without its last line) and a body over a connection of its own that is closed afterwards.
    fn raw(&self, head: &str, body: &[u8]) -> String {
        let mut bytes = format!("{}\r\nConnection: close\r\n\r\n", head.replace('\n', "\r\n")).into_bytes();
        bytes.extend_from_slice(body);
        self.server.raw(&bytes)
    }

    /// A creation's head, with the credential.
    fn create(&self, more: &str) -> String {
        let Self { basic, .. } = self;
        format!("POST /personal-access-tokens/v1 HTTP/1.1\nHost: x\nAuthorization: {basic}\n{more}")
    }

    /// The service is as it was.
    #[track_caller]
    fn answers_on(&self) {
        let list = self.server.send(Call::get("/personal-access-tokens/v1").auth(&self.basic)).expect(200);
        assert_eq!(list.json().as_array().unwrap().len(), 1);
        let pairs =
            [("grant_type", "client_credentials"), ("client_id", &self.id), ("client_secret", &self.secret)];
        self.server.send(Call::post("/oauth/token").form(&pairs)).expect(200);
        let log = self.server.log();
        assert!(!log.contains("panicked"), "{log}");
    }
}

fn status(answer: &str) -> u16 {
    let code = answer.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).unwrap_or_default();
    code.parse().unwrap_or_else(|_| panic!("no answer: {answer:?}"))
}

/// The body of an answer with a `Content-Length`, as JSON.
fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}"))
}

#[test]
fn http_1_0_and_no_host_are_the_default_tenant() {
    let wire = Wire::start();
    for head in [
        "GET /oauth/info HTTP/1.0",
        "GET /oauth/info HTTP/1.1\nHost:",
        "GET /oauth/info HTTP/1.1\nHost: [::1]:1",
        "GET http://anywhere.example/oauth/info HTTP/1.1\nHost: x",
    ] {
        let answer = wire.raw(head, b"");
        assert_eq!(status(&answer), 200, "{head}: {answer}");
        assert_eq!(body(&answer)["tenantName"], "default");
    }
    wire.answers_on();
}

#[test]
fn what_is_no_http_is_refused() {
    let wire = Wire::start();
    let broken: [&[u8]; 16] = [
        b"\r\n\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        // A TLS client.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for bytes in broken {
        let mut stream = TcpStream::connect(&wire.server.address).unwrap();
        stream.write_all(bytes).unwrap();
        // The server may have answered and closed by now.
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.is_empty() || (400..500).contains(&status(&answer)),
            "{}: {answer}",
            bytes.escape_ascii()
        );
    }
    // HTTP/2 that breaks off, and HTTP/2 that is none.
    for bytes in
        [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff"]
    {
        let mut stream = TcpStream::connect(&wire.server.address).unwrap();
        stream.write_all(bytes).unwrap();
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    wire.answers_on();
}

#[test]
fn bodies_that_break_off_are_400_and_make_nothing() {
    let wire = Wire::start();
    let good = json!({ "name": "made", "userAwareTokenNeverExpires": true }).to_string();
    let chunked = wire.create("Transfer-Encoding: chunked");
    let size = good.len();
    for body_bytes in [
        format!("zz\r\n{good}\r\n0\r\n\r\n"),
        format!("-1\r\n{good}\r\n0\r\n\r\n"),
        format!("fffffffffffffffff\r\n{good}\r\n0\r\n\r\n"),
        format!("{size:x}\r\n{good}XX0\r\n\r\n"),
    ] {
        let answer = wire.raw(&chunked, body_bytes.as_bytes());
        assert_eq!(status(&answer), 400, "{body_bytes}: {answer}");
        assert_eq!(body(&answer)["detailCode"], "400.0 Bad request syntax");
    }
    // The client goes away in the middle; nothing is made of the half.
    for (head, sent) in [
        (chunked.clone(), format!("{size:x}\r\n{good}\r\n")),
        (chunked.clone(), format!("{size:x}\r\n{}", &good[..10])),
        (wire.create("Content-Length: 1000"), good.clone()),
    ] {
        let mut stream = TcpStream::connect(&wire.server.address).unwrap();
        stream
            .write_all(format!("{head}\n\n{sent}").replace('\n', "\r\n").replace("\r\r", "\r").as_bytes())
            .unwrap();
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.is_empty() || status(&answer) == 400, "{answer}");
    }
    let form = form(&[("grant_type", "client_credentials")]);
    let head = "POST /oauth/token HTTP/1.1\nHost: x\nTransfer-Encoding: chunked";
    let answer = wire.raw(head, format!("zz\r\n{form}\r\n0\r\n\r\n").as_bytes());
    assert_eq!((status(&answer), &body(&answer)["error"]), (400, &json!("invalid_request")));
    wire.answers_on();
}

#[test]
fn ten_megabytes_are_413_however_they_are_sent() {
    let wire = Wire::start();
    let huge = vec![b'['; 10 * 1024 * 1024];
    for (uri, content_type) in [
        ("/personal-access-tokens/v1", "application/json"),
        ("/personal-access-tokens/v1/bulk-update", "application/json"),
        ("/v3/personal-access-tokens", "application/json"),
    ] {
        let call = Call::post(uri).auth(&wire.basic).body(content_type, huge.clone());
        wire.server.send(call).expect_error("413.0 Payload Too Large");
    }
    for uri in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
        let reply = wire.server.send(Call::post(uri).body("application/x-www-form-urlencoded", huge.clone()));
        assert_eq!(reply.expect(413).json()["error"], "invalid_request");
    }
    // Without saying how long it will be.
    let mut chunks = Vec::new();
    for chunk in huge.chunks(64 * 1024) {
        chunks.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunks.extend_from_slice(chunk);
        chunks.extend_from_slice(b"\r\n");
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    let answer = wire.raw(&wire.create("Transfer-Encoding: chunked"), &chunks);
    assert_eq!(status(&answer), 413);
    assert_eq!(body(&answer)["detailCode"], "413.0 Payload Too Large");
    // A body on an endpoint that takes none is nobody's business.
    let reply = wire.server.send(Call::get("/oauth/info").body("application/json", b"[".repeat(1000)));
    reply.expect(200);
    wire.answers_on();
}

#[test]
fn heads_that_are_too_long_are_refused_and_long_ones_are_not() {
    let wire = Wire::start();
    let head = |bytes: usize| format!("GET /oauth/info HTTP/1.1\nHost: x\nX-Long: {}", "x".repeat(bytes));
    assert_eq!(status(&wire.raw(&head(60_000), b"")), 200);
    assert_eq!(status(&wire.raw(&head(200_000), b"")), 431);
    let many = "\nX-Many: 1".repeat(2_000);
    assert_eq!(status(&wire.raw(&format!("GET /oauth/info HTTP/1.1\nHost: x{many}"), b"")), 431);
    let uri = format!("GET /oauth/info?{} HTTP/1.1\nHost: x", "x".repeat(60_000));
    assert_eq!(status(&wire.raw(&uri, b"")), 200);
    let uri = format!("GET /{} HTTP/1.1\nHost: x", "x".repeat(200_000));
    assert!((400..500).contains(&status(&wire.raw(&uri, b""))));
    wire.answers_on();
}

#[test]
fn odd_but_lawful_requests_are_answered_in_the_contracts_shape() {
    let wire = Wire::start();
    for (head, expected) in [
        ("BREW /personal-access-tokens/v1 HTTP/1.1\nHost: x", 405),
        ("OPTIONS * HTTP/1.1\nHost: x", 404),
        ("CONNECT example.com:443 HTTP/1.1\nHost: x", 404),
        ("GET /%zz HTTP/1.1\nHost: x", 404),
        ("GET /personal-access-tokens/v1/%00 HTTP/1.1\nHost: x", 401),
        ("GET /personal-access-tokens/v1?limit=%zz HTTP/1.1\nHost: x", 401),
        ("GET /personal-access-tokens/v1 HTTP/1.1\nHost: x\nAuthorization: Bearer \u{e9}", 401),
        ("GET /personal-access-tokens/v1 HTTP/1.1\nHost: \u{e9}", 401),
        ("DELETE /personal-access-tokens/v1/x HTTP/1.1\nHost: x\nContent-Type: application/json", 401),
    ] {
        let answer = wire.raw(head, b"");
        assert_eq!(status(&answer), expected, "{head}: {answer}");
        let code = &body(&answer)[if expected == 401 { "error" } else { "detailCode" }];
        assert!(code.is_string(), "{answer}");
        assert_eq!(
            expected == 405,
            answer.to_lowercase().contains("\r\nallow: post, get, head\r\n"),
            "{answer}"
        );
    }
    let good = json!({ "name": "made", "userAwareTokenNeverExpires": true }).to_string();
    let head = wire.create(&format!("Expect: 100-continue\nContent-Length: {}", good.len()));
    let answer = wire.raw(&head, good.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{answer}");
    let id = answer.split("\"id\":\"").nth(1).unwrap()[..32].to_owned();
    // What the official clients do: a content type and an empty body.
    for method in ["GET", "DELETE"] {
        let call = Call::new(method, &format!("/personal-access-tokens/v1/{id}")).auth(&wire.basic);
        let reply = wire.server.send(call.body("application/json", ""));
        assert!(reply.status.is_success(), "{}", reply.text());
    }
    // Two requests at once on one connection are answered in turn.
    let pipelined = "GET /oauth/info HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = wire.server.raw(pipelined.as_bytes());
    let answers: Vec<&str> = answer.matches("HTTP/1.1 ").collect();
    assert_eq!(answers.len(), 2, "{answer}");
    assert!(answer.contains("HTTP/1.1 200 OK") && answer.contains("HTTP/1.1 404 Not Found"), "{answer}");
    wire.answers_on();
}
