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
//! Why this is enough, and what it takes for granted, is told in `docs/coherence.md`; `tests/coherence` runs this very
//! code through every order of events that a small model has.

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
    /// Open a connection for following, and retire all others that the node has: the server behind them may no longer
    /// be the one that changes are made on.
    Connect,
    /// Look at the clock, *then* begin a read-write transaction and read the feed.
    Read {
        /// The last entry that was applied.
        after: i64,
    },
    /// Forget what the entries name that were read.
    Apply,
    /// In the transaction of the reading, set `seen` and `renewals` in the node's row if that row is there and has a
    /// lower `renewals`, and commit. Not before the commit has returned is it done.
    Renew {
        /// The last entry that was applied.
        seen: i64,
        /// This renewal's number.
        renewals: i64,
    },
    /// Enter the node's row, if there is none, and commit. Nothing is trusted for that.
    Register {
        /// The last entry that was applied.
        seen: i64,
        /// This attempt's number.
        renewals: i64,
    },
    /// Wait to be told of a change, for [`RENEWAL_MILLIS`] at most.
    Rest,
}

/// What came of a [`Step`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// There is a connection, and no other is used any more.
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
    /// There is no row to renew.
    RowMissing,
    /// The row was entered, or was there.
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
        Self { terms, step, seen, renewals: 0, asked: nothing, last: seen, trusted_until: nothing }
    }

    /// What to do now.
    pub const fn step(&self) -> Step {
        self.step
    }

    /// The memory may be relied on while the clock is *before* this.
    pub const fn trusted_until(&self) -> Steady {
        self.trusted_until
    }

    /// Takes what came of the step, and says what to do next. An outcome that is none of the step's is a failure.
    pub fn done(&mut self, outcome: Outcome) -> Step {
        self.step = match (self.step, outcome) {
            (Step::Connect, Outcome::Connected)
            | (Step::Rest, Outcome::Woken)
            | (Step::Register { .. }, Outcome::Registered) => {
                // After registering too: a change that came before the row was waited for by nobody.
                Step::Read { after: self.seen }
            }
            (Step::Read { .. }, Outcome::Read { asked, last }) => {
                (self.asked, self.last) = (asked, last);
                Step::Apply
            }
            (Step::Apply, Outcome::Applied) => {
                self.seen = self.last;
                Step::Renew { seen: self.seen, renewals: self.next_renewal() }
            }
            (Step::Renew { .. }, Outcome::Renewed) => {
                self.trusted_until = self.asked.plus(self.terms.lease);
                Step::Rest
            }
            (Step::Renew { .. }, Outcome::RowMissing) => {
                Step::Register { seen: self.seen, renewals: self.next_renewal() }
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
    const fn next_renewal(&mut self) -> i64 {
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
