//! One worker, as the hub knows it.

use std::collections::BTreeSet;
use std::rc::Rc;

use herder_core::{Incarnation, JobId};
use tokio::task::AbortHandle;

use crate::hub::inlet::Inlet;
use crate::hub::link::Link;
use crate::hub::{WorkerState, WorkerView};

/// A worker, from the master's `Expect` to its `Gone`.
pub(crate) struct Worker {
    pub(crate) slot: u16,
    pub(crate) pid: u32,
    pub(crate) standing: Standing,
    pub(crate) link: Option<Linked>,
    /// Jobs that it was given in its life.
    pub(crate) given: u64,
    /// Jobs that it has started and not finished.
    pub(crate) running: BTreeSet<JobId>,
    /// What the master was told of it.
    pub(crate) said: Said,
}

/// What the master was told of a worker, and another master may have to hear again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Why it cannot be given jobs.
    pub(crate) unusable: Option<String>,
    pub(crate) exhausted: bool,
    pub(crate) withdrawn: bool,
}

/// What the master said last of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It boots.
    Expected,
    /// It may get jobs, from its link's `Hello` on.
    Admitted,
    /// It gets none for now.
    Held,
    /// It gets none any more.
    Leaving,
}

/// The way to a worker.
pub(crate) struct Linked {
    pub(crate) link: Rc<Link>,
    pub(crate) inlet: Inlet,
    /// Jobs that it has started in its life; known from its `Hello` on.
    pub(crate) started: Option<u32>,
    /// The task that waits for the link; it ends with this.
    tending: AbortHandle,
}

impl Worker {
    pub(crate) fn new(slot: u16, pid: u32) -> Worker {
        Worker {
            slot,
            pid,
            standing: Standing::Expected,
            link: None,
            given: 0,
            running: BTreeSet::new(),
            said: Said::default(),
        }
    }

    /// How many jobs it has started in its life; known from its link's `Hello` on.
    pub(crate) fn started(&self) -> Option<u32> {
        self.link.as_ref()?.started
    }

    /// Whether it gets jobs.
    pub(crate) fn is_ready(&self) -> bool {
        self.standing == Standing::Admitted && self.started().is_some()
    }

    /// As it is shown.
    pub(crate) fn view(&self, worker: Incarnation) -> WorkerView {
        let state = match self.standing {
            Standing::Admitted if self.is_ready() => WorkerState::Ready,
            Standing::Admitted | Standing::Expected => WorkerState::Starting,
            Standing::Held => WorkerState::Held,
            Standing::Leaving => WorkerState::Leaving,
        };
        WorkerView {
            worker: worker.0,
            slot: self.slot,
            pid: self.pid,
            state,
            jobs: self.given,
            running: u32::try_from(self.running.len()).unwrap_or(u32::MAX),
        }
    }
}

impl Linked {
    pub(crate) fn new(link: Rc<Link>, tending: AbortHandle) -> Linked {
        Linked {
            link,
            inlet: Inlet::default(),
            started: None,
            tending,
        }
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        self.tending.abort();
    }
}
