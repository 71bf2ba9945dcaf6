//! What the master does with workers.

use std::time::Duration;

use herder_core::jobs::Event;
use herder_core::{Incarnation, JobId};

use super::audit::Stop;
use super::plan::MAX_WORKERS;
use super::process::{Life, Process};
use super::run::World;
use super::seat::{Seat, Standing, Withdrawal};
use super::trace;
use super::violation::{Verdict, ensure};

impl World {
    /// Starts a worker when there are too few.
    pub(super) fn master_hires(&mut self) -> Verdict {
        let future = |id: &Incarnation| self.seats.get(id).is_none_or(Seat::has_future);
        let staff = self.living().iter().filter(|id| future(id)).count();
        if self.stop != Stop::Unasked || staff >= MAX_WORKERS {
            return Ok(());
        }
        self.newest_worker += 1;
        let id = Incarnation(self.newest_worker);
        self.processes.insert(id, Process::booting());
        match self.rng.below(10) {
            // A worker of an earlier gateway, which has begun jobs before.
            0 => {
                let most = self.plan.spec.max_jobs.map_or(4, u32::from);
                let begun = self.rng.below(u64::from(most) + 1);
                let process = self.processes.get_mut(&id).expect("it was just started");
                process.life = Life::Serving;
                process.begun = u32::try_from(begun).expect("it is small");
                let begun = process.begun;
                self.admits(id, begun)
            }
            1 => Ok(()),
            _ => self.expects(id),
        }
    }

    /// A booting worker becomes ready, and is admitted.
    pub(super) fn master_admits(&mut self, id: Incarnation) -> Verdict {
        let Some(process) = self.processes.get_mut(&id).filter(|p| p.life != Life::Dead) else {
            return Ok(());
        };
        process.life = Life::Serving;
        let begun = process.begun;
        self.admits(id, begun)
    }

    /// What the master does about a worker as it is.
    pub(super) fn master_tends(&mut self, id: Incarnation) -> Verdict {
        let Some(seat) = self.seats.get(&id) else {
            return self.master_admits(id);
        };
        match (seat.withdrawal, seat.standing) {
            (Withdrawal::Answered, _) => {
                if let Some(process) = self.processes.get_mut(&id) {
                    process.draining = true;
                    // A worker that was withdrawn before it was ready has nothing to finish.
                    process.life = match process.life {
                        Life::Booting => Life::Dead,
                        Life::Dead | Life::Serving => process.life,
                    };
                }
                Ok(())
            }
            (Withdrawal::Owed | Withdrawal::Waits, _) => Ok(()),
            (Withdrawal::Unasked, _) if seat.exhausted || self.stop != Stop::Unasked => {
                self.withdraws(id)
            }
            (Withdrawal::Unasked, Standing::Expected | Standing::Held) => self.master_admits(id),
            (Withdrawal::Unasked, Standing::Admitted) => Ok(()),
        }
    }

    /// A worker that has finished what it had leaves.
    pub(super) fn leaves_when_done(&mut self, id: Incarnation) {
        let process = self.processes.get_mut(&id);
        if let Some(process) = process.filter(|p| p.acts() && p.draining && !p.has_jobs()) {
            process.life = Life::Dead;
        }
    }

    pub(super) fn stop_begins(&mut self, within: Duration) -> Verdict {
        let until = self.now.after(within);
        self.stop = match self.stop {
            Stop::Over => Stop::Over,
            Stop::Unasked => Stop::Until(until),
            Stop::Until(earlier) => Stop::Until(earlier.min(until)),
        };
        self.tell(Event::Closing { within })
    }

    /// News about the dead, the unknown, and about jobs that are not where the news says: it must
    /// change nothing.
    pub(super) fn rumours(&mut self) -> Verdict {
        self.tell(Event::Timer)?;
        if !self.at_rest {
            return Ok(());
        }
        let ids: Vec<Incarnation> = (0..=self.newest_worker + 2)
            .map(Incarnation)
            .filter(|id| !self.seats.contains_key(id))
            .collect();
        let worker = self.rng.pick(&ids).expect("nobody is number 0");
        let job = JobId(self.rng.below(self.ledger.arrived() + 2));
        let event = match self.rng.below(9) {
            0 => Event::Gone { worker },
            1 => Event::Held { worker },
            2 => Event::Room { worker },
            3 => Event::Started { worker, job },
            4 => Event::Finished { worker, job },
            5 => Event::Failed { worker, job },
            6 => Event::Refused { worker, job },
            7 => Event::TakenBack {
                worker,
                jobs: vec![job],
            },
            _ => self.rumour_about_the_living(job),
        };
        let before = self.dispatcher.clone();
        trace::line(|| format!("{:>12} < {event:?} (a rumour)", self.now.as_micros()));
        self.dispatcher.handle(event.clone(), self.now);
        ensure(
            self.dispatcher == before,
            "10: stale news changes nothing",
            || format!("{event:?}"),
        )
    }

    /// The worker has not got the job.
    fn rumour_about_the_living(&mut self, job: JobId) -> Event {
        let has_not = |seat: &Seat| !seat.unstarted.contains(&job) && !seat.running.contains(&job);
        let ids: Vec<Incarnation> = self
            .seats
            .iter()
            .filter(|(_, seat)| has_not(seat))
            .map(|(id, _)| *id)
            .collect();
        let Some(worker) = self.rng.pick(&ids) else {
            return Event::Timer;
        };
        match self.rng.below(4) {
            0 => Event::Started { worker, job },
            1 => Event::Finished { worker, job },
            2 => Event::Failed { worker, job },
            _ => Event::Refused { worker, job },
        }
    }
}
