//! After the chaos: nobody fails any more, and everything comes right.

use std::time::Duration;

use herder_core::proxy::{Key, Outcome};
use herder_core::spec::PickerKind;

use super::run::World;
use super::violation::{Verdict, ensure};

impl World {
    pub(super) fn calm_down(&mut self) -> Verdict {
        for it in self.workers.values_mut() {
            it.sickness = 0;
        }
        while let Some(id) = self.requests.keys().next().copied() {
            self.end_request(id)?;
        }
        self.audit()?;
        while let Some(next) = self.balancer.poll_timeout() {
            self.now = self.now.max(next);
            let now = self.now;
            self.return_in_time();
            self.balancer.timer(now);
            self.hear()?;
        }
        self.now = self.now.after(Duration::from_secs(60));
        let left = self.workers.iter().find(|(_, it)| it.owes_drained);
        ensure(left.is_none(), "who was withdrawn drains", || {
            format!("{left:?}")
        })?;
        self.spread()
    }

    /// Turns are exact when nothing happens.
    fn spread(&mut self) -> Verdict {
        let idle = Key::default();
        let workers: Vec<(u64, u8)> = self
            .workers
            .iter()
            .filter(|(_, it)| it.is_admitted)
            .map(|(worker, it)| (*worker, it.weight))
            .collect();
        let whole: u32 = workers.iter().map(|(_, weight)| u32::from(*weight)).sum();
        let is_strict = self.spec.policy == PickerKind::RoundRobin
            || (self.spec.policy == PickerKind::LeastConnections && self.heaviest == 1);
        if !is_strict {
            return Ok(());
        }
        // Old debts are paid.
        let mut turns = Vec::new();
        for _ in 0..whole * 15 {
            let now = self.now;
            let picked = self.balancer.pick(&idle, &[], now).expect("somebody");
            self.balancer.began(picked);
            self.balancer.ended(picked, Outcome::Served, now);
            turns.push(picked);
        }
        for (worker, weight) in workers {
            let last = turns.iter().rev().take(whole as usize * 10);
            let had = last.filter(|it| **it == worker).count();
            ensure(
                had == usize::from(weight) * 10,
                "turns are exact when nothing happens",
                || format!("{worker} had {had} of {}", whole * 10),
            )?;
        }
        Ok(())
    }
}
