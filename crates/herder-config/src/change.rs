//! What differs between two definitions, and what it takes.

use herder_api::App;
use herder_api::app::Logs;
use herder_api::control::{Change, StepKind};
use serde_json::{Map, Value as Json};

use crate::secret::{HIDDEN, is_secret, redact};
use crate::settings::{self, Shape};
use crate::{native, resolve};

/// Everything that differs from one definition of an app to the next, in the order of a definition's settings.
/// Values that look like secrets are `***`.
#[must_use]
pub fn diff(from: &App, to: &App) -> Vec<Change> {
    let (old, new) = (table(from), table(to));
    let (old_shown, new_shown) = (table(&redact(from)), table(&redact(to)));
    let mut changes = Vec::new();
    for name in settings::all() {
        let depth = match settings::shape(name) {
            Shape::Value => 0,
            Shape::Fields(_) | Shape::Map => 1,
            Shape::Maps => 2,
        };
        let sides = Sides {
            old: old.get(*name),
            new: new.get(*name),
            old_shown: old_shown.get(*name),
            new_shown: new_shown.get(*name),
        };
        sides.compare(name, depth, &mut changes);
    }
    for change in &mut changes {
        if is_fixed(&change.setting, from, to) {
            change.needs = StepKind::Restart;
        }
    }
    changes
}

/// What takes a restart only because of what else is so.
fn is_fixed(setting: &str, from: &App, to: &App) -> bool {
    match setting {
        // Who accepts connections changes with it.
        "script" | "command" => from.script.is_some() != to.script.is_some(),
        "interpreter" => [from, to].into_iter().any(listens_otherwise),
        // The primary of Node's cluster counts requests from its start on, or not at all.
        "max_requests" => {
            to.script.is_some() && from.max_requests.is_some() != to.max_requests.is_some()
        }
        // The sockets of libraries are theirs who may call them.
        "user" | "group" => [from, to].into_iter().any(has_libraries),
        _ => false,
    }
}

fn listens_otherwise(app: &App) -> bool {
    let interpreter = app.interpreter.as_deref().unwrap_or_default();
    let name = interpreter.rsplit('/').next().unwrap_or_default();
    name.starts_with("bun") || name.starts_with("deno")
}

fn has_libraries(app: &App) -> bool {
    let built_in =
        app.bus || !app.state.is_empty() || !app.jobs.is_empty() || app.jobs_file.is_some();
    built_in || !app.libraries.is_empty()
}

/// What it takes to change a setting (`grace`, `env.PORT`, `logs.keep`) of an app that runs: `Update` (the daemon alone minds it),
/// `Scale`, `Reload` or `Restart`. ([`diff`] knows more: a `script` in place of a `command` takes a restart.)
#[must_use]
pub fn needs(setting: &str) -> StepKind {
    let top = setting.split_once('.').map_or(setting, |(top, _)| top);
    match top {
        "namespace" | "depends_on" | "autostart" | "cron_restart" | "watch" | "health" => {
            StepKind::Update
        }
        "workers" => StepKind::Scale,
        // Gateways are replaced. Where workers listen was settled with them.
        "proxy" if !matches!(setting, "proxy" | "proxy.via") => StepKind::Reload,
        "name" | "listen" | "backlog" | "unix_mode" | "dispatch" | "hang" | "policy" | "proxy"
        | "weights" | "send_handle" | "master_watchdog" | "libraries" | "state" | "store"
        | "jobs" | "jobs_file" | "bus" | "stdin" | "logs" => StepKind::Restart,
        _ => StepKind::Reload,
    }
}

/// One way to write each definition: what is the same is written the same.
fn table(app: &App) -> Map<String, Json> {
    let mut app = app.clone();
    let profiles = app
        .profiles
        .values_mut()
        .flat_map(|profile| profile.values_mut());
    for value in app.env.values_mut().chain(profiles) {
        *value = herder_api::app::Scalar::Text(value.clone().into());
    }
    let cwd = app.cwd.clone();
    if let Some(cwd) = cwd.filter(|cwd| cwd.is_absolute()) {
        resolve(&mut app, &cwd);
    }
    let mut table = native::to_json(&app).expect("a definition is a table");
    // Some of these are written although nobody said them.
    let usual = serde_json::to_value(Logs::default()).unwrap_or_default();
    if let Some(logs) = table.get_mut("logs").and_then(Json::as_object_mut) {
        logs.retain(|name, value| usual.get(name) != Some(value));
    }
    table
}

/// A setting before and after, as it is and as it is shown.
#[derive(Clone, Copy)]
struct Sides<'a> {
    old: Option<&'a Json>,
    new: Option<&'a Json>,
    old_shown: Option<&'a Json>,
    new_shown: Option<&'a Json>,
}

impl Sides<'_> {
    fn compare(self, setting: &str, depth: usize, changes: &mut Vec<Change>) {
        if self.old == self.new {
            return;
        }
        let tables = [self.old, self.new].map(|side| side.and_then(Json::as_object));
        // What is not there has no settings of its own to compare.
        let is_wanted = matches!(setting, "health" | "proxy" | "watch");
        let is_table = |side: Option<&Json>| side.map_or(!is_wanted, Json::is_object);
        if depth == 0 || !is_table(self.old) || !is_table(self.new) {
            changes.push(self.change(setting));
            return;
        }
        let inner = |side: Option<&Json>, name: &str| side.and_then(|side| side.get(name)).cloned();
        let mut names: Vec<&String> = tables.into_iter().flatten().flat_map(Map::keys).collect();
        names.sort();
        names.dedup();
        for name in names {
            let [old, new] = [self.old, self.new].map(|side| inner(side, name));
            let [old_shown, new_shown] =
                [self.old_shown, self.new_shown].map(|side| inner(side, name));
            let sides = Sides {
                old: old.as_ref(),
                new: new.as_ref(),
                old_shown: old_shown.as_ref(),
                new_shown: new_shown.as_ref(),
            };
            sides.compare(&format!("{setting}.{name}"), depth - 1, changes);
        }
    }

    fn change(self, setting: &str) -> Change {
        let last = setting.rsplit('.').next().unwrap_or(setting);
        let is_variable = setting.starts_with("env.") || setting.starts_with("profiles.");
        let shown = |side: Option<&Json>| match side {
            Some(_) if is_variable && is_secret(last) => Some(Json::from(HIDDEN).to_string()),
            Some(value) => Some(value.to_string()),
            None => None,
        };
        Change {
            setting: setting.to_owned(),
            from: shown(self.old_shown),
            to: shown(self.new_shown),
            needs: needs(setting),
        }
    }
}

#[cfg(test)]
mod tests {
    use herder_api::app::{Scalar, Workers};
    use herder_api::units::Period;

    use super::*;

    fn app() -> App {
        App {
            name: "web".to_owned(),
            script: Some("/srv/app.js".into()),
            ..App::default()
        }
    }

    #[test]
    fn each_setting_that_differs_says_what_it_takes() {
        let mut to = app();
        assert_eq!(diff(&app(), &to), []);
        to.workers = Workers::Count(4);
        to.grace = Some(Period::secs(5));
        to.listen = vec!["80".to_owned()];
        to.depends_on = vec!["db".to_owned()];
        to.env.insert("PORT".to_owned(), Scalar::Integer(1));
        to.logs.keep = 3;
        to.watch = Some(herder_api::app::Watch::default());
        let found: Vec<_> = diff(&app(), &to)
            .into_iter()
            .map(|change| (change.setting, change.needs))
            .collect();
        let expected = [
            ("env.PORT", StepKind::Reload),
            ("workers", StepKind::Scale),
            ("listen", StepKind::Restart),
            ("grace", StepKind::Reload),
            ("watch", StepKind::Update),
            ("depends_on", StepKind::Update),
            ("logs.keep", StepKind::Restart),
        ];
        assert_eq!(
            found,
            expected.map(|(name, needs)| (name.to_owned(), needs))
        );
        let grace = diff(&app(), &to)
            .into_iter()
            .find(|change| change.setting == "grace")
            .unwrap();
        assert_eq!((grace.from, grace.to.as_deref()), (None, Some("\"5s\"")));
    }

    #[test]
    fn gateways_are_replaced_but_not_where_workers_listen() {
        for (setting, expected) in [
            ("proxy.gateways", StepKind::Reload),
            ("proxy.cookie", StepKind::Reload),
            ("proxy.via", StepKind::Restart),
            ("proxy", StepKind::Restart),
        ] {
            assert_eq!(needs(setting), expected, "{setting}");
        }
    }

    #[test]
    fn what_is_secret_differs_and_is_not_shown() {
        let with = |key: &str, dsn: &str| {
            let mut app = app();
            app.env
                .insert("API_KEY".to_owned(), Scalar::Text(key.to_owned()));
            app.store = Some(dsn.to_owned());
            app
        };
        let changes = diff(
            &with("canary-1", "redis://canary"),
            &with("canary-2", "redis://canary-3"),
        );
        assert_eq!(changes.len(), 2);
        let said = format!("{changes:?}");
        assert!(!said.contains("canary"), "{said}");
        assert!(said.contains("***"), "{said}");
    }

    #[test]
    fn the_same_written_otherwise_is_the_same() {
        let mut other = app();
        other.env.insert("A".to_owned(), Scalar::Integer(1));
        let mut text = app();
        text.env
            .insert("A".to_owned(), Scalar::Text("1".to_owned()));
        assert_eq!(diff(&other, &text), []);
    }

    #[test]
    fn another_kind_of_program_takes_a_restart() {
        let to = App {
            script: None,
            command: vec!["sleep".to_owned()],
            ..app()
        };
        let changes = diff(&app(), &to);
        assert!(
            changes
                .iter()
                .all(|change| change.needs == StepKind::Restart),
            "{changes:?}"
        );
    }

    #[test]
    fn what_else_is_so_may_take_a_restart() {
        let needs_of = |setting: &str, from: &App, to: &App| {
            let changes = diff(from, to);
            let change = changes.into_iter().find(|change| change.setting == setting);
            change.map(|change| change.needs)
        };
        let counts = |most| App {
            max_requests: most,
            ..app()
        };
        assert_eq!(
            needs_of("max_requests", &counts(Some(1)), &counts(Some(2))),
            Some(StepKind::Reload)
        );
        assert_eq!(
            needs_of("max_requests", &counts(None), &counts(Some(2))),
            Some(StepKind::Restart)
        );
        let owned = |user: &str, bus| App {
            user: Some(user.to_owned()),
            bus,
            ..app()
        };
        assert_eq!(
            needs_of("user", &owned("a", false), &owned("b", false)),
            Some(StepKind::Reload)
        );
        assert_eq!(
            needs_of("user", &owned("a", true), &owned("b", true)),
            Some(StepKind::Restart)
        );
        let by = |engine: &str| App {
            interpreter: Some(engine.to_owned()),
            ..app()
        };
        assert_eq!(
            needs_of("interpreter", &by("node"), &by("/opt/node")),
            Some(StepKind::Reload)
        );
        assert_eq!(
            needs_of("interpreter", &by("node"), &by("/opt/bun")),
            Some(StepKind::Restart)
        );
    }

    #[test]
    fn every_setting_is_known_here() {
        // A new setting takes a reload until it says otherwise: look at it.
        let restarts = settings::all()
            .iter()
            .filter(|name| needs(name) == StepKind::Restart);
        assert_eq!(restarts.count(), 19);
        assert_eq!(
            settings::all().len(),
            65,
            "say in needs() what the new setting takes"
        );
    }
}
