//! The promises of the dispatcher, one test each. The simulation proves that they hold together.

mod choice;
mod credit;
mod death;
mod desk;
mod lots;
mod rejection;
mod stall;
mod standing;
mod stealing;
mod sticky;
mod trust;
mod turns;
mod verdict;
mod waiting;
