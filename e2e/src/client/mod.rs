//! A load client that accounts for every request it makes.
//!
//! Each thread drives many non-blocking sockets from one epoll set, so that two threads saturate two cores
//! and a schedule of a thousand connections a second is kept to some microseconds. In an open loop
//! a latency counts from the moment a request was *due*, not from when the client got round to it: a server
//! that stalls cannot hide the requests it made wait.

mod connection;
mod engine;
mod fetch;
mod ledger;
mod load;
mod outcome;
mod response;
mod schedule;
mod timer;

pub use fetch::{ask, get};
pub use ledger::{Entry, Latency, Ledger, Notes};
pub use load::{Load, Running, Target, lot};
pub use outcome::Outcome;
pub use response::{Malformed, Response, ResponseReader};
