//! Who runs jobs.

use std::collections::HashMap;
use std::sync::Arc;

use herder_core::schedule::{JobName, RunId, ServerId, Wall};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::desk::Jobs;

/// What is asked of a process that runs jobs.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Stop this run; nobody wants to hear of it any more.
    Cancel {
        /// Which.
        run: RunId,
    },
    /// Run a job, and say how it ended.
    Run {
        /// To be given with its end.
        run: RunId,
        /// The job.
        name: JobName,
        /// The time that it was due, in milliseconds since 1970.
        tick: Wall,
        /// Which try this is, from 1.
        attempt: u8,
        /// For the resources that the job writes to: they refuse a smaller one than the greatest
        /// that they have seen. Jobs of the cluster have one.
        token: Option<u64>,
        /// How long it may take, in milliseconds.
        timeout_ms: u64,
    },
}

/// A process that runs jobs, as the desk sees it; whoever drops it runs none any more.
pub struct Server {
    pub(super) jobs: Arc<Jobs>,
    pub(super) id: ServerId,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
}

/// All processes that run jobs. What is sent to one is bounded by what the scheduler has under way
/// with it, so that the channels need no bound of their own.
#[derive(Debug, Default)]
pub(super) struct Roster {
    channels: HashMap<ServerId, mpsc::UnboundedSender<Order>>,
    last: u64,
}

impl Server {
    /// The next order; `None` when the desk is gone.
    pub async fn next(&mut self) -> Option<Order> {
        self.orders.recv().await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.jobs.down(self.id);
    }
}

impl Roster {
    pub(super) fn join(&mut self) -> (ServerId, mpsc::UnboundedReceiver<Order>) {
        self.last += 1;
        let id = ServerId(self.last);
        let (sender, receiver) = mpsc::unbounded_channel();
        self.channels.insert(id, sender);
        (id, receiver)
    }

    pub(super) fn leave(&mut self, id: ServerId) {
        self.channels.remove(&id);
    }

    pub(super) fn send(&self, id: ServerId, order: Order) {
        if let Some(channel) = self.channels.get(&id) {
            // One that is gone is about to say so.
            let _gone = channel.send(order);
        }
    }
}
