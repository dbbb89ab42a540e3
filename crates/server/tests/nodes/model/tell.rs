//! How what happened is told.

use super::{Asked, Credential, Event, Model, Patch};

impl Model {
    /// The PAT, the access token and the identity that an event is about.
    fn subjects(&self, event: &Event) -> (Option<usize>, Option<usize>, Option<usize>) {
        let of = |by: &Credential| match *by {
            Credential::Pat(pat) => (Some(pat), None, Some(self.pats[pat].owner)),
            Credential::Token(token) => {
                let pat = self.tokens[token].pat;
                (Some(pat), Some(token), Some(self.pats[pat].owner))
            }
        };
        match &event.asked {
            Asked::Exchange(pat) | Asked::Patch(pat, _) | Asked::Delete(pat) => of(&Credential::Pat(*pat)),
            Asked::Call(by) | Asked::ForwardAuth(by) => of(by),
            Asked::Introspect(token) | Asked::Revoke { token, .. } => of(&Credential::Token(*token)),
            Asked::Create { owner, .. } => (None, None, Some(*owner)),
            Asked::Enable(identity, _)
            | Asked::Lead(identity)
            | Asked::LeadsSeen(identity)
            | Asked::List(identity) => (None, None, Some(*identity)),
        }
    }

    /// All that happened to what the event is about.
    pub(super) fn history_of(&self, number: usize) -> String {
        let (pat, token, identity) = self.subjects(&self.events[number]);
        let mut text = String::new();
        for (at, event) in self.events.iter().enumerate() {
            let (its_pat, its_token, its_identity) = self.subjects(event);
            let about_token = token.is_none() || its_token.is_none() || its_token == token;
            let about_pat = pat.is_some() && its_pat == pat && about_token;
            let about_identity =
                its_identity == identity && matches!(event.asked, Asked::Enable(..) | Asked::Lead(..));
            let list = pat.is_none() && its_identity == identity;
            if about_pat || about_identity || list {
                text.extend(["    ", &self.told(at), "\n"]);
            }
        }
        text
    }

    pub(super) fn told(&self, number: usize) -> String {
        let Event { client, node, when, asked, got } = &self.events[number];
        let node = node.map_or("admin".to_owned(), |node| format!("node {node}"));
        let got: String = format!("{got:?}").chars().take(400).collect();
        format!("{} … {} client {client} {node}: {asked:?}: {got}", when.begin, when.end)
    }
}

impl Asked {
    /// Each kind of operation, as it is told.
    pub(crate) const KINDS: [&str; 16] = [
        "create",
        "exchange",
        "call, Basic",
        "call, Bearer",
        "introspect",
        "forward-auth",
        "patch name",
        "patch scope",
        "patch expiry",
        "delete",
        "revoke",
        "enable (admin)",
        "disable (admin)",
        "set levels",
        "use levels",
        "list",
    ];

    /// Which of them it is.
    pub(crate) fn name(&self) -> &'static str {
        Self::KINDS[match self {
            Self::Create { .. } => 0,
            Self::Exchange(_) => 1,
            Self::Call(Credential::Pat(_)) => 2,
            Self::Call(Credential::Token(_)) => 3,
            Self::Introspect(_) => 4,
            Self::ForwardAuth(_) => 5,
            Self::Patch(_, Patch::Name(_)) => 6,
            Self::Patch(_, Patch::Scope(_)) => 7,
            Self::Patch(_, Patch::Expires(_)) => 8,
            Self::Delete(_) => 9,
            Self::Revoke { .. } => 10,
            Self::Enable(_, true) => 11,
            Self::Enable(_, false) => 12,
            Self::Lead(_) => 13,
            Self::LeadsSeen(_) => 14,
            Self::List(_) => 15,
        }]
    }
}
