//! What is known of one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What a connection's task, its stream and its responses know of each other.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Requests whose response is not complete.
    in_flight: AtomicU32,
    /// Bytes of a request were read that is not answered.
    unanswered: AtomicBool,
    /// Bytes of a response are not written.
    unwritten: AtomicBool,
    /// The connection ends as soon as it is idle.
    closing: AtomicBool,
    /// It does not carry HTTP any more.
    upgraded: AtomicBool,
}

/// How much of what was to be written has been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// The socket took it.
    Taken,
    /// The socket has no room.
    Waits,
}

impl State {
    pub(super) fn read_some(&self) {
        self.unanswered.store(true, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, written: Written) {
        self.unwritten
            .store(written == Written::Waits, Ordering::Relaxed);
    }

    pub(super) fn close_when_idle(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub(super) fn upgrade(&self) {
        self.upgraded.store(true, Ordering::Release);
    }

    pub(super) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Acquire)
    }

    /// Whether the end of the connection would cut nothing, provided that nothing lies unread.
    pub(super) fn may_end(&self) -> bool {
        self.closing.load(Ordering::Acquire)
            && self.in_flight.load(Ordering::Acquire) == 0
            && !self.unanswered.load(Ordering::Relaxed)
            && !self.unwritten.load(Ordering::Relaxed)
            && !self.is_upgraded()
    }
}

/// A request, from its head to the end of its response.
#[derive(Debug)]
pub(super) struct Exchange {
    state: Arc<State>,
}

impl Exchange {
    pub(super) fn begin(state: &Arc<State>) -> Exchange {
        state.in_flight.fetch_add(1, Ordering::AcqRel);
        Exchange {
            state: Arc::clone(state),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.state.unanswered.store(false, Ordering::Relaxed);
        self.state.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_may_end_when_nothing_is_under_way() {
        let state = Arc::new(State::default());
        assert!(!state.may_end(), "nobody wants it to");
        state.close_when_idle();
        assert!(state.may_end());
        state.read_some();
        assert!(!state.may_end(), "half a head was read");
        let exchange = Exchange::begin(&state);
        assert!(!state.may_end());
        drop(exchange);
        assert!(state.may_end());
        state.wrote(Written::Waits);
        assert!(!state.may_end(), "the response has not left");
        state.wrote(Written::Taken);
        assert!(state.may_end());
        state.upgrade();
        assert!(!state.may_end(), "it is somebody else's now");
    }
}
