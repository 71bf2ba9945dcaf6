use std::collections::BTreeMap;
use std::time::Duration;

use herder_core::proxy::{BalancerSpec, Key};
use herder_core::spec::PickerKind;

use crate::desk::{Desk, spec, with_cookie};

fn slow(policy: PickerKind) -> BalancerSpec {
    BalancerSpec {
        slow_start: Duration::from_secs(10),
        ..spec(policy)
    }
}

#[test]
fn the_first_are_not_spared() {
    let mut desk = Desk::new(&slow(PickerKind::RoundRobin), 1);
    desk.wait(3);
    desk.admit(2, 1);
    desk.wait(3);
    desk.admit(3, 2);
    for _ in 0..5 {
        let served = desk.spread(999);
        assert_eq!(served, BTreeMap::from([(1, 333), (2, 333), (3, 333)]));
        desk.wait(2);
    }
}

#[test]
fn who_joins_others_gets_its_share_little_by_little() {
    for policy in [PickerKind::RoundRobin, PickerKind::LeastConnections] {
        let mut desk = Desk::new(&slow(policy), 1);
        desk.wait(10);
        desk.admit(2, 1);
        let mut shares = Vec::new();
        for _ in 0..6 {
            // They stay open, so that the least busy are known.
            let begun: Vec<u64> = (0..1100).map(|_| desk.begin(&Key::default())).collect();
            shares.push(begun.iter().filter(|it| **it == 2).count());
            for worker in begun {
                desk.end(worker);
            }
            desk.wait(2);
        }
        // A tenth of the other's at first, then 2, 4, 6, 8 and 10 tenths.
        let expected = [100, 183, 314, 412, 489, 550];
        for (share, expected) in shares.iter().zip(expected) {
            assert!(share.abs_diff(expected) <= 2, "{policy}: {shares:?}");
        }
    }
}

#[test]
fn when_all_are_new_nobody_is_spared() {
    let mut desk = Desk::new(&slow(PickerKind::RoundRobin), 1);
    desk.wait(60);
    desk.admit(2, 0);
    desk.wait(4);
    desk.admit(3, 1);
    let now = desk.now;
    desk.balancer.withdraw(1, now);
    assert_eq!(desk.spread(100), BTreeMap::from([(2, 50), (3, 50)]));
}

#[test]
fn who_was_there_before_is_not_spared_again() {
    let mut desk = Desk::new(&slow(PickerKind::RoundRobin), 2);
    desk.wait(60);
    let now = desk.now;
    desk.balancer.withdraw(2, now);
    desk.admit(2, 1);
    assert_eq!(desk.spread(100), BTreeMap::from([(1, 50), (2, 50)]));
}

#[test]
fn who_comes_with_a_cookie_is_not_turned_away_from_a_new_worker() {
    let mut desk = Desk::new(&slow(PickerKind::RoundRobin), 2);
    desk.wait(60);
    desk.admit(3, 2);
    assert!((0..20).all(|_| desk.serve(&with_cookie(2)) == 3));
}
