//! A breadth-first search through every state of a [`World`].
//!
//! It is our own rather than a library's: `stateright` can ask neither whether an answer *stays* reachable from every
//! state nor whether it is so without time passing; it tells states apart by 64 bits of hash, where this compares
//! them; and it would bring a web server and a second random generator into what `core` is built with.

use std::collections::{HashMap, VecDeque};

use super::world::{Action, Setup, World};

/// What was found in the states of a world.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) states: usize,
    pub(super) transitions: usize,
    /// The shortest way to a state that breaks the promise, if there is one; the search ends there.
    pub(super) violation: Option<Vec<Action>>,
    /// Each state's way there: the one before it, and what happened.
    parents: Vec<Option<(u32, Action)>>,
    /// From where to where, and whether time passed.
    edges: Vec<(u32, u32, bool)>,
    answered: Vec<bool>,
    all_trust: Vec<bool>,
}

/// Visits every state that can be reached.
pub(super) fn explore(setup: Setup) -> Findings {
    let mut findings = Findings::default();
    let mut known: HashMap<Box<[u8]>, u32> = HashMap::new();
    let mut pending = VecDeque::new();
    let start = World::new(setup);
    known.insert(start.key(), 0);
    findings.note(&start, None);
    pending.push_back((0, start));
    while let Some((index, world)) = pending.pop_front() {
        for action in world.actions() {
            let next = world.after(action);
            let fresh = u32::try_from(known.len()).unwrap();
            let at = *known.entry(next.key()).or_insert(fresh);
            findings.transitions += 1;
            findings.edges.push((index, at, matches!(action, Action::Tick { .. })));
            if at != fresh {
                continue;
            }
            findings.note(&next, Some((index, action)));
            if !next.is_right() {
                findings.violation = Some(findings.way_to(at));
                return findings;
            }
            pending.push_back((at, next));
        }
    }
    findings
}

impl Findings {
    fn note(&mut self, world: &World, parent: Option<(u32, Action)>) {
        self.states += 1;
        self.parents.push(parent);
        self.answered.push(world.is_answered());
        self.all_trust.push(world.all_trust());
    }

    fn way_to(&self, mut state: u32) -> Vec<Action> {
        let mut way = Vec::new();
        while let Some((before, action)) = self.parents[state as usize] {
            way.push(action);
            state = before;
        }
        way.reverse();
        way
    }

    /// States from which no way leads to an answer, however long one waits.
    pub(super) fn never_answered(&self) -> usize {
        self.cut_off_from(&self.answered, true)
    }

    /// States from which an answer takes time, whatever the nodes do.
    pub(super) fn not_answered_at_once(&self) -> usize {
        self.cut_off_from(&self.answered, false)
    }

    /// States from which the nodes cannot come to trust their memories at once.
    pub(super) fn shut_out(&self) -> usize {
        self.cut_off_from(&self.all_trust, false)
    }

    fn cut_off_from(&self, goals: &[bool], with_time: bool) -> usize {
        let mut before: Vec<Vec<u32>> = vec![Vec::new(); self.states];
        for (from, to, ticks) in &self.edges {
            if with_time || !ticks {
                before[*to as usize].push(*from);
            }
        }
        let mut reached = goals.to_vec();
        let mut pending: Vec<usize> = (0..self.states).filter(|state| goals[*state]).collect();
        while let Some(state) = pending.pop() {
            for from in &before[state] {
                if !std::mem::replace(&mut reached[*from as usize], true) {
                    pending.push(*from as usize);
                }
            }
        }
        reached.iter().filter(|reached| !**reached).count()
    }
}
