//! When each of many long connections is to be closed.

use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How many connections a second are closed at most, unless the program says otherwise: each of
/// their clients comes back at once, to the same herd.
pub(crate) const CLOSE_RATE: NonZeroU32 = NonZeroU32::new(1000).expect("it is not zero");

/// The moments of one worker's farewells.
#[derive(Default)]
pub(crate) struct Farewells {
    /// How many wait for theirs.
    waiting: AtomicU32,
    /// Whose turn is next.
    next: AtomicU32,
    plan: OnceLock<Plan>,
}

/// One every so often.
#[derive(Clone, Copy, Debug)]
struct Plan {
    first: Instant,
    every: Duration,
    last: Instant,
}

/// From when to when farewells are said, counted from the beginning of the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Before that, even long connections may come to their end by themselves.
    pub(crate) first: Duration,
    pub(crate) last: Duration,
}

impl Window {
    /// Everybody at once.
    pub(crate) const NOW: Window = Window {
        first: Duration::ZERO,
        last: Duration::ZERO,
    };

    /// Three quarters of this time, but for a moment at its beginning.
    pub(crate) fn within(time: Duration) -> Window {
        const MOMENT: Duration = Duration::from_secs(1);
        let last = time / 4 * 3;
        Window {
            first: MOMENT.min(last / 4),
            last,
        }
    }
}

impl Farewells {
    pub(crate) fn join(&self) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn leave(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// The moment of the next in the line. The first who asks opens this window, into which those are
    /// spread that wait then; whoever is too many for the rate has its turn when the window ends.
    pub(crate) fn moment(&self, window: impl FnOnce() -> Window, rate: NonZeroU32) -> Instant {
        let plan = self.plan.get_or_init(|| {
            let (waiting, window) = (self.waiting.load(Ordering::Acquire), window());
            let began = Instant::now();
            Plan {
                first: began + window.first,
                every: pace(waiting, window.last.saturating_sub(window.first), rate),
                last: began + window.last,
            }
        });
        let turn = self.next.fetch_add(1, Ordering::AcqRel);
        let at = plan.first.checked_add(plan.every.saturating_mul(turn));
        at.map_or(plan.last, |at| at.min(plan.last))
    }
}

/// How long from one farewell to the next.
fn pace(waiting: u32, window: Duration, rate: NonZeroU32) -> Duration {
    let fastest = Duration::from_secs(1) / rate.get();
    (window / waiting.max(1)).max(fastest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window {
        first: Duration::ZERO,
        last: Duration::from_secs(10),
    };

    fn moments(count: u32, rate: u32) -> Vec<Duration> {
        let farewells = Farewells::default();
        (0..count).for_each(|_| farewells.join());
        let rate = NonZeroU32::new(rate).unwrap();
        let moments: Vec<_> = (0..count)
            .map(|_| farewells.moment(|| WINDOW, rate))
            .collect();
        let first = moments[0];
        moments.into_iter().map(|at| at - first).collect()
    }

    #[test]
    fn those_that_wait_are_spread_evenly_over_the_window() {
        let seconds: Vec<_> = moments(5, 1000).iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [0, 2, 4, 6, 8]);
    }

    #[test]
    fn no_second_has_more_than_the_rate_but_the_last() {
        let moments = moments(100, 4);
        for second in 0..10 {
            let in_it = moments.iter().filter(|at| at.as_secs() == second).count();
            assert_eq!(in_it, 4);
        }
        assert_eq!(moments.last(), Some(&WINDOW.last));
    }

    #[test]
    fn whoever_comes_later_has_a_turn_within_the_window() {
        let farewells = Farewells::default();
        farewells.join();
        let rate = NonZeroU32::new(1000).unwrap();
        let first = farewells.moment(|| WINDOW, rate);
        farewells.leave();
        assert_eq!(farewells.moment(|| Window::NOW, rate) - first, WINDOW.last);
    }

    #[test]
    fn three_quarters_of_the_time_are_for_farewells() {
        let second = Duration::from_secs(1);
        let window = Window::within(20 * second);
        assert_eq!((window.first, window.last), (second, 15 * second));
        let window = Window::within(4 * second);
        assert_eq!((window.first, window.last), (3 * second / 4, 3 * second));
    }

    #[test]
    fn a_window_of_no_length_is_for_all_at_once() {
        let farewells = Farewells::default();
        let rate = NonZeroU32::new(1).unwrap();
        let moments: Vec<_> = (0..3)
            .map(|_| farewells.moment(|| Window::NOW, rate))
            .collect();
        assert_eq!(moments[0], moments[2]);
    }
}
