//! The channel on which connections reach one worker.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use herder_core::ConnId;
use herder_core::dispatch::{MAX_BATCH, ProbeState};
use herder_sys::socket::{self, Wait};
use herder_wire::record::{Record, RecordKind};

/// Both ends of a worker's `conns` channel.
///
/// The duplicate of the worker's end is what makes acknowledgements needless: what the worker has
/// not received can be counted from outside, and received by the master instead. The kernel gives
/// each message to exactly one of the two.
pub(crate) struct Link {
    master_end: OwnedFd,
    worker_end: OwnedFd,
    probe_sent: bool,
}

/// One connection in the master's hand.
pub(super) struct Held {
    pub(super) socket: OwnedFd,
    pub(super) listener: u16,
}

/// What came back from a worker's queue.
#[derive(Default)]
pub(super) struct TakenBack {
    /// The connections, oldest first.
    pub(super) conns: Vec<(ConnId, Held)>,
    /// How many came without their descriptor, and so are lost.
    pub(super) lost: usize,
}

impl Link {
    /// A new channel, and the end that the worker gets.
    pub(crate) fn new() -> io::Result<(Link, OwnedFd)> {
        let (master_end, theirs) = socket::seqpacket_pair()?;
        let worker_end = herder_sys::fd::duplicate(theirs.as_fd())?;
        Ok((Link::from_ends(master_end, worker_end), theirs))
    }

    /// The channel of these two ends, of which the worker has its own already.
    pub(crate) fn from_ends(master_end: OwnedFd, worker_end: OwnedFd) -> Link {
        Link {
            master_end,
            worker_end,
            probe_sent: false,
        }
    }

    /// Both ends, the master's first: what is to be stored.
    pub(crate) fn ends(&self) -> [BorrowedFd<'_>; 2] {
        [self.master_end.as_fd(), self.worker_end.as_fd()]
    }

    /// The end to watch for the worker's receipts.
    pub(super) fn master_end(&self) -> BorrowedFd<'_> {
        self.master_end.as_fd()
    }

    /// Sends connections in one message: all of them, or none (the error says why).
    pub(super) fn send<'a>(
        &self,
        conns: impl Iterator<Item = (ConnId, &'a Held)>,
    ) -> io::Result<()> {
        let mut bytes = [0; MAX_BATCH * Record::SIZE];
        let mut fds = [self.master_end.as_fd(); MAX_BATCH];
        let mut count = 0;
        for (place, (conn, held)) in conns.enumerate() {
            let record = Record::connection(held.listener, conn.0);
            bytes[place * Record::SIZE..][..Record::SIZE].copy_from_slice(&record.to_bytes());
            fds[place] = held.socket.as_fd();
            count = place + 1;
        }
        socket::send(
            self.master_end.as_fd(),
            &bytes[..count * Record::SIZE],
            &fds[..count],
        )?;
        Ok(())
    }

    /// Puts a record without a connection into the queue, unless one lies there already.
    pub(super) fn probe(&mut self) -> io::Result<()> {
        if self.probe_sent {
            return Ok(());
        }
        let record = Record {
            kind: RecordKind::Probe,
            listener: 0,
            conn: 0,
        };
        socket::send(self.master_end.as_fd(), &record.to_bytes(), &[])?;
        self.probe_sent = true;
        Ok(())
    }

    /// How many connections the worker has not received, and whether a probe is among the records.
    ///
    /// A probe is sent into an empty queue and nothing after it until it was received, so it is
    /// always the oldest record.
    pub(super) fn unreceived(&mut self) -> io::Result<(u32, ProbeState)> {
        let records = socket::unread_bytes(self.worker_end.as_fd())? / Record::SIZE;
        if records == 0 {
            self.probe_sent = false;
        }
        let probe = if self.probe_sent {
            ProbeState::Unreceived
        } else {
            ProbeState::Absent
        };
        let conns = records - usize::from(self.probe_sent);
        Ok((u32::try_from(conns).unwrap_or(u32::MAX), probe))
    }

    /// Receives what the worker has not received.
    pub(super) fn take_back(&mut self) -> TakenBack {
        let mut taken = TakenBack::default();
        let mut bytes = [0; MAX_BATCH * Record::SIZE];
        let mut fds = Vec::with_capacity(MAX_BATCH);
        loop {
            let received = socket::receive(
                self.worker_end.as_fd(),
                &mut bytes,
                &mut fds,
                MAX_BATCH,
                Wait::DontWait,
            );
            let Some(len) = received
                .ok()
                .map(|received| received.len)
                .filter(|len| *len > 0)
            else {
                // Empty, or ended. A probe is gone either way.
                self.probe_sent = false;
                return taken;
            };
            let mut arrived = fds.drain(..);
            for chunk in bytes[..len].as_chunks::<{ Record::SIZE }>().0 {
                match Record::from_bytes(chunk) {
                    Ok(Record {
                        kind: RecordKind::Connection,
                        listener,
                        conn,
                    }) => match arrived.next() {
                        Some(socket) => {
                            taken.conns.push((ConnId(conn), Held { socket, listener }));
                        }
                        None => taken.lost += 1,
                    },
                    // Nobody but the master writes here.
                    Ok(Record {
                        kind: RecordKind::Probe,
                        ..
                    })
                    | Err(_) => {}
                }
            }
        }
    }

    /// Nothing more comes: the worker sees the end once it has received the rest.
    pub(super) fn end(&self) {
        // It fails only when the channel has ended already.
        let _ended = socket::shutdown_write(self.master_end.as_fd());
    }
}
