//! What one master writes down for the next, and how that one goes on.
//!
//! [`State`](state::State) is written at the end of each turn in which something was done, and before
//! anything that a successor could not find out by itself ([`Master::save`](super::Master)). Descriptors
//! are stored with the keeper as they are made. A successor puts the two together again: [`Estate`],
//! [`Restored`]; then it says everything once more that may not have arrived
//! ([`Master::resume`](super::Master)).

mod adoption;
mod book;
mod estate;
mod examination;
mod pulse;
mod restored;
mod resuming;
mod state;

pub(super) use adoption::{member_key, member_prefix};
pub(super) use book::Book;
pub(super) use estate::Estate;
pub(crate) use examination::{definition_in, examine, mode_in};
pub(super) use restored::{LegacyError, Restored};
pub(super) use resuming::Statement;
pub(super) use state::{PathState, PlacesState, Progress, ReceptionState, UpgradeState};
