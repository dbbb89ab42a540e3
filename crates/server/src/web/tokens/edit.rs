//! Changing and deleting a token of one's own.

use askama::Template;
use patron_core::access::no_such_pat;
use patron_core::pat::Pat;
use patron_core::patch::{Patch, Patchable};
use patron_core::{Error, Result};
use serde_json::json;

use super::form::{Choice, Typed, Was, choices};
use super::{Badge, badge, id_of};
use crate::app::Request;
use crate::respond::{Answer, Failure};
use crate::web::cookies::Notice;
use crate::web::frame::{self, Frame, Problems, TOKENS};
use crate::web::{Section, Visitor};

#[derive(Template)]
#[template(path = "token_edit.html")]
struct EditPage {
    frame: Frame,
    pat: Pat,
    client_id: String,
    badge: Badge,
    typed: Typed,
    choices: Vec<Choice>,
    problems: Problems,
    tomorrow: String,
}

#[derive(Template)]
#[template(path = "token_delete.html")]
struct DeletePage {
    frame: Frame,
    pat: Pat,
    client_id: String,
    typed: String,
    problems: Problems,
}

/// The token that the path names, which is one's own and not managed: others are not on these pages.
async fn own_one(request: &Request, visitor: &Visitor) -> Result<Pat> {
    let pat = visitor.actor(request).get(id_of(request)?).await?;
    if pat.owner == visitor.identity.id && !pat.managed { Ok(pat) } else { Err(no_such_pat()) }
}

fn edit_page(
    request: &Request,
    visitor: &Visitor,
    pat: Pat,
    typed: Typed,
    problems: Problems,
) -> Result<Answer, Failure> {
    let frame = Frame::new(request, Some(visitor), Section::Tokens);
    let choices = choices(&request.app.catalogue, &visitor.identity.levels, &typed.scopes);
    let tomorrow = frame.zone.day(frame.now.plus_seconds(86_400));
    let (client_id, badge) = (pat.id.to_string(), badge(&pat, &frame));
    let status = problems.status();
    let page = EditPage { frame, pat, client_id, badge, typed, choices, problems, tomorrow };
    frame::page(request, status, &page)
}

/// `GET …/{id}`: the form of a token that is there.
pub async fn edit(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let pat = own_one(&request, &visitor).await?;
    let chosen = choices(&request.app.catalogue, &visitor.identity.levels, pat.scope.as_slice());
    let chosen = chosen.into_iter().filter(|choice| choice.chosen).map(|choice| choice.name).collect();
    let typed = Typed {
        was: Was { name: pat.name.clone(), scopes: chosen },
        name: pat.name.clone(),
        expires: "keep".to_owned(),
        date: String::new(),
        aware: false,
        validity: pat.validity.seconds().to_string(),
        scopes: pat.scope.as_slice().to_vec(),
    };
    edit_page(&request, &visitor, pat, typed, Problems::default())
}

/// `POST …/{id}`: changes what differs, by the patch that the API would be sent.
pub async fn save(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let pat = own_one(&request, &visitor).await?;
    let typed = Typed::posted(&visitor.form);
    let frame = Frame::new(&request, Some(&visitor), Section::Tokens);
    let patch = patch_of(&typed, &frame)?;
    match visitor.actor(&request).patch(pat.id, patch, Patchable::All).await {
        Ok(_) => Ok(frame::redirect_with(&request, TOKENS, Notice::of("notice-token-saved"))),
        Err(error @ Error::Invalid { .. }) => {
            let mut problems = Problems::default();
            problems.take(error)?;
            edit_page(&request, &visitor, pat, typed, problems)
        }
        Err(error) => Err(error.into()),
    }
}

fn patch_of(typed: &Typed, frame: &Frame) -> Result<Patch> {
    let replace =
        |path: &str, value: serde_json::Value| json!({"op": "replace", "path": path, "value": value});
    let mut operations = Vec::new();
    if typed.name != typed.was.name {
        operations.push(replace("/name", json!(typed.name)));
    }
    if typed.scopes != typed.was.scopes {
        operations.push(replace("/scope", json!(typed.scopes)));
    }
    if typed.expires != "keep" {
        let date = typed.expiration_date(&frame.zone, frame.now);
        if date.is_none() && typed.is_aware() {
            operations.push(replace("/userAwareTokenNeverExpires", json!(true)));
        }
        operations.push(replace("/expirationDate", json!(date)));
    }
    Patch::parse(&json!(operations))
}

fn delete_page(
    request: &Request,
    visitor: &Visitor,
    pat: Pat,
    problems: Problems,
) -> Result<Answer, Failure> {
    let frame = Frame::new(request, Some(visitor), Section::Tokens);
    let (client_id, status) = (pat.id.to_string(), problems.status());
    let typed = visitor.form.text("name").to_owned();
    frame::page(request, status, &DeletePage { frame, pat, client_id, typed, problems })
}

/// `GET …/{id}/delete`: asks for the name, so that nobody deletes the wrong one.
pub async fn delete(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let pat = own_one(&request, &visitor).await?;
    delete_page(&request, &visitor, pat, Problems::default())
}

/// `POST …/{id}/delete`: deletes it when the name was typed.
pub async fn remove(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let pat = own_one(&request, &visitor).await?;
    // A name may be of letters that cannot be seen, or typed.
    let typed = visitor.form.text("name").trim();
    if typed != pat.name && typed != pat.id.to_string() {
        let mut problems = Problems::default();
        problems.add("name", "delete-name-differs");
        return delete_page(&request, &visitor, pat, problems);
    }
    visitor.actor(&request).delete(pat.id).await?;
    Ok(frame::redirect_with(&request, TOKENS, Notice::of("notice-token-deleted")))
}
