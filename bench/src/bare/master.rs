//! The bare accept-and-pass loop: one record of 16 bytes and one descriptor a message, strict rotation over the
//! workers with credit, which is counted from outside, on a thread under `SCHED_BATCH`.

use super::{Role, WORKERS, announce, listen};
use herder_sys::sched;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    accept_with, sendmsg, socketpair,
};
use std::env;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

/// How many connections a worker may have that it has not received.
const CREDIT: u64 = 8;
/// Length of a record, in bytes.
const RECORD: usize = 16;
/// Most connections accepted in one turn.
const TURN: u64 = 64;
/// The token of the listener; workers have smaller ones.
const LISTENER: u64 = u64::MAX;

/// Accepts and passes until it is killed.
pub(super) fn run() -> io::Result<()> {
    let listener = listen()?;
    let workers = (0..WORKERS)
        .map(|_| Worker::start())
        .collect::<io::Result<Vec<_>>>()?;
    // After the workers are started: they would inherit it.
    sched::batch_this_thread()?;
    let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(
        &set,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    for (number, worker) in workers.iter().enumerate() {
        epoll::add(
            &set,
            &worker.ours,
            EventData::new_u64(number as u64),
            EventFlags::empty(),
        )?;
    }
    announce(&listener)?;
    Master {
        listener,
        workers,
        set,
        turn: 0,
        waits: Waits::Connections,
    }
    .run()
}

struct Master {
    listener: TcpListener,
    workers: Vec<Worker>,
    set: OwnedFd,
    /// Whose turn it is.
    turn: usize,
    waits: Waits,
}

/// What the loop waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    Connections,
    Credit,
}

struct Worker {
    ours: OwnedFd,
    /// Kept to see how much the worker has not received.
    theirs: OwnedFd,
    credit: u64,
}

impl Worker {
    fn start() -> io::Result<Worker> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Command::new(env::current_exe()?)
            .arg(Role::Passed.name())
            .stdin(Stdio::from(theirs.try_clone()?))
            .spawn()?;
        Ok(Worker {
            ours,
            theirs,
            credit: CREDIT,
        })
    }

    fn count_credit(&mut self) -> io::Result<u64> {
        let unread = ioctl_fionread(&self.theirs)? / RECORD as u64;
        self.credit = CREDIT.saturating_sub(unread);
        Ok(self.credit)
    }
}

impl Master {
    fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(8);
        loop {
            epoll::wait(&self.set, spare_capacity(&mut events), None)?;
            events.clear();
            self.pass_waiting()?;
        }
    }

    /// One turn: as many connections as there are, and credit for them.
    fn pass_waiting(&mut self) -> io::Result<()> {
        let mut credit = 0;
        for worker in &mut self.workers {
            credit += worker.count_credit()?;
        }
        self.wait_for(if credit == 0 {
            Waits::Credit
        } else {
            Waits::Connections
        })?;
        for _ in 0..credit.min(TURN) {
            match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(connection) => self.pass(connection)?,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends one connection to the next worker in turn that has credit.
    fn pass(&mut self, connection: OwnedFd) -> io::Result<()> {
        while self.workers[self.turn].credit == 0 {
            self.turn = (self.turn + 1) % self.workers.len();
        }
        let worker = &mut self.workers[self.turn];
        self.turn = (self.turn + 1) % WORKERS;
        worker.credit -= 1;
        let descriptors = [connection.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fits = control.push(SendAncillaryMessage::ScmRights(&descriptors));
        debug_assert!(fits, "the space is made for one descriptor");
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(
            &worker.ours,
            &[IoSlice::new(&[0; RECORD])],
            &mut control,
            flags,
        )?;
        Ok(())
    }

    /// Without credit the listener rests, and each receive of a worker gives one event.
    fn wait_for(&mut self, waits: Waits) -> io::Result<()> {
        if self.waits == waits {
            return Ok(());
        }
        self.waits = waits;
        let (listener, channels) = match waits {
            Waits::Connections => (EventFlags::IN, EventFlags::empty()),
            Waits::Credit => (EventFlags::empty(), EventFlags::OUT | EventFlags::ET),
        };
        epoll::modify(
            &self.set,
            &self.listener,
            EventData::new_u64(LISTENER),
            listener,
        )?;
        for (number, worker) in self.workers.iter().enumerate() {
            epoll::modify(
                &self.set,
                &worker.ours,
                EventData::new_u64(number as u64),
                channels,
            )?;
        }
        Ok(())
    }
}
