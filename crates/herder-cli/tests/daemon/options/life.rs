//! When workers that failed come again, and when those that stay are killed.

use std::time::{Duration, Instant};

use herder_api::status::AppPhase;

use super::super::kit::{LIMIT, Place, lives, pids};

/// The moments that somebody wrote down, in milliseconds.
fn moments(place: &Place, name: &str, count: usize) -> Vec<u64> {
    let lines = place.lines(name, count);
    let moments = lines
        .iter()
        .map(|line| line.parse::<u64>().unwrap() / 1_000_000);
    moments.collect()
}

#[test]
fn who_failed_waits_as_the_options_say() {
    let place = Place::new("o-waits");
    place.daemon();
    let options =
        |name: &str, more: &str| format!("-n {name} --ready-after 20ms --max-restarts 0 {more}");
    let fails = |name: &str| format!("date +%s%N >> {name}; sleep 0.4; exit 1");
    place.starts(&options("fixed", "--restart-delay 700"), &fails("fixed"));
    place.starts(
        &options("growing", "--exp-backoff-restart-delay 300"),
        &fails("growing"),
    );
    // Ready for long enough, it had not failed at its start: nobody waits an hour for the next.
    let healthy = "--restart-delay 3600000 --min-uptime 100";
    place.starts(&options("healthy", healthy), &fails("healthy"));
    // A bit less than it says may pass, so that not all come at once; and what it ran has to be added.
    let tenth = |wait: u64| wait - wait / 10;
    let fixed = moments(&place, "fixed", 3);
    assert!(
        fixed
            .windows(2)
            .all(|two| two[1] - two[0] >= 400 + tenth(700)),
        "{fixed:?}"
    );
    let growing = moments(&place, "growing", 3);
    assert!(growing[1] - growing[0] >= 400 + tenth(300), "{growing:?}");
    assert!(growing[2] - growing[1] >= 400 + tenth(600), "{growing:?}");
    moments(&place, "healthy", 3);
    place.does("delete all --json");
}

/// Hears of no end.
const STAYS: &str = "trap '' TERM; while :; do sleep 0.1; done";

#[test]
fn who_does_not_leave_is_killed_when_the_options_say() {
    let place = Place::new("o-stays");
    place.daemon();
    place.starts("-n brief --ready-after 20ms --kill-timeout 200", STAYS);
    place.starts("-n other --ready-after 20ms --grace 300ms", STAYS);
    place.starts("-n long --ready-after 20ms --grace 1h", STAYS);
    let before = pids(&place.app("long"));
    let begun = Instant::now();
    place.does("stop brief other");
    // Not that it is fast: the usual time is half a minute.
    assert!(begun.elapsed() < LIMIT - Duration::from_secs(1));
    assert_eq!(place.app("brief").phase, AppPhase::Stopped);
    assert!(lives(before[0]));
    place.does("stop long --now");
    assert!(!lives(before[0]));
}
