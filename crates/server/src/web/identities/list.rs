//! The table of identities.

use askama::Template;
use axum::http::StatusCode;
use patron_core::Result;
use patron_core::identity::Identity;
use patron_core::rights::Right;
use patron_store::identities::{Found, Order, Search};

use crate::app::Request;
use crate::limits::PAGE_ROWS;
use crate::respond::{Answer, Failure};
use crate::web::columns::{Column, way};
use crate::web::frame::{self, Frame};
use crate::web::pager::{self, Pager};
use crate::web::{Form, Section, Visitor};

#[derive(Template)]
#[template(path = "identities.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<Row>,
    columns: [Column; 2],
    search: String,
    pager: Pager,
    may_manage: bool,
}

struct Row {
    identity: Identity,
    id: String,
    /// How many tokens it owns, for those who may see them.
    tokens: Option<u64>,
}

/// How an order is asked for: `sort` and `dir`.
fn named(order: Order) -> (&'static str, &'static str) {
    match order {
        Order::DisplayName => ("name", ""),
        Order::DisplayNameDescending => ("name", "desc"),
        Order::LoginName => ("login", ""),
    }
}

fn columns(order: Order, search: &str) -> [Column; 2] {
    let column = |sorted, turns_to: Order| {
        let (sort, dir) = named(turns_to);
        Column::new(sort, pager::query(&[("sort", sort), ("dir", dir), ("q", search)]), sorted)
    };
    let name = match order {
        Order::DisplayName => column(Some(way(false)), Order::DisplayNameDescending),
        Order::DisplayNameDescending => column(Some(way(true)), Order::DisplayName),
        Order::LoginName => column(None, Order::DisplayName),
    };
    let login = (order == Order::LoginName).then_some(way(false));
    [name, column(login, Order::LoginName)]
}

/// `GET /ui/a/identities`: a page of the identities that are searched for.
pub async fn list(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let query = Form::query(&request)?;
    let text = query.text("q").trim().to_owned();
    let order = match (query.text("sort"), query.text("dir")) {
        ("login", _) => Order::LoginName,
        ("name", "desc") => Order::DisplayNameDescending,
        _ => Order::DisplayName,
    };
    let sees_tokens = visitor.rights.has(Right::ALL_READ);
    let search = Search { text: text.clone(), order, managed: visitor.rights.has(Right::MANAGED_READ) };
    let page = Pager::asked(&query);
    let (mut found, total) = find(&request, &visitor, &search, page).await?;
    let (sort, dir) = named(order);
    let pager = Pager::new(page, total, &[("sort", sort), ("dir", dir), ("q", &text)]);
    if pager.page != page {
        (found, _) = find(&request, &visitor, &search, pager.page).await?;
    }
    let row = |Found { identity, pats }: Found| Row {
        id: identity.id.to_string(),
        identity,
        tokens: sees_tokens.then_some(pats),
    };
    let page = ListPage {
        frame: Frame::new(&request, Some(&visitor), Section::Identities),
        rows: found.into_iter().map(row).collect(),
        columns: columns(order, &text),
        search: text,
        pager,
        may_manage: visitor.rights.has(Right::AUTH_USER_MANAGE),
    };
    frame::page(&request, StatusCode::OK, &page)
}

async fn find(request: &Request, visitor: &Visitor, search: &Search, page: u32) -> Result<(Vec<Found>, u64)> {
    visitor.actor(request).identities_found(search.clone(), Pager::offset(page), PAGE_ROWS).await
}
