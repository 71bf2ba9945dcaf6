//! What one subscription holds, over all its connections.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use herder_wire::rpc::{CallError, Codec, ItemKind, Position};
use serde::Deserialize;

use super::link::Link;
use super::options::StreamOptions;
use super::place::{Continuity, Place};
use super::plan::Plan;

/// One subscription: what came and was not taken, and where to go on.
pub(super) struct StreamCore {
    pub(super) plan: Box<dyn Plan>,
    /// How long the library may take to open it, when the method does not say.
    pub(super) opening: Option<Duration>,
    credits: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    place: Place,
    items: VecDeque<Received>,
    /// Values among the items: they hold credit.
    values: u32,
    /// Values that were taken since credit was given last.
    taken: u32,
    phase: Phase,
    /// Where its frames come from.
    on: Option<(Weak<Link>, u64)>,
    /// The gap at the new opening was told; the library's own word of it would be a second.
    told_gap: bool,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
enum Phase {
    /// Over; the error is for the consumer.
    Ended(Option<CallError>),
    /// It was open at least once.
    Open,
    #[default]
    Opening,
}

/// What came, as it came.
#[derive(Debug)]
pub(super) enum Received {
    Gap {
        reason: String,
        missed: Option<u64>,
    },
    Item {
        seq: u64,
        codec: Codec,
        value: Bytes,
    },
    Snapshot {
        codec: Codec,
        value: Bytes,
    },
    SnapshotEnd,
}

/// What to do after the consumer took something.
pub(super) struct Taken {
    pub(super) item: Received,
    /// Credit that the library is due, where.
    pub(super) credit: Option<(Arc<Link>, u64, u32)>,
}

/// The library sent more than it had credit for.
pub(super) struct Overrun;

impl StreamCore {
    pub(super) fn new(plan: Box<dyn Plan>, options: &StreamOptions) -> Self {
        Self {
            plan,
            opening: options.deadline,
            credits: options.credits.max(1),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream belongs to this connection now, under this number. The answer: how much credit
    /// it has there and where it goes on; nothing when it is over or there already.
    pub(super) fn attach(&self, link: &Arc<Link>, id: u64) -> Option<(u32, Position)> {
        let mut state = self.lock();
        let is_elsewhere = state
            .on
            .as_ref()
            .is_some_and(|(on, _)| on.strong_count() > 0);
        if is_elsewhere || matches!(state.phase, Phase::Ended(_)) {
            return None;
        }
        state.on = Some((Arc::downgrade(link), id));
        state.taken = 0;
        state.told_gap = false;
        Some((
            self.credits.saturating_sub(state.values),
            state.place.resume(),
        ))
    }

    /// Takes the stream from another connection than `link`, to be cancelled there.
    pub(super) fn leave_other(&self, link: &Arc<Link>) -> Option<(Arc<Link>, u64)> {
        let mut state = self.lock();
        let (on, id) = state.on.as_ref()?;
        if std::ptr::eq(on.as_ptr(), Arc::as_ptr(link)) {
            return None;
        }
        let other = on.upgrade().map(|other| (other, *id));
        state.on = None;
        other
    }

    /// The connection is gone.
    pub(super) fn detach(&self, link: &Link) {
        let mut state = self.lock();
        if state
            .on
            .as_ref()
            .is_some_and(|(on, _)| std::ptr::eq(on.as_ptr(), link))
        {
            state.on = None;
        }
    }

    /// The library opened the stream.
    pub(super) fn opened(&self, position: Position) -> Option<Waker> {
        let mut state = self.lock();
        let continuity = state.place.opened(position);
        if matches!(state.phase, Phase::Opening) {
            state.phase = Phase::Open;
        }
        let reason = match continuity {
            Continuity::Whole => None,
            Continuity::Restarted => Some("the library started again"),
            Continuity::Forgotten => Some("the library no longer holds what came in between"),
            Continuity::Interrupted => Some("the snapshot was interrupted and begins again"),
        };
        if let Some(reason) = reason {
            state.told_gap = true;
            state.items.push_back(Received::Gap {
                reason: reason.to_owned(),
                missed: None,
            });
        }
        state.waker.take()
    }

    /// An item came.
    pub(super) fn item(
        &self,
        seq: u64,
        kind: ItemKind,
        (codec, value): (Codec, Bytes),
    ) -> Result<Option<Waker>, Overrun> {
        let mut state = self.lock();
        let told_gap = std::mem::take(&mut state.told_gap);
        let received = match kind {
            ItemKind::Item => {
                state.place.item(seq);
                Received::Item { seq, codec, value }
            }
            ItemKind::Snapshot => {
                state.place.snapshot();
                Received::Snapshot { codec, value }
            }
            ItemKind::SnapshotEnd => {
                state.place.snapshot_end(seq);
                Received::SnapshotEnd
            }
            ItemKind::Gap => {
                state.place.item(seq);
                if told_gap {
                    return Ok(None);
                }
                read_gap(&value)
            }
        };
        if received.is_value() {
            if state.values >= self.credits {
                return Err(Overrun);
            }
            state.values += 1;
        }
        state.items.push_back(received);
        Ok(state.waker.take())
    }

    /// The stream is over; what came before is still for the consumer.
    pub(super) fn end(&self, error: Option<CallError>) -> Option<Waker> {
        let mut state = self.lock();
        state.on = None;
        if !matches!(state.phase, Phase::Ended(_)) {
            state.phase = Phase::Ended(error);
        }
        state.waker.take()
    }

    /// Gives the stream up. The answer: where it is to be cancelled.
    pub(super) fn abandon(&self) -> Option<(Arc<Link>, u64)> {
        let mut state = self.lock();
        state.phase = Phase::Ended(None);
        state.items.clear();
        let (link, id) = state.on.take()?;
        Some((link.upgrade()?, id))
    }

    /// The next of what came.
    pub(super) fn take(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Taken, CallError>>> {
        let mut state = self.lock();
        if let Some(item) = state.items.pop_front() {
            let credit = if item.is_value() {
                self.credit(&mut state)
            } else {
                None
            };
            return Poll::Ready(Some(Ok(Taken { item, credit })));
        }
        match &mut state.phase {
            Phase::Ended(error) => Poll::Ready(error.take().map(Err)),
            Phase::Open | Phase::Opening => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Whether the library has opened it; an error when it is over without having been.
    pub(super) fn poll_opened(&self, cx: &mut Context<'_>) -> Poll<Result<Position, CallError>> {
        let mut state = self.lock();
        match &mut state.phase {
            Phase::Ended(Some(error)) => Poll::Ready(Err(error.clone())),
            Phase::Open | Phase::Ended(None) => Poll::Ready(Ok(state.place.resume())),
            Phase::Opening => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Whether the library never opened it yet.
    pub(super) fn is_opening(&self) -> bool {
        matches!(self.lock().phase, Phase::Opening)
    }

    fn credit(&self, state: &mut State) -> Option<(Arc<Link>, u64, u32)> {
        state.values = state.values.saturating_sub(1);
        state.taken += 1;
        // In halves: one frame for many items, and the library never runs dry meanwhile.
        if state.taken < self.credits.div_ceil(2) {
            return None;
        }
        let (link, id) = state.on.as_ref()?;
        let due = (link.upgrade()?, *id, state.taken);
        state.taken = 0;
        Some(due)
    }
}

impl fmt::Debug for StreamCore {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (object, method) = self.plan.names();
        write!(out, "StreamCore({object}.{method})")
    }
}

impl Received {
    fn is_value(&self) -> bool {
        matches!(self, Self::Item { .. } | Self::Snapshot { .. })
    }
}

fn read_gap(body: &[u8]) -> Received {
    #[derive(Deserialize)]
    struct Told {
        #[serde(default)]
        reason: String,
        #[serde(default)]
        missed: Option<u64>,
    }
    let told = serde_json::from_slice::<Told>(body);
    let told = told.unwrap_or(Told {
        reason: String::new(),
        missed: None,
    });
    Received::Gap {
        reason: told.reason,
        missed: told.missed,
    }
}
