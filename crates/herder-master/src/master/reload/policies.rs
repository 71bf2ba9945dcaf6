//! The policies that hold: those of the generation in service, or of the one that is to take over.

use herder_core::Generation;
use herder_core::spec::{AppSpec, Policies};
use herder_core::supervisor::Event;
use herder_wire::keeper::ToKeeper;

use super::kit::Kit;
use crate::event::HerdEvent;
use crate::master::library::library_spec;
use crate::master::memory::MemoryWatch;
use crate::master::{Master, millis, now};
use crate::part::Part;

impl Master {
    /// From now on the policies of this generation hold. How many workers there are is the operator's.
    pub(super) fn hold_to(&mut self, generation: Generation) {
        if self.editions.holds() == generation {
            return;
        }
        let kit = self.editions.hold_to(generation);
        let mut spec = kit.policies.clone();
        spec.workers = self.spec.workers;
        // It was settled when the herd began.
        spec.dispatch = self.spec.dispatch.clone();
        let grace = millis(spec.life.grace);
        if let Err(error) = self.runtime.entrust(ToKeeper::Grace { millis: grace }) {
            let text = format!("the keeper cannot be told the new grace: {error}");
            self.tell(HerdEvent::Warning { text });
        }
        self.book.set_watchdog(kit.watchdog);
        self.memory = match (self.memory.take(), spec.recycle.max_memory) {
            (_, None) => None,
            (None, Some(_)) => Some(MemoryWatch::new(now())),
            (watch, Some(_)) => watch,
        };
        self.feed(Part::Workers, Event::Respec(Box::new(spec.policies())));
        self.give_gateways(spec.life.grace);
        for (part, policies) in self.policies_of_libraries(&kit, &spec) {
            self.feed(part, Event::Respec(Box::new(policies)));
        }
        self.spec = spec;
        self.touch();
    }

    fn policies_of_libraries(&self, kit: &Kit, spec: &AppSpec) -> Vec<(Part, Policies)> {
        let parts = self.crews.parts().into_iter();
        let known = parts.filter_map(|part| Some((part, kit.library(part.number())?)));
        known
            .map(|(part, library)| (part, library_spec(spec, library).policies()))
            .collect()
    }

    /// The app is defined with another number of workers than it was: now it shall have that many.
    pub(super) fn take_over_size(&mut self, from: Generation, to: Generation) {
        let size = |generation| self.editions.get(generation).kit().policies.workers;
        let (from, to) = (size(from), size(to));
        if from != to && to != self.spec.workers {
            self.scale_to(to);
        }
    }
}
