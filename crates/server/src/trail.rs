//! The audit trail as it is read: what criteria let through, newest first, a few rows at a time.

use patron_core::Result;
use patron_core::criteria::{Criteria, Operand};
use patron_core::id::TenantKey;
use patron_store::Store;
use patron_store::audit::{Common, Place, Recorded, Selection};

/// Reads a tenant's trail. Each part is a snapshot of its own; since it goes back in time, what is recorded meanwhile
/// does not come twice.
pub struct TrailReader {
    store: Store,
    criteria: Criteria,
    /// What the database reads; `None` when nothing is left.
    selection: Option<Selection>,
    after: Option<Place>,
}

impl TrailReader {
    /// The events of `tenant` that `criteria` over [`patron_core::criteria::AUDIT_EVENTS`] let through, behind a
    /// place, or from the newest on.
    pub fn new(store: Store, tenant: TenantKey, criteria: Criteria, after: Option<Place>) -> Self {
        let selection = selection(tenant, &criteria);
        Self { store, criteria, selection, after }
    }

    /// Whether every event that is read is let through.
    pub fn lets_all_through(&self) -> bool {
        self.criteria.is_empty()
    }

    /// Whether nothing is left to be read.
    pub fn is_done(&self) -> bool {
        self.selection.is_none()
    }

    /// The events that are let through among the next `rows` of the selection, perhaps none;
    /// [`TrailReader::is_done`] says whether they were the last.
    pub async fn next(&mut self, rows: u32) -> Result<Vec<Recorded>> {
        let Some(selection) = &self.selection else { return Ok(Vec::new()) };
        let mut events = self.store.audit_page(selection.clone(), self.after, rows).await?;
        if events.len() < rows as usize {
            self.selection = None;
        }
        self.after = events.last().map(Recorded::place);
        events.retain(|event| matches(&self.criteria, event));
        Ok(events)
    }
}

/// Which events to read: as few as the database can tell that hold all that match. `None` when none can match.
fn selection(tenant: TenantKey, criteria: &Criteria) -> Option<Selection> {
    let created = criteria.bounds("created");
    // A target has fewer events than an actor as a rule, and an actor fewer than there are of a name.
    let mut common = None;
    for field in ["target.id", "actor.id", "technicalName"] {
        match criteria.pinned(field).as_deref() {
            Some([]) => return None,
            Some([only]) if common.is_none() => {
                let only = (*only).to_owned();
                common = Some(match field {
                    "target.id" => Common::Target(only),
                    "actor.id" => Common::Actor(only),
                    _ => Common::TechnicalName(only),
                });
            }
            _ => {}
        }
    }
    (!created.is_empty()).then_some(Selection { tenant, created, common })
}

fn matches(criteria: &Criteria, event: &Recorded) -> bool {
    criteria.matches(&|field: &str| match field {
        "technicalName" => Operand::Text(&event.technical_name),
        "actor.id" => Operand::Text(&event.actor[1]),
        "target.id" => Operand::Text(&event.target[1]),
        _ => Operand::Time(event.created),
    })
}
