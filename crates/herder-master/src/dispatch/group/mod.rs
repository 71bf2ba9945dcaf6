//! The sockets of one TCP address of which each worker has one of its own, and who of them has its
//! turn: the modes `kernel` and `reuseport`.

#![expect(dead_code, reason = "the modes that use it follow")]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use herder_core::rotation::{Event, Relief, RotationSpec, Weight};
use herder_core::{Tick, WorkerId};
use herder_sys::epoll::Epoll;
use herder_sys::listener::Families;

/// How a group is made.
#[derive(Clone, Debug)]
pub(crate) struct GroupSpec {
    /// Turns, and times. Its `steering` is the mode: a program = `kernel`, the hash = `reuseport`.
    pub(crate) rotation: RotationSpec,
    /// What an IPv6 address takes.
    pub(crate) families: Families,
    /// How many connections may wait at each socket.
    pub(crate) backlog: u32,
    /// Whether foreign programs accept, to whom sockets are blocking.
    pub(crate) blocking: herder_sys::fd::Blocking,
}

/// What came of it, for the owner of the group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Notice {
    /// The worker's turn comes no more: it may be told to drain.
    Withdrawn(WorkerId),
    /// The worker's queue stands: accept from its socket ([`Group::rescue`]), hand those connections
    /// to others, then [`Group::tell`] `Event::Rescued`.
    Rescue(WorkerId),
    /// The worker is to be killed as hung.
    Hung(WorkerId),
    /// The worker does not keep up: others have its turns.
    Excluded { worker: WorkerId, waiting: u32 },
    /// It has caught up.
    Readmitted(WorkerId),
    /// Something cannot be done; the group goes on.
    Failed(String),
}

/// A descriptor of a group, as it is called in the keeper's store (`Key::group`).
pub(crate) use herder_wire::keeper::GroupItem as Piece;

/// What was stored of a group, for the next master.
pub(crate) type Pieces = Vec<(Piece, OwnedFd)>;

/// All sockets of one address. It belongs to one thread.
///
/// Its descriptor ([`AsFd`]) becomes readable when [`Group::wake`] is to be called; at
/// [`Group::next_timer`], too.
pub(crate) struct Group {
    local: SocketAddr,
    epoll: Epoll,
}

impl Group {
    /// Takes the address (port 0: one that the kernel chooses), without listening yet.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` when anybody else has it, with or without `SO_REUSEPORT`; what refuses the
    /// program, in words.
    pub(crate) fn bind(spec: &GroupSpec, address: SocketAddr) -> io::Result<Group> {
        let _ = (spec, address);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Goes on with what an earlier master's group was made of. `workers`: who lives; nobody of them
    /// is in the rotation anew before it is admitted, and until then it stays as it was.
    pub(crate) fn adopt(
        spec: &GroupSpec,
        pieces: Pieces,
        workers: &[(WorkerId, Weight, Relief)],
        now: Tick,
    ) -> io::Result<Group> {
        drop((spec, pieces, workers, now));
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where it listens, with the real port.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// The socket of a worker that is about to be started: its slot's, if nobody living has it, else
    /// a new one. Send a duplicate to the worker.
    pub(crate) fn start(
        &mut self,
        worker: WorkerId,
        weight: Weight,
        relief: Relief,
        now: Tick,
    ) -> io::Result<BorrowedFd<'_>> {
        let _ = (worker, weight, relief, now);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The socket of a worker that was [started](Group::start).
    pub(crate) fn socket(&self, worker: WorkerId) -> Option<BorrowedFd<'_>> {
        let _ = worker;
        None
    }

    /// Tells what happened: `Admit`, `Hold`, `Withdraw`, `Retire`, `Gone`, `Load`, `Rescued`.
    pub(crate) fn tell(&mut self, event: Event, now: Tick) {
        drop((event, now));
    }

    /// Its descriptor was readable, or its timer has come.
    pub(crate) fn wake(&mut self, now: Tick) {
        let _ = now;
    }

    /// When to call [`wake`](Group::wake) at the latest.
    pub(crate) fn next_timer(&self) -> Option<Tick> {
        None
    }

    /// What came of it since it was asked last.
    pub(crate) fn notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }

    /// Accepts who waits at the worker's socket, without waiting itself (also from a socket that is
    /// blocking): what it takes comes out of [`rescued`](Group::rescued).
    pub(crate) fn rescue(&mut self, worker: WorkerId) {
        let _ = worker;
    }

    /// Connections that were rescued since it was asked last, each with the worker it waited at.
    pub(crate) fn rescued(&mut self) -> Vec<(WorkerId, OwnedFd)> {
        Vec::new()
    }

    /// Everything that the next master needs, with what is new since it was asked last; store these
    /// and forget the others.
    pub(crate) fn pieces(&self) -> Vec<(Piece, BorrowedFd<'_>)> {
        Vec::new()
    }

    /// A number that changes whenever [`pieces`](Group::pieces) does.
    pub(crate) fn edition(&self) -> u64 {
        0
    }

    /// No listening any more: who waits goes to nobody.
    pub(crate) fn close(self) {}
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
