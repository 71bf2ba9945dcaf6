//! Finding the programs of this workspace that a test starts, and building them when they are not fresh.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// The root of the workspace.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What this process has found fresh: a long benchmark measures one program, whoever edits meanwhile.
static FOUND: Mutex<Vec<(Binary, PathBuf)>> = Mutex::new(Vec::new());

/// A program that some package of this workspace builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binary {
    package: &'static str,
    name: &'static str,
}

impl Binary {
    /// The `herder` command.
    pub const HERDER: Binary = Binary::new("herder-cli", "herder");
    /// The example of the smooth restart (seed S1).
    pub const SMOOTH_RESTART: Binary = Binary::new("smooth-restart", "smooth-restart");
    /// The example of the TCP cluster (seed S4).
    pub const NET_CLUSTER: Binary = Binary::new("net-cluster", "net-cluster");

    /// The program `name` of `package`.
    pub const fn new(package: &'static str, name: &'static str) -> Binary {
        Binary { package, name }
    }

    /// The name of the program.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Where the program is, in the target directory and profile of the running test or benchmark.
    /// Built first when it is missing or older than one of its sources: cargo builds the programs
    /// of a package only for that package's own tests. Tests in parallel wait for one build; one process looks once.
    ///
    /// # Panics
    /// When the program cannot be built; the message holds what cargo said.
    pub fn path(self) -> PathBuf {
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, path)) = found.iter().find(|(binary, _)| *binary == self) {
            return path.clone();
        }
        let path = self.find();
        found.push((self, path.clone()));
        path
    }

    fn find(self) -> PathBuf {
        let directory = profile_directory();
        let path = directory.join(self.name);
        if !is_fresh(&path) {
            self.build(&directory);
        }
        assert!(path.is_file(), "cargo has built no {}", path.display());
        path
    }

    /// What else is built in. (The programs of the tests' own package have it already.)
    fn features(self) -> &'static [&'static str] {
        if cfg!(feature = "failpoints") && self == Binary::HERDER {
            &["--features", "failpoints"]
        } else {
            &[]
        }
    }

    fn build(self, directory: &Path) {
        let profile = match directory.file_name().and_then(|name| name.to_str()) {
            None | Some("debug") => "dev",
            Some(name) => name,
        };
        let target = directory
            .parent()
            .expect("a profile's directory stands in the target directory");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .current_dir(ROOT)
            .args([
                "build",
                "--quiet",
                "--package",
                self.package,
                "--bin",
                self.name,
            ])
            .args(["--profile", profile, "--target-dir"])
            .arg(target)
            .args(self.features())
            .output()
            .unwrap_or_else(|error| panic!("cargo cannot be started: {error}"));
        assert!(
            output.status.success(),
            "{} of {} cannot be built:\n{}",
            self.name,
            self.package,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// `target/<profile>`: the directory of the running program, or the one above when that is `deps`
/// (tests) or `examples`.
pub(crate) fn profile_directory() -> PathBuf {
    let own = env::current_exe().expect("/proc is mounted");
    let directory = own.parent().expect("an executable stands in a directory");
    match directory.file_name().and_then(|name| name.to_str()) {
        Some("deps" | "examples") => directory
            .parent()
            .expect("cargo's deps stands in the profile's directory")
            .to_owned(),
        _ => directory.to_owned(),
    }
}

/// Whether the program exists and none of its sources, as cargo lists them beside it, is younger.
fn is_fresh(program: &Path) -> bool {
    let Some(built) = modified(program) else {
        return false;
    };
    let Ok(rule) = fs::read_to_string(program.with_extension("d")) else {
        return false;
    };
    sources(&rule)
        .iter()
        .all(|source| modified(source).is_some_and(|changed| changed <= built))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// The files after the colon of a makefile rule; a blank inside a name is escaped by a backslash.
fn sources(rule: &str) -> Vec<PathBuf> {
    let Some((_, list)) = rule.lines().next().and_then(|line| line.split_once(": ")) else {
        return Vec::new();
    };
    list.replace("\\ ", "\0")
        .split_whitespace()
        .map(|name| PathBuf::from(name.replace('\0', " ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_of_a_rule_are_read() {
        assert_eq!(
            sources("/t/debug/x: /a/b.rs /a/with\\ blank.rs\n"),
            [PathBuf::from("/a/b.rs"), PathBuf::from("/a/with blank.rs")]
        );
        assert!(sources("nothing").is_empty());
    }

    #[test]
    fn a_program_is_fresh_until_a_source_changes() {
        let scene = crate::scene::Scene::new("binary_fresh");
        let program = scene.directory().join("program");
        let source = scene.directory().join("main.rs");
        assert!(!is_fresh(&program));
        fs::write(&source, "fn main() {}").unwrap();
        fs::write(&program, "ELF").unwrap();
        assert!(!is_fresh(&program), "without a rule nothing is known");
        fs::write(
            program.with_extension("d"),
            format!("{}: {}\n", program.display(), source.display()),
        )
        .unwrap();
        assert!(is_fresh(&program));
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        fs::File::options()
            .write(true)
            .open(&source)
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert!(!is_fresh(&program));
        fs::remove_file(&source).unwrap();
        assert!(!is_fresh(&program));
    }
}
