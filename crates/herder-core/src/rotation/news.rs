//! What the supervisor wants of workers.

use super::message::{Action, SocketId};
use super::spec::Steering;
use super::state::{Rotation, Survivor};
use super::worker::{Accepts, Pace, Socket, Standing};
use crate::{Slot, WorkerId};

impl Rotation {
    pub(super) fn started(&mut self, survivor: &Survivor) {
        let id = survivor.worker;
        if self.worker(id).is_some() {
            return;
        }
        let socket = self.heirloom(id.slot).unwrap_or_else(|| {
            let socket = SocketId {
                slot: id.slot,
                number: id.incarnation.0,
            };
            // A worker that listens once more may find its first socket with its successor: they share it.
            if self.socket(socket).is_none() {
                self.add_socket(socket);
                self.actions.push_back(Action::Make { socket });
            }
            socket
        });
        if let Some(socket) = self.socket_mut(socket) {
            socket.is_released = false;
            socket.accepts = Accepts::Seen;
        }
        self.add_worker(survivor, socket, Standing::Starting);
    }

    pub(super) fn admit(&mut self, id: WorkerId) {
        let Some(worker) = self.worker_mut(id) else {
            return;
        };
        // What it was before it was held back does not count: its queue will show.
        if !worker.is_admitted() && !worker.is_leaving() {
            worker.standing = Standing::Admitted;
            worker.pace = Pace::Keeping;
        }
    }

    pub(super) fn guessed(&mut self, id: WorkerId) {
        let socket = self.worker(id).map(|worker| worker.socket);
        if let Some(socket) = socket.and_then(|socket| self.socket_mut(socket)) {
            socket.accepts = Accepts::Unseen { first_turn: None };
        }
    }

    pub(super) fn hold(&mut self, id: WorkerId) {
        if let Some(worker) = self.worker_mut(id)
            && !worker.is_leaving()
        {
            worker.standing = Standing::Held;
            worker.pace = Pace::Keeping;
        }
    }

    pub(super) fn withdraw(&mut self, id: WorkerId) {
        let until = self.now.after(self.spec.drain);
        let Some(worker) = self.worker_mut(id) else {
            return;
        };
        if worker.is_leaving() {
            return;
        }
        worker.standing = Standing::Withdrawing {
            until,
            seen_empty: 0,
        };
        // Its queue has to be looked at.
        self.watch.begin(self.now);
    }

    pub(super) fn retire(&mut self, id: WorkerId) {
        let Some(worker) = self.worker_mut(id) else {
            return;
        };
        let was = std::mem::replace(&mut worker.standing, Standing::Deaf);
        if let Standing::Withdrawing { .. } = was {
            self.actions.push_back(Action::Withdrawn { worker: id });
        }
    }

    pub(super) fn gone(&mut self, id: WorkerId) {
        let Ok(at) = self.workers.binary_search_by_key(&id, |worker| worker.id) else {
            return;
        };
        let worker = self.workers.remove(at);
        if let Standing::Withdrawing { .. } = worker.standing {
            self.actions.push_back(Action::Withdrawn { worker: id });
        }
        let is_orphan = !self.has_worker(worker.socket);
        if is_orphan && let Some(socket) = self.socket_mut(worker.socket) {
            socket.is_released = worker.is_leaving();
            // Somebody may wait there: it is to be seen.
            socket.seen_empty = 0;
            self.watch.begin(self.now);
        }
    }

    /// The socket that the slot's next worker inherits.
    fn heirloom(&self, slot: Slot) -> Option<SocketId> {
        let mut own = self.sockets.iter().filter(|it| it.id.slot == slot);
        let is_free = |socket: &&Socket| match self.spec.steering {
            Steering::Program => !self.has_worker(socket.id),
            // The kernel gives connections to each that listens: one that nobody is ready for would
            // keep them waiting. So old and new accept from the same.
            Steering::Hash => true,
        };
        let entered = own.clone().filter(is_free).find(|it| it.is_entered);
        entered
            .or_else(|| own.rfind(is_free))
            .map(|socket| socket.id)
    }
}
