//! What a reload costs the clients: failed requests per reload, beside PM2 and gunicorn.
//!
//! Each is started with two workers, gets the traffic of clients with a connection for each request and of such
//! that keep theirs, with instant answers and such that take 50 ms, and is told to reload, again and again, in
//! the way its users do it. A request has failed when it was refused, reset, closed or cut, or when it
//! *hung*: no answer within 15 s.
//!
//! - [`Rival`]: who takes part, and how each is started and reloaded;
//! - [`ReloadContest`]: all of them, interleaved;
//! - [`report`]: the table.

mod contest;
pub mod report;
mod rival;

pub use contest::{ReloadContest, Toll};
pub use rival::Rival;
