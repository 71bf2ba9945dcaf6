//! From a path to apps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use herder_api::App;
use herder_api::problem::{Problem, ProblemKind};

use crate::mistake::Mistake;
use crate::node::Node;
use crate::syntax::{self, Format};
use crate::{Loaded, Options, STDIN, ecosystem, javascript, native, settings, source};

/// Files that a directory's apps are defined in, the first that is there.
const NAMES: [&str; 13] = [
    "herder.toml",
    "ecosystem.config.js",
    "ecosystem.config.cjs",
    "ecosystem.config.mjs",
    "ecosystem.config.json",
    "ecosystem.config.json5",
    "ecosystem.config.yaml",
    "ecosystem.config.yml",
    "ecosystem.json",
    "ecosystem.json5",
    "ecosystem.yaml",
    "ecosystem.yml",
    "pm2.config.js",
];

/// As many apps as one file may define.
const MAX_APPS: usize = 4096;

/// Reads a file: `.toml` is herder's own, `.json`, `.json5`, `.yaml`, `.yml`, `.js`, `.cjs` and `.mjs` are PM2's (or herder's
/// own, if `apps` is a table by names). `-` is standard input, where the text itself tells what it is.
/// A directory is searched as by [`find`].
///
/// # Errors
/// Everything that is wrong with it, in the order of its lines. The place is `FILE:LINE:COLUMN`.
pub fn load(path: &Path, options: &Options) -> Result<Loaded, Vec<Problem>> {
    if path == Path::new(STDIN) {
        let text = source::read_stdin().map_err(|problem| vec![problem])?;
        let directory = std::env::current_dir().map_err(|error| {
            let message = format!("The working directory is not known: {error}.");
            vec![Problem::new(ProblemKind::Invalid, message)]
        })?;
        return load_text(&text, path, &directory, options);
    }
    let found = match path.is_dir() {
        true => find(path).ok_or_else(|| vec![nothing_in(path)])?,
        false => path.to_owned(),
    };
    let read = source::read(&found).map_err(|problem| vec![problem])?;
    // A path that is absolute has a parent, if it is a file's.
    let directory = read.path.parent().unwrap_or(Path::new("/")).to_owned();
    match read
        .path
        .extension()
        .and_then(|extension| extension.to_str())
    {
        Some("js" | "cjs" | "mjs") => {
            let exports = javascript::exports(&read.path).map_err(|problem| vec![problem])?;
            let root = Node::of_json(&exports);
            finish(&Text::new(&read.path, &root), &directory, options)
        }
        _ => load_text(&read.text, &read.path, &directory, options),
    }
}

/// As [`load`], of a text. `name` stands in problems, and its extension tells what the text is; without one the text does.
/// Relative paths are `directory`'s, which is absolute.
///
/// # Errors
/// Everything that is wrong with it. JavaScript cannot be read from a text.
pub fn load_text(
    text: &str,
    name: &Path,
    directory: &Path,
    options: &Options,
) -> Result<Loaded, Vec<Problem>> {
    let file = name.display().to_string();
    let known = Format::of(name);
    if let (None, Some(extension)) = (known, name.extension()) {
        let message = format!(
            "{file}: nothing is known of files that end in .{}.",
            extension.display()
        );
        let hint = "herder reads .toml, .json, .json5, .yaml, .yml, .js, .cjs and .mjs.";
        return Err(vec![Problem::new(ProblemKind::Invalid, message).hint(hint)]);
    }
    let parsed = match known {
        Some(format) => syntax::parse(text, format).map(|root| (root, format)),
        None => syntax::guess(text),
    };
    let (root, format) = parsed.map_err(|mistake| vec![mistake.told(&file)])?;
    let is_native = format == Format::Toml || native::is_native(&root);
    let text = Text {
        is_native,
        ..Text::new(name, &root)
    };
    finish(&text, directory, options)
}

/// What was read, and from where.
struct Text<'a> {
    name: &'a Path,
    root: &'a Node,
    is_native: bool,
}

impl<'a> Text<'a> {
    fn new(name: &'a Path, root: &'a Node) -> Text<'a> {
        Text {
            name,
            root,
            is_native: native::is_native(root),
        }
    }
}

fn finish(text: &Text<'_>, directory: &Path, options: &Options) -> Result<Loaded, Vec<Problem>> {
    let file = text.name.display().to_string();
    let told = |mistakes: Vec<Mistake>| {
        let mut problems: Vec<Problem> = mistakes
            .into_iter()
            .map(|mistake| mistake.told(&file))
            .collect();
        problems.truncate(settings::MAX_MISTAKES);
        problems
    };
    let (mut apps, warnings) = match text.is_native {
        true => {
            let apps = native::read(text.root, directory).map_err(told)?;
            let doubts = native::doubts(text.root, &apps);
            (apps, doubts)
        }
        false => {
            let read = ecosystem::read(text.root, directory, options).map_err(told)?;
            (read.apps, read.notes)
        }
    };
    if apps.len() > MAX_APPS {
        let message = format!(
            "{file} defines {} apps; {MAX_APPS} are the most.",
            apps.len()
        );
        return Err(vec![
            Problem::new(ProblemKind::Invalid, message).place(file),
        ]);
    }
    let wrong = agree(&apps);
    if !wrong.is_empty() {
        return Err(wrong
            .into_iter()
            .map(|problem| problem.place(file.as_str()))
            .collect());
    }
    choose(&mut apps, options).map_err(|problem| vec![problem.place(file.as_str())])?;
    Ok(Loaded {
        apps,
        source: text.name.to_owned(),
        warnings: told(warnings),
    })
}

/// What is wrong with apps together: who waits for whom.
fn agree(apps: &[App]) -> Vec<Problem> {
    // Who is not in this file may be in the list; the daemon knows.
    let named = apps.iter().map(|app| (app.name.as_str(), app));
    let named: BTreeMap<&str, &App> = named.collect();
    let mut problems = Vec::new();
    let mut done = BTreeSet::new();
    for app in apps {
        let mut path = vec![(app.name.as_str(), 0)];
        while let Some((name, next)) = path.pop() {
            let next_one = named.get(name).and_then(|app| app.depends_on.get(next));
            let Some(waited) = next_one else {
                done.insert(name);
                continue;
            };
            path.push((name, next + 1));
            if let Some(start) = path.iter().position(|(name, _)| *name == waited) {
                let circle: Vec<&str> = path[start..].iter().map(|(name, _)| *name).collect();
                let message = format!(
                    "Apps wait for one another: {} → {waited}.",
                    circle.join(" → ")
                );
                problems.push(
                    Problem::new(ProblemKind::Invalid, message).hint("Take one out of depends_on."),
                );
                return problems;
            }
            if named.contains_key(waited.as_str()) && !done.contains(waited.as_str()) {
                path.push((waited, 0));
            }
        }
    }
    problems
}

/// Keeps what is wanted.
fn choose(apps: &mut Vec<App>, options: &Options) -> Result<(), Problem> {
    let names: Vec<&str> = apps.iter().map(|app| app.name.as_str()).collect();
    if let Some(missing) = options
        .only
        .iter()
        .find(|name| !names.contains(&name.as_str()))
    {
        let message = format!("No app is called {missing:?} here.");
        return Err(Problem::new(ProblemKind::NotFound, message).hint(alike(missing, &names)));
    }
    if !options.only.is_empty() {
        apps.retain(|app| options.only.contains(&app.name));
    }
    let Some(profile) = &options.profile else {
        return Ok(());
    };
    let profiles: BTreeSet<&str> = apps
        .iter()
        .flat_map(|app| app.profiles.keys())
        .map(String::as_str)
        .collect();
    if profiles.contains(profile.as_str()) {
        return Ok(());
    }
    let profiles: Vec<&str> = profiles.into_iter().collect();
    let message = format!("No app has variables for {profile:?}.");
    Err(Problem::new(ProblemKind::NotFound, message).hint(alike(profile, &profiles)))
}

fn alike(name: &str, known: &[&str]) -> String {
    match (settings::nearest(name, known), known) {
        (Some(near), _) => format!("Did you mean {near}?"),
        (None, []) => "There are none.".to_owned(),
        (None, _) => format!("There are: {}.", known.join(", ")),
    }
}

fn nothing_in(directory: &Path) -> Problem {
    let message = format!("No apps are defined in {}.", directory.display());
    let hint = "It would be in herder.toml (`herder init` writes one) or ecosystem.config.js.";
    Problem::new(ProblemKind::NotFound, message).hint(hint)
}

/// Whether this is the name of a file that [`load`] reads, and not that of a program: `herder.toml`, `*.toml`, `*.json`, `*.json5`, `*.yaml`, `*.yml`,
/// `*.config.js`, `*.config.cjs`, `*.config.mjs`. (It need not exist.)
#[must_use]
pub fn is_config(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let scripts = [".config.js", ".config.cjs", ".config.mjs"];
    Format::of(path).is_some() || scripts.iter().any(|script| name.ends_with(script))
}

/// The file that a directory's apps are defined in: `herder.toml`, or else `ecosystem.config.js` (`.cjs`, `.mjs`, `.json`, `.json5`, `.yaml`, `.yml`),
/// or else `ecosystem.json` and so on.
#[must_use]
pub fn find(directory: &Path) -> Option<PathBuf> {
    let mut files = NAMES.iter().map(|name| directory.join(name));
    files.find(|file| file.is_file())
}
