//! The hits of one key on other nodes.

use patron_core::id::NodeId;

use super::hits::Widths;
use super::tally::Tally;

/// What each other node said last.
#[derive(Default)]
pub(super) struct Others(Vec<(NodeId, Vec<Tally>)>);

impl Others {
    /// Those that count at `now`, in no order. A hit from further ahead than clocks are apart is of a clock that is
    /// wrong.
    pub(super) fn counting(&self, widths: Widths, now: i64) -> impl Iterator<Item = Tally> + '_ {
        let tallies = self.0.iter().flat_map(|(_, tallies)| tallies).copied();
        tallies.filter(move |tally| tally.last > now - widths.window && tally.last <= now + widths.bucket)
    }

    /// Has what `node` says take the place of what it said before.
    pub(super) fn replace(&mut self, node: NodeId, tallies: Vec<Tally>) {
        self.0.retain(|(other, _)| *other != node);
        if !tallies.is_empty() {
            self.0.push((node, tallies));
        }
    }

    /// Drops the nodes of which nothing will count any more, and says whether anything is left.
    pub(super) fn forget(&mut self, widths: Widths, now: i64) -> bool {
        // What is a little ahead of a clock that stepped back may count yet.
        let may_count = |tally: &Tally| (tally.last - now).abs() < widths.window;
        self.0.retain(|(_, tallies)| tallies.iter().any(may_count));
        !self.0.is_empty()
    }
}
