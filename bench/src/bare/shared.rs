//! Workers that race on one listener.

use super::serve::{SOURCE, Server};
use super::{Role, WORKERS, announce, listen};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, accept_with, socketpair};
use std::env;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

/// The token of the parent's end of life.
const PARENT: u64 = SOURCE - 1;

/// Starts the workers and waits until it is killed.
pub(super) fn run_parent() -> io::Result<()> {
    let listener = listen()?;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let child = Command::new(env::current_exe()?)
            .arg(Role::Sharing.name())
            .stdin(Stdio::from(OwnedFd::from(listener.try_clone()?)))
            .stdout(Stdio::from(theirs))
            .spawn()?;
        workers.push((ours, child));
    }
    announce(&listener)?;
    for (_, worker) in &mut workers {
        worker.wait()?;
    }
    Err(io::Error::other("the workers have ended by themselves"))
}

/// Accepts from the standard input until the other end of the standard output is closed.
pub(super) fn run_worker() -> io::Result<()> {
    let listener = io::stdin();
    let mut server = Server::new(&listener, EventFlags::IN | EventFlags::EXCLUSIVE)?;
    epoll::add(
        &server.set,
        io::stdout(),
        EventData::new_u64(PARENT),
        EventFlags::RDHUP,
    )?;
    let mut events = Vec::with_capacity(64);
    loop {
        match epoll::wait(&server.set, spare_capacity(&mut events), None) {
            // A process that was stopped and goes on is interrupted.
            Err(Errno::INTR) => continue,
            other => other?,
        };
        for event in events.drain(..) {
            match event.data.u64() {
                PARENT => return Ok(()),
                SOURCE => accept_all(&mut server)?,
                client => server.go_on(client),
            }
        }
    }
}

fn accept_all(server: &mut Server) -> io::Result<()> {
    loop {
        match accept_with(io::stdin(), SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(client) => server.take(client)?,
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::CONNABORTED | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
