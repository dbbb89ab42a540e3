//! What fails, and for how long.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use patron_core::coherence::Terms;
use patron_testing::Proxy;
use serde_json::json;

use crate::clients::Client;
use crate::model::{Event, Got, Model};
use crate::random::Random;
use crate::time::{At, Span, pass};
use crate::wire::{Back, client, send};
use crate::world::{Node, World};

/// Something that fails. Numbers are of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL, and started anew.
    Kill(usize),
    /// SIGSTOP, and after a while SIGCONT.
    Freeze(usize, Duration),
    /// Its connections to the database are cut and new ones refused for a while.
    Refuse(usize, Duration),
    /// They are cut.
    Cut(usize),
    /// No byte comes through for a while.
    Stall(usize, Duration),
    /// Every piece comes later for a while.
    Delay(usize, Duration),
    /// All of the database's sessions are ended.
    Terminate,
    /// The primary is restarted in good order.
    Restart,
    /// The primary's processes are killed, and it recovers.
    Crash,
    /// The standby stands still for a while, and so does each commit.
    PauseStandby(Duration),
    /// The primary is killed, the standby promoted; then there is a new standby.
    FailOver,
}

/// After a promotion, a node that has not made a PAT for so long never will.
const GIVEN_UP: Duration = Duration::from_secs(45);
/// How long a node may need when a fault is over: a lease, after which it gives up whatever hangs, and 5 s, in which a
/// connection that has died without a word is found out, and a standby that has lost its primary asks for it again.
const RECOVERY: Duration = Duration::from_millis(Terms::STANDARD.lease() + 5_000);
/// Between two faults of which each stands alone: longer than the one before is felt, other than a kill.
const BETWEEN_LONE_ONES: Duration = Duration::from_millis(1_500);
/// A piece of a statement and one of its answer.
const DELAY: Duration = Duration::from_millis(60);

impl Fault {
    /// The kinds that each run has.
    pub(crate) const PROMISED: [&str; 4] =
        ["SIGSTOP of a node", "kill -9 and promotion", "kill -9 of a node", "node's connections cut"];

    /// One of a node.
    pub(crate) fn of_node(random: &mut Random, node: usize) -> Self {
        let mut time = |most: usize| Duration::from_millis(random.between(1, most) as u64);
        let (long, longer) = (time(5_000), time(6_000).max(Duration::from_millis(500)));
        match random.below(10) {
            0 | 1 => Self::Kill(node),
            2..5 => Self::Freeze(node, longer),
            5 => Self::Cut(node),
            6 => Self::Refuse(node, long),
            7 | 8 => Self::Stall(node, long),
            _ => Self::Delay(node, long),
        }
    }

    /// One of the database.
    pub(crate) fn of_database(random: &mut Random) -> Self {
        match random.below(9) {
            0..2 => Self::Terminate,
            2 => Self::Restart,
            3 => Self::Crash,
            4..6 => Self::PauseStandby(Duration::from_millis(random.between(1, 4_500) as u64)),
            _ => Self::FailOver,
        }
    }

    /// For the report.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Kill(_) => "kill -9 of a node",
            Self::Freeze(..) => "SIGSTOP of a node",
            Self::Refuse(..) => "node's connections refused",
            Self::Cut(_) => "node's connections cut",
            Self::Stall(..) => "node's connections stalled",
            Self::Delay(..) => "node's connections delayed",
            Self::Terminate => "all database sessions ended",
            Self::Restart => "PostgreSQL restarted",
            Self::Crash => "kill -9 of PostgreSQL",
            Self::PauseStandby(_) => "standby stopped",
            Self::FailOver => "kill -9 and promotion",
        }
    }

    /// Whether it may be why something was not answered. What fails at a node is felt at no other, but that pieces
    /// which come late from one that makes a change have the others' changes wait.
    fn excuses(self, event: &Event) -> bool {
        let is_there = |node: usize| event.node == Some(node);
        match self {
            // It is told by an answer, unless there is nobody to give one.
            Self::Kill(node) => is_there(node),
            _ if !matches!(event.got, Got::Outage) => false,
            Self::Freeze(node, _) | Self::Refuse(node, _) | Self::Cut(node) | Self::Stall(node, _) => {
                is_there(node)
            }
            Self::Delay(node, _) => is_there(node) || event.asked.is_change(),
            Self::Terminate | Self::Restart | Self::Crash | Self::PauseStandby(_) | Self::FailOver => true,
        }
    }

    /// For how long it is felt when it is over.
    fn aftermath(self) -> Duration {
        match self {
            // Its row stands for more than a lease after its end, and it may have been started sooner.
            Self::Kill(_) => Duration::from_millis(3_500),
            _ => Duration::from_secs(1),
        }
    }

    /// Brings it about, and what is needed afterwards. Gives how long each node took after a failover.
    pub(crate) fn happen(self, world: &World, probe: &Probe) -> Vec<Duration> {
        match self {
            Self::Kill(node) => {
                world.nodes[node].kill();
                world.nodes[node].start();
            }
            Self::Freeze(node, time) => {
                world.nodes[node].freeze();
                pass(time);
                world.nodes[node].thaw();
            }
            Self::Cut(node) => world.nodes[node].ways().iter().for_each(Proxy::cut),
            Self::Refuse(node, time) => on_ways(&world.nodes[node], time, Proxy::refuse),
            Self::Stall(node, time) => on_ways(&world.nodes[node], time, Proxy::stall),
            Self::Delay(node, time) => on_ways(&world.nodes[node], time, |way| way.delay(DELAY)),
            Self::Terminate => {
                let sql = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
                           WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
                world.database.lock().unwrap().psql(sql);
            }
            Self::Restart => world.database.lock().unwrap().primary().restart(),
            Self::Crash => {
                let mut database = world.database.lock().unwrap();
                database.primary().kill();
                database.primary().restart();
            }
            Self::PauseStandby(time) => {
                let database = world.database.lock().unwrap();
                database.standby().unwrap().pause();
                pass(time);
                database.standby().unwrap().resume();
            }
            Self::FailOver => {
                let taken = world.database.lock().unwrap().fail_over();
                let times = probe.until_all_write(world, taken);
                world.restore_standby();
                return times;
            }
        }
        Vec::new()
    }
}

fn on_ways(node: &Node, time: Duration, fail: impl Fn(&patron_testing::Proxy)) {
    node.ways().iter().for_each(&fail);
    pass(time);
    node.ways().iter().for_each(Proxy::pass);
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Who finds out when writes are taken again: an identity that is nobody else's.
pub(crate) struct Probe {
    pub(crate) authorization: String,
}

impl Probe {
    /// How long after `taken` each node made a PAT.
    pub(crate) fn until_all_write(&self, world: &World, taken: At) -> Vec<Duration> {
        std::thread::scope(|scope| {
            let probes: Vec<_> = world
                .nodes
                .iter()
                .map(|node| scope.spawn(move || self.until_it_writes(node, taken)))
                .collect();
            probes.into_iter().map(|probe| probe.join().unwrap()).collect()
        })
    }

    fn until_it_writes(&self, node: &Node, taken: At) -> Duration {
        let http = client();
        for count in 0_u64.. {
            let name = format!("probe-{}-{count}-{taken}", node.management_url(""));
            let body = json!({ "name": name, "userAwareTokenNeverExpires": true });
            let request = http.post(node.url("/personal-access-tokens/v1"));
            let request = request.header("authorization", &self.authorization);
            let request = request.header("content-type", "application/json").body(body.to_string());
            let (when, back) = send(request);
            if matches!(&back, Back::Answer(answer) if answer.status == 200) {
                return when.end.since(taken);
            }
            assert!(when.end.since(taken) < GIVEN_UP, "writes do not resume:\n{}", node.log());
            pass(Duration::from_millis(10));
        }
        unreachable!("it is tried for as long as it takes")
    }
}

/// What has happened, and when.
#[derive(Default)]
pub(crate) struct Chronicle(Mutex<Vec<(Fault, Span)>>);

impl Chronicle {
    /// Enters a fault that has just ended.
    pub(crate) fn enter(&self, fault: Fault, begin: At) {
        self.0.lock().unwrap().push((fault, Span { begin, end: At::now() }));
    }

    /// Whether something that failed, then or not long before, may be why something was not answered.
    pub(crate) fn excuses(&self, event: &Event) -> bool {
        let may_be_why = |(fault, span): &(Fault, Span)| {
            let felt = Span { begin: span.begin, end: span.end.plus(RECOVERY) };
            felt.overlaps(event.when) && fault.excuses(event)
        };
        self.0.lock().unwrap().iter().any(may_be_why)
    }

    /// What there was of faults while something was asked, and just before.
    pub(crate) fn around(&self, when: Span) -> Vec<Fault> {
        let felt = |(fault, span): &&(Fault, Span)| {
            Span { begin: span.begin, end: span.end.plus(fault.aftermath()) }.overlaps(when)
        };
        self.0.lock().unwrap().iter().filter(felt).map(|(fault, _)| *fault).collect()
    }

    pub(crate) fn all(&self) -> Vec<(Fault, Span)> {
        self.0.lock().unwrap().clone()
    }
}

/// Has faults happen: first those that each run has, each alone, then any, one after the other and some together, until
/// `end`. Gives how long each node took after the failovers that stood alone.
pub(crate) fn run(
    (world, model, probe): (&World, &Mutex<Model>, &Probe),
    witness: &mut Client<'_>,
    mut random: Random,
    end: At,
) -> (Chronicle, Vec<Duration>) {
    let (chronicle, failovers) = (Chronicle::default(), Mutex::new(Vec::new()));
    let is_well = || model.lock().unwrap().violations.is_empty();
    let happen = |fault: Fault, alone: bool| {
        let begin = At::now();
        let times = fault.happen(world, probe);
        chronicle.enter(fault, begin);
        // Where something else fails too, a node is not to blame for being late.
        if alone {
            failovers.lock().unwrap().extend(times);
        }
    };
    // What is healthy is looked at first.
    pass(Duration::from_secs(5));
    freeze_alone(&chronicle, witness, random.below(world.nodes.len()));
    let node = random.below(world.nodes.len());
    for fault in [Fault::FailOver, Fault::Cut(node), Fault::Kill(node)] {
        pass(BETWEEN_LONE_ONES);
        if is_well() {
            happen(fault, true);
        }
    }
    while At::now() < end && is_well() {
        let node = random.below(world.nodes.len());
        let another = (node + random.between(1, world.nodes.len() - 1)) % world.nodes.len();
        let first = Fault::of_node(&mut random, node);
        match random.below(8) {
            0..4 => happen(first, true),
            4..6 => happen(Fault::of_database(&mut random), true),
            which => {
                let second = match which {
                    6 => Fault::of_node(&mut random, another),
                    _ => Fault::of_database(&mut random),
                };
                std::thread::scope(|scope| {
                    scope.spawn(|| happen(first, false));
                    scope.spawn(|| happen(second, false));
                });
            }
        }
        let rest = if random.one_in(6) { 7_000 } else { random.below(2_000) };
        pass(Duration::from_millis(rest as u64));
    }
    (chronicle, failovers.into_inner().unwrap())
}

/// A node stands still for as long as revocations at the others take.
fn freeze_alone(chronicle: &Chronicle, witness: &mut Client<'_>, node: usize) {
    let known = witness.known_pats(4);
    let begin = At::now();
    witness.revoke_beside_a_frozen_node(node, &known);
    chronicle.enter(Fault::Freeze(node, At::now().since(begin)), begin);
}
