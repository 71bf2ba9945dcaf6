//! What the core announces, with the pids that it does not know.

use herder_core::WorkerId;
use herder_core::supervisor::{Notice, Outcome};

use super::Master;
use crate::event::{HerdEvent, WorkerInfo};

impl Master {
    pub(super) fn announce(&mut self, notice: Notice) {
        if let Some(event) = self.event_of(notice) {
            self.tell(event);
        }
    }

    fn event_of(&mut self, notice: Notice) -> Option<HerdEvent> {
        Some(match notice {
            Notice::BootTimedOut { worker } => HerdEvent::BootTimedOut {
                worker: self.info(worker),
                last_lines: self.output.last_lines(worker.incarnation.0),
            },
            Notice::Exited {
                worker,
                exit,
                cause,
            } => HerdEvent::Exited {
                worker: self.info(worker),
                exit,
                cause,
            },
            Notice::GraceExpired { worker } => HerdEvent::GraceExpired {
                worker: self.info(worker),
            },
            Notice::Misbehaved { worker } => HerdEvent::Misbehaved {
                worker: self.info(worker),
                problem: self
                    .workers
                    .get_mut(&worker)
                    .and_then(|worker| worker.problem.take())
                    .unwrap_or_default(),
            },
            Notice::Quarantined {
                slot,
                restarts,
                window,
                retry_in,
            } => HerdEvent::Quarantined {
                slot: slot.0,
                restarts,
                window,
                retry_in,
            },
            Notice::Ready { worker, guessed } => HerdEvent::Ready {
                worker: self.info(worker),
                guessed,
            },
            Notice::Recycling { worker, reason } => HerdEvent::Recycling {
                worker: self.info(worker),
                reason,
            },
            Notice::Released { slot } => HerdEvent::Released { slot: slot.0 },
            Notice::ReplacementWaits { slot, draining } => HerdEvent::ReplacementWaits {
                slot: slot.0,
                draining,
            },
            Notice::RestartDelayed {
                slot,
                delay,
                failures,
            } => HerdEvent::RestartDelayed {
                slot: slot.0,
                delay,
                failures,
            },
            Notice::Restored { worker } => HerdEvent::Restored {
                worker: self.info(worker),
            },
            Notice::Retired { worker } => HerdEvent::Retired {
                worker: self.info(worker),
                reason: self
                    .workers
                    .get(&worker)
                    .and_then(|worker| worker.retire_reason.clone())
                    .unwrap_or_default(),
            },
            Notice::Scaled { from, to } => HerdEvent::Scaled { from, to },
            // Told where it failed, with the error's own words.
            Notice::SpawnFailed { .. } => return None,
            Notice::Started { worker } => HerdEvent::Forked {
                worker: self.info(worker),
            },
            Notice::Stopping { worker, reason } => HerdEvent::Stopping {
                worker: self.info(worker),
                reason,
            },
            Notice::Suspected { worker, silent } => HerdEvent::Suspected {
                worker: self.info(worker),
                silent,
            },
        })
    }

    /// Why the first start failed, in the words of the worker that failed last.
    pub(super) fn last_lines_before(&self, outcome: Outcome) -> Vec<String> {
        match (outcome, self.last_exited) {
            (Outcome::BootFailed, Some(worker)) => self.output.last_lines(worker),
            (Outcome::BootFailed | Outcome::Stopped, _) => Vec::new(),
        }
    }

    fn info(&self, id: WorkerId) -> WorkerInfo {
        // A worker is announced only while the master holds it; a pid of 0 says that it does not.
        self.workers.get(&id).map_or(
            WorkerInfo {
                slot: id.slot.0,
                id: id.incarnation.0,
                pid: 0,
            },
            super::worker::Worker::info,
        )
    }
}
