//! A limit for each of many keys.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher as _, Hash};
use std::sync::{Mutex, MutexGuard, PoisonError};

use patron_core::id::NodeId;
use patron_core::time::Timestamp;

use super::RetryAfterSeconds;
use super::hits::{self, BUCKETS, Hits, Widths};
use super::others::Others;
use super::tally::Tally;
use crate::limits::COUNTED;

/// Locks of one limiter; keys are spread over them by their hash.
const SHARDS: usize = 16;
/// A key is hot on a node from this part of the limit on.
const HOT_PART: u32 = 20;

/// Keys of one lock, in two generations: a key that is touched moves to `young`; when `young` is full or a window
/// old, `old` is dropped and `young` becomes `old`. So a key idle for a window is gone within two, nothing is ever
/// swept, and of too many keys the least recently used half goes first.
pub(super) struct Shard<K> {
    young: HashMap<K, Hits>,
    old: HashMap<K, Hits>,
    /// When `young` was begun, milliseconds since 1970.
    since: i64,
    /// What other nodes have counted; empty where there are none.
    others: HashMap<K, Others>,
}

impl<K: Hash + Eq> Shard<K> {
    fn turn(&mut self, widths: Widths, now: i64, most: usize) {
        // After a step back of the clock, generations are timed anew.
        self.since = self.since.min(now);
        let age = now - self.since;
        if age >= widths.window.saturating_mul(2) {
            self.young = HashMap::new();
            self.old = HashMap::new();
            self.since = now;
        } else if age >= widths.window || self.young.len() >= most {
            self.old = std::mem::take(&mut self.young);
            self.since = now;
        }
    }

    /// What is known of `key`, if anything; it counts as touched.
    fn find(&mut self, key: &K) -> Option<&mut Hits> {
        self.touch(key);
        self.young.get_mut(key)
    }

    fn touch(&mut self, key: &K) {
        if let Some((key, hits)) = self.old.remove_entry(key) {
            self.young.entry(key).or_insert(hits);
        }
    }

    /// What is known of `key`; it does not count as touched.
    fn peek(&mut self, key: &K) -> Option<&mut Hits> {
        self.young.get_mut(key).or_else(|| self.old.get_mut(key))
    }

    fn find_or_begin(&mut self, key: K, widths: Widths, now: i64) -> &mut Hits {
        let known = self.old.remove(&key);
        self.young.entry(key).or_insert_with(|| known.unwrap_or_else(|| Hits::none(widths, now)))
    }
}

/// At most so many hits a window for each key; see the module's text for how exact it is.
pub struct SlidingWindow<K> {
    limit: u32,
    widths: Widths,
    /// Keys of one generation of one shard, and half of those of other nodes.
    most: usize,
    spread: RandomState,
    shards: Box<[Mutex<Shard<K>>]>,
}

impl<K: Copy + Hash + Eq> SlidingWindow<K> {
    /// At most `limit` hits in any `window_seconds` for each key. A `limit` of 0 is off: everything is admitted and
    /// nothing remembered. A window of 0 is read as 1.
    pub fn new(limit: u32, window_seconds: u32) -> Self {
        Self::with_keys(limit, window_seconds, COUNTED)
    }

    /// The same, remembering at most about `keys` keys (no fewer than 32); beyond that the least recently used
    /// are forgotten.
    pub fn with_keys(limit: u32, window_seconds: u32, keys: usize) -> Self {
        let window = i64::from(window_seconds.max(1)) * 1_000;
        let shard = || {
            Mutex::new(Shard {
                young: HashMap::new(),
                old: HashMap::new(),
                since: Timestamp::MIN.millis(),
                others: HashMap::new(),
            })
        };
        Self {
            limit,
            widths: Widths { window, bucket: window / BUCKETS },
            most: (keys / (2 * SHARDS)).max(1),
            spread: RandomState::new(),
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
        }
    }

    /// Asks for one hit: counts and admits it, or refuses it and says when to come back. A refused hit does not
    /// count, so whoever waits as told is admitted.
    pub fn hit(&self, key: K, now: Timestamp) -> Result<(), RetryAfterSeconds> {
        if !self.is_on() {
            return Ok(());
        }
        let mut shard = self.shard(&key, now);
        if let Some(wait) = self.wait(&mut shard, &key, now) {
            return Err(wait);
        }
        self.record(&mut shard, key, now);
        Ok(())
    }

    /// Whether it limits anything.
    pub(super) fn is_on(&self) -> bool {
        self.limit > 0
    }

    /// Takes one hit of that time back, as if it had not been. After a step back of the clock it may stay counted.
    pub(crate) fn give_back(&self, key: &K, at: Timestamp) {
        if self.is_on()
            && let Some(hits) = self.lock(key).find(key)
        {
            hits.take_back(self.widths, at.millis());
        }
    }

    /// Locks the part that `key` is in, as it is to be at `now`.
    pub(super) fn shard(&self, key: &K, now: Timestamp) -> MutexGuard<'_, Shard<K>> {
        let mut shard = self.lock(key);
        shard.turn(self.widths, now.millis(), self.most);
        shard
    }

    /// Locks the part that `key` is in. The keys' hash is seeded anew in every process, so nobody outside can pick
    /// keys that share a lock.
    fn lock(&self, key: &K) -> MutexGuard<'_, Shard<K>> {
        let at = usize::try_from(self.spread.hash_one(key) % SHARDS as u64).unwrap_or(0);
        locked(&self.shards[at])
    }

    /// How long to wait for room for one more; `None` when there is room now.
    pub(super) fn wait(&self, shard: &mut Shard<K>, key: &K, now: Timestamp) -> Option<RetryAfterSeconds> {
        shard.touch(key);
        let Shard { young, others, .. } = shard;
        hits::wait(young.get_mut(key), others.get(key), self.widths, self.limit, now.millis())
    }

    pub(super) fn record(&self, shard: &mut Shard<K>, key: K, now: Timestamp) {
        shard.find_or_begin(key, self.widths, now.millis()).record(self.widths, now.millis());
    }
}

/// What other nodes have to do with it; see the text of [`super`].
impl<K: Copy + Hash + Eq> SlidingWindow<K> {
    /// What other nodes are to know that they were not told: the counts that have changed of keys that are hot here,
    /// and of those that they may still count. At most `most` of them, those with most hits first; the others' turn is
    /// later. What cannot be published goes to [`SlidingWindow::not_published`].
    pub(crate) fn publish(&self, most: usize, now: Timestamp) -> Vec<Publication<K>> {
        if !self.is_on() {
            return Vec::new();
        }
        let hot = u64::from((self.limit / HOT_PART).max(1));
        let mut chosen: Vec<(u64, K)> = Vec::new();
        for shard in &self.shards {
            let mut shard = locked(shard);
            let Shard { young, old, .. } = &mut *shard;
            let changed = young.iter_mut().chain(old).filter(|(_, hits)| hits.changed);
            let counted = changed.map(|(key, hits)| (hits.total(self.widths, now.millis()), hits.told, *key));
            chosen.extend(
                counted.filter(|&(total, told, _)| told || total >= hot).map(|(total, _, key)| (total, key)),
            );
        }
        if chosen.len() > most {
            chosen.select_nth_unstable_by_key(most, |&(total, _)| Reverse(total));
            chosen.truncate(most);
        }
        chosen.into_iter().filter_map(|(_, key)| self.publish_one(key, now)).collect()
    }

    fn publish_one(&self, key: K, now: Timestamp) -> Option<Publication<K>> {
        let mut shard = self.lock(&key);
        // Forgotten meanwhile, for other keys.
        let hits = shard.peek(&key)?;
        let settled = hits.settle(self.widths, now.millis());
        let tallies: Vec<Tally> = hits.counting(self.widths, settled).collect();
        (hits.changed, hits.told) = (false, !tallies.is_empty());
        Some(Publication { key, tallies, expires: Timestamp::from_millis(settled + self.widths.window) })
    }

    /// Has these published once more, with what has come since.
    pub(crate) fn not_published(&self, keys: impl IntoIterator<Item = K>) {
        for key in keys {
            if let Some(hits) = self.lock(&key).peek(&key) {
                // Nobody knows whether others have read it.
                (hits.changed, hits.told) = (true, true);
            }
        }
    }

    /// Takes in what another node has counted, in place of what it counted before. Of too many keys, those that are
    /// new are passed over.
    pub(crate) fn take_in(&self, node: NodeId, key: K, tallies: Vec<Tally>) {
        if !self.is_on() {
            return;
        }
        let mut shard = self.lock(&key);
        let has_room = shard.others.len() < 2 * self.most;
        match shard.others.entry(key) {
            Entry::Occupied(mut known) => known.get_mut().replace(node, tallies),
            Entry::Vacant(new) if has_room => new.insert(Others::default()).replace(node, tallies),
            Entry::Vacant(_) => {}
        }
    }

    /// Forgets what other nodes have counted and counts no more.
    pub(crate) fn forget_others(&self, now: Timestamp) {
        for shard in &self.shards {
            locked(shard).others.retain(|_, others| others.forget(self.widths, now.millis()));
        }
    }
}

/// What other nodes are told of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication<K> {
    /// Of what.
    pub key: K,
    /// Its hits in the window.
    pub tallies: Vec<Tally>,
    /// From when on none of them counts.
    pub expires: Timestamp,
}

/// Locks a shard. Counters have no state between two of them that a panic could break.
fn locked<K>(shard: &Mutex<Shard<K>>) -> MutexGuard<'_, Shard<K>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + millis)
    }

    fn keys_of<K>(limiter: &SlidingWindow<K>) -> usize {
        limiter.shards.iter().map(|s| s.lock().unwrap()).map(|s| s.young.len() + s.old.len()).sum()
    }

    #[test]
    fn a_burst_fills_the_window_and_leaves_it_whole() {
        let limiter = SlidingWindow::new(100, 10);
        for n in 0..100 {
            assert_eq!(limiter.hit("a", at(n)), Ok(()), "hit {n}");
        }
        assert_eq!(limiter.hit("a", at(100)), Err(RetryAfterSeconds(10)));
        assert_eq!(limiter.hit("b", at(100)), Ok(()), "another key has a window of its own");
        assert!(limiter.hit("a", at(9_999)).is_err());
        assert_eq!(limiter.hit("a", at(10_099)), Ok(()));
    }

    #[test]
    fn it_slides_where_a_fixed_window_would_admit_twice_as_many() {
        let limiter = SlidingWindow::new(10, 10);
        for n in 0..10 {
            assert_eq!(limiter.hit((), at(9_500 + n)), Ok(()));
        }
        assert_eq!(limiter.hit((), at(10_500)), Err(RetryAfterSeconds(10)));
        assert!(limiter.hit((), at(19_499)).is_err());
        assert_eq!(limiter.hit((), at(19_509)), Ok(()));
    }

    #[test]
    fn what_is_given_back_does_not_count() {
        let limiter = SlidingWindow::new(2, 10);
        for n in 0..50 {
            assert_eq!(limiter.hit("a", at(n * 700)), Ok(()), "hit {n}");
            limiter.give_back(&"a", at(n * 700));
        }
        let now = 50 * 700;
        assert_eq!((limiter.hit("a", at(now)), limiter.hit("a", at(now + 1))), (Ok(()), Ok(())));
        assert!(limiter.hit("a", at(now + 2)).is_err());
        // Of a time that is long gone, and of a key that nobody knows.
        limiter.give_back(&"a", at(now - 20_000));
        limiter.give_back(&"b", at(now));
        assert!(limiter.hit("a", at(now + 3)).is_err());
        limiter.give_back(&"a", at(now + 1));
        assert_eq!(limiter.hit("a", at(now + 4)), Ok(()));
    }

    #[test]
    fn refused_hits_do_not_count() {
        let limiter = SlidingWindow::new(1, 10);
        assert_eq!(limiter.hit((), at(0)), Ok(()));
        for n in 1..10_000 {
            assert!(limiter.hit((), at(n)).is_err());
        }
        assert_eq!(limiter.hit((), at(10_000)), Ok(()));
    }

    #[test]
    fn zero_is_off_and_remembers_nothing() {
        let limiter = SlidingWindow::new(0, 10);
        for _ in 0..1_000 {
            assert_eq!(limiter.hit(1, at(0)), Ok(()));
        }
        assert_eq!(keys_of(&limiter), 0);
    }

    #[test]
    fn idle_keys_are_forgotten() {
        let limiter = SlidingWindow::new(5, 1);
        for key in 0..1_000 {
            limiter.hit(key, at(0)).unwrap();
        }
        assert_eq!(keys_of(&limiter), 1_000);
        // Enough other keys to come by every shard.
        for key in 1_000..1_500 {
            limiter.hit(key, at(2_500)).unwrap();
        }
        assert_eq!(keys_of(&limiter), 500);
    }

    #[test]
    fn a_quiet_key_is_remembered_for_the_whole_window_while_others_are_busy() {
        for first in [0, 100, 450, 900, 999] {
            let limiter = SlidingWindow::new(1, 1);
            limiter.hit(0, at(0)).unwrap();
            limiter.hit(1_000_000, at(first)).unwrap();
            for tick in (first..first + 999).step_by(50) {
                for other in 1..300 {
                    limiter.hit(other, at(tick)).ok();
                }
            }
            assert!(limiter.hit(1_000_000, at(first + 999)).is_err(), "hit at {first}");
            assert_eq!(limiter.hit(1_000_000, at(first + 1_000)), Ok(()), "hit at {first}");
        }
    }

    #[test]
    fn a_flood_of_keys_neither_grows_memory_nor_washes_out_a_busy_key() {
        let limiter = SlidingWindow::with_keys(3, 3_600, 1_000);
        for key in 0_u64..200_000 {
            limiter.hit(key, at(0)).ok();
            let busy = limiter.hit(u64::MAX, at(0));
            assert_eq!(busy.is_ok(), key < 3, "after {key} other keys");
        }
        assert!(keys_of(&limiter) <= 1_000 + 2 * SHARDS, "{} keys", keys_of(&limiter));
    }

    #[test]
    fn a_clock_that_steps_back_locks_nobody_out_for_long() {
        let limiter = SlidingWindow::new(2, 10);
        limiter.hit((), at(0)).unwrap();
        limiter.hit((), at(0)).unwrap();
        // By a little: the limit holds, and frees at the time it would have.
        assert_eq!(limiter.hit((), at(-3_000)), Err(RetryAfterSeconds(13)));
        assert_eq!(limiter.hit((), at(10_000)), Ok(()));
        // By a day: what was counted is forgotten, and the limit is in force from there.
        assert_eq!(limiter.hit((), at(-86_400_000)), Ok(()));
        assert_eq!(limiter.hit((), at(-86_400_000)), Ok(()));
        assert_eq!(limiter.hit((), at(-86_400_000)), Err(RetryAfterSeconds(10)));
        // To the ends of time and back.
        for now in [Timestamp::MIN, Timestamp::MAX, Timestamp::MIN, at(0)] {
            assert_eq!(limiter.hit((), now), Ok(()));
        }
    }

    #[test]
    fn threads_together_get_no_more_than_the_limit() {
        let limiter = SlidingWindow::new(1_000, 10);
        let admitted: usize = std::thread::scope(|scope| {
            let one = || (0..500).filter(|_| limiter.hit("k", at(0)).is_ok()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 1_000);
    }

    const ELSEWHERE: NodeId = NodeId::from_bytes([1; 16]);

    /// So many hits at that time.
    fn hits(count: u32, millis: i64) -> Vec<Tally> {
        vec![Tally { last: at(millis).millis(), count }]
    }

    fn others_of<K>(limiter: &SlidingWindow<K>) -> usize {
        limiter.shards.iter().map(|shard| shard.lock().unwrap().others.len()).sum()
    }

    #[test]
    fn what_was_published_is_not_published_again_until_it_changes() {
        let limiter = SlidingWindow::new(20, 10);
        let published =
            |now| limiter.publish(10, at(now)).into_iter().map(|one| one.tallies).collect::<Vec<_>>();
        assert_eq!(published(0), [[]; 0]);
        limiter.hit("a", at(0)).unwrap();
        assert_eq!(published(100), [hits(1, 0)]);
        assert_eq!(published(200), [[]; 0]);
        limiter.hit("a", at(300)).unwrap();
        assert_eq!(published(400), [hits(2, 300)]);
        limiter.not_published(["a", "unknown"]);
        assert_eq!(published(500), [hits(2, 300)]);
        assert_eq!(published(600), [[]; 0]);
    }

    #[test]
    fn of_too_many_keys_those_with_most_hits_are_published_and_then_the_others() {
        let limiter = SlidingWindow::new(100, 10);
        for key in 0..20 {
            for _ in 0..key {
                limiter.hit(key, at(0)).unwrap();
            }
        }
        let published = || {
            let mut keys: Vec<_> = limiter.publish(10, at(1)).into_iter().map(|one| one.key).collect();
            keys.sort_unstable();
            keys
        };
        assert_eq!(published(), [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
        assert_eq!(published(), [5, 6, 7, 8, 9], "and none that is not hot");
        assert_eq!(published(), [0; 0]);
    }

    #[test]
    fn a_publication_expires_with_its_last_hit() {
        let limiter = SlidingWindow::new(20, 10);
        limiter.hit((), at(0)).unwrap();
        let published = limiter.publish(1, at(400));
        assert_eq!(published, [Publication { key: (), tallies: hits(1, 0), expires: at(10_400) }]);
    }

    #[test]
    fn a_node_s_next_word_takes_the_place_of_its_last() {
        let limiter = SlidingWindow::new(10, 10);
        let room = || {
            let room = (0..20).take_while(|_| limiter.hit("a", at(1)).is_ok()).count();
            (0..room).for_each(|_| limiter.give_back(&"a", at(1)));
            room
        };
        limiter.take_in(ELSEWHERE, "a", hits(3, 0));
        limiter.take_in(ELSEWHERE, "a", hits(4, 0));
        assert_eq!(room(), 6);
        limiter.take_in(NodeId::from_bytes([2; 16]), "a", hits(5, 0));
        assert_eq!(room(), 1);
        limiter.take_in(ELSEWHERE, "a", Vec::new());
        assert_eq!(room(), 5);
    }

    #[test]
    fn other_nodes_neither_grow_memory_nor_stay_in_it() {
        let limiter = SlidingWindow::with_keys(3, 10, 1_000);
        for key in 0..200_000 {
            limiter.take_in(ELSEWHERE, key, hits(3, 0));
        }
        assert!(others_of(&limiter) <= 1_000, "{} keys", others_of(&limiter));
        limiter.forget_others(at(9_999));
        assert!(others_of(&limiter) > 900);
        limiter.forget_others(at(10_000));
        assert_eq!(others_of(&limiter), 0);
        limiter.take_in(ELSEWHERE, 0, hits(3, 1_000_000_000));
        limiter.forget_others(at(10_000));
        assert_eq!(others_of(&limiter), 0, "a clock that is far ahead");
        let off = SlidingWindow::new(0, 10);
        off.take_in(ELSEWHERE, 0, hits(3, 0));
        assert_eq!((others_of(&off), off.publish(1, at(0))), (0, Vec::new()));
    }

    proptest! {
        /// Against the log of everything that was admitted.
        #[test]
        fn never_more_than_the_limit_and_hardly_less(
            limit in 1_u32..20,
            window_seconds in 1_u32..5,
            // Bursts, and pauses of up to a window and a half.
            steps in prop::collection::vec(prop_oneof![Just(0_i64), 0_i64..50, 0_i64..6_000], 1..400),
        ) {
            let limiter = SlidingWindow::new(limit, window_seconds);
            let window = i64::from(window_seconds) * 1_000;
            let mut log: Vec<i64> = Vec::new();
            let mut now = 0;
            for step in steps {
                now += step;
                let since = |start: i64| log.iter().filter(|&&hit| hit > start).count();
                match limiter.hit((), at(now)) {
                    Ok(()) => {
                        prop_assert!(since(now - window) < limit as usize, "one too many at {now}");
                        log.push(now);
                    }
                    Err(RetryAfterSeconds(wait)) => {
                        let wide = window + window / 10;
                        prop_assert!(since(now - wide) >= limit as usize, "refused too early at {now}");
                        prop_assert!(wait >= 1 && wait <= window_seconds);
                        if step % 2 == 1 {
                            now += i64::from(wait) * 1_000;
                            prop_assert_eq!(limiter.hit((), at(now)), Ok(()), "waited as told");
                            log.push(now);
                        }
                    }
                }
            }
        }

        #[test]
        fn no_clock_breaks_it(
            times in prop::collection::vec((any::<i64>(), any::<i64>(), any::<u32>()), 0..60),
        ) {
            let limiter = SlidingWindow::with_keys(2, 1, 10);
            for (n, (millis, last, count)) in times.into_iter().enumerate() {
                let (key, now) = (n % 5, Timestamp::from_millis(millis));
                limiter.hit(key, now).ok();
                let tally = Tally { last: Timestamp::from_millis(last).millis(), count };
                limiter.take_in(NodeId::from_bytes([1; 16]), key, vec![tally]);
                if n % 7 == 0 {
                    limiter.forget_others(now);
                }
                limiter.publish(n % 3, now);
            }
        }
    }
}
