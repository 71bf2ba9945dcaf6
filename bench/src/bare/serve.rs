//! Serving connections from one epoll set: read, answer, close.

use crate::answer;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// The longest request read.
const LONGEST: usize = 1024;

/// The token of the source of connections; clients have smaller ones.
pub(super) const SOURCE: u64 = u64::MAX;

/// The clients of one worker.
pub(super) struct Server {
    pub(super) set: OwnedFd,
    answer: Vec<u8>,
    waiting: Vec<Option<OwnedFd>>,
    free: Vec<usize>,
}

impl Server {
    /// A server that takes its connections from `source`, of which it wants to know `flags`.
    pub(super) fn new(source: impl AsFd, flags: EventFlags) -> io::Result<Server> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&set, source, EventData::new_u64(SOURCE), flags)?;
        Ok(Server {
            set,
            answer: answer::own(),
            waiting: Vec::new(),
            free: Vec::new(),
        })
    }

    /// Serves a new client. The request is mostly there already, so it is read at once:
    /// most connections never enter the epoll set.
    pub(super) fn take(&mut self, client: OwnedFd) -> io::Result<()> {
        let Some(client) = self.serve(client) else {
            return Ok(());
        };
        let place = self.free.pop().unwrap_or_else(|| {
            self.waiting.push(None);
            self.waiting.len() - 1
        });
        epoll::add(
            &self.set,
            &client,
            EventData::new_u64(place as u64),
            EventFlags::IN,
        )?;
        self.waiting[place] = Some(client);
        Ok(())
    }

    /// Serves a client that had not sent its request before.
    pub(super) fn go_on(&mut self, token: u64) {
        let Ok(place) = usize::try_from(token) else {
            return;
        };
        if let Some(client) = self.waiting.get_mut(place).and_then(Option::take) {
            self.waiting[place] = self.serve(client);
            if self.waiting[place].is_none() {
                self.free.push(place);
            }
        }
    }

    /// Answers and closes, or gives the client back while its request is not there. The clients send their
    /// requests in one piece; a client that has gone is closed.
    fn serve(&self, client: OwnedFd) -> Option<OwnedFd> {
        let mut request = [0; LONGEST];
        match recv(&client, &mut request, RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN) => return Some(client),
            Ok((length, _)) if answer::is_whole_request(&request[..length]) => {
                // A client that has gone has no use for it.
                let _gone = send(&client, &self.answer, SendFlags::NOSIGNAL);
            }
            Ok(_) | Err(_) => {}
        }
        None
    }
}
