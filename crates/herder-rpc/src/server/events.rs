//! Events for any number of subscribers: the last ones are kept for those that come back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use herder_wire::rpc::{CallError, ErrorKind, Executed, ItemKind, Position};
use serde::Serialize;
use tokio::sync::{Notify, watch};

use super::{Feed, Sink};
use crate::codec::Shared;

/// What becomes of a subscriber that has not taken an event when its place is needed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SlowReader {
    /// It misses the event, and is told how many it has missed.
    #[default]
    DropOldest,
    /// Its stream ends as `overloaded`.
    Disconnect,
    /// [`EventSource::publish`] waits for it.
    Block,
}

/// Events in order, the last ones of which are kept.
///
/// Each event is written once for all subscribers, and a subscriber costs a number: where it is.
/// So memory is bounded by the events that are kept, however slow the subscribers are.
#[derive(Debug)]
pub struct EventSource<T> {
    ring: Arc<Ring<T>>,
}

#[derive(Debug)]
struct Ring<T> {
    kept: usize,
    policy: SlowReader,
    state: Mutex<State<T>>,
    last: watch::Sender<u64>,
    /// Told when a blocking reader went on.
    went_on: Notify,
}

#[derive(Debug)]
struct State<T> {
    events: VecDeque<Arc<Shared<T>>>,
    /// Number of the newest event.
    last: u64,
    /// Where the readers are that publishing waits for.
    readers: HashMap<u64, u64>,
    next_reader: u64,
}

impl<T> Clone for EventSource<T> {
    fn clone(&self) -> Self {
        Self {
            ring: Arc::clone(&self.ring),
        }
    }
}

impl<T: Serialize + Send + Sync + 'static> EventSource<T> {
    /// A source that keeps the last `kept` events, at least one.
    #[must_use]
    pub fn new(kept: usize, policy: SlowReader) -> Self {
        let state = State {
            events: VecDeque::new(),
            last: 0,
            readers: HashMap::new(),
            next_reader: 0,
        };
        let ring = Ring {
            kept: kept.max(1),
            policy,
            state: Mutex::new(state),
            last: watch::Sender::new(0),
            went_on: Notify::new(),
        };
        Self {
            ring: Arc::new(ring),
        }
    }

    /// Publishes an event and returns its number. With [`SlowReader::Block`] it waits until every
    /// subscriber has taken the event whose place is needed.
    pub async fn publish(&self, event: T) -> u64 {
        let mut event = event;
        loop {
            let went_on = self.ring.went_on.notified();
            tokio::pin!(went_on);
            went_on.as_mut().enable();
            match self.try_publish(event) {
                Ok(seq) => return seq,
                Err(refused) => event = refused,
            }
            went_on.await;
        }
    }

    /// Publishes an event unless it had to wait for a subscriber.
    ///
    /// # Errors
    ///
    /// The event, with [`SlowReader::Block`] only.
    pub fn try_publish(&self, event: T) -> Result<u64, T> {
        let mut state = self.ring.state();
        if state.events.len() >= self.ring.kept {
            let oldest = state.oldest();
            if state.readers.values().any(|reader| *reader < oldest) {
                return Err(event);
            }
            state.events.pop_front();
        }
        state.last += 1;
        state.events.push_back(Arc::new(Shared::new(event)));
        let seq = state.last;
        // While the lock is held: the numbers never go back.
        self.ring.last.send_replace(seq);
        drop(state);
        Ok(seq)
    }

    /// Number of the newest event; 0 when there was none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.ring.state().last
    }

    /// How many subscribers there are.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.ring.last.receiver_count()
    }

    /// All events from now on, or from where the subscriber was.
    #[must_use]
    pub fn feed(&self) -> Feed<T> {
        self.feed_where(|_event| true)
    }

    /// The events that `wanted` says yes to.
    #[must_use]
    pub fn feed_where(&self, wanted: impl Fn(&T) -> bool + Send + Sync + 'static) -> Feed<T> {
        let ring = Arc::clone(&self.ring);
        // Subscribed from here on: what is published before the feed runs is in it.
        let from = ring.state().last;
        let changed = ring.last.subscribe();
        Feed::new(async move |sink| {
            let (reader, gap) = Reader::new(ring, sink.resume(), sink.epoch(), from);
            feed(reader, changed, wanted, (sink, gap)).await
        })
    }
}

async fn feed<T: Serialize + Send + Sync + 'static>(
    mut reader: Reader<T>,
    mut changed: watch::Receiver<u64>,
    wanted: impl Fn(&T) -> bool + Send + Sync,
    (mut sink, gap): (Sink, Option<Gap>),
) -> Result<(), CallError> {
    sink.open(reader.seq);
    if let Some(gap) = gap {
        sink.gap(gap.reason, gap.missed);
    }
    loop {
        tokio::select! {
            biased;
            () = sink.ready() => {}
            error = reader.lost(&mut changed) => return Err(error),
        }
        changed.mark_unchanged();
        match reader.next(&wanted) {
            Step::Event(event) => {
                let body = event.body(sink.codec())?;
                sink.put(ItemKind::Item, reader.seq, body)?;
            }
            Step::Missed(missed) => {
                sink.set_seq(reader.seq);
                sink.gap("the subscriber was too slow", Some(missed));
            }
            Step::TooSlow => return Err(too_slow()),
            // The source is held by this reader, so the channel stays open.
            Step::Nothing => drop(changed.changed().await),
        }
    }
}

/// One subscriber.
#[derive(Debug)]
struct Reader<T> {
    ring: Arc<Ring<T>>,
    /// The last event that it has seen.
    seq: u64,
    /// Its number among those that publishing waits for.
    number: Option<u64>,
}

/// Why a subscriber cannot go on where it was.
#[derive(Debug)]
struct Gap {
    reason: &'static str,
    missed: Option<u64>,
}

enum Step<T> {
    Event(Arc<Shared<T>>),
    Missed(u64),
    TooSlow,
    Nothing,
}

impl<T> Reader<T> {
    /// A reader that goes on after `resume`, or begins after `from`.
    fn new(
        ring: Arc<Ring<T>>,
        resume: Option<Position>,
        epoch: u64,
        from: u64,
    ) -> (Self, Option<Gap>) {
        let mut state = ring.state();
        let before_oldest = state.oldest() - 1;
        let (seq, gap) = match resume {
            None => (from.max(before_oldest), None),
            Some(resume) if resume.epoch != epoch || resume.seq > state.last => {
                let reason = "the library was started anew";
                (
                    before_oldest,
                    Some(Gap {
                        reason,
                        missed: None,
                    }),
                )
            }
            Some(resume) if resume.seq < before_oldest => {
                let missed = Some(before_oldest - resume.seq);
                (
                    before_oldest,
                    Some(Gap {
                        reason: "the subscriber was away too long",
                        missed,
                    }),
                )
            }
            Some(resume) => (resume.seq, None),
        };
        let number = (ring.policy == SlowReader::Block).then(|| {
            let number = state.next_reader;
            state.next_reader += 1;
            state.readers.insert(number, seq);
            number
        });
        drop(state);
        (Self { ring, seq, number }, gap)
    }

    fn next(&mut self, wanted: impl Fn(&T) -> bool) -> Step<T>
    where
        T: Serialize,
    {
        let mut state = self.ring.state();
        let before_oldest = state.oldest() - 1;
        if self.seq < before_oldest {
            if self.ring.policy == SlowReader::Disconnect {
                return Step::TooSlow;
            }
            let missed = before_oldest - self.seq;
            self.seq = before_oldest;
            return Step::Missed(missed);
        }
        let skipped = usize::try_from(self.seq - before_oldest).unwrap_or(usize::MAX);
        let found = state
            .events
            .iter()
            .skip(skipped)
            .position(|event| wanted(event.value()));
        let step = match found {
            Some(place) => {
                self.seq += place as u64 + 1;
                Step::Event(Arc::clone(&state.events[skipped + place]))
            }
            None => {
                self.seq = state.last;
                Step::Nothing
            }
        };
        if let Some(reader) = self
            .number
            .and_then(|number| state.readers.get_mut(&number))
        {
            *reader = self.seq;
            drop(state);
            self.ring.went_on.notify_waiters();
        }
        step
    }

    /// Ends when the reader is too slow and must go for it.
    async fn lost(&self, changed: &mut watch::Receiver<u64>) -> CallError {
        if self.ring.policy != SlowReader::Disconnect {
            return std::future::pending().await;
        }
        loop {
            if self.seq < self.ring.state().oldest() - 1 {
                return too_slow();
            }
            drop(changed.changed().await);
        }
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.ring.state().readers.remove(&number);
            self.ring.went_on.notify_waiters();
        }
    }
}

impl<T> Ring<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Number of the oldest event that is kept, or of the next when none is.
    fn oldest(&self) -> u64 {
        self.last + 1 - self.events.len() as u64
    }
}

fn too_slow() -> CallError {
    let message = "the subscriber was too slow for the events";
    CallError::new(ErrorKind::Overloaded, Executed::Yes, message)
}
