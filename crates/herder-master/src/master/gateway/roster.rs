//! What a gateway knows of the workers, and what it has to be told of them: pure, so that each new
//! gateway is told exactly what the one before it knew.

use std::collections::{BTreeMap, BTreeSet};

use herder_core::{Incarnation, Slot, WorkerId};
use herder_wire::gateway::ToGateway;
use herder_wire::proxy::{Backend, WorkerAddress};
use serde::{Deserialize, Serialize};

/// The workers, as far as a gateway has to do with them.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::master) struct Roster {
    workers: BTreeMap<Incarnation, Entry>,
    gateway: Gateway,
    doors: Doors,
}

/// Something to be done, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::master) enum Order {
    /// Make a link between the gateway and this worker, which both hear of.
    Connect(WorkerId),
    /// Tell the gateway.
    Tell(ToGateway),
    /// The worker gets nothing more: let the supervisor know.
    Withdrawn(WorkerId),
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    slot: Slot,
    pid: i32,
    voice: Voice,
    standing: Standing,
    /// Where a proxy reaches it.
    #[serde(default)]
    lodging: Option<Place>,
    #[serde(default)]
    load: Load,
}

/// Where a proxy reaches a worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::master) struct Place {
    pub(in crate::master) generation: u32,
    pub(in crate::master) address: WorkerAddress,
}

/// What a worker has had to do, as far as a proxy knows.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::master) struct Load {
    /// Requests that it has now.
    pub(in crate::master) open: u32,
    /// Requests that it has finished.
    pub(in crate::master) served: u64,
    /// Those of them that failed.
    pub(in crate::master) failed: u64,
    /// What the gateways before this one had counted.
    before: (u64, u64),
    ejection: Ejection,
}

/// Whether a worker is left out because it failed too often.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::master) enum Ejection {
    #[default]
    In,
    Out,
}

impl Load {
    /// Whether the worker is left out.
    pub(in crate::master) fn is_ejected(self) -> bool {
        self.ejection == Ejection::Out
    }
}

/// Whether a worker can be told something.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Voice {
    Silent,
    Greeted,
}

/// What the supervisor wants for a worker.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Standing {
    Expected,
    Admitted,
    Held,
    /// The gateway has been asked, and has not answered.
    Withdrawing,
    Withdrawn,
}

/// Whether a gateway listens.
#[derive(Clone, Serialize, Deserialize)]
enum Gateway {
    Absent,
    /// It does, and knows these workers.
    Present {
        id: WorkerId,
        known: BTreeSet<Incarnation>,
    },
}

/// Whether clients are let in.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Doors {
    /// Not yet.
    Shut,
    Open,
    /// Never again; what waits may wait so long.
    Closing {
        within_millis: u32,
    },
}

impl Roster {
    /// No worker, no gateway, and the doors are shut.
    pub(in crate::master) fn new() -> Roster {
        Roster {
            workers: BTreeMap::new(),
            gateway: Gateway::Absent,
            doors: Doors::Shut,
        }
    }

    /// The gateway that listens.
    pub(in crate::master) fn gateway(&self) -> Option<WorkerId> {
        match &self.gateway {
            Gateway::Absent => None,
            Gateway::Present { id, .. } => Some(*id),
        }
    }

    /// Whether the doors wait to be opened.
    pub(in crate::master) fn is_shut(&self) -> bool {
        self.doors == Doors::Shut
    }

    /// A gateway has greeted: it is told everything.
    pub(in crate::master) fn gateway_arrived(&mut self, id: WorkerId) -> Vec<Order> {
        let mut orders = self.gateway_left();
        let mut known = BTreeSet::new();
        for (life, entry) in &self.workers {
            if entry.standing == Standing::Withdrawn {
                // It works off what an earlier gateway gave it, whose clients are gone.
                continue;
            }
            known.insert(*life);
            orders.push(entry.introduction(*life));
            if entry.voice == Voice::Greeted {
                orders.push(Order::Connect(entry.id(*life)));
            }
            let worker = life.0;
            match entry.standing {
                Standing::Admitted => orders.push(Order::Tell(ToGateway::Admit { worker })),
                Standing::Held => orders.push(Order::Tell(ToGateway::Hold { worker })),
                Standing::Expected | Standing::Withdrawing | Standing::Withdrawn => {}
            }
        }
        orders.extend(self.doors.order());
        self.gateway = Gateway::Present { id, known };
        orders
    }

    /// A gateway that a master before this one has received says with whom it is linked: it is told what it
    /// may not have heard, and what may be told twice.
    pub(in crate::master) fn gateway_stays(&mut self, id: WorkerId, linked: &[u64]) -> Vec<Order> {
        let linked: BTreeSet<_> = linked.iter().copied().map(Incarnation).collect();
        let mut orders = Vec::new();
        for gone in linked
            .iter()
            .filter(|life| !self.workers.contains_key(life))
        {
            orders.push(Order::Tell(ToGateway::Gone { worker: gone.0 }));
        }
        let mut known = BTreeSet::new();
        for (life, entry) in &self.workers {
            let (worker, is_linked) = (life.0, linked.contains(life));
            if entry.standing == Standing::Withdrawn && !is_linked {
                continue;
            }
            known.insert(*life);
            if !is_linked {
                orders.push(entry.introduction(*life));
            }
            if !is_linked && entry.voice == Voice::Greeted {
                orders.push(Order::Connect(entry.id(*life)));
            }
            match entry.standing {
                Standing::Admitted => orders.push(Order::Tell(ToGateway::Admit { worker })),
                Standing::Held => orders.push(Order::Tell(ToGateway::Hold { worker })),
                Standing::Withdrawing => orders.push(Order::Tell(ToGateway::Withdraw { worker })),
                Standing::Expected | Standing::Withdrawn => {}
            }
        }
        orders.extend(self.doors.order());
        self.gateway = Gateway::Present { id, known };
        orders
    }

    /// The gateway listens no more: what it owes an answer to is answered for it.
    pub(in crate::master) fn gateway_left(&mut self) -> Vec<Order> {
        self.gateway = Gateway::Absent;
        let mut orders = Vec::new();
        for (life, entry) in &mut self.workers {
            // The next one counts from 0 on.
            let load = &mut entry.load;
            load.open = 0;
            load.before = (load.served, load.failed);
            load.ejection = Ejection::In;
            if entry.standing == Standing::Withdrawing {
                entry.standing = Standing::Withdrawn;
                orders.push(Order::Withdrawn(entry.id(*life)));
            }
        }
        orders
    }

    /// A worker was started. `lodging`: where a proxy is to reach it.
    pub(in crate::master) fn expect(
        &mut self,
        id: WorkerId,
        pid: i32,
        lodging: Option<Place>,
    ) -> Vec<Order> {
        let entry = Entry {
            slot: id.slot,
            pid,
            voice: Voice::Silent,
            standing: Standing::Expected,
            lodging,
            load: Load::default(),
        };
        let introduction = entry.introduction(id.incarnation);
        self.workers.insert(id.incarnation, entry);
        match &mut self.gateway {
            Gateway::Absent => Vec::new(),
            Gateway::Present { known, .. } => {
                known.insert(id.incarnation);
                vec![introduction]
            }
        }
    }

    /// A worker listens, there.
    pub(in crate::master) fn listens(&mut self, id: WorkerId, at: WorkerAddress) -> Vec<Order> {
        let Some(entry) = self.workers.get_mut(&id.incarnation) else {
            return Vec::new();
        };
        let known = match &mut entry.lodging {
            Some(place) if place.address != at => place,
            Some(_) | None => return Vec::new(),
        };
        known.address = at;
        let introduction = entry.introduction(id.incarnation);
        let is_known = self.is_known(id);
        is_known.then_some(introduction).into_iter().collect()
    }

    /// Where a proxy reaches a worker.
    pub(in crate::master) fn address(&self, id: WorkerId) -> Option<&WorkerAddress> {
        let place = self.workers.get(&id.incarnation)?.lodging.as_ref()?;
        Some(&place.address)
    }

    /// Where a proxy reaches a worker, and what that has had to do.
    pub(in crate::master) fn traffic(&self, life: Incarnation) -> Option<(&WorkerAddress, Load)> {
        let entry = self.workers.get(&life)?;
        Some((&entry.lodging.as_ref()?.address, entry.load))
    }

    /// The gateway leaves a worker out, or takes it in again.
    pub(in crate::master) fn note_ejection(&mut self, life: Incarnation, ejection: Ejection) {
        if let Some(entry) = self.workers.get_mut(&life) {
            entry.load.ejection = ejection;
        }
    }

    /// Those who have a place, and are not known to listen there.
    pub(in crate::master) fn lodgers(&self) -> Vec<(WorkerId, WorkerAddress)> {
        let mut lodgers = Vec::new();
        for (life, entry) in &self.workers {
            if let (Standing::Expected, Some(place)) = (entry.standing, &entry.lodging) {
                lodgers.push((entry.id(*life), place.address.clone()));
            }
        }
        lodgers
    }

    /// What the gateway has counted of a worker. Says how many requests it has finished in its life.
    pub(in crate::master) fn note_load(
        &mut self,
        id: WorkerId,
        open: u32,
        served: u64,
        failed: u64,
    ) -> u64 {
        let Some(entry) = self.workers.get_mut(&id.incarnation) else {
            return 0;
        };
        let load = &mut entry.load;
        load.open = open;
        load.served = load.before.0 + served;
        load.failed = load.before.1 + failed;
        load.served
    }

    /// A worker has greeted: it can be linked.
    pub(in crate::master) fn greeted(&mut self, id: WorkerId) -> Vec<Order> {
        let Some(entry) = self.workers.get_mut(&id.incarnation) else {
            return Vec::new();
        };
        if entry.voice == Voice::Greeted {
            return Vec::new();
        }
        entry.voice = Voice::Greeted;
        if self.is_known(id) {
            vec![Order::Connect(id)]
        } else {
            Vec::new()
        }
    }

    /// The worker takes jobs (again).
    pub(in crate::master) fn admit(&mut self, id: WorkerId) -> Vec<Order> {
        let worker = id.incarnation.0;
        self.change(id, Standing::Admitted, ToGateway::Admit { worker })
    }

    /// No new job for the worker, for now.
    pub(in crate::master) fn hold(&mut self, id: WorkerId) -> Vec<Order> {
        let worker = id.incarnation.0;
        self.change(id, Standing::Held, ToGateway::Hold { worker })
    }

    /// No new job for the worker, ever. Without a gateway that is so at once.
    pub(in crate::master) fn withdraw(&mut self, id: WorkerId) -> Vec<Order> {
        let worker = id.incarnation.0;
        if self.is_known(id) {
            return self.change(id, Standing::Withdrawing, ToGateway::Withdraw { worker });
        }
        if let Some(entry) = self.workers.get_mut(&id.incarnation) {
            entry.standing = Standing::Withdrawn;
        }
        vec![Order::Withdrawn(id)]
    }

    /// The gateway says that the worker has what it will ever get.
    pub(in crate::master) fn withdrawn(&mut self, life: Incarnation) -> Vec<Order> {
        match self.workers.get_mut(&life) {
            Some(entry) if entry.standing == Standing::Withdrawing => {
                entry.standing = Standing::Withdrawn;
                vec![Order::Withdrawn(entry.id(life))]
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// The worker is dead.
    pub(in crate::master) fn gone(&mut self, id: WorkerId) -> Vec<Order> {
        self.workers.remove(&id.incarnation);
        let worker = id.incarnation.0;
        let was_known = match &mut self.gateway {
            Gateway::Absent => false,
            Gateway::Present { known, .. } => known.remove(&id.incarnation),
        };
        let gone = Order::Tell(ToGateway::Gone { worker });
        was_known.then_some(gone).into_iter().collect()
    }

    /// Clients are let in from now on.
    pub(in crate::master) fn open(&mut self) -> Vec<Order> {
        self.turn(Doors::Open, ToGateway::Open)
    }

    /// No client is let in any more, and no message is read. What waits for a worker may wait so long.
    pub(in crate::master) fn close(&mut self, within_millis: u32) -> Vec<Order> {
        let close = ToGateway::CloseListeners { within_millis };
        self.turn(Doors::Closing { within_millis }, close)
    }

    fn turn(&mut self, doors: Doors, message: ToGateway) -> Vec<Order> {
        self.doors = doors;
        let present = self.gateway().is_some();
        present
            .then_some(Order::Tell(message))
            .into_iter()
            .collect()
    }

    fn change(&mut self, id: WorkerId, standing: Standing, message: ToGateway) -> Vec<Order> {
        if let Some(entry) = self.workers.get_mut(&id.incarnation) {
            entry.standing = standing;
        }
        let known = self.is_known(id);
        known.then_some(Order::Tell(message)).into_iter().collect()
    }

    fn is_known(&self, id: WorkerId) -> bool {
        match &self.gateway {
            Gateway::Absent => false,
            Gateway::Present { known, .. } => known.contains(&id.incarnation),
        }
    }
}

impl Doors {
    /// What a gateway is to be told of them.
    fn order(self) -> Option<Order> {
        match self {
            Doors::Shut => None,
            Doors::Open => Some(Order::Tell(ToGateway::Open)),
            Doors::Closing { within_millis } => {
                Some(Order::Tell(ToGateway::CloseListeners { within_millis }))
            }
        }
    }
}

impl Entry {
    fn id(&self, incarnation: Incarnation) -> WorkerId {
        WorkerId {
            slot: self.slot,
            incarnation,
        }
    }

    fn introduction(&self, life: Incarnation) -> Order {
        if let Some(place) = &self.lodging {
            return Order::Tell(ToGateway::Backend(Box::new(Backend {
                worker: life.0,
                slot: self.slot.0,
                generation: place.generation,
                address: place.address.clone(),
            })));
        }
        Order::Tell(ToGateway::Expect {
            worker: life.0,
            slot: self.slot.0,
            // A child has a positive number.
            pid: u32::try_from(self.pid).unwrap_or(0),
        })
    }
}
