//! Log files: written, put away, read and followed.
//!
//! ```text
//! NAME-out.log                              written now
//! NAME-out.log.2026-11-21T10-00-00Z         put away by a rename, not compressed yet
//! NAME-out.log.2026-11-20T10-00-00Z.gz      put away and compressed
//! ```
//!
//! Writing:
//!
//! - [`settings`]: where an app's lines go, and how.
//! - [`desk`]: from the pipes of processes to files. Below it `outlet` (a file that may be full), `clerk`
//!   (a thread that writes, where lines may be dropped), `render`, `split` and [`time`] (how lines look),
//!   `tail` (what was printed last).
//! - [`writer`]: one file, which is put away in time; `place`: what may be written to at all.
//! - [`attic`]: what becomes of files that were put away; `name`: how they are called.
//!
//! Reading:
//!
//! - [`reader`]: the last lines of files, put away or not, and those that come.
#![forbid(unsafe_code)]

pub mod attic;
mod clerk;
pub mod desk;
mod name;
mod outlet;
mod place;
pub mod reader;
mod render;
pub mod settings;
mod split;
mod tail;
pub mod time;
pub mod writer;

pub use desk::{Desk, Keep, Printer, Pumped};
pub use outlet::{News, Tell, write_counted};
pub use place::{LogError, Refusal};
pub use reader::{Filter, Follower, LogFile, Marks, NoMarks, Stream, follow, go_on, tail};
pub use settings::{Compression, Rotation, Settings};
pub use split::{Ending, split};
pub use time::TimeFormat;
pub use writer::{LineWriter, Writer};
