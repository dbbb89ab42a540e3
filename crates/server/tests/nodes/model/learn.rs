//! What answers tell of changes that were not answered.

use std::collections::HashSet;

use super::{Asked, Event, Got, Model};
use crate::history::From;

impl Model {
    /// What an answer tells of changes that were not answered.
    pub(super) fn learn(&mut self, event: &Event) {
        let when = event.when;
        match (&event.asked, &event.got) {
            (Asked::Patch(pat, _) | Asked::Delete(pat), Got::Missing) => {
                // Who says that there is nothing has waited for whoever deleted it.
                self.pats[*pat].lives.relied_on(&false, when);
            }
            (Asked::List(owner), Got::Rows(rows)) => {
                for row in rows {
                    let Some(&at) = self.by_id.get(&row.id) else {
                        self.unanswered.entry(row.id.clone()).or_insert((*owner, when.end));
                        continue;
                    };
                    let pat = &mut self.pats[at];
                    pat.name.saw(&row.name, when, From::Database);
                    pat.scope.saw(&row.scope, when, From::Database);
                    pat.expires.saw(&row.expires, when, From::Database);
                }
                let shown: HashSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
                for pat in self.pats.iter_mut().filter(|pat| pat.owner == *owner && pat.created <= when.begin)
                {
                    if !shown.contains(pat.id.as_str()) {
                        pat.lives.saw(&false, when, From::Database);
                    }
                }
            }
            _ => {}
        }
    }
}
