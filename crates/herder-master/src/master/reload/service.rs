//! What the service manager is told, by way of the keeper.

use herder_wire::keeper::ToKeeper;

use crate::master::Master;
use crate::part::Part;

impl Master {
    /// Says something to the service manager, as lines of `sd_notify(3)`.
    pub(in crate::master) fn tell_service(&self, lines: &str) {
        let text = lines.to_owned();
        self.book.vault.say(&ToKeeper::Notify { text });
    }

    /// A worker is ready: with the first one, the herd is.
    pub(in crate::master) fn tell_service_of_workers(&mut self) {
        let Some(crew) = self.crews.get(Part::Workers) else {
            return;
        };
        if self.reloads.announced {
            return;
        }
        let (ready, size) = (crew.supervisor.ready_count(), crew.supervisor.size());
        let generation = self.generation();
        self.reloads.announced = true;
        self.tell_service(&format!(
            "READY=1\nSTATUS=generation {generation}, {ready} of {size} workers so far"
        ));
    }
}

/// A text that cannot be taken for another assignment.
pub(super) fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}
