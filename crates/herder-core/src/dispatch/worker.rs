use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::message::{Batch, ProbeState};
use super::pending::Waiting;
use crate::mutation::{self, Mutation};
use crate::{ConnId, Tick, WorkerId};

/// How many turns that were missed are made up for at most: what a worker does not get in a second in which
/// thousands connect. Who is slower than the others for good is not to be given more for ever.
const MOST_MISSED: u32 = 1024;

/// How long the others wait for a worker that is behind: until then it may just not have had a processor. Who
/// takes longer is slower than they are.
const BREATH: Duration = Duration::from_millis(20);

/// A worker as the dispatcher sees it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) standing: Standing,
    pub(super) receipt: Receipt,
    /// How many connections it says it holds open.
    pub(super) open: u32,
    /// An answer to `Measure` is awaited.
    pub(super) measure: Ask,
    /// An answer to `TakeBack` is awaited: until then the queue is not touched.
    pub(super) take_back: Ask,
    pub(super) watch: Watch,
    /// When its queue was last looked at; with verdicts, when the last one came.
    pub(super) measured_at: Tick,
    /// How often in a row it gave back what it got to see whether it takes connections.
    pub(super) failed_trials: u32,
    /// How many connections wait for room at this worker, although others have room.
    pub(super) awaited: usize,
    /// How many it is trusted to decide about in time: what it holds when it stalls cannot be taken back.
    pub(super) trust: usize,
    /// How many turns it is behind, because it was full or stood still when they came.
    #[serde(default)]
    pub(super) missed: u32,
    /// How much of its window it may use.
    #[serde(default)]
    pub(super) room: Room,
    /// When it was last seen to have received most of what it was sent.
    #[serde(default)]
    pub(super) kept_up_at: Tick,
    /// What it was given and is not known to have received, oldest first. The last `unsent` of them
    /// are still in the master's hand.
    queue: VecDeque<Waiting>,
    unsent: usize,
}

/// How much of its window a worker may use: not all of it while another one is behind. When more connections come
/// than there is room for, whoever empties a window gets a whole one, and nobody would ever catch up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum Room {
    #[default]
    Whole,
    Half,
    Quarter,
}

impl Room {
    /// That of one who is ahead of another by so many turns. A few windows are nothing: they are made up for in
    /// passing, and smaller ones cost more wakings.
    pub(super) fn of(ahead: u32, window: usize) -> Room {
        let windows = usize::try_from(ahead).unwrap_or(usize::MAX) / window.max(1);
        match windows {
            0..8 => Room::Whole,
            8..32 => Room::Half,
            _ => Room::Quarter,
        }
    }
}

/// What the supervisor wants for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Standing {
    Admitted,
    Held,
    /// Its queue is being taken back for good; `Withdrawn` is owed.
    Withdrawing,
    /// `Withdrawn` was said, and it has not decided everything.
    Left,
}

/// Whether its queue moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Receipt {
    Flowing,
    /// Its channel took nothing. It counts as full until it receives or `retry_at` comes.
    Refused {
        retry_at: Tick,
    },
    /// Its queue stood still and was taken back: nothing for it until it receives the probe.
    Stalled(Probe),
    /// Its queue stands still and is being taken back.
    Stealing,
    /// It decides nothing: no more for it until it does.
    Undecided,
    /// It gives connections back. It counts as full until it takes one or `retry_at` comes.
    Rejecting {
        retry_at: Tick,
    },
    /// It gave connections back, and gets one to see whether it still does.
    OnTrial,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Probe {
    Sent,
    /// The request waits to be polled: that no probe is seen in the queue means nothing yet.
    Unsent,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    Idle,
    Asked,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Watch {
    Off,
    On,
}

impl Worker {
    pub(super) fn new(id: WorkerId, trust: usize, now: Tick) -> Worker {
        Worker {
            id,
            standing: Standing::Admitted,
            receipt: Receipt::Flowing,
            open: 0,
            measure: Ask::Idle,
            take_back: Ask::Idle,
            watch: Watch::Off,
            measured_at: now,
            failed_trials: 0,
            awaited: 0,
            trust,
            missed: 0,
            room: Room::Whole,
            kept_up_at: now,
            queue: VecDeque::new(),
            unsent: 0,
        }
    }

    /// Whether it may get connections, were there room.
    pub(super) fn is_eligible(&self) -> bool {
        self.is_open() && self.receipt == Receipt::Flowing
    }

    /// Whether its queue may be taken back for others.
    pub(super) fn is_stealable(&self) -> bool {
        let moving = match self.receipt {
            Receipt::Flowing | Receipt::Refused { .. } => true,
            Receipt::Stalled(_)
            | Receipt::Stealing
            | Receipt::Undecided
            | Receipt::Rejecting { .. }
            | Receipt::OnTrial => false,
        };
        moving && self.standing == Standing::Admitted && self.take_back == Ask::Idle
    }

    /// How many connections it may get now.
    pub(super) fn credit(&self, window: usize) -> usize {
        match self.receipt {
            Receipt::Flowing if self.is_open() && mutation::is(Mutation::CreditOff) => window,
            Receipt::Flowing if self.is_open() => {
                self.share(window).saturating_sub(self.queue.len())
            }
            Receipt::OnTrial if self.is_open() => usize::from(self.queue.is_empty()),
            Receipt::Flowing
            | Receipt::OnTrial
            | Receipt::Refused { .. }
            | Receipt::Rejecting { .. }
            | Receipt::Stalled(_)
            | Receipt::Stealing
            | Receipt::Undecided => 0,
        }
    }

    /// Notes whether it has received most of what it was sent.
    pub(super) fn note_pace(&mut self, window: usize, now: Tick) {
        if self.sent() * 2 < window.min(self.trust) {
            self.kept_up_at = now;
        }
    }

    /// Whether it is behind, and takes what it is given, though perhaps not in this moment: it would take more.
    pub(super) fn catches_up(&self, now: Tick) -> bool {
        self.missed > 0 && self.is_eligible() && now < self.kept_up_at.after(BREATH)
    }

    /// Its turn comes and goes. Only who is to get connections, and takes them, has it later.
    pub(super) fn misses_a_turn(&mut self) {
        let takes = match self.receipt {
            Receipt::Flowing
            | Receipt::Refused { .. }
            | Receipt::Stalled(_)
            | Receipt::Stealing => true,
            Receipt::OnTrial | Receipt::Rejecting { .. } | Receipt::Undecided => false,
        };
        if takes && self.standing == Standing::Admitted {
            self.loses_turns(1);
        }
    }

    /// Nothing came of so many of its turns.
    pub(super) fn loses_turns(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(MOST_MISSED);
        self.missed = self.missed.saturating_add(count).min(MOST_MISSED);
    }

    /// Whether it may have received since its queue was last looked at, and so have room.
    pub(super) fn may_have_room(&self, window: usize, now: Tick) -> bool {
        self.is_eligible()
            && self.credit(window) == 0
            && self.sent() > 0
            && self.measure == Ask::Idle
            && self.watch == Watch::Off
            && self.measured_at < now
    }

    /// When it is to be judged as undecided: it might have decided for `stall_after` and has not.
    pub(super) fn stalls_at(&self, stall_after: Duration) -> Option<Tick> {
        let oldest = self.oldest_sent().filter(|_| self.is_eligible())?;
        Some(oldest.max(self.measured_at).after(stall_after))
    }

    /// Open and un-received connections.
    pub(super) fn load(&self) -> u64 {
        u64::from(self.open) + self.queue.len() as u64
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Since when the oldest connection in its channel has been there.
    pub(super) fn oldest_sent(&self) -> Option<Tick> {
        let oldest = self.queue.front().filter(|_| self.sent() > 0)?;
        Some(oldest.given_at)
    }

    /// Whether its queue was looked at when the oldest connection had been there for `still_after`.
    pub(super) fn was_seen_still(&self, still_after: Duration) -> bool {
        self.oldest_sent()
            .is_some_and(|oldest| oldest.after(still_after) <= self.measured_at)
    }

    /// Gives it a connection, to be sent with the next batch.
    pub(super) fn assign(&mut self, waiting: Waiting) {
        self.queue.push_back(waiting);
        self.unsent += 1;
    }

    /// The next message for it.
    pub(super) fn next_batch(&mut self) -> Batch {
        let mut batch = Batch::new();
        for waiting in self.queue.range(self.sent()..) {
            if batch.is_full() {
                break;
            }
            batch.push(waiting.conn);
        }
        self.unsent -= batch.as_slice().len();
        batch
    }

    /// Takes away the newest connection that was not sent.
    pub(super) fn pop_unsent(&mut self) -> Option<Waiting> {
        self.unsent = self.unsent.checked_sub(1)?;
        self.queue.pop_back()
    }

    /// Takes a connection that was sent out of the queue, wherever it stands.
    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Waiting> {
        let at = self
            .queue
            .iter()
            .take(self.sent())
            .position(|waiting| waiting.conn == conn)?;
        self.queue.remove(at)
    }

    /// Only the newest `count` of what was sent are un-received. Returns how many were received.
    pub(super) fn keep_newest(&mut self, count: usize) -> usize {
        let received = self.sent().saturating_sub(count);
        self.queue.drain(..received);
        received
    }

    /// The answer to a probe.
    pub(super) fn saw_probe(&mut self, probe: ProbeState) {
        if self.receipt == Receipt::Stalled(Probe::Sent) && probe == ProbeState::Absent {
            self.receipt = Receipt::Flowing;
        }
    }

    /// Whether nothing but the state of its queue could keep it from getting connections.
    fn is_open(&self) -> bool {
        self.standing == Standing::Admitted && self.take_back == Ask::Idle
    }

    fn sent(&self) -> usize {
        self.queue.len() - self.unsent
    }

    /// How many connections it may hold.
    fn share(&self, window: usize) -> usize {
        let whole = window.min(self.trust);
        match self.room {
            Room::Whole => whole,
            Room::Half => whole.div_ceil(2),
            Room::Quarter => whole.div_ceil(4),
        }
    }
}
