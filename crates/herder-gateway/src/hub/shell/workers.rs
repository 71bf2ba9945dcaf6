//! Workers: what the master says of them, and what they say.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use herder_core::jobs::Event;
use herder_core::{Incarnation, JobId};
use herder_sys::fd;
use herder_wire::control::ToMaster;
use tokio::task::AbortHandle;

use super::state::{Outward, State};
use crate::hub::inlet::{Heard, LinkFault};
use crate::hub::job::Awaited;
use crate::hub::link::Link;
use crate::hub::sentences::Sentences;
use crate::hub::worker::{Linked, Standing, Worker};
use crate::hub::{Message, WorkerState, WorkerView};

/// How many packets of one worker a turn reads, so that a loud one does not starve the rest.
const PER_TURN: usize = 32;

/// How many bytes of replies a turn reads of one worker before others, and the clients who are to
/// take them, have their turn.
const BYTES_PER_TURN: usize = 1024 * 1024;

/// More than a link can hold: whoever is read for so long is not dead.
const LAST_WORDS: usize = 4096;

/// The longest part of a worker's error that is logged, in bytes.
const LOGGED: usize = 1000;

/// The two descriptors of a link.
#[derive(Debug)]
pub(crate) struct LinkEnds {
    pub(crate) ours: OwnedFd,
    /// A duplicate of the worker's.
    pub(crate) theirs: OwnedFd,
}

/// What is read of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    /// What the kernel has announced, and no more than a turn's share.
    Announced,
    /// Everything: it is dead.
    Last,
}

/// Whether there may be more to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Dry,
    More,
}

impl State {
    /// A worker is being started, or lives already.
    pub(super) fn expect(&mut self, worker: Incarnation, slot: u16, pid: u32) {
        self.workers
            .entry(worker)
            .or_insert_with(|| Worker::new(slot, pid));
        self.unshown.insert(worker);
        self.feed(Event::Expected { worker });
    }

    /// The way to a worker, which replaces an earlier one.
    pub(super) fn tie(&mut self, worker: Incarnation, link: Rc<Link>, tending: AbortHandle) {
        let linked = Linked::new(link, tending);
        if self
            .workers
            .get(&worker)
            .is_some_and(|known| known.link.is_some())
        {
            // What it had by the earlier one it has cancelled.
            self.read(worker, Words::Last);
            self.untie(worker);
            self.feed(Event::Expected { worker });
        }
        // `linked` of a worker that nobody announced ends here.
        if let Some(known) = self.workers.get_mut(&worker) {
            known.link = Some(linked);
        }
    }

    /// A worker takes jobs, from its link's `Hello` on.
    pub(super) fn admit(&mut self, worker: Incarnation) {
        self.stand_unless_leaving(worker, Standing::Admitted);
        self.admit_if_greeted(worker);
    }

    /// A worker gets no new job for now.
    pub(super) fn hold(&mut self, worker: Incarnation) {
        self.stand_unless_leaving(worker, Standing::Held);
        self.feed(Event::Held { worker });
    }

    /// A worker gets no new job any more.
    pub(super) fn withdraw(&mut self, worker: Incarnation) {
        self.stand(worker, Standing::Leaving);
        self.feed(Event::Withdraw { worker });
    }

    /// A worker is dead. What it has said before is heard first.
    pub(super) fn gone(&mut self, worker: Incarnation) {
        self.read(worker, Words::Last);
        self.untie(worker);
        if let Some(dead) = self.workers.remove(&worker) {
            self.unshown.remove(&worker);
            self.board.set(WorkerView {
                state: WorkerState::Gone,
                ..dead.view(worker)
            });
        }
    }

    /// Reads what a worker has said, as far as a turn goes.
    pub(super) fn read_turn(&mut self, worker: Incarnation) -> Reading {
        self.read(worker, Words::Announced)
    }

    /// The link to a worker has room again.
    pub(super) fn room(&mut self, worker: Incarnation) {
        let link = self
            .workers
            .get(&worker)
            .and_then(|known| known.link.as_ref());
        if let Some(linked) = link {
            linked.link.has_room();
            self.feed(Event::Room { worker });
        }
    }

    fn stand_unless_leaving(&mut self, worker: Incarnation, standing: Standing) {
        if !self.is_leaving(worker) {
            self.stand(worker, standing);
        }
    }

    fn is_leaving(&self, worker: Incarnation) -> bool {
        let known = self.workers.get(&worker);
        known.is_some_and(|known| known.standing == Standing::Leaving)
    }

    /// One that leaves may be admitted again, too: it does not get more than it was to get.
    fn admit_if_greeted(&mut self, worker: Incarnation) {
        if let Some(started) = self.workers.get(&worker).and_then(Worker::started) {
            self.unshown.insert(worker);
            self.feed(Event::Admitted { worker, started });
        }
    }

    fn read(&mut self, worker: Incarnation, words: Words) -> Reading {
        let (packets, mut bytes) = match words {
            Words::Announced => (PER_TURN, BYTES_PER_TURN),
            Words::Last => (LAST_WORDS, usize::MAX),
        };
        for _ in 0..packets {
            match self.read_packet(worker, words) {
                Ok(Some(replied)) if replied < bytes => bytes -= replied,
                Ok(Some(_)) => return Reading::More,
                Ok(None) => return Reading::Dry,
                Err(fault) => {
                    self.break_link(worker, &fault);
                    return Reading::Dry;
                }
            }
        }
        Reading::More
    }

    /// Reads one packet; says how many bytes of replies were in it. `None` = there was none.
    fn read_packet(
        &mut self,
        worker: Incarnation,
        words: Words,
    ) -> Result<Option<usize>, LinkFault> {
        let known = self.workers.get_mut(&worker);
        let Some(linked) = known.and_then(|known| known.link.as_mut()) else {
            return Ok(None);
        };
        let rooms = &mut self.rooms;
        let received = match words {
            Words::Announced => linked.link.receive(&mut rooms.inward, &mut rooms.fds),
            Words::Last => linked.link.receive_now(&mut rooms.inward, &mut rooms.fds),
        };
        let received = match received {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let packet = &rooms.inward[..received.len];
        let (fds, heard) = (&mut rooms.fds, &mut rooms.heard);
        let decoded = linked.inlet.decode(packet, received, fds, heard);
        rooms.fds.clear();
        // What it said before it broke the protocol counts.
        let mut heard = std::mem::take(&mut rooms.heard);
        let mut replied = 0;
        for news in heard.drain(..) {
            replied += news.length();
            self.hear(worker, news);
        }
        self.rooms.heard = heard;
        decoded.map(|()| Some(replied))
    }

    fn hear(&mut self, worker: Incarnation, heard: Heard) {
        match heard {
            Heard::Hello { started } => self.greeted(worker, started),
            Heard::Started { job } => {
                if let Some(known) = self.workers.get_mut(&worker)
                    && known.running.insert(job)
                    && let Some(linked) = &mut known.link
                {
                    linked.started = linked.started.map(|started| started.saturating_add(1));
                    self.unshown.insert(worker);
                }
                self.feed(Event::Started { worker, job });
            }
            Heard::Reply { job, message } => self.reply(worker, job, message),
            Heard::Finished { job } => {
                self.ended(worker, job);
                self.feed(Event::Finished { worker, job });
            }
            Heard::Failed { job, error } => {
                self.ended(worker, job);
                let error = shorten(&error);
                say(&format!(
                    "worker {worker} could not carry out job {job}: {error}"
                ));
                self.feed(Event::Failed { worker, job });
            }
        }
    }

    fn greeted(&mut self, worker: Incarnation, started: u32) {
        if let Some(known) = self.workers.get_mut(&worker) {
            known.given = known.given.max(started.into());
            if let Some(linked) = &mut known.link {
                linked.started = Some(started);
            }
        }
        if self.workers.get(&worker).is_some_and(Worker::is_ready) {
            self.admit_if_greeted(worker);
        }
    }

    fn reply(&mut self, worker: Incarnation, job: JobId, message: Option<Message>) {
        let Some(job) = self.jobs.get(&job) else {
            return;
        };
        if job.worker != Some(worker) || job.awaited == Awaited::No {
            return;
        }
        if let Some(client) = self.clients.get(&job.client) {
            let message = message.unwrap_or_else(|| Sentences::reply_lost(job.number, worker));
            client.place.send(message);
        }
    }

    fn ended(&mut self, worker: Incarnation, job: JobId) {
        if let Some(known) = self.workers.get_mut(&worker)
            && known.running.remove(&job)
        {
            self.served += 1;
            self.unshown.insert(worker);
        }
    }

    /// A worker that breaks the protocol cannot be understood any more: what it has started is lost,
    /// the rest goes to others.
    pub(super) fn break_link(&mut self, worker: Incarnation, fault: &LinkFault) {
        self.untie(worker);
        if !self.is_leaving(worker) {
            self.give_up(worker, &fault.to_string());
        }
    }

    /// There is no way to a worker any more, so the master is asked for another one.
    pub(super) fn give_up(&mut self, worker: Incarnation, reason: &str) {
        self.stand(worker, Standing::Leaving);
        self.say_of(worker, |said| said.unusable = Some(reason.to_owned()));
        self.report(ToMaster::Unusable {
            worker: worker.0,
            reason: reason.to_owned(),
        });
    }

    /// Gives up the way to a worker, and with it what the worker has.
    fn untie(&mut self, worker: Incarnation) {
        // What it never received goes to others without having met a death.
        let jobs = self.take_back(worker);
        let event = Event::TakenBack { worker, jobs };
        self.dispatcher.handle(event, self.now);
        self.outward.retain(|outward| match outward {
            Outward::Cancel { worker: to, .. } => *to != worker,
            Outward::Job { .. } | Outward::Report(_) => true,
        });
        if let Some(known) = self.workers.get_mut(&worker) {
            known.link = None;
            known.running.clear();
            self.unshown.insert(worker);
        }
        self.feed(Event::Gone { worker });
    }
}

/// One line on the standard error stream, which the master reads. It is not waited for.
pub(crate) fn say(text: &str) {
    let stderr = io::stderr();
    if fd::has_room(stderr.as_fd()) {
        let _closed = writeln!(stderr.lock(), "herder: {text}");
    }
}

/// One line of an error.
fn shorten(error: &str) -> String {
    let mut length = error.len().min(LOGGED);
    while !error.is_char_boundary(length) {
        length -= 1;
    }
    error[..length].replace(|c: char| c.is_control(), " ")
}
