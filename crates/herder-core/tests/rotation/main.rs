//! The promises of the rotation, one test each. The simulation proves that they hold together.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod desk;
mod helping;
mod keeping_up;
mod looking;
mod places;
mod restored;
