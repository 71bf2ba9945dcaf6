//! The promises of the scheduler, one test each, and a simulation of several machines.

mod claims;
mod clocks;
mod desk;
mod ends;
mod machines;
mod overlap;
mod targets;
mod ticks;
