//! One of the two directions of a connection: what is read here is written there, and no more is read
//! until it was.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use herder_sys::pipe::splice;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::Side;
use super::pipes::{PIPE, Pipe, Tools};
use crate::proxy::entrance::Client;

/// What is on its way from one side to the other.
#[derive(Debug)]
pub(super) struct Direction {
    from: Side,
    phase: Phase,
    /// Read, but not yet written.
    pending: Vec<u8>,
    /// The same, within the kernel.
    pipe: Option<Pipe>,
    way: Way,
    /// All bytes that were read.
    pub(super) moved: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Open,
    /// The source has written its last; the target is to hear of it.
    Ended,
    Closed,
}

/// How bytes are moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// Through our memory, until so many come at once.
    Copy { until: usize },
    /// Within the kernel, until so many small pieces have come in a row.
    Splice { small: u8, until: usize },
}

/// Where it went wrong.
#[derive(Debug)]
pub(super) struct Broken {
    /// Which side.
    pub(super) side: Side,
    /// How.
    pub(super) error: io::Error,
}

impl Direction {
    /// `pending` is written ahead of what is read. From `splice_above` bytes at a time on they are
    /// moved within the kernel, if both sides can.
    pub(super) fn new(from: Side, pending: Vec<u8>, splice_above: Option<usize>) -> Direction {
        Direction {
            from,
            phase: Phase::Open,
            pending,
            pipe: None,
            way: Way::Copy {
                until: splice_above.unwrap_or(usize::MAX),
            },
            moved: 0,
        }
    }

    /// Whether the last of it was written.
    pub(super) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Moves what can be moved. Ready means that the source has ended and the target heard of it.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Client,
        to: &mut Client,
        tools: &Tools,
    ) -> Poll<Result<(), Broken>> {
        for _ in 0..TURNS {
            ready!(self.poll_write(context, to, tools))
                .map_err(|error| self.broken(self.from.other(), error))?;
            match self.phase {
                Phase::Open => ready!(self.poll_read(context, from, to, tools))?,
                Phase::Ended => {
                    // Who has gone meanwhile needs not hear of it.
                    let _gone = ready!(Pin::new(&mut *to).poll_shutdown(context));
                    self.phase = Phase::Closed;
                }
                Phase::Closed => return Poll::Ready(Ok(())),
            }
        }
        // Others have their turn; this connection has its next after them.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Gives back what this direction holds of what all share.
    pub(super) fn give_back(&mut self, tools: &Tools) {
        if let Some(pipe) = self.pipe.take() {
            tools.give_back(pipe);
        }
    }

    /// Writes what was read before.
    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        to: &mut Client,
        tools: &Tools,
    ) -> Poll<io::Result<()>> {
        if let (Some(pipe), Some(socket)) = (&mut self.pipe, to.plain()) {
            while pipe.held > 0 {
                ready!(socket.poll_write_ready(context))?;
                let write = |socket: std::os::fd::BorrowedFd<'_>| {
                    splice(pipe.reader.as_fd(), socket, pipe.held)
                };
                match socket.try_io(Interest::WRITABLE, write) {
                    Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Ok(count) => pipe.held -= count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            self.give_back(tools);
        }
        let mut written = 0;
        while written < self.pending.len() {
            let rest = &self.pending[written..];
            match Pin::new(&mut *to).poll_write(context, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => written += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.pending.drain(..written);
                    return Poll::Pending;
                }
            }
        }
        if written > 0 {
            self.pending = Vec::new();
        }
        Pin::new(to).poll_flush(context)
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Client,
        to: &mut Client,
        tools: &Tools,
    ) -> Poll<Result<(), Broken>> {
        if let (Way::Splice { .. }, Some(socket)) = (self.way, from.plain()) {
            match tools.pipe() {
                Ok(pipe) => return self.poll_splice(context, socket, pipe, tools),
                // No descriptors are left for one: copying needs none.
                Err(_) => self.way = Way::Copy { until: usize::MAX },
            }
        }
        tools.with_buffer(|buffer| self.poll_copy(context, from, to, buffer))
    }

    fn poll_copy(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Client,
        to: &mut Client,
        buffer: &mut [u8],
    ) -> Poll<Result<(), Broken>> {
        let mut read = ReadBuf::new(buffer);
        if let Err(error) = ready!(Pin::new(&mut *from).poll_read(context, &mut read)) {
            // Many clients leave TLS without a word. A reset could cost the worker what it has not read
            // yet, so that they are taken to have said their last.
            if error.kind() != io::ErrorKind::UnexpectedEof {
                return Poll::Ready(Err(self.broken(self.from, error)));
            }
        }
        let bytes = read.filled();
        if bytes.is_empty() {
            self.phase = Phase::Ended;
            return Poll::Ready(Ok(()));
        }
        self.moved += bytes.len() as u64;
        if let Way::Copy { until } = self.way
            && bytes.len() >= until
            && from.plain().is_some()
            && to.plain().is_some()
        {
            self.way = Way::Splice { small: 0, until };
        }
        let written = match Pin::new(to).poll_write(context, bytes) {
            Poll::Ready(Ok(count)) => count,
            Poll::Ready(Err(error)) => {
                return Poll::Ready(Err(self.broken(self.from.other(), error)));
            }
            Poll::Pending => 0,
        };
        self.pending.extend_from_slice(&bytes[written..]);
        Poll::Ready(Ok(()))
    }

    fn poll_splice(
        &mut self,
        context: &mut Context<'_>,
        from: &crate::edge::stream::Stream,
        mut pipe: Pipe,
        tools: &Tools,
    ) -> Poll<Result<(), Broken>> {
        let moved = loop {
            match from.poll_read_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(self.broken(self.from, error)));
                }
                Poll::Pending => {
                    tools.give_back(pipe);
                    return Poll::Pending;
                }
            }
            let read =
                |socket: std::os::fd::BorrowedFd<'_>| splice(socket, pipe.writer.as_fd(), PIPE);
            match from.try_io(Interest::READABLE, read) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    // Some kinds of sockets cannot.
                    self.way = Way::Copy { until: usize::MAX };
                    tools.give_back(pipe);
                    return Poll::Ready(Ok(()));
                }
                Err(error) => return Poll::Ready(Err(self.broken(self.from, error))),
            }
        };
        if moved == 0 {
            self.phase = Phase::Ended;
        }
        self.moved += moved as u64;
        self.way = self.way.after(moved);
        pipe.held = moved;
        self.pipe = Some(pipe);
        Poll::Ready(Ok(()))
    }

    fn broken(&self, side: Side, error: io::Error) -> Broken {
        Broken { side, error }
    }
}

impl Way {
    /// Moving within the kernel costs a call more each time, which pays for what is not small.
    fn after(self, moved: usize) -> Way {
        match self {
            Way::Splice { until, .. } if moved >= SMALL => Way::Splice { small: 0, until },
            Way::Splice { small, until } if small + 1 < PATIENCE => Way::Splice {
                small: small + 1,
                until,
            },
            Way::Splice { until, .. } | Way::Copy { until } => Way::Copy { until },
        }
    }
}

/// How many pieces one direction moves before others have their turn.
const TURNS: usize = 16;

/// What is shorter is cheaper to copy.
const SMALL: usize = 8 * 1024;

/// So many small pieces in a row, and they are copied again.
const PATIENCE: u8 = 4;
