//! What happens to requests.

use std::net::{IpAddr, Ipv4Addr};

use herder_core::Slot;
use herder_core::proxy::retry::{Attempt, Body, Decision, Method, Received, Sent, decide};
use herder_core::proxy::{Failure, Key, Outcome, ServerErrors};

use super::run::{Request, World};
use super::trace;
use super::violation::{Verdict, ensure};

/// How an attempt ended, as it really was.
struct Fate {
    outcome: Outcome,
    sent: Sent,
    received: Received,
    body: Body,
    /// The worker has done what it was asked to do.
    has_acted: bool,
}

impl World {
    pub(super) fn begin_request(&mut self) -> Verdict {
        self.newest_request += 1;
        self.begun += 1;
        self.budget.save();
        let client = u8::try_from(self.rng.below(20)).expect("small");
        let slot = u16::try_from(self.rng.below(self.slots + 1)).expect("small");
        let request = Request {
            key: Key {
                client_ip: (self.rng.chance(900))
                    .then_some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, client))),
                cookie: self.rng.chance(200).then_some(Slot(slot)),
            },
            method: if self.rng.chance(500) {
                Method::Idempotent
            } else {
                Method::Other
            },
            tried: Vec::new(),
            acted: 0,
            is_answered: false,
        };
        self.attempt(self.newest_request, request)
    }

    fn attempt(&mut self, id: u64, mut request: Request) -> Verdict {
        let now = self.now;
        self.return_in_time();
        let picked = self.balancer.pick(&request.key, &request.tried, now);
        trace::line(|| format!("{now:?} request {id} {:?}: {picked:?}", request.key));
        self.hear()?;
        self.audit_pick(&request.key, &request.tried, picked)?;
        let Some(worker) = picked else {
            self.tally.nobody += 1;
            return Ok(());
        };
        self.tally.picked += 1;
        self.balancer.began(worker);
        request.tried.push(worker);
        self.requests.insert(id, request);
        Ok(())
    }

    pub(super) fn end_some_request(&mut self) -> Verdict {
        let all: Vec<u64> = self.requests.keys().copied().collect();
        let Some(id) = self.rng.pick(&all) else {
            return Ok(());
        };
        self.end_request(id)
    }

    pub(super) fn end_request(&mut self, id: u64) -> Verdict {
        let mut request = self.requests.remove(&id).expect("it is under way");
        let worker = *request.tried.last().expect("it is somewhere");
        let fate = self.draw_fate(worker);
        request.acted += u32::from(fate.has_acted);
        request.is_answered |= fate.received == Received::Something;
        self.end_at(worker, fate.outcome)?;
        let Outcome::Failed(failure) = fate.outcome else {
            return Ok(());
        };
        let number = u32::try_from(request.tried.len()).expect("few");
        let attempt = Attempt {
            method: request.method,
            failure,
            sent: fate.sent,
            received: fate.received,
            body: fate.body,
            number,
        };
        let decision = decide(&self.retry, &attempt, &mut self.budget);
        trace::line(|| format!("    {attempt:?}: {decision:?}"));
        match decision {
            Decision::GiveUp(_) => {
                self.tally.given_up += 1;
                Ok(())
            }
            Decision::Again => {
                self.audit_repetition(&request, &attempt)?;
                self.attempt(id, request)
            }
        }
    }

    fn audit_repetition(&mut self, request: &Request, attempt: &Attempt) -> Verdict {
        self.tally.repeated += 1;
        ensure(
            request.acted == 0 || request.method == Method::Idempotent,
            "what a worker has acted on is not given to another unasked",
            || format!("{request:?}"),
        )?;
        ensure(
            !request.is_answered && attempt.body == Body::AtHand,
            "what was answered, or is gone, is not repeated",
            || format!("{request:?} {attempt:?}"),
        )?;
        let most = self.retry.attempts.get() as usize;
        ensure(request.tried.len() < most, "attempts are limited", || {
            format!("{request:?}")
        })?;
        if attempt.sent == Sent::Something {
            self.repeated_seen += 1;
        }
        let percent = u64::from(self.retry.budget);
        let most = if percent == 0 { 0 } else { 10 } + self.begun * percent / 100;
        ensure(
            self.repeated_seen <= most,
            "repetitions are a part of all requests",
            || format!("{} of {}", self.repeated_seen, self.begun),
        )
    }

    /// Tells how it ended, and awaits what follows from it.
    pub(super) fn end_at(&mut self, worker: u64, outcome: Outcome) -> Verdict {
        let now = self.now;
        trace::line(|| format!("{now:?} end at {worker}: {outcome:?}"));
        self.return_in_time();
        self.balancer.ended(worker, outcome, now);
        let counted = self.spec.ejection.as_ref().and_then(|spec| match outcome {
            Outcome::Inconclusive => None,
            Outcome::Served => Some(false),
            Outcome::Failed(Failure::ServerError) => {
                Some(spec.server_errors == ServerErrors::Counted)
            }
            Outcome::Failed(_) => Some(true),
        });
        if let Some(it) = self.workers.get_mut(&worker)
            && let Some(has_failed) = counted
            && it.is_admitted
        {
            it.history.note(has_failed, now);
            return self.hear_about(has_failed.then_some(worker));
        }
        self.hear()
    }

    fn draw_fate(&mut self, worker: u64) -> Fate {
        let sickness = self.workers.get(&worker).map_or(1000, |it| it.sickness);
        let body = if self.rng.chance(800) {
            Body::AtHand
        } else {
            Body::PassedOn
        };
        if !self.rng.chance(sickness) {
            let outcome = if self.rng.chance(950) {
                Outcome::Served
            } else {
                Outcome::Inconclusive
            };
            return fate(outcome, (Sent::Something, Received::Something, body), true);
        }
        match self.rng.below(5) {
            0 => fate(
                Outcome::Failed(Failure::Refused),
                (Sent::Nothing, Received::Nothing, Body::AtHand),
                false,
            ),
            1 => fate(
                Outcome::Failed(Failure::ServerError),
                (Sent::Something, Received::Something, body),
                true,
            ),
            2 => fate(
                Outcome::Failed(Failure::Broken),
                (Sent::Something, Received::Something, body),
                true,
            ),
            3 => {
                let has_acted = self.rng.chance(500);
                let state = (Sent::Something, Received::Nothing, body);
                fate(Outcome::Failed(Failure::Broken), state, has_acted)
            }
            _ => {
                let has_acted = self.rng.chance(500);
                let state = (Sent::Something, Received::Nothing, body);
                fate(Outcome::Failed(Failure::TimedOut), state, has_acted)
            }
        }
    }
}

fn fate(outcome: Outcome, state: (Sent, Received, Body), has_acted: bool) -> Fate {
    Fate {
        outcome,
        sent: state.0,
        received: state.1,
        body: state.2,
        has_acted,
    }
}
