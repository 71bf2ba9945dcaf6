//! What the job dispatcher is told, and what it asks for.
//!
//! The shell executes each action before it polls the next one, and tells [`Event::Refused`] and
//! [`Event::TakenBack`] at once: they are about the worker's link as it is after the last action
//! that was polled.

use std::time::Duration;

use crate::{ClientId, Incarnation, JobId};

/// News for the job dispatcher.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The worker takes jobs (again). `started` = how many it has started in its life, which a new
    /// gateway learns so; they count towards `max_jobs`.
    Admitted { worker: Incarnation, started: u32 },
    /// The client sent a message.
    Arrived { job: JobId, client: ClientId },
    /// The client's connection has ended: nobody waits for its jobs any more. Nothing arrives from
    /// it afterwards.
    ClientGone { client: ClientId },
    /// The herd stops. A [`Event::Withdraw`] waits from now on until every job is with a worker that
    /// works on it, at most for `within`.
    Closing { within: Duration },
    /// The worker is being started: the rotation may choose it, and the job waits for it a while.
    Expected { worker: Incarnation },
    /// The worker's handler failed on the job.
    Failed { worker: Incarnation, job: JobId },
    /// The worker has finished the job.
    Finished { worker: Incarnation, job: JobId },
    /// The worker is dead, and everything that it had said before was told. It is the last that is
    /// told of it. What it had not started goes to others; so does what it had started, when that
    /// does no harm.
    Gone { worker: Incarnation },
    /// The worker gets no new job until it is admitted again; what it has not started goes to
    /// others.
    Held { worker: Incarnation },
    /// The answer to [`Action::Assign`] when the worker's link is full: the job was not sent.
    Refused { worker: Incarnation, job: JobId },
    /// The worker's link, which was full, has room again.
    Room { worker: Incarnation },
    /// The worker hands the job to its program now.
    Started { worker: Incarnation, job: JobId },
    /// The worker's link was emptied from outside: these jobs it had not received, and will not.
    /// What was sent and is not among them, the worker has received.
    TakenBack {
        worker: Incarnation,
        jobs: Vec<JobId>,
    },
    /// `poll_timeout` has passed.
    Timer,
    /// The worker gets no new job ever, and what it has not received goes to others. Only one that
    /// is [exhausted](Action::Exhausted) is left the time to receive its last jobs, as long as it
    /// does not stand still while others have room.
    Withdraw { worker: Incarnation },
}

/// A request to the shell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send the job to the worker; say [`Event::Refused`] when its link is full.
    Assign { job: JobId, worker: Incarnation },
    /// Tell the worker that the job's client is gone. It may go on with it, and may even be through
    /// with it.
    Cancel { job: JobId, worker: Incarnation },
    /// Comes once, after [`Event::Closing`]: no job waits any more, or the time for that is over.
    Empty,
    /// The worker was given the last job of its life. Comes once at most for a worker.
    Exhausted { worker: Incarnation },
    /// The job has come to its end. Comes once for each job whose client is still there.
    Over {
        job: JobId,
        client: ClientId,
        outcome: JobOutcome,
    },
    /// Read nothing more from the client.
    Pause { client: ClientId },
    /// The job's payload is not needed any more: it will not be sent again. Comes once for each job.
    Release { job: JobId },
    /// Read from the client again.
    Resume { client: ClientId },
    /// Receive what the worker has not received of its link, then say [`Event::TakenBack`], even
    /// when there was nothing.
    TakeBack { worker: Incarnation },
    /// The withdrawal is complete: nothing that was sent lies un-received in the worker's link, and
    /// nothing more is sent. Comes once for each withdrawal, also of a worker that is not known or
    /// that died meanwhile. To ask again before this has come is to ask once.
    Withdrawn { worker: Incarnation },
}

/// How a job ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobOutcome {
    /// The worker's handler failed.
    Failed { worker: Incarnation },
    /// A worker carried it out.
    Finished,
    /// The worker died when it had started it: it may have been carried out.
    Lost { worker: Incarnation },
    /// Too many workers died while they had it.
    Poisoned,
    /// Nobody could take it in time: it was not carried out since it last waited.
    Unserved,
}
