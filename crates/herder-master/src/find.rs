//! Finding a program, as a shell would.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where a program is looked for when `PATH` is not set.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Why a program cannot be executed.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No directory of `PATH` has it.
    #[error("there is no program {0:?} in PATH; write its path, or install it")]
    NotInPath(OsString),
    /// It is there, or not even that, but cannot be executed.
    #[error("cannot execute {path:?}: {problem}")]
    NotExecutable {
        /// Where it was looked for.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// The file of the program that is called so, seen from `directory`. Symbolic links in the path stay:
/// where they lead may change.
///
/// # Errors
/// When there is none that can be executed.
pub fn look_up(name: &OsStr, directory: Option<&Path>) -> Result<PathBuf, FindError> {
    look_up_along(name, directory, std::env::var_os("PATH").as_deref())
}

/// As [`look_up`], along another `PATH` than this process's; `None` = it is not set.
///
/// # Errors
/// When there is none that can be executed.
pub fn look_up_along(
    name: &OsStr,
    directory: Option<&Path>,
    path: Option<&OsStr>,
) -> Result<PathBuf, FindError> {
    if name.as_bytes().contains(&b'/') {
        let path = within(directory, Path::new(name));
        return match check(&path) {
            // The launcher changes the directory first, so the path must not depend on it.
            Ok(()) => Ok(std::path::absolute(&path).unwrap_or(path)),
            Err(problem) => Err(FindError::NotExecutable { path, problem }),
        };
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut candidates =
        std::env::split_paths(path).map(|folder| within(directory, &folder).join(name));
    let found = candidates.find(|candidate| check(candidate).is_ok());
    found
        .map(|path| std::path::absolute(&path).unwrap_or(path))
        .ok_or_else(|| FindError::NotInPath(name.to_owned()))
}

/// The path, seen from `directory`.
#[must_use]
pub fn within(directory: Option<&Path>, path: &Path) -> PathBuf {
    directory.map_or_else(|| path.to_owned(), |directory| directory.join(path))
}

fn check(path: &Path) -> Result<(), String> {
    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("it is not a file".to_owned());
    }
    if found.permissions().mode() & 0o111 == 0 {
        return Err("it is not executable (chmod +x, or name its interpreter)".to_owned());
    }
    Ok(())
}
