//! The shell around the pure `JobDispatcher`.
//!
//! | module | what it is |
//! |---|---|
//! | [`entrance`] | [`Shell`]: every way in, one borrow each |
//! | [`state`] | everything that the hub knows: feeds the dispatcher and does what it asks |
//! | [`clients`] | clients and their jobs |
//! | [`resync`] | what another master has to hear that has taken over |
//! | [`workers`] | workers and what they say |
//! | [`turn`] | what leaves the process at the end of a turn of the loop |
//!
//! Nothing that leaves for the master or a worker leaves at once: it is put in order, and sent when
//! the loop has come round. So the reports of many jobs share a packet, and each leaves before its
//! job does, unless the master has not read for a while.

mod clients;
mod entrance;
mod resync;
mod state;
mod turn;
mod workers;

pub(crate) use entrance::{Settings, Shell};
pub(crate) use workers::LinkEnds;
