use serde::{Deserialize, Serialize};

use crate::Tick;

/// How a request (in `tcp` mode: a connection) at a worker ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The worker did its part.
    Served,
    /// The worker did not do its part.
    Failed(Failure),
    /// It says nothing about the worker: the client went away, or was at fault.
    Inconclusive,
}

/// What a worker did wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Failure {
    /// No connection to it could be made.
    Refused,
    /// It ended the connection before its answer was complete, or its answer made no sense.
    Broken,
    /// It did not take the connection, or did not answer, in time.
    TimedOut,
    /// It answered that it failed (5xx).
    ServerError,
}

/// What the shell may want to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum News {
    /// The worker was withdrawn, and nothing of it is open any more. Once for each withdrawal.
    Drained { worker: u64 },
    /// The worker failed too often: until then it gets nothing that another could take.
    Ejected { worker: u64, until: Tick },
    /// The worker takes part again.
    Restored { worker: u64 },
}
