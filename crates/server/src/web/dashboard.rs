//! Administration → Dashboard: the tenant's tokens in numbers.

use askama::Template;
use axum::http::StatusCode;
use patron_core::Result;
use patron_core::time::Timestamp;
use patron_store::pats::numbers::{Counts, LastUses, Neverending, Numbers, Weeks};

use super::admin_tokens::PATH as TOKENS;
use super::charts::{self, Bar};
use super::frame::{self, Frame};
use super::{Section, Visitor};
use crate::app::Request;
use crate::respond::{Answer, Failure};

/// The path of the page.
pub const PATH: &str = "/ui/a/dashboard";

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage {
    frame: Frame,
    /// The path of the list that the numbers lead to.
    path: &'static str,
    stats: Vec<Stat>,
    charts: Vec<Chart>,
}

/// A number that leads to the tokens that it counts.
struct Stat {
    label: String,
    count: u64,
    query: String,
}

/// A chart, and its numbers.
struct Chart {
    id: &'static str,
    title: String,
    /// What its first column is.
    what: String,
    rows: Vec<ChartRow>,
    /// The picture; its texts are escaped.
    picture: String,
    /// What is said in the place of a chart that would be empty.
    nothing: Option<String>,
}

struct ChartRow {
    label: String,
    count: u64,
    /// The query of the list that it leads to.
    query: Option<String>,
}

/// `GET /ui/a/dashboard`.
pub async fn dashboard(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let actor = visitor.actor(&request);
    let Numbers { counts, last_uses, expiries, neverending } = actor.numbers().await?;
    let frame = Frame::new(&request, Some(&visitor), Section::Dashboard);
    let stats = stats(&counts, actor.sees_managed(), &frame);
    let charts = vec![
        uses_chart(&last_uses, &frame)?,
        weeks_chart(&expiries, &frame)?,
        owners_chart(neverending, &frame)?,
    ];
    frame::page(&request, StatusCode::OK, &DashboardPage { frame, path: TOKENS, stats, charts })
}

fn stats(counts: &Counts, sees_managed: bool, frame: &Frame) -> Vec<Stat> {
    let unused = format!("?use=unused&unused={}", Counts::UNUSED_DAYS);
    let expiring = format!("?expiry=within&within={}", Counts::EXPIRING_DAYS);
    let days = |days: i64| u64::try_from(days).unwrap_or_default();
    let mut stats = vec![
        (frame.t("stat-all"), counts.all, String::new()),
        (frame.t("filter-live"), counts.live, "?expiry=live".to_owned()),
        (frame.t("filter-expired"), counts.expired, "?expiry=expired".to_owned()),
        (frame.count("stat-expiring", days(Counts::EXPIRING_DAYS)), counts.expiring, expiring),
        (frame.t("never-expires"), counts.never_expiring, "?expiry=never".to_owned()),
        (frame.t("never-used"), counts.never_used, "?use=never".to_owned()),
        (frame.count("stat-unused", days(Counts::UNUSED_DAYS)), counts.unused, unused),
    ];
    if sees_managed {
        stats.push((frame.t("state-managed"), counts.managed, "?managed=only".to_owned()));
    }
    stats.into_iter().map(|(label, count, query)| Stat { label, count, query }).collect()
}

fn bars(rows: &[ChartRow]) -> Vec<Bar> {
    rows.iter().map(|row| Bar { label: row.label.clone(), value: row.count }).collect()
}

/// What is said when all numbers are nought.
fn nothing(rows: &[ChartRow], frame: &Frame, text: &str) -> Option<String> {
    rows.iter().all(|row| row.count == 0).then(|| frame.t(text))
}

fn uses_chart(uses: &LastUses, frame: &Frame) -> Result<Chart> {
    let row = |label: String, count| ChartRow { label, count, query: None };
    let mut rows = Vec::new();
    let mut from = 0;
    for (until, count) in LastUses::DAYS.iter().zip(uses.used) {
        rows.push(row(frame.with("uses-days", "days", format!("{from}–{until}")), count));
        from = until + 1;
    }
    let [.., longer] = uses.used;
    rows.push(row(frame.count("uses-longer", u64::try_from(from - 1).unwrap_or_default()), longer));
    rows.push(ChartRow { query: Some("?use=never".to_owned()), ..row(frame.t("never-used"), uses.never) });
    let (id, title) = ("uses", frame.t("chart-uses"));
    Ok(Chart {
        id,
        what: frame.t("column-used"),
        picture: charts::lying(id, &title, &bars(&rows))?,
        nothing: nothing(&rows, frame, "chart-no-tokens"),
        title,
        rows,
    })
}

fn weeks_chart(weeks: &Weeks, frame: &Frame) -> Result<Chart> {
    let mut start: Timestamp = frame.now;
    let (mut rows, mut bars) = (Vec::new(), Vec::new());
    for &count in weeks {
        rows.push(ChartRow {
            label: frame.with("weeks-from", "day", frame.moment(start).day),
            count,
            query: None,
        });
        bars.push(Bar { label: frame.zone.short_day(start), value: count });
        start = start.plus_days(7);
    }
    let (id, title) = ("weeks", frame.t("chart-weeks"));
    Ok(Chart {
        id,
        what: frame.t("chart-week"),
        picture: charts::upright(id, &title, &bars)?,
        nothing: nothing(&rows, frame, "chart-no-weeks"),
        title,
        rows,
    })
}

fn owners_chart(owners: Vec<Neverending>, frame: &Frame) -> Result<Chart> {
    let row = |owner: Neverending| ChartRow {
        label: owner.display_name,
        count: owner.count,
        query: Some(format!("?owner={}&expiry=never", owner.owner)),
    };
    let rows: Vec<ChartRow> = owners.into_iter().map(row).collect();
    let (id, title) = ("owners", frame.t("chart-owners"));
    Ok(Chart {
        id,
        what: frame.t("column-owner"),
        picture: charts::lying(id, &title, &bars(&rows))?,
        nothing: nothing(&rows, frame, "chart-no-owners"),
        title,
        rows,
    })
}
