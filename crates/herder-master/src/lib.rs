//! The shell around herder's decisions: keeper, master, launcher, dispatch threads, output.
#![forbid(unsafe_code)]

pub mod config;
pub mod event;
mod output;
