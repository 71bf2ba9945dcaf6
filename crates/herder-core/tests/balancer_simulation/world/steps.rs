//! What happens to workers.

use std::time::Duration;

use herder_core::Slot;
use herder_core::rotation::Weight;

use super::history::History;
use super::run::{Worker, World};
use super::trace;
use super::violation::Verdict;

impl World {
    pub(super) fn step(&mut self) -> Verdict {
        self.let_time_pass();
        match self.rng.below(100) {
            0..=49 => self.begin_request(),
            50..=82 => self.end_some_request(),
            83..=85 => {
                let slot = self.rng.below(self.slots);
                self.admit_new(slot)
            }
            86..=87 => self.withdraw_some(),
            88 => self.readmit_some(),
            89..=90 => self.kill_some(),
            91..=97 => {
                self.change_health();
                Ok(())
            }
            _ => {
                let now = self.now;
                self.return_in_time();
                self.balancer.timer(now);
                self.hear()
            }
        }
    }

    fn let_time_pass(&mut self) {
        let millis = match self.rng.below(100) {
            0..=29 => 0,
            30..=97 => self.rng.below(500),
            _ => self.rng.below(200_000),
        };
        self.now = self.now.after(Duration::from_millis(millis));
    }

    pub(super) fn admit_new(&mut self, slot: u64) -> Verdict {
        self.return_in_time();
        self.newest += 1;
        let worker = self.newest;
        let slot = Slot(u16::try_from(slot).expect("small"));
        let weight = u8::try_from(self.rng.between(1, self.heaviest + 1)).expect("small");
        let (now, slow_start) = (self.now, self.spec.slow_start);
        let is_elder = |it: &Worker| it.is_admitted && it.since.after(slow_start) <= now;
        let newcomer = Worker {
            slot,
            weight,
            since: now,
            is_spared: self.workers.values().any(is_elder),
            is_admitted: true,
            owes_drained: false,
            sickness: 0,
            ejected_at: now,
            history: History::new(now),
        };
        trace::line(|| format!("{now:?} admit {worker} {newcomer:?}"));
        self.workers.insert(worker, newcomer);
        let weight = Weight::new(weight).expect("small");
        self.balancer.admit(worker, slot, weight, now);
        self.turns.clear();
        self.hear()
    }

    fn withdraw_some(&mut self) -> Verdict {
        // Sometimes it is withdrawn already, or nobody knows it.
        let worker = match self.some_worker() {
            Some(worker) if self.rng.chance(950) => worker,
            _ => self.newest + 1000,
        };
        self.withdraw(worker)
    }

    pub(super) fn withdraw(&mut self, worker: u64) -> Verdict {
        let now = self.now;
        trace::line(|| format!("{now:?} withdraw {worker}"));
        self.return_in_time();
        if let Some(it) = self.workers.get_mut(&worker) {
            it.owes_drained |= it.is_admitted;
            if it.is_admitted {
                it.is_admitted = false;
                it.history = History::new(now);
            }
        } else {
            self.stray.insert(worker);
        }
        self.return_early();
        self.balancer.withdraw(worker, now);
        self.turns.clear();
        self.hear()
    }

    fn readmit_some(&mut self) -> Verdict {
        let Some(worker) = self.some_worker() else {
            return Ok(());
        };
        let now = self.now;
        trace::line(|| format!("{now:?} readmit {worker}"));
        self.return_in_time();
        let it = self.workers.get_mut(&worker).expect("it was just picked");
        it.is_admitted = true;
        it.owes_drained = false;
        let (slot, weight) = (it.slot, Weight::new(it.weight).expect("small"));
        self.balancer.admit(worker, slot, weight, now);
        self.turns.clear();
        self.hear()
    }

    /// Its requests are told to be over some time later.
    fn kill_some(&mut self) -> Verdict {
        let Some(worker) = self.some_worker() else {
            return Ok(());
        };
        self.tally.died += 1;
        let now = self.now;
        trace::line(|| format!("{now:?} gone {worker}"));
        self.return_in_time();
        self.workers.remove(&worker);
        self.return_early();
        self.balancer.gone(worker, now);
        self.turns.clear();
        self.hear()
    }

    fn change_health(&mut self) {
        let sickness = match self.rng.below(5) {
            0..=1 => 1000,
            2 => self.rng.below(1000),
            _ => 0,
        };
        if let Some(worker) = self.some_worker() {
            let it = self.workers.get_mut(&worker).expect("it was just picked");
            it.sickness = sickness;
        }
    }

    fn some_worker(&mut self) -> Option<u64> {
        let all: Vec<u64> = self.workers.keys().copied().collect();
        self.rng.pick(&all)
    }
}
