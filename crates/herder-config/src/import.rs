//! `herder import`: what any file defines, as `herder.toml`.

use std::path::{Path, PathBuf};

use herder_api::App;
use serde_json::{Map, Value as Json};

use crate::settings::{self, Shape};
use crate::{Loaded, STDIN, native};

/// What a file defines, as text for `herder.toml` beside it. What could not be taken over stands in comments.
#[must_use]
pub fn import(loaded: &Loaded) -> String {
    let mut text = String::new();
    let name = loaded
        .source
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    comment(
        &mut text,
        &format!("Taken over from {name} by `herder import`."),
    );
    let mut told: Vec<&str> = Vec::new();
    for app in &loaded.apps {
        text.push('\n');
        let start = format!("App {}: ", app.name);
        for warning in &loaded.warnings {
            if let Some(message) = warning.message.strip_prefix(&start) {
                told.push(&warning.message);
                comment(&mut text, message);
                warning
                    .hint
                    .iter()
                    .for_each(|hint| comment(&mut text, hint));
            }
        }
        write_app(&mut text, app, &loaded.source);
    }
    let others = loaded
        .warnings
        .iter()
        .filter(|warning| !told.contains(&warning.message.as_str()));
    let others: Vec<&str> = others.map(|warning| warning.message.as_str()).collect();
    if !others.is_empty() {
        text.push('\n');
        comment(&mut text, "What herder does not have:");
        others
            .iter()
            .for_each(|message| comment(&mut text, message));
    }
    text
}

fn comment(text: &mut String, said: &str) {
    // A comment ends with its line: nothing of a file may become more than that.
    let said = said.replace(char::is_control, " ");
    text.push_str(&format!("# {said}\n"));
}

fn write_app(text: &mut String, app: &App, source: &Path) {
    let mut app = app.clone();
    shorten(&mut app, source);
    let table = native::to_json(&app).expect("a definition is a table");
    let header = format!("apps.{}", key(&app.name));
    text.push_str(&format!("[{header}]\n"));
    let given = |name: &&&str| **name != "name" && table.contains_key(**name);
    let names: Vec<&&str> = settings::all().iter().filter(given).collect();
    let is_table = |name: &&str| settings::shape(name) != Shape::Value && table[*name].is_object();
    for name in names.iter().filter(|name| !is_table(name)) {
        text.push_str(&format!("{name} = {}\n", value(&table[**name])));
    }
    for name in names.iter().filter(|name| is_table(name)) {
        let inner = table[**name].as_object().expect("it was looked at");
        let inner = of_logs(name, inner);
        match settings::shape(name) {
            Shape::Maps => {
                for (profile, variables) in &inner {
                    let variables = variables.as_object().cloned().unwrap_or_default();
                    write_table(
                        text,
                        &format!("{header}.{name}.{}", key(profile)),
                        &variables,
                    );
                }
            }
            Shape::Value | Shape::Fields(_) | Shape::Map => {
                write_table(text, &format!("{header}.{name}"), &inner);
            }
        }
    }
}

/// Without what is so anyway.
fn of_logs(name: &str, table: &Map<String, Json>) -> Map<String, Json> {
    let usual = match name {
        "logs" => serde_json::to_value(herder_api::app::Logs::default()),
        "health" => serde_json::to_value(herder_api::app::Health::default()),
        _ => Ok(Json::Null),
    };
    let usual = usual.unwrap_or_default();
    let mut table = table.clone();
    table.retain(|name, value| usual.get(name) != Some(value));
    table
}

fn write_table(text: &mut String, header: &str, table: &Map<String, Json>) {
    text.push_str(&format!("\n[{header}]\n"));
    for (name, inner) in table {
        text.push_str(&format!("{} = {}\n", key(name), value(inner)));
    }
}

/// Paths from where the file is, so that both can be moved.
fn shorten(app: &mut App, source: &Path) {
    if source == Path::new(STDIN) {
        return;
    }
    let Some(directory) = source.parent() else {
        return;
    };
    let cwd = app.cwd.clone().unwrap_or_else(|| directory.to_owned());
    let inside = |path: &mut PathBuf| {
        if let Ok(short) = path.strip_prefix(&cwd)
            && !short.as_os_str().is_empty()
        {
            *path = short.to_owned();
        }
    };
    let texts = [app.command.first_mut(), app.interpreter.as_mut()];
    for text in texts.into_iter().flatten() {
        if let Ok(short) = Path::new(text.as_str()).strip_prefix(&cwd) {
            *text = format!("./{}", short.display());
        }
    }
    let files = [
        &mut app.script,
        &mut app.logs.out,
        &mut app.logs.error,
        &mut app.jobs_file,
    ];
    files
        .into_iter()
        .flatten()
        .chain(app.libraries.values_mut())
        .for_each(inside);
    app.cwd = match cwd.strip_prefix(directory) {
        Ok(short) if short.as_os_str().is_empty() => None,
        Ok(short) => Some(short.to_owned()),
        Err(_) => Some(cwd),
    };
}

/// A name, in quotes if it needs them.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

fn quoted(text: &str) -> String {
    // What JSON writes is TOML, but for one character that only TOML minds.
    Json::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn value(json: &Json) -> String {
    match json {
        Json::String(text) => quoted(text),
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(value).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(table) => {
            let entries = table
                .iter()
                .map(|(name, inner)| format!("{} = {}", key(name), value(inner)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => json.to_string(),
    }
}
