//! Libraries, as the command line names them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use herder_core::spec::{LibraryName, LifePolicy};
use herder_master::config::{Command, Host, Library, LibraryProgram, OnReload};
use herder_sys::user::Identity;

use super::args::RunArgs;
use super::node::{self, Engine, NodeError};
use super::program::{self, Found, ProgramError};

/// What serves the exports of a script.
const HOST: Host = Host {
    main: "host.js",
    files: include!(concat!(env!("OUT_DIR"), "/host.rs")),
};

/// `NAME=FILE`.
#[derive(Clone, Debug)]
pub(crate) struct LibraryArg {
    name: LibraryName,
    file: PathBuf,
}

/// Why a library cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LibraryError {
    #[error("--library {name}: {source}")]
    Node {
        name: LibraryName,
        source: NodeError,
    },
    #[error("--library {name}: {source}")]
    Program {
        name: LibraryName,
        source: ProgramError,
    },
}

impl FromStr for LibraryArg {
    type Err = String;

    fn from_str(text: &str) -> Result<LibraryArg, String> {
        let Some((name, file)) = text.split_once('=').filter(|(_, file)| !file.is_empty()) else {
            return Err("write NAME=SCRIPT, for instance core=./core.js".to_owned());
        };
        let name = name.parse::<LibraryName>();
        Ok(LibraryArg {
            name: name.map_err(|error| error.to_string())?,
            file: file.into(),
        })
    }
}

impl LibraryArg {
    /// How agents ask for it.
    pub(super) fn name(&self) -> LibraryName {
        self.name
    }
}

/// The libraries of the herd. They have the workers' rights and directory.
pub(super) fn libraries(
    args: &RunArgs,
    identity: Option<&Identity>,
) -> Result<Vec<Library>, LibraryError> {
    let library = |given: &LibraryArg| {
        let is_hosted = node::interpreter_of(&given.file, args.cwd.as_deref());
        let (program, hang) = match is_hosted {
            Ok(interpreter) => {
                let command = script(given, interpreter, args, identity)?;
                (
                    LibraryProgram::Hosted(command, HOST),
                    LifePolicy::default().hang,
                )
            }
            Err(NodeError::UnknownScript(_)) => {
                let command = command(given, vec![path_of(&given.file)], args, identity)?;
                let hang = args.watchdog.map(|watchdog| watchdog.0);
                (LibraryProgram::Command(command), hang)
            }
            Err(source) => {
                let name = given.name;
                return Err(LibraryError::Node { name, source });
            }
        };
        Ok(Library {
            name: given.name,
            program,
            boot_timeout: args.boot_timeout.0,
            hang,
            on_reload: OnReload::Replace,
        })
    };
    args.library.iter().map(library).collect()
}

fn script(
    given: &LibraryArg,
    interpreter: &str,
    args: &RunArgs,
    identity: Option<&Identity>,
) -> Result<Command, LibraryError> {
    let mut argv: Vec<OsString> = vec![interpreter.into()];
    if node::engine_of(interpreter.as_ref()) == Engine::Deno {
        argv.extend(["run".into(), "-A".into()]);
    }
    argv.push(path_of(&given.file));
    command(given, argv, args, identity)
}

fn command(
    given: &LibraryArg,
    argv: Vec<OsString>,
    args: &RunArgs,
    identity: Option<&Identity>,
) -> Result<Command, LibraryError> {
    let name = given.name;
    let found = program::find(&argv, args.cwd.as_deref());
    let Found { path, sought, .. } =
        found.map_err(|source| LibraryError::Program { name, source })?;
    Ok(Command {
        path,
        sought: Some(sought),
        argv,
        directory: args.cwd.clone(),
        identity: identity.cloned(),
    })
}

/// A file is meant, and not a command of that name.
fn path_of(file: &Path) -> OsString {
    let is_bare = file.components().count() == 1 && file.is_relative();
    if is_bare {
        Path::new(".").join(file).into()
    } else {
        file.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_a_name_and_a_file() {
        let arg: LibraryArg = "core=lib/core.js".parse().expect("right");
        assert_eq!(
            (arg.name.as_str(), arg.file),
            ("core", "lib/core.js".into())
        );
        for wrong in ["core", "core=", "=x", "Core=x.js"] {
            assert!(wrong.parse::<LibraryArg>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_host_and_all_that_it_needs_are_in_the_command() {
        let names: Vec<&str> = HOST.files.iter().map(|(name, _)| *name).collect();
        for name in [HOST.main, "lib/server/host.js", "package.json"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(
            !names.iter().any(|name| name.starts_with("test/")),
            "{names:?}"
        );
    }

    #[test]
    fn a_file_is_not_looked_for_in_path() {
        assert_eq!(path_of(Path::new("core.js")), "./core.js");
        assert_eq!(path_of(Path::new("lib/core.js")), "lib/core.js");
        assert_eq!(path_of(Path::new("/srv/core.js")), "/srv/core.js");
    }
}
