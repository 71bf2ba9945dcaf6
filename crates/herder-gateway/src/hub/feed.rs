//! The states of the workers, for whoever watches.
//!
//! Watchers see states, not a queue of changes: one that is slow misses steps in between and never
//! holds memory, and nobody counts who has read what.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::sync::watch;

/// All workers that are not gone, by incarnation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Workers(pub(crate) BTreeMap<u64, WorkerView>);

/// One worker, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct WorkerView {
    /// Its incarnation.
    pub(crate) worker: u64,
    /// Its place.
    pub(crate) slot: u16,
    /// Its process.
    pub(crate) pid: u32,
    /// What it is about.
    pub(crate) state: WorkerState,
    /// Jobs it was given in its life.
    pub(crate) jobs: u64,
    /// Jobs it has started and not finished.
    pub(crate) running: u32,
}

/// What a worker is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WorkerState {
    /// It boots.
    Starting,
    /// It takes jobs.
    Ready,
    /// It gets no jobs for now.
    Held,
    /// It gets no more jobs, and ends when it has finished what it has.
    Leaving,
    /// It ended.
    Gone,
}

/// Where the hub writes what watchers see.
#[derive(Debug)]
pub(crate) struct Board {
    workers: watch::Sender<Workers>,
}

impl Board {
    pub(crate) fn new() -> Board {
        Board {
            workers: watch::Sender::new(Workers::default()),
        }
    }

    /// The worker is as said now. A worker that is [`WorkerState::Gone`] is taken off the board.
    pub(crate) fn set(&self, view: WorkerView) {
        self.workers.send_if_modified(|workers| {
            if view.state == WorkerState::Gone {
                return workers.0.remove(&view.worker).is_some();
            }
            if workers.0.get(&view.worker) == Some(&view) {
                return false;
            }
            workers.0.insert(view.worker, view);
            true
        });
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Workers> {
        self.workers.subscribe()
    }
}
