use std::collections::BTreeMap;

use herder_core::Slot;
use herder_core::proxy::{Key, Post, SlotCookie};
use herder_core::spec::PickerKind;

use crate::desk::{Desk, from, spec, with_cookie};

const NOBODY: Key = Key {
    client_ip: None,
    cookie: None,
};

#[test]
fn requests_of_one_client_are_spread_exactly() {
    for policy in [
        PickerKind::RoundRobin,
        PickerKind::LeastConnections,
        PickerKind::LeastLoaded,
    ] {
        let mut desk = Desk::new(&spec(policy), 3);
        let served = desk.spread(999);
        assert_eq!(served, BTreeMap::from([(1, 333), (2, 333), (3, 333)]));
    }
}

#[test]
fn turns_come_in_order_of_slots() {
    let mut desk = Desk::new(&spec(PickerKind::RoundRobin), 3);
    let turns: Vec<u64> = (0..7).map(|_| desk.begin(&NOBODY)).collect();
    assert_eq!(turns, [1, 2, 3, 1, 2, 3, 1]);
}

#[test]
fn several_balancers_do_not_begin_with_the_same_worker() {
    for policy in [
        PickerKind::RoundRobin,
        PickerKind::LeastConnections,
        PickerKind::LeastLoaded,
    ] {
        let first = |number, of| {
            let mut desk = Desk::at(Post::new(number, of), &spec(policy), 4);
            (0..5).map(|_| desk.begin(&NOBODY)).collect::<Vec<u64>>()
        };
        assert_eq!(first(0, 2), [1, 2, 3, 4, 1]);
        assert_eq!(first(1, 2), [3, 4, 1, 2, 3]);
        assert_eq!(first(3, 4), [4, 1, 2, 3, 4]);
        // There may be more of them than workers.
        assert_eq!(first(7, 8), [4, 1, 2, 3, 4]);
    }
}

#[test]
fn each_of_several_balancers_is_even_by_itself() {
    for number in 0..3 {
        let post = Post::new(number, 3);
        let mut desk = Desk::at(post, &spec(PickerKind::RoundRobin), 3);
        let served = desk.spread(999);
        assert_eq!(served, BTreeMap::from([(1, 333), (2, 333), (3, 333)]));
    }
}

#[test]
fn several_balancers_agree_where_a_client_is_at_home() {
    let at = |number| Desk::at(Post::new(number, 4), &spec(PickerKind::IpHash), 5);
    let (mut first, mut last) = (at(0), at(3));
    for host in 0..=255 {
        let client = from(&format!("192.0.2.{host}"));
        assert_eq!(first.serve(&client), last.serve(&client));
        let cookie = with_cookie(host % 5);
        assert_eq!(first.serve(&cookie), last.serve(&cookie));
    }
}

#[test]
fn turns_are_exact_around_a_worker_that_is_excluded_once() {
    let mut desk = Desk::new(&spec(PickerKind::RoundRobin), 3);
    desk.spread(100);
    assert_ne!(desk.balancer.pick(&NOBODY, &[2], desk.now), Some(2));
    for (worker, count) in desk.spread(300) {
        assert!((99..=101).contains(&count), "{worker}: {count}");
    }
}

#[test]
fn weights_are_turns_evenly_spread() {
    let mut desk = Desk::new(&spec(PickerKind::RoundRobin), 0);
    desk.weigh(1, 0, 5);
    desk.weigh(2, 1, 1);
    desk.weigh(3, 2, 1);
    let turns: Vec<u64> = (0..7).map(|_| desk.begin(&NOBODY)).collect();
    assert_eq!(turns, [1, 1, 2, 1, 3, 1, 1]);
}

#[test]
fn the_least_busy_gets_it() {
    let mut desk = Desk::new(&spec(PickerKind::LeastConnections), 3);
    let open: Vec<u64> = (0..6).map(|_| desk.begin(&NOBODY)).collect();
    assert_eq!(open, [1, 2, 3, 1, 2, 3]);
    desk.end(2);
    desk.end(2);
    assert_eq!([desk.begin(&NOBODY), desk.begin(&NOBODY)], [2, 2]);
}

#[test]
fn who_weighs_more_may_be_busier() {
    let mut desk = Desk::new(&spec(PickerKind::LeastConnections), 0);
    desk.weigh(1, 0, 3);
    desk.weigh(2, 1, 1);
    for _ in 0..40 {
        desk.begin(&NOBODY);
    }
    assert_eq!(desk.balancer.open(1), Some(30));
    assert_eq!(desk.balancer.open(2), Some(10));
}

#[test]
fn of_two_choices_the_busiest_of_all_is_never_one() {
    let mut desk = Desk::new(&spec(PickerKind::TwoChoices), 3);
    for _ in 0..100 {
        desk.balancer.began(2);
    }
    let served = desk.spread(300);
    assert!(!served.contains_key(&2), "{served:?}");
    assert!(served[&1] > 100 && served[&3] > 100, "{served:?}");
    assert_eq!(desk.balancer.pick(&NOBODY, &[1, 3], desk.now), Some(2));
}

#[test]
fn a_client_stays_where_it_is() {
    let mut desk = Desk::new(&spec(PickerKind::IpHash), 4);
    let clients: Vec<Key> = (0..200).map(|n| from(&format!("10.0.0.{n}"))).collect();
    let before: Vec<u64> = clients.iter().map(|key| desk.serve(key)).collect();
    for worker in 1..=4 {
        assert!(before.iter().filter(|it| **it == worker).count() > 25);
    }
    let now = desk.now;
    desk.balancer.withdraw(3, now);
    for (key, was) in clients.iter().zip(&before) {
        let is = desk.serve(key);
        assert_ne!(is, 3);
        assert!(is == *was || *was == 3, "only the clients of 3 move");
    }
    // Its successor inherits them.
    desk.admit(9, 2);
    for (key, was) in clients.iter().zip(&before) {
        let successor = if *was == 3 { 9 } else { *was };
        assert_eq!(desk.serve(key), successor);
    }
    // Who comes takes from each, and from nobody more than its share.
    desk.admit(5, 4);
    let moved = clients.iter().filter(|key| desk.serve(key) == 5).count();
    assert!((20..70).contains(&moved), "{moved}");
}

#[test]
fn an_ipv4_client_is_the_same_at_each_listener() {
    let mut desk = Desk::new(&spec(PickerKind::IpHash), 8);
    for n in 0..50 {
        let plain = desk.serve(&from(&format!("192.0.2.{n}")));
        assert_eq!(plain, desk.serve(&from(&format!("::ffff:192.0.2.{n}"))));
    }
}

#[test]
fn clients_without_an_address_take_turns() {
    let mut desk = Desk::new(&spec(PickerKind::IpHash), 3);
    assert_eq!(desk.spread(9), BTreeMap::from([(1, 3), (2, 3), (3, 3)]));
}

#[test]
fn an_excluded_home_has_a_stable_second() {
    let mut desk = Desk::new(&spec(PickerKind::IpHash), 4);
    let key = from("198.51.100.7");
    let home = desk.serve(&key);
    let second = desk.balancer.pick(&key, &[home], desk.now);
    assert_ne!(second, Some(home));
    for _ in 0..10 {
        assert_eq!(desk.balancer.pick(&key, &[home], desk.now), second);
    }
}

#[test]
fn a_cookie_is_stronger_than_any_policy() {
    for policy in [
        PickerKind::RoundRobin,
        PickerKind::LeastConnections,
        PickerKind::TwoChoices,
        PickerKind::IpHash,
    ] {
        let mut desk = Desk::new(&spec(policy), 3);
        for _ in 0..20 {
            assert_eq!(desk.begin(&with_cookie(1)), 2);
        }
        let now = desk.now;
        assert_ne!(desk.balancer.pick(&with_cookie(1), &[2], now), Some(2));
        assert!(desk.balancer.pick(&with_cookie(7), &[], now).is_some());
        // The slot's newer worker has its clients, as soon as it is there.
        desk.admit(4, 1);
        assert_eq!(desk.begin(&with_cookie(1)), 4);
    }
}

#[test]
fn who_comes_with_a_cookie_takes_nobodys_turn() {
    let mut desk = Desk::new(&spec(PickerKind::RoundRobin), 3);
    let mut turns = Vec::new();
    for _ in 0..6 {
        desk.serve(&with_cookie(0));
        turns.push(desk.serve(&NOBODY));
    }
    assert_eq!(turns, [1, 2, 3, 1, 2, 3]);
}

#[test]
fn a_cookie_that_we_set_leads_back() {
    let cookie = SlotCookie::new("herder");
    let set = cookie.header(Slot(2));
    let back = set.split(';').next().unwrap();
    assert_eq!(cookie.find(back.as_bytes()), Some(Slot(2)));
}
