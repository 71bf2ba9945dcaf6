//! Turns that were missed come later.

use std::time::Duration;

use herder_core::dispatch::{Action, Event, MAX_BATCH};

use crate::desk::{Desk, worker};

const STEAL_AFTER: Duration = Duration::from_millis(10);
const A_MOMENT: Duration = Duration::from_micros(50);

/// So many connections one after the other, which all workers receive at once. Returns how many each got.
fn serve_all(desk: &mut Desk, workers: u16, count: usize) -> Vec<usize> {
    let mut served = vec![0; usize::from(workers)];
    for _ in 0..count {
        desk.accept(1);
        for slot in 0..workers {
            served[usize::from(slot)] += desk.receive(worker(slot), usize::MAX).len();
        }
        desk.pass(A_MOMENT);
        desk.log.clear();
    }
    served
}

/// As [`serve_all`], but the first worker receives nothing.
fn serve_without_the_first(desk: &mut Desk, workers: u16, count: usize) -> Vec<usize> {
    let mut served = vec![0; usize::from(workers)];
    for _ in 0..count {
        desk.accept(1);
        for slot in 1..workers {
            served[usize::from(slot)] += desk.receive(worker(slot), usize::MAX).len();
        }
        desk.pass(A_MOMENT);
        desk.log.clear();
    }
    served
}

/// How far apart the sums are.
fn spread<'a>(counts: impl IntoIterator<Item = &'a Vec<usize>>) -> usize {
    let mut sums = Vec::new();
    for counts in counts {
        sums.resize(counts.len(), 0);
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    sums.iter().max().expect("some") - sums.iter().min().expect("some")
}

#[test]
fn who_was_full_for_a_moment_has_its_turns_later() {
    let mut desk = Desk::new(2);
    let before = serve_without_the_first(&mut desk, 2, 50);
    assert_eq!(desk.channel(worker(0)).len(), 8, "its window is full");
    let after = serve_all(&mut desk, 2, 200);
    assert!(spread([&before, &after]) <= 1, "{before:?} {after:?}");
    let later = serve_all(&mut desk, 2, 100);
    assert_eq!(later, [50, 50], "nothing is made up for twice");
}

#[test]
fn what_was_taken_back_from_who_stood_still_is_made_up_for_as_well() {
    let mut desk = Desk::new(3);
    let before = serve_without_the_first(&mut desk, 3, 10);
    desk.pass(STEAL_AFTER);
    assert_eq!(desk.channel(worker(0)), []);
    let meanwhile = serve_without_the_first(&mut desk, 3, 100);
    let after = serve_all(&mut desk, 3, 400);
    assert!(
        spread([&before, &meanwhile, &after]) <= 1,
        "{before:?} {meanwhile:?} {after:?}"
    );
}

#[test]
fn who_makes_up_for_turns_has_two_in_a_round_and_the_others_go_on() {
    let mut desk = Desk::new(3);
    serve_without_the_first(&mut desk, 3, 80);
    desk.receive(worker(0), usize::MAX);
    desk.pass(A_MOMENT);
    assert_eq!(serve_all(&mut desk, 3, 40), [20, 10, 10]);
}

#[test]
fn who_is_slower_for_good_is_not_given_more_for_ever() {
    let mut desk = Desk::new(2);
    serve_without_the_first(&mut desk, 2, 5_000);
    desk.receive(worker(0), usize::MAX);
    let after = serve_all(&mut desk, 2, 5_000);
    assert!(
        (1000..=1048).contains(&spread([&after])),
        "{after:?}: a thousand, and what waited"
    );
}

#[test]
fn who_makes_up_for_turns_and_falls_behind_is_not_given_more() {
    let mut desk = Desk::new(2);
    serve_without_the_first(&mut desk, 2, 50);
    desk.receive(worker(0), 5);
    desk.pass(A_MOMENT);
    // Three lie there; with one more half of its window is full.
    let served = serve_without_the_first(&mut desk, 2, 4);
    assert_eq!((served[1], desk.channel(worker(0)).len()), (2, 5));
}

#[test]
fn after_a_pause_nobody_makes_up_for_anything() {
    let mut desk = Desk::new(2);
    serve_without_the_first(&mut desk, 2, 50);
    desk.receive(worker(0), usize::MAX);
    // What it has received is seen after 10 ms.
    desk.pass(Duration::from_millis(1010));
    assert_eq!(serve_all(&mut desk, 2, 100), [50, 50]);
}

#[test]
fn who_was_withdrawn_or_holds_back_misses_nothing() {
    let mut desk = Desk::new(2);
    let worker = worker(0);
    desk.tell(Event::Hold { worker });
    serve_without_the_first(&mut desk, 2, 50);
    desk.admit(worker);
    assert_eq!(serve_all(&mut desk, 2, 100), [50, 50]);
}

#[test]
fn nobody_is_passed_over_as_full_before_its_queue_was_looked_at() {
    let mut desk = Desk::new(2);
    desk.accept(14);
    desk.receive(worker(0), usize::MAX);
    desk.pass(A_MOMENT);
    desk.accept(8);
    assert_eq!(desk.channel(worker(0)).len(), 7);
    assert_eq!(desk.channel(worker(1)).len(), 8, "it is full indeed");
    let sent = desk.count(|action| matches!(action, Action::Send { .. }));
    assert!(sent <= 4 + 2 + 8 / MAX_BATCH, "{sent} messages");
}

#[test]
fn equal_workers_get_equally_many_whatever_holds_them_up() {
    for seed in 0..60 {
        let mut state = seed;
        let mut below = |limit: u64| {
            state = u64::wrapping_mul(state, 6_364_136_223_846_793_005).wrapping_add(1_442_695);
            (state >> 33) % limit
        };
        let workers = 2 + u16::try_from(below(4)).expect("small");
        let mut desk = Desk::new(workers);
        let mut held = vec![0; usize::from(workers)];
        let mut served = vec![0; usize::from(workers)];
        for _ in 0..2000 {
            if below(400) == 0 {
                let slot = usize::try_from(below(u64::from(workers))).expect("small");
                held[slot] = below(100);
            }
            // As the shell does, no more than there is credit for.
            let count = usize::try_from(1 + below(3)).expect("small");
            desk.accept(count.min(desk.dispatcher.accept_budget()));
            for slot in 0..workers {
                let place = usize::from(slot);
                match held[place] {
                    0 => served[place] += desk.receive(worker(slot), usize::MAX).len(),
                    _ => held[place] -= 1,
                }
            }
            desk.pass(Duration::from_micros(below(400)));
            desk.log.clear();
        }
        for slot in 0..workers {
            served[usize::from(slot)] += desk.receive(worker(slot), usize::MAX).len();
        }
        let after = serve_all(&mut desk, workers, 6000);
        assert!(
            spread([&served, &after]) <= 1,
            "seed {seed}: {served:?} {after:?}"
        );
    }
}

/// How many each of two workers gets when more connections come than they can take. The first has the processor
/// in `first` of ten milliseconds, the second one in `second`, and who has it receives up to `most` in each.
fn flood(first: u32, second: u32, most: usize) -> [usize; 2] {
    let mut desk = Desk::new(2);
    let mut served = [0; 2];
    for millisecond in 0..1000_u32 {
        for step in 0..20 {
            let budget = desk.dispatcher.accept_budget();
            desk.accept(budget);
            let place = millisecond % 10;
            let has_it = [place < first, 10 - place <= second];
            for (slot, has_it) in (0..2).zip(has_it) {
                if has_it && step * most / 20 != (step + 1) * most / 20 {
                    let count = most.div_ceil(20);
                    served[usize::from(slot)] += desk.receive(worker(slot), count).len();
                }
            }
            desk.pass(A_MOMENT);
            desk.log.clear();
        }
    }
    served
}

#[test]
fn equal_workers_are_even_in_a_flood_though_one_has_the_processor_more_often() {
    let [first, second] = flood(8, 4, 160);
    assert!(first.abs_diff(second) <= 300, "{first} {second}");
    assert!(first + second > 100_000, "{first} {second}");
}

#[test]
fn who_is_slower_for_good_holds_nobody_back_in_a_flood() {
    let mut desk = Desk::new(2);
    let mut served = [0; 2];
    for step in 0..20_000 {
        let budget = desk.dispatcher.accept_budget();
        desk.accept(budget);
        served[1] += desk.receive(worker(1), 8).len();
        if step % 10 == 0 {
            served[0] += desk.receive(worker(0), 1).len();
        }
        desk.pass(A_MOMENT);
        desk.log.clear();
    }
    assert_eq!(served[0], 2000, "it has always something to do");
    assert!(served[1] > 20_000 * 7, "{served:?}");
}
