//! A client's message, for code that blocks.

use std::fmt;

use herder_wire::gateway::Protocol;

use crate::jobs::reply::{Reply, ReplyError};
use crate::jobs::ticket::{Holder, Ticket};

/// A client's message, which is this worker's to work on.
///
/// It can be answered any number of times, from any thread. It is finished when it is dropped, or
/// with [`finish`](Job::finish); a job that is dropped by a panic has failed, as with
/// [`fail`](Job::fail), and its client is told so.
///
/// While the gateway has no room for what is said here, the calls wait, the drop included. A gateway
/// waits for no client, so that is rare and short.
///
/// ```no_run
/// # use herder::{Job, ReplyError};
/// fn work(job: Job) -> Result<(), ReplyError> {
///     let Some(name) = job.text() else {
///         job.fail("only text is understood");
///         return Ok(());
///     };
///     job.reply(format!("one moment, {name}"))?;
///     job.finish_with("hello")
/// }
/// ```
pub struct Job {
    ticket: Ticket,
}

impl Job {
    pub(crate) fn new(ticket: Ticket) -> Job {
        Job {
            ticket: ticket.held_by(Holder::Thread),
        }
    }

    /// The number of the job, and the one that
    /// [`Cluster::on_dispatched`](crate::Cluster::on_dispatched) is told: 1, 2, 3 … for the first
    /// gateway of a herd. Those of its successors are larger, so that none comes twice.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.ticket.id()
    }

    /// The number of the client's connection: all messages of one connection have the same, and no
    /// other connection of the herd has it, whichever gateway let it in.
    #[must_use]
    pub fn client(&self) -> u64 {
        self.ticket.client()
    }

    /// How the client talks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.ticket.protocol()
    }

    /// The message, when it is text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.ticket.text()
    }

    /// The message's bytes; of a text message, its UTF-8.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.ticket.bytes()
    }

    /// Sends this to the client. May be called several times: the replies of a job arrive in order.
    ///
    /// # Errors
    /// [`ReplyError::Gone`] when nobody is left to read it: there is no point in going on. The
    /// others say what is wrong with this reply; the job is as it was.
    pub fn reply(&self, reply: impl Into<Reply>) -> Result<(), ReplyError> {
        self.ticket.reply(reply.into())
    }

    /// The job is done; the same as dropping it.
    pub fn finish(self) {}

    /// Sends this to the client as the last reply, and the job is done: [`reply`](Job::reply) and
    /// [`finish`](Job::finish) at the cost of one. The job is done even after an error.
    ///
    /// # Errors
    /// As [`reply`](Job::reply).
    pub fn finish_with(self, reply: impl Into<Reply>) -> Result<(), ReplyError> {
        self.ticket.finish_with(reply.into())
    }

    /// The job cannot be carried out: the client is told so, by one message of the gateway's. The
    /// error itself is for the log.
    pub fn fail(self, error: impl fmt::Display) {
        self.ticket.fail(&error.to_string());
    }

    /// Whether nobody is left to read a reply. A job that takes long may ask now and then, and stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.ticket.is_cancelled()
    }
}

#[cfg(test)]
impl Job {
    /// Replies until there is no room.
    pub(crate) fn fill_the_link(&self) {
        self.ticket.fill_the_link();
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ticket.describe(&mut f.debug_struct("Job"))
    }
}
