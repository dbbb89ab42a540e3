//! The table of all tokens.

use std::collections::HashSet;

use askama::Template;
use patron_core::id::PatId;
use patron_store::pats::search::Found;

use super::choice::Choice;
use super::filter::{COLUMNS, Filter};
use super::{Offers, PATH, Row};
use crate::app::Request;
use crate::limits::PAGE_ROWS;
use crate::respond::{Answer, Failure};
use crate::web::columns::Column;
use crate::web::frame::{self, Frame, Problems};
use crate::web::pager::Pager;
use crate::web::{Form, Section, Visitor};

#[derive(Template)]
#[template(path = "admin_tokens.html")]
struct ListPage {
    frame: Frame,
    path: &'static str,
    filter: Filter,
    columns: Vec<Column>,
    rows: Vec<Row>,
    pager: Pager,
    /// The places of the first and the last row on this page: `51–100 of 320`.
    range: String,
    /// What stands beside the choice of all that match.
    all_that_match: String,
    /// Whether the visitor is told that the filter names an owner who is nobody.
    nobody: bool,
    scopes: Vec<String>,
    sees_managed: bool,
    offers: Offers,
    choice: Choice,
    problems: Problems,
}

/// `GET /ui/a/personal-access-tokens`: a page of the tokens that are searched for.
pub async fn list(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let query = Form::query(&request)?;
    let (filter, page) = (Filter::read(&query), Pager::asked(&query));
    let choice = Choice::fresh();
    list_page(&request, &visitor, filter, page, choice, Problems::default()).await
}

/// The list with what was chosen on it, and what is wrong with that.
pub(super) async fn list_page(
    request: &Request,
    visitor: &Visitor,
    filter: Filter,
    page: u32,
    choice: Choice,
    problems: Problems,
) -> Result<Answer, Failure> {
    let actor = visitor.actor(request);
    let search = filter.search(&actor).await?;
    let find = async |page: u32| match search.clone() {
        Some(search) => actor.find_pats(search, filter.order(), PAGE_ROWS, Pager::offset(page)).await,
        None => Ok(Found::NOTHING),
    };
    let mut found = find(page).await?;
    let pager = Pager { more: found.more, ..Pager::new(page, found.total, &filter.pairs()) };
    if pager.page != page {
        found = find(pager.page).await?;
    }
    let frame = Frame::new(request, Some(visitor), Section::AllTokens);
    let ticked: HashSet<PatId> = choice.ticked.iter().copied().collect();
    let row = |listed| {
        let row = Row::new(listed, &frame);
        Row { ticked: ticked.contains(&row.listed.pat.id), ..row }
    };
    let rows: Vec<Row> = found.rows.into_iter().map(row).collect();
    let first = u64::from(Pager::offset(pager.page)) + 1;
    let last = first + frame::Count::count(&rows.len()) - 1;
    let range = match (found.more, pager.next.is_some()) {
        (false, _) => "rows-range",
        (true, true) => "rows-range-more",
        (true, false) => "rows-range-end",
    };
    let range = frame.counts(range, &[("first", first), ("last", last), ("total", pager.total)]);
    let all_that_match = frame.count(if found.more { "bulk-all-more" } else { "bulk-all" }, pager.total);
    let column = |name: &str| Column::new(name, filter.link_sorted_by(name), filter.sorted(name));
    let columns = COLUMNS.iter().map(|(name, _)| column(name));
    let page = ListPage {
        path: PATH,
        columns: columns.collect(),
        nobody: search.is_none() && actor.sees_identities(),
        scopes: request.app.catalogue.scopes().map(|entry| entry.name.clone()).collect(),
        sees_managed: actor.sees_managed(),
        offers: Offers { expire: actor.may_set_expiry(), delete: actor.may_delete_tokens() },
        frame,
        filter,
        rows,
        pager,
        range,
        all_that_match,
        choice,
        problems,
    };
    frame::page(request, page.problems.status(), &page)
}
