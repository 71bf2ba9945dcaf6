//! Children for the tests, and waiting for them with a deadline.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use herder_sys::process::{self, Child, Executable, Launch};
use herder_sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec};

/// What a child does instead of testing; a panic in it fails the test.
pub(crate) type Role = fn();

const ROLE: &str = "HERDER_SYS_TEST_ROLE";

/// Longer than anything here takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Plays the role that the environment names and exits; returns when it names none.
pub(crate) fn play_role(roles: &[(&str, Role)]) {
    let Some(wanted) = std::env::var_os(ROLE) else {
        return;
    };
    let (_, role) = roles
        .iter()
        .find(|(name, _)| wanted == *name)
        .expect("the role is known");
    role();
    std::process::exit(0);
}

/// The environment that makes a child play a role.
pub(crate) fn role(name: &str) -> Vec<(OsString, OsString)> {
    vec![(ROLE.into(), name.into())]
}

/// A child, what it prints, and what it reads. Killed with its group when the test is over.
pub(crate) struct Actor {
    pub(crate) child: Child,
    pub(crate) output: BufReader<File>,
    pub(crate) input: Option<OwnedFd>,
    reaped: bool,
}

/// Starts this very program in a role.
pub(crate) fn act(name: &str, args: &[&str]) -> Actor {
    let own = Executable::current().unwrap();
    start(&own, "herder-sys-tests", args, role(name))
}

/// Starts a shell command.
pub(crate) fn shell(command: &str) -> Actor {
    let sh = Executable::open("/bin/sh").unwrap();
    start(&sh, "sh", &["-c", command], Vec::new())
}

/// Starts any program, with a pipe on both ends.
pub(crate) fn start(
    executable: &Executable,
    argv0: &str,
    args: &[&str],
    environment: Vec<(OsString, OsString)>,
) -> Actor {
    let (stdin, input) = herder_sys::pipe::pipe().unwrap();
    let (output, stdout) = herder_sys::pipe::pipe().unwrap();
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    let launch = Launch {
        executable,
        argv0: argv0.into(),
        args: &args,
        environment,
        stdin,
        stdout: Some(stdout),
        stderr: None,
    };
    let child = process::launch(launch).unwrap();
    let output = BufReader::new(File::from(output));
    Actor {
        child,
        output,
        input: Some(input),
        reaped: false,
    }
}

impl Actor {
    /// The next line that it prints, without the end of line.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        if self.output.buffer().is_empty() {
            assert!(
                readable(self.output.get_ref(), PollFlags::IN),
                "the child printed nothing in time"
            );
        }
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Waits for its end and takes the status.
    pub(crate) fn status(&mut self) -> ExitStatus {
        assert!(
            readable(&self.child.pidfd, PollFlags::IN),
            "the child did not end in time"
        );
        self.reaped = true;
        self.child.pidfd.wait().unwrap().expect("it has ended")
    }

    /// All that it prints until its successful end.
    pub(crate) fn finish(mut self) -> String {
        drop(self.input.take());
        let status = self.status();
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        assert!(status.success(), "{status}, having printed {text:?}");
        text
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if !self.reaped {
            let _gone_already = process::signal_group(self.child.pid, Signal::Kill);
            let _not_ours = self.child.pidfd.wait_until_dead();
        }
    }
}

/// Waits for an event on a descriptor; false when none came in time.
pub(crate) fn readable(fd: impl AsFd, what: PollFlags) -> bool {
    let timeout = Timespec::try_from(PATIENCE).unwrap();
    let mut watched = [PollFd::new(&fd, what)];
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut watched, Some(&timeout))).unwrap() > 0
}

/// A directory of its own, removed with all it holds.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new(name: &str) -> TempDir {
        let path = std::env::temp_dir().join(format!("{name}-{}", process::current_pid()));
        std::fs::create_dir(&path).unwrap();
        TempDir(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}
