//! The programs of the machine that set services up. Tests put others into `PATH`.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use herder_api::Problem;
use herder_api::problem::ProblemKind;

use super::{Init, MARK, systemd};

/// What this machine has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tools {
    /// What starts its services.
    pub(crate) init: Option<Init>,
    /// systemd's number, if there is a systemctl.
    pub(crate) systemd: Option<u32>,
}

impl Tools {
    /// Looks.
    pub(crate) fn look() -> Tools {
        let found = find("systemctl", std::env::var_os("PATH").as_deref());
        let systemd = found.and_then(|program| {
            let asked = Command::new(program)
                .arg("--version")
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .output();
            systemd::version(&String::from_utf8_lossy(&asked.ok()?.stdout))
        });
        Tools {
            init: init(Path::new("/")),
            systemd,
        }
    }
}

/// What started the machine whose files are below `root`: both leave a directory, as they say themselves.
fn init(root: &Path) -> Option<Init> {
    if root.join("run/systemd/system").is_dir() {
        Some(Init::Systemd)
    } else if root.join("run/openrc").is_dir() {
        Some(Init::Openrc)
    } else {
        None
    }
}

/// A program of that name.
pub(crate) fn find(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    let directories = std::env::split_paths(path?);
    let mut files = directories.map(|directory| directory.join(name));
    files.find(|file| {
        let found = fs::metadata(file);
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}

/// Runs a command of a recipe.
///
/// # Errors
/// It is not there, or failed: with what it said.
pub(crate) fn run(words: &[String]) -> Result<(), Problem> {
    let line = words.join(" ");
    let failed = |how: String| {
        let text = format!("`{line}` {how}.");
        Problem::new(ProblemKind::Failed, text).hint(format!("run it yourself: {line}"))
    };
    let Some((name, args)) = words.split_first() else {
        return Ok(());
    };
    let ran = Command::new(name).args(args).stdin(Stdio::null()).output();
    let ran = ran.map_err(|error| failed(format!("cannot be run: {error}")))?;
    if ran.status.success() {
        return Ok(());
    }
    let mut problem = failed(format!("failed: {}", ran.status));
    let said = String::from_utf8_lossy(&ran.stderr);
    problem.last_lines = said.lines().map(str::to_owned).collect();
    Err(problem)
}

/// Writes a file that is new, or was written by us.
///
/// # Errors
/// It is somebody else's, or cannot be written.
pub(crate) fn write(file: &Path, text: &str, mode: u32) -> Result<(), Problem> {
    if is_ours(file)? == Some(false) {
        let text = "It is there already, and was not written by herder startup.";
        let problem = Problem::new(ProblemKind::Conflict, text).place(file.display().to_string());
        return Err(problem.hint("remove it, or choose another name: --service-name NAME"));
    }
    let directory = file.parent().unwrap_or(Path::new("/"));
    let draft = directory.join(format!(".herder-{}.new", std::process::id()));
    let written = fs::create_dir_all(directory).and_then(|()| {
        let mut options = fs::OpenOptions::new();
        let mut opened = options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&draft)?;
        io::Write::write_all(&mut opened, text.as_bytes())?;
        // Whatever the umask is, a manager has to read it.
        opened.set_permissions(fs::Permissions::from_mode(mode))?;
        opened.sync_all()?;
        fs::rename(&draft, file)
    });
    written.map_err(|error| {
        drop(fs::remove_file(&draft));
        unusable(file, &error)
    })
}

/// Removes a file that was written by us. Says whether it was there.
///
/// # Errors
/// It is somebody else's, or cannot be removed.
pub(crate) fn remove(file: &Path) -> Result<bool, Problem> {
    match is_ours(file)? {
        None => Ok(false),
        Some(true) => {
            fs::remove_file(file).map_err(|error| unusable(file, &error))?;
            Ok(true)
        }
        Some(false) => {
            let text = "It was not written by herder startup, and stays.";
            let problem = Problem::new(ProblemKind::Conflict, text);
            Err(problem.place(file.display().to_string()))
        }
    }
}

/// None = there is no such file.
pub(crate) fn is_ours(file: &Path) -> Result<Option<bool>, Problem> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(
            text.lines().take(2).any(|line| line.starts_with(MARK)),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(file, &error)),
    }
}

fn unusable(file: &Path, error: &io::Error) -> Problem {
    let kind = if error.kind() == io::ErrorKind::PermissionDenied {
        ProblemKind::Forbidden
    } else {
        ProblemKind::Failed
    };
    let text = format!("It cannot be used: {error}.");
    Problem::new(kind, text).place(file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("herder-tools-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).expect("a directory");
        path
    }

    #[test]
    fn what_started_the_machine_is_found() {
        let root = scene("init");
        assert_eq!(init(&root), None);
        fs::create_dir_all(root.join("run/openrc")).expect("a directory");
        assert_eq!(init(&root), Some(Init::Openrc));
        fs::create_dir_all(root.join("run/systemd/system")).expect("a directory");
        assert_eq!(init(&root), Some(Init::Systemd));
        fs::remove_dir_all(&root).expect("it is ours");
    }

    #[test]
    fn what_others_wrote_stays() {
        let root = scene("write");
        let file = root.join("deep/herder.service");
        assert_eq!(remove(&file), Ok(false));
        write(&file, &format!("{MARK}\none\n"), 0o644).expect("it is new");
        write(&file, &format!("{MARK}\ntwo\n"), 0o600).expect("it is ours");
        let mode = fs::metadata(&file)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(fs::read_to_string(&file).expect("text").ends_with("two\n"));
        assert_eq!(remove(&file), Ok(true));
        fs::write(&file, "[Unit]\n").expect("a file");
        assert_eq!(
            write(&file, MARK, 0o644).expect_err("not ours").kind,
            ProblemKind::Conflict
        );
        assert_eq!(
            remove(&file).expect_err("not ours").kind,
            ProblemKind::Conflict
        );
        let left: Vec<_> = fs::read_dir(root.join("deep"))
            .expect("a directory")
            .collect();
        assert_eq!(left.len(), 1, "no draft stays");
        fs::remove_dir_all(&root).expect("it is ours");
    }

    #[test]
    fn a_command_that_fails_tells_why() {
        let words = |line: &[&str]| {
            line.iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(run(&words(&["true"])), Ok(()));
        let problem = run(&words(&["sh", "-c", "echo no bus >&2; exit 3"])).expect_err("it fails");
        assert_eq!(problem.last_lines, ["no bus"]);
        assert!(problem.message.contains("exit status: 3"), "{problem}");
        let problem = run(&words(&["herder-no-such-program"])).expect_err("it is not there");
        assert!(problem.message.contains("cannot be run"), "{problem}");
    }
}
