use std::collections::{BTreeMap, BTreeSet};

use herder_core::jobs::JobOutcome;
use herder_core::{ClientId, Incarnation, JobId, Tick};

use super::violation::{Verdict, Violation, ensure};

/// Where a job truly is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// With the shell.
    Hand,
    /// In the worker's link.
    Link(Incarnation),
    /// Received by the worker and not begun.
    Inside(Incarnation),
    /// The worker works on it, or did before it died or said so.
    Begun(Incarnation),
    /// It has come to its end, as far as the dispatcher was told.
    Ended,
}

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) client: ClientId,
    pub(crate) place: Place,
    /// Since when it has been in the hand.
    pub(crate) since: Tick,
    /// How many workers died while they had it.
    pub(crate) deaths: u32,
    /// How often a worker began it.
    starts: u32,
    /// Since when somebody has had room for it, as far as is known.
    pub(crate) passed_over: Option<Tick>,
    released: Count,
    over: Count,
    client_here: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Count {
    Never,
    Once,
}

/// The truth about every job.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    jobs: BTreeMap<JobId, Job>,
    arrived: u64,
    hand: BTreeSet<JobId>,
    /// These have ended, and their clients must be told so.
    due: BTreeMap<JobId, JobOutcome>,
    /// These have ended and are not released.
    unreleased: BTreeSet<JobId>,
}

impl Ledger {
    pub(crate) fn arrive(&mut self, client: ClientId, now: Tick) -> JobId {
        self.arrived += 1;
        let id = JobId(self.arrived);
        let job = Job {
            client,
            place: Place::Hand,
            since: now,
            deaths: 0,
            starts: 0,
            passed_over: None,
            released: Count::Never,
            over: Count::Never,
            client_here: true,
        };
        self.jobs.insert(id, job);
        self.hand.insert(id);
        id
    }

    pub(crate) fn arrived(&self) -> u64 {
        self.arrived
    }

    pub(crate) fn hand(&self) -> &BTreeSet<JobId> {
        &self.hand
    }

    pub(crate) fn job_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.jobs.get_mut(&id)
    }

    /// The dispatcher gives it to a worker; it may be refused.
    pub(crate) fn offer(&self, id: JobId) -> Verdict {
        let job = self.known(id)?;
        ensure(
            job.place == Place::Hand && !self.due.contains_key(&id),
            "1: only what is in the hand is given",
            || format!("{id} is {job:?}"),
        )?;
        ensure(
            job.released == Count::Never,
            "5: nothing is given after its release",
            || format!("{id} is {job:?}"),
        )?;
        ensure(job.client_here, "1: nothing is done for nobody", || {
            format!("{id} is {job:?}")
        })
    }

    pub(crate) fn put(&mut self, id: JobId, place: Place) {
        self.hand.remove(&id);
        if let Some(job) = self.jobs.get_mut(&id) {
            job.place = place;
            job.passed_over = None;
        }
    }

    /// A worker begins it. Returns how often that has happened.
    pub(crate) fn begin(&mut self, id: JobId, worker: Incarnation) -> u32 {
        self.put(id, Place::Begun(worker));
        self.jobs.get_mut(&id).map_or(0, |job| {
            job.starts += 1;
            job.starts
        })
    }

    /// It is in the hand again, unless nobody waits for it.
    pub(crate) fn bring_back(&mut self, id: JobId, now: Tick) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if !job.client_here {
            self.end(id);
            return;
        }
        job.place = Place::Hand;
        job.since = now;
        self.hand.insert(id);
    }

    /// Its worker died, and another may carry it out.
    pub(crate) fn meet_death(&mut self, id: JobId, poison: u32, now: Tick) {
        self.bring_back(id, now);
        let deaths = self.jobs.get_mut(&id).map_or(0, |job| {
            job.deaths += 1;
            job.deaths
        });
        if deaths >= poison {
            self.owe(id, JobOutcome::Poisoned);
        }
    }

    /// It has ended so.
    pub(crate) fn owe(&mut self, id: JobId, outcome: JobOutcome) {
        let waits = self.jobs.get(&id).is_some_and(|job| job.client_here);
        self.end(id);
        if waits {
            self.due.insert(id, outcome);
        }
    }

    /// Nobody waits for it any more.
    pub(crate) fn abandon(&mut self, id: JobId) {
        self.due.remove(&id);
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.client_here = false;
        if job.place == Place::Hand {
            self.end(id);
        } else if job.released == Count::Never {
            self.unreleased.insert(id);
        }
    }

    /// The client is told.
    pub(crate) fn over(&mut self, id: JobId, client: ClientId, outcome: JobOutcome) -> Verdict {
        if self.due.remove(&id) != Some(outcome) {
            // Only a job that nobody took may end without a word from a worker.
            let unserved = outcome == JobOutcome::Unserved && self.hand.contains(&id);
            ensure(unserved, "2: a job ends as it ended", || {
                format!("{id}: {outcome:?}, {:?}", self.jobs.get(&id))
            })?;
            self.end(id);
        }
        let job = self.jobs.get_mut(&id).expect("it was found");
        let right = job.over == Count::Never && job.client_here && job.client == client;
        job.over = Count::Once;
        ensure(right, "2: a job ends once, for its client", || {
            format!("{id}: {outcome:?}, {job:?}")
        })
    }

    pub(crate) fn release(&mut self, id: JobId) -> Verdict {
        self.unreleased.remove(&id);
        let Some(job) = self.jobs.get_mut(&id) else {
            return self.known(id).map(|_| ());
        };
        let once = job.released == Count::Never;
        job.released = Count::Once;
        ensure(once, "5: a payload is released once", || {
            format!("{id} is {job:?}")
        })
    }

    /// When nothing is left to be asked: whatever has ended is told and released.
    pub(crate) fn check_told(&self) -> Verdict {
        ensure(self.due.is_empty(), "2: every end is told", || {
            format!("{:?}", self.due)
        })?;
        ensure(
            self.unreleased.is_empty(),
            "5: what has ended is released",
            || format!("{:?}", self.unreleased),
        )
    }

    /// The jobs that have not ended, or whose worker has not let go of them.
    pub(crate) fn open(&self) -> impl Iterator<Item = (JobId, &Job)> {
        let open = |(_, job): &(&JobId, &Job)| job.place != Place::Ended;
        self.jobs.iter().filter(open).map(|(id, job)| (*id, job))
    }

    pub(crate) fn check_all_ended(&self) -> Verdict {
        self.check_told()?;
        for (id, job) in &self.jobs {
            let told = job.over == Count::Once || !job.client_here;
            ensure(
                told && job.place == Place::Ended && job.released == Count::Once,
                "2: every job ends",
                || format!("{id}: {job:?}"),
            )?;
        }
        Ok(())
    }

    fn end(&mut self, id: JobId) {
        self.put(id, Place::Ended);
        if self
            .jobs
            .get(&id)
            .is_some_and(|job| job.released == Count::Never)
        {
            self.unreleased.insert(id);
        }
    }

    fn known(&self, id: JobId) -> Result<&Job, Violation> {
        self.jobs.get(&id).ok_or_else(|| Violation {
            rule: "1: only jobs that arrived exist",
            detail: format!("{id} never arrived"),
        })
    }
}
