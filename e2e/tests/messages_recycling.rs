//! Every worker is replaced, and no client notices.

use herder_e2e::foreign::{BOOT, Seat, told, wait_for};
use herder_e2e::herd::Herd;
use herder_e2e::jobs::{gateway, started};
use herder_e2e::message::Crowd;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// The workers of which `what` was told.
fn all_told(herd: &Herd, what: &str) -> BTreeSet<u64> {
    let lines = herd.lines();
    let seats = lines.iter().filter_map(|line| told(&line.text, what));
    seats.map(|seat: Seat| seat.id).collect()
}

/// A hundred clients talk while every worker is replaced, more than once.
#[expect(clippy::print_stdout, reason = "what a failure is judged by")]
fn under_a_hundred_clients(name: &str, options: &[&str]) {
    let scene = Scene::new(name);
    let common = ["--workers", "4", "--max-lifetime", "300"];
    let (herd, door) = started(&scene, &[&common[..], options].concat());
    wait_for(&herd, 0, 4, "ready", BOOT);
    let first = gateway(&herd).pid;
    let load = Crowd::at(door).clients(100).command("slow/10").start();
    load.wait_until_connected(100, BOOT);
    wait::until(LONG, "eight workers were replaced", || {
        let gone = all_told(&herd, "ended: exit status 0");
        ((1..=8).all(|life| gone.contains(&life))).then_some(())
    });
    load.wait_for_settled(100, BOOT);
    let account = load.stop_and_finish();
    println!("{account}");
    account.assert_all_answered();
    assert_eq!(gateway(&herd).pid, first);
    assert_eq!(all_told(&herd, "died"), BTreeSet::new());
    assert!(herd.end().success());
}

#[test]
fn a_hundred_clients_do_not_notice_that_every_worker_is_replaced() {
    under_a_hundred_clients("recycle", &[]);
}

#[test]
fn a_hundred_clients_do_not_notice_that_every_blocking_worker_is_replaced() {
    under_a_hundred_clients("recycle_b", &["--blocking"]);
}

#[test]
fn nobody_notices_that_the_number_of_workers_changes() {
    let scene = Scene::new("jobs_scale");
    let (herd, door) = started(&scene, &["--workers", "1"]);
    wait_for(&herd, 0, 1, "ready", BOOT);
    let load = Crowd::at(door).clients(10).command("slow/5").start();
    for (signal, what) in [
        (Signal::TTIN, "ready"),
        (Signal::TTIN, "ready"),
        (Signal::TTOU, "ended: exit status 0"),
        (Signal::TTOU, "ended: exit status 0"),
    ] {
        let mark = herd.mark();
        herd.signal(signal);
        wait_for(&herd, mark, 1, what, BOOT);
        load.wait_for_settled(50, BOOT);
    }
    let account = load.stop_and_finish();
    println!("{account}");
    account.assert_all_answered();
    assert!(account.per_worker().len() == 3, "{account}");
    assert!(herd.end().success());
}
