//! Which of the tokens an administrator has chosen, and what is to be done to them, as the forms have it.

use patron_core::Result;
use patron_core::id::PatId;
use patron_core::time::Timestamp;
use patron_store::pats::search::{Column, Found, Listed, Order};
use sha2::{Digest as _, Sha256};

use super::filter::Filter;
use crate::actor::Actor;
use crate::limits::BULK_TOKENS;
use crate::web::frame::{Frame, Problems};
use crate::web::moment::{DAYS, Zone, chosen_days};
use crate::web::{Form, frame};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// They are deleted.
    Delete,
    /// They get a new expiry.
    Expire,
}

/// What the form below the list says.
#[derive(Debug, Clone, Default)]
pub(super) struct Choice {
    /// Whether all that match the filter are meant; else those that are ticked.
    pub(super) all: bool,
    /// Those that are ticked, in no order, each once.
    pub(super) ticked: Vec<PatId>,
    /// For an expiry: one of [`crate::web::moment::DAYS`], or `date`.
    pub(super) until: String,
    /// For `date`: a day, `2027-01-31`.
    pub(super) date: String,
}

impl Choice {
    /// What a form begins with: nothing is ticked, and an expiry would be the latest that is offered.
    pub(super) fn fresh() -> Self {
        Self { until: DAYS.iter().max().map_or_else(String::new, u32::to_string), ..Self::default() }
    }

    /// What was posted.
    pub(super) fn read(form: &Form) -> Self {
        let mut ticked: Vec<PatId> = form.all("id").filter_map(PatId::parse).collect();
        ticked.sort_unstable();
        ticked.dedup();
        Self {
            all: form.text("which") == "all",
            ticked,
            until: form.text("until").to_owned(),
            date: form.text("date").trim().to_owned(),
        }
    }

    /// What is to be done; `None` when no button was pressed that there is.
    pub(super) fn act(form: &Form) -> Option<Act> {
        match form.text("act") {
            "delete" => Some(Act::Delete),
            "expire" => Some(Act::Expire),
            _ => None,
        }
    }

    /// The day of the new expiry, `2027-01-31`, and its end where the reader is. What is not chosen right is said in
    /// `problems`.
    pub(super) fn day(
        &self,
        zone: &Zone,
        now: Timestamp,
        problems: &mut Problems,
    ) -> Option<(String, Timestamp)> {
        let ahead = chosen_days(&self.until).map(|days| zone.day(now.plus_days(days)));
        let day = ahead.unwrap_or_else(|| self.date.clone());
        let end = zone.end_of_day(&day).filter(|end| *end > now);
        if end.is_none() {
            problems.add("expirationDate", "error-expirationDate-Value");
        }
        end.map(|end| (day, end))
    }

    /// The tokens that are meant, by their owners' names and their own. When there are none, or too many, `problems`
    /// says so and there are none.
    pub(super) async fn tokens(
        &self,
        actor: &Actor,
        filter: &Filter,
        frame: &Frame,
        problems: &mut Problems,
    ) -> Result<Vec<Listed>> {
        let mut found = if self.all {
            match filter.search(actor).await? {
                Some(search) => {
                    // They are sorted below; an index has them in this order.
                    let order = Order { by: Column::Created, descending: false };
                    actor.find_pats(search, order, BULK_TOKENS, 0).await?
                }
                None => Found::NOTHING,
            }
        } else {
            let rows = actor.listed_pats(self.ticked.clone()).await?;
            Found { total: frame::Count::count(&rows.len()), rows, more: false }
        };
        if found.total > BULK_TOKENS.into() {
            let numbers = [("count", found.total), ("most", BULK_TOKENS.into())];
            let text = if found.more { "bulk-too-many-more" } else { "bulk-too-many" };
            problems.tell("", frame.counts(text, &numbers));
            return Ok(Vec::new());
        }
        if found.rows.is_empty() {
            problems.add("", "bulk-none");
        }
        let name = |listed: &Listed| (listed.pat.owner_name.to_lowercase(), listed.pat.name.to_lowercase());
        found.rows.sort_by_cached_key(name);
        Ok(found.rows)
    }
}

/// A digest of what was shown: the act, its moment for an expiry, and each token with its expiry as it is. So what is
/// confirmed is what was shown, also when the reader's zone or a token has changed in between.
pub(super) fn digest(act: Act, end: Option<Timestamp>, tokens: &[Listed]) -> String {
    let at = |at: Option<Timestamp>| at.map_or(i64::MAX, Timestamp::millis).to_be_bytes();
    let mut shown: Vec<_> =
        tokens.iter().map(|listed| (listed.pat.id, at(listed.pat.expiry.date()))).collect();
    shown.sort_unstable();
    let mut hash = Sha256::new();
    hash.update([u8::from(act == Act::Delete)]);
    hash.update(at(end));
    for (id, expiry) in shown {
        hash.update(id.as_bytes());
        hash.update(expiry);
    }
    hex::encode(hash.finalize())
}
