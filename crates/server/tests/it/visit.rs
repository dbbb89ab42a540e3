//! A browser without scripts: it keeps cookies, follows nothing by itself, and sends forms with their CSRF token.

use std::collections::BTreeMap;

use patron_core::identity::Identity;
use patron_core::secret::SessionToken;

use crate::support::{Call, Patron, Reply, Server, form, operator};

/// What [`Patron::visit`] keeps as a password hash: nobody can sign in with it.
const NO_HASH: &str = "no password has this hash";

/// Whose pages are visited.
#[derive(Clone, Copy)]
enum Site<'a> {
    Patron(&'a Patron),
    Server(&'a Server),
}

/// A visit of the pages.
pub(crate) struct Visit<'a> {
    site: Site<'a>,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Every session token that the browser was given, whether or not somebody signed in with it.
    pub(crate) sessions: Vec<String>,
    pub(crate) csrf: String,
    host: Option<String>,
}

impl Patron {
    /// A visit of somebody who has signed in already.
    pub(crate) async fn visit(&self, identity: &Identity) -> Visit<'_> {
        let (store, tenant, id) = (&self.app.store, identity.tenant, identity.id);
        store.set_password_hash(operator(), tenant, id, NO_HASH.to_owned(), false).await.unwrap();
        let token = SessionToken::generate(&*self.app.entropy);
        let session = store.sign_in(operator(), tenant, id, NO_HASH.to_owned(), None, token.hash()).await;
        session.unwrap().expect("an enabled identity with this password hash");
        let mut visit = self.stranger();
        visit.cookies.insert("patron_session".to_owned(), token.expose().to_owned());
        visit.csrf = token.csrf();
        visit
    }

    /// A visit of somebody who has not.
    pub(crate) fn stranger(&self) -> Visit<'_> {
        Visit::new(Site::Patron(self))
    }
}

impl Server {
    /// A visit of somebody who has not signed in.
    pub(crate) fn stranger(&self) -> Visit<'_> {
        Visit::new(Site::Server(self))
    }
}

impl<'a> Visit<'a> {
    fn new(site: Site<'a>) -> Self {
        Self { site, cookies: BTreeMap::new(), sessions: Vec::new(), csrf: String::new(), host: None }
    }

    /// The same at another host.
    pub(crate) fn at(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send(Call::get(path)).await
    }

    /// Posts a form with the CSRF token of the page that was last seen.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let csrf = self.csrf.clone();
        let fields: Vec<_> = fields.iter().copied().chain([("csrf", csrf.as_str())]).collect();
        self.send(Call::post(path).body("application/x-www-form-urlencoded", form(&fields))).await
    }

    /// Sends anything with the cookies, and keeps those that are set.
    pub(crate) async fn send(&mut self, mut call: Call) -> Reply {
        if let Some(host) = &self.host {
            call = call.host(host);
        }
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            call = call.header("cookie", &cookies.join("; "));
        }
        let reply = match self.site {
            Site::Patron(patron) => patron.send(call).await,
            // Its client waits, which is not for a thread that other futures run on.
            Site::Server(server) => {
                std::thread::scope(|scope| scope.spawn(|| server.send(call)).join().unwrap())
            }
        };
        for set in reply.headers.get_all("set-cookie") {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                if name.ends_with("patron_session") {
                    self.sessions.push(value.to_owned());
                }
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Some((_, rest)) = reply.text().split_once("name=\"csrf\" value=\"") {
            rest.split('"').next().unwrap().clone_into(&mut self.csrf);
        }
        reply
    }
}

impl Reply {
    /// Where a page sends the browser.
    #[track_caller]
    pub(crate) fn leads_to(&self) -> String {
        assert_eq!(self.status.as_u16(), 303, "{}", self.text());
        self.header("location").unwrap().to_owned()
    }
}

/// The one thing between two others in a page.
#[track_caller]
pub(crate) fn between<'a>(page: &'a str, before: &str, after: &str) -> &'a str {
    page.split_once(before).unwrap_or_else(|| panic!("no {before} in {page}")).1.split(after).next().unwrap()
}

/// The rows of a page's tables, by their names, in their order.
pub(crate) fn names(page: &str) -> Vec<String> {
    let parts = page.split("<th scope=\"row\"").skip(1);
    parts.map(|part| between(part, "<bdi class=\"name\">", "</bdi>").to_owned()).collect()
}
