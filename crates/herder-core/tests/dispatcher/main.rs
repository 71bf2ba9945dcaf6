//! The promises of the dispatcher, one test each. The simulation proves that they hold together.

mod choice;
mod credit;
mod death;
mod desk;
mod standing;
mod stealing;
mod waiting;
