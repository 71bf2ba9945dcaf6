//! The socket pair between this gateway and one worker.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, Waker};

use herder_core::JobId;
use herder_sys::socket::{self, Received, Wait};
use herder_sys::{fd, memory};
use herder_wire::link::{Decoder, FromGateway, MAX_FRAME, VERSION};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::reactor;

/// What the kernel is asked to let lie un-received. It doubles the number.
const SEND_BUFFER: usize = 212_992;

/// What certainly fits into a link that the kernel calls writable, in bytes as it counts them: then
/// no more than a quarter of the (doubled) buffer is in use.
const ALLOWANCE: usize = 256 * 1024;

/// What the kernel adds to a packet, at most; beside that it rounds a packet up, to at most twice
/// its length.
const OVERHEAD: usize = 1024;

/// Both ends of a link.
///
/// The duplicate of the *worker's* end is what makes acknowledgements needless: what the worker has
/// not received can be received back. The kernel gives each packet to exactly one of the two. Nobody
/// sees the end of a link while this is held; that a worker is dead, the master says.
pub(crate) struct Link {
    ours: AsyncFd<OwnedFd>,
    theirs: OwnedFd,
    /// How much certainly fits, without asking the kernel.
    allowance: Cell<usize>,
    full: Cell<bool>,
    /// Cancellations that did not fit.
    owed: RefCell<Vec<JobId>>,
    /// The task that waits for the link.
    waiting: RefCell<Option<Waker>>,
}

/// Why a link can be tended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stirring {
    /// Something may be read.
    Readable,
    /// It was full and has room again.
    Room,
}

/// What came back.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TakenBack {
    /// The jobs that the worker has not received and never will, oldest first.
    pub(crate) jobs: Vec<JobId>,
    greeting: Greeting,
    cancelled: Vec<JobId>,
}

/// Whether the `Hello` was taken back, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Greeting {
    #[default]
    Received,
    TakenBack,
}

impl Link {
    /// Ties up the two descriptors and says `Hello`.
    pub(crate) fn new(ours: OwnedFd, theirs: OwnedFd) -> io::Result<Link> {
        socket::set_send_buffer(ours.as_fd(), SEND_BUFFER)?;
        let link = Link {
            ours: reactor::watch(ours)?,
            theirs,
            allowance: Cell::new(ALLOWANCE),
            full: Cell::new(false),
            owed: RefCell::default(),
            waiting: RefCell::default(),
        };
        link.greet()?;
        Ok(link)
    }

    /// Whether a packet of `length` bytes fits now, for certain. If so, room for it is set aside;
    /// if not, [`Link::stirring`] tells when there is room again.
    pub(crate) fn reserve(&self, length: usize) -> bool {
        let cost = OVERHEAD + 2 * length;
        if !self.full.get() && self.allowance.get() < cost {
            if self.is_writable() {
                self.allowance.set(ALLOWANCE);
            } else {
                self.is_full();
            }
        }
        if self.full.get() {
            return false;
        }
        self.allowance
            .set(self.allowance.get().saturating_sub(cost));
        true
    }

    /// Whether the kernel would take a packet now.
    pub(crate) fn is_writable(&self) -> bool {
        fd::has_room(self.ours.as_fd())
    }

    /// Sends one packet.
    pub(crate) fn send(&self, packet: &[u8], memory: Option<BorrowedFd<'_>>) -> io::Result<()> {
        socket::send(self.ours.as_fd(), packet, memory.as_slice()).map(|_all| ())
    }

    /// Tells the worker that a job's client is gone, as soon as there is room.
    pub(crate) fn cancel(&self, job: JobId) {
        let mut packet = Vec::with_capacity(16);
        let encoded = FromGateway::Cancel { job: job.0 }.encode(&mut packet);
        encoded.expect("a number fits into a frame");
        if !self.reserve(packet.len()) || self.send(&packet, None).is_err() {
            self.owed.borrow_mut().push(job);
        }
    }

    /// There is room again: sends the cancellations that are owed.
    pub(crate) fn has_room(&self) {
        self.full.set(false);
        self.allowance.set(ALLOWANCE);
        for job in self.owed.take() {
            self.cancel(job);
        }
    }

    /// Receives one packet of the worker's, if there is one. `room` must hold [`MAX_FRAME`].
    pub(crate) fn receive(&self, room: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<Received> {
        self.ours.try_io(Interest::READABLE, |ours| {
            socket::receive(ours.as_fd(), room, fds, 1, Wait::DontWait)
        })
    }

    /// As [`Link::receive`], but asks the kernel even when nothing was announced: for the last words
    /// of the dead.
    pub(crate) fn receive_now(
        &self,
        room: &mut [u8],
        fds: &mut Vec<OwnedFd>,
    ) -> io::Result<Received> {
        socket::receive(self.ours.as_fd(), room, fds, 1, Wait::DontWait)
    }

    /// Receives back what the worker has not received. What is no job is sent again.
    pub(crate) fn take_back(&self, room: &mut [u8]) -> TakenBack {
        let taken = self.empty(room);
        if taken.greeting == Greeting::TakenBack {
            // The link was emptied just now; a worker that has ended it needs no greeting.
            let _ended = self.greet();
        }
        for job in &taken.cancelled {
            if !taken.jobs.contains(job) {
                self.cancel(*job);
            }
        }
        taken
    }

    /// Waits until there is something to do.
    pub(crate) async fn stirring(&self) -> Stirring {
        poll_fn(|context| self.poll_stirring(context)).await
    }

    fn poll_stirring(&self, context: &mut Context<'_>) -> Poll<Stirring> {
        // An error of the reactor shows in the next call on the descriptor.
        if self.full.get() && self.ours.poll_write_ready(context).is_ready() {
            return Poll::Ready(Stirring::Room);
        }
        if self.ours.poll_read_ready(context).is_ready() {
            return Poll::Ready(Stirring::Readable);
        }
        *self.waiting.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }

    /// From now on [`Link::stirring`] waits for room.
    pub(crate) fn is_full(&self) {
        self.full.set(true);
        reactor::forget_writable(&self.ours);
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }

    fn greet(&self) -> io::Result<()> {
        let mut packet = Vec::new();
        let hello = FromGateway::Hello { version: VERSION };
        hello.encode(&mut packet).map_err(io::Error::other)?;
        self.send(&packet, None)
    }

    fn empty(&self, room: &mut [u8]) -> TakenBack {
        let mut taken = TakenBack::default();
        let mut decoder = Decoder::<FromGateway>::new();
        let mut none = Vec::new();
        // Nobody but this process writes here, so what comes back is well-formed; whatever ends the
        // loop, nothing is left to take.
        while let Ok(received) =
            socket::receive(self.theirs.as_fd(), room, &mut none, 0, Wait::DontWait)
        {
            if received.len == 0 {
                break;
            }
            decoder.push(&room[..received.len]);
            while let Ok(Some(frame)) = decoder.next() {
                match frame {
                    FromGateway::Job { job, .. } => taken.jobs.push(JobId(job)),
                    FromGateway::Cancel { job } => taken.cancelled.push(JobId(job)),
                    FromGateway::Hello { .. } => taken.greeting = Greeting::TakenBack,
                }
            }
        }
        taken
    }
}

/// Where a message travels that is too long for a frame.
pub(crate) fn seal(bytes: &[u8]) -> io::Result<OwnedFd> {
    memory::sealed(bytes)
}

/// Room for one packet.
pub(crate) fn packet_room() -> Box<[u8]> {
    vec![0; MAX_FRAME].into_boxed_slice()
}
