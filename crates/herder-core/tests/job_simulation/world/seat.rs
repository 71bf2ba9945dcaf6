use std::collections::BTreeSet;

use herder_core::JobId;
use herder_core::jobs::JobSpec;

/// What the dispatcher was told of a worker, and what it asked for.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) standing: Standing,
    /// A withdrawal was asked for, and whether it was answered.
    pub(crate) withdrawal: Withdrawal,
    pub(crate) exhausted: bool,
    pub(crate) receipt: Receipt,
    /// Jobs given and not known to have been started or ended.
    pub(crate) unstarted: BTreeSet<JobId>,
    /// Jobs known to have been started.
    pub(crate) running: BTreeSet<JobId>,
    /// How many jobs it was given for good.
    pub(crate) given: u32,
    /// It was held, and its link has not been emptied since.
    held_with_jobs: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    Admitted,
    Expected,
    Held,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Withdrawal {
    Unasked,
    /// The herd stops: it goes on until no job waits.
    Waits,
    Owed,
    Answered,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Receipt {
    Flowing,
    /// It refused, and room was not announced.
    Blocked,
    /// Its link was emptied: because it was held, or for others, or both.
    Doubtful,
    /// Its link stood still and was emptied for others.
    Robbed,
}

impl Seat {
    pub(crate) fn new(standing: Standing) -> Seat {
        Seat {
            standing,
            withdrawal: Withdrawal::Unasked,
            exhausted: false,
            receipt: Receipt::Flowing,
            unstarted: BTreeSet::new(),
            running: BTreeSet::new(),
            given: 0,
            held_with_jobs: false,
        }
    }

    pub(crate) fn unfinished(&self) -> usize {
        self.unstarted.len() + self.running.len()
    }

    /// Whether it may get jobs, now or later.
    pub(crate) fn has_future(&self) -> bool {
        let stays = matches!(self.withdrawal, Withdrawal::Unasked | Withdrawal::Waits);
        stays && !self.exhausted
    }

    /// Whether it can take a job, and nothing speaks against it.
    pub(crate) fn has_room(&self, spec: &JobSpec) -> bool {
        self.has_future()
            && self.standing == Standing::Admitted
            && self.receipt == Receipt::Flowing
            && self.unstarted.len() < size(spec.worker_window.get())
            && self.unfinished() < size(spec.worker_jobs.get())
            && spec.max_jobs.is_none_or(|most| self.given < most.get())
    }

    /// The supervisor suspects it.
    pub(crate) fn hold(&mut self) {
        match self.withdrawal {
            Withdrawal::Unasked => {}
            Withdrawal::Waits => self.withdrawal = Withdrawal::Owed,
            Withdrawal::Answered | Withdrawal::Owed => return,
        }
        self.standing = Standing::Held;
        self.held_with_jobs = !self.unstarted.is_empty();
    }

    /// `stops` = the herd stops, and jobs wait.
    pub(crate) fn withdraw(&mut self, stops: bool) {
        let goes_on = stops && self.standing == Standing::Admitted && !self.exhausted;
        self.withdrawal = match self.withdrawal {
            Withdrawal::Unasked if goes_on => Withdrawal::Waits,
            // One that was answered is answered again.
            Withdrawal::Unasked | Withdrawal::Answered => Withdrawal::Owed,
            Withdrawal::Waits => Withdrawal::Waits,
            Withdrawal::Owed => Withdrawal::Owed,
        };
    }

    /// Its link took nothing.
    pub(crate) fn refuse(&mut self) {
        match self.receipt {
            Receipt::Blocked | Receipt::Flowing => self.receipt = Receipt::Blocked,
            Receipt::Doubtful | Receipt::Robbed => {}
        }
    }

    /// So many jobs were taken out of its link.
    pub(crate) fn is_emptied(&mut self, jobs: usize) {
        if std::mem::take(&mut self.held_with_jobs) {
            self.receipt = Receipt::Doubtful;
        } else if self.standing == Standing::Admitted && jobs > 0 {
            self.receipt = Receipt::Robbed;
        } else {
            self.receipt = Receipt::Doubtful;
        }
    }

    /// Room in its link was announced.
    pub(crate) fn has_free_link(&mut self) {
        if self.receipt == Receipt::Blocked {
            self.receipt = Receipt::Flowing;
        }
    }

    /// It shows that it receives.
    pub(crate) fn moves(&mut self) {
        self.receipt = Receipt::Flowing;
    }
}

pub(crate) fn size(number: u32) -> usize {
    usize::try_from(number).expect("it is small")
}
