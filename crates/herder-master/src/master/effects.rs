//! One function per action of a supervisor.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use herder_core::supervisor::{Action, DrainReason, Event, Outcome, RecycleReason};
use herder_core::{Generation, WorkerId};
use herder_sys::failpoint;
use herder_sys::signal::Signal;
use herder_wire::control::{self, ToWorker};
use herder_wire::frame::Message;
use herder_wire::gateway::ToGateway;
use herder_wire::plan::LaunchPlan;

use super::crew::MemberId;
use super::gateway::Lodging;
use super::legacy::{Progress, member_prefix};
use super::member::Exhaustion;
use super::nursery::Newborn;
use super::{Master, gateway, millis, nursery};
use crate::dispatch::{Command, Line};
use crate::event::HerdEvent;
use crate::output::Streams;
use crate::part::Part;

impl Master {
    /// Does everything that the supervisors ask for.
    pub(super) fn act(&mut self) {
        while let Some((part, action)) = self.crews.poll_action() {
            self.perform(part, action);
        }
    }

    /// Does one thing. What a successor could not find out is written down before.
    pub(super) fn perform(&mut self, part: Part, action: Action) {
        let ends_something = matches!(
            action,
            Action::Abort { .. }
                | Action::Drain { .. }
                | Action::Kill { .. }
                | Action::Withdraw { .. }
        );
        if ends_something {
            self.save_ahead();
            failpoint::hit("master.act.saved");
        }
        self.touch();
        let member = |worker: WorkerId| MemberId { part, worker };
        match action {
            Action::Abort { worker } => self.signal(member(worker), Signal::Abort),
            Action::Admit { worker } => self.admit(member(worker)),
            Action::Announce(notice) => self.announce(part, notice),
            Action::Discard { generation } => self.discard(part, generation),
            Action::Drain { worker, reason } => self.drain(member(worker), reason),
            Action::Finish(outcome) => self.finish(part, outcome),
            Action::Hold { worker } => self.hold(member(worker)),
            Action::Kill { worker } => self.kill(member(worker)),
            Action::Rest { worker } => self.rest(member(worker)),
            Action::Spawn { worker, generation } => self.spawn(member(worker), generation),
            Action::Withdraw { worker } => self.withdraw(member(worker)),
        }
    }

    fn spawn(&mut self, id: MemberId, generation: Generation) {
        let worker = id.worker;
        if self.is_needless(id.part) {
            return self.feed(id.part, Event::SpawnFailed { worker, errno: 0 });
        }
        let edition = self.editions.get(self.edition_for(id.part, generation));
        let Some(crew) = self.crews.get_mut(id.part) else {
            return;
        };
        let born = crew
            .recipe
            .draft(id, edition, &mut self.runtime)
            .and_then(|draft| self.nursery.start(id, draft, edition, &self.runtime))
            .and_then(|newborn| nursery::watched(newborn, &self.epoll));
        match born {
            Ok(mut newborn) => {
                let (plan, descriptors) = newborn.take_plan();
                let Newborn {
                    member,
                    stdout,
                    stderr,
                    link,
                    lodging,
                    ..
                } = newborn;
                let lodging = lodging.map(|lodging| (lodging, generation));
                crew.members.insert(worker, member);
                failpoint::hit("master.spawn.stored");
                self.save();
                failpoint::hit("master.spawn.saved");
                if let Err(error) = self.send_plan(id, &plan, &descriptors) {
                    if let Some(member) = self.crews.remove(id) {
                        nursery::abandon(member);
                    }
                    return self.spawn_failed(id, &error);
                }
                self.introduce(id, [stdout, stderr], link, lodging);
            }
            Err(error) => self.spawn_failed(id, &error),
        }
    }

    /// From now on it lives by itself.
    fn send_plan(
        &mut self,
        id: MemberId,
        plan: &LaunchPlan,
        descriptors: &[OwnedFd],
    ) -> io::Result<()> {
        let Some(member) = self.crews.member_mut(id) else {
            return Ok(());
        };
        if let Some(socket) = &member.plan_socket {
            let fds: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            socket.send(plan, &fds)?;
        }
        member.progress = Progress::Planned;
        failpoint::hit("master.spawn.planned");
        Ok(())
    }

    fn introduce(
        &mut self,
        id: MemberId,
        printed: [OwnedFd; 2],
        line: Option<Line>,
        lodging: Option<(Lodging, Generation)>,
    ) {
        let Some(member) = self.crews.member(id) else {
            return;
        };
        let ([stdout, stderr], pid) = (printed, member.child.pid);
        let streams = Streams::new(stdout, stderr);
        self.output.attach(member.process(), streams);
        let worker = id.worker;
        if id.part == Part::Workers {
            self.expect_worker(worker, pid, line, lodging);
        }
        self.say_where_berths_are(id.part);
        self.feed(id.part, Event::Spawned { worker });
    }

    fn spawn_failed(&mut self, id: MemberId, error: &io::Error) {
        let worker = id.worker;
        self.forget_stored(id);
        self.forget_berths(id);
        let failed = HerdEvent::SpawnFailed {
            slot: worker.slot.0,
            id: worker.incarnation.0,
            error: error.to_string(),
        };
        self.tell_of(id.part, failed);
        let errno = error.raw_os_error().unwrap_or(0);
        self.feed(id.part, Event::SpawnFailed { worker, errno });
    }

    /// Nothing of this member is needed any more.
    pub(super) fn forget_stored(&self, id: MemberId) {
        self.book.vault.forget_all(&member_prefix(id));
    }

    /// A part has nothing left to supervise.
    fn finish(&mut self, part: Part, outcome: Outcome) {
        if self.is_between_lives(part, outcome) {
            return;
        }
        if let Some(crew) = self.crews.get_mut(part) {
            crew.outcome = Some(outcome);
        }
        self.on_part_ended(part, outcome);
    }

    pub(super) fn admit(&mut self, id: MemberId) {
        if let Some(member) = self.crews.member_mut(id) {
            member.followed_plan();
        }
        match id.part {
            // It lets them in when it is told to.
            Part::Gateway => self.tell_berths_of_gateways(&Command::Admit(id.worker)),
            Part::Library(_) => {
                self.library_is_ready(id.part);
                self.library_took_over(id.part);
            }
            Part::Workers => {
                self.admit_worker(id.worker);
                if self.accepts_by_itself(id) {
                    self.say(id, &ToWorker::Resume);
                }
            }
        }
    }

    pub(super) fn hold(&mut self, id: MemberId) {
        match id.part {
            // Others can do its work only where each has its own listener.
            Part::Gateway => self.tell_berths_of_gateways(&Command::Hold(id.worker)),
            // Nobody else could do its work.
            Part::Library(_) => {}
            Part::Workers => self.hold_worker(id.worker),
        }
    }

    /// As `hold`, and whoever takes connections by itself is told to leave them to its successor.
    pub(super) fn rest(&mut self, id: MemberId) {
        self.hold(id);
        if self.accepts_by_itself(id) {
            self.say(id, &ToWorker::Pause);
        }
    }

    fn accepts_by_itself(&self, id: MemberId) -> bool {
        id.part == Part::Workers && self.spec.dispatch.shares_listeners()
    }

    pub(super) fn withdraw(&mut self, id: MemberId) {
        let worker = id.worker;
        match id.part {
            Part::Gateway => self.withdraw_gateway(worker),
            // Nobody gives it work: it takes it.
            Part::Library(_) => self.feed(id.part, Event::Withdrawn { worker }),
            Part::Workers => self.withdraw_worker(worker),
        }
    }

    /// Who has a channel is told over it, and a signal is what every other program knows.
    pub(super) fn drain(&mut self, id: MemberId, reason: DrainReason) {
        let life = &self.spec.life;
        let grace_millis = match id.part {
            Part::Gateway => millis(self.gateways_grace(reason)),
            Part::Library(_) => millis(gateway::grace(life)),
            Part::Workers => millis(life.grace),
        };
        let Some(member) = self.crews.member_mut(id) else {
            return;
        };
        if member.node.is_some() {
            return self.drain_node(id);
        }
        if member.control.is_none() {
            // To many programs a second one says "at once".
            member.progress = Progress::ToldToLeave;
            return self.signal_to_leave(id);
        }
        if reason == DrainReason::Recycle(RecycleReason::Jobs) {
            member.exhaustion = Exhaustion::Told;
        }
        match id.part {
            // It has no client yet, and would not understand.
            Part::Gateway if !self.is_received(id) => self.kill(id),
            Part::Gateway => self.say(id, &ToGateway::Drain { grace_millis }),
            Part::Library(_) | Part::Workers => {
                let reason = wire_reason(reason);
                // One that does not read it is killed after its grace.
                self.hint(
                    id,
                    &ToWorker::Drain {
                        reason,
                        grace_millis,
                    },
                );
            }
        }
    }

    /// Everything it has started goes with it.
    pub(super) fn kill(&mut self, id: MemberId) {
        if let Some(member) = self.crews.member(id) {
            member.kill();
        }
    }

    pub(super) fn signal(&mut self, id: MemberId, signal: Signal) {
        if let Some(member) = self.crews.member(id) {
            // It fails when the process has just ended; its exit tells so.
            let _gone = member.pidfd().signal(signal);
        }
    }

    pub(super) fn greet(&mut self, id: MemberId, version: u16) {
        let ours = match id.part {
            Part::Gateway => herder_wire::gateway::VERSION,
            Part::Library(_) | Part::Workers => control::VERSION,
        };
        if version != ours {
            let cure = if self.is_reloading() {
                "have the master replaced with it (USR2)"
            } else {
                "restart the herd"
            };
            let problem = format!(
                "it speaks version {version} of the control protocol, the master {ours}: {cure}"
            );
            return self.misbehaved(id, problem);
        }
        let Some(member) = self.crews.member_mut(id) else {
            return;
        };
        member.followed_plan();
        member.progress = member.progress.max(Progress::Greeted);
        let worker = member.info();
        self.tell_of(id.part, HerdEvent::Online { worker });
        match id.part {
            Part::Gateway => self.welcome_gateway(id),
            Part::Library(_) => self.welcome(id),
            Part::Workers => {
                self.welcome(id);
                self.link_worker(id.worker);
            }
        }
    }

    fn welcome(&mut self, id: MemberId) {
        let (version, capabilities) = (control::VERSION, 0);
        self.hint(
            id,
            &ToWorker::Welcome {
                version,
                capabilities,
            },
        );
    }

    pub(super) fn misbehaved(&mut self, id: MemberId, problem: String) {
        if let Some(member) = self.crews.member_mut(id) {
            member.problem = Some(problem);
        }
        self.end_control(id);
        self.feed(id.part, Event::Misbehaved { worker: id.worker });
    }

    /// Where workers share a listener, one's end may have swallowed the wake-up for a waiting connection.
    pub(super) fn nudge_others(&mut self, gone: WorkerId) {
        if !self.spec.dispatch.shares_listeners() {
            return;
        }
        for id in self.crews.living(Part::Workers) {
            if id.worker != gone {
                self.hint(id, &ToWorker::Nudge);
            }
        }
    }

    /// Tells a member something that it can do without.
    fn hint<M: Message>(&mut self, id: MemberId, message: &M) {
        if let Some(control) = self.crews.member_mut(id).and_then(|m| m.control.as_mut()) {
            let _unsaid = control.send(message);
            control.rewatch(&self.epoll);
        }
    }

    /// Tells a member something. One that cannot be told is as good as dead.
    pub(super) fn say<M: Message>(&mut self, id: MemberId, message: &M) {
        self.say_with(id, message, Vec::new());
    }

    /// As `say`, with descriptors.
    pub(super) fn say_with<M: Message>(
        &mut self,
        id: MemberId,
        message: &M,
        descriptors: Vec<OwnedFd>,
    ) {
        let Some(control) = self.crews.member_mut(id).and_then(|m| m.control.as_mut()) else {
            return;
        };
        let said = control.send_with(message, descriptors);
        control.rewatch(&self.epoll);
        if let Err(unsaid) = said {
            self.misbehaved(id, unsaid.to_string());
        }
    }

    /// Stops listening to a control channel that has ended or is not to be trusted. The process
    /// itself ends by other means.
    pub(super) fn end_control(&mut self, id: MemberId) {
        if let Some(control) = self.crews.member_mut(id).and_then(|m| m.control.as_mut()) {
            control.close(&self.epoll);
        }
        if id.part == Part::Gateway {
            self.forget_gateway(id.worker);
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
        DrainReason::Replaced => control::DrainReason::Replaced,
        DrainReason::RolledBack => control::DrainReason::RolledBack,
        DrainReason::Retired => control::DrainReason::Retired,
        DrainReason::ScaledDown => control::DrainReason::ScaledDown,
        DrainReason::Stop => control::DrainReason::Stop,
    }
}
