//! Arguments of the processes that last: the daemon's two, and a herd's. They are read without the
//! description of all verbs, which takes more memory and time than all else that such a process does at
//! its beginning.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::{Cli, Verb};
use crate::commands;
use crate::run::herd::HerdArgs;

/// What is meant, if it is one of the few ways in which these processes are started. All else, and all that is
/// wrong, is for the whole description.
pub(crate) fn parse(mut words: impl Iterator<Item = OsString>) -> Option<Cli> {
    let verb = match words.next()?.to_str()? {
        "daemon" => Verb::OfDaemon(commands::spare_daemon(words)?),
        "herd" => {
            let order = words.next()?;
            let is_path = order.to_str()?.starts_with('/') && words.next().is_none();
            Verb::Herd(is_path.then(|| HerdArgs::of(PathBuf::from(order)))?)
        }
        _ => return None,
    };
    Some(Cli { verb })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn spare(line: &str) -> Option<String> {
        let words = line.split_whitespace().map(OsString::from);
        parse(words).map(|cli| format!("{cli:?}"))
    }

    #[test]
    fn they_mean_what_the_whole_description_says() {
        for line in [
            "daemon",
            "daemon --background",
            "daemon --resurrect --read-group staff",
            "daemon --read-group=staff --background",
            "daemon --read-group=",
            "herd /run/order.json",
        ] {
            let whole = Cli::parse_from(["herder"].into_iter().chain(line.split_whitespace()));
            assert_eq!(spare(line), Some(format!("{whole:?}")), "{line}");
        }
    }

    #[test]
    fn the_rest_is_left_to_it() {
        for line in [
            "",
            "list",
            "daemon --help",
            "daemon --json",
            "daemon --read-group",
            "daemon --read-group --resurrect",
            "daemon --background --background",
            "daemon --read-group a --read-group b",
            "daemon now",
            "herd",
            "herd --help",
            "herd /a /b",
        ] {
            assert_eq!(spare(line), None, "{line}");
        }
    }
}
