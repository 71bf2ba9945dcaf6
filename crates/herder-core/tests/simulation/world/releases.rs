//! New generations, and what a master learns of the one before it.

use std::time::Duration;

use herder_core::supervisor::Event;
use herder_core::{Generation, WorkerId};

use super::mail::{News, Source};
use super::process::{Life, Process, Vice};
use super::run::World;
use super::violation::{Verdict, ensure};

const VICES: [Vice; 3] = [Vice::CrashesOnBoot, Vice::Frail, Vice::NeverReady];

impl World {
    /// Somebody deploys, or a master has died.
    pub(super) fn releases(&mut self) -> Verdict {
        if self.deployer.chance(self.release.untold) {
            self.told_by_the_dead();
        }
        if !self.deployer.chance(self.release.reload) {
            return Ok(());
        }
        if self.deployer.chance(50) {
            self.name_an_old_one()?;
        }
        self.newest = Generation(self.newest.0 + 1);
        let generation = self.newest;
        let vice = match self.deployer.chance(self.release.bad) {
            true => self.deployer.pick(&VICES).expect("there are some"),
            false => Vice::None,
        };
        self.vices.insert(generation, vice);
        self.tell_supervisor(Event::Reload { generation })
    }

    fn name_an_old_one(&mut self) -> Verdict {
        let generation = self.newest;
        self.supervisor
            .handle(Event::Reload { generation }, self.now);
        let action = self.supervisor.poll_action();
        ensure(
            action.is_none(),
            "8: what is not newer changes nothing",
            || format!("{action:?}"),
        )
    }

    /// A worker was told to leave by a master that did not live to note so.
    fn told_by_the_dead(&mut self) {
        let serves = |process: &Process| process.life == Life::Serving && !process.frozen;
        let ids: Vec<WorkerId> = self
            .processes
            .iter()
            .filter(|(_, process)| serves(process))
            .map(|(id, _)| *id)
            .collect();
        let Some(worker) = self.deployer.pick(&ids) else {
            return;
        };
        if let Some(process) = self.processes.get_mut(&worker) {
            process.drain_asked = true;
        }
        let at = self
            .now
            .after(Duration::from_micros(self.deployer.below(50_000)));
        let news = News::Supervisor(Event::Draining { worker });
        self.mail.post(Source::Control(worker), at, news);
    }
}
