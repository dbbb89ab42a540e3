//! How often somebody may ask, and how often somebody may guess (contract sections 8 and 11).
//!
//! Pure logic over the time it is given.
//!
//! A window slides truly: of any stretch of `window` length, no more than `limit` hits are admitted. Hits are
//! counted in buckets of a tenth of the window, and a bucket counts in full until the *last* hit in it has left
//! the window. So the limiter errs on the strict side only, by a tenth of the window at most, and a key costs
//! about a hundred bytes whatever the limit is.
//!
//! # Several nodes
//!
//! Where several nodes share a database, a limit is one for all of them, and still nobody waits for the database: a
//! hit is judged by what its own node has counted and by what the others had counted when this node last heard of
//! them. Every [`RECONCILE_INTERVAL`](crate::limits::RECONCILE_INTERVAL) a node publishes its own counts and takes in
//! those of the others ([`crate::reconcile`]); only of keys that are *hot*, which have at least a twentieth of the
//! limit on that node, `hot = max(1, limit / 20)`, and only when they have changed.
//!
//! So a node does not know of another's hits that came within the last two intervals (one until the other publishes,
//! one until this node reads), nor of those of a key that is not hot there, `hot - 1` at most. Whatever node admits
//! the last hit of a window admits it because its own count and what it knew of the others were below the limit. With
//! N nodes, therefore, of any stretch of `window` length there are admitted at most
//!
//! > limit + the sum, over the N - 1 other nodes, of (what each admitted in its last two intervals + `hot` - 1)
//!
//! and never more than **N × limit**, since each node keeps the limit by itself. N × limit is reached by a burst that
//! hits all nodes within two intervals. Of a client that asks steadily, `rate` times a second at each node, at most
//! **limit + (N - 1) × (rate × 2 intervals + limit / 20)** are admitted. A client at one node alone gets its full
//! limit and no more. An interval is the constant and the time that a round takes in the database.
//!
//! - A window that is hardly longer than two intervals is hardly shared: by the time a node hears of hits, they leave.
//! - While the database is out of reach, what is known of the others passes out of the window, and each node then
//!   limits what passes through it: N × limit. A request is never refused because of it. A node that is killed takes
//!   with it what it had not published.
//! - Hits carry the time of day of the node that counted them. The nodes' clocks are taken to be within a bucket (a
//!   tenth of the window) of each other; clocks that are `d` apart make the window `d` shorter and `Retry-After` up to
//!   `d` longer. Hits from further ahead do not count, so one node's wrong clock locks nobody out.
//! - A guess at a password counts before it is known to be wrong; a right one that other nodes have heard of meanwhile
//!   counts there until the next round.
//! - Memory is bounded: of other nodes' keys as many are kept as of its own, and of more the newcomers are not. A round
//!   publishes a bounded number of keys, those with most hits first. Beyond these bounds the limit is a node's own.

mod failures;
mod hits;
mod keys;
mod others;
mod requests;
#[cfg(test)]
mod simulation;
mod tally;
mod window;

pub use self::failures::AuthFailures;
pub(crate) use self::keys::network;
pub use self::keys::{Counter, Key, Keys};
pub use self::requests::Requests;
pub use self::tally::Tally;
pub use self::window::{Publication, SlidingWindow};

/// Whole seconds to wait before asking again, at least 1: the value of a `Retry-After` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetryAfterSeconds(pub u32);
