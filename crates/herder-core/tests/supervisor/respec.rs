//! Other policies, while the app runs.

use std::num::NonZeroU64;
use std::time::Duration;

use herder_core::supervisor::{Action, Event, Notice, Phase};

use crate::harness::{Herd, SECOND, deeds, id, notices, spawns, spec};

#[test]
fn other_delays_hold_from_now_on() {
    let mut herd = Herd::ready(spec(1));
    let mut policies = herd.core.spec().policies();
    policies.restart.first_delay = SECOND * 100;
    policies.restart.max_delay = SECOND * 100;
    assert_eq!(herd.tell(Event::Respec(Box::new(policies))), []);
    herd.exit(id(0, 1));
    assert_eq!(spawns(&herd.wait(SECOND * 80)), []);
    assert_eq!(spawns(&herd.wait(SECOND * 40)), [id(0, 2)]);
}

#[test]
fn nobody_is_suspect_for_a_silence_that_was_allowed() {
    let mut spec = spec(1);
    spec.life.hang = None;
    let mut herd = Herd::ready(spec);
    herd.leap(SECOND * 3_600);
    let mut policies = herd.core.spec().policies();
    policies.life.hang = Some(SECOND * 10);
    herd.tell(Event::Respec(Box::new(policies)));
    herd.silent.insert(id(0, 1));
    assert_eq!(herd.wait(SECOND * 4), [], "half of it is left");
    let told = notices(&herd.wait(SECOND * 2));
    assert!(matches!(told[..], [Notice::Suspected { .. }]), "{told:?}");
}

#[test]
fn a_suspect_of_whom_nothing_is_expected_any_more_serves() {
    let mut herd = Herd::ready(spec(1));
    let worker = id(0, 1);
    herd.silent.insert(worker);
    herd.wait(SECOND * 10);
    let mut policies = herd.core.spec().policies();
    policies.life.hang = None;
    let actions = herd.tell(Event::Respec(Box::new(policies)));
    assert_eq!(deeds(&actions), [Action::Admit { worker }]);
    assert!(matches!(herd.phase(worker), Some(Phase::Ready { .. })));
    assert_eq!(herd.core.poll_timeout(), None);
}

#[test]
fn limits_are_measured_from_the_beginning_of_the_service() {
    let mut herd = Herd::ready(spec(1));
    herd.wait(SECOND * 100);
    let mut policies = herd.core.spec().policies();
    policies.recycle.max_lifetime = Some(SECOND * 150);
    herd.tell(Event::Respec(Box::new(policies)));
    assert_eq!(spawns(&herd.wait(SECOND * 30)), []);
    assert_eq!(spawns(&herd.wait(SECOND * 20)), [id(0, 2)]);
}

#[test]
fn a_limit_that_is_none_any_more_recycles_nobody() {
    let mut spec = spec(2);
    spec.recycle.max_memory = NonZeroU64::new(1_000);
    let mut herd = Herd::ready(spec);
    for worker in [id(0, 1), id(1, 2)] {
        let bytes = 2_000;
        herd.tell(Event::Memory { worker, bytes });
    }
    let mut policies = herd.core.spec().policies();
    policies.recycle.max_memory = None;
    herd.tell(Event::Respec(Box::new(policies)));
    // The replacement that was under way is finished; the other worker stays.
    herd.boot(id(0, 3));
    let later = herd.wait(Duration::from_secs(3_600));
    assert_eq!(spawns(&later), []);
    assert!(matches!(herd.phase(id(1, 2)), Some(Phase::Ready { .. })));
}
