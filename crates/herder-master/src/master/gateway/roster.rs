//! What gateways know of the workers, and what they have to be told of them: pure, so that each new
//! gateway is told exactly what the one before it knew.

use std::collections::btree_map::Entry as Known;
use std::collections::{BTreeMap, BTreeSet};

use herder_core::{Incarnation, Slot, WorkerId};
use herder_wire::gateway::ToGateway;
use herder_wire::proxy::WorkerAddress;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Order, Place, Said, Standing, Voice};
use super::ledger::{Account, Ejection, Load, Past};

/// The workers, as far as gateways have to do with them.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::master) struct Roster {
    workers: BTreeMap<Incarnation, Entry>,
    /// Those that listen, also while they leave: they have clients, and workers are waited for.
    #[serde(default)]
    gateways: BTreeMap<Incarnation, Gateway>,
    /// The one gateway, as a build has written it down that knew of no others.
    #[serde(default)]
    gateway: LoneGateway,
    doors: Doors,
}

/// A gateway that listens.
#[derive(Clone, Serialize, Deserialize)]
struct Gateway {
    slot: Slot,
    known: BTreeMap<Incarnation, Account>,
}

/// A worker that has a place, and is not known to listen there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::master) struct Lodger {
    pub(in crate::master) worker: WorkerId,
    pub(in crate::master) address: WorkerAddress,
    pub(in crate::master) said: Said,
}

/// What was known of gateways when there could be but one.
#[derive(Clone, Default, Serialize, Deserialize)]
enum LoneGateway {
    #[default]
    Absent,
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
            gateways: BTreeMap::new(),
            gateway: LoneGateway::Absent,
            doors: Doors::Shut,
        }
    }

    /// As another master has left it, which may have been of an earlier build.
    pub(in crate::master) fn taken_over(mut self) -> Roster {
        if let LoneGateway::Present { id, known } = std::mem::take(&mut self.gateway) {
            let known = known.into_iter().map(|life| {
                let entry = self.workers.get(&life);
                let is_asked = entry.is_some_and(|it| it.standing == Standing::Withdrawing);
                let owes = is_asked.then_some(0);
                let account = Account::default();
                (life, Account { owes, ..account })
            });
            let (known, slot) = (known.collect(), id.slot);
            self.gateways
                .insert(id.incarnation, Gateway { slot, known });
        }
        self
    }

    /// The gateways that listen.
    pub(in crate::master) fn gateways(&self) -> impl Iterator<Item = WorkerId> {
        self.gateways.iter().map(|(life, it)| it.id(*life))
    }

    /// Whether this is one of the gateways that listen.
    pub(in crate::master) fn is_present(&self, gateway: WorkerId) -> bool {
        self.gateways.contains_key(&gateway.incarnation)
    }

    /// Whether the doors wait to be opened.
    pub(in crate::master) fn is_shut(&self) -> bool {
        self.doors == Doors::Shut
    }

    /// A gateway has greeted: it is told everything.
    pub(in crate::master) fn gateway_arrived(&mut self, id: WorkerId) -> Vec<Order> {
        let mut orders = self.gateway_left(id);
        let mut known = BTreeMap::new();
        for (life, entry) in &self.workers {
            if entry.standing == Standing::Withdrawn {
                // It works off what an earlier gateway gave it, whose clients are gone.
                continue;
            }
            known.insert(*life, Account::default());
            orders.extend(entry.presentation(id, *life));
        }
        orders.extend(self.doors.order(id));
        let slot = id.slot;
        self.gateways
            .insert(id.incarnation, Gateway { slot, known });
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
            orders.push(Order::Tell(id, ToGateway::Gone { worker: gone.0 }));
        }
        let before = self.gateways.remove(&id.incarnation);
        let before = before.map(|it| it.known).unwrap_or_default();
        let mut known = BTreeMap::new();
        for (life, entry) in &self.workers {
            let is_linked = linked.contains(life);
            if entry.standing == Standing::Withdrawn && !is_linked {
                continue;
            }
            let mut account = before.get(life).copied().unwrap_or_default();
            account.owes = None;
            match (is_linked, entry.standing) {
                (_, Standing::Withdrawing) => {
                    if !is_linked {
                        orders.extend(entry.presentation(id, *life));
                    }
                    account.owes = Some(entry.epoch);
                    orders.push(Order::Tell(id, entry.withdrawal(*life)));
                }
                (false, _) => orders.extend(entry.presentation(id, *life)),
                (true, _) => orders.extend(entry.permission(id, *life)),
            }
            known.insert(*life, account);
        }
        orders.extend(self.doors.order(id));
        let slot = id.slot;
        self.gateways
            .insert(id.incarnation, Gateway { slot, known });
        orders
    }

    /// A gateway listens no more: what it owes an answer to is answered for it.
    pub(in crate::master) fn gateway_left(&mut self, id: WorkerId) -> Vec<Order> {
        let Some(gateway) = self.gateways.remove(&id.incarnation) else {
            return Vec::new();
        };
        for (life, account) in gateway.known {
            if let Some(entry) = self.workers.get_mut(&life) {
                entry.past.add(&account);
            }
        }
        let lives: Vec<_> = self.workers.keys().copied().collect();
        let settled = lives.into_iter().filter_map(|life| self.settle(life));
        settled.collect()
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
            epoch: 0,
            lodging,
            said: Said::Nothing,
            past: Past::default(),
        };
        let introduction = entry.introduction(id.incarnation);
        self.workers.insert(id.incarnation, entry);
        let mut orders = Vec::new();
        for (life, gateway) in &mut self.gateways {
            gateway.known.insert(id.incarnation, Account::default());
            orders.push(Order::Tell(gateway.id(*life), introduction.clone()));
        }
        orders
    }

    /// A worker listens, there.
    pub(in crate::master) fn listens(&mut self, id: WorkerId, at: WorkerAddress) -> Vec<Order> {
        let Some(entry) = self.workers.get_mut(&id.incarnation) else {
            return Vec::new();
        };
        match &mut entry.lodging {
            Some(place) if place.address != at => place.address = at,
            Some(_) | None => return Vec::new(),
        }
        let introduction = entry.introduction(id.incarnation);
        self.tell_acquainted(id, &introduction)
    }

    /// A worker says that it is ready, whether it listens or not.
    pub(in crate::master) fn note_ready(&mut self, id: WorkerId) {
        if let Some(entry) = self.workers.get_mut(&id.incarnation) {
            entry.said = Said::Ready;
        }
    }

    /// Where a proxy reaches a worker.
    pub(in crate::master) fn address(&self, id: WorkerId) -> Option<&WorkerAddress> {
        let place = self.workers.get(&id.incarnation)?.lodging.as_ref()?;
        Some(&place.address)
    }

    /// Where a proxy reaches a worker, and what that has had to do: by all gateways.
    pub(in crate::master) fn traffic(&self, life: Incarnation) -> Option<(&WorkerAddress, Load)> {
        let entry = self.workers.get(&life)?;
        let address = &entry.lodging.as_ref()?.address;
        Some((address, entry.past.with(self.accounts(life))))
    }

    /// A gateway leaves a worker out, or takes it in again. Whether that is news: only the first that
    /// leaves it out, and the last that takes it in, have something to tell.
    pub(in crate::master) fn note_ejection(
        &mut self,
        gateway: WorkerId,
        life: Incarnation,
        ejection: Ejection,
    ) -> bool {
        let is_out = |roster: &Roster| {
            let mut accounts = roster.accounts(life);
            accounts.any(|account| account.ejection == Ejection::Out)
        };
        let before = is_out(self);
        if let Some(account) = self.account_mut(gateway, life) {
            account.ejection = ejection;
        }
        before != is_out(self)
    }

    /// Those who have a place, and are not known to listen there.
    pub(in crate::master) fn lodgers(&self) -> Vec<Lodger> {
        let mut lodgers = Vec::new();
        for (life, entry) in &self.workers {
            if let (Standing::Expected, Some(place)) = (entry.standing, &entry.lodging) {
                lodgers.push(Lodger {
                    worker: entry.id(*life),
                    address: place.address.clone(),
                    said: entry.said,
                });
            }
        }
        lodgers
    }

    /// What a gateway has counted of a worker. Says how many requests that has finished in its life, if both
    /// are known.
    pub(in crate::master) fn note_load(
        &mut self,
        gateway: WorkerId,
        life: Incarnation,
        (open, served, failed): (u32, u64, u64),
    ) -> Option<u64> {
        let account = self.account_mut(gateway, life)?;
        (account.open, account.served, account.failed) = (open, served, failed);
        self.traffic(life).map(|(_, load)| load.served)
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
        let connect = |gateway| Order::Connect {
            gateway,
            worker: id,
        };
        self.acquainted(id).map(connect).collect()
    }

    /// The worker takes jobs (again).
    pub(in crate::master) fn admit(&mut self, id: WorkerId) -> Vec<Order> {
        self.change(id, Standing::Admitted)
    }

    /// No new job for the worker, for now.
    pub(in crate::master) fn hold(&mut self, id: WorkerId) -> Vec<Order> {
        self.change(id, Standing::Held)
    }

    /// No new job for the worker, ever. Without a gateway that is so at once.
    pub(in crate::master) fn withdraw(&mut self, id: WorkerId) -> Vec<Order> {
        let life = id.incarnation;
        let Some(entry) = self.workers.get_mut(&life) else {
            return vec![Order::Withdrawn(id)];
        };
        entry.standing = Standing::Withdrawing;
        let (withdrawal, epoch) = (entry.withdrawal(life), entry.epoch);
        let mut orders = Vec::new();
        for (gateway, it) in &mut self.gateways {
            let gateway = it.id(*gateway);
            if let Some(account) = it.known.get_mut(&life) {
                account.owes = Some(epoch);
                orders.push(Order::Tell(gateway, withdrawal.clone()));
            }
        }
        orders.extend(self.settle(life));
        orders
    }

    /// A gateway says that the worker has what it will ever get from it, and to which withdrawal that is the
    /// answer. The worker is withdrawn when all have said so.
    pub(in crate::master) fn withdrawn(
        &mut self,
        gateway: WorkerId,
        life: Incarnation,
        epoch: u32,
    ) -> Vec<Order> {
        match self.account_mut(gateway, life) {
            Some(account) if account.owes == Some(epoch) => account.owes = None,
            Some(_) | None => return Vec::new(),
        }
        self.settle(life).into_iter().collect()
    }

    /// No gateway is waited for any longer.
    pub(in crate::master) fn give_up(&mut self, life: Incarnation) -> Vec<Order> {
        self.forgive(life);
        self.settle(life).into_iter().collect()
    }

    /// The worker is dead.
    pub(in crate::master) fn gone(&mut self, id: WorkerId) -> Vec<Order> {
        let worker = id.incarnation.0;
        let orders = self.tell_acquainted(id, &ToGateway::Gone { worker });
        self.workers.remove(&id.incarnation);
        for gateway in self.gateways.values_mut() {
            gateway.known.remove(&id.incarnation);
        }
        orders
    }

    /// Clients are let in from now on.
    pub(in crate::master) fn open(&mut self) -> Vec<Order> {
        self.turn(Doors::Open)
    }

    /// No client is let in any more, and no message is read. What waits for a worker may wait so long.
    pub(in crate::master) fn close(&mut self, within_millis: u32) -> Vec<Order> {
        self.turn(Doors::Closing { within_millis })
    }

    fn turn(&mut self, doors: Doors) -> Vec<Order> {
        self.doors = doors;
        let gateways = self.gateways();
        gateways
            .filter_map(|gateway| doors.order(gateway))
            .collect()
    }

    fn change(&mut self, id: WorkerId, standing: Standing) -> Vec<Order> {
        let life = id.incarnation;
        let Some(entry) = self.workers.get_mut(&life) else {
            return Vec::new();
        };
        let was = std::mem::replace(&mut entry.standing, standing);
        if entry.lodging.is_some() && matches!(was, Standing::Withdrawing | Standing::Withdrawn) {
            entry.epoch += 1;
        }
        let (entry, mut orders) = (entry.clone(), Vec::new());
        for (gateway, it) in &mut self.gateways {
            let gateway = it.id(*gateway);
            match it.known.entry(life) {
                Known::Occupied(_) => orders.extend(entry.permission(gateway, life)),
                // It came while the worker was about to leave.
                Known::Vacant(account) if entry.lodging.is_some() => {
                    account.insert(Account::default());
                    orders.extend(entry.presentation(gateway, life));
                }
                Known::Vacant(_) => {}
            }
        }
        self.forgive(life);
        orders
    }

    /// Nobody owes an answer for this worker.
    fn forgive(&mut self, life: Incarnation) {
        let known = self.gateways.values_mut().map(|it| &mut it.known);
        for account in known.filter_map(|known| known.get_mut(&life)) {
            account.owes = None;
        }
    }

    /// A worker that nobody has to answer for is withdrawn.
    fn settle(&mut self, life: Incarnation) -> Option<Order> {
        let is_owed = self.accounts(life).any(|account| account.owes.is_some());
        let entry = self.workers.get_mut(&life)?;
        if is_owed || entry.standing != Standing::Withdrawing {
            return None;
        }
        entry.standing = Standing::Withdrawn;
        Some(Order::Withdrawn(entry.id(life)))
    }

    fn accounts(&self, life: Incarnation) -> impl Iterator<Item = &Account> {
        let gateways = self.gateways.values();
        gateways.filter_map(move |gateway| gateway.known.get(&life))
    }

    fn account_mut(&mut self, gateway: WorkerId, life: Incarnation) -> Option<&mut Account> {
        let gateway = self.gateways.get_mut(&gateway.incarnation)?;
        gateway.known.get_mut(&life)
    }

    /// The gateways that know the worker.
    fn acquainted(&self, id: WorkerId) -> impl Iterator<Item = WorkerId> {
        let know = move |it: &Gateway| it.known.contains_key(&id.incarnation);
        let gateways = self.gateways.iter();
        let gateways = gateways.filter(move |(_, it)| know(it));
        gateways.map(|(life, it)| it.id(*life))
    }

    fn tell_acquainted(&self, id: WorkerId, message: &ToGateway) -> Vec<Order> {
        let tell = |gateway| Order::Tell(gateway, message.clone());
        self.acquainted(id).map(tell).collect()
    }
}

impl Gateway {
    fn id(&self, incarnation: Incarnation) -> WorkerId {
        WorkerId {
            slot: self.slot,
            incarnation,
        }
    }
}

impl Doors {
    /// What a gateway is to be told of them.
    fn order(self, gateway: WorkerId) -> Option<Order> {
        let message = match self {
            Doors::Shut => return None,
            Doors::Open => ToGateway::Open,
            Doors::Closing { within_millis } => ToGateway::CloseListeners { within_millis },
        };
        Some(Order::Tell(gateway, message))
    }
}
