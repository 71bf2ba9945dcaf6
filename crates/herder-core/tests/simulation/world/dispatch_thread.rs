//! The shell around the dispatcher, and the `conns` channels.

use std::collections::VecDeque;

use herder_core::dispatch::{Action, Batch, CloseReason, Event, ProbeState};
use herder_core::{ConnId, WorkerId};

use super::deciders::Counter;
use super::mail::{News, Order, Source};
use super::process::Life;
use super::run::World;
use super::trace;
use super::violation::{Verdict, Violation, ensure};
use herder_core::spec::Recall;
use herder_core::supervisor::Event as ToSupervisor;

/// A channel, which outlives its worker until the dispatch thread knows of the death.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    messages: VecDeque<Message>,
    watch: Watch,
    /// The dispatch thread was woken and has not looked yet.
    woken: bool,
    admission: Admission,
    /// For workers that decide.
    pub(super) counter: Counter,
}

#[derive(Debug)]
enum Message {
    Conns(Batch),
    Probe,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Watch {
    #[default]
    Off,
    On,
}

/// What the dispatch thread was told of the worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Admission {
    #[default]
    Never,
    Admitted,
    Held,
    Withdrawn,
}

impl Channel {
    fn conns(&self) -> usize {
        let count = |message: &Message| match message {
            Message::Conns(batch) => batch.as_slice().len(),
            Message::Probe => 0,
        };
        self.messages.iter().map(count).sum()
    }

    fn probe(&self) -> ProbeState {
        let is_probe = |message: &Message| matches!(message, Message::Probe);
        if self.messages.iter().any(is_probe) {
            ProbeState::Unreceived
        } else {
            ProbeState::Absent
        }
    }
}

impl World {
    pub(super) fn deliver_order(&mut self) -> Verdict {
        let Some((_, order)) = self.orders.pop_front_if(|(at, _)| *at <= self.now) else {
            return Ok(());
        };
        let event = match order {
            Order::Admit(worker) => {
                self.admission(worker, Admission::Admitted);
                Event::Admit { worker }
            }
            Order::Gone(worker) => {
                // What it had said is read before its end.
                self.hear_all(worker)?;
                let conns = self.empty(worker)?;
                let channel = self.channels.remove(&worker);
                // What was to be taken back anyway has not met a death.
                if channel.is_none_or(|channel| channel.admission != Admission::Withdrawn) {
                    conns.iter().for_each(|&conn| self.ledger.meet_death(conn));
                }
                Event::Gone { worker, conns }
            }
            Order::Hold(worker) => {
                self.admission(worker, Admission::Held);
                Event::Hold { worker }
            }
            Order::Load { worker, open } => Event::Load { worker, open },
            Order::Withdraw(worker) => {
                self.admission(worker, Admission::Withdrawn);
                Event::Withdraw { worker }
            }
        };
        self.tell_dispatcher(event);
        self.drain_dispatcher()
    }

    /// A watched channel was received from: the dispatch thread looks.
    pub(super) fn channels_wake(&mut self) -> Verdict {
        let woken: Vec<WorkerId> = self
            .channels
            .iter()
            .filter(|(_, channel)| channel.woken)
            .map(|(id, _)| *id)
            .collect();
        let Some(worker) = self.rng.pick(&woken) else {
            return Ok(());
        };
        self.look(worker)?;
        self.drain_dispatcher()
    }

    pub(super) fn is_somebody_woken(&self) -> bool {
        self.channels.values().any(|channel| channel.woken)
    }

    /// How many connections lie in the worker's channel.
    pub(super) fn lying(&self) -> impl Iterator<Item = (WorkerId, usize)> {
        self.channels
            .iter()
            .map(|(id, channel)| (*id, channel.conns()))
    }

    pub(super) fn tell_dispatcher(&mut self, event: Event) {
        trace::line(|| format!("{:>12} dispatcher < {event:?}", self.now.as_micros()));
        self.dispatcher.handle(event, self.now);
        self.told_at = self.now;
    }

    /// Does what the dispatcher asks for; now and then other news comes in between.
    pub(super) fn drain_dispatcher(&mut self) -> Verdict {
        let mut asked = 0;
        while !self.rng.chance(self.faults.late / 4) {
            let Some(action) = self.dispatcher.poll_action() else {
                self.left_at = None;
                return Ok(());
            };
            asked += 1;
            ensure(asked < 10_000, "10: the dispatcher makes progress", || {
                format!("{action:?}")
            })?;
            trace::line(|| format!("{:>12} dispatcher > {action:?}", self.now.as_micros()));
            self.somebody_races()?;
            self.execute_dispatch(action)?;
        }
        self.left_at.get_or_insert(self.told_at);
        Ok(())
    }

    /// The worker receives one message.
    pub(super) fn receives(&mut self, id: WorkerId) -> Verdict {
        let alive = self
            .processes
            .get(&id)
            .is_some_and(|p| p.life == Life::Serving && !p.frozen);
        let Some(channel) = self.channels.get_mut(&id).filter(|_| alive) else {
            return Ok(());
        };
        let Some(message) = channel.messages.pop_front() else {
            return Ok(());
        };
        channel.woken |= channel.watch == Watch::On;
        if let Message::Conns(batch) = message {
            if self.plan.spec.dispatch.recall == Recall::Verdict {
                return self.decides(id, batch.as_slice());
            }
            let process = self.processes.get_mut(&id).expect("it was found alive");
            for &conn in batch.as_slice() {
                self.ledger.receive(conn, id)?;
                process.open.push(conn);
            }
        }
        Ok(())
    }

    /// The channel's queue is asked for and emptied, as a take-back does.
    fn empty(&mut self, worker: WorkerId) -> Result<Vec<ConnId>, Violation> {
        let mut conns = Vec::new();
        if let Some(channel) = self.channels.get_mut(&worker) {
            for message in channel.messages.drain(..) {
                match message {
                    Message::Conns(batch) => conns.extend_from_slice(batch.as_slice()),
                    Message::Probe => {}
                }
            }
        }
        for &conn in &conns {
            self.ledger.take_back(conn, worker, self.now)?;
        }
        Ok(conns)
    }

    /// A worker may receive between a decision and its execution.
    fn somebody_races(&mut self) -> Verdict {
        if self.rng.chance(700) {
            return Ok(());
        }
        let ids: Vec<WorkerId> = self.channels.keys().copied().collect();
        self.rng.pick(&ids).map_or(Ok(()), |id| self.receives(id))
    }

    fn execute_dispatch(&mut self, action: Action) -> Verdict {
        self.can_be_asked(&action)?;
        match action {
            Action::Close { conn, reason } => self.close(conn, reason),
            Action::Measure { worker } => {
                self.channel(worker, "a measurement")?;
                self.look(worker)
            }
            Action::Probe { worker } => {
                let channel = self.channel(worker, "a probe")?;
                let one = channel.probe() == ProbeState::Absent;
                channel.messages.push_back(Message::Probe);
                ensure(one, "one probe at a time", || worker.to_string())
            }
            Action::Send { worker, conns } => self.send(worker, conns),
            Action::TakeBack { worker } => {
                self.channel(worker, "a take-back")?;
                let conns = self.empty(worker)?;
                self.tell_dispatcher(Event::TakenBack { worker, conns });
                Ok(())
            }
            Action::Unwatch { worker } => {
                let channel = self.channel(worker, "an unwatch")?;
                let was = std::mem::take(&mut channel.watch);
                channel.woken = false;
                ensure(was == Watch::On, "a watch ends once", || worker.to_string())
            }
            Action::Watch { worker } => {
                let wakes_at_once = self.rng.chance(500);
                let channel = self.channel(worker, "a watch")?;
                let was = std::mem::replace(&mut channel.watch, Watch::On);
                channel.woken |= wakes_at_once;
                ensure(was == Watch::Off, "a watch begins once", || {
                    worker.to_string()
                })
            }
            Action::Withdrawn { worker, .. } => {
                let stays = self.plan.spec.dispatch.recall == Recall::Verdict;
                let empty = self
                    .channels
                    .get(&worker)
                    .is_none_or(|channel| stays || channel.conns() == 0);
                let at = self.arrival();
                let news = News::Supervisor(ToSupervisor::Withdrawn { worker });
                self.mail.post(Source::Dispatch, at, news);
                ensure(empty, "a withdrawn worker's queue is empty", || {
                    worker.to_string()
                })
            }
        }
    }

    fn close(&mut self, conn: ConnId, reason: CloseReason) -> Verdict {
        let spec = &self.plan.spec.dispatch;
        let deaths = self.ledger.deaths(conn);
        let waited = self.now.since(self.ledger.since(conn));
        let right = match reason {
            CloseReason::Poisoned => deaths == spec.poison_deaths.get(),
            CloseReason::TimedOut => waited >= spec.pending_timeout,
        };
        ensure(right, "2: a connection is closed for its reason", || {
            format!(
                "connection {}: {reason:?}, {deaths} deaths, waited {waited:?}",
                conn.0
            )
        })?;
        self.ledger.close(conn)
    }

    fn send(&mut self, worker: WorkerId, conns: Batch) -> Verdict {
        let window = usize::try_from(self.plan.spec.dispatch.window.get()).expect("it is small");
        let refused = self.rng.chance(self.faults.refuse);
        let channel = self.channel(worker, "a connection")?;
        let admission = channel.admission;
        ensure(
            admission == Admission::Admitted,
            "3: a send goes only to the admitted",
            || format!("{worker} is {admission:?}"),
        )?;
        if refused {
            for &conn in conns.as_slice() {
                self.ledger.offer(conn)?;
            }
            self.tell_dispatcher(Event::Refused { worker, conns });
            return Ok(());
        }
        channel.messages.push_back(Message::Conns(conns));
        let held = channel.conns().max(channel.counter.undecided());
        for &conn in conns.as_slice() {
            self.ledger.send(conn, worker)?;
        }
        ensure(
            held <= window,
            "3: nobody holds more than the window",
            || format!("{worker} holds {held} of {window}"),
        )?;
        self.dealt(worker, conns.as_slice())
    }

    /// The dispatch thread measures the queue.
    fn look(&mut self, worker: WorkerId) -> Verdict {
        let channel = self.channel(worker, "a look")?;
        channel.woken = false;
        let count = u32::try_from(channel.conns()).expect("a channel is short");
        let probe = channel.probe();
        self.tell_dispatcher(Event::Unreceived {
            worker,
            count,
            probe,
        });
        Ok(())
    }

    fn admission(&mut self, worker: WorkerId, admission: Admission) {
        if let Some(channel) = self.channels.get_mut(&worker) {
            channel.admission = admission;
        }
    }

    fn channel(&mut self, worker: WorkerId, what: &str) -> Result<&mut Channel, Violation> {
        self.channels.get_mut(&worker).ok_or_else(|| Violation {
            rule: "nothing is asked of the gone",
            detail: format!("{what} for {worker}"),
        })
    }
}
