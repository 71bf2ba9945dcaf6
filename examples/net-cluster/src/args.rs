//! What the example can be told.

use clap::{Parser, ValueEnum};
use herder::Dispatch;

#[derive(Parser)]
#[command(about = "A TCP server with one worker per CPU; each answer names its worker")]
pub(crate) struct Args {
    /// Where to listen.
    #[arg(long, default_value = "8989")]
    pub(crate) listen: String,

    /// How many workers. [default: one per CPU]
    #[arg(long)]
    pub(crate) workers: Option<usize>,

    /// How connections are shared out, in Node's words.
    #[arg(long, env = "NODE_CLUSTER_SCHED_POLICY", default_value = "rr")]
    pub(crate) policy: Policy,
}

/// Node's scheduling policies.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Policy {
    /// The workers accept for themselves from a shared listener.
    None,
    /// The master accepts, and gives each connection to the first free worker in turn.
    Rr,
}

impl Policy {
    pub(crate) fn dispatch(self) -> Dispatch {
        match self {
            Policy::None => Dispatch::Shared,
            Policy::Rr => Dispatch::Pass,
        }
    }
}
