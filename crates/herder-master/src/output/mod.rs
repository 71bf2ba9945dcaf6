//! What the herd says, and what its workers print.
//!
//! ```text
//! worker ──pipe──►┐                                      ┌──► stdout (the workers' stdout)
//! worker ──pipe──►┤ pipes thread ──► queue ──► narrator ─┼──► stderr (the workers' stderr, events)
//! main thread ────┴──── events ───────►┘                 └──► observer
//! ```
//!
//! Nobody who serves ever waits for somebody who reads. The pipes thread takes what the workers
//! print, whether or not it can be passed on; the narrator alone writes, and may be stuck for as
//! long as it likes. Between them is a queue with a limit per worker. What does not fit is dropped
//! and counted, and the count is told when there is room again.
//!
//! - [`handle`]: what the rest of the master holds.
//! - [`pipes`], [`source`], [`lines`]: from the workers' pipes to lines.
//! - [`files`]: from the workers' pipes to log files, past queue and narrator; the file of events.
//!   [`custody`]: what of it the keeper holds.
//! - [`queue`]: the one queue, and its accounts; [`ear`]: what is overheard there.
//! - [`narrator`], [`sink`], [`standard`]: from the queue to stdout, stderr and the observer.
//! - [`record`]: the file in which the last verdict is found.
//! - [`text`], [`sentence`], [`escape`], [`json`], [`wall`]: how it looks.

#[cfg(test)]
mod bench;
mod custody;
mod ear;
mod ending;
mod escape;
mod event_file;
#[cfg(test)]
mod file_tests;
mod files;
mod handle;
mod json;
mod lines;
mod narrator;
mod pipes;
mod queue;
mod record;
mod reloading;
mod sentence;
mod sink;
#[cfg(test)]
mod snapshots;
mod source;
mod standard;
#[cfg(test)]
mod tests;
mod text;
mod wall;

pub(crate) use custody::Streams;
pub(crate) use handle::{Output, Places};
pub(crate) use sentence::{Span, Who, how};

/// The time of day, as it stands before everything that is told.
pub(crate) fn wall_clock() -> String {
    wall::Stamp::now().wall().to_string()
}
