//! How late the executor is.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shorter than this, a method did not keep anybody waiting.
const LONG: Duration = Duration::from_millis(1);

/// How long it is remembered that a method kept its thread.
const MEMORY: Duration = Duration::from_secs(5);

/// Remembers which method kept its thread longest of late: a library that is busy is not dead,
/// and its callers can tell.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    longest: Mutex<Option<Longest>>,
}

#[derive(Clone, Copy, Debug)]
struct Longest {
    at: Instant,
    took: Duration,
}

impl Pulse {
    /// A method kept its thread since `start`.
    pub(super) fn polled(&self, start: Instant) {
        let took = start.elapsed();
        if took < LONG {
            return;
        }
        let mut longest = self.longest.lock().unwrap_or_else(PoisonError::into_inner);
        if longest.is_none_or(|longest| longest.took <= took || longest.at.elapsed() > MEMORY) {
            *longest = Some(Longest { at: start, took });
        }
    }

    /// How late the executor is, when it took `probe` to start a task.
    pub(super) fn lag(&self, probe: Duration) -> Duration {
        let longest = *self.longest.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = longest.filter(|longest| longest.at.elapsed() <= longest.took + MEMORY);
        recent.map_or(probe, |longest| longest.took.max(probe))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_late_counts() {
        let pulse = Pulse::default();
        let probe = Duration::from_micros(5);
        assert_eq!(pulse.lag(probe), probe);
        let ago = |time| Instant::now().checked_sub(time).unwrap();
        pulse.polled(ago(Duration::from_millis(200)));
        pulse.polled(ago(Duration::from_millis(20)));
        assert!(pulse.lag(probe) >= Duration::from_millis(200));
        assert!(pulse.lag(Duration::from_secs(1)) == Duration::from_secs(1));
    }
}
