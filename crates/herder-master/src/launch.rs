//! Starting a process of ours: this executable again, with a plan on its stdin.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use herder_sys::cgroup::Cgroup;
use herder_sys::process::{self, Birthplace, Child, Executable, Launch};
use herder_sys::{memory, socket};
use herder_wire::plan::{LaunchPlan, Role};
use herder_wire::report::{LaunchFailure, MAX_REPORT};

use crate::role::{ROLE_VARIABLE, role_value};

/// What children are started from: one executable, opened once, so that a replacement never runs
/// newer code than its siblings.
pub(crate) struct Launchpad {
    executable: Executable,
    argv0: OsString,
    args: Vec<OsString>,
}

/// A process that waits for its plan.
pub(crate) struct Launched {
    pub(crate) child: Child,
    pub(crate) plan_socket: PlanSocket,
}

/// The master's end of a child's stdin.
pub(crate) struct PlanSocket(OwnedFd);

/// Where a child's output goes; `None` = where ours goes.
#[derive(Default)]
pub(crate) struct Stdio {
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
}

impl Launchpad {
    /// This executable, with the arguments that this process got.
    pub(crate) fn current() -> io::Result<Launchpad> {
        Executable::current().map(Launchpad::of)
    }

    /// Another executable, with the arguments that this process got.
    pub(crate) fn of(executable: Executable) -> Launchpad {
        let mut args = std::env::args_os();
        let argv0 = args.next().unwrap_or_else(|| "herder".into());
        Launchpad {
            executable,
            argv0,
            args: args.collect(),
        }
    }

    /// What is installed now where this executable was started from, with the same arguments.
    ///
    /// # Errors
    /// When nothing is there, or it cannot be reached.
    pub(crate) fn installed(&self) -> io::Result<Launchpad> {
        let search = std::env::var_os("PATH").unwrap_or_default();
        let path = invoked_path(&self.argv0, self.executable.path(), &search);
        let executable = Executable::open(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        Ok(Launchpad {
            executable,
            argv0: self.argv0.clone(),
            args: self.args.clone(),
        })
    }

    /// Where the executable was when it was opened.
    pub(crate) fn path(&self) -> &Path {
        self.executable.path()
    }

    /// What is started.
    pub(crate) fn executable(&self) -> &Executable {
        &self.executable
    }

    /// Goes on as this executable, in the same process and with a plan on its stdin. Returns only
    /// when that failed, with the reason.
    pub(crate) fn replace_process(&self, role: Role, app: &str, stdin: &OwnedFd) -> io::Error {
        let mut argv = vec![self.argv0.clone()];
        argv.extend_from_slice(&self.args);
        let mut environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        environment.retain(|(name, _)| name != ROLE_VARIABLE);
        environment.push((ROLE_VARIABLE.into(), role_value(role, app).into()));
        self.executable.replace_process(stdin, &argv, &environment)
    }

    /// Starts a process. Call it on the main thread only, and send the plan afterwards: until then
    /// the process waits, and can be put into a cgroup.
    pub(crate) fn start(&self, role: Role, app: &str, stdio: Stdio) -> io::Result<Launched> {
        let (launch, plan_socket) = self.prepare(role, app, stdio)?;
        let child = process::launch(launch)?;
        Ok(Launched { child, plan_socket })
    }

    /// As [`start`](Launchpad::start), in a cgroup from the beginning, if that can be.
    pub(crate) fn start_inside(
        &self,
        role: Role,
        app: &str,
        stdio: Stdio,
        group: &Cgroup,
    ) -> io::Result<(Launched, Birthplace)> {
        let (launch, plan_socket) = self.prepare(role, app, stdio)?;
        let (child, place) = process::launch_inside(launch, group)?;
        Ok((Launched { child, plan_socket }, place))
    }

    fn prepare(&self, role: Role, app: &str, stdio: Stdio) -> io::Result<(Launch<'_>, PlanSocket)> {
        let (ours, theirs) = socket::stream_pair()?;
        let launch = Launch {
            executable: &self.executable,
            argv0: self.argv0.clone(),
            args: &self.args,
            environment: vec![(ROLE_VARIABLE.into(), role_value(role, app).into())],
            stdin: theirs,
            stdout: stdio.stdout,
            stderr: stdio.stderr,
        };
        Ok((launch, PlanSocket(ours)))
    }
}

/// The path by which a program was called, as far as that can be told: a release may be a symbolic link
/// that is put to another place, so that where the running file really is says little. `real` is that.
fn invoked_path(argv0: &OsStr, real: &Path, search: &OsStr) -> PathBuf {
    let called = Path::new(argv0);
    let candidates: Vec<PathBuf> = if called.components().count() > 1 {
        std::path::absolute(called).into_iter().collect()
    } else {
        let places = std::env::split_paths(search).filter(|place| place.is_absolute());
        places.map(|place| place.join(called)).collect()
    };
    // Whoever starts a program may call it what he likes.
    let is_it = |path: &PathBuf| path.file_name() == real.file_name() && path.is_file();
    let found = candidates.into_iter().find(is_it);
    found.unwrap_or_else(|| real.to_owned())
}

/// A plan that changes nothing of what the process inherits.
pub(crate) fn bare_plan(role: Role, app: &str) -> LaunchPlan {
    LaunchPlan {
        app: app.to_owned(),
        role,
        slot: 0,
        incarnation: 0,
        title: String::new(),
        program: None,
        environment: Vec::new(),
        directory: None,
        identity: None,
        umask: None,
        limits: Vec::new(),
        descriptors: Vec::new(),
    }
}

impl PlanSocket {
    /// Around a socket whose other end is going to be a stdin.
    pub(crate) fn new(socket: OwnedFd) -> PlanSocket {
        PlanSocket(socket)
    }

    /// Where an answer to the plan is heard, and its end.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Sends the plan and its descriptors. Never waits for the child: the body travels as a
    /// memfd, and the rest fits any socket buffer.
    pub(crate) fn send(&self, plan: &LaunchPlan, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let encoded = plan.encode().map_err(io::Error::other)?;
        let body = memory::sealed(&encoded.body)?;
        let mut all = Vec::with_capacity(fds.len() + 1);
        all.push(body.as_fd());
        all.extend_from_slice(fds);
        socket::send(self.0.as_fd(), &encoded.header, &all)?;
        Ok(())
    }

    /// What the child could not do, if it said so.
    pub(crate) fn failure(&self) -> Option<LaunchFailure> {
        let mut bytes = vec![0; MAX_REPORT];
        let received = socket::receive(
            self.0.as_fd(),
            &mut bytes,
            &mut Vec::new(),
            0,
            socket::Wait::DontWait,
        );
        let len = received.ok().filter(|received| received.len > 0)?.len;
        LaunchFailure::decode(&bytes[..len]).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_where_it_was_called() {
        let place = std::env::temp_dir().join(format!("herder-launch-{}", std::process::id()));
        let (first, second) = (place.join("1"), place.join("2"));
        let current = place.join("current");
        for release in [&first, &second] {
            std::fs::create_dir_all(release).expect("a directory");
            std::fs::write(release.join("server"), "").expect("a file");
        }
        std::os::unix::fs::symlink(&second, &current).expect("a link");
        let real = first.join("server");
        let found = |called: &OsStr| invoked_path(called, &real, current.as_os_str());
        let linked = current.join("server");
        assert_eq!(found(linked.as_os_str()), linked, "called by the link");
        assert_eq!(found(OsStr::new("server")), linked, "found along the path");
        assert_eq!(found(OsStr::new("worker: web")), real, "not its name");
        let gone = place.join("gone/server");
        assert_eq!(found(gone.as_os_str()), real, "nothing is there");
        std::fs::remove_dir_all(&place).expect("ours");
    }
}
