//! Apps are stopped.

use std::time::Duration;

use herder_api::Problem;
use herder_api::herd::HerdRequest;
use herder_api::problem::ProblemKind;

use super::Books;
use super::entry::{After, Entry, Kind, Pace, Phase, Task, Wish};
use super::list::Rest;
use super::word::{AppId, CourseId, Do, Ending, Now, Todo};

/// How long a worker may take to finish what it has, when its app says nothing.
const GRACE: Duration = Duration::from_secs(30);

/// How long a herd may take beyond that: its keeper kills a master that hangs by then.
const PATIENCE: u64 = 15_000;

impl Books {
    /// The daemon ends: first the apps, which are written down as `rest`.
    pub(crate) fn close_down(&mut self, rest: Rest, now: Now) -> CourseId {
        self.closing = true;
        let mut stage = Vec::new();
        for entry in self.entries.values() {
            if entry.rest == Rest::None || entry.has_herd() {
                stage.push((entry.id, Todo::End(rest)));
            }
        }
        self.begin(vec![stage], now)
    }

    /// The daemon ends, and its apps do not.
    pub(crate) fn walk_out(&mut self, now: Now) -> CourseId {
        self.closing = true;
        self.begin(Vec::new(), now)
    }

    /// Whatever is being stopped is stopped at once.
    pub(crate) fn hurry(&mut self, now: Now) {
        let leaving = self.entries.values().filter(|it| it.is_leaving());
        let leaving: Vec<AppId> = leaving.map(|entry| entry.id).collect();
        for id in leaving {
            self.begin_stop(id, Pace::AtOnce, now);
        }
    }

    /// It is to end; then `after`.
    pub(super) fn leave(&mut self, courses: &[CourseId], id: AppId, wish: Wish, now: Now) {
        let after = wish.after;
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let before = entry.task.take();
        let mut joined = courses.to_vec();
        let mut begun = false;
        if let Some(task) = before {
            let name = entry.name().to_owned();
            match task.kind {
                Kind::Start => self.overtake(&task, &name, after, now),
                Kind::Holds(Wish { after: old, .. }) | Kind::Stop { after: old } => {
                    begun = matches!(task.kind, Kind::Stop { .. });
                    if old == After::Start && after != After::Start {
                        self.overtake(&task, &name, after, now);
                    } else {
                        joined.splice(0..0, task.courses);
                    }
                }
            }
        }
        self.note_wish(id, after, now);
        let kind = if begun {
            Kind::Stop { after }
        } else {
            Kind::Holds(wish)
        };
        self.set_task(id, kind, joined, now);
        let is_running = self.entries.get(&id).is_some_and(Entry::has_herd);
        if !is_running {
            self.finish_stop(id, now);
        } else if begun && wish.pace == Pace::AtOnce {
            self.begin_stop(id, wish.pace, now);
        }
    }

    /// What it is to be is written down before it is: a daemon that dies meanwhile leaves it so.
    fn note_wish(&mut self, id: AppId, after: After, now: Now) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.rest = match after {
                After::Rest(rest) => rest,
                After::Start => Rest::None,
                After::Delete => Rest::Stopped,
            };
            entry.since = Some(now.wall);
            self.save();
        }
    }

    /// Those who waited for something else hear that it will not be.
    fn overtake(&mut self, task: &Task, name: &str, after: After, now: Now) {
        let what = match after {
            After::Rest(_) => "stopped",
            After::Start => "restarted",
            After::Delete => "deleted",
        };
        let text = format!("{name} was {what} meanwhile");
        let problem = Problem::new(ProblemKind::Conflict, text);
        self.settle_all(&task.courses, name, &Err(problem), now);
    }

    pub(super) fn advance_stops(&mut self, now: Now) -> bool {
        let held = self.entries.values().filter_map(|entry| {
            let task = entry.task.as_ref()?;
            let Kind::Holds(Wish { pace, .. }) = task.kind else {
                return None;
            };
            let is_free = pace == Pace::AtOnce || !self.is_needed(entry, &task.courses);
            (is_free && entry.has_herd()).then_some((entry.id, pace))
        });
        let held: Vec<(AppId, Pace)> = held.collect();
        for (id, pace) in &held {
            self.begin_stop(*id, *pace, now);
        }
        !held.is_empty()
    }

    /// Its herd is told to end.
    pub(super) fn begin_stop(&mut self, id: AppId, pace: Pace, now: Now) {
        let fast = pace == Pace::AtOnce;
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        if let Some(task) = &mut entry.task
            && let Kind::Holds(Wish { after, .. }) = task.kind
        {
            task.kind = Kind::Stop { after };
        }
        let grace = entry.definition.app.grace.map_or(GRACE, |period| period.0);
        let grace = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        let grace = if fast { 0 } else { grace };
        let (life, request) = (entry.life, self.next_request);
        entry.phase = Phase::Stopping {
            force_at: now.mono.saturating_add(grace).saturating_add(PATIENCE),
            rung: 0,
        };
        if entry.connected {
            self.next_request += 1;
            let what = HerdRequest::Stop { fast };
            self.actions.push_back(Do::Ask {
                id,
                life,
                request,
                what,
            });
        } else {
            let how = if fast { Ending::Fast } else { Ending::Term };
            self.actions.push_back(Do::End { id, life, how });
        }
    }

    /// It has not ended in time.
    pub(super) fn force(&mut self, id: AppId, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let Phase::Stopping { rung, .. } = entry.phase else {
            return;
        };
        let how = if rung == 0 {
            Ending::Fast
        } else {
            Ending::Kill
        };
        entry.phase = Phase::Stopping {
            force_at: now.mono.saturating_add(PATIENCE),
            rung: rung.saturating_add(1),
        };
        let (life, name) = (entry.life, entry.name().to_owned());
        let message = format!("{name} does not end, and is killed");
        self.note(&name, "app_stopped", "warning", message);
        self.actions.push_back(Do::End { id, life, how });
    }

    /// It has ended, as it was to.
    pub(super) fn finish_stop(&mut self, id: AppId, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let Some(task) = entry.task.take() else {
            return;
        };
        entry.phase = Phase::Rests;
        entry.connected = false;
        entry.herd = None;
        entry.note = None;
        entry.since = Some(now.wall);
        let name = entry.name().to_owned();
        let (Kind::Stop { after } | Kind::Holds(Wish { after, .. })) = task.kind else {
            return;
        };
        let took = now.mono.saturating_sub(task.since);
        match after {
            After::Start => {
                self.start_afresh(id, task.courses, now);
                // How long a restart takes is told from its begin.
                if let Some(entry) = self.entries.get_mut(&id)
                    && let Some(next) = &mut entry.task
                {
                    next.since = task.since;
                }
            }
            After::Rest(rest) => {
                entry.rest = rest;
                let ended = "it ended with the daemon; herder resurrect starts it again";
                entry.note = (rest == Rest::Ended).then(|| ended.to_owned());
                self.note(&name, "app_stopped", "info", format!("{name} was stopped"));
                self.jot();
                let text = format!("stopped in {took} ms");
                self.settle_all(&task.courses, &name, &Ok(text), now);
            }
            After::Delete => {
                self.entries.remove(&id);
                self.forget_ids();
                self.note(&name, "app_deleted", "info", format!("{name} was deleted"));
                self.actions.push_back(Do::Forget { name: name.clone() });
                self.save();
                self.settle_all(&task.courses, &name, &Ok("deleted".to_owned()), now);
            }
        }
    }
}
