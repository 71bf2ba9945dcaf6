//! What is said about apps, as data: their definitions ([`app`]), what the daemon and a herd say to
//! each other ([`herd`]), what runs ([`status`]), and what the command and the daemon say to each other
//! ([`control`]). Everything is JSON, and nothing here does anything.
#![forbid(unsafe_code)]

pub mod app;
pub mod control;
pub mod herd;
pub mod problem;
pub mod status;
pub mod units;

pub use app::App;
pub use problem::Problem;
