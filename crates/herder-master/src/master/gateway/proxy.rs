//! What is particular to a gateway that is a proxy: workers that listen at places of their own, and
//! what the proxy tells of them.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use herder_api::status::Proxied;
use herder_core::supervisor::Event;
use herder_core::{Exit, Incarnation, Tick, WorkerId};
use herder_sys::cgroup::Cgroup;
use herder_sys::{directory, proc};
use herder_wire::control::ToMaster;
use herder_wire::proxy::WorkerAddress;

use super::Lodging;
use super::ledger::Ejection;
use super::lodging::{self, Sight};
use crate::event::HerdEvent;
use crate::master::crew::MemberId;
use crate::master::delivery::Delivery;
use crate::master::member::Member;
use crate::master::runtime::Ports;
use crate::master::{Master, now};
use crate::part::Part;

/// The most processes of a worker that are looked at.
const MOST: usize = 1024;

impl Master {
    /// A worker was started that is to listen somewhere.
    pub(in crate::master) fn await_listener(&mut self, id: WorkerId, lodging: Lodging) {
        if let Delivery::Gateway(reception) = &mut self.delivery
            && let Some(vigil) = &mut reception.vigil
        {
            vigil.begin(id, lodging, now());
        }
    }

    /// It says that it is ready. Whether that is not enough.
    pub(in crate::master) fn is_to_listen(&mut self, id: MemberId) -> bool {
        let Delivery::Gateway(reception) = &mut self.delivery else {
            return false;
        };
        match &mut reception.vigil {
            Some(vigil) if id.part == Part::Workers => {
                vigil.hear(id.worker, now());
                // It is not said again to a master that comes before the worker listens.
                reception.roster.note_ready(id.worker);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Looks who listens by now.
    pub(in crate::master) fn look_for_listeners(&mut self, now: Tick) {
        let part = Part::Workers;
        for worker in self.due_to_listen(now) {
            let id = MemberId { part, worker };
            let pids = self.crews.member(id).map(pids).unwrap_or_default();
            let Delivery::Gateway(reception) = &mut self.delivery else {
                return;
            };
            let Some(vigil) = &mut reception.vigil else {
                return;
            };
            match vigil.look(worker, &pids, now) {
                Sight::Nothing => {}
                Sight::Listens(address) => {
                    let _kept_until_now = vigil.end(worker);
                    let orders = reception.roster.listens(worker, address.clone());
                    open_to_gateway(&address);
                    self.carry_out(orders);
                    self.feed(part, Event::Ready { worker });
                }
                Sight::Taken => {
                    let lost = vigil.end(worker);
                    let place = lost
                        .map(|it| lodging::shown(&it.address))
                        .unwrap_or_default();
                    let problem = format!("another process listens at its place, {place}");
                    self.misbehaved(id, problem);
                }
            }
            self.act();
        }
    }

    /// What a worker lacks that is not ready, as far as it has to do with where it is to listen.
    pub(in crate::master) fn lacking(&self, id: MemberId) -> String {
        let (Part::Workers, Delivery::Gateway(reception)) = (id.part, &self.delivery) else {
            return String::new();
        };
        let vigil = reception.vigil.as_ref();
        let lack = vigil.and_then(|vigil| vigil.lack(id.worker));
        lack.unwrap_or_default()
    }

    fn due_to_listen(&self, now: Tick) -> Vec<WorkerId> {
        match &self.delivery {
            Delivery::Gateway(reception) => {
                let vigil = reception.vigil.as_ref();
                vigil.map(|vigil| vigil.whom(now)).unwrap_or_default()
            }
            Delivery::Thread(..) => Vec::new(),
        }
    }

    /// A worker is dead. One that never listened may be of those who cannot share a port with its keeper:
    /// the next ones find theirs free.
    pub(in crate::master) fn leave_lodging(&mut self, id: WorkerId, exit: Exit) {
        let is_suspicious = self.may_have_lacked_its_port(id, exit);
        let Delivery::Gateway(reception) = &mut self.delivery else {
            return;
        };
        reception.leaving.remove(&id);
        let vigil = reception.vigil.as_mut();
        if let Some(lodging) = vigil.and_then(|vigil| vigil.end(id))
            && matches!(lodging.address, WorkerAddress::Tcp(_))
            && is_suspicious
        {
            let found = lodging.hold.map_or(Ports::LetGo, |_port| Ports::Kept);
            self.runtime.reconsider_ports(found);
        }
        if let Some(WorkerAddress::Unix(path)) = reception.roster.address(id) {
            // It goes with the directory at the latest.
            let _left = fs::remove_file(lodging::unix_path(path));
        }
    }

    /// Whether its end may be that of a program that cannot listen where somebody else keeps the port for it.
    fn may_have_lacked_its_port(&self, worker: WorkerId, exit: Exit) -> bool {
        let part = Part::Workers;
        let id = MemberId { part, worker };
        let was_run = |member: &Member| member.launch_failure().is_none();
        self.crews.member(id).is_some_and(was_run)
            && lodging::gave_up_listening(self.crews.phase(id), exit)
    }

    /// A worker leaves behind a proxy: it is told so when its last request is over, but early enough that it
    /// can end in order.
    pub(in crate::master) fn limit_leaving(&mut self, id: WorkerId) {
        let within = self.spec.life.grace / 4 * 3;
        if let Delivery::Gateway(reception) = &mut self.delivery
            && reception.vigil.is_some()
        {
            reception.leaving.insert(id, now().after(within));
        }
    }

    /// Those who leave are told so whose requests take too long.
    pub(in crate::master) fn end_leaving(&mut self, now: Tick) {
        let Delivery::Gateway(reception) = &mut self.delivery else {
            return;
        };
        let due = reception.leaving.iter().filter(|(_, at)| **at <= now);
        let due: Vec<_> = due.map(|(id, _)| *id).collect();
        let mut orders = Vec::new();
        for id in due {
            reception.leaving.remove(&id);
            orders.extend(reception.roster.give_up(id.incarnation));
        }
        if !orders.is_empty() {
            self.carry_out(orders);
            self.act();
        }
    }

    /// What a proxy tells of a worker.
    pub(super) fn on_traffic_news(&mut self, gateway: MemberId, frame: &ToMaster) {
        if let ToMaster::Load {
            worker,
            open,
            served,
            failed,
        } = *frame
        {
            self.on_load(gateway, Incarnation(worker), (open, served, failed));
        } else if let ToMaster::Ejected { worker, millis } = *frame {
            let spell = Duration::from_millis(millis.into());
            if self.note_ejection(gateway, worker, Ejection::Out) {
                self.tell_of_worker(worker, |worker| HerdEvent::Ejected { worker, spell });
            }
        } else if let ToMaster::Restored { worker } = *frame
            && self.note_ejection(gateway, worker, Ejection::In)
        {
            self.tell_of_worker(worker, |worker| HerdEvent::Readmitted { worker });
        }
    }

    /// A worker has served so much as all gateways together have counted.
    fn on_load(&mut self, gateway: MemberId, life: Incarnation, counted: (u32, u64, u64)) {
        let part = Part::Workers;
        let Some(id) = self.crews.find(part, life) else {
            return;
        };
        if let Delivery::Gateway(reception) = &mut self.delivery
            && let Some(total) = reception.roster.note_load(gateway.worker, life, counted)
        {
            let worker = id.worker;
            self.feed(part, Event::Served { worker, total });
        }
    }

    fn note_ejection(&mut self, gateway: MemberId, worker: u64, ejection: Ejection) -> bool {
        match &mut self.delivery {
            Delivery::Gateway(reception) => {
                let (roster, life) = (&mut reception.roster, Incarnation(worker));
                roster.note_ejection(gateway.worker, life, ejection)
            }
            Delivery::Thread(..) => false,
        }
    }

    /// What a proxy knows of a worker.
    pub(in crate::master) fn proxied(&self, life: Incarnation) -> Option<Proxied> {
        let Delivery::Gateway(reception) = &self.delivery else {
            return None;
        };
        let (address, load) = reception.roster.traffic(life)?;
        Some(Proxied {
            address: lodging::shown(address),
            open: load.open,
            served: load.served,
            failed: load.failed,
            ejected: load.is_ejected(),
        })
    }

    fn tell_of_worker(&self, life: u64, event: impl FnOnce(crate::event::WorkerInfo) -> HerdEvent) {
        let id = self.crews.find(Part::Workers, Incarnation(life));
        if let Some(member) = id.and_then(|id| self.crews.member(id)) {
            self.tell(event(member.info()));
        }
    }
}

/// The gateway may have fewer rights than who has made the socket. The directory lets nobody else in. It is
/// the worker's, who may have put something else there meanwhile; we may be root.
fn open_to_gateway(address: &WorkerAddress) {
    const ALL: u32 = 0o666;
    if let WorkerAddress::Unix(path) = address {
        // Without it the gateway says that it cannot connect.
        let _as_it_was = directory::set_socket_mode(&lodging::unix_path(path), ALL);
    }
}

/// The processes of a worker.
fn pids(member: &Member) -> BTreeSet<i32> {
    let pid = member.child.pid;
    let grouped = member.cgroup.as_ref().map(Cgroup::pids);
    let grouped = grouped.and_then(Result::ok).unwrap_or_default();
    let started = proc::descendants(pid, MOST);
    [pid].into_iter().chain(grouped).chain(started).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_a_worker_put_in_place_of_its_socket_stays_as_it_is() {
        let own = format!("herder-swapped-{}", std::process::id());
        let directory = std::env::temp_dir().join(own);
        fs::create_dir_all(&directory).expect("ours");
        let (socket, secret) = (directory.join("socket"), directory.join("secret"));
        fs::write(&secret, "").expect("ours");
        let _listener = UnixListener::bind(&socket).expect("ours");
        for path in [&socket, &secret] {
            fs::set_permissions(path, Permissions::from_mode(0o600)).expect("ours");
        }
        let mode = |path| {
            fs::metadata(path)
                .expect("it is there")
                .permissions()
                .mode()
                & 0o777
        };
        let address = WorkerAddress::Unix(socket.as_os_str().as_bytes().to_vec());
        open_to_gateway(&address);
        assert_eq!(mode(&socket), 0o666);
        fs::remove_file(&socket).expect("ours");
        symlink(&secret, &socket).expect("ours");
        open_to_gateway(&address);
        let swapped = mode(&secret);
        fs::remove_dir_all(&directory).expect("ours");
        assert_eq!(swapped, 0o600);
    }
}
