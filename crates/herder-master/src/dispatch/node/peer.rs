//! One worker, as the switchboard sees it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use herder_core::{ConnId, WorkerId};
use herder_sys::epoll::{Epoll, Interest};

use super::channel::Channel;
use super::losses::Losses;
use super::mail::Postbox;
use super::{NodeNews, Word};

/// One worker.
pub(super) struct Peer {
    pub(super) id: WorkerId,
    pub(super) channel: Channel,
    pub(super) admission: Admission,
    pub(super) course: Course,
    /// What it was given and has not decided about, by the number that its verdict names: the listener
    /// and the connection.
    pub(super) undecided: BTreeMap<u64, (u64, ConnId)>,
    /// How many listeners it was sent that it has not taken yet.
    pub(super) gifts: usize,
    /// How many of them it has asked for again.
    pub(super) gifts_claimed: usize,
    /// What its program says.
    pub(super) postbox: Postbox,
    /// How many messages to its program were lost since it last read one.
    pub(super) unheard: u64,
    /// What was lost and is to be told.
    pub(super) losses: Losses,
    /// How many connections it has taken.
    pub(super) served: u64,
    pub(super) served_told: u64,
    token: u64,
    watched: Interest,
    /// What was told of it that is told once.
    told: Vec<Word>,
}

/// Whether it may get connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    Admitted,
    NotNow,
    NoMore,
}

/// Where it is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Course {
    /// It was told to leave, or says that it does.
    Leaves,
    Serves,
    /// It broke the protocol, and its death is awaited.
    Severed,
}

impl Peer {
    /// Begins to listen to a worker.
    pub(super) fn new(
        id: WorkerId,
        socket: OwnedFd,
        epoll: &Epoll,
        token: u64,
    ) -> io::Result<Peer> {
        let channel = Channel::new(socket);
        epoll.add(channel.socket(), token, Interest::READABLE)?;
        Ok(Peer {
            id,
            channel,
            admission: Admission::NotNow,
            course: Course::Serves,
            undecided: BTreeMap::new(),
            gifts: 0,
            gifts_claimed: 0,
            postbox: Postbox::default(),
            unheard: 0,
            losses: Losses::new(),
            served: 0,
            served_told: 0,
            token,
            watched: Interest::READABLE,
            told: Vec::new(),
        })
    }

    /// Wakes the thread for what the channel can do next.
    pub(super) fn rewatch(&mut self, epoll: &Epoll) -> io::Result<()> {
        if self.course == Course::Severed {
            return Ok(());
        }
        let wanted = if self.channel.wants_room() {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        if wanted != self.watched {
            epoll.modify(self.channel.socket(), self.token, wanted)?;
            self.watched = wanted;
        }
        Ok(())
    }

    /// A word about it that is to be told once, unless it was.
    pub(super) fn first(&mut self, word: Word) -> Option<NodeNews> {
        if self.told.contains(&word) {
            return None;
        }
        self.told.push(word.clone());
        Some(NodeNews::Word(self.id, word))
    }
}
