//! `herder herd ORDER`: the herd of one app, run for the daemon.

use std::path::PathBuf;

use clap::Args;

use super::definition::Origin;

#[derive(Args, Debug)]
pub(crate) struct HerdArgs {
    /// The file that says what to run.
    #[arg(value_name = "ORDER")]
    order: PathBuf,
}

impl HerdArgs {
    pub(crate) fn of(order: PathBuf) -> HerdArgs {
        HerdArgs { order }
    }

    /// Where the herd is defined.
    pub(crate) fn origin(self) -> Origin {
        Origin::Order(self.order)
    }
}
