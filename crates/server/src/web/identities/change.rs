//! Enabling, disabling and a new password: each asks first and says what it ends.

use askama::Template;
use patron_core::Result;
use patron_core::identity::Identity;

use super::{id_of, password_page, path_of};
use crate::app::Request;
use crate::respond::{Answer, Failure};
use crate::web::cookies::Notice;
use crate::web::frame::{self, Frame, Problems};
use crate::web::{Section, Visitor};

/// What is asked about. Its name is the last part of the path, and stands in the ids of its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Enable,
    Disable,
    ResetPassword,
}

impl Action {
    /// The one that the path names.
    fn of(request: &Request) -> Self {
        match request.last_segment() {
            "enable" => Self::Enable,
            "disable" => Self::Disable,
            // There is a route for these three and no other.
            _ => Self::ResetPassword,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::ResetPassword => "reset-password",
        }
    }
}

#[derive(Template)]
#[template(path = "identity_confirm.html")]
struct ConfirmPage {
    frame: Frame,
    identity: Identity,
    id: String,
    action: Action,
    problems: Problems,
}

impl ConfirmPage {
    /// Whether it ends something.
    fn is_grave(&self) -> bool {
        self.action != Action::Enable
    }

    /// A text of this action.
    fn text(&self, what: &str) -> String {
        self.frame.t(["confirm-", self.action.name(), "-", what].concat())
    }
}

fn confirm_page(
    request: &Request,
    visitor: &Visitor,
    identity: Identity,
    problems: Problems,
) -> Result<Answer, Failure> {
    let frame = Frame::new(request, Some(visitor), Section::Identities);
    let (id, action) = (identity.id.to_string(), Action::of(request));
    let status = problems.status();
    frame::page(request, status, &ConfirmPage { frame, identity, id, action, problems })
}

/// `GET …/{id}/disable`, `…/enable` and `…/reset-password`: asks, if the visitor may do it at all.
pub async fn confirm(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let identity = visitor.actor(&request).identity(id_of(&request)?).await?;
    let (catalogue, holder) = (&request.app.catalogue, visitor.holder());
    match Action::of(&request) {
        Action::Enable => holder.set_enabled(catalogue, &identity.levels, true)?,
        Action::Disable => holder.set_enabled(catalogue, &identity.levels, false)?,
        Action::ResetPassword => holder.reset_password(catalogue, identity.id, &identity.levels)?,
    }
    confirm_page(&request, &visitor, identity, Problems::default())
}

/// `POST …/{id}/disable` and `…/enable`.
pub async fn set_enabled(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let id = id_of(&request)?;
    let actor = visitor.actor(&request);
    let enabled = Action::of(&request) == Action::Enable;
    match actor.set_enabled(id, enabled).await {
        Ok(_) => {
            let told = if enabled { "notice-identity-enabled" } else { "notice-identity-disabled" };
            Ok(frame::redirect_with(&request, &path_of(id), Notice::of(told)))
        }
        Err(error) => {
            let mut problems = Problems::default();
            problems.take(error)?;
            confirm_page(&request, &visitor, actor.identity(id).await?, problems)
        }
    }
}

/// `POST …/{id}/reset-password`: shows the new password once.
pub async fn reset_password(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let reset = visitor.actor(&request).reset_password(id_of(&request)?).await?;
    password_page(&request, &visitor, reset, false)
}
