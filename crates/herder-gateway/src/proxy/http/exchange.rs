//! One attempt: a request on its way to a worker, and the answer on its way back, at the same time.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use herder_core::proxy::Failure;
use herder_core::proxy::retry::Received;
use tokio::time::Instant;

use crate::edge::stream::{Peer, Stream};
use crate::proxy::backends::Backends;
use crate::proxy::http::answer::{Answer, Circumstances, NoAnswer};
use crate::proxy::http::bad::{After, Bad};
use crate::proxy::http::chunks::ChunkFault;
use crate::proxy::http::clock::Clock;
use crate::proxy::http::inbox::poll_read_some;
use crate::proxy::http::pipe::{Framing, Pipe, Retain, Stop};
use crate::proxy::http::request::Version;
use crate::proxy::http::scan::{Limits, Scan};

/// What a client may send ahead of the answer, in bytes.
const AHEAD: usize = 16 * 1024;

/// Most interim answers to one request.
const MOST_INTERIM: usize = 64;

/// A time limit that may begin a moment later, which is [`COUNTS_EVERY`](crate::proxy::backends::COUNTS_EVERY).
const LONG: Duration = Duration::from_secs(5);

/// How a request is treated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    pub(super) answer: Limits,
    pub(super) body_timeout: Duration,
    pub(super) response_timeout: Duration,
    /// Bytes a second.
    pub(super) body_rate: u32,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The client went away.
    ClientGone,
    /// What the client sent is refused.
    Request(Bad),
    /// The worker did not do its part.
    Worker {
        failure: Failure,
        /// How it went on: "closed the connection".
        how: String,
    },
}

/// One attempt.
pub(super) struct Exchange<'a, S> {
    pub(super) client: &'a mut S,
    /// What was read from the client.
    pub(super) ahead: &'a mut BytesMut,
    pub(super) up: &'a mut Pipe,
    pub(super) clock: &'a mut Clock,
    pub(super) habits: Habits,
    /// Know when it is time to look at what nobody watches.
    pub(super) backends: &'a Backends,
    pub(super) worker: Stream,
    /// What was read from the worker.
    pub(super) inbox: BytesMut,
    /// Whether the request is still going to the worker.
    pub(super) upload: Upload,
    /// When the request was first waited for.
    pub(super) begun: Option<Instant>,
    pub(super) received: Received,
}

/// What becomes of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upload {
    GoesOn,
    /// All of it was written.
    Over,
    /// The worker takes no more of it.
    Refused,
}

/// Whether a client was looked at.
enum Look {
    Taken,
    Later,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Client,
    Worker,
}

impl<S: Peer> Exchange<'_, S> {
    /// Sends the request, until the answer's head is there; interim answers are passed on.
    pub(super) async fn answer(
        &mut self,
        circumstances: Circumstances<'_>,
        out: &mut BytesMut,
    ) -> Result<Answer, Failed> {
        for _ in 0..MOST_INTERIM {
            out.clear();
            let length = self.head().await?;
            let mut circumstances = circumstances;
            if self.upload == Upload::Refused {
                // Where the next request begins nobody will know.
                circumstances.after = After::Close;
            }
            circumstances.is_early = self.upload == Upload::GoesOn && !self.up.is_read();
            let answer = Answer::read(&self.inbox[..length], circumstances, out);
            let answer = answer.map_err(|fault| malformed(&fault))?;
            self.inbox.advance(length);
            if !answer.is_interim() {
                if self.upload == Upload::Over {
                    // Nobody else will have this request.
                    self.up.finish(self.ahead);
                }
                return Ok(answer);
            }
            if circumstances.request.version == Version::Http11 {
                self.pass_on(std::mem::take(out)).await?;
            }
        }
        Err(malformed(&NoAnswer::Head(
            "it has too many interim answers",
        )))
    }

    /// Waits for a whole head.
    async fn head(&mut self) -> Result<usize, Failed> {
        let mut scan = Scan::default();
        let mut later = pin!(self.backends.later());
        self.allow(Waiting::Worker);
        poll_fn(|context| {
            self.poll_upload(context)?;
            if let Poll::Ready(length) = self.poll_head(context, &mut scan)? {
                return Poll::Ready(Ok(length));
            }
            match self.poll_client(context, later.as_mut())? {
                Look::Taken => self.poll_clock(context, Waiting::Worker),
                Look::Later => self.poll_spared_clock(context, Waiting::Worker),
            }
        })
        .await
    }

    /// Passes on an interim answer.
    async fn pass_on(&mut self, head: BytesMut) -> Result<(), Failed> {
        let mut down = Pipe::new(head, Framing::Length(0), Retain::No);
        self.relay(&mut down).await.map(|_| ())
    }

    /// Passes on the answer. What is left then of a request that goes on is not waited for.
    pub(super) async fn body(&mut self, down: &mut Pipe) -> Result<(), Failed> {
        self.relay(down).await
    }

    async fn relay(&mut self, down: &mut Pipe) -> Result<(), Failed> {
        let mut last = None;
        let mut later = pin!(self.backends.later());
        poll_fn(|context| {
            self.poll_upload(context)?;
            let polled = down.poll(context, &mut self.inbox, &mut self.worker, self.client);
            match polled {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(stop)) => return Poll::Ready(Err(stopped(&stop))),
                Poll::Pending => {}
            }
            let waiting = match (down.is_held_up(), self.upload) {
                (true, _) | (_, Upload::GoesOn) => Waiting::Client,
                (false, Upload::Over | Upload::Refused) => Waiting::Worker,
            };
            let now = Some((waiting, down.written + self.up.written));
            // Streams may be silent for as long as they like.
            if waiting == Waiting::Worker && !down.has_length() {
                self.clock.rest();
                last = None;
            } else if last != now {
                // Each side has all of its time, whatever the other one took.
                last = now;
                self.allow(waiting);
            }
            match self.poll_client(context, later.as_mut())? {
                Look::Taken => self.poll_clock(context, waiting),
                Look::Later => self.poll_spared_clock(context, waiting),
            }
        })
        .await
    }

    /// Sends what there is of the request.
    fn poll_upload(&mut self, context: &mut Context<'_>) -> Result<(), Failed> {
        if self.upload != Upload::GoesOn {
            return Ok(());
        }
        let before = self.up.written;
        let polled = self
            .up
            .poll(context, self.ahead, self.client, &mut self.worker);
        match polled {
            Poll::Pending if self.up.written > before => self.allow(Waiting::Client),
            Poll::Pending => {}
            Poll::Ready(Ok(())) => {
                self.upload = Upload::Over;
                self.allow(Waiting::Worker);
            }
            // Whoever refuses a body may have said why.
            Poll::Ready(Err(Stop::Write)) => self.upload = Upload::Refused,
            Poll::Ready(Err(Stop::Read(_) | Stop::Early)) => return Err(Failed::ClientGone),
            Poll::Ready(Err(Stop::Fault(ChunkFault::TooLarge(most)))) => {
                return Err(Failed::Request(Bad::TooLarge(most)));
            }
            Poll::Ready(Err(Stop::Fault(fault))) => {
                return Err(Failed::Request(Bad::Body(fault)));
            }
        }
        Ok(())
    }

    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        scan: &mut Scan,
    ) -> Poll<Result<usize, Failed>> {
        loop {
            match scan.look(&self.inbox, self.habits.answer) {
                Ok(Some(length)) => return Poll::Ready(Ok(length)),
                Ok(None) => {}
                Err(fault) => {
                    let how = format!("gave an answer that is no HTTP: {fault}");
                    return Poll::Ready(Err(broken(how)));
                }
            }
            match poll_read_some(&mut self.worker, context, &mut self.inbox) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(1..)) => self.received = Received::Something,
                Poll::Ready(Ok(0)) if self.inbox.is_empty() => {
                    let how = "closed the connection without an answer";
                    return Poll::Ready(Err(broken(how.to_owned())));
                }
                Poll::Ready(Ok(0)) => {
                    let how = "closed the connection in the middle of its answer's head";
                    return Poll::Ready(Err(broken(how.to_owned())));
                }
                Poll::Ready(Err(error)) => {
                    let how = format!("broke the connection before its answer: {error}");
                    return Poll::Ready(Err(broken(how)));
                }
            }
        }
    }

    /// Looks whether the client is still there, while it has nothing to say. What is kept of its body
    /// was not sent ahead. One that is not watched is not looked at before the worker has had some time: most
    /// answers are there by then.
    fn poll_client(
        &mut self,
        context: &mut Context<'_>,
        later: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Look, Failed> {
        if self.upload != Upload::Over {
            return Ok(Look::Taken);
        }
        if !self.client.is_watched() && later.poll(context).is_pending() {
            return Ok(Look::Later);
        }
        while self.ahead.len() - self.up.held() < AHEAD {
            match poll_read_some(self.client, context, self.ahead) {
                Poll::Pending => break,
                Poll::Ready(Ok(1..)) => {}
                // One who closes half of the connection looks the same.
                Poll::Ready(Ok(0) | Err(_)) => return Err(Failed::ClientGone),
            }
        }
        Ok(Look::Taken)
    }

    fn allow(&mut self, waiting: Waiting) {
        let span = match (waiting, self.upload) {
            (Waiting::Client, _) | (Waiting::Worker, Upload::GoesOn) => self.habits.body_timeout,
            (Waiting::Worker, Upload::Over | Upload::Refused) => self.habits.response_timeout,
        };
        self.clock.allow(span);
    }

    fn poll_clock<T>(
        &mut self,
        context: &mut Context<'_>,
        waiting: Waiting,
    ) -> Poll<Result<T, Failed>> {
        if self.upload == Upload::GoesOn && self.is_too_slow() {
            return Poll::Ready(Err(Failed::Request(Bad::Slow)));
        }
        if self.clock.poll(context).is_pending() {
            return Poll::Pending;
        }
        let failed = match (waiting, self.upload) {
            // Bytes that the worker does not take are not the client's fault.
            (_, Upload::GoesOn) if !self.up.is_full() => Failed::Request(Bad::Slow),
            (Waiting::Client, Upload::Over | Upload::Refused) => Failed::ClientGone,
            (Waiting::Worker, _) | (_, Upload::GoesOn) => Failed::Worker {
                failure: Failure::TimedOut,
                how: "did not answer in time".to_owned(),
            },
        };
        Poll::Ready(Err(failed))
    }

    /// As [`poll_clock`](Exchange::poll_clock), for one who will look at the client later anyhow: a long time limit
    /// may begin then, which saves a timer that is hardly ever needed.
    fn poll_spared_clock<T>(
        &mut self,
        context: &mut Context<'_>,
        waiting: Waiting,
    ) -> Poll<Result<T, Failed>> {
        if self.habits.response_timeout >= LONG {
            Poll::Pending
        } else {
            self.poll_clock(context, waiting)
        }
    }

    fn is_too_slow(&mut self) -> bool {
        // What has no known end may be a stream, which is silent when there is nothing to say.
        if self.up.is_full() || !self.up.has_length() {
            return false;
        }
        // Whoever waited to be asked for the body has time to begin.
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let counted = begun.elapsed().saturating_sub(self.habits.body_timeout);
        let least = u128::from(self.habits.body_rate) * counted.as_millis() / 1000;
        u128::from(self.up.moved) < least
    }
}

/// Whether another request may follow on the client's connection.
pub(super) fn after(wanted: After, up: &Pipe, upload: Upload) -> After {
    match upload {
        Upload::Over if up.is_over() => wanted,
        Upload::Over | Upload::GoesOn | Upload::Refused => After::Close,
    }
}

fn stopped(stop: &Stop) -> Failed {
    match stop {
        Stop::Write => Failed::ClientGone,
        Stop::Early => broken("closed the connection in the middle of its answer".to_owned()),
        Stop::Read(error) => broken(format!(
            "broke the connection in the middle of its answer: {error}"
        )),
        Stop::Fault(fault) => broken(format!("gave an answer that is no HTTP: {fault}")),
    }
}

fn malformed(fault: &NoAnswer) -> Failed {
    broken(format!("gave an answer that is no HTTP: {fault}"))
}

fn broken(how: String) -> Failed {
    Failed::Worker {
        failure: Failure::Broken,
        how,
    }
}
