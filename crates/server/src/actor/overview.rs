//! What an administrator sees of everyone's PATs.

use patron_core::Result;
use patron_core::access::{Whose, no_such_pat};
use patron_core::id::{IdentityId, PatId};
use patron_core::rights::Right;
use patron_store::pats::numbers::Numbers;
use patron_store::pats::search::{Found, Listed, Managed, Order, Search};

use super::Actor;
use super::pats::target;
use crate::limits::DASHBOARD_OWNERS;

impl Actor {
    /// Everyone's PATs in numbers, managed ones among them where the identity may see those.
    ///
    /// # Errors
    /// Forbidden without the right to everyone's PATs.
    pub async fn numbers(&self) -> Result<Numbers> {
        let managed = self.holder().list(&self.app.catalogue, Whose::Everyones)?;
        self.app.recorder.settle().await;
        self.app.store.pat_numbers(self.tenant, managed, DASHBOARD_OWNERS).await
    }

    /// Whether it sees who else there is, PATs or not.
    pub fn sees_identities(&self) -> bool {
        self.rights.has(Right::AUTH_USER_READ)
    }

    /// Whether it sees the platform's PATs among everyone's.
    pub fn sees_managed(&self) -> bool {
        self.rights.has(Right::MANAGED_READ)
    }

    /// Whose PATs alone are to be looked for: the identity of this id or login name.
    ///
    /// Whether there is one is for those to be told who see identities ([`Actor::sees_identities`]). To others nobody
    /// must look like somebody without PATs.
    ///
    /// # Errors
    /// Forbidden without the right to everyone's PATs.
    pub async fn owner_named(&self, text: &str) -> Result<Option<IdentityId>> {
        self.holder().list(&self.app.catalogue, Whose::Everyones)?;
        let store = &self.app.store;
        if let Some(id) = IdentityId::parse(text)
            && store.identity(self.tenant, id).await?.is_some()
        {
            return Ok(Some(id));
        }
        Ok(store.identity_named(self.tenant, text.to_owned()).await?.map(|identity| identity.id))
    }

    /// Up to `limit` of everyone's PATs that `search` is for, from the `offset`th on, and how many there are in all, up
    /// to [`COUNTED_PATS`](patron_core::limits::COUNTED_PATS). Managed ones are left out where the identity may not see
    /// them.
    ///
    /// # Errors
    /// Forbidden without the right to everyone's PATs.
    pub async fn find_pats(&self, search: Search, order: Order, limit: u32, offset: u32) -> Result<Found> {
        let managed = match (self.holder().list(&self.app.catalogue, Whose::Everyones)?, search.managed) {
            (true, asked) => asked,
            (false, Managed::Only) => return Ok(Found::NOTHING),
            (false, _) => Managed::Without,
        };
        // What was used a moment ago is found as that.
        self.app.recorder.settle().await;
        self.app.store.search_pats(Search { managed, ..search }, order, limit, offset).await
    }

    /// The PATs of these ids that are there and that the identity may know of, in the order given.
    ///
    /// # Errors
    /// Forbidden without the right to everyone's PATs.
    pub async fn listed_pats(&self, ids: Vec<PatId>) -> Result<Vec<Listed>> {
        self.holder().list(&self.app.catalogue, Whose::Everyones)?;
        self.app.recorder.settle().await;
        let mut pats = self.app.store.listed_pats(self.tenant, ids).await?;
        pats.retain(|listed| self.holder().sees(target(&listed.pat)));
        Ok(pats)
    }

    /// One of everyone's PATs.
    ///
    /// # Errors
    /// Forbidden without the right to everyone's PATs; [`no_such_pat`] for one that is not there, or that the identity
    /// may not know of.
    pub async fn listed_pat(&self, id: PatId) -> Result<Listed> {
        self.listed_pats(vec![id]).await?.pop().ok_or_else(no_such_pat)
    }
}
