//! One process of the herd, as the master holds it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitStatus;
use std::time::Duration;

use herder_core::{Exit, Tick};
use herder_sys::cgroup::Cgroup;
use herder_sys::epoll::{Epoll, Interest};
use herder_sys::pidfd::PidFd;
use herder_sys::process::{self, Child};
use herder_sys::signal::Signal;
use herder_wire::keeper::MemberItem;
use serde::{Deserialize, Serialize};

use super::control::Control;
use super::crew::MemberId;
use super::events::exit_of;
use super::legacy::{Book, Progress, member_key};
use super::node::NodeLife;
use super::notify::NotifySocket;
use super::now;
use super::token::Source;
use crate::estate::Vault;
use crate::event::WorkerInfo;
use crate::launch::PlanSocket;
use crate::part::Process;

/// What the kernel says of a child that was reaped already.
const ECHILD: i32 = 10;

/// One process: a worker, or what stands beside the workers.
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) child: Child,
    pub(super) origin: Origin,
    pub(super) progress: Progress,
    pub(super) fate: Fate,
    /// Open until it has followed its plan.
    pub(super) plan_socket: Option<PlanSocket>,
    /// What is this executable has one.
    pub(super) control: Option<Control>,
    /// Foreign programs have one.
    pub(super) notify: Option<NotifySocket>,
    /// Node programs have one.
    pub(super) node: Option<NodeLife>,
    /// Where its input is written to, if it has one.
    pub(super) stdin: Option<OwnedFd>,
    pub(super) cgroup: Option<Cgroup>,
    /// Why it announced its end.
    pub(super) retire_reason: Option<String>,
    /// How it stands with the last of its jobs.
    pub(super) exhaustion: Exhaustion,
    /// How it broke the protocol.
    pub(super) problem: Option<String>,
    /// Whether it counts as ready because it merely lived long enough.
    pub(super) guessed: bool,
}

/// Whose child a process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// An earlier master started it: how it ends the keeper says.
    Adopted {
        /// It is dead, and the keeper may take until then to say so.
        patience: Option<Tick>,
    },
    /// This master started it.
    Child,
}

/// What its end is to the supervisor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// The end of a life.
    Exited,
    /// It never began.
    Unborn,
}

/// How long the keeper may take to say how a dead process ended.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a worker has had the last job of its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Exhaustion {
    Not,
    /// It was told so.
    Told,
    /// It is done with all of them.
    Spent,
}

impl Member {
    /// Who it is, for people.
    pub(super) fn info(&self) -> WorkerInfo {
        WorkerInfo {
            slot: self.id.worker.slot.0,
            id: self.id.worker.incarnation.0,
            pid: self.child.pid,
        }
    }

    /// Who it is among all processes of the herd.
    pub(super) fn process(&self) -> Process {
        Process {
            part: self.id.part,
            info: self.info(),
        }
    }

    pub(super) fn pidfd(&self) -> &PidFd {
        &self.child.pidfd
    }

    /// Watches for everything that it can do.
    pub(super) fn watch(&mut self, epoll: &Epoll) -> io::Result<()> {
        let (part, life) = (self.id.part.number(), self.id.worker.incarnation);
        epoll.add(
            self.pidfd().as_fd(),
            Source::Exit(part, life).token(),
            Interest::READABLE,
        )?;
        if let Some(control) = &mut self.control {
            control.watch(epoll)?;
        }
        if let Some(notify) = &self.notify {
            let token = Source::Notify(part, life).token();
            epoll.add(notify.as_fd(), token, Interest::READABLE)?;
        }
        Ok(())
    }

    /// Puts the descriptors by which it is known and heard into the store.
    pub(super) fn store(&self, vault: &Vault) -> io::Result<()> {
        let store = |item, fd, pid| vault.store(&member_key(self.id, item), fd, pid);
        store(MemberItem::Pidfd, self.pidfd().as_fd(), self.child.pid)?;
        if let Some(control) = &self.control {
            store(MemberItem::Control, control.as_fd(), 0)?;
        }
        if let Some(notify) = &self.notify {
            store(MemberItem::Notify, notify.as_fd(), 0)?;
        }
        if let Some(stdin) = &self.stdin {
            store(MemberItem::Stdin, stdin.as_fd(), 0)?;
        }
        Ok(())
    }

    /// It runs as planned: nothing is to be heard on the plan's socket any more.
    pub(super) fn followed_plan(&mut self) {
        self.plan_socket = None;
    }

    /// What it could not do of its plan, in words.
    pub(super) fn launch_failure(&self) -> Option<String> {
        let failure = self.plan_socket.as_ref()?.failure()?;
        Some(if failure.errno == 0 {
            failure.to_string()
        } else {
            format!("{failure}: {}", io::Error::from_raw_os_error(failure.errno))
        })
    }

    /// Kills it and everything it has started.
    pub(super) fn kill(&self) {
        if let Some(cgroup) = &self.cgroup {
            // The process group below is the belt to these braces.
            let _unkillable = cgroup.kill();
        }
        // Not reaped yet, so the number is still its own. Both fail only when nobody is left. (The keeper
        // ends the groups of those whom it reaps.)
        if self.origin == Origin::Child {
            let _gone = process::signal_group(self.child.pid, Signal::Kill);
        }
        let _dead = self.pidfd().signal(Signal::Kill);
    }

    /// Reaps it if it has ended, after ending everything that it leaves behind: while it is not
    /// reaped, its number cannot be somebody else's.
    pub(super) fn bury(&mut self, book: &mut Book) -> io::Result<Option<Exit>> {
        match self.pidfd().has_ended() {
            Ok(true) => self.kill(),
            Ok(false) => return Ok(None),
            Err(error) if error.raw_os_error() == Some(ECHILD) && self.is_adopted() => {
                return self.bury_adopted(book);
            }
            // Somebody else took its status, a hook that waits for any child perhaps. Its number
            // may be another's by now, so that only the cgroup can be killed.
            Err(error) if error.raw_os_error() == Some(ECHILD) => {
                let _unkillable = self.cgroup.as_ref().map(Cgroup::kill);
                return Ok(Some(Exit::Unknown));
            }
            Err(error) => return Err(error),
        }
        let status = self.pidfd().wait()?;
        Ok(status.map(|status| self.exit_of(status)))
    }

    /// Someone else reaps it.
    fn bury_adopted(&mut self, book: &mut Book) -> io::Result<Option<Exit>> {
        if !self.pidfd().is_over()? {
            return Ok(None);
        }
        let _unkillable = self.cgroup.as_ref().map(Cgroup::kill);
        if let Some(status) = book.take_exit(self.child.pid) {
            return Ok(Some(self.exit_of(status)));
        }
        let now = now();
        match self.patience() {
            Some(until) if until <= now => Ok(Some(Exit::Unknown)),
            Some(_) => Ok(None),
            None => {
                let patience = Some(now.after(PATIENCE));
                self.origin = Origin::Adopted { patience };
                Ok(None)
            }
        }
    }

    /// Whether an earlier master started it.
    pub(super) fn is_adopted(&self) -> bool {
        matches!(self.origin, Origin::Adopted { .. })
    }

    /// It is dead, and how it ended should be known by then.
    pub(super) fn patience(&self) -> Option<Tick> {
        match self.origin {
            Origin::Adopted { patience } => patience,
            Origin::Child => None,
        }
    }

    fn exit_of(&self, status: ExitStatus) -> Exit {
        let exit = exit_of(status);
        let by_kernel = self
            .cgroup
            .as_ref()
            .and_then(Cgroup::oom_kills)
            .is_some_and(|n| n > 0);
        let killed = matches!(exit, Exit::Signal(_));
        if killed && by_kernel {
            Exit::OutOfMemory
        } else {
            exit
        }
    }

    /// Until when it is not read because it talks too much, or not told because of a crowd.
    pub(super) fn resting_until(&self) -> Option<Tick> {
        self.control.as_ref().and_then(Control::resting_until)
    }

    /// Hears it no more.
    pub(super) fn silence(&mut self, epoll: &Epoll) {
        if let Some(mut control) = self.control.take() {
            control.close(epoll);
        }
        if let Some(notify) = self.notify.take() {
            // It was watched, and is still open.
            let _removed = epoll.remove(notify.as_fd());
        }
    }

    /// Lets go of a process that is dead and buried.
    pub(super) fn forget(mut self, epoll: &Epoll) {
        // Each was watched and is still open: this cannot fail, and closing would do as well.
        let _removed = epoll.remove(self.pidfd().as_fd());
        if let Some(control) = self.control.as_mut() {
            control.close(epoll);
        }
        if let Some(notify) = &self.notify {
            let _removed = epoll.remove(notify.as_fd());
        }
        if let Some(cgroup) = self.cgroup {
            // What is still dying in it is removed with the herd's own cgroup.
            let _busy = cgroup.remove();
        }
    }
}
