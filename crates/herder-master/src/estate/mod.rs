//! What a master leaves to the next one, and how it gets there.
//!
//! Descriptors lie in the keeper's store: the [`Vault`] puts them there while the master lives, and a
//! new master finds them in its [`Treasury`]. What is known of them is in a [`StateFile`]: memory that
//! the keeper holds too, and that is written before anything happens that cannot be taken back.

mod marks;
mod state_file;
mod sum;
mod treasury;
mod vault;

pub(crate) use marks::Marks;
pub(crate) use state_file::{StateError, StateFile};
pub(crate) use treasury::{Heard, Manner, Treasury, hear};
pub(crate) use vault::Vault;
