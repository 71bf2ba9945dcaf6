//! What is written down and read back is the same.

use herder_core::supervisor::{Event, Supervisor};

use crate::harness::{Herd, SECOND, id, spec};

#[test]
fn a_restored_supervisor_is_equal_and_decides_the_same() {
    let mut spec = spec(4);
    spec.recycle.max_lifetime = Some(20 * SECOND);
    let mut herd = Herd::ready(spec);
    herd.silent.insert(id(0, 1));
    herd.wait(12 * SECOND);
    herd.exit(id(1, 2));
    herd.tell(Event::Retire { worker: id(2, 3) });
    // Some actions are not polled yet.
    herd.core
        .handle(Event::Misbehaved { worker: id(3, 4) }, herd.now);

    let bytes = postcard::to_allocvec(&herd.core).expect("it can be written");
    let restored: Supervisor = postcard::from_bytes(&bytes).expect("it can be read");
    assert_eq!(restored, herd.core);

    let mut twin = Herd {
        core: restored,
        now: herd.now,
        silent: herd.silent.clone(),
    };
    for _ in 0..50 {
        assert_eq!(herd.pass(SECOND), twin.pass(SECOND));
    }
    assert_eq!(herd.tell(Event::Stop), twin.tell(Event::Stop));
    assert_eq!(herd.core, twin.core);
}
