//! Slot by slot a new generation takes the place of the one in service.

use serde::{Deserialize, Serialize};

use super::deploy::{Operation, Reload, Stage};
use super::message::{Action, DrainReason, Notice};
use super::phase::Phase;
use super::recycle::{self, Recycling};
use super::restart::History;
use super::seat::Seat;
use super::state::{Supervisor, id};
use crate::mutation::{self, Mutation};
use crate::{Generation, Incarnation, Slot, Tick, WorkerId};

/// The change of one slot, and what is needed to undo it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Swap {
    /// Who served here before.
    pub(super) old: Option<Incarnation>,
    /// The new one, until it is ready for the first time.
    pub(super) by: Option<Incarnation>,
    /// What had become of the slot.
    pub(super) before: Seat,
    pub(super) history: History,
    way: Way,
}

/// How a slot is changed, which decides how many at a time are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
enum Way {
    /// Nobody served here, and nothing stands against a start.
    Vacant,
    /// The old one serves on until the new one is ready.
    Beside,
    /// The old one stands by before the new one is ready.
    Instead,
}

impl Swap {
    /// What the slot had done before is forgotten, and so is that it had to rest.
    pub(super) fn forgive(&mut self) {
        self.history = History::default();
        if let Seat::Backoff { .. } | Seat::Quarantined { .. } = self.before {
            self.before = Seat::Stopped { last: None };
        }
    }
}

impl Supervisor {
    pub(super) fn begin_reload(&mut self, to: Generation, now: Tick) {
        let from = self.deploy.serving;
        self.tell(Notice::ReloadBegan { from, to });
        self.deploy.operation = Some(Operation::Reload(Reload {
            to,
            began: now,
            stage: Stage::Rolling,
            swaps: std::collections::BTreeMap::new(),
        }));
        // One change at a time. Who is to be recycled is replaced by the reload anyway.
        if let Some(Recycling {
            old,
            stage: recycle::Stage::Replacing { by },
            ..
        }) = self.recycling.take()
        {
            self.leave(id(old.slot, by), DrainReason::Replaced, now);
        }
    }

    /// What is started in this slot now.
    pub(super) fn generation_for(&self, slot: Slot) -> Generation {
        match self.deploy.reload() {
            Some(reload) if reload.swaps.contains_key(&slot) => reload.to,
            Some(_) | None => self.deploy.serving,
        }
    }

    /// Begins to change as many slots as may be at a time.
    pub(super) fn swap_more(&mut self, now: Tick) {
        while let Some((slot, way)) = self.next_swap() {
            self.begin_swap(slot, way, now);
        }
    }

    /// The new worker of a slot is ready: the old one stands by.
    pub(super) fn complete_swap(&mut self, worker: WorkerId) {
        let Some(swap) = self
            .swap_mut(worker.slot)
            .filter(|swap| swap.by == Some(worker.incarnation))
        else {
            return;
        };
        swap.by = None;
        let old = swap.old;
        self.place_mut(worker.slot).seat = Seat::Held {
            by: worker.incarnation,
        };
        if let Some(old) = old {
            self.rest(id(worker.slot, old));
        }
    }

    /// Goes on to the soak, or ends the reload, when it is time; returns whether it has ended.
    pub(super) fn conclude_reload(&mut self, now: Tick) -> bool {
        let (complete, soak) = (self.is_complete(), self.spec.reload.soak);
        // Nobody is left who could fail.
        let proved = self.is_all_done();
        let Some(reload) = self.deploy.reload_mut() else {
            return false;
        };
        if complete && reload.stage == Stage::Rolling {
            let took = now.since(reload.began);
            let skipped = soak.is_zero() || proved || mutation::is(Mutation::SoakOff);
            reload.stage = match skipped {
                true => Stage::Soaked { took },
                false => Stage::Soaking {
                    until: now.after(soak),
                    took,
                },
            };
        }
        let (to, stage) = (reload.to, reload.stage);
        match stage {
            Stage::Soaked { took } if complete => {
                self.deploy.operation = None;
                self.enter_service(to, took);
                for worker in self.standbys() {
                    self.leave(worker, DrainReason::Replaced, now);
                }
                true
            }
            Stage::Rolling | Stage::Soaked { .. } | Stage::Soaking { .. } => false,
        }
    }

    /// This slot is not wanted any more.
    pub(super) fn forget_swap(&mut self, slot: Slot) {
        let Some(swap) = self
            .deploy
            .reload_mut()
            .and_then(|reload| reload.swaps.remove(&slot))
        else {
            return;
        };
        self.place_mut(slot).history = swap.history;
    }

    /// `worker` serves no longer, and its slot's new one is on its way: that one has the slot now.
    pub(super) fn pass_to_swap(&mut self, worker: WorkerId) -> Option<Incarnation> {
        let held = Seat::Held {
            by: worker.incarnation,
        };
        if self.place(worker.slot).seat != held {
            return None;
        }
        let swap = self.swap(worker.slot)?;
        let by = swap
            .by
            .filter(|by| swap.old == Some(worker.incarnation) && *by != worker.incarnation)?;
        self.place_mut(worker.slot).seat = Seat::Held { by };
        Some(by)
    }

    pub(super) fn swap(&self, slot: Slot) -> Option<&Swap> {
        self.deploy.reload()?.swaps.get(&slot)
    }

    pub(super) fn swap_mut(&mut self, slot: Slot) -> Option<&mut Swap> {
        self.deploy.reload_mut()?.swaps.get_mut(&slot)
    }

    /// Whether `worker` is to take over a slot that it does not hold yet.
    pub(super) fn is_swapped_in(&self, worker: WorkerId) -> bool {
        self.swap(worker.slot)
            .is_some_and(|swap| swap.by == Some(worker.incarnation))
    }

    /// Whether a process of the slot was recalled before it was known to exist: no other one is
    /// started here until that is known.
    pub(super) fn is_spawn_open(&self, slot: Slot) -> bool {
        self.place(slot)
            .phases()
            .any(|phase| matches!(phase, Phase::Recalled { .. }))
    }

    /// Whether every slot has had its new worker, and has one in service now or is done.
    fn is_complete(&self) -> bool {
        self.wanted_slots().all(|slot| {
            let reached = self.swap(slot).is_some_and(|swap| swap.by.is_none());
            let in_service = match self.place(slot).seat {
                Seat::Held { by } => {
                    matches!(self.phase(id(slot, by)), Some(Phase::Ready { .. }))
                }
                Seat::Done { .. } => true,
                Seat::Backoff { .. }
                | Seat::Owed { .. }
                | Seat::Quarantined { .. }
                | Seat::Stopped { .. } => false,
            };
            reached && in_service
        })
    }

    /// The slot to be changed now, if one may be: first those in which nobody serves and nobody will,
    /// last those that are about to have a worker or to lose one.
    fn next_swap(&self) -> Option<(Slot, Way)> {
        let reload = self.deploy.reload()?;
        let surge = usize::from(self.spec.reload.surge.get());
        let spare = usize::from(self.spec.reload.max_unavailable);
        let underway = |way: Way| {
            let swaps = reload.swaps.values();
            swaps.filter(|s| s.by.is_some() && s.way == way).count()
        };
        let (beside, instead) = (underway(Way::Beside), underway(Way::Instead));
        let may_miss_one = self.ready_count() + spare > usize::from(self.size);
        let (_, slot) = self
            .wanted_slots()
            .filter(|slot| !reload.swaps.contains_key(slot))
            .filter_map(|slot| Some((self.turn(slot)?, slot)))
            .min()?;
        let way = match self.turn(slot)? {
            Turn::AtOnce => Way::Vacant,
            Turn::Serving | Turn::Last if beside < surge => Way::Beside,
            Turn::Serving if instead < spare && may_miss_one => Way::Instead,
            Turn::Last if instead < spare => Way::Instead,
            Turn::Serving | Turn::Last => return None,
        };
        Some((slot, way))
    }

    /// When it is this slot's turn; `None`: not before there is news of it.
    fn turn(&self, slot: Slot) -> Option<Turn> {
        if self.is_spawn_open(slot) {
            return None;
        }
        match self.place(slot).seat {
            Seat::Done { .. } | Seat::Quarantined { .. } | Seat::Stopped { .. } => {
                Some(Turn::AtOnce)
            }
            Seat::Backoff { .. } | Seat::Owed { .. } => Some(Turn::Last),
            Seat::Held { by } => match self.phase(id(slot, by))? {
                Phase::Ready { .. } | Phase::Suspect { .. } => Some(Turn::Serving),
                Phase::Aborting { .. }
                | Phase::Draining { .. }
                | Phase::Killing { .. }
                | Phase::Starting { .. }
                | Phase::Withdrawing { .. } => Some(Turn::Last),
                Phase::Recalled { .. } | Phase::Spawning { .. } | Phase::Standby { .. } => None,
            },
        }
    }

    fn begin_swap(&mut self, slot: Slot, way: Way, now: Tick) {
        let before = self.place(slot).seat;
        let swap = Swap {
            old: self.settle_holder(slot, before, now),
            by: None,
            before,
            // What the old generation did is not held against the new one.
            history: std::mem::take(&mut self.place_mut(slot).history),
            way,
        };
        let old = swap.old;
        if let Some(reload) = self.deploy.reload_mut() {
            reload.swaps.insert(slot, swap);
        }
        let by = self.spawn(slot, now);
        if let Some(swap) = self.swap_mut(slot) {
            swap.by = Some(by);
        }
        match old.filter(|_| way == Way::Beside) {
            // It holds the slot until the new one is ready.
            Some(_) => {}
            None => self.place_mut(slot).seat = Seat::Held { by },
        }
        if let Some(old) = old.filter(|_| way == Way::Instead) {
            self.rest(id(slot, old));
        }
    }

    /// What becomes of the one that holds a slot which is to be changed; returns who serves.
    fn settle_holder(&mut self, slot: Slot, seat: Seat, now: Tick) -> Option<Incarnation> {
        let by = match seat {
            Seat::Held { by } => by,
            Seat::Quarantined { .. } => {
                self.tell(Notice::Released { slot });
                return None;
            }
            Seat::Backoff { .. } | Seat::Done { .. } | Seat::Owed { .. } | Seat::Stopped { .. } => {
                return None;
            }
        };
        let holder = id(slot, by);
        let phase = self.phase(holder)?;
        if phase.is_serving() {
            return Some(by);
        }
        // It serves nobody yet, and need not begin to.
        self.leave(holder, DrainReason::Replaced, now);
        None
    }

    pub(super) fn rest(&mut self, worker: WorkerId) {
        if let Some(Phase::Ready { tenure } | Phase::Suspect { tenure, .. }) = self.phase(worker) {
            self.set_phase(worker, Phase::Standby { tenure });
            self.act(Action::Rest { worker });
        }
    }

    fn standbys(&self) -> Vec<WorkerId> {
        self.workers()
            .filter(|(_, phase)| matches!(phase, Phase::Standby { .. }))
            .map(|(worker, _)| worker)
            .collect()
    }
}

/// In which order slots are changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Turn {
    AtOnce,
    Serving,
    Last,
}
