//! What a gateway is told of the workers, step by step.

use herder_core::{Incarnation, Slot, WorkerId};
use herder_wire::gateway::ToGateway;

use super::roster::{Order, Roster};

const GATEWAY: WorkerId = worker(0, 1);
const NEXT_GATEWAY: WorkerId = worker(0, 2);

const fn worker(slot: u16, life: u64) -> WorkerId {
    WorkerId {
        slot: Slot(slot),
        incarnation: Incarnation(life),
    }
}

fn expect(slot: u16, worker: u64) -> Order {
    let pid = 1000 + u32::try_from(worker).expect("small");
    Order::Tell(ToGateway::Expect { worker, slot, pid })
}

fn tell(message: ToGateway) -> Order {
    Order::Tell(message)
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
            Order::Connect(worker(1, 2)),
            tell(ToGateway::Admit { worker: 2 }),
            expect(2, 3),
            tell(ToGateway::Open),
        ]
    );
    let told = roster.withdrawn(Incarnation(1));
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
    assert_eq!(roster.gateway(), Some(GATEWAY));
    assert_eq!(roster.expect(first, 1001, None), [expect(0, 1)]);
    assert_eq!(roster.greeted(first), [Order::Connect(first)]);
    assert_eq!(roster.greeted(first), [], "linked once");
    assert_eq!(roster.admit(first), [tell(ToGateway::Admit { worker: 1 })]);
    assert_eq!(roster.open(), [tell(ToGateway::Open)]);
    assert_eq!(roster.hold(first), [tell(ToGateway::Hold { worker: 1 })]);
    let withdraw = [tell(ToGateway::Withdraw { worker: 1 })];
    assert_eq!(roster.withdraw(first), withdraw);
    assert_eq!(
        roster.withdrawn(first.incarnation),
        [Order::Withdrawn(first)]
    );
    assert_eq!(roster.withdrawn(first.incarnation), [], "told once");
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
    assert_eq!(roster.gateway_left(), []);
    assert_eq!(roster.gateway(), None);
    let told = roster.gateway_arrived(NEXT_GATEWAY);
    assert_eq!(
        told,
        [
            expect(0, 1),
            Order::Connect(worker(0, 1)),
            tell(ToGateway::Admit { worker: 1 }),
            expect(1, 2),
            Order::Connect(worker(1, 2)),
            tell(ToGateway::Admit { worker: 2 }),
            expect(2, 3),
            Order::Connect(worker(2, 3)),
            tell(ToGateway::Hold { worker: 3 }),
            expect(3, 4),
            tell(ToGateway::Open),
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
    let all = [
        expect(0, 1),
        Order::Connect(first),
        admit,
        tell(ToGateway::Open),
    ];
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
    assert_eq!(roster.gateway_left(), [Order::Withdrawn(second)]);
    assert_eq!(roster.withdrawn(second.incarnation), [], "too late");
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

#[test]
fn a_gateway_that_greets_while_another_one_is_known_takes_its_place() {
    let (mut roster, first) = (Roster::new(), worker(0, 1));
    roster.gateway_arrived(GATEWAY);
    settle(&mut roster, first);
    roster.withdraw(first);
    assert_eq!(
        roster.gateway_arrived(NEXT_GATEWAY),
        [Order::Withdrawn(first)]
    );
    assert_eq!(roster.gateway(), Some(NEXT_GATEWAY));
}
