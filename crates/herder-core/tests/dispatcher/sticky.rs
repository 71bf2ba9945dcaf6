//! The same client, the same slot.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use herder_core::dispatch::Event;
use herder_core::spec::{DispatchSpec, PickerKind, Recall};
use herder_core::{ConnId, Origin, Slot, WorkerId};

use crate::desk::{Desk, conns, incarnation, worker};

const ORIGINS: u64 = 400;

const STICKY_WAIT: Duration = Duration::from_millis(100);

fn desk(workers: u16) -> Desk {
    Desk::picking(workers, PickerKind::IpHash)
}

fn deciders(workers: u16) -> Desk {
    Desk::with(
        workers,
        &DispatchSpec {
            picker: PickerKind::IpHash,
            recall: Recall::Verdict,
            ..DispatchSpec::default()
        },
    )
}

/// Who serves one connection from here now.
fn server(desk: &mut Desk, origin: u64, workers: &[WorkerId]) -> WorkerId {
    desk.accept_from(origin, 1);
    let has = |worker: &&WorkerId| !desk.channel(**worker).is_empty();
    let served = *workers.iter().find(has).expect("somebody serves it");
    desk.serve(served);
    served
}

/// Who serves each origin.
fn homes(desk: &mut Desk, workers: &[WorkerId]) -> BTreeMap<u64, Slot> {
    let home = |origin| (origin, server(desk, origin, workers).slot);
    (0..ORIGINS).map(home).collect()
}

/// The first origin at home in this slot.
fn at_home_in(slot: u16) -> u64 {
    let mut desk = desk(2);
    let homes = homes(&mut desk, &[worker(0), worker(1)]);
    let home = homes.into_iter().find(|(_, home)| home.0 == slot);
    home.expect("each slot is somebody's").0
}

fn first(count: u16) -> Vec<WorkerId> {
    (0..count).map(worker).collect()
}

#[test]
fn the_same_origin_goes_to_the_same_slot() {
    let (mut desk, workers) = (desk(4), first(4));
    let before = homes(&mut desk, &workers);
    assert_eq!(homes(&mut desk, &workers), before);
    let in_slot = |slot| before.values().filter(|home| home.0 == slot).count();
    for slot in 0..4 {
        assert!((60..140).contains(&in_slot(slot)), "{}", in_slot(slot));
    }
}

#[test]
fn the_homes_are_the_same_whoever_says_what_was_received() {
    let workers = first(4);
    assert_eq!(
        homes(&mut desk(4), &workers),
        homes(&mut deciders(4), &workers)
    );
}

#[test]
fn a_replacement_inherits_its_slots_origins() {
    let (mut desk, mut workers) = (desk(4), first(4));
    let before = homes(&mut desk, &workers);
    desk.kill(worker(2));
    workers[2] = incarnation(2, 9);
    desk.admit(workers[2]);
    assert_eq!(homes(&mut desk, &workers), before);
}

#[test]
fn while_old_and_new_overlap_the_new_one_is_at_home() {
    let mut desk = desk(1);
    desk.admit(incarnation(0, 9));
    desk.accept_from(5, 3);
    assert_eq!(desk.channel(incarnation(0, 9)), conns(0..3));
}

#[test]
fn only_the_origins_of_a_slot_without_a_worker_move_and_they_come_back() {
    let (mut desk, mut workers) = (desk(4), first(4));
    let before = homes(&mut desk, &workers);
    desk.kill(worker(1));
    let meanwhile = homes(&mut desk, &workers);
    let mut heirs = BTreeMap::new();
    for (origin, home) in &before {
        let now = meanwhile[origin];
        if home.0 == 1 {
            *heirs.entry(now).or_insert(0) += 1;
        } else {
            assert_eq!(now, *home, "origin {origin} need not move");
        }
    }
    assert_eq!(heirs.len(), 3, "all others take some: {heirs:?}");
    workers[1] = incarnation(1, 9);
    desk.admit(workers[1]);
    assert_eq!(homes(&mut desk, &workers), before);
}

#[test]
fn a_new_slot_takes_only_its_own() {
    let (mut desk, mut workers) = (desk(3), first(3));
    let before = homes(&mut desk, &workers);
    desk.admit(worker(3));
    workers.push(worker(3));
    let after = homes(&mut desk, &workers);
    let moved: Vec<Slot> = before
        .iter()
        .filter(|(origin, home)| after[*origin] != **home)
        .map(|(origin, _)| after[origin])
        .collect();
    assert!((60..140).contains(&moved.len()), "{}", moved.len());
    assert!(moved.iter().all(|home| home.0 == 3));
}

#[test]
fn without_an_origin_the_rotation_decides() {
    let mut desk = desk(3);
    desk.accept(6);
    for slot in 0..3 {
        let first = u64::from(slot);
        let dealt = [ConnId(first), ConnId(first + 3)];
        assert_eq!(desk.channel(worker(slot)), dealt);
    }
}

#[test]
fn a_connection_waits_for_room_at_home_and_holds_up_nobody() {
    let (here, there) = (at_home_in(0), at_home_in(1));
    let mut desk = deciders(2);
    desk.accept_from(here, 10);
    assert_eq!(desk.channel(worker(0)).len(), 8);
    assert_eq!(desk.dispatcher.pending(), 2);
    assert_eq!(desk.dispatcher.accept_budget(), 8, "the other has room");
    desk.accept_from(there, 1);
    assert_eq!(desk.channel(worker(1)), conns(10..11));
    desk.take(worker(0), 2);
    assert_eq!(desk.dispatcher.pending(), 0);
    assert_eq!(desk.channel(worker(0)).len(), 8);
}

#[test]
fn a_full_worker_that_is_waited_for_is_watched() {
    let mut desk = desk(2);
    desk.accept_from(at_home_in(0), 10);
    assert!(desk.is_watched(worker(0)));
    desk.receive(worker(0), 5);
    assert_eq!(desk.channel(worker(0)).len(), 5);
    assert!(!desk.is_watched(worker(0)));
    assert_eq!(desk.channel(worker(1)), []);
}

#[test]
fn nobody_waits_long_for_room_at_home() {
    let mut desk = deciders(2);
    desk.accept_from(at_home_in(0), 10);
    desk.pass(STICKY_WAIT - Duration::from_micros(1));
    assert_eq!(desk.channel(worker(1)), []);
    desk.pass(Duration::from_micros(1));
    assert_eq!(desk.channel(worker(1)), conns(8..10));
}

#[test]
fn what_is_not_received_in_time_goes_to_the_next_best() {
    let mut desk = desk(2);
    desk.accept_from(at_home_in(0), 2);
    desk.pass(STICKY_WAIT - Duration::from_micros(1));
    assert_eq!(desk.channel(worker(0)), conns(0..2));
    desk.pass(Duration::from_micros(1));
    assert_eq!(desk.channel(worker(1)), conns(0..2));
}

#[test]
fn a_crowd_from_one_place_does_not_wait() {
    let mut desk = deciders(2);
    desk.accept_from(at_home_in(0), 8 + 4 * 8 + 3);
    assert_eq!(desk.dispatcher.pending(), 4 * 8);
    assert_eq!(desk.channel(worker(1)).len(), 3);
}

#[test]
fn nobody_waits_for_one_that_stands_still_or_rejects() {
    let here = at_home_in(0);
    let mut desk = deciders(2);
    desk.accept_from(here, 8);
    desk.pass(Duration::from_secs(1));
    desk.accept_from(here, 1);
    assert_eq!(desk.channel(worker(1)), conns(8..9), "it decides nothing");

    let mut desk = deciders(2);
    desk.accept_from(here, 1);
    desk.reject(worker(0), 1);
    assert_eq!(desk.channel(worker(1)), conns(0..1), "it rejects");
    desk.pass(Duration::from_millis(5));
    desk.accept_from(here, 1);
    assert_eq!(desk.channel(worker(0)), conns(1..2), "it is tried again");
}

#[test]
fn a_held_workers_origins_are_served_by_others_until_it_is_admitted_again() {
    let here = at_home_in(0);
    let mut desk = desk(2);
    desk.accept_from(here, 2);
    desk.tell(Event::Hold { worker: worker(0) });
    assert_eq!(desk.channel(worker(1)), conns(0..2));
    desk.admit(worker(0));
    desk.accept_from(here, 1);
    assert_eq!(desk.channel(worker(0)), conns(2..3));
}

#[test]
fn the_origin_survives_a_death() {
    let here = at_home_in(0);
    let mut desk = desk(1);
    desk.accept_from(here, 4);
    desk.kill(worker(0));
    // Of the two that are told of in the same turn, one is at home.
    desk.dispatcher
        .handle(Event::Admit { worker: worker(1) }, herder_core::Tick::ZERO);
    desk.admit(incarnation(0, 9));
    assert_eq!(desk.channel(incarnation(0, 9)), conns(0..4));
}

#[test]
fn an_address_is_an_origin_however_it_is_written() {
    let origin = |text: &str| Origin::from(text.parse::<IpAddr>().expect("an address"));
    assert_eq!(origin("192.0.2.7"), origin("::ffff:192.0.2.7"));
    assert_ne!(origin("192.0.2.7"), origin("192.0.2.8"));
    assert_ne!(origin("2001:db8::1"), origin("2001:db8:1::1"));
    assert_ne!(origin("2001:db8::1"), origin("2001:db8::2"));
}
