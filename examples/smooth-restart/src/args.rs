//! What the example can be told.

use std::time::Duration;

use clap::Parser;

#[derive(Parser)]
#[command(about = "An HTTP server in which every request kills its worker")]
pub(crate) struct Args {
    /// Where to listen.
    #[arg(long, default_value = "3000")]
    pub(crate) listen: String,

    /// How many workers. [default: one per CPU]
    #[arg(long)]
    pub(crate) workers: Option<usize>,

    /// Put a slot that is restarted more often than this within the window into quarantine.
    /// [default: no limit]
    #[arg(long)]
    pub(crate) max_restarts: Option<u32>,

    /// Over which time restarts are counted, and how long a quarantine lasts, in seconds.
    #[arg(long, default_value = "60", value_parser = seconds)]
    pub(crate) restart_window: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err("use a number of seconds from 1".to_owned()),
    }
}
