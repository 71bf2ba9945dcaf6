//! Whether anybody follows a worker that has ended, and what becomes of an app when nobody does.

use super::message::{Cause, DrainReason, Notice, Outcome};
use super::phase::Phase;
use super::rollback::End;
use super::seat::{Completion, Counters, Seat};
use super::state::{ReadinessSeen, Run, Supervisor, id};
use crate::mutation::{self, Mutation};
use crate::spec::{BootFailure, RestartPolicy, RestartWhen};
use crate::{Exit, Slot, Tick, WorkerId};

/// What follows the end of the worker that held a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sequel {
    /// Another one, when the policy lets it start.
    Another,
    /// Nobody.
    Done(Completion),
}

impl Sequel {
    /// What the policy says of a worker that ended so in this phase.
    pub(super) fn of(policy: &RestartPolicy, phase: &Phase, end: End) -> Sequel {
        if mutation::is(Mutation::CompletionOff) {
            return Sequel::Another;
        }
        let own_code = match end {
            // It never lived, and cannot have done what it was for.
            End::Unborn => return Sequel::Another,
            End::NotStarted { .. } => None,
            End::Exited(exit) => own_code(policy, phase.cause(), exit),
        };
        if own_code.is_some_and(|code| policy.final_codes.contains(&code)) {
            return Sequel::Done(Completion::AsMeant);
        }
        if own_code.is_some_and(|code| policy.fatal_codes.contains(&code)) {
            return Sequel::Done(Completion::Failed);
        }
        match (policy.when, own_code) {
            (RestartWhen::Never | RestartWhen::OnFailure, Some(0)) => {
                Sequel::Done(Completion::AsMeant)
            }
            (RestartWhen::Never, _) => Sequel::Done(Completion::Failed),
            (RestartWhen::Always | RestartWhen::OnFailure, _) => Sequel::Another,
        }
    }
}

/// The status with which a worker ended that was neither killed nor told to leave.
///
/// Who announced its end and is not to be followed has ended by its own will, too. With any other
/// policy the announcement is the wish for a successor, and its status says nothing.
fn own_code(policy: &RestartPolicy, cause: Cause, exit: Exit) -> Option<i32> {
    match cause {
        Cause::Crash => exit.code(),
        Cause::Planned(DrainReason::Retired) if policy.when == RestartWhen::Never => exit.code(),
        Cause::BootTimeout
        | Cause::Hang
        | Cause::Planned(_)
        | Cause::Protocol
        | Cause::Watchdog => None,
    }
}

/// Whether this is the end of a worker that failed, as the counters have it.
pub(super) fn is_failure(policy: &RestartPolicy, cause: Cause, exit: Exit) -> bool {
    match cause {
        Cause::Planned(_) => false,
        Cause::BootTimeout | Cause::Hang | Cause::Protocol | Cause::Watchdog => true,
        Cause::Crash => exit
            .code()
            .is_none_or(|code| code != 0 && !policy.final_codes.contains(&code)),
    }
}

impl Supervisor {
    /// What has happened in a slot since the app was started, or since [`Event::Reset`](super::Event::Reset).
    /// All is 0 where no slot is.
    #[must_use]
    pub fn counters(&self, slot: Slot) -> Counters {
        self.places
            .get(usize::from(slot.0))
            .map_or(Counters::default(), |place| place.tally.counters())
    }

    /// Nobody follows in this slot.
    pub(super) fn complete_slot(&mut self, slot: Slot, end: End, completion: Completion) {
        let exit = end.exit();
        self.place_mut(slot).seat = Seat::Done { exit, completion };
        self.tell(Notice::Done {
            slot,
            exit,
            completion,
        });
    }

    /// Whether a worker on trial that ended so has not failed. In an app of jobs it has done what it was
    /// for; where the one before it lives still, and serves, it has left what that one stays for.
    pub(super) fn may_complete_trial(&self, slot: Slot, sequel: Sequel) -> bool {
        let is_job = self.spec.restart.when == RestartWhen::Never;
        let old = self.swap(slot).and_then(|swap| swap.old);
        let stays = old.and_then(|old| self.phase(id(slot, old)));
        let stays = stays.is_some_and(|it| it.is_serving() || matches!(it, Phase::Standby { .. }));
        sequel == Sequel::Done(Completion::AsMeant) && (is_job || !stays)
    }

    /// A worker of a generation on trial has done what it was for: its slot is changed.
    pub(super) fn complete_trial(&mut self, worker: WorkerId, end: End) {
        let by = Some(worker.incarnation);
        let swap = self.swap_mut(worker.slot).filter(|swap| swap.by == by);
        let old = swap.and_then(|swap| {
            swap.by = None;
            swap.old
        });
        self.complete_slot(worker.slot, end, Completion::AsMeant);
        if let Some(old) = old {
            self.rest(id(worker.slot, old));
        }
    }

    /// Ends the app when every slot is done.
    pub(super) fn complete_app(&mut self, now: Tick) {
        let settled = self.run == Run::Running && !self.is_reloading() && !self.is_reload_waiting();
        let Some(failed) = self.failed_of_done().filter(|_| settled) else {
            return;
        };
        let never_worked = failed > 0
            && self.readiness_seen == ReadinessSeen::Never
            && self.spec.restart.when != RestartWhen::Never
            && self.spec.life.boot_failure == BootFailure::Exit;
        let outcome = if never_worked {
            Outcome::BootFailed
        } else {
            Outcome::Completed { failed }
        };
        self.depart(outcome, now);
    }

    /// Whether every slot that the app shall have is done.
    pub(super) fn is_all_done(&self) -> bool {
        self.failed_of_done().is_some()
    }

    /// How many slots failed, when all are done.
    fn failed_of_done(&self) -> Option<u16> {
        let mut failed = 0;
        for slot in self.wanted_slots() {
            match self.place(slot).seat {
                Seat::Done {
                    completion: Completion::Failed,
                    ..
                } => failed += 1,
                Seat::Done {
                    completion: Completion::AsMeant,
                    ..
                } => {}
                Seat::Backoff { .. }
                | Seat::Held { .. }
                | Seat::Owed { .. }
                | Seat::Quarantined { .. }
                | Seat::Stopped { .. } => return None,
            }
        }
        (self.run == Run::Running).then_some(failed)
    }
}
