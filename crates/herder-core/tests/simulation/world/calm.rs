//! The faults end: from here on everything must come right, in bounded time.

use std::time::Duration;

use herder_core::supervisor::{Event, Rollout};
use herder_core::{Exit, Slot, Tick, WorkerId};

use super::ends::Ending;
use super::plan::{Faults, Release};
use super::process::{Deed, Life};
use super::run::World;
use super::steps::Firing;
use super::violation::{Verdict, ensure};

/// The longest step of the clock: short enough that nobody who beats is suspected.
const STEP: Duration = Duration::from_millis(300);

impl World {
    /// Every slot becomes ready or rests, and every connection finds its end.
    pub(super) fn calm_down(&mut self) -> Verdict {
        self.faults = Faults::NONE;
        self.release = Release::NONE;
        self.ending = Ending::NONE;
        self.taste.mend();
        let end = self.now.after(self.patience());
        while !self.is_settled() {
            self.calm_round()?;
            ensure(self.now <= end, "10: calm brings everything right", || {
                self.unsettled()
            })?;
        }
        Ok(())
    }

    /// After a stop everything ends.
    pub(super) fn stop(&mut self) -> Verdict {
        if !self.audit.is_finished() {
            self.tell_supervisor(Event::Stop)?;
        }
        let end = self.now.after(self.patience());
        let over = |world: &World| {
            world.audit.is_finished()
                && world.processes.is_empty()
                && world.orders.is_empty()
                && world.ledger.in_hand() == 0
        };
        while !over(self) {
            self.calm_round()?;
            ensure(self.now <= end, "10: a stop ends everything", || {
                self.unsettled()
            })?;
        }
        let action = self.supervisor.poll_action();
        ensure(action.is_none(), "9: nothing after the finish", || {
            format!("{action:?}")
        })?;
        let left = self.ledger.in_channels();
        ensure(left == 0, "4: no channel holds anything in the end", || {
            left.to_string()
        })?;
        let (believed, truly) = (self.dispatcher.received(), self.ledger.received());
        ensure(
            believed == truly,
            "2: what was received is known in the end",
            || format!("{believed} believed, {truly} true"),
        )
    }

    fn calm_round(&mut self) -> Verdict {
        let ids: Vec<WorkerId> = self.processes.keys().copied().collect();
        for id in ids {
            self.act_well(id)?;
        }
        while !self.mail.is_empty() {
            self.mail.hurry();
            self.deliver_mail()?;
        }
        while let Some((at, _)) = self.orders.front_mut() {
            *at = Tick::ZERO;
            self.deliver_order()?;
        }
        while self.is_somebody_woken() {
            self.channels_wake()?;
        }
        self.hear_everybody()?;
        self.drain_dispatcher()?;
        let next = self.next_timeout().unwrap_or(self.now.after(STEP));
        let soon = self.now.after(Duration::from_micros(1));
        self.now = next.clamp(soon, self.now.after(STEP));
        self.fire_timers(Firing::WhenDue)?;
        self.check()
    }

    fn act_well(&mut self, id: WorkerId) -> Verdict {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&id) else {
            return Ok(());
        };
        process.heal(now);
        process.frozen = false;
        if process.abort_waits {
            self.dies(id, Exit::Signal(6));
            return Ok(());
        }
        match process.life {
            Life::Dead => Ok(()),
            Life::Booting { .. } if process.drain_asked => {
                self.perform(id, Deed::Exit(Exit::Code(0)))
            }
            Life::Booting { .. } => self.perform(id, Deed::BecomeReady),
            Life::Serving => {
                for _ in 0..=self.dispatcher.queued(id) {
                    self.perform(id, Deed::Receive)?;
                }
                let open = self
                    .processes
                    .get(&id)
                    .map_or(0, |process| process.open.len());
                for _ in 0..=open {
                    self.perform(id, Deed::Serve)?;
                }
                self.perform(id, Deed::Beat)?;
                match self
                    .processes
                    .get(&id)
                    .is_some_and(|process| process.drain_asked)
                {
                    true => self.perform(id, Deed::Exit(Exit::Code(0))),
                    false => Ok(()),
                }
            }
        }
    }

    fn is_settled(&self) -> bool {
        let slots = (0..self.audit.size()).map(Slot);
        let at_work = |slot: Slot| {
            let here = |id: &WorkerId| id.slot == slot && self.audit.is_admitted(*id);
            self.processes
                .values()
                .any(|p| here(&p.id) && p.life == Life::Serving)
        };
        let manned = !self.audit.is_running()
            || slots
                .into_iter()
                .all(|slot| at_work(slot) || self.rests(slot));
        manned
            && self.supervisor.rollout() == Rollout::Steady
            && self.orders.is_empty()
            && self.dispatcher.pending() == 0
            && self.ledger.in_hand() == 0
            && self.ledger.in_channels() == 0
            && self.dispatcher.received() == self.ledger.received()
    }

    fn rests(&self, slot: Slot) -> bool {
        self.audit.is_quarantined(slot) || self.audit.completions().is_done(slot)
    }

    fn unsettled(&self) -> String {
        format!(
            "{:#?}\n{} in hand, {} in channels, {} received\n{:#?}\n{:#?}",
            self.plan.spec,
            self.ledger.in_hand(),
            self.ledger.in_channels(),
            self.ledger.received(),
            self.dispatcher,
            self.supervisor,
        )
    }

    /// Longer than everything that may have to happen one after the other.
    fn patience(&self) -> Duration {
        let spec = &self.plan.spec;
        let hang = spec.life.hang.unwrap_or_default() + spec.life.hang_kill + spec.life.abort_grace;
        let ladder = spec.life.boot_timeout + hang + spec.life.grace + Duration::from_secs(10);
        let rest = spec.restart.max_delay.max(spec.restart.retry) * 2;
        let change = spec.reload.soak + spec.life.boot_timeout;
        (ladder + rest + change * 2 + spec.dispatch.pending_timeout) * 2
    }
}
