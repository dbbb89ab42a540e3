//! Every order of events in small worlds: first that the protocol keeps its promise in all of them, then that each of
//! its parts is needed, since without it the search finds a way to break the promise.
//!
//! A process is stopped by nothing happening to it while time passes, so every pause is among these orders, between
//! any two steps. A request counts as having happened when it looked at its node's lease; its answer may be on the way
//! for longer.

use super::search::{Findings, explore};
use super::world::{Action, Failover, Flaw, Setup, Slow};

/// One node, step by step; nothing fails.
const ONE: Setup = Setup {
    nodes: 1,
    observers: 1,
    changes: 1,
    losses: 0,
    ends: 0,
    failover: Failover::Never,
    late_deletes: false,
    coarse: false,
    slow: Slow::Nodes,
    flaw: None,
};

const FAILOVER: Setup = Setup { observers: 0, failover: Failover::Synchronous, ..ONE };

/// The promise holds in all of this world, and whatever happens, a change is answered in the end.
#[track_caller]
fn holds(setup: Setup) -> Findings {
    let found = explore(setup);
    println!("{} states, {} transitions of {setup:?}", found.states, found.transitions);
    assert_eq!(found.violation, None);
    assert_eq!(found.never_answered(), 0);
    found
}

/// Without this part the promise is broken in this world. Gives the shortest way there.
#[track_caller]
fn breaks(flaw: Flaw, setup: Setup) -> Vec<Action> {
    let found = explore(Setup { flaw: Some(flaw), ..setup });
    println!("{} states until {flaw:?} is found", found.states);
    found.violation.expect("a way to break the promise")
}

#[test]
fn one_node_and_every_pause() {
    for slow in [Slow::Nodes, Slow::Others] {
        holds(Setup { late_deletes: true, slow, ..ONE });
    }
}

#[test]
fn a_change_after_another() {
    holds(Setup { changes: 2, coarse: true, ..ONE });
}

#[test]
fn statements_and_answers_are_lost_or_late() {
    holds(Setup { losses: 1, coarse: true, ..ONE });
    holds(Setup { losses: 2, observers: 0, ..ONE });
}

#[test]
fn a_node_is_killed_or_leaves_and_starts_again() {
    holds(Setup { ends: 1, coarse: true, ..ONE });
}

#[test]
fn observers_delete_what_others_have_seen() {
    holds(Setup { observers: 2, late_deletes: true, coarse: true, ..ONE });
}

#[test]
fn several_nodes() {
    for nodes in [2, 3] {
        holds(Setup { nodes, observers: 0, coarse: true, ..ONE });
    }
}

#[test]
fn a_standby_takes_over_and_the_old_server_can_still_be_read() {
    holds(FAILOVER);
    holds(Setup { losses: 1, coarse: true, ..FAILOVER });
}

/// With nobody stopped, time is no part of it: a change is answered, and trust gained, by steps alone.
#[test]
fn healthy_nodes_answer_at_once() {
    let found = holds(ONE);
    assert_eq!(found.not_answered_at_once(), 0);
    assert_eq!(found.shut_out(), 0);
}

#[test]
fn the_model_finds_what_is_wrong_with_trust_from_when_the_renewal_returned() {
    breaks(Flaw::TrustFromTheAnswer, ONE);
}

#[test]
fn the_model_finds_what_is_wrong_with_trust_for_being_registered() {
    breaks(Flaw::TrustOnceRegistered, ONE);
}

#[test]
fn the_model_finds_what_is_wrong_with_renewing_before_the_changes_are_applied() {
    breaks(Flaw::RenewBeforeApplying, ONE);
}

#[test]
fn the_model_finds_what_is_wrong_with_a_renewal_of_whatever_row_is_there() {
    let way = breaks(Flaw::RenewWhateverTheNumber, Setup { losses: 1, coarse: true, ..ONE });
    assert!(way.contains(&Action::Land), "a registration that comes late: {way:?}");
}

#[test]
fn the_model_finds_what_is_wrong_with_a_load_that_ignores_the_epoch() {
    breaks(Flaw::LoadWithoutEpoch, ONE);
}

#[test]
fn the_model_finds_what_is_wrong_with_leaving_before_trust_ends() {
    breaks(Flaw::LeaveBeforeTrustEnds, Setup { ends: 1, ..ONE });
}

#[test]
fn the_model_finds_what_is_wrong_with_a_wait_without_drift_or_margin() {
    breaks(Flaw::WaitWithoutDrift, ONE);
    breaks(Flaw::WaitWithoutMargin, ONE);
}

#[test]
fn the_model_finds_what_is_wrong_with_an_observer_without_drift_or_margin() {
    breaks(Flaw::ObserveWithoutDrift, ONE);
    breaks(Flaw::ObserveWithoutMargin, ONE);
}

#[test]
fn the_model_finds_what_is_wrong_with_deleting_a_row_that_has_moved() {
    breaks(Flaw::DeleteWhateverTheNumber, Setup { late_deletes: true, ..ONE });
}

#[test]
fn the_model_finds_what_is_wrong_with_numbers_that_start_again() {
    breaks(Flaw::NumbersStartAgain, Setup { observers: 2, coarse: true, ..ONE });
}

#[test]
fn the_model_finds_what_is_wrong_with_renewing_elsewhere_than_one_has_read() {
    breaks(Flaw::RenewElsewhereThanRead, FAILOVER);
}

#[test]
fn the_model_finds_what_is_wrong_with_connections_that_lead_to_the_old_server() {
    breaks(Flaw::LoadFromAnyServer, FAILOVER);
    breaks(Flaw::WaitForRowsOfTheOldServer, FAILOVER);
}

/// Such a registration is one that the old server could not commit, and shows all the same.
#[test]
fn the_model_finds_what_is_wrong_with_any_later_registration() {
    let way = breaks(Flaw::LoadAfterLaterRegistrations, Setup { losses: 1, coarse: true, ..FAILOVER });
    assert!(way.iter().any(|action| matches!(action, Action::Cut { .. })), "{way:?}");
}

#[test]
fn the_model_finds_what_is_wrong_with_bringing_what_was_seen_to_another_server() {
    breaks(Flaw::RegisterWithWhatWasSeen, FAILOVER);
    breaks(Flaw::TakeTheLastEntryForGranted, FAILOVER);
}

/// The limit that the documentation names: a server that commits renewals alone is followed by nodes that hear of
/// nothing that the other one commits.
#[test]
fn the_model_finds_what_is_wrong_with_an_old_server_that_commits_alone() {
    breaks(Flaw::RenewWithoutStandby, FAILOVER);
}

/// The other limit: an answered change that the new server lacks is not in force.
#[test]
fn the_model_finds_what_an_asynchronous_standby_loses() {
    let found = explore(Setup { failover: Failover::Asynchronous, ..FAILOVER });
    println!("{} states until a loss is found", found.states);
    let way = found.violation.expect("an answered change that is lost");
    assert!(way.contains(&Action::Promote { complete: false }), "{way:?}");
}
