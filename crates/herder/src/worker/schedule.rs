//! When a worker's loop has something to say.

use std::time::{Duration, Instant};

pub(crate) struct Schedule {
    pub(crate) next_beat: Option<Instant>,
    pub(crate) last_look: Instant,
    pub(crate) last_report: Instant,
    pub(crate) idle_at_report: u64,
    pub(crate) reported: (u32, u64),
    /// The loop was woken to send the counters in time.
    pub(crate) asked: bool,
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
        }
    }

    pub(crate) fn busy(&self, idle: u64, now: Instant) -> u32 {
        let whole = now.duration_since(self.last_report).as_nanos().max(1);
        let idle = u128::from(idle - self.idle_at_report).min(whole);
        u32::try_from((whole - idle) * 1000 / whole).unwrap_or(1000)
    }
}
