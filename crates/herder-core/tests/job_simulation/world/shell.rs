//! The shell around the dispatcher: what is told, and what is done.

use herder_core::jobs::{Action, Event, JobOutcome, Retry};
use herder_core::{ClientId, Incarnation, JobId};

use super::audit::Stop;
use super::ledger::Place;
use super::process::Word;
use super::run::World;
use super::seat::{Receipt, Seat, Standing, Withdrawal};
use super::trace;
use super::violation::{Verdict, ensure};

impl World {
    /// Tells this, and does what is asked for.
    pub(super) fn tell(&mut self, event: Event) -> Verdict {
        self.say(event);
        self.drain()
    }

    /// Tells this; the truth has been booked.
    pub(super) fn say(&mut self, event: Event) {
        trace::line(|| format!("{:>12} < {event:?}", self.now.as_micros()));
        self.dispatcher.handle(event, self.now);
        self.at_rest = false;
        self.had_no_hope |= self.has_no_hope();
    }

    /// Does what the dispatcher asks for; now and then other news comes in between.
    pub(super) fn drain(&mut self) -> Verdict {
        let mut asked = 0;
        while !self.rng.chance(self.faults.late / 4) {
            let Some(action) = self.dispatcher.poll_action() else {
                self.at_rest = true;
                self.had_no_hope = false;
                self.interrupted = false;
                return self.check_rest();
            };
            asked += 1;
            ensure(asked < 10_000, "9: the dispatcher makes progress", || {
                format!("{action:?}")
            })?;
            trace::line(|| format!("{:>12} > {action:?}", self.now.as_micros()));
            self.somebody_races();
            self.execute(action)?;
            self.had_no_hope |= self.has_no_hope();
        }
        self.interrupted = true;
        Ok(())
    }

    /// The shell reads the next word of a worker.
    pub(super) fn reads(&mut self, id: Incarnation) -> Verdict {
        let Some(process) = self.processes.get_mut(&id) else {
            return Ok(());
        };
        let Some(word) = process.says.pop_front() else {
            return Ok(());
        };
        let seat = self.seats.get_mut(&id).expect("only the seated have jobs");
        seat.moves();
        let (Word::Failed(job) | Word::Finished(job) | Word::Started(job)) = word;
        seat.unstarted.remove(&job);
        seat.running.remove(&job);
        let worker = id;
        match word {
            Word::Started(_) => {
                seat.running.insert(job);
                self.tell(Event::Started { worker, job })
            }
            Word::Failed(_) => {
                self.ledger.owe(job, JobOutcome::Failed { worker });
                self.tell(Event::Failed { worker, job })
            }
            Word::Finished(_) => {
                self.ledger.owe(job, JobOutcome::Finished);
                self.tell(Event::Finished { worker, job })
            }
        }
    }

    /// The shell sees that a worker is dead: it reads what is left, then tells.
    pub(super) fn buries(&mut self, id: Incarnation) -> Verdict {
        while self
            .processes
            .get(&id)
            .is_some_and(|process| !process.says.is_empty())
        {
            self.reads(id)?;
        }
        self.processes.remove(&id);
        if let Some(seat) = self.seats.remove(&id) {
            let poison = self.plan.spec.poison_deaths.get();
            for job in seat.unstarted {
                self.ledger.meet_death(job, poison, self.now);
            }
            for job in seat.running {
                match self.plan.spec.retry {
                    Retry::Never => self.ledger.owe(job, JobOutcome::Lost { worker: id }),
                    Retry::Idempotent => self.ledger.meet_death(job, poison, self.now),
                }
            }
            match seat.withdrawal {
                Withdrawal::Waits | Withdrawal::Owed => *self.stray.entry(id).or_default() += 1,
                Withdrawal::Unasked | Withdrawal::Answered => {}
            }
        }
        self.tell(Event::Gone { worker: id })
    }

    pub(super) fn client_leaves(&mut self, client: ClientId) -> Verdict {
        if let Some(left) = self.clients.remove(&client) {
            left.outstanding
                .iter()
                .for_each(|&job| self.ledger.abandon(job));
        }
        self.tell(Event::ClientGone { client })
    }

    pub(super) fn expects(&mut self, id: Incarnation) -> Verdict {
        self.seats
            .entry(id)
            .or_insert_with(|| Seat::new(Standing::Expected));
        self.tell(Event::Expected { worker: id })
    }

    pub(super) fn admits(&mut self, id: Incarnation, started: u32) -> Verdict {
        let seat = self
            .seats
            .entry(id)
            .or_insert_with(|| Seat::new(Standing::Admitted));
        if matches!(seat.withdrawal, Withdrawal::Unasked | Withdrawal::Waits) {
            seat.standing = Standing::Admitted;
            seat.moves();
            seat.given = seat.given.max(started);
        }
        self.tell(Event::Admitted {
            worker: id,
            started,
        })
    }

    pub(super) fn holds(&mut self, id: Incarnation) -> Verdict {
        if let Some(seat) = self.seats.get_mut(&id) {
            seat.hold();
        }
        self.tell(Event::Held { worker: id })
    }

    pub(super) fn withdraws(&mut self, id: Incarnation) -> Verdict {
        let stops = matches!(self.stop, Stop::Until(_));
        match self.seats.get_mut(&id) {
            None => {
                *self.stray.entry(id).or_default() += 1;
                // Whoever was withdrawn before it was admitted is never admitted.
                self.dies(id);
            }
            Some(seat) => seat.withdraw(stops),
        }
        self.tell(Event::Withdraw { worker: id })
    }

    fn execute(&mut self, action: Action) -> Verdict {
        match action {
            Action::Assign { job, worker } => self.assign(job, worker),
            Action::Cancel { job, worker } => self.audit_cancel(job, worker),
            Action::Empty => self.audit_empty(),
            Action::Exhausted { worker } => self.audit_exhausted(worker),
            Action::Over {
                job,
                client,
                outcome,
            } => self.audit_over(job, client, outcome),
            Action::Pause { client } => {
                self.tally.paused += 1;
                self.audit_flow(client, true)
            }
            Action::Release { job } => self.ledger.release(job),
            Action::Resume { client } => self.audit_flow(client, false),
            Action::TakeBack { worker } => self.takes_back(worker),
            Action::Withdrawn { worker } => self.audit_withdrawn(worker),
        }
    }

    fn assign(&mut self, job: JobId, worker: Incarnation) -> Verdict {
        self.ledger.offer(job)?;
        self.audit_assign(job, worker)?;
        let refused = self.rng.chance(self.faults.refuse);
        let process = self.processes.get_mut(&worker).expect("it is not buried");
        let seat = self.seats.get_mut(&worker).expect("it was audited");
        if refused || process.link.len() >= self.plan.link {
            self.tally.refused += 1;
            seat.refuse();
            self.say(Event::Refused { worker, job });
            return Ok(());
        }
        seat.given += 1;
        seat.unstarted.insert(job);
        process.link.push_back(job);
        self.ledger.put(job, Place::Link(worker));
        Ok(())
    }

    fn takes_back(&mut self, worker: Incarnation) -> Verdict {
        let (Some(process), Some(seat)) =
            (self.processes.get_mut(&worker), self.seats.get_mut(&worker))
        else {
            return ensure(false, "nothing is asked of the gone", || {
                format!("a take-back from {worker}")
            });
        };
        let jobs: Vec<JobId> = process.link.drain(..).collect();
        for &job in &jobs {
            seat.unstarted.remove(&job);
            seat.given -= 1;
            self.ledger.bring_back(job, self.now);
        }
        seat.is_emptied(jobs.len());
        if seat.receipt == Receipt::Robbed {
            self.tally.robbed += 1;
        }
        self.say(Event::TakenBack { worker, jobs });
        Ok(())
    }

    /// A worker may receive between a decision and its execution.
    fn somebody_races(&mut self) {
        if self.rng.chance(300) {
            let ids: Vec<Incarnation> = self.processes.keys().copied().collect();
            if let Some(id) = self.rng.pick(&ids) {
                self.receives(id);
            }
        }
    }
}
