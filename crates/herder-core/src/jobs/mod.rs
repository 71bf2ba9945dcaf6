//! Who gets a client's message, in `message` mode: see [`JobDispatcher`].

mod dispatcher;
mod message;
mod spec;

pub use dispatcher::JobDispatcher;
pub use message::{Action, Event, JobOutcome};
pub use spec::{JobSpec, Retry};
