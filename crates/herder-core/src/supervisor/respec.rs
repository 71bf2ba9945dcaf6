//! Other policies, while the app runs.

use super::phase::Phase;
use super::state::Supervisor;
use super::timers::before;
use crate::spec::{LifePolicy, Policies};
use crate::{Tick, WorkerId};

impl Supervisor {
    pub(super) fn respec(&mut self, policies: Policies, now: Tick) {
        let old = self.spec.policies();
        self.spec.adopt(policies);
        if (old.life.hang, old.life.hang_kill) != (self.spec.life.hang, self.spec.life.hang_kill) {
            self.judge_silence_anew(now);
        }
        if old.recycle != self.spec.recycle {
            self.draw_limits_anew();
        }
    }

    /// Who was as silent as it might be is not suspect at once: half of the new limit at least is left.
    fn judge_silence_anew(&mut self, now: Tick) {
        let LifePolicy {
            hang, hang_kill, ..
        } = self.spec.life;
        let workers: Vec<(WorkerId, Phase)> = self.workers().collect();
        for (worker, phase) in workers {
            match (phase, hang) {
                (Phase::Ready { mut tenure }, Some(hang)) => {
                    tenure.beat = tenure.beat.max(before(now, hang / 2));
                    self.set_phase(worker, Phase::Ready { tenure });
                }
                (Phase::Standby { mut tenure }, Some(hang)) => {
                    tenure.beat = tenure.beat.max(before(now, hang / 2));
                    self.set_phase(worker, Phase::Standby { tenure });
                }
                (Phase::Suspect { since, tenure }, Some(_)) => {
                    let since = since.max(before(now, hang_kill / 2));
                    self.set_phase(worker, Phase::Suspect { since, tenure });
                }
                // Nothing more is expected of it.
                (Phase::Suspect { .. }, None) => self.beat(worker, now),
                (Phase::Ready { .. } | Phase::Standby { .. }, None)
                | (
                    Phase::Aborting { .. }
                    | Phase::Draining { .. }
                    | Phase::Killing { .. }
                    | Phase::Recalled { .. }
                    | Phase::Spawning { .. }
                    | Phase::Starting { .. }
                    | Phase::Withdrawing { .. },
                    _,
                ) => {}
            }
        }
    }

    /// The limits of who serves are those of the new policy, from the beginning of its service. One that
    /// was reached and is none any more is forgotten, unless the replacement is under way.
    fn draw_limits_anew(&mut self) {
        let workers: Vec<(WorkerId, Phase)> = self.workers().collect();
        for (worker, phase) in workers {
            let (Phase::Ready { tenure }
            | Phase::Standby { tenure }
            | Phase::Suspect { tenure, .. }) = phase
            else {
                continue;
            };
            let limits = self.draw_limits(tenure.since);
            if let Some(
                Phase::Ready { tenure } | Phase::Standby { tenure } | Phase::Suspect { tenure, .. },
            ) = self.phase_mut(worker)
            {
                tenure.limits = limits;
                tenure.due = None;
            }
        }
    }
}
