//! PM2's ecosystem files, as they are.

mod app;
mod environment;
mod keys;
mod logs;
mod reader;
mod values;

use std::collections::BTreeMap;
use std::path::Path;

use herder_api::App;
use herder_api::problem::Problem;

use crate::mistake::Mistake;
use crate::node::{At, Node};
use crate::settings::MAX_MISTAKES;
use crate::{Options, check};

/// What a file says.
pub(crate) struct Read {
    pub(crate) apps: Vec<App>,
    /// What is not as with PM2.
    pub(crate) notes: Vec<Mistake>,
}

/// What stands beside the apps, and what there is instead.
const BESIDE: [(&str, &str); 3] = [
    (
        "deploy",
        "herder copies nothing to other machines: let your pipeline do that, and run `herder reload` there",
    ),
    (
        "static",
        "herder serves no files: run a server of files as an app's command",
    ),
    (
        "serve",
        "herder serves no files: run a server of files as an app's command",
    ),
];

/// The apps of an ecosystem file, in any of its shapes. Paths are absolute, from `directory` on.
pub(crate) fn read(root: &Node, directory: &Path, options: &Options) -> Result<Read, Vec<Mistake>> {
    let (nodes, mut notes) = apps_of(root).map_err(|mistake| vec![mistake])?;
    let mut mistakes = Vec::new();
    let mut apps = Vec::new();
    let mut names = BTreeMap::new();
    for node in nodes {
        if mistakes.len() >= MAX_MISTAKES {
            break;
        }
        let Some(table) = node.table() else {
            let message = format!("here is {}, where an app should be", node.kind());
            mistakes.push(Mistake::new(node.at, message));
            continue;
        };
        let mut reader = reader::Reader::new(table, node.at);
        let app = app::app(&mut reader, directory, options);
        notes.append(&mut reader.notes);
        mistakes.append(&mut reader.mistakes);
        let Some(mut app) = app else { continue };
        if let Some(name) = another_name(&app.name, &mut names) {
            let message = format!(
                "app {}: there is another app of this name; this one is called {name}",
                app.name
            );
            notes.push(Mistake::new(reader.place(&["name", "script"]), message));
            app.name = name;
        }
        let problems = check::check(&app).into_iter();
        mistakes.extend(problems.map(|problem| place(problem, &app, &reader)));
        apps.push(app);
    }
    if apps.is_empty() && mistakes.is_empty() {
        mistakes.push(Mistake::new(root.at, "no app is defined"));
    }
    match mistakes.is_empty() {
        true => Ok(Read { apps, notes }),
        false => Err(mistakes),
    }
}

/// `{apps: […]}`, `{pm2: […]}`, a list, or one app alone.
fn apps_of(root: &Node) -> Result<(Vec<&Node>, Vec<Mistake>), Mistake> {
    if let Some(items) = root.list() {
        return Ok((items.iter().collect(), Vec::new()));
    }
    let Some(table) = root.table() else {
        let message = format!("here is {}, where apps should be", root.kind());
        return Err(Mistake::new(root.at, message));
    };
    let named = table
        .iter()
        .find(|entry| matches!(entry.name.as_str(), "apps" | "pm2"));
    let Some(named) = named else {
        let is_app = ["script", "exec", "cmd", "command"]
            .iter()
            .any(|key| root.get(key).is_some());
        let beside = table
            .iter()
            .any(|entry| BESIDE.iter().any(|(name, _)| entry.name == *name));
        return match is_app || !beside {
            true => Ok((vec![root], Vec::new())),
            false => Err(Mistake::new(
                root.at,
                "no app is defined: a list called apps is missing",
            )),
        };
    };
    let others = table
        .iter()
        .filter(|entry| entry.name != named.name && !entry.node.is_null());
    let notes = others.map(|entry| {
        let advice = BESIDE.iter().find(|(name, _)| *name == entry.name);
        let instead = advice.map_or(
            "there is no such key at the top of a file",
            |(_, instead)| instead,
        );
        Mistake::new(
            entry.at,
            format!("{:?} is not taken over: {instead}", entry.name),
        )
    });
    let nodes = match named.node.list() {
        Some(items) => items.iter().collect(),
        None => vec![&named.node],
    };
    Ok((nodes, notes.collect()))
}

/// Another name, if this one is taken. Each knows which number is next, so that many of a name are soon told apart.
fn another_name(name: &str, taken: &mut BTreeMap<String, u32>) -> Option<String> {
    let Some(next) = taken.get(name).copied() else {
        taken.insert(name.to_owned(), 2);
        return None;
    };
    let start: String = name.chars().take(56).collect();
    let mut numbers = next..;
    let (number, free) = numbers.find_map(|number| {
        let free = format!("{start}-{number}");
        (!taken.contains_key(&free)).then_some((number, free))
    })?;
    taken.insert(name.to_owned(), number + 1);
    taken.insert(free.clone(), 2);
    Some(free)
}

/// Where the key stands that a problem is about.
fn place(problem: Problem, app: &App, reader: &reader::Reader<'_>) -> Mistake {
    let setting = problem.place.unwrap_or_default();
    let at = match setting.strip_prefix("profiles.") {
        Some(rest) => {
            let profile = rest.split('.').next().unwrap_or_default();
            reader.place(&[&format!("env_{profile}")])
        }
        None => reader.place(keys::keys_of(&setting)),
    };
    let at = if at == At::default() { reader.at } else { at };
    Mistake {
        at,
        message: format!("app {}: {}", app.name, problem.message),
        hint: problem.hint,
    }
}
