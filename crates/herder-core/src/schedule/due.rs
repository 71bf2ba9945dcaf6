//! Which ticks are due, and what becomes of those for which it is too late.

use std::collections::VecDeque;
use std::time::Duration;

use super::message::{Action, Definition, Outcome};
use super::plan::{JobName, Misfire, Overlap, Target};
use super::run::{Run, RunId, Stage};
use super::scheduler::{Job, Pace, Scheduler};
use super::wall::{Calendar, Now, Wall};
use crate::random;

/// A tick that is later than this is too late.
const TOLERANCE: Duration = Duration::from_secs(5);

/// So many missed ticks are looked at one by one; of more, only the latest.
const LOOKED_AT: usize = 10_000;

/// So many ticks of a job wait behind its run; of more, the oldest are left out.
const QUEUED: usize = 16;

/// So many ticks of a job are watched that other machines have; the oldest is given up for more.
const WATCHED: usize = 64;

/// The wall clock was set back if it is so much behind what the other clock says.
const LEAP: Duration = Duration::from_secs(2);

impl<C: Calendar> Scheduler<C> {
    pub(super) fn define(&mut self, name: JobName, definition: Definition<C>, now: Now) {
        let Definition {
            plan,
            calendar,
            last,
        } = definition;
        let before = self.jobs.remove(&name);
        let known = before.as_ref().map(|job| job.last);
        // A tick of the future was dealt with by a clock that was set back since.
        let last = last.max(known).unwrap_or(now.wall).min(now.wall);
        let pace = match before.as_ref().map(|job| job.pace) {
            Some(Pace::Paused) => Pace::Paused,
            Some(Pace::Ticking(_)) | None => Pace::Ticking(next(&calendar, last)),
        };
        let queued = before.map(|job| job.queued).unwrap_or_default();
        let job = Job {
            plan,
            calendar,
            last,
            pace,
            queued,
        };
        self.jobs.insert(name, job);
    }

    pub(super) fn pause(&mut self, name: &JobName) {
        if let Some(job) = self.jobs.get_mut(name) {
            job.pace = Pace::Paused;
        }
    }

    pub(super) fn resume(&mut self, name: &JobName, now: Now) {
        if let Some(job) = self.jobs.get_mut(name)
            && job.pace == Pace::Paused
        {
            job.last = now.wall;
            job.pace = Pace::Ticking(next(&job.calendar, now.wall));
        }
    }

    /// What has not been begun will not be.
    pub(super) fn remove(&mut self, name: &JobName) {
        self.jobs.remove(name);
        let waiting: Vec<RunId> = self
            .runs
            .iter()
            .filter(|(_, run)| &run.name == name && !matches!(run.stage, Stage::Running { .. }))
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.drop_run(id);
        }
    }

    pub(super) fn run_now(&mut self, name: &JobName, now: Now) {
        if self.jobs.contains_key(name) {
            self.fire(name, now.wall, now);
        }
    }

    /// When this tick of the job is due.
    pub(super) fn begin(&self, name: &JobName, job: &Job<C>, tick: Wall) -> Wall {
        let jitter = u64::try_from(job.plan.jitter.as_millis()).unwrap_or(u64::MAX);
        let mut hash = random::mix(self.seed ^ tick.as_millis().unsigned_abs());
        for byte in name.as_str().bytes() {
            hash = random::mix(hash ^ u64::from(byte));
        }
        match jitter.checked_add(1) {
            Some(bound) => tick.after(Duration::from_millis(hash % bound)),
            None => tick,
        }
    }

    pub(super) fn fire_due(&mut self, now: Now) {
        let names: Vec<JobName> = self.jobs.keys().cloned().collect();
        for name in names {
            let due = self.take_due(&name, now);
            let Some(last) = due.back().copied() else {
                continue;
            };
            self.ask(Action::Remember {
                name: name.clone(),
                tick: last,
            });
            for tick in self.chosen(&name, due, now) {
                self.fire(&name, tick, now);
            }
        }
    }

    /// A clock that was set back has all its times before it once more.
    pub(super) fn notice_leap(&mut self, now: Now) {
        if let Some(seen) = self.seen.replace(now) {
            let expected = seen.wall.after(now.tick.since(seen.tick));
            if expected.since(now.wall) > LEAP {
                for job in self.jobs.values_mut() {
                    job.last = job.last.min(now.wall);
                    if let Pace::Ticking(_) = job.pace {
                        job.pace = Pace::Ticking(next(&job.calendar, job.last));
                    }
                }
            }
        }
    }

    /// The run of this tick may begin as soon as there is no other before it.
    pub(super) fn next_in_queue(&mut self, name: &JobName, now: Now) {
        if self.is_occupied(name) {
            return;
        }
        let queued = self
            .jobs
            .get_mut(name)
            .and_then(|job| job.queued.pop_front());
        if let Some(tick) = queued {
            self.launch(name, tick, now);
        }
    }

    /// Takes the ticks that are due from the job, the last of them at least.
    fn take_due(&mut self, name: &JobName, now: Now) -> VecDeque<Wall> {
        let mut due = VecDeque::new();
        let Some(job) = self.jobs.get(name) else {
            return due;
        };
        let Pace::Ticking(mut coming) = job.pace else {
            return due;
        };
        let mut steps = 0;
        while let Some(tick) = coming.filter(|tick| self.begin(name, job, *tick) <= now.wall) {
            due.push_back(tick);
            steps += 1;
            coming = next(&job.calendar, tick);
            if steps == LOOKED_AT {
                let recent = now.wall.before(TOLERANCE + job.plan.jitter).max(tick);
                coming = next(&job.calendar, recent);
            }
        }
        if let (Some(last), Some(job)) = (due.back().copied(), self.jobs.get_mut(name)) {
            job.last = last;
            job.pace = Pace::Ticking(coming);
        }
        due
    }

    /// Those of the due ticks that are carried out.
    fn chosen(&mut self, name: &JobName, due: VecDeque<Wall>, now: Now) -> Vec<Wall> {
        let Some(job) = self.jobs.get(name) else {
            return Vec::new();
        };
        let is_late = |tick: &Wall| now.wall.since(self.begin(name, job, *tick)) > TOLERANCE;
        let (late, timely): (Vec<Wall>, Vec<Wall>) = due.into_iter().partition(is_late);
        let kept = match job.plan.misfire {
            Misfire::All(most) => usize::from(most),
            Misfire::Once => 1,
            Misfire::Skip => 0,
        };
        let (left_out, made_up) = late.split_at(late.len().saturating_sub(kept));
        // One line for all of them: there may be thousands.
        if let Some(last) = left_out.last() {
            self.record_omission(name, *last, Outcome::Missed, now.wall);
        }
        made_up.iter().copied().chain(timely).collect()
    }

    /// The job is due: it runs, waits or is left out.
    fn fire(&mut self, name: &JobName, tick: Wall, now: Now) {
        let occupied = self.is_occupied(name);
        let Some(job) = self.jobs.get_mut(name) else {
            return;
        };
        match job.plan.overlap {
            Overlap::Queue if occupied || !job.queued.is_empty() => {
                job.queued.push_back(tick);
                if job.queued.len() > QUEUED
                    && let Some(oldest) = job.queued.pop_front()
                {
                    self.record_omission(name, oldest, Outcome::Overlapped, now.wall);
                }
            }
            Overlap::Skip if occupied => {
                self.record_omission(name, tick, Outcome::Overlapped, now.wall);
            }
            Overlap::Allow | Overlap::Queue | Overlap::Skip => self.launch(name, tick, now),
        }
    }

    fn launch(&mut self, name: &JobName, tick: Wall, now: Now) {
        self.bound_watched(name, now);
        let id = self.new_run();
        let run = Run {
            name: name.clone(),
            tick,
            attempt: 1,
            claim: None,
            stage: Stage::Resting { until: now.tick },
        };
        self.runs.insert(id, run);
        self.place(id, now);
    }

    fn is_occupied(&self, name: &JobName) -> bool {
        self.runs.values().any(|run| run.occupies(name))
    }

    fn bound_watched(&mut self, name: &JobName, now: Now) {
        let is_cluster = self.jobs.get(name).map(|job| job.plan.target) == Some(Target::Cluster);
        let is_watched = |run: &Run| {
            &run.name == name && matches!(run.stage, Stage::Asking { .. } | Stage::Watching { .. })
        };
        let mut watched = self.runs.iter().filter(|(_, run)| is_watched(run));
        let oldest = watched.next().map(|(id, run)| (*id, run.tick));
        // The oldest is one of them, and was taken already.
        if is_cluster
            && watched.count() + 1 >= WATCHED
            && let Some((id, tick)) = oldest
        {
            self.runs.remove(&id);
            self.record_omission(name, tick, Outcome::Missed, now.wall);
        }
    }
}

/// The next tick; a calendar that does not go forward has none.
fn next<C: Calendar>(calendar: &C, after: Wall) -> Option<Wall> {
    calendar.next_after(after).filter(|tick| *tick > after)
}
