//! Ticks that several machines share.

use std::time::Duration;

use crate::desk::{Desk, SECOND, outcomes, plan, start, starts, wall};
use herder_core::schedule::{
    Action, ClaimAnswer, Event, JobPlan, Outcome, Overlap, RunId, ServerId, Target,
};

fn desk() -> Desk {
    let mut desk = Desk::with(JobPlan {
        target: Target::Cluster,
        overlap: Overlap::Allow,
        timeout: 600 * SECOND,
        ..plan()
    });
    desk.worker(1);
    desk
}

fn ours() -> ClaimAnswer {
    ClaimAnswer::Ours {
        token: 5,
        ttl: 30 * SECOND,
    }
}

fn claim(actions: &[Action]) -> RunId {
    let claim = |action: &Action| {
        if let Action::Claim { run, .. } = action {
            Some(*run)
        } else {
            None
        }
    };
    actions.iter().find_map(claim).expect("a claim")
}

fn answer(desk: &mut Desk, run: RunId, answer: ClaimAnswer) -> Vec<Action> {
    desk.tell(Event::Claimed { run, answer })
}

fn is_settled(actions: &[Action]) -> bool {
    actions
        .iter()
        .any(|a| matches!(a, Action::Settle { token: 5, .. }))
}

#[test]
fn it_runs_with_the_token_and_is_settled() {
    let mut desk = desk();
    let actions = desk.pass(10 * SECOND);
    assert_eq!(starts(&actions), []);
    let actions = answer(&mut desk, claim(&actions), ours());
    assert!(matches!(
        actions[..],
        [Action::Start { token: Some(5), .. }]
    ));
    assert!(is_settled(&desk.finish(start(&actions))));
}

#[test]
fn what_another_has_done_is_not_done() {
    let mut desk = desk();
    let run = claim(&desk.pass(10 * SECOND));
    assert_eq!(answer(&mut desk, run, ClaimAnswer::Done), []);
    assert_eq!(desk.pass(SECOND), []);
}

#[test]
fn what_another_has_is_asked_for_when_its_claim_has_ended() {
    let mut desk = desk();
    let run = claim(&desk.pass(10 * SECOND));
    let left = 4 * SECOND;
    assert_eq!(answer(&mut desk, run, ClaimAnswer::Held { left }), []);
    assert_eq!(desk.pass(left), []);
    let again = claim(&desk.pass(Duration::from_millis(50)));
    assert_eq!(starts(&answer(&mut desk, again, ours())).len(), 1);
}

#[test]
fn a_store_that_is_away_is_asked_again() {
    let mut desk = desk();
    let run = claim(&desk.pass(10 * SECOND));
    assert_eq!(answer(&mut desk, run, ClaimAnswer::Unavailable), []);
    claim(&desk.pass(SECOND));
}

#[test]
fn without_a_worker_the_store_is_not_asked() {
    let mut desk = desk();
    desk.tell(Event::ServerDown {
        server: ServerId(1),
    });
    let actions = desk.pass(10 * SECOND);
    assert!(!actions.iter().any(|a| matches!(a, Action::Claim { .. })));
    claim(&desk.worker(2));
}

#[test]
fn a_claim_is_renewed_and_a_lost_one_ends_the_run() {
    let mut desk = desk();
    let run = claim(&desk.pass(10 * SECOND));
    answer(&mut desk, run, ours());
    let is_renewal = |a: &Action| matches!(a, Action::Renew { token: 5, .. });
    assert!(!desk.pass(9 * SECOND).iter().any(is_renewal));
    assert!(desk.pass(SECOND).iter().any(is_renewal));
    let answer = ours();
    assert_eq!(desk.tell(Event::Renewed { run, answer }), []);
    assert!(desk.pass(10 * SECOND).iter().any(is_renewal));
    let answer = ClaimAnswer::Held { left: SECOND };
    let actions = desk.tell(Event::Renewed { run, answer });
    assert!(matches!(actions[0], Action::Cancel { .. }));
    assert_eq!(outcomes(&actions), [Outcome::Lost]);
    assert!(!is_settled(&actions), "somebody else has it");
}

#[test]
fn a_claim_that_cannot_be_renewed_ends_the_run_in_time() {
    let mut desk = desk();
    let run = claim(&desk.pass(10 * SECOND));
    answer(&mut desk, run, ours());
    let (mut renewals, mut ended) = (0, None);
    for quarter in 1..=120 {
        let actions = desk.pass(SECOND / 4);
        renewals += actions
            .iter()
            .filter(|a| matches!(a, Action::Renew { run: r, .. } if *r == run))
            .count();
        if actions
            .iter()
            .any(|a| matches!(a, Action::Cancel { run: r, .. } if *r == run))
        {
            ended = Some(quarter);
        }
        let answer = ClaimAnswer::Unavailable;
        desk.tell(Event::Renewed { run, answer });
    }
    assert_eq!(ended, Some(120), "thirty seconds after it was asked for");
    assert!((2..20).contains(&renewals), "{renewals}");
}

#[test]
fn who_tries_again_has_a_greater_token() {
    let mut desk = Desk::with(JobPlan {
        target: Target::Cluster,
        retries: 2,
        ..plan()
    });
    desk.worker(1);
    let run = claim(&desk.pass(10 * SECOND));
    let first = start(&answer(&mut desk, run, ours()));
    desk.fail(first);
    // The right is kept while it rests.
    let is_renewal = |a: &Action| matches!(a, Action::Renew { token: 5, .. });
    let actions = desk.pass(SECOND);
    let instead = |action: &Action| {
        if let Action::Claim { run, instead, .. } = action {
            Some((*run, *instead))
        } else {
            None
        }
    };
    let (run, instead) = actions.iter().find_map(instead).expect("a claim");
    assert_eq!(instead, Some(5));
    assert_ne!(
        run, first,
        "what is said late of the old claim is not heard"
    );
    let late = ClaimAnswer::Held { left: SECOND };
    desk.tell(Event::Renewed {
        run: first,
        answer: late,
    });
    let ttl = 30 * SECOND;
    let actions = answer(&mut desk, run, ClaimAnswer::Ours { token: 8, ttl });
    assert!(
        matches!(
            actions[..],
            [Action::Start {
                token: Some(8),
                attempt: 2,
                ..
            }]
        ),
        "{actions:?}"
    );
    assert!(!actions.iter().any(is_renewal));
}

#[test]
fn a_lost_tick_is_watched_for_whoever_has_it_may_die() {
    let mut desk = desk();
    let run = claim(&desk.pass(10 * SECOND));
    answer(&mut desk, run, ours());
    desk.pass(10 * SECOND);
    let lost = ClaimAnswer::Held { left: SECOND };
    let actions = desk.tell(Event::Renewed { run, answer: lost });
    assert!(matches!(actions[0], Action::Cancel { .. }));
    let again = |action: &Action| {
        if let Action::Claim { run, tick, .. } = action {
            (*tick == wall(1010)).then_some(*run)
        } else {
            None
        }
    };
    let actions = desk.pass(SECOND);
    let again = actions.iter().find_map(again).expect("it is asked for");
    let left = 4 * SECOND;
    answer(&mut desk, again, ClaimAnswer::Held { left });
    let actions = desk.pass(left + SECOND);
    let again = claim(&actions);
    assert_eq!(starts(&answer(&mut desk, again, ours())).len(), 1);
    // What is done is not watched.
    let done = ClaimAnswer::Done;
    desk.pass(10 * SECOND);
    desk.tell(Event::Renewed {
        run: again,
        answer: done,
    });
    let view = desk.scheduler.jobs().next().expect("there is one");
    assert_eq!(view.running, 0, "{view:?}");
}

#[test]
fn no_more_than_sixty_four_ticks_are_watched() {
    let mut desk = desk();
    let mut missed = 0;
    for _ in 0..70 {
        let actions = desk.pass(10 * SECOND);
        missed += outcomes(&actions).len();
        for action in actions {
            if let Action::Claim { run, .. } = action {
                let left = 10_000 * SECOND;
                answer(&mut desk, run, ClaimAnswer::Held { left });
            }
        }
    }
    assert_eq!(missed, 70 - 64);
}
