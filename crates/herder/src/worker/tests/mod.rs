//! Workers against a master that the test plays.

mod both;
mod control;
mod leaving;
mod pass;
mod polling;
mod process;
mod resync;
mod shared;
