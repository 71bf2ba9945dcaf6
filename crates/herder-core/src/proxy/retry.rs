//! Whether a request that failed at one worker is given to another.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::message::Failure;
use crate::mutation::{self, Mutation};

/// How often a request is given to another worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RetrySpec {
    /// At how many workers it is tried at most, the first included. 1: it is never repeated.
    pub attempts: NonZeroU32,
    /// How many requests of a hundred may be repeated although a worker may have seen them: when all
    /// workers are in trouble, repeating makes it worse. What no worker has seen is not counted.
    pub budget: u8,
}

/// Whether a request may be executed twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Twice is as good as once (RFC 9110, 9.2.2).
    Idempotent,
    /// Nobody knows.
    Other,
}

/// What of the request was written to the worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// Not a byte: the worker cannot have seen it.
    Nothing,
    /// Something: the worker may have acted on it.
    Something,
}

/// What of the answer came from the worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// Not a byte.
    Nothing,
    /// Something.
    Something,
}

/// Whether the request's body can be sent once more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Body {
    /// There is none, or all of it is at hand.
    AtHand,
    /// A part of it was passed on and not kept.
    PassedOn,
}

/// An attempt that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    pub method: Method,
    pub failure: Failure,
    pub sent: Sent,
    pub received: Received,
    pub body: Body,
    /// How many workers it was tried at, this one included.
    pub number: u32,
}

/// What becomes of the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Another worker gets it.
    Again,
    /// The client is told.
    GiveUp(Reason),
}

/// Why it is not repeated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// The worker had begun to answer.
    Answered,
    /// The worker may have acted on it, and twice is not as good as once.
    NotIdempotent,
    /// A part of its body is gone.
    BodyGone,
    /// The worker had all the time that a request has.
    TimedOut,
    /// It was tried as often as it may be.
    Attempts,
    /// Too many others are being repeated.
    Budget,
}

/// How many requests may be repeated now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Budget {
    /// In hundredths of a request.
    saved: u64,
    percent: u8,
}

/// What can be saved at most, in requests: after a long calm time, a storm of repetitions is short.
const MOST: u64 = 100;

/// What there is at first, in requests: the first request of all may be repeated, too.
const FIRST: u64 = 10;

const REQUEST: u64 = 100;

impl Budget {
    /// The budget of an app that has not had a request.
    #[must_use]
    pub fn new(spec: &RetrySpec) -> Budget {
        let first = if spec.budget == 0 { 0 } else { FIRST * REQUEST };
        Budget {
            saved: first,
            percent: spec.budget,
        }
    }

    /// A request begins.
    pub fn save(&mut self) {
        self.saved = (self.saved + u64::from(self.percent)).min(MOST * REQUEST);
    }

    fn spend(&mut self) -> bool {
        let is_enough = self.saved >= REQUEST;
        if is_enough {
            self.saved -= REQUEST;
        }
        is_enough
    }
}

/// Whether the method, as it stands in the request, may be executed twice.
#[must_use]
pub fn method(name: &str) -> Method {
    match name {
        "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE" => Method::Idempotent,
        _ => Method::Other,
    }
}

/// What becomes of a request whose attempt failed. Takes from the budget when it is repeated
/// although a worker may have seen it.
pub fn decide(spec: &RetrySpec, attempt: &Attempt, budget: &mut Budget) -> Decision {
    if let Some(reason) = objection(spec, attempt) {
        return Decision::GiveUp(reason);
    }
    match attempt.sent {
        Sent::Nothing => Decision::Again,
        Sent::Something if budget.spend() => Decision::Again,
        Sent::Something => Decision::GiveUp(Reason::Budget),
    }
}

fn objection(spec: &RetrySpec, attempt: &Attempt) -> Option<Reason> {
    if attempt.received == Received::Something || attempt.failure == Failure::ServerError {
        return Some(Reason::Answered);
    }
    if attempt.sent == Sent::Something {
        if attempt.method == Method::Other && !mutation::is(Mutation::RepeatedUnasked) {
            return Some(Reason::NotIdempotent);
        }
        if attempt.failure == Failure::TimedOut {
            return Some(Reason::TimedOut);
        }
    }
    if attempt.body == Body::PassedOn {
        return Some(Reason::BodyGone);
    }
    (attempt.number >= spec.attempts.get()).then_some(Reason::Attempts)
}

impl Default for RetrySpec {
    fn default() -> RetrySpec {
        RetrySpec {
            attempts: NonZeroU32::new(3).expect("3 is not zero"),
            budget: 20,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Answered => "the worker had begun to answer",
            Reason::NotIdempotent => {
                "the worker may have acted on it, and its method may not be repeated"
            }
            Reason::BodyGone => "a part of its body had been passed on",
            Reason::TimedOut => "the worker had all the time that a request has",
            Reason::Attempts => "it was tried at as many workers as it may be",
            Reason::Budget => "too many other requests are being repeated",
        })
    }
}
