//! Which PATs were last used in a span of time, by indexes alone.
//!
//! Lists are in the order of creation, which says nothing of use. Where few PATs match, the index `pats_used` has them
//! side by side, and they are sorted; where many do, the next ones are near on a walk along `pats_listed`, which knows
//! when each was used. Neither reads a row that does not match. Which of the two it is, a count says that ends early.

use patron_core::Result;
use patron_core::id::TenantKey;
use patron_core::time::Timestamp;

use crate::convert;
use crate::driver::{Tx, Value};

/// Up to how many PATs of a list are sorted. Among ten million, to sort as many takes about as long as to find the next
/// page on a walk past the others.
pub(super) const FEW: u32 = 30_000;

/// Milliseconds: before it lies every time that can be written.
const BEYOND: i64 = Timestamp::MAX.millis() + 1;

/// When PATs were last used, and which of those that never were are in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) tenant: TenantKey,
    /// The lowest and the highest flag of those that the platform made.
    pub(super) managed: (bool, bool),
    /// The first and the last millisecond of uses that are in; none where the first is behind the last.
    pub(super) uses: (i64, i64),
    /// Those that were never used are in if they were made before this millisecond.
    pub(super) unused_before: i64,
}

impl Span {
    /// Every moment.
    pub(super) const ALWAYS: (i64, i64) = (Timestamp::MIN.millis(), Timestamp::MAX.millis());
    /// No moment.
    pub(super) const NEVER: (i64, i64) = (1, 0);
    /// All that were never used are in, or none.
    pub(super) fn unused(all: bool) -> i64 {
        if all { BEYOND } else { Timestamp::MIN.millis() }
    }

    /// What [`span!`] asks for: `$1` to `$6`.
    pub(super) fn values(self) -> Vec<Value> {
        let (lowest, highest) = self.managed;
        let (first, last) = self.uses;
        vec![
            self.tenant.into(),
            lowest.into(),
            highest.into(),
            first.into(),
            last.into(),
            self.unused_before.into(),
        ]
    }

    /// How many there are, or `most` where there are more.
    pub(super) async fn count(self, tx: &mut Tx, most: u32) -> Result<u64> {
        let mut values = self.values();
        values.push(most.into());
        convert::counted(tx, COUNT, &values).await
    }
}

/// A condition on `pats` that tells whether one is in a [`Span`], where the index is one that has another order.
macro_rules! in_span {
    ($p:literal) => {
        concat!(
            $p,
            "managed BETWEEN $2 AND $3 AND CASE WHEN ",
            $p,
            "last_used IS NULL THEN ",
            $p,
            "created < $6 ELSE ",
            $p,
            "last_used BETWEEN $4 AND $5 END "
        )
    };
}

/// These columns of those in a [`Span`], by the index `pats_used`; and a further condition.
macro_rules! span {
    ($columns:literal) => {
        span!($columns, "")
    };
    ($columns:literal, $more:expr) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM pats WHERE tenant = $1 AND managed BETWEEN $2 AND $3 ",
            "AND last_used BETWEEN $4 AND $5 ",
            $more,
            "UNION ALL ",
            "SELECT ",
            $columns,
            " FROM pats WHERE tenant = $1 AND managed BETWEEN $2 AND $3 ",
            "AND last_used IS NULL AND created < $6 ",
            $more
        )
    };
}

/// The ids of up to `$7` of those in a [`Span`] in the order of their creation, from the one behind `$8` and `$9` on
/// without the first `$10`, where few are in it. What is added to the time keeps both engines from the index that has
/// this order, and all others in it.
macro_rules! few {
    ($behind:literal, $way:literal) => {
        concat!(
            "SELECT id FROM (",
            span!("created + 0 AS made, id", concat!("AND (created + 0, id) ", $behind, " ($8, $9) ")),
            ") found ORDER BY made ",
            $way,
            ", id ",
            $way,
            " LIMIT $7 OFFSET $10"
        )
    };
}

/// The same where many are.
macro_rules! walk {
    ($behind:literal, $way:literal) => {
        concat!(
            "SELECT id FROM pats WHERE tenant = $1 AND (created, id) ",
            $behind,
            " ($8, $9) AND ",
            in_span!(""),
            "ORDER BY created ",
            $way,
            ", id ",
            $way,
            " LIMIT $7 OFFSET $10"
        )
    };
}

/// The ids of up to `$7` of those in a [`Span`] in the order of their last use, without the first `$8`.
macro_rules! by_use {
    ($way:literal, $nulls:literal) => {
        concat!(
            "SELECT id FROM (",
            span!("last_used, created, id"),
            "ORDER BY 1 ",
            $way,
            " NULLS ",
            $nulls,
            ", 2 ",
            $way,
            ", 3 ",
            $way,
            " LIMIT $7 OFFSET $8) page"
        )
    };
}

pub(super) const COUNT: &str = concat!("SELECT COUNT(*) FROM (", span!("1"), "LIMIT $7) found");

pub(super) use {by_use, few, in_span, span, walk};
