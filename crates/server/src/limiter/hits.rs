//! The hits of one key on this node.

use super::RetryAfterSeconds;
use super::others::Others;
use super::tally::Tally;

/// Buckets that a window is cut into.
pub(super) const BUCKETS: i64 = 10;
/// A window that does not begin with a bucket touches one more than [`BUCKETS`].
pub(super) const SLOTS: usize = 11;

/// The length of a window and of its buckets, milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Widths {
    pub(super) window: i64,
    pub(super) bucket: i64,
}

/// The hits of one key.
pub(super) struct Hits {
    /// The bucket of the newest hit: its time over the bucket's width.
    newest: i64,
    /// Hits of each bucket; bucket `b` is in slot `b mod SLOTS`.
    counts: [u32; SLOTS],
    /// When the last hit of each bucket was, milliseconds from the bucket's begin.
    last: [u32; SLOTS],
    /// Whether they are others than when they were last published.
    pub(super) changed: bool,
    /// Whether other nodes may believe that there are any.
    pub(super) told: bool,
}

impl Hits {
    pub(super) fn none(widths: Widths, now: i64) -> Self {
        let newest = now.div_euclid(widths.bucket);
        Self { newest, counts: [0; SLOTS], last: [0; SLOTS], changed: false, told: false }
    }

    fn slot(bucket: i64) -> usize {
        usize::try_from(bucket.rem_euclid(BUCKETS + 1)).unwrap_or(0)
    }

    /// When the last hit of `bucket` was.
    fn last_of(&self, widths: Widths, bucket: i64) -> i64 {
        bucket * widths.bucket + i64::from(self.last[Self::slot(bucket)])
    }

    /// The time to reckon with. A clock that stepped back a little is held at the newest hit, so the limit holds;
    /// one that stepped back by more than a window would lock its callers out until it has caught up, so
    /// what was counted before is forgotten instead.
    pub(super) fn settle(&mut self, widths: Widths, now: i64) -> i64 {
        let newest = self.last_of(widths, self.newest);
        if now >= newest {
            now
        } else if newest - now <= widths.window {
            newest
        } else {
            *self = Self { changed: true, told: self.told, ..Self::none(widths, now) };
            now
        }
    }

    /// Those that still count at `now`, oldest first.
    pub(super) fn counting(&self, widths: Widths, now: i64) -> impl Iterator<Item = Tally> + '_ {
        (self.newest - BUCKETS..=self.newest)
            .map(move |bucket| Tally {
                last: self.last_of(widths, bucket),
                count: self.counts[Self::slot(bucket)],
            })
            .filter(move |tally| tally.count > 0 && tally.last > now - widths.window)
    }

    /// How many of them count.
    pub(super) fn total(&mut self, widths: Widths, now: i64) -> u64 {
        let now = self.settle(widths, now);
        self.counting(widths, now).map(|tally| u64::from(tally.count)).sum()
    }

    pub(super) fn record(&mut self, widths: Widths, now: i64) {
        let now = self.settle(widths, now);
        let bucket = now.div_euclid(widths.bucket);
        // Slots between the newest hit and this one belong to buckets without hits.
        if bucket - self.newest > BUCKETS {
            self.counts = [0; SLOTS];
        } else {
            for skipped in self.newest + 1..=bucket {
                self.counts[Self::slot(skipped)] = 0;
            }
        }
        self.newest = bucket;
        let slot = Self::slot(bucket);
        self.counts[slot] = self.counts[slot].saturating_add(1);
        self.last[slot] = u32::try_from(now.rem_euclid(widths.bucket)).unwrap_or(u32::MAX);
        self.changed = true;
    }

    /// Takes one hit of that time back, if its bucket is still known.
    pub(super) fn take_back(&mut self, widths: Widths, at: i64) {
        let bucket = at.div_euclid(widths.bucket);
        if (self.newest - BUCKETS..=self.newest).contains(&bucket) {
            let count = &mut self.counts[Self::slot(bucket)];
            *count = count.saturating_sub(1);
            self.changed = true;
        }
    }
}

/// How long until there is room for one more beside a key's own hits and those on other nodes; `None` when there is
/// room now.
pub(super) fn wait(
    mut own: Option<&mut Hits>,
    others: Option<&Others>,
    widths: Widths,
    limit: u32,
    now: i64,
) -> Option<RetryAfterSeconds> {
    let settled = own.as_mut().map_or(now, |own| own.settle(widths, now));
    let own = own.as_deref();
    let counting = || {
        let own = own.into_iter().flat_map(|own| own.counting(widths, settled));
        own.chain(others.into_iter().flat_map(|others| others.counting(widths, settled)))
    };
    let counted: u64 = counting().map(|tally| u64::from(tally.count)).sum();
    let mut in_excess = (counted + 1).saturating_sub(u64::from(limit));
    if in_excess == 0 {
        return None;
    }
    // Those that leave the window first make room first, on whatever node they were.
    let mut leaving: Vec<Tally> = counting().collect();
    leaving.sort_unstable_by_key(|tally| tally.last);
    let mut free_at = settled;
    for tally in leaving {
        free_at = tally.last + widths.window;
        in_excess = in_excess.saturating_sub(u64::from(tally.count));
        if in_excess == 0 {
            break;
        }
    }
    let seconds = (free_at - now + 999).div_euclid(1_000).max(1);
    Some(RetryAfterSeconds(u32::try_from(seconds).unwrap_or(u32::MAX)))
}
