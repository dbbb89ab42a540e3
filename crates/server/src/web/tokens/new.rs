//! New Token → what it is for, scopes → Create Token → Secret and Client ID, shown once.

use askama::Template;
use axum::http::StatusCode;
use patron_core::limits::{VALIDITY_MAX_SECONDS, VALIDITY_MIN_SECONDS};
use patron_core::pat::{Draft, Pat, Rules};
use patron_core::rights::Right;
use patron_core::secret::Secret;

use super::form::{Choice, Typed, choices};
use crate::app::Request;
use crate::respond::{Answer, Failure};
use crate::web::frame::{self, Frame, Problems};
use crate::web::{Form, Section, Visitor};

#[derive(Template)]
#[template(path = "token_new.html")]
struct NewPage {
    frame: Frame,
    typed: Typed,
    choices: Vec<Choice>,
    problems: Problems,
    limit: u32,
    room: bool,
    least_validity: u32,
    most_validity: u32,
    tomorrow: String,
}

/// The answer page. The secret is in this one page and nowhere else.
#[derive(Template)]
#[template(path = "token_made.html")]
struct MadePage {
    frame: Frame,
    pat: Pat,
    client_id: String,
    secret: Secret,
    url: String,
    /// Whether it may list its owner's tokens, which the snippets do then.
    lists: bool,
}

async fn form_page(
    request: &Request,
    visitor: &Visitor,
    typed: Typed,
    problems: Problems,
) -> Result<Answer, Failure> {
    let (app, actor) = (&request.app, visitor.actor(request));
    let limit = app.settings.pat_limits.per_owner;
    let room = actor.has_room(&actor.own().await?);
    let frame = Frame::new(request, Some(visitor), Section::Tokens);
    let tomorrow = frame.tomorrow();
    let choices = choices(&app.catalogue, &visitor.identity.levels, &typed.scopes);
    let (least_validity, most_validity) = (VALIDITY_MIN_SECONDS, VALIDITY_MAX_SECONDS);
    let status = problems.status();
    let page =
        NewPage { frame, typed, choices, problems, limit, room, least_validity, most_validity, tomorrow };
    frame::page(request, status, &page)
}

/// `GET …/new`: the form, perhaps filled in by the link that led here.
pub async fn new(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let frame = Frame::new(&request, Some(&visitor), Section::Tokens);
    let typed = Typed::prefilled(&Form::query(&request)?, &frame.zone, frame.now);
    form_page(&request, &visitor, typed, Problems::default()).await
}

/// `POST …/new`: makes the token and shows its secret, or the form again with what is wrong.
pub async fn create(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let typed = Typed::posted(&visitor.form);
    let contradictions = typed.contradictions();
    if !contradictions.is_empty() {
        return form_page(&request, &visitor, typed, contradictions).await;
    }
    let frame = Frame::new(&request, Some(&visitor), Section::Tokens);
    let draft = Draft {
        name: Some(typed.name.clone()),
        scope: Some(typed.scopes.clone()),
        expiration_date: typed.expiration_date(&frame.zone, frame.now),
        user_aware_token_never_expires: typed.is_aware(),
        access_token_validity_seconds: Some(typed.validity_seconds()),
    };
    match visitor.actor(&request).create(draft, Rules::Current, false, None).await {
        Ok((pat, secret)) => {
            let client_id = pat.id.to_string();
            let url = request.site.url.clone();
            let rights = request.app.catalogue.rights_of(&visitor.identity.levels, &pat.scope);
            let lists = rights.has(Right::MY_READ);
            let page = MadePage { frame, pat, client_id, secret, url, lists };
            frame::page(&request, StatusCode::OK, &page)
        }
        Err(error) => {
            let mut problems = Problems::default();
            problems.take(error)?;
            form_page(&request, &visitor, typed, problems).await
        }
    }
}
