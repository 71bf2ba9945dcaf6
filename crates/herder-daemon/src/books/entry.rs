//! One app of the list, and what its herd does.

use std::collections::BTreeMap;

use herder_api::app::Workers;
use herder_api::herd::HerdRequest;
use herder_api::status::{AppPhase, AppStatus, HerdStatus};
use herder_api::{App, Problem};

use super::list::{Listed, Rest, Trial};
use super::word::{AppId, CourseId, Definition, Now};

/// One app of the list.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: AppId,
    pub(crate) definition: Definition,
    /// Whether it was another one in the list that was written last.
    pub(crate) is_redefined: bool,
    /// What its herd does.
    pub(crate) phase: Phase,
    /// Why it has none, in [`Phase::Rests`].
    pub(crate) rest: Rest,
    /// Whether it was ready once since somebody started it.
    pub(crate) proven: bool,
    /// Counts the lives of its herds, so that late news of one change nothing.
    pub(crate) life: u64,
    /// Whether the herd's socket is connected.
    pub(crate) connected: bool,
    /// What the herd said last.
    pub(crate) herd: Option<HerdStatus>,
    /// When it said so, on the clock that never leaps.
    pub(crate) herd_at: u64,
    /// What is done with it.
    pub(crate) task: Option<Task>,
    /// What it is to be when the reload is done that goes on: a daemon that dies meanwhile leaves it so.
    pub(crate) trial: Option<Box<Trial>>,
    /// What its herd was asked for.
    pub(crate) requests: BTreeMap<u64, Pending>,
    /// Why it is as it is.
    pub(crate) note: Option<String>,
    /// Why it shall not go on, if that is known before its end.
    pub(crate) verdict: Option<Problem>,
    /// What its herd said of its own end.
    pub(crate) finished: Option<(String, Vec<String>)>,
    /// How often its herd was started again since it last was well for a while.
    pub(crate) retries: u32,
    /// When it came online, on the clock that never leaps.
    pub(crate) online_at: u64,
    /// Restarts and failures of herds that are gone.
    pub(crate) carried: (u64, u64),
    /// Since when it runs, or rests, in milliseconds since 1970.
    pub(crate) since: Option<u64>,
    /// What was told last of each slot.
    pub(crate) told: BTreeMap<u16, (String, Option<i32>)>,
    /// How the last worker of each slot died, as far as it was heard.
    pub(crate) deaths: BTreeMap<u16, String>,
    /// Whether its health checks pass. Kept by whoever makes them.
    pub(crate) healthy: Option<bool>,
    /// Whether its files are watched. Kept by whoever does it.
    pub(crate) watching: bool,
}

/// What somebody sees who looks after an app from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    /// Whether its files are watched.
    Watching(bool),
    /// Whether its health checks pass, if it has some.
    Healthy(Option<bool>),
}

/// What an app's herd does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// There is none.
    Rests,
    /// It is to be started when those are ready that it depends on.
    Waits,
    /// It is looked for.
    Adopting,
    /// It starts.
    Starting { since: u64 },
    /// It serves.
    Online,
    /// It ends; if it has not by then, it is told so with more force.
    Stopping { force_at: u64, rung: u8 },
    /// It failed, and is started again then.
    Retries { at: u64 },
}

/// What is done with an app.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Task {
    pub(crate) kind: Kind,
    /// Who asked. Nobody = the daemon by itself.
    pub(crate) courses: Vec<CourseId>,
    /// When it was begun.
    pub(crate) since: u64,
}

/// What is done with an app.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// It is started.
    Start,
    /// It is to be stopped when those have stopped that depend on it; then `after`.
    Holds(Wish),
    /// It is stopped; then `after`.
    Stop { after: After },
}

/// How an app is to be stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    pub(crate) pace: Pace,
    pub(crate) after: After,
}

/// How fast.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    /// Its workers finish what they have.
    InOrder,
    /// They are killed.
    AtOnce,
}

/// What comes after a stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum After {
    /// It rests.
    Rest(Rest),
    /// It is started.
    Start,
    /// It leaves the list.
    Delete,
}

/// What a herd was asked for.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Pending {
    pub(crate) course: CourseId,
    pub(crate) what: HerdRequest,
    /// What it is to be when the answer is good.
    pub(crate) next: Option<Box<Definition>>,
    /// Whether it is on its way; else it waits for the connection.
    pub(crate) sent: bool,
    /// Whether the master that was asked is dead: what its heir does says what became of it.
    pub(crate) inherited: bool,
    pub(crate) since: u64,
    /// When the herd's last verdict before it was given.
    pub(crate) verdict_before: Option<String>,
}

impl Pending {
    /// Whether only one of these can be under way.
    pub(crate) fn is_alone(&self) -> bool {
        is_alone(&self.what)
    }
}

/// Whether only one of these can be under way.
pub(crate) fn is_alone(what: &HerdRequest) -> bool {
    matches!(
        what,
        HerdRequest::Reload | HerdRequest::Upgrade | HerdRequest::Scale { .. }
    )
}

impl Entry {
    pub(crate) fn new(id: AppId, definition: Definition, now: Now) -> Entry {
        Entry {
            id,
            definition,
            is_redefined: false,
            phase: Phase::Rests,
            rest: Rest::Stopped,
            proven: false,
            life: 0,
            connected: false,
            herd: None,
            herd_at: 0,
            task: None,
            trial: None,
            requests: BTreeMap::new(),
            note: None,
            verdict: None,
            finished: None,
            retries: 0,
            online_at: 0,
            carried: (0, 0),
            since: Some(now.wall),
            told: BTreeMap::new(),
            deaths: BTreeMap::new(),
            healthy: None,
            watching: false,
        }
    }

    pub(crate) fn of(listed: Listed, now: Now) -> Entry {
        let mut entry = Entry::new(listed.id, listed.definition, now);
        entry.rest = listed.rest;
        entry.proven = listed.proven;
        entry.since = listed.since;
        entry.note = listed.note;
        entry.trial = listed.trial;
        entry
    }

    pub(crate) fn listed(&self) -> Listed {
        Listed {
            id: self.id,
            definition: self.definition.clone(),
            rest: self.rest,
            proven: self.proven,
            since: self.since,
            note: self.note.clone().filter(|_| self.rest != Rest::None),
            trial: self.trial.clone(),
        }
    }

    /// Whether its herd does something beside which it can do nothing else of the kind.
    pub(crate) fn is_occupied(&self) -> bool {
        self.trial.is_some() || self.requests.values().any(Pending::is_alone)
    }

    /// From now on it is something else.
    pub(crate) fn redefine(&mut self, next: Definition) {
        self.definition = next;
        self.is_redefined = true;
    }

    pub(crate) fn name(&self) -> &str {
        &self.definition.app.name
    }

    /// Whether processes of it may live.
    pub(crate) fn has_herd(&self) -> bool {
        match self.phase {
            Phase::Rests | Phase::Waits | Phase::Retries { .. } => false,
            Phase::Adopting | Phase::Starting { .. } | Phase::Online | Phase::Stopping { .. } => {
                true
            }
        }
    }

    /// Whether others that depend on it may start.
    pub(crate) fn is_ready(&self) -> bool {
        let settled = match &self.task {
            None => true,
            Some(task) => task.kind == Kind::Start,
        };
        let done = self.phase == Phase::Rests && self.rest == Rest::Done;
        settled && (self.phase == Phase::Online || done)
    }

    /// Whether something goes on with it that a reload would have to wait for.
    pub(crate) fn is_busy(&self) -> bool {
        let is_changing = self.requests.values().any(Pending::is_alone);
        let says_so = self.herd.as_ref().is_some_and(|herd| herd.busy);
        self.task.is_some() || is_changing || says_so
    }

    /// Whether it is to be stopped, and was not yet.
    pub(crate) fn is_leaving(&self) -> bool {
        let asked = match &self.task {
            None => false,
            Some(task) => task.kind != Kind::Start,
        };
        asked && self.has_herd()
    }

    /// What it shows to people.
    pub(crate) fn app_phase(&self, cpus: u16) -> AppPhase {
        let reloads = self.requests.values().any(|request| {
            request.what == HerdRequest::Reload || request.what == HerdRequest::Upgrade
        });
        match self.phase {
            Phase::Rests => match self.rest {
                Rest::None | Rest::Stopped | Rest::Ended => AppPhase::Stopped,
                Rest::Done => AppPhase::Done,
                Rest::Errored => AppPhase::Errored,
            },
            Phase::Waits => AppPhase::Waiting,
            Phase::Adopting | Phase::Starting { .. } => AppPhase::Starting,
            Phase::Stopping { .. } => AppPhase::Stopping,
            Phase::Retries { .. } => AppPhase::Errored,
            Phase::Online if reloads || self.herd.as_ref().is_some_and(|herd| herd.busy) => {
                AppPhase::Reloading
            }
            Phase::Online if self.ready() < self.workers(cpus) => AppPhase::Degraded,
            Phase::Online => AppPhase::Online,
        }
    }

    /// How many workers it shall have.
    pub(crate) fn workers(&self, cpus: u16) -> u16 {
        let told = self.herd.as_ref().map(|herd| herd.wanted);
        told.filter(|wanted| *wanted > 0)
            .unwrap_or_else(|| workers(&self.definition.app, cpus))
    }

    /// How many slots have a worker that serves.
    pub(crate) fn ready(&self) -> u16 {
        let slots = self.herd.iter().flat_map(|herd| &herd.slots);
        let ready = slots.filter(|slot| slot.workers.iter().any(|it| is_serving(&it.phase)));
        u16::try_from(ready.count()).unwrap_or(u16::MAX)
    }

    /// What the herd said last, as it stands now: a herd that has nothing new to say says nothing.
    pub(super) fn herd_now(&self, now: Now) -> Option<HerdStatus> {
        let mut herd = self.herd.clone()?;
        let since = now.mono.saturating_sub(self.herd_at);
        let workers = herd.slots.iter_mut().flat_map(|slot| &mut slot.workers);
        for worker in workers.chain(&mut herd.others) {
            worker.age_ms = worker.age_ms.saturating_add(since);
        }
        for wait in herd
            .slots
            .iter_mut()
            .filter_map(|it| it.retry_in_ms.as_mut())
        {
            *wait = wait.saturating_sub(since);
        }
        Some(herd)
    }

    /// For `herder list`. What it uses is added by who can look.
    pub(crate) fn status(&self, cpus: u16, now: Now) -> AppStatus {
        let slots = || self.herd.iter().flat_map(|herd| &herd.slots);
        AppStatus {
            id: self.id,
            name: self.name().to_owned(),
            namespace: self.definition.app.namespace.clone(),
            phase: self.app_phase(cpus),
            note: self.note_now(now),
            workers: self.workers(cpus),
            ready: self.ready(),
            herd: self.herd_now(now).filter(|_| self.has_herd()),
            restarts: self.carried.0 + slots().map(|slot| slot.restarts).sum::<u64>(),
            failures: self.carried.1 + slots().map(|slot| slot.failures).sum::<u64>(),
            since_ms: self.since,
            usage: None,
            watching: self.watching,
            healthy: self.healthy,
        }
    }
}

/// How many workers a definition means.
pub(crate) fn workers(app: &App, cpus: u16) -> u16 {
    match app.workers {
        Workers::Count(count) => count,
        Workers::Max(_) => cpus,
    }
}

/// Whether a worker in this phase takes what comes.
pub(crate) fn is_serving(phase: &str) -> bool {
    matches!(phase, "ready" | "suspect")
}

#[cfg(test)]
mod tests {
    use herder_api::status::{SlotStatus, WorkerStatus};

    use super::*;

    #[test]
    fn what_a_herd_said_a_while_ago_is_told_as_it_stands_now() {
        let at = |mono| Now { mono, wall: mono };
        let definition = Definition {
            app: App::default(),
            inherited: BTreeMap::new(),
            profile: None,
            source: None,
        };
        let mut entry = Entry::new(1, definition, at(0));
        let worker = WorkerStatus {
            age_ms: 500,
            ..WorkerStatus::default()
        };
        let slot = SlotStatus {
            retry_in_ms: Some(800),
            workers: vec![worker],
            ..SlotStatus::default()
        };
        entry.herd = Some(HerdStatus {
            slots: vec![slot],
            ..HerdStatus::default()
        });
        entry.herd_at = 1000;
        let told = |now| entry.herd_now(at(now)).expect("it said something");
        assert_eq!(told(1300).slots[0].workers[0].age_ms, 800);
        assert_eq!(told(1300).slots[0].retry_in_ms, Some(500));
        assert_eq!(told(9000).slots[0].retry_in_ms, Some(0));
    }
}
