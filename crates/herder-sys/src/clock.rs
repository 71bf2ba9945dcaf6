//! The clock that never goes back.

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

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
