//! Both directions of a connection, until both have ended, one is broken, or nothing came for too long.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::direction::{Broken, Direction};
use super::pipes::Tools;
use super::{Finish, Side};
use crate::proxy::entrance::Client;

/// A connection that goes on.
pub(super) struct Relay {
    client: Client,
    worker: Client,
    up: Direction,
    down: Direction,
    tools: Tools,
    splice_above: Option<usize>,
}

/// How connections are treated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    /// A connection is over after so much silence.
    pub(super) idle: Option<Duration>,
    /// From so many bytes at a time on they are moved within the kernel.
    pub(super) splice_above: Option<usize>,
}

impl Relay {
    /// Joins a client and its worker, who reads `greeting` first.
    pub(super) fn new(
        client: Client,
        worker: Client,
        greeting: Vec<u8>,
        habits: Habits,
        tools: Tools,
    ) -> Relay {
        Relay {
            client,
            worker,
            up: Direction::new(Side::Client, greeting, habits.splice_above),
            down: Direction::new(Side::Worker, Vec::new(), habits.splice_above),
            tools,
            splice_above: habits.splice_above,
        }
    }

    /// The client reads `answer` first.
    pub(super) fn with_answer(mut self, answer: Vec<u8>) -> Relay {
        self.down = Direction::new(Side::Worker, answer, self.splice_above);
        self
    }

    /// Goes on until the end. Whoever is still there then learns how it ended, by the end of the
    /// connection or by a reset.
    pub(super) async fn run(mut self, idle: Option<Duration>) -> Finish {
        let finish = match idle {
            None => poll_fn(|context| self.poll(context)).await,
            Some(idle) => self.run_until_idle(idle).await,
        };
        if let Finish::Broken { side, .. } = &finish {
            // What came is not all that was sent: the other side must not take it for that.
            let other = match side {
                Side::Client => &mut self.worker,
                Side::Worker => &mut self.client,
            };
            other.reset();
        }
        finish
    }

    async fn run_until_idle(&mut self, idle: Duration) -> Finish {
        let mut timer = pin!(sleep_until(Instant::now() + idle));
        let mut last = Instant::now();
        let mut armed = Armed::No;
        poll_fn(|context| {
            let before = self.moved();
            if let Poll::Ready(finish) = self.poll(context) {
                return Poll::Ready(finish);
            }
            let now = Instant::now();
            if self.moved() != before {
                last = now;
            }
            if matches!(armed, Armed::No) || now >= timer.deadline() {
                armed = Armed::Yes;
                return expired(context, timer.as_mut(), last + idle);
            }
            Poll::Pending
        })
        .await
    }

    fn moved(&self) -> u64 {
        self.up.moved.wrapping_add(self.down.moved)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Finish> {
        let Relay {
            client,
            worker,
            up,
            down,
            tools,
            ..
        } = self;
        let sides = [
            up.poll(context, client, worker, tools),
            down.poll(context, worker, client, tools),
        ];
        for polled in sides {
            if let Poll::Ready(Err(Broken { side, error })) = polled {
                return Poll::Ready(Finish::Broken { side, error });
            }
        }
        if self.up.is_closed() && self.down.is_closed() {
            return Poll::Ready(Finish::Whole);
        }
        Poll::Pending
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.up.give_back(&self.tools);
        self.down.give_back(&self.tools);
    }
}

enum Armed {
    No,
    Yes,
}

/// Sets the timer anew where something came since. It is not touched for every piece: most
/// connections are never idle for long enough.
fn expired(
    context: &mut Context<'_>,
    mut timer: Pin<&mut Sleep>,
    deadline: Instant,
) -> Poll<Finish> {
    if timer.deadline() < deadline {
        timer.as_mut().reset(deadline);
    }
    match timer.poll(context) {
        Poll::Ready(()) => Poll::Ready(Finish::Idle),
        Poll::Pending => Poll::Pending,
    }
}

impl Finish {
    /// Whether it was the worker who broke it.
    pub(super) fn is_the_workers_fault(&self) -> bool {
        matches!(self, Finish::Broken { side: Side::Worker, error } if error.kind() != io::ErrorKind::BrokenPipe)
    }
}
