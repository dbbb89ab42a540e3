//! A visitor of the pages: signed in by the form, as a browser would be.

use std::fs;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::RequestBuilder;
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;
use serde::Deserialize;

use crate::place::Place;
use crate::server::{Home, Server};
use crate::{Failure, Result};

/// The first administrator, signed in.
pub(crate) struct Visitor {
    http: reqwest::Client,
    cookie: String,
}

impl Visitor {
    pub(crate) fn sign_in(place: &Place, home: &Home, patron: &Server) -> Result<Self> {
        let made = fs::read(home.file("data").join("bootstrap.json"))?;
        place.runtime.block_on(sign_in(&made, &patron.url("")))
    }

    /// Asks for a page.
    pub(crate) fn get(&self, url: &str) -> RequestBuilder {
        self.http.get(url).header(COOKIE, &self.cookie)
    }
}

async fn sign_in(made: &[u8], base: &str) -> Result<Visitor> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Made {
        user_name: String,
        password: String,
    }
    let Made { user_name, password } = serde_json::from_slice(made)?;
    let mut visitor = Visitor {
        http: reqwest::Client::builder().no_proxy().redirect(Policy::none()).build()?,
        cookie: String::new(),
    };
    visitor.submit(&format!("{base}/ui/sign-in"), &[("name", &user_name), ("password", &password)]).await?;
    // The first password is for the first time.
    let chosen = "a password for measurements";
    let fields = [("current", password.as_str()), ("new", chosen), ("again", chosen)];
    visitor.submit(&format!("{base}/ui/d/user-preferences/password"), &fields).await?;
    Ok(visitor)
}

impl Visitor {
    /// Fills in the form of a page and sends it to where the page is.
    async fn submit(&mut self, url: &str, fields: &[(&str, &str)]) -> Result<()> {
        let asked = self.get(url).send().await?.error_for_status()?;
        self.keep_cookies(&asked)?;
        let page = asked.text().await?;
        let csrf = page.split_once("name=\"csrf\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
        let (csrf, _) = csrf.ok_or_else(|| Failure(format!("{url}: the form has no token")))?;
        let fields = [&[("csrf", csrf)], fields].concat();
        let form: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let posted = self.http.post(url).header(COOKIE, &self.cookie);
        let posted = posted.header("content-type", crate::load::FORM).body(form.join("&")).send().await?;
        self.keep_cookies(&posted)?;
        if posted.status().is_redirection() {
            Ok(())
        } else {
            Err(Failure(format!("{url}: {} {}", posted.status(), posted.text().await?)).into())
        }
    }

    /// Those that an answer sets, as they are sent back, in the place of others; all of them if it sets any.
    fn keep_cookies(&mut self, answer: &reqwest::Response) -> Result<()> {
        let set = answer.headers().get_all(SET_COOKIE).iter();
        let pairs = set.map(|set| Ok(set.to_str()?.split(';').next().unwrap_or_default().to_owned()));
        let pairs = pairs.collect::<Result<Vec<_>>>()?;
        if !pairs.is_empty() {
            self.cookie = pairs.join("; ");
        }
        Ok(())
    }
}

fn encoded(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}
