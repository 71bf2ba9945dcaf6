//! What somebody wants to be otherwise: checked before anything is done.

use std::collections::{BTreeMap, BTreeSet};

use herder_api::control::{Action, Apply, Known, ScaleTo, Start, Verb};
use herder_api::herd::HerdRequest;
use herder_api::problem::ProblemKind;
use herder_api::{App, Problem};
use herder_sys::signal::Signal;

use super::Shell;
use crate::books::{AppId, Choice, Definition, Pace, Todo, check_dependencies, workers};

/// The highest number of a signal.
const SIGNALS: i32 = 64;

/// How many workers an app may have.
const WORKERS: i64 = 256;

impl Shell {
    /// What is to be done with apps that are started.
    pub(super) fn plan_start(&mut self, start: Start) -> Result<Vec<(AppId, Todo)>, Problem> {
        self.check_all(&start.apps)?;
        if start.known == Known::Refuse {
            self.refuse_known(&start.apps)?;
        }
        let now = self.now();
        let mut stage = Vec::new();
        for app in start.apps {
            let (autostarts, name) = (app.autostart, app.name.clone());
            let definition = Definition {
                app,
                inherited: start.environment.clone(),
                profile: start.profile.clone(),
                source: start.sources.get(&name).cloned(),
            };
            let known = self.books.by_name(&definition.app.name);
            let id = known.unwrap_or_else(|| self.books.add(definition.clone(), now));
            let todo = match (known, start.known) {
                (None, _) if autostarts => Todo::Start,
                (None, _) => Todo::Update(Box::new(definition)),
                (Some(_), Known::Reload) => Todo::Reload(Some(self.keeping_source(id, definition))),
                (Some(_), Known::Restart | Known::Refuse) => {
                    Todo::Restart(Some(self.keeping_source(id, definition)))
                }
            };
            stage.push((id, todo));
        }
        Ok(stage)
    }

    /// One that is started without a file is still what that file started.
    fn keeping_source(&self, id: AppId, mut definition: Definition) -> Box<Definition> {
        if definition.source.is_none()
            && let Some(entry) = self.books.entry(id)
        {
            definition.source.clone_from(&entry.definition.source);
        }
        Box::new(definition)
    }

    fn refuse_known(&self, apps: &[App]) -> Result<(), Problem> {
        let known = apps.iter().map(|app| app.name.as_str());
        let known: Vec<&str> = known
            .filter(|name| self.books.by_name(name).is_some())
            .collect();
        if known.is_empty() {
            return Ok(());
        }
        let names = known.join(", ");
        let text = match known.len() {
            1 => format!("{names} is in the list already"),
            _ => format!("{names} are in the list already"),
        };
        let hint = format!("herder restart {} restarts it", known[0]);
        Err(Problem::new(ProblemKind::Conflict, text).hint(hint))
    }

    /// Definitions are right, for themselves and together with the list.
    fn check_all(&self, apps: &[App]) -> Result<(), Problem> {
        if apps.is_empty() {
            return Err(Problem::new(ProblemKind::Invalid, "no app is given"));
        }
        let mut names = BTreeSet::new();
        for app in apps {
            self.check_one(app)?;
            if !names.insert(app.name.as_str()) {
                let text = format!("two apps are called {}", app.name);
                return Err(Problem::new(ProblemKind::Invalid, text).place("name"));
            }
        }
        let listed = self.books.entries().map(|entry| &entry.definition.app);
        let all = listed.chain(apps);
        let all = all.map(|app| (app.name.clone(), app.depends_on.clone()));
        let all: BTreeMap<String, Vec<String>> = all.collect();
        let asked: Vec<String> = apps.iter().map(|app| app.name.clone()).collect();
        check_dependencies(&all, &asked)
    }

    fn check_one(&self, app: &App) -> Result<(), Problem> {
        let named = |mut problem: Problem| {
            problem.message = match app.name.as_str() {
                "" => problem.message,
                name => format!("{name}: {}", problem.message),
            };
            problem
        };
        let mut problems = herder_config::check(app).into_iter();
        if let Some(first) = problems.next() {
            let more = problems.count();
            let mut first = named(first);
            if more > 0 && first.hint.is_none() {
                first.hint = Some(format!("there are {more} more problems with it"));
            }
            return Err(first);
        }
        // It becomes part of paths, whatever those checks say.
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_name = !app.name.is_empty()
            && app.name.len() <= 64
            && app.name.bytes().all(is_fine)
            && !app.name.starts_with(['.', '-']);
        if !is_name {
            let text = format!("{:?} is no name for an app", app.name);
            let hint =
                "use letters, digits, '.', '_' and '-', at most 64, and a letter or digit first";
            let problem = Problem::new(ProblemKind::Invalid, text).hint(hint);
            return Err(problem.place("name"));
        }
        self.home.check_name(&app.name).map_err(named)
    }

    /// What an action means for each app.
    pub(super) fn plan_action(&self, action: &Action) -> Result<Vec<(AppId, Todo)>, Problem> {
        let ids = self.books.choose(&action.targets, Choice::Explicit)?;
        let mut stage = Vec::new();
        for id in ids {
            let next = self.changed(id, action)?;
            stage.push((id, self.todo(id, &action.verb, next)?));
        }
        Ok(stage)
    }

    /// What an app becomes by an action. None = what it is.
    fn changed(&self, id: AppId, action: &Action) -> Result<Option<Box<Definition>>, Problem> {
        let changes =
            action.environment.is_some() || action.profile.is_some() || !action.settings.is_empty();
        let entry = self.books.entry(id).filter(|_| changes);
        let Some(entry) = entry else {
            return Ok(None);
        };
        if !matches!(action.verb, Verb::Start | Verb::Restart | Verb::Reload) {
            let text = "settings change with a start, a restart or a reload";
            return Err(Problem::new(ProblemKind::Invalid, text));
        }
        let mut next = entry.definition.clone();
        if let Some(environment) = &action.environment {
            next.inherited.clone_from(environment);
        }
        if let Some(profile) = &action.profile {
            if !next.app.profiles.contains_key(profile) {
                let text = format!("{} has no profile {profile:?}", next.app.name);
                let problem = Problem::new(ProblemKind::Invalid, text);
                return Err(problem.hint("profiles stand in its file under profiles.NAME"));
            }
            next.profile = Some(profile.clone());
        }
        if !action.settings.is_empty() {
            next.app = edited(&next.app, &action.settings)?;
            self.check_all(std::slice::from_ref(&next.app))?;
        }
        Ok(Some(Box::new(next)))
    }

    fn todo(&self, id: AppId, verb: &Verb, next: Option<Box<Definition>>) -> Result<Todo, Problem> {
        Ok(match verb {
            Verb::Start => match (next, self.books.entry(id)) {
                (Some(next), Some(entry)) if entry.definition == *next => Todo::Start,
                // What runs gets what is new, and loses nothing by it.
                (Some(next), Some(entry)) if entry.has_herd() => Todo::Reload(Some(next)),
                (Some(next), _) => Todo::Restart(Some(next)),
                (None, _) => Todo::Start,
            },
            Verb::Stop { now: true } => Todo::Stop(Pace::AtOnce),
            Verb::Stop { now: false } => Todo::Stop(Pace::InOrder),
            Verb::Restart => Todo::Restart(next),
            Verb::Reload => Todo::Reload(next),
            Verb::Delete => Todo::Delete,
            Verb::Scale(to) => Todo::Scale(self.scaled(id, *to)?, None),
            Verb::Signal { signal } => Todo::Request(HerdRequest::Signal {
                signal: signal_number(signal)?,
                slot: None,
            }),
            Verb::Send { line } => {
                if line.contains('\n') {
                    let text = "a line cannot have a newline in it";
                    return Err(Problem::new(ProblemKind::Invalid, text).place("line"));
                }
                let line = line.clone();
                Todo::Request(HerdRequest::Send { line, slot: None })
            }
            Verb::Reset => Todo::Request(HerdRequest::Reset),
            Verb::Flush => Todo::Request(HerdRequest::FlushLogs),
            Verb::ReopenLogs => Todo::Request(HerdRequest::ReopenLogs),
            Verb::Upgrade => Todo::Request(HerdRequest::Upgrade),
        })
    }

    fn scaled(&self, id: AppId, to: ScaleTo) -> Result<u16, Problem> {
        let now = self.books.entry(id).map_or(1, |entry| {
            let told = entry.herd.as_ref().map(|herd| herd.wanted);
            let told = told.filter(|wanted| *wanted > 0);
            told.unwrap_or_else(|| workers(&entry.definition.app, self.books.cpus()))
        });
        let wanted = match to {
            ScaleTo::To(count) => i64::from(count),
            ScaleTo::By(change) => i64::from(now) + i64::from(change),
        };
        let count = u16::try_from(wanted).ok();
        let fits = |count: &u16| (1..=WORKERS).contains(&i64::from(*count));
        count.filter(fits).ok_or_else(|| {
            let text = format!("an app has 1 to {WORKERS} workers, not {wanted}");
            Problem::new(ProblemKind::Invalid, text).hint("herder stop ends all of them")
        })
    }

    /// Definitions that shall hold are right.
    pub(super) fn check_apply(&self, apply: &Apply) -> Result<(), Problem> {
        if apply.apps.is_empty() && apply.source.is_some() {
            return Ok(());
        }
        self.check_all(&apply.apps)
    }
}

/// An app with other settings.
fn edited(
    app: &App,
    settings: &serde_json::Map<String, serde_json::Value>,
) -> Result<App, Problem> {
    if settings.contains_key("name") {
        let text = "the name of an app cannot change";
        let problem = Problem::new(ProblemKind::Invalid, text).place("name");
        return Err(problem.hint("start it anew under the other name"));
    }
    herder_config::with_settings(app, settings).map_err(|problems| {
        let none = || Problem::new(ProblemKind::Invalid, "these settings cannot be");
        problems.into_iter().next().unwrap_or_else(none)
    })
}

/// `HUP`, `SIGHUP` or `1`.
fn signal_number(name: &str) -> Result<i32, Problem> {
    let upper = name.to_ascii_uppercase();
    let numbers = 1..=SIGNALS;
    let wanted = upper.strip_prefix("SIG").unwrap_or(&upper);
    let known = numbers.clone().filter_map(Signal::from_number);
    let named = known.filter(|it| it.name().strip_prefix("SIG") == Some(wanted));
    let number = upper.parse().ok().filter(|number| numbers.contains(number));
    let found = named.map(Signal::number).next().or(number);
    found.ok_or_else(|| {
        let text = format!("{name:?} is no signal");
        let problem = Problem::new(ProblemKind::Invalid, text).place("signal");
        problem.hint("use a name as HUP, TERM or USR2, or a number from 1 to 64")
    })
}

#[cfg(test)]
mod tests {
    use super::signal_number;

    #[test]
    fn signals_have_names_and_numbers() {
        for (name, number) in [("HUP", 1), ("sigterm", 15), ("SIGUSR2", 12), ("34", 34)] {
            assert_eq!(signal_number(name).ok(), Some(number), "{name}");
        }
        for name in ["", "0", "65", "-1", "SIG", "HUPP", "15 "] {
            assert!(signal_number(name).is_err(), "{name:?}");
        }
    }
}
