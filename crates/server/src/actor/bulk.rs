//! What an administrator does to many PATs: in parts, each of them a transaction, so that nobody else waits for all.

use std::sync::Arc;

use patron_core::id::PatId;
use patron_core::pat::Pat;
use patron_core::patch::Patch;
use patron_core::rights::Right;
use patron_core::time::Timestamp;
use patron_core::{Error, Result};
use patron_store::pats::Decision;
use patron_store::pats::many::Fate;
use serde_json::json;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::Actor;
use super::pats::target;
use crate::limits::{BULK_TIME, CHANGED_AT_ONCE};

/// What became of many PATs.
#[derive(Debug)]
pub struct Outcome {
    /// How many it was done to.
    pub done: usize,
    /// Why it was not done to the rest, which are as they were. Those that somebody else deleted meanwhile are in
    /// neither number.
    pub stopped: Option<Stopped>,
}

/// Where it stopped.
#[derive(Debug)]
pub struct Stopped {
    /// How many were left.
    pub left: usize,
    /// Why; `None` when it had taken [`BULK_TIME`].
    pub error: Option<Error>,
}

impl Actor {
    /// Refuses whoever may delete no PATs but their own.
    ///
    /// # Errors
    /// Forbidden without the right.
    pub fn require_deleting_tokens(&self) -> Result<()> {
        self.holder().require(&self.app.catalogue, Right::ALL_MANAGE)
    }

    /// Whether everyone's PATs can be deleted with the credential in use.
    pub fn may_delete_tokens(&self) -> bool {
        self.require_deleting_tokens().is_ok()
    }

    /// Refuses to delete a PAT that the credential in use cannot delete.
    ///
    /// # Errors
    /// As [`patron_core::access::Holder::delete`].
    pub fn require_deletable(&self, pat: &Pat) -> Result<()> {
        self.holder().delete(&self.app.catalogue, target(pat))
    }

    /// Refuses whoever may make no bulk updates.
    ///
    /// # Errors
    /// Forbidden without the right.
    pub fn require_setting_expiry(&self) -> Result<()> {
        self.holder().require(&self.app.catalogue, Right::ALL_UPDATE)
    }

    /// Whether bulk updates can change the expiry of everyone's PATs with the credential in use.
    pub fn may_set_expiry(&self) -> bool {
        self.require_setting_expiry().is_ok()
    }

    /// Whether a bulk update can change the expiry of this PAT with the credential in use.
    pub fn may_set_expiry_of(&self, pat: &Pat) -> bool {
        self.may_set_expiry() && self.holder().bulk_update(&self.app.catalogue, target(pat)).unwrap_or(false)
    }

    /// Deletes PATs, each judged and recorded as if it were deleted alone. What fails stops it there, and so does
    /// [`BULK_TIME`].
    ///
    /// # Errors
    /// A fault of Patron's; part of it may have been done.
    pub async fn delete_many(&self, ids: Vec<PatId>) -> Result<Outcome> {
        let actor = self.clone();
        let decide = move |pat: &Pat| actor.require_deletable(pat).map(|()| Fate::Goes);
        self.change_many(ids, Arc::new(decide)).await
    }

    /// Sets when PATs expire, each judged and recorded as in a bulk update, but for those that are gone. What fails
    /// stops it there, and so does [`BULK_TIME`].
    ///
    /// # Errors
    /// Forbidden without the right to bulk updates; a fault of Patron's, when part of it may have been done.
    pub async fn expire_many(&self, ids: Vec<PatId>, at: Timestamp) -> Result<Outcome> {
        let patch = json!([{ "op": "replace", "path": "/expirationDate", "value": at.to_string() }]);
        let decide = self.bulk_decision(Patch::parse(&patch)?)?;
        let decide = move |pat: &Pat| Ok(decide(pat)?.map_or(Fate::Stays, Fate::Becomes));
        self.change_many(ids, Arc::new(decide)).await
    }

    /// Changes PATs in parts, in a task of its own: a browser that hangs up does not leave half of it done.
    async fn change_many(&self, ids: Vec<PatId>, decide: Decision<Fate>) -> Result<Outcome> {
        // Once for all parts.
        self.app.recorder.settle().await;
        let (actor, end) = (self.clone(), Instant::now() + BULK_TIME);
        let task = async move {
            let Actor { app, tenant, context, .. } = actor;
            let change = |part| app.store.change_pats(context.clone(), tenant, part, Arc::clone(&decide));
            let outcome = in_parts(&ids, || Instant::now() >= end, change).await;
            if let Some(Stopped { left, error }) = &outcome.stopped {
                // Whoever asked may not be there any more to be told.
                let cause = error.as_ref().map(|error| error.cause().unwrap_or("a refusal"));
                tracing::warn!(done = outcome.done, left, cause, "not all of many tokens were changed");
            }
            outcome
        };
        tokio::spawn(task.in_current_span()).await.map_err(Error::internal)
    }
}

/// Does something to PATs part by part, until one fails or the time `is_over`.
async fn in_parts<F: Future<Output = Result<usize>>>(
    ids: &[PatId],
    is_over: impl Fn() -> bool,
    do_part: impl Fn(Vec<PatId>) -> F,
) -> Outcome {
    let mut done = 0;
    for (n, part) in ids.chunks(CHANGED_AT_ONCE).enumerate() {
        let stopped = |error| Some(Stopped { left: ids.len() - n * CHANGED_AT_ONCE, error });
        if is_over() {
            return Outcome { done, stopped: stopped(None) };
        }
        match do_part(part.to_vec()).await {
            Ok(changed) => done += changed,
            Err(error) => return Outcome { done, stopped: stopped(Some(error)) },
        }
    }
    Outcome { done, stopped: None }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn when_the_time_is_over_it_stops_between_two_parts_and_says_where() {
        let ids: Vec<PatId> = (0..=120).map(|n| PatId::from_bytes([n; 16])).collect();
        for (parts, expected) in [(0, (0, Some(121))), (2, (98, Some(21))), (3, (119, None))] {
            let begun = Cell::new(0);
            let outcome = in_parts(
                &ids,
                || begun.get() == parts,
                |part| {
                    begun.set(begun.get() + 1);
                    // One of the first and one of the second part was gone.
                    let gone = usize::from(part.len() == CHANGED_AT_ONCE);
                    async move { Ok(part.len() - gone) }
                },
            );
            let Outcome { done, stopped } = outcome.await;
            assert!(stopped.iter().all(|stopped| stopped.error.is_none()));
            assert_eq!((done, stopped.map(|stopped| stopped.left)), expected, "{parts}");
        }
    }
}
