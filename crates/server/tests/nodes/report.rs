//! What is told at the end of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::faults::{Chronicle, Fault};
use crate::model::{Asked, Event, Got, Model};

/// How a run went.
pub(crate) struct Report<'a> {
    pub(crate) seed: u64,
    pub(crate) seconds: u64,
    pub(crate) model: &'a Model,
    pub(crate) chronicle: &'a Chronicle,
    pub(crate) failovers: &'a [Duration],
}

/// The middle, the last but one in a hundred, and the last.
pub(crate) struct Quantiles {
    pub(crate) count: usize,
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
}

impl Quantiles {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |part: usize| times.get((times.len() * part / 100).min(times.len().saturating_sub(1)));
        let at = |part| at(part).copied().unwrap_or_default();
        Self { count: times.len(), median: at(50), p99: at(99), max: at(100) }
    }
}

/// Whether it takes something away, over HTTP: what a revocation is.
pub(crate) fn is_revocation(event: &Event) -> bool {
    matches!(event.asked, Asked::Delete(_) | Asked::Revoke { .. }) && matches!(event.got, Got::Done)
}

impl Report<'_> {
    /// How long revocations took while nothing had failed for a while.
    fn healthy(&self) -> Vec<Duration> {
        let healthy = |event: &&Event| self.chronicle.around(event.when).is_empty();
        self.revocations().filter(healthy).map(|event| event.when.takes()).collect()
    }

    /// How long they took at another node while one was stopped and nothing else had failed.
    fn beside_a_frozen_node(&self) -> Vec<Duration> {
        let beside = |event: &&Event| match self.chronicle.around(event.when)[..] {
            [Fault::Freeze(node, _)] => event.node != Some(node),
            _ => false,
        };
        self.revocations().filter(beside).map(|event| event.when.takes()).collect()
    }

    fn revocations(&self) -> impl Iterator<Item = &Event> {
        self.model.events.iter().filter(|event| is_revocation(event))
    }

    /// What there must be in a run, and was not in this one.
    pub(crate) fn lacks(&self) -> Vec<String> {
        let (operations, faults) = (self.operation_counts(), self.fault_counts());
        let done = |kind: &str| operations.get(kind).map_or(0, |counts| counts[0]);
        let operations = Asked::KINDS.into_iter().filter(|kind| done(kind) == 0);
        let faults = Fault::PROMISED.into_iter().filter(|kind| !faults.contains_key(kind));
        let measured = [
            ("revocation while all was healthy", self.healthy().len()),
            ("revocation beside a frozen node", self.beside_a_frozen_node().len()),
            ("promotion that stood alone", self.failovers.len()),
            ("operation that no fault excuses", self.without_excuse()),
        ];
        let measured = measured.into_iter().filter(|(_, count)| *count == 0).map(|(kind, _)| kind);
        let missing = operations.chain(faults).chain(measured);
        missing.map(|kind| format!("there was no '{kind}' in this run")).collect()
    }

    /// How many operations nothing would have excused that were answered with an outage.
    fn without_excuse(&self) -> usize {
        let outage = |event: &Event| Event { got: Got::Outage, ..event.clone() };
        self.model.events.iter().filter(|event| !self.chronicle.excuses(&outage(event))).count()
    }

    fn operation_counts(&self) -> BTreeMap<&str, [usize; 6]> {
        let mut counts: BTreeMap<&str, [usize; 6]> = BTreeMap::new();
        for event in &self.model.events {
            counts.entry(event.asked.name()).or_default()[event.got.column()] += 1;
        }
        counts
    }

    fn fault_counts(&self) -> BTreeMap<&str, usize> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (fault, _) in self.chronicle.all() {
            *counts.entry(fault.kind()).or_default() += 1;
        }
        counts
    }

    fn operations(&self) -> String {
        let mut text = format!(
            "  {:<20}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}\n",
            "operation", "done", "refused", "503", "cut", "unsent", "wrong"
        );
        let mut total = [0; 6];
        for (name, counts) in self.operation_counts() {
            total.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            text += &row(name, counts);
        }
        text + &row("all", total)
    }

    fn faults(&self) -> String {
        let counts = self.fault_counts();
        let total: usize = counts.values().sum();
        let lines = counts.iter().map(|(kind, count)| format!("  {kind:<28}{count:>4}\n"));
        lines.collect::<String>() + &format!("  {:<28}{total:>4}\n", "all")
    }

    /// The whole of it.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("three nodes: seed {}, {} s\n", self.seed, self.seconds);
        text += &self.operations();
        text += &self.faults();
        let _ = writeln!(text, "  operations at which an outage has no excuse: {}", self.without_excuse());
        let healthy = Quantiles::of(self.healthy());
        let _ = writeln!(
            text,
            "  revocations, all healthy: {} in {:.1?} median, {:.1?} p99",
            healthy.count, healthy.median, healthy.p99
        );
        let frozen = Quantiles::of(self.beside_a_frozen_node());
        let _ =
            writeln!(text, "  revocations, one node frozen: {} in {:.0?} at most", frozen.count, frozen.max);
        let failovers = Quantiles::of(self.failovers.to_vec());
        let _ = writeln!(
            text,
            "  writes after a promotion, each node: {} in {:.0?} median, {:.0?} at most",
            failovers.count, failovers.median, failovers.max
        );
        let _ = writeln!(text, "  violations: {}", self.model.violations.len());
        text
    }
}

fn row(name: &str, counts: [usize; 6]) -> String {
    let [done, refused, outage, cut, unsent, wrong] = counts;
    format!("  {name:<20}{done:>9}{refused:>9}{outage:>9}{cut:>9}{unsent:>9}{wrong:>9}\n")
}
