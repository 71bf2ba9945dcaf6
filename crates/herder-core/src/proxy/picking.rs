//! Which of the workers it is.

use super::backend::{Backend, WHOLE};
use super::balancer::Balancer;
use super::key::Key;
use crate::mutation::{self, Mutation};
use crate::spec::PickerKind;
use crate::{Origin, Slot, Tick};

/// Who may be picked.
#[derive(Clone, Copy)]
struct Field<'a> {
    excluded: &'a [u64],
    reserve: Reserve,
    now: Tick,
    /// Whether those that are new can be spared.
    sparing: Sparing,
}

/// Whether those that are left out are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reserve {
    Stays,
    Helps,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sparing {
    Possible,
    /// All are new: there is nobody who could spare them.
    Pointless,
}

impl Field<'_> {
    fn has(&self, backend: &Backend) -> bool {
        let is_left_out = backend.is_ejected() && !mutation::is(Mutation::EjectedAsked);
        backend.is_admitted()
            && (self.reserve == Reserve::Helps || !is_left_out)
            && !self.excluded.contains(&backend.worker)
    }
}

impl Balancer {
    /// The worker that gets the request, if anybody can: not one of the `excluded`, which have failed
    /// with it. Those that are left out are asked when there is nobody else. Say
    /// [`began`](Balancer::began) before anything else is told.
    pub fn pick(&mut self, key: &Key, excluded: &[u64], now: Tick) -> Option<u64> {
        self.advance(now);
        let mut field = Field {
            excluded,
            reserve: Reserve::Stays,
            now: self.now,
            sparing: Sparing::Pointless,
        };
        if !self.backends.iter().any(|it| field.has(it)) {
            field.reserve = Reserve::Helps;
        }
        let slow_start = self.spec.slow_start;
        let is_warm = |it: &Backend| field.has(it) && it.share(slow_start, field.now) == WHOLE;
        if self.backends.iter().any(is_warm) {
            field.sparing = Sparing::Possible;
        }
        let kept = key.cookie.and_then(|slot| self.at_slot(slot, field));
        let picked = kept.or_else(|| self.by_policy(key, field))?;
        let backend = &self.backends[picked];
        self.check_invariants();
        Some(backend.worker)
    }

    /// The newest of the slot: an older one is about to go.
    fn at_slot(&self, slot: Slot, field: Field<'_>) -> Option<usize> {
        let is_there = |it: &Backend| it.slot == slot && field.has(it);
        self.backends.iter().rposition(is_there)
    }

    fn by_policy(&mut self, key: &Key, field: Field<'_>) -> Option<usize> {
        match self.spec.policy {
            PickerKind::RoundRobin => self.next_in_turn(field),
            PickerKind::LeastConnections | PickerKind::LeastLoaded => self.least(field),
            PickerKind::TwoChoices => self.lesser_of_two(field),
            PickerKind::IpHash => match key.client_ip {
                Some(address) => self.at_home(address.into(), field),
                None => self.next_in_turn(field),
            },
        }
    }

    /// Each turn, everybody gains its weight; the richest has it, and pays for everybody. So the
    /// turns of each are as evenly spread as its weight allows, and equals come in order, beginning where
    /// this balancer's [`Post`](super::Post) says.
    fn next_in_turn(&mut self, field: Field<'_>) -> Option<usize> {
        let total: i64 = (0..self.backends.len())
            .filter(|index| field.has(&self.backends[*index]))
            .map(|index| self.weight(index, field))
            .sum();
        let mut richest: Option<(usize, i64)> = None;
        let first = self.post.first_of(self.backends.len());
        for index in (first..self.backends.len()).chain(0..first) {
            if !field.has(&self.backends[index]) {
                continue;
            }
            let weight = self.weight(index, field);
            let backend = &mut self.backends[index];
            // What it saved or owed among others, who have left, is not worth more than one turn.
            backend.credit = backend.credit.clamp(-total, total) + weight;
            if richest.is_none_or(|(_, most)| backend.credit > most) {
                richest = Some((index, backend.credit));
            }
        }
        let (picked, _) = richest?;
        self.backends[picked].credit -= total;
        Some(picked)
    }

    fn least(&mut self, field: Field<'_>) -> Option<usize> {
        let turns = self.turns(field);
        // The first of equals: the rotation breaks ties.
        let picked = turns.min_by_key(|index| self.load(*index, field))?;
        self.note_turn(picked);
        Some(picked)
    }

    fn lesser_of_two(&mut self, field: Field<'_>) -> Option<usize> {
        let count = self.turns(field).count();
        let drawn = self.lots.two_below(count);
        let nth = |place| self.turns(field).nth(place);
        let picked = drawn
            .into_iter()
            .flatten()
            .filter_map(nth)
            .min_by_key(|index| self.load(*index, field))?;
        self.note_turn(picked);
        Some(picked)
    }

    /// Where its rank is highest, whatever the weights are: when a worker goes, only its own clients
    /// move; when one comes, it takes only those to whom it is the first.
    fn at_home(&self, origin: Origin, field: Field<'_>) -> Option<usize> {
        (0..self.backends.len())
            .filter(|index| field.has(&self.backends[*index]))
            // Two workers of a slot may overlap: the newer one, which comes later, is to stay.
            .max_by_key(|index| origin.rank(self.backends[*index].slot))
    }

    /// Those that may be picked, beginning after whoever was picked last.
    fn turns<'a>(&'a self, field: Field<'a>) -> impl Iterator<Item = usize> + Clone + 'a {
        let first = self.post.first_of(self.backends.len());
        let start = self.last.map_or(first, |last| {
            self.backends
                .partition_point(|it| (it.slot, it.worker) <= last)
        });
        (start..self.backends.len())
            .chain(0..start)
            .filter(move |index| field.has(&self.backends[*index]))
    }

    fn note_turn(&mut self, picked: usize) {
        let backend = &self.backends[picked];
        self.last = Some((backend.slot, backend.worker));
    }

    /// In parts of the smallest weight: see [`WHOLE`].
    fn weight(&self, index: usize, field: Field<'_>) -> i64 {
        let backend = &self.backends[index];
        let share = match field.sparing {
            Sparing::Possible => backend.share(self.spec.slow_start, field.now),
            Sparing::Pointless => WHOLE,
        };
        let weight = u64::from(backend.weight.get()) * share;
        i64::try_from(weight).expect("16 times ten thousand at most")
    }

    /// How busy it would be with one more, compared to its weight.
    fn load(&self, index: usize, field: Field<'_>) -> u64 {
        let open = u64::from(self.backends[index].open) + 1;
        let weight = self.weight(index, field).unsigned_abs();
        (open << 31) / weight
    }
}
