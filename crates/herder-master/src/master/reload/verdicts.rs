//! What became of a reload: told, kept and said to the service manager.

use std::time::Duration;

use herder_core::supervisor::{Failure, FailureKind, Notice};
use herder_core::{Generation, WorkerId};
use herder_sys::failpoint;

use super::reasons;
use super::service::one_line;
use super::telling::{Matter, Telling};
use crate::event::WorkerInfo;
use crate::master::crew::MemberId;
use crate::master::{Master, now};
use crate::output::wall_clock;
use crate::part::{Part, Process};
use crate::verdict::{Operation, Ruling, Verdict};

impl Master {
    /// Hears what decides about a reload.
    pub(in crate::master) fn judge(&mut self, part: Part, notice: &Notice) {
        match (part, notice) {
            (Part::Workers, Notice::Ready { .. }) => self.tell_service_of_workers(),
            (
                Part::Workers,
                Notice::Reloaded {
                    generation,
                    from,
                    took,
                },
            ) => self.reloaded(*generation, *from, *took),
            (
                Part::Workers,
                Notice::RolledBack {
                    generation,
                    to,
                    failure,
                },
            ) => self.rolled_back(part, *generation, *to, failure),
            (Part::Library(_), notice) => self.judge_library(part, notice),
            (Part::Gateway, Notice::Reloaded { .. }) => self.gateways_renewed(),
            (Part::Gateway, Notice::RolledBack { failure, .. }) => {
                let why = self.reason(part, failure);
                self.gateways_stay(&why);
            }
            (Part::Gateway | Part::Workers, _) => {}
        }
    }

    /// The workers are on a new generation. `took`: how long that took them.
    pub(in crate::master) fn reloaded(
        &mut self,
        generation: Generation,
        from: Generation,
        took: Duration,
    ) {
        let course = self.reloads.finish();
        let took = took + course.map_or(Duration::ZERO, |course| course.time_for_libraries());
        let done = Verdict::done(Operation::Reload, generation, took, wall_clock());
        self.take_over_size(from, generation);
        self.renew_gateways(generation);
        self.give(done, Matter::Reload { from });
        self.sweep();
    }

    /// A generation has failed because of a member of this part.
    pub(in crate::master) fn rolled_back(
        &mut self,
        part: Part,
        generation: Generation,
        to: Generation,
        failure: &Failure,
    ) {
        self.hold_to(to);
        let began = self.reloads.course().map(|course| course.began);
        let verdict = Verdict {
            operation: Operation::Reload,
            outcome: Ruling::RolledBack,
            generation,
            reason: self.reason(part, failure),
            exit: reasons::exit(failure.kind),
            last_lines: failure.worker.map_or_else(Vec::new, |worker| {
                self.output.last_lines(part, worker.incarnation.0)
            }),
            at: wall_clock(),
            took: began.map_or(Duration::ZERO, |began| now().since(began)),
        };
        if failure.kind == FailureKind::Stopped {
            self.reloads.finish();
        } else if let Some(library) = self.reloads.turn_back() {
            self.replace_library(library);
        }
        self.give(verdict, Matter::Rollback { to });
    }

    /// There will be no such generation.
    pub(super) fn refuse_reload(&mut self, generation: Generation, reason: String) {
        let verdict = Verdict {
            outcome: Ruling::Refused,
            reason,
            ..Verdict::done(Operation::Reload, generation, Duration::ZERO, wall_clock())
        };
        // The service manager waits for an answer to its signal.
        self.tell_service("RELOADING=1\nSTATUS=reload refused");
        self.give(verdict, Matter::Refusal);
    }

    /// Gives a verdict: to those who watch, to those who asked for it, to the service manager.
    ///
    /// It is written down before anybody is told, and what the supervisor has announced with it: so it is given
    /// once, whichever master tells it.
    pub(in crate::master) fn give(&mut self, verdict: Verdict, of: Matter) {
        self.give_unasked(verdict.clone(), of);
        self.answer_with_verdict(&verdict);
    }

    /// The same, for what those who wait do not wait for.
    pub(in crate::master) fn give_unasked(&mut self, verdict: Verdict, of: Matter) {
        let told = self.marks.last_told();
        let telling = self.reloads.give(verdict, of, told);
        self.save();
        failpoint::hit("master.verdict");
        self.tell_verdict(&telling);
    }

    /// Tells the verdicts that the master before this one has given, and may have had no time to tell.
    pub(in crate::master) fn tell_verdicts_of_the_dead(&mut self) {
        for telling in self.reloads.untold(self.marks.last_told()) {
            self.tell_verdict(&telling);
        }
    }

    fn tell_verdict(&self, telling: &Telling) {
        let verdict = telling.verdict.clone();
        self.output.rule(telling.event(), verdict, telling.number);
        if let Some(status) = telling.status(self.generation()) {
            self.tell_service(&format!("READY=1\nSTATUS={}", one_line(&status)));
        }
    }

    fn reason(&self, part: Part, failure: &Failure) -> String {
        let id = |worker: WorkerId| MemberId { part, worker };
        let member = failure
            .worker
            .and_then(|worker| self.crews.member(id(worker)));
        let unborn = |worker: WorkerId| WorkerInfo {
            slot: worker.slot.0,
            id: worker.incarnation.0,
            pid: 0,
        };
        let info = member.map(|member| member.info());
        let info = info.or_else(|| failure.worker.map(unborn));
        let who = info.map(|info| Process { part, info });
        let problem = member.and_then(|member| member.problem.as_deref());
        reasons::reason(who, problem, failure.kind)
    }
}
