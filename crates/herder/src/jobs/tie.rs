//! What a worker of jobs has to do with its master, beyond what every worker has.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herder_wire::control::ToMaster;

use crate::jobs::gate::Posted;
use crate::jobs::intake::Intake;
use crate::worker::ending::Reason;
use crate::worker::link::Link;
use crate::worker::lock;
use crate::worker::outlet::Sent;

/// How often a worker on its way out looks whether a full channel has room again.
const PACE: Duration = Duration::from_millis(10);

impl Link {
    /// From now on the links to gateways that the master makes are this worker's source of jobs.
    /// To be called before anything of the master's is read; later calls change nothing.
    pub(crate) fn take_jobs(&self) -> io::Result<Arc<Intake>> {
        if let Some(intake) = self.intake.get() {
            return Ok(Arc::clone(intake));
        }
        lock(&self.inlet).reserve_places()?;
        let intake = Arc::new(Intake::new(self)?);
        Ok(Arc::clone(self.intake.get_or_init(|| intake)))
    }

    /// The master has made a link to a gateway.
    pub(crate) fn open_gate(&self, socket: Option<OwnedFd>) {
        let Some(intake) = self.intake.get() else {
            // A worker of connections has no use for it.
            return;
        };
        let opened = match socket {
            Some(socket) => intake.open(socket).map_err(|error| error.to_string()),
            None => Err("no descriptor left".to_owned()),
        };
        if let Err(problem) = opened {
            // It would wait for ever, and be waited for.
            let text = format!("no link to the gateway: {problem}");
            self.retire(Reason::Retired, text);
        }
    }

    /// How many jobs were received that the program has not got yet.
    pub(crate) fn waiting_jobs(&self) -> usize {
        self.intake.get().map_or(0, |intake| intake.waiting())
    }

    /// Sees to it that everything that was said reaches its reader, as far as the time allows, and
    /// says, if that is the case, that the last job of this worker's life is done. Nothing is
    /// received or replied after this.
    pub(crate) fn settle(&self, deadline: Instant) {
        let Some(intake) = self.intake.get() else {
            return;
        };
        self.wait_until(deadline, || intake.flush() == Posted::Now);
        // That it was the last job may not have been read yet.
        self.read();
        if self.ending().is_exhausted() && self.tally().open() == 0 && self.waiting_jobs() == 0 {
            self.send(ToMaster::Spent);
            self.wait_until(deadline, || self.flush() != Sent::Later);
        }
        intake.close();
    }

    /// For a thread that waits for somebody else than the master: what the worker's loop does
    /// meanwhile, which may be this very thread.
    pub(crate) fn stay(&self) {
        self.look();
        self.beat_when_due(&mut lock(&self.schedule), Instant::now());
    }

    /// Whether the worker should have ended by now.
    pub(crate) fn is_late(&self) -> bool {
        self.finish_by
            .get()
            .is_some_and(|deadline| Instant::now() >= *deadline)
    }

    fn wait_until(&self, deadline: Instant, mut done: impl FnMut() -> bool) {
        while !done() && Instant::now() < deadline {
            self.tick(Instant::now());
            if self.wait(PACE).is_err() {
                return;
            }
        }
    }
}
