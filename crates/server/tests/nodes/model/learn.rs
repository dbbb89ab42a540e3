//! What answers tell of changes that were not answered.

use std::collections::HashSet;

use super::{Asked, Credential, Event, Got, Model, Reasons, Row};
use crate::history::From;
use crate::time::Span;

impl Model {
    /// What an answer tells of changes that were not answered.
    pub(super) fn learn(&mut self, event: &Event) {
        let when = event.when;
        match (&event.asked, &event.got) {
            (Asked::Patch(pat, _) | Asked::Delete(pat), Got::Missing) => {
                // Who says that there is nothing has waited for whoever deleted it.
                self.pats[*pat].lives.relied_on(&false, when);
            }
            (Asked::Exchange(pat), Got::Refused) => self.learn_from_refusal(Credential::Pat(*pat), when),
            (Asked::Call(by) | Asked::ForwardAuth(by), Got::Refused) => self.learn_from_refusal(*by, when),
            (Asked::Introspect(token), Got::Refused) => {
                self.learn_from_refusal(Credential::Token(*token), when);
            }
            (Asked::LeadsSeen(identity), got @ (Got::Done | Got::Forbidden)) => {
                let leads = matches!(got, Got::Done);
                self.identities[*identity].leads.saw(&leads, when, From::Memory);
            }
            (Asked::List(owner), Got::Rows(rows)) => self.learn_from_rows(*owner, rows, when),
            _ => {}
        }
    }

    /// A credential is refused: if a single change explains it, that has been made.
    fn learn_from_refusal(&mut self, by: Credential, when: Span) {
        let reasons = self.reasons_to_refuse(by, when);
        let pat = match by {
            Credential::Pat(pat) => pat,
            Credential::Token(token) => self.tokens[token].pat,
        };
        match (reasons, by) {
            (
                Reasons { revoked: true, deleted: false, expired: false, disablings },
                Credential::Token(token),
            ) if disablings.is_empty() => {
                self.tokens[token].lives.saw(&false, when, From::Memory);
            }
            (Reasons { revoked: false, deleted: true, expired: false, disablings }, _)
                if disablings.is_empty() =>
            {
                self.pats[pat].lives.saw(&false, when, From::Memory);
            }
            (Reasons { revoked: false, deleted: false, expired: false, disablings }, _) => {
                let owner = self.pats[pat].owner;
                self.identities[owner].enabled.explained_by(&disablings, when.end);
            }
            _ => {}
        }
    }

    fn learn_from_rows(&mut self, owner: usize, rows: &[Row], when: Span) {
        for row in rows {
            let Some(&at) = self.by_id.get(&row.id) else {
                self.unanswered.entry(row.id.clone()).or_insert((owner, when.end));
                continue;
            };
            let pat = &mut self.pats[at];
            pat.name.saw(&row.name, when, From::Database);
            pat.scope.saw(&row.scope, when, From::Database);
            pat.expires.saw(&row.expires, when, From::Database);
        }
        let shown: HashSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        for pat in self.pats.iter_mut().filter(|pat| pat.owner == owner && pat.created <= when.begin) {
            if !shown.contains(pat.id.as_str()) {
                pat.lives.saw(&false, when, From::Database);
            }
        }
    }
}
