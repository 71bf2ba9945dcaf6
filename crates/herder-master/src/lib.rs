//! The shell around herder's decisions: keeper, master, launcher, dispatch threads, output.
//!
//! One executable plays every part. A process finds out which by [`role::assume`], the first thing
//! it does; the entry process then calls [`run`], becomes the *keeper* and starts the *master*
//! (the same executable with the same arguments), which calls [`run`] too, with its seat.
#![forbid(unsafe_code)]

mod commission;
pub mod config;
mod dispatch;
mod estate;
pub mod event;
pub mod find;
mod keeper;
mod launch;
mod master;
mod operator;
mod output;
mod part;
pub mod role;
pub mod status;
mod upgrade;
pub mod verdict;

use commission::Commission;
use config::{Config, Source};
use role::{MasterSeat, Post};

/// Why a herd whose dispatch mode is left to herder would not have `kernel` here; `None`: it would.
#[must_use]
pub fn no_kernel_dispatch() -> Option<String> {
    master::no_kernel_dispatch()
}

/// Whose rights a gateway has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GatewayUser {
    /// The master's, who is not root.
    Masters,
    /// Nobody's.
    Nobody,
    /// Root's: this root may not become another user.
    Root,
}

/// Whose rights the gateway of a herd that this process starts would have.
#[must_use]
pub fn gateway_user() -> GatewayUser {
    master::gateway_user()
}

/// Runs a herd until it ends, and returns the exit status of this process (see [`status`]).
///
/// Without a seat, this process becomes the keeper: it starts the master, forwards signals to it,
/// and cleans up after it. With a seat, this process is the master, or says
/// whether it could be.
#[must_use]
pub fn run(config: Config, seat: Option<MasterSeat>) -> u8 {
    begin(Commission::Given(Box::new(config)), seat)
}

/// As [`run`], from a configuration that can change: a reload reads it again. What is wrong with it is
/// said on stderr.
#[must_use]
pub fn run_from(source: Box<dyn Source>, seat: Option<MasterSeat>) -> u8 {
    begin(Commission::Sought(source), seat)
}

fn begin(commission: Commission, seat: Option<MasterSeat>) -> u8 {
    match seat {
        None => match commission.accept(None) {
            Ok((config, _)) => keeper::keep(&config.spec),
            Err(error) => {
                keeper::complain(&error);
                status::USAGE
            }
        },
        Some(MasterSeat(Post::Charge(charge))) => master::run(commission, charge),
        Some(MasterSeat(Post::Probe(probe))) => upgrade::answer(commission, &probe),
    }
}
