//! A database server of the model, and what a node's follower writes there.

use std::collections::BTreeMap;

use crate::coherence::{NodeRow, Outcome};
use crate::id::NodeId;

#[derive(Debug, Clone, Default)]
pub(super) struct Server {
    /// The version that it holds, and the number of the feed's last entry.
    pub(super) version: i64,
    pub(super) last: i64,
    /// The last entry is one that the standby never got, about another thing: it could be seen, and was not committed.
    pub(super) foreign: bool,
    pub(super) rows: Vec<NodeRow>,
    /// The number of the registration by which each row is there.
    pub(super) registered: BTreeMap<NodeId, i64>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Statement {
    Renew(NodeRow),
    Register(NodeRow),
}

impl Server {
    fn row(&mut self, id: NodeId) -> Option<&mut NodeRow> {
        self.rows.iter_mut().find(|row| row.id == id)
    }

    /// Deletes rows.
    pub(super) fn strike(&mut self, is_struck: impl Fn(&NodeRow) -> bool) {
        for row in self.rows.extract_if(.., |row| is_struck(row)) {
            self.registered.remove(&row.id);
        }
    }

    /// Carries a statement out, and says what its answer is.
    pub(super) fn execute(&mut self, statement: Statement, careless: bool) -> Outcome {
        match (statement, self.row(statement.row().id)) {
            (Statement::Renew(new), Some(row)) if row.renewals + 1 == new.renewals || careless => {
                *row = new;
                Outcome::Renewed
            }
            (Statement::Renew(_), _) => Outcome::RowMissing,
            (Statement::Register(new), None) => {
                self.rows.push(new);
                self.rows.sort_unstable();
                self.registered.insert(new.id, new.renewals);
                Outcome::Registered
            }
            (Statement::Register(new), Some(row)) => {
                if row.renewals < new.renewals {
                    *row = new;
                    self.registered.insert(new.id, new.renewals);
                }
                Outcome::Registered
            }
        }
    }
}

impl Statement {
    pub(super) fn row(&self) -> &NodeRow {
        let (Self::Renew(row) | Self::Register(row)) = self;
        row
    }
}
