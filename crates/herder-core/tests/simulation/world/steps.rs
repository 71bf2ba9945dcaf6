//! What can happen in one step of chaos.

use std::time::Duration;

use herder_core::dispatch::{Dispatcher, Event as ToDispatcher};
use herder_core::supervisor::{Event as ToSupervisor, Supervisor};
use herder_core::{Exit, Tick, WorkerId};

use super::mail::{News, Source};
use super::plan::draw_count;
use super::process::{Deed, Life};
use super::run::World;
use super::violation::{Verdict, ensure};

/// No state of an app of eight slots needs more, serialised.
const MAX_SNAPSHOT: usize = 32 * 1024;

/// When the timers fire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Firing {
    /// For nothing, too.
    Always,
    WhenDue,
}

impl World {
    pub(super) fn step(&mut self) -> Verdict {
        self.jobs_run_out();
        self.verdicts_arrive()?;
        self.releases()?;
        self.ends()?;
        self.master_stands_still()?;
        match self.rng.below(1000) {
            0..300 => self.deliver_mail()?,
            300..400 => self.deliver_order()?,
            400..700 => self.somebody_acts()?,
            700..790 => self.clients_arrive()?,
            790..850 => self.time_passes(),
            850..930 => self.timers_fire()?,
            930..980 => self.channels_wake()?,
            980..990 => self.snapshot()?,
            990..994 => self.operate()?,
            _ => self.drain_dispatcher()?,
        }
        self.check()
    }

    pub(super) fn deliver_mail(&mut self) -> Verdict {
        match self.mail.take(self.now, &mut self.rng) {
            None => Ok(()),
            Some(News::Load { worker, open }) => {
                self.order_load(worker, open);
                Ok(())
            }
            Some(News::Supervisor(event)) => self.tell_supervisor(event),
        }
    }

    fn somebody_acts(&mut self) -> Verdict {
        let ids: Vec<WorkerId> = self.processes.keys().copied().collect();
        match self.rng.pick(&ids) {
            Some(id) => self.act(id),
            None => Ok(()),
        }
    }

    /// The process gets the processor once.
    pub(super) fn act(&mut self, id: WorkerId) -> Verdict {
        let Some(process) = self.processes.get_mut(&id) else {
            return Ok(());
        };
        if process.frozen {
            if self.rng.chance(50) {
                process.frozen = false;
                if process.abort_waits {
                    self.dies(id, Exit::Signal(6));
                }
            }
            return Ok(());
        }
        let deed = process.choose(self.now, &mut self.rng, &self.faults);
        self.perform(id, deed)
    }

    pub(super) fn perform(&mut self, id: WorkerId, deed: Deed) -> Verdict {
        let Some(process) = self.processes.get_mut(&id) else {
            return Ok(());
        };
        match deed {
            Deed::Nothing => {}
            Deed::Beat => self.says(ToSupervisor::Beat { worker: id }, id),
            Deed::BecomeReady => {
                process.life = Life::Serving;
                self.says(ToSupervisor::Ready { worker: id }, id);
                if self.rng.chance(50) {
                    self.says(ToSupervisor::Ready { worker: id }, id);
                }
            }
            Deed::ExtendBoot => {
                let by = Duration::from_millis(self.rng.below(5_000));
                self.says(ToSupervisor::BootExtended { worker: id, by }, id);
            }
            Deed::Exit(exit) => {
                let exit = self.own_exit(id, exit);
                self.dies(id, exit);
            }
            Deed::Freeze => process.frozen = process.is_alive(),
            Deed::Misbehave => self.says(ToSupervisor::Misbehaved { worker: id }, id),
            Deed::Receive => self.receives(id)?,
            Deed::Remember => {
                process.memory += self.rng.below(1 << 19);
                let bytes = process.memory;
                self.says(ToSupervisor::Memory { worker: id, bytes }, id);
            }
            Deed::Retire => {
                for _ in 0..self.rng.between(1, 3) {
                    self.says(ToSupervisor::Retire { worker: id }, id);
                }
            }
            Deed::Serve => {
                if process.open.pop().is_some() {
                    process.served += 1;
                    let total = process.served;
                    self.says(ToSupervisor::Served { worker: id, total }, id);
                }
                self.says_load(id);
            }
        }
        Ok(())
    }

    /// Somebody gets the last job of its life, mostly somebody who serves.
    fn jobs_run_out(&mut self) {
        if !self.jobs.chance(self.exhaustion) {
            return;
        }
        let ids: Vec<WorkerId> = self.processes.keys().copied().collect();
        let anybody = self.jobs.chance(100);
        let admitted = |id: &WorkerId| anybody || self.audit.is_admitted(*id);
        let ids: Vec<WorkerId> = ids.into_iter().filter(admitted).collect();
        let Some(worker) = self.jobs.pick(&ids) else {
            return;
        };
        let at = self
            .now
            .after(Duration::from_micros(self.jobs.below(50_000)));
        let news = News::Supervisor(ToSupervisor::Exhausted { worker });
        self.mail.post(Source::Dispatch, at, news);
    }

    fn clients_arrive(&mut self) -> Verdict {
        let budget = self.dispatcher.accept_budget();
        let most = if self.rng.chance(300) {
            budget
        } else {
            budget.min(3)
        };
        let count = self.rng.index(most + 1);
        self.accept(count)
    }

    pub(super) fn accept(&mut self, count: usize) -> Verdict {
        for _ in 0..count {
            let conn = self.ledger.accept(self.now);
            let origin = self.draw_origin();
            self.tell_dispatcher(ToDispatcher::Accepted { conn, origin });
        }
        self.drain_dispatcher()
    }

    fn time_passes(&mut self) {
        let next = self.next_timeout();
        let micros = match self.rng.below(100) {
            0..20 => 0,
            20..55 => self.rng.below(5_000),
            55..70 => self.rng.below(200_000),
            // Just when something is due, or just before or after it.
            70..92 => next.map_or(1_000, |at| {
                (at.as_micros() + self.rng.below(3)).saturating_sub(self.now.as_micros() + 1)
            }),
            _ if self.rng.chance(self.faults.leap * 5) => self.rng.below(300_000_000),
            _ => self.rng.below(3_000_000),
        };
        self.now = self.now.after(Duration::from_micros(micros));
    }

    /// Time passes, and nobody is in charge. Whoever is then, knows for how long nobody was.
    fn master_stands_still(&mut self) -> Verdict {
        if !self.halter.chance(self.faults.leap) || !self.halter.chance(200) {
            return Ok(());
        }
        let lasted = Duration::from_micros(self.halter.below(60_000_000));
        self.now = self.now.after(lasted);
        self.tell_supervisor(ToSupervisor::StoodStill { lasted })
    }

    pub(super) fn next_timeout(&self) -> Option<Tick> {
        self.supervisor
            .poll_timeout()
            .into_iter()
            .chain(self.dispatcher.poll_timeout())
            .min()
    }

    /// Timers fire late, and sometimes for nothing.
    fn timers_fire(&mut self) -> Verdict {
        let firing = if self.rng.chance(50) {
            Firing::Always
        } else {
            Firing::WhenDue
        };
        self.fire_timers(firing)
    }

    pub(super) fn fire_timers(&mut self, firing: Firing) -> Verdict {
        let due = |at: Option<Tick>| at.is_some_and(|at| at <= self.now);
        let (supervisor, dispatcher) = (
            due(self.supervisor.poll_timeout()),
            due(self.dispatcher.poll_timeout()),
        );
        if dispatcher || firing == Firing::Always {
            self.tell_dispatcher(ToDispatcher::Timer);
            self.drain_dispatcher()?;
        }
        if supervisor || firing == Firing::Always {
            self.tell_supervisor(ToSupervisor::Timer)?;
        }
        Ok(())
    }

    /// The master is replaced by its own state.
    fn snapshot(&mut self) -> Verdict {
        let rule = "11: what is restored equals what was saved";
        let saved = postcard::to_stdvec(&self.supervisor).expect("the supervisor serialises");
        let restored: Supervisor = postcard::from_bytes(&saved).expect("it reads back");
        ensure(restored == self.supervisor, rule, || {
            format!("supervisor:\n{restored:#?}")
        })?;
        self.supervisor = restored;
        let mut size = saved.len();
        let saved = postcard::to_stdvec(&self.dispatcher).expect("the dispatcher serialises");
        let restored: Dispatcher = postcard::from_bytes(&saved).expect("it reads back");
        ensure(restored == self.dispatcher, rule, || {
            format!("dispatcher:\n{restored:#?}")
        })?;
        self.dispatcher = restored;
        size += saved.len();
        ensure(size <= MAX_SNAPSHOT, "12: the state is bounded", || {
            format!("{size} bytes")
        })
    }

    fn operate(&mut self) -> Verdict {
        let command = match self.rng.below(100) {
            0..2 => ToSupervisor::Stop,
            2..3 => ToSupervisor::StopNow,
            3..40 => ToSupervisor::Reset,
            40..45 => ToSupervisor::Start,
            _ => ToSupervisor::Scale(draw_count(&mut self.rng)),
        };
        self.tell_supervisor(command)
    }

    /// News is on its way, for a while.
    pub(super) fn arrival(&mut self) -> Tick {
        let micros = match self.rng.below(1000) {
            roll if roll < self.faults.late => self.rng.below(20_000_000),
            0..700 => 0,
            _ => self.rng.below(50_000),
        };
        self.now.after(Duration::from_micros(micros))
    }

    fn says(&mut self, event: ToSupervisor, id: WorkerId) {
        let at = self.arrival();
        self.mail
            .post(Source::Control(id), at, News::Supervisor(event));
    }

    fn says_load(&mut self, id: WorkerId) {
        let Some(process) = self.processes.get(&id) else {
            return;
        };
        let open = u32::try_from(process.open.len()).expect("few are open");
        let at = self.arrival();
        self.mail
            .post(Source::Control(id), at, News::Load { worker: id, open });
    }
}
