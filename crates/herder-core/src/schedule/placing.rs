//! Who runs it, and what becomes of it.

use std::time::Duration;

use super::message::{Action, Entry, Fate, Outcome, Verdict};
use super::plan::{JobName, Target};
use super::run::{Run, RunId, Server, ServerId, ServerKind, Stage};
use super::scheduler::Scheduler;
use super::wall::{Calendar, Now};

/// How long a run waits for somebody who offers to run it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a run that failed rests before the second attempt; doubled with each.
const REST: Duration = Duration::from_secs(1);

/// It never rests longer.
const LONGEST_REST: Duration = Duration::from_secs(60);

impl<C: Calendar> Scheduler<C> {
    pub(super) fn server_up(
        &mut self,
        id: ServerId,
        kind: ServerKind,
        jobs: Vec<JobName>,
        now: Now,
    ) {
        let running = self.servers.get(&id).map_or(0, |server| server.running);
        let server = Server {
            kind,
            jobs: jobs.into_iter().collect(),
            running,
        };
        self.servers.insert(id, server);
        let unplaced: Vec<RunId> = self
            .runs
            .iter()
            .filter(|(_, run)| matches!(run.stage, Stage::Unplaced { .. }))
            .map(|(id, _)| *id)
            .collect();
        for run in unplaced {
            self.place(run, now);
        }
    }

    pub(super) fn server_down(&mut self, id: ServerId, now: Now) {
        self.servers.remove(&id);
        let lost: Vec<RunId> = self
            .runs
            .iter()
            .filter(|(_, run)| matches!(run.stage, Stage::Running { server, .. } if server == id))
            .map(|(id, _)| *id)
            .collect();
        for run in lost {
            self.end(run, Outcome::Lost, now);
        }
    }

    pub(super) fn finished(&mut self, id: RunId, verdict: Verdict, now: Now) {
        let is_running = |run: &Run| matches!(run.stage, Stage::Running { .. });
        // What was cancelled, or lost, is over whatever is said of it.
        if self.runs.get(&id).is_some_and(is_running) {
            let outcome = match verdict {
                Verdict::Failed(reason) => Outcome::Failed(reason),
                Verdict::Succeeded => Outcome::Succeeded,
            };
            self.end(id, outcome, now);
        }
    }

    /// Gives the run to who is to run it; asks for the right to it first, where that is needed.
    pub(super) fn place(&mut self, id: RunId, now: Now) {
        let Some(run) = self.runs.get(&id) else {
            return;
        };
        let Some(target) = self.jobs.get(&run.name).map(|job| job.plan.target) else {
            return self.drop_run(id);
        };
        let claimed = run.claim.is_some_and(|claim| !claim.used);
        let candidates = self.candidates(target, &run.name);
        match candidates.split_first() {
            None => self.wait_for_server(id, now),
            Some(_) if target == Target::Cluster && !claimed => self.ask_claim(id, now),
            Some((first, others)) => {
                let others = if target == Target::All { others } else { &[] };
                for server in others {
                    self.start_copy(id, *server, now);
                }
                self.start(id, *first, now);
            }
        }
    }

    /// Something is due about the run, for nothing was heard.
    pub(super) fn run_due(&mut self, id: RunId, now: Now) {
        if self.claim_due(id, now) {
            return;
        }
        let Some(run) = self.runs.get(&id) else {
            return;
        };
        match run.stage {
            Stage::Asking { .. } => {}
            Stage::Resting { until } if until <= now.tick => self.place(id, now),
            Stage::Watching { until } if until <= now.tick => self.place(id, now),
            Stage::Unplaced { until } if until <= now.tick => {
                let (name, tick) = (run.name.clone(), run.tick);
                self.drop_run(id);
                self.record_omission(&name, tick, Outcome::NobodyThere, now.wall);
                self.next_in_queue(&name, now);
            }
            Stage::Running {
                server, deadline, ..
            } if deadline <= now.tick => {
                self.ask(Action::Cancel { run: id, server });
                self.end(id, Outcome::TimedOut, now);
            }
            Stage::Resting { .. }
            | Stage::Running { .. }
            | Stage::Unplaced { .. }
            | Stage::Watching { .. } => {}
        }
    }

    /// Forgets a run that no server has; somebody else may have its tick.
    pub(super) fn drop_run(&mut self, id: RunId) {
        if let Some(run) = self.runs.remove(&id)
            && let Some(claim) = run.claim
        {
            self.ask(Action::Release {
                name: run.name,
                tick: run.tick,
                token: claim.token,
            });
        }
    }

    /// An attempt has ended.
    pub(super) fn end(&mut self, id: RunId, outcome: Outcome, now: Now) {
        let Some(run) = self.runs.remove(&id) else {
            return;
        };
        let retries = self.jobs.get(&run.name).map_or(0, |job| job.plan.retries);
        let may_again = run.attempt <= retries && run.attempt < u8::MAX;
        let again = outcome != Outcome::Succeeded && may_again;
        self.record(
            &run,
            outcome,
            if again { Fate::Retried } else { Fate::Over },
            now,
        );
        if again {
            self.try_again(run, now);
        } else {
            if let Some(claim) = run.claim {
                self.ask(Action::Settle {
                    name: run.name.clone(),
                    tick: run.tick,
                    token: claim.token,
                });
            }
            self.next_in_queue(&run.name, now);
        }
    }

    /// The right to the run was lost: somebody else may be running it, and has its end to tell.
    pub(super) fn give_up(&mut self, id: RunId, now: Now) {
        let Some(run) = self.runs.remove(&id) else {
            return;
        };
        if let Stage::Running { server, .. } = run.stage {
            self.ask(Action::Cancel { run: id, server });
        }
        self.record(&run, Outcome::Lost, Fate::Over, now);
        self.next_in_queue(&run.name, now);
    }

    fn try_again(&mut self, run: Run, now: Now) {
        let doublings = u32::from(run.attempt - 1).min(16);
        let rest = (REST * 2_u32.pow(doublings)).min(LONGEST_REST);
        let id = self.new_run();
        let run = Run {
            attempt: run.attempt + 1,
            stage: Stage::Resting {
                until: now.tick.after(rest),
            },
            ..run
        };
        self.runs.insert(id, run);
    }

    /// Writes down an attempt, and takes it off its server.
    fn record(&mut self, run: &Run, outcome: Outcome, fate: Fate, now: Now) {
        let (server, started) = match run.stage {
            Stage::Running { server, since, .. } => (Some(server), Some(since)),
            Stage::Asking { .. }
            | Stage::Resting { .. }
            | Stage::Unplaced { .. }
            | Stage::Watching { .. } => (None, None),
        };
        if let Some(server) = server.and_then(|id| self.servers.get_mut(&id)) {
            server.running -= 1;
        }
        self.ask(Action::Record(Entry {
            name: run.name.clone(),
            tick: run.tick,
            attempt: run.attempt,
            server,
            started,
            at: now.wall,
            outcome,
            fate,
        }));
    }

    /// Those who may run it, who has the least to do first.
    fn candidates(&self, target: Target, name: &JobName) -> Vec<ServerId> {
        let kind = match target {
            Target::All | Target::Cluster | Target::Worker => ServerKind::Worker,
            Target::Library => ServerKind::Library,
        };
        let offers = |server: &Server| server.kind == kind && server.jobs.contains(name);
        let mut candidates: Vec<_> = self
            .servers
            .iter()
            .filter(|(_, server)| offers(server))
            .map(|(id, server)| (server.running, *id))
            .collect();
        candidates.sort_unstable();
        candidates.into_iter().map(|(_, id)| id).collect()
    }

    /// Nobody offers to run it here: somebody may on another machine.
    fn wait_for_server(&mut self, id: RunId, now: Now) {
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        let until = match run.stage {
            Stage::Unplaced { until } => until,
            Stage::Asking { .. }
            | Stage::Resting { .. }
            | Stage::Running { .. }
            | Stage::Watching { .. } => now.tick.after(PATIENCE),
        };
        run.stage = Stage::Unplaced { until };
        if let Some(claim) = run.claim.take() {
            let (name, tick) = (run.name.clone(), run.tick);
            self.ask(Action::Release {
                name,
                tick,
                token: claim.token,
            });
        }
    }

    fn start_copy(&mut self, id: RunId, server: ServerId, now: Now) {
        if let Some(run) = self.runs.get(&id).cloned() {
            let copy = self.new_run();
            self.runs.insert(copy, run);
            self.start(copy, server, now);
        }
    }

    fn start(&mut self, id: RunId, server: ServerId, now: Now) {
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        let Some(job) = self.jobs.get(&run.name) else {
            return;
        };
        run.stage = Stage::Running {
            server,
            since: now.wall,
            deadline: now.tick.after(job.plan.timeout),
        };
        if let Some(claim) = &mut run.claim {
            claim.used = true;
        }
        let action = Action::Start {
            run: id,
            name: run.name.clone(),
            tick: run.tick,
            server,
            attempt: run.attempt,
            token: run.claim.map(|claim| claim.token),
        };
        if let Some(server) = self.servers.get_mut(&server) {
            server.running += 1;
        }
        self.ask(action);
    }
}
