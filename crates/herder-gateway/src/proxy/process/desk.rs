//! What the control channel directs: workers, doors, and the end.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use herder_wire::control::{Course, ToMaster, VERSION};
use herder_wire::gateway::ToGateway;
use herder_wire::proxy::{Backend as Introduced, WorkerAddress};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::certificates::{Certificates, Set, Voice, https_port};
use crate::control::{ControlFault, Order};
use crate::life::room_for_clients;
use crate::proxy::backends::{Backend, BackendAddress, Backends, News};
use crate::proxy::entrance::{Entrance, serve};
use crate::proxy::settings::{Kind, ProxySettings};
use crate::proxy::tls::TlsError;
use crate::proxy::{House, LINGER, http, tcp};

/// How long workers stay after the house has closed, for requests that were on their way by then: a
/// little more than an idle connection is kept open for one.
const WORKERS_LINGER: Duration = LINGER.saturating_add(Duration::from_millis(250));

/// What comes of an order.
pub(super) enum Next {
    Continue,
    /// Leave, within so long.
    Leave(Duration),
}

/// How the master wants a worker to be treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    Expected,
    Admitted,
    /// For now.
    Held,
    /// For good; the master waits for the last request to be over.
    Withdrawing,
    /// The master knows that it is.
    Withdrawn,
}

/// A worker that the master has introduced.
struct Known {
    backend: Backend,
    standing: Standing,
    /// The master's number of the withdrawal that it asked for last.
    epoch: u32,
    /// Nothing of it is open, as far as it was told since it was last withdrawn.
    drained: Drained,
    open: u32,
    served: u64,
    failed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Drained {
    No,
    Yes,
}

/// What is spoken behind the entrance.
enum Front {
    Http(Rc<http::Front>),
    Tcp(Rc<tcp::Front>),
}

/// What the control channel directs.
pub(super) struct Desk {
    backends: Backends,
    entrance: Rc<Entrance>,
    certificates: Option<Certificates>,
    front: Front,
    listeners: Vec<(String, OwnedFd)>,
    doors: JoinSet<io::Result<()>>,
    known: BTreeMap<u64, Known>,
    /// Until then those are served who could not know that the house has closed.
    linger: Option<Instant>,
    /// Workers that are withdrawn after that.
    owed: BTreeSet<u64>,
    /// Until then the last client is waited for.
    leaves_by: Option<Instant>,
    voice: Voice,
}

impl Desk {
    pub(super) fn new(
        app: &str,
        mut settings: ProxySettings,
        set: Option<&Set>,
        listeners: Vec<(String, OwnedFd)>,
        voice: Voice,
    ) -> Result<Desk, TlsError> {
        let certificates = match (&settings.tls, set) {
            (None, _) => None,
            (Some(tls), Some(set)) => {
                Some(Certificates::new(app, tls, settings.kind, set, &voice)?)
            }
            (Some(_), None) => return Err(TlsError::Nothing),
        };
        if certificates.is_some() {
            let names = listeners.iter().map(|(name, _)| name.as_str());
            settings.http.https_port = settings.http.https_port.or_else(|| https_port(names));
        }
        // Each client may need a connection to a worker, too.
        let room = u32::try_from(room_for_clients() / 2).unwrap_or(u32::MAX);
        settings.max_clients = settings.max_clients.min(room);
        let backends = Backends::new(&settings);
        let settings = Rc::new(settings);
        let house = House::default();
        let front = match settings.kind {
            Kind::Http => {
                let front = http::Front::new(Rc::clone(&settings), backends.clone(), house.clone());
                Front::Http(Rc::new(front))
            }
            Kind::Tcp => {
                let front = tcp::Front::new(Rc::clone(&settings), backends.clone());
                Front::Tcp(Rc::new(front))
            }
        };
        let entrance = Entrance {
            settings,
            house,
            tls: certificates.as_ref().map(Certificates::acceptor),
        };
        Ok(Desk {
            backends,
            entrance: Rc::new(entrance),
            certificates,
            front,
            listeners,
            doors: JoinSet::new(),
            known: BTreeMap::new(),
            linger: None,
            owed: BTreeSet::new(),
            leaves_by: None,
            voice,
        })
    }

    pub(super) fn say(&self, message: ToMaster) {
        // Who speaks ends with this process.
        let _unsaid = self.voice.send(message);
    }

    pub(super) fn obey(&mut self, order: Order) -> Result<Next, ControlFault> {
        let name = order.name();
        let order = match order {
            Order::Plain(order) => order,
            Order::Certificate { files, open } => {
                let certificates = self.certificates.as_mut();
                let certificates = certificates.ok_or(ControlFault::Unexpected(name))?;
                certificates.take(&files, open)?;
                return Ok(Next::Continue);
            }
            Order::Link { .. } => return Err(ControlFault::Unexpected(name)),
        };
        match order {
            ToGateway::Backend(introduced) => self.introduce(*introduced),
            ToGateway::Admit { worker } => self.admit(worker),
            ToGateway::Hold { worker } => self.hold(worker),
            ToGateway::Withdraw { worker } => self.withdraw_as(worker, 0),
            ToGateway::WithdrawAgain { worker, epoch } => self.withdraw_as(worker, epoch),
            ToGateway::Gone { worker } => {
                self.backends.gone(worker);
                self.known.remove(&worker);
                self.owed.remove(&worker);
            }
            ToGateway::Resync => self.resync(),
            ToGateway::Open => self.open(),
            ToGateway::CloseListeners { within_millis } => {
                // A short grace is for what the workers have already, too.
                let within = Duration::from_millis(within_millis.into()) / 2;
                self.close(within);
            }
            ToGateway::Drain { grace_millis } => {
                // Before it would be killed.
                let within = Duration::from_millis(grace_millis.into()) * 7 / 8;
                return Ok(Next::Leave(within));
            }
            ToGateway::Certificate(_)
            | ToGateway::Configure(_)
            | ToGateway::Expect { .. }
            | ToGateway::Link { .. }
            | ToGateway::Proxy(_)
            | ToGateway::Welcome { .. } => return Err(ControlFault::Unexpected(name)),
        }
        Ok(Next::Continue)
    }

    fn introduce(&mut self, introduced: Introduced) {
        let backend = backend(introduced);
        match self.known.get_mut(&backend.worker) {
            Some(known) => known.backend = backend,
            None => {
                let known = Known {
                    backend,
                    standing: Standing::Expected,
                    epoch: 0,
                    // It may be held and withdrawn without ever being let in: then nothing ends
                    // that could be told.
                    drained: Drained::Yes,
                    open: 0,
                    served: 0,
                    failed: 0,
                };
                self.known.insert(known.backend.worker, known);
            }
        }
    }

    fn admit(&mut self, worker: u64) {
        self.owed.remove(&worker);
        if let Some(known) = self.known.get_mut(&worker)
            && known.standing != Standing::Admitted
        {
            known.standing = Standing::Admitted;
            known.drained = Drained::No;
            self.backends.admit(known.backend.clone());
        }
    }

    fn hold(&mut self, worker: u64) {
        if let Some(known) = self.known.get_mut(&worker) {
            let was_admitted = known.standing == Standing::Admitted;
            known.standing = Standing::Held;
            if was_admitted {
                self.backends.withdraw(worker);
            }
        }
    }

    fn withdraw_as(&mut self, worker: u64, epoch: u32) {
        let Some(known) = self.known.get_mut(&worker) else {
            return self.say(withdrawn(worker, epoch));
        };
        known.epoch = epoch;
        self.withdraw(worker);
    }

    fn withdraw(&mut self, worker: u64) {
        let Some(known) = self.known.get_mut(&worker) else {
            return;
        };
        if self.linger.is_some() && known.standing == Standing::Admitted {
            self.owed.insert(worker);
            return;
        }
        let was = std::mem::replace(&mut known.standing, Standing::Withdrawing);
        match (was, known.drained) {
            (Standing::Admitted, _) => self.backends.withdraw(worker),
            (Standing::Held | Standing::Withdrawing, Drained::No) => {}
            (Standing::Held | Standing::Withdrawing, Drained::Yes)
            | (Standing::Expected | Standing::Withdrawn, _) => {
                known.standing = Standing::Withdrawn;
                let said = withdrawn(worker, known.epoch);
                self.say(said);
            }
        }
    }

    fn open(&mut self) {
        for (name, listener) in std::mem::take(&mut self.listeners) {
            let entrance = Rc::clone(&self.entrance);
            match &self.front {
                Front::Http(front) => {
                    let served = serve(name, listener, entrance, Rc::clone(front));
                    self.doors.spawn_local(served)
                }
                Front::Tcp(front) => {
                    let served = serve(name, listener, entrance, Rc::clone(front));
                    self.doors.spawn_local(served)
                }
            };
        }
    }

    /// Lets nobody in any more. `Empty` follows when the last one has gone. Workers stay for a moment,
    /// but not longer than `within`: a stop asks for them at once, when requests may be on their way
    /// by connections that are still open.
    fn close(&mut self, within: Duration) {
        if !self.entrance.house.is_closing() && !self.doors.is_empty() {
            self.linger = Some(Instant::now() + WORKERS_LINGER.min(within));
        }
        self.listeners.clear();
        self.entrance.house.close();
        self.backends.close();
        if self.doors.is_empty() {
            self.say(ToMaster::Empty);
        }
    }

    /// Withdraws the workers that were only there for who was late.
    pub(super) fn part(&mut self) {
        self.linger = None;
        for worker in std::mem::take(&mut self.owed) {
            self.withdraw(worker);
        }
    }

    /// Another master asks where everything stands.
    fn resync(&self) {
        for (worker, known) in &self.known {
            if known.standing == Standing::Withdrawn {
                self.say(withdrawn(*worker, known.epoch));
            }
            self.say(load(*worker, known));
        }
        let is_closing = self.entrance.house.is_closing();
        if is_closing && self.doors.is_empty() {
            self.say(ToMaster::Empty);
        }
        let open = u32::try_from(self.entrance.house.present()).unwrap_or(u32::MAX);
        self.say(ToMaster::State {
            version: VERSION,
            course: if is_closing {
                Course::Draining
            } else {
                Course::Ready
            },
            open,
            served: 0,
            busy: 0,
        });
        let workers = self.known.keys().copied().collect();
        self.say(ToMaster::Known { workers });
    }

    /// Something happened to a worker.
    pub(super) fn report(&mut self, news: News) {
        match news {
            News::Drained { worker } => {
                // It was let in again since, perhaps, and has requests: then this is old.
                let has_left = self.backends.has_left(worker);
                let Some(known) = self.known.get_mut(&worker).filter(|_| has_left) else {
                    return;
                };
                known.drained = Drained::Yes;
                if known.standing == Standing::Withdrawing {
                    known.standing = Standing::Withdrawn;
                    let said = withdrawn(worker, known.epoch);
                    self.say(said);
                }
            }
            News::Ejected { worker, span } => {
                let millis = u32::try_from(span.as_millis()).unwrap_or(u32::MAX);
                self.say(ToMaster::Ejected { worker, millis });
            }
            News::Restored { worker } => self.say(ToMaster::Restored { worker }),
            News::Failed { worker, .. } => {
                if let Some(known) = self.known.get_mut(&worker) {
                    known.failed += 1;
                }
            }
            News::Counts {
                worker,
                open,
                served,
            } => {
                if let Some(known) = self.known.get_mut(&worker) {
                    (known.open, known.served) = (open, served);
                    let message = load(worker, known);
                    self.say(message);
                }
            }
        }
    }

    /// Lets nobody in any more, and has this process end when the last one has gone, or after so long. What
    /// becomes of the workers meanwhile is heard of as before.
    pub(super) fn leave(&mut self, within: Duration) {
        self.close(within);
        let within = if self.is_empty() {
            Duration::ZERO
        } else {
            within
        };
        self.leaves_by = Some(Instant::now() + within);
    }

    /// Lets nobody in, and waits until the last one has gone. Who is still here then is cut off.
    pub(super) async fn farewell(&mut self, within: Duration) {
        self.close(within);
        let empty = async { while self.doors.join_next().await.is_some() {} };
        let _late = timeout(within, empty).await;
    }

    /// What happens to the workers. There is one reader.
    pub(super) fn news(&self) -> Option<mpsc::UnboundedReceiver<News>> {
        self.backends.news()
    }

    /// Waits until one of the doors is closed, and the last client has gone. `None` when there is no door.
    pub(super) async fn next_door(&mut self) -> Option<io::Result<()>> {
        let closed = self.doors.join_next().await?;
        Some(closed.map_err(io::Error::other).flatten())
    }

    /// The last client has gone.
    pub(super) fn empty(&mut self, news: &mut mpsc::UnboundedReceiver<News>) {
        self.part();
        // After `Empty` this process is asked to leave.
        while let Ok(last) = news.try_recv() {
            self.report(last);
        }
        self.say(ToMaster::Empty);
    }

    /// Whether no door is open, and nobody is here.
    pub(super) fn is_empty(&self) -> bool {
        self.doors.is_empty()
    }

    /// When workers go that were only there for who was late.
    pub(super) fn linger(&self) -> Option<Instant> {
        self.linger
    }

    /// When this process ends at the latest.
    pub(super) fn leaves_by(&self) -> Option<Instant> {
        self.leaves_by
    }
}

/// The answer to a withdrawal: the first one's has no number.
fn withdrawn(worker: u64, epoch: u32) -> ToMaster {
    match epoch {
        0 => ToMaster::Withdrawn { worker },
        _ => ToMaster::WithdrawnAgain { worker, epoch },
    }
}

fn load(worker: u64, known: &Known) -> ToMaster {
    ToMaster::Load {
        worker,
        open: known.open,
        served: known.served,
        failed: known.failed,
    }
}

fn backend(introduced: Introduced) -> Backend {
    Backend {
        worker: introduced.worker,
        slot: introduced.slot,
        generation: introduced.generation,
        address: match introduced.address {
            WorkerAddress::Tcp(address) => BackendAddress::Tcp(address),
            WorkerAddress::Unix(path) => {
                BackendAddress::Unix(Path::new(OsStr::from_bytes(&path)).to_owned())
            }
        },
    }
}
