//! Many tokens deleted, or given an expiry: first shown, then done to what was shown.

use std::collections::HashSet;

use askama::Template;
use axum::http::StatusCode;
use patron_core::id::PatId;
use patron_core::pat::{Expiry, State};
use patron_core::time::Timestamp;
use patron_core::{Error, Result};
use patron_store::pats::search::Listed;

use super::choice::{Act, Choice, digest};
use super::filter::Filter;
use super::list::list_page;
use super::{PATH, Row};
use crate::actor::{Actor, Outcome, Stopped};
use crate::app::Request;
use crate::limits::PREVIEW_ROWS;
use crate::respond::{self, Answer, Failure};
use crate::web::cookies::Notice;
use crate::web::frame::{self, Count as _, Frame, Problems};
use crate::web::pager::Pager;
use crate::web::{Section, Visitor};

#[derive(Template)]
#[template(path = "admin_tokens_preview.html")]
struct PreviewPage {
    frame: Frame,
    path: &'static str,
    back: String,
    act: Act,
    count: usize,
    people: usize,
    rows: Vec<Row>,
    /// How many more there are than are listed.
    more: usize,
    /// Those that the rules do not let the visitor change.
    refused: Vec<Row>,
    /// How many there are of those, listed or not.
    refused_count: usize,
    /// For an expiry: the day, and its end.
    day: Option<(String, Timestamp)>,
    /// For an expiry: how many end sooner now, and how many have ended.
    later: usize,
    revived: usize,
    /// What the form carries so that it is done to these: the choice, and the digest of what was shown.
    carried: Vec<(&'static str, String)>,
    /// Whether the set has changed since it was shown.
    changed: bool,
}

#[derive(Template)]
#[template(path = "admin_tokens_stopped.html")]
struct StoppedPage {
    frame: Frame,
    back: String,
    act: Act,
    done: usize,
    left: usize,
    reason: String,
    tracking: String,
}

/// What is to be done to which tokens, and what cannot be done.
struct Plan {
    act: Act,
    filter: Filter,
    choice: Choice,
    /// For an expiry: the day, and its end.
    day: Option<(String, Timestamp)>,
    tokens: Vec<Listed>,
    refused: Vec<Listed>,
}

impl Plan {
    fn ids(&self) -> Vec<PatId> {
        self.tokens.iter().map(|listed| listed.pat.id).collect()
    }

    fn digest(&self) -> String {
        digest(self.act, self.day.as_ref().map(|(_, end)| *end), &self.tokens)
    }

    /// The path of the list that the tokens were chosen from.
    fn back(&self) -> String {
        format!("{PATH}{}", self.filter.link())
    }

    /// The fields of a form that asks for the same again.
    fn carried(&self) -> Vec<(&'static str, String)> {
        let mut fields: Vec<_> =
            self.filter.pairs().into_iter().filter(|(_, value)| !value.is_empty()).collect();
        fields.push(("act", if self.act == Act::Delete { "delete" } else { "expire" }));
        fields.push(("which", if self.choice.all { "all" } else { "ticked" }));
        let mut fields: Vec<_> = fields.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        if let Some((day, _)) = &self.day {
            fields.extend([("until", "date".to_owned()), ("date", day.clone())]);
        }
        if !self.choice.all {
            fields.extend(self.choice.ticked.iter().map(|id| ("id", id.to_string())));
        }
        fields.push(("digest", self.digest()));
        fields
    }
}

/// Refuses an act that the visitor has no right to, whatever the tokens.
fn require(act: Act, actor: &Actor) -> Result<()> {
    match act {
        Act::Delete => actor.require_deleting_tokens(),
        Act::Expire => actor.require_setting_expiry(),
    }
}

/// What was posted, read and judged; the list again with what is wrong with it, as the answer, when something is.
async fn plan(request: &Request, visitor: &Visitor) -> Result<Result<Plan, Answer>, Failure> {
    let (actor, form) = (visitor.actor(request), &visitor.form);
    let act = Choice::act(form).ok_or_else(|| Error::not_found("There is no such act."))?;
    require(act, &actor)?;
    let (filter, choice) = (Filter::read(form), Choice::read(form));
    let frame = Frame::new(request, Some(visitor), Section::AllTokens);
    let mut problems = Problems::default();
    let day = match act {
        Act::Delete => None,
        Act::Expire => choice.day(&frame.zone, frame.now, &mut problems),
    };
    let tokens = choice.tokens(&actor, &filter, &frame, &mut problems).await?;
    if !problems.is_empty() {
        let page = Pager::asked(form);
        return Ok(Err(list_page(request, visitor, filter, page, choice, problems).await?));
    }
    let may = |listed: &Listed| match act {
        Act::Delete => actor.require_deletable(&listed.pat).is_ok(),
        Act::Expire => actor.may_set_expiry_of(&listed.pat),
    };
    let (tokens, refused) = tokens.into_iter().partition(may);
    Ok(Ok(Plan { act, filter, choice, day, tokens, refused }))
}

fn preview_page(request: &Request, visitor: &Visitor, plan: Plan, changed: bool) -> Result<Answer, Failure> {
    let frame = Frame::new(request, Some(visitor), Section::AllTokens);
    let (carried, back) = (plan.carried(), plan.back());
    let Plan { act, day, tokens, refused, .. } = plan;
    let until = day.as_ref().map(|(_, end)| *end);
    let is_later = |listed: &&Listed| match listed.pat.expiry {
        Expiry::At(at) => until.is_some_and(|until| at < until),
        Expiry::Never => false,
    };
    let later: Vec<&Listed> = tokens.iter().filter(is_later).collect();
    let revived = later.iter().filter(|listed| listed.pat.state(frame.now) != State::Live).count();
    let later = later.len() - revived;
    let people: HashSet<_> = tokens.iter().map(|listed| listed.pat.owner).collect();
    let rows = |listed: Vec<Listed>| -> Vec<Row> {
        listed.into_iter().take(PREVIEW_ROWS).map(|listed| Row::new(listed, &frame)).collect()
    };
    let (count, refused_count) = (tokens.len(), refused.len());
    let page = PreviewPage {
        path: PATH,
        back,
        act,
        count,
        people: people.len(),
        more: count.saturating_sub(PREVIEW_ROWS),
        refused: rows(refused),
        refused_count,
        rows: rows(tokens),
        day,
        later,
        revived,
        carried,
        changed,
        frame,
    };
    let status = if changed { StatusCode::CONFLICT } else { StatusCode::OK };
    frame::page(request, status, &page)
}

/// `POST …/preview`: shows what would be done to which tokens, and does nothing.
pub async fn preview(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    match plan(&request, &visitor).await? {
        Ok(plan) => preview_page(&request, &visitor, plan, false),
        Err(list) => Ok(list),
    }
}

/// `POST …/bulk`: does it, when the tokens are those that were shown.
pub async fn carry_out(request: Request, visitor: Visitor) -> Result<Answer, Failure> {
    let plan = match plan(&request, &visitor).await? {
        Ok(plan) => plan,
        Err(list) => return Ok(list),
    };
    if visitor.form.text("digest") != plan.digest() {
        return preview_page(&request, &visitor, plan, true);
    }
    let (actor, ids) = (visitor.actor(&request), plan.ids());
    let (outcome, notice) = match &plan.day {
        Some((_, end)) => (actor.expire_many(ids, *end).await?, "notice-tokens-expiry-set"),
        None => (actor.delete_many(ids).await?, "notice-tokens-deleted"),
    };
    let Outcome { done, stopped } = outcome;
    let Some(Stopped { left, error }) = stopped else {
        let notice = Notice { id: notice, count: done.count() };
        return Ok(frame::redirect_with(&request, &plan.back(), notice));
    };
    let frame = Frame::new(&request, Some(&visitor), Section::AllTokens);
    let (failure, reason) = match error.map(Failure::from) {
        Some(failure) => {
            let reason = failure.to_string();
            (failure, reason)
        }
        None => (Error::unavailable("many tokens took too long").into(), frame.t("stopped-time")),
    };
    respond::log(&failure, request.tracking);
    let page = StoppedPage {
        frame,
        back: plan.back(),
        act: plan.act,
        done,
        left,
        reason,
        tracking: request.tracking.to_string(),
    };
    frame::page(&request, respond::status_of(&failure), &page)
}
