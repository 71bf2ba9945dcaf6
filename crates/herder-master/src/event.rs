//! What a herd tells those who watch it: the log, and the hooks of an embedding program.

use std::time::Duration;

use herder_core::spec::LibraryName;
use herder_core::supervisor::{Cause, Completion, DrainReason, Outcome, RecycleReason};
use herder_core::{Exit, Generation};

pub use crate::verdict::{Operation, Ruling, Verdict};

/// Who a worker is, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WorkerInfo {
    /// Its place, from 0.
    pub slot: u16,
    /// Its life: 1, 2, 3 … per app, never reused. `HERDER_WORKER_ID`.
    pub id: u64,
    /// Its process.
    pub pid: i32,
}

/// Which library, for people.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LibraryInfo {
    /// Its place among the libraries of the herd, from 0, in the order in which they were named.
    pub place: u8,
    /// Its name.
    pub name: LibraryName,
}

/// Something that happened to a herd.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HerdEvent {
    /// Connections had to be closed by the master: nobody could serve them.
    ConnectionsClosed { poisoned: u64, timed_out: u64 },
    /// Accepting pauses because the master has no descriptor (or memory) left.
    AcceptPaused { reason: String },
    /// What became of every connection that the master accepted. (`handed` counts a connection
    /// again when it was taken back and given to another worker.)
    Dispatched {
        accepted: u64,
        handed: u64,
        taken_back: u64,
        closed: u64,
    },
    /// How connections reach the workers, and why so. `mode`: its name, or, where listeners differ in it, each with
    /// its addresses (`kernel for 127.0.0.1:80, pass for unix:/run/it.sock`).
    DispatchChosen { mode: String, reason: String },
    /// A slot is done: its worker ended, and none is started again. `exit`: absent when it could not be
    /// started.
    Done {
        slot: u16,
        exit: Option<Exit>,
        completion: Completion,
    },
    /// A proxy found that a worker failed too often: it gets nothing for so long.
    Ejected { worker: WorkerInfo, spell: Duration },
    /// A worker is gone.
    Exited {
        worker: WorkerInfo,
        exit: Exit,
        cause: Cause,
    },
    /// The herd has ended. `last_lines`: when no worker ever became ready, what the last one said.
    Finished {
        outcome: Outcome,
        last_lines: Vec<String>,
    },
    /// A worker has done the jobs that it may have in its life, and ends.
    Exhausted { worker: WorkerInfo },
    /// A worker was found broken from outside, and is killed.
    Failed { worker: WorkerInfo, reason: String },
    /// A worker process was started.
    Forked { worker: WorkerInfo },
    /// More generations were draining than may: the workers of the oldest are killed.
    GenerationsCut {
        generation: Generation,
        workers: u16,
    },
    /// Something that happened to the gateway: any event that tells of a worker or of the herd, said
    /// of the gateway instead. Its lives are counted for themselves: 1, 2, 3 …
    Gateway(Box<HerdEvent>),
    /// A worker did not leave in time and is killed.
    GraceExpired { worker: WorkerInfo },
    /// A message of a client became a job of a worker. (As often as it is given to one: again after
    /// it was taken back.)
    JobDispatched { job: u64, worker: WorkerInfo },
    /// The keeper has died: the herd ends.
    KeeperGone,
    /// A child could not follow its launch plan.
    LaunchFailed { worker: WorkerInfo, problem: String },
    /// Lines of a worker's output were lost: nobody took them.
    LinesDropped { worker: WorkerInfo, lines: u64 },
    /// After a reload that was rolled back, planned replacements rest for this time, or until a reload
    /// succeeds.
    Latched {
        generation: Generation,
        rest: Duration,
    },
    /// Something that happened to a library: any event that tells of a worker or of the herd, said of
    /// this library instead. Its lives are counted for themselves, 1, 2, 3 …: they are its epochs.
    Library(LibraryInfo, Box<HerdEvent>),
    /// The herd listens here.
    Listening { address: String },
    /// A Node program says something to its primary: JSON, of which not more than the beginning is
    /// here. (What herder itself understands, such as `ready`, is told as what it means.)
    Message { worker: WorkerInfo, text: String },
    /// Messages of a worker's program were lost: they came faster than they were taken, or were longer
    /// than 16 MB.
    MessagesLost { worker: WorkerInfo, messages: u64 },
    /// Messages to a worker's program were lost: it did not read them.
    MessagesUnread { worker: WorkerInfo, messages: u64 },
    /// A worker broke the protocol of its channel and is killed.
    Misbehaved { worker: WorkerInfo, problem: String },
    /// A waiting connection was helped along in `shared` mode (all such nudges so far).
    Nudged { nudges: u64 },
    /// A worker is up and talks.
    Online { worker: WorkerInfo },
    /// A slot was restarted too often and rests.
    Quarantined {
        slot: u16,
        restarts: u32,
        window: Duration,
        retry_in: Duration,
    },
    /// A worker takes connections. `guessed`: it did not say so, it merely lived long enough.
    Ready { worker: WorkerInfo, guessed: bool },
    /// A worker gets requests again that a proxy had left out.
    Readmitted { worker: WorkerInfo },
    /// A worker reached a limit and will be replaced.
    Recycling {
        worker: WorkerInfo,
        reason: RecycleReason,
    },
    /// An operation was refused: nothing was begun, nothing has changed.
    Refused { verdict: Box<Verdict> },
    /// The quarantine of a slot is over.
    Released { slot: u16 },
    /// A reload begins: the herd is to run the generation `to`.
    ReloadBegan { from: Generation, to: Generation },
    /// A reload waits until the one before it is over. Of those that wait, the latest stays.
    ReloadWaits { generation: Generation },
    /// A reload is over: the new generation has served alone for the time of the soak.
    Reloaded {
        generation: Generation,
        from: Generation,
        took: Duration,
    },
    /// A replacement waits because many workers drain.
    ReplacementWaits { slot: u16, draining: u16 },
    /// A slot's next start is delayed.
    RestartDelayed {
        slot: u16,
        delay: Duration,
        failures: u32,
    },
    /// A suspect beats again.
    Restored { worker: WorkerInfo },
    /// A worker announced its own end (suicide message).
    Retired { worker: WorkerInfo, reason: String },
    /// A reload is over: the new generation has failed, and the one before it serves.
    RolledBack {
        generation: Generation,
        to: Generation,
        verdict: Box<Verdict>,
    },
    /// The herd has another size.
    Scaled { from: u16, to: u16 },
    /// The herd stops. `signal`: the one that asked for it, as in `SIGTERM`.
    ShuttingDown {
        signal: Option<&'static str>,
        fast: bool,
    },
    /// A worker process could not be started.
    SpawnFailed { slot: u16, id: u64, error: String },
    /// A worker is told to leave.
    Stopping {
        worker: WorkerInfo,
        reason: DrainReason,
    },
    /// A worker sends no heartbeat.
    Suspected {
        worker: WorkerInfo,
        silent: Duration,
    },
    /// A worker was not ready in time and is killed. `reason`: what it lacked, if more is known than that it did not
    /// say so.
    BootTimedOut {
        worker: WorkerInfo,
        reason: String,
        last_lines: Vec<String>,
    },
    /// Another master has taken over, after the death of the one before: so many workers and libraries go
    /// on with it. `cut`: connections that the dead one held. `after`: how long it took from its start.
    TookOver {
        workers: usize,
        libraries: usize,
        cut: u64,
        after: Duration,
    },
    /// Planned replacements go on again after a reload that was rolled back.
    Unlatched,
    /// The master has become another build of the program; nothing else has changed. Who they are, as
    /// far as they have told: what they call themselves.
    Upgraded {
        from: String,
        to: String,
        generation: Generation,
        took: Duration,
    },
    /// Something that needs the operator's eye and has no kind of its own.
    Warning { text: String },
}
