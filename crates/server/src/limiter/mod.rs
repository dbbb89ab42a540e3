//! How often somebody may ask, and how often somebody may guess (contract sections 8 and 11).
//!
//! Pure logic over the time it is given. Counts are this process's own: where several nodes share a database,
//! each limits what passes through it.
//!
//! A window slides truly: of any stretch of `window` length, no more than `limit` hits are admitted. Hits are
//! counted in buckets of a tenth of the window, and a bucket counts in full until the *last* hit in it has left
//! the window. So the limiter errs on the strict side only, by a tenth of the window at most, and a key costs
//! about a hundred bytes whatever the limit is.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::COUNTED;
use patron_core::time::Timestamp;

/// Buckets that a window is cut into.
const BUCKETS: i64 = 10;
/// A window that does not begin with a bucket touches one more than [`BUCKETS`].
const SLOTS: usize = 11;
/// Locks of one limiter; keys are spread over them by their hash.
const SHARDS: usize = 16;
/// The window of failed authentications, seconds: the contract says "a minute".
const FAILURE_WINDOW_SECONDS: u32 = 60;

/// Whole seconds to wait before asking again, at least 1: the value of a `Retry-After` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetryAfterSeconds(pub u32);

/// The hits of one key.
struct Hits {
    /// The bucket of the newest hit: its time over the bucket's width.
    newest: i64,
    /// Hits of each bucket; bucket `b` is in slot `b mod SLOTS`.
    counts: [u32; SLOTS],
    /// When the last hit of each bucket was, milliseconds from the bucket's begin.
    last: [u32; SLOTS],
}

/// The length of a window and of its buckets, milliseconds.
#[derive(Clone, Copy)]
struct Widths {
    window: i64,
    bucket: i64,
}

impl Hits {
    fn none(widths: Widths, now: i64) -> Self {
        Self { newest: now.div_euclid(widths.bucket), counts: [0; SLOTS], last: [0; SLOTS] }
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
    fn settle(&mut self, widths: Widths, now: i64) -> i64 {
        let newest = self.last_of(widths, self.newest);
        if now >= newest {
            now
        } else if newest - now <= widths.window {
            newest
        } else {
            *self = Self::none(widths, now);
            now
        }
    }

    /// The buckets that still count at `now`, oldest first, as the time of their last hit and their hits.
    fn counting(&self, widths: Widths, now: i64) -> impl Iterator<Item = (i64, u32)> + '_ {
        (self.newest - BUCKETS..=self.newest)
            .map(move |bucket| (self.last_of(widths, bucket), self.counts[Self::slot(bucket)]))
            .filter(move |&(last, count)| count > 0 && last > now - widths.window)
    }

    /// How long until there is room for one more; `None` when there is room now.
    fn wait(&mut self, widths: Widths, limit: u32, now: i64) -> Option<RetryAfterSeconds> {
        let settled = self.settle(widths, now);
        let counted: u64 = self.counting(widths, settled).map(|(_, count)| u64::from(count)).sum();
        let mut in_excess = (counted + 1).saturating_sub(u64::from(limit));
        if in_excess == 0 {
            return None;
        }
        let mut free_at = settled;
        for (last, count) in self.counting(widths, settled) {
            free_at = last + widths.window;
            in_excess = in_excess.saturating_sub(u64::from(count));
            if in_excess == 0 {
                break;
            }
        }
        let seconds = (free_at - now + 999).div_euclid(1_000).max(1);
        Some(RetryAfterSeconds(u32::try_from(seconds).unwrap_or(u32::MAX)))
    }

    fn record(&mut self, widths: Widths, now: i64) {
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
    }

    /// Takes one hit of that time back, if its bucket is still known.
    fn take_back(&mut self, widths: Widths, at: i64) {
        let bucket = at.div_euclid(widths.bucket);
        if (self.newest - BUCKETS..=self.newest).contains(&bucket) {
            let count = &mut self.counts[Self::slot(bucket)];
            *count = count.saturating_sub(1);
        }
    }
}

/// Keys of one lock, in two generations: a key that is touched moves to `young`; when `young` is full or a window
/// old, `old` is dropped and `young` becomes `old`. So a key idle for a window is gone within two, nothing is ever
/// swept, and of too many keys the least recently used half goes first.
struct Shard<K> {
    young: HashMap<K, Hits>,
    old: HashMap<K, Hits>,
    /// When `young` was begun, milliseconds since 1970.
    since: i64,
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
        if let Some((key, hits)) = self.old.remove_entry(key) {
            return Some(self.young.entry(key).or_insert(hits));
        }
        self.young.get_mut(key)
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
    /// Keys of one generation of one shard.
    most: usize,
    spread: RandomState,
    shards: Box<[Mutex<Shard<K>>]>,
}

impl<K: Hash + Eq> SlidingWindow<K> {
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
            Mutex::new(Shard { young: HashMap::new(), old: HashMap::new(), since: Timestamp::MIN.millis() })
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
        if self.limit == 0 {
            return Ok(());
        }
        let mut shard = self.shard(&key, now);
        let hits = shard.find_or_begin(key, self.widths, now.millis());
        if let Some(wait) = hits.wait(self.widths, self.limit, now.millis()) {
            return Err(wait);
        }
        hits.record(self.widths, now.millis());
        Ok(())
    }

    /// Takes one hit of that time back, as if it had not been. After a step back of the clock it may stay counted.
    pub(crate) fn give_back(&self, key: &K, at: Timestamp) {
        if self.limit > 0
            && let Some(hits) = self.lock(key).find(key)
        {
            hits.take_back(self.widths, at.millis());
        }
    }

    /// Locks the part that `key` is in, as it is to be at `now`.
    fn shard(&self, key: &K, now: Timestamp) -> MutexGuard<'_, Shard<K>> {
        let mut shard = self.lock(key);
        shard.turn(self.widths, now.millis(), self.most);
        shard
    }

    /// Locks the part that `key` is in. The keys' hash is seeded anew in every process, so nobody outside can pick
    /// keys that share a lock.
    fn lock(&self, key: &K) -> MutexGuard<'_, Shard<K>> {
        let at = usize::try_from(self.spread.hash_one(key) % SHARDS as u64).unwrap_or(0);
        // Counters have no state between two of them that a panic could break.
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, shard: &mut Shard<K>, key: &K, now: Timestamp) -> Option<RetryAfterSeconds> {
        shard.find(key)?.wait(self.widths, self.limit, now.millis())
    }

    fn record(&self, shard: &mut Shard<K>, key: K, now: Timestamp) {
        shard.find_or_begin(key, self.widths, now.millis()).record(self.widths, now.millis());
    }
}

/// Wrong guesses, per address and per client id, in a minute (contract section 8).
///
/// Only *wrong* attempts come here: a right secret passes whatever was counted, so nobody can lock another out.
pub struct AuthFailures {
    addresses: SlidingWindow<IpAddr>,
    clients: SlidingWindow<u64>,
    hasher: RandomState,
}

impl AuthFailures {
    /// So many wrong guesses a minute per client id and per address; 0 is off.
    pub fn new(per_client: u32, per_address: u32) -> Self {
        Self {
            addresses: SlidingWindow::new(per_address, FAILURE_WINDOW_SECONDS),
            clients: SlidingWindow::new(per_client, FAILURE_WINDOW_SECONDS),
            hasher: RandomState::new(),
        }
    }

    /// Takes note of one wrong attempt: `Ok` when it is to be told that it is wrong (401), `Err` when there were too
    /// many and it is to be told to wait (429). Those told to wait are not counted.
    ///
    /// An IPv6 address stands for its /64, which is what one customer gets. A client id may be any text: it is
    /// kept as a hash of fixed size.
    pub fn wrong(
        &self,
        address: IpAddr,
        client_id: Option<&str>,
        now: Timestamp,
    ) -> Result<(), RetryAfterSeconds> {
        let address = network(address);
        let client = client_id.map(|id| self.hasher.hash_one(id));
        // Both locks are held over question and note, so that attempts at the same time cannot all be the 20th.
        // The order is always this one, and no other code holds two.
        let mut by_address = (self.addresses.limit > 0).then(|| self.addresses.shard(&address, now));
        let mut by_client =
            client.filter(|_| self.clients.limit > 0).map(|key| (key, self.clients.shard(&key, now)));

        let address_waits = by_address.as_mut().and_then(|shard| self.addresses.wait(shard, &address, now));
        let client_waits = by_client.as_mut().and_then(|(key, shard)| self.clients.wait(shard, key, now));
        if let Some(wait) = address_waits.max(client_waits) {
            return Err(wait);
        }
        if let Some(shard) = by_address.as_mut() {
            self.addresses.record(shard, address, now);
        }
        if let Some((key, shard)) = by_client.as_mut() {
            self.clients.record(shard, *key, now);
        }
        Ok(())
    }
}

/// What an address is counted as: itself, or its /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
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

        let off = AuthFailures::new(0, 0);
        for _ in 0..1_000 {
            assert_eq!(off.wrong([192, 0, 2, 1].into(), Some("x"), at(0)), Ok(()));
        }
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
        let failures = AuthFailures::new(20, 100);
        let count = |one: &(dyn Fn() -> bool + Sync)| -> usize {
            std::thread::scope(|scope| {
                let threads: Vec<_> =
                    (0..8).map(|_| scope.spawn(|| (0..500).filter(|_| one()).count())).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            })
        };
        assert_eq!(count(&|| limiter.hit("k", at(0)).is_ok()), 1_000);
        assert_eq!(count(&|| failures.wrong([192, 0, 2, 1].into(), Some("c"), at(0)).is_ok()), 20);
    }

    #[test]
    fn the_21st_guess_at_a_client_waits_whatever_its_address() {
        let failures = AuthFailures::new(20, 100);
        for n in 0..20 {
            assert_eq!(failures.wrong([192, 0, 2, n].into(), Some("victim"), at(0)), Ok(()));
        }
        assert_eq!(
            failures.wrong([198, 51, 100, 1].into(), Some("victim"), at(500)),
            Err(RetryAfterSeconds(60))
        );
        assert_eq!(failures.wrong([198, 51, 100, 1].into(), Some("another"), at(500)), Ok(()));
        assert_eq!(failures.wrong([198, 51, 100, 1].into(), Some("victim"), at(60_000)), Ok(()));
    }

    #[test]
    fn the_101st_guess_from_an_address_waits_whatever_its_client_id() {
        let failures = AuthFailures::new(20, 100);
        let address: IpAddr = [192, 0, 2, 1].into();
        for n in 0..100 {
            let id = (n % 2 == 0).then(|| format!("guess {n} {}", "x".repeat(n)));
            assert_eq!(failures.wrong(address, id.as_deref(), at(0)), Ok(()));
        }
        assert_eq!(failures.wrong(address, None, at(0)), Err(RetryAfterSeconds(60)));
        assert_eq!(failures.wrong(address, Some("new"), at(0)), Err(RetryAfterSeconds(60)));
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert!(failures.wrong(mapped, None, at(0)).is_err(), "the same address, written as IPv6");
        assert_eq!(failures.wrong([192, 0, 2, 2].into(), Some("new"), at(0)), Ok(()));
    }

    #[test]
    fn an_ipv6_customer_is_one_address() {
        let failures = AuthFailures::new(20, 100);
        for n in 0..100 {
            let address: IpAddr = format!("2001:db8:0:1::{n:x}").parse().unwrap();
            assert_eq!(failures.wrong(address, None, at(0)), Ok(()));
        }
        assert!(failures.wrong("2001:db8:0:1:ffff::1".parse().unwrap(), None, at(0)).is_err());
        assert!(failures.wrong("2001:db8:0:2::1".parse().unwrap(), None, at(0)).is_ok());
    }

    #[test]
    fn the_longer_wait_of_the_two_is_told() {
        let failures = AuthFailures::new(1, 1);
        failures.wrong([192, 0, 2, 1].into(), None, at(0)).unwrap();
        failures.wrong([192, 0, 2, 2].into(), Some("c"), at(40_000)).unwrap();
        assert_eq!(failures.wrong([192, 0, 2, 1].into(), Some("c"), at(50_000)), Err(RetryAfterSeconds(50)));
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
        fn no_clock_breaks_it(times in prop::collection::vec(any::<i64>(), 0..60)) {
            let limiter = SlidingWindow::with_keys(2, 1, 10);
            let failures = AuthFailures::new(2, 3);
            for (n, millis) in times.into_iter().enumerate() {
                limiter.hit(n % 5, Timestamp::from_millis(millis)).ok();
                let client = format!("{}", n % 3);
                failures.wrong([192, 0, 2, 1].into(), Some(&client), Timestamp::from_millis(millis)).ok();
            }
        }
    }
}
