//! What the example can be told.

use std::str::FromStr;

use clap::Parser;
use herder::state::Backend;

#[derive(Parser)]
#[command(about = "An HTTP server with login sessions that survive its processes")]
pub(crate) struct Args {
    /// Where to listen.
    #[arg(long, default_value = "8080")]
    pub(crate) listen: String,

    /// How many workers. [default: one per CPU]
    #[arg(long)]
    pub(crate) workers: Option<usize>,

    /// Where sessions are: memory, file:PATH, or the address of a Redis or Valkey.
    #[arg(long, default_value = "file:sessions.redb")]
    pub(crate) sessions: Place,
}

/// Where sessions are.
#[derive(Clone)]
pub(crate) enum Place {
    /// In the herd, or in a file.
    Here(Backend),
    /// In a store that several machines share: its address.
    Redis(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        match text.split_once("://") {
            Some(("redis" | "redis+unix", _)) => Ok(Place::Redis(text.to_owned())),
            Some(_) | None => Ok(Place::Here(text.parse()?)),
        }
    }
}
