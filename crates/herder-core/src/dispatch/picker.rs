use serde::{Deserialize, Serialize};

use super::worker::{Room, Worker};
use crate::random::Random;
use crate::spec::PickerKind;
use crate::{Origin, Slot, Tick};

/// Which worker gets the next connection, and whose turn it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Picker {
    kind: PickerKind,
    /// Who was picked last. A slot, not a worker: a replacement takes its slot's turn.
    last: Option<Slot>,
    /// Whether the last pick was the turn of whoever had it, or one that it had missed before.
    #[serde(default)]
    turn: Turn,
    lots: Random,
}

/// What a pick was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
enum Turn {
    #[default]
    Own,
    /// One that was missed: at most one in each round, so that nobody is flooded, and the others go on.
    MadeUp,
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
            turn: Turn::Own,
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
    ///
    /// In rotation whoever is passed over, although it is to get connections, has its turns later, twice in a
    /// round until it has had as many as the others: those that are equal get equally many, whatever held
    /// one of them up for a moment.
    pub(super) fn pick(&mut self, workers: &mut [Worker], window: usize) -> Option<usize> {
        if self.kind != PickerKind::RoundRobin {
            return self.choose(workers, window);
        }
        if let Some(again) = self.made_up(workers, window) {
            self.turn = Turn::MadeUp;
            workers[again].missed -= 1;
            return Some(again);
        }
        let before = self.last;
        let picked = self.choose(workers, window)?;
        self.turn = Turn::Own;
        for passed in rotation(workers, before).take_while(|&index| index != picked) {
            workers[passed].misses_a_turn();
        }
        settle_turns(workers);
        Some(picked)
    }

    /// While somebody catches up with its turns, those that are ahead use half of their windows, or a quarter.
    pub(super) fn share_room(&self, workers: &mut [Worker], window: usize, now: Tick) {
        if self.kind != PickerKind::RoundRobin {
            return;
        }
        for worker in &mut *workers {
            worker.note_pace(window, now);
        }
        let catching_up = workers.iter().filter(|worker| worker.catches_up(now));
        let furthest = catching_up.map(|worker| worker.missed).max().unwrap_or(0);
        for worker in workers {
            worker.room = Room::of(furthest.saturating_sub(worker.missed), window);
        }
    }

    /// Whose turns pass with the next pick, in rotation: they have no credit, as far as is known.
    pub(super) fn passed_over(
        &self,
        workers: &[Worker],
        window: usize,
    ) -> impl Iterator<Item = usize> + use<> {
        let passes = self.kind == PickerKind::RoundRobin && self.made_up(workers, window).is_none();
        let full = |index: &usize| workers[*index].credit(window) == 0;
        let count = rotation(workers, self.last).take_while(full).count();
        rotation(workers, self.last).take(if passes { count } else { 0 })
    }

    /// Who has just had its own turn, if it has missed others and keeps up now.
    fn made_up(&self, workers: &[Worker], window: usize) -> Option<usize> {
        let last = self.last.filter(|_| self.turn == Turn::Own)?;
        let keeps_up = |worker: &Worker| worker.credit(window) * 2 > window;
        let owed = |worker: &Worker| worker.id.slot == last && worker.missed > 0;
        workers
            .iter()
            .position(|worker| owed(worker) && keeps_up(worker))
    }

    fn choose(&mut self, workers: &[Worker], window: usize) -> Option<usize> {
        let mut turns =
            rotation(workers, self.last).filter(|&index| workers[index].credit(window) > 0);
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

/// What all are behind, nobody is.
fn settle_turns(workers: &mut [Worker]) {
    let least = workers
        .iter()
        .map(|worker| worker.missed)
        .min()
        .unwrap_or(0);
    for worker in workers {
        worker.missed -= least;
    }
}

/// All workers, from the one on that follows this slot.
fn rotation(workers: &[Worker], last: Option<Slot>) -> impl Iterator<Item = usize> + Clone + use<> {
    let start = last.map_or(0, |last| workers.partition_point(|w| w.id.slot <= last));
    (start..workers.len()).chain(0..start)
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
