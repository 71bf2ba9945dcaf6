use serde::{Deserialize, Serialize};

use super::worker::Worker;
use crate::random::Random;
use crate::spec::PickerKind;
use crate::{Origin, Slot};

/// Which worker gets the next connection, and whose turn it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Picker {
    kind: PickerKind,
    /// Who was picked last. A slot, not a worker: a replacement takes its slot's turn.
    last: Option<Slot>,
    lots: Random,
}

/// Where a connection with an origin is at home, and who would have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Homes {
    /// The first choice of those that take connections, with room or without.
    pub(super) own: usize,
    /// The first choice of those that have room.
    pub(super) open: usize,
}

impl Picker {
    pub(super) fn new(kind: PickerKind, seed: u64) -> Picker {
        Picker {
            kind,
            last: None,
            lots: Random::new(seed),
        }
    }

    /// Whether each origin has its own slot.
    pub(super) fn is_sticky(&self) -> bool {
        match self.kind {
            PickerKind::IpHash => true,
            PickerKind::RoundRobin
            | PickerKind::LeastConnections
            | PickerKind::LeastLoaded
            | PickerKind::TwoChoices => false,
        }
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
            PickerKind::RoundRobin | PickerKind::IpHash => turns.next(),
            // The first of equals: the rotation breaks ties.
            PickerKind::LeastConnections | PickerKind::LeastLoaded => {
                turns.min_by_key(|&index| workers[index].load())
            }
            PickerKind::TwoChoices => {
                let drawn = self.lots.two_below(turns.clone().count());
                let able = drawn.into_iter().flatten();
                able.filter_map(|place| turns.clone().nth(place))
                    .min_by_key(|&index| workers[index].load())
            }
        }?;
        self.last = Some(workers[picked].id.slot);
        Some(picked)
    }
}

/// Where a connection from here belongs; `None` when nobody has room.
///
/// Each slot has a rank for each origin, which depends on these two alone (rendezvous hashing): when
/// a slot goes, only its own origins move, each to the next in rank; when one comes, it takes only
/// those to whom it is the first.
pub(super) fn homes(workers: &[Worker], window: usize, origin: Origin) -> Option<Homes> {
    let rank = |index: &usize| {
        let id = workers[*index].id;
        // Two incarnations of a slot may overlap: the newer one is to stay.
        (origin.rank(id.slot), id)
    };
    let has_room = |index: &usize| workers[*index].credit(window) > 0;
    let open = (0..workers.len()).filter(has_room).max_by_key(rank)?;
    let own = (0..workers.len())
        .filter(|index| workers[*index].is_eligible())
        .chain([open])
        .max_by_key(rank)?;
    Some(Homes { own, open })
}
