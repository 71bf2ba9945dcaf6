//! The worker's connections as a stream.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::asynchronous::connection::AsyncConnection;
use crate::asynchronous::listener::Listener;

type Accepting = Pin<Box<dyn Future<Output = io::Result<Option<AsyncConnection>>> + Send>>;

/// The worker's connections, one after the other: [`Listener::incoming`].
///
/// It ends when the worker comes to its end, or after an error.
pub struct Incoming {
    listener: Listener,
    state: State,
}

enum State {
    Idle,
    Accepting(Accepting),
    Over,
}

impl Incoming {
    pub(crate) fn new(listener: Listener) -> Incoming {
        Incoming {
            listener,
            state: State::Idle,
        }
    }
}

impl Stream for Incoming {
    type Item = io::Result<AsyncConnection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let next = match &mut self.state {
                State::Accepting(accepting) => ready!(accepting.as_mut().poll(context)),
                State::Over => return Poll::Ready(None),
                State::Idle => {
                    let listener = self.listener.clone();
                    self.state = State::Accepting(Box::pin(async move { listener.accept().await }));
                    continue;
                }
            };
            self.state = match next {
                Ok(Some(_)) => State::Idle,
                Ok(None) | Err(_) => State::Over,
            };
            return Poll::Ready(next.transpose());
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}
