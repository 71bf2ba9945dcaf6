//! What the master says, and what comes of it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
#[cfg(feature = "tokio")]
use std::time::{Duration, Instant};

use herder_sys::failpoint;
use herder_wire::control::{Course, DrainReason, ToMaster, ToWorker, VERSION};

#[cfg(feature = "tokio")]
use crate::worker::CENTURY;
use crate::worker::ending::Reason;
#[cfg(feature = "tokio")]
use crate::worker::farewell::{Farewells, Window};
use crate::worker::link::Link;
use crate::worker::lock;

/// What the master last said of shared listeners.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pausing {
    Yes,
    No,
}

impl Link {
    pub(super) fn read_control(&self) -> io::Result<()> {
        let Some(control) = self.outlet.control() else {
            return Ok(());
        };
        if self.said_gone.load(Ordering::Acquire) {
            return Ok(());
        }
        // Another thread may be reading. Whether it still sees what woke us, nobody knows.
        let mut inlet = lock(&self.inlet);
        while let Some((message, descriptors)) = inlet.next(control)? {
            self.obey(&message, descriptors);
        }
        Ok(())
    }

    fn obey(&self, message: &ToWorker, descriptors: &mut Vec<OwnedFd>) {
        failpoint::hit("worker.told");
        match message {
            ToWorker::Drain {
                reason,
                grace_millis,
            } => {
                self.note_grace(*grace_millis);
                self.end(drain_reason(*reason));
            }
            #[cfg(feature = "message")]
            ToWorker::Link { .. } => self.open_gate(descriptors.pop()),
            // Nothing in this program could use it.
            #[cfg(not(feature = "message"))]
            ToWorker::Link { .. } => descriptors.clear(),
            ToWorker::Nudge => self.nudge(),
            ToWorker::Pause => self.pause(Pausing::Yes),
            ToWorker::Resume => self.pause(Pausing::No),
            ToWorker::Resync => self.say_where_it_is(),
            ToWorker::User(_) | ToWorker::Welcome { .. } => {}
        }
    }

    /// Whether shared listeners are left to others for now.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    fn pause(&self, pausing: Pausing) {
        self.paused
            .store(pausing == Pausing::Yes, Ordering::Release);
        // Nobody knows what came meanwhile.
        self.nudge();
    }

    /// Another master asks: what the dead one may have taken with it is said again.
    fn say_where_it_is(&self) {
        if let Some(reason) = self.said_retire.get() {
            let reason = reason.clone();
            self.send(ToMaster::Retire { reason });
        }
        let course = if self.ending.has_begun() {
            Course::Draining
        } else if self.said_ready.load(Ordering::Acquire) {
            Course::Ready
        } else {
            Course::Starting
        };
        self.send(ToMaster::State {
            version: VERSION,
            course,
            open: self.tally.open(),
            served: self.tally.served(),
            busy: self.busy(),
        });
    }

    #[cfg(feature = "tokio")]
    fn note_grace(&self, millis: u32) {
        self.grace
            .get_or_init(|| Duration::from_millis(millis.into()));
    }

    // Nothing here is planned by it.
    #[cfg(not(feature = "tokio"))]
    fn note_grace(&self, _millis: u32) {}

    #[cfg(feature = "tokio")]
    pub(crate) fn farewells(&self) -> &Farewells {
        &self.farewells
    }

    /// How long idle connections stay open in a worker that leaves, so that a request which is on
    /// its way is still answered.
    #[cfg(feature = "http")]
    pub(crate) fn linger(&self) -> Duration {
        /// Longer than a request is on its way.
        const LINGER: Duration = Duration::from_secs(1);
        let grace = self.grace.get().unwrap_or(&self.timing.grace);
        LINGER.min(*grace / 4)
    }

    /// When the next of the long connections is to say good-bye; the end has begun.
    #[cfg(feature = "tokio")]
    pub(crate) fn farewell_moment(&self) -> Instant {
        let window = || {
            let most = match self.ending.reason() {
                // Nobody is there to come back to.
                Some(Reason::MasterGone | Reason::Signal | Reason::Stopped) => return Window::NOW,
                Some(Reason::Panicked) => self.timing.close_timeout,
                _ => *self.grace.get().unwrap_or(&self.timing.grace),
            };
            Window::within(most.min(CENTURY))
        };
        self.farewells.moment(window, self.timing.close_rate)
    }
}

fn drain_reason(reason: DrainReason) -> Reason {
    match reason {
        DrainReason::Exhausted => Reason::Exhausted,
        DrainReason::Stop => Reason::Stopped,
        DrainReason::Retired => Reason::Retired,
        DrainReason::Recycle => Reason::Recycled,
        DrainReason::ScaledDown => Reason::ScaledDown,
        DrainReason::Replaced => Reason::Replaced,
        DrainReason::RolledBack => Reason::RolledBack,
    }
}
