//! Workers against a master that the test plays.

mod control;
mod pass;
mod process;
mod shared;
