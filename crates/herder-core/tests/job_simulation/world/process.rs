//! What workers truly are and do.

use std::collections::{BTreeSet, VecDeque};

use herder_core::jobs::Retry;
use herder_core::{Incarnation, JobId};

use super::ledger::Place;
use super::run::World;
use super::violation::{Verdict, ensure};

/// A worker's process and its link.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) life: Life,
    /// It does nothing at all until it thaws.
    pub(crate) frozen: bool,
    pub(crate) link: VecDeque<JobId>,
    pub(crate) inside: VecDeque<JobId>,
    pub(crate) working: BTreeSet<JobId>,
    /// What it has said and the shell has not read.
    pub(crate) says: VecDeque<Word>,
    /// How many jobs it began in its life.
    pub(crate) begun: u32,
    /// It was told to finish what it has and to leave.
    pub(crate) draining: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    Booting,
    Dead,
    Serving,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Word {
    Failed(JobId),
    Finished(JobId),
    Started(JobId),
}

impl Process {
    pub(crate) fn booting() -> Process {
        Process {
            life: Life::Booting,
            frozen: false,
            link: VecDeque::new(),
            inside: VecDeque::new(),
            working: BTreeSet::new(),
            says: VecDeque::new(),
            begun: 0,
            draining: false,
        }
    }

    pub(crate) fn acts(&self) -> bool {
        self.life == Life::Serving && !self.frozen
    }

    pub(crate) fn has_jobs(&self) -> bool {
        !(self.link.is_empty() && self.inside.is_empty() && self.working.is_empty())
    }
}

impl World {
    /// Receives the next job from its link.
    pub(super) fn receives(&mut self, id: Incarnation) {
        if let Some(process) = self.processes.get_mut(&id).filter(|process| process.acts())
            && let Some(job) = process.link.pop_front()
        {
            process.inside.push_back(job);
            self.ledger.put(job, Place::Inside(id));
        }
    }

    /// Begins the next job that it has received.
    pub(super) fn begins(&mut self, id: Incarnation) -> Verdict {
        let Some(process) = self.processes.get_mut(&id).filter(|process| process.acts()) else {
            return Ok(());
        };
        let Some(job) = process.inside.pop_front() else {
            return Ok(());
        };
        process.working.insert(job);
        process.says.push_back(Word::Started(job));
        process.begun += 1;
        let begun = process.begun;
        self.tally.started += 1;
        let starts = self.ledger.begin(job, id);
        ensure(
            starts == 1 || self.plan.spec.retry == Retry::Idempotent,
            "3: a job is begun once, unless it is idempotent",
            || format!("job {job} was begun {starts} times"),
        )?;
        let most = self.plan.spec.max_jobs.map_or(u32::MAX, u32::from);
        ensure(
            begun <= most,
            "4: no worker begins more than max_jobs",
            || format!("worker {id} has begun {begun} jobs of {most}"),
        )
    }

    /// Comes to the end of one of the jobs it works on.
    pub(super) fn ends_a_job(&mut self, id: Incarnation) {
        let fails = self.rng.chance(self.faults.fail);
        let Some(process) = self.processes.get_mut(&id).filter(|process| process.acts()) else {
            return;
        };
        let working: Vec<JobId> = process.working.iter().copied().collect();
        if let Some(job) = self.rng.pick(&working) {
            process.working.remove(&job);
            process.says.push_back(match fails {
                true => Word::Failed(job),
                false => Word::Finished(job),
            });
        }
    }

    pub(super) fn dies(&mut self, id: Incarnation) {
        if let Some(process) = self.processes.get_mut(&id) {
            process.life = Life::Dead;
        }
    }

    pub(super) fn living(&self) -> Vec<Incarnation> {
        let alive = self.processes.iter().filter(|(_, p)| p.life != Life::Dead);
        alive.map(|(id, _)| *id).collect()
    }
}
