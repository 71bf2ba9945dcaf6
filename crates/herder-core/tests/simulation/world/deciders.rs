//! Workers that take or reject each connection, and what the master may do to them.

use std::collections::VecDeque;
use std::time::Duration;

use herder_core::dispatch::{Action, Event};
use herder_core::spec::Recall;
use herder_core::{ConnId, Origin, Tick, WorkerId};

use super::dispatch_thread::Channel;
use super::run::World;
use super::violation::{Verdict, ensure};

/// One that has rejected gets nothing for at least as long.
const REST: Duration = Duration::from_millis(5);

/// Who needs longer for a verdict is slow.
const PROMPT: Duration = Duration::from_millis(5);

/// Beyond its window a worker that takes nothing gets at most so many in a second: after 5, 10, 20,
/// 40, 80, 100, 100 ms ...
const TRIALS: usize = 14;

/// What goes over the counter of a worker that decides.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    mind: Mind,
    /// Verdicts on their way to the master, in order.
    verdicts: VecDeque<(Tick, ConnId, Word)>,
    /// What was sent and not heard of, and since when.
    undecided: VecDeque<(ConnId, Tick)>,
    /// When the master last heard a verdict.
    heard_at: Tick,
    /// What was sent within a second and since the worker last took one, as far as the master knows.
    unrewarded: VecDeque<Tick>,
    /// When the master first heard of a rejection, when nothing was sent since.
    rejected_at: Option<Tick>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Mind {
    #[default]
    Open,
    /// It rejects everything.
    Stubborn,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Word {
    Received,
    Rejected,
}

impl Counter {
    /// How many were sent and not heard of.
    pub(super) fn undecided(&self) -> usize {
        self.undecided.len()
    }
}

impl World {
    pub(super) fn new_channel(&mut self) -> Channel {
        let mut channel = Channel::default();
        if self.dealer.chance(self.taste.stubborn) {
            channel.counter.mind = Mind::Stubborn;
        }
        channel
    }

    /// Where a client comes from: mostly one of a few places.
    pub(super) fn draw_origin(&mut self) -> Option<Origin> {
        let known = self.taste.origins > 0 && self.dealer.chance(900);
        known.then(|| Origin(self.dealer.below(self.taste.origins)))
    }

    /// The worker takes or rejects each of these.
    pub(super) fn decides(&mut self, id: WorkerId, conns: &[ConnId]) -> Verdict {
        for &conn in conns {
            let stubborn = self
                .channels
                .get(&id)
                .is_some_and(|channel| channel.counter.mind == Mind::Stubborn);
            let whim = self.dealer.chance(self.taste.whim);
            let process = self.processes.get_mut(&id).expect("only the living decide");
            let word = if stubborn || whim || process.open.len() >= self.taste.limit {
                Word::Rejected
            } else {
                self.ledger.receive(conn, id)?;
                process.open.push(conn);
                Word::Received
            };
            let delay = match self.dealer.chance(300) {
                true => self.dealer.below(50_000),
                false => 0,
            };
            let at = self.now.after(Duration::from_micros(delay));
            let channel = self.channels.get_mut(&id).expect("it received by it");
            channel.counter.verdicts.push_back((at, conn, word));
        }
        Ok(())
    }

    /// Now and then the dispatch thread reads what somebody has said.
    pub(super) fn verdicts_arrive(&mut self) -> Verdict {
        if !self.decide_themselves() || !self.dealer.chance(300) {
            return Ok(());
        }
        let now = self.now;
        let speaks = |channel: &Channel| {
            let first = channel.counter.verdicts.front();
            first.is_some_and(|(at, _, _)| *at <= now)
        };
        let speakers: Vec<WorkerId> = self
            .channels
            .iter()
            .filter(|(_, channel)| speaks(channel))
            .map(|(id, _)| *id)
            .collect();
        let Some(worker) = self.dealer.pick(&speakers) else {
            return Ok(());
        };
        for _ in 0..self.dealer.between(1, 5) {
            self.hear(worker)?;
        }
        self.drain_dispatcher()
    }

    /// In calm, all minds are open, and all that was said is heard.
    pub(super) fn hear_everybody(&mut self) -> Verdict {
        let workers: Vec<WorkerId> = self.channels.keys().copied().collect();
        for worker in workers {
            if let Some(channel) = self.channels.get_mut(&worker) {
                channel.counter.mind = Mind::Open;
            }
            self.hear_all(worker)?;
        }
        Ok(())
    }

    /// The dispatch thread reads all that the worker has said.
    pub(super) fn hear_all(&mut self, worker: WorkerId) -> Verdict {
        let waiting = |world: &World| {
            let channel = world.channels.get(&worker);
            channel.is_some_and(|channel| !channel.counter.verdicts.is_empty())
        };
        while waiting(self) {
            self.hear(worker)?;
        }
        Ok(())
    }

    /// These were sent to the worker.
    pub(super) fn dealt(&mut self, worker: WorkerId, conns: &[ConnId]) -> Verdict {
        if !self.decide_themselves() {
            return Ok(());
        }
        let (now, spec) = (self.now, &self.plan.spec.dispatch);
        // The clock may have gone on since it was decided who gets them.
        let decided_at = self.left_at.unwrap_or(self.told_at);
        let window = usize::try_from(spec.window.get()).expect("it is small");
        let counter = &mut self.channels.get_mut(&worker).expect("it is open").counter;

        let rested = counter
            .rejected_at
            .take()
            .is_none_or(|at| at.after(REST) <= now);
        ensure(rested, "14: who rejects is left alone for a while", || {
            worker.to_string()
        })?;
        let waits_since = counter.undecided.front().map(|(_, at)| *at);
        let moves = waits_since
            .is_none_or(|since| since.max(counter.heard_at).after(spec.stall_after) > decided_at);
        ensure(moves, "15: who decides nothing gets no more", || {
            format!("{worker} has not decided since {waits_since:?}")
        })?;

        let caution = usize::try_from(spec.cautious_window.get()).expect("it is small");
        let slow = waits_since.is_some_and(|since| since.after(PROMPT) < decided_at);
        let room = if slow { caution } else { window };
        let holds = counter.undecided.len() + conns.len();
        ensure(holds <= room, "15: who is slow gets little", || {
            format!("{worker} has {holds} and may have {room}")
        })?;

        counter
            .undecided
            .extend(conns.iter().map(|conn| (*conn, now)));
        counter.unrewarded.extend(conns.iter().map(|_| now));
        let second = Duration::from_secs(1);
        while counter
            .unrewarded
            .pop_front_if(|at| at.after(second) < now)
            .is_some()
        {}
        let in_vain = counter.unrewarded.len();
        ensure(
            in_vain <= window + TRIALS,
            "14: hand-overs in vain are few",
            || format!("{in_vain} to {worker} in a second"),
        )
    }

    /// From a worker that decides nothing can be had but its verdicts.
    pub(super) fn can_be_asked(&self, action: &Action) -> Verdict {
        let possible = match action {
            Action::Close { .. } | Action::Send { .. } | Action::Withdrawn { .. } => true,
            Action::Measure { .. }
            | Action::Probe { .. }
            | Action::TakeBack { .. }
            | Action::Unwatch { .. }
            | Action::Watch { .. } => !self.decide_themselves(),
        };
        ensure(possible, "16: only what can be had is asked for", || {
            format!("{action:?}")
        })
    }

    /// The dispatch thread reads one verdict.
    fn hear(&mut self, worker: WorkerId) -> Verdict {
        let Some(channel) = self.channels.get_mut(&worker) else {
            return Ok(());
        };
        let counter = &mut channel.counter;
        let Some((_, conn, word)) = counter.verdicts.pop_front() else {
            return Ok(());
        };
        counter.undecided.retain(|(other, _)| *other != conn);
        counter.heard_at = self.now;
        match word {
            Word::Received => {
                counter.unrewarded.clear();
                counter.rejected_at = None;
                self.tell_dispatcher(Event::Received { worker, conn });
            }
            Word::Rejected => {
                counter.rejected_at.get_or_insert(self.now);
                self.ledger.give_back(conn, worker)?;
                self.tell_dispatcher(Event::Rejected { worker, conn });
            }
        }
        Ok(())
    }

    fn decide_themselves(&self) -> bool {
        self.plan.spec.dispatch.recall == Recall::Verdict
    }
}
