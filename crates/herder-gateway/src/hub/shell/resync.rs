//! What another master has to hear that has taken over from a dead one.

use herder_core::Incarnation;
use herder_wire::control::{Course, MAX_KNOWN, ToMaster, VERSION};

use super::state::{Phase, State};
use crate::hub::worker::{Said, Worker};

impl State {
    /// Says again what the dead master may have taken with it, and with whom the gateway is linked.
    /// Whoever hears something twice takes it for once.
    pub(super) fn resync(&mut self) {
        let mut again: Vec<ToMaster> = self.workers.iter().flat_map(said_of).collect();
        if self.said_empty {
            again.push(ToMaster::Empty);
        }
        for said in again {
            self.report(said);
        }
        let (open, served) = self.counters();
        let course = match self.phase {
            Phase::Serving => Course::Ready,
            Phase::Closing | Phase::Leaving => Course::Draining,
        };
        self.report(ToMaster::State {
            version: VERSION,
            course,
            open,
            served,
            busy: 0,
        });
        let linked = self
            .workers
            .iter()
            .filter(|(_, known)| known.link.is_some());
        let workers = linked.map(|(worker, _)| worker.0).take(MAX_KNOWN).collect();
        self.report(ToMaster::Known { workers });
    }
}

fn said_of((worker, known): (&Incarnation, &Worker)) -> impl Iterator<Item = ToMaster> + use<> {
    let worker = worker.0;
    let Said {
        unusable,
        exhausted,
        withdrawn,
    } = known.said.clone();
    let unusable = unusable.map(|reason| ToMaster::Unusable { worker, reason });
    let exhausted = exhausted.then_some(ToMaster::Exhausted { worker });
    let withdrawn = withdrawn.then_some(ToMaster::Withdrawn { worker });
    unusable.into_iter().chain(exhausted).chain(withdrawn)
}
