//! What `herder run` can be told.

mod library;
mod run;
mod services;

pub(crate) use run::{DispatchArg, ReadyArg, RunArgs, WorkersArg};
pub(super) use services::{job, namespace};
