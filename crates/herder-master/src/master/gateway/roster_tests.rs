//! What a gateway is told of the workers, step by step.

use herder_core::{Incarnation, Slot, WorkerId};
use herder_wire::gateway::ToGateway;
use herder_wire::proxy::WorkerAddress;

use super::entry::{Order, Place, Said};
use super::ledger::Ejection;
use super::roster::{Lodger, Roster};

const GATEWAY: WorkerId = worker(0, 1);
const NEXT_GATEWAY: WorkerId = worker(0, 2);

const fn worker(slot: u16, life: u64) -> WorkerId {
    WorkerId {
        slot: Slot(slot),
        incarnation: Incarnation(life),
    }
}

fn expect(slot: u16, worker: u64) -> Order {
    tell(expected(slot, worker))
}

fn expected(slot: u16, worker: u64) -> ToGateway {
    let pid = 1000 + u32::try_from(worker).expect("small");
    ToGateway::Expect { worker, slot, pid }
}

fn tell(message: ToGateway) -> Order {
    Order::Tell(GATEWAY, message)
}

fn tell_next(message: ToGateway) -> Order {
    Order::Tell(NEXT_GATEWAY, message)
}

fn connect(worker: WorkerId) -> Order {
    let gateway = GATEWAY;
    Order::Connect { gateway, worker }
}

fn connect_next(worker: WorkerId) -> Order {
    let gateway = NEXT_GATEWAY;
    Order::Connect { gateway, worker }
}

fn present(roster: &Roster) -> Vec<WorkerId> {
    roster.gateways().collect()
}

/// A worker that was started, has greeted and is admitted.
fn settle(roster: &mut Roster, id: WorkerId) {
    let pid = 1000 + i32::try_from(id.incarnation.0).expect("small");
    roster.expect(id, pid, None);
    roster.greeted(id);
    roster.admit(id);
}

#[test]
fn r27_a_gateway_that_outlives_a_master_hears_what_it_may_have_missed() {
    let mut roster = Roster::new();
    roster.gateway_arrived(GATEWAY);
    settle(&mut roster, worker(0, 1));
    settle(&mut roster, worker(1, 2));
    roster.expect(worker(2, 3), 1003, None);
    roster.withdraw(worker(0, 1));
    roster.open();
    // It has heard of the first, and of one that is dead by now.
    let orders = roster.gateway_stays(GATEWAY, &[1, 9]);
    assert_eq!(
        orders,
        [
            tell(ToGateway::Gone { worker: 9 }),
            tell(ToGateway::Withdraw { worker: 1 }),
            expect(1, 2),
            connect(worker(1, 2)),
            tell(ToGateway::Admit { worker: 2 }),
            expect(2, 3),
            tell(ToGateway::Open),
        ]
    );
    let told = roster.withdrawn(GATEWAY, Incarnation(1), 0);
    assert_eq!(told, [Order::Withdrawn(worker(0, 1))]);
    let orders = roster.gateway_stays(GATEWAY, &[1, 2]);
    assert_eq!(
        orders,
        [
            tell(ToGateway::Admit { worker: 2 }),
            expect(2, 3),
            tell(ToGateway::Open),
        ]
    );
    let gone = roster.gone(worker(0, 1));
    assert_eq!(gone, [tell(ToGateway::Gone { worker: 1 })]);
}

#[test]
fn a_gateway_hears_of_a_worker_step_by_step() {
    let (mut roster, first) = (Roster::new(), worker(0, 1));
    assert_eq!(roster.gateway_arrived(GATEWAY), []);
    assert_eq!(present(&roster), [GATEWAY]);
    assert_eq!(roster.expect(first, 1001, None), [expect(0, 1)]);
    assert_eq!(roster.greeted(first), [connect(first)]);
    assert_eq!(roster.greeted(first), [], "linked once");
    assert_eq!(roster.admit(first), [tell(ToGateway::Admit { worker: 1 })]);
    assert_eq!(roster.open(), [tell(ToGateway::Open)]);
    assert_eq!(roster.hold(first), [tell(ToGateway::Hold { worker: 1 })]);
    let withdraw = [tell(ToGateway::Withdraw { worker: 1 })];
    assert_eq!(roster.withdraw(first), withdraw);
    assert_eq!(
        roster.withdrawn(GATEWAY, first.incarnation, 0),
        [Order::Withdrawn(first)]
    );
    assert_eq!(
        roster.withdrawn(GATEWAY, first.incarnation, 0),
        [],
        "told once"
    );
    assert_eq!(roster.gone(first), [tell(ToGateway::Gone { worker: 1 })]);
    assert_eq!(roster.gone(first), []);
}

#[test]
fn a_new_gateway_is_told_everything_anew() {
    let mut roster = Roster::new();
    roster.gateway_arrived(GATEWAY);
    settle(&mut roster, worker(1, 2));
    settle(&mut roster, worker(0, 1));
    settle(&mut roster, worker(2, 3));
    roster.hold(worker(2, 3));
    roster.expect(worker(3, 4), 1004, None);
    settle(&mut roster, worker(4, 5));
    roster.gone(worker(4, 5));
    roster.open();
    assert_eq!(roster.gateway_left(GATEWAY), []);
    assert_eq!(present(&roster), []);
    let told = roster.gateway_arrived(NEXT_GATEWAY);
    assert_eq!(
        told,
        [
            tell_next(expected(0, 1)),
            connect_next(worker(0, 1)),
            tell_next(ToGateway::Admit { worker: 1 }),
            tell_next(expected(1, 2)),
            connect_next(worker(1, 2)),
            tell_next(ToGateway::Admit { worker: 2 }),
            tell_next(expected(2, 3)),
            connect_next(worker(2, 3)),
            tell_next(ToGateway::Hold { worker: 3 }),
            tell_next(expected(3, 4)),
            tell_next(ToGateway::Open),
        ]
    );
}

#[test]
fn what_happens_without_a_gateway_is_told_to_the_next_one() {
    let (mut roster, first) = (Roster::new(), worker(0, 1));
    assert_eq!(roster.expect(first, 1001, None), []);
    assert_eq!(roster.greeted(first), []);
    assert_eq!(roster.admit(first), []);
    assert_eq!(roster.open(), []);
    let told = roster.gateway_arrived(GATEWAY);
    let admit = tell(ToGateway::Admit { worker: 1 });
    let all = [expect(0, 1), connect(first), admit, tell(ToGateway::Open)];
    assert_eq!(told, all);
}

#[test]
fn a_withdrawal_never_waits_for_a_gateway_that_is_gone() {
    let mut roster = Roster::new();
    settle(&mut roster, worker(0, 1));
    settle(&mut roster, worker(1, 2));
    let first = worker(0, 1);
    assert_eq!(roster.withdraw(first), [Order::Withdrawn(first)], "nobody");

    roster.gateway_arrived(GATEWAY);
    let second = worker(1, 2);
    roster.withdraw(second);
    assert_eq!(roster.gateway_left(GATEWAY), [Order::Withdrawn(second)]);
    assert_eq!(
        roster.withdrawn(GATEWAY, second.incarnation, 0),
        [],
        "too late"
    );
    assert_eq!(
        roster.gateway_arrived(NEXT_GATEWAY),
        [],
        "who leaves is nothing to a new gateway"
    );
    assert_eq!(roster.gone(second), []);
}

#[test]
fn who_was_withdrawn_before_a_gateway_came_is_withdrawn_for_it_too() {
    let (mut roster, first) = (Roster::new(), worker(0, 1));
    settle(&mut roster, first);
    roster.withdraw(first);
    roster.gateway_arrived(GATEWAY);
    assert_eq!(roster.withdraw(first), [Order::Withdrawn(first)]);
    assert_eq!(roster.greeted(first), []);
    assert_eq!(roster.gone(first), []);
}

#[test]
fn a_gateway_that_comes_late_finds_the_doors_as_they_are() {
    let mut roster = Roster::new();
    assert!(roster.is_shut());
    assert_eq!(roster.close(7500), []);
    assert!(!roster.is_shut());
    let within_millis = 7500;
    let close = tell(ToGateway::CloseListeners { within_millis });
    assert_eq!(roster.gateway_arrived(GATEWAY), [close]);
}

/// Two gateways, and a worker behind them that is admitted.
fn behind_two() -> (Roster, WorkerId) {
    let (mut roster, first) = (Roster::new(), worker(0, 1));
    roster.gateway_arrived(GATEWAY);
    roster.gateway_arrived(NEXT_GATEWAY);
    assert_eq!(present(&roster), [GATEWAY, NEXT_GATEWAY]);
    roster.expect(first, 1001, Some(place()));
    roster.admit(first);
    (roster, first)
}

fn place() -> Place {
    Place {
        generation: 1,
        address: WorkerAddress::Unix(b"/run/worker".to_vec()),
    }
}

#[test]
fn a_worker_is_withdrawn_when_all_gateways_have_said_so() {
    let (mut roster, first) = behind_two();
    let withdraw = ToGateway::Withdraw { worker: 1 };
    let both = [tell(withdraw.clone()), tell_next(withdraw)];
    assert_eq!(roster.withdraw(first), both);
    let life = first.incarnation;
    assert_eq!(roster.withdrawn(GATEWAY, life, 0), []);
    assert_eq!(
        roster.withdrawn(GATEWAY, life, 0),
        [],
        "it is one all the same"
    );
    let withdrawn = [Order::Withdrawn(first)];
    assert_eq!(roster.withdrawn(NEXT_GATEWAY, life, 0), withdrawn);
    assert_eq!(roster.withdrawn(NEXT_GATEWAY, life, 0), [], "told once");
}

#[test]
fn a_gateway_that_dies_owes_no_answer_any_more() {
    let (mut roster, first) = behind_two();
    roster.withdraw(first);
    assert_eq!(
        roster.gateway_left(GATEWAY),
        [],
        "the other one has requests"
    );
    let withdrawn = [Order::Withdrawn(first)];
    assert_eq!(roster.gateway_left(NEXT_GATEWAY), withdrawn);
}

#[test]
fn an_answer_to_an_earlier_withdrawal_is_none_to_this_one() {
    let (mut roster, first) = behind_two();
    let life = first.incarnation;
    roster.withdraw(first);
    roster.admit(first);
    assert_eq!(roster.withdrawn(GATEWAY, life, 0), [], "it was asked back");
    let again = ToGateway::WithdrawAgain {
        worker: 1,
        epoch: 1,
    };
    let both = [tell(again.clone()), tell_next(again)];
    assert_eq!(roster.withdraw(first), both);
    assert_eq!(roster.withdrawn(GATEWAY, life, 0), []);
    assert_eq!(roster.withdrawn(NEXT_GATEWAY, life, 0), []);
    assert_eq!(roster.withdrawn(NEXT_GATEWAY, life, 1), []);
    let withdrawn = [Order::Withdrawn(first)];
    assert_eq!(roster.withdrawn(GATEWAY, life, 1), withdrawn);
}

#[test]
fn a_gateway_that_came_while_a_worker_had_left_hears_of_it_when_it_is_admitted_again() {
    let (mut roster, first) = (Roster::new(), worker(0, 1));
    roster.expect(first, 1001, Some(place()));
    roster.withdraw(first);
    assert_eq!(roster.gateway_arrived(GATEWAY), []);
    let [Order::Tell(GATEWAY, ToGateway::Backend(_)), admit] = &roster.admit(first)[..] else {
        panic!("it is introduced first");
    };
    assert_eq!(*admit, tell(ToGateway::Admit { worker: 1 }));
}

#[test]
fn what_all_gateways_have_counted_is_one_sum() {
    let (mut roster, first) = behind_two();
    let life = first.incarnation;
    assert_eq!(roster.note_load(GATEWAY, life, (2, 10, 1)), Some(10));
    assert_eq!(roster.note_load(NEXT_GATEWAY, life, (3, 5, 0)), Some(15));
    assert_eq!(roster.note_load(GATEWAY, life, (1, 11, 1)), Some(16));
    let load = |roster: &Roster| {
        let (_, load) = roster.traffic(life).expect("it has a place");
        (load.open, load.served, load.failed)
    };
    assert_eq!(load(&roster), (4, 16, 1));
    roster.gateway_left(GATEWAY);
    assert_eq!(load(&roster), (3, 16, 1));
    roster.gateway_arrived(worker(0, 3));
    assert_eq!(roster.note_load(worker(0, 3), life, (1, 1, 1)), Some(17));
    assert_eq!(load(&roster), (4, 17, 2));
    let nobody = worker(9, 9);
    assert_eq!(roster.note_load(nobody, life, (1, 1, 1)), None);
}

#[test]
fn a_worker_that_several_gateways_leave_out_is_told_of_once() {
    let (mut roster, first) = behind_two();
    let life = first.incarnation;
    assert!(roster.note_ejection(GATEWAY, life, Ejection::Out));
    assert!(!roster.note_ejection(NEXT_GATEWAY, life, Ejection::Out));
    assert!(!roster.note_ejection(GATEWAY, life, Ejection::In));
    let (_, load) = roster.traffic(life).expect("it has a place");
    assert!(load.is_ejected());
    assert!(roster.note_ejection(NEXT_GATEWAY, life, Ejection::In));
    let (_, load) = roster.traffic(life).expect("it has a place");
    assert!(!load.is_ejected());
}

#[test]
fn r26_what_a_worker_has_said_before_it_listens_is_known_to_the_next_master() {
    let (mut roster, first) = (Roster::new(), worker(0, 1));
    roster.expect(first, 1001, Some(place()));
    let lodger = |said| Lodger {
        worker: first,
        address: place().address,
        said,
    };
    assert_eq!(roster.lodgers(), [lodger(Said::Nothing)]);
    roster.note_ready(first);
    assert_eq!(handed_on(&roster).lodgers(), [lodger(Said::Ready)]);
}

#[test]
fn r27_gateways_are_known_to_the_next_master() {
    let (mut roster, first) = behind_two();
    let life = first.incarnation;
    roster.note_load(GATEWAY, life, (2, 10, 1));
    roster.withdraw(first);
    roster.withdrawn(GATEWAY, life, 0);
    let mut roster = handed_on(&roster);
    let (_, load) = roster.traffic(life).expect("it has a place");
    assert_eq!(load.served, 10);
    let withdrawn = [Order::Withdrawn(first)];
    assert_eq!(roster.withdrawn(NEXT_GATEWAY, life, 0), withdrawn);
}

#[test]
fn r31_the_one_gateway_of_an_earlier_build_is_one_of_them() {
    let text = r#"{
        "workers": {"1": {"slot": 0, "pid": 1001, "voice": "Silent", "standing": "Withdrawing",
            "lodging": {"generation": 1, "address": {"Unix": [47, 97]}},
            "load": {"open": 1, "served": 9, "failed": 2, "before": [7, 2], "ejection": "In"}}},
        "gateway": {"Present": {"id": {"slot": 0, "incarnation": 1}, "known": [1]}},
        "doors": "Open"
    }"#;
    let roster: Roster = serde_json::from_str(text).expect("as it was written");
    let mut roster = roster.taken_over();
    assert_eq!(present(&roster), [GATEWAY]);
    let first = worker(0, 1);
    let life = first.incarnation;
    assert_eq!(roster.note_load(GATEWAY, life, (1, 2, 0)), Some(9));
    let withdrawn = [Order::Withdrawn(first)];
    assert_eq!(roster.withdrawn(GATEWAY, life, 0), withdrawn);
}

/// As the next master reads it.
fn handed_on(roster: &Roster) -> Roster {
    let text = serde_json::to_string(roster).expect("it can be written");
    let read: Roster = serde_json::from_str(&text).expect("it can be read");
    read.taken_over()
}
