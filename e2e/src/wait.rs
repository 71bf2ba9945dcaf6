//! Waiting for something that sends no event. The only place of the tests that may sleep.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Asks `probe` again and again until it answers, and returns its answer.
///
/// Pauses 1 ms between questions, later 5 ms: `/proc` and the like have nothing to wait on. Whatever can
/// be waited for (a line, an exit, a readable socket) has its own function elsewhere and does not come here.
///
/// # Panics
/// When `within` has passed without an answer; the message names `what`.
#[track_caller]
pub fn until<T>(within: Duration, what: &str, probe: impl FnMut() -> Option<T>) -> T {
    match attempt(within, probe) {
        Some(answer) => answer,
        None => panic!("not within {within:?}: {what}"),
    }
}

/// Like [`until`], for a caller that has its own words for the failure: `None` when time is up.
/// The probe is always asked at least once, and once more after the deadline.
pub fn attempt<T>(within: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        let last = begun.elapsed() >= within;
        if let Some(answer) = probe() {
            return Some(answer);
        }
        if last {
            return None;
        }
        thread::sleep(pause(begun.elapsed()).min(within.saturating_sub(begun.elapsed())));
    }
}

/// How long a measurement is repeated.
const REPEATED: Duration = Duration::from_secs(60);

/// Measures until one measurement is at most `limit`, again and again for a minute at most. Returns it.
///
/// A machine that others use may stand still for a second at any moment, and what was measured then is the
/// machine. What is too slow by itself is too slow every time. The longest time in which not even this process ran
/// is granted in addition.
///
/// # Panics
/// When none was; the message shows them all.
#[track_caller]
pub fn timed(limit: Duration, mut measure: impl FnMut() -> Duration) -> Duration {
    let begun = Instant::now();
    let mut all = Vec::new();
    loop {
        let (took, still) = watched(&mut measure);
        if took <= limit + still {
            return took;
        }
        all.push((took, still));
        assert!(
            begun.elapsed() < REPEATED,
            "not once within {limit:?}: {all:?}"
        );
    }
}

/// Tells a thread that it may end, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Measures, and finds out for how long this process did not run meanwhile.
fn watched(measure: &mut impl FnMut() -> Duration) -> (Duration, Duration) {
    const BEAT: Duration = Duration::from_millis(5);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut longest, mut last) = (Duration::ZERO, Instant::now());
            while !over.load(Ordering::Relaxed) {
                thread::sleep(BEAT);
                longest = longest.max(last.elapsed().saturating_sub(BEAT));
                last = Instant::now();
            }
            longest
        });
        let ends = Over(&over);
        let took = measure();
        drop(ends);
        (took, watch.join().expect("it only sleeps"))
    })
}

/// Short at first, because most things happen at once; longer later, to leave the processor to them.
fn pause(waited: Duration) -> Duration {
    if waited < Duration::from_millis(50) {
        Duration::from_millis(1)
    } else {
        Duration::from_millis(5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_the_wait() {
        let mut asked = 0;
        let answer = until(Duration::from_secs(5), "the third question", || {
            asked += 1;
            (asked == 3).then_some("yes")
        });
        assert_eq!((answer, asked), ("yes", 3));
    }

    #[test]
    fn without_time_the_probe_is_still_asked() {
        assert_eq!(attempt(Duration::ZERO, || Some(1)), Some(1));
    }

    #[test]
    fn one_measurement_in_time_is_enough() {
        let mut measured = [60, 40, 20, 0].map(Duration::from_secs).into_iter();
        let took = timed(Duration::from_secs(20), || measured.next().unwrap());
        assert_eq!(took, Duration::from_secs(20));
        assert_eq!(measured.next(), Some(Duration::ZERO));
    }

    #[test]
    #[should_panic(expected = "not within 2ms: a miracle")]
    fn the_deadline_is_kept_and_named() {
        until(Duration::from_millis(2), "a miracle", || None::<()>);
    }
}
