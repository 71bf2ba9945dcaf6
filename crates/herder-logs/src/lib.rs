//! Log files: written, put away, read and followed.
//!
//! ```text
//! NAME-out.log                              written now
//! NAME-out.log.2026-11-21T10-00-00Z         put away by a rename, not compressed yet
//! NAME-out.log.2026-11-20T10-00-00Z.gz      put away and compressed
//! ```
//!
//! - [`settings`]: where an app's lines go, and how.
//! - [`reader`]: the last lines of files, put away or not, and those that come.
#![forbid(unsafe_code)]

pub mod reader;
pub mod settings;
pub mod time;

pub use reader::{Filter, Follower, LogFile, Stream, follow, tail};
pub use settings::{Rotation, Settings};
pub use time::TimeFormat;
