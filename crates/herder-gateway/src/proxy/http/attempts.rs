//! One request, at one worker after the other if need be.

use bytes::BytesMut;
use herder_core::proxy::retry::{Attempt, Body, Decision, Received, Sent};
use herder_core::proxy::{Failure, Outcome};

use crate::edge::stream::Stream;
use crate::proxy::backends::{Lease, NotConnected};
use crate::proxy::entrance::Client;
use crate::proxy::http::answer::{Answer, Circumstances};
use crate::proxy::http::bad::{After, Refusal};
use crate::proxy::http::exchange::{self, Exchange, Failed, Upload};
use crate::proxy::http::pipe::{End, Pipe, Retain};
use crate::proxy::http::request::Request;
use crate::proxy::http::talk::{Next, Talk, Tunnel, wanted};

/// A request that is on its way.
struct Errand {
    request: Request,
    up: Pipe,
    /// Workers that did not do it.
    excluded: Vec<u64>,
    /// How many workers it was tried at, this one included.
    number: u32,
    /// Whether kept connections are used.
    connections: Connections,
    /// What happened at last.
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connections {
    Kept,
    New,
}

/// Why there is no answer.
struct Trouble {
    status: u16,
    why: String,
}

impl Trouble {
    /// A worker did not do its part.
    fn at(lease: &Lease, failure: Failure, how: &str) -> Trouble {
        Trouble {
            status: match failure {
                Failure::TimedOut => 504,
                Failure::Refused | Failure::Broken | Failure::ServerError => 502,
            },
            why: format!("the worker in slot {} {how}", lease.slot()),
        }
    }
}

/// A connection to a worker.
struct Link {
    lease: Lease,
    stream: Stream,
    from: Connections,
}

/// What comes of an attempt.
enum Attempted {
    Done(Next),
    Again,
    GiveUp,
}

impl Errand {
    /// What is to be judged when an attempt failed.
    fn failed(&self, failure: Failure, received: Received) -> Attempt {
        Attempt {
            method: self.request.method,
            failure,
            sent: match self.up.written {
                0 => Sent::Nothing,
                _ => Sent::Something,
            },
            received,
            body: if self.up.can_rewind() {
                Body::AtHand
            } else {
                Body::PassedOn
            },
            number: self.number,
        }
    }
}

impl Talk {
    /// Has a worker answer.
    pub(super) async fn attempt(&mut self, request: Request, head: BytesMut) -> Next {
        let framing = request.framing(self.front.settings.http.max_body);
        let mut errand = Errand {
            up: Pipe::new(head, framing, Retain::Short),
            request,
            excluded: Vec::new(),
            number: 1,
            connections: Connections::Kept,
            trouble: None,
        };
        self.front.backends.save();
        loop {
            let key = self.key(&errand.request);
            let backends = &self.front.backends;
            let Some(lease) = backends.pick_or_wait(&key, &errand.excluded).await else {
                return self.give_up(errand).await;
            };
            let attempted = match connect(lease, errand.connections).await {
                Ok(link) => self.try_at(link, &mut errand).await,
                Err((lease, error)) => self.refused(lease, &error, &mut errand),
            };
            match attempted {
                Attempted::Done(next) => return next,
                Attempted::Again => {}
                Attempted::GiveUp => return self.give_up(errand).await,
            }
        }
    }

    /// There is no connection to a worker.
    fn refused(&self, lease: Lease, error: &NotConnected, errand: &mut Errand) -> Attempted {
        let why = error.to_string();
        if let Some(failure) = error.failure() {
            return self.failed(lease, (failure, &why), Received::Nothing, errand);
        }
        // No worker had the chance to do its part. The next one may have a kept connection.
        let attempt = errand.failed(Failure::Refused, Received::Nothing);
        drop(lease);
        self.decide(&attempt, Trouble { status: 503, why }, errand)
    }

    /// An attempt failed: shall there be another one?
    fn failed(
        &self,
        lease: Lease,
        (failure, how): (Failure, &str),
        received: Received,
        errand: &mut Errand,
    ) -> Attempted {
        let attempt = errand.failed(failure, received);
        let trouble = Trouble::at(&lease, failure, how);
        errand.excluded.push(lease.worker());
        lease.end(Outcome::Failed(failure));
        self.decide(&attempt, trouble, errand)
    }

    fn decide(&self, attempt: &Attempt, mut trouble: Trouble, errand: &mut Errand) -> Attempted {
        match self.front.backends.decide(attempt) {
            Decision::Again => {
                errand.trouble = Some(trouble);
                errand.number += 1;
                errand.up.rewind();
                Attempted::Again
            }
            Decision::GiveUp(reason) => {
                let why = format!(". The request was not repeated: {reason}");
                trouble.why.push_str(&why);
                errand.trouble = Some(trouble);
                Attempted::GiveUp
            }
        }
    }

    /// Sends the request by a connection, and the answer back.
    async fn try_at(&mut self, link: Link, errand: &mut Errand) -> Attempted {
        let after = self.after(&errand.request);
        let slot = link.lease.slot();
        let cookie = self.front.cookie.as_ref();
        let cookie = cookie.filter(|_| errand.request.cookie != Some(slot));
        let cookie = cookie.map(|cookie| cookie.header(slot));
        let circumstances = Circumstances {
            request: &errand.request,
            after,
            house: &self.front.house,
            is_early: false,
            cookie: cookie.as_deref(),
        };
        let mut exchange = Exchange {
            client: &mut self.client,
            ahead: &mut self.ahead,
            up: &mut errand.up,
            clock: &mut self.clock,
            habits: self.front.habits,
            backends: &self.front.backends,
            worker: link.stream,
            inbox: BytesMut::new(),
            upload: Upload::GoesOn,
            // The wait for a worker is not the client's.
            begun: None,
            received: Received::Nothing,
        };
        let mut out = BytesMut::new();
        match exchange.answer(circumstances, &mut out).await {
            Ok(answer) if answer.status == 101 => {
                Attempted::Done(Next::Tunnel(switch(exchange, link.lease, out)))
            }
            Ok(answer) => {
                let next = pass_on(exchange, link.lease, answer, out).await;
                let is_over = matches!(next, Next::Close) && self.leaves(errand);
                Attempted::Done(if is_over { Next::Drop } else { next })
            }
            Err(Failed::ClientGone) => Attempted::Done(Next::Drop),
            Err(Failed::Request(bad)) => {
                let refusal = Refusal {
                    page: errand.request.page,
                    ..bad.into()
                };
                Attempted::Done(self.refuse(&refusal, wanted(&errand.request)).await)
            }
            Err(Failed::Worker { failure, how }) => {
                let received = exchange.received;
                let is_stale = link.from == Connections::Kept
                    && received == Received::Nothing
                    && failure == Failure::Broken;
                if is_stale {
                    return self.stale(link.lease, (failure, &how), errand);
                }
                self.failed(link.lease, (failure, &how), received, errand)
            }
        }
    }

    /// Whether the client wanted to go, and has nothing more to say that a close could meet.
    fn leaves(&mut self, errand: &Errand) -> bool {
        !errand.request.persists
            && errand.up.is_over()
            && self.ahead.is_empty()
            && self.client.plain_mut().is_some_and(Stream::is_silent)
    }

    /// A kept connection ended before it gave an answer: as a rule it had been idle for too long. The
    /// same worker may have the request by a new one, and it says nothing about its health.
    fn stale(
        &self,
        lease: Lease,
        (failure, how): (Failure, &str),
        errand: &mut Errand,
    ) -> Attempted {
        errand.connections = Connections::New;
        let attempt = errand.failed(failure, Received::Nothing);
        let trouble = Trouble::at(&lease, failure, how);
        drop(lease);
        self.decide(&attempt, trouble, errand)
    }

    /// Tells the client that there is no answer, and why.
    async fn give_up(&mut self, mut errand: Errand) -> Next {
        let app = &self.front.settings.app;
        let retry_after = self.front.settings.http.retry_after_seconds;
        let retry_after = (retry_after > 0).then_some(retry_after);
        let (status, why) = match errand.trouble.take() {
            None => (503, format!("{app} has no worker that takes requests now")),
            Some(Trouble { status, why }) => (status, format!("{app}: {why}")),
        };
        let refusal = Refusal {
            status,
            why,
            retry_after,
            page: errand.request.page,
            location: None,
        };
        let after = if errand.up.is_read() {
            errand.up.finish(&mut self.ahead);
            self.after(&errand.request)
        } else {
            After::Close
        };
        self.say(&refusal, wanted(&errand.request), after).await
    }
}

async fn connect(lease: Lease, from: Connections) -> Result<Link, (Lease, NotConnected)> {
    if let (Connections::Kept, Some(stream)) = (from, lease.kept()) {
        let from = Connections::Kept;
        return Ok(Link {
            lease,
            stream,
            from,
        });
    }
    match lease.connect().await {
        Ok(stream) => Ok(Link {
            lease,
            stream,
            from: Connections::New,
        }),
        Err(error) => Err((lease, error)),
    }
}

/// The connection is another protocol's from here on. `head` is the answer that says so.
fn switch(exchange: Exchange<'_, Client>, lease: Lease, mut head: BytesMut) -> Tunnel {
    head.extend_from_slice(&exchange.inbox);
    exchange.up.finish(exchange.ahead);
    Tunnel {
        lease,
        worker: exchange.worker,
        answer: head.to_vec(),
    }
}

/// Passes an answer on, to its end.
async fn pass_on(
    mut exchange: Exchange<'_, Client>,
    lease: Lease,
    answer: Answer,
    head: BytesMut,
) -> Next {
    let end = match answer.after {
        After::Close => End::Close,
        After::GoOn => End::Open,
    };
    let mut down = Pipe::new(head, answer.framing, Retain::No).until(end);
    let passed = exchange.body(&mut down).await;
    match passed {
        Ok(()) => {}
        Err(Failed::ClientGone) => return Next::Drop,
        Err(Failed::Request(_)) => {
            exchange.client.reset();
            return Next::Drop;
        }
        Err(Failed::Worker { failure, .. }) => {
            // What came is not all: the client must not take it for that.
            exchange.client.reset();
            lease.end(Outcome::Failed(failure));
            return Next::Drop;
        }
    }
    down.release(&mut exchange.inbox);
    let after = exchange::after(answer.after, exchange.up, exchange.upload);
    if exchange.upload == Upload::Over {
        exchange.up.finish(exchange.ahead);
        if answer.reusable && exchange.inbox.is_empty() {
            lease.keep(exchange.worker, answer.keeps_for);
        }
    }
    lease.end(match answer.status {
        500.. => Outcome::Failed(Failure::ServerError),
        _ => Outcome::Served,
    });
    match after {
        After::GoOn => Next::Request,
        After::Close => Next::Close,
    }
}
