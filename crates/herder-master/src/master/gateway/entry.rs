//! What is known of one worker, and how gateways are told of it.

use herder_core::{Incarnation, Slot, WorkerId};
use herder_wire::gateway::ToGateway;
use herder_wire::proxy::{Backend, WorkerAddress};
use serde::{Deserialize, Serialize};

use super::ledger::Past;

/// Something to be done, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::master) enum Order {
    /// Make a link between this gateway and this worker, which both hear of.
    Connect { gateway: WorkerId, worker: WorkerId },
    /// Tell this gateway.
    Tell(WorkerId, ToGateway),
    /// The worker gets nothing more: let the supervisor know.
    Withdrawn(WorkerId),
}

/// A worker, as far as gateways have to do with it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) slot: Slot,
    pub(super) pid: i32,
    pub(super) voice: Voice,
    pub(super) standing: Standing,
    /// Which withdrawal the next one is, or the one that goes on: an answer to an earlier one is none to it.
    #[serde(default)]
    pub(super) epoch: u32,
    /// Where a proxy reaches it.
    #[serde(default)]
    pub(super) lodging: Option<Place>,
    /// What it has said while it did not listen yet.
    #[serde(default)]
    pub(super) said: Said,
    /// What gateways have counted that are gone.
    #[serde(default, rename = "load")]
    pub(super) past: Past,
}

/// Where a proxy reaches a worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::master) struct Place {
    pub(in crate::master) generation: u32,
    pub(in crate::master) address: WorkerAddress,
}

/// Whether a worker has said that it is ready.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::master) enum Said {
    #[default]
    Nothing,
    Ready,
}

/// Whether a worker can be told something.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Voice {
    Silent,
    Greeted,
}

/// What the supervisor wants for a worker.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    Expected,
    Admitted,
    Held,
    /// Gateways have been asked, and one has not answered.
    Withdrawing,
    Withdrawn,
}

impl Entry {
    pub(super) fn id(&self, incarnation: Incarnation) -> WorkerId {
        WorkerId {
            slot: self.slot,
            incarnation,
        }
    }

    /// Everything that a gateway is told that has not heard of the worker.
    pub(super) fn presentation(&self, gateway: WorkerId, life: Incarnation) -> Vec<Order> {
        let mut orders = vec![Order::Tell(gateway, self.introduction(life))];
        if self.voice == Voice::Greeted {
            let worker = self.id(life);
            orders.push(Order::Connect { gateway, worker });
        }
        orders.extend(self.permission(gateway, life));
        orders
    }

    /// Whether the worker is to get something.
    pub(super) fn permission(&self, gateway: WorkerId, life: Incarnation) -> Option<Order> {
        let worker = life.0;
        let message = match self.standing {
            Standing::Admitted => ToGateway::Admit { worker },
            Standing::Held => ToGateway::Hold { worker },
            Standing::Expected | Standing::Withdrawing | Standing::Withdrawn => return None,
        };
        Some(Order::Tell(gateway, message))
    }

    /// The first one is told as it was before withdrawals had numbers: a gateway may be older than its master.
    pub(super) fn withdrawal(&self, life: Incarnation) -> ToGateway {
        let (worker, epoch) = (life.0, self.epoch);
        match epoch {
            0 => ToGateway::Withdraw { worker },
            _ => ToGateway::WithdrawAgain { worker, epoch },
        }
    }

    pub(super) fn introduction(&self, life: Incarnation) -> ToGateway {
        if let Some(place) = &self.lodging {
            return ToGateway::Backend(Box::new(Backend {
                worker: life.0,
                slot: self.slot.0,
                generation: place.generation,
                address: place.address.clone(),
            }));
        }
        ToGateway::Expect {
            worker: life.0,
            slot: self.slot.0,
            // A child has a positive number.
            pid: u32::try_from(self.pid).unwrap_or(0),
        }
    }
}
