//! Doing what the rotation asks for.

use std::io;
use std::os::fd::AsFd;

use herder_core::rotation::{Action, Event, Sample, SocketId};
use herder_core::{Slot, Tick};
use herder_sys::{fd, listener};

use super::berth::Berth;
use super::parting::Then;
use super::{Doors, Group, Notice};

impl Group {
    /// Tells the rotation, and does what it asks for, in its order.
    ///
    /// # Errors
    ///
    /// When a socket cannot be made. Everything else is told in a [`Notice`].
    pub(super) fn handle(&mut self, event: Event, now: Tick) -> io::Result<()> {
        self.rotation.handle(event, now);
        self.act(now)
    }

    pub(super) fn act(&mut self, now: Tick) -> io::Result<()> {
        let mut made = Ok(());
        while let Some(action) = self.rotation.poll_action() {
            match action {
                Action::Make { socket } => made = made.and(self.make(socket)),
                Action::Enter { socket } => self.enter(socket),
                Action::Rotate { turns } => {
                    self.turns = turns;
                    self.write_turns();
                }
                Action::Yield { slot, turns } => self.have_yield(slot, turns),
                Action::Leave { slot } => self.leave(slot),
                Action::Retire { socket } => self.part(socket, Then::Close, now),
                Action::Flush { socket } => self.part(socket, Then::ListenAgain, now),
                Action::Bar { socket } => self.bar(socket),
                Action::Unbar { socket } => self.unbar(socket),
                Action::Arm => self.arm(),
                Action::Sample => {
                    let sample = self.sample();
                    self.rotation.handle(Event::Sampled { sample }, now);
                }
                Action::Rescue { worker, .. } => self.notices.push(Notice::Rescue(worker)),
                Action::Hung { worker } => self.notices.push(Notice::Hung(worker)),
                Action::Withdrawn { worker } => self.notices.push(Notice::Withdrawn(worker)),
                Action::Excluded { worker, waiting } => {
                    self.notices.push(Notice::Excluded { worker, waiting });
                }
                Action::Readmitted { worker } => self.notices.push(Notice::Readmitted(worker)),
            }
        }
        made
    }

    fn make(&mut self, id: SocketId) -> io::Result<()> {
        // A worker may listen once more before the end of its first socket has come.
        self.part_now(id);
        let socket = listener::join(self.anchor.as_fd(), self.spec.backlog)?;
        fd::set_blocking(socket.as_fd(), self.spec.blocking)?;
        if let Some(steering) = &self.steering {
            // The first brings the program to the group; for the others it is there already.
            steering.attach(socket.as_fd())?;
        }
        self.berths.insert(id, Berth::new(socket, &self.epoll)?);
        self.edition += 1;
        Ok(())
    }

    pub(super) fn enter(&mut self, id: SocketId) {
        self.stay(id);
        let (Some(steering), Some(berth)) = (&self.steering, self.berths.get(&id)) else {
            return;
        };
        if let Err(error) = steering.enter(id.slot.0.into(), berth.as_fd()) {
            self.fail(&format!("cannot give slot {} connections", id.slot), &error);
        }
    }

    fn have_yield(&mut self, slot: Slot, turns: u32) {
        let yielded = self.yielded.iter().find(|(it, _)| *it == slot);
        let yielded = yielded.map_or(0, |(_, count)| *count);
        self.to_yield.insert(slot, yielded + u64::from(turns));
        self.write_turns();
    }

    fn write_turns(&mut self) {
        let Some(steering) = &self.steering else {
            return;
        };
        if self.doors == Doors::Closed || self.turns.is_empty() {
            return;
        }
        let turns: Vec<u32> = self.turns.iter().map(|slot| slot.0.into()).collect();
        let to_yield = self.to_yield.iter();
        let to_yield: Vec<_> = to_yield.map(|(slot, sum)| (slot.0.into(), *sum)).collect();
        if let Err(error) = steering.set_turns(&turns, &to_yield) {
            self.fail("cannot change whose turn it is", &error);
        }
    }

    fn leave(&mut self, slot: Slot) {
        let Some(steering) = &self.steering else {
            return;
        };
        if let Err(error) = steering.leave(slot.0.into()) {
            self.fail(&format!("cannot free the place of slot {slot}"), &error);
        }
    }

    fn bar(&mut self, id: SocketId) {
        let Some(berth) = self.berths.get(&id) else {
            return;
        };
        // Closed or narrow: it goes when nobody waits there.
        if let Err(error) = listener::bar(berth.as_fd()) {
            self.fail("cannot keep new connections from a socket", &error);
        }
    }

    fn unbar(&mut self, id: SocketId) {
        let Some(berth) = self.berths.get(&id) else {
            return;
        };
        if let Err(error) = listener::unbar(berth.as_fd(), self.spec.backlog) {
            self.fail("cannot let new connections to a socket", &error);
        }
    }

    /// Lets a socket listen again that was shut down; it is at no place then.
    pub(super) fn revive(&mut self, id: SocketId) {
        let Some(berth) = self.berths.get(&id) else {
            return;
        };
        let mut revived = listener::listen_again(berth.as_fd(), self.spec.backlog);
        if let Some(steering) = &self.steering {
            revived = revived.and_then(|()| steering.attach(berth.as_fd()));
        }
        if let Err(error) = revived {
            self.fail(&format!("cannot listen again for slot {}", id.slot), &error);
        }
    }

    fn arm(&mut self) {
        let armed = self.berths.values().try_for_each(|it| it.arm(&self.epoll));
        if let Err(error) = armed {
            self.fail("cannot watch its queues", &error);
        }
    }

    fn count_turns(&mut self, sample: &mut Sample) {
        let mut slots: Vec<Slot> = self.berths.keys().map(|socket| socket.slot).collect();
        slots.dedup();
        let places = slots.iter().map(|slot| u32::from(slot.0));
        let turns = self.steering.as_ref().map(|it| it.taken(places));
        if let Some(Ok(turns)) = turns {
            sample.turns = Some(turns.taken);
            sample.yielded = slots.into_iter().zip(turns.yielded).collect();
            self.yielded.clone_from(&sample.yielded);
        }
    }

    fn sample(&mut self) -> Sample {
        let mut sample = Sample {
            turns: None,
            queues: Vec::with_capacity(self.berths.len()),
            yielded: Vec::new(),
        };
        let mut silent = Vec::new();
        for (id, berth) in &self.berths {
            if self.partings.include(*id) {
                // Whoever waits there is on the way to others, or has gone.
                continue;
            }
            match listener::waiting_at(berth.as_fd()) {
                Ok(Some(waiting)) => sample.queues.push((*id, waiting)),
                Ok(None) => silent.push(*id),
                // It is a TCP socket: it does not happen, and who is not known is not judged.
                Err(_) => {}
            }
        }
        // After the queues: whoever was seen there has taken a turn that is counted. The other way around, one that
        // came between would look like one who waits since the last look.
        self.count_turns(&mut sample);
        for id in silent {
            // A worker has shut down what it shares with us. Who waited has been moved, or is lost.
            self.fail(
                &format!(
                    "was shut down by the worker of slot {}; it listens again",
                    id.slot
                ),
                &io::ErrorKind::NotConnected.into(),
            );
            self.revive(id);
            let places = self.rotation.turns().contains(&id.slot);
            if places {
                self.enter(id);
            }
        }
        sample
    }
}
