//! Queues that are equally long, where more connections come than are accepted.
//!
//! Clients that come again when they are answered all end up in the queue of the worker that stood for a moment:
//! from then on whoever is answered by another one comes to it with every second turn, and it never gets rid of
//! them, while the others have nothing to do. So a worker with more than its share of all who wait yields turns. It
//! has them later: when it is the others who have more, or when hardly anybody waits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::message::Action;
use super::spec::{Balance, Steering};
use super::state::Rotation;
use crate::Slot;

/// A queue is too long if so many more than its share wait there. Less comes and goes by itself.
const TOO_LONG: u64 = 8;

/// How many more turns than others a worker yields at most: one that is slower for good is not spared for ever.
const MOST: u64 = 512;

/// What is known of yielded turns.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Levels {
    /// As the kernel counts them.
    counted: BTreeMap<Slot, u64>,
    /// Of those who have turns.
    levels: BTreeMap<Slot, Level>,
}

/// What one slot yields.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Level {
    /// How many it has yielded since all were even.
    yielded: u64,
    /// How many it is to, as far as it was not seen to yield them.
    ordered: u64,
}

/// One who has turns.
#[derive(Clone, Copy, Debug)]
struct Member {
    slot: Slot,
    waiting: u64,
    weight: u64,
}

impl Levels {
    /// What the kernel counts. Returns how many each has yielded since the last time.
    pub(super) fn hear(&mut self, counted: &[(Slot, u64)]) -> BTreeMap<Slot, u64> {
        let mut news = BTreeMap::new();
        for (slot, count) in counted {
            // What was before the first time does not matter.
            let before = self.counted.insert(*slot, *count).unwrap_or(*count);
            let new = count.saturating_sub(before);
            news.insert(*slot, new);
            if let Some(level) = self.levels.get_mut(slot) {
                level.yielded += new;
                level.ordered = level.ordered.saturating_sub(new);
            }
        }
        news
    }

    /// What each is to yield from now on, where that is something else than before.
    fn order(&mut self, members: &[Member]) -> Vec<(Slot, u64)> {
        let mut orders = self.admit(members);
        let waiting: u64 = members.iter().map(|member| member.waiting).sum();
        let weights: u64 = members.iter().map(|member| member.weight).sum();
        let least = self.rounds(members).min().unwrap_or(0);
        let is_owed = members.iter().any(|it| self.owed(it, least) > 0);
        let is_quiet = members.iter().all(|member| member.waiting < 2);
        for member in members {
            let owed = self.owed(member, least);
            let share = waiting * member.weight / weights.max(1);
            let more = member.waiting.saturating_sub(share);
            let wanted = match more {
                TOO_LONG.. => {
                    // With each turn that it yields the others come nearer by their part of it.
                    let others = weights.saturating_sub(member.weight).max(1);
                    let turns = more * weights / others;
                    turns.min(MOST.saturating_sub(owed))
                }
                // Nobody is kept from anything: a turn at a time.
                _ if is_quiet && is_owed && owed == 0 => 1,
                _ => 0,
            };
            if let Some(level) = self.levels.get_mut(&member.slot)
                && level.ordered != wanted
            {
                level.ordered = wanted;
                orders.push((member.slot, wanted));
            }
        }
        orders
    }

    /// Only members yield, and who was none before is as far as those who have yielded least.
    fn admit(&mut self, members: &[Member]) -> Vec<(Slot, u64)> {
        let slots: BTreeMap<Slot, u64> = members.iter().map(|it| (it.slot, it.weight)).collect();
        let mut orders = Vec::new();
        self.levels.retain(|slot, level| {
            let is_member = slots.contains_key(slot);
            if !is_member && level.ordered > 0 {
                orders.push((*slot, 0));
            }
            is_member
        });
        let known = members
            .iter()
            .filter(|it| self.levels.contains_key(&it.slot));
        let least = known
            .map(|it| self.levels[&it.slot].yielded / it.weight)
            .min();
        for (slot, weight) in slots {
            let yielded = least.unwrap_or(0) * weight;
            let newcomer = Level {
                yielded,
                ordered: 0,
            };
            self.levels.entry(slot).or_insert(newcomer);
        }
        orders
    }

    /// How many rounds each has missed.
    fn rounds(&self, members: &[Member]) -> impl Iterator<Item = u64> {
        let yielded = |it: &Member| self.levels.get(&it.slot).map_or(0, |level| level.yielded);
        members.iter().map(move |it| yielded(it) / it.weight.max(1))
    }

    /// How many turns one has missed that others have had.
    fn owed(&self, member: &Member, least: u64) -> u64 {
        let level = self.levels.get(&member.slot).copied().unwrap_or_default();
        level.yielded.saturating_sub(least * member.weight)
    }
}

impl Rotation {
    /// Has those yield turns at whom too many wait.
    pub(super) fn level(&mut self) {
        if self.spec.steering != Steering::Program || self.levels.counted.is_empty() {
            return;
        }
        let members = match self.spec.balance {
            Balance::RoundRobin => self.members(),
            // Whoever has more to do than others is left out.
            Balance::LeastLoaded => return,
        };
        for (slot, turns) in self.levels.order(&members) {
            let turns = u32::try_from(turns).unwrap_or(u32::MAX);
            self.actions.push_back(Action::Yield { slot, turns });
        }
    }

    /// From now on nobody is behind anybody.
    pub(super) fn forget_levels(&mut self) {
        for (slot, level) in std::mem::take(&mut self.levels.levels) {
            if level.ordered > 0 {
                self.actions.push_back(Action::Yield { slot, turns: 0 });
            }
        }
    }

    /// Those who have turns, if there are several.
    fn members(&self) -> Vec<Member> {
        let mut members = Vec::new();
        for worker in self.workers.iter().filter(|worker| worker.keeps_up()) {
            let socket = self.socket(worker.socket);
            if let Some(socket) = socket.filter(|it| self.has_turns(it.id)) {
                members.push(Member {
                    slot: worker.id.slot,
                    waiting: socket.waiting.into(),
                    weight: worker.weight.get().into(),
                });
            }
        }
        if members.len() < 2 {
            members.clear();
        }
        members
    }
}
