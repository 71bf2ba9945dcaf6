//! Where workers come from.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use herder_core::WorkerId;
use herder_core::spec::{AppSpec, DispatchMode, WorkerCount};
use herder_sys::epoll::Epoll;
use herder_sys::{limits, pipe};
use herder_wire::plan::{
    DescriptorUse, Identity, LaunchPlan, Limit, LimitKind, ListenFds, Program as WireProgram, Role,
};

use super::control::Control;
use super::environment::{self, Variable};
use super::notify::NotifySocket;
use super::runtime::{Runtime, Visitor};
use super::worker::Worker;
use crate::config::{Command, Program};
use crate::dispatch::{self, Dispatch, Link};
use crate::launch::{self, Launchpad, Stdio};

/// Everything that a new worker is made from.
pub(super) struct Nursery {
    spec: AppSpec,
    program: Program,
    title: Option<String>,
    launchpad: Launchpad,
    /// What every worker inherits.
    environment: Vec<Variable>,
    /// In `shared` mode: the listeners with their names.
    listeners: Vec<(String, OwnedFd)>,
    /// The limit that the master itself was started with.
    open_files: (u64, u64),
}

/// The read ends of a worker's output.
pub(super) struct WorkerOutput {
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// A plan in the making, with the descriptors that go with it.
struct Draft {
    plan: LaunchPlan,
    descriptors: Vec<OwnedFd>,
}

impl Nursery {
    pub(super) fn new(
        spec: &AppSpec,
        program: Program,
        title: Option<String>,
        listeners: Vec<(String, OwnedFd)>,
    ) -> io::Result<Nursery> {
        let open_files = limits::open_files();
        Ok(Nursery {
            spec: spec.clone(),
            program,
            title,
            launchpad: Launchpad::current()?,
            environment: environment::inherited(std::env::vars_os()),
            listeners,
            open_files,
        })
    }

    pub(super) fn spec(&self) -> &AppSpec {
        &self.spec
    }

    pub(super) fn resize(&mut self, workers: WorkerCount) {
        self.spec.workers = workers;
    }

    /// Nobody is started any more: who connects is refused as soon as the workers, too, have closed their
    /// listeners, and does not wait in a queue that nobody looks at.
    pub(super) fn close_listeners(&mut self) {
        self.listeners.clear();
    }

    /// Starts a worker. What fails leaves nothing behind: a process without its plan ends.
    pub(super) fn start(
        &self,
        id: WorkerId,
        runtime: &mut Runtime,
        dispatch: &Dispatch,
    ) -> io::Result<(Worker, WorkerOutput)> {
        let (stdout, their_stdout) = pipe::pipe()?;
        let (stderr, their_stderr) = pipe::pipe()?;
        let mut draft = Draft {
            plan: self.bare_plan(id),
            descriptors: Vec::new(),
        };
        let (mut control, mut notify) = (None, None);
        match &self.program {
            Program::Itself => control = Some(self.plan_native(id, &mut draft, dispatch)?),
            Program::Command(command) => {
                notify = Some(self.plan_foreign(id, command, &mut draft, runtime)?);
            }
        }
        let stdio = Stdio {
            stdout: Some(their_stdout),
            stderr: Some(their_stderr),
        };
        let app = self.spec.name.as_str();
        let launched = self.launchpad.start(draft.plan.role, app, stdio)?;
        let mut worker = Worker {
            id,
            child: launched.child,
            plan_socket: Some(launched.plan_socket),
            control,
            notify,
            cgroup: runtime.worker_cgroup(id),
            retire_reason: None,
            problem: None,
        };
        match send_plan(&mut worker, &draft) {
            Ok(()) => Ok((worker, WorkerOutput { stdout, stderr })),
            Err(error) => {
                abandon(worker);
                Err(error)
            }
        }
    }

    fn bare_plan(&self, id: WorkerId) -> LaunchPlan {
        let app = self.spec.name.to_string();
        let mut environment = self.environment.clone();
        environment::identify(&mut environment, &self.spec.name, id);
        let title = match &self.title {
            Some(title) => title.clone(),
            None => format!("herder: worker {app}/{}", id.slot),
        };
        let (soft, hard) = self.open_files;
        LaunchPlan {
            slot: id.slot.0,
            incarnation: id.incarnation.0,
            title,
            environment,
            limits: vec![Limit {
                kind: LimitKind::OpenFiles,
                soft,
                hard,
            }],
            ..launch::bare_plan(Role::Worker, &app)
        }
    }

    /// A worker that is this executable: a control channel, and connections or listeners.
    fn plan_native(
        &self,
        id: WorkerId,
        draft: &mut Draft,
        dispatch: &Dispatch,
    ) -> io::Result<Control> {
        let (control, theirs) = Control::new(id.incarnation)?;
        draft.give(DescriptorUse::Control, theirs);
        match self.spec.dispatch.mode {
            DispatchMode::Pass => {
                let (link, theirs) = Link::new()?;
                draft.give(DescriptorUse::Conns, theirs);
                dispatch.tell(dispatch::Command::Attach(id, link));
            }
            // What it works on comes by a link to the gateway, once it has said hello.
            DispatchMode::Message => {}
            DispatchMode::Shared => self.give_listeners(draft)?,
        }
        Ok(control)
    }

    /// A program that knows nothing of us: what systemd would give it.
    fn plan_foreign(
        &self,
        id: WorkerId,
        command: &Command,
        draft: &mut Draft,
        runtime: &mut Runtime,
    ) -> io::Result<NotifySocket> {
        let visitor = match command.identity {
            Some(_) => Visitor::Another,
            None => Visitor::Ourselves,
        };
        let path = runtime
            .directory(visitor)?
            .join(format!("notify-{}", id.incarnation));
        let notify = NotifySocket::bind(path, command.identity.as_ref())?;
        let environment = &mut draft.plan.environment;
        environment::set(environment, "NOTIFY_SOCKET", notify.path());
        if let Some(hang) = self.spec.life.hang {
            environment::set(environment, "WATCHDOG_USEC", hang.as_micros().to_string());
        }
        self.give_listeners(draft)?;
        let listen_fds = if self.listeners.is_empty() {
            ListenFds::Absent
        } else {
            ListenFds::Announced
        };
        let plan = &mut draft.plan;
        plan.role = Role::Launcher;
        plan.directory = command
            .directory
            .as_ref()
            .map(|path| bytes(path.as_os_str()));
        plan.identity = command.identity.as_ref().map(|identity| Identity {
            uid: identity.uid,
            gid: identity.gid,
            groups: identity.groups.clone(),
        });
        plan.program = Some(WireProgram {
            path: bytes(command.path.as_os_str()),
            argv: command.argv.iter().map(|arg| bytes(arg)).collect(),
            listen_fds,
        });
        Ok(notify)
    }

    fn give_listeners(&self, draft: &mut Draft) -> io::Result<()> {
        for (name, listener) in &self.listeners {
            let usage = DescriptorUse::Listener { name: name.clone() };
            draft.give(usage, herder_sys::fd::duplicate(listener.as_fd())?);
        }
        Ok(())
    }
}

impl Draft {
    fn give(&mut self, usage: DescriptorUse, fd: OwnedFd) {
        self.plan.descriptors.push(usage);
        self.descriptors.push(fd);
    }
}

/// Has the main loop hear of the worker. One that cannot be watched is ended: nobody would notice its
/// death, nor tell it to leave.
pub(super) fn watched(mut worker: Worker, epoll: &Epoll) -> io::Result<Worker> {
    match worker.watch(epoll) {
        Ok(()) => Ok(worker),
        Err(error) => {
            abandon(worker);
            Err(error)
        }
    }
}

/// The process waits for its plan; before it gets one it is put where it can be killed whole.
fn send_plan(worker: &mut Worker, draft: &Draft) -> io::Result<()> {
    let joined = worker
        .cgroup
        .as_ref()
        .is_none_or(|cgroup| cgroup.add(worker.child.pid).is_ok());
    if !joined && let Some(cgroup) = worker.cgroup.take() {
        // Then the process group must do, as it does where there are no cgroups.
        let _left = cgroup.remove();
    }
    let fds: Vec<BorrowedFd<'_>> = draft.descriptors.iter().map(AsFd::as_fd).collect();
    match &worker.plan_socket {
        Some(socket) => socket.send(&draft.plan, &fds),
        None => Ok(()),
    }
}

/// Ends a process that nobody is going to hear of, and waits for it: it has hardly begun anything.
fn abandon(mut worker: Worker) {
    worker.plan_socket = None;
    worker.kill();
    // Killed, it is dead as soon as the kernel gets to it; nothing can be done if not.
    let _unreaped = worker.pidfd().wait_until_dead();
    if let Some(cgroup) = worker.cgroup.take() {
        // What is still dying in it is removed with the herd's own cgroup.
        let _busy = cgroup.remove();
    }
}

fn bytes(text: &OsStr) -> Vec<u8> {
    text.as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use herder_core::{Incarnation, Slot};
    use herder_sys::epoll::Interest;
    use herder_sys::process::{self, Executable};

    use super::*;

    fn sleeper() -> Worker {
        let child = process::launch(process::Launch {
            executable: &Executable::open("/bin/sleep").expect("there is a sleep"),
            argv0: "sleep".into(),
            args: &["600".into()],
            environment: Vec::new(),
            stdin: herder_sys::fd::null().expect("/dev/null"),
            stdout: None,
            stderr: None,
        });
        Worker {
            id: WorkerId {
                slot: Slot(0),
                incarnation: Incarnation(1),
            },
            child: child.expect("it starts"),
            plan_socket: None,
            control: None,
            notify: None,
            cgroup: None,
            retire_reason: None,
            problem: None,
        }
    }

    #[test]
    fn r16_a_worker_that_cannot_be_watched_does_not_live_on() {
        let (worker, epoll) = (sleeper(), Epoll::new().expect("epoll"));
        let pid = worker.child.pid;
        // It is there already, so it cannot be added.
        epoll
            .add(worker.pidfd().as_fd(), 0, Interest::READABLE)
            .expect("add");
        assert!(watched(worker, &epoll).is_err());
        let lost = process::reap_child(pid).expect_err("ended and reaped");
        assert_eq!(lost.raw_os_error(), Some(10), "ECHILD");
    }

    #[test]
    fn a_worker_that_is_watched_lives() {
        let epoll = Epoll::new().expect("epoll");
        let worker = watched(sleeper(), &epoll).expect("watched");
        assert!(!worker.pidfd().has_ended().expect("a child"));
        abandon(worker);
    }
}
