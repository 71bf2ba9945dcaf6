//! The verbs of the command.

use clap::{Parser, Subcommand};

use crate::run::RunArgs;
use crate::run::herd::HerdArgs;
use crate::sig::SigArgs;

/// Runs network programs as a herd: one master that listens and supervises, many workers that
/// serve.
#[derive(Parser, Debug)]
#[command(name = "herder", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
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

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    /// `UPDATE_SNAPSHOTS=1 cargo test -p herder-cli` writes it anew.
    #[test]
    fn the_help_is_as_recorded() {
        let mut command = Cli::command();
        let help = command.render_long_help().to_string();
        let run = command.find_subcommand_mut("run").expect("the verb exists");
        let run = run.render_long_help();
        let sig = command.find_subcommand_mut("sig").expect("the verb exists");
        let sig = sig.render_long_help();
        let found = format!("{help}\n--- run ---\n\n{run}\n--- sig ---\n\n{sig}");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/help.txt");
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(path, &found).expect("the snapshot can be written");
        }
        let recorded = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(found, recorded, "the help text has changed: update {path}");
    }
}
