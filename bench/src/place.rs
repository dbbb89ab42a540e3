//! Where measurements work.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use axum::body::Bytes;
use tempfile::TempDir;

use crate::database;
use crate::pats::{Pats, Popularity};
use crate::server::{Cores, Home, Server};
use crate::{Failure, Result};

/// A temporary folder, and a Patron to start in it.
pub(crate) struct Place {
    pub(crate) patron: PathBuf,
    folder: TempDir,
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) http: reqwest::Client,
}

impl Place {
    /// In a new folder in this one. What a run has left there that was ended is removed first.
    pub(crate) fn new(patron: PathBuf, within: &Path) -> Result<Self> {
        const PREFIX: &str = "run-";
        fs::create_dir_all(within)?;
        for entry in fs::read_dir(within)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(Self {
            patron,
            folder: tempfile::Builder::new().prefix(PREFIX).tempdir_in(within)?,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            // Servers close connections on which nothing was asked for a while; none is used that may be closed.
            http: reqwest::Client::builder()
                .no_proxy()
                .pool_idle_timeout(std::time::Duration::from_secs(5))
                .build()?,
        })
    }

    /// A new Patron's folder, with these tokens in its SQLite.
    pub(crate) fn home(&self, name: &str, pats: Pats) -> Result<Home> {
        let home = Home::new(self.folder.path().join(name), None)?;
        drop(self.patron(Cores::Server, &home)?);
        database::fill(&home.database(), pats)?;
        Ok(home)
    }

    pub(crate) fn patron(&self, cores: Cores, home: &Home) -> Result<Server> {
        Server::patron(cores, &self.patron, home)
    }

    /// Where a file or folder of this name is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with a line for each of these.
    pub(crate) fn lines(&self, name: &str, lines: impl Iterator<Item = String>) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        let mut file = BufWriter::new(fs::File::create(&path)?);
        for line in lines {
            writeln!(file, "{line}")?;
        }
        file.flush()?;
        Ok(path)
    }

    /// A file of forms with which tokens are exchanged.
    pub(crate) fn forms(
        &self,
        name: &str,
        pats: Pats,
        popularity: Popularity,
        turns: Range<u64>,
    ) -> Result<PathBuf> {
        self.lines(name, popularity.draw(pats, turns).map(|number| pats.form(number)))
    }

    /// An access token for this form, and all that was answered with it.
    pub(crate) fn exchange(&self, server: &Server, form: &str) -> Result<String> {
        self.runtime.block_on(exchange(&self.http, &server.url("/oauth/token"), form.to_owned()))
    }

    pub(crate) fn get(&self, url: &str, bearer: &str) -> Result<Vec<u8>> {
        self.runtime.block_on(async { Ok(answered(self.http.get(url).bearer_auth(bearer)).await?.to_vec()) })
    }

    pub(crate) fn file(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::write(&path, content)?;
        Ok(path)
    }
}

pub(crate) async fn exchange(http: &reqwest::Client, url: &str, form: String) -> Result<String> {
    #[derive(serde::Deserialize)]
    struct Token {
        access_token: String,
    }
    let request = http.post(url).header("content-type", crate::load::FORM).body(form);
    Ok(serde_json::from_slice::<Token>(&answered(request).await?)?.access_token)
}

/// What is answered with 200; anything else is a failure.
pub(crate) async fn answered(request: reqwest::RequestBuilder) -> Result<Bytes> {
    let answer = request.send().await?;
    let (url, status) = (answer.url().clone(), answer.status());
    let body = answer.bytes().await?;
    if status != 200 {
        return Err(Failure(format!("{url}: {status} {}", String::from_utf8_lossy(&body))).into());
    }
    Ok(body)
}

pub(crate) fn text_of(path: &Path) -> Result<&str> {
    Ok(path.to_str().ok_or("the temporary folder's name is not UTF-8")?)
}
