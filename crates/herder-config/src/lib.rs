//! Files that define apps: `herder.toml`, and PM2's ecosystem files as they are.
//!
//! [`load`] reads a file and answers definitions that are checked, with absolute paths, or every problem
//! that it has, each with its line and column. The same definitions are made of other things by the same rules:
//! [`set_program`] is for whoever has only the name of a program, [`with_settings`] changes a definition by settings as they stand in a
//! file, [`resolve`] makes paths absolute and [`check`] says what cannot be.
#![forbid(unsafe_code)]

mod change;
mod check;
mod ecosystem;
mod environment;
mod import;
mod javascript;
mod load;
mod mistake;
mod native;
mod node;
mod program;
mod resolve;
mod schema;
mod secret;
mod settings;
mod signal;
mod source;
mod syntax;
mod template;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use herder_api::App;
use herder_api::problem::{Problem, ProblemKind};
use serde_json::{Map, Value as Json};

use node::Node;

pub use change::{diff, needs};
pub use check::check;
pub use environment::environment;
pub use import::import;
pub use load::{find, is_config, load, load_text};
pub use program::{Program, set_program};
pub use resolve::resolve;
pub use schema::schema;
pub use secret::{is_secret, redact, redact_environment};
pub use signal::signal_number;
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

/// A definition that is changed by settings as they stand in a file (of JSON): those that are `null` get their default,
/// tables such as `env` and `logs` are merged. It is not checked.
///
/// # Errors
/// Settings that there are not, or whose values are of the wrong kind. The place is the setting's name.
pub fn with_settings(app: &App, new: &Map<String, Json>) -> Result<App, Vec<Problem>> {
    let node = Node::of_json(&Json::Object(new.clone()));
    let table = node.table().expect("it is made of a map");
    let wrong = settings::mistakes(table);
    if !wrong.is_empty() {
        let told = wrong.into_iter().map(|mistake| mistake.told_of_setting());
        return Err(told.collect());
    }
    let failed = |error: serde_json::Error| {
        let message = mistake::sentence(&format!("the settings do not go together: {error}"));
        vec![Problem::new(ProblemKind::Invalid, message)]
    };
    let mut all = native::to_json(app).map_err(failed)?;
    settings::lay_over(&mut all, new.clone());
    native::of_json(all).map_err(failed)
}
