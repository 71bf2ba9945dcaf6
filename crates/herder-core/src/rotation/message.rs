//! What the rotation is told, and what it asks for.
//!
//! The shell executes each action before it polls the next one: their order is what keeps every
//! connection on a socket that somebody accepts from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Slot, WorkerId};

/// One listening socket of a group: who it was made for. A worker that inherits its slot's socket
/// was born later, so its number is never smaller than the socket's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct SocketId {
    /// The slot whose workers accept from it.
    pub slot: Slot,
    /// The incarnation of the worker that it was made for.
    pub number: u64,
}

/// How often a slot's turn comes, compared to the others: 1 to 16.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Weight(u8);

/// What can be done for those who wait in the queue of a worker that accepts nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Relief {
    /// They are accepted in its stead and handed to others, which have a channel for it.
    HandOver,
    /// Nobody can be handed a connection: in the end the worker is killed as hung.
    Kill,
    /// The kernel gives them to others, by a socket that is shut down for a moment: the worker has to
    /// endure that. Whether it hangs, it shows by other signs. (With a program alone.)
    Move,
}

/// News for the rotation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The worker is started: it needs a socket, and gets no connection before it is admitted.
    Started {
        worker: WorkerId,
        weight: Weight,
        relief: Relief,
    },
    /// The worker is ready for connections (again).
    Admit { worker: WorkerId },
    /// The worker counts as ready although it does not say so: it may be loading still.
    Guessed { worker: WorkerId },
    /// No new connection for the worker until it is admitted again.
    Hold { worker: WorkerId },
    /// No new connection for the worker, ever. [`Action::Withdrawn`] follows.
    Withdraw { worker: WorkerId },
    /// The worker does not accept any more, though it lives: who waits in its queue goes to others.
    Retire { worker: WorkerId },
    /// The worker is dead.
    Gone { worker: WorkerId },
    /// What the worker says of its load.
    Load { worker: WorkerId, load: Load },
    /// Somebody waits in some queue. (Only after [`Action::Arm`].)
    Waiting,
    /// The queues as they are now, after [`Action::Sample`].
    Sampled { sample: Sample },
    /// Those who waited at the worker were handed to others, so many.
    Rescued { worker: WorkerId, count: u32 },
    /// `poll_timeout` has passed.
    Timer,
}

/// What a worker says of its load.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Load {
    /// How many connections it holds open.
    pub open: u32,
    /// How many it has served since its start.
    pub served: u64,
    /// How many requests it works on.
    pub busy: u32,
}

/// The queues at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sample {
    /// How often the kernel's program was asked so far, counted after the queues were looked at: whoever
    /// waits there is among them. `None` without a program.
    pub turns: Option<u64>,
    /// How many connections wait at each socket. A socket that is missing is not known.
    pub queues: Vec<(SocketId, u32)>,
    /// How many of its turns each slot has yielded so far. Empty without a program.
    pub yielded: Vec<(Slot, u64)>,
}

/// A request to the shell.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Action {
    /// Bind a socket and let it listen.
    Make { socket: SocketId },
    /// Write the socket at the slot's index, in place of what is there.
    Enter { socket: SocketId },
    /// Write the rotation: slots in order of their turns, at least one.
    Rotate { turns: Vec<Slot> },
    /// The slot's next turns, so many, go to whoever comes after it. That is instead of those that it was to yield
    /// before, and counted from what the last look has shown.
    Yield { slot: Slot, turns: u32 },
    /// Nothing is at the slot's index any more. It is in no rotation.
    Leave { slot: Slot },
    /// Shut the socket down and close it: who waits there goes to others. Best a moment later, when nobody
    /// shakes hands there any more whose turn it was before.
    Retire { socket: SocketId },
    /// Shut the socket down and let it listen again, at no index: who waits there goes to others, and
    /// the slot's next worker inherits it. Best a moment later, as [`Action::Retire`], and not at all if it is
    /// entered again before that.
    Flush { socket: SocketId },
    /// No new connection begins at the socket any more: its client asks again a moment later, and then
    /// perhaps elsewhere. Who is shaking hands or waits there is not touched. (Without a program.)
    Bar { socket: SocketId },
    /// The end of [`Action::Bar`].
    Unbar { socket: SocketId },
    /// Say [`Event::Waiting`] as soon as somebody waits in any queue. Once.
    Arm,
    /// Look at all queues, then say [`Event::Sampled`].
    Sample,
    /// Accept who waits at the worker and hand them to others, then say [`Event::Rescued`].
    Rescue { worker: WorkerId, socket: SocketId },
    /// The worker has accepted nobody for too long: it is to be killed as hung.
    Hung { worker: WorkerId },
    /// The worker's turn comes no more, and nobody waits in its queue, or has waited too long for
    /// it to matter. Once for each withdrawal.
    Withdrawn { worker: WorkerId },
    /// The worker's queue stands while others are empty: its turns go to others until it caught up.
    Excluded { worker: WorkerId, waiting: u32 },
    /// It has caught up.
    Readmitted { worker: WorkerId },
}

impl Load {
    /// With so many connections open, and so many served. (How busy the loop was, as workers say it,
    /// is no number of requests.)
    #[must_use]
    pub fn of(open: u32, served: u64) -> Load {
        Load {
            open,
            served,
            busy: 0,
        }
    }
}

impl Weight {
    /// One turn in each round.
    pub const ONE: Weight = Weight(1);

    /// The largest.
    pub const MAX: Weight = Weight(16);

    /// `None` unless it is 1 to 16.
    #[must_use]
    pub fn new(weight: u8) -> Option<Weight> {
        (1..=Weight::MAX.0)
            .contains(&weight)
            .then_some(Weight(weight))
    }

    /// 1 to 16.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Weight {
    type Error = String;

    fn try_from(weight: u8) -> Result<Weight, String> {
        Weight::new(weight).ok_or_else(|| format!("{weight} is no weight: use 1 to 16"))
    }
}

impl From<Weight> for u8 {
    fn from(weight: Weight) -> u8 {
        weight.0
    }
}

/// `slot.number`, as in `0.3`.
impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.number)
    }
}

impl FromStr for SocketId {
    type Err = String;

    fn from_str(text: &str) -> Result<SocketId, String> {
        let wrong = || format!("{text:?} names no socket: use SLOT.NUMBER");
        let (slot, number) = text.split_once('.').ok_or_else(wrong)?;
        Ok(SocketId {
            slot: Slot(slot.parse().map_err(|_| wrong())?),
            number: number.parse().map_err(|_| wrong())?,
        })
    }
}
