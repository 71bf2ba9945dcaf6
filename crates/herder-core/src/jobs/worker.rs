use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::spec::JobSpec;
use crate::mutation::{self, Mutation};
use crate::{Incarnation, JobId, Tick};

/// A worker that stood still is tried again after `steal_after` times this, at first.
const FIRST_TRIAL: u32 = 2;

/// With each trial in vain the time doubles, up to `steal_after` times this.
const LAST_TRIAL: u32 = 32;

/// A worker as the job dispatcher sees it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Worker {
    pub(super) id: Incarnation,
    pub(super) standing: Standing,
    pub(super) receipt: Receipt,
    /// An answer to `TakeBack` is awaited: until then nothing is sent.
    pub(super) take_back: Ask,
    pub(super) withdrawal: Withdrawal,
    pub(super) life: Life,
    /// How many jobs it was given for good, as far as is known.
    pub(super) used: u32,
    /// After how many times `steal_after` it is tried again when it stands still (again).
    trial: u32,
    /// Jobs that it gets when it is admitted, and when each wait ends; oldest first.
    pub(super) reserved: VecDeque<(JobId, Tick)>,
    /// What was sent and is not known to have been received, oldest first, and from when on it may
    /// be taken for others.
    pub(super) sent: VecDeque<(JobId, Tick)>,
    /// What it has received and not started.
    pub(super) received: BTreeSet<JobId>,
    /// What it works on.
    pub(super) started: BTreeSet<JobId>,
}

/// What the supervisor wants for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Admitted,
    /// It is being started.
    Expected,
    Held,
    /// Its link is being emptied for good; `Withdrawn` is owed.
    Leaving,
    /// `Withdrawn` was said. It finishes what it has.
    Left,
}

/// Whether its link moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Receipt {
    Flowing,
    /// Its link took nothing.
    Full,
    /// Its link stood still and is being emptied for others.
    Stealing,
    /// Its link stood still. It gets one job at `until`, to see.
    Still {
        until: Tick,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    Asked,
    Idle,
}

/// Whether it shall be withdrawn as soon as that costs nobody a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Withdrawal {
    Deferred,
    Unasked,
}

/// Whether it was given the last job of its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    Exhausted,
    Open,
}

/// How much a worker may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Limits {
    pub(super) window: usize,
    pub(super) jobs: usize,
    pub(super) life: Option<u32>,
}

impl Limits {
    pub(super) fn new(spec: &JobSpec) -> Limits {
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Limits {
            window: size(spec.worker_window.get()),
            jobs: size(spec.worker_jobs.get()),
            life: spec.max_jobs.map(u32::from),
        }
    }

    /// How many more jobs a worker gets in its life that was given so many.
    fn left(&self, used: u32) -> usize {
        if mutation::is(Mutation::JobLimitOff) {
            return usize::MAX;
        }
        let left = |life: u32| usize::try_from(life.saturating_sub(used)).unwrap_or(usize::MAX);
        self.life.map_or(usize::MAX, left)
    }
}

impl Worker {
    pub(super) fn new(id: Incarnation, standing: Standing) -> Worker {
        Worker {
            id,
            standing,
            receipt: Receipt::Flowing,
            take_back: Ask::Idle,
            withdrawal: Withdrawal::Unasked,
            life: Life::Open,
            used: 0,
            trial: FIRST_TRIAL,
            reserved: VecDeque::new(),
            sent: VecDeque::new(),
            received: BTreeSet::new(),
            started: BTreeSet::new(),
        }
    }

    /// How many more jobs it may hold, were it to take any.
    fn room(&self, limits: &Limits) -> usize {
        let unstarted = self.sent.len() + self.received.len() + self.reserved.len();
        let unfinished = unstarted + self.started.len();
        let window = limits.window.saturating_sub(unstarted);
        let jobs = limits.jobs.saturating_sub(unfinished);
        let reserved = self.reserved.len();
        let life = limits.left(self.used).saturating_sub(reserved);
        window.min(jobs).min(life)
    }

    /// Whether nothing but a full link or a stolen one could keep it from taking a job.
    fn is_open(&self) -> bool {
        self.standing == Standing::Admitted
            && self.life == Life::Open
            && self.take_back == Ask::Idle
    }

    /// Whether it takes jobs as fast as it can.
    pub(super) fn has_room(&self, limits: &Limits) -> bool {
        self.is_open() && self.receipt == Receipt::Flowing && self.room(limits) > 0
    }

    /// When a trial shall show whether it still stands still.
    pub(super) fn trial_at(&self, limits: &Limits) -> Option<Tick> {
        let Receipt::Still { until } = self.receipt else {
            return None;
        };
        let empty = self.sent.is_empty() && self.received.is_empty();
        (self.is_open() && empty && self.room(limits) > 0).then_some(until)
    }

    /// Whether it may be sent a job now.
    pub(super) fn can_take(&self, limits: &Limits, now: Tick) -> bool {
        self.has_room(limits) || self.trial_at(limits).is_some_and(|at| at <= now)
    }

    /// Whether a job may be reserved for it.
    pub(super) fn can_reserve(&self, limits: &Limits) -> bool {
        self.standing == Standing::Expected && self.room(limits) > 0
    }

    /// Whether it may get jobs, now or later.
    pub(super) fn has_future(&self) -> bool {
        let stays = match self.standing {
            Standing::Admitted | Standing::Expected | Standing::Held => true,
            Standing::Leaving | Standing::Left => false,
        };
        stays && self.life == Life::Open
    }

    /// Unfinished jobs, and those that it is to have.
    pub(super) fn load(&self) -> usize {
        self.unfinished() + self.reserved.len()
    }

    pub(super) fn unfinished(&self) -> usize {
        self.sent.len() + self.received.len() + self.started.len()
    }

    /// From when on its link stands still, as far as is known, unless it is about to be emptied
    /// anyway.
    pub(super) fn stands_still_at(&self) -> Option<Tick> {
        let stealable = self.standing == Standing::Admitted && self.take_back == Ask::Idle;
        let oldest = self.sent.front().filter(|_| stealable)?;
        Some(oldest.1)
    }

    /// Takes a job out of what was sent, wherever it stands. Mostly it is the oldest.
    pub(super) fn unsend(&mut self, id: JobId) {
        if let Some(at) = self.sent.iter().position(|(sent, _)| *sent == id) {
            self.sent.remove(at);
        }
    }

    /// Everything that it has.
    pub(super) fn all_jobs(&self) -> BTreeSet<JobId> {
        let sent = self.sent.iter().map(|(id, _)| id);
        let others = self.received.iter().chain(&self.started);
        sent.chain(others).copied().collect()
    }

    /// Whether that many jobs were the last ones of its life.
    pub(super) fn is_used_up(&self, limits: &Limits) -> bool {
        limits.left(self.used) == 0
    }

    /// Whether more is reserved for it than it may get in its life.
    pub(super) fn has_promised_too_much(&self, limits: &Limits) -> bool {
        self.reserved.len() > limits.left(self.used)
    }

    /// Whether it was to be withdrawn, and nobody was told that it is.
    pub(super) fn owes_withdrawal(&self) -> bool {
        self.standing == Standing::Leaving || self.withdrawal == Withdrawal::Deferred
    }

    /// It receives: whatever was believed of its link is past.
    pub(super) fn moves(&mut self) {
        self.trial = FIRST_TRIAL;
        match self.receipt {
            Receipt::Full | Receipt::Still { .. } => self.receipt = Receipt::Flowing,
            Receipt::Flowing | Receipt::Stealing => {}
        }
    }

    /// Its link has room; that does not show that it receives, since it may have been emptied from
    /// outside.
    pub(super) fn has_free_link(&mut self, now: Tick) {
        match self.receipt {
            Receipt::Full => self.receipt = Receipt::Flowing,
            Receipt::Still { until } => {
                self.receipt = Receipt::Still {
                    until: until.min(now),
                };
            }
            Receipt::Flowing | Receipt::Stealing => {}
        }
    }

    /// Something was taken from its link, which had not moved for `steal_after`.
    pub(super) fn stood_still(&mut self, steal_after: Duration, now: Tick) {
        let until = now.after(steal_after.saturating_mul(self.trial));
        self.trial = (self.trial * 2).min(LAST_TRIAL);
        self.receipt = Receipt::Still { until };
    }
}
