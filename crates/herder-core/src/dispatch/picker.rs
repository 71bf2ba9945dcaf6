use serde::{Deserialize, Serialize};

use super::worker::Worker;
use crate::Slot;
use crate::spec::PickerKind;

/// Which worker gets the next connection, and whose turn it is.
///
/// A policy with more memory than the rotation becomes another variant here.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Picker {
    kind: PickerKind,
    /// Who was picked last. A slot, not a worker: a replacement takes its slot's turn.
    last: Option<Slot>,
}

impl Picker {
    pub(super) fn new(kind: PickerKind) -> Picker {
        Picker { kind, last: None }
    }

    /// The index of the next worker that has credit. `workers` are sorted by slot.
    pub(super) fn pick(&mut self, workers: &[Worker], window: usize) -> Option<usize> {
        let start = self
            .last
            .map_or(0, |last| workers.partition_point(|w| w.id.slot <= last));
        let mut turns = (start..workers.len())
            .chain(0..start)
            .filter(|&index| workers[index].credit(window) > 0);
        let picked = match self.kind {
            PickerKind::RoundRobin => turns.next(),
            // The first of equals: the rotation breaks ties.
            PickerKind::LeastConnections => turns.min_by_key(|&index| workers[index].load()),
        }?;
        self.last = Some(workers[picked].id.slot);
        Some(picked)
    }
}
