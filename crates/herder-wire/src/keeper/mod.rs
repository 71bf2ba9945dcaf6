//! What a master and its keeper tell each other.
//!
//! The keeper stores descriptors, restarts a master that died, and cleans up after the last one. The
//! frames are those of [`crate::frame`], one in each packet, at most [`MAX_FRAME`] bytes; a stored
//! descriptor travels with the packet that names it. A keeper lives longer than the masters that it
//! restarts, so it may be older than the one that talks to it: what it must not miss is mandatory, the
//! rest it skips.
//!
//! At the start of every master the keeper sends each [`FromKeeper::Stored`], then each
//! [`FromKeeper::Exited`] that nobody was told of, then what it understands, then [`FromKeeper::Complete`].

mod from_keeper;
mod key;
mod to_keeper;

pub use from_keeper::FromKeeper;
pub use key::{GroupItem, Key, MAX_KEY, MemberItem, Prefix};
pub use to_keeper::ToKeeper;

/// The longest frame with its header, in bytes. A path has at most 4096.
pub const MAX_FRAME: usize = 8 * 1024;

/// The longest text for the service manager, in bytes. What exceeds it is cut off when encoded.
pub const MAX_NOTIFY: usize = 4096;
