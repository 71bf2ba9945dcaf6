//! Serving connections from one epoll set: read, answer, and close what is not to be kept.

use crate::answer::{Answers, Then};
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
    answers: Answers,
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
            answers: Answers::own(),
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

    /// Serves a client whose request was not there before.
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

    /// Answers, and gives the client back when it stays, or its request is not there.
    fn serve(&self, client: OwnedFd) -> Option<OwnedFd> {
        match answer(&client, &self.answers) {
            Then::Keep => Some(client),
            Then::Close => None,
        }
    }
}

/// Answers what a client asks, and says whether to go on with it: also while its request is not there. A client
/// that has gone, or sends half a request, is not gone on with.
pub fn answer(client: impl AsFd, answers: &Answers) -> Then {
    let mut request = [0; LONGEST];
    match recv(&client, &mut request, RecvFlags::DONTWAIT) {
        Err(Errno::AGAIN) => Then::Keep,
        Ok((length, _)) => match answers.to(&request[..length]) {
            Some((answer, then)) => match send(&client, answer, SendFlags::NOSIGNAL) {
                Ok(_) => then,
                Err(_) => Then::Close,
            },
            None => Then::Close,
        },
        Err(_) => Then::Close,
    }
}
