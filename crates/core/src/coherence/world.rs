//! The model's world: one database and the standby that takes its place, the nodes, a process that changes things,
//! and observers of the rows. Everything that decides is the code of the parent module; here is only what can happen
//! to it, and what [`Setup::flaw`] takes away from it.
//!
//! A change ends the version of a thing before it, and its entry's number is the new version's. So a memory is right
//! when the version that it holds is at least the last one that was answered.

use std::fmt::Debug;

use super::{Follower, NodeRow, Outcome, Roll, Steady, Step, Terms, Verdict, Wait};
use crate::id::NodeId;

mod key;
mod server;
mod setup;

use self::server::{Server, Statement};
pub(super) use self::setup::{Failover, Flaw, Setup, Slow};

/// A lease of two units on a clock that may be wrong by a quarter: it gains or loses one unit in four at most.
pub(super) const TERMS: Terms = Terms::new(2, 25, 1);
const UNITS_BETWEEN_SKEWS: u8 = 3;

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// A unit of true time passes; with `skewed`, slow clocks stand still in it and fast ones move by two.
    Tick { skewed: bool },
    /// The change is committed. It is answered as soon as it may be: later would be safer.
    Commit,
    /// The follower takes its next step, as far as the database.
    Follow { node: usize, server: usize },
    /// The answer to the follower's renewal arrives.
    Hear { node: usize },
    /// The statement is lost, or carried out and its answer lost.
    Lose { node: usize },
    /// The statement is carried out some time after the follower has given it up.
    Delay { node: usize },
    /// What was late is carried out.
    Land,
    /// The statement waits on an old server for its standby and is cut short: that server shows what it cannot commit.
    Cut { node: usize },
    /// A request finds nothing in memory and reads the database.
    Load { node: usize, server: usize },
    /// What it read is put into memory, if it may.
    Keep { node: usize },
    /// The node is killed.
    Kill { node: usize },
    /// The node prepares to leave, and then leaves.
    Leave { node: usize },
    /// The node starts anew.
    Start { node: usize },
    /// An observer looks at the rows.
    Observe { observer: usize },
    /// It deletes the row that it found standing still.
    Delete { observer: usize },
    /// The standby takes over.
    Promote { complete: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    Leaving,
    Gone,
}

#[derive(Debug, Clone)]
struct Node {
    id: NodeId,
    life: Life,
    clock: Steady,
    follower: Follower,
    /// What the database has answered and the follower has not heard.
    answer: Option<Outcome>,
    /// The server that is followed.
    server: usize,
    /// Whether the last entry that it read, or applied, is such a foreign one.
    read_foreign: bool,
    seen_foreign: bool,
    memory: Option<i64>,
    load: Option<Load>,
}

/// What a request has read to put it into memory, and whether the epoch has moved since.
#[derive(Debug, Clone, Copy)]
struct Load {
    version: i64,
    overtaken: bool,
}

#[derive(Debug, Clone)]
struct Observer {
    roll: Roll,
    found: Option<NodeRow>,
}

/// A state of the model.
#[derive(Debug, Clone)]
pub(super) struct World {
    setup: Setup,
    servers: Vec<Server>,
    /// The database before its last commit, which an asynchronous standby may lack.
    before: Server,
    nodes: Vec<Node>,
    late: Option<(usize, Statement)>,
    observers: Vec<Observer>,
    wait: Option<Wait>,
    changes: i64,
    answered: i64,
    /// The clock of all but the nodes.
    clock: Steady,
    since_skew: u8,
    losses: u8,
    ends: u8,
    /// A request that began under trust has read what was no longer so.
    misled: bool,
}

impl Node {
    fn new(id: NodeId, server: usize, last: i64, clock: Steady) -> Self {
        let follower = Follower::new(last, TERMS);
        Self {
            id,
            life: Life::Running,
            clock,
            follower,
            answer: None,
            server,
            read_foreign: false,
            seen_foreign: false,
            memory: None,
            load: None,
        }
    }

    fn trusts(&self) -> bool {
        self.life != Life::Gone && self.clock < self.follower.trusted_until()
    }

    fn forget(&mut self) {
        self.memory = None;
        if let Some(load) = &mut self.load {
            load.overtaken = true;
        }
    }
}

impl World {
    pub(super) fn new(setup: Setup) -> Self {
        let clock = Steady(100);
        let node = |n| Node::new(NodeId::from_bytes([n; 16]), 0, 0, clock);
        let terms = match setup.flaw {
            Some(Flaw::ObserveWithoutDrift) => Terms::new(2, 0, 1),
            Some(Flaw::ObserveWithoutMargin) => Terms::new(2, 25, 0),
            _ => TERMS,
        };
        Self {
            servers: vec![Server::default()],
            before: Server::default(),
            nodes: (0..setup.nodes).map(|n| node(small(n))).collect(),
            late: None,
            observers: vec![Observer { roll: Roll::new(terms), found: None }; setup.observers],
            wait: None,
            changes: 0,
            answered: 0,
            clock,
            since_skew: 0,
            losses: setup.losses,
            ends: setup.ends,
            misled: false,
            setup,
        }
    }

    /// The promise: whoever trusts its memory has nothing in it, and reads nothing, that an answered change has ended.
    pub(super) fn is_right(&self) -> bool {
        let right =
            |node: &Node| !node.trusts() || node.memory.is_none_or(|version| version >= self.answered);
        !self.misled && self.nodes.iter().all(right)
    }

    /// Nothing waits to be answered.
    pub(super) fn is_answered(&self) -> bool {
        self.wait.is_none()
    }

    /// Every node can serve from memory.
    pub(super) fn all_trust(&self) -> bool {
        self.nodes.iter().all(Node::trusts)
    }

    fn primary(&self) -> usize {
        self.servers.len() - 1
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.setup.flaw == Some(flaw)
    }

    /// All that can happen next.
    pub(super) fn actions(&self) -> Vec<Action> {
        let mut all = vec![Action::Tick { skewed: false }];
        if self.since_skew == UNITS_BETWEEN_SKEWS {
            all.push(Action::Tick { skewed: true });
        }
        if self.wait.is_none() && self.changes < self.setup.changes {
            all.push(Action::Commit);
        }
        if self.late.is_some() {
            all.push(Action::Land);
        }
        if self.setup.failover != Failover::Never && self.primary() == 0 {
            all.push(Action::Promote { complete: true });
            if self.setup.failover == Failover::Asynchronous {
                all.push(Action::Promote { complete: false });
            }
        }
        for (index, observer) in self.observers.iter().enumerate() {
            all.push(Action::Observe { observer: index });
            if observer.found.is_some() {
                all.push(Action::Delete { observer: index });
            }
        }
        for node in 0..self.nodes.len() {
            self.actions_of(node, &mut all);
        }
        all
    }

    fn actions_of(&self, index: usize, all: &mut Vec<Action>) {
        let node = &self.nodes[index];
        if node.life == Life::Gone {
            all.push(Action::Start { node: index });
            return;
        }
        if node.life == Life::Leaving || self.ends > 0 {
            all.push(Action::Leave { node: index });
        }
        if self.ends > 0 {
            all.push(Action::Kill { node: index });
        }
        if node.load.is_some() {
            all.push(Action::Keep { node: index });
        } else if node.memory.is_none() {
            let servers = (0..self.servers.len()).filter(|server| self.may_load(node, *server));
            all.extend(servers.map(|server| Action::Load { node: index, server }));
        }
        if node.life == Life::Running {
            self.steps_of(index, all);
        }
    }

    fn steps_of(&self, index: usize, all: &mut Vec<Action>) {
        let node = &self.nodes[index];
        let lossy = self.losses > 0;
        if node.answer.is_some() {
            all.push(Action::Hear { node: index });
            if lossy {
                all.push(Action::Lose { node: index });
            }
            return;
        }
        match node.follower.step() {
            // Either server may accept the connection.
            Step::Connect => {
                all.extend((0..self.servers.len()).map(|server| Action::Follow { node: index, server }));
            }
            Step::Renew { .. } | Step::Register { .. } => {
                let server = self.writes_to(node);
                all.push(Action::Follow { node: index, server });
                if server != self.primary() {
                    all.push(Action::Cut { node: index });
                }
                if lossy {
                    all.push(Action::Lose { node: index });
                    if self.late.is_none() {
                        all.push(Action::Delay { node: index });
                    }
                }
            }
            Step::Read { .. } | Step::Apply | Step::Rest => {
                all.push(Action::Follow { node: index, server: node.server });
            }
        }
    }

    /// From a server that shows the registration in force, and no other.
    fn may_load(&self, node: &Node, server: usize) -> bool {
        let Server { rows, registered, .. } = &self.servers[server];
        let in_force = node.follower.registered();
        let is_later = |row: &NodeRow| row.id == node.id && row.renewals >= in_force;
        registered.get(&node.id) == Some(&in_force)
            || self.has(Flaw::LoadAfterLaterRegistrations) && rows.iter().any(is_later)
            || self.has(Flaw::LoadFromAnyServer)
    }

    fn writes_to(&self, node: &Node) -> usize {
        if self.has(Flaw::RenewElsewhereThanRead) { self.primary() } else { node.server }
    }

    fn may_answer(&self) -> bool {
        let Some(wait) = self.wait else { return false };
        let server = if self.has(Flaw::WaitForRowsOfTheOldServer) { 0 } else { self.primary() };
        wait.observe(&self.servers[server].rows, self.clock) == Verdict::Answered
    }

    /// The world after `action`.
    pub(super) fn after(&self, action: Action) -> Self {
        let mut next = self.clone();
        next.take(action);
        if next.may_answer() {
            next.answered = next.servers[next.primary()].version;
            next.wait = None;
        }
        next
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::Tick { skewed } => self.tick(skewed),
            Action::Commit => self.commit(),
            Action::Follow { node, server } => {
                self.follow(node, server);
                while self.setup.coarse && self.goes_on(node) {
                    self.follow(node, server);
                }
            }
            Action::Hear { node } => self.hear(node),
            Action::Lose { node } => {
                self.losses -= 1;
                self.give_up(node);
            }
            Action::Delay { node } => {
                self.losses -= 1;
                self.late =
                    self.statement_of(node).map(|statement| (self.writes_to(&self.nodes[node]), statement));
                self.give_up(node);
            }
            Action::Cut { node } => {
                let server = self.writes_to(&self.nodes[node]);
                if let Some(statement) = self.statement_of(node) {
                    self.servers[server].execute(statement, false);
                }
                self.give_up(node);
            }
            Action::Land => {
                if let Some((server, statement)) = self.late.take() {
                    self.execute(server, statement);
                }
            }
            Action::Load { node, server } => {
                self.load(node, server);
                if self.setup.coarse {
                    self.keep(node);
                }
            }
            Action::Keep { node } => self.keep(node),
            Action::Kill { node } => self.kill(node),
            Action::Leave { node } => self.leave(node),
            Action::Start { node } => self.start(node),
            Action::Observe { observer } => self.observe(observer),
            Action::Delete { observer } => self.delete(observer),
            Action::Promote { complete } => self.promote(complete),
        }
    }

    fn tick(&mut self, skewed: bool) {
        let (slow, fast) = if skewed { (0, 2) } else { (1, 1) };
        self.since_skew = if skewed { 0 } else { (self.since_skew + 1).min(UNITS_BETWEEN_SKEWS) };
        let (nodes, others) = match self.setup.slow {
            Slow::Nodes => (slow, fast),
            Slow::Others => (fast, slow),
        };
        self.clock = self.clock.plus(others);
        for node in &mut self.nodes {
            node.clock = node.clock.plus(nodes);
        }
    }

    fn commit(&mut self) {
        let terms = match self.setup.flaw {
            Some(Flaw::WaitWithoutDrift) => Terms::new(2, 0, 1),
            Some(Flaw::WaitWithoutMargin) => Terms::new(2, 25, 0),
            _ => TERMS,
        };
        self.changes += 1;
        let committed = self.nearly_now();
        let server = self.write(self.primary());
        server.last += 1;
        server.foreign = false;
        server.version = server.last;
        self.wait = Some(Wait::new(server.last, committed, terms));
    }

    /// What the others' clock says of an event if it tells whole units: nearly one too few.
    fn nearly_now(&self) -> Steady {
        Steady(self.clock.0 - 1)
    }

    /// The standby takes over. The old server goes on showing what it has, and an entry that it could not commit.
    fn promote(&mut self, complete: bool) {
        let promoted = if complete { &self.servers[0] } else { &self.before };
        self.servers.push(promoted.clone());
        self.servers[0].last += 1;
        self.servers[0].foreign = true;
    }

    /// A server that something is about to be committed on.
    fn write(&mut self, server: usize) -> &mut Server {
        if self.setup.failover == Failover::Asynchronous && self.servers.len() == 1 {
            self.before = self.servers[server].clone();
        }
        &mut self.servers[server]
    }

    /// Carries a statement out if the server can commit it: an old one waits for its standby for ever.
    fn execute(&mut self, server: usize, statement: Statement) -> Option<Outcome> {
        let commits = server == self.primary() || self.has(Flaw::RenewWithoutStandby);
        let careless = self.has(Flaw::RenewWhateverTheNumber);
        commits.then(|| self.write(server).execute(statement, careless))
    }

    fn statement_of(&self, node: usize) -> Option<Statement> {
        let id = self.nodes[node].id;
        match self.nodes[node].follower.step() {
            Step::Renew { seen, renewals } => Some(Statement::Renew(NodeRow { id, seen, renewals })),
            Step::Register { renewals } => {
                let boasts = self.has(Flaw::RegisterWithWhatWasSeen);
                let seen = if boasts { self.nodes[node].follower.seen } else { 0 };
                Some(Statement::Register(NodeRow { id, seen, renewals }))
            }
            _ => None,
        }
    }

    /// Whether the follower is between two steps that are one in a coarse world.
    fn goes_on(&self, node: usize) -> bool {
        let node = &self.nodes[node];
        node.answer.is_some() || matches!(node.follower.step(), Step::Read { .. } | Step::Apply)
    }

    fn follow(&mut self, index: usize, server: usize) {
        if self.nodes[index].answer.is_some() {
            self.hear(index);
            return;
        }
        if let Some(statement) = self.statement_of(index) {
            match self.execute(server, statement) {
                Some(outcome) => self.nodes[index].answer = Some(outcome),
                None => self.give_up(index),
            }
            return;
        }
        let flaw = self.setup.flaw;
        let (node, from) = (&mut self.nodes[index], &self.servers[server]);
        let outcome = match node.follower.step() {
            Step::Connect => {
                node.server = server;
                Outcome::Connected
            }
            Step::Rest => Outcome::Woken,
            Step::Apply => {
                node.apply(flaw);
                Outcome::Applied
            }
            _ => {
                node.read_foreign = from.foreign;
                Outcome::Read { asked: node.clock, last: from.last }
            }
        };
        node.follower.done(outcome);
    }

    fn hear(&mut self, index: usize) {
        let flaw = self.setup.flaw;
        let node = &mut self.nodes[index];
        let Some(outcome) = node.answer.take() else { return };
        if flaw == Some(Flaw::TrustFromTheAnswer) {
            node.follower.asked = node.clock;
        }
        if flaw == Some(Flaw::NumbersStartAgain) && outcome == Outcome::RowMissing {
            node.follower.renewals = 0;
        }
        node.follower.done(outcome);
        if flaw == Some(Flaw::TrustOnceRegistered) && outcome == Outcome::Registered {
            node.follower.trusted_until = node.follower.asked.plus(TERMS.lease());
            node.follower.step = Step::Rest;
        }
        if flaw == Some(Flaw::RenewBeforeApplying) && outcome == Outcome::Renewed {
            node.forget();
        }
    }

    fn give_up(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.answer = None;
        node.follower.done(Outcome::Failed);
    }

    fn load(&mut self, index: usize, server: usize) {
        let version = self.servers[server].version;
        let node = &mut self.nodes[index];
        node.load = Some(Load { version, overtaken: false });
        // The request that reads answers with what it reads, whether or not it is kept.
        self.misled |= node.trusts() && version < self.answered;
    }

    fn keep(&mut self, index: usize) {
        let careless = self.has(Flaw::LoadWithoutEpoch);
        let node = &mut self.nodes[index];
        if let Some(load) = node.load.take().filter(|load| careless || !load.overtaken) {
            node.memory = Some(load.version);
        }
    }

    fn kill(&mut self, index: usize) {
        self.ends -= 1;
        self.nodes[index].life = Life::Gone;
    }

    /// First the trust ends, then the row goes.
    fn leave(&mut self, index: usize) {
        let early = self.has(Flaw::LeaveBeforeTrustEnds);
        let primary = self.primary();
        let node = &mut self.nodes[index];
        let deletes = (node.life == Life::Leaving) != early;
        if deletes && node.server == primary {
            let id = node.id;
            self.write(primary).strike(|row| row.id == id);
        }
        let node = &mut self.nodes[index];
        if !deletes {
            node.follower.leave();
        }
        if node.life == Life::Running {
            self.ends -= 1;
            node.life = Life::Leaving;
        } else {
            node.life = Life::Gone;
        }
    }

    fn start(&mut self, index: usize) {
        let (server, old) = (self.primary(), &self.nodes[index]);
        let mut bytes = *old.id.as_bytes();
        bytes[15] += 16;
        let last = self.servers[server].last;
        self.nodes[index] = Node::new(NodeId::from_bytes(bytes), server, last, old.clock);
    }

    /// A row that is new is noted with the earliest time that the clock may have told, and judged by the latest.
    fn observe(&mut self, index: usize) {
        let (early, late) = (self.nearly_now(), self.clock);
        let rows = &self.servers[self.primary()].rows;
        let observer = &mut self.observers[index];
        observer.roll.observe(rows, early);
        observer.found = observer.roll.observe(rows, late).first().copied();
        if !self.setup.late_deletes {
            self.delete(index);
        }
    }

    fn delete(&mut self, index: usize) {
        let careless = self.has(Flaw::DeleteWhateverTheNumber);
        let Some(found) = self.observers[index].found.take() else { return };
        let matches = |row: &NodeRow| row.id == found.id && (careless || row.renewals == found.renewals);
        self.write(self.primary()).strike(matches);
    }
}

impl Node {
    /// Forgets what the stretch names that was read, or everything when the last entry is not the one it was.
    fn apply(&mut self, flaw: Option<Flaw>) {
        let other = self.seen_foreign != self.read_foreign && flaw != Some(Flaw::TakeTheLastEntryForGranted);
        let news = self.follower.last != self.follower.seen || other;
        self.seen_foreign = self.read_foreign;
        if news && flaw != Some(Flaw::RenewBeforeApplying) {
            self.forget();
        }
    }
}

fn small(number: impl TryInto<u8, Error: Debug>) -> u8 {
    number.try_into().unwrap()
}
