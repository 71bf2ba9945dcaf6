//! Who runs jobs.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use herder_core::schedule::{JobName, RunId, ServerId, Wall};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

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
    pub(super) orders: Arc<Orders>,
}

/// All processes that run jobs.
#[derive(Debug, Default)]
pub(super) struct Roster {
    servers: HashMap<ServerId, Arc<Orders>>,
    last: u64,
}

/// What one process has not taken yet: no more than it has under way, for a run that is cancelled
/// before it was taken is forgotten.
#[derive(Debug, Default)]
pub(super) struct Orders {
    waiting: Mutex<VecDeque<Order>>,
    arrived: Notify,
}

impl Server {
    /// The next order.
    pub async fn next(&mut self) -> Order {
        loop {
            match self.try_next() {
                Some(order) => return order,
                None => self.orders.arrived.notified().await,
            }
        }
    }

    /// The next order, if there is one.
    pub(super) fn try_next(&mut self) -> Option<Order> {
        self.orders.waiting().pop_front()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.jobs.down(self.id);
    }
}

impl Roster {
    pub(super) fn join(&mut self) -> (ServerId, Arc<Orders>) {
        self.last += 1;
        let (id, orders) = (ServerId(self.last), Arc::default());
        self.servers.insert(id, Arc::clone(&orders));
        (id, orders)
    }

    pub(super) fn leave(&mut self, id: ServerId) {
        self.servers.remove(&id);
    }

    pub(super) fn send(&self, id: ServerId, order: Order) {
        // One that is gone has said so.
        if let Some(orders) = self.servers.get(&id) {
            orders.put(order);
        }
    }
}

impl Orders {
    fn put(&self, order: Order) {
        let mut waiting = self.waiting();
        if let Order::Cancel { run: cancelled } = order
            && let Some(place) = waiting
                .iter()
                .position(|order| matches!(order, Order::Run { run, .. } if *run == cancelled))
        {
            waiting.remove(place);
            return;
        }
        waiting.push_back(order);
        drop(waiting);
        self.arrived.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Order>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
