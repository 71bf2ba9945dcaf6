//! The master's side of the gateway: what it is told of the workers, and what it tells.

mod berths;
mod certificates;
mod entry;
mod kept;
mod ledger;
mod lodging;
mod nobody;
mod proxy;
mod renewal;
mod roster;
#[cfg(test)]
mod roster_tests;
mod sets;
mod settings;
mod setup;
mod showing;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use herder_core::supervisor::{Event, Outcome};
use herder_core::{Incarnation, Tick, WorkerId};
use herder_sys::{fd, socket};
use herder_wire::control::{ToMaster, ToWorker};
use herder_wire::gateway::{self, ToGateway};

use super::control::Said;
use super::crew::MemberId;
use super::delivery::Delivery;
use super::legacy::ReceptionState;
use super::member::Exhaustion;
use super::{Master, Stopping, millis, now};
use crate::dispatch::Berths;
use crate::event::HerdEvent;
use crate::part::Part;
use entry::Order;
use lodging::Vigil;
use settings::{Former, Settings};
use showing::Viewer;

pub(super) use entry::Place;
pub(super) use kept::Kept;
pub(super) use lodging::Lodging;
pub(super) use nobody::user;
pub(super) use renewal::check_renewal;
pub(super) use roster::Roster;
pub(super) use settings::{FormerState, SettingsState};
pub(super) use setup::{Doors, LeftBehind, MessageError, Prepared, grace, group, prepare, visitor};

/// What the master knows for the gateway, whichever life it has.
pub(super) struct Reception {
    pub(super) roster: Roster,
    settings: Settings,
    /// By what those gateways work that serve, while others are put in their place.
    former: Option<Former>,
    /// Gateways that work by other settings than those that hold.
    outdated: BTreeSet<WorkerId>,
    /// The sets of certificates that lie with the keeper.
    kept: BTreeSet<u32>,
    /// Where each gateway has listeners of its own.
    berths: Option<Berths>,
    /// Of a proxy: who does not listen yet.
    vigil: Option<Vigil>,
    /// Of a proxy: until when the requests of those who leave may take.
    leaving: BTreeMap<WorkerId, Tick>,
    /// When clients are let in at the latest.
    open_by: Tick,
}

/// Both ends of a link.
struct Ends {
    gateway: OwnedFd,
    worker: OwnedFd,
    /// A duplicate of the worker's end: what the worker has not received can be taken back by it.
    duplicate: OwnedFd,
}

impl Reception {
    /// What the next master has to know.
    pub(super) fn state(&self) -> ReceptionState<'_> {
        ReceptionState {
            roster: Cow::Borrowed(&self.roster),
            open_by: self.open_by,
            settings: self.settings.state(),
            former: self.former.as_ref().and_then(Former::state),
            outdated: Cow::Borrowed(&self.outdated),
        }
    }

    /// Clients are let in by then at the latest.
    pub(super) fn opens_by(&mut self, at: Tick) {
        self.open_by = at;
    }

    /// When the doors want to be opened, if they are shut.
    fn open_by(&self) -> Option<Tick> {
        self.roster.is_shut().then_some(self.open_by)
    }

    /// When something wants to be done.
    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        let look = self.vigil.as_ref().and_then(Vigil::due);
        let leaving = self.leaving.values().copied();
        let berths = self.berths.as_ref().and_then(Berths::next_timer);
        let wishes = self.open_by().into_iter().chain(look).chain(berths);
        wishes.chain(leaving).min()
    }
}

impl Master {
    /// Answers a gateway's greeting: with what it has to know.
    pub(super) fn welcome_gateway(&mut self, id: MemberId) {
        let Delivery::Gateway(reception) = &mut self.delivery else {
            return;
        };
        if reception.roster.is_present(id.worker) {
            return self.misbehaved(id, "it greeted twice".to_owned());
        }
        let configure = reception.settings.configuration.clone();
        let mut orders = Vec::new();
        if reception.vigil.is_none() {
            // Workers have one link.
            let before: Vec<_> = reception.roster.gateways().collect();
            for gateway in before {
                orders.extend(reception.roster.gateway_left(gateway));
            }
        }
        orders.extend(reception.roster.gateway_arrived(id.worker));
        self.say(
            id,
            &ToGateway::Welcome {
                version: gateway::VERSION,
                capabilities: 0,
            },
        );
        self.say(id, &configure);
        self.show_certificates(id, Viewer::Newcomer);
        self.carry_out(orders);
    }

    /// A gateway that a master before this one has received says whom it knows.
    fn gateway_stays(&mut self, id: MemberId, workers: &[u64]) {
        if let Delivery::Gateway(reception) = &mut self.delivery {
            let orders = reception.roster.gateway_stays(id.worker, workers);
            self.carry_out(orders);
            // What the master before this one has shown it is not known.
            self.show_certificates(id, Viewer::Server);
        }
    }

    /// A worker has greeted, and can be linked.
    pub(super) fn link_worker(&mut self, id: WorkerId) {
        if let Delivery::Gateway(reception) = &mut self.delivery {
            let orders = reception.roster.greeted(id);
            self.carry_out(orders);
        }
    }

    /// Nothing is heard from this gateway any more.
    pub(super) fn forget_gateway(&mut self, id: WorkerId) {
        if let Delivery::Gateway(reception) = &mut self.delivery {
            let orders = reception.roster.gateway_left(id);
            self.carry_out(orders);
        }
    }

    /// Lets clients in as soon as every worker of the first start is ready, or has had its time.
    pub(super) fn open_doors(&mut self) {
        let Some(workers) = self.crews.get(Part::Workers) else {
            return;
        };
        let Delivery::Gateway(reception) = &mut self.delivery else {
            return;
        };
        let Some(open_by) = reception.open_by() else {
            return;
        };
        let supervisor = &workers.supervisor;
        if supervisor.ready_count() >= usize::from(supervisor.size()) || open_by <= now() {
            let orders = reception.roster.open();
            self.carry_out(orders);
        }
    }

    /// Lets nobody in any more. A gateway that is not there now is not needed again.
    pub(super) fn close_doors(&mut self, within: Duration) {
        let Delivery::Gateway(reception) = &mut self.delivery else {
            return;
        };
        let orders = reception.roster.close(millis(within));
        let present = reception.roster.gateways().next().is_some();
        self.carry_out(orders);
        self.close_listeners(Part::Gateway);
        self.close_berths_of_gateways();
        if !present {
            self.feed(Part::Gateway, Event::Stop);
        }
    }

    /// Does what the roster says.
    pub(super) fn carry_out(&mut self, orders: Vec<Order>) {
        for order in orders {
            match order {
                Order::Connect { gateway, worker } => self.connect(gateway, worker),
                Order::Tell(worker, message) => {
                    let part = Part::Gateway;
                    self.say(MemberId { part, worker }, &message);
                }
                Order::Withdrawn(worker) => {
                    self.feed(Part::Workers, Event::Withdrawn { worker });
                }
            }
        }
    }

    /// Takes in all that the gateways have said so far: they speak of a job before the worker does.
    pub(super) fn hear_gateways(&mut self) {
        for id in self.gateways() {
            let control = self.crews.member_mut(id).and_then(|m| m.control.as_mut());
            if let Some(control) = control {
                let said = control.read_dry(&mut self.room);
                self.heed(id, said);
            }
        }
    }

    /// What concerns jobs.
    pub(super) fn on_job_news(&mut self, id: MemberId, frame: &ToMaster) {
        match (id.part, frame) {
            (Part::Workers, ToMaster::Spent) => self.on_spent(id),
            (Part::Gateway, ToMaster::Dispatched { job, worker }) => {
                self.on_dispatched(*job, Incarnation(*worker));
            }
            (Part::Gateway, ToMaster::Exhausted { worker }) => {
                // News of one that is dead by now changes nothing.
                if let Some(worker) = self.crews.find(Part::Workers, Incarnation(*worker)) {
                    let worker = worker.worker;
                    self.feed(Part::Workers, Event::Exhausted { worker });
                }
            }
            (Part::Gateway, ToMaster::Withdrawn { worker }) => self.on_withdrawn(id, *worker, 0),
            (Part::Gateway, ToMaster::WithdrawnAgain { worker, epoch }) => {
                self.on_withdrawn(id, *worker, *epoch);
            }
            (Part::Gateway, ToMaster::Unusable { worker, reason }) => {
                // One that leaves knows only the links that it had.
                let listens = self.is_received(id);
                let worker = self.crews.find(Part::Workers, Incarnation(*worker));
                if let Some(worker) = worker.filter(|_| listens) {
                    self.misbehaved(worker, reason.clone());
                }
            }
            // The withdrawals that waited for it are answered one by one.
            (Part::Gateway, ToMaster::Empty) => {}
            (
                Part::Gateway,
                ToMaster::Ejected { .. } | ToMaster::Load { .. } | ToMaster::Restored { .. },
            ) => self.on_traffic_news(id, frame),
            (Part::Gateway, ToMaster::Certificates { set, fault }) => {
                self.on_certificates_tried(id, *set, fault.as_deref());
            }
            (Part::Gateway, ToMaster::Known { workers }) => self.gateway_stays(id, workers),
            (Part::Gateway, _) => {
                self.misbehaved(id, "it sent a message that only a worker sends".to_owned());
            }
            (Part::Library(_) | Part::Workers, _) => {
                self.misbehaved(id, "it sent a message that only a gateway sends".to_owned());
            }
        }
    }

    /// A part has nothing left to supervise. The gateway goes after the workers, so that each client
    /// hears how its jobs ended, and so do the libraries, which the workers call to their end. Without
    /// one of them there is no herd.
    pub(super) fn on_part_ended(&mut self, part: Part, outcome: Outcome) {
        match (part, outcome) {
            (Part::Workers, _) => {
                self.hasten_gateways();
                self.feed(Part::Gateway, Event::Stop);
                self.stop_libraries();
            }
            (Part::Library(_), _) => self.library_ended(part, outcome),
            (Part::Gateway, Outcome::Completed { .. } | Outcome::Stopped) => {}
            (Part::Gateway, Outcome::BootFailed) => {
                let last_lines = self.last_lines_before(part, outcome);
                let finished = HerdEvent::Finished {
                    outcome,
                    last_lines,
                };
                self.tell_of(part, finished);
                if self.stopping == Stopping::No {
                    self.stop(None);
                }
            }
        }
    }

    /// A gateway gives a worker nothing any more. One that is not known to listen has not been asked.
    fn on_withdrawn(&mut self, gateway: MemberId, worker: u64, epoch: u32) {
        if let Delivery::Gateway(reception) = &mut self.delivery {
            let life = Incarnation(worker);
            let orders = reception.roster.withdrawn(gateway.worker, life, epoch);
            self.carry_out(orders);
        }
    }

    /// Whether this is a gateway that has greeted, and listens.
    pub(super) fn is_received(&self, id: MemberId) -> bool {
        match &self.delivery {
            Delivery::Gateway(reception) => {
                id.part == Part::Gateway && reception.roster.is_present(id.worker)
            }
            Delivery::Thread(..) => false,
        }
    }

    /// Whether nobody would have anything of another process of this part.
    pub(super) fn is_needless(&self, part: Part) -> bool {
        part == Part::Gateway && self.stopping != Stopping::No
    }

    /// The gateways that listen.
    fn gateways(&self) -> Vec<MemberId> {
        let Delivery::Gateway(reception) = &self.delivery else {
            return Vec::new();
        };
        let part = Part::Gateway;
        let member = |worker| MemberId { part, worker };
        reception.roster.gateways().map(member).collect()
    }

    /// Gives the two a link. The master keeps no end of it.
    fn connect(&mut self, gateway: WorkerId, worker: WorkerId) {
        let part = Part::Gateway;
        let gateway = MemberId {
            part,
            worker: gateway,
        };
        let part = Part::Workers;
        let id = MemberId { part, worker };
        match Ends::new() {
            Ok(ends) => {
                let to_worker = ToWorker::Link {
                    gateway: gateway.worker.incarnation.0,
                };
                let to_gateway = ToGateway::Link {
                    worker: worker.incarnation.0,
                };
                self.say_with(id, &to_worker, vec![ends.worker]);
                self.say_with(gateway, &to_gateway, vec![ends.gateway, ends.duplicate]);
            }
            // Its successor is linked when there is room again.
            Err(error) => {
                self.misbehaved(id, format!("it cannot be linked to the gateway: {error}"));
            }
        }
    }

    /// A worker is done with all its jobs, and ends.
    fn on_spent(&mut self, id: MemberId) {
        self.hear_gateways();
        let Some(member) = self.crews.member_mut(id) else {
            return;
        };
        if member.exhaustion == Exhaustion::Told {
            member.exhaustion = Exhaustion::Spent;
            let worker = member.info();
            self.tell(HerdEvent::Exhausted { worker });
        }
    }

    fn on_dispatched(&mut self, job: u64, worker: Incarnation) {
        let id = self.crews.find(Part::Workers, worker);
        if let Some(member) = id.and_then(|id| self.crews.member(id)) {
            let worker = member.info();
            self.tell(HerdEvent::JobDispatched { job, worker });
        }
    }

    /// Takes in what was read from a control channel.
    pub(super) fn heed(&mut self, id: MemberId, said: Said) {
        for frame in said.frames {
            self.on_frame(id, frame);
        }
        self.on_reading(id, said.then);
    }
}

impl Ends {
    fn new() -> io::Result<Ends> {
        let (gateway, worker) = socket::seqpacket_pair()?;
        let duplicate = fd::duplicate(worker.as_fd())?;
        Ok(Ends {
            gateway,
            worker,
            duplicate,
        })
    }
}
