//! How a new version takes over.

use std::num::NonZeroU16;

use herder_api::units::Period;

use super::{Table, units};

/// How a new version takes over.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Reload, and a master that dies")]
pub(super) struct Reload {
    /// How many replacements are started at a time, beyond the workers there are. [default: 1]
    #[arg(long, value_name = "N", hide_short_help = true)]
    surge: Option<NonZeroU16>,

    /// How many more may be replaced at a time, at the price of as many fewer that serve. [default: 0]
    #[arg(long, value_name = "N", hide_short_help = true)]
    max_unavailable: Option<u16>,

    /// How long the new version has to prove itself before the old one is given up. [default: 10s]
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    soak: Option<Period>,

    /// Planned replacements rest for so long after a rollback. [default: 10m]
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    reload_latch: Option<Period>,

    /// How many versions may be leaving at a time. [default: 3]
    #[arg(long, value_name = "N", hide_short_help = true)]
    max_generations: Option<NonZeroU16>,

    /// A master that stands still for so long is replaced; or never. [default: 10s]
    #[arg(long, value_name = "DURATION|never", value_parser = units::or_never, hide_short_help = true)]
    master_watchdog: Option<Period>,
}

impl Reload {
    pub(super) fn fill(&self, table: &mut Table) {
        table.put("surge", self.surge);
        table.put("max_unavailable", self.max_unavailable);
        table.put("soak", self.soak);
        table.put("reload_latch", self.reload_latch);
        table.put("max_generations", self.max_generations);
        table.put("master_watchdog", self.master_watchdog);
    }
}
