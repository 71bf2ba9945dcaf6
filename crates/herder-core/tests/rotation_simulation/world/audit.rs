//! What is asked for, held against the truth.

use std::collections::BTreeMap;
use std::time::Duration;

use herder_core::WorkerId;
use herder_core::rotation::{Action, Balance, Event, Relief, Sample, SocketId, Steering};

use super::kernel::Traffic;
use super::run::{Life, Said, Told, World};
use super::trace;
use super::violation::{Verdict, ensure};

fn broken(rule: &'static str, detail: impl std::fmt::Debug) -> Verdict {
    ensure(false, rule, || format!("{detail:?}"))
}

impl World {
    pub(super) fn tell(&mut self, event: Event) -> Verdict {
        trace::line(|| format!("{:?} {event:?}", self.now));
        self.rotation.handle(event, self.now);
        while let Some(action) = self.rotation.poll_action() {
            trace::line(|| format!("    {action:?}"));
            self.execute(action)?;
        }
        if self.spec.steering == Steering::Program && !self.kernel.queues.is_empty() {
            // Between two events, too, somebody has the turn.
            if self.kernel.turns.is_empty() {
                return broken("somebody has the turn always", ());
            }
        }
        Ok(())
    }

    #[expect(
        clippy::too_many_lines,
        reason = "a table: each action is held against the truth"
    )]
    fn execute(&mut self, action: Action) -> Verdict {
        if self.spec.steering == Steering::Hash
            && matches!(
                action,
                Action::Enter { .. }
                    | Action::Rotate { .. }
                    | Action::Leave { .. }
                    | Action::Flush { .. }
                    | Action::Excluded { .. }
            )
        {
            return broken("without a program there are no turns", action);
        }
        if self.spec.steering == Steering::Program
            && matches!(action, Action::Bar { .. } | Action::Unbar { .. })
        {
            return broken("a program needs no bars", action);
        }
        match action {
            Action::Bar { socket } => {
                self.kernel.barred.insert(socket);
                self.barred_at.insert(socket, self.now);
            }
            Action::Unbar { socket } => {
                self.kernel.barred.remove(&socket);
            }
            Action::Make { socket } => {
                if self.kernel.queues.insert(socket, 0).is_some() {
                    return broken("a socket is made once", socket);
                }
            }
            Action::Enter { socket } => {
                let is_elsewhere = self.kernel.places.values().any(|it| *it == socket);
                if !self.kernel.queues.contains_key(&socket) || is_elsewhere {
                    return broken("a socket that listens enters, once", socket);
                }
                self.looks.clear();
                self.kernel.places.insert(socket.slot, socket);
            }
            Action::Rotate { turns } => {
                let has_place = |slot| self.kernel.places.contains_key(slot);
                if turns.is_empty() || turns.len() > 256 || !turns.iter().all(has_place) {
                    return broken("each turn is that of a socket", turns);
                }
                self.kernel.turns = turns;
                self.looks.clear();
            }
            Action::Yield { slot, turns } => {
                if self.spec.steering == Steering::Hash || turns > 512 {
                    return broken(
                        "turns are yielded by those who have them, and not too many",
                        slot,
                    );
                }
                self.kernel.order(slot, turns);
                self.looks.clear();
            }
            Action::Leave { slot } => {
                if self.kernel.turns.contains(&slot) {
                    return broken("a place is left when nobody has its turn there", slot);
                }
                self.kernel.places.remove(&slot);
            }
            Action::Retire { socket } => return self.shut_down(socket),
            Action::Flush { socket } => {
                // Who endures it has its turns on trial later. So has who is loading: as long as somebody
                // waits it is not in the middle of an accept.
                let waiting = self.kernel.queues.get(&socket).copied().unwrap_or(0);
                for (worker, it) in &mut self.workers {
                    let is_his = self.rotation.socket_of(*worker) == Some(socket);
                    let endures = match it.relief {
                        Relief::Move => true,
                        Relief::Kill => waiting > 0,
                        Relief::HandOver => false,
                    };
                    if is_his && endures && it.said == Said::Behind {
                        self.tally.endured += 1;
                        it.said = Said::Moved;
                    }
                }
                self.shut_down(socket)?;
                self.kernel.queues.insert(socket, 0);
            }
            Action::Arm => self.armed = true,
            Action::Sample => self.sample(),
            Action::Rescue { worker, .. } => return self.rescue(worker),
            Action::Hung { worker } => return self.hung(worker),
            Action::Withdrawn { worker } => return self.withdrawn(worker),
            Action::Excluded { worker, .. } => return self.excluded(worker),
            Action::Readmitted { worker } => {
                self.tally.readmitted += 1;
                if let Some(it) = self.workers.get_mut(&worker) {
                    it.said = Said::Keeps;
                    it.back_at = Some(self.now);
                }
            }
        }
        Ok(())
    }

    /// Answered at once: the actions that follow are about it.
    fn sample(&mut self) {
        self.looks.push((self.now, self.kernel.traffic.clone()));
        let queues = self.kernel.queues.iter().map(|(id, queue)| (*id, *queue));
        let sample = Sample {
            turns: match self.spec.steering {
                Steering::Program => Some(self.kernel.taken),
                Steering::Hash => None,
            },
            queues: queues.collect(),
            yielded: self.kernel.look_at_yielded(),
        };
        self.rotation.handle(Event::Sampled { sample }, self.now);
    }

    fn shut_down(&mut self, socket: SocketId) -> Verdict {
        let is_at = self.kernel.places.get(&socket.slot) == Some(&socket);
        if is_at && self.kernel.turns.contains(&socket.slot) {
            return broken("who has turns is not shut down", socket);
        }
        let has_it = |(id, it): (&WorkerId, &super::run::Worker)| {
            let is_his = self.rotation.socket_of(*id) == Some(socket);
            let may_accept = matches!(it.told, Told::Started | Told::Admitted | Told::Held);
            is_his
                && it.life != Life::Dead
                && may_accept
                && !matches!(it.said, Said::Hung | Said::Moved)
        };
        if self.workers.iter().any(has_it) {
            return broken("nobody's socket is shut down while it may accept", socket);
        }
        let waiting = self.kernel.queues.get(&socket).copied().unwrap_or(0);
        let patience = self.spec.hang.unwrap_or(Duration::from_secs(10));
        let barred = self.barred_at.get(&socket).map(|at| self.now.since(*at));
        let is_hopeless = barred.is_some_and(|barred| barred >= patience);
        let is_hash = self.spec.steering == Steering::Hash;
        if is_hash && waiting > 0 && !is_hopeless {
            return broken("without a program who waits is not moved", socket);
        }
        self.kernel.shut_down(socket, &mut self.rng);
        self.barred_at.remove(&socket);
        if self.kernel.lost > 0 && !is_hash {
            return broken("nobody is lost", socket);
        }
        if self.rotation.sockets().any(|it| it == socket) {
            self.tally.flushed += 1;
        } else {
            self.tally.retired += 1;
        }
        Ok(())
    }

    fn rescue(&mut self, worker: WorkerId) -> Verdict {
        let delay = Duration::from_micros(self.rng.below(50_000));
        let Some(it) = self.workers.get_mut(&worker) else {
            return broken("who is rescued lives", worker);
        };
        if it.relief != Relief::HandOver {
            return broken("who is rescued can hand over", worker);
        }
        it.said = Said::Rescued;
        self.rescues.push((worker, self.now.after(delay)));
        Ok(())
    }

    fn hung(&mut self, worker: WorkerId) -> Verdict {
        self.tally.hung += 1;
        let Some(it) = self.workers.get_mut(&worker) else {
            return broken("who is hung lives", worker);
        };
        if it.said == Said::Hung || it.told != Told::Admitted {
            return broken("who is hung was to accept, and is killed once", worker);
        }
        it.said = Said::Hung;
        // The master kills it; that is told later.
        it.life = Life::Dead;
        Ok(())
    }

    fn withdrawn(&mut self, worker: WorkerId) -> Verdict {
        self.tally.withdrawn += 1;
        match self.workers.get_mut(&worker) {
            Some(it) if it.owes_withdrawn => {
                it.owes_withdrawn = false;
                Ok(())
            }
            _ => broken("a withdrawal is answered once", worker),
        }
    }

    fn excluded(&mut self, worker: WorkerId) -> Verdict {
        self.tally.excluded += 1;
        let now = self.now;
        let Some(it) = self.workers.get_mut(&worker) else {
            return broken("who is left out lives", worker);
        };
        if it.said != Said::Keeps || it.told != Told::Admitted {
            return broken("who is left out had turns", worker);
        }
        let stayed = it.back_at.map(|at| now.since(at));
        if stayed.is_some_and(|stayed| stayed < self.spec.hysteresis) {
            return broken("who is back stays for a while", worker);
        }
        it.said = Said::Behind;
        if self.spec.balance == Balance::RoundRobin && self.has_kept_up(worker) {
            return broken("who accepts most of its share is not left out", worker);
        }
        Ok(())
    }

    /// Whether it has accepted more than half of those who came, no matter from which look on that was
    /// one of those by which it was judged.
    fn has_kept_up(&self, worker: WorkerId) -> bool {
        let Some(socket) = self.rotation.socket_of(worker) else {
            return false;
        };
        let at = |traffic: &BTreeMap<SocketId, Traffic>| {
            traffic.get(&socket).copied().unwrap_or_default()
        };
        let now = at(&self.kernel.traffic);
        let mut judged = self
            .looks
            .iter()
            .filter(|(when, _)| self.now.since(*when) >= self.spec.tick * 2)
            .map(|(_, traffic)| at(traffic))
            .peekable();
        judged.peek().is_some()
            && judged.all(|then| 2 * (now.accepted - then.accepted) > now.came - then.came)
    }

    /// What holds whenever nothing is left to be done.
    pub(super) fn audit(&self) -> Verdict {
        let kernel = &self.kernel;
        let known = kernel.accepted + kernel.waiting() + kernel.refused + kernel.lost;
        if kernel.arrived != known {
            return broken("each connection is somewhere", kernel);
        }
        if self.spec.steering == Steering::Hash {
            let is_shut = |socket| kernel.barred.contains(socket);
            if !kernel.queues.is_empty() && kernel.queues.keys().all(is_shut) {
                return broken("somebody takes new connections always", kernel);
            }
            return Ok(());
        }
        let admitted: Vec<WorkerId> = self
            .workers
            .iter()
            .filter(|(_, it)| it.told == Told::Admitted)
            .map(|(worker, _)| *worker)
            .collect();
        for slot in &kernel.turns {
            let at = kernel.places.get(slot).copied();
            let accepts = |it: &WorkerId| self.rotation.socket_of(*it) == at;
            if !admitted.is_empty() && !admitted.iter().any(accepts) {
                return broken("who has turns is ready", slot);
            }
        }
        for worker in &admitted {
            let is_newest = !admitted
                .iter()
                .any(|it| it.slot == worker.slot && it > worker);
            let is_well = self.workers[worker].said == Said::Keeps;
            if is_newest && is_well && !kernel.turns.contains(&worker.slot) {
                return broken("who is ready and well has turns", worker);
            }
        }
        Ok(())
    }

    /// Nobody comes any more, everybody is well, and time passes.
    pub(super) fn calm(&mut self) -> Verdict {
        self.brisk = 0;
        self.get_well()?;
        // Longer than the longest time without turns after rescues in vain.
        for _ in 0..50 {
            self.pass(Duration::from_secs(1))?;
            self.get_well()?;
        }
        self.audit()?;
        if self.kernel.waiting() > 0 {
            return broken("everybody is accepted in the end", &self.kernel);
        }
        for (worker, it) in &self.workers {
            if it.owes_withdrawn {
                return broken("each withdrawal is answered", worker);
            }
            let is_newest = !self.workers.iter().any(|(other, it)| {
                other.slot == worker.slot && other > worker && it.told == Told::Admitted
            });
            let has_turns =
                self.spec.steering == Steering::Hash || self.kernel.turns.contains(&worker.slot);
            if it.told == Told::Admitted && is_newest && !has_turns {
                return broken("everybody has its turns again in the end", worker);
            }
        }
        Ok(())
    }

    fn get_well(&mut self) -> Verdict {
        let workers: Vec<WorkerId> = self.workers.keys().copied().collect();
        for worker in workers {
            // What one says of its load in calm is nothing.
            let load = herder_core::rotation::Load::default();
            self.tell(Event::Load { worker, load })?;
            let it = self.workers.get_mut(&worker).expect("it is known");
            match (it.life, it.told) {
                (Life::Hung, Told::Started | Told::Admitted | Told::Held) => {
                    it.life = Life::Accepting;
                }
                // It leaves at last.
                (_, Told::Withdrawn | Told::Retired) if !it.owes_withdrawn => it.life = Life::Dead,
                (Life::Booting | Life::Accepting | Life::Hung | Life::Dead, _) => {}
            }
            if self.workers[&worker].life == Life::Dead {
                self.bury(worker)?;
            } else {
                self.get_ready(worker)?;
            }
        }
        for slot in 0..self.slots {
            if !self.workers.keys().any(|it| it.slot.0 == slot) {
                self.start(slot)?;
            }
        }
        Ok(())
    }
}
