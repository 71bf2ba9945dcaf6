//! The promises of the job dispatcher, one test each. The simulation proves that they hold together.

mod clients;
mod closing;
mod credit;
mod death;
mod desk;
mod limit;
mod rotation;
mod seed;
mod standing;
mod starting;
mod stealing;
mod waiting;
