//! What the core announces, with the pids that it does not know.

use herder_core::WorkerId;
use herder_core::supervisor::{Notice, Outcome};

use super::Master;
use super::crew::MemberId;
use crate::event::{HerdEvent, WorkerInfo};
use crate::part::Part;

impl Master {
    pub(super) fn announce(&mut self, part: Part, notice: Notice) {
        if let Notice::Ready { worker, guessed } = notice
            && let Some(member) = self.crews.member_mut(MemberId { part, worker })
        {
            member.guessed = guessed;
            if guessed && part == Part::Workers {
                self.delivery.guessed(worker);
            }
        }
        // What was told once must be known to whoever comes next: that a program is ready cannot be asked
        // again. (A verdict is written down where it is given.)
        if matches!(notice, Notice::Ready { .. }) {
            self.save_ahead();
        }
        let waited_for = if let Notice::BootTimedOut { worker }
        | Notice::Ready {
            worker,
            guessed: true,
        } = notice
        {
            Some(worker)
        } else {
            None
        };
        if let Some(event) = self.event_of(part, notice.clone()) {
            self.tell_of(part, event);
        }
        self.judge(part, &notice);
        if let Some(worker) = waited_for {
            self.look_for_launcher(MemberId { part, worker });
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table: each notice has its event")]
    fn event_of(&mut self, part: Part, notice: Notice) -> Option<HerdEvent> {
        let member = |worker: WorkerId| MemberId { part, worker };
        Some(match notice {
            Notice::BootTimedOut { worker } => HerdEvent::BootTimedOut {
                worker: self.info(member(worker)),
                reason: self.lacking(member(worker)),
                last_lines: self.output.last_lines(part, worker.incarnation.0),
            },
            Notice::Done {
                slot,
                exit,
                completion,
            } => HerdEvent::Done {
                slot: slot.0,
                exit,
                completion,
            },
            Notice::Failed { worker, reason } => HerdEvent::Failed {
                worker: self.info(member(worker)),
                reason,
            },
            Notice::Exited {
                worker,
                exit,
                cause,
            } => HerdEvent::Exited {
                worker: self.info(member(worker)),
                exit,
                cause: self.cause_for(part, cause),
            },
            Notice::GenerationsCut {
                generation,
                workers,
            } => HerdEvent::GenerationsCut {
                generation,
                workers,
            },
            Notice::Latched { generation, .. } => HerdEvent::Latched {
                generation,
                rest: self.spec.reload.latch,
            },
            // The herd as a whole began, or waits, before its workers' turn came.
            Notice::ReloadBegan { .. } | Notice::ReloadWaits { .. } => return None,
            // Told where the verdict is made.
            Notice::Reloaded { .. } | Notice::RolledBack { .. } => return None,
            Notice::Unlatched => HerdEvent::Unlatched,
            Notice::GraceExpired { worker } => HerdEvent::GraceExpired {
                worker: self.info(member(worker)),
            },
            Notice::Misbehaved { worker } => HerdEvent::Misbehaved {
                worker: self.info(member(worker)),
                problem: self
                    .crews
                    .member(member(worker))
                    .and_then(|member| member.problem.clone())
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
                worker: self.info(member(worker)),
                guessed,
            },
            Notice::Recycling { worker, reason } => HerdEvent::Recycling {
                worker: self.info(member(worker)),
                reason,
            },
            Notice::Released { slot } => HerdEvent::Released { slot: slot.0 },
            Notice::ReplacementWaits { slot, draining } => HerdEvent::ReplacementWaits {
                slot: slot.0,
                draining,
            },
            // Nobody is going to start it again.
            Notice::RestartDelayed { .. } if self.is_needless(part) => return None,
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
                worker: self.info(member(worker)),
            },
            Notice::Retired { worker } => HerdEvent::Retired {
                worker: self.info(member(worker)),
                reason: self
                    .crews
                    .member(member(worker))
                    .and_then(|member| member.retire_reason.clone())
                    .unwrap_or_default(),
            },
            Notice::Scaled { from, to } => HerdEvent::Scaled { from, to },
            // Told where it failed, with the error's own words.
            Notice::SpawnFailed { .. } => return None,
            Notice::Started { worker } => HerdEvent::Forked {
                worker: self.info(member(worker)),
            },
            Notice::Stopping { worker, reason } => HerdEvent::Stopping {
                worker: self.info(member(worker)),
                reason: self.reason_for(part, reason),
            },
            Notice::Suspected { worker, silent } => HerdEvent::Suspected {
                worker: self.info(member(worker)),
                silent,
            },
        })
    }

    /// Why a part failed altogether, in the words of the process that failed last.
    pub(super) fn last_lines_before(&self, part: Part, outcome: Outcome) -> Vec<String> {
        let last = self.crews.get(part).and_then(|crew| crew.last_ended);
        match (outcome, last) {
            (Outcome::BootFailed | Outcome::Completed { failed: 1.. }, Some(life)) => {
                self.output.last_lines(part, life)
            }
            (Outcome::BootFailed | Outcome::Completed { .. } | Outcome::Stopped, _) => Vec::new(),
        }
    }

    fn info(&self, id: MemberId) -> WorkerInfo {
        // Who is announced is held by the master; a pid of 0 says that it is not.
        self.crews.member(id).map_or(
            WorkerInfo {
                slot: id.worker.slot.0,
                id: id.worker.incarnation.0,
                pid: 0,
            },
            super::member::Member::info,
        )
    }
}
