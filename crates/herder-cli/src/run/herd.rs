//! `herder herd ORDER`: the herd of one app, run for the daemon.

use std::path::{Path, PathBuf};

use clap::Args;
use herder_api::herd::HerdOrder;
use herder_master::config::Format;

use super::{Description, RunError};

#[derive(Args, Debug)]
pub(crate) struct HerdArgs {
    /// The file that says what to run.
    #[arg(value_name = "ORDER")]
    order: PathBuf,
}

impl HerdArgs {
    /// What is to run.
    ///
    /// # Errors
    /// When the order cannot be read.
    pub(crate) fn description(&self) -> Result<Description, RunError> {
        describe(read(&self.order)?)
    }
}

/// Reads an order.
fn read(path: &Path) -> Result<HerdOrder, RunError> {
    let error = |problem: String| RunError::Order {
        path: path.to_owned(),
        problem,
    };
    let text = std::fs::read(path).map_err(|failed| error(failed.to_string()))?;
    serde_json::from_slice(&text).map_err(|failed| error(failed.to_string()))
}

fn describe(order: HerdOrder) -> Result<Description, RunError> {
    let environment = herder_config::environment(&order);
    let description = Description::of_app(order.app, environment)?;
    Ok(Description {
        format: Format::Quiet,
        control: Some(order.socket),
        event_log: Some(order.event_log),
        log_dir: Some(order.log_dir),
        ..description
    })
}
