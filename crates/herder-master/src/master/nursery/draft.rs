//! A plan in the making.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use herder_sys::fd::{self, Blocking};
use herder_sys::pipe;
use herder_wire::plan::{DescriptorUse, LaunchPlan};

use crate::dispatch::Line;
use crate::master::control::Control;
use crate::master::crew::MemberId;
use crate::master::gateway::Lodging;
use crate::master::node::NodeLife;
use crate::master::notify::NotifySocket;

/// A plan with the descriptors that go with it, and with what the master keeps to talk to the
/// process.
pub(in crate::master) struct Draft {
    pub(super) plan: LaunchPlan,
    pub(super) descriptors: Vec<OwnedFd>,
    pub(super) control: Option<Control>,
    pub(super) notify: Option<NotifySocket>,
    pub(super) link: Option<Line>,
    /// Where it is to listen.
    pub(super) lodging: Option<Lodging>,
    pub(super) node: Option<NodeLife>,
    /// Where its input is written to.
    pub(super) stdin: Option<OwnedFd>,
}

impl Draft {
    pub(super) fn new(plan: LaunchPlan) -> Draft {
        Draft {
            plan,
            descriptors: Vec::new(),
            control: None,
            notify: None,
            link: None,
            lodging: None,
            node: None,
            stdin: None,
        }
    }

    /// Adds a descriptor.
    pub(super) fn give(&mut self, usage: DescriptorUse, fd: OwnedFd) {
        self.plan.descriptors.push(usage);
        self.descriptors.push(fd);
    }

    /// Adds duplicates of listeners, with their names.
    pub(super) fn give_listeners(&mut self, listeners: &[(String, OwnedFd)]) -> io::Result<()> {
        for (name, listener) in listeners {
            let usage = DescriptorUse::Listener { name: name.clone() };
            self.give(usage, herder_sys::fd::duplicate(listener.as_fd())?);
        }
        Ok(())
    }

    /// Adds an input that can be written to. Writing never waits.
    pub(super) fn give_stdin(&mut self) -> io::Result<()> {
        const STDIN: u16 = 0;
        let (theirs, ours) = pipe::pipe()?;
        fd::set_blocking(ours.as_fd(), Blocking::No)?;
        self.give(DescriptorUse::Place { target: STDIN }, theirs);
        self.stdin = Some(ours);
        Ok(())
    }

    /// Adds a control channel.
    pub(super) fn give_control(&mut self, id: MemberId) -> io::Result<()> {
        let (control, theirs) = Control::new(id)?;
        self.control = Some(control);
        self.give(DescriptorUse::Control, theirs);
        Ok(())
    }
}
