//! One timer for all the time limits of a connection.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline that moves with every step. The runtime's timer is only touched when it is too late
/// for the deadline, or rings too early: most deadlines are never met. And what does not have to wait
/// costs no look at the time.
pub(super) struct Clock {
    /// None before anybody has waited.
    sleep: Option<Pin<Box<Sleep>>>,
    limit: Limit,
}

#[derive(Clone, Copy)]
enum Limit {
    None,
    /// So long, from the next wait on.
    Span(Duration),
    Deadline(Instant),
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock {
            sleep: None,
            limit: Limit::None,
        }
    }

    /// From now on there is so much time, which is the next time that somebody waits for it; without
    /// end, if it is zero.
    pub(super) fn allow(&mut self, span: Duration) {
        self.limit = if span.is_zero() {
            Limit::None
        } else {
            Limit::Span(span)
        };
    }

    /// From now on there is no limit.
    pub(super) fn rest(&mut self) {
        self.limit = Limit::None;
    }

    /// Ready when the time is over.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let deadline = match self.limit {
            Limit::None => return Poll::Pending,
            Limit::Span(span) => Instant::now() + span,
            Limit::Deadline(deadline) => deadline,
        };
        self.limit = Limit::Deadline(deadline);
        let new = || Box::pin(sleep_until(deadline));
        let sleep = self.sleep.get_or_insert_with(new);
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_may_move_both_ways() {
        let mut clock = Clock::new();
        let begin = Instant::now();
        clock.allow(Duration::from_secs(60));
        let _begun = futures_poll(&mut clock).await;
        clock.allow(Duration::from_secs(10));
        poll_fn(|context| clock.poll(context)).await;
        assert_eq!(begin.elapsed().as_secs(), 10);
        clock.allow(Duration::from_secs(5));
        let _begun = futures_poll(&mut clock).await;
        clock.allow(Duration::from_secs(20));
        poll_fn(|context| clock.poll(context)).await;
        assert_eq!(begin.elapsed().as_secs(), 30);
        clock.allow(Duration::ZERO);
        assert!(futures_poll(&mut clock).await.is_pending());
    }

    async fn futures_poll(clock: &mut Clock) -> Poll<()> {
        poll_fn(|context| Poll::Ready(clock.poll(context))).await
    }
}
