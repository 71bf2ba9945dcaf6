//! Every source of news becomes an event of the core here.

use std::io;
use std::time::Duration;

use herder_core::spec::PickerKind;
use herder_core::supervisor::Event;
use herder_core::{Exit, Incarnation, WorkerId};
use herder_sys::{epoll, process};
use herder_wire::control::ToMaster;

use super::control::Reading;
use super::notify::Heard;
use super::token::Source;
use super::{Dispatching, Heir, Master, Stopping, now};
use crate::dispatch::{Command, News};
use crate::event::HerdEvent;

/// How often the channel of a dead worker is read at most. A socket's buffer holds less.
const LAST_READINGS: usize = 256;

impl Master {
    pub(super) fn on_ready(&mut self, event: &epoll::Event) -> io::Result<()> {
        match Source::of(event.token) {
            Some(Source::Control(incarnation)) => self.on_control(incarnation, event),
            Some(Source::Dispatch) => self.on_dispatch_news(),
            Some(Source::Exit(incarnation)) => self.on_exit(incarnation)?,
            Some(Source::Keeper) => self.on_keeper_gone()?,
            Some(Source::Notify(incarnation)) => self.on_notification(incarnation),
            Some(Source::Signal) => self.on_signals()?,
            None => {}
        }
        Ok(())
    }

    /// What is due by the clock.
    pub(super) fn on_time(&mut self) {
        let now = now();
        if self.supervisor.poll_timeout().is_some_and(|at| at <= now) {
            self.feed(Event::Timer);
        }
        self.sample_memory(now);
        self.resume_throttled(now);
    }

    /// How long nothing is due.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let sample = self.memory.as_ref().map(|watch| watch.due());
        let throttled = self
            .workers
            .values()
            .filter_map(|worker| worker.throttled_until())
            .min();
        let wishes = [self.supervisor.poll_timeout(), sample, throttled];
        let now = now();
        wishes.into_iter().flatten().min().map(|at| at.since(now))
    }

    fn on_dispatch_news(&mut self) {
        for news in self.dispatch.news() {
            match news {
                News::AcceptPaused(reason) => self.tell(HerdEvent::AcceptPaused { reason }),
                News::Closed {
                    poisoned,
                    timed_out,
                } => {
                    self.tell(HerdEvent::ConnectionsClosed {
                        poisoned,
                        timed_out,
                    });
                }
                News::Ended(text) => self.on_dispatch_gone(text),
                News::ListenersClosed => self.nursery.close_listeners(),
                News::Failed(text) => self.tell(HerdEvent::Warning { text }),
                News::Nudged(nudges) => self.tell(HerdEvent::Nudged { nudges }),
                News::Relistened(address) => self.tell(HerdEvent::Warning {
                    text: format!(
                        "a worker shut the listener on {address} down, which every worker can in \
                         shared mode; it listens again"
                    ),
                }),
                News::Withdrawn(worker) => {
                    self.nudge_others(worker);
                    self.feed(Event::Withdrawn { worker });
                }
            }
        }
    }

    /// Nobody can be served any more: the herd ends in order, and whoever looks after it starts another.
    fn on_dispatch_gone(&mut self, text: String) {
        self.tell(HerdEvent::Warning {
            text: format!("{text}: the herd stops"),
        });
        self.dispatching = Dispatching::Broken;
        if self.stopping == Stopping::No {
            self.stop(None);
        }
        self.nursery.close_listeners();
        // It owes answers, too.
        let workers: Vec<_> = self.workers.keys().copied().collect();
        for worker in workers {
            self.feed(Event::Withdrawn { worker });
        }
    }

    fn on_exit(&mut self, incarnation: Incarnation) -> io::Result<()> {
        let Some(id) = self.worker_id(incarnation) else {
            return Ok(());
        };
        self.drain_control(id);
        let Some(worker) = self.workers.get_mut(&id) else {
            return Ok(());
        };
        let Some(exit) = worker.bury()? else {
            return Ok(());
        };
        if let Some(failure) = worker.launch_failure() {
            let worker = worker.info();
            self.tell(HerdEvent::LaunchFailed {
                worker,
                problem: failure,
            });
        }
        self.last_exited = Some(incarnation.0);
        self.dispatch.tell(Command::Gone(id));
        self.nudge_others(id);
        self.feed(Event::Exited { worker: id, exit });
        self.act();
        if let Some(worker) = self.workers.remove(&id) {
            worker.forget(&self.epoll);
        }
        Ok(())
    }

    /// Reads what a dead worker had still said: its last message may explain its end.
    fn drain_control(&mut self, id: WorkerId) {
        for _ in 0..LAST_READINGS {
            let said = match self
                .workers
                .get_mut(&id)
                .and_then(|worker| worker.control.as_mut())
            {
                Some(control) => control.read(now(), &mut self.room),
                None => return,
            };
            if said.frames.is_empty() {
                return;
            }
            for frame in said.frames {
                self.on_frame(id, frame);
            }
        }
    }

    fn on_control(&mut self, incarnation: Incarnation, event: &epoll::Event) {
        let Some(id) = self.worker_id(incarnation) else {
            return;
        };
        let Some(control) = self
            .workers
            .get_mut(&id)
            .and_then(|worker| worker.control.as_mut())
        else {
            return;
        };
        if event.writable {
            control.flush();
        }
        let said = control.read(now(), &mut self.room);
        for frame in said.frames {
            self.on_frame(id, frame);
        }
        match said.then {
            Reading::Goes => {}
            Reading::Ended => self.end_control(id),
            Reading::Broken(problem) => self.misbehaved(id, problem),
        }
        self.watch_control(id);
    }

    fn on_frame(&mut self, id: WorkerId, frame: ToMaster) {
        match frame {
            ToMaster::Beat => self.feed(Event::Beat { worker: id }),
            ToMaster::BootExtend { millis } => {
                let by = Duration::from_millis(u64::from(millis));
                self.feed(Event::BootExtended { worker: id, by });
            }
            ToMaster::Counters { open, served, .. } => {
                // Only one policy asks for it, and each command wakes the dispatch thread.
                if self.nursery.spec().dispatch.picker == PickerKind::LeastConnections {
                    self.dispatch.tell(Command::Load(id, open));
                }
                self.feed(Event::Served {
                    worker: id,
                    total: served,
                });
            }
            ToMaster::Hello { version, .. } => self.greet(id, version),
            ToMaster::Ready => self.feed(Event::Ready { worker: id }),
            ToMaster::Retire { reason } => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.retire_reason = Some(reason);
                }
                self.feed(Event::Retire { worker: id });
            }
            // No part of a herd takes messages of the application yet, and no worker is counted
            // as exhausted before it exits.
            ToMaster::Spent | ToMaster::User(_) => {}
            ToMaster::Dispatched { .. }
            | ToMaster::Empty
            | ToMaster::Exhausted { .. }
            | ToMaster::Withdrawn { .. } => {
                let problem = "it sent a message that only a gateway sends".to_owned();
                self.misbehaved(id, problem);
            }
        }
        self.act();
    }

    fn on_notification(&mut self, incarnation: Incarnation) {
        let Some(id) = self.worker_id(incarnation) else {
            return;
        };
        let Some(notify) = self
            .workers
            .get(&id)
            .and_then(|worker| worker.notify.as_ref())
        else {
            return;
        };
        for heard in notify.read() {
            let event = match heard {
                Heard::Beat => Event::Beat { worker: id },
                Heard::Extend(by) => Event::BootExtended { worker: id, by },
                Heard::Hung => Event::Misbehaved { worker: id },
                Heard::Ready => Event::Ready { worker: id },
            };
            if heard == Heard::Hung {
                let problem = "it asked to be treated as hung (WATCHDOG=trigger)".to_owned();
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.problem = Some(problem);
                }
            }
            self.feed(event);
            self.act();
        }
    }

    /// Without its keeper nobody would clean up after a dead master: the herd ends in order, and the master
    /// does its keeper's part, as long as it lives.
    fn on_keeper_gone(&mut self) -> io::Result<()> {
        use std::os::fd::AsFd;
        self.epoll.remove(self.keeper.as_fd())?;
        self.heir = Heir::Master;
        process::become_subreaper()?;
        if self.stopping == Stopping::No {
            let text = "the keeper is gone: the herd stops".to_owned();
            self.tell(HerdEvent::Warning { text });
            self.stop(None);
        }
        Ok(())
    }

    fn worker_id(&self, incarnation: Incarnation) -> Option<WorkerId> {
        self.workers
            .keys()
            .find(|id| id.incarnation == incarnation)
            .copied()
    }
}

/// What the kernel says of an end, for the core.
pub(super) fn exit_of(status: std::process::ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }
}
