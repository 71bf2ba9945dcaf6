//! Going on after the death of who knew everything.

use herder_core::Slot;
use herder_core::rotation::{Relief, Rotation, Survivor, Weight};

use crate::desk::{Desk, by_program, enter, rotate, socket, worker};

#[test]
fn who_had_turns_keeps_them() {
    let sockets = [
        (socket(0, 1), false),
        (socket(0, 7), true),
        (socket(1, 2), true),
    ];
    let survivors = [worker(0, 1), worker(0, 9), worker(1, 2)].map(|worker| Survivor {
        worker,
        weight: Weight::ONE,
        relief: Relief::Kill,
    });
    let turns = [Slot(0), Slot(1)];
    let mut desk = Desk::new(&by_program());
    desk.queues = sockets.iter().map(|(id, _)| (*id, 0)).collect();
    desk.rotation = Rotation::restored(&by_program(), &sockets, &turns, &survivors);
    // The older has the socket that it had, the later one the other.
    assert_eq!(desk.rotation.socket_of(worker(0, 1)), Some(socket(0, 1)));
    assert_eq!(desk.rotation.socket_of(worker(0, 9)), Some(socket(0, 7)));
    assert_eq!(desk.admit(worker(0, 9)), []);
    assert_eq!(desk.admit(worker(1, 2)), []);
    assert_eq!(desk.turns(), [0, 1]);
    desk.gone(worker(1, 2));
    assert_eq!(desk.turns(), [0]);
}

#[test]
fn without_a_program_in_the_kernel_everything_is_written_anew() {
    let sockets = [(socket(0, 1), false), (socket(1, 2), false)];
    let survivors = [worker(0, 1), worker(1, 2)].map(|worker| Survivor {
        worker,
        weight: Weight::ONE,
        relief: Relief::Kill,
    });
    let mut rotation = Rotation::restored(&by_program(), &sockets, &[], &survivors);
    let actions: Vec<_> = std::iter::from_fn(|| rotation.poll_action()).collect();
    let written = [enter(0, 1), enter(1, 2), rotate(&[0, 1])];
    assert_eq!(actions[..3], written, "{actions:?}");
}
