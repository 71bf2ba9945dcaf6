use std::collections::BTreeSet;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::StopSignal;

/// How many workers an app has: 1 to 256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct WorkerCount(u16);

/// Why a number is not a worker count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an app has 1 to {max} workers, not {given}", max = WorkerCount::MAX)]
pub struct WorkerCountError {
    given: usize,
}

impl WorkerCount {
    /// The most workers one app can have.
    pub const MAX: u16 = 256;

    /// `count` workers.
    ///
    /// # Errors
    /// When it is not in 1 to [`WorkerCount::MAX`].
    pub fn new(count: usize) -> Result<WorkerCount, WorkerCountError> {
        match u16::try_from(count) {
            Ok(small) if (1..=WorkerCount::MAX).contains(&small) => Ok(WorkerCount(small)),
            _ => Err(WorkerCountError { given: count }),
        }
    }

    /// The number.
    #[must_use]
    pub fn count(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for WorkerCount {
    type Error = WorkerCountError;

    fn try_from(count: u16) -> Result<WorkerCount, WorkerCountError> {
        WorkerCount::new(usize::from(count))
    }
}

impl From<WorkerCount> for u16 {
    fn from(count: WorkerCount) -> u16 {
        count.0
    }
}

/// Which end of a worker that nobody asked for is followed by another worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum RestartWhen {
    /// Each.
    #[default]
    Always,
    /// None: the app is a job that is done once.
    Never,
    /// A failure: any but an exit with status 0 of the worker's own.
    OnFailure,
}

/// How the delays of a slot's restarts follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum DelayGrowth {
    /// Each is twice the one before it, up to `max_delay`, ± 10 %.
    #[default]
    Doubling,
    /// Each is `first_delay`, exactly.
    Fixed,
}

/// When a worker that died is replaced.
///
/// A worker that had been ready for `stable` is replaced at once and resets the count. Otherwise the
/// n-th consecutive delay is `first_delay` · 2ⁿ⁻¹, at most `max_delay`, ± 10 %; or, if the growth is
/// [`DelayGrowth::Fixed`], always `first_delay`. More than `max_restarts` restarts of one slot within
/// `window` put the slot into quarantine for `retry`.
///
/// After some ends nobody follows, and the slot is [done](crate::supervisor::Seat::Done). When a worker
/// ended by itself with a status of `final_codes`, whatever `when` says, this is as it was meant;
/// with one of `fatal_codes` its version is not worth another start, and the slot has failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// Which ends are followed by another start.
    #[serde(default)]
    pub when: RestartWhen,
    /// Exit codes after which a worker is not started again (`stop_exit_codes`). They win over
    /// `fatal_codes`.
    #[serde(default)]
    pub final_codes: BTreeSet<i32>,
    /// Exit codes that say: this version will never work.
    #[serde(default = "permanent_failures")]
    pub fatal_codes: BTreeSet<i32>,
    /// How delays grow.
    #[serde(default)]
    pub growth: DelayGrowth,
    /// Ready for this long, a worker counts as healthy.
    pub stable: Duration,
    /// The first delay of the back-off.
    pub first_delay: Duration,
    /// The longest delay of the back-off.
    pub max_delay: Duration,
    /// How many restarts of a slot `window` may hold; `None` = any number.
    pub max_restarts: Option<NonZeroU32>,
    /// The time over which restarts are counted.
    pub window: Duration,
    /// How long a quarantine lasts before the slot is tried again.
    pub retry: Duration,
}

impl Default for RestartPolicy {
    fn default() -> RestartPolicy {
        RestartPolicy {
            when: RestartWhen::default(),
            final_codes: BTreeSet::new(),
            fatal_codes: permanent_failures(),
            growth: DelayGrowth::default(),
            stable: Duration::from_secs(10),
            first_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(30),
            max_restarts: NonZeroU32::new(5),
            window: Duration::from_secs(60),
            retry: Duration::from_secs(60),
        }
    }
}

impl RestartPolicy {
    /// As this one, but whoever ends is always followed: for what a herd cannot be without.
    #[must_use]
    pub fn without_end(self) -> RestartPolicy {
        RestartPolicy {
            when: RestartWhen::Always,
            final_codes: BTreeSet::new(),
            fatal_codes: BTreeSet::new(),
            ..self
        }
    }
}

/// What programs say that want no other try: 78 of sysexits (the configuration is wrong), 125 of s6 (a
/// permanent failure).
fn permanent_failures() -> BTreeSet<i32> {
    BTreeSet::from([78, 125])
}

/// When a healthy worker is replaced, its replacement ready first, one worker of an app at a time.
///
/// Each limit is shortened per worker by up to 10 %, so that workers started together do not leave
/// together.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RecyclePolicy {
    /// After it has served this many requests (or connections, where it reports none).
    pub max_requests: Option<NonZeroU64>,
    /// After it has been ready for this long.
    pub max_lifetime: Option<Duration>,
    /// When its resident memory exceeds this many bytes.
    pub max_memory: Option<NonZeroU64>,
}

/// How one generation of an app takes another's place.
///
/// Slot by slot: a new worker is started beside the old one, and when it is ready the old one gets no
/// new connection and stands by. When every slot has its new worker and `soak` has passed, the old
/// ones leave; if a new worker fails before that, they serve again and the new ones leave.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReloadPolicy {
    /// In how many slots at a time a new worker is started while the old one serves.
    pub surge: NonZeroU16,
    /// In how many slots more the old one stands by before the new one is ready: the app never has
    /// fewer workers in service than its slots without these, as far as the reload decides it.
    pub max_unavailable: u16,
    /// How long the old workers stand by after the last slot is ready.
    pub soak: Duration,
    /// How long planned replacements rest after a generation was rolled back, unless one succeeds.
    pub latch: Duration,
    /// How many generations may drain at a time: beyond it the oldest is killed.
    pub max_generations: NonZeroU16,
}

impl Default for ReloadPolicy {
    fn default() -> ReloadPolicy {
        ReloadPolicy {
            surge: NonZeroU16::MIN,
            max_unavailable: 0,
            soak: Duration::from_secs(10),
            latch: Duration::from_secs(600),
            max_generations: NonZeroU16::new(3).expect("3 is not zero"),
        }
    }
}

/// How a worker is known to be ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Readiness {
    /// It says so (a ready frame, `READY=1`).
    Message,
    /// It says so, or, as a guess, it has been alive for this long.
    MessageOrAlive(Duration),
    /// It says so, or, as a guess, this long has passed since its first sign of life: a program that tells when it
    /// begins is not taken for ready while it is still being loaded.
    MessageOrBegun(Duration),
}

/// What happens when every worker of the first start fails before any was ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum BootFailure {
    /// The app ends, and says why.
    Exit,
    /// It goes on trying, slowly.
    KeepTrying,
}

/// The time limits of a worker's life.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LifePolicy {
    /// How a worker is known to be ready.
    pub readiness: Readiness,
    /// Not ready after this long, it is killed.
    pub boot_timeout: Duration,
    /// What happens when the first start fails altogether.
    pub boot_failure: BootFailure,
    /// A draining worker is killed after this long.
    pub grace: Duration,
    /// Without a heartbeat for this long, a worker is suspect; `None` = it sends none.
    pub hang: Option<Duration>,
    /// A suspect is aborted after this long.
    pub hang_kill: Duration,
    /// An aborted worker is killed after this long.
    pub abort_grace: Duration,
    /// How many workers of the app may drain at a time; beyond it a replacement waits. Whom a reload
    /// sends away is not counted.
    pub max_draining: NonZeroU16,
    /// The signal that asks a worker to leave which has no channel to be asked over.
    #[serde(default)]
    pub stop_signal: StopSignal,
    /// A worker that prints nothing for this long is hung; `None` = it may be silent. The shell, which
    /// sees the output, watches this, and says [`Event::Fail`](crate::supervisor::Event::Fail).
    #[serde(default)]
    pub max_silence: Option<Duration>,
}

impl Default for LifePolicy {
    fn default() -> LifePolicy {
        LifePolicy {
            readiness: Readiness::Message,
            boot_timeout: Duration::from_secs(60),
            boot_failure: BootFailure::Exit,
            grace: Duration::from_secs(30),
            hang: Some(Duration::from_secs(10)),
            hang_kill: Duration::from_secs(10),
            abort_grace: Duration::from_secs(2),
            max_draining: NonZeroU16::new(32).expect("32 is not zero"),
            stop_signal: StopSignal::default(),
            max_silence: None,
        }
    }
}
