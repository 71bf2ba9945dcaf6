//! What the balancer says, held against the truth.

use std::collections::BTreeSet;
use std::net::IpAddr;

use herder_core::proxy::{Key, News};
use herder_core::spec::PickerKind;
use herder_core::{Slot, Tick};

use super::run::{Worker, World};
use super::trace;
use super::violation::{Verdict, ensure};

impl World {
    /// Hears news, none of which is that somebody is left out.
    pub(super) fn hear(&mut self) -> Verdict {
        self.hear_about(None)
    }

    /// Hears news, after a request at this worker has failed.
    pub(super) fn hear_about(&mut self, suspect: Option<u64>) -> Verdict {
        let mut ejected = None;
        while let Some(news) = self.balancer.poll_news() {
            trace::line(|| format!("    {news:?}"));
            match news {
                News::Drained { worker } => self.drained(worker)?,
                News::Restored { worker } => ensure(
                    self.returning.remove(&worker),
                    "who was left out comes back in time, or when too many are left out",
                    || format!("{worker}"),
                )?,
                News::Ejected { worker, until } => ejected = Some((worker, until)),
            }
        }
        ensure(
            self.returning.is_empty(),
            "who takes part again is said to",
            || format!("{:?}", self.returning),
        )?;
        let expected = suspect.and_then(|worker| self.sentence(worker).map(|it| (worker, it)));
        ensure(
            ejected == expected,
            "who fails too often is left out, for as long as the rule says, and nobody else",
            || format!("{ejected:?}, not {expected:?}"),
        )?;
        if let Some((worker, until)) = ejected {
            self.tally.ejected += 1;
            self.turns.clear();
            let now = self.now;
            let it = self.workers.get_mut(&worker).expect("it has a sentence");
            it.ejected_at = now;
            it.history.eject(until);
        }
        Ok(())
    }

    /// The second calculation: until when the worker is to be left out, if it is.
    fn sentence(&self, worker: u64) -> Option<Tick> {
        let spec = self.spec.ejection.as_ref()?;
        let it = self.workers.get(&worker)?;
        let has_room = self.may_be_out(self.ejected() + 1);
        (it.history.is_hopeless(spec) && has_room).then(|| it.history.sentence(spec, self.now))
    }

    /// Whether so many may be left out of those that are admitted.
    fn may_be_out(&self, out: usize) -> bool {
        let spec = self.spec.ejection.as_ref();
        let percent = spec.map_or(0, |spec| usize::from(spec.at_most_percent));
        let all = self.admitted();
        out == 0 || (out < all && out * 100 <= all * percent)
    }

    fn drained(&mut self, worker: u64) -> Verdict {
        self.tally.drained += 1;
        let open = self.open_at(worker);
        let is_owed = match self.workers.get_mut(&worker) {
            Some(it) => std::mem::take(&mut it.owes_drained),
            None => self.stray.remove(&worker),
        };
        ensure(
            is_owed && (open == 0 || !self.workers.contains_key(&worker)),
            "who was withdrawn has drained when nothing is open, once",
            || format!("{worker} with {open}"),
        )
    }

    /// Before anything else is told: who was left out for long enough takes part again.
    pub(super) fn return_in_time(&mut self) {
        let now = self.now;
        let is_due = |it: &Worker| it.history.ejected_until.is_some_and(|until| until <= now);
        let all = self.workers.iter();
        let due: Vec<u64> = all
            .filter(|(_, it)| is_due(it))
            .map(|(id, _)| *id)
            .collect();
        for worker in due {
            self.take_back(worker);
        }
    }

    /// When others have left: whoever was to come back first comes back now.
    pub(super) fn return_early(&mut self) {
        while !self.may_be_out(self.ejected()) {
            let all = self.workers.iter();
            let first = all
                .filter_map(|(id, it)| Some((it.history.ejected_until?, it.slot, *id)))
                .min();
            let (_, _, worker) = first.expect("there are more than none");
            self.tally.reprieved += 1;
            self.take_back(worker);
        }
    }

    fn take_back(&mut self, worker: u64) {
        self.tally.restored += 1;
        self.turns.clear();
        self.returning.insert(worker);
        let now = self.now;
        let it = self.workers.get_mut(&worker).expect("it was left out");
        it.history.restore(it.ejected_at, now);
    }

    pub(super) fn audit(&self) -> Verdict {
        for (worker, it) in &self.workers {
            let open = self.open_at(*worker);
            ensure(
                self.balancer.open(*worker) == Some(open),
                "what is under way is counted",
                || format!("{worker}: {:?}, not {open}", self.balancer.open(*worker)),
            )?;
            ensure(
                !it.owes_drained || open > 0,
                "who has drained is said to have",
                || format!("{worker}"),
            )?;
            ensure(
                self.balancer.ejected_until(*worker) == it.history.ejected_until,
                "it is known who is left out",
                || format!("{worker}"),
            )?;
        }
        ensure(
            self.stray.is_empty(),
            "who is not known has drained at once",
            || format!("{:?}", self.stray),
        )?;
        let (out, all) = (self.ejected(), self.admitted());
        ensure(
            self.may_be_out(out) && self.balancer.admitted() == all,
            "not more workers are left out than may be, and never the last one",
            || format!("{out} of {all}, by {:?}", self.spec.ejection),
        )?;
        let next = self
            .workers
            .values()
            .filter_map(|it| it.history.ejected_until)
            .min();
        ensure(
            self.balancer.poll_timeout() == next,
            "the timer is set for who comes back first",
            || format!("{:?}, not {next:?}", self.balancer.poll_timeout()),
        )
    }

    pub(super) fn audit_pick(
        &mut self,
        key: &Key,
        excluded: &[u64],
        picked: Option<u64>,
    ) -> Verdict {
        let able: Vec<u64> = self
            .workers
            .iter()
            .filter(|(worker, it)| it.is_admitted && !excluded.contains(worker))
            .map(|(worker, _)| *worker)
            .collect();
        let healthy = |worker: &&u64| self.workers[*worker].history.ejected_until.is_none();
        let mut field: Vec<u64> = able.iter().filter(healthy).copied().collect();
        if field.is_empty() {
            field = able;
        }
        let Some(picked) = picked else {
            return ensure(field.is_empty(), "somebody who can is asked", || {
                format!("{field:?}")
            });
        };
        ensure(
            field.contains(&picked),
            "only who can is asked, and who is left out only when nobody else can",
            || format!("{picked}, not one of {field:?}"),
        )?;
        if self.workers[&picked].history.ejected_until.is_some() {
            self.tally.helped += 1;
        }
        let at_slot = |slot| {
            let there = field.iter().filter(|it| self.workers[*it].slot == slot);
            there.max()
        };
        if let Some(newest) = key.cookie.and_then(at_slot) {
            let is_kept = *newest == picked;
            self.tally.stuck += 1;
            return ensure(
                is_kept,
                "a cookie leads to its slot's newest worker",
                || format!("{picked}, not {newest}"),
            );
        }
        match (self.spec.policy, key.client_ip) {
            (PickerKind::RoundRobin, _) | (PickerKind::IpHash, None) => {
                self.audit_turn(&field, excluded, picked)
            }
            (PickerKind::LeastConnections | PickerKind::LeastLoaded, _) => {
                self.audit_least(&field, picked)
            }
            (PickerKind::TwoChoices, _) => self.audit_two(&field, picked),
            (PickerKind::IpHash, Some(client)) => self.audit_home(client, &field, picked),
        }
    }

    /// As long as nothing changes, nobody is more than two turns from its share.
    fn audit_turn(&mut self, field: &[u64], excluded: &[u64], picked: u64) -> Verdict {
        let is_warming = field.iter().any(|it| self.share(&self.workers[it]) < 1.0);
        if !excluded.is_empty() || is_warming {
            self.turns.clear();
            return Ok(());
        }
        *self.turns.entry(picked).or_default() += 1;
        let weight = |worker: &u64| f64::from(self.workers[worker].weight);
        let all: u64 = self.turns.values().sum();
        let whole: f64 = field.iter().map(weight).sum();
        for worker in field {
            let had = self.turns.get(worker).copied().unwrap_or(0);
            let due = small(all) * weight(worker) / whole;
            ensure(
                (small(had) - due).abs() <= 2.0,
                "turns are spread as the weights say",
                || format!("{worker} had {had} of {all}, not {due}"),
            )?;
        }
        Ok(())
    }

    fn audit_least(&mut self, field: &[u64], picked: u64) -> Verdict {
        let sparing = self.sparing(field);
        self.tally.spared +=
            u64::from(sparing && field.iter().any(|it| self.share(&self.workers[it]) < 1.0));
        let least = field
            .iter()
            .map(|it| self.load(*it, sparing))
            .fold(f64::INFINITY, f64::min);
        let load = self.load(picked, sparing);
        ensure(load <= least * 1.002, "the least busy is asked", || {
            format!("{picked} with {load}, not {least}")
        })
    }

    fn audit_two(&mut self, field: &[u64], picked: u64) -> Verdict {
        let sparing = self.sparing(field);
        let load = self.load(picked, sparing);
        let is_busiest = field
            .iter()
            .all(|it| *it == picked || self.load(*it, sparing) * 1.002 < load);
        ensure(
            field.len() < 2 || !is_busiest,
            "of two, the busiest of all is never the better one",
            || format!("{picked} with {load} of {field:?}"),
        )
    }

    /// Only who must move moves.
    fn audit_home(&mut self, client: IpAddr, field: &[u64], picked: u64) -> Verdict {
        let slots: BTreeSet<Slot> = field.iter().map(|it| self.workers[it].slot).collect();
        let slot = self.workers[&picked].slot;
        let before = self.homes.insert(client, (slots.clone(), slot));
        let Some((old, home)) = before else {
            return Ok(());
        };
        let has_moved_in_vain = slot != home && old.contains(&slot) && slots.contains(&home);
        ensure(
            !has_moved_in_vain,
            "a client stays where it is, unless its slot goes or a new one comes",
            || format!("{client}: {home} of {old:?}, then {slot} of {slots:?}"),
        )
    }

    pub(super) fn admitted(&self) -> usize {
        self.workers.values().filter(|it| it.is_admitted).count()
    }

    pub(super) fn ejected(&self) -> usize {
        let all = self.workers.values();
        all.filter(|it| it.history.ejected_until.is_some()).count()
    }

    fn open_at(&self, worker: u64) -> u32 {
        let all = self.requests.values();
        let here = all.filter(|it| it.tried.last() == Some(&worker));
        u32::try_from(here.count()).expect("few")
    }

    /// Whether new workers can be spared.
    fn sparing(&self, field: &[u64]) -> bool {
        field.iter().any(|it| self.share(&self.workers[it]) >= 1.0)
    }

    fn share(&self, worker: &Worker) -> f64 {
        let age = self.now.since(worker.since).as_secs_f64();
        let slow = self.spec.slow_start.as_secs_f64();
        if worker.is_spared && age < slow {
            (age / slow).max(0.1)
        } else {
            1.0
        }
    }

    fn load(&self, worker: u64, sparing: bool) -> f64 {
        let it = &self.workers[&worker];
        let share = if sparing { self.share(it) } else { 1.0 };
        f64::from(self.open_at(worker) + 1) / (f64::from(it.weight) * share)
    }
}

fn small(number: u64) -> f64 {
    f64::from(u32::try_from(number).expect("small"))
}
