use std::num::NonZeroU32;

use herder_core::proxy::Failure;
use herder_core::proxy::retry::{
    Attempt, Body, Budget, Decision, Method, Reason, Received, RetrySpec, Sent, decide, method,
};

/// A `GET` that was sent, and to which nothing came.
const LOST: Attempt = Attempt {
    method: Method::Idempotent,
    failure: Failure::Broken,
    sent: Sent::Something,
    received: Received::Nothing,
    body: Body::AtHand,
    number: 1,
};

fn alone(attempt: Attempt) -> Decision {
    let spec = RetrySpec::default();
    decide(&spec, &attempt, &mut Budget::new(&spec))
}

#[test]
fn methods_are_what_the_standard_says() {
    for name in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
        assert_eq!(method(name), Method::Idempotent, "{name}");
    }
    for name in ["POST", "PATCH", "CONNECT", "get", "LOCK", ""] {
        assert_eq!(method(name), Method::Other, "{name}");
    }
}

#[test]
fn what_no_worker_has_seen_is_repeated_whatever_it_is() {
    for method in [Method::Idempotent, Method::Other] {
        for failure in [Failure::Refused, Failure::TimedOut, Failure::Broken] {
            let attempt = Attempt {
                method,
                failure,
                sent: Sent::Nothing,
                ..LOST
            };
            assert_eq!(alone(attempt), Decision::Again);
        }
    }
}

#[test]
fn what_a_worker_may_have_seen_is_repeated_only_if_twice_is_as_good_as_once() {
    assert_eq!(alone(LOST), Decision::Again);
    let post = Attempt {
        method: Method::Other,
        ..LOST
    };
    assert_eq!(alone(post), Decision::GiveUp(Reason::NotIdempotent));
}

#[test]
fn what_was_answered_is_never_repeated() {
    let begun = Attempt {
        received: Received::Something,
        ..LOST
    };
    assert_eq!(alone(begun), Decision::GiveUp(Reason::Answered));
    let failed = Attempt {
        failure: Failure::ServerError,
        ..LOST
    };
    assert_eq!(alone(failed), Decision::GiveUp(Reason::Answered));
}

#[test]
fn a_body_that_is_gone_cannot_be_sent_again() {
    let attempt = Attempt {
        body: Body::PassedOn,
        ..LOST
    };
    assert_eq!(alone(attempt), Decision::GiveUp(Reason::BodyGone));
}

#[test]
fn a_request_that_had_its_time_is_not_given_as_much_again() {
    let attempt = Attempt {
        failure: Failure::TimedOut,
        ..LOST
    };
    assert_eq!(alone(attempt), Decision::GiveUp(Reason::TimedOut));
}

#[test]
fn attempts_are_counted() {
    for sent in [Sent::Nothing, Sent::Something] {
        let nth = |number| {
            alone(Attempt {
                number,
                sent,
                ..LOST
            })
        };
        assert_eq!(nth(2), Decision::Again);
        assert_eq!(nth(3), Decision::GiveUp(Reason::Attempts));
    }
    let spec = RetrySpec {
        attempts: NonZeroU32::MIN,
        ..RetrySpec::default()
    };
    let decision = decide(&spec, &LOST, &mut Budget::new(&spec));
    assert_eq!(decision, Decision::GiveUp(Reason::Attempts));
}

#[test]
fn one_of_five_may_be_repeated_and_what_no_worker_saw_costs_nothing() {
    let spec = RetrySpec::default();
    let mut budget = Budget::new(&spec);
    let again =
        |attempt: &Attempt, budget: &mut Budget| decide(&spec, attempt, budget) == Decision::Again;
    // What there is at first.
    let first = (0..100).filter(|_| again(&LOST, &mut budget)).count();
    assert_eq!(first, 10);
    let unsent = Attempt {
        sent: Sent::Nothing,
        ..LOST
    };
    assert!((0..100).all(|_| again(&unsent, &mut budget)));
    let mut repeated = 0;
    for _ in 0..1000 {
        budget.save();
        repeated += usize::from(again(&LOST, &mut budget));
    }
    assert_eq!(repeated, 200);
    // Calm times are not saved up without end.
    for _ in 0..100_000 {
        budget.save();
    }
    let storm = (0..1000).filter(|_| again(&LOST, &mut budget)).count();
    assert_eq!(storm, 100);
}

#[test]
fn without_a_budget_nothing_is_repeated_that_a_worker_may_have_seen() {
    let spec = RetrySpec {
        budget: 0,
        ..RetrySpec::default()
    };
    let mut budget = Budget::new(&spec);
    budget.save();
    assert_eq!(
        decide(&spec, &LOST, &mut budget),
        Decision::GiveUp(Reason::Budget)
    );
}

#[test]
fn reasons_are_sentences() {
    for reason in [
        Reason::Answered,
        Reason::NotIdempotent,
        Reason::BodyGone,
        Reason::TimedOut,
        Reason::Attempts,
        Reason::Budget,
    ] {
        assert!(reason.to_string().contains(' '), "{reason}");
    }
}
