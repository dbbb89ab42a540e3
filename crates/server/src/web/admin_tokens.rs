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
    /// Whether it is ticked.
    ticked: bool,
}

impl Row {
    fn new(listed: Listed, frame: &Frame) -> Self {
        let pat = &listed.pat;
        Self {
            id: pat.id.to_string(),
            owner: pat.owner.to_string(),
            badge: badge(pat, frame),
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

/// The id of a token in the path.
fn id_of(request: &Request) -> Result<PatId> {
    PatId::parse(request.segment_behind(PATH)).ok_or_else(no_such_pat)
}
