//! The promises of the rotation, one test each. The simulation proves that they hold together.

mod desk;
mod even;
mod helping;
mod keeping_up;
mod level;
mod looking;
mod places;
mod restored;
mod skew;
