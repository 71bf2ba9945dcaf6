use serde::{Deserialize, Serialize};

use super::message::{DrainReason, Notice, RecycleReason};
use super::phase::Phase;
use super::seat::Seat;
use super::state::{Run, Supervisor};
use crate::spec::RecyclePolicy;
use crate::{Incarnation, Tick, WorkerId};

/// When a worker is to be recycled: the limits of the policy, shortened for it alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// At this moment.
    pub lifetime_ends: Option<Tick>,
    /// Above so many bytes.
    pub memory: Option<u64>,
    /// After so many requests.
    pub requests: Option<u64>,
}

/// A limit that was reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Due {
    /// When: who waits longest is recycled first.
    pub since: Tick,
    /// Which.
    pub reason: RecycleReason,
}

/// The one replacement of a healthy worker that goes on in an app.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Recycling {
    /// Who is replaced. It serves on until its replacement is ready.
    pub(super) old: WorkerId,
    pub(super) reason: RecycleReason,
    /// How many replacements failed.
    pub(super) failures: u32,
    pub(super) stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Stage {
    /// The replacement lives and is not ready.
    Replacing { by: Incarnation },
    /// The last replacement failed; the next one is started then.
    Waiting { until: Tick },
}

impl Supervisor {
    /// The limits of a worker that is ready now.
    pub(super) fn draw_limits(&mut self, now: Tick) -> Limits {
        let policy = &self.spec.recycle;
        let jitter = &mut self.jitter;
        Limits {
            lifetime_ends: policy
                .max_lifetime
                .map(|limit| now.after(jitter.shorten_time(limit))),
            memory: policy.max_memory.map(|limit| jitter.shorten(limit.get())),
            requests: policy.max_requests.map(|limit| jitter.shorten(limit.get())),
        }
    }

    /// The worker reached a limit. Only its first one counts.
    pub(super) fn mark_due(&mut self, worker: WorkerId, reason: RecycleReason, now: Tick) {
        if let Some(
            Phase::Ready { tenure } | Phase::Standby { tenure } | Phase::Suspect { tenure, .. },
        ) = self.phase_mut(worker)
        {
            tenure.due.get_or_insert(Due { since: now, reason });
        }
    }

    /// Starts the replacement of the worker that has waited longest, if nothing stands against it.
    pub(super) fn begin_recycling(&mut self, now: Tick) {
        let never = self.spec.recycle == RecyclePolicy::default();
        let rests = self.is_reloading() || self.latched_until().is_some();
        if never || rests || self.run != Run::Running || self.recycling.is_some() {
            return;
        }
        let longest = self
            .workers()
            .filter_map(|(worker, phase)| match phase {
                Phase::Ready { tenure } => tenure.due.map(|due| (due.since, worker, due.reason)),
                Phase::Aborting { .. }
                | Phase::Draining { .. }
                | Phase::Killing { .. }
                | Phase::Recalled { .. }
                | Phase::Spawning { .. }
                | Phase::Standby { .. }
                | Phase::Starting { .. }
                | Phase::Suspect { .. }
                | Phase::Withdrawing { .. } => None,
            })
            .filter(|(_, worker, _)| !self.is_spawn_open(worker.slot))
            .min_by_key(|(since, worker, _)| (*since, *worker));
        let Some((_, old, reason)) = longest.filter(|_| self.may_drain_more()) else {
            return;
        };
        self.tell(Notice::Recycling {
            worker: old,
            reason,
        });
        let by = self.spawn(old.slot, now);
        self.recycling = Some(Recycling {
            old,
            reason,
            failures: 0,
            stage: Stage::Replacing { by },
        });
    }

    /// The replacement that is under way, when `worker` is it.
    pub(super) fn is_replacement(&self, worker: WorkerId) -> bool {
        self.recycling.as_ref().is_some_and(|r| {
            r.old.slot == worker.slot
                && r.stage
                    == Stage::Replacing {
                        by: worker.incarnation,
                    }
        })
    }

    /// The replacement is ready: the old one leaves.
    pub(super) fn complete_recycling(&mut self, worker: WorkerId, now: Tick) {
        if !self.is_replacement(worker) {
            return;
        }
        let Some(Recycling { old, reason, .. }) = self.recycling.take() else {
            return;
        };
        self.place_mut(worker.slot).seat = Seat::Held {
            by: worker.incarnation,
        };
        self.leave(old, DrainReason::Recycle(reason), now);
    }

    /// The replacement is gone and was never ready: the old one serves on for a while.
    pub(super) fn postpone_recycling(&mut self, now: Tick) {
        let Some(recycling) = &mut self.recycling else {
            return;
        };
        recycling.failures = recycling.failures.saturating_add(1);
        let (slot, failures) = (recycling.old.slot, recycling.failures);
        let delay = self.delay_after(failures);
        if let Some(recycling) = &mut self.recycling {
            let until = now.after(delay);
            recycling.stage = Stage::Waiting { until };
        }
        self.tell(Notice::RestartDelayed {
            slot,
            delay,
            failures,
        });
    }

    /// Starts the next replacement when the wait is over.
    pub(super) fn resume_recycling(&mut self, now: Tick) {
        let Some(Recycling {
            old,
            stage: Stage::Waiting { until },
            ..
        }) = self.recycling
        else {
            return;
        };
        if until > now {
            return;
        }
        let by = self.spawn(old.slot, now);
        if let Some(recycling) = &mut self.recycling {
            recycling.stage = Stage::Replacing { by };
        }
    }

    /// `worker` serves no longer, and not because its replacement was ready. A replacement that is
    /// under way inherits the slot; returns whether there is one.
    pub(super) fn pass_to_replacement(&mut self, worker: WorkerId) -> Inheritance {
        let Some(recycling) = self.recycling.take_if(|r| r.old == worker) else {
            return match self.pass_to_swap(worker) {
                Some(_) => Inheritance::Replacement,
                None => Inheritance::Nobody,
            };
        };
        match recycling.stage {
            Stage::Waiting { .. } => Inheritance::Nobody,
            Stage::Replacing { by } => {
                self.place_mut(worker.slot).seat = Seat::Held { by };
                Inheritance::Replacement
            }
        }
    }

    /// When the recycling wants to go on.
    pub(super) fn recycling_deadline(&self) -> Option<Tick> {
        match self.recycling.as_ref()?.stage {
            Stage::Replacing { .. } => None,
            Stage::Waiting { until } => Some(until),
        }
    }
}

/// Who holds a slot after its worker stopped serving.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Inheritance {
    Nobody,
    Replacement,
}
