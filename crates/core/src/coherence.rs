//! When a node may rely on its memory, and when a change may be answered.
//!
//! Several servers, *nodes*, share one database, and each keeps in memory what its hot path reads. The promise: **when
//! a change has been answered, no node acts on what was before it.** Three parts keep it, none of which does I/O or
//! reads a clock:
//!
//! - [`Follower`], in each node: reads the change feed, applies it, renews the node's row, and only then trusts its
//!   memory, until a lease after it *began to read*.
//! - [`Wait`], in each process that changes something: lets the change be answered when every node's row says that it
//!   was applied or, without any word from anybody, when no lease can be left that began before the change.
//! - [`Roll`], in each node: finds the rows of nodes that are no more, so that nobody waits for them.
//!
//! Why this is enough, and what it takes for granted, is told in `docs/coherence.md`; the tests in `coherence/` run
//! this very code through every order of events that a small world has.

use std::collections::BTreeMap;

use crate::id::NodeId;

/// An instant on the process's own clock: one that never stands still nor is set, whether the process is stopped or
/// the machine sleeps (`CLOCK_BOOTTIME`), in milliseconds since whenever. Those of two processes cannot be compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Steady(pub u64);

impl Steady {
    /// `millis` later.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

/// How often a node renews its lease when nothing else wakes it up. Two renewals may fail before it stops trusting.
pub const RENEWAL_MILLIS: u64 = 1_000;

/// How long trust lasts, and when others may be sure that it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Terms {
    lease: u64,
    over: u64,
}

impl Terms {
    /// What all processes of one database go by. Whoever changes the lease stops all of them first: a node of the
    /// longer lease outlives the patience of those of the shorter.
    pub const STANDARD: Self = Self::new(3_000, 1, 100);

    /// Terms with a lease of `lease` milliseconds on the node's clock.
    ///
    /// Each clock may run up to `drift` percent slower or faster than true time, so the lease may last longer than it
    /// should while the one who waits counts too fast: both are made up for. `margin` milliseconds are for clocks
    /// that tell whole milliseconds, and for a request that looked at the lease in its last moment.
    pub const fn new(lease: u64, drift: u64, margin: u64) -> Self {
        Self { lease, over: (lease * (100 + drift)).div_ceil(100 - drift) + margin }
    }

    /// How long a node trusts its memory on its own clock, from when it began to read the feed.
    pub const fn lease(self) -> u64 {
        self.lease
    }

    /// After how long, on any clock, a lease that had begun is over on the clock of whoever holds it.
    pub const fn over(self) -> u64 {
        self.over
    }
}

/// A node's row in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeRow {
    /// Whose it is.
    pub id: NodeId,
    /// The last entry of the feed that the node had applied when it renewed.
    pub seen: i64,
    /// The number of the renewal, which only grows; no two renewals of a node have the same.
    pub renewals: i64,
}

/// What a node's follower does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Open a connection for following, to a server that takes writes.
    Connect,
    /// Look at the clock, *then* begin a read-write transaction and read the feed.
    Read {
        /// The last entry that was applied.
        after: i64,
    },
    /// Forget what the entries name that were read.
    Apply,
    /// In the transaction of the reading, set `seen` and `renewals` in the node's row **if its `renewals` is one
    /// lower**, and commit. Not before the commit has returned is it done. The condition makes sure that the row was there
    /// before the reading began, and so was waited for: no statement that comes late can have made it since.
    Renew {
        /// The last entry that was applied.
        seen: i64,
        /// This renewal's number.
        renewals: i64,
    },
    /// Enter the node's row, or set it if it is there with a lower `renewals`, and commit. Its `seen` is 0: what the
    /// node has applied may be of another server's feed. The row keeps the number as that of its registration. Nothing
    /// is trusted for that.
    Register {
        /// This attempt's number.
        renewals: i64,
    },
    /// Wait to be told of a change, for [`RENEWAL_MILLIS`] at most.
    Rest,
}

/// What came of a [`Step`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// There is a connection.
    Connected,
    /// The feed was read.
    Read {
        /// The clock *before* the reading began.
        asked: Steady,
        /// The last entry that was read, or the one it began after. Lower when the feed has gone back.
        last: i64,
    },
    /// The entries were applied.
    Applied,
    /// The renewal was committed.
    Renewed,
    /// There is no such row to renew.
    RowMissing,
    /// The row was entered or set.
    Registered,
    /// Told of a change, or enough time has passed.
    Woken,
    /// The step failed, or nobody knows whether it did.
    Failed,
}

/// A node's way from the feed to trust, one step after the other: [`Follower::step`] says what to do,
/// [`Follower::done`] takes what came of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Follower {
    terms: Terms,
    step: Step,
    seen: i64,
    renewals: i64,
    registered: i64,
    /// The reading that is under way: when it began, and how far the feed went.
    asked: Steady,
    last: i64,
    trusted_until: Steady,
}

impl Follower {
    /// A follower of a node whose memory has everything up to the entry `seen`, and that trusts it not yet.
    pub const fn new(seen: i64, terms: Terms) -> Self {
        let nothing = Steady(0);
        let step = Step::Connect;
        Self {
            terms,
            step,
            seen,
            renewals: 0,
            registered: 0,
            asked: nothing,
            last: seen,
            trusted_until: nothing,
        }
    }

    /// What to do now.
    pub const fn step(&self) -> Step {
        self.step
    }

    /// The memory may be relied on while the clock is *before* this.
    pub const fn trusted_until(&self) -> Steady {
        self.trusted_until
    }

    /// The number of the registration that is in force, or 0 before the first.
    ///
    /// What the node reads and changes, it must read and change on a server that has all that its memory was told of:
    /// one that shows this as the number of the node's last registration. The server that was followed before may be
    /// stale by now, and still be there; and it may show a later one that it could not commit.
    pub const fn registered(&self) -> i64 {
        self.registered
    }

    /// Takes what came of the step, and says what to do next. An outcome that is none of the step's is a failure.
    pub fn done(&mut self, outcome: Outcome) -> Step {
        self.step = match (self.step, outcome) {
            // After each interruption anew: nobody knows what became of the statement that was under way.
            (Step::Connect, Outcome::Connected) | (Step::Renew { .. }, Outcome::RowMissing) => {
                Step::Register { renewals: self.next_number() }
            }
            // After registering too: a change that came before the row has waited for nobody.
            (Step::Register { renewals }, Outcome::Registered) => {
                self.registered = renewals;
                Step::Read { after: self.seen }
            }
            (Step::Rest, Outcome::Woken) => Step::Read { after: self.seen },
            (Step::Read { .. }, Outcome::Read { asked, last }) => {
                (self.asked, self.last) = (asked, last);
                Step::Apply
            }
            (Step::Apply, Outcome::Applied) => {
                self.seen = self.last;
                Step::Renew { seen: self.seen, renewals: self.next_number() }
            }
            (Step::Renew { .. }, Outcome::Renewed) => {
                self.trusted_until = self.asked.plus(self.terms.lease);
                Step::Rest
            }
            _ => Step::Connect,
        };
        self.step
    }

    /// Ends the trust at once. A node that leaves does this first and deletes its row afterwards.
    pub const fn leave(&mut self) {
        self.trusted_until = Steady(0);
    }

    /// Each attempt has its own number, whatever became of the one before: a late one is then known as such, and a row
    /// that is entered anew never looks like the one that somebody saw standing still.
    const fn next_number(&mut self) -> i64 {
        self.renewals = self.renewals.saturating_add(1);
        self.renewals
    }
}

/// Whether a change may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// No node relies on what was before the change, nor ever will.
    Answered,
    /// Some node may.
    NotYet,
}

/// A change that is committed and not yet answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wait {
    entry: i64,
    over: Steady,
}

impl Wait {
    /// For the change with this entry in the feed. `committed` is the clock *after* the commit had returned.
    pub const fn new(entry: i64, committed: Steady, terms: Terms) -> Self {
        Self { entry, over: committed.plus(terms.over) }
    }

    /// What the rows of all nodes say. They are to be read after the commit, from a server that has it.
    pub fn observe(&self, rows: &[NodeRow], now: Steady) -> Verdict {
        if rows.iter().all(|row| row.seen >= self.entry) { Verdict::Answered } else { self.by_time(now) }
    }

    /// What the time alone says: it needs neither the database nor the nodes.
    pub fn by_time(&self, now: Steady) -> Verdict {
        if now >= self.over { Verdict::Answered } else { Verdict::NotYet }
    }

    /// When the time alone will do.
    pub const fn over(&self) -> Steady {
        self.over
    }
}

/// Which rows stand still, and since when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Roll {
    terms: Terms,
    known: BTreeMap<NodeId, Standing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Standing {
    renewals: i64,
    since: Steady,
}

impl Roll {
    /// A roll that has seen no row yet.
    pub const fn new(terms: Terms) -> Self {
        Self { terms, known: BTreeMap::new() }
    }

    /// Takes the rows of all nodes, and the clock *after* they had been read. Gives those whose nodes surely trust
    /// their memory no more; each may be deleted if it still has this `renewals`.
    pub fn observe(&mut self, rows: &[NodeRow], now: Steady) -> Vec<NodeRow> {
        self.known.retain(|id, _| rows.iter().any(|row| row.id == *id));
        rows.iter().copied().filter(|row| self.is_over(row, now)).collect()
    }

    fn is_over(&mut self, row: &NodeRow, now: Steady) -> bool {
        let fresh = Standing { renewals: row.renewals, since: now };
        let standing = self.known.entry(row.id).or_insert(fresh);
        if standing.renewals != row.renewals {
            *standing = fresh;
        }
        now >= standing.since.plus(self.terms.over)
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod search;
#[cfg(test)]
mod world;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: NodeId = NodeId::from_bytes([7; 16]);
    const OVER: u64 = Terms::STANDARD.over();

    fn row(seen: i64, renewals: i64) -> NodeRow {
        NodeRow { id: ID, seen, renewals }
    }

    /// A follower that has renewed once, having begun to read at 1,000.
    fn trusting() -> Follower {
        let mut follower = Follower::new(5, Terms::STANDARD);
        for outcome in [
            Outcome::Connected,
            Outcome::Registered,
            Outcome::Read { asked: Steady(1_000), last: 8 },
            Outcome::Applied,
            Outcome::Renewed,
        ] {
            follower.done(outcome);
        }
        follower
    }

    #[test]
    fn the_terms() {
        assert_eq!((Terms::STANDARD.lease(), OVER), (3_000, 3_161));
        const { assert!(OVER < 4_000, "a change is answered within the lease and a second") };
        const { assert!(2 * RENEWAL_MILLIS < Terms::STANDARD.lease(), "two renewals may fail") };
    }

    #[test]
    fn a_node_registers_reads_applies_and_renews_before_it_trusts() {
        let mut follower = Follower::new(5, Terms::STANDARD);
        assert_eq!(follower.step(), Step::Connect);
        assert_eq!(follower.done(Outcome::Connected), Step::Register { renewals: 1 });
        assert_eq!(follower.registered(), 0);
        assert_eq!(follower.done(Outcome::Registered), Step::Read { after: 5 });
        assert_eq!(follower.registered(), 1);
        assert_eq!(follower.done(Outcome::Read { asked: Steady(1_000), last: 8 }), Step::Apply);
        assert_eq!(follower.done(Outcome::Applied), Step::Renew { seen: 8, renewals: 2 });
        assert_eq!(follower.trusted_until(), Steady(0));
        assert_eq!(follower.done(Outcome::Renewed), Step::Rest);
        assert_eq!(follower.trusted_until(), Steady(4_000), "from when it began to read");
        assert_eq!(follower.done(Outcome::Woken), Step::Read { after: 8 });
    }

    #[test]
    fn what_fails_leaves_the_trust_as_it_was_and_uses_its_number_up() {
        let mut follower = trusting();
        follower.done(Outcome::Woken);
        follower.done(Outcome::Read { asked: Steady(2_000), last: 9 });
        assert_eq!(follower.done(Outcome::Applied), Step::Renew { seen: 9, renewals: 3 });
        assert_eq!(follower.done(Outcome::Failed), Step::Connect);
        assert_eq!(follower.trusted_until(), Steady(4_000));
        assert_eq!(follower.done(Outcome::Failed), Step::Connect);
        assert_eq!(follower.done(Outcome::Connected), Step::Register { renewals: 4 });
    }

    #[test]
    fn what_was_not_applied_was_not_seen() {
        let mut follower = trusting();
        follower.done(Outcome::Woken);
        follower.done(Outcome::Read { asked: Steady(2_000), last: 9 });
        follower.done(Outcome::Failed);
        follower.done(Outcome::Connected);
        assert_eq!(follower.done(Outcome::Registered), Step::Read { after: 8 });
    }

    #[test]
    fn a_row_that_is_gone_is_entered_and_the_feed_read_again() {
        let mut follower = trusting();
        follower.done(Outcome::Woken);
        follower.done(Outcome::Read { asked: Steady(9_000), last: 8 });
        follower.done(Outcome::Applied);
        assert_eq!(follower.done(Outcome::RowMissing), Step::Register { renewals: 4 });
        assert_eq!(follower.done(Outcome::Registered), Step::Read { after: 8 });
        assert_eq!(follower.trusted_until(), Steady(4_000));
    }

    #[test]
    fn a_feed_that_has_gone_back_is_followed_from_there() {
        let mut follower = trusting();
        follower.done(Outcome::Woken);
        follower.done(Outcome::Read { asked: Steady(2_000), last: 3 });
        assert_eq!(follower.done(Outcome::Applied), Step::Renew { seen: 3, renewals: 3 });
    }

    #[test]
    fn an_outcome_of_another_step_is_a_failure_and_leaving_ends_the_trust() {
        let mut follower = trusting();
        assert_eq!(follower.done(Outcome::Renewed), Step::Connect);
        assert_eq!(follower.trusted_until(), Steady(4_000));
        follower.leave();
        assert_eq!(follower.trusted_until(), Steady(0));
    }

    #[test]
    fn a_change_is_answered_by_all_rows_or_by_time() {
        let wait = Wait::new(8, Steady(500), Terms::STANDARD);
        let (early, over) = (Steady(500 + OVER - 1), Steady(500 + OVER));
        assert_eq!(wait.over(), over);
        assert_eq!(wait.observe(&[], Steady(500)), Verdict::Answered);
        assert_eq!(wait.observe(&[row(8, 1), row(9, 1)], Steady(500)), Verdict::Answered);
        assert_eq!(wait.observe(&[row(9, 1), row(7, 1)], early), Verdict::NotYet);
        assert_eq!(wait.observe(&[row(9, 1), row(7, 1)], over), Verdict::Answered);
        assert_eq!(wait.by_time(early), Verdict::NotYet);
        assert_eq!(wait.by_time(over), Verdict::Answered);
        let endless = Wait::new(8, Steady(u64::MAX), Terms::STANDARD);
        assert_eq!(endless.by_time(Steady(u64::MAX - 1)), Verdict::NotYet);
    }

    #[test]
    fn a_row_is_dead_when_it_has_stood_still_long_enough() {
        let mut roll = Roll::new(Terms::STANDARD);
        assert_eq!(roll.observe(&[row(1, 4)], Steady(100)), []);
        assert_eq!(roll.observe(&[row(1, 4)], Steady(100)), [], "time that stands still kills nobody");
        assert_eq!(roll.observe(&[row(1, 4)], Steady(100 + OVER - 1)), []);
        assert_eq!(roll.observe(&[row(1, 4)], Steady(100 + OVER)), [row(1, 4)]);
        assert_eq!(roll.observe(&[row(1, 5)], Steady(100 + OVER)), [], "it has moved");
        assert_eq!(roll.observe(&[row(1, 5)], Steady(100 + 2 * OVER)), [row(1, 5)]);
    }

    #[test]
    fn a_number_that_goes_back_is_another_number() {
        let mut roll = Roll::new(Terms::STANDARD);
        roll.observe(&[row(1, 4)], Steady(0));
        assert_eq!(roll.observe(&[row(1, 3)], Steady(OVER)), [], "after a failover");
        assert_eq!(roll.observe(&[row(1, 3)], Steady(2 * OVER)), [row(1, 3)]);
    }

    #[test]
    fn a_row_that_was_gone_begins_anew_even_with_its_old_number() {
        let mut roll = Roll::new(Terms::STANDARD);
        roll.observe(&[row(1, 4)], Steady(0));
        roll.observe(&[], Steady(1));
        assert_eq!(roll.observe(&[row(1, 4)], Steady(OVER)), []);
        assert_eq!(roll.observe(&[row(1, 4)], Steady(2 * OVER)), [row(1, 4)]);
    }
}
