//! A server that answers what a test tells it to, one answer a request, and keeps what it was asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use patron_client::{Client, ClientBuilder, Credentials};

pub(crate) const ID: &str = "86f1dc6fe8f54414950454cbb11278fa";
pub(crate) const SECRET: &str = "the-secret-that-nothing-may-print";

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

type Answer = Box<dyn FnOnce(&Asked) -> Response + Send>;

#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// The server. It ends with the test's runtime.
pub(crate) struct Double {
    address: SocketAddr,
    script: Script,
}

impl Double {
    pub(crate) async fn start() -> Self {
        let script = Script::default();
        let router = Router::new().fallback(answer).with_state(script.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, script }
    }

    /// A builder of clients of this server.
    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder(&format!("http://{}/below/", self.address)).credentials(Credentials::new(ID, SECRET))
    }

    /// The next answer, made from what was asked.
    pub(crate) fn then_with(&self, answer: impl FnOnce(&Asked) -> Response + Send + 'static) -> &Self {
        self.script.answers.lock().unwrap().push_back(Box::new(answer));
        self
    }

    /// The next answer.
    pub(crate) fn then(&self, status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> &Self {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(body.into()).unwrap();
        self.then_with(move |_| response)
    }

    /// The next answer: an access token.
    pub(crate) fn then_token(&self, token: &str, expires_in: u32) -> &Self {
        let body = format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":{expires_in}}}"#);
        self.then(200, &[], body)
    }

    /// All that was asked, as `METHOD path`, since this was asked last.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect()
    }

    /// All that was asked since this was asked last. Every answer that was prepared must have been given.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        assert_eq!(self.script.answers.lock().unwrap().len(), 0, "answers that nobody asked for");
        std::mem::take(&mut self.script.asked.lock().unwrap())
    }
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let asked = Asked {
        method: parts.method,
        path: path.strip_prefix("/below").expect("the base's path is kept").to_owned(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let answer = script.answers.lock().unwrap().pop_front();
    let response = match answer {
        Some(answer) => answer(&asked),
        None => Response::builder().status(599).body(Body::from("nothing was prepared")).unwrap(),
    };
    script.asked.lock().unwrap().push(asked);
    response
}
