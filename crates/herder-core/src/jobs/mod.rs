//! Who gets a client's message, in `message` mode: see [`JobDispatcher`].

mod assign;
mod clients;
mod closing;
mod dispatcher;
mod fate;
mod invariants;
mod job;
mod message;
mod news;
mod settle;
mod spec;
mod withdraw;
mod worker;

pub use dispatcher::JobDispatcher;
pub use message::{Action, Event, JobOutcome};
pub use spec::{JobPicker, JobSpec, Retry};
