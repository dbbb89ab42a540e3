//! Administration → All tokens: every token of the tenant, searched, sorted, changed and deleted many at once.

mod bulk;
mod choice;
mod filter;
mod list;
mod one;

pub use bulk::{carry_out, preview};
pub use list::list;
pub use one::{delete, one, remove};

use patron_core::Result;
use patron_core::access::no_such_pat;
use patron_core::id::PatId;
use patron_store::pats::search::Listed;

use super::Frame;
use super::moment::days_until;
use super::tokens::{Badge, badge};
use crate::app::Request;

/// The path of the list, and what the others begin with.
pub const PATH: &str = "/ui/a/personal-access-tokens";

/// A token as a row of a table.
struct Row {
    listed: Listed,
    id: String,
    /// The owner's id.
    owner: String,
    badge: Badge,
    /// Days until it expires, rounded up, where it has yet to.
    days_left: Option<u64>,
    /// Whether it is ticked.
    ticked: bool,
}

impl Row {
    fn new(listed: Listed, frame: &Frame) -> Self {
        let pat = &listed.pat;
        let days_left = pat.expiry.date().map(|at| days_until(at, frame.now)).filter(|days| *days > 0);
        Self {
            id: pat.id.to_string(),
            owner: pat.owner.to_string(),
            badge: badge(pat, frame),
            days_left,
            ticked: false,
            listed,
        }
    }
}

/// What the visitor may do, and is offered.
struct Offers {
    expire: bool,
    delete: bool,
}

/// The id of a token in the path, `/ui/a/personal-access-tokens/{id}` with whatever behind it.
fn id_of(request: &Request) -> Result<PatId> {
    let rest = request.parts.uri.path().strip_prefix(PATH).unwrap_or_default();
    PatId::parse(rest.trim_start_matches('/').split('/').next().unwrap_or_default()).ok_or_else(no_such_pat)
}
