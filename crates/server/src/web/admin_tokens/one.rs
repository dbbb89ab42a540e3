//! One of everyone's tokens.

use askama::Template;
use axum::http::StatusCode;

use super::choice::Choice;
use super::{Offers, PATH, Row, id_of};
use crate::app::Request;
use crate::respond::{Answer, Failure};
use crate::web::cookies::Notice;
use crate::web::frame::{self, Frame, Problems};
use crate::web::{Section, Visitor};

#[derive(Template)]
#[template(path = "admin_token.html")]
struct OnePage {
    frame: Frame,
    path: &'static str,
    row: Row,
    sees_identities: bool,
    offers: Offers,
    choice: Choice,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "admin_token_delete.html")]
struct DeletePage {
    frame: Frame,
    path: &'static str,
    row: Row,
    /// The page of the token.
    back: String,
    typed: String,
    problems: Problems,
}

/// `GET …/{id}`: everything about it.
pub async fn one(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let actor = visitor.actor(&request);
    let listed = actor.listed_pat(id_of(&request)?).await?;
    let frame = Frame::new(&request, Some(&visitor), Section::AllTokens);
    let page = OnePage {
        path: PATH,
        sees_identities: actor.sees_identities(),
        offers: Offers {
            expire: actor.may_set_expiry_of(&listed.pat),
            delete: actor.require_deletable(&listed.pat).is_ok(),
        },
        choice: Choice::fresh(),
        problems: Problems::default(),
        row: Row::new(listed, &frame),
        frame,
    };
    frame::page(&request, StatusCode::OK, &page)
}

async fn delete_page(request: &Request, visitor: &Visitor, problems: Problems) -> Result<Answer, Failure> {
    let actor = visitor.actor(request);
    let listed = actor.listed_pat(id_of(request)?).await?;
    actor.require_deletable(&listed.pat)?;
    let frame = Frame::new(request, Some(visitor), Section::AllTokens);
    let typed = visitor.form.text("name").to_owned();
    let (back, row) = (format!("{PATH}/{}", listed.pat.id), Row::new(listed, &frame));
    let page = DeletePage { path: PATH, row, back, frame, typed, problems };
    frame::page(request, page.problems.status(), &page)
}

/// `GET …/{id}/delete`: asks for the name, so that nobody deletes the wrong one.
pub async fn delete(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    delete_page(&request, &visitor, Problems::default()).await
}

/// `POST …/{id}/delete`: deletes it when the name was typed.
pub async fn remove(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let actor = visitor.actor(&request);
    let listed = actor.listed_pat(id_of(&request)?).await?;
    if visitor.form.text("name").trim() != listed.pat.name {
        let mut problems = Problems::default();
        problems.add("name", "delete-name-differs");
        return delete_page(&request, &visitor, problems).await;
    }
    actor.delete(listed.pat.id).await?;
    Ok(frame::redirect_with(&request, PATH, Notice::of("notice-token-deleted")))
}
