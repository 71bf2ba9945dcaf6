//! When a worker's loop has something to say.

use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

pub(crate) struct Schedule {
    pub(crate) next_beat: Option<Instant>,
    pub(crate) last_look: Instant,
    pub(crate) last_report: Instant,
    pub(crate) idle_at_report: u64,
    pub(crate) reported: (u32, u64),
    /// The loop was woken to send the counters in time.
    pub(crate) asked: bool,
    /// The thread of a loop that looks at the clock each time before it waits, if it is of that kind.
    home: Option<ThreadId>,
}

impl Schedule {
    pub(crate) fn new(now: Instant, beat: Option<Duration>) -> Schedule {
        Schedule {
            next_beat: beat.map(|every| now + every),
            last_look: now,
            last_report: now,
            idle_at_report: 0,
            reported: (0, 0),
            asked: false,
            home: None,
        }
    }

    /// From now on the loop runs on this thread, and comes by [`Link::tick`](crate::worker::link::Link::tick)
    /// before it waits.
    pub(crate) fn is_at_home(&mut self) {
        self.home = Some(thread::current().id());
    }

    /// From now on the loop waits on whatever thread, beside other tasks.
    pub(crate) fn has_no_home(&mut self) {
        self.home = None;
    }

    /// Whether the loop has to be woken to see that something is to be sent: not when it is the loop that asks.
    pub(crate) fn needs_a_wake(&self) -> bool {
        self.home != Some(thread::current().id())
    }

    pub(crate) fn busy(&self, idle: u64, now: Instant) -> u32 {
        let whole = now.duration_since(self.last_report).as_nanos().max(1);
        let idle = u128::from(idle - self.idle_at_report).min(whole);
        u32::try_from((whole - idle) * 1000 / whole).unwrap_or(1000)
    }
}
