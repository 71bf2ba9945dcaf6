//! Where workers listen that are given a place to listen at: when they do, they are ready.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use herder_core::supervisor::Phase;
use herder_core::{Exit, Tick, WorkerId};
use herder_sys::listening;
use herder_sys::reserve::ReservedPort;
use herder_sys::signal::Signal;
use herder_wire::proxy::WorkerAddress;

use super::entry::Said;
use super::roster::Lodger;

/// How long after its start a worker is looked at first; from then on it takes twice as long each time.
const FIRST: Duration = Duration::from_millis(4);

/// How long a look is put off at most.
const LONGEST: Duration = Duration::from_millis(64);

/// After so many looks at which somebody else listened, the place is lost. (At one alone, a process may
/// have been started in the midst of it.)
const LOST_AFTER: u32 = 3;

/// A place that was found for a worker.
pub(in crate::master) struct Lodging {
    pub(in crate::master) address: WorkerAddress,
    /// Keeps a port free until the worker listens.
    pub(in crate::master) hold: Option<ReservedPort>,
}

/// What a worker has to do until it is ready, beside listening.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    Due,
    Heard,
    Unneeded,
}

/// Those who do not listen yet.
pub(super) struct Vigil {
    waiting: BTreeMap<WorkerId, Awaited>,
    /// What everybody has to say.
    notice: Notice,
}

struct Awaited {
    lodging: Lodging,
    notice: Notice,
    due: Tick,
    delay: Duration,
    strangers: u32,
}

/// What a look at a worker's place has shown.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Sight {
    /// It listens, there.
    Listens(WorkerAddress),
    Nothing,
    /// Somebody else listens at its place.
    Taken,
}

impl Vigil {
    pub(super) fn new(notice: Notice) -> Vigil {
        Vigil {
            waiting: BTreeMap::new(),
            notice,
        }
    }

    /// A worker was started by a master before this one, and has said so much.
    pub(super) fn go_on(&mut self, lodger: Lodger, now: Tick) {
        // Who kept the port free died with that master.
        let (hold, address) = (None, lodger.address);
        self.begin(lodger.worker, Lodging { address, hold }, now);
        if lodger.said == Said::Ready {
            self.hear(lodger.worker, now);
        }
    }

    /// A worker was started.
    pub(super) fn begin(&mut self, id: WorkerId, lodging: Lodging, now: Tick) {
        let awaited = Awaited {
            lodging,
            notice: self.notice,
            due: now.after(FIRST),
            delay: FIRST,
            strangers: 0,
        };
        self.waiting.insert(id, awaited);
    }

    /// It has said that it is ready. Whether that is to be waited for.
    pub(super) fn hear(&mut self, id: WorkerId, now: Tick) {
        if let Some(awaited) = self.waiting.get_mut(&id) {
            awaited.notice = Notice::Heard;
            awaited.due = now;
        }
    }

    /// Nobody waits for it any more. Its place, if it has never listened there.
    pub(super) fn end(&mut self, id: WorkerId) -> Option<Lodging> {
        self.waiting.remove(&id).map(|awaited| awaited.lodging)
    }

    /// What is missing of a worker that is waited for, in words.
    pub(super) fn lack(&self, id: WorkerId) -> Option<String> {
        let awaited = self.waiting.get(&id)?;
        if awaited.notice == Notice::Due {
            return Some("it did not say READY=1".to_owned());
        }
        let address = &awaited.lodging.address;
        let variable = match address {
            WorkerAddress::Tcp(_) => "PORT",
            WorkerAddress::Unix(_) => "HERDER_UNIX",
        };
        let place = shown(address);
        Some(format!("it does not listen at {place}, its {variable}"))
    }

    /// When somebody is to be looked at.
    pub(super) fn due(&self) -> Option<Tick> {
        let due = self.waiting.values().filter(|it| it.notice != Notice::Due);
        due.map(|awaited| awaited.due).min()
    }

    /// Who is to be looked at now.
    pub(super) fn whom(&self, now: Tick) -> Vec<WorkerId> {
        let due = |it: &Awaited| it.notice != Notice::Due && it.due <= now;
        let due = self.waiting.iter().filter(|(_, it)| due(it));
        due.map(|(id, _)| *id).collect()
    }

    /// Looks whether a worker of these processes listens.
    pub(super) fn look(&mut self, id: WorkerId, pids: &BTreeSet<i32>, now: Tick) -> Sight {
        let Some(awaited) = self.waiting.get_mut(&id) else {
            return Sight::Nothing;
        };
        // What the kernel does not tell now it tells the next time.
        let sight = look(&awaited.lodging.address, pids).unwrap_or(Sight::Nothing);
        awaited.delay = (awaited.delay * 2).min(LONGEST);
        awaited.due = now.after(awaited.delay);
        match sight {
            Sight::Taken => {
                awaited.strangers += 1;
                if awaited.strangers >= LOST_AFTER {
                    return Sight::Taken;
                }
                Sight::Nothing
            }
            Sight::Listens(_) | Sight::Nothing => {
                awaited.strangers = 0;
                sight
            }
        }
    }
}

/// Whether one of these processes listens at this place.
fn look(address: &WorkerAddress, pids: &BTreeSet<i32>) -> io::Result<Sight> {
    let port = match address {
        WorkerAddress::Tcp(address) => address.port(),
        WorkerAddress::Unix(path) => {
            // The directory is the herd's own.
            return Ok(match listening::at_path(&unix_path(path))? {
                true => Sight::Listens(address.clone()),
                false => Sight::Nothing,
            });
        }
    };
    let mut sight = Sight::Nothing;
    for found in listening::on_port(port)? {
        match listening::is_held_by(found.inode, pids) {
            // Of a process that cannot be looked into it is believed.
            Some(true) | None => return Ok(Sight::Listens(WorkerAddress::Tcp(found.address))),
            Some(false) => sight = Sight::Taken,
        }
    }
    Ok(sight)
}

/// Whether a worker that never listened ended by itself, and not well. Who was killed, or told to leave,
/// says nothing about its port.
pub(super) fn gave_up_listening(phase: Option<Phase>, exit: Exit) -> bool {
    let failed = match exit {
        Exit::Code(code) => code != 0,
        // Some end so over what they did not expect; others are hardly ever killed with it.
        Exit::Signal(signal) => signal == Signal::Abort.number(),
        Exit::OutOfMemory | Exit::Unknown => false,
    };
    failed && phase.is_some_and(|phase| phase.is_starting())
}

/// The path of a Unix socket.
pub(super) fn unix_path(bytes: &[u8]) -> PathBuf {
    Path::new(OsStr::from_bytes(bytes)).to_owned()
}

/// A place in words.
pub(in crate::master) fn shown(address: &WorkerAddress) -> String {
    match address {
        WorkerAddress::Tcp(address) => address.to_string(),
        WorkerAddress::Unix(path) => format!("unix:{}", unix_path(path).display()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use herder_core::supervisor::{Cause, DrainReason, Standing};
    use herder_core::{Incarnation, Slot};
    use herder_sys::process;

    use super::*;

    const WORKER: WorkerId = WorkerId {
        slot: Slot(0),
        incarnation: Incarnation(1),
    };

    fn lodging() -> Lodging {
        let port = ReservedPort::new().expect("a port");
        Lodging {
            address: WorkerAddress::Tcp(port.address()),
            hold: Some(port),
        }
    }

    fn tick(millis: u64) -> Tick {
        Tick::from_micros(millis * 1000)
    }

    fn port(lodging: &Lodging) -> u16 {
        match &lodging.address {
            WorkerAddress::Tcp(address) => address.port(),
            WorkerAddress::Unix(_) => panic!("a port"),
        }
    }

    #[test]
    fn who_listens_at_its_place_is_seen_where_it_does() {
        let (mut vigil, lodging) = (Vigil::new(Notice::Unneeded), lodging());
        let port = port(&lodging);
        vigil.begin(WORKER, lodging, tick(0));
        let us = BTreeSet::from([process::current_pid()]);
        assert_eq!(vigil.whom(tick(0)), []);
        assert_eq!(vigil.whom(tick(4)), [WORKER]);
        assert_eq!(vigil.look(WORKER, &us, tick(4)), Sight::Nothing);
        assert_eq!(vigil.due(), Some(tick(12)), "it is left alone for longer");
        let _listener = TcpListener::bind(("127.0.0.1", port)).expect("it is kept for us");
        let there = WorkerAddress::Tcp(([127, 0, 0, 1], port).into());
        let lack = format!("it does not listen at 127.0.0.1:{port}, its PORT");
        assert_eq!(vigil.lack(WORKER), Some(lack));
        assert_eq!(vigil.look(WORKER, &us, tick(8)), Sight::Listens(there));
    }

    #[test]
    fn a_place_where_somebody_else_listens_is_lost() {
        let (mut vigil, lodging) = (Vigil::new(Notice::Unneeded), lodging());
        let _stranger = TcpListener::bind(("127.0.0.1", port(&lodging))).expect("a stranger");
        vigil.begin(WORKER, lodging, tick(0));
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .expect("it starts");
        let worker = BTreeSet::from([i32::try_from(child.id()).expect("a number")]);
        let sights: Vec<_> = (0..3)
            .map(|n| vigil.look(WORKER, &worker, tick(n)))
            .collect();
        child.kill().expect("ours");
        child.wait().expect("ours");
        assert_eq!(sights, [Sight::Nothing, Sight::Nothing, Sight::Taken]);
    }

    #[test]
    fn only_who_ended_by_itself_may_have_lacked_its_port() {
        let starting = Phase::Starting {
            deadline: tick(9),
            presumed_at: None,
        };
        let draining = Phase::Draining {
            kill_at: tick(9),
            reason: DrainReason::Stop,
        };
        let killing = Phase::Killing {
            since: tick(0),
            again_at: tick(9),
            cause: Cause::Watchdog,
            standing: Standing::Unready,
        };
        let gave_up = |phase, exit| gave_up_listening(Some(phase), exit);
        assert!(gave_up(starting, Exit::Code(1)));
        assert!(gave_up(starting, Exit::Signal(6)), "an abort");
        assert!(!gave_up(starting, Exit::Code(0)));
        assert!(!gave_up(starting, Exit::Signal(9)));
        assert!(!gave_up(starting, Exit::OutOfMemory));
        assert!(!gave_up(starting, Exit::Unknown));
        assert!(!gave_up(draining, Exit::Code(1)));
        assert!(!gave_up(killing, Exit::Code(1)));
        assert!(!gave_up_listening(None, Exit::Code(1)));
    }

    #[test]
    fn who_has_to_say_so_is_not_looked_at_before() {
        let mut vigil = Vigil::new(Notice::Due);
        vigil.begin(WORKER, lodging(), tick(0));
        assert_eq!((vigil.due(), vigil.whom(tick(999))), (None, vec![]));
        let lack = vigil.lack(WORKER).expect("it is waited for");
        assert_eq!(lack, "it did not say READY=1");
        vigil.hear(WORKER, tick(5));
        assert_eq!(vigil.whom(tick(5)), [WORKER]);
        assert!(vigil.end(WORKER).is_some());
        assert_eq!(vigil.lack(WORKER), None);
        assert_eq!(vigil.whom(tick(5)), []);
    }
}
