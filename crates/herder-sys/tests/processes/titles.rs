//! A title, seen from outside, and what it must not destroy.

use std::fs;

use herder_sys::{env, process, title};

use crate::scene::act;

fn shown() -> String {
    String::from_utf8(fs::read("/proc/self/cmdline").unwrap()).unwrap()
}

/// Gives itself titles of all lengths and looks whether anything else has changed.
pub(crate) fn retitle() {
    env::remove("HERDER_SYS_TEST_ROLE").unwrap();
    let arguments: Vec<_> = std::env::args().collect();
    let variables: Vec<_> = std::env::vars_os().collect();
    let comm = fs::read("/proc/self/comm").unwrap();
    let original = shown();
    assert!(title::set("too early").is_err());

    title::prepare().unwrap();
    assert_eq!(shown(), original, "preparing changes nothing that is seen");
    title::prepare().unwrap();

    let longer = format!("herder: {}", "x".repeat(original.len()));
    let exact = "y".repeat(original.len());
    for text in [
        "herder: worker app/0",
        longer.as_str(),
        exact.as_str(),
        "h",
        "herder: ä",
    ] {
        title::set(text).unwrap();
        assert_eq!(shown(), format!("{text}\0"));
    }
    title::set(&"z".repeat(1_000_000)).unwrap();
    let cut = shown();
    assert!(
        cut.len() > original.len() && cut.len() <= 4096,
        "{}",
        cut.len()
    );

    assert_eq!(std::env::args().collect::<Vec<_>>(), arguments);
    assert_eq!(std::env::vars_os().collect::<Vec<_>>(), variables);
    assert_eq!(fs::read("/proc/self/comm").unwrap(), comm);
    assert_eq!(process::thread_count().unwrap(), 1);
    env::replace_environment([("A".into(), "1".into())]).unwrap();
    title::set("herder: master app").unwrap();
    assert_eq!(std::env::var("A").unwrap(), "1");
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// The environment is replaced before the title is prepared: the room for a title stays.
pub(crate) fn retitle_late() {
    let room: usize = std::env::vars()
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum();
    env::replace_environment([("A".into(), "1".into())]).unwrap();
    title::prepare().unwrap();
    title::set(&"z".repeat(1_000_000)).unwrap();
    let expected = 4095.min(room);
    assert!(shown().len() > expected, "{} of {expected}", shown().len());
    assert_eq!(std::env::var("A").unwrap(), "1");
}

pub(crate) fn room_for_a_late_title() {
    assert_eq!(act("retitle-late", &[]).finish(), "");
}

pub(crate) fn seen_and_costs_nothing() {
    let mut actor = act("retitle", &["one", "two words", ""]);
    assert_eq!(actor.line(), "ready");
    let seen = fs::read(format!("/proc/{}/cmdline", actor.child.pid)).unwrap();
    assert_eq!(String::from_utf8(seen).unwrap(), "herder: master app\0");
    actor.finish();
}
