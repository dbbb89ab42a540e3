//! Administration → Identities.

mod change;
mod list;
mod new;
mod one;

pub use change::{confirm, reset_password, set_enabled};
pub use list::list;
pub use new::{create, new};
pub use one::{one, set_levels};

use askama::Template;
use axum::http::StatusCode;
use patron_core::Result;
use patron_core::access::Holder;
use patron_core::id::IdentityId;
use patron_core::identity::Identity;
use patron_core::rights::{Catalogue, RightSet};
use patron_core::secret::Password;
use patron_store::identities::no_such_identity;

use super::frame::{self, Frame};
use super::{Section, Visitor};
use crate::app::Request;
use crate::oauth::metadata::SIGN_IN;
use crate::respond::{Answer, Failure};

/// The path of the list, and what the others begin with.
pub const PATH: &str = "/ui/a/identities";

/// The id of an identity in the path.
fn id_of(request: &Request) -> Result<IdentityId> {
    IdentityId::parse(request.segment_behind(PATH)).ok_or_else(no_such_identity)
}

fn path_of(id: IdentityId) -> String {
    format!("{PATH}/{id}")
}

/// A level that can be ticked.
struct LevelChoice {
    name: String,
    /// The rights that it has beyond everyone's, with commas between; empty when it has none.
    rights: String,
    chosen: bool,
    /// Whether it stays as it is: the visitor lacks rights that it has.
    is_fixed: bool,
}

/// The levels that a form offers: those that the identity has (`held`), and those that the visitor may give.
fn level_choices(
    catalogue: &Catalogue,
    holder: &Holder<'_>,
    held: &[String],
    chosen: &[String],
) -> Vec<LevelChoice> {
    let everyone = catalogue.rights_of_levels(&[]);
    let holds = |level: &str| held.iter().any(|held| held == level);
    let offered = catalogue
        .levels()
        .filter(|level| holds(level) || holder.grant_levels(catalogue, &[(*level).to_owned()]).is_ok());
    let choice = |level: &str| {
        let rights: RightSet = catalogue.rights_of_levels(&[level.to_owned()]).without(everyone);
        LevelChoice {
            rights: catalogue.names_of(rights),
            chosen: chosen.iter().any(|chosen| chosen == level),
            is_fixed: holds(level) && holder.set_levels(catalogue, &[level.to_owned()], &[]).is_err(),
            name: level.to_owned(),
        }
    };
    offered.map(choice).collect()
}

/// The answer page with a password that is told this once.
#[derive(Template)]
#[template(path = "identity_password.html")]
struct PasswordPage {
    frame: Frame,
    identity: Identity,
    id: String,
    password: Password,
    sign_in: String,
    /// Whether the identity was just made; else its password was reset.
    made: bool,
}

fn password_page(
    request: &Request,
    visitor: &Visitor,
    (identity, password): (Identity, Password),
    made: bool,
) -> Result<Answer, Failure> {
    let frame = Frame::new(request, Some(visitor), Section::Identities);
    let (id, sign_in) = (identity.id.to_string(), format!("{}{SIGN_IN}", request.site.url));
    let page = PasswordPage { frame, identity, id, password, sign_in, made };
    frame::page(request, StatusCode::OK, &page)
}
