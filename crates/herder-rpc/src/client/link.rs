//! One connection: what is under way on it, and how it ends.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use herder_wire::rpc::{Codec, Delivery, Executed, Frame, Signature, Target, Welcome};
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Notify, Semaphore};

use super::outbox::{Batch, Outbox, Outgoing};
use super::stream::StreamCore;
use super::table::Table;

/// More calls than any library's window; half of the numbers in the table, so that there are some
/// left for streams.
const MOST_CALLS: usize = 1 << 19;

/// What the handshake told of the library.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) welcome: Welcome,
    pub(super) signature: Arc<Signature>,
}

/// One connection to a library, from its welcome to its end.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) facts: Facts,
    pub(super) sink: OwnedWriteHalf,
    /// The library's limit of unanswered calls; closed when new calls must go elsewhere.
    pub(super) calls: Semaphore,
    /// The same of their bytes.
    pub(super) bytes: Semaphore,
    pub(super) began: Instant,
    /// Tells the writer of frames.
    pub(super) written: Notify,
    /// Tells who keeps the connection that no new calls may use it.
    pub(super) left: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) outbox: Outbox,
    /// What the socket did not take yet.
    pub(super) batch: Batch,
    /// The writer has the batch, or was told to look.
    pub(super) is_writing: bool,
    table: Table<Slot>,
}

/// Whether a connection takes calls.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    Gone,
    /// The library is leaving: what is under way is finished, the rest goes elsewhere.
    Leaving,
    Serving,
}

#[derive(Debug)]
enum Slot {
    Call {
        /// Where its frame begins, once it is being written.
        start: Option<u64>,
        answer: Option<Answer>,
        waker: Option<Waker>,
    },
    Stream(Arc<StreamCore>),
}

/// What came of a call.
#[derive(Debug)]
pub(super) enum Answer {
    Error(Bytes),
    Lost {
        executed: Executed,
        reason: Arc<str>,
    },
    Ok {
        codec: Codec,
        value: Bytes,
    },
}

/// Whether anything of a call may have been executed, over all its attempts.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicBool);

impl Progress {
    pub(super) fn perhaps(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn executed(&self) -> Executed {
        if self.0.load(Ordering::Relaxed) {
            Executed::Maybe
        } else {
            Executed::No
        }
    }
}

impl Link {
    pub(super) fn new(sink: OwnedWriteHalf, facts: Facts, now: Instant) -> Self {
        let limits = facts.welcome.limits;
        let permits = |limit: u64, most: usize| {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            Semaphore::new(limit.clamp(1, most))
        };
        Self {
            sink,
            calls: permits(u64::from(limits.calls), MOST_CALLS),
            bytes: permits(limits.bytes, Semaphore::MAX_PERMITS),
            facts,
            began: now,
            written: Notify::new(),
            left: Notify::new(),
            state: Mutex::new(State {
                phase: Phase::Serving,
                outbox: Outbox::default(),
                batch: Batch::default(),
                is_writing: false,
                table: Table::new(),
            }),
        }
    }

    /// The state is consistent between any two statements, so a panic elsewhere harms nothing.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection takes no new calls.
#[derive(Debug)]
pub(super) struct Elsewhere;

/// A call as one connection takes it.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) target: Target,
    pub(super) codec: Codec,
    pub(super) args: Bytes,
    pub(super) key: &'a Bytes,
    pub(super) deadline: Instant,
}

impl Request<'_> {
    /// The length of the frame that carries it, in bytes.
    pub(super) fn frame_length(&self) -> usize {
        self.frame(0, Delivery::Answered).encoded_length()
    }

    fn frame(&self, id: u64, delivery: Delivery) -> Frame {
        Frame::Call {
            id,
            target: self.target,
            // Filled in when it is written.
            deadline_ms: 1,
            key: self.key.clone(),
            delivery,
            codec: self.codec,
            args: self.args.clone(),
        }
    }

    fn outgoing(&self, id: u64, delivery: Delivery) -> Outgoing {
        let frame = self.frame(id, delivery);
        Outgoing {
            frame,
            deadline: Some(self.deadline),
            release: 0,
        }
    }
}

impl Link {
    /// Sends a call; the caller holds its places in the window until the answer is there.
    pub(super) fn call<'a>(
        self: &'a Arc<Self>,
        request: &Request<'_>,
        progress: &'a Progress,
    ) -> Result<InFlight<'a>, Elsewhere> {
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Serving) {
            return Err(Elsewhere);
        }
        let slot = Slot::Call {
            start: None,
            answer: None,
            waker: None,
        };
        let id = state.table.insert(slot).map_err(|_| Elsewhere)?;
        state.outbox.push(request.outgoing(id, Delivery::Answered));
        let alone = state.table.len() == 1;
        self.send(&mut state, alone);
        Ok(InFlight {
            link: self,
            id,
            progress,
            is_over: false,
        })
    }

    /// Sends a call that is not answered; `release` bytes of the window are given back when it is
    /// written.
    pub(super) fn one_way(
        self: &Arc<Self>,
        request: &Request<'_>,
        release: usize,
    ) -> Result<(), Elsewhere> {
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Serving) {
            return Err(Elsewhere);
        }
        // A number that nobody waits for; it must not be that of another call.
        let slot = Slot::Call {
            start: None,
            answer: None,
            waker: None,
        };
        let id = state.table.insert(slot).map_err(|_| Elsewhere)?;
        state.table.remove(id);
        let outgoing = Outgoing {
            release,
            ..request.outgoing(id, Delivery::OneWay)
        };
        state.outbox.push(outgoing);
        self.send(&mut state, false);
        Ok(())
    }

    /// Opens a stream, or opens it again where it was.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        stream: &Arc<StreamCore>,
        request: &Request<'_>,
    ) -> Result<(), Elsewhere> {
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Serving) {
            return Err(Elsewhere);
        }
        let slot = Slot::Stream(Arc::clone(stream));
        let id = state.table.insert(slot).map_err(|_| Elsewhere)?;
        let Some((credits, resume)) = stream.attach(self, id) else {
            state.table.remove(id);
            return Ok(());
        };
        let frame = Frame::Subscribe {
            id,
            target: request.target,
            deadline_ms: 1,
            credits,
            resume,
            codec: request.codec,
            args: request.args.clone(),
        };
        state.outbox.push(Outgoing {
            frame,
            deadline: Some(request.deadline),
            release: 0,
        });
        self.send(&mut state, false);
        Ok(())
    }

    /// The consumer took items: the library may send as many more.
    pub(super) fn credit(&self, id: u64, items: u32) {
        let mut state = self.lock();
        if state.table.get_mut(id).is_some() {
            state.outbox.push(Frame::Credit { id, items });
            self.send(&mut state, false);
        }
    }

    /// Nobody waits for this call or stream any more. The answer: whether it may have left.
    pub(super) fn cancel(&self, id: u64) -> bool {
        let mut state = self.lock();
        let was_there = state.table.remove(id).is_some();
        let left = was_there && !state.outbox.withdraw(id);
        if left && !matches!(state.phase, Phase::Gone) {
            state.outbox.push(Frame::Cancel { id });
            self.send(&mut state, false);
        } else {
            self.tell_if_done(&state);
        }
        left
    }

    /// A question or an answer of the connection itself.
    pub(super) fn push(&self, frame: Frame) {
        let mut state = self.lock();
        state.outbox.push(frame);
        self.send(&mut state, false);
    }

    /// No new calls; the connection ends when what is under way has.
    pub(super) fn leave(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Serving) {
            state.phase = Phase::Leaving;
            self.close_window();
            self.tell_if_done(&state);
        }
    }

    /// The connection is gone: everything under way on it fails now.
    pub(super) fn fail(&self, reason: &str) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Gone) {
            return;
        }
        let reason: Arc<str> = Arc::from(reason);
        state.phase = Phase::Gone;
        let State { table, outbox, .. } = &mut *state;
        let (mut wakers, mut streams) = (Vec::new(), Vec::new());
        for slot in table.values_mut() {
            match slot {
                Slot::Call {
                    start,
                    answer,
                    waker,
                } => {
                    let left = start.is_some_and(|start| outbox.left(start));
                    let executed = if left { Executed::Maybe } else { Executed::No };
                    if answer.is_none() {
                        *answer = Some(Answer::Lost {
                            executed,
                            reason: Arc::clone(&reason),
                        });
                    }
                    wakers.extend(waker.take());
                }
                Slot::Stream(stream) => streams.push(Arc::clone(stream)),
            }
        }
        table.retain(|slot| matches!(slot, Slot::Call { .. }));
        drop(state);
        self.close_window();
        self.written.notify_one();
        wakers.into_iter().for_each(Waker::wake);
        streams.iter().for_each(|stream| stream.detach(self));
    }

    /// Calls and streams under way.
    pub(super) fn under_way(&self) -> usize {
        self.lock().table.len()
    }

    /// Moves what waits into the batch, which is empty.
    pub(super) fn refill(&self, state: &mut State) {
        let State {
            outbox,
            batch,
            table,
            ..
        } = state;
        let release = outbox.take(batch, Instant::now(), |id, begins| {
            if let Some(Slot::Call { start, .. }) = table.get_mut(id) {
                *start = Some(begins);
            }
        });
        if release > 0 {
            self.bytes.add_permits(release);
        }
    }

    /// A caller that is alone writes by itself, which saves it a turn of the writer; with others
    /// around, one write for many is better.
    fn send(&self, state: &mut State, alone: bool) {
        if state.is_writing {
            return;
        }
        if alone {
            self.refill(state);
            if let Ok(count) = self.sink.try_write(state.batch.next()) {
                state.outbox.wrote(count);
                state.batch.advance(count);
            }
            if state.batch.is_empty() && state.outbox.is_idle() {
                return;
            }
        }
        state.is_writing = true;
        self.written.notify_one();
    }

    fn close_window(&self) {
        self.calls.close();
        self.bytes.close();
        self.left.notify_one();
    }

    fn tell_if_done(&self, state: &State) {
        if matches!(state.phase, Phase::Leaving) && state.table.len() == 0 {
            self.written.notify_one();
        }
    }
}

impl State {
    /// Whether a connection that is being left has nothing to do any more.
    pub(super) fn is_done(&self) -> bool {
        match self.phase {
            Phase::Gone => true,
            Phase::Leaving => self.table.len() == 0 && self.outbox.is_idle(),
            Phase::Serving => false,
        }
    }

    /// Takes an answer over; the waker of its caller, when somebody waits.
    pub(super) fn answer(&mut self, id: u64, came: Answer) -> Option<Waker> {
        match self.table.get_mut(id) {
            Some(Slot::Call { answer, waker, .. }) => {
                *answer = Some(came);
                waker.take()
            }
            // A late answer, to a call that nobody waits for.
            Some(Slot::Stream(_)) | None => None,
        }
    }

    /// The stream with this number.
    pub(super) fn stream(&mut self, id: u64) -> Option<Arc<StreamCore>> {
        match self.table.get_mut(id) {
            Some(Slot::Stream(stream)) => Some(Arc::clone(stream)),
            Some(Slot::Call { .. }) | None => None,
        }
    }

    /// The stream with this number, which is over.
    pub(super) fn end_stream(&mut self, id: u64) -> Option<Arc<StreamCore>> {
        let stream = self.stream(id)?;
        self.table.remove(id);
        Some(stream)
    }
}

/// A call that was sent: a future of its answer. Dropped before that, it is cancelled.
#[derive(Debug)]
pub(super) struct InFlight<'a> {
    link: &'a Arc<Link>,
    id: u64,
    progress: &'a Progress,
    is_over: bool,
}

impl Future for InFlight<'_> {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut state = self.link.lock();
        let came = match state.table.get_mut(self.id) {
            Some(Slot::Call { answer, waker, .. }) => {
                if answer.is_none() {
                    *waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                answer.take()
            }
            Some(Slot::Stream(_)) | None => None,
        };
        state.table.remove(self.id);
        self.link.tell_if_done(&state);
        drop(state);
        self.is_over = true;
        Poll::Ready(came.expect("a call is in the table until its answer is taken"))
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.is_over && self.link.cancel(self.id) {
            self.progress.perhaps();
        }
    }
}
