//! What the supervisor is told, and what it asks for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seat::Completion;
use crate::spec::{Policies, WorkerCount};
use crate::{Exit, Generation, Slot, Tick, WorkerId};

/// News from the world, or a wish of the operator.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The worker's own loop turned.
    Beat { worker: WorkerId },
    /// The worker needs `by` more before it can be ready, counted from now.
    BootExtended { worker: WorkerId, by: Duration },
    /// The worker says that it drains already, and nobody here knew: a master before this one had told
    /// it.
    Draining { worker: WorkerId },
    /// The worker was given the last job of its life.
    Exhausted { worker: WorkerId },
    /// Whoever watches the worker from outside found it broken: it is killed as hung, with this cause
    /// of death: [`Cause::Watchdog`].
    Fail {
        worker: WorkerId,
        /// For whoever reads what is announced.
        reason: String,
    },
    /// The process is gone.
    Exited { worker: WorkerId, exit: Exit },
    /// The worker's resident memory.
    Memory { worker: WorkerId, bytes: u64 },
    /// The worker broke the protocol of its channel.
    Misbehaved { worker: WorkerId },
    /// The worker can take connections.
    Ready { worker: WorkerId },
    /// This generation can be started from now on, and shall take the place of the one in service.
    Reload { generation: Generation },
    /// Every quarantine and every restart count is forgotten, and the [`Counters`](super::Counters)
    /// are 0. Who is done stays so.
    Reset,
    /// The app has these policies from now on. Deadlines that are set stay; limits of silence, and of
    /// the recycle policy, are measured anew. What a reload changes is begun with this.
    Respec(Box<Policies>),
    /// The worker announces its own end (suicide).
    Retire { worker: WorkerId },
    /// The app shall have this many workers.
    Scale(WorkerCount),
    /// How many requests (or connections) the worker has served in all.
    Served { worker: WorkerId, total: u64 },
    /// The process could not be started.
    SpawnFailed { worker: WorkerId, errno: i32 },
    /// The process exists.
    Spawned { worker: WorkerId },
    /// Start the app.
    Start,
    /// Until this moment, for this long, no master was in charge, or the one that is stood still. Nobody
    /// could hear anybody, or do anything for them: what runs out for others (to get ready, to be heard of, to
    /// leave, to soak) moves by as much. Tell it before everything else that lies there.
    StoodStill { lasted: Duration },
    /// Stop the app gracefully.
    Stop,
    /// Stop it at once.
    StopNow,
    /// `poll_timeout` has passed.
    Timer,
    /// The process that was asked for does not exist, and nobody failed: a master before this one had
    /// not come to start it, or to send it its plan.
    Unborn { worker: WorkerId },
    /// The worker gets no new connection any more, and what it had not received was taken back.
    Withdrawn { worker: WorkerId },
}

/// A request to the shell.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Action {
    /// Send the worker SIGABRT: it hangs, and a core may say where.
    Abort { worker: WorkerId },
    /// Let the dispatcher give it connections (again).
    Admit { worker: WorkerId },
    /// Tell whoever watches.
    Announce(Notice),
    /// Nobody of this generation lives, and none will be started: forget how it is done.
    Discard { generation: Generation },
    /// Tell the worker to finish what it has and leave.
    Drain {
        worker: WorkerId,
        reason: DrainReason,
    },
    /// Nothing is left to supervise.
    Finish(Outcome),
    /// No new connection for it, until it is admitted again or withdrawn.
    Hold { worker: WorkerId },
    /// End its whole process group and cgroup with SIGKILL.
    Kill { worker: WorkerId },
    /// No new connection for it for as long as it stands by: it is admitted again, or withdrawn, later.
    Rest { worker: WorkerId },
    /// Start a process of this generation.
    Spawn {
        worker: WorkerId,
        generation: Generation,
    },
    /// No new connection for it, ever; take back what it has not received, then say `Withdrawn`.
    Withdraw { worker: WorkerId },
}

/// Why a worker is told to leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DrainReason {
    /// A limit was reached.
    Recycle(RecycleReason),
    /// A new generation has taken its place.
    Replaced,
    /// It announced its own end.
    Retired,
    /// Its generation was rolled back.
    RolledBack,
    /// The app has fewer slots now.
    ScaledDown,
    /// The app stops.
    Stop,
}

/// Which limit was reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RecycleReason {
    /// `max_jobs`
    Jobs,
    /// `max_lifetime`
    Lifetime,
    /// `max_memory`
    Memory,
    /// `max_requests`
    Requests,
}

/// Why a worker came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Cause {
    /// It was not ready in time.
    BootTimeout,
    /// It ended by itself, unasked.
    Crash,
    /// It sent no heartbeat.
    Hang,
    /// It was told to leave, for this reason, and left (or was killed after the grace).
    Planned(DrainReason),
    /// It broke the protocol of its channel.
    Protocol,
    /// It was found broken from outside: by a health check, by its silence, or by the operator.
    Watchdog,
}

/// Something worth telling.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Notice {
    /// A worker was not ready in time and is killed.
    BootTimedOut { worker: WorkerId },
    /// A slot is done: its worker ended, and none is started again.
    Done {
        slot: Slot,
        /// How its worker ended; `None` when it could not be started.
        exit: Option<Exit>,
        completion: Completion,
    },
    /// A worker is gone.
    Exited {
        worker: WorkerId,
        exit: Exit,
        cause: Cause,
    },
    /// A worker was found broken from outside, and is killed.
    Failed { worker: WorkerId, reason: String },
    /// Too many generations drain: what is left of the oldest is killed.
    GenerationsCut {
        generation: Generation,
        workers: u16,
    },
    /// A worker did not leave within its grace and is killed.
    GraceExpired { worker: WorkerId },
    /// After the rollback of this generation, planned replacements rest until then.
    Latched { generation: Generation, until: Tick },
    /// A worker broke the protocol and is killed.
    Misbehaved { worker: WorkerId },
    /// A slot was restarted too often: it rests for `retry_in`.
    Quarantined {
        slot: Slot,
        restarts: u32,
        window: Duration,
        retry_in: Duration,
    },
    /// A worker is ready. `guessed`: it did not say so, it merely lived long enough.
    Ready { worker: WorkerId, guessed: bool },
    /// A worker reached a limit; its replacement is started first, and, unless the limit is
    /// `max_jobs`, it serves until that one is ready.
    Recycling {
        worker: WorkerId,
        reason: RecycleReason,
    },
    /// A new generation begins to take the place of another.
    ReloadBegan { from: Generation, to: Generation },
    /// This generation waits for the end of what goes on. One that waited before it is forgotten.
    ReloadWaits { generation: Generation },
    /// A generation is in service, and the old one leaves. `took`: until the last slot was ready, the
    /// soak not included.
    Reloaded {
        generation: Generation,
        from: Generation,
        took: Duration,
    },
    /// The quarantine of a slot is over.
    Released { slot: Slot },
    /// A replacement waits because too many workers drain.
    ReplacementWaits { slot: Slot, draining: u16 },
    /// A suspect beats again.
    Restored { worker: WorkerId },
    /// The next start of a slot is delayed by the back-off.
    RestartDelayed {
        slot: Slot,
        delay: Duration,
        failures: u32,
    },
    /// A worker announced its own end.
    Retired { worker: WorkerId },
    /// A generation failed: the one before it, `to`, serves on or again.
    RolledBack {
        generation: Generation,
        to: Generation,
        failure: Failure,
    },
    /// The app has another size.
    Scaled { from: u16, to: u16 },
    /// A process could not be started.
    SpawnFailed { worker: WorkerId, errno: i32 },
    /// A process was started.
    Started { worker: WorkerId },
    /// A worker is told to leave.
    Stopping {
        worker: WorkerId,
        reason: DrainReason,
    },
    /// A worker sends no heartbeat.
    Suspected { worker: WorkerId, silent: Duration },
    /// Planned replacements happen again.
    Unlatched,
}

/// Why a generation was rolled back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Which worker failed, if it was one.
    pub worker: Option<WorkerId>,
    /// How.
    pub kind: FailureKind,
}

/// How a generation failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FailureKind {
    /// A worker of it ended after it was ready, and before the soak was over.
    Died {
        /// How it ended; `None` when it hung, or announced its end once too often: it lives still.
        exit: Option<Exit>,
        /// Why.
        cause: Cause,
        /// How long after it was ready.
        after: Duration,
    },
    /// A worker of it was found broken from outside before it was ready.
    Broken,
    /// A worker of it ended before it was ready.
    ExitedBeforeReady(Exit),
    /// A worker of it was not ready within this time.
    NotReadyInTime(Duration),
    /// A process of it could not be started.
    NotStarted {
        /// What the system said.
        errno: i32,
    },
    /// A worker of it broke the protocol of its channel.
    Protocol,
    /// It did not fail: the app was told to stop before its soak was over.
    Stopped,
}

/// How the app ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// No worker of the first start became ready, and the app is not to keep trying.
    BootFailed,
    /// Every slot was done, this many of them with a failure.
    Completed { failed: u16 },
    /// It was stopped.
    Stopped,
}
