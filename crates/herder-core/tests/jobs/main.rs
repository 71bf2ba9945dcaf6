//! The promises of the job dispatcher, one test each. The simulation proves that they hold together.

mod desk;
mod seed;
