//! What a thing may be at a moment, when those who change it do not always learn what became of their change.

use std::collections::BTreeSet;
use std::time::Duration;

use patron_core::coherence::Terms;

use crate::time::{At, Span};

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is on its way.
    Asked,
    /// It was answered then.
    Answered(At),
    /// It was not answered, but what it made was seen in the database then.
    Seen(At),
    /// Nobody knows: an outage was answered, or nothing.
    Perhaps,
    /// It was refused.
    Refused,
}

/// Where something is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Database,
    /// A node's memory: it may be behind by a lease, but never behind what was answered.
    Memory,
}

/// All changes of one thing. They are asked one after the other, so each that is answered settles those before it.
#[derive(Debug, Clone)]
pub(crate) struct History<T>(Vec<Change<T>>);

#[derive(Debug, Clone)]
pub(crate) struct Change<T> {
    pub(crate) to: T,
    pub(crate) asked: At,
    pub(crate) fate: Fate,
}

impl<T: PartialEq> History<T> {
    /// A thing that began as this.
    pub(crate) fn new(first: T, at: At) -> Self {
        Self(vec![Change { to: first, asked: at, fate: Fate::Answered(at) }])
    }

    /// A change begins to be asked for.
    pub(crate) fn ask(&mut self, to: T) {
        self.0.push(Change { to, asked: At::now(), fate: Fate::Asked });
    }

    /// What became of the last one.
    pub(crate) fn settle(&mut self, fate: Fate) {
        let last = self.0.last_mut().unwrap();
        // What another was answered before holds, whatever became of this answer.
        if !matches!(last.fate, Fate::Answered(_)) {
            last.fate = fate;
        }
    }

    pub(crate) fn changes(&self) -> &[Change<T>] {
        &self.0
    }

    /// What the last change that may have been made makes of it.
    pub(crate) fn last(&self) -> &T {
        &self.0.iter().rev().find(|change| change.fate != Fate::Refused).unwrap().to
    }

    /// The places of the changes that whoever asked within `when` may have found to be the last.
    fn candidates(&self, when: Span, from: From) -> Vec<usize> {
        let mut found = Vec::new();
        for (at, change) in self.0.iter().enumerate().rev() {
            if change.fate != Fate::Refused && change.asked <= when.end {
                found.push(at);
            }
            if change.hides_earlier(when.begin, from) {
                break;
            }
        }
        found
    }

    /// What it may have been for whoever asked within `when`.
    pub(crate) fn possible(&self, when: Span, from: From) -> impl Iterator<Item = &T> {
        self.candidates(when, from).into_iter().map(|at| &self.0[at].to)
    }

    pub(crate) fn may_be(&self, value: &T, when: Span, from: From) -> bool {
        self.possible(when, from).any(|possible| possible == value)
    }

    /// The places of the changes that explain that somebody found it to be this.
    pub(crate) fn explain(&self, value: &T, when: Span, from: From) -> BTreeSet<usize> {
        self.candidates(when, from).into_iter().filter(|&at| self.0[at].to == *value).collect()
    }

    /// Somebody found it to be this: a change of which nothing was known before has been made, if it is the only one
    /// that explains it.
    pub(crate) fn saw(&mut self, value: &T, when: Span, from: From) {
        self.explained_by(&self.explain(value, when, from), when.end);
    }

    /// Somebody found at `end` what one of the changes in these places explains.
    pub(crate) fn explained_by(&mut self, places: &BTreeSet<usize>, end: At) {
        if let (Some(&at), 1) = (places.first(), places.len())
            && self.0[at].fate == Fate::Perhaps
        {
            self.0[at].fate = Fate::Seen(end);
        }
    }

    /// Somebody was answered what rests on its being this, for good: by then the change that made it so is as good as
    /// answered itself.
    pub(crate) fn relied_on(&mut self, value: &T, when: Span) {
        let Some(&at) = self.explain(value, when, From::Database).last() else { return };
        if !matches!(self.0[at].fate, Fate::Answered(_)) {
            self.0[at].fate = Fate::Answered(when.end);
        }
    }
}

impl<T> Change<T> {
    /// Whether one who asks at `begin` must find this or something later.
    pub(crate) fn hides_earlier(&self, begin: At, from: From) -> bool {
        // Nobody's trust in what was before outlives a lease.
        let lease = Duration::from_millis(Terms::STANDARD.over());
        match (self.fate, from) {
            (Fate::Answered(at), _) | (Fate::Seen(at), From::Database) => at <= begin,
            (Fate::Seen(at), From::Memory) => at.plus(lease) <= begin,
            (Fate::Asked | Fate::Perhaps | Fate::Refused, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> At {
        At::BEGINNING.plus(Duration::from_millis(millis))
    }

    fn span(begin: u64, end: u64) -> Span {
        Span { begin: at(begin), end: at(end) }
    }

    /// `a` from the beginning, and then changed to `b` from 10 on.
    fn changed(fate: Fate) -> History<char> {
        let mut history = History::new('a', At::BEGINNING);
        history.0.push(Change { to: 'b', asked: at(10), fate });
        history
    }

    fn possible(history: &History<char>, begin: u64, end: u64, from: From) -> String {
        history.possible(span(begin, end), from).collect()
    }

    #[test]
    fn what_was_answered_is_all_that_is_seen_afterwards() {
        let history = changed(Fate::Answered(at(20)));
        assert_eq!(possible(&history, 0, 9, From::Memory), "a");
        assert_eq!(possible(&history, 9, 10, From::Memory), "ba");
        assert_eq!(possible(&history, 19, 40, From::Memory), "ba");
        assert_eq!(possible(&history, 20, 40, From::Memory), "b");
    }

    #[test]
    fn what_nobody_knows_stays_open_until_it_is_seen() {
        let mut history = changed(Fate::Perhaps);
        assert_eq!(possible(&history, 9_000, 9_000, From::Database), "ba");
        history.saw(&'a', span(30, 31), From::Database);
        assert_eq!(possible(&history, 9_000, 9_000, From::Database), "ba");
        history.saw(&'b', span(30, 31), From::Database);
        assert_eq!(possible(&history, 30, 9_000, From::Database), "ba");
        assert_eq!(possible(&history, 31, 9_000, From::Database), "b");
        assert_eq!(possible(&history, 3_191, 9_000, From::Memory), "ba");
        assert_eq!(possible(&history, 3_192, 9_000, From::Memory), "b");
    }

    #[test]
    fn what_another_answer_rests_on_is_answered_by_then() {
        for fate in [Fate::Asked, Fate::Perhaps, Fate::Seen(at(35))] {
            let mut history = changed(fate);
            history.relied_on(&'b', span(30, 40));
            assert_eq!(possible(&history, 39, 99, From::Memory), "ba");
            assert_eq!(possible(&history, 40, 99, From::Memory), "b");
            // Its own answer comes later, or never.
            history.settle(Fate::Perhaps);
            assert_eq!(possible(&history, 40, 99, From::Memory), "b");
        }
        let mut history = changed(Fate::Answered(at(20)));
        history.relied_on(&'b', span(30, 40));
        assert_eq!(possible(&history, 20, 99, From::Memory), "b");
    }

    #[test]
    fn what_was_refused_is_never_seen_and_what_is_asked_perhaps() {
        assert_eq!(possible(&changed(Fate::Refused), 0, 99, From::Database), "a");
        assert_eq!(possible(&changed(Fate::Asked), 0, 99, From::Database), "ba");
        assert_eq!(*changed(Fate::Refused).last(), 'a');
    }
}
