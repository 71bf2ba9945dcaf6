use std::num::NonZeroU32;
use std::time::Duration;

use herder_core::proxy::{
    BalancerSpec, EjectionSpec, ErrorRatio, Failure, Key, News, Outcome, ServerErrors,
};
use herder_core::spec::PickerKind;

use crate::desk::{Desk, spec, with_cookie};

fn strict() -> BalancerSpec {
    with(EjectionSpec::default())
}

fn with(ejection: EjectionSpec) -> BalancerSpec {
    BalancerSpec {
        ejection: Some(ejection),
        ..spec(PickerKind::RoundRobin)
    }
}

fn ratio() -> EjectionSpec {
    EjectionSpec {
        consecutive: None,
        ratio: Some(ErrorRatio {
            percent: 50,
            at_least: NonZeroU32::new(10).expect("10 is not zero"),
            interval: Duration::from_secs(10),
        }),
        ..EjectionSpec::default()
    }
}

#[test]
fn five_failures_in_a_row_leave_a_worker_out_for_a_while() {
    let mut desk = Desk::new(&strict(), 3);
    desk.fail(2, 4, Failure::Refused);
    assert_eq!(desk.news(), []);
    desk.fail(2, 1, Failure::TimedOut);
    let until = desk.now.after(Duration::from_secs(10));
    assert_eq!(desk.news(), [News::Ejected { worker: 2, until }]);
    assert_eq!(desk.balancer.poll_timeout(), Some(until));
    assert!(!desk.spread(100).contains_key(&2));
    assert_ne!(desk.serve(&with_cookie(1)), 2);
    desk.now = until;
    desk.balancer.timer(until);
    assert_eq!(desk.news(), [News::Restored { worker: 2 }]);
    assert_eq!(desk.balancer.poll_timeout(), None);
    assert_eq!(desk.spread(99)[&2], 33);
}

#[test]
fn a_success_between_failures_forgives_them() {
    let mut desk = Desk::new(&strict(), 2);
    for _ in 0..10 {
        desk.fail(2, 4, Failure::Broken);
        desk.balancer.began(2);
        desk.end(2);
    }
    assert_eq!(desk.news(), []);
}

#[test]
fn what_says_nothing_counts_nothing() {
    let mut desk = Desk::new(&strict(), 2);
    let now = desk.now;
    for _ in 0..4 {
        desk.fail(2, 1, Failure::Broken);
        desk.balancer.began(2);
        desk.balancer.ended(2, Outcome::Inconclusive, now);
    }
    assert_eq!(desk.news(), []);
    desk.fail(2, 1, Failure::Broken);
    assert_eq!(desk.news().len(), 1);
}

#[test]
fn answers_that_say_so_count_only_when_asked_for() {
    let mut desk = Desk::new(&strict(), 2);
    desk.fail(1, 50, Failure::ServerError);
    assert_eq!(desk.news(), []);
    let mut desk = Desk::new(
        &with(EjectionSpec {
            server_errors: ServerErrors::Counted,
            ..EjectionSpec::default()
        }),
        2,
    );
    desk.fail(1, 5, Failure::ServerError);
    assert_eq!(desk.news().len(), 1);
}

#[test]
fn without_a_rule_nobody_is_left_out() {
    let mut desk = Desk::new(
        &BalancerSpec {
            ejection: None,
            ..strict()
        },
        2,
    );
    desk.fail(1, 50, Failure::Refused);
    assert_eq!(desk.news(), []);
}

#[test]
fn half_of_them_stay_always_and_the_last_one_too() {
    for (workers, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
        let mut desk = Desk::new(&strict(), workers);
        for worker in 1..=u64::from(workers) {
            desk.fail(worker, 20, Failure::Refused);
        }
        assert_eq!(desk.news().len(), most, "of {workers}");
    }
}

#[test]
fn as_many_are_left_out_as_may_be_but_not_the_last() {
    for (percent, workers, most) in [
        (0, 4, 0),
        (24, 4, 0),
        (25, 4, 1),
        (75, 4, 3),
        (100, 4, 3),
        (255, 1, 0),
    ] {
        let ejection = EjectionSpec {
            at_most_percent: percent,
            ..EjectionSpec::default()
        };
        let mut desk = Desk::new(&with(ejection), workers);
        for worker in 1..=u64::from(workers) {
            desk.fail(worker, 20, Failure::Refused);
        }
        assert_eq!(desk.news().len(), most, "{percent} of {workers}");
    }
}

#[test]
fn when_others_leave_who_is_left_out_comes_back() {
    let mut desk = Desk::new(&strict(), 4);
    desk.fail(1, 5, Failure::Refused);
    desk.wait(1);
    desk.fail(2, 5, Failure::Refused);
    desk.news();
    let now = desk.now;
    desk.balancer.gone(4, now);
    assert_eq!(desk.news(), [News::Restored { worker: 1 }]);
    desk.balancer.withdraw(1, now);
    assert_eq!(desk.news(), [News::Drained { worker: 1 }]);
    desk.balancer.gone(3, now);
    assert_eq!(desk.news(), [News::Restored { worker: 2 }]);
    assert_eq!(desk.serve(&Key::default()), 2);
}

#[test]
fn who_is_left_out_helps_when_nobody_else_can() {
    let mut desk = Desk::new(&strict(), 2);
    desk.fail(1, 5, Failure::Refused);
    assert_eq!(desk.balancer.pick(&Key::default(), &[2], desk.now), Some(1));
    assert_eq!(desk.balancer.pick(&Key::default(), &[1, 2], desk.now), None);
}

#[test]
fn who_fails_again_is_left_out_sooner_and_longer() {
    let mut desk = Desk::new(&strict(), 2);
    desk.fail(1, 5, Failure::Refused);
    for times in 2..=4 {
        let until = desk.balancer.ejected_until(1).unwrap();
        desk.now = until;
        desk.news();
        // The first failure after its return is enough.
        desk.fail(1, 1, Failure::Refused);
        let until = desk.now.after(Duration::from_secs(10 * times));
        let again = News::Ejected { worker: 1, until };
        assert_eq!(desk.news(), [News::Restored { worker: 1 }, again]);
    }
}

#[test]
fn the_longest_time_is_the_longest() {
    let mut desk = Desk::new(
        &with(EjectionSpec {
            longest: Duration::from_secs(15),
            ..EjectionSpec::default()
        }),
        2,
    );
    for seconds in [10, 15, 15] {
        desk.fail(1, 5, Failure::Refused);
        let until = desk.now.after(Duration::from_secs(seconds));
        assert_eq!(desk.balancer.ejected_until(1), Some(until));
        desk.now = until;
    }
}

#[test]
fn what_is_long_past_is_forgotten() {
    let mut desk = Desk::new(&strict(), 2);
    for _ in 0..3 {
        desk.fail(1, 5, Failure::Refused);
        desk.now = desk.balancer.ejected_until(1).unwrap();
        desk.balancer.timer(desk.now);
    }
    // Three times, of which two are forgotten.
    desk.wait(25);
    desk.fail(1, 5, Failure::Refused);
    let until = desk.now.after(Duration::from_secs(20));
    assert_eq!(desk.balancer.ejected_until(1), Some(until));
}

#[test]
fn one_good_answer_after_its_return_makes_it_one_like_any_other() {
    let mut desk = Desk::new(&strict(), 2);
    desk.fail(1, 5, Failure::Refused);
    desk.wait(10);
    desk.balancer.began(1);
    desk.end(1);
    desk.news();
    desk.fail(1, 4, Failure::Refused);
    assert_eq!(desk.news(), []);
}

#[test]
fn half_of_its_requests_are_too_many_when_there_are_enough() {
    let mut desk = Desk::new(&with(ratio()), 2);
    for _ in 0..4 {
        desk.balancer.began(1);
        desk.end(1);
        desk.fail(1, 1, Failure::Broken);
    }
    desk.balancer.began(1);
    desk.end(1);
    assert_eq!(desk.news(), [], "9 are not enough");
    desk.fail(1, 1, Failure::Broken);
    assert_eq!(desk.news().len(), 1);
}

#[test]
fn requests_of_another_interval_are_not_counted() {
    let mut desk = Desk::new(&with(ratio()), 2);
    desk.fail(1, 9, Failure::Broken);
    desk.wait(10);
    desk.fail(1, 9, Failure::Broken);
    assert_eq!(desk.news(), []);
    desk.fail(1, 1, Failure::Broken);
    assert_eq!(desk.news().len(), 1);
}

#[test]
fn what_began_before_it_was_left_out_does_not_prolong_it() {
    let mut desk = Desk::new(&strict(), 2);
    for _ in 0..20 {
        desk.balancer.began(1);
    }
    let now = desk.now;
    for _ in 0..20 {
        desk.balancer
            .ended(1, Outcome::Failed(Failure::TimedOut), now);
    }
    assert_eq!(desk.news().len(), 1);
    let until = now.after(Duration::from_secs(10));
    assert_eq!(desk.balancer.ejected_until(1), Some(until));
}
