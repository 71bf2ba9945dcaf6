//! Launchers: programs of Node that start the one that is meant, as an ordinary child. The channel to
//! the master is a descriptor that the *first* Node process takes, so that a launcher keeps it, and
//! what it starts listens for itself.
//!
//! They are found before anything is started, by what was typed.

mod meant;
mod typed;

use std::path::Path;

use clap::Command;

use meant::Meant;
use typed::{Place, Typed};

/// Why what was typed starts nothing, with the cure: it begins with a launcher. `words` are the command's
/// arguments from its name on, `run` is the verb as it is parsed.
pub(crate) fn refusal(words: &[String], run: &Command) -> Option<String> {
    let typed = Typed::read(words, run)?;
    let what = match typed.place {
        Place::Script => meant::in_the_way(&typed.words)?,
        // There an engine is as good as any program.
        Place::Program => meant::launcher(&typed.words)?,
    };
    let given = typed.words.join(" ");
    let cure = cure(&typed);
    let as_it_is = match typed.place {
        Place::Script => String::new(),
        Place::Program => format!("; to run it as it is, write it as one word: -- '{given}'"),
    };
    Some(format!("{given:?} {what}; {cure}{as_it_is}"))
}

/// What is to be known of a program behind `--` that would better be a SCRIPT: it has no listener, and a
/// worker of Node's cluster needs none.
pub(crate) fn hint(program: &[String], directory: &Path) -> Option<String> {
    if !matches!(meant::base_name(program.first()?)?, "node" | "nodejs") {
        return None;
    }
    let meant = meant::of(program, directory)?;
    let command = meant.command(&[]);
    let text = "stands behind --: if it listens, each worker does so for itself, and the second one \
                finds the port taken";
    Some(format!(
        "{:?} {text}; as workers of Node's cluster: {command}",
        program.join(" ")
    ))
}

fn cure(typed: &Typed) -> String {
    match meant::of(&typed.words, &typed.directory) {
        Some(meant) => format!("type: {}", meant.command(&typed.options)),
        None => {
            let unknown = Meant::unknown();
            let command = unknown.command(&typed.options);
            format!("name the script that it starts: {command}")
        }
    }
}

#[cfg(test)]
mod tests;
