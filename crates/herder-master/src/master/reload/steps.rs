//! The steps of a reload.

use herder_core::Generation;
use herder_core::supervisor::{Event, Failure, FailureKind};

use super::course::Stage;
use crate::config::Config;
use crate::event::HerdEvent;
use crate::master::{Master, Stopping, gateway, now};
use crate::part::{Part, PartNumber};

impl Master {
    /// The operator wants the program as it is now.
    pub(in crate::master) fn reload(&mut self) {
        if self.stopping != Stopping::No {
            let text = "the herd stops: there is no reload any more".to_owned();
            return self.tell(HerdEvent::Warning { text });
        }
        if !self.is_reloading() && !self.is_upgrading() {
            return self.begin_reload();
        }
        if let Some(generation) = self.reloads.remember() {
            self.tell(HerdEvent::ReloadWaits { generation });
        }
    }

    /// Begins what was asked for while another reload went on.
    pub(in crate::master) fn go_on_reloading(&mut self) {
        if !self.reloads.wants_another() || self.is_reloading() || self.is_upgrading() {
            return;
        }
        self.reloads.recall();
        if self.stopping == Stopping::No {
            self.begin_reload();
            self.act();
        }
    }

    /// Whether a reload, a rollback or the very first start goes on.
    pub(in crate::master) fn is_reloading(&self) -> bool {
        let workers = self.crews.get(Part::Workers);
        self.reading.is_some()
            || self.reloads.course().is_some()
            || self.awaits_libraries()
            || workers.is_some_and(|crew| crew.supervisor.is_reloading())
    }

    /// A reload, to this configuration if it can change.
    pub(super) fn begin_reload_of(&mut self, config: Option<Config>) {
        let (from, to) = (self.generation(), self.reloads.next());
        if let Some(Err(error)) = config.as_ref().map(gateway::check_renewal) {
            return self.refuse_reload(to, error.to_string());
        }
        match self.editions.open(to, config, &self.book.vault) {
            Err(error) => return self.refuse_reload(to, error.to_string()),
            Ok(hints) => hints.into_iter().for_each(|hint| self.caution(hint)),
        }
        self.hold_to(to);
        let libraries = self.editions.replaceable().collect();
        self.reloads.begin(from, libraries, now());
        match self.reloads.replacing() {
            Some((library, _)) => self.replace_library(library),
            None => self.reload_workers(to),
        }
        // What was told has a verdict, whichever master gives it: the next one is to know of it before.
        self.save_ahead();
        self.tell(HerdEvent::ReloadBegan { from, to });
        self.tell_service(&format!(
            "RELOADING=1\nSTATUS=generation {to} takes over from {from}"
        ));
    }

    pub(super) fn reload_workers(&mut self, generation: Generation) {
        self.feed(Part::Workers, Event::Reload { generation });
        self.save_ahead();
    }

    /// Nobody is started from a generation any more.
    pub(in crate::master) fn discard(&mut self, part: Part, generation: Generation) {
        if part == Part::Workers {
            for useless in self.reloads.discard(generation) {
                self.editions.close(useless);
            }
        }
    }

    /// The libraries are what they were: nothing of the failed generation is needed any more.
    pub(super) fn sweep(&mut self) {
        for useless in self.reloads.sweep() {
            self.editions.close(useless);
        }
    }

    /// The generation in service.
    pub(in crate::master) fn generation(&self) -> Generation {
        let workers = self.crews.get(Part::Workers);
        workers.map_or(Generation::FIRST, |crew| crew.supervisor.generation())
    }

    /// The generation that a member is started from: workers are told by their supervisor, and libraries
    /// have theirs; a gateway is the same in all.
    pub(in crate::master) fn edition_for(&self, part: Part, told: Generation) -> Generation {
        match part {
            Part::Workers | Part::Gateway => told,
            Part::Library(_) => self.reloads.generation_of(part.number()),
        }
    }

    /// The herd stops: what was under way is given up.
    pub(in crate::master) fn give_reload_up(&mut self) {
        self.reloads.recall();
        let course = self.reloads.course();
        let at_libraries = course.filter(|it| matches!(it.stage, Stage::Libraries { .. }));
        if let Some((from, to)) = at_libraries.map(|course| (course.from, course.to)) {
            let failure = Failure {
                worker: None,
                kind: FailureKind::Stopped,
            };
            self.rolled_back(Part::Workers, to, from, &failure);
        }
        // The workers' supervisor says itself what became of it.
        let stage = self.reloads.course().map(|it| &it.stage);
        if !matches!(stage, Some(Stage::Workers { .. })) {
            self.reloads.finish();
        }
    }

    /// The part of this number that is being replaced.
    pub(super) fn part_numbered(&self, number: PartNumber) -> Option<Part> {
        self.crews.numbered(number)
    }
}
