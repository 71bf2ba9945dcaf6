//! What the example can be told.

use clap::Parser;

#[derive(Parser)]
#[command(about = "An HTTP server whose workers share one connection to a configuration server")]
pub(crate) struct Args {
    /// Where to listen.
    #[arg(long, default_value = "8080")]
    pub(crate) listen: String,

    /// How many workers. [default: one per CPU]
    #[arg(long)]
    pub(crate) workers: Option<usize>,

    /// Where the configuration server is.
    #[arg(long, env = "CONFIG_SERVER", default_value = "127.0.0.1:9000")]
    pub(crate) server: String,
}
