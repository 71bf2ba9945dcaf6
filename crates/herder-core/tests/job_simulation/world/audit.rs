//! What the dispatcher asks for, and what it believes, held against the truth.

use std::collections::BTreeSet;

use herder_core::jobs::{JobOutcome, JobPicker};
use herder_core::{ClientId, Incarnation, JobId, Tick};

use super::ledger::Place;
use super::run::World;
use super::seat::{Receipt, Seat, Standing, Withdrawal, size};
use super::violation::{Verdict, ensure};

/// What a client was told, and what it waits for.
#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) paused: bool,
    pub(crate) outstanding: BTreeSet<JobId>,
}

/// How far the herd's stop has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// Nothing waited any more, or not for longer.
    Over,
    Unasked,
    Until(Tick),
}

impl World {
    pub(super) fn audit_assign(&mut self, job: JobId, worker: Incarnation) -> Verdict {
        let spec = &self.plan.spec;
        let Some(seat) = self.seats.get(&worker) else {
            return ensure(false, "nothing is asked of the gone", || {
                format!("job {job} for {worker}")
            });
        };
        let detail = || format!("job {job} for {worker}: {seat:?}");
        let admitted = seat.standing == Standing::Admitted;
        ensure(admitted, "6: only the admitted get jobs", detail)?;
        let open = seat.has_future();
        ensure(open, "6: the exhausted and withdrawn get nothing", detail)?;
        let fits = seat.unstarted.len() < size(spec.worker_window.get())
            && seat.unfinished() < size(spec.worker_jobs.get());
        ensure(fits, "7: nobody gets more than the window", detail)?;
        let most = spec.max_jobs.map_or(u32::MAX, u32::from);
        ensure(
            seat.given < most,
            "4: nobody gets more than max_jobs",
            detail,
        )?;
        let receives = match seat.receipt {
            Receipt::Blocked => false,
            // One job, to see whether it still stands still.
            Receipt::Robbed => seat.unstarted.is_empty(),
            Receipt::Doubtful | Receipt::Flowing => true,
        };
        ensure(
            receives,
            "7: who does not receive gets nothing more",
            detail,
        )
    }

    pub(super) fn audit_cancel(&self, job: JobId, worker: Incarnation) -> Verdict {
        let waits = self
            .clients
            .values()
            .any(|client| client.outstanding.contains(&job));
        let right = self.seats.contains_key(&worker) && !waits;
        ensure(right, "what nobody waits for is cancelled", || {
            format!("job {job} at {worker}")
        })
    }

    pub(super) fn audit_empty(&mut self) -> Verdict {
        let Stop::Until(until) = self.stop else {
            return ensure(false, "8: empty is said once", || {
                format!("{:?}", self.stop)
            });
        };
        self.stop = Stop::Over;
        for seat in self.seats.values_mut() {
            if seat.withdrawal == Withdrawal::Waits {
                seat.withdrawal = Withdrawal::Owed;
            }
        }
        let waits = |place| matches!(place, Place::Hand | Place::Link(_));
        let waiting = self.ledger.open().find(|(_, job)| waits(job.place));
        let right = self.now >= until || waiting.is_none() || self.interrupted;
        ensure(right, "8: nothing waits when empty is said", || {
            format!("{waiting:?}")
        })
    }

    pub(super) fn audit_exhausted(&mut self, worker: Incarnation) -> Verdict {
        self.tally.exhausted += 1;
        // It may have died in the meantime.
        let Some(seat) = self.seats.get_mut(&worker) else {
            return Ok(());
        };
        let most = self.plan.spec.max_jobs.map_or(u32::MAX, u32::from);
        let right = !seat.exhausted && seat.given >= most;
        seat.exhausted = true;
        ensure(right, "4: exhausted is who got its last job", || {
            format!("{worker}: {seat:?}")
        })
    }

    pub(super) fn audit_over(
        &mut self,
        id: JobId,
        client: ClientId,
        outcome: JobOutcome,
    ) -> Verdict {
        match outcome {
            JobOutcome::Failed { .. } => self.tally.failed += 1,
            JobOutcome::Finished => self.tally.finished += 1,
            JobOutcome::Lost { .. } => self.tally.lost += 1,
            JobOutcome::Poisoned => self.tally.poisoned += 1,
            JobOutcome::Unserved => {
                self.tally.unserved += 1;
                let since = self.ledger.job_mut(id).map_or(self.now, |job| job.since);
                let late = self.now.since(since) >= self.plan.spec.pending_timeout;
                let hopeless = self.had_no_hope || self.has_no_hope();
                ensure(late || hopeless, "2: nothing is given up early", || {
                    format!("job {id}, in the hand since {since:?}")
                })?;
            }
        }
        if let Some(client) = self.clients.get_mut(&client) {
            client.outstanding.remove(&id);
        }
        self.ledger.over(id, client, outcome)
    }

    /// The herd stops, and nobody is left who could take a job.
    pub(super) fn has_no_hope(&self) -> bool {
        self.stop != Stop::Unasked && !self.seats.values().any(Seat::has_future)
    }

    pub(super) fn audit_flow(&mut self, id: ClientId, pause: bool) -> Verdict {
        let was = self.clients.get_mut(&id);
        let was = was.map(|client| std::mem::replace(&mut client.paused, pause));
        ensure(
            was == Some(!pause),
            "7: pause and resume take turns",
            || format!("client {id}: {was:?}, and now {pause}"),
        )
    }

    pub(super) fn audit_withdrawn(&mut self, worker: Incarnation) -> Verdict {
        self.tally.withdrawn += 1;
        if let Some(seat) = self.seats.get_mut(&worker) {
            let owed = seat.withdrawal == Withdrawal::Owed
                || (seat.withdrawal == Withdrawal::Waits && seat.exhausted);
            seat.withdrawal = Withdrawal::Answered;
            ensure(owed, "6: a withdrawal is answered once", || {
                format!("{worker}: {seat:?}")
            })?;
            let empty = self
                .processes
                .get(&worker)
                .is_none_or(|p| p.link.is_empty());
            return ensure(empty, "6: a withdrawn worker's link is empty", || {
                worker.to_string()
            });
        }
        let owed = self.stray.get_mut(&worker);
        let right = owed.is_some();
        match owed {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                self.stray.remove(&worker);
            }
        }
        ensure(right, "6: a withdrawal is answered once", || {
            worker.to_string()
        })
    }

    /// Nothing is left to be asked: everything must be as it should.
    pub(super) fn check_rest(&mut self) -> Verdict {
        self.ledger.check_told()?;
        ensure(self.stray.is_empty(), "6: a withdrawal is answered", || {
            format!("{:?}", self.stray)
        })?;
        self.check_beliefs()?;
        self.check_windows()?;
        let due = |at| at <= self.now;
        if self.dispatcher.poll_timeout().is_some_and(due) {
            return Ok(());
        }
        self.check_progress()
    }

    fn check_beliefs(&self) -> Verdict {
        let (waiting, hand) = (self.dispatcher.waiting(), self.ledger.hand());
        ensure(waiting == hand.len(), "1: what waits is known", || {
            format!("{waiting} of {hand:?}")
        })?;
        for (id, seat) in &self.seats {
            let believed = (
                self.dispatcher.unfinished(*id),
                self.dispatcher.running(*id),
            );
            let known = (seat.unfinished(), seat.running.len());
            ensure(believed == known, "1: who has what is known", || {
                format!("{id}: {believed:?} of {seat:?}")
            })?;
            let owed = seat.withdrawal == Withdrawal::Owed && !seat.exhausted;
            ensure(!owed, "6: a withdrawal is answered", || {
                format!("{id}: {seat:?}")
            })?;
        }
        Ok(())
    }

    fn check_windows(&self) -> Verdict {
        let spec = &self.plan.spec;
        let (window, pending) = (size(spec.client_window.get()), size(spec.pending.get()));
        let dense = self.dispatcher.waiting() > pending / 2;
        for (id, client) in &self.clients {
            let outstanding = client.outstanding.len();
            let detail = || format!("client {id}: {client:?}");
            let believed = self.dispatcher.outstanding(*id);
            ensure(
                believed == outstanding,
                "1: what is outstanding is known",
                detail,
            )?;
            ensure(
                outstanding <= window,
                "7: the client's window holds",
                detail,
            )?;
            let stops = outstanding >= window;
            ensure(client.paused || !stops, "7: a full window pauses", detail)?;
            let reason = stops || dense;
            ensure(!client.paused || reason, "7: a pause has a reason", detail)?;
        }
        Ok(())
    }

    /// Nothing waits while somebody has room, unless it waits for its turn with a worker that is
    /// being started.
    fn check_progress(&mut self) -> Verdict {
        let spec = &self.plan.spec;
        let room = self.seats.values().any(|seat| seat.has_room(spec));
        let hand: Vec<JobId> = self.ledger.hand().iter().copied().collect();
        let expected = self.seats.values().filter(|seat| {
            seat.standing == Standing::Expected
                && seat.withdrawal == Withdrawal::Unasked
                && spec.picker == JobPicker::RoundRobin
        });
        let life = spec.max_jobs.map_or(u32::MAX, u32::from);
        let each = spec
            .worker_window
            .get()
            .min(spec.worker_jobs.get())
            .min(life);
        let promised = expected.count() * size(each);
        ensure(
            !room || hand.len() <= promised,
            "9: nothing waits while somebody has room",
            || format!("{hand:?}, {:?}", self.dispatcher),
        )?;
        let now = self.now;
        for id in hand {
            let Some(job) = self.ledger.job_mut(id) else {
                continue;
            };
            job.passed_over = if room {
                job.passed_over.or(Some(now))
            } else {
                None
            };
            let waited = job
                .passed_over
                .map_or_else(Default::default, |at| now.since(at));
            ensure(
                !room || waited < self.plan.spec.starting_wait,
                "9: nothing waits long for a worker that is being started",
                || format!("job {id} since {waited:?}"),
            )?;
        }
        Ok(())
    }
}
