//! What the desk is asked.

use std::collections::BTreeMap;
use std::time::Instant;

use herder_api::Problem;
use herder_api::control::{Action, Apply, Progress, Start, StopDaemon, Verb};
use herder_api::problem::ProblemKind;
use herder_api::status::{AppDetail, AppStatus, DaemonStatus};
use tokio::sync::mpsc;

use super::Shell;
use super::effects::MEMORY;
use crate::books::{AppId, Choice, CourseId, Rest, Todo};
use crate::desk::{AppFiles, Ask, Course};

/// How much of a stream can wait to be read, for each app and besides.
const STREAM: (usize, usize) = (32, 64);

impl Shell {
    pub(super) fn answer(&mut self, ask: Ask) {
        // Whoever has gone meanwhile does not want to know.
        match ask {
            Ask::Daemon(reply) => drop(reply.send(Ok(self.daemon()))),
            Ask::List(targets, reply) => drop(reply.send(self.list_apps(&targets))),
            Ask::Detail(name, reply) => drop(reply.send(self.detail(&name))),
            Ask::Environment(name, reply) => drop(reply.send(self.environment(&name))),
            Ask::Start(start, reply) => {
                let course = self.while_open(|shell| shell.start(*start));
                drop(reply.send(course));
            }
            Ask::Act(action, reply) => {
                let course = self.while_open(|shell| shell.act_on(&action));
                drop(reply.send(course));
            }
            Ask::Plan(apply, reply) => {
                let checked = self.check_apply(&apply);
                drop(reply.send(checked.map(|()| self.books.draft(&apply).plan)));
            }
            Ask::Apply(apply, reply) => {
                let course = self.while_open(|shell| shell.apply(&apply));
                drop(reply.send(course));
            }
            Ask::Save(reply) => drop(reply.send(self.save_list())),
            Ask::Resurrect(reply) => {
                let course = self.while_open(Shell::resurrect);
                drop(reply.send(course));
            }
            Ask::Stop(stop, reply) => {
                let course = self.while_open(|shell| Ok(shell.stop(stop)));
                drop(reply.send(course));
            }
            Ask::Files(targets, reply) => drop(reply.send(self.files(&targets))),
        }
    }

    fn while_open<T>(
        &mut self,
        what: impl FnOnce(&mut Shell) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        if self.books.is_closing() {
            return Err(Problem::new(ProblemKind::Busy, "the daemon is ending"));
        }
        what(self)
    }

    fn daemon(&self) -> DaemonStatus {
        DaemonStatus {
            pid: herder_sys::process::current_pid(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            home: self.home.path().to_owned(),
            since_ms: self.began.1,
            apps: self.books.entries().count(),
        }
    }

    fn list_apps(&mut self, targets: &[String]) -> Result<Vec<AppStatus>, Problem> {
        let ids = self.books.choose(targets, Choice::AllByDefault)?;
        Ok(self.statuses(&ids))
    }

    fn statuses(&mut self, ids: &[AppId]) -> Vec<AppStatus> {
        let now = self.now();
        let statuses = ids.iter().filter_map(|id| self.books.status(*id, now));
        let mut statuses: Vec<AppStatus> = statuses.collect();
        for status in &mut statuses {
            self.meter.measure(status);
        }
        if let Some(long_ago) = Instant::now().checked_sub(MEMORY) {
            self.meter.forget_before(long_ago);
        }
        statuses
    }

    fn detail(&mut self, name: &str) -> Result<AppDetail, Problem> {
        let id = self.books.choose_one(name)?;
        let status = self.statuses(&[id]).pop();
        let files = self.files_of(id);
        let entry = self.books.entry(id);
        let (Some(status), Some(files), Some(entry)) = (status, files, entry) else {
            let text = format!("{name} has left the list");
            return Err(Problem::new(ProblemKind::NotFound, text));
        };
        let mut logs: Vec<_> = [files.out, files.error].into_iter().flatten().collect();
        logs.dedup();
        logs.push(files.events);
        Ok(AppDetail {
            status,
            app: herder_config::redact(&entry.definition.app),
            profile: entry.definition.profile.clone(),
            logs,
        })
    }

    fn environment(&self, name: &str) -> Result<BTreeMap<String, String>, Problem> {
        let id = self.books.choose_one(name)?;
        let order = self
            .books
            .entry(id)
            .map(|it| self.books.order_of(&it.definition));
        let environment = order.map(|order| herder_config::environment(&order));
        Ok(herder_config::redact_environment(
            &environment.unwrap_or_default(),
        ))
    }

    fn files(&self, targets: &[String]) -> Result<Vec<AppFiles>, Problem> {
        let ids = self.books.choose(targets, Choice::AllByDefault)?;
        Ok(ids.into_iter().filter_map(|id| self.files_of(id)).collect())
    }

    fn start(&mut self, start: Start) -> Result<Course, Problem> {
        let stage = self.plan_start(start)?;
        Ok(self.begin(stage))
    }

    fn act_on(&mut self, action: &Action) -> Result<Course, Problem> {
        // Somebody may want the daemon alone to be another build.
        let is_all = action.targets.iter().any(|target| target == "all");
        let upgrades = action.verb == Verb::Upgrade && is_all;
        let stage = match self.plan_action(action) {
            Err(_) if upgrades && self.books.entries().next().is_none() => Vec::new(),
            stage => stage?,
        };
        let now = self.now();
        let size = stage.len();
        let course = self.books.begin(vec![stage], now);
        if upgrades {
            self.upgrades.insert(course);
        }
        Ok(self.stream(course, size))
    }

    fn apply(&mut self, apply: &Apply) -> Result<Course, Problem> {
        self.check_apply(apply)?;
        let draft = self.books.draft(apply);
        let shown = apply.fingerprint.as_ref();
        if shown.is_some_and(|shown| *shown != draft.plan.fingerprint) {
            let text = "the plan is another one by now, so nothing was done";
            let problem = Problem::new(ProblemKind::Conflict, text);
            return Err(problem.hint("look at the new plan, and apply that"));
        }
        let (now, size) = (self.now(), draft.plan.steps.len());
        let course = self.books.carry_out(draft, now);
        Ok(self.stream(course, size))
    }

    fn save_list(&self) -> Result<Course, Problem> {
        let count = self.save()?;
        let apps = if count == 1 { "app" } else { "apps" };
        let app = String::new();
        let text = format!("saved {count} {apps}");
        let (done, failed) = (u32::try_from(count).unwrap_or(u32::MAX), 0);
        let (sender, stream) = mpsc::channel(2);
        drop(sender.try_send(Progress::Done { app, text }));
        drop(sender.try_send(Progress::End { done, failed }));
        Ok(stream)
    }

    fn resurrect(&mut self) -> Result<Course, Problem> {
        let (saved, now) = (self.saved()?, self.now());
        let ended = self.books.entries().any(|entry| entry.rest == Rest::Ended);
        if saved.is_none() && !ended {
            let problem = Problem::new(ProblemKind::NotFound, "nothing was saved");
            return Err(problem.hint("herder save saves the list"));
        }
        let course = match saved {
            Some(list) => self.books.resurrect(list, now),
            None => self.books.reawaken(now),
        };
        let size = self.books.entries().count();
        Ok(self.stream(course, size))
    }

    fn stop(&mut self, stop: StopDaemon) -> Course {
        let now = self.now();
        let course = if stop.leave_apps {
            self.books.walk_out(now)
        } else {
            self.books.close_down(Rest::Ended, now)
        };
        let size = self.books.entries().count();
        self.stream(course, size)
    }

    fn begin(&mut self, stage: Vec<(AppId, Todo)>) -> Course {
        let (now, size) = (self.now(), stage.len());
        let course = self.books.begin(vec![stage], now);
        self.stream(course, size)
    }

    /// What is told of a course from its begin on: nothing was done with it yet.
    fn stream(&mut self, course: CourseId, apps: usize) -> Course {
        let (sender, stream) = mpsc::channel(STREAM.1 + STREAM.0 * apps);
        self.streams.insert(course, sender);
        stream
    }
}
