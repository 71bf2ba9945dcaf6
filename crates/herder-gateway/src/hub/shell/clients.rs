//! Clients, their jobs, and how both end.

use std::rc::Rc;

use herder_core::jobs::{Event, JobOutcome};
use herder_core::{ClientId, JobId};
use herder_wire::gateway::Protocol;

use super::state::{Phase, State};
use crate::hub::job::{Awaited, Cause, Client, Going, Job, Payload};
use crate::hub::{CloseReason, Desk, Message, Seat};

impl State {
    /// A client came. `None` = there are too many, or the herd stops.
    pub(super) fn join(&mut self, desk: Rc<dyn Desk>, protocol: Protocol) -> Option<Seat> {
        if self.phase != Phase::Serving || self.clients.len() >= self.settings.max_clients {
            return None;
        }
        let id = ClientId(self.last.0.0 + 1);
        self.last.0 = id;
        let (seat, place) = Seat::new(id, desk);
        self.clients.insert(id, Client::new(place, protocol));
        Some(seat)
    }

    /// A client said something.
    pub(super) fn submit(&mut self, id: ClientId, message: Message) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let job = JobId(self.last.1.0 + 1);
        self.last.1 = job;
        client.messages += 1;
        client.jobs.push(job);
        self.held += message.bytes.len();
        if self.held > self.settings.max_held && client.stop(Cause::Bytes) {
            self.stopped.push(id);
        }
        let record = Job {
            client: id,
            protocol: client.protocol,
            number: client.messages,
            payload: Some(Payload::Own(message)),
            worker: None,
            going: Going::No,
            awaited: Awaited::Yes,
        };
        self.jobs.insert(job, record);
        self.feed(Event::Arrived { job, client: id });
    }

    /// Messages have left. Half of what is allowed is enough to be read again.
    pub(super) fn read_again(&mut self) {
        if self.stopped.is_empty() || self.held > self.settings.max_held / 2 {
            return;
        }
        for client in std::mem::take(&mut self.stopped) {
            if let Some(client) = self.clients.get_mut(&client) {
                client.read_again(Cause::Bytes);
            }
        }
    }

    /// A client is gone.
    pub(super) fn left(&mut self, id: ClientId) {
        let Some(client) = self.clients.remove(&id) else {
            return;
        };
        for job in client.jobs {
            if let Some(left) = self.jobs.get_mut(&job) {
                left.awaited = Awaited::No;
            }
            self.forget_if_settled(job);
        }
        self.feed(Event::ClientGone { client: id });
    }

    /// A job came to its end.
    pub(super) fn over(&mut self, job: JobId, id: ClientId, outcome: JobOutcome) {
        let Some(ended) = self.jobs.get_mut(&job) else {
            return;
        };
        ended.awaited = Awaited::No;
        let number = ended.number;
        self.forget_if_settled(job);
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        client.jobs.retain(|other| *other != job);
        if let Some(message) = self.settings.sentences.outcome(number, outcome) {
            client.place.send(message);
        }
        client.place.over();
        if self.phase == Phase::Closing && client.jobs.is_empty() {
            client.place.close(CloseReason::GoingAway);
        }
    }

    /// The herd stops: nothing more is read from clients, and who waits for nothing may go.
    pub(super) fn close(&mut self) {
        if self.phase >= Phase::Closing {
            return;
        }
        self.phase = Phase::Closing;
        for client in self.clients.values() {
            client.place.stop_reading();
            if client.jobs.is_empty() {
                client.place.close(CloseReason::GoingAway);
            }
        }
    }

    /// Everybody goes now.
    pub(super) fn send_away(&mut self) {
        let before = std::mem::replace(&mut self.phase, Phase::Leaving);
        for client in self.clients.values() {
            // The others were told when their last job was over.
            if before == Phase::Serving || before == Phase::Closing && !client.jobs.is_empty() {
                client.place.close(CloseReason::GoingAway);
            }
        }
    }
}
