//! The health of each worker behind a proxy, which listens at a place of its own: one that fails is replaced,
//! and the others serve on.

use std::collections::BTreeMap;

use herder_api::app::{App, Dispatch, Health};

use super::checks::{Act, Checks, Herd, Serving, Turn, Whom};

/// What stands for the place of each worker, in `health.tcp`.
const WORKER: &str = "worker";

/// Whether each worker is asked, where it listens.
pub(in crate::triggers) fn asks_each(app: &App, health: &Health) -> bool {
    let path = health.http.as_deref();
    let is_path = path.is_some_and(|url| url.starts_with('/'));
    let is_worker = health.tcp.as_deref() == Some(WORKER);
    app.dispatch == Dispatch::Proxy && (is_path || is_worker || !health.exec.is_empty())
}

/// The checks of all slots of an app, from when it came online.
#[derive(Debug)]
pub(in crate::triggers) struct Each {
    health: Health,
    app: App,
    slots: BTreeMap<u16, Slot>,
}

#[derive(Debug)]
struct Slot {
    checks: Checks,
    /// Who serves, and is asked.
    life: Option<u64>,
    /// Who did last.
    last: Option<u64>,
}

impl Each {
    /// Nobody is known yet.
    pub(in crate::triggers) fn new(health: &Health, app: &App) -> Each {
        Each {
            health: health.clone(),
            app: app.clone(),
            slots: BTreeMap::new(),
        }
    }

    /// What is to be done now, and for which slot.
    pub(in crate::triggers) fn poll(&mut self, herd: Herd<'_>, now: u64) -> Vec<(u16, Act)> {
        self.follow(herd, now);
        let mut acts = Vec::new();
        // Who is being replaced goes first: then it may be another's turn.
        for curing in [true, false] {
            for serving in herd.slots {
                let is_curing = self.is_curing();
                let Some(slot) = self.slots.get_mut(&serving.slot) else {
                    continue;
                };
                // Nobody is there who could be asked.
                let is_empty = serving.id.is_none() && !slot.checks.is_curing();
                if slot.checks.is_curing() != curing || is_empty {
                    continue;
                }
                let herd = herd_of(serving, herd, is_curing && !curing);
                let found = slot.checks.poll(herd, now);
                acts.extend(found.into_iter().map(|act| (serving.slot, act)));
            }
        }
        acts
    }

    /// What became of a check of a slot.
    pub(in crate::triggers) fn answered(
        &mut self,
        slot: u16,
        result: Result<(), String>,
        herd: Herd<'_>,
        now: u64,
    ) -> Vec<Act> {
        let serving = herd.slots.iter().find(|it| it.slot == slot);
        let (Some(known), Some(serving)) = (self.slots.get_mut(&slot), serving) else {
            return Vec::new();
        };
        let herd = herd_of(serving, herd, false);
        known.checks.answered(result, herd, now)
    }

    /// Whether all are; None = not known yet.
    pub(in crate::triggers) fn healthy(&self) -> Option<bool> {
        let mut all = Some(true);
        for slot in self.slots.values() {
            match slot.checks.healthy() {
                Some(false) => return Some(false),
                Some(true) => {}
                None => all = None,
            }
        }
        all.filter(|_| !self.slots.is_empty())
    }

    /// When [`Each::poll`] is wanted next, if the herd says nothing until then.
    pub(in crate::triggers) fn timeout(&self) -> Option<u64> {
        let asked = self.slots.values();
        let asked = asked.filter(|slot| slot.life.is_some() || slot.checks.is_curing());
        asked.filter_map(|slot| slot.checks.timeout()).min()
    }

    fn is_curing(&self) -> bool {
        self.slots.values().any(|slot| slot.checks.is_curing())
    }

    /// Takes in who serves now.
    fn follow(&mut self, herd: Herd<'_>, now: u64) {
        let is_there = |slot: u16| herd.slots.iter().any(|it| it.slot == slot);
        self.slots.retain(|slot, _| is_there(*slot));
        for serving in herd.slots {
            let whom = Whom::Slot(serving.slot);
            let slot = self.slots.entry(serving.slot).or_insert_with(|| Slot {
                checks: Checks::of(whom, &self.health, &self.app, now),
                life: None,
                last: None,
            });
            slot.life = serving.id;
            if serving.id.is_none() || slot.last == serving.id {
                continue;
            }
            slot.last = serving.id;
            // What was found of the one before says nothing of this one. (A cure knows by itself.)
            if !slot.checks.is_curing() {
                slot.checks.begin_anew(now);
            }
        }
    }
}

fn herd_of<'a>(serving: &'a Serving, herd: Herd<'a>, others_turn: bool) -> Herd<'a> {
    Herd {
        slots: std::slice::from_ref(serving),
        busy: herd.busy,
        turn: if others_turn {
            Turn::Anothers
        } else {
            Turn::Ours
        },
    }
}

#[cfg(test)]
#[path = "each_tests.rs"]
mod tests;
