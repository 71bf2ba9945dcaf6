//! The shell around the supervisor.

use herder_core::supervisor::{Action, Event};
use herder_core::{Exit, Generation, Tick, WorkerId};

use super::mail::{News, Order, Source};
use super::process::{Life, Process};
use super::run::World;
use super::trace;
use super::violation::{Verdict, ensure};

const EAGAIN: i32 = 11;

impl World {
    pub(super) fn start(&mut self) -> Verdict {
        self.tell_supervisor(Event::Start)
    }

    /// Tells the supervisor, and does what it asks for.
    pub(super) fn tell_supervisor(&mut self, event: Event) -> Verdict {
        let exited = if let Event::Exited { worker, .. } = event {
            Some(worker)
        } else {
            None
        };
        trace::line(|| format!("{:>12} supervisor < {event:?}", self.now.as_micros()));
        self.audit.told(&event, self.now);
        self.supervisor.handle(event, self.now);
        if let Some(worker) = exited {
            self.processes.remove(&worker);
            self.order(Order::Gone(worker));
        }
        let mut asked = 0;
        while let Some(action) = self.supervisor.poll_action() {
            asked += 1;
            ensure(asked < 10_000, "10: the supervisor makes progress", || {
                format!("{action:?}")
            })?;
            trace::line(|| format!("{:>12} supervisor > {action:?}", self.now.as_micros()));
            self.audit.asked(&action, self.now)?;
            self.execute(&action);
        }
        self.audit.settled(self.now)
    }

    /// What is and what is believed, held against each other after each step.
    pub(super) fn check(&self) -> Verdict {
        let dispatcher = &self.dispatcher;
        let closed = dispatcher.closed_poisoned() + dispatcher.closed_timed_out();
        let kept = (dispatcher.accepted() + dispatcher.taken_back())
            .checked_sub(dispatcher.sent() + self.ledger.closed());
        let in_hand = self.ledger.in_hand();
        ensure(
            kept == Some(in_hand) && closed >= self.ledger.closed(),
            "2: what is in the master's hand is known",
            || format!("{kept:?} believed, {in_hand} true"),
        )?;
        for (worker, lying) in self.lying() {
            let believed = dispatcher.queued(worker);
            ensure(
                believed >= lying,
                "2: what was not received is not forgotten",
                || format!("{worker}: {believed} believed, {lying} true"),
            )?;
        }
        ensure(
            dispatcher.received() <= self.ledger.received(),
            "2: only what was received is believed to be",
            || {
                format!(
                    "{} believed, {} true",
                    dispatcher.received(),
                    self.ledger.received()
                )
            },
        )?;
        self.audit.check(&self.supervisor)
    }

    /// The process ends; the kernel will tell.
    pub(super) fn dies(&mut self, id: WorkerId, exit: Exit) {
        let Some(process) = self
            .processes
            .get_mut(&id)
            .filter(|process| process.is_alive())
        else {
            return;
        };
        process.life = Life::Dead;
        process.open.clear();
        let at = self.arrival();
        let news = News::Supervisor(Event::Exited { worker: id, exit });
        self.mail.post(Source::Life(id), at, news);
    }

    pub(super) fn order_load(&mut self, worker: WorkerId, open: u32) {
        self.order(Order::Load { worker, open });
    }

    fn order(&mut self, order: Order) {
        let at = self.arrival();
        self.orders.push_back((at, order));
    }

    fn execute(&mut self, action: &Action) {
        match *action {
            Action::Abort { worker } => match self.processes.get_mut(&worker) {
                Some(process) if process.frozen => process.abort_waits = true,
                Some(_) => self.dies(worker, Exit::Signal(6)),
                None => {}
            },
            Action::Admit { worker } => self.order(Order::Admit(worker)),
            Action::Announce(_) | Action::Discard { .. } | Action::Finish(_) => {}
            Action::Drain { worker, .. } => {
                if let Some(process) = self.processes.get_mut(&worker) {
                    process.drain_asked = true;
                }
            }
            Action::Hold { worker } | Action::Rest { worker } => self.order(Order::Hold(worker)),
            Action::Kill { worker } => self.dies(worker, Exit::Signal(9)),
            Action::Spawn { worker, generation } => self.spawn(worker, generation),
            Action::Withdraw { worker } => self.order(Order::Withdraw(worker)),
        }
    }

    fn spawn(&mut self, worker: WorkerId, generation: Generation) {
        let at: Tick = self.arrival();
        if self.deployer.chance(self.release.unborn) {
            // The master dies before it starts it, and another one finds so.
            let news = News::Supervisor(Event::Unborn { worker });
            self.mail.post(Source::Life(worker), at, news);
            return;
        }
        if self.rng.chance(self.faults.spawn_fails) {
            let news = News::Supervisor(Event::SpawnFailed {
                worker,
                errno: EAGAIN,
            });
            self.mail.post(Source::Life(worker), at, news);
            return;
        }
        let mut process = Process::new(worker, self.now, &mut self.rng, &self.faults);
        process.inherit(self.vices.get(&generation).copied().unwrap_or_default());
        self.processes.insert(worker, process);
        let channel = self.new_channel();
        self.channels.insert(worker, channel);
        let news = News::Supervisor(Event::Spawned { worker });
        self.mail.post(Source::Life(worker), at, news);
    }
}
