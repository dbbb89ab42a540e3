//! The table of one's own tokens.

use std::cmp::Ordering;

use askama::Template;
use axum::http::StatusCode;
use patron_core::Result;
use patron_core::access::Whose;
use patron_core::filter::Filter;
use patron_core::pat::Pat;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Badge, badge, form};
use crate::actor::Actor;
use crate::app::Request;
use crate::body::Page;
use crate::respond::{Answer, Failure};
use crate::web::frame::{self, Frame};
use crate::web::moment::days_until;
use crate::web::{Form, Section, Visitor};

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
    limit: u32,
    /// Whether one more may be made.
    room: bool,
}

struct Row {
    pat: Pat,
    id: String,
    badge: Badge,
    days_left: Option<u64>,
}

/// A column's head, which sorts by it.
struct Column {
    name: &'static str,
    href: String,
    /// The value of `aria-sort` where the table is sorted by it.
    sorted: Option<&'static str>,
}

impl Column {
    /// The id of its text.
    fn text(&self) -> String {
        format!("column-{}", self.name)
    }
}

/// All tokens of one's own that are not managed, oldest first.
pub(super) async fn own(actor: &Actor) -> Result<Vec<Pat>> {
    let everything = Page { limit: None, offset: 0, count: false };
    let (reader, _) = actor.list(Whose::Mine, Filter::parse("")?, everything).await?;
    let mut pats = reader.rest().await?;
    // Managed ones are the platform's, not the person's.
    pats.retain(|pat| !pat.managed);
    Ok(pats)
}

/// `GET /ui/d/user-preferences/personal-access-tokens`. A link with `?name=`, `?scope=` or `?days=` opens the form of a
/// new one filled.
pub async fn list(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let query = Form::query(&request)?;
    if form::PREFILLED.iter().any(|field| query.has(field)) {
        let query = request.parts.uri.query().unwrap_or_default();
        return Ok(frame::redirect(&request, &format!("{}/new?{query}", frame::TOKENS)));
    }
    let mut pats = own(&visitor.actor(&request)).await?;
    let total = pats.len();
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
    let limit = request.app.settings.pat_limits.per_owner;
    let room = total < limit as usize;
    frame::page(&request, StatusCode::OK, &ListPage { frame, rows, columns, search, total, limit, room })
}

fn row(pat: Pat, frame: &Frame) -> Row {
    let days_left = pat.expiry.date().map(|at| days_until(at, frame.now)).filter(|days| *days > 0);
    Row { id: pat.id.to_string(), badge: badge(&pat, frame), days_left, pat }
}

fn column(name: &'static str, sort: Option<&str>, descending: bool, search: &str) -> Column {
    let is_sorted = sort == Some(name);
    let turn = if is_sorted && !descending { "desc" } else { "asc" };
    let search = utf8_percent_encode(search, NON_ALPHANUMERIC);
    let sorted = is_sorted.then_some(if descending { "descending" } else { "ascending" });
    Column { name, href: format!("?sort={name}&dir={turn}&q={search}"), sorted }
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
