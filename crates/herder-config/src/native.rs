//! herder's own files: apps by their names, and what holds for all of them.

use std::path::Path;

use herder_api::App;
use herder_api::problem::Problem;
use serde_json::{Map, Value as Json};

use crate::check;
use crate::mistake::Mistake;
use crate::node::{At, Entry, Node};
use crate::program;
use crate::resolve::resolve;
use crate::settings::{self, MAX_MISTAKES};

/// What may stand at the top.
const TOP: [&str; 2] = ["apps", "defaults"];

/// An editor's word for what describes the file.
const SCHEMA: &str = "$schema";

/// How many values of defaults all apps together may have.
const MAX_COPIES: usize = 200_000;

/// Whether a text that can be either is herder's own: apps are a table of tables by their names.
pub(crate) fn is_native(root: &Node) -> bool {
    let tables = root.get("apps").and_then(Node::table);
    tables.is_some_and(|apps| apps.iter().all(|app| app.node.table().is_some()))
}

/// The apps that a text defines, or all that is wrong with it.
pub(crate) fn read(root: &Node, directory: &Path) -> Result<Vec<App>, Vec<Mistake>> {
    let Some(top) = root.table() else {
        let message = format!(
            "here is {}, where tables should be: [apps.NAME]",
            root.kind()
        );
        return Err(vec![Mistake::new(root.at, message)]);
    };
    let mut mistakes: Vec<Mistake> = top.iter().filter_map(stray).take(MAX_MISTAKES).collect();
    let defaults = root.get("defaults");
    mistakes.extend(defaults.into_iter().flat_map(default_mistakes));
    let apps = match root.get("apps").map(|apps| (apps, apps.table())) {
        Some((_, Some(apps))) if !apps.is_empty() => apps.as_slice(),
        Some((node, None)) => {
            let message = "apps has to be a table of tables: [apps.NAME]";
            mistakes.push(Mistake::new(node.at, message));
            &[]
        }
        // Whoever wrote a setting at the top is told about that.
        Some(_) | None if !mistakes.is_empty() => &[],
        Some(_) | None => {
            let message = "no app is defined: a table [apps.NAME] is missing";
            mistakes.push(Mistake::new(root.at, message));
            &[]
        }
    };
    mistakes.extend(too_many(apps, defaults));
    if !mistakes.is_empty() {
        // What stands above is wrong: each app is looked at by itself, and not with that.
        let tables = apps.iter().filter_map(|entry| entry.node.table());
        mistakes.extend(
            tables
                .flat_map(|table| settings::mistakes(table))
                .take(MAX_MISTAKES),
        );
        return Err(in_order(mistakes));
    }
    let mut read = Vec::new();
    for entry in apps {
        match app(entry, defaults, directory) {
            Ok(app) => read.push(app),
            Err(found) => mistakes.extend(found),
        }
        if mistakes.len() >= MAX_MISTAKES {
            break;
        }
    }
    match mistakes.is_empty() {
        true => Ok(read),
        false => Err(in_order(mistakes)),
    }
}

/// What holds for all apps is copied into each: a file of a few megabytes must not become gigabytes.
fn too_many(apps: &[Entry], defaults: Option<&Node>) -> Option<Mistake> {
    let copied = defaults.map_or(0, Node::size);
    let is_too_much = copied.saturating_mul(apps.len()) > MAX_COPIES;
    let at = defaults.unwrap_or(&apps.first()?.node).at;
    is_too_much.then(|| Mistake::new(at, "these are too many defaults for so many apps"))
}

/// What will hardly be meant, although it may be right elsewhere: programs that are not in this PATH.
pub(crate) fn doubts(root: &Node, apps: &[App]) -> Vec<Mistake> {
    let doubt = |app: &App| {
        let (setting, name) = program::not_in_path(app)?;
        let entry = root
            .get("apps")
            .and_then(|apps| apps.table()?.iter().find(|entry| entry.name == app.name));
        let own = entry.map(|entry| find(&entry.node, setting).unwrap_or(entry.at));
        let at = own.unwrap_or(root.at);
        let message = format!(
            "app {}: {setting}: there is no program {name} in PATH",
            app.name
        );
        Some(Mistake::new(at, message))
    };
    apps.iter().filter_map(doubt).collect()
}

/// In the order of the lines; the same is said once.
fn in_order(mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    mistakes.sort_by_key(|mistake| mistake.at);
    mistakes.dedup();
    mistakes
}

/// What is wrong with a name at the top.
fn stray(entry: &Entry) -> Option<Mistake> {
    let name = entry.name.as_str();
    if TOP.contains(&name) || name == SCHEMA {
        return None;
    }
    let message = format!("there is no {name:?} at the top of a file, only apps and defaults");
    let mistake = Mistake::new(entry.at, message);
    Some(if settings::all().contains(&name) {
        mistake.hint(format!("A setting belongs below [apps.NAME]: {name}."))
    } else if let Some(near) = settings::nearest(name, &TOP) {
        mistake.hint(format!("Did you mean {near}?"))
    } else if settings::meant(name, "", settings::all()).is_some() {
        mistake.hint("A setting belongs below [apps.NAME].")
    } else if entry.node.table().is_some() {
        mistake.hint(format!("An app's table is called [apps.{name}]."))
    } else {
        mistake
    })
}

fn default_mistakes(defaults: &Node) -> Vec<Mistake> {
    let Some(table) = defaults.table() else {
        let message = "defaults has to be a table of settings";
        return vec![Mistake::new(defaults.at, message)];
    };
    let mut mistakes = settings::mistakes(table);
    if let Some(name) = table.iter().find(|entry| entry.name == "name") {
        mistakes.push(Mistake::new(name.at, "apps cannot have one name in common"));
    }
    mistakes
}

/// One app: what is said of it, over what is said of all.
fn app(entry: &Entry, defaults: Option<&Node>, directory: &Path) -> Result<App, Vec<Mistake>> {
    let Some(table) = entry.node.table() else {
        let message = format!("apps.{} has to be a table of settings", entry.name);
        return Err(vec![Mistake::new(entry.node.at, message)]);
    };
    let mut mistakes = settings::mistakes(table);
    if let Some(name) = table.iter().find(|inner| inner.name == "name") {
        let message = "name: an app is called as its table is";
        mistakes.push(Mistake::new(name.at, message).hint("Leave it out."));
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let below = defaults.and_then(Node::table);
    let mut all = below
        .map(|table| settings::given(table))
        .unwrap_or_default();
    let own = settings::given(table);
    // Who says what runs means that, and not what runs elsewhere.
    if own.contains_key("script") || own.contains_key("command") {
        all.retain(|name, _| name != "script" && name != "command");
    }
    settings::lay_over(&mut all, own);
    all.insert("name".to_owned(), Json::String(entry.name.clone()));
    let mut app = of_json(all).map_err(|error| {
        let message = format!("apps.{}: {error}", entry.name);
        vec![Mistake::new(entry.at, message)]
    })?;
    resolve(&mut app, directory);
    let problems = check::check(&app);
    let placed = problems
        .into_iter()
        .map(|problem| place(problem, entry, defaults));
    let placed: Vec<Mistake> = placed.collect();
    match placed.is_empty() {
        true => Ok(app),
        false => Err(placed),
    }
}

pub(crate) fn of_json(settings: Map<String, Json>) -> Result<App, serde_json::Error> {
    serde_json::from_value(Json::Object(settings))
}

/// A definition as a table of settings, those that are not their defaults.
pub(crate) fn to_json(app: &App) -> Result<Map<String, Json>, serde_json::Error> {
    serde_json::from_value(serde_json::to_value(app)?)
}

/// Where the setting stands that a problem is about.
fn place(problem: Problem, entry: &Entry, defaults: Option<&Node>) -> Mistake {
    let setting = problem.place.unwrap_or_default();
    let own = find(&entry.node, &setting);
    let at = own.or_else(|| defaults.and_then(|node| find(node, &setting)));
    Mistake {
        at: at.unwrap_or(entry.at),
        message: format!("app {}: {}", entry.name, problem.message),
        hint: problem.hint,
    }
}

/// Where a setting (`grace`, `env.PORT`) stands in a table: its name, or that of what it is in.
pub(crate) fn find(node: &Node, setting: &str) -> Option<At> {
    if let Some(items) = node.list() {
        // An item by its number, and what is in it.
        let (number, rest) = setting.split_once('.').unwrap_or((setting, ""));
        let item = items.get(number.parse::<usize>().ok()?)?;
        return Some(find(item, rest).unwrap_or(item.at));
    }
    let table = node.table()?;
    if let Some(entry) = table.iter().find(|entry| entry.name == setting) {
        return Some(entry.at);
    }
    let (first, rest) = setting.split_once('.')?;
    let entry = table.iter().find(|entry| entry.name == first)?;
    Some(find(&entry.node, rest).unwrap_or(entry.at))
}
