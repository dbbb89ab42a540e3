//! Several nodes, their rounds and their clocks, in time that a test moves: how far a limit can be overshot.

use patron_core::id::NodeId;
use patron_core::time::Timestamp;
use proptest::prelude::*;

use super::{RetryAfterSeconds, SlidingWindow, Tally};
use crate::limits::RECONCILE_INTERVAL;

const NODES: usize = 3;
const WINDOW_SECONDS: u32 = 10;
const WINDOW: i64 = WINDOW_SECONDS as i64 * 1_000;
const BUCKET: i64 = WINDOW / 10;
const INTERVAL: i64 = 500;
const _: () = assert!(RECONCILE_INTERVAL.as_millis() == 500);
const BEGIN: i64 = 1_800_000_000_000;

/// Nodes that limit one client.
struct Nodes {
    limit: u32,
    windows: Vec<SlidingWindow<()>>,
    /// What each has published, as the database keeps it.
    table: Vec<Vec<u8>>,
    /// When in an interval each has its rounds.
    phases: [i64; NODES],
    /// How far each one's clock is ahead.
    skews: [i64; NODES],
    now: i64,
    /// What was admitted: when, and where.
    log: Vec<(i64, usize)>,
}

impl Nodes {
    fn new(limit: u32, phases: [i64; NODES], skews: [i64; NODES]) -> Self {
        let windows = (0..NODES).map(|_| SlidingWindow::new(limit, WINDOW_SECONDS)).collect();
        Self { limit, windows, table: vec![Vec::new(); NODES], phases, skews, now: BEGIN, log: Vec::new() }
    }

    /// Nodes whose clocks are right and whose rounds are at the same time.
    fn alike(limit: u32) -> Self {
        Self::new(limit, [0; NODES], [0; NODES])
    }

    /// The time on a node's clock.
    fn clock(&self, node: usize) -> Timestamp {
        Timestamp::from_millis(self.now + self.skews[node])
    }

    fn round(&mut self, node: usize) {
        let (window, now) = (&self.windows[node], self.clock(node));
        window.forget_others(now);
        for publication in window.publish(usize::MAX, now) {
            self.table[node] = Tally::write(&publication.tallies);
        }
        for other in (0..NODES).filter(|&other| other != node) {
            let id = NodeId::from_bytes([u8::try_from(other).unwrap(); 16]);
            window.take_in(id, (), Tally::read(&self.table[other]).unwrap());
        }
    }

    fn pass(&mut self, millis: i64) {
        let until = self.now + millis;
        while self.now < until {
            let next_round = self.phases.map(|phase| INTERVAL - (self.now - phase).rem_euclid(INTERVAL));
            self.now = until.min(self.now + next_round.into_iter().min().unwrap());
            for node in 0..NODES {
                if (self.now - self.phases[node]).rem_euclid(INTERVAL) == 0 {
                    self.round(node);
                }
            }
        }
    }

    fn hit(&mut self, node: usize) -> Result<(), RetryAfterSeconds> {
        let answer = self.windows[node].hit((), self.clock(node));
        if answer.is_ok() {
            self.log.push((self.now, node));
        }
        answer
    }

    /// How many of so many hits at once are admitted.
    fn burst(&mut self, node: usize, hits: u32) -> u32 {
        (0..hits).map(|_| u32::from(self.hit(node).is_ok())).sum()
    }

    /// What was admitted in a stretch of so many milliseconds that ends now, where `at` says.
    fn admitted(&self, stretch: i64, at: impl Fn(usize) -> bool) -> u32 {
        let admitted = self.log.iter().rev().take_while(|(when, _)| *when > self.now - stretch);
        admitted.filter(|(_, node)| at(*node)).count().try_into().unwrap()
    }

    /// How far the clocks are apart.
    fn apart(&self) -> i64 {
        self.skews.iter().max().unwrap() - self.skews.iter().min().unwrap()
    }

    /// What the module's text promises, at a hit that was just admitted by `node`.
    fn bound(&self, node: usize) -> u32 {
        let hot = (self.limit / 20).max(1);
        let unknown = self.admitted(2 * INTERVAL, |other| other != node);
        let others = u32::try_from(NODES - 1).unwrap();
        (self.limit + unknown + others * (hot - 1)).min((others + 1) * self.limit)
    }
}

#[test]
fn a_burst_at_all_nodes_at_once_gets_the_limit_of_each_and_then_nothing() {
    let mut nodes = Nodes::alike(100);
    nodes.pass(1);
    let admitted: u32 = (0..NODES).map(|node| nodes.burst(node, 1_000)).sum();
    assert_eq!(admitted, 300);
    nodes.pass(2 * INTERVAL);
    // By now all know of all: there is no room before 201 of the 300 have gone, which they do at once.
    let waits: Vec<_> = (0..NODES).map(|node| nodes.hit(node)).collect();
    assert_eq!(waits, [Err(RetryAfterSeconds(9)); NODES]);
    nodes.pass(9_000);
    assert_eq!(nodes.hit(0), Ok(()));
}

#[test]
fn who_goes_to_another_node_is_known_there() {
    let mut nodes = Nodes::alike(100);
    nodes.pass(1);
    assert_eq!(nodes.burst(0, 90), 90);
    nodes.pass(2 * INTERVAL);
    assert_eq!(nodes.burst(1, 100), 10);
    nodes.pass(2 * INTERVAL);
    assert_eq!((0..NODES).map(|node| nodes.burst(node, 100)).sum::<u32>(), 0);
}

#[test]
fn what_is_not_hot_is_not_told() {
    let mut nodes = Nodes::alike(100);
    for node in 0..NODES {
        nodes.burst(node, 4);
    }
    nodes.pass(2 * INTERVAL);
    assert_eq!(nodes.burst(0, 1_000), 96, "it knows of its own 4 alone");
    nodes.burst(1, 1);
    nodes.pass(2 * INTERVAL);
    assert_eq!(nodes.burst(1, 1_000), 0);
    assert!(nodes.table[2].is_empty());
    // 20 a minute: each of few is told.
    let mut few = Nodes::alike(20);
    few.burst(0, 1);
    few.pass(2 * INTERVAL);
    assert_eq!(few.burst(1, 1_000), 19);
}

#[test]
fn the_wait_is_until_somebody_s_hits_leave() {
    let mut nodes = Nodes::alike(10);
    nodes.burst(0, 6);
    nodes.pass(3_000);
    nodes.burst(1, 4);
    nodes.pass(2_000);
    for node in 0..NODES {
        assert_eq!(nodes.hit(node), Err(RetryAfterSeconds(5)), "node 0's six leave then");
    }
    nodes.pass(5_000);
    assert_eq!(nodes.burst(2, 10), 6);
    assert_eq!(nodes.hit(2), Err(RetryAfterSeconds(3)), "then node 1's four");
    nodes.pass(3_000);
    assert_eq!(nodes.burst(2, 10), 4);
}

#[test]
fn a_steady_client_overshoots_by_what_is_under_way() {
    let mut nodes = Nodes::new(100, [0, 170, 330], [0; NODES]);
    // 20 a second at each node.
    let mut most = 0;
    for _ in 0..1_000 {
        nodes.pass(50);
        for node in 0..NODES {
            nodes.hit(node).ok();
            most = most.max(nodes.admitted(WINDOW, |_| true));
        }
    }
    let bound = 100 + (3 - 1) * (20 * 2 / 2 + 100 / 20);
    assert!(most > 100, "{most}: nothing is overshot, so this shows nothing");
    assert!(most <= bound, "{most} is over {bound}");
}

#[test]
fn a_node_that_falls_silent_counts_for_a_window() {
    let mut nodes = Nodes::alike(10);
    nodes.burst(0, 10);
    nodes.pass(INTERVAL);
    let silent = nodes.table[0].clone();
    nodes.pass(WINDOW - INTERVAL - 1);
    assert!(nodes.hit(1).is_err());
    nodes.pass(1);
    assert_eq!(nodes.table[0], silent);
    assert_eq!(nodes.burst(1, 100), 10);
}

#[test]
fn a_clock_that_is_wrong_locks_nobody_out() {
    let mut nodes = Nodes::new(10, [0; NODES], [3_600_000, -3_600_000, 0]);
    assert_eq!((nodes.burst(0, 100), nodes.burst(1, 100)), (10, 10));
    nodes.pass(2 * INTERVAL);
    assert_eq!(nodes.burst(2, 100), 10, "counts that are far off count nowhere else");
}

#[test]
fn a_hit_that_is_taken_back_is_taken_back_everywhere() {
    let mut nodes = Nodes::alike(10);
    nodes.burst(0, 10);
    nodes.pass(2 * INTERVAL);
    assert!(nodes.hit(1).is_err());
    for _ in 0..10 {
        nodes.windows[0].give_back(&(), Timestamp::from_millis(BEGIN));
    }
    nodes.pass(2 * INTERVAL);
    assert_eq!(nodes.burst(1, 100), 10);
}

/// Milliseconds until a hit, its node, and whether it is the first of many.
fn arrivals() -> impl Strategy<Value = Vec<(i64, usize, u32)>> {
    let pause = prop_oneof![4 => Just(0_i64), 4 => 0_i64..120, 2 => 0_i64..1_100, 1 => 0_i64..12_000];
    let hits = prop_oneof![3 => Just(1_u32), 1 => 1_u32..60];
    prop::collection::vec((pause, 0..NODES, hits), 1..120)
}

proptest! {
    /// Against the log of everything that was admitted: never more than promised, and hardly less than the limit.
    #[test]
    fn never_more_than_promised_wherever_hits_arrive(
        limit in prop_oneof![1_u32..10, 20_u32..120],
        phases in prop::array::uniform3(0..INTERVAL),
        skews in prop_oneof![Just([0; NODES]), prop::array::uniform3(0..=BUCKET)],
        arrivals in arrivals(),
    ) {
        let mut nodes = Nodes::new(limit, phases, skews);
        let apart = nodes.apart();
        for (pause, node, hits) in arrivals {
            nodes.pass(pause);
            for _ in 0..hits {
                match nodes.hit(node) {
                    Ok(()) => {
                        let (admitted, bound) = (nodes.admitted(WINDOW - apart, |_| true), nodes.bound(node));
                        prop_assert!(admitted <= bound, "{admitted} over {bound} at {}", nodes.now - BEGIN);
                        prop_assert!(nodes.admitted(WINDOW, |at| at == node) <= limit);
                    }
                    Err(RetryAfterSeconds(wait)) => {
                        let wide = WINDOW + BUCKET + apart;
                        prop_assert!(nodes.admitted(wide, |_| true) >= limit, "refused too early");
                        prop_assert!(i64::from(wait) * 1_000 <= WINDOW + apart + 999);
                    }
                }
            }
        }
    }

    /// A client of one node is treated as if there were no other.
    #[test]
    fn a_client_at_one_node_alone_gets_its_full_limit(
        limit in 1_u32..120,
        phases in prop::array::uniform3(0..INTERVAL),
        arrivals in arrivals(),
    ) {
        let mut nodes = Nodes::new(limit, phases, [0; NODES]);
        let alone = SlidingWindow::new(limit, WINDOW_SECONDS);
        for (pause, _, hits) in arrivals {
            nodes.pass(pause);
            for _ in 0..hits {
                prop_assert_eq!(nodes.hit(1), alone.hit((), Timestamp::from_millis(nodes.now)));
            }
        }
    }

    /// Once all have heard of all, whoever waits as told is admitted.
    #[test]
    fn whoever_waits_as_told_is_admitted(
        limit in 1_u32..20,
        phases in prop::array::uniform3(0..INTERVAL),
        arrivals in arrivals(),
        asks in 0..NODES,
    ) {
        let mut nodes = Nodes::new(limit, phases, [0; NODES]);
        for (pause, node, hits) in arrivals {
            nodes.pass(pause);
            nodes.burst(node, hits);
        }
        nodes.pass(2 * INTERVAL);
        if let Err(RetryAfterSeconds(wait)) = nodes.hit(asks) {
            nodes.pass(i64::from(wait) * 1_000);
            prop_assert_eq!(nodes.hit(asks), Ok(()));
        }
    }
}
