//! How a program is started.

use crate::herd::run::Herd;
use crate::lineage::{Lineage, VARIABLE};
use crate::scene::Scene;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// What must not reach a program under test from whoever runs the tests.
const STRANGERS: [&str; 11] = [
    "HERDER_HERD",
    "HERDER_LIBRARIES",
    "HERDER_ROLE",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "NODE_CHANNEL_FD",
    "NODE_CLUSTER_SCHED_POLICY",
    "NODE_UNIQUE_ID",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
];

/// Who sets it has `auto` leave the kernel out; empty, it says nothing.
pub const NO_KERNEL_DISPATCH: &str = "HERDER_NO_KERNEL_DISPATCH";

/// A program about to be started in a scene: its own process group, no input, captured output,
/// and `TMPDIR`, `XDG_RUNTIME_DIR`, `HERDER_HOME` inside the scene's directory.
#[derive(Debug)]
pub struct Setup {
    pub(super) command: Command,
    pub(super) lineage: Arc<Lineage>,
    pub(super) patience: Duration,
}

impl Setup {
    pub(crate) fn new(scene: &Scene, program: &Path) -> Setup {
        let lineage = scene.lineage();
        let mut command = Command::new(program);
        for name in STRANGERS {
            command.env_remove(name);
        }
        command
            .env(VARIABLE, lineage.mark())
            .env("HERDER_HOME", scene.directory().join("home"))
            .env("TMPDIR", scene.directory())
            .env("XDG_RUNTIME_DIR", scene.directory())
            // What names no dispatch mode is the same whoever runs the tests.
            .env(NO_KERNEL_DISPATCH, "1")
            .current_dir(scene.directory())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        Setup {
            command,
            lineage,
            patience: Duration::from_secs(15),
        }
    }

    /// Starts this file instead, with all that was said so far.
    pub fn executable(self, path: impl AsRef<Path>) -> Setup {
        let said = &self.command;
        let mut command = Command::new(path.as_ref());
        command.args(said.get_args());
        for (name, value) in said.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = said.get_current_dir() {
            command.current_dir(directory);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        Setup { command, ..self }
    }

    /// Adds one argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Setup {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Setup {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Setup {
        self.command.env(name, value);
        self
    }

    /// Starts it in another directory than the scene's.
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Setup {
        self.command.current_dir(directory);
        self
    }

    /// How long [`Herd::end`], or dropping, lets it end by itself after TERM before that is a failure
    /// (15 s unless said).
    pub fn patience(mut self, patience: Duration) -> Setup {
        self.patience = patience;
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn start(self) -> Herd {
        Herd::start(self)
    }
}
