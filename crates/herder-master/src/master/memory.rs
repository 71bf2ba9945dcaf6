//! How much memory the workers use, for the recycle policy.

use std::time::Duration;

use herder_core::Tick;
use herder_core::supervisor::Event;
use herder_sys::proc;

use super::Master;
use crate::part::Part;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// When to look next. There is none without a limit: looking costs a file read per worker.
pub(super) struct MemoryWatch {
    due: Tick,
}

impl MemoryWatch {
    pub(super) fn new(now: Tick) -> MemoryWatch {
        MemoryWatch {
            due: now.after(EVERY),
        }
    }

    pub(super) fn due(&self) -> Tick {
        self.due
    }
}

impl Master {
    pub(super) fn sample_memory(&mut self, now: Tick) {
        let Some(watch) = self.memory.as_mut().filter(|watch| watch.due <= now) else {
            return;
        };
        watch.due = now.after(EVERY);
        let workers = self
            .crews
            .members()
            .filter(|(id, _)| id.part == Part::Workers);
        let pids: Vec<_> = workers.map(|(id, m)| (id.worker, m.child.pid)).collect();
        for (worker, pid) in pids {
            // A worker that has just ended has no memory to speak of.
            if let Ok(bytes) = proc::resident_bytes(pid) {
                self.feed(Part::Workers, Event::Memory { worker, bytes });
                self.act();
            }
        }
    }
}
