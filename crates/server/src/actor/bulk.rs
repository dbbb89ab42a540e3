//! What an administrator does to many PATs: in parts, each of them a transaction, so that nobody else waits for all.

use std::sync::Arc;

use patron_core::bulk::BulkDraft;
use patron_core::id::PatId;
use patron_core::limits::BULK_IDS;
use patron_core::pat::Pat;
use patron_core::rights::Right;
use patron_core::time::Timestamp;
use patron_core::{Error, Result};
use serde_json::json;

use super::Actor;
use super::pats::target;
use crate::limits::DELETED_AT_ONCE;

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
    /// Why.
    pub error: Error,
}

impl Actor {
    /// Refuses to delete a PAT that the credential in use cannot delete.
    ///
    /// # Errors
    /// As [`patron_core::access::Holder::delete`].
    pub fn require_deletable(&self, pat: &Pat) -> Result<()> {
        self.holder().delete(&self.app.catalogue, target(pat))
    }

    /// Whether a bulk update can change the expiry of a PAT with the credential in use.
    pub fn may_set_expiry(&self, pat: &Pat) -> bool {
        self.rights.has(Right::ALL_UPDATE)
            && self.holder().bulk_update(&self.app.catalogue, target(pat)).unwrap_or(false)
    }

    /// Deletes PATs, each judged and recorded as if it were deleted alone. What fails stops it there.
    pub async fn delete_many(&self, ids: &[PatId]) -> Outcome {
        let mut done = 0;
        for (at, part) in ids.chunks(DELETED_AT_ONCE).enumerate() {
            let actor = self.clone();
            let decide = move |pat: &Pat| actor.require_deletable(pat);
            let store = &self.app.store;
            let deleted =
                store.delete_pats(self.context.clone(), self.tenant, part.to_vec(), Arc::new(decide)).await;
            match deleted {
                Ok(deleted) => done += deleted,
                Err(error) => return stopped(done, ids.len() - at * DELETED_AT_ONCE, error),
            }
        }
        Outcome { done, stopped: None }
    }

    /// Sets when PATs expire, by bulk updates. What fails stops it there.
    pub async fn expire_many(&self, ids: &[PatId], at: Timestamp) -> Outcome {
        let mut done = 0;
        for (n, part) in ids.chunks(BULK_IDS).enumerate() {
            match self.expire_part(part, at).await {
                Ok(changed) => done += changed,
                Err(error) => return stopped(done, ids.len() - n * BULK_IDS, error),
            }
        }
        Outcome { done, stopped: None }
    }

    async fn expire_part(&self, ids: &[PatId], at: Timestamp) -> Result<usize> {
        let patch = json!([{ "op": "replace", "path": "/expirationDate", "value": at.to_string() }]);
        let ids = Some(ids.iter().map(ToString::to_string).collect());
        let changed = self.bulk_update(BulkDraft { ids, patch: Some(patch) }.check()?).await?;
        Ok(changed.len())
    }
}

fn stopped(done: usize, left: usize, error: Error) -> Outcome {
    Outcome { done, stopped: Some(Stopped { left, error }) }
}
