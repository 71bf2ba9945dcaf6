//! A new master goes on where another was. Everything is said once more that may not have arrived.

use std::time::Duration;

use herder_core::Exit;
use herder_core::rotation::Load;
use herder_core::spec::DispatchMode;
use herder_core::supervisor::{Action, DrainReason, Event, Phase};
use herder_sys::failpoint;
use herder_wire::control::{Course, ToWorker};
use herder_wire::gateway::ToGateway;

use super::restored::Restored;
use super::state::Progress;
use crate::event::HerdEvent;
use crate::master::crew::{Crew, MemberId};
use crate::master::member::Fate;
use crate::master::{Master, Stopping};
use crate::part::Part;

/// What a process says of itself when it is asked.
pub(in crate::master) struct Statement {
    pub(in crate::master) version: u16,
    pub(in crate::master) course: Course,
    pub(in crate::master) open: u32,
    pub(in crate::master) served: u64,
}

impl Master {
    /// Goes on with a herd. `cut`: how many connections died with the last master.
    pub(in crate::master) fn resume(
        &mut self,
        mut restored: Restored,
        cut: Option<u64>,
        after: Duration,
    ) {
        self.read_on(&mut restored);
        // What is told first was given first: what this master gives comes after it.
        match cut {
            Some(cut) => {
                self.tell_of_takeover(cut, after);
                self.tell_verdicts_of_the_dead();
                self.tell_of_upgrade_of_the_dead();
            }
            None => {
                self.tell_verdicts_of_the_dead();
                self.tell_of_upgrade(&restored.state.version);
            }
        }
        self.take_up_actions();
        for id in restored.unborn {
            self.end_unborn(id);
        }
        failpoint::hit("master.adopt.unborn");
        self.report_missing();
        self.order_again();
        failpoint::hit("master.adopt.ordered");
        if self.stopping == Stopping::No {
            self.start();
        } else {
            self.stop_letting_in();
        }
        self.ask_everybody();
        failpoint::hit("master.adopt.asked");
        self.touch();
    }

    /// What the processes print is read on.
    fn read_on(&self, restored: &mut Restored) {
        for (id, streams) in restored.streams.drain(..) {
            let Some(member) = self.crews.member(id) else {
                continue;
            };
            let process = member.process();
            match self.crews.phase(id) {
                // It is read from the moment on in which its start is told.
                Some(Phase::Recalled { .. } | Phase::Spawning { .. }) => {
                    self.output.attach(process, streams);
                }
                _ => self.output.go_on(process, streams),
            }
        }
    }

    fn tell_of_takeover(&self, cut: u64, after: Duration) {
        let count = |part: fn(&Part) -> bool| {
            let living = self.crews.members();
            living.filter(|(id, _)| part(&id.part)).count()
        };
        self.tell(HerdEvent::TookOver {
            workers: count(|part| *part == Part::Workers),
            libraries: count(|part| matches!(part, Part::Library(_))),
            cut,
            after,
        });
    }

    /// What the supervisors had asked for and was not done. Orders to processes follow from their phases.
    fn take_up_actions(&mut self) {
        while let Some((part, action)) = self.crews.poll_action() {
            match action {
                Action::Announce(_) | Action::Discard { .. } | Action::Finish(_) => {
                    self.perform(part, action);
                }
                Action::Abort { .. }
                | Action::Admit { .. }
                | Action::Drain { .. }
                | Action::Hold { .. }
                | Action::Kill { .. }
                | Action::Rest { .. }
                | Action::Spawn { .. }
                | Action::Withdraw { .. } => {}
            }
        }
    }

    /// Whether it has its plan is not known: another takes its place as soon as it is gone. What it says
    /// until then is not heard.
    fn end_unborn(&mut self, id: MemberId) {
        let accepts = match self.spec.dispatch.mode {
            DispatchMode::Message | DispatchMode::Pass | DispatchMode::Proxy => false,
            DispatchMode::Kernel | DispatchMode::Reuseport | DispatchMode::Shared => {
                id.part == Part::Workers
            }
        };
        let Some(member) = self.crews.member_mut(id) else {
            return;
        };
        member.fate = Fate::Unborn;
        let has_channel = member.control.is_some();
        match (accepts, has_channel) {
            (false, _) => member.kill(),
            // With its plan it serves already, perhaps; without it ends by itself. If it does neither, its time to
            // become ready ends.
            (true, true) => self.drain(id, DrainReason::Replaced),
            (true, false) => self.signal_to_leave(id),
        }
        if let Some(member) = self.crews.member_mut(id) {
            member.silence(&self.epoll);
        }
    }

    /// Workers that have no process.
    fn report_missing(&mut self) {
        for (id, phase) in self.everybody() {
            if self.crews.member(id).is_some() {
                continue;
            }
            let worker = id.worker;
            let is_unborn = phase.is_starting() || matches!(phase, Phase::Recalled { .. });
            let event = if is_unborn {
                Event::Unborn { worker }
            } else {
                let exit = Exit::Unknown;
                Event::Exited { worker, exit }
            };
            self.forget_stored(id);
            self.forget_berths(id);
            self.feed(id.part, event);
        }
    }

    /// Everybody is told once more what follows from where they are.
    pub(in crate::master) fn order_again(&mut self) {
        for (id, phase) in self.everybody() {
            let Some(member) = self.crews.member(id) else {
                continue;
            };
            if member.fate == Fate::Unborn {
                continue;
            }
            let (worker, is_told) = (id.worker, member.progress == Progress::ToldToLeave);
            // Who can say how far it has come is asked first.
            let is_asked = member.control.is_some();
            if let Phase::Draining { .. } = phase {
                self.withdraw_from_berths(id);
            }
            match phase {
                Phase::Aborting { .. } | Phase::Starting { .. } => {}
                Phase::Draining { .. } if is_told || is_asked => {}
                Phase::Draining { reason, .. } => self.drain(id, reason),
                Phase::Killing { .. } => self.kill(id),
                Phase::Ready { .. } => self.admit(id),
                Phase::Recalled { .. } | Phase::Spawning { .. } => {
                    self.feed(id.part, Event::Spawned { worker });
                }
                Phase::Standby { .. } => self.rest(id),
                Phase::Suspect { .. } => self.hold(id),
                Phase::Withdrawing { .. } => self.withdraw(id),
            }
        }
    }

    fn ask_everybody(&mut self) {
        for part in self.crews.parts() {
            for id in self.crews.living(part) {
                match part {
                    Part::Gateway => self.say(id, &ToGateway::Resync),
                    Part::Library(_) | Part::Workers => self.say(id, &ToWorker::Resync),
                }
            }
        }
    }

    /// Who lives, as far as the supervisors know.
    fn everybody(&self) -> Vec<(MemberId, Phase)> {
        let of = |(part, crew): (Part, &Crew)| {
            let workers = crew.supervisor.workers();
            let workers = workers.map(|(worker, phase)| (MemberId { part, worker }, phase));
            workers.collect::<Vec<_>>()
        };
        self.crews.iter().flat_map(of).collect()
    }

    /// A process says where it is in its life.
    pub(in crate::master) fn on_statement(&mut self, id: MemberId, said: &Statement) {
        let (part, worker) = (id.part, id.worker);
        let Some(member) = self.crews.member(id) else {
            return;
        };
        // What it said first was heard by nobody, or the answer did not arrive. (A gateway says nothing
        // like this before it has the answer.)
        if member.progress < Progress::Greeted && part != Part::Gateway {
            self.greet(id, said.version);
        }
        if let Some(member) = self.crews.member_mut(id) {
            member.progress = member.progress.max(Progress::Greeted);
        }
        if part == Part::Workers {
            self.note_load(worker, Load::of(said.open, said.served));
            let total = said.served;
            self.feed(part, Event::Served { worker, total });
        }
        match (said.course, self.crews.phase(id)) {
            (Course::Ready | Course::Starting, Some(Phase::Draining { reason, .. })) => {
                self.drain(id, reason);
            }
            (Course::Ready, _) => self.feed(part, Event::Ready { worker }),
            // The next life of a library begins when this one has ended, and a gateway that lets nobody in
            // any more is still needed.
            (Course::Draining, _) if part == Part::Workers => {
                self.feed(part, Event::Draining { worker });
            }
            (Course::Draining | Course::Starting, _) => {}
        }
    }
}
