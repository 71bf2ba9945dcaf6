//! Values that all workers share.
//!
//! [`Engine`](engine::Engine) is what a namespace is in one process: pure, with the time as an
//! argument. [`Local`] gives it a clock, and a file.

pub mod engine;
mod entry;
#[cfg(feature = "redb")]
mod journal;
mod lease;
mod limit;
mod local;

pub use entry::{Change, Condition, Page, Put, Refusal, Versioned};
#[cfg(feature = "redis")]
pub(crate) use entry::{check_key, check_ttl};
#[cfg(feature = "redb")]
pub use journal::{Journal, JournalError, Scribe};
pub use lease::{Acquired, Holder};
pub use limit::{Admission, Rate};
pub use local::{Durability, Local, Observer, StateError};

/// The longest key, in bytes.
pub const MAX_KEY: usize = 1024;

/// The longest value, in bytes.
pub const MAX_VALUE: usize = 4 * 1024 * 1024;

/// The most entries in one page of a scan.
pub const MAX_PAGE: usize = 1000;

/// A page of a scan ends with the entry that makes it longer than this, in bytes.
pub const MAX_PAGE_BYTES: usize = 1024 * 1024;
