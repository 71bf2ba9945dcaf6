//! Every source of news becomes an event of the core here.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use herder_core::rotation::Load;
use herder_core::supervisor::Event;
use herder_core::{Exit, Incarnation, Tick};
use herder_sys::{epoll, failpoint, process, residence};
use herder_wire::control::ToMaster;

use super::control::Reading;
use super::crew::MemberId;
use super::legacy::Statement;
use super::member::Fate;
use super::notify::{Heard, NotifySocket, PER_TURN};
use super::socket::HerdSocket;
use super::token::Source;
use super::{Heir, Master, Stopping, now};
use crate::event::HerdEvent;
use crate::part::Part;
use crate::upgrade::Inquiry;

/// While somebody has a second to end by itself, the loop looks at the clock so often.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

impl Master {
    pub(super) fn on_ready(&mut self, event: &epoll::Event) -> io::Result<()> {
        match Source::of(event.token) {
            Some(Source::Control(number, life)) => {
                if let Some(part) = self.crews.numbered(number) {
                    self.on_control(part, life, event);
                }
            }
            Some(Source::Berths(_)) => self.wake_berths_of_gateways(),
            // What was told is passed on at the end of the turn.
            Some(Source::Bell) => {}
            Some(Source::Certificates) => self.on_certificates(),
            Some(Source::Client(number)) => self.on_client(number),
            Some(Source::Definition) => self.on_definition(),
            Some(Source::Dispatch) => self.on_dispatch_news(),
            Some(Source::Exit(number, life)) => {
                if let Some(part) = self.crews.numbered(number) {
                    self.on_exit(part, life)?;
                }
            }
            Some(Source::Keeper) => self.on_keeper()?,
            Some(Source::Notify(number, life)) => {
                if let Some(part) = self.crews.numbered(number) {
                    self.on_notification(part, life);
                }
            }
            Some(Source::Probe) => self.on_probe(),
            Some(Source::Signal) => self.on_signals()?,
            Some(Source::Socket) => self.on_socket(),
            None => {}
        }
        Ok(())
    }

    /// What is due by the clock.
    pub(super) fn on_time(&mut self) {
        self.attend();
        let now = now();
        for part in self.crews.parts() {
            if self.crews.is_due(part, now) {
                self.feed(part, Event::Timer);
            }
        }
        self.sample_memory(now);
        self.watch_silence(now);
        self.resume_throttled(now);
        self.look_for_listeners(now);
        self.tend_berths_of_gateways(now);
        self.end_leaving(now);
        self.press_lingering(now);
        self.bury_unexplained(now);
        self.press_probe(now);
        self.tend_door(now);
        self.settle_down(now);
    }

    /// From now on it mostly waits: little of what its beginning needed is needed again.
    fn settle_down(&mut self, now: Tick) {
        if self.rest_at.is_some_and(|at| at <= now) {
            self.rest_at = None;
            residence::give_back();
        }
    }

    /// When something is due, besides a sign of life.
    pub(super) fn due(&self) -> Option<Tick> {
        let sample = self.memory.as_ref().map(|watch| watch.due());
        let wishes = [
            self.crews.poll_timeout(),
            self.delivery.poll_timeout(),
            sample,
            self.silence_due(),
            self.rest_at,
            self.inquiry.as_ref().map(Inquiry::deadline),
            self.socket.as_ref().and_then(HerdSocket::poll_timeout),
        ];
        wishes.into_iter().flatten().min()
    }

    /// How long nothing is to be done, if nothing happens.
    pub(super) fn timeout(&self, due: Option<Tick>) -> Option<Duration> {
        let first = due.into_iter().chain(self.book.beat_at()).min();
        let wait = first.map(|at| at.since(now()));
        // Whether the machine stood still meanwhile is found out only by who looks again and again.
        if self.crews.has_lingering() {
            return wait.map(|wait| wait.min(LOOK_AGAIN));
        }
        wait
    }

    pub(super) fn on_exit(&mut self, part: Part, life: Incarnation) -> io::Result<()> {
        let Some(id) = self.crews.find(part, life) else {
            return Ok(());
        };
        if part == Part::Workers {
            self.hear_gateways();
        }
        if !self.hear_node_out(id) {
            return Ok(());
        }
        self.read_last_words(id);
        let Some(member) = self.crews.member_mut(id) else {
            return Ok(());
        };
        let Some(exit) = member.bury(&mut self.book)? else {
            if member.patience().is_some() {
                // It is dead, which need not be heard again and again.
                let _unwatched = self.epoll.remove(member.pidfd().as_fd());
            }
            return Ok(());
        };
        if let Some(problem) = member.launch_failure() {
            let worker = member.info();
            member.problem = Some(problem.clone());
            self.tell_of(part, HerdEvent::LaunchFailed { worker, problem });
        }
        self.part_with(id, exit);
        self.act();
        if let Some(member) = self.crews.remove(id) {
            member.forget(&self.epoll);
        }
        failpoint::hit("master.bury.told");
        self.forget_stored(id);
        Ok(())
    }

    /// Buries the dead of whom the keeper does not say how they ended.
    fn bury_unexplained(&mut self, now: Tick) {
        let members = self.crews.members();
        let due = members.filter(|(_, member)| member.patience().is_some_and(|at| at <= now));
        for id in due.map(|(id, _)| id).collect::<Vec<_>>() {
            self.bury(id);
        }
    }

    /// A process is dead: everybody hears who has to do with it.
    fn part_with(&mut self, id: MemberId, exit: Exit) {
        if let Some(crew) = self.crews.get_mut(id.part) {
            crew.last_ended = Some(id.worker.incarnation.0);
        }
        let worker = id.worker;
        match id.part {
            Part::Gateway => {
                self.forget_gateway(worker);
                self.forget_berths(id);
            }
            // Its agents see the end of their connections.
            Part::Library(_) => {}
            Part::Workers => self.forget_worker(worker, exit),
        }
        let fate = self.crews.member(id).map(|member| member.fate);
        let was_serving = self.crews.phase(id).is_some_and(|phase| phase.is_serving());
        self.feed(
            id.part,
            match fate {
                Some(Fate::Unborn) if !was_serving => Event::Unborn { worker },
                _ => Event::Exited { worker, exit },
            },
        );
        // Others may still have clients.
        let is_last = self.crews.living(id.part).iter().all(|it| *it == id);
        if self.is_needless(id.part) && is_last {
            self.feed(id.part, Event::Stop);
        }
    }

    /// Reads what a dead process had still said: its last message may explain its end. How its channel
    /// stands does not matter any more.
    fn read_last_words(&mut self, id: MemberId) {
        let control = self.crews.member_mut(id).and_then(|m| m.control.as_mut());
        let Some(control) = control else { return };
        for frame in control.read_dry(&mut self.room).frames {
            self.on_frame(id, frame);
        }
    }

    fn on_control(&mut self, part: Part, life: Incarnation, event: &epoll::Event) {
        let Some(id) = self.crews.find(part, life) else {
            return;
        };
        let Some(control) = self.crews.member_mut(id).and_then(|m| m.control.as_mut()) else {
            return;
        };
        if event.writable {
            control.flush();
        }
        let said = control.read(now(), &mut self.room);
        self.heed(id, said);
        self.watch_control(id);
    }

    /// How a channel stands after a reading.
    pub(super) fn on_reading(&mut self, id: MemberId, then: Reading) {
        match then {
            Reading::Goes => {}
            Reading::Ended => self.end_control(id),
            Reading::Broken(problem) => self.misbehaved(id, problem),
        }
    }

    pub(super) fn on_frame(&mut self, id: MemberId, frame: ToMaster) {
        let (part, worker) = (id.part, id.worker);
        match frame {
            ToMaster::Beat => self.feed(part, Event::Beat { worker }),
            ToMaster::BootExtend { millis } => {
                let by = Duration::from_millis(u64::from(millis));
                self.feed(part, Event::BootExtended { worker, by });
            }
            ToMaster::Counters { open, served, .. } => {
                // A gateway counts clients, which are none of the supervisor's business.
                if part == Part::Workers {
                    self.note_load(worker, Load::of(open, served));
                    let total = served;
                    self.feed(part, Event::Served { worker, total });
                }
            }
            ToMaster::Hello { version, .. } => self.greet(id, version),
            ToMaster::State {
                version,
                course,
                open,
                served,
                busy: _,
            } => {
                let statement = Statement {
                    version,
                    course,
                    open,
                    served,
                };
                self.on_statement(id, &statement);
            }
            ToMaster::Ready => self.feed(part, Event::Ready { worker }),
            ToMaster::Retire { reason } => {
                if let Some(member) = self.crews.member_mut(id) {
                    member.retire_reason = Some(reason);
                }
                // The next life of a library begins when this one has ended: they may want one file.
                if !matches!(part, Part::Library(_)) {
                    self.feed(part, Event::Retire { worker });
                }
            }
            // No part of a herd takes messages of the application yet.
            ToMaster::User(_) => {}
            ToMaster::Certificates { .. }
            | ToMaster::Dispatched { .. }
            | ToMaster::Empty
            | ToMaster::Exhausted { .. }
            | ToMaster::Ejected { .. }
            | ToMaster::Known { .. }
            | ToMaster::Load { .. }
            | ToMaster::Restored { .. }
            | ToMaster::Spent
            | ToMaster::Unusable { .. }
            | ToMaster::Withdrawn { .. }
            | ToMaster::WithdrawnAgain { .. } => self.on_job_news(id, &frame),
        }
        self.act();
    }

    fn on_notification(&mut self, part: Part, life: Incarnation) {
        for _ in 0..PER_TURN {
            let Some(id) = self.crews.find(part, life) else {
                return;
            };
            let Some(heard) = self.notify_of(id).and_then(NotifySocket::look) else {
                return;
            };
            for heard in &heard {
                self.on_heard(id, *heard);
            }
            // What nobody says again is forgotten when a successor would know of it.
            if heard.iter().any(|heard| *heard != Heard::Beat) {
                failpoint::hit("master.notify.heard");
                self.save_ahead();
            }
            if let Some(notify) = self.notify_of(id) {
                notify.take();
            }
        }
    }

    fn notify_of(&self, id: MemberId) -> Option<&NotifySocket> {
        self.crews.member(id)?.notify.as_ref()
    }

    fn on_heard(&mut self, id: MemberId, heard: Heard) {
        let worker = id.worker;
        if heard == Heard::Ready && self.is_to_listen(id) {
            return;
        }
        let event = match heard {
            Heard::Beat => Event::Beat { worker },
            Heard::Extend(by) => Event::BootExtended { worker, by },
            Heard::Hung => Event::Misbehaved { worker },
            Heard::Ready => Event::Ready { worker },
        };
        if heard == Heard::Hung {
            let problem = "it asked to be treated as hung (WATCHDOG=trigger)".to_owned();
            if let Some(member) = self.crews.member_mut(id) {
                member.problem = Some(problem);
            }
        }
        self.feed(id.part, event);
        self.act();
    }

    /// Without its keeper nobody would clean up after a dead master: the herd ends in order, and the master
    /// does its keeper's part, as long as it lives.
    pub(super) fn on_keeper_gone(&mut self) -> io::Result<()> {
        self.epoll.remove(self.book.vault.socket())?;
        self.heir = Heir::Master;
        process::become_subreaper()?;
        if self.stopping == Stopping::No {
            self.tell(HerdEvent::KeeperGone);
            self.stop(None);
        }
        Ok(())
    }
}

/// What the kernel says of an end, for the core.
pub(crate) fn exit_of(status: std::process::ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }
}
