//! One function per action of the supervisor.

use herder_core::WorkerId;
use herder_core::spec::DispatchMode;
use herder_core::supervisor::{Action, DrainReason, Event, RecycleReason};
use herder_sys::signal::Signal;
use herder_wire::control::{self, ToWorker};

use super::{Dispatching, Master, spawn};
use crate::dispatch::Command;
use crate::event::HerdEvent;

impl Master {
    /// Does everything that the supervisor asks for.
    pub(super) fn act(&mut self) {
        while let Some(action) = self.supervisor.poll_action() {
            match action {
                Action::Abort { worker } => self.signal(worker, Signal::Abort),
                Action::Admit { worker } => self.admit(worker),
                Action::Announce(notice) => self.announce(notice),
                Action::Drain { worker, reason } => self.drain(worker, reason),
                Action::Finish(outcome) => self.outcome = Some(outcome),
                Action::Hold { worker } => self.dispatch.tell(Command::Hold(worker)),
                Action::Kill { worker } => self.kill(worker),
                Action::Spawn { worker } => self.spawn(worker),
                Action::Withdraw { worker } => self.withdraw(worker),
            }
        }
    }

    fn spawn(&mut self, id: WorkerId) {
        let born = self.nursery.start(id, &mut self.runtime, &self.dispatch);
        match born.and_then(|(worker, output)| Ok((spawn::watched(worker, &self.epoll)?, output))) {
            Ok((worker, output)) => {
                self.output
                    .attach(worker.info(), output.stdout, output.stderr);
                self.workers.insert(id, worker);
                self.feed(Event::Spawned { worker: id });
            }
            Err(error) => {
                self.dispatch.tell(Command::Gone(id));
                self.tell(HerdEvent::SpawnFailed {
                    slot: id.slot.0,
                    id: id.incarnation.0,
                    error: error.to_string(),
                });
                let errno = error.raw_os_error().unwrap_or(0);
                self.feed(Event::SpawnFailed { worker: id, errno });
            }
        }
    }

    fn withdraw(&mut self, id: WorkerId) {
        match self.dispatching {
            Dispatching::Works => self.dispatch.tell(Command::Withdraw(id)),
            Dispatching::Broken => self.feed(Event::Withdrawn { worker: id }),
        }
    }

    fn admit(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.followed_plan();
        }
        self.dispatch.tell(Command::Admit(id));
    }

    /// A native worker is told over its channel, and SIGTERM is what every other program knows.
    fn drain(&mut self, id: WorkerId, reason: DrainReason) {
        let grace = self.nursery.spec().life.grace;
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        let Some(control) = worker.control.as_mut() else {
            return self.signal(id, Signal::Terminate);
        };
        let grace_millis = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        control.send(&ToWorker::Drain {
            reason: wire_reason(reason),
            grace_millis,
        });
        self.watch_control(id);
    }

    /// Everything the worker has started goes with it.
    fn kill(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get(&id) {
            worker.kill();
        }
    }

    fn signal(&mut self, id: WorkerId, signal: Signal) {
        if let Some(worker) = self.workers.get(&id) {
            // It fails when the worker has just ended; its exit tells so.
            let _gone = worker.pidfd().signal(signal);
        }
    }

    pub(super) fn greet(&mut self, id: WorkerId, version: u16) {
        if version != control::VERSION {
            let problem = format!(
                "it speaks version {version} of the control protocol, the master {}: restart the \
                 herd",
                control::VERSION
            );
            return self.misbehaved(id, problem);
        }
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        worker.followed_plan();
        let info = worker.info();
        if let Some(control) = worker.control.as_mut() {
            control.send(&ToWorker::Welcome {
                version: control::VERSION,
                capabilities: 0,
            });
        }
        self.tell(HerdEvent::Online { worker: info });
    }

    pub(super) fn misbehaved(&mut self, id: WorkerId, problem: String) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.problem = Some(problem);
        }
        self.end_control(id);
        self.feed(Event::Misbehaved { worker: id });
        self.act();
    }

    /// In `shared` mode a worker's end may have swallowed the wake-up for a waiting connection.
    pub(super) fn nudge_others(&mut self, gone: WorkerId) {
        if self.nursery.spec().dispatch.mode != DispatchMode::Shared {
            return;
        }
        let others: Vec<_> = self
            .workers
            .keys()
            .filter(|id| **id != gone)
            .copied()
            .collect();
        for id in others {
            if let Some(control) = self.workers.get_mut(&id).and_then(|w| w.control.as_mut()) {
                control.send(&ToWorker::Nudge);
                self.watch_control(id);
            }
        }
    }

    /// Stops listening to a control channel that has ended or is not to be trusted. The process
    /// itself ends by other means.
    pub(super) fn end_control(&mut self, id: WorkerId) {
        if let Some(control) = self
            .workers
            .get_mut(&id)
            .and_then(|worker| worker.control.as_mut())
        {
            control.close(&self.epoll);
        }
    }

    /// Waits for what the control channel can do next.
    pub(super) fn watch_control(&mut self, id: WorkerId) {
        if let Some(control) = self
            .workers
            .get_mut(&id)
            .and_then(|worker| worker.control.as_mut())
        {
            control.rewatch(&self.epoll);
        }
    }

    pub(super) fn resume_throttled(&mut self, now: herder_core::Tick) {
        for worker in self.workers.values_mut() {
            if let Some(control) = worker.control.as_mut() {
                control.resume(&self.epoll, now);
            }
        }
    }
}

fn wire_reason(reason: DrainReason) -> control::DrainReason {
    match reason {
        DrainReason::Recycle(RecycleReason::Jobs) => control::DrainReason::Exhausted,
        DrainReason::Recycle(
            RecycleReason::Lifetime | RecycleReason::Memory | RecycleReason::Requests,
        ) => control::DrainReason::Recycle,
        DrainReason::Retired => control::DrainReason::Retired,
        DrainReason::ScaledDown => control::DrainReason::ScaledDown,
        DrainReason::Stop => control::DrainReason::Stop,
    }
}
