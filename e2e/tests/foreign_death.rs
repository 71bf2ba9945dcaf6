//! What becomes of foreign programs when herder itself is killed: they leave, and nothing is left behind.

use herder_e2e::baseline::{Baseline, assert_same};
use herder_e2e::foreign::{BOOT, Seat, busy_herd, run, wait_for};
use herder_e2e::herd::Herd;
use herder_e2e::process::Process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::time::{Duration, Instant};

const GRACE: Duration = Duration::from_secs(1);

/// How much longer than the grace an end may take.
const MARGIN: Duration = Duration::from_secs(1);

/// Programs that leave when told to, programs that do not, and a grandchild in a session of its own that
/// does not either. Which worker is which follows from its slot.
const MIXED: [&str; 3] = [
    "sh",
    "-c",
    "case $HERDER_SLOT in 0) exec sleep 600;; 1) trap '' TERM; exec sleep 601;; \
     *) trap '' TERM; setsid sleep 602 & exec sleep 603;; esac",
];

fn start(scene: &Scene) -> (Herd, Vec<Seat>) {
    let options = [
        "-l",
        "127.0.0.1:0",
        "-l",
        "unix:herd.sock",
        "-i",
        "3",
        "--grace",
        "1s",
    ];
    let options = [&options[..], &["--ready-after", "100ms"]].concat();
    let herd = run(scene, &options, &MIXED).start();
    let workers = wait_for(&herd, 0, 3, "ready", BOOT);
    // keeper, master, three workers, one grandchild
    wait::until(BOOT, "all six processes run", || {
        (herd.descendants().len() == 6).then_some(())
    });
    (herd, workers)
}

fn master(herd: &Herd) -> Process {
    wait::until(BOOT, "the master has its title", || herd.master())
}

/// Kills the master when an end was asked for of which it has not heard: no other follows it.
fn kill_master_for_good(herd: &Herd) {
    let master = master(herd).pid;
    herd.signal_to(master, Signal::STOP);
    herd.signal(Signal::TERM);
    herd.signal_to(master, Signal::KILL);
}

/// Fails the test when something is left. Herds of other tests on the same machine are never more than a moment
/// without a living master and not yet cleaned up; ours is gone already.
#[track_caller]
fn assert_nothing_left(before: &Baseline, scene: &Scene) {
    let same = || {
        let after = Baseline::of(scene);
        before.difference(&after).is_empty().then_some(())
    };
    if wait::attempt(BOOT, same).is_none() {
        assert_same(before, &Baseline::of(scene));
    }
}

#[test]
fn r28_timed_a_killed_master_leaves_nothing_behind() {
    wait::timed(GRACE + MARGIN, || {
        let scene = Scene::new("master_kill");
        let before = Baseline::of(&scene);
        let (herd, _) = start(&scene);
        assert_ne!(
            before,
            Baseline::of(&scene),
            "the baseline sees what a herd makes"
        );
        let begun = Instant::now();
        kill_master_for_good(&herd);
        let status = herd.wait_for_exit(BOOT);
        let took = begun.elapsed();
        assert_eq!(status.code(), Some(70));
        assert_eq!(herd.descendants(), []);
        assert_nothing_left(&before, &scene);
        herd.wait_for_line("why", BOOT, |line| {
            line.contains("died: SIGKILL").then_some(())
        });
        took
    });
}

#[test]
fn r28_workers_of_a_killed_master_finish_what_they_have() {
    let scene = Scene::new("master_grace");
    let (herd, load) = busy_herd(&scene);
    kill_master_for_good(&herd);
    load.finish().assert_no_failure();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(70));
    assert_eq!(herd.descendants(), []);
}

#[test]
fn r28_a_signal_cuts_the_grace_of_a_killed_masters_workers_short() {
    let scene = Scene::new("master_second");
    let program = ["sh", "-c", "trap '' TERM; exec sleep 600"];
    let options = ["-i", "2", "--grace", "60s", "--ready-after", "100ms"];
    let herd = run(&scene, &options, &program).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    kill_master_for_good(&herd);
    herd.wait_for_line("the keeper has seen it", BOOT, |line| {
        line.contains("died: SIGKILL").then_some(())
    });
    herd.signal(Signal::TERM);
    herd.wait_for_exit(BOOT);
    assert_eq!(herd.descendants(), []);
}

#[test]
fn r14_timed_a_herd_that_stops_in_order_leaves_nothing_behind() {
    wait::timed(GRACE + MARGIN, || {
        let scene = Scene::new("in_order");
        let before = Baseline::of(&scene);
        let (herd, _) = start(&scene);
        let begun = Instant::now();
        herd.signal(Signal::TERM);
        assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
        let took = begun.elapsed();
        assert_eq!(herd.descendants(), []);
        assert_nothing_left(&before, &scene);
        took
    });
}

#[test]
fn keeper_death_ends_the_herd_in_order() {
    let scene = Scene::new("keeper_kill");
    let before = Baseline::of(&scene);
    let options = [
        "-l",
        "127.0.0.1:0",
        "-l",
        "unix:herd.sock",
        "-i",
        "3",
        "--grace",
        "1s",
    ];
    let options = [&options[..], &["--ready-after", "100ms"]].concat();
    let program = [
        "sh",
        "-c",
        "case $HERDER_SLOT in 0) trap '' TERM;; esac; exec sleep 600",
    ];
    let herd = run(&scene, &options, &program).start();
    wait_for(&herd, 0, 3, "ready", BOOT);
    herd.signal_to(herd.pid(), Signal::KILL);
    herd.wait_for_line("the master has seen it", BOOT, |line| {
        line.contains("the keeper is gone").then_some(())
    });
    wait::until(GRACE + BOOT, "every process is gone", || {
        herd.descendants().is_empty().then_some(())
    });
    wait_for(&herd, 0, 2, "ended: signal SIGTERM", BOOT);
    wait_for(&herd, 0, 1, "ended: signal SIGKILL", BOOT);
    assert_nothing_left(&before, &scene);
}
