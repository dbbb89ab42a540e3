//! The limits of the client: how much it takes from a server, how long it waits, and how long it keeps what it got.

use std::time::Duration;

/// How long a connection may take to come about.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may be silent. Patron breaks off after a minute what takes longer.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(75);
/// How long an answer that is read whole may take, however slowly it drips.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);
/// Bytes that such an answer may have. 25 PATs with 100 scopes of 255 characters each stay below.
pub(crate) const ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that one element of a list may have.
pub(crate) const ELEMENT_BYTES: usize = 1024 * 1024;
/// Characters of a server's text that one line shows.
pub(crate) const LINE_CHARS: usize = 500;
/// An access token is renewed this long before it ends, or a tenth of its life before, whichever is less: what is under
/// way with it should arrive while it is good.
pub(crate) const RENEWED_BEFORE_MILLIS: i64 = 60_000;
/// How long the server's keys are kept. As long as Patron lets them be cached.
pub(crate) const KEYS_KEPT_SECONDS: i64 = 300;
/// A key that is not there is looked for anew at most this often, so that forged `kid`s make no flood of requests.
pub(crate) const KEYS_LOOKED_SECONDS: i64 = 10;
/// How far the clocks of the server and of this machine may be apart.
pub(crate) const LEEWAY_SECONDS: i64 = 5;
/// Bytes of an access token that is verified.
pub(crate) const TOKEN_BYTES: usize = 64 * 1024;
