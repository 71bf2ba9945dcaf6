use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::level::Levels;
use super::message::{Action, Event, Load, Relief, SocketId, Weight};
use super::spec::{Balance, RotationSpec, Steering};
use super::watch::Watch;
use super::worker::{Pace, Socket, Standing, Worker};
use crate::{Slot, Tick, WorkerId};

/// Decides whose turn it is where the kernel gives each connection to one of several sockets, and each
/// socket has one worker.
///
/// Each slot has an index, at which one socket stands. The rotation is a list of slots, and a slot has
/// turns only while a worker accepts from the socket at its index, unless there is no such slot at all:
/// somebody has to have the turn always, and then connections wait for a worker that is yet to come. A
/// socket outlives its worker: the next one of the slot inherits it. Only a worker that is started
/// while another one of its slot lives gets a socket of its own, which takes the index when it is
/// ready.
///
/// By a look at the queues every few milliseconds, it leaves out who does not keep up.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rotation {
    pub(super) spec: RotationSpec,
    /// The time of the last news.
    pub(super) now: Tick,
    /// Sorted by id. Two incarnations of a slot may overlap.
    pub(super) workers: Vec<Worker>,
    /// Sorted by id.
    pub(super) sockets: Vec<Socket>,
    /// As they were written last.
    pub(super) turns: Vec<Slot>,
    pub(super) watch: Watch,
    #[serde(default)]
    pub(super) levels: Levels,
    pub(super) actions: VecDeque<Action>,
}

/// A worker that outlived the master that knew it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Survivor {
    /// Who.
    pub worker: WorkerId,
    /// How often its turn comes.
    pub weight: Weight,
    /// What can be done for those who wait at it.
    pub relief: Relief,
}

impl Rotation {
    /// A rotation of nobody.
    #[must_use]
    pub fn new(spec: &RotationSpec) -> Rotation {
        Rotation {
            spec: spec.clone(),
            now: Tick::ZERO,
            workers: Vec::new(),
            sockets: Vec::new(),
            turns: Vec::new(),
            watch: Watch::default(),
            levels: Levels::default(),
            actions: VecDeque::new(),
        }
    }

    /// Goes on after the death of who knew everything: with the sockets that are there (`true`: it
    /// stands at its slot's index), the turns as they are in the kernel, and who lives. Who has turns
    /// is believed to be admitted until other news comes.
    #[must_use]
    pub fn restored(
        spec: &RotationSpec,
        sockets: &[(SocketId, bool)],
        turns: &[Slot],
        survivors: &[Survivor],
    ) -> Rotation {
        let mut rotation = Rotation::new(spec);
        rotation.turns = turns.to_vec();
        for (id, is_entered) in sockets {
            let socket = rotation.add_socket(*id);
            socket.is_entered = *is_entered;
        }
        for survivor in survivors {
            let id = survivor.worker;
            let inherits = |socket: &&Socket| {
                socket.id.slot == id.slot && socket.id.number <= id.incarnation.0
            };
            // Of a slot's sockets it has the newest that is not newer than itself.
            let socket = rotation.sockets.iter().rfind(inherits);
            let Some(socket) = socket.cloned() else {
                continue;
            };
            let has_turns = match spec.steering {
                Steering::Program => socket.is_entered && turns.contains(&id.slot),
                Steering::Hash => true,
            };
            let standing = if has_turns {
                Standing::Admitted
            } else {
                Standing::Starting
            };
            rotation.add_worker(survivor, socket.id, standing);
        }
        rotation.watch.begin(rotation.now);
        rotation.settle();
        rotation
    }

    /// Takes in news. `now` never goes back.
    pub fn handle(&mut self, event: Event, now: Tick) {
        self.now = self.now.max(now);
        match event {
            Event::Started {
                worker,
                weight,
                relief,
            } => self.started(&Survivor {
                worker,
                weight,
                relief,
            }),
            Event::Admit { worker } => self.admit(worker),
            Event::Guessed { worker } => self.guessed(worker),
            Event::Hold { worker } => self.hold(worker),
            Event::Withdraw { worker } => self.withdraw(worker),
            Event::Retire { worker } => self.retire(worker),
            Event::Gone { worker } => self.gone(worker),
            Event::Load { worker, load } => self.loaded(worker, load),
            Event::Waiting => self.watch.begin(self.now),
            Event::Sampled { sample } => self.sampled(&sample),
            Event::Rescued { worker, count } => self.rescued(worker, count),
            Event::Timer => self.timer(),
        }
        self.settle();
        self.check_invariants();
    }

    /// The next request to the shell.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`handle`](Rotation::handle) with [`Event::Timer`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        let trials = self.workers.iter().filter_map(|worker| match worker.pace {
            Pace::Silent { until } if worker.is_admitted() => Some(until),
            Pace::Silent { .. }
            | Pace::OnTrial { .. }
            | Pace::Keeping
            | Pace::Behind
            | Pace::Rescuing
            | Pace::Hung => None,
        });
        trials.chain(self.watch.next_look()).min()
    }

    /// The socket of a worker that was started.
    #[must_use]
    pub fn socket_of(&self, worker: WorkerId) -> Option<SocketId> {
        self.worker(worker).map(|worker| worker.socket)
    }

    /// All sockets that are there.
    pub fn sockets(&self) -> impl Iterator<Item = SocketId> {
        self.sockets.iter().map(|socket| socket.id)
    }

    /// Whose turns there are.
    #[must_use]
    pub fn turns(&self) -> &[Slot] {
        &self.turns
    }

    fn loaded(&mut self, worker: WorkerId, load: Load) {
        let (now, back_until) = (self.now, self.now.after(self.spec.hysteresis));
        let Some(worker) = self.worker_mut(worker) else {
            return;
        };
        let has_served = load.served > worker.load.served;
        worker.load = load;
        let socket = worker.socket;
        // It said so itself: it accepts.
        if has_served && matches!(worker.pace, Pace::Silent { .. }) {
            worker.pace = Pace::Keeping;
            worker.failed_trials = 0;
            worker.may_fall_behind_at = back_until;
            let worker = worker.id;
            self.actions.push_back(Action::Readmitted { worker });
            // Others may have somebody for it.
            self.watch.hurry(now);
        } else if has_served && self.may_get_more(socket) {
            self.watch.hurry(now);
        }
    }

    /// By load, whoever has served somebody may have nothing more to do, while others wait elsewhere.
    fn may_get_more(&self, socket: SocketId) -> bool {
        let is_other = |it: &&Socket| it.id != socket;
        let mut others = self.sockets.iter().filter(is_other);
        self.spec.balance == Balance::LeastLoaded && others.any(|it| it.waiting > 0)
    }

    pub(super) fn worker(&self, id: WorkerId) -> Option<&Worker> {
        let at = self.workers.binary_search_by_key(&id, |worker| worker.id);
        Some(&self.workers[at.ok()?])
    }

    pub(super) fn worker_mut(&mut self, id: WorkerId) -> Option<&mut Worker> {
        let at = self.workers.binary_search_by_key(&id, |worker| worker.id);
        Some(&mut self.workers[at.ok()?])
    }

    pub(super) fn socket(&self, id: SocketId) -> Option<&Socket> {
        let at = self.sockets.binary_search_by_key(&id, |socket| socket.id);
        Some(&self.sockets[at.ok()?])
    }

    pub(super) fn socket_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        let at = self.sockets.binary_search_by_key(&id, |socket| socket.id);
        Some(&mut self.sockets[at.ok()?])
    }

    /// Whether a living worker has the socket.
    pub(super) fn has_worker(&self, socket: SocketId) -> bool {
        self.workers.iter().any(|worker| worker.socket == socket)
    }

    pub(super) fn add_socket(&mut self, id: SocketId) -> &mut Socket {
        let at = self.sockets.partition_point(|socket| socket.id < id);
        self.sockets.insert(at, Socket::new(id));
        &mut self.sockets[at]
    }

    pub(super) fn add_worker(&mut self, survivor: &Survivor, socket: SocketId, standing: Standing) {
        let at = self
            .workers
            .partition_point(|worker| worker.id < survivor.worker);
        let worker = Worker {
            id: survivor.worker,
            weight: survivor.weight,
            relief: survivor.relief,
            socket,
            since: self.now,
            standing,
            pace: Pace::Keeping,
            load: Load::default(),
            may_fall_behind_at: self.now,
            failed_trials: 0,
        };
        self.workers.insert(at, worker);
    }
}
