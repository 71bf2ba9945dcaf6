//! Faults at a chosen step.
//!
//! The code of herder says where it is ([`herder_sys::failpoint`]). A test arms a [`Trap`] for the n-th step of a
//! process, asks for an operation, and the process dies, stands still, or has an error at that very step; or it
//! stands still there until the test has done something to another process, which so happens exactly between two
//! steps. A [`Cell`] of the matrix is one such fault in one operation; the [`Matrix`] plays them under load, looks
//! that the herd recovers and that the books balance, and the [`Report`] says what became of each.

mod cell;
mod judge;
mod matrix;
mod report;
mod stage;
mod trap;

pub use cell::{Cell, Deed, Operation, PROGRAMS, STANDSTILL};
pub use matrix::{Matrix, play_one, rows_of};
pub use report::{Report, Result};
pub use trap::{Sprung, Trap};
