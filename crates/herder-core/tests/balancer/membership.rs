use herder_core::proxy::{Failure, Key, News, Outcome};
use herder_core::spec::PickerKind;

use crate::desk::{Desk, spec};

#[test]
fn without_workers_there_is_nobody() {
    let mut desk = Desk::new(&spec(PickerKind::RoundRobin), 0);
    assert_eq!(desk.balancer.pick(&Key::default(), &[], desk.now), None);
    desk.admit(1, 0);
    assert_eq!(desk.balancer.pick(&Key::default(), &[1], desk.now), None);
}

#[test]
fn who_is_withdrawn_idle_has_drained_at_once() {
    let mut desk = Desk::new(&spec(PickerKind::RoundRobin), 2);
    let now = desk.now;
    desk.balancer.withdraw(1, now);
    desk.balancer.withdraw(1, now);
    assert_eq!(desk.news(), [News::Drained { worker: 1 }]);
    assert!((0..5).all(|_| desk.serve(&Key::default()) == 2));
}

#[test]
fn who_is_withdrawn_busy_drains_with_its_last_request() {
    let mut desk = Desk::new(&spec(PickerKind::RoundRobin), 1);
    desk.begin(&Key::default());
    desk.begin(&Key::default());
    let now = desk.now;
    desk.balancer.withdraw(1, now);
    assert_eq!(desk.balancer.pick(&Key::default(), &[], now), None);
    desk.end(1);
    assert_eq!(desk.news(), []);
    desk.balancer
        .ended(1, Outcome::Failed(Failure::Broken), now);
    assert_eq!(desk.news(), [News::Drained { worker: 1 }]);
}

#[test]
fn who_is_not_known_has_drained() {
    let mut desk = Desk::new(&spec(PickerKind::RoundRobin), 0);
    let now = desk.now;
    desk.balancer.withdraw(5, now);
    assert_eq!(desk.news(), [News::Drained { worker: 5 }]);
}

#[test]
fn who_is_admitted_again_takes_requests_and_drains_once_more() {
    let mut desk = Desk::new(&spec(PickerKind::RoundRobin), 1);
    let now = desk.now;
    desk.begin(&Key::default());
    desk.balancer.withdraw(1, now);
    desk.admit(1, 0);
    desk.end(1);
    assert_eq!(desk.news(), [], "it was admitted again before it drained");
    assert_eq!(desk.serve(&Key::default()), 1);
    desk.balancer.withdraw(1, now);
    assert_eq!(desk.news(), [News::Drained { worker: 1 }]);
}

#[test]
fn news_of_the_dead_change_nothing() {
    let mut desk = Desk::new(&spec(PickerKind::RoundRobin), 2);
    let now = desk.now;
    desk.balancer.began(1);
    desk.balancer.gone(1, now);
    let before = desk.balancer.clone();
    desk.end(1);
    desk.balancer.began(1);
    desk.fail(1, 20, Failure::Refused);
    desk.balancer.gone(1, now);
    assert_eq!(desk.balancer, before);
    assert_eq!(desk.balancer.open(1), None);
    assert_eq!(desk.news(), []);
}
