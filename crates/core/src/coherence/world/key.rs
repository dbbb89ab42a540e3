//! What a state is known by: two that have the same key have the same future. Instants count by what is left until
//! they matter, on the clock of whoever looks at it; the numbers of a node's renewals by their order; and which of the
//! nodes is which not at all.

use std::collections::BTreeSet;

use super::{Life, Node, Outcome, Statement, Steady, Step, TERMS, World, small};
use crate::coherence::NodeRow;
use crate::id::NodeId;

impl World {
    pub(in crate::coherence) fn key(&self) -> Box<[u8]> {
        let wait = self.wait.map_or(0, |wait| 1 + left(wait.over(), self.clock));
        let mut key = vec![self.since_skew, self.losses, self.ends, u8::from(self.misled), wait];
        key.extend([self.changes, self.answered].map(small));
        for server in self.servers.iter().chain([&self.before]) {
            key.extend([small(server.last), small(server.version), u8::from(server.foreign)]);
        }
        let ids: BTreeSet<NodeId> =
            self.nodes.iter().map(|node| node.id).chain(self.rows().map(|row| row.id)).collect();
        let mut parts: Vec<Vec<u8>> = ids.into_iter().map(|id| self.key_of(id)).collect();
        parts.sort_unstable();
        key.extend(parts.into_iter().flatten());
        key.into_boxed_slice()
    }

    /// Every row that is in a server, or in somebody's hands.
    fn rows(&self) -> impl Iterator<Item = &NodeRow> {
        let servers = self.servers.iter().chain([&self.before]).flat_map(|server| &server.rows);
        let found = self.observers.iter().flat_map(|observer| &observer.found);
        servers.chain(found).chain(self.late.iter().map(|(_, statement)| statement.row()))
    }

    /// All that there is of a node.
    fn key_of(&self, id: NodeId) -> Vec<u8> {
        let node = self.nodes.iter().find(|node| node.id == id);
        let numbers = self.numbers_of(id, node);
        let rank = |number: i64| small(numbers.iter().filter(|other| **other < number).count());
        let short = |row: &NodeRow| [1, small(row.seen), rank(row.renewals)];
        let row_of = |rows: &[NodeRow]| rows.iter().find(|row| row.id == id).map_or([0; 3], short);
        // Of a registration it matters whether it is in force, or will be when its answer is heard.
        let in_force = node.map_or(0, |node| node.follower.registered);
        let expected = node.map(|node| node.follower.step);
        let mut key = Vec::with_capacity(48);
        for server in self.servers.iter().chain([&self.before]) {
            key.extend(row_of(&server.rows));
            key.push(server.registered.get(&id).map_or(0, |registered| match expected {
                _ if *registered == in_force => 1,
                Some(Step::Register { renewals }) if *registered == renewals => 2,
                _ => 3,
            }));
        }
        key.push(rank(in_force));
        for observer in &self.observers {
            key.extend(row_of(observer.found.as_slice()));
            key.extend(observer.roll.known.get(&id).map_or([0; 3], |standing| {
                let over = standing.since.plus(observer.roll.terms.over());
                [1, rank(standing.renewals), left(over, self.clock)]
            }));
        }
        if let Some((server, statement)) = self.late {
            key.extend(row_of(&[*statement.row()]));
            key.extend([small(server), u8::from(matches!(statement, Statement::Renew(_)))]);
        }
        match node {
            Some(node) => {
                node.write_key(&mut key, rank(node.follower.renewals));
            }
            None => key.push(u8::MAX),
        }
        key
    }

    /// Every number of the node's renewals that is written down anywhere.
    fn numbers_of(&self, id: NodeId, node: Option<&Node>) -> BTreeSet<i64> {
        let rows = self.rows().filter(|row| row.id == id).map(|row| row.renewals);
        let known = self.observers.iter().filter_map(|observer| observer.roll.known.get(&id));
        let own = node.map(|node| [node.follower.renewals, node.follower.registered]).into_iter().flatten();
        rows.chain(known.map(|standing| standing.renewals)).chain(own).collect()
    }
}

impl Node {
    fn write_key(&self, key: &mut Vec<u8>, number: u8) {
        key.push(self.life as u8);
        if self.life == Life::Gone {
            return;
        }
        let follower = &self.follower;
        let step = match follower.step {
            Step::Connect => 0,
            Step::Register { .. } => 1,
            Step::Read { .. } => 2,
            Step::Apply => 3,
            Step::Renew { .. } => 4,
            Step::Rest => 5,
        };
        let answer = match self.answer {
            None => 0,
            Some(Outcome::Renewed) => 1,
            Some(Outcome::RowMissing) => 2,
            Some(_) => 3,
        };
        // Only of a reading that is under way does it matter when it began and how far it went.
        let asked = match follower.step {
            Step::Apply | Step::Renew { .. } => left(follower.asked.plus(TERMS.lease()), self.clock),
            _ => 0,
        };
        let last = if follower.step == Step::Apply { small(follower.last) } else { 0 };
        let load = self.load.map_or(0, |load| 1 + 2 * small(load.version) + u8::from(load.overtaken));
        key.extend([step, answer, asked, last, number, small(follower.seen)]);
        key.extend([left(follower.trusted_until, self.clock), small(self.server)]);
        key.extend([self.memory.map_or(0, |version| 1 + small(version)), load]);
        key.extend([u8::from(self.read_foreign), u8::from(self.seen_foreign)]);
    }
}

fn left(until: Steady, now: Steady) -> u8 {
    small(until.0.saturating_sub(now.0))
}
