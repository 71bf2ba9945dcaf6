//! One function per action of a supervisor.

use herder_core::WorkerId;
use herder_core::spec::DispatchMode;
use herder_core::supervisor::{Action, DrainReason, Event, RecycleReason};
use herder_sys::signal::Signal;
use herder_wire::control::{self, ToWorker};

use super::crew::MemberId;
use super::{Dispatching, Master, nursery};
use crate::dispatch::Command;
use crate::event::HerdEvent;
use crate::part::Part;

impl Master {
    /// Does everything that the supervisors ask for.
    pub(super) fn act(&mut self) {
        while let Some((part, action)) = self.crews.poll_action() {
            let member = |worker: WorkerId| MemberId { part, worker };
            match action {
                Action::Abort { worker } => self.signal(member(worker), Signal::Abort),
                Action::Admit { worker } => self.admit(member(worker)),
                Action::Announce(notice) => self.announce(part, notice),
                Action::Drain { worker, reason } => self.drain(member(worker), reason),
                Action::Finish(outcome) => {
                    if let Some(crew) = self.crews.get_mut(part) {
                        crew.outcome = Some(outcome);
                    }
                }
                Action::Hold { worker } => self.dispatch.tell(Command::Hold(worker)),
                Action::Kill { worker } => self.kill(member(worker)),
                Action::Spawn { worker } => self.spawn(member(worker)),
                Action::Withdraw { worker } => self.withdraw(member(worker)),
            }
        }
    }

    fn spawn(&mut self, id: MemberId) {
        let Some(crew) = self.crews.get_mut(id.part) else {
            return;
        };
        let worker = id.worker;
        let born = crew
            .recipe
            .draft(id, &mut self.runtime)
            .and_then(|draft| self.nursery.start(id, draft, &self.runtime))
            .and_then(|newborn| nursery::watched(newborn, &self.epoll));
        match born {
            Ok(newborn) => {
                let member = newborn.member;
                self.output
                    .attach(member.process(), newborn.stdout, newborn.stderr);
                if let Some(link) = newborn.link {
                    self.dispatch.tell(Command::Attach(worker, link));
                }
                crew.members.insert(worker, member);
                self.feed(id.part, Event::Spawned { worker });
            }
            Err(error) => {
                let failed = HerdEvent::SpawnFailed {
                    slot: worker.slot.0,
                    id: worker.incarnation.0,
                    error: error.to_string(),
                };
                self.tell_of(id.part, failed);
                let errno = error.raw_os_error().unwrap_or(0);
                self.feed(id.part, Event::SpawnFailed { worker, errno });
            }
        }
    }

    fn withdraw(&mut self, id: MemberId) {
        let worker = id.worker;
        match self.dispatching {
            Dispatching::Works => self.dispatch.tell(Command::Withdraw(worker)),
            Dispatching::Broken => self.feed(id.part, Event::Withdrawn { worker }),
        }
    }

    fn admit(&mut self, id: MemberId) {
        if let Some(member) = self.crews.member_mut(id) {
            member.followed_plan();
        }
        self.dispatch.tell(Command::Admit(id.worker));
    }

    /// A native worker is told over its channel, and SIGTERM is what every other program knows.
    fn drain(&mut self, id: MemberId, reason: DrainReason) {
        let grace = self.spec.life.grace;
        let Some(member) = self.crews.member_mut(id) else {
            return;
        };
        let Some(control) = member.control.as_mut() else {
            return self.signal(id, Signal::Terminate);
        };
        let grace_millis = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        control.send(&ToWorker::Drain {
            reason: wire_reason(reason),
            grace_millis,
        });
        self.watch_control(id);
    }

    /// Everything it has started goes with it.
    fn kill(&mut self, id: MemberId) {
        if let Some(member) = self.crews.member(id) {
            member.kill();
        }
    }

    fn signal(&mut self, id: MemberId, signal: Signal) {
        if let Some(member) = self.crews.member(id) {
            // It fails when the process has just ended; its exit tells so.
            let _gone = member.pidfd().signal(signal);
        }
    }

    pub(super) fn greet(&mut self, id: MemberId, version: u16) {
        if version != control::VERSION {
            let problem = format!(
                "it speaks version {version} of the control protocol, the master {}: restart the \
                 herd",
                control::VERSION
            );
            return self.misbehaved(id, problem);
        }
        let Some(member) = self.crews.member_mut(id) else {
            return;
        };
        member.followed_plan();
        let worker = member.info();
        if let Some(control) = member.control.as_mut() {
            control.send(&ToWorker::Welcome {
                version: control::VERSION,
                capabilities: 0,
            });
        }
        self.tell_of(id.part, HerdEvent::Online { worker });
    }

    pub(super) fn misbehaved(&mut self, id: MemberId, problem: String) {
        if let Some(member) = self.crews.member_mut(id) {
            member.problem = Some(problem);
        }
        self.end_control(id);
        self.feed(id.part, Event::Misbehaved { worker: id.worker });
        self.act();
    }

    /// In `shared` mode a worker's end may have swallowed the wake-up for a waiting connection.
    pub(super) fn nudge_others(&mut self, gone: WorkerId) {
        if self.spec.dispatch.mode != DispatchMode::Shared {
            return;
        }
        let mut others = self.crews.living(Part::Workers);
        others.retain(|id| id.worker != gone);
        for id in others {
            if let Some(control) = self.crews.member_mut(id).and_then(|m| m.control.as_mut()) {
                control.send(&ToWorker::Nudge);
                self.watch_control(id);
            }
        }
    }

    /// Stops listening to a control channel that has ended or is not to be trusted. The process
    /// itself ends by other means.
    pub(super) fn end_control(&mut self, id: MemberId) {
        if let Some(control) = self.crews.member_mut(id).and_then(|m| m.control.as_mut()) {
            control.close(&self.epoll);
        }
    }

    /// Waits for what the control channel can do next.
    pub(super) fn watch_control(&mut self, id: MemberId) {
        if let Some(control) = self.crews.member_mut(id).and_then(|m| m.control.as_mut()) {
            control.rewatch(&self.epoll);
        }
    }

    pub(super) fn resume_throttled(&mut self, now: herder_core::Tick) {
        for member in self.crews.members_mut() {
            if let Some(control) = member.control.as_mut() {
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
