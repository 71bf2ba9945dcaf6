//! What somebody asked for, and how far it has come.

use std::collections::{BTreeSet, VecDeque};

use herder_api::Problem;
use herder_api::control::Progress;

use super::Books;
use super::word::{AppId, CourseId, Do, Now, Todo};

/// What somebody asked for.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// What comes next, when what goes on is done.
    stages: VecDeque<Vec<(AppId, Todo)>>,
    /// How many apps are under way.
    open: u32,
    done: u32,
    failed: u32,
    /// Those that were started because others need them, or were asked for.
    pub(super) tried: BTreeSet<AppId>,
    /// Whether the daemon ends with it.
    leaves: bool,
}

impl Books {
    /// Begins a course, of stages one after the other. Its last words are [`Progress::End`] and
    /// [`Do::Close`].
    pub(crate) fn begin(&mut self, stages: Vec<Vec<(AppId, Todo)>>, now: Now) -> CourseId {
        let id = CourseId(self.next_course);
        self.next_course += 1;
        let stages = stages.into_iter().filter(|stage| !stage.is_empty());
        let course = Course {
            stages: stages.collect(),
            leaves: self.closing,
            ..Course::default()
        };
        self.courses.insert(id, course);
        self.go_on(id, now);
        id
    }

    /// The next stage, or the end.
    fn go_on(&mut self, id: CourseId, now: Now) {
        let Some(course) = self.courses.get_mut(&id) else {
            return;
        };
        if let Some(stage) = course.stages.pop_front() {
            course.open = u32::try_from(stage.len()).unwrap_or(u32::MAX);
            course.tried.extend(stage.iter().map(|(app, _)| *app));
            for (app, todo) in &stage {
                self.tell_begun(id, *app, todo.verb());
            }
            for (app, todo) in stage {
                self.perform(id, app, todo, now);
            }
            self.advance(now);
            return;
        }
        let (done, failed, leaves) = (course.done, course.failed, course.leaves);
        self.courses.remove(&id);
        self.tell(id, Progress::End { done, failed });
        self.actions.push_back(Do::Close { course: id });
        if leaves {
            self.save();
            self.actions.push_back(Do::Leave);
        }
    }

    /// One more app belongs to it.
    pub(super) fn widen(&mut self, id: CourseId, app: AppId) {
        if let Some(course) = self.courses.get_mut(&id) {
            course.open += 1;
            course.tried.insert(app);
        }
    }

    /// Whether an app belongs, or belonged, to it.
    pub(super) fn has_tried(&self, id: CourseId, app: AppId) -> bool {
        let course = self.courses.get(&id);
        course.is_none_or(|course| course.tried.contains(&app))
    }

    /// It is done with an app, for better or worse.
    pub(super) fn settle(
        &mut self,
        id: CourseId,
        app: &str,
        result: Result<String, Problem>,
        now: Now,
    ) {
        let Some(course) = self.courses.get_mut(&id) else {
            return;
        };
        course.open = course.open.saturating_sub(1);
        let is_over = course.open == 0;
        let app = app.to_owned();
        let progress = match result {
            Ok(text) => {
                course.done += 1;
                Progress::Done { app, text }
            }
            Err(problem) => {
                course.failed += 1;
                Progress::Failed { app, problem }
            }
        };
        self.tell(id, progress);
        if is_over {
            self.go_on(id, now);
        }
    }

    pub(super) fn settle_all(
        &mut self,
        courses: &[CourseId],
        app: &str,
        result: &Result<String, Problem>,
        now: Now,
    ) {
        for course in courses {
            self.settle(*course, app, result.clone(), now);
        }
    }

    pub(super) fn tell_begun(&mut self, course: CourseId, id: AppId, verb: &str) {
        if let Some(entry) = self.entries.get(&id) {
            let app = entry.name().to_owned();
            let verb = verb.to_owned();
            self.tell(course, Progress::Begun { app, verb });
        }
    }

    pub(super) fn tell_note(&mut self, courses: &[CourseId], app: &str, text: &str) {
        for course in courses {
            let (app, text) = (app.to_owned(), text.to_owned());
            self.tell(*course, Progress::Note { app, text });
        }
    }

    pub(super) fn tell(&mut self, course: CourseId, progress: Progress) {
        self.actions.push_back(Do::Tell { course, progress });
    }
}
