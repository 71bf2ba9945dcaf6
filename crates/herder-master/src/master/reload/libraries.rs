//! How a library is replaced: its next life begins when the one before it has ended, for they may want
//! one file. Who calls it meanwhile waits in the queue of its listener.

use herder_core::spec::BootFailure;
use herder_core::supervisor::{Cause, DrainReason, Event, Failure, FailureKind, Notice, Outcome};
use herder_sys::random;

use super::course::{Stage, Step};
use crate::master::{Master, Stopping, now};
use crate::part::{Part, PartNumber};

impl Master {
    /// The library's present life is told to leave.
    pub(super) fn replace_library(&mut self, number: PartNumber) {
        if let Some(part) = self.part_numbered(number) {
            self.feed(part, Event::Stop);
        }
    }

    /// A part has ended. Whether it was a library that is being replaced: then its next life is on the
    /// way.
    pub(in crate::master) fn is_between_lives(&mut self, part: Part, outcome: Outcome) -> bool {
        let replacing = self.reloads.replacing();
        if replacing != Some((part.number(), Step::Leaving))
            || outcome != Outcome::Stopped
            || self.stopping != Stopping::No
        {
            return false;
        }
        self.reloads.next_life();
        if let Some(crew) = self.crews.get_mut(part) {
            // The herd runs, whatever becomes of this one.
            crew.supervisor = crew
                .supervisor
                .heir(random::seed(), BootFailure::KeepTrying);
        }
        self.feed(part, Event::Start);
        true
    }

    /// A library is ready: if it was waited for, the reload goes on.
    pub(in crate::master) fn library_took_over(&mut self, part: Part) {
        if self.reloads.replacing() != Some((part.number(), Step::Starting)) {
            return;
        }
        if let Some(next) = self.reloads.library_done(now()) {
            return self.replace_library(next);
        }
        let course = self.reloads.course();
        match course.map(|course| (&course.stage, course.to)) {
            Some((Stage::Workers { .. }, to)) => self.reload_workers(to),
            _ => self.sweep(),
        }
    }

    /// Why a member is told to leave: to the supervisor of a library that is replaced, its app ends.
    pub(in crate::master) fn reason_for(&self, part: Part, reason: DrainReason) -> DrainReason {
        let is_replaced = self.reloads.replacing() == Some((part.number(), Step::Leaving));
        if !is_replaced || reason != DrainReason::Stop || self.stopping != Stopping::No {
            return reason;
        }
        match self.reloads.course().map(|course| &course.stage) {
            Some(Stage::Back { .. }) => DrainReason::RolledBack,
            _ => DrainReason::Replaced,
        }
    }

    /// As [`reason_for`](Master::reason_for).
    pub(in crate::master) fn cause_for(&self, part: Part, cause: Cause) -> Cause {
        match cause {
            Cause::Planned(reason) => Cause::Planned(self.reason_for(part, reason)),
            Cause::BootTimeout | Cause::Crash | Cause::Hang | Cause::Protocol | Cause::Watchdog => {
                cause
            }
        }
    }

    /// Hears of the death of a library's new life: then the generation has failed.
    pub(super) fn judge_library(&mut self, part: Part, notice: &Notice) {
        let course = self.reloads.course();
        let is_new = course.is_some_and(|it| matches!(it.stage, Stage::Libraries { .. }));
        if !is_new || self.reloads.replacing() != Some((part.number(), Step::Starting)) {
            return;
        }
        let (worker, kind) = if let Notice::Exited {
            worker,
            exit,
            cause,
        } = *notice
        {
            let kind = match cause {
                Cause::BootTimeout => FailureKind::NotReadyInTime(self.boot_timeout(part)),
                Cause::Protocol => FailureKind::Protocol,
                Cause::Watchdog => FailureKind::Broken,
                Cause::Crash | Cause::Hang | Cause::Planned(_) => {
                    FailureKind::ExitedBeforeReady(exit)
                }
            };
            (worker, kind)
        } else if let Notice::SpawnFailed { worker, errno } = *notice {
            (worker, FailureKind::NotStarted { errno })
        } else {
            return;
        };
        let Some((from, to)) = self.reloads.course().map(|it| (it.from, it.to)) else {
            return;
        };
        let failure = Failure {
            worker: Some(worker),
            kind,
        };
        self.rolled_back(part, to, from, &failure);
        // The workers' supervisor has not heard of it, and cannot say so.
        self.discard(Part::Workers, to);
    }

    fn boot_timeout(&self, part: Part) -> std::time::Duration {
        let crew = self.crews.get(part);
        crew.map_or_else(Default::default, |crew| {
            crew.supervisor.spec().life.boot_timeout
        })
    }
}
