//! Launchers: programs of Node that start the one that is meant, as an ordinary child. The channel to
//! the master is a descriptor that the *first* Node process takes, so that a launcher keeps it, and
//! what it starts listens for itself.
//!
//! They are found before anything is started, by what was typed.

mod meant;
mod typed;

use std::path::Path;

use clap::Command;
use herder_master::find::look_up;

pub(crate) use meant::quoted;

use meant::Meant;
use typed::{Place, Typed};

/// Why what was typed starts nothing, with the cure: it begins with a launcher. `words` are the command's
/// arguments from its name on, `run` is the verb as it is parsed.
pub(crate) fn refusal(words: &[String], run: &Command) -> Option<String> {
    let mut typed = Typed::read(words, run)?;
    if typed.place == Place::Script
        && let Some(told) = misplaced(&mut typed)
    {
        return Some(told);
    }
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

/// What was typed is no script as it stands there: it is several words in one, of which `typed` then
/// has each; or its arguments stand beside it. Returns what to say unless it is a launcher.
fn misplaced(typed: &mut Typed) -> Option<String> {
    let first = typed.words.first()?.clone();
    let is_file = || typed.directory.join(&first).exists();
    let is_line = first.contains(char::is_whitespace) && !is_file();
    let is_launched = |words: &[String]| meant::in_the_way(words).is_some();
    if is_line {
        let behind = typed.words.split_off(1);
        typed.words = first.split_whitespace().map(str::to_owned).collect();
        typed.words.extend(behind);
        if is_launched(&typed.words) {
            return None;
        }
        let cure = match meant::of(&typed.words, &typed.directory) {
            Some(meant) => meant.command(&typed.options),
            None => behind_dashes(&typed.options, [&first]),
        };
        return Some(format!(
            "{first:?} is several words and no file; type: {cure}"
        ));
    }
    if is_launched(&typed.words) {
        return None;
    }
    if typed.words.len() > 1 && !is_file() && is_program(&first, &typed.directory) {
        let words = typed.words.iter().filter(|word| *word != "--");
        return Some(format!(
            "{first:?} is a program, and goes behind -- with its arguments; type: {}",
            behind_dashes(&typed.options, words)
        ));
    }
    if typed.beside == 0 {
        return None;
    }
    let meant = Meant::script_with(&typed.words)?;
    Some(format!(
        "{first:?} is the script, and its arguments go behind --; type: {}",
        meant.command(&typed.options)
    ))
}

/// Whether PATH has it.
fn is_program(name: &str, directory: &Path) -> bool {
    !name.contains('/') && look_up(name.as_ref(), Some(directory)).is_ok()
}

/// What to type for a program, with these options of ours.
fn behind_dashes<'a>(options: &[String], program: impl IntoIterator<Item = &'a String>) -> String {
    let quoted = |word: &String| meant::quoted(word);
    let mut words = vec!["herder run".to_owned()];
    words.extend(options.iter().map(quoted));
    words.push("--".to_owned());
    words.extend(program.into_iter().map(quoted));
    words.join(" ")
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
