//! Who gets what is pending.

use super::dispatcher::Dispatcher;
use super::message::Action;
use super::pending::Waiting;
use super::picker;
use super::settle::measure;
use crate::Tick;
use crate::spec::Recall;

/// How many times a worker's window may wait for it, although others have room. A crowd from one
/// origin is served elsewhere rather than late.
const AWAITED_WINDOWS: usize = 4;

/// What becomes of a connection with an origin.
enum Choice {
    Give(usize),
    /// It waits for room at this one.
    Await(usize),
    /// Nobody has room.
    Keep,
}

impl Dispatcher {
    /// Gives what is pending to whoever has credit: all of it first, so that the rotation is exact,
    /// whatever the batches are.
    pub(super) fn assign(&mut self) {
        self.note_stalls();
        if self.picker.is_sticky() {
            self.assign_by_origin();
        } else {
            self.assign_in_turn();
        }
    }

    /// When the first connection stops waiting for its own worker.
    pub(super) fn sticky_wait_ends_at(&self) -> Option<Tick> {
        if !self.workers.iter().any(|worker| worker.awaited > 0) {
            return None;
        }
        let since = self.pending.longest_since()?;
        Some(since.after(self.spec.sticky_wait))
    }

    /// How many connections wait for one worker although others have room.
    pub(super) fn awaiting(&self) -> usize {
        self.workers.iter().map(|worker| worker.awaited).sum()
    }

    fn assign_in_turn(&mut self) {
        let window = self.window();
        self.picker.share_room(&mut self.workers, window, self.now);
        while self.pending.len() > 0 {
            if self.looks_first() {
                break;
            }
            let Some(index) = self.picker.pick(&mut self.workers, window) else {
                break;
            };
            let waiting = self.pending.pop_front().expect("it is not empty");
            self.give(waiting, index);
        }
    }

    /// Nobody is passed over as full before its queue was looked at: what is given waits for that.
    fn looks_first(&mut self) -> bool {
        if self.spec.recall == Recall::Verdict {
            return false;
        }
        let (window, now) = (self.window(), self.now);
        let mut looks = false;
        for index in self.picker.passed_over(&self.workers, window) {
            let worker = &mut self.workers[index];
            let id = worker.id;
            if worker.may_have_room(window, now) {
                measure(worker, &mut self.actions);
            }
            // Also if it was asked for before, and nobody has polled it yet.
            let is_asked = |action: &Action| *action == Action::Measure { worker: id };
            looks |= worker.is_eligible() && self.actions.iter().any(is_asked);
        }
        looks
    }

    /// Those that wait for their own worker do not hold up the others.
    fn assign_by_origin(&mut self) {
        for worker in &mut self.workers {
            worker.awaited = 0;
        }
        let mut place = 0;
        while let Some(waiting) = self.pending.get(place).copied() {
            match self.choose(&waiting) {
                Choice::Give(index) => {
                    self.pending.remove(place);
                    self.give(waiting, index);
                }
                Choice::Await(index) => {
                    self.workers[index].awaited += 1;
                    place += 1;
                }
                Choice::Keep => {
                    // What waits for one of them waits for all of them.
                    for worker in &mut self.workers {
                        worker.awaited = 0;
                    }
                    break;
                }
            }
        }
    }

    fn choose(&mut self, waiting: &Waiting) -> Choice {
        let window = self.window();
        let Some(origin) = waiting.origin else {
            let next = self.picker.pick(&mut self.workers, window);
            return next.map_or(Choice::Keep, Choice::Give);
        };
        let Some(homes) = picker::homes(&self.workers, window, origin) else {
            return Choice::Keep;
        };
        let patient = waiting.since.after(self.spec.sticky_wait) > self.now;
        let crowded = self.workers[homes.own].awaited >= window * AWAITED_WINDOWS;
        if homes.own == homes.open || !patient || crowded {
            Choice::Give(homes.open)
        } else {
            Choice::Await(homes.own)
        }
    }

    fn give(&mut self, mut waiting: Waiting, index: usize) {
        let window = self.window();
        waiting.given_at = self.now;
        let worker = &mut self.workers[index];
        worker.assign(waiting);
        self.unsent += 1;
        // Half full, as far as is known: look before anybody is judged full.
        if self.spec.recall == Recall::Channel && worker.queued() * 2 >= window {
            measure(worker, &mut self.actions);
        }
    }
}
