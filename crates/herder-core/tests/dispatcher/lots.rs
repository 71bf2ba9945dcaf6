//! Two drawn by lot.

use herder_core::dispatch::{Dispatcher, Event};
use herder_core::spec::{DispatchSpec, PickerKind};
use herder_core::{ConnId, Tick};

use crate::desk::{Desk, worker};

const WORKERS: u16 = 8;

fn desk() -> Desk {
    Desk::picking(WORKERS, PickerKind::TwoChoices)
}

#[test]
fn idle_workers_get_about_the_same_number() {
    let mut desk = desk();
    let mut served = [0_usize; 8];
    for _ in 0..8_000 {
        desk.accept(1);
        for slot in 0..WORKERS {
            served[usize::from(slot)] += desk.receive(worker(slot), usize::MAX).len();
        }
        desk.log.clear();
    }
    assert!(
        served.iter().all(|count| (800..1_200).contains(count)),
        "{served:?}"
    );
}

#[test]
fn a_burst_is_more_even_than_one_lot_would_make_it() {
    let mut most = Vec::new();
    for _ in 0..50 {
        let mut desk = desk();
        desk.accept(32);
        let held = |slot| desk.channel(worker(slot)).len();
        most.push((0..WORKERS).map(held).max().unwrap_or(0));
    }
    // One lot each: the fullest of 8 has 8 of 32 as a rule. Two: 5 or 6.
    assert!(most.iter().all(|most| *most <= 7), "{most:?}");
}

#[test]
fn the_most_loaded_gets_nothing() {
    let mut desk = desk();
    let busy = worker(3);
    desk.tell(Event::Load {
        worker: busy,
        open: 1_000,
    });
    for _ in 0..200 {
        desk.accept(1);
        for slot in 0..WORKERS {
            desk.receive(worker(slot), usize::MAX);
        }
        assert_eq!(desk.dispatcher.queued(busy), 0);
    }
}

#[test]
fn who_has_no_room_is_not_drawn_and_the_last_one_gets_the_rest() {
    let mut desk = Desk::picking(2, PickerKind::TwoChoices);
    desk.accept(16);
    assert_eq!(desk.channel(worker(0)).len(), 8);
    desk.receive(worker(1), usize::MAX);
    desk.accept(3);
    assert_eq!(desk.channel(worker(1)).len(), 3);
    let mut alone = Desk::picking(1, PickerKind::TwoChoices);
    alone.accept(2);
    assert_eq!(alone.channel(worker(0)).len(), 2);
}

#[test]
fn the_same_seed_draws_the_same_lots() {
    let dealt = |seed| {
        let spec = DispatchSpec {
            picker: PickerKind::TwoChoices,
            ..DispatchSpec::default()
        };
        let mut dispatcher = Dispatcher::new(&spec, seed);
        for slot in 0..WORKERS {
            let worker = worker(slot);
            dispatcher.handle(Event::Admit { worker }, Tick::ZERO);
        }
        for conn in (0..40).map(ConnId) {
            dispatcher.handle(Event::Accepted { conn, origin: None }, Tick::ZERO);
        }
        std::iter::from_fn(|| dispatcher.poll_action()).collect::<Vec<_>>()
    };
    assert_eq!(dealt(1), dealt(1));
    assert_ne!(dealt(1), dealt(2));
}
