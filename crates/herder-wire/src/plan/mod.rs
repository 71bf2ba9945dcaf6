//! What a child is told on the socket that it finds as its standard input.
//!
//! The master sends one message: a [`PlanHeader`] of 32 bytes and, as descriptors, first a sealed
//! memory file that holds the [`LaunchPlan`]'s body, then the plan's own descriptors in the order
//! of [`LaunchPlan::descriptors`]. The plan goes by a socket and a memory file because arguments
//! and environment of a process can be read by others of the same user.

mod body;
mod error;
mod header;
mod launch;

pub use error::PlanError;
pub use header::{MAGIC, MAX_DESCRIPTORS, MAX_PLAN, PlanHeader, VERSION};
pub use launch::{
    DescriptorUse, EncodedPlan, Identity, LaunchPlan, Limit, LimitKind, ListenFds, Orphaned,
    Program, Role, UnknownRole,
};
