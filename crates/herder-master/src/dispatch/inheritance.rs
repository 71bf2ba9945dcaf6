//! What one dispatch thread leaves to the next: after the death of a master, or in an upgrade.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use herder_core::WorkerId;
use herder_sys::listener::Listener;

use super::{Link, Pieces};

/// What a dispatch thread begins with.
///
/// After a master's death there is what the keeper has stored; in an upgrade everything is there, the
/// connections in the master's hand included.
#[derive(Default)]
pub(crate) struct Inheritance {
    /// The herd's own listeners, in the order of their addresses.
    pub(crate) listeners: Vec<Listener>,
    /// The living workers, each with how it is reached. What they have not received is taken back.
    ///
    /// Nobody of them gets anything before it is admitted again.
    pub(crate) lines: Vec<(WorkerId, Line)>,
    /// Connections that no worker has. (Of an upgrade.)
    pub(crate) hand: Vec<Left>,
    /// What the switchboard of Node programs has written down and opened.
    pub(crate) board: Option<Board>,
    /// How many masters have died so far. It keeps what this one says apart from what they said.
    pub(crate) masters_died: u32,
}

/// What a dispatch thread leaves when it surrenders: what the next one begins with.
pub(crate) type Remains = Inheritance;

/// How a worker is reached by who gives it connections.
pub(crate) enum Line {
    /// By a channel for connections.
    Conns(Link),
    /// By the channel of Node's `cluster`.
    Node(NodeEnds),
}

/// The master's ends of what a Node worker is reached by.
pub(crate) struct NodeEnds {
    /// The channel of Node's `cluster`.
    pub(crate) channel: OwnedFd,
    /// The channel on which it may be given connections instead.
    pub(crate) lane: Option<OwnedFd>,
}

/// A connection in a master's hand.
pub(crate) struct Left {
    /// The connection.
    pub(crate) socket: OwnedFd,
    /// Its number.
    pub(crate) conn: u64,
    /// Which listener it came by: its place, or for Node programs its key.
    pub(crate) listener: u64,
}

/// What the switchboard of Node programs leaves.
pub(crate) struct Board {
    /// The memory that it writes its state into (`herd.board`).
    pub(crate) memory: OwnedFd,
    /// The listeners that it has opened, by their keys (`herd.node.KEY`).
    pub(crate) listeners: Vec<(u64, OwnedFd)>,
    /// The groups of sockets that it has opened, by the keys of their listeners (`herd.group.KEY.ITEM`).
    pub(crate) groups: BTreeMap<u64, Pieces>,
}

impl Inheritance {
    /// What the first thread of a new herd begins with.
    pub(crate) fn of_listeners(listeners: Vec<Listener>) -> Inheritance {
        Inheritance {
            listeners,
            ..Inheritance::default()
        }
    }

    /// Whether there was a master before.
    pub(super) fn is_succession(&self) -> bool {
        self.masters_died > 0 || self.board.is_some() || !self.lines.is_empty()
    }
}
