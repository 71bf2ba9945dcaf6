//! What a program has said so far, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Where a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
}

/// One line of output, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was read.
    pub at: Instant,
    /// Where it was written.
    pub stream: Stream,
    /// Its text; what is not UTF-8 is replaced.
    pub text: String,
}

/// The lines of both streams in the order in which they were read.
#[derive(Debug, Default)]
pub(super) struct Output {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<Line>,
    open: usize,
}

impl Output {
    /// Reads `source` on a thread of its own until everybody who can write to it is gone.
    pub(super) fn read(self: &Arc<Self>, stream: Stream, source: impl Read + Send + 'static) {
        self.state().open += 1;
        let output = self.clone();
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut bytes = Vec::new();
            while source
                .read_until(b'\n', &mut bytes)
                .is_ok_and(|length| length > 0)
            {
                let text = String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(&bytes))
                    .into_owned();
                output.state().lines.push(Line {
                    at: Instant::now(),
                    stream,
                    text,
                });
                output.changed.notify_all();
                bytes.clear();
            }
            output.state().open -= 1;
            output.changed.notify_all();
        });
    }

    /// All lines so far, from the one of this number on.
    pub(super) fn lines_from(&self, mark: usize) -> Vec<Line> {
        self.state().lines.get(mark..).unwrap_or_default().to_vec()
    }

    /// How many lines there are so far.
    pub(super) fn count(&self) -> usize {
        self.state().lines.len()
    }

    /// The first answer that `pick` gives for a line at `from` or later, waiting for new ones until `deadline`
    /// or until no more can come.
    pub(super) fn wait<T>(
        &self,
        from: usize,
        deadline: Instant,
        mut pick: impl FnMut(&Line) -> Option<T>,
    ) -> Option<T> {
        let mut state = self.state();
        let mut next = from;
        loop {
            while let Some(line) = state.lines.get(next) {
                next += 1;
                if let Some(answer) = pick(line) {
                    return Some(answer);
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.open == 0 {
                return None;
            }
            state = self.wait_for_change(state, left);
        }
    }

    /// Waits until nobody can write any more, at most until `deadline`. Returns whether it has come to that.
    pub(super) fn wait_for_end(&self, deadline: Instant) -> bool {
        let mut state = self.state();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.open == 0 {
                return state.open == 0;
            }
            state = self.wait_for_change(state, left);
        }
    }

    /// The last lines, for the message of a failed wait.
    pub(super) fn tail(&self) -> String {
        const SHOWN: usize = 40;
        let state = self.state();
        let hidden = state.lines.len().saturating_sub(SHOWN);
        let mut text = format!(
            "its output ({} lines, the last {SHOWN}):",
            state.lines.len()
        );
        for line in state.lines.iter().skip(hidden) {
            let mark = match line.stream {
                Stream::Stderr => '!',
                Stream::Stdout => '|',
            };
            text.push_str(&format!("\n  {mark} {}", line.text));
        }
        text
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_change<'a>(
        &self,
        state: MutexGuard<'a, State>,
        at_most: Duration,
    ) -> MutexGuard<'a, State> {
        self.changed
            .wait_timeout(state, at_most)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}
