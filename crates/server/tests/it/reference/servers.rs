//! Against whom the reference's examples are run: a real `patron serve`, and the original's double.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::original::Original;
use crate::support::{Call, Server, basic};

/// Where a server is, and as whom one calls it.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) url: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    /// The identity that the credential acts for.
    pub(crate) owner: String,
}

impl Access {
    /// The same with a secret that is none.
    pub(crate) fn with_wrong_secret(&self) -> Self {
        let wrong = self.client_secret.chars().rev().collect();
        Self { client_secret: wrong, ..self.clone() }
    }
}

/// A server of the API.
pub(crate) trait Site {
    fn access(&self) -> Access;
    /// Ends an access token before its time.
    fn end(&self, token: &str);
}

/// `patron serve`.
pub(crate) struct PatronSite {
    server: Server,
    dir: TempDir,
}

impl PatronSite {
    pub(crate) fn start() -> Self {
        let dir = TempDir::new().unwrap();
        Self { server: Server::start(&dir.path().join("data"), &[]), dir }
    }

    pub(crate) fn send(&self, call: Call) -> crate::support::Reply {
        self.server.send(call)
    }
}

impl Site for PatronSite {
    fn access(&self) -> Access {
        let text = fs::read_to_string(self.dir.path().join("data/bootstrap.json")).unwrap();
        let made: Value = serde_json::from_str(&text).unwrap();
        let field = |name: &str| made[name].as_str().unwrap().to_owned();
        Access {
            url: self.server.url(""),
            client_id: field("clientId"),
            client_secret: field("clientSecret"),
            owner: field("identityId"),
        }
    }

    fn end(&self, token: &str) {
        let access = self.access();
        let call = Call::post("/oauth/revoke").auth(&basic(&access.client_id, &access.client_secret));
        self.send(call.form(&[("token", token)])).expect(200);
    }
}

impl Site for Original {
    fn access(&self) -> Access {
        let admin = self.admin.clone();
        Access { url: self.url.clone(), client_id: admin.id, client_secret: admin.secret, owner: admin.owner }
    }

    /// All of them: it has nothing that ends one.
    fn end(&self, _token: &str) {
        self.end_access_tokens();
    }
}
