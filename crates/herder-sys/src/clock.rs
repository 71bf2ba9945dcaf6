//! The clock that never goes back, and that of a thread's own work.

use std::time::Duration;

use rustix::time::ClockId;

/// Microseconds of `CLOCK_MONOTONIC`: the same for all processes of the machine, counted from a
/// point that means nothing.
#[must_use]
pub fn monotonic_micros() -> u64 {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let micros = u64::try_from(now.tv_nsec / 1_000).unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(micros)
}

/// How long the calling thread has had a processor, since it was started.
#[must_use]
pub fn thread_work() -> Duration {
    let work = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    let nanos = u32::try_from(work.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(work.tv_sec).unwrap_or(0), nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_thread_works_while_it_computes_and_not_while_it_sleeps() {
        let (start, before) = (Instant::now(), thread_work());
        while thread_work() - before < Duration::from_millis(5) {
            std::hint::spin_loop();
        }
        assert!(start.elapsed() >= Duration::from_millis(5));
        let (start, before) = (Instant::now(), thread_work());
        std::thread::sleep(Duration::from_millis(50));
        assert!(thread_work() - before < start.elapsed() / 2);
    }

    #[test]
    fn it_advances_with_the_clock_of_the_standard_library() {
        let outer = Instant::now();
        let before = monotonic_micros();
        let inner = Instant::now();
        while inner.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        let least = u64::try_from(inner.elapsed().as_micros()).unwrap();
        let passed = monotonic_micros() - before;
        let most = u64::try_from(outer.elapsed().as_micros()).unwrap();
        // Each number is cut to whole microseconds.
        assert!(
            (least - 1..=most + 1).contains(&passed),
            "{least} <= {passed} <= {most}"
        );
    }
}
