//! The verbs of the command.

use clap::{Parser, Subcommand};

use crate::commands;

use crate::run::RunArgs;
use crate::run::herd::HerdArgs;
use crate::sig::SigArgs;

const AFTER_HELP: &str = "\
The first command starts a daemon in the background, which keeps the list of apps in HERDER_HOME
[default: ~/.herder]. `herder run` needs none.

An APP is named by its name, its number, its namespace, /a pattern/, or all. Verbs, short forms and
options are PM2's where PM2 has them.

  herder start app.js -i max      start a program, with a worker for each CPU
  herder start herder.toml        start what a file defines (PM2's ecosystem files, too)
  herder list                     what runs
  herder logs web                 what it prints
  herder reload web               a new version, without losing a connection
  herder apply herder.toml        make a changed file hold

Exit status:
    0  it is done
    1  it failed, or was rolled back, or something else is under way
    2  wrong arguments, or a wrong file
    3  no worker became ready
    4  an address cannot be listened at
    5  there is no such app
    6  the daemon cannot be reached or started
   70  a defect of herder, or of the machine
   77  you may not
  100  another daemon has this home";

/// Runs network programs as herds: one master that listens and supervises, many workers that serve.
#[derive(Parser, Debug)]
#[command(name = "herder", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    #[command(flatten)]
    OfDaemon(commands::Verb),

    /// Run a program in the foreground, several times, behind one address.
    Run(Box<RunArgs>),

    /// Run the herd of an app for the daemon.
    #[command(hide = true)]
    Herd(HerdArgs),

    /// Print what a library that runs offers: as JSON, or as types for TypeScript.
    Sig(SigArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::render::snapshot;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_is_as_recorded() {
        let mut command = Cli::command().term_width(100);
        snapshot::check("help", &command.render_long_help().to_string());
        command.build();
        for verb in command.get_subcommands_mut() {
            let name = format!("help-{}", verb.get_name());
            let brief = verb.render_help().to_string();
            let long = verb.render_long_help().to_string();
            let text = if brief == long {
                long
            } else {
                format!("{long}\n--- -h ---\n\n{brief}")
            };
            snapshot::check(&name, &text);
        }
    }

    #[test]
    fn what_stands_below_the_options_is_not_broken_anew() {
        for verb in Cli::command().get_subcommands() {
            let text = verb.get_after_help().map(ToString::to_string);
            for line in text.iter().flat_map(|text| text.lines()) {
                assert!(line.chars().count() <= 100, "{}: {line}", verb.get_name());
            }
        }
    }

    #[test]
    fn every_verb_says_what_it_does() {
        for verb in Cli::command().get_subcommands() {
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
        }
    }
}
