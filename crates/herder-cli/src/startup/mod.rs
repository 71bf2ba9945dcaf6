//! The daemon as a service of the machine, or of a user: which files that takes, and which commands. All of
//! it is data; [`Tools`] finds and runs the programs.

mod asked;
mod openrc;
mod place;
mod systemd;
mod tools;

use std::path::PathBuf;

pub(crate) use asked::{Decided, Purpose, Which, decide};
pub(crate) use place::{Place, Wish, place};
pub(crate) use tools::{Tools, find, is_ours, remove, run, write};

/// The first line of every file that is written, by which it is known again.
pub(crate) const MARK: &str = "# Written by herder startup";

/// What starts the services of this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Init {
    /// Of most distributions.
    Systemd,
    /// Of Alpine, Gentoo and others.
    Openrc,
}

/// What a service is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Service {
    /// Its name, without an ending.
    pub(crate) name: String,
    /// Who it runs as, if that is somebody else than who starts it.
    pub(crate) user: Option<String>,
    /// Whether it runs as root.
    pub(crate) is_root: bool,
    /// The `herder` that it runs.
    pub(crate) program: PathBuf,
    /// Its `HERDER_HOME`.
    pub(crate) home: PathBuf,
    /// Where it finds programs.
    pub(crate) path: String,
}

/// What is written, and run, for a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Recipe {
    /// The file.
    pub(crate) file: PathBuf,
    /// What stands in it.
    pub(crate) text: String,
    /// Its mode.
    pub(crate) mode: u32,
    /// What makes it start with the machine.
    pub(crate) enable: Vec<Vec<String>>,
    /// What undoes that, before the file is removed.
    pub(crate) disable: Vec<Vec<String>>,
    /// What has to be run after the file was removed.
    pub(crate) forget: Vec<Vec<String>>,
    /// What starts it now.
    pub(crate) start: String,
    /// What else is worth saying.
    pub(crate) notes: Vec<String>,
}

/// How a service is set up here.
pub(crate) fn recipe(service: &Service, place: &Place, systemd: Option<u32>) -> Recipe {
    match place.init {
        Init::Systemd => systemd::recipe(service, place, systemd),
        Init::Openrc => openrc::recipe(service, place),
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// A word as a shell takes it for itself.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=@%,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Where programs are looked for: absolute directories, each once, and those of the system at the end. Of
/// the rest (`.`, empty ones, those with characters that no file can have in a unit) nothing good comes.
pub(crate) fn search_path(of_caller: &str) -> String {
    let usual = ["/usr/local/bin", "/usr/bin", "/bin"];
    let mut found: Vec<&str> = Vec::new();
    let own = of_caller.split(':');
    let own = own.filter(|it| it.starts_with('/') && !it.contains(|c: char| c.is_control()));
    for directory in own.chain(usual) {
        if !found.contains(&directory) {
            found.push(directory);
        }
    }
    found.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_a_shell_is_one_word() {
        assert_eq!(quoted("/usr/bin/herder"), "/usr/bin/herder");
        assert_eq!(quoted("PATH=/a:/b"), "PATH=/a:/b");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn programs_are_looked_for_where_the_caller_finds_them() {
        let nvm = "/home/me/.nvm/versions/node/v22.0.0/bin:.:/usr/bin::/home/me/.nvm/versions/node/v22.0.0/bin:bin:/x\ny";
        assert_eq!(
            search_path(nvm),
            "/home/me/.nvm/versions/node/v22.0.0/bin:/usr/bin:/usr/local/bin:/bin"
        );
    }
}
