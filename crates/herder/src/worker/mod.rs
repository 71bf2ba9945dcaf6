//! What a worker is made of.
//!
//! | module | what it holds |
//! |---|---|
//! | `link` | the worker's ties to its master: control channel, signals, heartbeat, counters |
//! | `inlet`, `outlet` | how messages from the master arrive, and those to it leave |
//! | `schedule` | when something is to be said |
//! | `ending` | whether and why the worker comes to its end |
//! | `farewell` | when each of many long connections is to be closed |
//! | `counters` | connections open, connections or requests finished |
//! | `acceptor` | where connections come from, in any mode, and the wait for the next |
//! | `conns`, `listeners` | passed by the master (`pass`); accepted here (`shared`, `kernel`, `reuseport`) |
//! | `sources` | one of them, or both, each for some of the herd's listeners |
//! | `handle`, `blocking` | what the program sees |
//! | `polling` | a program with an event loop of its own |
//! | `finish` | the way out |
//!
//! There is no thread behind the program's back: heartbeats and counters are sent, and the
//! master's word is read, where the worker waits for its next connection. A worker that hangs is
//! thereby silent.

pub(crate) mod acceptor;
pub(crate) mod blocking;
mod conns;
pub(crate) mod counters;
pub(crate) mod ending;
#[cfg(feature = "tokio")]
pub(crate) mod farewell;
pub(crate) mod finish;
pub(crate) mod handle;
pub(crate) mod inlet;
pub(crate) mod link;
mod listeners;
pub(crate) mod outlet;
pub(crate) mod polling;
pub(crate) mod schedule;
pub(crate) mod sources;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longer than any herd runs.
pub(crate) const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Locks, whoever panicked before: every state behind our locks is whole between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When a time limit that begins now is over. `Duration::MAX` is a limit, too, but the clock does
/// not reach that far.
pub(crate) fn deadline_in(limit: Duration) -> Instant {
    Instant::now() + limit.min(CENTURY)
}
