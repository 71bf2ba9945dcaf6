//! Finding the program, before anything is started.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use herder_core::spec::AppName;
use herder_master::config::Command;
pub(crate) use herder_master::find::within;
use herder_sys::user::Identity;

use super::description::Description;
use super::error::ProgramError;

/// A program that can be executed.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// By which name.
    pub(crate) sought: OsString,
    pub(crate) argv: Vec<OsString>,
}

impl Found {
    /// The program as the workers run it: where the description says, with these rights.
    pub(crate) fn command(self, description: &Description, identity: Option<Identity>) -> Command {
        Command {
            path: self.path,
            sought: Some(self.sought),
            argv: self.argv,
            directory: description.app.cwd.clone(),
            identity,
        }
    }
}

/// Finds the program that `words` name, as a shell would that has the app's environment and directory.
pub(crate) fn find(words: &[OsString], description: &Description) -> Result<Found, ProgramError> {
    let Some(first) = words.first().filter(|word| !word.is_empty()) else {
        return Err(ProgramError::Empty);
    };
    if words.len() == 1 && is_command_line(first, description.directory()) {
        let argv = vec!["sh".into(), "-c".into(), first.clone()];
        return Ok(Found {
            path: description.look_up(OsStr::new("sh"))?,
            sought: "sh".into(),
            argv,
        });
    }
    Ok(Found {
        path: description.look_up(first)?,
        sought: first.clone(),
        argv: words.to_vec(),
    })
}

/// What runs a script of this name, if that says it. (What Node runs, [`node`](super::node) knows.)
pub(super) fn runner_by_name(script: &Path) -> Option<&'static [&'static str]> {
    match script.extension().and_then(OsStr::to_str) {
        Some("py") => Some(&["python3"]),
        Some("rb") => Some(&["ruby"]),
        Some("jar") => Some(&["java", "-jar"]),
        _ => None,
    }
}

/// The herd's name when none is given: the program's, as far as it is one.
pub(crate) fn default_name(found: &Found) -> AppName {
    let script = script(&found.argv);
    let interpreted = found
        .path
        .file_name()
        .and_then(OsStr::to_str)
        .is_some_and(is_interpreter);
    let named = match script {
        Some(script) if interpreted => Path::new(script).file_stem(),
        _ => found.path.file_stem(),
    };
    name_from(named)
}

/// A name, as far as this is one.
pub(crate) fn name_from(named: Option<&OsStr>) -> AppName {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let named = named.map(|name| {
        name.to_string_lossy()
            .chars()
            .filter(allowed)
            .take(64)
            .collect()
    });
    named
        .and_then(|name: String| name.parse().ok())
        .unwrap_or_else(|| "app".parse().expect("app is a name"))
}

/// What an interpreter is to run, unless that is a text of its own (`-c TEXT`, `-e TEXT`).
fn script(argv: &[OsString]) -> Option<&OsString> {
    let is_option = |arg: &OsString| arg.as_bytes().starts_with(b"-");
    let place = argv.iter().skip(1).position(|arg| !is_option(arg))? + 1;
    let is_text = ["-c", "-e", "--eval"]
        .iter()
        .any(|option| argv[place - 1] == *option);
    (!is_text).then(|| &argv[place])
}

fn is_interpreter(name: &str) -> bool {
    ["bash", "node", "perl", "python", "ruby", "sh"]
        .iter()
        .any(|known| name.starts_with(known))
}

/// One word with blanks is a command line, unless a file is called so.
fn is_command_line(word: &OsStr, directory: Option<&Path>) -> bool {
    let has_blanks = word.as_bytes().iter().any(u8::is_ascii_whitespace);
    has_blanks && !within(directory, Path::new(word)).exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::words::Words;

    fn find(words: &[OsString]) -> Result<Found, ProgramError> {
        super::find(words, &Description::bare(Words::Options))
    }

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_name_is_looked_up_and_a_path_is_not() {
        let sh = find(&words(&["sh", "-c", "true"])).expect("sh is there");
        assert!(sh.path.is_absolute());
        assert_eq!(sh.argv, words(&["sh", "-c", "true"]));
        let error = find(&words(&["no-such-program-here"])).expect_err("it is not there");
        assert!(error.to_string().contains("PATH"), "{error}");
        let error = find(&words(&["/etc/passwd"])).expect_err("it is not executable");
        assert!(error.to_string().contains("chmod +x"), "{error}");
        assert!(find(&words(&[""])).is_err());
    }

    #[test]
    fn one_word_with_blanks_is_a_command_line() {
        let found = find(&words(&["echo a; echo b"])).expect("sh is there");
        assert_eq!(found.argv, words(&["sh", "-c", "echo a; echo b"]));
    }

    #[test]
    fn the_name_is_the_scripts_or_the_programs() {
        for (path, argv, name) in [
            (
                "/usr/bin/python3",
                &["python3", "-u", "/srv/web app.py"][..],
                "webapp",
            ),
            ("/opt/server", &["server", "x"], "server"),
            ("/bin/sh", &["sh", "-c"], "sh"),
            ("/bin/sh", &["sh", "-c", "exec ./a.out"], "sh"),
            ("/usr/bin/node", &["node", "-e", "listen(1.5)"], "node"),
            ("/usr/bin/python3", &["python3", "-m", "uvicorn"], "uvicorn"),
            ("/bin/\u{fc}", &["\u{fc}"], "app"),
        ] {
            let found = Found {
                path: path.into(),
                sought: path.into(),
                argv: words(argv),
            };
            assert_eq!(default_name(&found).as_str(), name, "{argv:?}");
        }
    }
}
