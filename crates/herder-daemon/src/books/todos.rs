//! What is to be done with one app begins.

use herder_api::Problem;
use herder_api::control::StepKind;
use herder_api::herd::HerdRequest;
use herder_api::problem::ProblemKind;

use super::Books;
use super::entry::{After, Kind, Pace, Pending, Phase, Wish, is_alone};
use super::list::{Rest, Trial};
use super::word::{AppId, CourseId, Definition, Do, Now, Todo};

impl Books {
    /// Begins what is to be done with an app. That it is done, or failed, is told to the course.
    pub(super) fn perform(&mut self, course: CourseId, id: AppId, todo: Todo, now: Now) {
        if !self.entries.contains_key(&id) {
            let gone = Problem::new(ProblemKind::NotFound, "it has left the list meanwhile");
            return self.settle(course, &format!("app {id}"), Err(gone), now);
        }
        match todo {
            Todo::Start => self.start(course, id, now),
            Todo::Stop(pace) => {
                let after = After::Rest(Rest::Stopped);
                self.leave(&[course], id, Wish { pace, after }, now);
            }
            Todo::End(rest) => self.leave(&[course], id, in_order(After::Rest(rest)), now),
            Todo::Restart(next) => self.restart(course, id, next, now),
            Todo::Reload(next) => self.reload(course, id, next, now),
            Todo::Delete => self.leave(&[course], id, in_order(After::Delete), now),
            Todo::Scale(workers, next) => self.scale(course, id, (workers, next), now),
            Todo::Update(next) => {
                self.define(id, *next);
                self.finish(course, id, Ok("taken over".to_owned()), now);
            }
            Todo::Request(what) => self.request(course, id, what, now),
        }
    }

    fn start(&mut self, course: CourseId, id: AppId, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let starts = matches!(&entry.task, Some(task) if task.kind == Kind::Start);
        match (entry.phase, &mut entry.task) {
            (_, Some(task)) if starts => task.courses.push(course),
            (_, Some(_)) | (Phase::Stopping { .. }, None) => self.refuse(course, id, now),
            (Phase::Adopting, None) => {
                entry.rest = Rest::None;
                self.set_task(id, Kind::Start, vec![course], now);
            }
            (Phase::Starting { .. }, None) => self.set_task(id, Kind::Start, vec![course], now),
            (Phase::Online, None) => {
                self.finish(course, id, Ok("it runs already".to_owned()), now);
            }
            (Phase::Rests | Phase::Waits | Phase::Retries { .. }, None) => {
                self.start_afresh(id, vec![course], now);
            }
        }
    }

    fn restart(&mut self, course: CourseId, id: AppId, next: Option<Box<Definition>>, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        if matches!(&entry.task, Some(task) if task.kind != Kind::Start) {
            return self.refuse(course, id, now);
        }
        if let Some(next) = next {
            entry.redefine(*next);
            self.save();
        }
        self.leave(&[course], id, in_order(After::Start), now);
    }

    fn reload(&mut self, course: CourseId, id: AppId, next: Option<Box<Definition>>, now: Now) {
        let Some(entry) = self.entries.get(&id) else {
            return;
        };
        if entry.task.is_some() || entry.is_occupied() {
            return self.refuse(course, id, now);
        }
        match entry.phase {
            Phase::Rests | Phase::Retries { .. } => return self.restart(course, id, next, now),
            Phase::Waits | Phase::Adopting | Phase::Starting { .. } | Phase::Stopping { .. } => {
                return self.refuse(course, id, now);
            }
            Phase::Online => {}
        }
        let changes = next
            .iter()
            .flat_map(|next| herder_config::diff(&entry.definition.app, &next.app));
        let mut hard = changes.filter(|change| change.needs == StepKind::Restart);
        if let Some(change) = hard.next() {
            let name = entry.name().to_owned();
            let text = format!(
                "{} can only change with a restart, so it is restarted",
                change.setting
            );
            self.tell_note(&[course], &name, &text);
            return self.restart(course, id, next, now);
        }
        let order = Box::new(self.order_of(next.as_deref().unwrap_or(&entry.definition)));
        self.actions.push_back(Do::WriteOrder { order });
        self.pend(course, id, (HerdRequest::Reload, next), now);
    }

    fn scale(
        &mut self,
        course: CourseId,
        id: AppId,
        (workers, next): (u16, Option<Box<Definition>>),
        now: Now,
    ) {
        let Some(entry) = self.entries.get(&id) else {
            return;
        };
        let mut next = next.unwrap_or_else(|| Box::new(entry.definition.clone()));
        next.app.workers = herder_api::app::Workers::Count(workers);
        match (entry.phase, &entry.task) {
            (Phase::Rests | Phase::Retries { .. }, None) => {
                self.define(id, *next);
                let text = format!("it will have {}", of_workers(workers));
                self.finish(course, id, Ok(text), now);
            }
            (Phase::Online, None) if !entry.is_occupied() => {
                let what = HerdRequest::Scale { workers };
                self.pend(course, id, (what, Some(next)), now);
            }
            _ => self.refuse(course, id, now),
        }
    }

    fn request(&mut self, course: CourseId, id: AppId, what: HerdRequest, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        if what == HerdRequest::Reset {
            entry.carried = (0, 0);
        }
        if entry.has_herd() {
            if is_alone(&what) && entry.is_occupied() {
                return self.refuse(course, id, now);
            }
            return self.pend(course, id, (what, None), now);
        }
        let result = match what {
            HerdRequest::FlushLogs => {
                let definition = Box::new(entry.definition.clone());
                self.actions.push_back(Do::Flush { definition });
                Ok("its log files are emptied".to_owned())
            }
            HerdRequest::Reset => Ok("counters are 0".to_owned()),
            HerdRequest::ReopenLogs | HerdRequest::Upgrade => {
                Ok("it does not run, so there is nothing to do".to_owned())
            }
            HerdRequest::Status
            | HerdRequest::Reload
            | HerdRequest::Stop { .. }
            | HerdRequest::Scale { .. }
            | HerdRequest::Signal { .. }
            | HerdRequest::Send { .. }
            | HerdRequest::Fail { .. } => {
                let name = entry.name();
                let text = format!("{name} does not run");
                Err(Problem::new(ProblemKind::Conflict, text)
                    .hint(format!("herder start {name} starts it")))
            }
        };
        self.finish(course, id, result, now);
    }

    /// Asks the herd as soon as it is connected. With a good answer the app is what stands beside.
    fn pend(
        &mut self,
        course: CourseId,
        id: AppId,
        (what, next): (HerdRequest, Option<Box<Definition>>),
        now: Now,
    ) {
        let request = self.next_request;
        self.next_request += 1;
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let verdict = entry.herd.as_ref().and_then(|herd| herd.verdict.as_ref());
        let verdict_before = verdict.map(|verdict| verdict.at.clone());
        let trial = next.as_deref().filter(|_| what == HerdRequest::Reload);
        let trial = trial.map(|next| {
            let (next, verdict_before) = (next.clone(), verdict_before.clone());
            Box::new(Trial {
                next,
                verdict_before,
            })
        });
        let has_trial = trial.is_some();
        if has_trial {
            entry.trial = trial;
        }
        let pending = Pending {
            course,
            what,
            next,
            sent: false,
            inherited: false,
            since: now.mono,
            verdict_before,
        };
        entry.requests.insert(request, pending);
        if has_trial {
            self.save();
        }
        self.send_requests(id);
    }

    /// Sends what waits for the connection.
    pub(super) fn send_requests(&mut self, id: AppId) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        if !entry.connected {
            return;
        }
        let life = entry.life;
        for (request, pending) in &mut entry.requests {
            if !pending.sent {
                pending.sent = true;
                self.actions.push_back(Do::Ask {
                    id,
                    life,
                    request: *request,
                    what: pending.what.clone(),
                });
            }
        }
    }

    /// From now on an app is something else. No process is touched.
    pub(super) fn define(&mut self, id: AppId, next: Definition) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.redefine(next);
        if entry.has_herd() {
            let order = Box::new(self.order(id));
            self.actions.push_back(Do::WriteOrder { order });
        }
        self.save();
    }

    /// It is done with an app, for better or worse.
    pub(super) fn finish(
        &mut self,
        course: CourseId,
        id: AppId,
        result: Result<String, Problem>,
        now: Now,
    ) {
        if let Some(entry) = self.entries.get(&id) {
            let name = entry.name().to_owned();
            self.settle(course, &name, result, now);
        }
    }

    /// Something else goes on with it.
    fn refuse(&mut self, course: CourseId, id: AppId, now: Now) {
        let Some(entry) = self.entries.get(&id) else {
            return;
        };
        let what = match (&entry.task, entry.phase) {
            (Some(task), _) => match task.kind {
                Kind::Start => "started",
                Kind::Holds(Wish { after, .. }) | Kind::Stop { after } => match after {
                    After::Rest(_) => "stopped",
                    After::Start => "restarted",
                    After::Delete => "deleted",
                },
            },
            (None, Phase::Adopting | Phase::Starting { .. } | Phase::Waits) => "started",
            (None, Phase::Stopping { .. }) => "stopped",
            (None, Phase::Rests | Phase::Online | Phase::Retries { .. }) => {
                let mut requests = entry.requests.values();
                let alone = requests.find(|request| request.is_alone());
                match alone.map(|request| &request.what) {
                    Some(HerdRequest::Scale { .. }) => "scaled",
                    Some(HerdRequest::Upgrade) => "upgraded",
                    _ => "reloaded",
                }
            }
        };
        let text = format!("{} is just being {what}", entry.name());
        let problem = Problem::new(ProblemKind::Conflict, text).hint("try again when that is done");
        self.finish(course, id, Err(problem), now);
    }
}

fn in_order(after: After) -> Wish {
    let pace = Pace::InOrder;
    Wish { pace, after }
}

/// `1 worker`, `4 workers`.
pub(super) fn of_workers(count: u16) -> String {
    match count {
        1 => "1 worker".to_owned(),
        count => format!("{count} workers"),
    }
}
