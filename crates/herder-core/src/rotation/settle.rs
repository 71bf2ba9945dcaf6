//! From what is known to what is written, in an order in which nobody is lost.

use std::time::Duration;

use super::message::{Action, SocketId, Weight};
use super::spec::Steering;
use super::state::Rotation;
use super::turns::spread;
use super::worker::{Socket, Standing, Worker};
use crate::Slot;
use crate::mutation::{self, Mutation};

impl Rotation {
    /// Asks for whatever has to be written after the last news.
    pub(super) fn settle(&mut self) {
        match self.spec.steering {
            Steering::Program => self.settle_turns(),
            // The kernel asks nobody.
            Steering::Hash => self.settle_by_hash(),
        }
        self.look();
    }

    fn settle_turns(&mut self) {
        let chosen = self.chosen();
        if mutation::is(Mutation::PlaceLeftEarly) {
            self.leave_places();
        }
        // A socket has to be at the index before its slot has a turn; the one that was there is
        // replaced in the same moment.
        for (socket, _) in &chosen {
            self.enter(*socket);
        }
        let slots: Vec<(Slot, Weight)> = chosen
            .iter()
            .map(|(socket, weight)| (socket.slot, *weight))
            .collect();
        let turns = spread(&slots);
        if !turns.is_empty() && turns != self.turns {
            self.turns.clone_from(&turns);
            self.watch.rewritten();
            self.actions.push_back(Action::Rotate { turns });
        }
        // Only now, when nobody has its turn there any more.
        self.leave_places();
        self.relieve_queues();
    }

    /// The sockets whose slots are to have turns, sorted by slot.
    fn chosen(&self) -> Vec<(SocketId, Weight)> {
        let of = |wanted: fn(&Worker) -> bool| {
            let mut found: Vec<(SocketId, Weight)> = Vec::new();
            // Of two of a slot the later one.
            for worker in self.workers.iter().filter(|worker| wanted(worker)) {
                match found.last_mut() {
                    Some(last) if last.0.slot == worker.id.slot => {
                        *last = (worker.socket, worker.weight);
                    }
                    Some(_) | None => found.push((worker.socket, worker.weight)),
                }
            }
            found
        };
        if mutation::is(Mutation::TurnsUnready) {
            return of(|worker| !worker.is_leaving());
        }
        let best = of(Worker::keeps_up);
        if !best.is_empty() {
            return best;
        }
        let slow = of(Worker::is_admitted);
        if !slow.is_empty() {
            return slow;
        }
        // Nobody is ready: connections wait for who will be. First where somebody is expected.
        let expected = self.standing_places(|socket| self.is_expecting(socket));
        if !expected.is_empty() {
            return expected;
        }
        self.standing_places(|_| true)
    }

    /// Whether somebody will accept there, sooner or later.
    fn is_expecting(&self, socket: &Socket) -> bool {
        let mut workers = self.workers.iter().filter(|it| it.socket == socket.id);
        let is_orphan = workers.clone().next().is_none();
        if is_orphan {
            !socket.is_released
        } else {
            workers.any(|worker| !worker.is_leaving())
        }
    }

    /// For each slot a socket at which one may wait: the one at its index, else the newest.
    fn standing_places(&self, wanted: impl Fn(&Socket) -> bool) -> Vec<(SocketId, Weight)> {
        let mut found: Vec<&Socket> = Vec::new();
        for socket in self.sockets.iter().filter(|socket| wanted(socket)) {
            match found.last_mut() {
                Some(last) if last.id.slot == socket.id.slot => {
                    if !last.is_entered {
                        *last = socket;
                    }
                }
                Some(_) | None => found.push(socket),
            }
        }
        let weight = |socket: &Socket| {
            let worker = self.workers.iter().find(|it| it.socket == socket.id);
            worker.map_or(Weight::ONE, |worker| worker.weight)
        };
        found
            .into_iter()
            .map(|socket| (socket.id, weight(socket)))
            .collect()
    }

    fn enter(&mut self, id: SocketId) {
        if self.socket(id).is_none_or(|socket| socket.is_entered) {
            return;
        }
        for socket in self.sockets.iter_mut().filter(|it| it.id.slot == id.slot) {
            socket.is_entered = socket.id == id;
        }
        self.watch.rewritten();
        self.actions.push_back(Action::Enter { socket: id });
    }

    /// Who is on the way out, or gone for good, has no index any more.
    fn leave_places(&mut self) {
        let leaves = |socket: &Socket| {
            let has_turns =
                self.turns.contains(&socket.id.slot) && !mutation::is(Mutation::PlaceLeftEarly);
            let mut workers = self.workers.iter().filter(|it| it.socket == socket.id);
            socket.is_entered && !has_turns && workers.all(Worker::is_leaving)
        };
        let leaving: Vec<SocketId> = self
            .sockets
            .iter()
            .filter(|socket| leaves(socket))
            .map(|socket| socket.id)
            .collect();
        for id in leaving {
            if let Some(socket) = self.socket_mut(id) {
                socket.is_entered = false;
                self.actions.push_back(Action::Leave { slot: id.slot });
            }
        }
    }

    /// Who waits where nobody accepts goes to others, if there are any.
    fn relieve_queues(&mut self) {
        if !self.workers.iter().any(Worker::is_admitted) {
            return;
        }
        let idle = self.sockets.iter().filter(|it| !self.has_turns(it.id));
        let idle: Vec<Socket> = idle.cloned().collect();
        for socket in idle {
            let mut workers = self.workers.iter().filter(|it| it.socket == socket.id);
            let is_orphan = workers.clone().next().is_none();
            let is_deaf = workers.all(|worker| worker.standing == Standing::Deaf);
            let has_successor = self
                .workers
                .iter()
                .any(|it| it.is_admitted() && it.id.slot == socket.id.slot);
            if is_orphan && (socket.is_released || has_successor) || !is_orphan && is_deaf {
                self.drop_socket(socket.id);
            } else if is_orphan && socket.seen_empty == 0 {
                self.flush(socket.id);
            }
        }
    }

    /// Whether it stands at an index that has turns.
    pub(super) fn has_turns(&self, id: SocketId) -> bool {
        let is_entered = self.socket(id).is_some_and(|socket| socket.is_entered);
        is_entered && self.turns.contains(&id.slot)
    }

    /// The shut down socket leaves its index by itself.
    pub(super) fn flush(&mut self, id: SocketId) {
        if let Some(socket) = self.socket_mut(id) {
            socket.is_entered = false;
            socket.waiting = 0;
            socket.still_since = None;
            // Until it was looked at again.
            socket.seen_empty = 1;
            socket.accepts = socket.accepts.once_emptied();
            self.actions.push_back(Action::Flush { socket: id });
        }
    }

    /// Its workers, if any, know that it is over.
    pub(super) fn drop_socket(&mut self, id: SocketId) {
        self.sockets.retain(|socket| socket.id != id);
        self.actions.push_back(Action::Retire { socket: id });
    }

    /// Nobody can be moved. Where nobody will accept, nobody new comes, as soon as there is another
    /// socket; it goes when nobody waits there.
    fn settle_by_hash(&mut self) {
        let is_expecting: Vec<(SocketId, bool)> = self
            .sockets
            .iter()
            .map(|socket| (socket.id, self.is_expecting(socket)))
            .collect();
        let has_other = is_expecting.iter().any(|(_, expecting)| *expecting);
        for (id, expecting) in is_expecting {
            self.set_bar(
                id,
                if has_other && !expecting {
                    Entry::Barred
                } else {
                    Entry::Open
                },
            );
            if has_other && !expecting && self.is_over(id) {
                self.drop_socket(id);
            }
        }
    }

    fn set_bar(&mut self, id: SocketId, bar: Entry) {
        let (is_barred, now) = (bar == Entry::Barred, self.now);
        let socket = self.socket_mut(id).filter(|it| it.is_barred != is_barred);
        let Some(socket) = socket else {
            return;
        };
        socket.is_barred = is_barred;
        // What was seen before does not count: somebody may have come meanwhile.
        socket.seen_empty = 0;
        if socket.still_since.is_some() {
            socket.restart(now);
        }
        self.actions.push_back(if is_barred {
            Action::Bar { socket: id }
        } else {
            Action::Unbar { socket: id }
        });
        self.watch.begin(self.now);
    }

    /// Whether a barred socket is of no use any more.
    fn is_over(&self, id: SocketId) -> bool {
        let mut workers = self.workers.iter().filter(|it| it.socket == id);
        let accepts_nobody = workers.all(|worker| worker.standing == Standing::Deaf);
        let is_empty = |socket: &Socket| socket.seen_empty > 1;
        // Better an error than an answer that never comes.
        let patience = self.spec.hang.unwrap_or(LAST_PATIENCE);
        let is_hopeless = |socket: &Socket| self.has_stood(socket, patience);
        let is_over = |socket: &Socket| is_empty(socket) || is_hopeless(socket);
        accepts_nobody && self.socket(id).is_some_and(is_over)
    }
}

/// How long who waits where nobody accepts any more is kept waiting, unless a hung worker is given
/// another time.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// Whether new connections begin at a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    Barred,
    Open,
}
