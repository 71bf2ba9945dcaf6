//! Serving Node programs as the primary of their `cluster`: they listen by asking the master, which
//! passes them connections, or the listener itself, over the channel that Node's own primary has.

mod bind;
mod board;
mod channel;
mod deal;
mod exchange;
mod heed;
mod lane;
mod last_call;
mod losses;
mod mail;
mod marks;
mod peer;
mod quay;
mod switchboard;

use herder_core::WorkerId;
use herder_wire::node::UserValue;
use serde::{Deserialize, Serialize};

pub(crate) use bind::SocketFile;
pub(crate) use board::FORMAT as BOARD_FORMAT;
pub(crate) use mail::Mail;
pub(super) use switchboard::Switchboard;

use super::{GroupSpec, NodeEnds};

/// From the main thread to the switchboard.
pub(crate) enum Order {
    /// The worker was started; these are the master's ends of its channels.
    Attach(NodeEnds),
    /// The worker shall finish what it has, then leave.
    Disconnect,
    /// The process is dead: read what it had said, then say [`Word::Dry`].
    ReadDry,
    /// A message for the program, from another one. It is lost if the worker does not read.
    Relay(UserValue),
    /// A message of ours for the program.
    Tell(UserValue),
}

/// From the switchboard to the main thread: what a worker has said, or how its channel stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// It broke the protocol, in this way. It is not listened to any more.
    Broken(String),
    /// All that it had said was told.
    Dry,
    /// Its channel has ended; its process may live on.
    Ended(Afterlife),
    /// It has the listener that it was sent.
    HandleTaken,
    /// Its program listens.
    Listening,
    /// Node is up.
    Online,
    /// Its program says `ready`.
    Ready,
    /// Its program has served so many connections in all.
    Served(u64),
    /// Its program announces its own end.
    Suicide,
    /// What it asks for can come to no good, for this reason; it may be a launcher that took the channel
    /// which was meant for the program.
    Swallowed(String),
    /// Its program leaves by its own wish.
    Voluntary,
}

/// What an engine does without its channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Afterlife {
    /// Nothing: it ends it when it is done.
    None,
    /// It serves what it has begun: Bun ends its channel as soon as it is told to leave.
    Serves,
}

/// Which way messages were going.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// They came faster than they were taken, or were too long.
    From,
    /// The worker did not read them.
    To,
}

/// A word of a worker's, or news of a listener.
pub(crate) enum NodeNews {
    /// So many messages of or to a worker's program were lost.
    Lost(WorkerId, Way, u64),
    /// A message of a worker's program.
    Mail(WorkerId, Mail),
    /// The herd listens here. A socket's file is to be removed when the master cannot.
    Opened {
        address: String,
        file: Option<SocketFile>,
    },
    /// A worker's word.
    Word(WorkerId, Word),
}

/// Who accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scheduling {
    /// Each worker, from a TCP socket of its own. (Unix sockets are passed all the same, and UDP sockets
    /// shared.)
    Own,
    /// The master, which passes connections on. (UDP sockets are shared all the same.)
    Passed,
    /// The workers, which share each listener.
    Shared,
}

/// What a switchboard has to know beside the policy.
#[derive(Clone)]
pub(crate) struct NodeTrade {
    /// Who accepts.
    pub(crate) scheduling: Scheduling,
    /// How sockets are made of which each worker has its own.
    pub(crate) group: GroupSpec,
    /// Every worker is sent the herd's own listeners with this message, when it is online.
    pub(crate) gift: Option<UserValue>,
    /// Whether somebody wants to know how many connections each worker has served.
    pub(crate) counting: Counting,
}

/// Whether connections are counted for each worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counting {
    No,
    Yes,
}
