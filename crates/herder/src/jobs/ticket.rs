//! What every job has, whoever works on it.

use std::fmt;
use std::io;
use std::sync::Arc;

use herder_wire::gateway::Protocol;

use crate::jobs::gate::{Cancellation, Counted, Gate, is_end};
use crate::jobs::intake::Intake;
use crate::jobs::packet::{Finish, Packet, Payload, is_line};
use crate::jobs::reply::{Reply, ReplyError};
use crate::worker::link::Link;

/// A job that was started. Dropping it says how it ended.
pub(crate) struct Ticket {
    arrived: Arrived,
    said: Said,
    holder: Holder,
    intake: Arc<Intake>,
    /// Given up last: a worker without open jobs has said everything.
    open: Open,
}

/// A job as it came.
pub(crate) struct Arrived {
    pub(crate) job: u64,
    pub(crate) client: u64,
    pub(crate) protocol: Protocol,
    pub(crate) payload: Payload,
    pub(crate) gate: Arc<Gate>,
    pub(crate) cancellation: Arc<Cancellation>,
}

/// Who works on a job.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A task: it must not be held up, and what has to wait leaves behind its back.
    Task,
    /// A thread, which waits itself: perhaps nobody else in the worker has anything to do.
    Thread,
}

/// Whether the gateway was told of the job's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Over,
}

/// Keeps a job counted as open.
struct Open(Arc<Link>);

impl Open {
    fn new(link: &Arc<Link>) -> Open {
        link.connection_opened();
        Open(Arc::clone(link))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connection_closed();
    }
}

impl Ticket {
    pub(crate) fn new(arrived: Arrived, intake: &Arc<Intake>, link: &Arc<Link>) -> Ticket {
        Ticket {
            arrived,
            said: Said::Nothing,
            holder: Holder::Task,
            intake: Arc::clone(intake),
            open: Open::new(link),
        }
    }

    pub(crate) fn held_by(mut self, holder: Holder) -> Ticket {
        self.holder = holder;
        self
    }

    pub(crate) fn id(&self) -> u64 {
        self.arrived.job
    }

    pub(crate) fn client(&self) -> u64 {
        self.arrived.client
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.arrived.protocol
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.arrived.payload {
            Payload::Bytes(_) => None,
            Payload::Text(text) => Some(text),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.arrived.payload {
            Payload::Bytes(bytes) => bytes,
            Payload::Text(text) => text.as_bytes(),
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        if self.was_cancelled() {
            return true;
        }
        self.intake.hear(&self.open.0);
        self.was_cancelled()
    }

    /// Waits until nobody is left to read a reply.
    pub(crate) async fn cancelled(&self) {
        // From now on whatever happens at the gate is looked at; and now what lies there already.
        let _counted = Counted::new(&self.intake.watch().waiting_for_cancel);
        self.intake.hear(&self.open.0);
        self.arrived.cancellation.come().await;
    }

    pub(crate) fn reply(&self, reply: Reply) -> Result<(), ReplyError> {
        let packet = self.packet(reply)?;
        let posted = self.arrived.gate.post_in_time(&packet, &self.open.0);
        posted.map_err(failure)
    }

    pub(crate) fn finish_with(mut self, reply: Reply) -> Result<(), ReplyError> {
        let (packet, finish) = self.packet(reply)?.and_finished(self.id());
        let posted = self.arrived.gate.post_in_time(&packet, &self.open.0);
        self.note(finish, posted)
    }

    pub(crate) async fn reply_async(&self, reply: Reply) -> Result<(), ReplyError> {
        let packet = self.packet(reply)?;
        let posted = self.arrived.gate.post_when_possible(&packet).await;
        posted.map_err(failure)
    }

    pub(crate) async fn finish_with_async(mut self, reply: Reply) -> Result<(), ReplyError> {
        let (packet, finish) = self.packet(reply)?.and_finished(self.id());
        let posted = self.arrived.gate.post_when_possible(&packet).await;
        self.note(finish, posted)
    }

    pub(crate) fn fail(mut self, error: &str) {
        self.end(Packet::failed(self.id(), error));
    }

    pub(crate) fn describe(&self, out: &mut fmt::DebugStruct<'_, '_>) -> fmt::Result {
        out.field("id", &self.arrived.job)
            .field("client", &self.arrived.client)
            .field("protocol", &self.arrived.protocol)
            .field("length", &self.bytes().len())
            .finish_non_exhaustive()
    }

    fn was_cancelled(&self) -> bool {
        self.arrived.cancellation.has_come()
    }

    fn packet(&self, reply: Reply) -> Result<Packet, ReplyError> {
        if self.protocol() == Protocol::Lines && !is_line(&reply) {
            return Err(ReplyError::NotALine);
        }
        if self.was_cancelled() {
            return Err(ReplyError::Gone);
        }
        Packet::reply(self.id(), reply)
    }

    fn note(&mut self, finish: Finish, posted: io::Result<()>) -> Result<(), ReplyError> {
        posted.map_err(failure)?;
        if finish == Finish::Included {
            self.said = Said::Over;
        }
        Ok(())
    }

    fn end(&mut self, packet: Packet) {
        self.said = Said::Over;
        let gate = &self.arrived.gate;
        if self.holder == Holder::Thread && !std::thread::panicking() {
            // When it fails nobody hears of it any more.
            let _gone = gate.post_in_time(&packet, &self.open.0);
        } else {
            gate.queue(packet);
        }
    }
}

#[cfg(test)]
impl Ticket {
    pub(crate) fn fill_the_link(&self) {
        use crate::jobs::gate::Posted;
        let packet = Packet::reply(self.id(), Reply::bytes([0; 10_000])).unwrap();
        while self.arrived.gate.post(&packet).unwrap() == Posted::Now {}
        // Room for a few bytes may be left.
        let small = Packet::reply(self.id(), Reply::bytes([])).unwrap();
        while self.arrived.gate.post(&small).unwrap() == Posted::Now {}
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.said == Said::Nothing {
            let id = self.id();
            self.end(if std::thread::panicking() {
                Packet::failed(id, "panicked")
            } else {
                Packet::finished(id)
            });
        }
        self.arrived.gate.leave(self.id());
    }
}

/// What a packet that did not go out means to the program.
fn failure(error: io::Error) -> ReplyError {
    // The link has ended, or the worker has to: nobody reads it any more.
    if is_end(&error) || error.kind() == io::ErrorKind::TimedOut {
        ReplyError::Gone
    } else {
        ReplyError::Io(error)
    }
}
