//! Values that all workers of a herd share: [`Cluster::state`](crate::Cluster::state),
//! [`WorkerHandle::state`](crate::WorkerHandle::state).
//!
//! | for | there is |
//! |---|---|
//! | values with a life time, and changes that do not overwrite each other | [`State::get`], [`State::set`], [`State::delete`] |
//! | numbers | [`State::increment`] |
//! | all of it, and what changes | [`State::scan`], [`State::watch`] |
//! | being the only one | [`State::acquire`], [`State::once`] |
//! | not too often | [`State::limit`] |
//!
//! Every call is answered, or fails in time and [says](StateError::executed) whether it was carried
//! out. The guide has a page about it: `docs/guide/state.md`.

mod calls;
mod error;
pub(crate) mod lease;
mod namespace;
mod scan;
mod watch;

pub use calls::{Delete, Increment, Set};
pub use error::StateError;
pub use herder_services::library::Backend;
pub use herder_services::state::Durability;
pub use lease::{Acquired, Lease};
pub use namespace::{Admission, Entry, State};
pub use scan::Scan;
pub use watch::{Watch, Watched};
