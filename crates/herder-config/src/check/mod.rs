//! What can be known of a definition before anything is started.

mod files;
mod looks;
mod numbers;
mod program;
mod proxy;
mod shared;

use herder_api::App;
use herder_api::problem::{Problem, ProblemKind};

use crate::mistake::sentence;

/// Everything that is wrong with a definition, as far as it can be known without starting it: names, numbers, users,
/// files, combinations of settings. The place of each problem is the setting's name, as in a file. Empty = it can be tried.
///
/// Paths are looked at as they are, so make them absolute first.
#[must_use]
pub fn check(app: &App) -> Vec<Problem> {
    let mut found = Found {
        app,
        problems: Vec::new(),
    };
    names(&mut found);
    program::check(&mut found);
    program::combinations(&mut found);
    numbers::check(&mut found);
    looks::check(&mut found);
    shared::check(&mut found);
    // What is wrong in itself needs no look at the disk.
    if found.problems.is_empty() {
        files::check(&mut found);
    }
    found.problems
}

/// What was found so far.
struct Found<'a> {
    app: &'a App,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn say(&mut self, setting: &str, message: impl AsRef<str>) {
        let message = sentence(&format!("{setting}: {}", message.as_ref()));
        self.problems
            .push(Problem::new(ProblemKind::Invalid, message).place(setting));
    }

    fn say_if(&mut self, wrong: Wrong, setting: &str, message: impl AsRef<str>) {
        if wrong.0 {
            self.say(setting, message);
        }
    }
}

/// Whether something is wrong.
#[derive(Clone, Copy)]
struct Wrong(bool);

fn names(found: &mut Found<'_>) {
    let app = found.app;
    if let Some(why) = bad_name(&app.name) {
        found.say("name", why);
    }
    if let Some(why) = bad_name(&app.namespace) {
        found.say("namespace", why);
    }
    for name in &app.depends_on {
        if let Some(why) = bad_name(name) {
            found.say("depends_on", why);
        } else if *name == app.name {
            found.say("depends_on", "an app cannot wait for itself");
        }
    }
    for (name, value) in &app.env {
        variable(
            found,
            &format!("env.{name}"),
            name,
            &String::from(value.clone()),
        );
    }
    for (profile, variables) in &app.profiles {
        if let Err(error) = profile.parse::<herder_core::spec::AppName>() {
            let why = error
                .to_string()
                .replace("an app name", "the name of a profile");
            found.say(&format!("profiles.{profile}"), why);
        }
        for (name, value) in variables {
            let setting = format!("profiles.{profile}.{name}");
            variable(found, &setting, name, &String::from(value.clone()));
        }
    }
    for (setting, name) in [
        ("instance_var", &app.instance_var),
        ("increment_var", &app.increment_var),
    ] {
        if let Some(name) = name {
            variable(found, setting, name, "");
        }
    }
    for name in &app.env_remove {
        variable(found, "env_remove", name, "");
    }
    increment(found);
}

/// Why a name cannot be one, of an app or of what apps have in common.
pub(crate) fn bad_name(name: &str) -> Option<String> {
    if let Err(error) = name.parse::<herder_core::spec::AppName>() {
        return Some(error.to_string());
    }
    if name.starts_with('-') {
        return Some(format!(
            "{name:?} would be taken for an option: let it begin with something else"
        ));
    }
    if name == "all" {
        return Some("\"all\" stands for all apps: choose another name".to_owned());
    }
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| format!("{name:?} would be taken for an app's number: add a letter"))
}

fn variable(found: &mut Found<'_>, setting: &str, name: &str, value: &str) {
    if name.is_empty() || name.contains(['=', '\0']) {
        found.say(
            setting,
            format!("{name:?} cannot be the name of a variable"),
        );
    } else if name.starts_with("HERDER_ROLE") || name.starts_with("NODE_CHANNEL_") {
        found.say(setting, format!("{name} is set by herder alone"));
    }
    found.say_if(
        Wrong(value.contains('\0')),
        setting,
        "a value cannot have a NUL in it",
    );
}

/// What is counted up from slot to slot has to be a number.
fn increment(found: &mut Found<'_>) {
    let app = found.app;
    let Some(name) = &app.increment_var else {
        return;
    };
    let values = app
        .profiles
        .values()
        .filter_map(|profile| profile.get(name));
    let mut values = app.env.get(name).into_iter().chain(values).peekable();
    if values.peek().is_none() {
        found.say(
            "increment_var",
            format!("env has no {name}: its value says where to begin"),
        );
    }
    if values.any(|value| String::from(value.clone()).parse::<i64>().is_err()) {
        found.say("increment_var", format!("{name} is no whole number in env"));
    }
}
