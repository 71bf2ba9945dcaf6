//! The sockets of one TCP address of which each worker has one of its own, and who of them has its
//! turn: the modes `kernel` and `reuseport`.

mod act;
mod berth;
mod deposit;
mod parting;
mod pieces;
mod rescue;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use berth::Berth;
pub(crate) use deposit::Deposit;
use herder_core::rotation::{
    Event, Relief, Rotation, RotationSpec, SocketId, Steering as Manner, Weight,
};
use herder_core::{Slot, Tick, WorkerId};
use herder_sys::bpf::Steering;
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::fd::Blocking;
use herder_sys::listener::{self, BoundAddress, Families};
use parting::Partings;
use rescue::Rescues;

/// A descriptor of a group, as it is called in the keeper's store (`Key::group`).
pub(crate) use herder_wire::keeper::GroupItem as Piece;

/// How a group is made.
#[derive(Clone, Debug)]
pub(crate) struct GroupSpec {
    /// Turns, and times. Its `steering` is the mode: a program = `kernel`, the hash = `reuseport`.
    pub(crate) rotation: RotationSpec,
    /// What an IPv6 address takes.
    pub(crate) families: Families,
    /// How many connections may wait at each socket.
    pub(crate) backlog: u32,
    /// What new sockets are: foreign programs expect blocking ones.
    pub(crate) blocking: Blocking,
}

#[cfg(test)]
impl GroupSpec {
    /// As for a program that is not blocked by `accept`.
    pub(crate) fn usual(steering: Manner) -> GroupSpec {
        GroupSpec {
            rotation: RotationSpec {
                steering,
                ..RotationSpec::default()
            },
            families: Families::Both,
            backlog: 511,
            blocking: Blocking::No,
        }
    }
}

/// What came of it, for the owner of the group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Notice {
    /// The worker's turn comes no more: it may be told to drain.
    Withdrawn(WorkerId),
    /// The worker's queue stands: [rescue](Group::rescue) who waits there, and hand those
    /// connections to others. (Of workers with [`Relief::HandOver`] alone.)
    Rescue(WorkerId),
    /// The worker is to be killed as hung. Who waited there has been moved, where that is possible.
    Hung(WorkerId),
    /// The worker does not keep up: others have its turns.
    Excluded { worker: WorkerId, waiting: u32 },
    /// It has caught up.
    Readmitted(WorkerId),
    /// Something cannot be done; the group goes on.
    Failed(String),
}

/// What was stored of a group, for the next master.
pub(crate) type Pieces = Vec<(Piece, OwnedFd)>;

/// All sockets of one address. It belongs to one thread.
///
/// Its descriptor ([`AsFd`]) becomes readable when [`Group::wake`] is to be called; at
/// [`Group::next_timer`], too.
pub(crate) struct Group {
    spec: GroupSpec,
    local: SocketAddr,
    /// The first that was bound. It listens to nobody, and keeps the address while all others are
    /// closed.
    anchor: OwnedFd,
    /// The program, in `kernel` mode.
    steering: Option<Steering>,
    rotation: Rotation,
    /// Whose turns there are, as they were written last.
    turns: Vec<Slot>,
    /// How many turns each slot had yielded at the last look, and how many it is to have.
    yielded: Vec<(Slot, u64)>,
    to_yield: BTreeMap<Slot, u64>,
    berths: BTreeMap<SocketId, Berth>,
    partings: Partings,
    epoll: Epoll,
    rescues: Rescues,
    notices: Vec<Notice>,
    edition: u64,
    doors: Doors,
}

/// Whether new connections are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doors {
    Open,
    Closed,
}

/// The bell of who rescues connections.
const RESCUED: u64 = u64::MAX;
/// Any of the sockets.
const SOCKET: u64 = 0;

/// How many events one call takes from the kernel: it is enough that there is one.
const EVENTS: usize = 16;

impl Group {
    /// Takes the address (port 0: one that the kernel chooses), without listening yet.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` when anybody else has it, with or without `SO_REUSEPORT`; what refuses the
    /// program, in words.
    pub(crate) fn bind(spec: &GroupSpec, address: SocketAddr) -> io::Result<Group> {
        let steering = match spec.rotation.steering {
            Manner::Program => Some(Steering::load()?),
            Manner::Hash => None,
        };
        let anchor = listener::bind_anchor(address, spec.families)?;
        Group::around(spec, anchor, steering, Rotation::new(&spec.rotation))
    }

    fn around(
        spec: &GroupSpec,
        anchor: OwnedFd,
        steering: Option<Steering>,
        rotation: Rotation,
    ) -> io::Result<Group> {
        let BoundAddress::Tcp(local) = listener::local_address(anchor.as_fd())? else {
            return Err(io::Error::other("what keeps the address is no TCP socket"));
        };
        let (epoll, rescues) = (Epoll::new()?, Rescues::new()?);
        epoll.add(rescues.as_fd(), RESCUED, Interest::READABLE)?;
        Ok(Group {
            spec: spec.clone(),
            local,
            anchor,
            steering,
            turns: rotation.turns().to_vec(),
            rotation,
            yielded: Vec::new(),
            to_yield: BTreeMap::new(),
            berths: BTreeMap::new(),
            partings: Partings::default(),
            epoll,
            rescues,
            notices: Vec::new(),
            edition: 0,
            doors: Doors::Open,
        })
    }

    /// Where it listens, with the real port.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// The socket of a worker that is about to be started: its slot's, if nobody living has it, else
    /// a new one. Send a duplicate to the worker.
    ///
    /// # Errors
    ///
    /// `EMFILE` and the like. Then nothing is known of the worker.
    pub(crate) fn start(
        &mut self,
        worker: WorkerId,
        weight: Weight,
        relief: Relief,
        now: Tick,
    ) -> io::Result<BorrowedFd<'_>> {
        let event = Event::Started {
            worker,
            weight,
            relief,
        };
        if let Err(error) = self.handle(event, now) {
            self.tell(Event::Gone { worker }, now);
            return Err(error);
        }
        if let Some(inherited) = self.rotation.socket_of(worker) {
            // The worker shall not see its socket shut down.
            self.part_now(inherited);
        }
        self.socket(worker)
            .ok_or_else(|| io::Error::other("the worker has lost its socket"))
    }

    /// The socket of a worker that was [started](Group::start).
    pub(crate) fn socket(&self, worker: WorkerId) -> Option<BorrowedFd<'_>> {
        let socket = self.rotation.socket_of(worker)?;
        Some(self.berths.get(&socket)?.as_fd())
    }

    /// Tells what happened: `Admit`, `Hold`, `Withdraw`, `Retire`, `Gone`, `Load`.
    pub(crate) fn tell(&mut self, event: Event, now: Tick) {
        if let Err(error) = self.handle(event, now) {
            self.fail("goes on without a socket", &error);
        }
    }

    /// Its descriptor was readable, or its timer has come.
    pub(crate) fn wake(&mut self, now: Tick) {
        let mut events = Events::with_capacity(EVENTS);
        // It fails in no case in which one could do anything.
        let _unheard = self.epoll.wait(&mut events, Some(Duration::ZERO));
        if events.iter().any(|event| event.token != RESCUED) {
            self.tell(Event::Waiting, now);
        }
        if events.iter().any(|event| event.token == RESCUED) {
            self.rescues.silence();
        }
        self.finish_partings(now);
        for (worker, count) in self.rescues.finished(now) {
            self.tell(Event::Rescued { worker, count }, now);
        }
        if self.rotation.poll_timeout().is_some_and(|at| at <= now) {
            self.tell(Event::Timer, now);
        }
    }

    /// When to call [`wake`](Group::wake) at the latest.
    pub(crate) fn next_timer(&self) -> Option<Tick> {
        let timers = [
            self.rotation.poll_timeout(),
            self.rescues.next_timer(),
            self.partings.next_timer(),
        ];
        timers.into_iter().flatten().min()
    }

    /// What came of it since it was asked last.
    pub(crate) fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Accepts who waits at the worker's socket, without waiting itself (also from a socket that is
    /// blocking): what it takes comes out of [`rescued`](Group::rescued).
    pub(crate) fn rescue(&mut self, worker: WorkerId, now: Tick) {
        let begun = match self.socket(worker) {
            Some(socket) => herder_sys::fd::duplicate(socket),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        let begun = begun.and_then(|socket| self.rescues.begin(worker, socket, now));
        if let Err(error) = begun {
            self.fail("cannot rescue who waits", &error);
            self.tell(Event::Rescued { worker, count: 0 }, now);
        }
    }

    /// Connections that were rescued since it was asked last, each with the worker it waited at. Ask
    /// after each [`wake`](Group::wake).
    pub(crate) fn rescued(&mut self) -> Vec<(WorkerId, OwnedFd)> {
        self.rescues.take()
    }

    /// Nobody new from now on; who waits can still be accepted. In `kernel` mode clients are refused,
    /// as if nobody listened. Without a program there is no such thing, and nothing changes.
    pub(crate) fn close_doors(&mut self) {
        // As long as the program gives them to anybody.
        self.finish_all_partings();
        self.doors = Doors::Closed;
        if let Some(Err(error)) = self.steering.as_ref().map(Steering::close) {
            self.fail("cannot refuse new connections", &error);
        }
    }

    /// Nobody listens at any of its sockets any more, whoever has them, and who waits is refused. For a group
    /// that no worker has.
    pub(crate) fn shut_down(&self) {
        for berth in self.berths.values() {
            let _silent = listener::shut_down(berth.as_fd());
        }
    }

    /// What the program has counted; `None` without one.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> Option<herder_sys::bpf::Counts> {
        self.steering.as_ref()?.counts().ok()
    }

    fn fail(&mut self, what: &str, error: &io::Error) {
        let text = format!("{} {what}: {error}", self.local);
        self.notices.push(Notice::Failed(text));
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
