//! The daemon with real processes: its two, its herds', and their workers.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod deaths;
mod followers;
mod full;
mod ground;
mod herds;
mod homes;
mod kit;
mod lists;
mod options;
mod orders;
mod planted;
mod strangers;
mod triggers;
