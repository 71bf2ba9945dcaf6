//! What may happen next.

use std::time::Duration;

use herder_core::jobs::Event;
use herder_core::{ClientId, Incarnation};

use super::audit::Stop;
use super::plan::MAX_CLIENTS;
use super::process::Life;
use super::run::World;
use super::seat::{Seat, Withdrawal, size};
use super::violation::{Verdict, ensure};

impl World {
    /// One thing happens.
    pub(super) fn step(&mut self) -> Verdict {
        self.time_passes()?;
        if self.rng.chance(self.faults.stale) {
            self.rumours()?;
        }
        if self.rng.chance(self.faults.stop) {
            let within = Duration::from_millis(self.rng.below(2_000));
            self.tally.stopped += u64::from(self.stop == Stop::Unasked);
            self.stop_begins(within)?;
        }
        if self.rng.chance(self.plan.demand) {
            return self.a_client_acts();
        }
        let ids: Vec<Incarnation> = self.processes.keys().copied().collect();
        let Some(id) = self.rng.pick(&ids) else {
            return self.master_hires();
        };
        match self.rng.below(10) {
            0 => self.master_hires(),
            1 => self.the_master_acts(id),
            2..=3 => self.reads(id),
            _ => self.a_worker_acts(id),
        }
    }

    /// Tells that the link has room, if it refused and has.
    pub(super) fn announces_room(&mut self, id: Incarnation) -> Verdict {
        let free = self
            .processes
            .get(&id)
            .is_some_and(|process| process.link.len() < self.plan.link);
        let Some(seat) = self.seats.get_mut(&id).filter(|_| free) else {
            return Ok(());
        };
        seat.has_free_link();
        self.tell(Event::Room { worker: id })
    }

    fn a_client_acts(&mut self) -> Verdict {
        let ids: Vec<ClientId> = self.clients.keys().copied().collect();
        if ids.len() < MAX_CLIENTS && self.rng.chance(100) || ids.is_empty() {
            self.newest_client += 1;
            let id = ClientId(self.newest_client);
            self.clients.entry(id).or_default();
            return self.sends(id);
        }
        let Some(id) = self.rng.pick(&ids) else {
            return Ok(());
        };
        if self.rng.chance(self.faults.leave) {
            return self.client_leaves(id);
        }
        self.sends(id)
    }

    fn sends(&mut self, id: ClientId) -> Verdict {
        // What it says is read only when it is known whether that is allowed.
        let Some(client) = self.clients.get_mut(&id).filter(|client| !client.paused) else {
            return Ok(());
        };
        if !self.at_rest || self.stop != Stop::Unasked {
            return Ok(());
        }
        let full = self.ledger.hand().len() >= size(self.plan.spec.pending.get());
        let job = self.ledger.arrive(id, self.now);
        client.outstanding.insert(job);
        let pauses = self.tally.paused;
        self.tell(Event::Arrived { job, client: id })?;
        // It may have been resumed since.
        let paused = self.tally.paused > pauses || !self.at_rest;
        ensure(
            paused || !full,
            "7: who sends while too much waits is paused",
            || id.to_string(),
        )
    }

    fn a_worker_acts(&mut self, id: Incarnation) -> Verdict {
        if self.rng.chance(self.faults.crash) {
            self.dies(id);
        }
        let freezes = self.rng.chance(self.faults.freeze);
        let thaws = self.rng.chance(20);
        let Some(process) = self.processes.get_mut(&id) else {
            return Ok(());
        };
        process.frozen = (process.frozen || freezes) && !thaws;
        if process.life == Life::Dead {
            return self.buries(id);
        }
        match self.rng.below(6) {
            0..=1 => self.receives(id),
            2..=3 => self.begins(id)?,
            4 => self.ends_a_job(id),
            _ => self.leaves_when_done(id),
        }
        Ok(())
    }

    fn the_master_acts(&mut self, id: Incarnation) -> Verdict {
        if self.seats.contains_key(&id) && self.rng.chance(self.faults.hold) {
            return self.holds(id);
        }
        let waits = |seat: &Seat| seat.withdrawal == Withdrawal::Owed;
        // Nobody asks again before the answer: it would be one answer or two, as it happens.
        if !self.seats.get(&id).is_some_and(waits) && self.rng.chance(self.faults.recycle) {
            return self.withdraws(id);
        }
        if self.rng.chance(400) {
            return self.announces_room(id);
        }
        self.master_tends(id)
    }

    fn time_passes(&mut self) -> Verdict {
        let step = if self.rng.chance(self.faults.leap) {
            self.rng.below(15_000_000)
        } else {
            self.rng.below(4_000)
        };
        self.now = self.now.after(Duration::from_micros(step));
        let due = self
            .dispatcher
            .poll_timeout()
            .is_some_and(|at| at <= self.now);
        if due && !self.rng.chance(self.faults.late) {
            return self.tell(Event::Timer);
        }
        Ok(())
    }
}
