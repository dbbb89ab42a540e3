//! Administration → Audit trail: the page, and the trail as a file.

mod filters;
mod row;

use askama::Template;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use axum::http::{HeaderValue, StatusCode};
use patron_core::audit::Action;
use patron_core::error::Detail;
use patron_core::rights::Right;
use patron_core::time::Timestamp;
use patron_core::{Error, Result};
use patron_store::audit::{Place, Recorded};

use self::filters::Filters;
use self::row::Row;
use super::frame::{self, Frame, Problems};
use super::{Form, Section, Visitor};
use crate::app::Request;
use crate::export::{self, Format};
use crate::limits::{PAGE_ROWS, ROWS};
use crate::respond::{self, Answer, Failure};
use crate::trail::TrailReader;

/// The path of the page.
pub const PATH: &str = "/ui/a/audit";
/// The path of the file, with `?format=` and the filters.
pub const EXPORT: &str = "/ui/a/audit/export";

/// Events on one page.
const SIZE: usize = PAGE_ROWS as usize;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    filters: Filters,
    problems: Problems,
    names: Vec<Name>,
    rows: Vec<Row>,
    /// The link to the newest events, when these are older.
    newest: Option<String>,
    /// The link to the events behind these.
    older: Option<String>,
    /// The links to the file, in each format.
    exports: [(&'static str, String); 2],
}

/// A technical name that can be chosen.
struct Name {
    technical: String,
    text: String,
}

/// `GET /ui/a/audit`: a page of the trail, newest first.
pub async fn list(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let query = Form::query(&request)?;
    let frame = Frame::new(&request, Some(&visitor), Section::Audit);
    let filters = Filters::read(&query);
    let mut problems = Problems::default();
    let criteria = filters.criteria(&frame.zone, &mut problems)?;
    let after = place_of(query.text("before"));
    let (events, more) = match criteria {
        None => (Vec::new(), false),
        Some(criteria) => page_of(visitor.actor(&request).trail(criteria, after).await?).await?,
    };
    let last = events.last().map(Recorded::place).filter(|_| more);
    let links_identities = visitor.rights.has(Right::AUTH_USER_READ);
    let page = AuditPage {
        names: names(&filters.name),
        rows: events.into_iter().map(|event| Row::new(event, &frame, links_identities)).collect(),
        newest: after.map(|_| filters.link(&[])),
        older: last.map(|last| filters.link(&[("before", &text_of(last))])),
        exports: [Format::Csv, Format::Ndjson].map(|format| {
            let link = filters.link(&[("format", format.name())]);
            (format.name(), format!("{}{EXPORT}{link}", frame.base))
        }),
        frame,
        filters,
        problems,
    };
    frame::page(&request, page.problems.status(), &page)
}

/// Up to [`SIZE`] events, and whether there are more.
async fn page_of(mut trail: TrailReader) -> Result<(Vec<Recorded>, bool)> {
    let mut events = Vec::new();
    while events.len() <= SIZE && !trail.is_done() {
        // One more than is shown tells whether there are more.
        let left = u32::try_from(SIZE + 1 - events.len()).unwrap_or(ROWS);
        let rows = if trail.lets_all_through() { left } else { ROWS };
        events.append(&mut trail.next(rows).await?);
    }
    let more = events.len() > SIZE;
    events.truncate(SIZE);
    Ok((events, more))
}

/// The names that can be chosen, and the one that is, whatever it is.
fn names(chosen: &str) -> Vec<Name> {
    let mut all: Vec<&str> = Action::ALL.iter().map(|action| action.technical_name()).collect();
    if !chosen.is_empty() && !all.contains(&chosen) {
        all.push(chosen);
    }
    all.into_iter().map(|name| Name { technical: name.to_owned(), text: row::what(name) }).collect()
}

/// A place in the trail as a link has it: milliseconds since 1970 and the event's number.
fn text_of(place: Place) -> String {
    format!("{}.{}", place.created.millis(), place.seq)
}

/// The place that a link names. None when it is no such text: then the newest events are shown.
fn place_of(text: &str) -> Option<Place> {
    let (millis, seq) = text.split_once('.')?;
    Some(Place { created: Timestamp::from_millis(millis.parse().ok()?), seq: seq.parse().ok()? })
}

/// `GET /ui/a/audit/export?format=csv`: all that the filters let through, as a file.
pub async fn export(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let query = Form::query(&request)?;
    let frame = Frame::new(&request, Some(&visitor), Section::Audit);
    let unknown = || Error::invalid(Detail::Value, "The format is csv or ndjson.");
    let format = Format::named(query.text("format")).ok_or_else(unknown)?;
    let mut problems = Problems::default();
    let criteria = Filters::read(&query).criteria(&frame.zone, &mut problems)?;
    let wrong = || Error::invalid(Detail::Value, problems.first().unwrap_or_default());
    let trail = visitor.actor(&request).trail(criteria.ok_or_else(wrong)?, None).await?;
    let body = export::body(format, trail, frame.tenant.clone()).await?;
    let mut answer =
        respond::with_body(StatusCode::OK, HeaderValue::from_static(format.content_type()), body);
    // A tenant's name is made of characters that a header and a file system know.
    let name = format!("audit-{}-{}.{}", frame.tenant, frame.zone.day(frame.now), format.name());
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_link_is_read_as_it_was_written() {
        for place in [
            Place { created: Timestamp::from_millis(-5), seq: 0 },
            Place { created: Timestamp::MAX, seq: i64::MAX },
        ] {
            assert_eq!(place_of(&text_of(place)), Some(place));
        }
        for wrong in ["", "1", "1.", ".1", "a.1", "1.2.3", "99999999999999999999.1"] {
            assert_eq!(place_of(wrong), None, "{wrong}");
        }
    }
}
