//! A namespace in memory, with the time moved by hand.

use std::time::Duration;

use bytes::Bytes;
use herder_core::Tick;
use herder_services::state::engine::Engine;
use herder_services::state::{
    Acquired, Admission, Change, Condition, MAX_PAGE_BYTES, Put, Rate, Refusal,
};

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Tick {
    Tick::from_micros(seconds * 1_000_000)
}

fn put(value: &'static str) -> Put {
    Put {
        value: Bytes::from_static(value.as_bytes()),
        ttl: None,
        condition: Condition::Always,
    }
}

fn engine() -> Engine {
    Engine::new(1_000_000)
}

fn value(engine: &Engine, key: &str, now: Tick) -> Option<Bytes> {
    engine.get(key, now).map(|versioned| versioned.value)
}

#[test]
fn what_is_put_can_be_got_until_it_is_deleted() {
    let mut engine = engine();
    let revision = engine.put("a", put("1"), at(0)).unwrap();
    assert_eq!(engine.get("a", at(0)).unwrap().revision, revision);
    assert!(engine.put("a", put("2"), at(0)).unwrap() > revision);
    assert!(engine.delete("a", Condition::Always, at(0)).unwrap());
    assert_eq!(engine.get("a", at(0)), None);
    assert!(!engine.delete("a", Condition::Always, at(0)).unwrap());
    assert_eq!(engine.bytes(), 0);
}

#[test]
fn a_value_lives_as_long_as_it_may() {
    let mut engine = engine();
    let ttl = Some(5 * SECOND);
    engine.put("a", Put { ttl, ..put("1") }, at(0)).unwrap();
    assert_eq!(engine.get("a", at(2)).unwrap().ttl, Some(3 * SECOND));
    assert_eq!(engine.poll_timeout(), Some(at(5)));
    assert_eq!(engine.get("a", at(5)), None, "though nobody removed it yet");
    engine.expire(at(5));
    let changes: Vec<_> = std::iter::from_fn(|| engine.poll_change()).collect();
    assert!(
        matches!(&changes[..], [Change::Put { .. }, Change::Removed { key, .. }] if key == "a")
    );
    // Put again without a time, it lives on.
    engine.put("b", Put { ttl, ..put("1") }, at(5)).unwrap();
    engine.put("b", put("2"), at(6)).unwrap();
    assert_eq!(engine.poll_timeout(), None);
}

#[test]
fn conditions_are_kept() {
    let mut engine = engine();
    let absent = Put {
        condition: Condition::Absent,
        ..put("1")
    };
    let first = engine.put("a", absent.clone(), at(0)).unwrap();
    let present = first;
    assert_eq!(
        engine.put("a", absent, at(0)),
        Err(Refusal::Conflict { present })
    );
    let next = Put {
        condition: Condition::Revision(first),
        ..put("2")
    };
    let second = engine.put("a", next.clone(), at(0)).unwrap();
    let present = second;
    assert_eq!(
        engine.put("a", next, at(0)),
        Err(Refusal::Conflict { present })
    );
    assert!(
        engine
            .delete("a", Condition::Revision(first), at(0))
            .is_err()
    );
    assert!(
        engine
            .delete("a", Condition::Revision(second), at(0))
            .unwrap()
    );
    // A key that is gone has no revision: nobody takes the next value for the one before.
    let again = Put {
        condition: Condition::Revision(second),
        ..put("3")
    };
    assert_eq!(
        engine.put("a", again, at(0)),
        Err(Refusal::Conflict { present: 0 })
    );
}

#[test]
fn numbers_are_counted_up_and_keep_their_time() {
    let mut engine = engine();
    assert_eq!(engine.increment("n", 5, Some(10 * SECOND), at(0)), Ok(5));
    assert_eq!(engine.increment("n", -7, Some(10 * SECOND), at(5)), Ok(-2));
    assert_eq!(engine.poll_timeout(), Some(at(10)));
    engine.put("t", put("text"), at(5)).unwrap();
    assert!(matches!(
        engine.increment("t", 1, None, at(5)),
        Err(Refusal::NotANumber(_))
    ));
    engine.put("m", put("9223372036854775807"), at(5)).unwrap();
    assert!(matches!(
        engine.increment("m", 1, None, at(5)),
        Err(Refusal::NotANumber(_))
    ));
    assert_eq!(
        engine.increment("n", 1, None, at(10)),
        Ok(1),
        "it had expired"
    );
}

#[test]
fn a_scan_goes_through_all_in_pages() {
    let mut engine = engine();
    for key in ["a", "b/1", "b/2", "b/3", "c"] {
        engine.put(key, put("x"), at(0)).unwrap();
    }
    let first = engine.scan("b/", None, 2, at(0));
    let keys: Vec<_> = first.entries.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        (keys, first.next.as_deref()),
        (vec!["b/1", "b/2"], Some("b/2"))
    );
    let second = engine.scan("b/", first.next.as_deref(), 2, at(0));
    assert_eq!(
        (
            second.entries[0].0.as_str(),
            second.entries.len(),
            second.next
        ),
        ("b/3", 1, None)
    );
    assert_eq!(engine.scan("", None, 100, at(0)).entries.len(), 5);
    assert_eq!(engine.scan("zz", None, 100, at(0)).entries.len(), 0);
    assert_eq!(engine.scan("b/", Some("a"), 100, at(0)).entries.len(), 3);
}

#[test]
fn a_page_of_large_values_has_few() {
    let mut engine = Engine::new(1 << 30);
    let value = "x".repeat(MAX_PAGE_BYTES / 2);
    for key in ["a", "b", "c"] {
        let value = Bytes::from(value.clone());
        let put = Put { value, ..put("") };
        engine.put(key, put, at(0)).unwrap();
    }
    let page = engine.scan("", None, 100, at(0));
    assert_eq!((page.entries.len(), page.next.as_deref()), (2, Some("b")));
    let rest = engine.scan("", Some("b"), 100, at(0));
    assert_eq!((rest.entries.len(), rest.next), (1, None));
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut engine = Engine::new(1000);
    let long = |length: usize| Put {
        value: Bytes::from(vec![0; length]),
        ..put("")
    };
    engine.put("a", long(500), at(0)).unwrap();
    assert!(matches!(
        engine.put("b", long(500), at(0)),
        Err(Refusal::Full { .. })
    ));
    engine.put("a", long(800), at(0)).unwrap();
    assert_eq!(engine.get("b", at(0)), None);
    let mut engine = Engine::new(usize::MAX);
    assert!(matches!(
        engine.put("", put("1"), at(0)),
        Err(Refusal::Key { length: 0 })
    ));
    assert!(matches!(
        engine.put(&"k".repeat(1025), put("1"), at(0)),
        Err(Refusal::Key { .. })
    ));
    assert!(matches!(
        engine.put("k", long(5 << 20), at(0)),
        Err(Refusal::Value { .. })
    ));
    let ttl = Some(Duration::ZERO);
    assert!(matches!(
        engine.put("k", Put { ttl, ..put("") }, at(0)),
        Err(Refusal::Zero(_))
    ));
    assert_eq!(engine.poll_change(), None);
}

#[test]
fn one_has_a_lease_at_a_time_and_tokens_grow() {
    let mut engine = engine();
    let ours = |token| Ok(Acquired::Ours { token });
    assert_eq!(engine.acquire("l", "w1", 10 * SECOND, at(0)), ours(1));
    let left = 7 * SECOND;
    assert_eq!(
        engine.acquire("l", "w2", 10 * SECOND, at(3)),
        Ok(Acquired::Held { left })
    );
    assert_eq!(
        engine.acquire("l", "w1", 10 * SECOND, at(4)),
        ours(1),
        "its own"
    );
    engine.renew("l", 1, 10 * SECOND, at(9)).unwrap();
    assert!(matches!(
        engine.acquire("l", "w2", SECOND, at(18)),
        Ok(Acquired::Held { .. })
    ));
    assert_eq!(engine.acquire("l", "w2", 10 * SECOND, at(19)), ours(2));
    assert_eq!(
        engine.renew("l", 1, SECOND, at(20)),
        Err(Refusal::NotHeld { token: 1 })
    );
    assert_eq!(
        engine.release("l", 1, at(20)),
        Err(Refusal::NotHeld { token: 1 })
    );
    engine.release("l", 2, at(20)).unwrap();
    assert_eq!(engine.acquire("l", "w1", SECOND, at(20)), ours(3));
}

#[test]
fn the_dead_have_no_leases() {
    let mut engine = engine();
    engine.acquire("l", "w1", 10 * SECOND, at(0)).unwrap();
    engine.acquire("m", "w1", 10 * SECOND, at(0)).unwrap();
    engine.acquire("n", "w2", 10 * SECOND, at(0)).unwrap();
    engine.release_all("w1");
    assert_eq!(
        engine.acquire("l", "w2", SECOND, at(1)),
        Ok(Acquired::Ours { token: 4 })
    );
    assert!(matches!(
        engine.acquire("n", "w1", SECOND, at(1)),
        Ok(Acquired::Held { .. })
    ));
}

#[test]
fn as_many_are_allowed_as_the_rate_says() {
    let mut engine = engine();
    let rate = Rate {
        count: 3,
        per: 6 * SECOND,
    };
    for left in [2, 1, 0] {
        assert_eq!(
            engine.limit("u", rate, at(0)),
            Ok(Admission::Allowed { left })
        );
    }
    let retry_after = 2 * SECOND;
    assert_eq!(
        engine.limit("u", rate, at(0)),
        Ok(Admission::Denied { retry_after })
    );
    assert_eq!(
        engine.limit("u", rate, at(2)),
        Ok(Admission::Allowed { left: 0 })
    );
    assert!(matches!(
        engine.limit("u", rate, at(3)),
        Ok(Admission::Denied { .. })
    ));
    assert_eq!(
        engine.limit("v", rate, at(3)),
        Ok(Admission::Allowed { left: 2 }),
        "another"
    );
    assert_eq!(
        engine.limit("u", rate, at(60)),
        Ok(Admission::Allowed { left: 2 })
    );
    let none = Rate {
        count: 0,
        per: SECOND,
    };
    assert!(matches!(
        engine.limit("u", none, at(60)),
        Err(Refusal::Zero(_))
    ));
}

#[test]
fn another_life_goes_on_from_the_changes_of_the_one_before() {
    let mut before = engine();
    let ttl = Some(30 * SECOND);
    before.put("a", put("1"), at(0)).unwrap();
    before.put("b", Put { ttl, ..put("2") }, at(0)).unwrap();
    before.delete("a", Condition::Always, at(1)).unwrap();
    before.acquire("l", "w1", 10 * SECOND, at(1)).unwrap();
    before.acquire("m", "w1", 10 * SECOND, at(1)).unwrap();
    before.release("m", 2, at(1)).unwrap();

    let mut after = engine();
    while let Some(change) = before.poll_change() {
        after.restore(change);
    }
    assert_eq!(after.poll_change(), None, "nothing happened");
    assert_eq!(value(&after, "b", at(2)), Some(Bytes::from_static(b"2")));
    assert_eq!(
        (after.revision(), after.bytes()),
        (before.revision(), before.bytes())
    );
    assert!(matches!(
        after.acquire("l", "w2", SECOND, at(2)),
        Ok(Acquired::Held { .. })
    ));
    assert_eq!(
        after.acquire("m", "w2", SECOND, at(2)),
        Ok(Acquired::Ours { token: 3 })
    );
}
