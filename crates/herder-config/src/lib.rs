//! Files that define apps: `herder.toml`, and PM2's ecosystem files as they are.
//!
//! [`load`] reads a file and answers definitions that are checked, with absolute paths, or every problem
//! that it has, each with its line and column. The same definitions are made of other things by the same rules:
//! [`set_program`] is for whoever has only the name of a program, [`with_settings`] changes a definition by settings as they stand in a
//! file, [`resolve`] makes paths absolute and [`check`] says what cannot be.
#![forbid(unsafe_code)]

mod change;
mod check;
mod environment;
mod secret;
mod template;

use std::path::{Path, PathBuf};

use herder_api::App;
use herder_api::problem::{Problem, ProblemKind};

pub use change::{diff, needs};
pub use check::check;
pub use environment::environment;
pub use secret::{is_secret, redact, redact_environment};
pub use template::init;

/// What stands for standard input in place of a path.
pub const STDIN: &str = "-";

/// What a file defines.
#[derive(Clone, PartialEq, Debug)]
pub struct Loaded {
    /// The apps, in the order of the file (of their names, if it is one of TOML): checked, with absolute paths.
    pub apps: Vec<App>,
    /// The file, absolute; [`STDIN`] if it was read from there.
    pub source: PathBuf,
    /// What was not taken over, or will hardly be meant. The apps can be started all the same.
    pub warnings: Vec<Problem>,
}

/// What is wanted of a file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// A profile of variables (`--env NAME`). It is an error if no app has it. The definitions keep all of theirs: which
    /// one holds is said to [`environment`].
    pub profile: Option<String>,
    /// Only the apps of these names; empty = all. It is an error if one of them is not there.
    pub only: Vec<String>,
}

/// Reads a file: `.toml` is herder's own, `.json`, `.json5`, `.yaml`, `.yml`, `.js`, `.cjs` and `.mjs` are PM2's (or herder's
/// own, if `apps` is a table by names). `-` is standard input, where the text itself tells what it is.
/// A directory is searched as by [`find`].
///
/// # Errors
/// Everything that is wrong with it, in the order of its lines. The place is `FILE:LINE:COLUMN`.
pub fn load(path: &Path, options: &Options) -> Result<Loaded, Vec<Problem>> {
    let _ = options;
    let message = format!("{} cannot be read yet.", path.display());
    Err(vec![Problem::new(ProblemKind::Internal, message)])
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
    let _ = (text, directory, options);
    let message = format!("{} cannot be read yet.", name.display());
    Err(vec![Problem::new(ProblemKind::Internal, message)])
}

/// Whether this is the name of a file that [`load`] reads, and not that of a program: `herder.toml`, `*.toml`, `*.json`, `*.json5`, `*.yaml`, `*.yml`,
/// `*.config.js`, `*.config.cjs`, `*.config.mjs`. (It need not exist.)
#[must_use]
pub fn is_config(path: &Path) -> bool {
    let _ = path;
    false
}

/// The file that a directory's apps are defined in: `herder.toml`, or else `ecosystem.config.js` (`.cjs`, `.mjs`, `.json`, `.json5`, `.yaml`, `.yml`),
/// or else `ecosystem.json` and so on.
#[must_use]
pub fn find(directory: &Path) -> Option<PathBuf> {
    let _ = directory;
    None
}

/// A definition that is changed by settings as they stand in a file (of JSON): those that are `null` get their default,
/// tables such as `env` and `logs` are merged. It is not checked.
///
/// # Errors
/// Settings that there are not, or whose values are of the wrong kind. The place is the setting's name.
pub fn with_settings(
    app: &App,
    settings: &serde_json::Map<String, serde_json::Value>,
) -> Result<App, Vec<Problem>> {
    let _ = (app, settings);
    let message = "Settings cannot be changed yet.";
    Err(vec![Problem::new(ProblemKind::Internal, message)])
}

/// Makes all paths of a definition absolute: `cwd` from `directory` on (and `directory` if there is none), all others but those of
/// variables from `cwd` on. `directory` is absolute.
pub fn resolve(app: &mut App, directory: &Path) {
    let _ = (app, directory);
}

/// A program as people name it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Program {
    /// A script of any language, an executable, the name of one in PATH, or a shell's command with blanks in it.
    pub program: String,
    /// What runs it; `none` = itself. [by its extension or first line]
    pub interpreter: Option<String>,
    /// Arguments for the interpreter.
    pub interpreter_args: Vec<String>,
    /// Arguments for the program.
    pub args: Vec<String>,
}

/// Sets what an app runs: `script` for what Node, Deno or Bun run, else `command`. Sets `name`, if there is none, by the program's.
/// Relative paths are `directory`'s; nothing is made absolute.
///
/// # Errors
/// There is no such file, or nothing is known that runs it.
pub fn set_program(app: &mut App, program: &Program, directory: &Path) -> Result<(), Problem> {
    let _ = (app, directory);
    let message = format!("{} cannot be run yet.", program.program);
    Err(Problem::new(ProblemKind::Internal, message))
}

/// What a file defines, as text for `herder.toml` beside it. What could not be taken over stands in comments.
#[must_use]
pub fn import(loaded: &Loaded) -> String {
    let _ = loaded;
    String::new()
}

/// The JSON Schema of `herder.toml` (2020-12). It is published as `docs/herder.schema.json`.
#[must_use]
pub fn schema() -> serde_json::Value {
    serde_json::Value::Null
}
