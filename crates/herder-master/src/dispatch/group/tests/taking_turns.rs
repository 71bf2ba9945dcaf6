//! Who gets connections, and who does not.

use std::net::TcpListener;
use std::os::fd::AsFd;

use herder_core::rotation::{Event, Relief, Steering, Weight};
use herder_sys::{fd, listener};

use super::super::{Group, Notice, Pieces};
use super::in_both;
use super::stage::{Stage, now, spec, worker};

/// All slots' answers, when nobody was disturbed by a moment's pause of one of them.
fn shares(stage: &Stage, slots: u16) -> Vec<usize> {
    let share = |slot| stage.heard(worker(slot, u64::from(slot) + 1));
    (0..slots).map(share).collect()
}

#[test]
fn each_worker_has_its_turn_exactly() {
    for host in ["127.0.0.1", "::1"] {
        let Some(mut stage) = Stage::at(host, &spec(Steering::Program)) else {
            return;
        };
        stage.start_all(4);
        stage.connect(1000);
        stage.all_answered(1000);
        // A worker that the machine did not let run for some moments is left out, and is told of, or yields turns.
        let is_calm = stage.notices.is_empty() && stage.group.to_yield.is_empty();
        assert!(
            !is_calm || shares(&stage, 4) == [250; 4],
            "{:?}",
            stage.heard
        );
    }
}

/// Stopped workers answer nobody: their queues show who got what.
#[test]
fn turns_are_exact_and_weights_are_kept() {
    let Some(mut stage) = Stage::at("127.0.0.1", &spec(Steering::Program)) else {
        return;
    };
    for (slot, weight) in [(0, 2), (1, 1), (2, 1)] {
        let weight = Weight::new(weight).expect("1 to 16");
        let worker = worker(slot, 1);
        let group = &mut stage.group;
        drop(group.start(worker, weight, Relief::Kill, now()));
        stage.admit(worker);
    }
    stage.connect(400);
    stage.until("all wait", |stage| stage.waiting() == 400);
    let queues = [0, 1, 2].map(|slot| stage.waiting_at(worker(slot, 1)));
    assert_eq!(queues, [200, 100, 100]);
}

/// Stopped workers answer nobody; those whom one has not are accepted here in its stead.
#[test]
fn in_a_crowd_a_queue_that_is_longer_has_fewer_turns() {
    let Some(mut stage) = Stage::with(2, &spec(Steering::Program)) else {
        return;
    };
    let [crowded, other] = [worker(0, 1), worker(1, 2)];
    stage.stop(crowded);
    stage.stop(other);
    stage.connect(40);
    stage.until("all wait", |stage| stage.waiting() == 40);
    let socket = stage.group.socket(other).expect("it has one");
    let served: Vec<_> = (0..15).map(|_| listener::accept(socket)).collect();
    assert!(served.iter().all(Result::is_ok));
    stage.until("it yields", |stage| !stage.group.to_yield.is_empty());
    stage.connect(16);
    stage.until("all wait", |stage| stage.waiting() == 41);
    // Strictly in turns it would be 28, and 13 at the other one.
    assert!(stage.waiting_at(crowded) <= 26);
    assert!(stage.notices.is_empty(), "{:?}", stage.notices);
}

#[test]
fn a_withdrawn_worker_gets_nothing_and_leaves_when_its_queue_is_empty() {
    let Some(mut stage) = Stage::with(3, &spec(Steering::Program)) else {
        return;
    };
    let leaving = worker(1, 2);
    stage.tell(Event::Withdraw { worker: leaving });
    stage.connect(100);
    stage.all_answered(100);
    assert_eq!(stage.heard(leaving), 0);
    stage.until("it may leave", |stage| {
        stage.notices.contains(&Notice::Withdrawn(leaving))
    });
    stage.kill(leaving);
    stage.connect(100);
    stage.all_answered(200);
}

#[test]
fn a_planned_replacement_loses_nobody() {
    in_both(|steering| {
        let Some(mut stage) = Stage::with(2, &spec(steering)) else {
            return;
        };
        for round in 0..3 {
            let (old, new) = (worker(0, 1 + round * 10), worker(0, 11 + round * 10));
            stage.connect(50);
            stage.start(new);
            stage.connect(50);
            stage.admit(new);
            stage.connect(50);
            stage.tell(Event::Withdraw { worker: old });
            stage.connect(50);
            stage.until("it may leave", |stage| {
                stage.notices.contains(&Notice::Withdrawn(old))
            });
            stage.kill(old);
            stage.connect(50);
        }
        stage.all_answered(750);
    });
}

/// Also without a program: who asks meanwhile asks again.
#[test]
fn r25c_a_worker_that_is_not_replaced_loses_nobody() {
    in_both(|steering| {
        let Some(mut stage) = Stage::with(3, &spec(steering)) else {
            return;
        };
        let leaving = worker(1, 2);
        stage.stop(leaving);
        stage.connect(60);
        stage.tell(Event::Withdraw { worker: leaving });
        stage.signal(leaving, herder_sys::signal::Signal::Continue);
        stage.until("it may leave", |stage| {
            stage.notices.contains(&Notice::Withdrawn(leaving))
        });
        stage.kill(leaving);
        stage.until("its socket is gone", |stage| stage.sockets() == 2);
        stage.connect(60);
        stage.all_answered(120);
    });
}

#[test]
fn two_groups_of_one_herd_do_not_mix() {
    in_both(|steering| {
        let (Some(mut one), Some(mut other)) = (
            Stage::with(2, &spec(steering)),
            Stage::with(2, &spec(steering)),
        ) else {
            return;
        };
        one.connect(20);
        other.connect(30);
        one.all_answered(20);
        other.all_answered(30);
    });
}

#[test]
fn nobody_else_gets_the_address() {
    in_both(|steering| {
        let Some(stage) = Stage::with(2, &spec(steering)) else {
            return;
        };
        let taken = stage.group.local();
        let error = Group::bind(&stage.spec, taken).err().expect("it is taken");
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        let error = TcpListener::bind(taken).expect_err("it is taken");
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    });
}

#[test]
fn the_next_master_goes_on_with_what_was_stored() {
    in_both(|steering| {
        let Some(mut stage) = Stage::with(3, &spec(steering)) else {
            return;
        };
        let stopped = worker(2, 3);
        stage.stop(stopped);
        stage.connect(30);
        let copy = |(piece, fd)| (piece, fd::duplicate(fd).expect("a descriptor"));
        let pieces: Pieces = stage.group.pieces().into_iter().map(copy).collect();
        let lives: Vec<_> = stage.workers.keys().copied().collect();
        let lives = lives.map_survivors();
        // The old master is gone; clients come while there is none.
        let before = stage.group.local();
        stage.group = Group::bind(&stage.spec, "127.0.0.1:0".parse().expect("an address"))
            .expect("a free port");
        let meanwhile = std::net::TcpStream::connect(before).expect("somebody listens");
        stage.group = Group::adopt(&stage.spec, pieces, &lives, now()).expect("whole");
        assert_eq!(stage.group.local(), before);
        drop(meanwhile);
        stage.signal(stopped, herder_sys::signal::Signal::Continue);
        for (worker, _, _) in lives {
            stage.admit(worker);
        }
        stage.connect(30);
        stage.all_answered(60);
        assert!(
            stage
                .group
                .pieces()
                .iter()
                .all(|(_, fd)| fd::duplicate(fd.as_fd()).is_ok())
        );
    });
}

trait Survivors {
    fn map_survivors(self) -> Vec<(herder_core::WorkerId, Weight, Relief)>;
}

impl Survivors for Vec<herder_core::WorkerId> {
    fn map_survivors(self) -> Vec<(herder_core::WorkerId, Weight, Relief)> {
        let survivor = |worker| (worker, Weight::ONE, Relief::Kill);
        self.into_iter().map(survivor).collect()
    }
}

#[test]
fn without_an_anchor_there_is_nothing_to_go_on_with() {
    let error = Group::adopt(&spec(Steering::Hash), Vec::new(), &[], now());
    let text = error.err().expect("nothing is there").to_string();
    assert!(text.contains("keeps the address"), "{text}");
}

#[test]
fn closed_doors_refuse_who_comes_and_serve_who_waits() {
    let Some(mut stage) = Stage::with(2, &spec(Steering::Program)) else {
        return;
    };
    let stopped = worker(0, 1);
    stage.stop(stopped);
    stage.connect(20);
    stage.group.close_doors();
    let refused = std::net::TcpStream::connect(stage.group.local());
    let error = refused.expect_err("nobody comes in");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    for slot in 0..2 {
        let worker = worker(slot, u64::from(slot) + 1);
        stage.tell(Event::Withdraw { worker });
    }
    stage.signal(stopped, herder_sys::signal::Signal::Continue);
    stage.all_answered(20);
    let error = std::net::TcpStream::connect(stage.group.local()).expect_err("nobody comes in");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}
