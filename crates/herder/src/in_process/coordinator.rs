//! The master of a herd in one process.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use herder_core::Exit;
use herder_core::supervisor::{Cause, DrainReason, Outcome};
use herder_master::event::{HerdEvent, WorkerInfo};
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::listener::Listener;
use herder_sys::{fd, process};
use herder_wire::control::ToMaster;

use crate::cluster::builder::Hook;
use crate::cluster::error::ClusterError;
use crate::cluster::settings::Checked;
use crate::in_process::Body;
use crate::in_process::desk::{Desk, News};
use crate::worker::acceptor::Acceptor;
use crate::worker::blocking::Worker;
use crate::worker::deadline_in;
use crate::worker::ending::Reason;
use crate::worker::link::{Identity, Link};
use crate::worker::outlet::Outlet;

pub(crate) struct Coordinator {
    checked: Checked,
    listeners: Vec<Listener>,
    hooks: Vec<Hook>,
    body: Body,
    desk: Arc<Desk>,
    alive: Vec<Member>,
    places: Vec<SlotHistory>,
    last_id: u64,
    stop: Stop,
    #[cfg(feature = "library")]
    libraries: Option<Arc<crate::library::directory::Directory>>,
}

/// Whether the herd is to end.
enum Stop {
    No,
    /// The workers have until then.
    By(Instant, Result<(), ClusterError>),
}

/// A worker that has not ended.
struct Member {
    info: WorkerInfo,
    link: Arc<Link>,
    since: Instant,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Starting,
    Ready,
    /// It announced its own end; the replacement was started.
    Retired,
}

/// Why a worker is to be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Why {
    /// It asked for it.
    Announced,
    /// Its function is over.
    Over,
}

/// What happened at one place.
#[derive(Default)]
struct SlotHistory {
    restarts: VecDeque<Instant>,
    failures: u32,
    start_at: Option<Instant>,
}

impl Coordinator {
    pub(crate) fn new(
        checked: Checked,
        listeners: Vec<Listener>,
        hooks: Vec<Hook>,
        body: Body,
        desk: Arc<Desk>,
    ) -> Coordinator {
        let now = Instant::now();
        let first = || SlotHistory {
            start_at: Some(now),
            ..SlotHistory::default()
        };
        let places = (0..checked.spec.workers.count()).map(|_| first()).collect();
        let (alive, last_id, stop) = (Vec::new(), 0, Stop::No);
        Coordinator {
            checked,
            listeners,
            hooks,
            body,
            desk,
            alive,
            places,
            last_id,
            stop,
            #[cfg(feature = "library")]
            libraries: None,
        }
    }

    /// Has the workers find these libraries.
    #[cfg(feature = "library")]
    pub(crate) fn with_libraries(
        mut self,
        libraries: Arc<crate::library::directory::Directory>,
    ) -> Coordinator {
        self.libraries = Some(libraries);
        self
    }

    /// Runs the herd to its end.
    pub(crate) fn run(mut self) -> Result<(), ClusterError> {
        self.supervise()
    }

    fn supervise(&mut self) -> Result<(), ClusterError> {
        let (epoll, mut events) = (Epoll::new()?, Events::with_capacity(1));
        epoll.add(self.desk.bell().as_fd(), 0, Interest::READABLE)?;
        self.announce_start();
        loop {
            self.start_due()?;
            if let Stop::By(deadline, _) = self.stop
                && (self.alive.is_empty() || Instant::now() >= deadline)
            {
                return self.finish();
            }
            let due = self
                .next_due()
                .map(|due| due.saturating_duration_since(Instant::now()));
            epoll.wait(&mut events, due)?;
            for news in self.desk.collect() {
                match news {
                    News::Ended(id, status) => self.ended(id, status),
                    News::Said(id, message) => self.said(id, message),
                    News::Stop => self.begin_stop(Ok(())),
                }
            }
        }
    }

    fn announce_start(&mut self) {
        for place in 0..self.listeners.len() {
            let address = self.listeners[place].local().to_string();
            self.tell(&HerdEvent::Listening { address });
        }
        let (mode, reason) = (
            "shared".to_owned(),
            "everything is in one process".to_owned(),
        );
        self.tell(&HerdEvent::DispatchChosen { mode, reason });
    }

    fn start_due(&mut self) -> io::Result<()> {
        let now = Instant::now();
        for slot in 0..self.checked.spec.workers.count() {
            let history = &mut self.places[usize::from(slot)];
            if history.start_at.is_some_and(|at| at <= now) {
                history.start_at = None;
                self.start(slot)?;
            }
        }
        Ok(())
    }

    fn next_due(&self) -> Option<Instant> {
        let stop = match self.stop {
            Stop::No => None,
            Stop::By(deadline, _) => Some(deadline),
        };
        self.places
            .iter()
            .filter_map(|history| history.start_at)
            .chain(stop)
            .min()
    }

    fn start(&mut self, slot: u16) -> io::Result<()> {
        self.last_id += 1;
        let id = self.last_id;
        let info = WorkerInfo {
            slot,
            id,
            pid: process::current_pid(),
        };
        let identity = Identity {
            app: self.checked.spec.name.as_str().to_owned(),
            slot,
            id,
            master_pid: info.pid,
            listeners: self
                .listeners
                .iter()
                .map(|each| each.local().to_string())
                .collect(),
        };
        let desk = Arc::clone(&self.desk);
        let deliver = move |message| desk.post(News::Said(id, message));
        let outlet = Outlet::Local(Box::new(deliver));
        let link = Arc::new(Link::new(identity, self.checked.timing, outlet, None)?);
        #[cfg(feature = "library")]
        if let Some(directory) = &self.libraries {
            let _first = link.finder.set(crate::library::directory::Finder {
                directory: Arc::clone(directory),
                part: herder_rpc::Part::Worker,
            });
        }
        let sockets = self
            .listeners
            .iter()
            .map(|each| fd::duplicate(each.as_fd()));
        let acceptor = Acceptor::listening(&link, sockets.collect::<io::Result<_>>()?)?;
        self.alive.push(Member {
            info,
            link: Arc::clone(&link),
            since: Instant::now(),
            phase: Phase::Starting,
        });
        self.tell(&HerdEvent::Forked { worker: info });
        let (body, desk) = (Arc::clone(&self.body), Arc::clone(&self.desk));
        thread::Builder::new()
            .name(format!("worker-{slot}"))
            .spawn(move || {
                crate::panic::watch_thread(&link);
                let status = body(Worker::new(link, acceptor));
                desk.post(News::Ended(id, status));
            })?;
        Ok(())
    }

    fn said(&mut self, id: u64, message: ToMaster) {
        let Some(place) = self.alive.iter().position(|member| member.info.id == id) else {
            return;
        };
        let worker = self.alive[place].info;
        match message {
            ToMaster::Hello { .. } => self.tell(&HerdEvent::Online { worker }),
            ToMaster::Ready => {
                self.alive[place].phase = Phase::Ready;
                self.tell(&HerdEvent::Ready {
                    worker,
                    guessed: false,
                });
            }
            ToMaster::Retire { reason } => {
                self.tell(&HerdEvent::Retired { worker, reason });
                self.replace(place, Why::Announced);
                self.alive[place].phase = Phase::Retired;
                self.nudge_all();
            }
            // Nothing inside one process is a gateway, or is exhausted by one.
            ToMaster::Beat
            | ToMaster::BootExtend { .. }
            | ToMaster::Certificates { .. }
            | ToMaster::Counters { .. }
            | ToMaster::Dispatched { .. }
            | ToMaster::Empty
            | ToMaster::Exhausted { .. }
            | ToMaster::Known { .. }
            | ToMaster::Spent
            | ToMaster::State { .. }
            | ToMaster::Load { .. }
            | ToMaster::Ejected { .. }
            | ToMaster::Restored { .. }
            | ToMaster::Unusable { .. }
            | ToMaster::User(_)
            | ToMaster::Withdrawn { .. }
            | ToMaster::WithdrawnAgain { .. } => {}
        }
    }

    fn ended(&mut self, id: u64, status: i32) {
        let Some(place) = self.alive.iter().position(|member| member.info.id == id) else {
            return;
        };
        let cause = match (&self.stop, self.alive[place].phase) {
            (Stop::By(..), _) => Cause::Planned(DrainReason::Stop),
            (Stop::No, Phase::Retired) => Cause::Planned(DrainReason::Retired),
            (Stop::No, Phase::Starting | Phase::Ready) => {
                self.replace(place, Why::Over);
                Cause::Crash
            }
        };
        let worker = self.alive.swap_remove(place).info;
        self.tell(&HerdEvent::Exited {
            worker,
            exit: Exit::Code(status),
            cause,
        });
        self.nudge_all();
    }

    /// Plans the replacement of a worker, unless there were too many.
    fn replace(&mut self, place: usize, why: Why) {
        if matches!(self.stop, Stop::By(..)) {
            return;
        }
        let (now, policy) = (Instant::now(), &self.checked.spec.restart);
        let Member {
            info, since, phase, ..
        } = self.alive[place];
        let history = &mut self.places[usize::from(info.slot)];
        history.restarts.push_back(now);
        history
            .restarts
            .retain(|at| now.duration_since(*at) <= policy.window);
        let restarts = u32::try_from(history.restarts.len()).unwrap_or(u32::MAX);
        if policy.max_restarts.is_some_and(|max| restarts > max.get()) {
            self.begin_stop(Err(ClusterError::GaveUp {
                slot: info.slot,
                restarts,
            }));
            return;
        }
        let healthy = phase == Phase::Ready
            && (now.duration_since(since) >= policy.stable || why == Why::Announced);
        history.failures = if healthy { 0 } else { history.failures + 1 };
        let delay = match history.failures {
            0 => Duration::ZERO,
            n => policy
                .first_delay
                .saturating_mul(1 << (n - 1).min(16))
                .min(policy.max_delay),
        };
        history.start_at = Some(now + delay);
    }

    /// A wake-up that a worker got and did not use is lost for the others.
    fn nudge_all(&self) {
        self.alive.iter().for_each(|member| member.link.nudge());
    }

    fn begin_stop(&mut self, result: Result<(), ClusterError>) {
        if matches!(self.stop, Stop::By(..)) {
            return;
        }
        let deadline = deadline_in(self.checked.spec.life.grace);
        self.stop = Stop::By(deadline, result);
        self.places
            .iter_mut()
            .for_each(|history| history.start_at = None);
        self.tell(&HerdEvent::ShuttingDown {
            signal: None,
            fast: false,
        });
        self.alive
            .iter()
            .for_each(|member| member.link.end(Reason::Stopped));
    }

    fn finish(&mut self) -> Result<(), ClusterError> {
        for worker in self
            .alive
            .iter()
            .map(|member| member.info)
            .collect::<Vec<_>>()
        {
            self.tell(&HerdEvent::GraceExpired { worker });
        }
        self.tell(&HerdEvent::Finished {
            outcome: Outcome::Stopped,
            last_lines: Vec::new(),
        });
        match std::mem::replace(&mut self.stop, Stop::No) {
            Stop::No => Ok(()),
            Stop::By(_, result) => result,
        }
    }

    fn tell(&mut self, event: &HerdEvent) {
        self.hooks.iter_mut().for_each(|hook| hook(event));
    }
}

/// However the herd ends: by its owner's word, by an error, or because a hook panicked.
impl Drop for Coordinator {
    fn drop(&mut self) {
        for member in &self.alive {
            member.link.end(Reason::MasterGone);
        }
        for listener in &self.listeners {
            // Somebody else has removed the file: that is what we wanted.
            let _gone = listener.unlink();
        }
        self.desk.ended().wake();
    }
}
