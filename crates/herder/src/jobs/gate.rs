//! One link between this worker and one gateway.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::socket;
use tokio::sync::Notify;

use crate::jobs::packet::Packet;
use crate::worker::link::Link;
use crate::worker::lock;

/// How long a reply that finds no room waits at most until it looks whether the worker ends.
const LOOK: Duration = Duration::from_millis(100);

/// How long a reply waits when the user has too many descriptors on their way: nothing tells when
/// that is over.
const CROWDED: Duration = Duration::from_millis(10);

/// The worker's end of a link.
///
/// What does not fit into it waits here, in order; nothing else is received or replied until it has
/// left.
pub(crate) struct Gate {
    socket: OwnedFd,
    token: u64,
    watch: Arc<Watch>,
    outbox: Mutex<Outbox>,
    /// How many tasks wait for room.
    waiting: AtomicUsize,
    /// The jobs that came by this link and are not finished, and whether they are cancelled.
    jobs: Mutex<BTreeMap<u64, Arc<Cancellation>>>,
    closed: AtomicBool,
}

struct Outbox {
    packets: VecDeque<Packet>,
    /// A job cannot be started before there is room.
    start_waits: bool,
    /// What the gate is watched for.
    interest: Interest,
}

/// What a worker of jobs waits for.
pub(crate) struct Watch {
    /// Watches the current gate and, for workers that block, the house.
    pub(crate) epoll: Epoll,
    /// There may be a job, or there is another gate.
    pub(crate) changed: Notify,
    /// There may be room at the gate.
    pub(crate) room: Notify,
    /// How many tasks wait for the cancellation of their job.
    pub(crate) waiting_for_cancel: AtomicUsize,
}

/// Whether anybody is left to read what is replied to a job.
#[derive(Default)]
pub(crate) struct Cancellation {
    cancelled: AtomicBool,
    told: Notify,
}

impl Cancellation {
    pub(crate) fn has_come(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Waits for it.
    pub(crate) async fn come(&self) {
        let mut told = std::pin::pin!(self.told.notified());
        // Registered before the look, so that it is not missed between look and wait.
        told.as_mut().enable();
        if !self.has_come() {
            told.await;
        }
    }

    fn tell(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.told.notify_waiters();
    }
}

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Posted {
    Now,
    /// The link is full. [`Watch::room`] tells when it has room again.
    Full,
    /// Too many descriptors of this user are on their way.
    Crowded,
}

impl Gate {
    /// A gate that is watched from now on; its events carry `token`.
    pub(crate) fn open(socket: OwnedFd, token: u64, watch: &Arc<Watch>) -> io::Result<Gate> {
        watch.epoll.add(socket.as_fd(), token, Interest::READABLE)?;
        Ok(Gate {
            socket,
            token,
            watch: Arc::clone(watch),
            outbox: Mutex::new(Outbox {
                packets: VecDeque::new(),
                start_waits: false,
                interest: Interest::READABLE,
            }),
            waiting: AtomicUsize::new(0),
            jobs: Mutex::new(BTreeMap::new()),
            closed: AtomicBool::new(false),
        })
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The gateway is gone, or nobody may speak any more: every job is cancelled.
    pub(crate) fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        // Readable for ever from now on. It can only fail when it is not watched any more.
        let _already = self.watch.epoll.remove(self.socket());
        lock(&self.outbox).packets.clear();
        for cancellation in lock(&self.jobs).values() {
            cancellation.tell();
        }
        self.watch.changed.notify_waiters();
        self.watch.room.notify_waiters();
    }

    /// A job came by this gate.
    pub(crate) fn enter(&self, job: u64) -> Arc<Cancellation> {
        let cancellation = Arc::<Cancellation>::default();
        lock(&self.jobs).insert(job, Arc::clone(&cancellation));
        if self.is_closed() {
            cancellation.tell();
        }
        cancellation
    }

    pub(crate) fn leave(&self, job: u64) {
        lock(&self.jobs).remove(&job);
    }

    pub(crate) fn cancel(&self, job: u64) {
        if let Some(cancellation) = lock(&self.jobs).get(&job) {
            cancellation.tell();
        }
    }

    /// Sends a packet, unless it would have to wait.
    ///
    /// # Errors
    /// When the gate is closed, which it may be from now on, or for want of memory.
    pub(crate) fn post(&self, packet: &Packet) -> io::Result<Posted> {
        let posted = self.try_post(packet);
        self.closed_by(posted)
    }

    /// Sends a packet, now or when there is room.
    pub(crate) fn queue(&self, packet: Packet) {
        let posted = self.try_queue(packet);
        // When it is closed, nobody hears what is said here.
        let _closed = self.closed_by(posted);
    }

    /// That a job is started could not be [posted](Gate::post): has the gate watched for room, until
    /// the next [`flush`](Gate::flush).
    pub(crate) fn start_waits(&self) {
        let mut outbox = lock(&self.outbox);
        outbox.start_waits = true;
        self.watch_for_it(&mut outbox);
    }

    /// Sends what had to wait. [`Posted::Now`] = nothing waits any more.
    ///
    /// # Errors
    /// As [`post`](Gate::post).
    pub(crate) fn flush(&self) -> io::Result<Posted> {
        let posted = self.try_flush();
        self.closed_by(posted)
    }

    /// As [`post`](Gate::post), but waits until there is room, at most until the worker has to be
    /// gone.
    pub(crate) fn post_in_time(&self, packet: &Packet, link: &Link) -> io::Result<()> {
        let mut room: Option<Epoll> = None;
        loop {
            match self.post(packet)? {
                Posted::Now => return Ok(()),
                Posted::Crowded => std::thread::sleep(CROWDED),
                Posted::Full => {
                    let room = match &room {
                        Some(room) => room,
                        None => {
                            let epoll = Epoll::new()?;
                            epoll.add(self.socket(), 0, Interest::WRITABLE)?;
                            room.insert(epoll)
                        }
                    };
                    room.wait(&mut Events::with_capacity(1), Some(LOOK))?;
                }
            }
            link.stay();
            if link.is_late() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// As [`post_in_time`](Gate::post_in_time), for tasks.
    pub(crate) async fn post_when_possible(&self, packet: &Packet) -> io::Result<()> {
        let mut counted = None;
        loop {
            let mut room = std::pin::pin!(self.watch.room.notified());
            // Registered before the attempt, so that room made since is not missed.
            room.as_mut().enable();
            match self.post(packet)? {
                Posted::Now => return Ok(()),
                Posted::Crowded => tokio::time::sleep(CROWDED).await,
                Posted::Full => {
                    counted.get_or_insert_with(|| Counted::new(&self.waiting));
                    self.watch_for_it(&mut lock(&self.outbox));
                    room.await;
                }
            }
        }
    }

    fn try_post(&self, packet: &Packet) -> io::Result<Posted> {
        let mut outbox = lock(&self.outbox);
        match self.empty(&mut outbox)? {
            Posted::Now => self.send(packet),
            full @ (Posted::Full | Posted::Crowded) => Ok(full),
        }
    }

    fn try_queue(&self, packet: Packet) -> io::Result<Posted> {
        let mut outbox = lock(&self.outbox);
        if self.empty(&mut outbox)? == Posted::Now && self.send(&packet)? == Posted::Now {
            return Ok(Posted::Now);
        }
        outbox.packets.push_back(packet);
        self.watch_for_it(&mut outbox);
        Ok(Posted::Full)
    }

    fn try_flush(&self) -> io::Result<Posted> {
        let mut outbox = lock(&self.outbox);
        let posted = self.empty(&mut outbox)?;
        outbox.start_waits = false;
        self.watch_for_it(&mut outbox);
        Ok(posted)
    }

    fn empty(&self, outbox: &mut Outbox) -> io::Result<Posted> {
        if self.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        while let Some(packet) = outbox.packets.front() {
            match self.send(packet) {
                Ok(Posted::Now) => outbox.packets.pop_front(),
                posted => return posted,
            };
        }
        Ok(Posted::Now)
    }

    fn send(&self, packet: &Packet) -> io::Result<Posted> {
        let memory = packet.memory();
        match socket::send(self.socket(), packet.bytes(), memory.as_slice()) {
            Ok(_) => Ok(Posted::Now),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Posted::Full),
            Err(error) if socket::is_too_many_refs(&error) => Ok(Posted::Crowded),
            Err(error) => Err(error),
        }
    }

    /// Closes the gate when that is what the error says; not before the outbox is unlocked.
    fn closed_by(&self, posted: io::Result<Posted>) -> io::Result<Posted> {
        if posted.as_ref().is_err_and(is_end) {
            self.close();
        }
        posted
    }

    /// Has the gate watched for what can be done about it. While something has to leave first,
    /// that is room alone: what lies there and is not received would wake us without end.
    fn watch_for_it(&self, outbox: &mut Outbox) {
        let interest = if outbox.start_waits || !outbox.packets.is_empty() {
            Interest::WRITABLE
        } else if self.waiting.load(Ordering::Acquire) > 0 {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        if interest != outbox.interest {
            outbox.interest = interest;
            // A gate that was replaced is not watched any more.
            let epoll = &self.watch.epoll;
            let _replaced = epoll.modify(self.socket(), self.token, interest);
        }
    }
}

/// Counts somebody who waits.
pub(crate) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    pub(crate) fn new(count: &'a AtomicUsize) -> Counted<'a> {
        count.fetch_add(1, Ordering::AcqRel);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether an error says that the other side has ended.
pub(crate) fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}
