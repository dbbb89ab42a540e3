//! `/audit-events/v1` (contract sections 9 and 11).

use axum::http::{HeaderValue, StatusCode};
use patron_api::{AuditEvent, AuditParty};
use patron_core::Result;
use patron_core::criteria::{AUDIT_EVENTS, Criteria};
use patron_core::limits::PAGE_MAX;
use patron_store::audit::Recorded;

use crate::api::window::Window;
use crate::app::Request;
use crate::auth::Caller;
use crate::body::{Page, Query};
use crate::respond::{self, Answer, Failure};
use crate::trail::TrailReader;

/// An event as the API writes it.
pub fn written(event: &Recorded, tenant: &str) -> AuditEvent {
    let party = |[kind, id, name]: &[String; 3]| AuditParty {
        kind: kind.clone(),
        id: id.clone(),
        name: name.clone(),
    };
    AuditEvent {
        id: event.id.to_string(),
        created: event.created,
        tenant: tenant.to_owned(),
        technical_name: event.technical_name.clone(),
        actor: party(&event.actor),
        target: party(&event.target),
        ip_address: event.ip_address.clone(),
        tracking_number: event.tracking_number.to_string(),
        operation: event.operation.clone(),
        status: event.status.clone(),
        attributes: event.attributes.clone(),
    }
}

/// `GET /audit-events/v1`: a page of the trail, newest first, 250 events unless `limit` says less.
pub async fn list(request: Request, caller: Caller) -> Result<Answer, Failure> {
    let query = Query::parse(request.parts.uri.query())?;
    let page = query.page()?;
    let page = Page { limit: Some(page.limit.unwrap_or(PAGE_MAX)), ..page };
    let criteria = Criteria::parse(query.one("filters")?.unwrap_or_default(), AUDIT_EVENTS)?;
    let name = request.site.name.clone();
    let trail = request.actor(caller).trail(criteria, None).await?;
    let (events, total) = select(trail, page).await?;
    let shown: Vec<AuditEvent> = events.iter().map(|event| written(event, name.as_str())).collect();
    let mut answer = respond::json(StatusCode::OK, &shown);
    if page.count {
        answer.headers_mut().insert("x-total-count", HeaderValue::from(total));
    }
    Ok(answer)
}

/// The events of one page, newest first, and how many there are in all when the page asks for it.
pub async fn select(mut trail: TrailReader, page: Page) -> Result<(Vec<Recorded>, u64)> {
    let all_match = trail.lets_all_through();
    let mut window = Window::new(page);
    while !trail.is_done() && !window.is_complete() {
        let events = trail.next(window.rows_to_read(all_match)).await?;
        for event in events {
            window.push(event);
        }
    }
    Ok(window.close())
}
