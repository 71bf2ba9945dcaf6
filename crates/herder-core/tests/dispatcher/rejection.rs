//! Workers that give connections back, as a program does that has reached its own limit.

use std::time::Duration;

use herder_core::ConnId;
use herder_core::dispatch::{Action, CloseReason, Event};
use herder_core::spec::DispatchSpec;

use crate::desk::{Desk, conns, worker};

const MILLI: Duration = Duration::from_millis(1);

const PENDING_TIMEOUT: Duration = Duration::from_secs(10);

fn handed(desk: &Desk) -> usize {
    let sent = |action: &Action| {
        let Action::Send { conns, .. } = action else {
            return 0;
        };
        conns.as_slice().len()
    };
    desk.log.iter().map(sent).sum()
}

#[test]
fn what_is_given_back_goes_to_another_at_once() {
    let mut desk = Desk::of_deciders(2);
    desk.accept(1);
    desk.reject(worker(0), 1);
    assert_eq!(desk.channel(worker(1)), conns(0..1));
    assert_eq!(desk.dispatcher.rejected(), 1);
}

#[test]
fn it_is_served_before_what_came_later_and_in_its_old_order() {
    let mut desk = Desk::of_deciders(1);
    desk.accept(12);
    desk.reject(worker(0), 8);
    assert_eq!(desk.dispatcher.pending(), 12);
    desk.admit(worker(1));
    assert_eq!(desk.channel(worker(1)), conns(0..8));
}

#[test]
fn who_rejects_is_passed_over_and_tried_with_one_after_a_while() {
    let mut desk = Desk::of_deciders(2);
    desk.accept(1);
    desk.reject(worker(0), 1);
    desk.accept(4);
    assert_eq!(desk.channel(worker(0)), []);
    desk.pass(5 * MILLI - Duration::from_micros(1));
    desk.accept(1);
    assert_eq!(desk.channel(worker(0)), []);
    desk.pass(Duration::from_micros(1));
    desk.take(worker(1), usize::MAX);
    desk.accept(4);
    assert_eq!(desk.channel(worker(0)).len(), 1, "one is enough to see");
    desk.take(worker(0), 1);
    desk.take(worker(1), usize::MAX);
    desk.accept(4);
    assert_eq!(desk.channel(worker(0)).len(), 2, "it takes them again");
}

#[test]
fn the_pauses_of_one_that_goes_on_rejecting_become_longer() {
    let mut desk = Desk::of_deciders(1);
    desk.accept(1);
    desk.reject(worker(0), 1);
    for pause in [5, 10, 20, 40, 80, 100, 100, 100] {
        desk.pass(pause * MILLI - Duration::from_micros(1));
        assert_eq!(desk.channel(worker(0)), [], "before {pause} ms");
        desk.pass(Duration::from_micros(1));
        assert_eq!(desk.channel(worker(0)), conns(0..1), "after {pause} ms");
        desk.reject(worker(0), 1);
    }
}

#[test]
fn what_was_given_before_the_first_rejection_does_not_count_as_a_trial() {
    let mut desk = Desk::of_deciders(1);
    desk.accept(4);
    desk.reject(worker(0), 1);
    desk.reject(worker(0), 3);
    desk.pass(5 * MILLI);
    assert_eq!(desk.channel(worker(0)), conns(0..1));
}

#[test]
fn one_that_takes_something_after_all_gets_more_at_once() {
    let mut desk = Desk::of_deciders(1);
    desk.accept(4);
    desk.reject(worker(0), 3);
    assert_eq!(desk.dispatcher.pending(), 3);
    desk.take(worker(0), 1);
    assert_eq!(desk.channel(worker(0)), conns(0..3));
}

#[test]
fn when_all_reject_nothing_spins() {
    let mut desk = Desk::of_deciders(4);
    desk.rejecting.extend((0..4).map(worker));
    desk.accept(10);
    desk.answer();
    let first = handed(&desk);
    assert!(first <= 4 * 8, "{first} hand-overs before anybody rests");
    assert_eq!(desk.dispatcher.accept_budget(), 0);
    desk.pass(Duration::from_secs(1));
    let in_second = handed(&desk) - first;
    assert!(in_second <= 4 * 14, "{in_second} in the first second");
    desk.pass(Duration::from_secs(1));
    let in_second = handed(&desk) - first - in_second;
    assert!(in_second <= 4 * 11, "{in_second} in the next");
    assert_eq!(desk.dispatcher.pending(), 10);
}

#[test]
fn when_one_of_them_stops_rejecting_it_serves_all() {
    let mut desk = Desk::of_deciders(4);
    desk.rejecting.extend((0..4).map(worker));
    desk.accept(10);
    desk.answer();
    desk.pass(Duration::from_secs(2));
    desk.rejecting.remove(&worker(2));
    desk.pass(100 * MILLI);
    assert_eq!(desk.channel(worker(2)).len(), 1);
    desk.take(worker(2), 1);
    desk.answer();
    assert_eq!(desk.channel(worker(2)).len(), 8);
    desk.take(worker(2), usize::MAX);
    desk.answer();
    desk.take(worker(2), usize::MAX);
    assert_eq!(desk.dispatcher.received(), 10);
}

#[test]
fn a_connection_that_everybody_rejects_is_closed_in_the_end() {
    let mut desk = Desk::of_deciders(3);
    desk.rejecting.extend((0..3).map(worker));
    desk.accept(1);
    desk.answer();
    desk.pass(PENDING_TIMEOUT + 100 * MILLI);
    let closed = Action::Close {
        conn: ConnId(0),
        reason: CloseReason::TimedOut,
    };
    assert_eq!(desk.log.last(), Some(&closed));
    assert_eq!(desk.dispatcher.closed_timed_out(), 1);
    assert_eq!(desk.dispatcher.poll_timeout(), None);
}

#[test]
fn an_idle_herd_that_rejected_is_not_woken_for_it() {
    let mut desk = Desk::of_deciders(2);
    desk.accept(1);
    desk.reject(worker(0), 1);
    desk.take(worker(1), 1);
    desk.pass(5 * MILLI);
    assert_eq!(desk.dispatcher.poll_timeout(), None);
    assert_eq!(desk.dispatcher.accept_budget(), 1 + 8);
}

#[test]
fn a_trial_that_does_not_fit_into_the_channel_is_made_later() {
    let mut desk = Desk::of_deciders(1);
    desk.accept(1);
    desk.reject(worker(0), 1);
    desk.refusing.insert(worker(0));
    desk.pass(5 * MILLI);
    assert_eq!(desk.channel(worker(0)), []);
    desk.refusing.clear();
    desk.pass(DispatchSpec::default().steal_after);
    assert_eq!(desk.channel(worker(0)), conns(0..1));
}

#[test]
fn one_that_rejects_and_dies_leaves_nothing_behind() {
    let mut desk = Desk::of_deciders(1);
    desk.accept(3);
    desk.reject(worker(0), 1);
    desk.kill(worker(0));
    assert_eq!(desk.dispatcher.pending(), 3);
    desk.tell(Event::Admit { worker: worker(1) });
    assert_eq!(desk.channel(worker(1)).len(), 3);
}
