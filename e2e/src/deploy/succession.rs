//! Masters that die, and those that come after them.

use crate::deploy::deployed::Deployed;
use crate::herd::{Herd, Signal};
use crate::process::Process;
use crate::wait;
use std::time::{Duration, Instant};

/// What a new master says of what it found: "took over 4 workers after the master's death; 3 connections it held
/// were cut".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// Workers that it goes on with.
    pub workers: usize,
    /// Connections that the dead one had in its hands.
    pub cut: u64,
    /// From the death (or what led to it) to the news.
    pub after: Duration,
}

impl Takeover {
    /// All that were told after `mark`, without times.
    pub fn all_after(herd: &Herd, mark: usize) -> Vec<Takeover> {
        let lines = herd.lines_after(mark);
        let read = lines
            .iter()
            .filter_map(|line| Takeover::of_line(&line.text));
        read.map(|(workers, cut)| Takeover {
            workers,
            cut,
            after: Duration::ZERO,
        })
        .collect()
    }

    /// Reads a line of the log: the workers, and the cut.
    pub(crate) fn of_line(line: &str) -> Option<(usize, u64)> {
        let (_, text) = line.split_once("took over ")?;
        let (workers, rest) = text.split_once(' ')?;
        let cut = match rest.split_once("; ") {
            Some((_, cut)) => cut.split(' ').next()?.parse().unwrap_or(0),
            None => 0,
        };
        Some((workers.parse().ok()?, cut))
    }
}

impl Deployed<'_> {
    /// Sends the master a signal that it will not survive, by itself or by its keeper, and waits for the next one.
    ///
    /// # Panics
    /// When none is in charge within `within`.
    #[track_caller]
    pub fn end_master(&self, signal: Signal, within: Duration) -> Takeover {
        end_master(&self.herd, signal, within)
    }
}

/// As [`Deployed::end_master`], for any herd.
///
/// # Panics
/// As there.
#[track_caller]
pub fn end_master(herd: &Herd, signal: Signal, within: Duration) -> Takeover {
    let before = wait::until(within, "a master", || herd.master());
    let mark = herd.mark();
    let begun = Instant::now();
    herd.signal_to(before.pid, signal);
    takeover_after(herd, mark, begun, &before, within)
}

/// Waits for the master that comes after `before`, whose end began at `begun`.
///
/// # Panics
/// When none is in charge within `within`.
#[track_caller]
pub fn takeover_after(
    herd: &Herd,
    mark: usize,
    begun: Instant,
    before: &Process,
    within: Duration,
) -> Takeover {
    let (workers, cut) =
        herd.wait_for_line_after(mark, "a new master takes over", within, Takeover::of_line);
    let after = begun.elapsed();
    assert!(!before.lives_on(), "the old master lives");
    Takeover {
        workers,
        cut,
        after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_takeover_is_read() {
        let line = "T web: warning: took over 4 workers after the master's death; 3 connections it \
                    held were cut";
        assert_eq!(Takeover::of_line(line), Some((4, 3)));
        let line = "T web: took over 1 worker after the master's death; no connection was cut";
        assert_eq!(Takeover::of_line(line), Some((1, 0)));
        assert_eq!(Takeover::of_line("T web: ready"), None);
    }
}
