//! A proxy's life, as the master directs it: the fronts on the one side, the control channel on the
//! other.

mod certificates;
mod voice;

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
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::backends::{Backend, BackendAddress, Backends, News};
use super::entrance::{Entrance, serve};
use super::settings::{Kind, ProxySettings};
use super::tls::{OpenFiles, TlsError};
use super::{House, http, tcp};
use crate::control::{Channel, ControlFault, Inbox, Order};
use crate::gateway::{FAILED, Leave, Signals, fail};
use crate::life::room_for_clients;
use certificates::{Certificates, https_port};
use voice::voice;

/// How often the master hears that this process turns.
const BEAT: Duration = Duration::from_secs(1);

/// How long clients are waited for when there is no master any more.
const FAREWELL: Duration = Duration::from_millis(500);

/// How long workers stay after the house has closed, for requests that were on their way by then: a
/// little more than an idle connection is kept open for one.
const LINGER: Duration = Duration::from_millis(1_250);

/// What a proxy begins with.
pub(crate) struct Beginning {
    pub(crate) app: String,
    pub(crate) channel: Rc<Channel>,
    pub(crate) inbox: Inbox,
    /// The listeners with their addresses.
    pub(crate) listeners: Vec<(String, OwnedFd)>,
    /// As JSON.
    pub(crate) settings: Vec<u8>,
}

/// Lives until the master says otherwise, and returns the exit status.
pub(crate) async fn live(beginning: Beginning, signals: Signals) -> u8 {
    let Beginning {
        app,
        channel,
        mut inbox,
        listeners,
        settings,
    } = beginning;
    let settings = match serde_json::from_slice::<ProxySettings>(&settings) {
        Ok(settings) => settings,
        Err(error) => return fail(&app, &format!("its settings make no sense: {error}")),
    };
    let open = match &settings.tls {
        Some(tls) => certificates::first(&mut inbox, tls).await,
        None => Ok(Vec::new()),
    };
    let open = match open {
        Ok(open) => open,
        Err(fault) => return fail(&app, &format!("it cannot go on with this master: {fault}")),
    };
    let mut desk = match Desk::new(&app, settings, &open, listeners, voice(channel)) {
        Ok(desk) => desk,
        Err(error) => return fail(&app, &error),
    };
    let Some(mut news) = desk.backends.news() else {
        return fail(&app, &"somebody else reads the news of the workers");
    };
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    desk.say(ToMaster::Ready);
    loop {
        let order = tokio::select! {
            biased;
            order = inbox.next() => order,
            leave = signals.leave() => match leave {
                Leave::Asked(wish) => {
                    desk.say(wish);
                    continue;
                }
                Leave::AtOnce => return FAILED,
            },
            Some(news) = news.recv() => {
                desk.report(news);
                continue;
            }
            Some(served) = desk.doors.join_next() => {
                match served {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return fail(&app, &error),
                    Err(error) => return fail(&app, &error),
                }
                if desk.doors.is_empty() {
                    desk.part();
                    // After `Empty` this process is asked to leave.
                    while let Ok(last) = news.try_recv() {
                        desk.report(last);
                    }
                    desk.say(ToMaster::Empty);
                }
                continue;
            }
            () = sleep_until(desk.linger.unwrap_or_else(Instant::now)), if desk.linger.is_some() => {
                desk.part();
                continue;
            }
            _ = beat.tick() => {
                desk.say(ToMaster::Beat);
                continue;
            }
        };
        match order.and_then(|order| desk.obey(order)) {
            Ok(Next::Continue) => {}
            Ok(Next::Leave(within)) => {
                desk.leave(within).await;
                return 0;
            }
            Err(fault) => {
                desk.leave(FAREWELL).await;
                return fail(&app, &format!("it cannot go on with this master: {fault}"));
            }
        }
    }
}

/// What comes of an order.
enum Next {
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
struct Desk {
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
    voice: mpsc::UnboundedSender<ToMaster>,
}

impl Desk {
    fn new(
        app: &str,
        mut settings: ProxySettings,
        open: &[OpenFiles],
        listeners: Vec<(String, OwnedFd)>,
        voice: mpsc::UnboundedSender<ToMaster>,
    ) -> Result<Desk, TlsError> {
        let tls = settings.tls.as_ref();
        let certificates = tls.map(|tls| Certificates::new(app, tls, settings.kind, open));
        let certificates = certificates.transpose()?;
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
            voice,
        })
    }

    fn say(&self, message: ToMaster) {
        // Who speaks ends with this process.
        let _unsaid = self.voice.send(message);
    }

    fn obey(&mut self, order: Order) -> Result<Next, ControlFault> {
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
            ToGateway::Withdraw { worker } => self.withdraw(worker),
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

    fn withdraw(&mut self, worker: u64) {
        let Some(known) = self.known.get_mut(&worker) else {
            return self.say(ToMaster::Withdrawn { worker });
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
                self.say(ToMaster::Withdrawn { worker });
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
            self.linger = Some(Instant::now() + LINGER.min(within));
        }
        self.listeners.clear();
        self.entrance.house.close();
        self.backends.close();
        if self.doors.is_empty() {
            self.say(ToMaster::Empty);
        }
    }

    /// Withdraws the workers that were only there for who was late.
    fn part(&mut self) {
        self.linger = None;
        for worker in std::mem::take(&mut self.owed) {
            self.withdraw(worker);
        }
    }

    /// Another master asks where everything stands.
    fn resync(&self) {
        for (worker, known) in &self.known {
            if known.standing == Standing::Withdrawn {
                let worker = *worker;
                self.say(ToMaster::Withdrawn { worker });
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
    fn report(&mut self, news: News) {
        match news {
            News::Drained { worker } => {
                let Some(known) = self.known.get_mut(&worker) else {
                    return;
                };
                known.drained = Drained::Yes;
                if known.standing == Standing::Withdrawing {
                    known.standing = Standing::Withdrawn;
                    self.say(ToMaster::Withdrawn { worker });
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

    /// Lets nobody in, and waits until the last one has gone. Who is still here then is cut off.
    async fn leave(&mut self, within: Duration) {
        self.close(within);
        let empty = async { while self.doors.join_next().await.is_some() {} };
        let _late = timeout(within, empty).await;
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
