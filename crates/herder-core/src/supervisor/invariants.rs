use super::seat::Seat;
use super::state::{Run, Supervisor, id};

impl Supervisor {
    /// What holds after every event, whatever the world did.
    pub(super) fn check_invariants(&self) {
        let running = self.run == Run::Running;
        for (slot, place) in self.slots_of_places() {
            let serving = place.workers.values().filter(|p| p.is_serving()).count();
            let starting = place.workers.values().filter(|p| p.is_starting()).count();
            debug_assert!(serving <= 1, "slot {slot} has {serving} serving workers");
            debug_assert!(starting <= 1, "slot {slot} has {starting} starting workers");
            let held = matches!(place.seat, Seat::Held { by } if place.workers.contains_key(&by));
            debug_assert_eq!(held, matches!(place.seat, Seat::Held { .. }), "slot {slot}");
            for (incarnation, phase) in &place.workers {
                let worker = id(slot, *incarnation);
                let active = phase.is_serving() || phase.is_starting();
                debug_assert!(*incarnation < self.next, "{worker} was never born");
                debug_assert!(
                    !active || (running && slot.0 < self.size),
                    "{worker} is not wanted: {phase:?}"
                );
                let placed = place.seat == Seat::Held { by: *incarnation };
                debug_assert!(
                    !active || placed || (phase.is_starting() && self.is_replacement(worker)),
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
    }
}
