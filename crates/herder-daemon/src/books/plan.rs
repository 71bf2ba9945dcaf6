//! What it takes that definitions hold.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use herder_api::control::{Apply, Change, Plan, PlanStep, StepKind};

use super::Books;
use super::entry::{Entry, Phase, workers};
use super::list::Rest;
use super::word::{AppId, CourseId, Definition, Now, Todo};

/// What would be done, and what it takes.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Draft {
    /// What is shown.
    pub(crate) plan: Plan,
    /// For each step the app, if it is known, and what it is to be.
    parts: Vec<(Option<AppId>, Option<Definition>)>,
}

/// What is done, what changes, the app if it is known, and what it is to be.
type Found = (StepKind, Vec<Change>, Option<AppId>, Option<Definition>);

/// In which order kinds of steps are done.
const ORDER: [StepKind; 7] = [
    StepKind::Delete,
    StepKind::Update,
    StepKind::Scale,
    StepKind::Reload,
    StepKind::Restart,
    StepKind::Start,
    StepKind::Keep,
];

impl Books {
    /// What it takes that the definitions hold. They are checked already.
    pub(crate) fn draft(&self, apply: &Apply) -> Draft {
        let mut found = Vec::new();
        for app in &apply.apps {
            let known = self.by_name(&app.name).and_then(|id| self.entries.get(&id));
            let mut next = Definition {
                app: app.clone(),
                inherited: apply.environment.clone(),
                profile: apply.profile.clone(),
                source: apply.source.clone(),
            };
            let (step, changes) = match known {
                None if app.autostart => (StepKind::Start, Vec::new()),
                None => (StepKind::Update, Vec::new()),
                Some(entry) => compare(entry, &next),
            };
            if let Some(entry) = known
                && !matches!(step, StepKind::Start | StepKind::Restart)
            {
                next.inherited.clone_from(&entry.definition.inherited);
            }
            if let Some(entry) = known
                && next.source.is_none()
            {
                next.source.clone_from(&entry.definition.source);
            }
            found.push((step, changes, known.map(|it| it.id), Some(next)));
        }
        let names: BTreeSet<&str> = apply.apps.iter().map(|app| app.name.as_str()).collect();
        for entry in self.entries.values() {
            let came_from_there = apply.source.is_some() && entry.definition.source == apply.source;
            if came_from_there && !apply.partial && !names.contains(entry.name()) {
                found.push((StepKind::Delete, Vec::new(), Some(entry.id), None));
            }
        }
        found.sort_by_key(|(step, ..)| ORDER.iter().position(|kind| kind == step));
        self.assemble(found)
    }

    fn assemble(&self, found: Vec<Found>) -> Draft {
        let mut steps = Vec::new();
        let mut parts = Vec::new();
        let mut hasher = DefaultHasher::new();
        for (step, changes, id, next) in found {
            let known = id.and_then(|id| self.entries.get(&id));
            let name = match (&next, known) {
                (Some(next), _) => next.app.name.clone(),
                (None, Some(entry)) => entry.name().to_owned(),
                (None, None) => continue,
            };
            // What is not shown counts, too: another secret is another plan.
            let now = known.map(|entry| serde_json::to_string(&entry.definition.app).ok());
            let then = next.as_ref().map(|it| serde_json::to_string(&it.app).ok());
            (&name, step as u8, now, then).hash(&mut hasher);
            steps.push(PlanStep {
                app: name,
                step,
                changes,
            });
            parts.push((id, next));
        }
        let fingerprint = format!("{:016x}", hasher.finish());
        Draft {
            plan: Plan { steps, fingerprint },
            parts,
        }
    }

    /// Does what a draft of these books says.
    pub(crate) fn carry_out(&mut self, draft: Draft, now: Now) -> CourseId {
        let mut stages: Vec<Vec<(AppId, Todo)>> = vec![Vec::new(); ORDER.len()];
        for (step, (id, next)) in draft.plan.steps.iter().zip(draft.parts) {
            let Some(stage) = ORDER.iter().position(|kind| *kind == step.step) else {
                continue;
            };
            match (id, next) {
                (Some(id), None) => stages[stage].push((id, Todo::Delete)),
                (known, Some(next)) => {
                    let id = known.unwrap_or_else(|| self.add(next.clone(), now));
                    if step.step == StepKind::Start
                        && let Some(entry) = self.entries.get_mut(&id)
                    {
                        entry.redefine(next.clone());
                    }
                    let count = workers(&next.app, self.cpus);
                    let todo = Todo::of_step(step.step, next.clone(), count);
                    match todo {
                        Some(todo) => stages[stage].push((id, todo)),
                        None => self.note_source(id, next),
                    }
                }
                (None, None) => {}
            }
        }
        self.save();
        self.begin(stages, now)
    }

    /// It is as it shall be; only where that is written may be new.
    fn note_source(&mut self, id: AppId, next: Definition) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.definition.source = next.source;
        }
    }
}

/// What it takes that an app of the list becomes another one.
fn compare(entry: &Entry, next: &Definition) -> (StepKind, Vec<Change>) {
    let mut changes = herder_config::diff(&entry.definition.app, &next.app);
    if entry.definition.profile != next.profile {
        changes.push(Change {
            setting: "--env".to_owned(),
            from: entry.definition.profile.clone(),
            to: next.profile.clone(),
            needs: StepKind::Reload,
        });
    }
    let needed = changes.iter().map(|change| change.needs).max();
    let needed = needed.unwrap_or(StepKind::Keep);
    let step = match (entry.phase, entry.rest) {
        // It was stopped: that is somebody's wish, which no file overrules.
        (Phase::Rests, Rest::Stopped | Rest::Done) if needed == StepKind::Keep => StepKind::Keep,
        (Phase::Rests, Rest::Stopped | Rest::Done) => StepKind::Update,
        (Phase::Rests | Phase::Retries { .. }, _) => StepKind::Start,
        _ => needed,
    };
    (step, changes)
}
