use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use patron_api::PersonalAccessToken;
use reqwest::{Method, Response};

use crate::array::{Broken, Splitter};
use crate::calls::PATS;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::send::Repeatable;

/// Which PATs to list. The parameters `owner-id` and `filters` of `Get-PersonalAccessTokensV1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    owner_id: Option<String>,
    filters: Option<String>,
}

impl List {
    /// One's own. Asks for the right `idn:my-personal-access-tokens:read`.
    pub fn mine() -> Self {
        Self::of("me")
    }

    /// Everyone's. Asks for the right `idn:all-personal-access-tokens:read`.
    pub fn everyones() -> Self {
        Self::default()
    }

    /// Those of one identity, by its id. Asks for the right `idn:all-personal-access-tokens:read`.
    pub fn of(owner_id: impl Into<String>) -> Self {
        Self { owner_id: Some(owner_id.into()), filters: None }
    }

    /// Only those that the server finds to match: `lastUsed le 2023-02-05T10:59:27.214Z`, `lastUsed isnull`.
    #[must_use]
    pub fn filters(self, filters: impl Into<String>) -> Self {
        Self { filters: Some(filters.into()), ..self }
    }
}

impl Client {
    /// `GET /personal-access-tokens/v1`: PATs, oldest first, one by one as they arrive
    /// (`list-personal-access-tokens-v1`).
    ///
    /// However many there are, they are not held in memory. A list that breaks off ends with an error, never as if it
    /// were whole; nothing comes behind an error.
    ///
    /// ```
    /// # mod patron { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/served/mod.rs")); }
    /// # patron::served(|url, client_id, client_secret| async move {
    /// # let client = patron_client::Client::new(&url, patron_client::Credentials::new(client_id, client_secret))?;
    /// use futures_util::TryStreamExt as _;
    /// use patron_client::List;
    ///
    /// let list = List::mine().filters("lastUsed le 2099-02-05T10:59:27.214Z or lastUsed isnull");
    /// let mut pats = client.list(&list);
    /// while let Some(pat) = pats.try_next().await? {
    ///     println!("{} {:?}", pat.name, pat.last_used);
    /// }
    /// # Ok(()) });
    /// ```
    pub fn list(&self, list: &List) -> BoxStream<'static, Result<PersonalAccessToken>> {
        let (client, list) = (self.clone(), list.clone());
        let opened = async move {
            // To the server an empty one is none, and that is everyone's.
            if list.owner_id.as_deref() == Some("") {
                return Err(Error::usage("This is no id of an owner"));
            }
            let query = [("owner-id", list.owner_id), ("filters", list.filters)];
            let query: Vec<_> = query.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let request = client.streamed(Method::GET, &PATS).query(&query);
            let answer = client.call(request, Repeatable::Yes).await?;
            Ok::<_, Error>(rows(client, answer))
        };
        stream::once(opened).try_flatten().boxed()
    }
}

/// The elements of an answer, as they arrive.
fn rows(client: Client, response: Response) -> impl Stream<Item = Result<PersonalAccessToken>> + Send {
    enum Left<P> {
        Pieces(P, Splitter),
        Nothing,
    }
    let batches = stream::unfold(Left::Pieces(response.bytes_stream(), Splitter::default()), move |left| {
        let client = client.clone();
        async move {
            let Left::Pieces(mut pieces, mut splitter) = left else { return None };
            let mut rows = Vec::new();
            let ended = match pieces.next().await {
                Some(Ok(piece)) => {
                    let split = splitter.push(&piece, |element| {
                        rows.push(serde_json::from_slice(element).map_err(|error| client.unreadable(&error)));
                    });
                    split.err().map(|broken| client.broken(broken))
                }
                Some(Err(error)) => Some(client.transport(error)),
                None => {
                    let end = splitter.end().err().map(|broken| Err(client.broken(broken)));
                    return end.map(|error| (stream::iter(vec![error]), Left::Nothing));
                }
            };
            // Nothing comes behind an element that cannot be read.
            let unreadable = rows.iter().position(Result::is_err);
            if let Some(at) = unreadable {
                rows.truncate(at + 1);
            }
            let broken = unreadable.is_some() || ended.is_some();
            if unreadable.is_none() {
                rows.extend(ended.map(Err));
            }
            Some((stream::iter(rows), if broken { Left::Nothing } else { Left::Pieces(pieces, splitter) }))
        }
    });
    batches.flatten()
}

impl Client {
    fn broken(&self, broken: Broken) -> Error {
        let what = match broken {
            Broken::NoArray => "gave an answer that cannot be read: it is no list",
            Broken::EndsEarly => "broke its list off in the middle",
            Broken::TooLong => "gave a list with an entry that is too long",
        };
        Error::Unreadable {
            address: self.base_url().to_string(),
            what: what.to_owned(),
            status: None,
            maybe_done: false,
        }
    }
}
