//! One worker process, as the master holds it.

use std::io;
use std::os::fd::AsFd;

use herder_core::{Exit, Tick, WorkerId};
use herder_sys::cgroup::Cgroup;
use herder_sys::epoll::{Epoll, Interest};
use herder_sys::pidfd::PidFd;
use herder_sys::process::{self, Child};
use herder_sys::signal::Signal;

use super::control::Control;
use super::events::exit_of;
use super::notify::NotifySocket;
use super::token::Source;
use crate::event::WorkerInfo;
use crate::launch::PlanSocket;

/// What the kernel says of a child that was reaped already.
const ECHILD: i32 = 10;

/// One worker process.
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) child: Child,
    /// Open until the worker has followed its plan.
    pub(super) plan_socket: Option<PlanSocket>,
    /// Native workers have one.
    pub(super) control: Option<Control>,
    /// Foreign programs have one.
    pub(super) notify: Option<NotifySocket>,
    pub(super) cgroup: Option<Cgroup>,
    /// Why it announced its end.
    pub(super) retire_reason: Option<String>,
    /// How it broke the protocol.
    pub(super) problem: Option<String>,
}

impl Worker {
    /// Who it is, for people.
    pub(super) fn info(&self) -> WorkerInfo {
        WorkerInfo {
            slot: self.id.slot.0,
            id: self.id.incarnation.0,
            pid: self.child.pid,
        }
    }

    pub(super) fn pidfd(&self) -> &PidFd {
        &self.child.pidfd
    }

    /// Watches for everything that it can do.
    pub(super) fn watch(&mut self, epoll: &Epoll) -> io::Result<()> {
        let incarnation = self.id.incarnation;
        epoll.add(
            self.pidfd().as_fd(),
            Source::Exit(incarnation).token(),
            Interest::READABLE,
        )?;
        if let Some(control) = &mut self.control {
            control.watch(epoll)?;
        }
        if let Some(notify) = &self.notify {
            let token = Source::Notify(incarnation).token();
            epoll.add(notify.as_fd(), token, Interest::READABLE)?;
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
        // Not reaped yet, so the number is still its own. Both fail only when nobody is left.
        let _gone = process::signal_group(self.child.pid, Signal::Kill);
        let _dead = self.pidfd().signal(Signal::Kill);
    }

    /// Reaps it if it has ended, after ending everything that it leaves behind: while it is not
    /// reaped, its number cannot be somebody else's.
    pub(super) fn bury(&mut self) -> io::Result<Option<Exit>> {
        match self.pidfd().has_ended() {
            Ok(true) => self.kill(),
            Ok(false) => return Ok(None),
            // Somebody else took its status, a hook that waits for any child perhaps. Its number
            // may be another's by now, so that only the cgroup can be killed.
            Err(error) if error.raw_os_error() == Some(ECHILD) => {
                let _unkillable = self.cgroup.as_ref().map(Cgroup::kill);
                return Ok(Some(Exit::Unknown));
            }
            Err(error) => return Err(error),
        }
        let Some(status) = self.pidfd().wait()? else {
            return Ok(None);
        };
        let exit = exit_of(status);
        let by_kernel = self
            .cgroup
            .as_ref()
            .and_then(Cgroup::oom_kills)
            .is_some_and(|n| n > 0);
        let killed = matches!(exit, Exit::Signal(_));
        Ok(Some(if killed && by_kernel {
            Exit::OutOfMemory
        } else {
            exit
        }))
    }

    /// Until when it is not read, because it talks too much.
    pub(super) fn throttled_until(&self) -> Option<Tick> {
        self.control.as_ref().and_then(Control::throttled_until)
    }

    /// Lets go of a worker that is dead and buried.
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
