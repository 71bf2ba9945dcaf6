use super::phase::Phase;
use super::seat::{Life, Seat};
use super::state::{Run, Supervisor, id};

impl Supervisor {
    /// What holds after every event, whatever the world did.
    pub(super) fn check_invariants(&self) {
        let running = self.run == Run::Running;
        for (slot, place) in self.slots_of_places() {
            let serving = place.phases().filter(|p| p.is_serving()).count();
            let starting = place.phases().filter(|p| p.is_starting()).count();
            debug_assert!(serving <= 1, "slot {slot} has {serving} serving workers");
            debug_assert!(starting <= 1, "slot {slot} has {starting} starting workers");
            let held = matches!(place.seat, Seat::Held { by } if place.workers.contains_key(&by));
            debug_assert_eq!(held, matches!(place.seat, Seat::Held { .. }), "slot {slot}");
            for (incarnation, Life { phase, .. }) in &place.workers {
                let worker = id(slot, *incarnation);
                let active = phase.is_serving() || phase.is_starting();
                debug_assert!(*incarnation < self.next, "{worker} was never born");
                debug_assert!(
                    !active || (running && slot.0 < self.size),
                    "{worker} is not wanted: {phase:?}"
                );
                let placed = place.seat == Seat::Held { by: *incarnation };
                debug_assert!(
                    !active
                        || placed
                        || (phase.is_starting()
                            && (self.is_replacement(worker) || self.is_swapped_in(worker))),
                    "{worker} holds nothing: {phase:?}, {:?}",
                    place.seat
                );
            }
            let resting = matches!(place.seat, Seat::Stopped { .. } | Seat::Held { .. });
            debug_assert!(
                resting || (running && slot.0 < self.size),
                "{slot}: {:?}",
                place.seat
            );
        }
        if let Some(recycling) = &self.recycling {
            let old = self.phase(recycling.old);
            debug_assert!(
                old.is_some_and(|phase| phase.is_serving()),
                "{recycling:?}: {old:?}"
            );
        }
        debug_assert!(self.run != Run::Finished || self.workers().next().is_none());
        self.check_generations();
    }

    /// One operation at a time, and everybody is of a generation that somebody knows.
    fn check_generations(&self) {
        let deploy = &self.deploy;
        let reload = deploy.reload();
        let present = [Some(deploy.serving), reload.map(|reload| reload.to)];
        for (worker, life) in self.lives() {
            let generation = Some(life.generation);
            let active = life.phase.is_serving() || life.phase.is_starting();
            debug_assert!(
                deploy.is_kept(life.generation),
                "{worker} is of no generation"
            );
            debug_assert!(
                !active || present.contains(&generation),
                "{worker}: {life:?}"
            );
            let swap = self.swap(worker.slot);
            debug_assert!(
                !matches!(life.phase, Phase::Standby { .. })
                    || (generation == present[0]
                        && swap.is_some_and(|swap| swap.old == Some(worker.incarnation))),
                "{worker} stands by for nobody: {swap:?}"
            );
        }
        if let Some(reload) = reload {
            debug_assert!(reload.to > deploy.serving && self.recycling.is_none());
            for (slot, swap) in &reload.swaps {
                let by = swap.by.map(|by| self.generation_of(id(*slot, by)));
                debug_assert!(self.is_wanted(*slot), "{slot} is swapped for nothing");
                debug_assert!(
                    by.is_none_or(|it| it == Some(reload.to)),
                    "{slot}: {swap:?}"
                );
            }
        } else {
            let empty = |slot| matches!(self.place(slot).seat, Seat::Stopped { .. });
            debug_assert!(!self.wanted_slots().any(empty), "a slot is forgotten");
        }
        debug_assert!(self.run == Run::Running || deploy.deadline().is_none());
    }
}
