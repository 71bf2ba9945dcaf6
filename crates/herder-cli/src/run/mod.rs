//! From the description of an app to what a master runs: `herder run`, and the herds of the daemon.

mod args;
mod assemble;
mod config;
mod cure;
mod definition;
mod description;
mod entry;
mod error;
pub(crate) mod herd;
mod library;
mod node;
mod node_dispatch;
mod own;
mod policies;
mod program;
mod proxy;
mod rights;
pub(crate) mod services;
mod typescript;
mod units;
mod words;

pub(crate) use args::{DispatchArg, RunArgs};
pub(crate) use config::config;
pub(crate) use definition::{Apps, Origin};
pub(crate) use description::Description;
pub(crate) use error::RunError;
