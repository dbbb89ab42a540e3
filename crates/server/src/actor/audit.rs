//! What an identity sees of the audit trail.

use patron_core::Result;
use patron_core::criteria::Criteria;
use patron_core::rights::Right;
use patron_store::audit::Place;

use super::Actor;
use crate::trail::TrailReader;

impl Actor {
    /// The tenant's trail, with what happened a moment ago, still to be read: what `criteria` over
    /// [`patron_core::criteria::AUDIT_EVENTS`] let through, behind a place, or from the newest event on.
    ///
    /// # Errors
    /// Forbidden without the right.
    pub async fn trail(&self, criteria: Criteria, after: Option<Place>) -> Result<TrailReader> {
        self.holder().require(&self.app.catalogue, Right::AUDIT_READ)?;
        self.app.recorder.settle().await;
        Ok(TrailReader::new(self.app.store.clone(), self.tenant, criteria, after))
    }
}
