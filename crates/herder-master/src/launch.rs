//! Starting a process of ours: this executable again, with a plan on its stdin.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use herder_sys::process::{self, Child, Executable};
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
        let mut args = std::env::args_os();
        let argv0 = args.next().unwrap_or_else(|| "herder".into());
        Ok(Launchpad {
            executable: Executable::current()?,
            argv0,
            args: args.collect(),
        })
    }

    /// Starts a process. Call it on the main thread only, and send the plan afterwards: until then
    /// the process waits, and can be put into a cgroup.
    pub(crate) fn start(&self, role: Role, app: &str, stdio: Stdio) -> io::Result<Launched> {
        let (ours, theirs) = socket::stream_pair()?;
        let child = process::launch(process::Launch {
            executable: &self.executable,
            argv0: self.argv0.clone(),
            args: &self.args,
            environment: vec![(ROLE_VARIABLE.into(), role_value(role, app).into())],
            stdin: theirs,
            stdout: stdio.stdout,
            stderr: stdio.stderr,
        })?;
        Ok(Launched {
            child,
            plan_socket: PlanSocket(ours),
        })
    }
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
