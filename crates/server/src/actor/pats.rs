//! What an identity does with PATs (contract sections 3 to 5).

use std::sync::Arc;

use patron_core::Result;
use patron_core::access::{self, Target, Whose};
use patron_core::bulk::BulkUpdate;
use patron_core::filter::Filter;
use patron_core::id::PatId;
use patron_core::pat::{self, Draft, Pat, Rules};
use patron_core::patch::{Patch, Patchable};
use patron_core::secret::Secret;
use patron_core::time::Timestamp;
use patron_store::Store;
use patron_store::pats::{Creation, Decision, Selection};

use super::Actor;
use crate::body::Page;
use crate::limits::ROWS;

pub(super) fn target(pat: &Pat) -> Target {
    Target { owner: pat.owner, managed: pat.managed }
}

impl Actor {
    /// Makes a PAT for the identity itself, or a managed one for the one that `owner_id` names, and answers it with its
    /// secret, which nothing else ever tells.
    ///
    /// # Errors
    /// Forbidden without the right, or for scopes that the credential in use lacks; as [`Draft::check`],
    /// [`pat::owner_of`] and [`Store::create_pat`].
    pub async fn create(
        &self,
        draft: Draft,
        rules: Rules,
        managed: bool,
        owner_id: Option<&str>,
    ) -> Result<(Pat, Secret)> {
        let (app, holder) = (&self.app, self.holder());
        if managed {
            holder.create_managed(&app.catalogue)?;
        } else {
            holder.create_own(&app.catalogue)?;
        }
        let owner = pat::owner_of(self.identity.id, managed, owner_id)?;
        let new = draft.check(rules, app.clock.now())?;
        if !managed {
            holder.refuse_excess(&app.catalogue, &new.scope, None)?;
        }
        let creation = Creation { owner, managed, per_owner: app.settings.pat_limits.per_owner };
        app.store.create_pat(self.context.clone(), self.tenant, creation, new).await
    }

    /// One PAT, with the `lastUsed` of a moment ago.
    ///
    /// # Errors
    /// [`access::no_such_pat`] for one that is not there, or that the identity may not know of.
    pub async fn get(&self, id: PatId) -> Result<Pat> {
        self.app.recorder.settle().await;
        let pat = self.app.store.pat(self.tenant, id).await?.ok_or_else(access::no_such_pat)?;
        self.holder().read(target(&pat))?;
        Ok(pat)
    }

    /// The part of a list that `page` asks for, oldest first, still to be read; and how many PATs the whole list has
    /// when the page asks for that.
    ///
    /// # Errors
    /// As [`access::Holder::list`].
    pub async fn list(&self, whose: Whose, filter: Filter, page: Page) -> Result<(PatReader, Option<u64>)> {
        let managed = self.holder().list(&self.app.catalogue, whose)?;
        let owner = match whose {
            Whose::Mine => Some(self.identity.id),
            Whose::Of(Some(id)) => Some(id),
            Whose::Of(None) => return Ok((PatReader::nothing(), page.count.then_some(0))),
            Whose::Everyones => None,
        };
        // What was used a moment ago has its `lastUsed` in this list.
        self.app.recorder.settle().await;
        let selection = Selection { tenant: self.tenant, owner, managed, filter };
        let store = &self.app.store;
        let total = if page.count { Some(store.pats_count(selection.clone()).await?) } else { None };
        Ok((PatReader::new(store.clone(), selection, page), total))
    }

    /// All of the identity's own PATs, oldest first, without managed ones: those are the platform's.
    ///
    /// # Errors
    /// As [`access::Holder::list`].
    pub async fn own(&self) -> Result<Vec<Pat>> {
        self.holder().list(&self.app.catalogue, Whose::Mine)?;
        self.app.recorder.settle().await;
        let owner = Some(self.identity.id);
        let selection = Selection { tenant: self.tenant, owner, managed: false, filter: Filter::parse("")? };
        let everything = Page { limit: None, offset: 0, count: false };
        PatReader::new(self.app.store.clone(), selection, everything).rest().await
    }

    /// Whether the identity may make one more PAT for itself, beside its `own`.
    pub fn has_room(&self, own: &[Pat]) -> bool {
        pat::require_room(own.len(), self.app.settings.pat_limits.per_owner).is_ok()
    }

    /// Changes a PAT by JSON Patch and answers it as it is then.
    ///
    /// # Errors
    /// As [`access::Holder::patch`], [`Patch::apply`] and [`Pat::patched`]; forbidden for scopes that the credential in
    /// use lacks.
    pub async fn patch(&self, id: PatId, patch: Patch, patchable: Patchable) -> Result<Pat> {
        let (actor, now) = (self.clone(), self.app.clock.now());
        let decide = move |pat: &Pat| {
            actor.holder().patch(&actor.app.catalogue, target(pat))?;
            actor.patched(pat, &patch, patchable, now)
        };
        // What was used a moment ago, perhaps for this very patch, has its `lastUsed` in the answer.
        self.app.recorder.settle().await;
        self.app.store.patch_pat(self.context.clone(), self.tenant, id, Arc::new(decide)).await
    }

    /// Ends a PAT and every access token made from it.
    ///
    /// # Errors
    /// As [`access::Holder::delete`].
    pub async fn delete(&self, id: PatId) -> Result<()> {
        let actor = self.clone();
        let decide = move |pat: &Pat| actor.holder().delete(&actor.app.catalogue, target(pat));
        self.app.store.delete_pat(self.context.clone(), self.tenant, id, Arc::new(decide)).await
    }

    /// Changes the expiry of many PATs, all or none, and answers them in the order of their ids.
    ///
    /// # Errors
    /// Forbidden without the right to bulk updates; as [`Store::bulk_update_pats`] and [`Actor::patch`].
    pub async fn bulk_update(&self, update: BulkUpdate) -> Result<Vec<Pat>> {
        let BulkUpdate { ids, patch } = update;
        let decide = self.bulk_decision(patch)?;
        // As in a patch of one.
        self.app.recorder.settle().await;
        self.app.store.bulk_update_pats(self.context.clone(), self.tenant, ids, decide).await
    }

    /// What a bulk update makes of a PAT; `None` of one that the identity may not know of.
    ///
    /// # Errors
    /// Forbidden without the right to bulk updates; the decision, as [`Actor::patch`].
    pub(super) fn bulk_decision(&self, patch: Patch) -> Result<Decision<Option<Pat>>> {
        self.require_setting_expiry()?;
        let (actor, now) = (self.clone(), self.app.clock.now());
        Ok(Arc::new(move |pat: &Pat| {
            if !actor.holder().bulk_update(&actor.app.catalogue, target(pat))? {
                return Ok(None);
            }
            actor.patched(pat, &patch, Patchable::ExpiryOnly, now).map(Some)
        }))
    }

    /// What a patch makes of a PAT, within the scopes of the credential in use.
    fn patched(&self, pat: &Pat, patch: &Patch, patchable: Patchable, now: Timestamp) -> Result<Pat> {
        let patched = patch.apply(&pat.document(), patchable)?;
        let named_scope = patched.scope.is_some();
        let new = pat.patched(patched, now)?;
        // Whoever may make managed PATs gives them any scope.
        if named_scope && !pat.managed {
            self.holder().refuse_excess(&self.app.catalogue, &new.scope, Some(&pat.scope))?;
        }
        Ok(new)
    }
}

/// Reads a list a few rows at a time. Each part is a snapshot of its own: a PAT that is there all the while is
/// listed once, one that comes or goes meanwhile may be.
pub struct PatReader {
    /// What is read, and from where; `None` reads nothing.
    source: Option<(Store, Selection)>,
    after: Option<(Timestamp, PatId)>,
    skip: u32,
    left: Option<u32>,
}

impl PatReader {
    fn new(store: Store, selection: Selection, page: Page) -> Self {
        Self { source: Some((store, selection)), after: None, skip: page.offset, left: page.limit }
    }

    fn nothing() -> Self {
        Self { source: None, after: None, skip: 0, left: None }
    }

    /// Whether nothing is left to be read.
    pub fn is_done(&self) -> bool {
        self.source.is_none()
    }

    /// The next rows that the filter lets through, perhaps none; [`PatReader::is_done`] says whether they were the
    /// last.
    pub async fn next(&mut self) -> Result<Vec<Pat>> {
        let Some((store, selection)) = &self.source else { return Ok(Vec::new()) };
        let wanted = self.rows_to_read(&selection.filter);
        let rows = store.pats_page(selection.clone(), self.after, wanted).await?;
        let mut done = rows.len() < wanted as usize;
        self.after = rows.last().map(|pat| (pat.created, pat.id));
        let mut kept: Vec<Pat> = Vec::with_capacity(rows.len());
        for pat in rows.into_iter().filter(|pat| selection.filter.matches(pat.last_used)) {
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            if let Some(left) = &mut self.left {
                if *left == 0 {
                    break;
                }
                *left -= 1;
            }
            kept.push(pat);
        }
        done |= self.left == Some(0);
        if done {
            self.source = None;
        }
        Ok(kept)
    }

    /// How many rows to read next: no more than the page still takes, where all that are read match. Where the filter has
    /// a gap, what lies in it is read as well.
    fn rows_to_read(&self, filter: &Filter) -> u32 {
        let left = self.left.filter(|_| filter.ranges().len() <= 1);
        left.map_or(ROWS, |left| ROWS.min(self.skip.saturating_add(left)))
    }

    /// All rows that are left: for a page, which is limited.
    pub async fn rest(mut self) -> Result<Vec<Pat>> {
        let mut all = Vec::new();
        while !self.is_done() {
            all.append(&mut self.next().await?);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_rows_are_read_than_a_page_takes_unless_some_of_them_do_not_match() {
        let le = |day: &str| format!("lastUsed le 2027-01-{day}T00:00:00Z");
        let gap = format!("{} or not {} and not lastUsed isnull", le("01"), le("20"));
        for (filter, exact) in [
            (String::new(), true),
            (le("01"), true),
            ("lastUsed isnull".to_owned(), true),
            (format!("{} or lastUsed isnull", le("01")), true),
            (gap, false),
        ] {
            let filter = Filter::parse(&filter).unwrap();
            for (skip, left, wanted) in
                [(0, Some(1), 1), (7, Some(3), 10), (ROWS, Some(1), ROWS), (0, None, ROWS)]
            {
                let reader = PatReader { source: None, after: None, skip, left };
                let wanted = if exact { wanted } else { ROWS };
                assert_eq!(reader.rows_to_read(&filter), wanted, "{filter:?} {skip} {left:?}");
            }
        }
    }
}
