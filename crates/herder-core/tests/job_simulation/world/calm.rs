//! The faults end: from here on everything must come right, in bounded time.

use std::time::Duration;

use herder_core::Incarnation;
use herder_core::jobs::Event;

use super::audit::Stop;
use super::plan::Faults;
use super::process::Life;
use super::run::World;
use super::violation::{Verdict, ensure};

/// The longest step of the clock.
const STEP: Duration = Duration::from_millis(20);

/// Longer than everything that may have to happen one after the other.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a stop may wait.
const WITHIN: Duration = Duration::from_secs(5);

impl World {
    /// Every job comes to its end.
    pub(super) fn calm_down(&mut self) -> Verdict {
        self.faults = Faults::NONE;
        let end = self.now.after(PATIENCE);
        while self.ledger.open().next().is_some() || !self.at_rest {
            self.calm_round()?;
            ensure(self.now <= end, "9: calm brings everything right", || {
                format!("{:?}\n{:#?}", self.plan.spec, self.dispatcher)
            })?;
        }
        self.ledger.check_all_ended()?;
        let paused = self.clients.values().find(|client| client.paused);
        ensure(paused.is_none(), "7: nobody is paused in the end", || {
            format!("{paused:?}")
        })
    }

    /// After a stop everything is withdrawn, and nothing is left to be known.
    pub(super) fn come_to_an_end(&mut self) -> Verdict {
        self.stop_begins(WITHIN)?;
        ensure(self.stop == Stop::Over, "8: empty is said at once", || {
            format!("{:?}", self.stop)
        })?;
        let end = self.now.after(PATIENCE);
        while !self.processes.is_empty() {
            self.calm_round()?;
            ensure(self.now <= end, "8: a stop ends everything", || {
                format!("{:#?}", self.dispatcher)
            })?;
        }
        let asleep = self.dispatcher.poll_timeout().is_none();
        ensure(asleep, "9: nothing is left to wait for", || {
            format!("{:#?}", self.dispatcher)
        })
    }

    fn calm_round(&mut self) -> Verdict {
        self.drain()?;
        self.master_hires()?;
        let ids: Vec<Incarnation> = self.processes.keys().copied().collect();
        for id in ids {
            self.goes_well(id)?;
        }
        let soon = self.now.after(Duration::from_micros(1));
        let next = self.dispatcher.poll_timeout();
        let latest = self.now.after(STEP);
        self.now = next.unwrap_or(latest).clamp(soon, latest);
        self.tell(Event::Timer)
    }

    fn goes_well(&mut self, id: Incarnation) -> Verdict {
        self.master_tends(id)?;
        self.announces_room(id)?;
        let Some(process) = self.processes.get_mut(&id) else {
            return Ok(());
        };
        process.frozen = false;
        if process.life == Life::Dead {
            return self.buries(id);
        }
        self.receives(id);
        self.begins(id)?;
        self.ends_a_job(id);
        for _ in 0..3 {
            self.reads(id)?;
        }
        self.leaves_when_done(id);
        Ok(())
    }
}
