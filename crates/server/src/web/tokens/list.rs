//! The table of one's own tokens.

use std::cmp::Ordering;

use askama::Template;
use axum::http::StatusCode;
use patron_core::pat::Pat;

use super::{Badge, badge, form};
use crate::app::Request;
use crate::respond::{Answer, Failure};
use crate::web::columns::{Column, way};
use crate::web::frame::{self, Frame};
use crate::web::{Form, Section, Visitor, pager};

/// What the table can be sorted by; the ids of the columns' texts are `column-` and these.
const COLUMNS: &[&str] = &["name", "created", "used", "expires"];

#[derive(Template)]
#[template(path = "tokens.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<Row>,
    columns: Vec<Column>,
    search: String,
    /// How many there are without the search.
    total: usize,
    limit: usize,
    /// Whether one more may be made.
    room: bool,
}

struct Row {
    pat: Pat,
    id: String,
    badge: Badge,
}

/// `GET /ui/d/user-preferences/personal-access-tokens`. A link with `?name=`, `?scope=` or `?days=` opens the form of a
/// new one filled.
pub async fn list(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let query = Form::query(&request)?;
    if form::PREFILLED.iter().any(|field| query.has(field)) {
        let query = request.parts.uri.query().unwrap_or_default();
        return Ok(frame::redirect(&request, &format!("{}/new?{query}", frame::TOKENS)));
    }
    let actor = visitor.actor(&request);
    let mut pats = actor.own().await?;
    let (total, room) = (pats.len(), actor.has_room(&pats));
    let search = query.text("q").trim().to_owned();
    let wanted = search.to_lowercase();
    pats.retain(|pat| is_found(pat, &wanted));
    let sort = COLUMNS.iter().copied().find(|column| *column == query.text("sort"));
    let descending = query.text("dir") == "desc";
    if let Some(column) = sort {
        pats.sort_by(|a, b| compare(a, b, column));
        if descending {
            pats.reverse();
        }
    }
    let frame = Frame::new(&request, Some(&visitor), Section::Tokens);
    let columns = COLUMNS.iter().map(|name| column(name, sort, descending, &search)).collect();
    let rows = pats.into_iter().map(|pat| row(pat, &frame)).collect();
    let limit = request.app.settings.pat_limits.per_owner as usize;
    frame::page(&request, StatusCode::OK, &ListPage { frame, rows, columns, search, total, limit, room })
}

fn row(pat: Pat, frame: &Frame) -> Row {
    Row { id: pat.id.to_string(), badge: badge(&pat, frame), pat }
}

fn column(name: &str, sort: Option<&str>, descending: bool, search: &str) -> Column {
    let is_sorted = sort == Some(name);
    let turn = if is_sorted && !descending { "desc" } else { "" };
    let href = pager::query(&[("sort", name), ("dir", turn), ("q", search)]);
    Column::new(name, href, is_sorted.then_some(way(descending)))
}

fn is_found(pat: &Pat, wanted: &str) -> bool {
    let mut texts = pat.scope.as_slice().iter().chain([&pat.name]);
    texts.any(|text| text.to_lowercase().contains(wanted)) || pat.id.to_string().starts_with(wanted)
}

fn compare(a: &Pat, b: &Pat, column: &str) -> Ordering {
    match column {
        "name" => a.name.to_lowercase().cmp(&b.name.to_lowercase()),
        "created" => a.created.cmp(&b.created),
        // Never used comes first, and never expiring last.
        "used" => a.last_used.cmp(&b.last_used),
        _ => {
            let ends = |pat: &Pat| (pat.expiry.date().is_none(), pat.expiry.date());
            ends(a).cmp(&ends(b))
        }
    }
}
