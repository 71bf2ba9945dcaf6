//! What the scheduler is told, and what it asks for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::{JobName, JobPlan};
use super::run::{RunId, ServerId, ServerKind};
use super::wall::Wall;

/// News for the scheduler. `C` is the job's calendar.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event<C> {
    /// The answer to [`Action::Claim`].
    Claimed { run: RunId, answer: ClaimAnswer },
    /// The job is as follows from now on; one of the same name is replaced, and its runs go on.
    Define {
        name: JobName,
        definition: Definition<C>,
    },
    /// A server says how its run ended.
    Finished { run: RunId, verdict: Verdict },
    /// The job is not due until it is resumed. Its runs go on.
    Pause { name: JobName },
    /// There is no such job any more. Its runs go on.
    Remove { name: JobName },
    /// The answer to [`Action::Renew`]. `Held`: somebody else has it, or it is done.
    Renewed { run: RunId, answer: ClaimAnswer },
    /// The job is due again from now on; what passed meanwhile is left out.
    Resume { name: JobName },
    /// The job runs now, beside its calendar.
    RunNow { name: JobName },
    /// A server has gone, with its runs.
    ServerDown { server: ServerId },
    /// A server offers to run these jobs, instead of those that it offered before.
    ServerUp {
        server: ServerId,
        kind: ServerKind,
        jobs: Vec<JobName>,
    },
    /// The time that [`poll_timeout`](super::Scheduler::poll_timeout) named has passed.
    Timer,
}

/// A job without its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Definition<C> {
    /// Everything but the calendar.
    pub plan: JobPlan,
    /// When it is due.
    pub calendar: C,
    /// The last tick that was dealt with before, by whatever life of this process; `None` = none.
    pub last: Option<Wall>,
}

/// What the store says of a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClaimAnswer {
    /// This tick was carried out.
    Done,
    /// Somebody else has it; unless renewed, its claim ends after this.
    Held { left: Duration },
    /// It is ours for this long, counted from when we asked. The token is greater than that of
    /// every claim before.
    Ours { token: u64, ttl: Duration },
    /// The store does not answer.
    Unavailable,
}

/// How a server says that its run ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It failed, for this reason.
    Failed(String),
    /// It did what it should.
    Succeeded,
}

/// A request to the shell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Tell the server to stop this run; nothing that it says of it is heard any more.
    Cancel { run: RunId, server: ServerId },
    /// Ask the store for the right to this tick; answer with [`Event::Claimed`]. `instead`: the token
    /// under which an attempt was made already, if we have the right. A greater one takes its place,
    /// for whoever made that attempt may still be at it.
    Claim {
        run: RunId,
        name: JobName,
        tick: Wall,
        instead: Option<u64>,
    },
    /// Put this into the history.
    Record(Entry),
    /// Give the claim back: somebody else may run this tick.
    Release {
        name: JobName,
        tick: Wall,
        token: u64,
    },
    /// Remember that everything up to this tick was dealt with.
    Remember { name: JobName, tick: Wall },
    /// Ask the store to prolong the claim; answer with [`Event::Renewed`].
    Renew {
        run: RunId,
        name: JobName,
        tick: Wall,
        token: u64,
    },
    /// Tell the store that this tick is done for good.
    Settle {
        name: JobName,
        tick: Wall,
        token: u64,
    },
    /// Have the server run it. The token is for the resources that it writes to.
    Start {
        run: RunId,
        name: JobName,
        tick: Wall,
        server: ServerId,
        attempt: u8,
        token: Option<u64>,
    },
}

/// A line of the history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The job.
    pub name: JobName,
    /// The time that it was due.
    pub tick: Wall,
    /// Which try it was, from 1; 0 = none was made.
    pub attempt: u8,
    /// Who ran it.
    pub server: Option<ServerId>,
    /// When it was given to the server.
    pub started: Option<Wall>,
    /// When this became known.
    pub at: Wall,
    /// How it ended.
    pub outcome: Outcome,
    /// What follows.
    pub fate: Fate,
}

/// How a tick, or an attempt at it, ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The server says that it failed.
    Failed(String),
    /// The server has gone, or the claim was lost; it may have done anything.
    Lost,
    /// It was too late for it.
    Missed,
    /// Nobody offered to run it.
    NobodyThere,
    /// The run before it was still going on.
    Overlapped,
    /// It took longer than it may.
    TimedOut,
    /// It did what it should.
    Succeeded,
}

/// What follows an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Nothing: this tick is over.
    Over,
    /// Another attempt.
    Retried,
}
