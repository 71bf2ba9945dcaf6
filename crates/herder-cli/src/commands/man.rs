//! `herder man`

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use herder_api::Problem;
use herder_api::problem::ProblemKind;

use super::Outcome;
use super::completion::directory;
use super::context::Context;
use crate::cli::Cli;
use crate::render::text::escape;

/// Write the manual pages: herder(1), and one for each verb.
#[derive(clap::Args, Debug)]
#[command(hide = true)]
pub(crate) struct Args {
    /// Where to. [default: ~/.local/share/man/man1]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    let to = match args.directory {
        Some(to) => to,
        None => directory("XDG_DATA_HOME", ".local/share")?.join("man/man1"),
    };
    let count = write(&to, Cli::command()).map_err(|error| {
        let text = format!("The pages cannot be written: {error}.");
        Problem::new(ProblemKind::Failed, text).place(to.display().to_string())
    })?;
    let shown = escape(&to.display().to_string());
    context.say(&format!("{count} pages are written to {shown}.\n"))
}

/// Writes a page for the command, and one for each verb that people are to know. Says how many.
fn write(to: &Path, command: Command) -> io::Result<usize> {
    fs::create_dir_all(to)?;
    let mut count = 0;
    for (name, page) in pages(command) {
        fs::write(to.join(name), page?)?;
        count += 1;
    }
    Ok(count)
}

/// The pages, with the names of their files.
fn pages(command: Command) -> Vec<(String, io::Result<Vec<u8>>)> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let verbs = command.get_subcommands();
    let verbs: Vec<Command> = verbs.filter(|verb| !verb.is_hide_set()).cloned().collect();
    let all = std::iter::once(command).chain(verbs);
    all.map(|one| {
        let page = clap_mangen::Man::new(one).manual("herder");
        let mut bytes = Vec::new();
        let rendered = page.render(&mut bytes);
        (page.get_filename(), rendered.map(|()| bytes))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_verb_has_a_page_that_says_what_it_does() {
        let pages: BTreeMap<String, String> = pages(Cli::command())
            .into_iter()
            .map(|(name, page)| {
                let page = page.expect("memory takes everything");
                (name, String::from_utf8(page).expect("text"))
            })
            .collect();
        let command = Cli::command();
        let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        let names: Vec<String> = verbs.map(|verb| verb.get_name().to_owned()).collect();
        assert_eq!(pages.len(), names.len() + 1);
        for name in &names {
            let page = &pages[&format!("herder-{name}.1")];
            assert!(page.contains(".SH SYNOPSIS"), "{name}");
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.expect("it says what it does").to_string();
            let first = about.split([' ', '-', '\'']).next().expect("a word");
            assert!(page.contains(first), "{name}: {about}");
        }
        let main = &pages["herder.1"];
        assert!(main.contains("Exit status"), "{main}");
        assert!(!main.contains("herder\\-complete"), "it is for shells");
    }

    #[test]
    fn pages_are_files() {
        let to = std::env::temp_dir().join(format!("herder-man-{}", std::process::id()));
        let count = write(&to.join("man1"), Cli::command()).expect("they can be written");
        let found = fs::read_dir(to.join("man1")).expect("a directory").count();
        assert_eq!(found, count);
        fs::remove_dir_all(&to).expect("it is ours");
    }
}
