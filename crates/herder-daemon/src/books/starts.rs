//! Apps are started.

use herder_api::Problem;
use herder_api::problem::ProblemKind;

use super::Books;
use super::entry::{Kind, Phase, Task, is_serving};
use super::list::Rest;
use super::todos::of_workers;
use super::waits::Dependencies;
use super::word::{AppId, CourseId, Do, Now, Todo};

impl Books {
    pub(super) fn set_task(&mut self, id: AppId, kind: Kind, courses: Vec<CourseId>, now: Now) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.task = Some(Task {
                kind,
                courses,
                since: now.mono,
            });
        }
    }

    /// Somebody starts it: what was before does not count.
    pub(super) fn start_afresh(&mut self, id: AppId, courses: Vec<CourseId>, now: Now) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.proven = false;
            entry.retries = 0;
            entry.carried = (0, 0);
            self.wait(id, courses, now);
        }
    }

    /// It is started as soon as those are ready that it depends on.
    pub(super) fn wait(&mut self, id: AppId, courses: Vec<CourseId>, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.rest = Rest::None;
        entry.note = None;
        entry.verdict = None;
        entry.since = Some(now.wall);
        entry.phase = Phase::Waits;
        self.set_task(id, Kind::Start, courses, now);
        self.save();
    }

    /// Whoever waits, and need not wait any more, goes on.
    pub(super) fn advance(&mut self, now: Now) {
        // Each turn lets at least one app go on, so that it ends.
        while self.advance_starts(now) || self.advance_stops(now) {}
    }

    fn advance_starts(&mut self, now: Now) -> bool {
        let waiting = self.entries.values().filter(|it| it.phase == Phase::Waits);
        let waiting: Vec<AppId> = waiting.map(|entry| entry.id).collect();
        let mut has_moved = false;
        for id in waiting {
            match self.dependencies(id) {
                Dependencies::Ready => {
                    self.launch(id, now);
                    has_moved = true;
                }
                Dependencies::Wait => {}
                Dependencies::Rests(other) => {
                    let entry = self.entries.get(&id);
                    let task = entry.and_then(|entry| entry.task.as_ref());
                    let courses = task.map(|task| task.courses.clone()).unwrap_or_default();
                    has_moved |= self.pull_in(id, other, &courses, now);
                }
                Dependencies::Missing(name) => {
                    let text = format!("it depends on {name}, which is not in the list");
                    let problem = Problem::new(ProblemKind::Conflict, text);
                    self.fail_start(id, problem, now);
                    has_moved = true;
                }
            }
        }
        has_moved
    }

    /// An app that others wait for does not run: it is started with them, once.
    fn pull_in(&mut self, id: AppId, other: AppId, courses: &[CourseId], now: Now) -> bool {
        // Nobody asked: it waits until somebody starts the other one.
        let Some(course) = courses.first().copied() else {
            return false;
        };
        let name = |books: &Books, id| books.entry(id).map(|it| it.name().to_owned());
        let (Some(app), Some(needed)) = (name(self, id), name(self, other)) else {
            return false;
        };
        if self.has_tried(course, other) {
            let text = format!("{needed}, on which it depends, does not run");
            let hint = format!("herder describe {needed} says why");
            let problem = Problem::new(ProblemKind::Conflict, text).hint(hint);
            self.fail_start(id, problem, now);
            return true;
        }
        self.tell_note(&[course], &app, &format!("{needed} is started first"));
        self.widen(course, other);
        self.tell_begun(course, other, Todo::Start.verb());
        self.perform(course, other, Todo::Start, now);
        true
    }

    /// It ended, and is to run. One that was ready once waits for nobody.
    pub(super) fn retry(&mut self, id: AppId, now: Now) {
        if self.entries.get(&id).is_some_and(|entry| entry.proven) {
            self.launch(id, now);
        } else {
            self.wait(id, Vec::new(), now);
        }
    }

    /// A new life of its herd begins.
    pub(super) fn launch(&mut self, id: AppId, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.life += 1;
        entry.phase = Phase::Starting { since: now.mono };
        entry.connected = false;
        entry.herd = None;
        entry.finished = None;
        entry.verdict = None;
        entry.told.clear();
        entry.deaths.clear();
        let life = entry.life;
        let order = Box::new(self.order(id));
        self.actions.push_back(Do::Launch { id, life, order });
    }

    /// It did not start, and is not tried again.
    pub(super) fn fail_start(&mut self, id: AppId, problem: Problem, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.phase = Phase::Rests;
        entry.rest = Rest::Errored;
        entry.note = Some(problem.message.clone());
        entry.since = Some(now.wall);
        let task = entry.task.take();
        let name = entry.name().to_owned();
        self.note(&name, "app_errored", "warning", problem.message.clone());
        self.save();
        if let Some(task) = task {
            self.settle_all(&task.courses, &name, &Err(problem), now);
        }
    }

    /// Its herd has said how it stands: perhaps that is all that was waited for.
    pub(super) fn check_online(&mut self, id: AppId, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let slots = entry.herd.iter().flat_map(|herd| &herd.slots);
        let serves = |it: &herder_api::status::WorkerStatus| is_serving(&it.phase);
        let (mut serving, mut settled) = (0_u16, true);
        for slot in slots {
            if slot.workers.iter().any(serves) {
                serving = serving.saturating_add(1);
            } else {
                settled &= matches!(slot.rests.as_str(), "quarantined" | "done");
            }
        }
        if serving == 0 || !settled {
            return;
        }
        let missing = entry.workers(self.cpus).saturating_sub(serving);
        entry.phase = Phase::Online;
        entry.online_at = now.mono;
        entry.since = entry.since.or(Some(now.wall));
        entry.note = None;
        let (task, was_proven) = (entry.task.take(), entry.proven);
        entry.proven = true;
        let name = entry.name().to_owned();
        if !was_proven {
            self.jot();
        }
        let is_news = task.is_some() || !was_proven;
        let text = match &task {
            Some(task) => {
                let took = now.mono.saturating_sub(task.since);
                format!("{} ready in {took} ms", of_workers(serving))
            }
            None => format!("{} ready", of_workers(serving)),
        };
        if is_news {
            self.note(&name, "app_started", "info", format!("{name}: {text}"));
        }
        if let Some(task) = task {
            if missing > 0 {
                let text = format!("{} did not become ready", of_workers(missing));
                self.tell_note(&task.courses, &name, &text);
            }
            self.settle_all(&task.courses, &name, &Ok(text), now);
        }
        self.advance(now);
    }
}
