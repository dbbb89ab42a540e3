//! Preferences → Personal Access Tokens: one's own tokens.

mod edit;
mod form;
mod list;
mod new;

pub use edit::{delete, edit, remove, save};
pub use list::list;
pub use new::{create, new};

use patron_core::Result;
use patron_core::access::no_such_pat;
use patron_core::id::PatId;
use patron_core::pat::{Expiry, Pat, State};

use super::frame::{Frame, TOKENS};
use super::moment::days_until;
use crate::app::Request;

/// Days before its end from which on a token's end is pointed out.
const SOON_DAYS: u64 = 14;

/// How a token stands, as a badge tells it.
pub struct Badge {
    /// The id of its text.
    pub id: &'static str,
    /// The class of its colour.
    pub class: &'static str,
}

/// How a token stands.
pub fn badge(pat: &Pat, frame: &Frame) -> Badge {
    let days = match pat.expiry {
        Expiry::At(at) => days_until(at, frame.now),
        Expiry::Never => u64::MAX,
    };
    match pat.state(frame.now) {
        State::Expired(_) => Badge { id: "state-expired", class: "bad" },
        State::Live if days <= SOON_DAYS => Badge { id: "state-soon", class: "warn" },
        State::Live => Badge { id: "state-live", class: "good" },
    }
}

/// The id of a token in the path.
fn id_of(request: &Request) -> Result<PatId> {
    PatId::parse(request.segment_behind(TOKENS)).ok_or_else(no_such_pat)
}
