//! Libraries: each a script or a program that the app names.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use herder_core::spec::{LibraryName, LifePolicy};
use herder_master::config::{Command, Host, Library, LibraryProgram, OnReload};
use herder_sys::user::Identity;

use super::description::Description;
use super::error::{LibraryError, NodeError, RunError};
use super::node::{self, Engine};
use super::program;
use super::words::Setting;

/// What serves the exports of a script.
const HOST: Host = Host {
    main: "host.js",
    files: include!(concat!(env!("OUT_DIR"), "/host.rs")),
};

/// The libraries of the herd. They have the workers' rights and directory.
pub(super) fn libraries(
    description: &Description,
    identity: Option<&Identity>,
) -> Result<Vec<Library>, RunError> {
    let (app, usual) = (&description.app, LifePolicy::default());
    let boot_timeout =
        description.duration("boot_timeout", app.boot_timeout, usual.boot_timeout)?;
    let watchdog = description.limit("watchdog", app.watchdog)?;
    let library = |(name, file): &(LibraryName, PathBuf)| {
        let maker = Maker {
            description,
            identity,
            setting: description.words.entry("libraries", name.as_str()),
        };
        let (program, hang) = match node::interpreter_of(file, description) {
            Ok(interpreter) => {
                let command = maker.script(file, interpreter)?;
                (LibraryProgram::Hosted(command, HOST), usual.hang)
            }
            Err(NodeError::NoScript { .. }) if description.is_recalled() => {
                (maker.gone(file)?, watchdog)
            }
            Err(NodeError::UnknownScript { .. }) => {
                let command = maker.command(vec![path_of(file)])?;
                (LibraryProgram::Command(command), watchdog)
            }
            Err(source) => {
                let setting = maker.setting;
                return Err(LibraryError::Node { setting, source }.into());
            }
        };
        Ok(Library {
            name: *name,
            program,
            boot_timeout,
            hang,
            on_reload: OnReload::Replace,
        })
    };
    description.libraries.iter().map(library).collect()
}

/// Makes the command of one library.
struct Maker<'a> {
    description: &'a Description,
    identity: Option<&'a Identity>,
    setting: Setting,
}

impl Maker<'_> {
    /// A library whose file is not there any more: what it is, its name must say.
    fn gone(&self, file: &Path) -> Result<LibraryProgram, LibraryError> {
        match node::interpreter_by_name(file) {
            Some(interpreter) => {
                let command = self.script(file, interpreter)?;
                Ok(LibraryProgram::Hosted(command, HOST))
            }
            None => Ok(LibraryProgram::Command(self.command(vec![path_of(file)])?)),
        }
    }

    fn script(&self, file: &Path, interpreter: &str) -> Result<Command, LibraryError> {
        let mut argv: Vec<OsString> = vec![interpreter.into()];
        if node::engine_of(interpreter.as_ref()) == Engine::Deno {
            argv.extend(["run".into(), "-A".into()]);
        }
        argv.push(path_of(file));
        self.command(argv)
    }

    fn command(&self, argv: Vec<OsString>) -> Result<Command, LibraryError> {
        let found = program::find(&argv, self.description);
        let found = found.map_err(|source| LibraryError::Program {
            setting: self.setting.clone(),
            source,
        })?;
        Ok(Command {
            // One word is a file here, and never a line for a shell.
            argv,
            ..found.command(self.description, self.identity.cloned())
        })
    }
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
