//! What always holds.

use super::spec::Steering;
use super::state::Rotation;
use super::worker::Worker;
use crate::mutation::{self, Mutation};

impl Rotation {
    pub(super) fn check_invariants(&self) {
        debug_assert!(
            self.workers.is_sorted_by(|a, b| a.id < b.id),
            "each worker is known once"
        );
        debug_assert!(
            self.sockets.is_sorted_by(|a, b| a.id < b.id),
            "each socket is known once"
        );
        if self.spec.steering == Steering::Program {
            self.check_turns();
        }
    }

    fn check_turns(&self) {
        let entered = |slot| {
            let mut sockets = self.sockets.iter().filter(move |it| it.id.slot == slot);
            let found = sockets.clone().filter(|it| it.is_entered).count();
            debug_assert!(found < 2, "one socket stands at an index");
            sockets.find(|it| it.is_entered)
        };
        debug_assert!(
            self.sockets.is_empty() || !self.turns.is_empty(),
            "somebody has the turn always"
        );
        let is_anyone_well = self.workers.iter().any(Worker::keeps_up);
        for slot in &self.turns {
            let Some(socket) = entered(*slot) else {
                debug_assert!(
                    mutation::is(Mutation::PlaceLeftEarly) || self.sockets.is_empty(),
                    "slot {slot} has turns and no socket"
                );
                continue;
            };
            let is_well = |it: &Worker| it.socket == socket.id && it.keeps_up();
            debug_assert!(
                !is_anyone_well
                    || mutation::is(Mutation::TurnsUnready)
                    || self.workers.iter().any(is_well),
                "slot {slot} has turns, and nobody accepts there"
            );
        }
    }
}
