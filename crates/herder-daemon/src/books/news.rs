//! What herds tell, and what time tells.

use herder_api::Problem;
use herder_api::control::Progress;
use herder_api::herd::HerdRequest;
use herder_api::problem::ProblemKind;
use herder_api::status::{HerdStatus, SlotStatus};

use super::Books;
use super::entry::{After, Kind, Pace, Phase, Wish, is_serving};
use super::list::Rest;
use super::word::{AppId, CourseId, Ending, News, Now};

/// How long a herd may take until its master greets.
const GREETING: u64 = 30_000;

/// How long a herd may take to answer what is done at once.
const ANSWER: u64 = 10_000;

impl Books {
    /// News of one life of an app's herd. Those of an earlier one change nothing.
    pub(crate) fn news(&mut self, id: AppId, life: u64, news: News, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        if entry.life != life || !entry.has_herd() {
            return;
        }
        match news {
            News::Absent => self.absent(id, now),
            News::Connected(status) => self.connected(id, *status, now),
            News::Status(status) => self.stands(id, *status, now),
            News::Finished {
                outcome,
                last_lines,
            } => entry.finished = Some((outcome, last_lines)),
            News::Died { slot, how } => {
                entry.deaths.insert(slot, how);
            }
            News::Answer { request, answer } => self.answered(id, request, answer, now),
            News::Lost => self.lost(id, now),
            News::Gone { end, complaint } => self.gone(id, &end, complaint, now),
        }
        self.advance(now);
    }

    fn absent(&mut self, id: AppId, now: Now) {
        self.fail_requests(id, now);
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let kind = entry.task.as_ref().map(|task| task.kind);
        match kind {
            Some(Kind::Holds(_) | Kind::Stop { .. }) => self.finish_stop(id, now),
            Some(Kind::Start) => entry.phase = Phase::Waits,
            None if entry.rest == Rest::None => {
                let since = entry.since;
                self.wait(id, Vec::new(), now);
                if let Some(entry) = self.entries.get_mut(&id) {
                    entry.since = since;
                }
            }
            None => entry.phase = Phase::Rests,
        }
    }

    fn connected(&mut self, id: AppId, status: HerdStatus, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.connected = true;
        if entry.phase == Phase::Adopting {
            let name = entry.name().to_owned();
            let message = format!("{name} runs already, and was taken over");
            if entry.rest == Rest::None {
                entry.phase = Phase::Starting { since: now.mono };
            } else if entry.task.is_none() {
                // Whoever was to stop it did not live to see it.
                let rest = entry.rest;
                let (pace, after) = (Pace::InOrder, After::Rest(rest));
                self.leave(&[], id, Wish { pace, after }, now);
            }
            self.note(&name, "herd_found", "info", message);
        }
        if let Some(entry) = self.entries.get_mut(&id) {
            for pending in entry.requests.values_mut() {
                pending.inherited = pending.sent;
            }
        }
        self.stands(id, status, now);
        self.send_requests(id);
    }

    fn stands(&mut self, id: AppId, status: HerdStatus, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.herd = Some(status);
        entry.herd_at = now.mono;
        let phase = entry.phase;
        self.tell_slots(id);
        if matches!(phase, Phase::Starting { .. }) {
            self.check_online(id, now);
        }
        self.settle_inherited(id, now);
        self.settle_trial(id);
    }

    /// The socket is lost. A master that follows on a dead one will greet again.
    fn lost(&mut self, id: AppId, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.connected = false;
        if let Phase::Stopping { rung: 0, .. } = entry.phase {
            // Perhaps nobody has heard that it is to end.
            let (life, how) = (entry.life, Ending::Term);
            self.actions.push_back(super::Do::End { id, life, how });
        }
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let doomed = entry.requests.iter();
        let doomed = doomed.filter(|(_, pending)| pending.sent && !pending.is_alone());
        let doomed: Vec<u64> = doomed.map(|(request, _)| *request).collect();
        for request in doomed {
            let text = "its master ended before it answered";
            let problem = Problem::new(ProblemKind::Busy, text).hint("ask again");
            self.answered(id, request, Err(problem), now);
        }
    }

    /// What is to be told of the slots, to those who wait.
    fn tell_slots(&mut self, id: AppId) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let ends = matches!(entry.phase, Phase::Stopping { .. });
        let mut courses: Vec<CourseId> = Vec::new();
        courses.extend(entry.task.iter().flat_map(|task| &task.courses));
        let alone = entry.requests.values().filter(|it| it.is_alone());
        courses.extend(alone.map(|pending| pending.course));
        if courses.is_empty() {
            return;
        }
        let mut told = Vec::new();
        for slot in entry.herd.iter().flat_map(|herd| &herd.slots) {
            let now = course_of(slot, ends);
            if entry.told.get(&slot.slot) != Some(&now) {
                entry.told.insert(slot.slot, now.clone());
                told.push((slot.slot, now));
            }
        }
        let app = entry.name().to_owned();
        for (slot, (phase, pid)) in told {
            for course in &courses {
                let (app, phase) = (app.clone(), phase.clone());
                let progress = Progress::Slot {
                    app,
                    slot,
                    phase,
                    pid,
                };
                self.tell(*course, progress);
            }
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Now) {
        let ids: Vec<AppId> = self.entries.keys().copied().collect();
        for id in ids {
            self.tick_app(id, now);
        }
        self.advance(now);
    }

    fn tick_app(&mut self, id: AppId, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let life = entry.life;
        match entry.phase {
            Phase::Retries { at } if at <= now.mono => {
                let name = entry.name().to_owned();
                let message = format!("{name} is started again");
                self.note(&name, "app_retried", "info", message);
                self.retry(id, now);
            }
            Phase::Stopping { force_at, .. } if force_at <= now.mono => self.force(id, now),
            Phase::Starting { since } if !entry.connected && since + GREETING <= now.mono => {
                let text = "its master did not say a word in 30 s";
                entry.verdict = Some(Problem::new(ProblemKind::Internal, text));
                entry.phase = Phase::Starting { since: now.mono };
                let how = Ending::Fast;
                self.actions.push_back(super::Do::End { id, life, how });
            }
            Phase::Rests
            | Phase::Waits
            | Phase::Adopting
            | Phase::Starting { .. }
            | Phase::Online
            | Phase::Stopping { .. }
            | Phase::Retries { .. } => {}
        }
        self.tick_requests(id, now);
    }

    fn tick_requests(&mut self, id: AppId, now: Now) {
        let Some(entry) = self.entries.get(&id) else {
            return;
        };
        let late = entry.requests.iter();
        let late = late.filter(|(_, it)| it.since + ANSWER <= now.mono);
        let late = late.filter(|(_, it)| !it.sent || !it.is_alone());
        let late: Vec<u64> = late.map(|(request, _)| *request).collect();
        for request in late {
            let text = "its master does not answer";
            let problem = Problem::new(ProblemKind::Busy, text).hint("try again in a moment");
            self.answered(id, request, Err(problem), now);
        }
    }

    /// When [`Books::tick`] is wanted next.
    pub(crate) fn timeout(&self) -> Option<u64> {
        let phases = self.entries.values().filter_map(|entry| match entry.phase {
            Phase::Retries { at } => Some(at),
            Phase::Stopping { force_at, .. } => Some(force_at),
            Phase::Starting { since } if !entry.connected => Some(since + GREETING),
            Phase::Rests
            | Phase::Waits
            | Phase::Adopting
            | Phase::Starting { .. }
            | Phase::Online => None,
        });
        let requests = self.entries.values().flat_map(|it| it.requests.values());
        let requests = requests.filter(|it| !it.sent || !it.is_alone());
        let requests = requests.map(|it| it.since + ANSWER);
        phases.chain(requests).min()
    }

    /// What a master that is not the one that was asked says of the questions: at once, or when what it
    /// goes on with is over.
    fn settle_inherited(&mut self, id: AppId, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let Some(herd) = entry.herd.clone() else {
            return;
        };
        let mut answered = Vec::new();
        for (request, pending) in &mut entry.requests {
            if !pending.inherited {
                continue;
            }
            let verdict = herd.verdict.as_ref();
            let news = verdict.filter(|it| Some(&it.at) != pending.verdict_before.as_ref());
            match (&pending.what, news) {
                // It can be asked twice.
                (HerdRequest::Scale { .. }, _) => {
                    pending.sent = false;
                    pending.inherited = false;
                }
                (_, Some(verdict)) => answered.push((*request, Ok(verdict.clone()))),
                (_, None) if herd.busy => {}
                (_, None) => {
                    let text = "its master died meanwhile, and did not say what became of it";
                    let hint = format!("herder history {} tells more", entry.definition.app.name);
                    let problem = Problem::new(ProblemKind::Failed, text).hint(hint);
                    answered.push((*request, Err(problem)));
                }
            }
        }
        for (request, answer) in answered {
            let answer = answer.map(|verdict| herder_api::herd::HerdAnswer::Verdict { verdict });
            self.answered(id, request, answer, now);
        }
    }
}

/// What somebody who watches an operation wants to know of a slot.
fn course_of(slot: &SlotStatus, ends: bool) -> (String, Option<i32>) {
    let workers = &slot.workers;
    let starting = workers.iter().find(|it| it.phase == "starting");
    let serving = workers.iter().find(|it| is_serving(&it.phase));
    let (phase, worker) = match (starting, serving) {
        (Some(worker), _) => ("starting", Some(worker)),
        (None, Some(worker)) => ("ready", Some(worker)),
        (None, None) => match workers.first() {
            Some(worker) => ("leaving", Some(worker)),
            None if ends || slot.rests == "done" => ("gone", None),
            None => ("failed", None),
        },
    };
    (phase.to_owned(), worker.map(|worker| worker.pid))
}
